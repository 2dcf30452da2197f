"""What is told of two classifiers, on results that are made by hand."""

import json

import pytest

from kit.regression.comparing import MOVERS, Compared, Mover
from kit.regression.forms import Forms
from kit.validation import Comparison, compare_accuracies

ONE = Mover("a.jpg", ("cat", 0.912), ("dog", 0.5), 0.75, "cat")
OTHER = Mover("b.jpg", ("cat", 0.6), ("cat", 0.4), 0.2)


def made(**changes):
    return Compared(
        "first", "second", 20, 3, 0.1, (ONE, OTHER), (("cat", "dog", 2), ("dog", "cat", 1)), **changes
    )


def test_the_text_has_a_line_for_each_pair_and_each_picture():
    assert made().text().splitlines() == [
        "3 of 20 answers change from first to second.",
        "  cat -> dog: 2",
        "  dog -> cat: 1",
        "  a.jpg: cat 0.91 -> dog 0.50 (right: cat)",
        "  b.jpg: cat 0.60 -> cat 0.40",
    ]


def test_the_table_has_a_row_for_each_picture_under_the_first_sentence():
    shown = str(made().table())
    assert shown.startswith("3 of 20 answers change from first to second.")
    assert "a.jpg    cat 0.91  dog 0.50     0.750  cat" in shown
    assert made()._repr_html_().count("3 of 20 answers change") == 1


def test_the_first_sentence_says_what_differs_a_step_before_a_form():
    forms = Forms("range", 0.25, 0.001, "scaling as '0..1'")
    told = made(forms=forms).headline()
    assert told == (
        "3 of 20 answers change from first to second; the second expects another range of values"
        " (a probability differs by 0.250 on average; undone by scaling as '0..1', 0.001 is left)."
    )
    assert made(forms=forms, step="resize").headline().endswith("second; the picture is resized otherwise.")


def test_accuracy_and_calibration_are_told_in_a_line_each():
    hits = [True] * 15 + [False] * 5, [True] * 10 + [False] * 6 + [True] * 4
    told = made(accuracy=compare_accuracies(*hits), calibration=(0.0123, 0.2))
    right, error = told.text().splitlines()[1:3]
    # Five are right only before, four only after: no split of nine is more even.
    assert (
        right
        == "  right: 75.0% before, 70.0% after; only before 5, only after 4; by chance alone in 1 (McNemar)"
    )
    assert error == "  expected calibration error: 0.012 before, 0.200 after"
    assert isinstance(told.accuracy, Comparison)
    read = json.loads(json.dumps(told.to_dict()))
    assert (read["accuracy"]["only_first"], read["calibration"]) == (5, [0.0123, 0.2])
    assert read["movers"][0] == {
        "photo": "a.jpg", "before": ["cat", 0.912], "after": ["dog", 0.5], "change": 0.75, "label": "cat"
    }  # fmt: skip
    assert (read["classes"], read["forms"], read["step"]) == (
        [["cat", "dog", 2], ["dog", "cat", 1]],
        None,
        "",
    )


def test_no_more_than_ten_pairs_are_told():
    pairs = tuple((f"<{each}>", "x", 1) for each in range(12))
    told = Compared("first", "second", 12, 12, 0.5, (), pairs)
    assert told.text().count("->") == MOVERS == 10
    assert "<0>" not in told._repr_html_()
    assert "&lt;0&gt; -&gt; x: 1" in told._repr_html_()


@pytest.mark.parametrize("forms", [None, Forms("same", 0.0)])
def test_machines_read_forms_where_there_are_some(forms):
    read = json.loads(json.dumps(made(forms=forms).to_dict()))["forms"]
    assert read == (
        None if forms is None else {"cause": "same", "difference": 0, "left": None, "undone": "", "order": []}
    )
