"""A contract gives back what was put in, and what is unusual about a classifier is told in a fixed order."""

import json
import zipfile

import pytest

from kit.classifier import store
from kit.classifier.contract import contract_of, preprocessing_in, remarks
from kit.classifier.conversion import Compiled
from kit.preprocessing import Preprocessing
from tests import networks

COMPILED = Compiled("softmax", (28, 28, 1), 3, b"data", 1e-7)
KNOWN = Preprocessing(size=(28, 28), channels="gray")


def written(folder, contract):
    with zipfile.ZipFile(folder / "plain.keras", "w") as file:
        file.writestr("config.json", "{}")
        file.writestr("model.weights.h5", b"weights")
    store.write(folder / "plain.keras", folder / "saved.keras", contract, {})
    return store.read(folder / "saved.keras")


@pytest.mark.parametrize("preprocessing", [networks.GREY, None])
def test_a_file_tells_what_the_contract_says(tmp_path, preprocessing):
    opened = written(tmp_path, contract_of("small", ("a", "b", "c"), preprocessing, 1.5, COMPILED))
    assert (opened.contract["name"], opened.contract["class_names"]) == ("small", ["a", "b", "c"])
    assert opened.contract["temperature"] == 1.5
    assert Compiled.from_contract(opened.contract, b"data") == COMPILED
    assert preprocessing_in(opened) == preprocessing
    assert preprocessing_in(store.read(tmp_path / "plain.keras")) is None


def test_a_preprocessing_that_is_not_understood_names_the_file(tmp_path):
    contract = contract_of("small", ("a", "b", "c"), Preprocessing(), 1.0, COMPILED)
    contract = json.loads(json.dumps(contract))
    contract["preprocessing"]["channels"] = "hsv"
    with pytest.raises(ValueError, match=r"Expected a preprocessing in 'saved.keras': .*'hsv'"):
        preprocessing_in(written(tmp_path, contract))


def test_why_there_is_no_compiled_form_stands_in_the_contract():
    differing = COMPILED.differing(2.5e-3)
    contract = contract_of("small", ("a", "b", "c"), networks.GREY, 1.0, differing)
    assert contract["reason"] == "its compiled form differs by 2.5e-03 in a probability"
    assert (differing.data, contract["max_difference"]) == (None, 2.5e-3)


# Remarks


def test_an_ordinary_classifier_has_none():
    assert remarks(COMPILED, KNOWN, ("cat", "dog", "horse")) == ()


def test_the_reason_for_keras_is_told():
    failed = Compiled("softmax", (28, 28, 1), 3, reason="LiteRT has no operation Svd")
    assert remarks(failed, KNOWN, ("a", "b", "c")) == (
        "falls back to Keras because LiteRT has no operation Svd",
    )


def test_of_many_repeated_names_three_are_told():
    found = remarks(COMPILED, None, tuple("aabbccddef"))
    assert found == (
        "preprocessing unknown: nothing says how the training pictures were prepared",
        "class names that occur more than once: a, b, c and 1 more",
    )


def test_heads_that_are_seldom_meant_are_told():
    sigmoids = Compiled("sigmoid", (28, 28, 1), 3, b"data")
    alone = Compiled("softmax", (28, 28, 1), 1, b"data")
    linear = Compiled("logits", (28, 28, 1), 4, b"data")
    assert "the last layer is linear" in remarks(linear, KNOWN, tuple("abcd"))[0]
    assert "divided by their sum" in remarks(sigmoids, KNOWN, ("a", "b", "c"))[0]
    assert "over one output is always 1" in remarks(alone, KNOWN, ("a",))[0]
    # One sigmoid is how two classes are usually told apart.
    assert remarks(Compiled("sigmoid", (28, 28, 1), 1, b"data"), KNOWN, ("a", "b")) == ()
