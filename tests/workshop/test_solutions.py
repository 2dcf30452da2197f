"""Learners get the lessons without their solutions, as they look before anything is answered."""

import re
from pathlib import Path

import nbformat
import pytest

from kit.workshop.solutions import exercise, main, run

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


@pytest.mark.parametrize(
    ("source", "left"),
    [
        ("answer=0.7  # solution", "answer = None"),
        ("answer: float = 0.7  # solution\nprint(answer)", "answer = None\nprint(answer)"),
        ("low, high = 1, 2  # solution", "low = high = None"),
        ("answer = (  # solution\n    0.7\n)", "answer = None"),
        ("answer = 0.7 \\\n    + 1  # solution", "answer = None"),
        ("answer = 0.7  # solution  ", "answer = None"),
        ("def f(x):\n    return x + 1  # solution", "def f(x):\n    ..."),
        ("if answer:  # solution\n    print(1)\nprint(2)", "print(2)"),
        ("shares[1] = 2  # solution\nprint(2)", "print(2)"),
        ('text = \'a # solution\'\nmore = """\n# solution\n"""', None),
        ("text = 'a\u2028b'\nb = 1", None),
    ],
)
def test_whatever_form_a_statement_has_what_is_left_is_python(source, left):
    (found,) = sources(exercise(book(source)))
    assert found == (source if left is None else left)
    compile(found, "cell", "exec")


@pytest.mark.parametrize("mark", ["#solution", "# Solution", "# solution.", "# solution: half"])
def test_a_mark_that_is_nearly_one_is_refused(mark):
    with pytest.raises(ValueError, match="Expected a solution to be marked as '# solution', received"):
        exercise(book(f"answer = 0.7  {mark}"))


def test_a_cell_with_a_solution_that_is_no_python_is_refused():
    with pytest.raises(ValueError, match="Expected Python in a cell with solutions"):
        exercise(book("%timeit\nanswer = 0.7  # solution"))


def test_links_to_the_folder_above_lie_beside():
    whole = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("[next](../01_next.ipynb)")])
    assert sources(exercise(whole)) == ["[next](01_next.ipynb)"]


def test_there_are_solutions_and_their_links_lead_somewhere():
    assert len(SOLUTIONS) == 5
    for path in SOLUTIONS:
        for link in re.findall(r"\]\(([^)#]+\.ipynb)\)", path.read_text(encoding="utf-8")):
            assert (path.parent / link).is_file(), (path.name, link)


def test_a_folder_without_notebooks_is_told(tmp_path):
    with pytest.raises(SystemExit, match="Expected a folder with notebooks"):
        main(str(tmp_path), str(tmp_path))


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
