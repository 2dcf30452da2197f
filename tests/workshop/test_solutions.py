"""Learners get the lessons without their solutions, as they look before anything is answered."""

from pathlib import Path

import nbformat
import pytest

from kit.workshop.solutions import exercise, run

LESSONS = Path(__file__).parents[2] / "notebooks"
SOLUTIONS = sorted((LESSONS / "solutions").glob("*.ipynb"))


def book(*sources, **metadata):
    cells = [nbformat.v4.new_code_cell(source, metadata=metadata) for source in sources]
    return nbformat.v4.new_notebook(cells=cells)


def sources(notebook):
    return [cell.source for cell in notebook.cells]


def test_a_line_with_a_solution_keeps_its_name_and_loses_its_value():
    found = exercise(book("answer = 0.7  # solution\n\nprint(answer)"))
    assert sources(found) == ["answer = None\n\nprint(answer)"]


def test_other_lines_and_cells_of_solutions_go():
    whole = book("a = 1\nprint(a)  # solution", "b = 2")
    whole.cells[1].metadata["tags"] = ["solution"]
    assert sources(exercise(whole)) == ["a = 1"]
    assert sources(whole) == ["a = 1\nprint(a)  # solution", "b = 2"], "what was given is left alone"


def test_what_is_run_is_stored_in_one_piece_and_without_progress(tmp_path):
    code = (
        "from IPython.display import display\n"
        "print(1, flush=True); print(2)\n"
        "display({'text/plain': 'Faults:   4%|4    | 1/23'}, raw=True)"
    )
    (cell,) = run(book(code), tmp_path).cells
    assert [(output.output_type, output.get("text")) for output in cell.outputs] == [("stream", "1\n2\n")]


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)
def test_the_lesson_is_what_the_notebook_with_solutions_gives(path):
    derived = exercise(nbformat.read(path, as_version=4))
    lesson = nbformat.read(LESSONS / path.name, as_version=4)
    assert sources(derived) == sources(lesson)
    assert [dict(cell.metadata) for cell in derived.cells] == [dict(cell.metadata) for cell in lesson.cells]


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)
def test_a_notebook_with_solutions_differs_from_its_lesson(path):
    whole = nbformat.read(path, as_version=4)
    assert sources(exercise(whole)) != sources(whole)
    assert any("Passed" in str(cell.get("outputs")) for cell in whole.cells)
