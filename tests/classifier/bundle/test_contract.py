"""A contract gives back what was put in, and only a compiled form that equals Keras gets one."""

import json
import zipfile

import pytest

from kit.classifier import archive
from kit.classifier.activations.first_layers import Taps
from kit.classifier.bundle.contract import contract_of, members_of, preprocessing_in
from kit.classifier.bundle.input_statistics import InputStatistics
from kit.classifier.runtime.compiled import Compiled
from kit.images import Photo
from kit.preprocessing import Preprocessing
from tests import networks
from tests.pictures import picture

COMPILED = Compiled("softmax", (28, 28, 1), 3, b"data", 1e-7)


def written(folder, contract):
    with zipfile.ZipFile(folder / "plain.keras", "w") as file:
        file.writestr("config.json", "{}")
        file.writestr("model.weights.h5", b"weights")
    archive.write(folder / "plain.keras", folder / "saved.keras", contract, {})
    return archive.read(folder / "saved.keras")


@pytest.mark.parametrize("preprocessing", [networks.GREY, None])
def test_a_file_tells_what_the_contract_says(tmp_path, preprocessing):
    opened = written(tmp_path, contract_of("small", ("a", "b", "c"), preprocessing, 1.5, COMPILED))
    assert (opened.contract["name"], opened.contract["class_names"]) == ("small", ["a", "b", "c"])
    assert opened.contract["temperature"] == 1.5
    assert Compiled.from_contract(opened.contract, b"data") == COMPILED
    assert preprocessing_in(opened) == preprocessing
    assert preprocessing_in(archive.read(tmp_path / "plain.keras")) is None


def test_a_preprocessing_that_is_not_understood_names_the_file(tmp_path):
    contract = contract_of("small", ("a", "b", "c"), Preprocessing(), 1.0, COMPILED)
    contract = json.loads(json.dumps(contract))
    contract["preprocessing"]["channels"] = "hsv"
    with pytest.raises(ValueError, match=r"Expected a preprocessing in 'saved.keras': .*'hsv'"):
        preprocessing_in(written(tmp_path, contract))


def test_a_compiled_form_that_differs_gets_no_contract():
    differing = Compiled("softmax", (28, 28, 1), 3, None, 2.5e-3, "its compiled form differs")
    with pytest.raises(ValueError, match=r"received a difference of 2.5e-03 in a probability; use float32"):
        contract_of("small", ("a", "b", "c"), networks.GREY, 1.0, differing)
    never_compared = Compiled("softmax", (28, 28, 1), 3, reason="LiteRT has no operation Svd")
    assert contract_of("small", ("a", "b", "c"), networks.GREY, 1.0, never_compared)["reason"]


def test_measures_of_training_pictures_take_the_place_of_carried_ones():
    carried = {archive.STATISTICS: b"old", archive.NOVELTY: b"novelty"}
    taps = Taps(b"compiled", (8,))
    kept = members_of(COMPILED, carried, (), taps)
    assert list(kept) == [archive.COMPILED, archive.STATISTICS, archive.NOVELTY, archive.TAPS]
    assert (kept[archive.COMPILED], kept[archive.STATISTICS]) == (b"data", b"old")
    assert Taps.from_bytes(kept[archive.TAPS]).widths == (8,)
    photos = [Photo.from_array(picture((40, 40), seed=seed)) for seed in range(3)]
    measured = members_of(COMPILED, carried, photos, None)
    assert measured[archive.STATISTICS] == InputStatistics.of(photos).to_bytes()
    assert (measured[archive.NOVELTY], archive.TAPS in measured) == (b"novelty", False)


def test_what_is_not_there_is_no_member():
    assert members_of(Compiled("softmax", (28, 28, 1), 3, reason="because"), {}, (), None) == {}
