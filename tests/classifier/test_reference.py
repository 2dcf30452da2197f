"""What is known of the training images: each part by itself, and what another size or network leaves."""

import io
import pickle
import zipfile

import numpy as np
import pytest

from kit import diagnose
from kit.classifier import first_layers, reference, store
from kit.classifier.classifier import Classifier
from kit.classifier.reference import MOST_MEASURED, InputStatistics, measured_rows
from kit.images.photo import Photo
from kit.perturbation.conditions import ALTERATIONS, QUANTITIES
from kit.preprocessing import Preprocessing
from tests import networks
from tests.pictures import picture
from tests.refusals import refused

PHOTOS = tuple(Photo.from_array(picture((40, 40), seed=seed)) for seed in range(3))
PARTS = {"rows": np.arange(6, dtype=np.float32).reshape(2, 3), "count": np.array(7)}


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("networks") / "small.keras"
    classifier = Classifier(networks.small(), networks.GREY, networks.NAMES)
    classifier.with_reference(classifier.reference.with_arrays("novelty", PARTS)).save(
        path, training=PHOTOS
    )
    return path


def same_parts(one, other):
    assert one.contents.keys() == other.contents.keys()
    for part in one.contents:
        np.testing.assert_equal(other.arrays(part), one.arrays(part))


def test_all_parts_travel_in_the_file_and_to_other_processes(file, tmp_path):
    statistics = InputStatistics.of(PHOTOS, PHOTOS.index)
    answered = [PHOTOS[place] for place in statistics.answers]
    np.testing.assert_array_equal(measured_rows(answered), statistics.rows)
    found = Classifier.load(file).reference
    assert repr(found) == "Reference(novelty, profile, properties)"
    np.testing.assert_array_equal(found.arrays("novelty")["rows"], PARTS["rows"])
    np.testing.assert_array_equal(
        found.properties.rows, InputStatistics.of(PHOTOS).rows
    )
    answers = Classifier.load(file).probabilities(PHOTOS).argmax(axis=1)
    assert sorted(found.properties.answers) == sorted(answers)
    # A response to other strengths says nothing.
    arrays = found.arrays("properties")
    others = {**arrays, "strengths": 2 * arrays["strengths"]}
    assert np.isnan(InputStatistics.of_arrays(others).response).all()
    # Of a thousand classes, too.
    many = InputStatistics.of(PHOTOS, lambda _: 999).arrays()
    assert InputStatistics.of_arrays(many).answers.tolist() == [999] * 3
    assert found.first_layers.profile.shape == (3, 16)
    Classifier.load(file).save(tmp_path / "again.keras")
    same_parts(Classifier.load(tmp_path / "again.keras").reference, found)
    same_parts(pickle.loads(pickle.dumps(Classifier.load(file))).reference, found)  # noqa: S301 (made here)


def test_training_pictures_take_the_place_of_those_in_the_file(file, tmp_path):
    opened = Classifier.load(file)
    opened.save(tmp_path / "two.keras", training=PHOTOS[:2])
    for found in (opened.reference, Classifier.load(tmp_path / "two.keras").reference):
        assert len(found.first_layers.profile) == 2
        assert found.arrays("novelty").keys() == PARTS.keys()
    assert found.with_arrays("novelty", {"other": np.zeros(2)}).arrays(
        "novelty"
    ).keys() == {"other"}


def test_a_keras_file_brings_nothing_compiled(tmp_path, monkeypatch):
    """Which a process that diagnoses would run, unless it has first layers of its own."""
    model = networks.stacked((28, 28, 1), networks.imported_keras().layers.Flatten())
    flat = Classifier(model, networks.GREY)
    layers = {
        "compiled": np.frombuffer(networks.small_compiled(), np.uint8),
        "widths": np.array([1, 2]),
        "epsilon": np.array(1e-3),
    }
    hostile = flat.reference.with_arrays(store.FIRST_LAYERS, layers)
    hostile = hostile.with_arrays("novelty", {"count": np.array(7)})
    flat.with_reference(hostile).save(tmp_path / "hostile.keras")
    ran = []
    monkeypatch.setattr(
        first_layers, "LiteEngine", lambda data, **_options: ran.append(data)
    )
    opened = Classifier.load(tmp_path / "hostile.keras")
    diagnose(opened, [Photo.from_array(picture((28, 28)))])
    assert (opened.first_layers, ran) == (None, [])
    opened.save(tmp_path / "again.keras")
    with np.load(
        io.BytesIO(zipfile.ZipFile(tmp_path / "again.keras").read(store.STATISTICS))
    ) as kept:
        assert kept.files == ["novelty/count"]


def test_arrays_that_are_too_large_are_refused(small):
    with refused("Expected at most 134217728 bytes for 'mine'"):
        small.reference.with_arrays("mine", {"a": np.zeros(1 << 25)})


