import json
import pickle
import zipfile
from contextlib import chdir
from operator import attrgetter
from pathlib import Path

import numpy as np
import pytest

from kit import samples
from kit.classifier import classifier as classifying, loading, network, store
from kit.classifier.architecture import architecture
from kit.classifier.classifier import Classifier
from kit.classifier.engines import KerasEngine
from kit.classifier.keras_models import load_keras
from kit.diagnosis import diagnose
from kit.images.photo import Photo
from kit.perturbation import Perturbation
from kit.preprocessing import Preprocessing
from kit.robustness import sweep
from tests import networks
from tests.pictures import picture
from tests.project import python
from tests.refusals import refused

DATA = Path(__file__).parents[1] / "data"
PHOTO = Photo.from_array(picture((40, 40), seed=5))


def expected(photo=PHOTO, preprocessing=networks.GREY):
    return np.asarray(networks.small()(preprocessing.apply(photo), training=False))


def test_tensors_that_are_no_array_are_refused(small):
    with pytest.raises(
        TypeError, match=r"Expected tensors as an array \(N, H, W, C\), received"
    ):
        small.predict_tensors([[1]])


def test_a_saved_file_is_loaded_predicts_and_is_saved_without_tensorflow(
    small_file, tmp_path
):
    script = (
        "import sys, numpy, kit\n"
        "from pathlib import Path\n"
        "from kit.classifier import loading\n"
        "loading.cache_folder = lambda: Path(sys.argv[3])\n"
        "classifier = kit.Classifier.load(sys.argv[1])\n"
        "rows = classifier.probabilities(numpy.zeros((9, 9, 3), numpy.uint8))\n"
        "classifier.save(sys.argv[2])\n"
        "heavy = ('tensorflow', 'keras', 'h5py', 'matplotlib', 'scipy.ndimage', 'scipy.special')\n"
        "print(rows.shape, [name for name in heavy if name in sys.modules])\n"
    )
    copy = tmp_path / "copy.keras"
    result = python(script, small_file, copy, loading.cache_folder())
    assert (result.stdout, result.stderr) == ("(1, 3) []\n", "")
    assert copy.read_bytes() == small_file.read_bytes()


def test_plain_keras_opens_the_file_which_holds_nothing_compiled(small_file):
    model = networks.imported_keras().models.load_model(small_file)
    assert np.asarray(model(networks.GREY.apply(PHOTO))) == pytest.approx(
        expected(), abs=1e-6
    )
    with zipfile.ZipFile(small_file) as file:
        assert [name for name in file.namelist() if name.startswith("kit/")] == [
            store.CONTRACT
        ]
        assert b"TFL3" not in b"".join(map(file.read, file.namelist()))


def test_a_compiled_form_that_differs_is_left_out_with_a_note(tmp_path, monkeypatch):
    other = networks.compile_lite(networks.small(seed=8))
    monkeypatch.setattr(network, "compiled_lite", lambda graph: other)
    monkeypatch.setattr(loading, "cache_folder", lambda: tmp_path / "cache")
    classifier = Classifier(networks.small(), networks.GREY)
    assert classifier.probabilities(PHOTO) == pytest.approx(expected(), abs=1e-6)
    assert classifier.notes[0].startswith(
        "falls back to Keras because its compiled form differs by "
    )
    classifier.save(tmp_path / "small.keras")
    again = Classifier.load(tmp_path / "small.keras")
    assert (again.notes, again.network.compiled.data) == (classifier.notes, None)
    # What Keras runs has first layers, too.
    assert again.first_layers.widths == (8,)
    with refused(
        r"received 'small.tflite'; Keras alone runs it, because its compiled form",
    ):
        again.save(tmp_path / "small.tflite")
    assert again.probabilities(PHOTO) == pytest.approx(expected(), abs=1e-6)


def test_a_model_in_place_of_its_file_is_refused_with_what_takes_it():
    with pytest.raises(
        TypeError, match=r"received Sequential; .* kit.Classifier\(model\)"
    ):
        Classifier.load(networks.small())


def test_an_interrupted_save_over_itself_leaves_the_old_file(
    small_file, tmp_path, monkeypatch
):
    path = tmp_path / "small.keras"
    path.write_bytes(small_file.read_bytes())
    Classifier.load(path).save(path)
    assert path.read_bytes() == small_file.read_bytes()
    with refused(
        r"Expected a file name that ends in .keras or .tflite, received 'small.h5'",
    ):
        Classifier.load(path).save(tmp_path / "small.h5")

    def full(*_arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "writestr", full)
    with pytest.raises(OSError, match="No space"):
        Classifier.load(path, class_names=["a", "b", "c"]).save(path)
    assert path.read_bytes() == small_file.read_bytes()
    assert [entry.name for entry in tmp_path.iterdir()] == ["small.keras"]


