"""Whether this machine can run the notebooks: Python, packages, front end, TensorFlow, a network, memory.

Imports nothing but Python's own modules at first, so that it can say what is missing.
"""

import os
import platform
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

NAME = "classifier-investigation-kit"
MEMORY = 2.0
"""GB that one explorer, one kernel that trains and JupyterLab need."""
FRONT_ENDS = ("anywidget", "@jupyter-widgets/jupyterlab-manager")
"""Extensions of JupyterLab's page that show the explorer."""
_INSTALL = "run make clean lab, or in the folder of the kit: python -m pip install -e ."


@dataclass(frozen=True, repr=False)
class Setup:
    """Names of what was checked and does not hold."""

    missing: tuple[str, ...]

    def __repr__(self) -> str:
        return (
            f"Not ready yet: {', '.join(self.missing)}."
            if self.missing
            else "Everything is in place."
        )


def check_setup() -> Setup:
    """Check that this machine can run the notebooks: ten seconds, a line for each thing as it is known."""
    missing = []
    for name, look in CHECKS.items():
        sys.stdout.write(f"{name:13}")
        sys.stdout.flush()
        holds, told = _checked(look)
        sys.stdout.write(f"{'ok ' if holds else 'NO '} {told}\n")
        missing += [] if holds else [name]
    return Setup(tuple(missing))


def _checked(look: Callable[[], str]) -> tuple[bool, str]:
    # In a process of its own: a broken TensorFlow ends its process without an exception.
    command = [sys.executable, "-m", __name__, look.__name__]
    root = os.pathsep.join(
        filter(None, [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH")])
    )
    environment = os.environ | {
        "PYTHONPATH": root,
        "PYTHONUTF8": "1",
        "PYTHONSAFEPATH": "1",
        "TF_CPP_MIN_LOG_LEVEL": "2",
    }
    done = subprocess.run(  # noqa: S603
        command, env=environment, capture_output=True, encoding="utf-8", check=False
    )
    said = (done.stderr if done.returncode else done.stdout).strip()
    told = (
        said.splitlines()[-1]
        if said
        else f"Python ended with exit code {done.returncode}"
    )
    return done.returncode == 0, told


def packages() -> str:
    """Return the version of Python, which pip checks, and how many packages there are, all new enough."""
    system = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    from packaging.requirements import Requirement

    asked = [Requirement(text) for text in metadata.requires(NAME) or []]
    needed = [
        each
        for each in asked
        if each.marker is None or each.marker.evaluate({"extra": ""})
    ]
    unmet = sorted(filter(None, map(_lack, needed)))
    if unmet:
        raise RuntimeError(f"{'; '.join(unmet)}: {_INSTALL}")
    return f"{system} has all {len(needed)} packages"


def _lack(requirement: Any) -> str:
    try:
        found = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return f"{requirement.name} is missing"
    fits = requirement.specifier.contains(found, prereleases=True)
    return (
        ""
        if fits
        else f"{requirement.name} is {found}, expected {requirement.specifier}"
    )


def widgets() -> str:
    """Return the version of JupyterLab, if it lists the extensions that show the explorer."""
    from jupyterlab.labapp import LabApp

    lab = LabApp()
    places = [
        Path(folder) for folder in lab.extra_labextensions_path + lab.labextensions_path
    ]
    for name in FRONT_ENDS:
        if not any((folder / name).is_dir() for folder in places):
            advice = "run pip install --force-reinstall anywidget ipywidgets"
            raise RuntimeError(f"JupyterLab {lab.version} has no {name}; {advice}")
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
    # Of a container; "max" where there is none.
    limit = Path("/sys/fs/cgroup/memory.max")
    most = limit.read_text().strip() if limit.exists() else ""
    bound = int(most) if most.isdecimal() else machine.total
    total, free = (
        min(each, bound) / 1e9 for each in (machine.total, machine.available)
    )
    found = f"{total:.1f} GB, {free:.1f} of them free; cores: {os.cpu_count()}"
    if free < MEMORY:
        raise RuntimeError(
            f"{found}; {MEMORY:g} GB must be free: close other programs, or use a hub"
        )
    return found


CHECKS = {
    "Python": packages,
    "Widgets": widgets,
    "TensorFlow": tensorflow,
    "Model": network,
    "Memory": memory,
}

if __name__ == "__main__":
    try:
        sys.stdout.write(f"{globals()[sys.argv[1]]()}\n")
    except Exception as error:  # noqa: BLE001 (whatever is broken is said)
        advice = f": {_INSTALL}" if isinstance(error, ImportError) else ""
        sys.exit(
            f"{' '.join(str(error).split())[:500] or type(error).__name__}{advice}"
        )
