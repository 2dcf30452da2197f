"""``make lab`` and ``make test``: which Python, whether the environment is current, which port."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from kit import _launch

ROOT = Path(__file__).resolve().parent.parent
PROJECT = """
[build-system]
requires = []
[project]
name = "example"
dependencies = ["numpy>=2"]
[tool.hatch]
[tool.ruff]
line-length = 110
"""


@pytest.fixture
def root(tmp_path):
    """A project whose environment is complete."""
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    (tmp_path / "requirements.lock").write_text("numpy==2.4.6")
    python = _launch.interpreter(tmp_path)
    python.parent.mkdir(parents=True)
    python.touch()
    (tmp_path / ".venv" / "complete").write_text(_launch.fingerprint(tmp_path))
    return tmp_path


@pytest.fixture
def taken_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_complete_environment_is_used_as_it_is(root):
    assert _launch.make_environment(root) == _launch.interpreter(root)


def test_a_changed_lock_makes_the_environment_anew(root):
    (root / "requirements.lock").write_text("numpy==2.4.7")
    assert not _launch.is_current(root)


def test_a_changed_dependency_makes_the_environment_anew(root):
    (root / "pyproject.toml").write_text(PROJECT.replace("numpy>=2", "numpy>=3"))
    assert not _launch.is_current(root)


def test_a_changed_lint_rule_keeps_the_environment(root):
    (root / "pyproject.toml").write_text(PROJECT.replace("110", "100"))
    assert _launch.is_current(root)


def test_an_environment_that_was_cut_off_is_made_anew(root):
    (root / ".venv" / "complete").unlink()
    assert not _launch.is_current(root)


def test_an_environment_without_its_python_is_made_anew(root):
    _launch.interpreter(root).unlink()
    assert not _launch.is_current(root)


def test_an_environment_is_made_anew_after_a_move(root, tmp_path_factory):
    moved = shutil.move(root, tmp_path_factory.mktemp("elsewhere") / "project")
    assert not _launch.is_current(Path(moved))


def test_a_failed_installation_leaves_no_complete_environment(root, monkeypatch):
    (root / "requirements.lock").write_text("numpy==2.4.7")
    monkeypatch.setattr(_launch.venv, "create", lambda path, **_: (path / "complete").unlink())
    monkeypatch.setattr(_launch.subprocess, "call", lambda *_, **__: 1)
    with pytest.raises(_launch.LaunchError, match="pip failed"):
        _launch.make_environment(root)
    assert not _launch.is_current(root)


@pytest.mark.parametrize("spelling", [["--port", "{}"], ["--port={}"], ["--ServerApp.port={}"]])
def test_a_taken_port_is_one_line(taken_port, spelling):
    with pytest.raises(_launch.LaunchError, match=f"^Port {taken_port} is taken; .*$"):
        _launch.lab_command(Path("python"), [part.format(taken_port) for part in spelling])


def test_a_free_port_is_the_one_that_is_used(taken_port):
    with socket.create_server(("127.0.0.1", 0)) as server:
        free = server.getsockname()[1]
    command = _launch.lab_command(Path("python"), ["--no-browser", "--port", str(free)])
    assert command[-3:] == ["--no-browser", "--port", str(free)]
    assert "--ServerApp.port_retries=0" in command


def test_jupyterlab_opens_the_first_notebook():
    command = _launch.lab_command(Path("python"), [])
    assert "--LabApp.default_url=/lab/tree/notebooks/00_explore.ipynb" in command


def test_without_a_port_jupyterlab_looks_for_one():
    assert "--ServerApp.port_retries=0" not in _launch.lab_command(Path("python"), ["--no-browser"])


needs_make = pytest.mark.skipif(
    os.name == "nt" or not shutil.which("make"), reason="needs make and a Bourne shell"
)


def pretend(folder, name, version):
    """A Python on the path that takes itself for `version`, and prints what it was to run as a module."""
    program = folder / name
    fake = f"import sys; sys.version_info = {version}; exec(sys.argv.pop(1))"
    program.write_text(
        f'#!/bin/sh\n[ "$1" = -m ] && echo {name} "$@" && exit\nexec "{sys.executable}" -c \'{fake}\' "$2"\n'
    )
    program.chmod(0o755)


def make(folder, *arguments):
    """Run make on a copy of the Makefile, with the programs in `folder` before all others."""
    shutil.copy(ROOT / "Makefile", folder)
    inherited = {"MAKEFLAGS", "MAKELEVEL", "MFLAGS", "PYTHON", "LAB_ARGS", "TEST_ARGS"}
    variables = {name: value for name, value in os.environ.items() if name not in inherited}
    variables["PATH"] = f"{folder}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["make", *arguments], cwd=folder, env=variables, capture_output=True, text=True, check=False
    )


@needs_make
@pytest.mark.parametrize("version", [(3, 10, 14), (3, 14, 0), (2, 7, 18)])
def test_another_python_is_one_line(tmp_path, version):
    pretend(tmp_path, "unfit", version)
    done = make(tmp_path, "lab", "PYTHON=unfit")
    line, by_make = done.stderr.strip().splitlines()
    assert line.startswith("Expected Python 3.11, 3.12 or 3.13")
    assert "unfit ({}.{}.{})".format(*version) in line
    assert by_make.startswith("make: ***")
    assert done.stdout == ""


@needs_make
def test_the_first_python_that_fits_is_taken(tmp_path):
    pretend(tmp_path, "python3.13", (3, 9, 1))  # as a shim would be for a version that is not active
    pretend(tmp_path, "python3.12", (3, 12, 4))
    done = make(tmp_path, "lab", "LAB_ARGS=--no-browser --port 8890")
    assert done.stdout == "python3.12 -m kit._launch lab --no-browser --port 8890\n"


@needs_make
def test_the_python_that_made_the_environment_is_kept(tmp_path):
    pretend(tmp_path, "python3.13", (3, 13, 0))
    pretend(tmp_path, "older", (3, 11, 2))
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "pyvenv.cfg").write_text(f"home = /\nexecutable = {tmp_path / 'older'}\n")
    assert make(tmp_path, "test").stdout.startswith("older -m kit._launch test")


@needs_make
def test_the_python_that_is_asked_for_is_taken(tmp_path):
    pretend(tmp_path, "python3.13", (3, 13, 0))
    pretend(tmp_path, "python3.11", (3, 11, 2))
    assert make(tmp_path, "test", "PYTHON=python3.11").stdout.startswith("python3.11 -m kit._launch test")