def test_averages_that_moved_do_not_change_predictions_until_they_are_saved(
    tmp_path, monkeypatch
):
    model = networks.small()
    classifier = Classifier(model, networks.GREY)
    before = classifier.probabilities(PHOTO)
    (norm,) = networks.norms(model)
    *learned, mean, variance = norm.get_weights()
    norm.set_weights([*learned, mean + 1, variance])
    assert np.array_equal(classifier.probabilities(PHOTO), before)
    # Compared in the range of its preprocessing again.
    again = network.compile_model
    monkeypatch.setattr(
        network, "compile_model", lambda made, steps: again(made, steps=steps)
    )
    classifier.save(tmp_path / "trained.keras")
    after = np.asarray(model(networks.GREY.apply(PHOTO), training=False))
    assert np.abs(after - before).max() > 1e-3
    for each in (classifier, Classifier.load(tmp_path / "trained.keras")):
        assert each.probabilities(PHOTO) == pytest.approx(after, abs=1e-6)


def test_a_plain_file_loads_with_an_unknown_preprocessing(plain_file, tmp_path):
    classifier = Classifier.load(plain_file)
    assert (classifier.name, classifier.preprocessing) == ("plain", None)
    assert classifier.notes == (
        "preprocessing unknown: nothing says how the training images were prepared",
    )
    with refused(
        (
            r"received none; give preprocessing=kit.Preprocessing\(…\), or use "
            r"classifier.using\(kit.Preprocessing\(…\)\)$"
        ),
    ):
        classifier.probabilities(PHOTO)
    assert classifier.using(networks.GREY).notes == ()
    rows = classifier.probabilities(PHOTO, preprocessing=networks.GREY)
    assert rows == pytest.approx(expected(), abs=1e-6)
    given = Classifier.load(
        plain_file, preprocessing=networks.GREY, class_names=networks.NAMES
    )
    given.save(tmp_path / "complete.keras")
    again = Classifier.load(tmp_path / "complete.keras")
    assert (again.preprocessing, again.class_names, again.notes) == (
        networks.GREY,
        networks.NAMES,
        (),
    )
    assert again.source.digest == classifier.source.digest


def test_a_network_that_cannot_be_compiled_falls_back_to_keras_and_says_so(tmp_path):
    classifier = Classifier(networks.unconvertible(), networks.GREY)
    note = (
        "falls back to Keras because LiteRT cannot compile the operation ResizeBicubic"
    )
    assert classifier.notes == (note,)
    classifier.save(tmp_path / "bicubic.keras")
    again = Classifier.load(tmp_path / "bicubic.keras")
    assert again.notes == (note,)
    assert repr(again) == "Classifier('bicubic', 28x28x1 -> 3 classes, Keras)"
    assert isinstance(again.network.engine, KerasEngine)
    rows = again.probabilities([PHOTO, PHOTO])
    model = networks.imported_keras().models.load_model(tmp_path / "bicubic.keras")
    assert rows[1:] == pytest.approx(
        np.asarray(model(networks.GREY.apply(PHOTO))), abs=1e-6
    )


def test_a_file_of_an_earlier_version_predicts_as_it_did_and_says_what_to_save_again():
    expected = json.loads((DATA / "earlier.json").read_text())
    file = DATA / "earlier.keras"
    classifier = Classifier.load(networks.opened_before(file, load_keras(file)))
    (note,) = classifier.notes
    assert note == (
        "what the file says of its training images is of an earlier version: "
        "save the file again with training="
    )
    assert classifier.temperature == expected["temperature"]
    rows = classifier.probabilities(samples.photos("fashion_mnist")[:3])
    np.testing.assert_allclose(rows, expected["probabilities"], rtol=1e-4, atol=1e-6)


def test_a_preprocessing_that_is_not_understood_ends_in_one_line(small_file, tmp_path):
    steps = networks.GREY.to_dict() | {"channels": "hsv"}
    odd = tmp_path / "odd.keras"
    contract = store.read_model(small_file).contract
    store.write_model(small_file, odd, {**contract, "preprocessing": steps})
    with refused(r"Expected the channel order .*'hsv'"):
        Classifier.load(odd)
    # The way out.
    assert (
        Classifier.load(odd, preprocessing=networks.GREY).preprocessing == networks.GREY
    )


def test_the_path_is_perturb_preprocess(small):
    perturbation = Perturbation(brightness=0.5, noise=10, seed=3)
    tensor = small.tensor(PHOTO, perturbation)
    assert np.array_equal(tensor, networks.GREY.apply(perturbation.apply(PHOTO)))
    assert np.array_equal(
        small.probabilities(PHOTO, perturbation), small.predict_tensors(tensor)
    )


def test_probabilities_that_are_no_numbers_are_refused():
    model = networks.small()
    model.set_weights([*model.get_weights()[:-1], np.float32([0, np.inf, 0])])
    classifier = Classifier(model, networks.GREY, networks.NAMES)
    assert classifier.notes == (
        "falls back to Keras because its compiled form differs by nan in a probability",
    )
    for call in (
        classifier.probabilities,
        lambda photo: sweep(classifier, photo, [Perturbation()]),
    ):
        message = (
            "^Expected probabilities from 'small', received nan or infinite values in 1 of 1 rows; "
            "see kit.diagnose$"
        )
        with refused(message):
            call(PHOTO)


