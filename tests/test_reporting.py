"""Progress, tables and results, which every part of the kit shows in one way."""

import csv
import json
from dataclasses import dataclass
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import tqdm.auto
from IPython.core.formatters import DisplayFormatter

import kit
from kit._reporting import Code, Heading, Result, Steps, Table, json_value


def test_a_function_is_told_of_every_step():
    told = []
    with Steps([10, 20], "Folds", told.append) as steps:
        assert list(steps) == [10, 20]
    assert told == ["Folds: 1 of 2", "Folds: 2 of 2"]
    assert steps.done == 2


@pytest.mark.parametrize(("progress", "bars"), [(True, 1), (False, 0), (print, 0)])
def test_only_true_shows_a_bar_and_only_after_two_seconds(
    monkeypatch, capsys, progress, bars
):
    made = []

    class Watched(tqdm.auto.tqdm):
        def __init__(self, *given, **named):
            made.append(named)
            super().__init__(*given, **named)

    monkeypatch.setattr(tqdm.auto, "tqdm", Watched)
    with Steps(range(3), "Quick", progress) as steps:
        assert list(steps) == [0, 1, 2]
    assert [(each["total"], each["delay"], each["leave"]) for each in made] == [
        (3, 2, False)
    ] * bars
    assert "Quick" not in capsys.readouterr().err


def test_a_wait_shows_its_seconds_and_no_rate(monkeypatch):
    lines = []

    class Watched(tqdm.auto.tqdm):
        def close(self):
            lines.append(str(self))
            super().close()

    monkeypatch.setattr(tqdm.auto, "tqdm", Watched)
    with Steps([], "Compiling", progress=True):
        pass
    with Steps[None]((), "Sweep", progress=True, total=9) as steps:
        steps.advance(7)
    assert lines[0] == "Compiling: 00:00"
    assert any("| 7/9 " in line for line in lines)


def interrupted_in(place, error=KeyboardInterrupt, **options):
    finished = []
    with Steps("abc", "Letters", progress=False, **options) as steps:
        for letter in steps:
            if letter == place:
                raise error
            finished.append(letter)
    return finished


def test_an_interruption_keeps_what_is_finished_where_that_can_be_used():
    assert interrupted_in("c", keep=True) == ["a", "b"]
    assert interrupted_in("none", keep=True) == ["a", "b", "c"]
    for place, options in (
        ("c", {}),
        ("a", {"keep": True}),
    ):  # with nothing finished, too
        with pytest.raises(KeyboardInterrupt):
            interrupted_in(place, **options)
    with pytest.raises(ZeroDivisionError):
        interrupted_in("c", ZeroDivisionError, keep=True)


ROWS = [("a", "1"), ("longer <b>", "1,000")]


def test_a_table_is_a_text_with_aligned_columns():
    table = Table(("name", "number"), ROWS, title="Title")
    assert (
        str(table)
        == "Title\nname        number\na                1\nlonger <b>   1,000"
    )
    assert repr(Table(("a", "left"), [("1", ""), ("2", "x")], "<<")).splitlines() == [
        "a  left",
        "1",
        "2  x",
    ]


def test_a_table_in_html_has_header_cells_and_escapes_what_it_holds():
    table = Table(("<name>", "number"), ROWS, "<>", title="a & b")
    root = ET.fromstring(f"<div>{table.html()}</div>")  # noqa: S314 - made here
    assert root.findtext("table/caption") == "a & b"
    left = "text-align: left"
    heads = [("<name>", "col", left), ("number", "col", None), ("a", "row", left)]
    found = [(one.text, one.get("scope"), one.get("style")) for one in root.iter("th")]
    assert found == [*heads, ("longer <b>", "row", left)]
    assert [one.text for one in root.iter("td")] == ["1", "1,000"]
    # JupyterLab shows the first line of an output that is folded: it must not tell what is in the table.
    assert table.html().splitlines()[0] == "<table>"


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


class Several(Result):
    def _report(self):
        yield from (Heading("<Two>"), "", Code("x < 1"), FOUND)


FOUND = Found(float("nan"), np.array([1, 2]), kit.Perturbation(noise=5))


def test_a_result_is_text_html_and_plain_values():
    assert FOUND.text() == str(FOUND) == "Found(<nan>)\nplace\n    1\n    2"
    assert FOUND.html().startswith(
        '<div class="kit-result">\n<p>Found(&lt;nan&gt;)</p><table>'
    )
    values = FOUND.to_dict()
    assert (values["share"], values["places"], values["perturbation"]["noise"]) == (
        None,
        [1, 2],
        5,
    )
    assert json.loads(json.dumps(values, allow_nan=False)) == values


def test_a_result_within_another_is_indented():
    assert (
        str(Several())
        == "<Two>\n\nx < 1\n   Found(<nan>)\n   place\n       1\n       2"
    )
    html = Several().html()
    assert "<p><strong>&lt;Two&gt;</strong></p><pre>x &lt; 1</pre><div style=" in html
    assert FOUND.html() in html


def test_plain_values_are_what_json_has():
    values = np.float32(0.5), np.int64(2), True, None, "a", float("inf")
    assert json_value({1: values}) == {"1": [0.5, 2, True, None, "a", None]}
    steps = kit.Preprocessing()
    assert json_value([steps]) == [steps.to_dict()]
    assert json_value(slice(1, 2)) == "slice(1, 2, None)"


def test_a_notebook_shows_html_and_keeps_the_text_beside_it():
    for shown in (FOUND, FOUND.table()):
        data, _ = DisplayFormatter().format(shown, include={"text/plain", "text/html"})
        assert data == {"text/plain": str(shown), "text/html": shown.html()}


def test_rows_of_predictions_sweeps_and_mistakes_are_written_as_csv(
    tmp_path, fashion, clothes
):
    photo = clothes[0]
    boot, pullover = fashion.predict(clothes[:2]).probability.astype(str)
    (dark,) = fashion.predict(
        photo, perturbation=kit.Perturbation(brightness=0)
    ).probability.astype(str)
    error = kit.sweep(fashion, b"none", kit.Perturbation()).errors[0]
    error = error.replace("'image'", "'image 1'")
    head = ["image", "predicted", "probability", "true class", "correct"]
    first = ["test_0000", "Ankle boot", boot, "Ankle boot", "True"]
    second = ["test_0001", "Pullover", pullover, "Sneaker", "False"]
    for rows, expected in [
        (fashion.predict(clothes[:2], [9, "Sneaker"]), [head, first, second]),
        (
            kit.sweep(fashion, [photo, b"none"], {"brightness": [0, 1]}, [9, 8]),
            [
                ["image", "brightness", *head[1:], "error"],
                ["test_0000", "0.0", "Sneaker", dark, "Ankle boot", "False", ""],
                ["test_0000", "1.0", *first[1:], ""],
                ["image 1", "0.0", "", "nan", "Bag", "", error],
                ["image 1", "1.0", "", "nan", "Bag", "", error],
            ],
        ),
        (
            kit.mistakes(fashion, clothes[:2], [9, 7]),
            [[*head, "error"], [*first, ""], [*second, ""]],
        ),
    ]:
        rows.to_csv(tmp_path / "rows.csv")
        with (tmp_path / "rows.csv").open(newline="", encoding="utf-8") as file:
            assert list(csv.reader(file)) == expected
