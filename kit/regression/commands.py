"""The commands pin, verify and new-regression."""

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

HOLDS, MOVED = 0, 1
"""Exit codes; 3 is bad input, as everywhere."""
NOTEBOOK = "check_cases.ipynb"
TITLE = """# Check the cases

A case is an image, its preprocessing, and the class that the model has to predict. A cell that fails says
which case changed, and at which step. `kit.pin`, the explorer's *Pin* and `python -m kit pin` add cases;
`python -m kit verify --update` accepts what changed."""
OPENED = """import kit

classifier = {classifier}
cases = "cases\""""
CHECKED = """# NBVAL_IGNORE_OUTPUT
result = kit.check_cases(cases, classifier, progress=False, raise_on_moved=True)
print(result.text())"""
Open = Callable[[argparse.Namespace], Any]


def add(commands: Any, in_use: Callable[[argparse.ArgumentParser], None]) -> None:
    """Add the commands to a parser; `in_use` adds the options that say how images are prepared."""
    words = "pin each image as a regression case"
    pin = commands.add_parser("pin", help=words, description=f"{words.capitalize()}, for verify to check.")
    pin.add_argument("model", metavar="MODEL.keras")
    pin.add_argument("pictures", metavar="IMAGE", nargs="+", help="files, folders or patterns")
    pin.add_argument("--expect", metavar="CLASS", help="expected class (default: the current prediction)")
    pin.add_argument("--cases", metavar="FOLDER", default="cases", help="where the cases go (default: cases)")
    pin.add_argument("--note", default="", help="why the case is kept")
    in_use(pin)
    pin.set_defaults(run=run_pin)
    verify = commands.add_parser(
        "verify",
        help="check the cases of a folder",
        description="Check the cases of a folder. Exit codes: 0 none changed, 1 some did, 3 bad input.",
    )
    verify.add_argument("model", metavar="MODEL.keras")
    verify.add_argument("cases", metavar="FOLDER", help="folder of cases")
    verify.add_argument("--artefacts", metavar="FOLDER", help="save an image of each changed case here")
    verify.add_argument("--update", action="store_true", help="accept changes if the expected class holds")
    forms = verify.add_mutually_exclusive_group()
    forms.add_argument("--json", action="store_true", help="print JSON instead of text")
    forms.add_argument("--junit", metavar="FILE.xml", help="also write a JUnit report")
    in_use(verify)
    verify.set_defaults(run=run_verify)
    words = "write a notebook that checks a folder of cases"
    new = commands.add_parser("new-regression", help=words, description=f"{words.capitalize()}.")
    new.add_argument("folder", metavar="FOLDER", help="created if needed; its cases are in FOLDER/cases")
    new.add_argument("--model", metavar="MODEL.keras", help="default: the bundled model that the cases name")
    new.set_defaults(run=run_new)


def run_pin(given: argparse.Namespace, opened: Open) -> int:
    """Write a case for each image, and say where."""
    from kit.images import as_photos
    from kit.regression.cases import pin, read

    classifier = opened(given)
    expected = given.expect
    if expected is not None and expected.isdecimal() and expected not in classifier.class_names:
        expected = int(expected)
    for photo in as_photos(given.pictures):  # nothing is written where one of them cannot be read
        path = pin(given.cases, classifier, photo, expected, note=given.note)
        case = read(path)
        name, share = case.observed.top
        state = "still failing" if case.known_to_fail else "as expected"
        sys.stdout.write(f"{path}: {name}, {share:.3f}, {state}\n")
    return HOLDS


def run_verify(given: argparse.Namespace, opened: Open) -> int:
    """Run the cases."""
    from kit.regression.cases import write
    from kit.regression.checking import check_cases

    result = check_cases(
        given.cases, opened(given), artefacts=given.artefacts, update=given.update, progress=not given.json
    )
    show(result, as_json=given.json)
    if given.junit:
        write(Path(given.junit), result.junit().encode())
    return HOLDS if result.holds else MOVED


def run_new(given: argparse.Namespace, _opened: Open) -> int:
    """Write the notebook beside the cases."""
    from kit.classifier import Classifier, known_preprocessing
    from kit.regression import cases as folders

    target, cases = Path(given.folder, NOTEBOOK), Path(given.folder, "cases")
    if target.exists():
        raise ValueError(f"Expected a folder without {NOTEBOOK}, received one that has it")
    code = "None  # the bundled one that the cases name"
    if given.model is not None:
        known_preprocessing(Classifier.load(given.model))  # the notebook has no other
        code = f"kit.Classifier.load({Path(os.path.relpath(given.model, given.folder)).as_posix()!r})"
    cases.mkdir(parents=True, exist_ok=True)
    folders.write(target, notebook(code).encode())
    waits = "" if folders.paths(cases) else f", fails until there are cases in {cases}"
    sys.stdout.write(f"{target}{waits}\n")
    return HOLDS


def notebook(classifier: str) -> str:
    """Return a notebook as JSON text, in which this code opens the classifier."""
    from nbformat import v4

    new: Any = v4  # it has no types
    cells = [
        new.new_markdown_cell(TITLE, id="cases-0"),
        new.new_code_cell(OPENED.format(classifier=classifier), id="cases-1"),
        new.new_code_cell(CHECKED, id="cases-2"),
    ]
    kernel = {"display_name": "Python 3 (ipykernel)", "name": "python3"}
    return f"{new.writes(new.new_notebook(cells=cells, metadata={'kernelspec': kernel}))}\n"


def show(result: Any, *, as_json: bool) -> None:
    """Print a result as text or as JSON."""
    from kit._reporting import plain

    text = result.text()
    if as_json:
        text = json.dumps(plain(result.to_dict()), indent=2, ensure_ascii=False, allow_nan=False)
    sys.stdout.write(f"{text}\n")
