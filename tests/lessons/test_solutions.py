"""Learners get the lessons without their predictions; the notebooks with solutions are what is run."""

import re
import runpy

import nbformat
import numpy as np
import pytest

from tests.project import ROOT

LESSONS = ROOT / "notebooks"
SOLUTIONS = sorted((LESSONS / "solutions").glob("*.ipynb"))
derived, without_pictures = map(
    runpy.run_path(str(LESSONS / "solutions" / "derive.py")).get,
    ("derived", "without_pictures"),
)


@pytest.fixture(params=SOLUTIONS, ids=lambda path: path.stem)
def pair(request):
    """A notebook with solutions, and the lesson beside it."""
    return [
        nbformat.read(path, as_version=4)
        for path in (request.param, LESSONS / request.param.name)
    ]


def test_an_answer_loses_its_value():
    code = nbformat.v4.new_code_cell("answer = 0.7  # solution\nprint(answer)")
    (cell,) = derived(nbformat.v4.new_notebook(cells=[code])).cells
    assert cell.source == "answer = None\nprint(answer)"


def test_the_lesson_is_what_the_notebook_with_solutions_gives(pair):
    solution, lesson = pair
    for expected, cell in zip(derived(solution).cells, lesson.cells, strict=True):
        assert (cell.source, cell.metadata) == (expected.source, expected.metadata)


def test_the_lesson_shows_what_was_printed_and_the_exercise_is_open(pair):
    solution, lesson = pair
    for whole, cell in zip(solution.cells, lesson.cells, strict=True):
        if "exercise" in whole.metadata.get("tags", []):
            assert "# solution" in whole.source
            assert "Passed" in whole.outputs[-1].text
            assert cell.outputs[-1].text.startswith("Not answered yet:")
        elif "guess" in whole.metadata.get("tags", []):
            assert cell.outputs == []
        elif cell.cell_type == "code":
            assert [
                without_pictures(output) for output in cell.outputs
            ] == whole.outputs


def test_headings_go_down_one_level_at_a_time_and_no_output_is_collapsed(pair):
    _, lesson = pair
    levels = [
        len(marks)
        for cell in lesson.cells
        if cell.cell_type == "markdown"
        for marks in re.findall(r"^(#+) ", cell.source, re.MULTILINE)
    ]
    assert levels[0] == 1
    assert max(np.diff(levels), default=0) <= 1
    # JupyterLab gives away what a collapsed output begins with.
    for cell in lesson.cells:
        assert not {"collapsed", "jupyter"} & cell.metadata.keys()


def test_code_is_not_cut_off_in_a_window_of_1024_pixels(pair):
    cells = [cell for cell in pair[1].cells if cell.cell_type == "code"]
    lines = [line for cell in cells for line in cell.source.splitlines()]
    assert max(map(len, lines)) <= 72


def test_what_readers_guess_is_not_answered_in_plain_sight_below(pair):
    cells = iter(pair[0].cells)
    for cell in cells:
        if re.search("write down", cell.source, re.IGNORECASE):
            following = next(cells)
            while following.cell_type == "code":
                following = next(cells)
            assert re.match(r"<details>|#|\*\*\w\)", following.source), cell.source


NEEDS_A_KERNEL = re.compile(
    r"\brun (it|the cell|this cell)|^set `|into `|replace `|restart the kernel"
    r"|more perturbations|looks for a cause",
    re.IGNORECASE,
)


def test_pages_do_not_ask_for_what_takes_a_kernel(pair):
    cells = [cell for cell in pair[0].cells if cell.cell_type == "markdown"]
    for cell in cells:
        if "notebook" not in cell.metadata.get("tags", []):
            for sentence in re.split(r"(?<=[.?:;])\s", cell.source):
                asks = NEEDS_A_KERNEL.search(sentence)
                assert not asks or "in a notebook" in sentence.lower(), sentence


def test_teachers_have_a_chapter_on_every_lesson():
    chapters = re.findall(
        r"^## (\d\d) ",
        (LESSONS / "solutions" / "teaching.md").read_text("utf-8"),
        re.MULTILINE,
    )
    assert chapters == [path.name[:2] for path in SOLUTIONS]
