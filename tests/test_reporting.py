"""Progress, tables and results, which every part of the kit shows in one way."""

import json
import pickle
from dataclasses import dataclass
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import tqdm.auto

import kit
from kit._reporting import Result, Steps, Table, plain
from kit.classifier.conversion import Verification
from kit.diagnosis.own_function import Checkup
from kit.robustness.costs import Cost, Costs
from kit.validation import CrossValidation, Fold, LearningCurve, Point, class_balance, compare_accuracies
from kit.validation.duplicates import Duplicate, Duplicates


def test_a_function_is_told_of_every_step():
    told = []
    with Steps([10, 20], "Folds", "fold", told.append) as steps:
        for number in steps:
            steps.note("accuracy", f"{number}%")
    assert told == ["Folds: 1 of 2, accuracy 10%", "Folds: 2 of 2, accuracy 20%"]
    assert (steps.done, steps.interrupted) == (2, False)


def test_steps_may_be_counted_by_hand_and_go_on_where_others_ended():
    told = []
    with Steps[None]((), "Sweep", "picture", told.append, total=9, done=3) as steps:
        steps.advance(4)
        steps.advance()
    assert told == ["Sweep: 7 of 9", "Sweep: 8 of 9"]


@pytest.mark.parametrize(("progress", "bars"), [(True, 1), (False, 0), (None, 0), (print, 0)])
def test_only_true_shows_a_bar_and_only_after_two_seconds(monkeypatch, capsys, progress, bars):
    made = []

    class Watched(tqdm.auto.tqdm):
        def __init__(self, *given, **named):
            made.append(named)
            super().__init__(*given, **named)

    monkeypatch.setattr(tqdm.auto, "tqdm", Watched)
    with Steps(range(3), "Quick", "step", progress) as steps:
        for _ in steps:
            steps.note("loss", "1")
    assert [(each["total"], each["delay"], each["leave"]) for each in made] == [(3, 2, False)] * bars
    assert "Quick" not in capsys.readouterr().err


def test_a_table_stays_a_table_when_it_goes_to_another_process():
    table = Table(("name", "share"), [("a <b>", "3 %")], "<>", title="Told")
    again = pickle.loads(pickle.dumps(table))  # noqa: S301 (bytes of its own)
    assert (again, again.html, type(again)) == (table, table.html, Table)


def interrupted_in(place, *, keep):
    finished = []
    with Steps("abc", "Letters", "letter", progress=False, keep=keep) as steps:
        for letter in steps:
            if letter == place:
                raise KeyboardInterrupt
            finished.append(letter)
    return finished, steps.interrupted


def test_an_interruption_keeps_what_is_finished_where_that_can_be_used():
    assert interrupted_in("c", keep=True) == (["a", "b"], True)
    assert interrupted_in("none", keep=True) == (["a", "b", "c"], False)
    with pytest.raises(KeyboardInterrupt):
        interrupted_in("c", keep=False)


def test_an_interruption_with_nothing_finished_stops():
    with pytest.raises(KeyboardInterrupt):
        interrupted_in("a", keep=True)


def test_an_interruption_while_the_next_part_is_waited_for_is_kept_too():
    def waited_for():
        yield "a"
        raise KeyboardInterrupt

    with Steps(waited_for(), "Letters", "letter", progress=False, total=3, keep=True) as steps:
        assert list(steps) == ["a"]
    assert steps.interrupted


def test_an_error_is_no_interruption():
    def divided(*numbers):
        with Steps(numbers, "Shares", "share", progress=False, keep=True) as steps:
            return [1 / number for number in steps]

    with pytest.raises(ZeroDivisionError):
        divided(1, 0)


ROWS = [("a", "1"), ("longer <b>", "1,000")]


def test_a_table_is_a_text_with_aligned_columns():
    table = Table(("name", "number"), ROWS, "<>", widths=(0, 8), title="Title", note="and 2 more")
    assert table == ("Title\nname          number\na                  1\nlonger <b>     1,000\nand 2 more")
    assert Table(("a", "b"), [("1", "2")], "><", gap=1) == "a b\n1 2"
    assert Table(("only", "head"), (), "<<") == "only  head"


def test_no_line_of_a_table_ends_in_spaces():
    assert Table(("a", "left"), [("1", ""), ("2", "x")], "<<").splitlines() == ["a  left", "1", "2  x"]


