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


def test_case_does_not_keep_a_name_from_being_suggested():
    assert nearest("resnet50", ["VGG16", "ResNet50"]) == "; did you mean 'ResNet50'?"
    assert nearest("qqq", ["VGG16"]) == ""


def test_an_unknown_field_is_a_type_error_like_an_unknown_argument():
    with pytest.raises(TypeError, match=r"out of size, fit; received 'fitt'; did you mean 'fit'\?"):
        refuse_unknown({"size": 1, "fitt": 2}, ["size", "fit"])


@pytest.mark.parametrize(
    ("value", "error"), [(True, TypeError), ("1", TypeError), (float("nan"), ValueError)]
)
def test_what_is_no_finite_number_is_refused(value, error):
    with pytest.raises(error, match="divisor"):
        number("divisor", value)


def test_a_fraction_is_above_0_and_up_to_1():
    assert fraction("crop", 1) == 1.0
    for value in (0, -0.1, 1.01):
        with pytest.raises(ValueError, match="above 0 and up to 1"):
            fraction("crop", value)


@pytest.mark.parametrize("value", [224, (224,), (1.5, 2), (True, 2), "ab"])
def test_sides_are_a_pair_of_whole_numbers(value):
    with pytest.raises(TypeError, match=r"whole numbers \(height, width\)"):
        integers("size", value, ("height", "width"), 1, 10)


def test_whole_numbers_keep_to_their_range():
    assert integers("size", [1, 10], ("height", "width"), 1, 10) == (1, 10)
    with pytest.raises(ValueError, match=r"within 1..10, received \(0, 3\)"):
        integers("size", (0, 3), ("height", "width"), 1, 10)


def test_a_flag_of_a_file_is_true_false_or_missing():
    assert flag({"a": False}, "a", default=True) is False
    assert flag({"a": None}, "a", default=True) is True
    with pytest.raises(TypeError, match="a as true or false, received 1"):
        flag({"a": 1}, "a", default=True)


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("predict", "probabilities"),
        ("predict_proba", "probabilities"),
        ("predict_on_batch", "predict_tensors"),
        ("classes_", "class_names"),
        ("temprature", "temperature"),
    ],
)
def test_an_attribute_of_another_library_is_answered_with_the_name_here(wrong, right):
    classifier = samples.classifier("fashion_mnist")
    with pytest.raises(AttributeError, match=f"no attribute '{wrong}'; did you mean '{right}'"):
        getattr(classifier, wrong)
    assert not hasattr(classifier, wrong)
    assert getattr(classifier, wrong, None) is None


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("rescale", "scaling"), ("target_size", "size"), ("interpolation", "filter"), ("chanels", "channels")],
)
def test_an_argument_of_another_library_is_answered_with_the_name_here(wrong, right):
    with pytest.raises(TypeError, match=f"received '{wrong}'; did you mean '{right}'"):
        kit.Preprocessing(**{wrong: 1})


def test_what_guides_is_copied_and_pickled_as_before():
    value = kit.Preprocessing((8, 8), scaling="0..1")
    assert pickle.loads(pickle.dumps(value)) == value  # noqa: S301 (its own)
    assert copy.deepcopy(value) == copy.copy(value) == value
    assert not hasattr(value, "_repr_html_")
    classifier = samples.classifier("fashion_mnist")
    assert copy.copy(classifier).class_names == classifier.class_names
    opened = pickle.loads(pickle.dumps(classifier))  # noqa: S301 (its own)
    assert opened.class_names == classifier.class_names


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
