"""What is installed with the kit may be used as docs/licences.md says."""

import re
from importlib.metadata import PackageNotFoundError, metadata

from packaging.utils import canonicalize_name

from tests.project import ROOT
from tests.test_project import RUNTIME

FREE = r"MIT|BSD|Apache|ISC|MPL|Mozilla|PSF|Python Software Foundation|Zlib"


def needed():
    """Names of the packages that the kit needs on some platform, as the comments of the lock tell."""
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    found = re.findall(r"^([\w.-]+)==[^#]*# via (.*)$", lock, re.MULTILINE)
    wanted_by = {name: set(parents.split(", ")) for name, parents in found}
    names = {canonicalize_name(requirement.name) for requirement in RUNTIME}
    while (
        more := {name for name, parents in wanted_by.items() if parents & names} - names
    ):
        names |= more
    return names


def stated(name):
    """What an installed package says of its licence, in some form; empty for another platform's."""
    try:
        said = metadata(name)
    except PackageNotFoundError:
        return ""
    if said.get("License-Expression"):
        return said["License-Expression"]
    classifiers = (
        each for each in said.get_all("Classifier", []) if each.startswith("License")
    )
    return " ".join([*classifiers, str(said.get("License") or "")[:200]])


def test_every_package_is_under_a_licence_that_asks_for_no_more_than_its_own_text_or_files():
    # Mozilla's licence covers its own files; none is of the GPL family, which covers what it is joined with.
    said = {name: licence for name in needed() if (licence := stated(name).strip())}
    assert len(said) > 80
    assert {
        name: licence for name, licence in said.items() if not re.search(FREE, licence)
    } == {}
    assert {name: licence for name, licence in said.items() if "GPL" in licence} == {}
