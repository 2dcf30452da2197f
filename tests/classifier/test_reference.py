"""What is known of the training pictures: each part by itself, and what another size or network leaves."""

import pickle

import numpy as np
import pytest

from kit.classifier import Classifier, loading, store
from kit.classifier.network import Network
from kit.classifier.reference import InputStatistics
from kit.images import Photo
from kit.preprocessing import Preprocessing
from tests import networks
from tests.pictures import picture

PHOTOS = tuple(Photo.from_array(picture((40, 40), seed=seed)) for seed in range(3))


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        place = tmp_path_factory.mktemp("cache")
        patch.setattr(loading, "cache_folder", lambda: place)
        yield place


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("networks") / "small.keras"
    classifier = Classifier(networks.small(), networks.GREY)
    classifier.with_reference(classifier.reference.with_novelty(b"novelty")).save(path, training=PHOTOS)
    return path


def test_each_part_is_read_without_the_others(file, monkeypatch):
    reference = Classifier.load(file).reference
    monkeypatch.setattr(Network, "first_layers", None)
    assert reference.novelty == b"novelty"
    np.testing.assert_array_equal(reference.properties.rows, InputStatistics.of(PHOTOS).rows)


def test_all_parts_travel_in_the_file_and_to_other_processes(file, tmp_path):
    reference = Classifier.load(file).reference
    assert list(reference.members()) == [store.PROPERTIES, store.NOVELTY, store.FIRST_LAYERS]
    Classifier.load(file).save(tmp_path / "again.keras")
    assert Classifier.load(tmp_path / "again.keras").reference.members() == reference.members()
    other = Classifier.load(file)
    other = other.with_reference(other.reference.with_pictures(PHOTOS[:1], other.tensor))
    received = pickle.loads(pickle.dumps(other)).reference  # noqa: S301 (made here)
    assert (received.properties.count, len(received.first_layers.profile)) == (1, 1)
    assert received.novelty == b"novelty"


def test_training_pictures_take_the_place_of_those_in_the_file(file, tmp_path):
    opened = Classifier.load(file)
    opened.save(tmp_path / "two.keras", training=PHOTOS[:2])
    for reference in (opened.reference, Classifier.load(tmp_path / "two.keras").reference):
        assert (reference.properties.count, len(reference.first_layers.profile)) == (2, 2)
        assert reference.novelty == b"novelty"


def test_where_nothing_is_known_nothing_is_written():
    keras = networks.imported_keras()
    model = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten()])
    reference = Classifier(model, networks.GREY).reference
    assert (reference.first_layers, reference.properties, reference.novelty) == (None, None, None)
    assert reference.members() == {}
    assert list(reference.with_pictures(PHOTOS, networks.GREY.apply).members()) == [store.PROPERTIES]
    assert repr(reference) == "Reference(nothing in the file)"


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
    assert classifier.first_layers.compiled != before.compiled
    assert classifier.reference.properties.count == len(PHOTOS)


def test_first_layers_belong_to_a_size(tmp_path):
    keras = networks.imported_keras()
    layers = [keras.layers.Conv2D(4, 3), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(3)]
    model = keras.Sequential([keras.Input((None, None, 3)), *layers])
    small, large = (Preprocessing(size=(side, side)) for side in (20, 30))
    model.save(tmp_path / "plain.keras")
    Classifier.load(tmp_path / "plain.keras", preprocessing=small).save(
        tmp_path / "open.keras", training=PHOTOS
    )
    opened = Classifier.load(tmp_path / "open.keras")
    assert len(opened.first_layers.profile) == len(PHOTOS)
    for other in (opened.using(large), Classifier.load(tmp_path / "open.keras", preprocessing=large)):
        assert other.first_layers.input_shape == (30, 30, 3)
        assert (other.first_layers.profile, other.reference.properties.count) == (None, len(PHOTOS))
    assert opened.using(small.replace(channels="bgr")).reference is opened.reference


def test_properties_of_another_version_are_refused_and_kept(file):
    reference = Classifier.load(file).reference._with({store.PROPERTIES: b"{}"})
    with pytest.raises(ValueError, match="Expected input statistics of this version"):
        _ = reference.properties
    assert reference.members()[store.PROPERTIES] == b"{}"
    assert repr(reference) == "Reference(kit/taps.npz, kit/statistics.json, kit/novelty.npz)"