def test_where_nothing_is_known_nothing_is_written():
    model = networks.stacked((28, 28, 1), networks.imported_keras().layers.Flatten())
    classifier = Classifier(model, networks.GREY)
    with refused(
        r"^Expected a network with a feature map, received '\w+' without$",
    ):
        classifier.features(PHOTOS)
    found = classifier.reference
    assert (found.first_layers, found.properties, found.contents) == (None, None, {})
    with_pictures = found.with_pictures(PHOTOS, networks.GREY.apply)
    assert repr(with_pictures) == "Reference(properties)"
    assert repr(found) == "Reference(nothing of the training images)"


def test_a_network_that_was_trained_on_has_other_first_layers(tmp_path):
    model = networks.small()
    classifier = Classifier(model, networks.GREY)
    classifier.save(tmp_path / "before.keras", training=PHOTOS)
    before = classifier.first_layers
    classifier.save(tmp_path / "same.keras")
    assert len(classifier.first_layers.profile) == len(PHOTOS)
    model.set_weights(networks.small(seed=8).get_weights())
    classifier.save(tmp_path / "after.keras")
    assert classifier.first_layers.profile is None
    assert not np.array_equal(classifier.first_layers.means, before.means)
    properties = classifier.reference.properties
    assert (len(properties.rows), properties.answers) == (len(PHOTOS), None)


def test_a_profile_belongs_to_a_size(tmp_path):
    small, large = (Preprocessing(size=(side, side)) for side in (20, 30))
    opened = Classifier(networks.of_any_size()).using(small)
    opened.save(tmp_path / "open.keras", training=PHOTOS)
    opened = Classifier.load(tmp_path / "open.keras")
    assert len(opened.first_layers.profile) == len(PHOTOS)
    for size in ((20, 30), (30, 20)):
        assert opened.using(Preprocessing(size=size)).first_layers.profile is None
    for other in (
        opened.using(large),
        Classifier.load(tmp_path / "open.keras", preprocessing=large),
    ):
        assert other.first_layers.measure(
            np.zeros((1, 30, 30, 3), np.float32)
        ).shape == (1, 14)
        assert (other.first_layers.profile, len(other.reference.properties.rows)) == (
            None,
            len(PHOTOS),
        )
    assert opened.using(small.replace(channels="bgr")).reference is opened.reference


# Measures of the pictures themselves


def test_of_many_pictures_those_that_are_kept_are_drawn_from_all(monkeypatch):
    monkeypatch.setattr(
        reference, "TRIED", (1, 1)
    )  # responses take longer and are not looked at
    levels = np.linspace(1, 255, 2 * MOST_MEASURED).astype(np.uint8)
    photos = [Photo.from_array(np.full((4, 4), level, np.uint8)) for level in levels]
    statistics = InputStatistics.of(photos)
    assert len(statistics.rows) == MOST_MEASURED
    brightness = statistics.rows[:, 0]
    assert len(np.unique(brightness)) > 0.6 * MOST_MEASURED
    # Evenly from 1 to 255: mean 128, and the standard error of half of the pictures.
    assert abs(brightness.mean() - 128) < 4 * 254 / np.sqrt(12 * 2 * MOST_MEASURED)
    found = Classifier(networks.small(), networks.GREY).reference
    layers = found.with_pictures(photos, networks.GREY.apply).first_layers
    # The first channel of the first cell of every second picture, 0..1.
    assert layers.features[:, 0] == pytest.approx(levels[::2] / 255)


def test_of_large_images_fewer_are_altered(monkeypatch):
    monkeypatch.setattr(reference, "TRIED", (2, 5))
    monkeypatch.setattr(reference, "responses", len)
    photos = [Photo.from_array(np.zeros((4, 4), np.uint8))] * 6
    for most, count in ((16, 2), (48, 3), (99, 5)):
        monkeypatch.setattr(reference, "_PIXELS", most)
        assert reference.measured_responses(photos) == count


@pytest.mark.parametrize(
    "change",
    [
        {"strengths": np.zeros(3)},
        {"rows": np.zeros((2, 1))},
        {"response": np.zeros(2)},
        {"answers": np.zeros(2, int)},
        {"response": np.zeros((len(ALTERATIONS), 2, len(QUANTITIES)))},
    ],
)
def test_measures_of_another_version_are_refused_and_kept(file, change):
    arrays = {**Classifier.load(file).reference.arrays("properties"), **change}
    found = Classifier.load(file).reference.with_arrays("properties", arrays)
    with refused(
        r"Expected input statistics of this version; save again with training=$",
    ):
        _ = found.properties
    assert found.arrays("properties").keys() >= {"rows", "response"}
