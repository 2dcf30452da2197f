"""What learners get from a notebook with solutions: ``python -m kit.workshop.solutions SOLUTIONS LESSONS``.

A line that ends in ``# solution`` keeps its name and loses its value (``answer = 0.7  # solution`` becomes
``answer = None``), other such lines and cells tagged ``solution`` go. Each notebook is then run: what it
shows is what learners see before they have answered.
"""

import re
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

TAG = "solution"
WIDGET = "application/vnd.jupyter.widget-view+json"
_PROGRESS = re.compile(r"[\w ]+:\s+\d+%\|")
"""Shown only where something takes long."""
_LINE = re.compile(r"^(?P<name>\s*\w+ = )?.*?\s*# solution$", re.MULTILINE)


def exercise(book: Any) -> Any:
    """Return a copy of a notebook (`nbformat.NotebookNode`) without its solutions, and without any output."""
    book = deepcopy(book)
    book.cells = [cell for cell in book.cells if TAG not in cell.metadata.get("tags", ())]
    for cell in book.cells:
        if cell.cell_type == "code":
            cell.source = _without_solutions(cell.source)
            cell.outputs, cell.execution_count = [], None
    return book


def run(book: Any, folder: Path) -> Any:
    """Run a notebook in a folder; return it as it is stored: without widgets and progress, streams whole.

    Raises
    ------
    nbclient.exceptions.CellExecutionError
        A cell fails.
    """
    from nbclient import NotebookClient  # noqa: PLC0415 - only those who write lessons need it

    resources = {"metadata": {"path": str(folder)}}
    NotebookClient(book, timeout=600, resources=resources, store_widget_state=False).execute()
    for cell in book.cells:
        cell.metadata.pop("execution", None)
        cell.get("outputs", [])[:] = _stored(cell.get("outputs", []))
    return book


def _without_solutions(source: str) -> str:
    lines = (
        f"{line['name']}None" if (line := _LINE.match(text)) and line["name"] else None if line else text
        for text in source.splitlines()
    )
    return "\n".join(line for line in lines if line is not None)


def _stored(outputs: list[Any]) -> list[Any]:
    stored: list[Any] = []
    for output in outputs:
        data = output.get("data", {})
        data.pop(WIDGET, None)
        if _PROGRESS.match(data.get("text/plain", "")):
            continue
        if stored and output.output_type == "stream" and stored[-1].get("name") == output.name:
            stored[-1].text += output.text
        else:
            stored.append(output)
    return stored


def main(solutions: str, lessons: str) -> None:
    """Derive every notebook of a folder with solutions into another folder, and say so, a line each."""
    import nbformat  # noqa: PLC0415 - only those who write lessons need it

    for path in sorted(Path(solutions).glob("*.ipynb")):
        book = run(exercise(nbformat.read(path, as_version=4)), Path(lessons))  # type: ignore[no-untyped-call]
        nbformat.write(book, Path(lessons, path.name))  # type: ignore[no-untyped-call]
        sys.stdout.write(f"{Path(lessons, path.name)}\n")


if __name__ == "__main__":
    main(*sys.argv[1:3])
