"""Fills a folder with the packages of the lock, for machines without a network: ``make wheelhouse``.

Runs in the environment of the project, whose pip knows no other machine's markers; so they are read here.
"""

import argparse
import platform
import subprocess
import sys
import tempfile
from itertools import product
from pathlib import Path
from typing import Any

from packaging.markers import default_environment
from packaging.requirements import Requirement

from kit import _launch


def _manylinux(machine: str) -> list[str]:
    """Return the tags of wheels for glibc 2.28 and before, the newest first; 2014 is the year of 2.17."""
    tags = [f"manylinux_2_{minor}_{machine}" for minor in range(28, 16, -1)]
    return [*tags, f"manylinux2014_{machine}", f"manylinux2010_{machine}", f"manylinux1_{machine}"]


PLATFORMS = {
    "linux": ("linux", "x86_64", _manylinux("x86_64")),
    "linux-arm": ("linux", "aarch64", _manylinux("aarch64")),
    "windows": ("win32", "AMD64", ["win_amd64"]),
    "mac": ("darwin", "arm64", ["macosx_14_0_arm64"]),
}
"""``sys_platform``, ``platform_machine`` and the tags of wheels of the machines that the lock is for."""

PYTHONS = ("3.11", "3.12", "3.13")


def pins(lock: str, target: str, python: str) -> str:
    """Return those lines of a lock file that hold on a target with a Python such as 3.12, without markers."""
    system, machine, _ = PLATFORMS[target]
    place: dict[str, Any] = {
        **default_environment(),
        "sys_platform": system,
        "platform_machine": machine,
        "platform_system": {"linux": "Linux", "win32": "Windows", "darwin": "Darwin"}[system],
        "os_name": "nt" if system == "win32" else "posix",
        "python_version": python,
        "python_full_version": f"{python}.0",
    }
    kept = []
    for line in lock.replace("\\\n", " ").splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            pin, *hashes = line.split(" --hash=")
            requirement = Requirement(pin)
            if requirement.marker is None or requirement.marker.evaluate(place):
                kept.append(" --hash=".join([pin.split(";")[0].strip(), *map(str.strip, hashes)]))
    return "\n".join(kept) + "\n"


def fill(folder: Path, target: str, python: str) -> bool:
    """Fetch the wheels of one target for one Python, each held against its hash; whether all are there."""
    sys.stdout.write(f"== {target}, Python {python}\n")
    sys.stdout.flush()
    with tempfile.TemporaryDirectory() as name:
        wanted = Path(name, "pins.txt")
        wanted.write_text(pins((_launch.ROOT / _launch.LOCK).read_text(encoding="utf-8"), target, python))
        command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--no-deps"]
        command += ["--only-binary=:all:", "--require-hashes", "-r", str(wanted), "-d", str(folder)]
        command += [f"--python-version={python}", *(f"--platform={tag}" for tag in PLATFORMS[target][2])]
        return subprocess.call(command) == 0  # noqa: S603 (our own pip)


def main() -> None:
    """Fill the folder for the machines that are asked for, or for this one."""
    machine = (sys.platform, platform.machine())
    here = [name for name, (*place, _) in PLATFORMS.items() if tuple(place) == machine]
    version = "{}.{}".format(*sys.version_info)
    parser = argparse.ArgumentParser(prog="make wheelhouse", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--platform", action="append", choices=PLATFORMS, help="this one by default")
    parser.add_argument("--python", action="append", choices=PYTHONS, help=f"{version} by default")
    given = parser.parse_args()
    folder = _launch.ROOT / _launch.WHEELHOUSE
    folder.mkdir(exist_ok=True)
    each = product(given.platform or here, given.python or [version])
    missing = [" with Python ".join(pair) for pair in each if not fill(folder, *pair)]
    sizes = [path.stat().st_size / 1e9 for path in folder.glob("*.whl")]
    sys.stdout.write(f"{folder.name}/ holds {len(sizes)} packages, {sum(sizes):.1f} GB.\n")
    if missing:
        sys.exit(f"Not complete for {', '.join(missing)}; see pip's message above, and run this again.")


if __name__ == "__main__":
    main()
