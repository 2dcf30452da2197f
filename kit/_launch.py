"""What ``make lab``, ``make test`` and the others do, with nothing but Python and pip on the machine.

Stands outside the rooms of the package: it imports none of them, because it runs before their packages are
installed.
"""

import errno
import hashlib
import os
import platform
import shutil
import socket
import subprocess
import sys
import venv
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent
VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"
FITS = (3, 11), (3, 14)
LOCK = "requirements.lock"
WHEELHOUSE = "wheelhouse"
FIRST_NOTEBOOK = "notebooks/00_explore.ipynb"
# How JupyterLab looks at first.
LAB = ROOT / "kit" / "workshop" / "jupyterlab"
FIRST_LAYOUT = "default-37a8.jupyterlab-workspace"
# Kernels and test processes inherit these; TensorFlow reads them once, when it is first imported.
VARIABLES = {"TF_CPP_MIN_LOG_LEVEL": "2", "KERAS_BACKEND": "tensorflow"}


# Other targets, which are modules of the kit.
MODULES = {
    "check": ["kit", "check"],
    "hand-in": ["kit", "hand-in", "notebooks"],
    "wheelhouse": ["kit.workshop.wheelhouse"],
}
TARGETS = ("lab", "test", "quick", "environment", *MODULES)


class LaunchError(Exception):
    """The one line that a person reads when a target cannot run."""


def fingerprint(root: Path) -> str:
    """Return a digest of all that decides what lies in the environment of `root`.

    Of ``pyproject.toml`` only the tables that an installation reads count, so that a changed lint rule does
    not cost two minutes.
    """
    import tomllib  # noqa: PLC0415 (an older Python is told that it is)

    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    tables = [project["build-system"], project["project"], project["tool"]["hatch"]]
    # An environment holds absolute paths, so one that was moved with its folder is made again.
    settings = repr((tables, str(root), sys.version_info[:2]))
    return hashlib.sha256((root / LOCK).read_bytes() + settings.encode()).hexdigest()


def interpreter(environment: Path) -> Path:
    """Return where an environment has its Python, there or not."""
    return environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def is_current(environment: Path) -> bool:
    """Tell whether an environment is whole and made from today's lock file, by the Python that runs this."""
    stamp = environment / "complete"
    if not (interpreter(environment).exists() and stamp.exists()):
        return False
    return stamp.read_text() == fingerprint(environment.parent)


def make_environment(environment: Path) -> Path:
    """Make an environment from the lock file beside it unless it is current, and return its Python.

    It is always made from nothing, so that a package that left the lock file does not linger, and the stamp
    is written last, so that an installation that was cut off is made again.
    """
    python, root = interpreter(environment), environment.parent
    if is_current(environment):
        return python
    if not FITS[0] <= sys.version_info[:2] < FITS[1]:
        raise LaunchError(
            f"Expected Python 3.11, 3.12 or 3.13, received {VERSION}; run this with one of those."
        )
    if sys.platform == "darwin" and platform.machine() == "x86_64":
        raise LaunchError("Expected Apple silicon, received an Intel Mac; TensorFlow has no package for it.")
    made = f"{environment.name} from {LOCK} with Python {VERSION}"
    print(f"Making {made}; once, about 2 GB, some minutes.", flush=True)
    venv.create(environment, clear=True, symlinks=os.name != "nt", with_pip=True)
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", *_offline(root)]
    for options in (
        ["--require-hashes", "--only-binary=:all:", "-r", LOCK],
        # Built by the locked hatchling: a build environment of its own would fetch packages without hashes.
        ["--no-deps", "--no-build-isolation", "-e", "."],
    ):
        if subprocess.call([*pip, *options], cwd=root):
            raise LaunchError(f"pip failed, see its message above; {_retry(root)}")
    (environment / "complete").write_text(fingerprint(root))
    return python


def _offline(root: Path) -> list[str]:
    """Return the options that let pip read the wheelhouse in place of a network; none without one."""
    return ["--no-index", f"--find-links={root / WHEELHOUSE}"] if (root / WHEELHOUSE).is_dir() else []


def _retry(root: Path) -> str:
    if _offline(root):
        return f"fill {WHEELHOUSE}/ for this machine (README, no network) or remove it, then run this again."
    return "run this again to retry."


def is_taken(host: str, port: int) -> bool:
    """Tell whether another program listens on `port` at one of the addresses of `host`."""
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror:
        return False
    for family, kind, protocol, _, address in addresses:
        with socket.socket(family, kind, protocol) as probe:
            if os.name == "posix":
                # As the server itself does; on Windows the same flag would let two programs share a port.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(address)
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    return True
    return False


