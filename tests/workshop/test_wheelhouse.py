"""The wheelhouse holds what the lock says for each machine."""

import re

import pytest

from kit.workshop.wheelhouse import PLATFORMS, PYTHONS, pins
from tests.project import ROOT

LOCK = """# made
everywhere==1.0 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
    # via kit
windows==2.0 ; sys_platform == 'win32' \\
    --hash=sha256:cc
arm==3.0 ; sys_platform == 'linux' and platform_machine != 'x86_64' \\
    --hash=sha256:dd
apple==4.0 ; platform_system == 'Darwin' \\
    --hash=sha256:ee
old==5.0 ; python_full_version < '3.12' \\
    --hash=sha256:ff
"""


@pytest.mark.parametrize(
    ("target", "python", "names"),
    [
        ("linux", "3.12", ["everywhere"]),
        ("linux", "3.11", ["everywhere", "old"]),
        ("linux-arm", "3.13", ["everywhere", "arm"]),
        ("windows", "3.13", ["everywhere", "windows"]),
        ("mac", "3.13", ["everywhere", "apple"]),
    ],
)
def test_markers_are_read_for_the_machine_that_is_asked_for(target, python, names):
    lines = pins(LOCK, target, python).splitlines()
    assert [line.split("==")[0] for line in lines] == names
    assert lines[0] == "everywhere==1.0 --hash=sha256:aa --hash=sha256:bb"


def test_every_platform_and_python_of_the_lock_has_its_tensorflow():
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    for target in PLATFORMS:
        for python in PYTHONS:
            found = re.findall(r"^tensorflow(?:-cpu)?==", pins(lock, target, python), re.MULTILINE)
            assert found == ["tensorflow-cpu==" if target in {"linux", "windows"} else "tensorflow=="]
