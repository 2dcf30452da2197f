"""``make lab`` and both ``make test``: which Python, which environment, whether it is current, which port."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tomllib
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


def complete(environment):
    """Make what looks like an environment that was made by this Python."""
    python = _launch.interpreter(environment)
    python.parent.mkdir(parents=True)
    python.touch()
    (environment / "complete").write_text(_launch.fingerprint(environment.parent))
    return environment


@pytest.fixture
def environment(tmp_path):
    """The environment of a project, which is complete."""
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    (tmp_path / "requirements.lock").write_text("numpy==2.4.6")
    return complete(tmp_path / ".venv")


@pytest.fixture
def taken_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_complete_environment_is_used_as_it_is(environment):
    assert _launch.make_environment(environment) == _launch.interpreter(environment)


def test_a_changed_lock_makes_the_environment_anew(environment):
    (environment.parent / "requirements.lock").write_text("numpy==2.4.7")
    assert not _launch.is_current(environment)


def test_a_changed_dependency_makes_the_environment_anew(environment):
    (environment.parent / "pyproject.toml").write_text(PROJECT.replace("numpy>=2", "numpy>=3"))
    assert not _launch.is_current(environment)


def test_a_changed_lint_rule_keeps_the_environment(environment):
    (environment.parent / "pyproject.toml").write_text(PROJECT.replace("110", "100"))
    assert _launch.is_current(environment)


def test_an_environment_that_was_cut_off_is_made_anew(environment):
    (environment / "complete").unlink()
    assert not _launch.is_current(environment)


def test_an_environment_without_its_python_is_made_anew(environment):
    _launch.interpreter(environment).unlink()
    assert not _launch.is_current(environment)


def test_an_environment_is_made_anew_after_a_move(environment, tmp_path_factory):
    moved = shutil.move(environment.parent, tmp_path_factory.mktemp("elsewhere") / "project")
    assert not _launch.is_current(Path(moved) / ".venv")


def test_a_failed_installation_leaves_no_complete_environment(environment, monkeypatch):
    (environment.parent / "requirements.lock").write_text("numpy==2.4.7")
    monkeypatch.setattr(_launch.venv, "create", lambda path, **_: (path / "complete").unlink())
    monkeypatch.setattr(_launch.subprocess, "call", lambda *_, **__: 1)
    with pytest.raises(_launch.LaunchError, match="pip failed"):
        _launch.make_environment(environment)
    assert not _launch.is_current(environment)


@pytest.mark.parametrize("offline", [True, False])
def test_a_wheelhouse_takes_the_place_of_the_network(environment, monkeypatch, offline):
    (environment / "complete").unlink()
    wheelhouse = environment.parent / "wheelhouse"
    commands = []
    monkeypatch.setattr(_launch.venv, "create", lambda *_, **__: None)
    monkeypatch.setattr(_launch.subprocess, "call", lambda command, **_: commands.append(command))
    if offline:
        wheelhouse.mkdir()
    _launch.make_environment(environment)
    options = {"--no-index", f"--find-links={wheelhouse}"}
    assert [options & set(command) for command in commands] == [options if offline else set()] * 2
    assert "--require-hashes" in commands[0]


def test_a_wheelhouse_for_another_machine_is_told(environment, monkeypatch):
    (environment / "complete").unlink()
    (environment.parent / "wheelhouse").mkdir()
    monkeypatch.setattr(_launch.venv, "create", lambda *_, **__: None)
    monkeypatch.setattr(_launch.subprocess, "call", lambda *_, **__: 1)
    with pytest.raises(_launch.LaunchError, match="fill wheelhouse/ for this machine"):
        _launch.make_environment(environment)


def test_a_python_that_does_not_fit_is_told(environment, monkeypatch):
    (environment / "complete").unlink()
    monkeypatch.setattr(_launch, "FITS", ((3, 98), (3, 99)))
    with pytest.raises(_launch.LaunchError, match=r"^Expected Python 3.11, 3.12 or 3.13, received 3\.\d+;"):
        _launch.make_environment(environment)


def test_the_pythons_that_fit_are_those_of_the_project():
    lowest, above = (".".join(map(str, version)) for version in _launch.FITS)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["requires-python"] == f">={lowest},<{above}"


@pytest.fixture
def called(environment, monkeypatch):
    """The commands that the launcher runs in the project."""
    commands = []
    monkeypatch.setattr(_launch, "ROOT", environment.parent)
    monkeypatch.setattr(_launch.subprocess, "call", lambda command, **_: commands.append(list(command)))
    return commands


def test_every_check_runs_in_the_environment_of_the_project(called, environment):
    with pytest.raises(SystemExit, match=r"^0$"):
        _launch.main(["test", "-k", "brightness"])
    assert {command[0] for command in called} == {_launch.interpreter(environment)}
    assert [command[2] for command in called] == ["ruff", "mypy", "pytest"]
    assert called[-1][-2:] == ["-k", "brightness"]
    assert not set(_launch.QUICK) & set(called[-1])


def test_another_python_runs_types_and_quick_tests_in_an_environment_of_its_own(called, environment):
    (environment / "complete").write_text("made by another Python")
    own = complete(environment.with_name(".venv-{}.{}".format(*sys.version_info)))
    with pytest.raises(SystemExit, match=r"^0$"):
        _launch.main(["quick", "-x"])
    assert {command[0] for command in called} == {_launch.interpreter(own)}
    assert [command[2] for command in called] == ["mypy", "pytest"]
    assert called[-1][-len(_launch.QUICK) - 1 :] == [*_launch.QUICK, "-x"]
    assert (environment / "complete").read_text() == "made by another Python"


def test_the_python_that_runs_every_check_does_not_run_the_quick_ones_again(called):
    _launch.main(["quick"])
    assert called == []


def test_a_check_that_fails_is_named_after_all_have_run(called, monkeypatch):
    monkeypatch.setattr(
        _launch.subprocess, "call", lambda command, **_: called.append(command) or command[2] == "mypy"
    )
    with pytest.raises(SystemExit, match=r"^Failed: mypy$"):
        _launch.main(["test"])
    assert len(called) == 3


def test_the_quick_tests_are_there():
    assert [path for path in _launch.QUICK if not (ROOT / path).exists()] == []


@pytest.fixture
def python(tmp_path):
    """Where an environment would have its Python."""
    return _launch.interpreter(tmp_path / ".venv")


@pytest.mark.parametrize("spelling", [["--port", "{}"], ["--port={}"], ["--ServerApp.port={}"]])
def test_a_taken_port_is_one_line(python, taken_port, spelling):
    with pytest.raises(_launch.LaunchError, match=f"^Port {taken_port} is taken; .*$"):
        _launch.lab_command(python, [part.format(taken_port) for part in spelling])


def test_a_free_port_is_the_one_that_is_used(python, taken_port):
    with socket.create_server(("127.0.0.1", 0)) as server:
        free = server.getsockname()[1]
    command = _launch.lab_command(python, ["--no-browser", "--port", str(free)])
    assert command[-3:] == ["--no-browser", "--port", str(free)]
    assert "--ServerApp.port_retries=0" in command


def test_jupyterlab_opens_the_first_notebook(python):
    command = _launch.lab_command(python, [])
    assert "--LabApp.default_url=/lab/tree/notebooks/00_explore.ipynb" in command


def test_without_a_port_jupyterlab_looks_for_one(python):
    assert "--ServerApp.port_retries=0" not in _launch.lab_command(python, ["--no-browser"])


def test_the_page_is_folded_at_first_and_then_as_a_person_left_it(python):
    _launch.lab_command(python, [])
    (layout,) = (python.parents[1] / "share" / "jupyter" / "lab" / "workspaces").iterdir()
    assert json.loads(layout.read_text())["data"]["layout-restorer:data"]["left"]["collapsed"]
    layout.write_text("as left")
    _launch.lab_command(python, [])
    assert layout.read_text() == "as left"


@pytest.mark.parametrize("arguments", [[], ["chek"]])
def test_a_target_that_is_none_is_one_line_and_makes_no_environment(called, arguments):
    with pytest.raises(
        SystemExit, match=r"^Expected one of lab, test, quick, environment, check, hand-in, wheel"
    ):
        _launch.main(arguments)
    assert called == []


def test_other_targets_run_in_the_environment_of_the_project(called, environment):
    with pytest.raises(SystemExit):
        _launch.main(["check"])
    with pytest.raises(SystemExit):
        _launch.main(["hand-in"])
    with pytest.raises(SystemExit):
        _launch.main(["wheelhouse", "--platform=mac"])
    python = _launch.interpreter(environment)
    assert called == [
        [python, "-m", "kit", "check"],
        [python, "-m", "kit", "hand-in", "notebooks"],
        [python, "-m", "kit.workshop.wheelhouse", "--platform=mac"],
    ]


needs_make = pytest.mark.skipif(
    os.name == "nt" or not shutil.which("make"), reason="needs make and a Bourne shell"
)


def pretend(folder, name, version, status=0):
    """A Python on the path that takes itself for `version`, and prints what it was to run as a module."""
    program = folder / name
    fake = f"import sys; sys.version_info = {version}; exec(sys.argv.pop(1))"
    answer = f'[ "$1" = -m ] && echo {name} "$@" && exit {status}'
    program.write_text(f'#!/bin/sh\n{answer}\nexec "{sys.executable}" -c \'{fake}\' "$2"\n')
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
def test_other_machines_are_named_to_the_wheelhouse(tmp_path):
    pretend(tmp_path, "python3.13", (3, 13, 0))
    done = make(tmp_path, "wheelhouse", "PLATFORMS=linux mac", "PYTHONS=3.12")
    named = "--platform=linux --platform=mac --python=3.12"
    assert done.stdout == f"python3.13 -m kit._launch wheelhouse {named}\n"


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


@needs_make
def test_other_pythons_that_are_here_are_tried_to_the_last_and_the_rest_is_named(tmp_path):
    pretend(tmp_path, "python3.13", (3, 13, 0), status=1)
    pretend(tmp_path, "python3.12", (3, 9, 1))
    pretend(tmp_path, "python3.11", (3, 11, 2))
    done = make(tmp_path, "test-others", "TEST_ARGS=-k brightness")
    assert done.stdout.splitlines() == [
        "python3.13 -m kit._launch quick -k brightness",
        "Left out: python3.12 is not here, or has no venv.",
        "python3.11 -m kit._launch quick -k brightness",
    ]
    assert done.returncode != 0


@needs_make
def test_one_python_is_enough(tmp_path):
    for name in ("python3.12", "python3.11"):
        pretend(tmp_path, name, (3, 9, 1))
    pretend(tmp_path, "python3.13", (3, 13, 0))
    assert make(tmp_path, "test-others").returncode == 0
