import copy
import pickle

import pytest

import kit
from kit import samples
from kit._checking import first_line, printable


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("rescale", "scaling"), ("target_size", "size"), ("chanels", "channels")],
)
def test_an_argument_of_another_library_is_answered_with_the_name_here(wrong, right):
    with pytest.raises(TypeError, match=f"received '{wrong}'; did you mean '{right}'"):
        kit.Preprocessing(**{wrong: 1})


def test_what_guides_is_copied_and_pickled_as_before():
    value = kit.Preprocessing((8, 8), scaling="0..1")
    assert (
        pickle.loads(pickle.dumps(value))  # noqa: S301
        == copy.deepcopy(value)
        == copy.copy(value)
        == value
    )
    assert not hasattr(value, "_repr_html_")
    classifier = samples.classifier("fashion_mnist")
    for other in (copy.copy(classifier), pickle.loads(pickle.dumps(classifier))):  # noqa: S301 (its own)
        assert other.class_names == classifier.class_names


TEXTS = [
    ("Expected this.\n\nand more", "Expected this"),
    ("", "ValueError"),
    ("\x1b]0;title\x07 \u202eback", "?]0;title? ?back"),
    (
        "Exception encountered when calling A().\n\n\x1b[1mToo large.\x1b[0m\n\nArguments",
        "Too large",
    ),
    (
        'in user code:\n\n    File "a.py", line 1\n\n    ValueError: Too large\n',
        "ValueError: Too large",
    ),
]


@pytest.mark.parametrize(("text", "line"), TEXTS)
def test_of_an_exception_the_line_that_says_what_is_wrong_is_told(text, line):
    assert first_line(ValueError(text)) == line


def test_a_name_is_one_line_of_any_text():
    assert printable("caf\u00e9 \U0001f408.jpg") == "caf\u00e9 \U0001f408.jpg"
    assert printable("a\nb\x1b[2J\u2028\udcff") == "a?b?[2J??"
    assert printable("\ufffe\uffff") == "??", "which XML has not"
