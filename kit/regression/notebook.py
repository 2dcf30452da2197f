"""The notebook that checks a folder of cases: what a team copies, and its CI runs under nbval."""

from typing import Any

import nbformat

TITLE = """# Check the cases

Every case is a picture, how it is prepared, and what the network has to make of it. A cell that turns
red says which case moved, from what to what, and at which step; what else it prints may change, as with
a new case. `kit.pin`, the explorer's *Pin* and `python -m kit pin` add cases;
`pytest --nbval --kit check_cases.ipynb` reports by case, and `--kit-update` accepts what moved."""
OPENED = """import kit

classifier = {classifier}
cases = "cases\""""
CHECKED = """# NBVAL_IGNORE_OUTPUT
result = kit.check_cases(cases, classifier, progress=False, raise_on_moved=True)
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
    v4: Any = nbformat.v4  # it has no types
    printed = [v4.new_output("stream", name="stdout", text=f"{text}\n")] if text else []
    cells = [
        v4.new_markdown_cell(TITLE),
        v4.new_code_cell(OPENED.format(classifier=classifier), execution_count=1),
        v4.new_code_cell(CHECKED, execution_count=2 if text else None, outputs=printed),
    ]
    for number, cell in enumerate(cells):
        cell["id"] = f"cases-{number}"  # the same in every notebook
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    book: str = v4.writes(v4.new_notebook(cells=cells, metadata=metadata))
    return f"{book}\n"
