"""The commands pin and verify."""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

HOLDS, MOVED = 0, 1
"""Exit codes; 3 is bad input, as everywhere."""
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


def show(result: Any, *, as_json: bool) -> None:
    """Print a result as text or as JSON."""
    from kit._reporting import plain

    text = result.text()
    if as_json:
        text = json.dumps(plain(result.to_dict()), indent=2, ensure_ascii=False, allow_nan=False)
    sys.stdout.write(f"{text}\n")
