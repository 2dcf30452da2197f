import pytest

from kit._checking import flag, fraction, integers, known, nearest, number, refuse_unknown


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
