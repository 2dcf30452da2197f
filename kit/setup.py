"""Whether this machine can run what is installed: Python, packages, front end, TensorFlow, a network, memory.

Imports nothing but Python's own modules at first, so that it can say what is missing.
"""

import os
import platform
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from kit._bundled import search_path
from kit._checking import KERAS, require

NAME = "classifier-investigation-kit"
MEMORY = 2.0
"""GB that one explorer, one kernel that trains and JupyterLab need."""
FRONT_ENDS = ("anywidget", "@jupyter-widgets/jupyterlab-manager")
"""Extensions of JupyterLab's page that show the explorer."""
SAFE = {"keras": ("3.15.1", "CVE-2026-12480"), "pillow": ("12.3", "CVE-2026-55379")}
"""Oldest releases to open files of strangers with, and an advisory on those before; no floors, since a host
keeps what it has."""
_INSTALL = "run make clean lab, or install the kit again with python -m pip install"


@dataclass(frozen=True)
class Setup:
    """Names of what was checked and does not hold, and of what is not installed."""

    missing: tuple[str, ...]
    left_out: tuple[str, ...] = ()

    def __repr__(self) -> str:
        if self.missing:
            return f"Not ready yet: {', '.join(self.missing)}."
        if self.left_out:
            return f"What is installed is in place; not installed: {', '.join(self.left_out)}."
        return "Everything is in place."


def check_setup() -> Setup:
    """Check that this machine can run what is installed: ten seconds, a line for each thing as it is known.

    What the kit does without, such as JupyterLab, is not missing where it is not installed; its line says how
    it would be.
    """
    missing = []
    left_out = []
    for name, (check, modules) in CHECKS.items():
        sys.stdout.write(f"{name:13}")
        sys.stdout.flush()
        try:
            require(*modules)
        except ModuleNotFoundError as error:
            sys.stdout.write(f"--  {error}\n")
            left_out.append(name)
            continue
        process = _run_apart(check)
        mark = "ok"
        output = process.stdout
        if process.returncode:
            mark = "NO"
            output = process.stderr
            missing.append(name)
        # Libraries may print more before it.
        line = output.strip().rpartition("\n")[2]
        line = line or f"Python ended with exit code {process.returncode}"
        sys.stdout.write(f"{mark}  {line}\n")
    return Setup(tuple(missing), tuple(left_out))


def _run_apart(check: Callable[[], str]) -> subprocess.CompletedProcess[str]:
    # In a process of its own: a broken TensorFlow ends its process without an exception.
    environment = os.environ | {
        "PYTHONPATH": search_path(),
        "PYTHONUTF8": "1",
        "PYTHONSAFEPATH": "1",
        "TF_CPP_MIN_LOG_LEVEL": "2",
    }
    return subprocess.run(  # noqa: S603
        [sys.executable, "-m", __name__, check.__name__],
        env=environment,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def packages() -> str:
    """Return the version of Python, which pip checks, and how many packages there are, all new enough."""
    system = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    from packaging.requirements import Requirement

    requirements = [Requirement(text) for text in metadata.requires(NAME) or []]
    needed = [
        requirement
        for requirement in requirements
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""})
    ]
    for requirement in needed:
        version = metadata.version(requirement.name)
        if not requirement.specifier.contains(version, prereleases=True):
            raise RuntimeError(
                f"Expected {requirement}, received {version}: {_INSTALL}"
            )
    return f"{system} has all {len(needed)} packages"


def safety() -> str:
    """Return what had better be newer before files of strangers are opened, as advice."""
    from packaging.version import Version

    installed = {each.name.lower(): each.version for each in metadata.distributions()}
    present = sorted(SAFE.keys() & installed)
    older = [
        f"{name} from {installed[name]} to {' or later ('.join(SAFE[name])})"
        for name in present
        if Version(installed[name]) < Version(SAFE[name][0])
    ]
    if older:
        return f"before you open files of strangers, update {'; '.join(older)}"
    return f"newer than the advisories that the kit knows: {', '.join(present)}"


def widgets() -> str:
    """Return the version of JupyterLab, if it lists the extensions that show the explorer."""
    from jupyterlab.labapp import LabApp

    lab = LabApp()
    folders = lab.extra_labextensions_path + lab.labextensions_path
    for name in FRONT_ENDS:
        if not any(Path(folder, name).is_dir() for folder in folders):
            raise RuntimeError(
                f"JupyterLab {lab.version} has no {name}; "
                "run pip install --force-reinstall anywidget ipywidgets"
            )
    return f"JupyterLab {lab.version} has {' and '.join(FRONT_ENDS)}"


def tensorflow() -> str:
    """Return the version of TensorFlow."""
    import tensorflow  # noqa: ICN001 (is what is asked)

    return f"TensorFlow {tensorflow.__version__} starts"


def network() -> str:
    """Return what the bundled network predicts."""
    from kit import samples

    classifier = samples.classifier("efficientnet_lite0")
    photo = samples.photo("espresso.jpg")
    (name,) = classifier.predict(photo).label
    if name != "espresso":
        raise RuntimeError(
            f"{photo.name} is {name} here; unpack or clone the kit again"
        )
    return f"it predicts {name} for {photo.name}"


def memory() -> str:
    """Return how much memory and how many cores there are for this process."""
    import psutil

    machine = psutil.virtual_memory()
    limit = machine.total
    used = 0
    # Of a container; "max" where there is none.
    with suppress(OSError, ValueError):
        limit = int(Path("/sys/fs/cgroup/memory.max").read_text())
        used = int(Path("/sys/fs/cgroup/memory.current").read_text())
    total = min(machine.total, limit) / 1e9
    free = min(machine.available, limit - used) / 1e9
    figures = f"{total:.1f} GB, {free:.1f} of them free; cores: {os.cpu_count()}"
    if free < MEMORY:
        raise RuntimeError(
            f"{figures}; {MEMORY:g} GB must be free: close other programs, or use a hub"
        )
    return figures


CHECKS: dict[str, tuple[Callable[[], str], tuple[str, ...]]] = {
    "Python": (packages, ()),
    "Safety": (safety, ("packaging",)),
    "Widgets": (widgets, ("jupyterlab",)),
    "TensorFlow": (tensorflow, KERAS),
    "Model": (network, ()),
    "Memory": (memory, ("psutil",)),
}
"""What is checked, with the modules without which it is left out."""

if __name__ == "__main__":
    try:
        sys.stdout.write(f"{globals()[sys.argv[1]]()}\n")
    except Exception as error:  # noqa: BLE001 (whatever is broken is reported)
        line = " ".join(str(error).split())[:500] or type(error).__name__
        if isinstance(error, ImportError):
            line += f": {_INSTALL}"
        sys.exit(line)