def test_a_table_in_html_has_header_cells_and_escapes_what_it_holds():
    table = Table(("<name>", "number"), ROWS, "<>", title="a & b", note="<more>", heading=1)
    root = ET.fromstring(f"<div>{table.html}</div>")  # noqa: S314 - made here
    assert root.findtext("table/caption") == "a & b"
    assert [(one.text, one.get("scope")) for one in root.iter("th")] == [
        ("<name>", "col"),
        ("number", "col"),
        ("1", "row"),
        ("1,000", "row"),
    ]
    assert [one.text for one in root.iter("td")] == ["a", "longer <b>"]
    left, unbroken = "text-align: left", "text-align: left; white-space: nowrap"
    assert [one.get("style") for one in root.iter("td")] == [left, unbroken]
    assert root.find("table/tbody/tr/th").get("style") is None
    # JupyterLab shows the first line of an output that is folded: it must not tell what is in the table.
    assert table.html.splitlines()[0] == "<table>"
    assert root.findtext("p") == "<more>"
    assert table._repr_html_() == table.html


def test_rows_of_another_length_are_refused():
    with pytest.raises(ValueError, match="zip"):
        Table(("a", "b"), [("1",)], "<<")


@dataclass(frozen=True)
class Found(Result):
    share: float
    places: np.ndarray
    perturbation: kit.Perturbation

    def table(self):
        return Table(("place",), [(str(place),) for place in self.places], ">")

    def __repr__(self):
        return f"Found(<{self.share}>)"


def test_a_result_is_text_html_and_plain_values():
    found = Found(float("nan"), np.array([1, 2]), kit.Perturbation(noise=5))
    assert found.text() == "Found(<nan>)\nplace\n    1\n    2"
    assert found._repr_html_().startswith('<div class="kit-result">\n<p>Found(&lt;nan&gt;)</p><table>')
    values = found.to_dict()
    assert (values["share"], values["places"], values["perturbation"]["noise"]) == (None, [1, 2], 5)
    assert json.loads(json.dumps(values, allow_nan=False)) == values


def test_plain_values_are_what_json_has():
    assert plain({1: (np.float32(0.5), np.int64(2), True, None, "a", float("inf"))}) == {
        "1": [0.5, 2, True, None, "a", None]
    }
    assert plain(slice(1, 2)) == "slice(1, 2, None)"


CLOTHES = kit.samples.fashion_mnist_arrays("test")


def swept():
    classifier = kit.samples.classifier("fashion_mnist")
    return kit.sweep(classifier, list(CLOTHES[0][:2]), {"noise": (0, 50)}, progress=False)


def calibrated():
    classifier = kit.samples.classifier("fashion_mnist")
    return kit.calibrate(classifier, CLOTHES[0][:40, ..., None], CLOTHES[1][:40], resamples=5, progress=False)


RESULTS = {
    "sweep": swept,
    "shift": lambda: kit.shift(list(CLOTHES[0][:3]), list(CLOTHES[0][3:5]), progress=False),
    "calibration": calibrated,
    "folds": lambda: CrossValidation((Fold(3, 1, 1, 1.0),), 2, np.zeros(4, int), np.zeros(4, int)),
    "learning curve": lambda: LearningCurve((Point(50, 1.0, kit.accuracy_interval(9, 10)),), (50, 60)),
    "duplicates": lambda: Duplicates((Duplicate(0, 1, "<a>", "b", 1.0, 0.0, "none"),), (2,)),
    "balance": lambda: class_balance([0, 0, 1], ["<a>", "b"]),
    "costs": lambda: Costs([Cost("", "as in training", 1.0, 0.0, 0.9, 0.9, 0.0)]),
}


@pytest.mark.parametrize("name", RESULTS)
def test_results_with_rows_are_shown_in_one_way(name):
    result = RESULTS[name]()
    assert result.table() in result.text()
    html = ET.fromstring(result._repr_html_())  # noqa: S314 - made here
    assert next(one.text or "" for one in html.iter("th")) == result.table().split("  ")[0].strip()
    json.dumps(result.to_dict(), allow_nan=False)


@pytest.mark.parametrize(
    "result",
    [
        kit.accuracy_interval(9, 10),
        compare_accuracies([True, False], [True, True]),
        Verification(1e-7, 2, agrees=True),
        Checkup((), None),
    ],
    ids=lambda result: type(result).__name__,
)
def test_results_without_rows_too(result):
    assert result.text() == str(result)
    assert ET.fromstring(result._repr_html_()).findtext("p") == str(result)  # noqa: S314 - made here
    json.dumps(result.to_dict(), allow_nan=False)


def test_a_notebook_shows_a_table_and_keeps_its_text_beside_it():
    from IPython.core.formatters import DisplayFormatter  # noqa: PLC0415

    table = Table(("pictures", "right"), [("500", "80%")])
    assert str(table) == "pictures  right\n500         80%"
    costs = RESULTS["costs"]()
    for shown, text in ((table, str(table)), (costs, costs.text())):
        data, _ = DisplayFormatter().format(shown, include={"text/plain", "text/html"})
        assert data["text/plain"] == text
        assert "<table>" in data["text/html"]
