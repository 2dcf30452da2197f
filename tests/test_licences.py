"""LICENCES.md lists what is installed with the kit, on every platform, under the licence that it states.

``python -m tests.test_licences`` writes the list anew; run it after ``make lock``.
"""

import re
from importlib.metadata import PackageNotFoundError, metadata

from packaging.utils import canonicalize_name

from tests.project import ROOT
from tests.test_project import RUNTIME

WRITTEN = ROOT / "LICENCES.md"
UPDATE = "python -m tests.test_licences"
HEAD = """# Licences of what is installed with the kit

The kit itself is under the MIT licence (`LICENSE`), its networks and pictures under those in
`data/README.md`. Below is every package that the kit needs to run, with what that needs in turn, on any
platform, under the licence that the package states in its own metadata. `tests/test_licences.py` holds the
list to `requirements.lock` and to what is installed; `python -m tests.test_licences` writes it anew.

| package | licence |
|---|---|
"""
# Read from the wheels that the lock names: those for other platforms, and one that has the text alone.
BY_HAND = {
    "appnope": "BSD-2-Clause",
    "colorama": "BSD License",
    "namex": "Apache License, Version 2.0",
    "overrides": "Apache License, Version 2.0",
    "pywinpty": "MIT License",
    "tensorflow": "Apache 2.0",
}
LONG = 60
FREE = r"MIT|BSD|Apache|ISC|MPL|Mozilla|PSF|Python Software Foundation|Zlib"


def needed():
    """Names of the packages that the kit needs on some platform, as the comments of the lock tell."""
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    found = re.findall(r"^([\w.-]+)==[^#]*# via (.*)$", lock, re.MULTILINE)
    wanted_by = {name: set(re.split(", ", parents)) for name, parents in found}
    names = {canonicalize_name(requirement.name) for requirement in RUNTIME}
    while more := {name for name, parents in wanted_by.items() if parents & names} - names:
        names |= more
    return names


def stated(name):
    """What a package says of its licence; None if it is not here."""
    try:
        said = metadata(name)
    except PackageNotFoundError:
        return None
    if said.get("License-Expression"):
        return said["License-Expression"]
    text = str(said.get("License") or "").strip()
    if 0 < len(text) <= LONG and text != "UNKNOWN" and "\n" not in text:
        return text
    classifiers = [each.split(" :: ") for each in said.get_all("Classifier", [])]
    return ", ".join(parts[-1] for parts in classifiers if parts[0] == "License")


def listed():
    """Package and licence of each row."""
    return dict(re.findall(r"^\| `([\w.-]+)` \| (.+) \|$", WRITTEN.read_text(encoding="utf-8"), re.MULTILINE))


def test_every_package_that_the_kit_needs_is_listed_and_no_other():
    assert listed().keys() == needed(), UPDATE
    assert len(needed()) > len(RUNTIME)


def test_every_licence_is_what_the_package_states():
    here = {name: said for name in needed() if (said := stated(name))}
    assert listed() == {name: BY_HAND.get(name) for name in needed()} | here, UPDATE


def test_no_package_asks_for_more_than_its_own_text_or_its_own_files():
    # Mozilla's licence covers its own files; none is of the GPL family, which covers what it is joined with.
    assert {name: licence for name, licence in listed().items() if not re.search(FREE, licence)} == {}
    assert {name: licence for name, licence in listed().items() if "GPL" in licence} == {}


if __name__ == "__main__":
    rows = [f"| `{name}` | {stated(name) or BY_HAND[name]} |\n" for name in sorted(needed())]
    WRITTEN.write_text(HEAD + "".join(rows), encoding="utf-8")
