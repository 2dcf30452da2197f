"""Runs the notebooks in this folder and derives the lessons from them: ``python derive.py [NAME.ipynb …]``.

A lesson is its notebook with solutions but for the answers: ``answer = 0.7  # solution`` becomes
``answer = None``. An exercise is run twice, so that the lesson stores what it prints before it is answered.
A cell before which readers write down a guess (tag ``guess``) stores no output in the lesson: no host hides a
stored one reliably.
"""

import re
import sys
from copy import deepcopy
from pathlib import Path

import nbformat
from nbclient import NotebookClient

SOLUTIONS = Path(__file__).parent
LESSONS = SOLUTIONS.parent
ANSWER = re.compile(r"^answer = .*  # solution$", re.MULTILINE)
PICTURE = re.compile(r'<img [^>]*src="data:image/[^>]*>')
WIDGET = "application/vnd.jupyter.widget-view+json"
UNCOMPARED = "nbval-ignore-output"
PROGRESS = re.compile(r"[\w ]+:\s+\d+%\|")


def derived(solution):
    """Return the lesson of a notebook with solutions, without outputs."""
    lesson = deepcopy(solution)
    for cell in lesson.cells:
        cell.source = ANSWER.sub("answer = None", cell.source)
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        if is_guess(cell):
            cell.metadata.tags = sorted({*cell.metadata.tags, UNCOMPARED})
    return lesson


def is_guess(cell):
    """Whether readers write down what they expect of a cell before they run it."""
    return "guess" in cell.metadata.get("tags", [])


def run(solution):
    """Run a notebook with solutions; return it and its lesson, both with outputs."""
    solution, lesson = deepcopy(solution), derived(solution)
    resources = {"metadata": {"path": str(LESSONS)}}
    client = NotebookClient(
        solution,
        timeout=600,
        resources=resources,
        store_widget_state=False,
        coalesce_streams=True,
    )
    number = 0
    with client.setup_kernel():
        for place, (cell, question) in enumerate(
            zip(solution.cells, lesson.cells, strict=True)
        ):
            if cell.cell_type != "code":
                continue
            number += 1
            exercise = ANSWER.search(cell.source)
            if exercise:
                client.execute_cell(question, place)
            client.execute_cell(cell, place)
            cell.metadata.pop("execution", None)
            cell.outputs = stored(cell.outputs, number)
            question.metadata.pop("execution", None)
            if not exercise and not is_guess(cell):
                question.outputs = deepcopy(cell.outputs)
            cell.execution_count = number
            question.execution_count = None if is_guess(cell) else number
            cell.outputs = [without_pictures(output) for output in cell.outputs]
    for book in (solution, lesson):
        book.metadata.language_info = {"name": "python"}
    return solution, lesson


def stored(outputs, number):
    """Leave out widgets, which need a kernel, and progress, which is shown only on slow machines."""
    kept = [
        output
        for output in outputs
        if not PROGRESS.match(output.get("data", {}).get("text/plain", ""))
    ]
    for output in kept:
        output.get("data", {}).pop(WIDGET, None)
        if output.output_type == "execute_result":
            output.execution_count = number
    return kept


def without_pictures(output):
    """Leave out of a stored solution what the lesson stores already, and nbval does not compare."""
    output = deepcopy(output)
    data = output.get("data", {})
    data.pop("image/png", None)
    if "text/html" in data:
        data["text/html"] = PICTURE.sub("<img>", data["text/html"])
    return output


def main(names):
    """Derive the lessons of these notebooks; of all without any."""
    for path in sorted(SOLUTIONS / name for name in names) or sorted(
        SOLUTIONS.glob("*.ipynb")
    ):
        solution, lesson = run(nbformat.read(path, as_version=4))
        nbformat.write(solution, path)
        nbformat.write(lesson, LESSONS / path.name)
        print(LESSONS / path.name, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
