import copy
import pickle

import pytest

import kit
from kit import samples
from kit._checking import first_line, flag, fraction, integers, known, nearest, number, refuse_unknown, told


def test_a_misspelled_name_is_refused_with_all_names_and_the_nearest():
    with pytest.raises(
        ValueError, match=r"the filter out of box, bilinear; .*'bilinaer'; did you mean 'bilinear'\?"
    ):
        known("filter", "bilinaer", ["box", "bilinear"])
    with pytest.raises(TypeError, match=r"out of size, fit; received 'fitt'; did you mean 'fit'\?"):
        refuse_unknown({"size": 1, "fitt": 2}, ["size", "fit"])
    assert nearest("resnet50", ["VGG16", "ResNet50"]) == "; did you mean 'ResNet50'?"
    assert nearest("qqq", ["VGG16"]) == ""


@pytest.mark.parametrize(
    ("check", "error", "message"),
    [
        (lambda: number("divisor", True), TypeError, "divisor as a number, received True"),
        (lambda: number("divisor", "1"), TypeError, "divisor as a number, received '1'"),
        (lambda: number("divisor", float("nan")), ValueError, "finite divisor, received nan"),
        (lambda: fraction("crop", 0), ValueError, "crop above 0 and up to 1, received 0"),
        (lambda: fraction("crop", 1.01), ValueError, "crop above 0 and up to 1"),
        (lambda: integers("size", 224, ("height", "width"), 1, 10), TypeError, "size as whole numbers"),
        (lambda: integers("size", (1.5, 2), ("height", "width"), 1, 10), TypeError, "height of the size"),
        (lambda: integers("size", (1, True), ("height", "width"), 1, 10), TypeError, "width of the size"),
        (lambda: integers("size", (0, 3), ("height", "width"), 1, 10), ValueError, r"1\.\.10, received 0"),
        (lambda: flag({"a": 1}, "a", default=True), TypeError, "a as true or false, received 1"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(check, error, message):
    with pytest.raises(error, match=message) as refused:
        check()
    assert str(refused.value).startswith("Expected ")


def test_what_fits_is_returned():
    assert fraction("crop", 1) == 1.0
    assert integers("size", [1, 10.0], ("height", "width"), 1, 10) == (1, 10)
    assert flag({"a": False}, "a", default=True) is False
    assert flag({"a": None}, "a", default=True) is True


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("predict", "probabilities"), ("classes_", "class_names"), ("temprature", "temperature")],
)
def test_an_attribute_of_another_library_is_answered_with_the_name_here(wrong, right):
    classifier = samples.classifier("fashion_mnist")
    with pytest.raises(AttributeError, match=f"no attribute '{wrong}'; did you mean '{right}'"):
        getattr(classifier, wrong)
    assert not hasattr(classifier, wrong)


@pytest.mark.parametrize(
    ("wrong", "right"), [("rescale", "scaling"), ("target_size", "size"), ("chanels", "channels")]
)
def test_an_argument_of_another_library_is_answered_with_the_name_here(wrong, right):
    with pytest.raises(TypeError, match=f"received '{wrong}'; did you mean '{right}'"):
        kit.Preprocessing(**{wrong: 1})


def test_what_guides_is_copied_and_pickled_as_before():
    value = kit.Preprocessing((8, 8), scaling="0..1")
    assert pickle.loads(pickle.dumps(value)) == copy.deepcopy(value) == copy.copy(value) == value  # noqa: S301
    assert not hasattr(value, "_repr_html_")
    classifier = samples.classifier("fashion_mnist")
    for other in (copy.copy(classifier), pickle.loads(pickle.dumps(classifier))):  # noqa: S301 (its own)
        assert other.class_names == classifier.class_names


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("Expected this.\n\nand more", "Expected this"),
        ("", "ValueError"),
        ("\x1b]0;title\x07 \u202eback", "?]0;title? ?back"),
        (
            "Exception encountered when calling A.call().\n\n\x1b[1mIt is too large.\x1b[0m\n\nArguments",
            "It is too large",
        ),
        (
            'in user code:\n\n    File "a.py", line 1\n\n    ValueError: It is too large\n',
            "ValueError: It is too large",
        ),
    ],
)
def test_of_an_exception_the_line_that_says_what_is_wrong_is_told(text, line):
    assert first_line(ValueError(text)) == line


def test_a_name_is_one_line_of_any_text():
    assert told("caf\u00e9 \U0001f408.jpg") == "caf\u00e9 \U0001f408.jpg"
    assert told("a\nb\x1b[2J\u2028\udcff") == "a?b?[2J??"
