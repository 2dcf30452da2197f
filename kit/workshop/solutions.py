"""What learners get from a notebook with solutions: ``python -m kit.workshop.solutions SOLUTIONS LESSONS``.

A statement with the comment ``# solution`` keeps its names and loses its value (``answer = 0.7  # solution``
becomes ``answer = None``); other such statements, and cells with the tag ``solution``, go. Links to notebooks
in the folder above become links beside. Each notebook is then run: what it shows is what learners see before
they have answered.
"""

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

TAG = "solution"
WIDGET = "application/vnd.jupyter.widget-view+json"
_PROGRESS = re.compile(r"[\w ]+:\s+\d+%\|")
"""Shown only where something takes long."""
_MARK = "# solution"
_MEANT = re.compile(r"#\W*solution\b", re.IGNORECASE)


def exercise(book: Any) -> Any:
    """Return a copy of a notebook (`nbformat.NotebookNode`) without its solutions, and without any output.

    Raises
    ------
    ValueError
        A cell with solutions is no Python, or something is nearly marked as one.
    """
    book = deepcopy(book)
    book.cells = [
        cell for cell in book.cells if TAG not in {tag.lower() for tag in cell.metadata.get("tags", ())}
    ]
    for cell in book.cells:
        if cell.cell_type == "markdown":
            cell.source = cell.source.replace("](../", "](")
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
    if not _MEANT.search(source):
        return source
    try:
        tree, marked = ast.parse(source), _marked(source)
    except (SyntaxError, tokenize.TokenError) as error:
        raise ValueError(f"Expected Python in a cell with solutions, received {source[:60]!r}") from error
    lines = source.split("\n")
    for node in sorted(_solved(tree, marked), key=lambda node: -node.lineno):
        kept = " = ".join((*_names(node), "None")) if _names(node) else "..." if node.col_offset else None
        indent = " " * node.col_offset
        lines[node.lineno - 1 : node.end_lineno] = [] if kept is None else [indent + kept]
    return "\n".join(lines)


def _marked(source: str) -> set[int]:
    """Return the numbers of the lines that are marked, from 1."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = [(token.start[0], token.string) for token in tokens if token.type == tokenize.COMMENT]
    near = [text for _, text in comments if _MEANT.match(text) and text.rstrip() != _MARK]
    if near:
        raise ValueError(f"Expected a solution to be marked as {_MARK!r}, received {near[0]!r}")
    return {line for line, text in comments if text.rstrip() == _MARK}


def _solved(node: Any, marked: set[int]) -> Iterator[ast.stmt]:
    """Yield the outermost statements that are solutions; of those with a body the first line counts."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt):
            last = child.lineno if hasattr(child, "body") else child.end_lineno or child.lineno
            if marked & set(range(child.lineno, last + 1)):
                yield child
                continue
        yield from _solved(child, marked)


def _names(node: ast.stmt) -> list[str]:
    if not isinstance(node, (ast.Assign, ast.AnnAssign)):
        return []
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    found = [each for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)]
    return [each.id for each in found if isinstance(each.ctx, ast.Store)]


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

    paths = sorted(Path(solutions).glob("*.ipynb"))
    if not paths:
        raise SystemExit(f"Expected a folder with notebooks, received {solutions}")
    for path in paths:
        book = run(exercise(nbformat.read(path, as_version=4)), Path(lessons))  # type: ignore[no-untyped-call]
        nbformat.write(book, Path(lessons, path.name))  # type: ignore[no-untyped-call]
        sys.stdout.write(f"{Path(lessons, path.name)}\n")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit("usage: python -m kit.workshop.solutions SOLUTIONS LESSONS")
    main(*sys.argv[1:])
