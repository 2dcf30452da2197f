"""The notebook that checks a folder of cases: what a team copies, and its CI runs under nbval."""

import json
from typing import Any

TITLE = """# Check the cases

Every case is a picture, how it is prepared, and what the network has to make of it. A cell that turns
red says which case moved, from what to what, and at which step. `kit.pin`, the explorer's *Pin* and
`python -m kit pin` add cases; `pytest --nbval --kit check_cases.ipynb` reports by case, and
`--kit-update` accepts what moved."""
OPENED = """import kit

classifier = {classifier}
cases = "cases\""""
CHECKED = """result = kit.check_cases(cases, classifier, progress=False, raise_on_moved=True)
print(result.text())"""


def notebook(classifier: str, text: str) -> str:
    """Return a notebook as JSON text.

    Parameters
    ----------
    classifier
        Code that opens the classifier.
    text
        What the check prints now, kept as the output that nbval compares with; empty for none.
    """
    printed = {"name": "stdout", "output_type": "stream", "text": (text + "\n").splitlines(keepends=True)}
    cells = [
        _cell("markdown", TITLE),
        _cell("code", OPENED.format(classifier=classifier)) | {"execution_count": 1, "outputs": []},
        _cell("code", CHECKED)
        | {"execution_count": 2 if text else None, "outputs": [printed] if text else []},
    ]
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    cells = [cell | {"id": f"cases-{number}"} for number, cell in enumerate(cells)]
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    book = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(book, indent=1, ensure_ascii=False) + "\n"


def _cell(kind: str, source: str) -> dict[str, Any]:
    return {"cell_type": kind, "metadata": {}, "source": source.splitlines(keepends=True)}