def lab_command(python: Path, arguments: Sequence[str]) -> list[str]:
    """Return the command that opens JupyterLab on the first notebook, with `arguments` passed on to it."""
    parser = ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--port", "--ServerApp.port")
    parser.add_argument("--ip", "--ServerApp.ip", default="localhost")
    chosen, _ = parser.parse_known_args(arguments)
    command = [
        *(str(python), "-m", "jupyterlab"),
        f"--ServerApp.root_dir={ROOT}",
        # Not as a file to open, so that the address it prints leads there too.
        f"--LabApp.default_url=/lab/tree/{FIRST_NOTEBOOK}",
        # No question about news; a person's own settings come after these and stay where they are.
        f"--LabApp.app_settings_dir={LAB}",
        f"--LabApp.workspaces_dir={_workspaces(python)}",
    ]
    if chosen.port and chosen.port.isdecimal() and int(chosen.port):
        if is_taken("" if chosen.ip == "*" else chosen.ip, int(chosen.port)):
            raise LaunchError(
                f"Port {chosen.port} is taken; stop the program that uses it, or choose another: "
                'make lab LAB_ARGS="--port NUMBER"'
            )
        # Otherwise JupyterLab moves on to another port without a word.
        command.append("--ServerApp.port_retries=0")
    if os.name == "posix" and os.geteuid() == 0:
        # In a container there is nobody else to be.
        command.append("--allow-root")
    return [*command, *arguments]


def _workspaces(python: Path) -> Path:
    """Return where the layout of the page is kept: with the environment, the file browser folded at first."""
    folder = python.parents[1] / "share" / "jupyter" / "lab" / "workspaces"
    folder.mkdir(parents=True, exist_ok=True)
    if not any(folder.iterdir()):
        shutil.copy(LAB / FIRST_LAYOUT, folder)
    return folder


def run_lab(python: Path, arguments: Sequence[str]) -> NoReturn:
    """Open JupyterLab; does not return."""
    command = lab_command(python, arguments)
    if os.name == "posix":
        # Takes this process's place, so that Ctrl-C and signals reach the server and nothing in between.
        os.chdir(ROOT)
        os.execv(command[0], command)
    raise SystemExit(subprocess.call(command, cwd=ROOT))


# A file stays with one worker, as what it makes once does; each that opens TensorFlow takes about a gigabyte.
WORKERS = ("--numprocesses=auto", "--maxprocesses=4", "--dist=loadfile")


# What another release of Python or numpy breaks first, in a minute: no browser, no notebook, no training.
QUICK = (
    *("tests/images", "tests/perturbation", "tests/preprocessing", "tests/plots", "tests/test_checking.py"),
    *("tests/test_command_line.py", "tests/test_launch.py", "tests/test_samples.py"),
)


def run_tests(python: Path, arguments: Sequence[str], *, quick: bool = False) -> NoReturn:
    """Run every check to its end, then exit with 1 if one failed; `quick` is types and a few tests."""
    checks = {
        "ruff": ["ruff", "check", "."],
        "mypy": ["mypy", "--strict", "kit"],
        # What is left out is named with the reason, so that nobody takes it for tested.
        "pytest": ["pytest", "-rs", *WORKERS, *(QUICK if quick else ()), *arguments],
    }
    if quick:
        # It finds the same on every Python.
        del checks["ruff"]
    failed = []
    for name, command in checks.items():
        print(f"== {name} on Python {VERSION}", flush=True)
        if subprocess.call([python, "-m", *command], cwd=ROOT):
            failed.append(name)
    raise SystemExit(f"Failed: {', '.join(failed)}" if failed else 0)


def main(arguments: Sequence[str]) -> None:
    """Make the environment, then do what `arguments` ask for.

    All but ``quick`` use ``.venv``. That one uses an environment of this Python's own, and does
    nothing where this is the Python of ``.venv``, with which ``test`` runs every check.
    """
    action, *options = arguments or ("",)
    if action not in TARGETS:
        raise SystemExit(f"Expected one of {', '.join(TARGETS)}, received {action!r}")
    environment = ROOT / ".venv"
    if action == "quick":
        if is_current(environment):
            return
        environment = ROOT / f".venv-{VERSION}"
    os.environ.update({name: os.environ.get(name, value) for name, value in VARIABLES.items()})
    try:
        python = make_environment(environment)
        if action == "lab":
            run_lab(python, options)
        if action in {"test", "quick"}:
            run_tests(python, options, quick=action == "quick")
        if action in MODULES:
            raise SystemExit(subprocess.call([python, "-m", *MODULES[action], *options], cwd=ROOT))
    except LaunchError as error:
        raise SystemExit(str(error)) from None
    except KeyboardInterrupt:
        raise SystemExit("Stopped. An environment that is not complete is made again next time.") from None


if __name__ == "__main__":
    main(sys.argv[1:])