def test_what_is_given_has_to_fit(small_file, monkeypatch):
    def restored(opened, steps):
        assert isinstance(steps, Preprocessing | None), "which takes seconds"
        return loading.restore(opened, steps)

    monkeypatch.setattr(classifying, "restore", restored)
    with refused(
        (
            r"Expected 3 class names for 'small', received 2; correct the list, or labels.txt "
            r"beside the file$"
        ),
    ):
        Classifier.load(small_file, class_names=["a", "b"])
    with refused(r"channels='gray'"):
        Classifier.load(small_file, preprocessing=networks.GREY.replace(channels="rgb"))
    with pytest.raises(
        TypeError,
        match=r"Expected a Preprocessing, received 'MobileNetV2'; see kit.Preprocessing$",
    ):
        Classifier.load(small_file, preprocessing="MobileNetV2")


def test_an_open_input_size_follows_the_preprocessing_in_use():
    made = Classifier(networks.of_any_size())
    assert made.first_layers.widths == (4, 3)
    for side in (20, 30):
        used = made.using(Preprocessing(size=(side, side)))
        assert used.input_shape == (side, side, 3)
        assert f", {side}x{side}x3 -> " in repr(used)
        assert diagnose(used, PHOTO).best.cause == "untrained_weights"
        with refused(r"Expected tensors of .*, received the"):
            used.predict_tensors(np.zeros((1, 25, 25, 3), np.float32))
    assert made.using(Preprocessing()).input_shape == (224, 224, 3)


def test_where_no_size_is_given_a_preprocessing_gets_what_the_network_takes(small_file):
    used = Preprocessing(scaling="0..1")
    fitted = used.replace(size=(28, 28), channels="gray")
    loaded = Classifier.load(small_file, preprocessing=used)
    assert (loaded.preprocessing, loaded.input_shape) == (fitted, (28, 28, 1))
    for classifier in (loaded.using(used), Classifier(networks.small(), used)):
        assert classifier.preprocessing == fitted


def test_a_file_that_was_replaced_is_not_taken_for_the_one_that_was_loaded(
    small_file, tmp_path
):
    path = tmp_path / "small.keras"
    path.write_bytes(small_file.read_bytes())
    classifier = Classifier.load(path)
    networks.small(seed=8).save(path)
    for ask in (attrgetter("model"), architecture):
        with refused(
            r"^Expected the network in 'small.keras' as it was loaded, received another; load it$",
        ):
            ask(classifier)


def test_what_is_in_no_file_no_other_process_can_open(small):
    with pytest.raises(
        TypeError,
        match=r"^Expected a classifier from a file, received 'small'; save and load it$",
    ):
        pickle.dumps(small)


def test_other_processes_open_a_file_anew_that_was_replaced(tmp_path):
    path = tmp_path / "small.keras"
    for seed in (1, 8):
        Classifier(networks.small(seed=seed), networks.GREY).save(path)
        classifier = Classifier.load(path)
        again = pickle.loads(pickle.dumps(classifier))  # noqa: S301 (small here)
        assert np.array_equal(
            again.probabilities(PHOTO), classifier.probabilities(PHOTO)
        )
    # Of another folder, too.
    with chdir(tmp_path):
        sent = pickle.dumps(Classifier.load("small.keras"))
    assert pickle.loads(sent).name == "small"  # noqa: S301 (small here)


@pytest.mark.parametrize("name", samples.CLASSIFIERS)
def test_bundled_networks_equal_keras_on_every_bundled_photograph(name):
    classifier = samples.classifier(name)
    assert (classifier.name, classifier.notes) == (name, ())
    photos = (*samples.photos("photographs"), *samples.photos("special"))
    assert len(photos) >= 23
    tensors = np.concatenate([classifier.tensor(photo) for photo in photos])
    rows = classifier.model.predict_on_batch(tensors)
    found = classifier.predict_tensors(tensors)
    np.testing.assert_allclose(found, rows, rtol=0, atol=1e-5)


def test_name_and_temperature_travel_in_the_file_and_to_other_processes(tmp_path):
    plain = samples.classifier("fashion_mnist")
    plain.tempered(1e6).save(tmp_path / "told.keras")
    opened = Classifier.load(tmp_path / "told.keras", class_names=[*"baabefghij"])
    assert opened.notes == ("class names that occur more than once: 2, such as b",)
    again = pickle.loads(pickle.dumps(opened.tempered(2)))  # noqa: S301 (made here)
    assert (plain.temperature, opened.temperature, again.temperature) == (1, 1e6, 2)
    assert (again.name, again.class_names) == (plain.name, tuple("baabefghij"))
    for temperature in (0, -1, float("nan"), "warm"):
        with pytest.raises((TypeError, ValueError), match="Expected"):
            plain.tempered(temperature)
