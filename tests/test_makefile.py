"""make: which Python it takes, when it makes the environment again, and what it then runs."""

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.project import ROOT

pytestmark = pytest.mark.skipif(not shutil.which("make"), reason="needs make")
# Writes down what it is asked to do, and makes an environment with a copy of itself as its Python.
PRETENDED = """#!/bin/sh
case "$*" in
"-c import sys, ensurepip"*) exit {unfit} ;;
"-c import sys; print"*) echo {version} ;;
"-m venv"*)
    for folder; do :; done
    cp "$0" copy; rm -rf "$folder"; mkdir -p "$folder/bin"; mv copy "$folder/bin/python"
    echo "command = {version} -m venv $PWD/$folder" > "$folder/pyvenv.cfg" ;;
"-c "*) ;;
"-m ruff"*) echo "$*" >> done; [ ! -e untidy ] ;;
*" freeze") cat frozen ;;
*" pip "*install*) echo "$*" >> done; [ ! -e broken ] ;;
*) echo "$*" >> done ;;
esac
"""
SOURCES = ("pyproject.toml", "requirements.lock")
OLDEST, HOST = "tests/oldest.txt", "tests/colab.txt"
LOCKED, KIT = "--require-hashes", "--no-build-isolation"


class Project:
    """A copy of what make reads, with pretended Pythons on the path."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "tests").mkdir()
        for name in ("Makefile", *SOURCES, OLDEST, HOST):
            shutil.copy(ROOT / name, folder / name)
        shutil.copytree(
            ROOT / "notebooks/.jupyterlab", folder / "notebooks/.jupyterlab"
        )

    def python(self, name, version, *, unfit=False):
        path = self.folder / name
        path.write_text(PRETENDED.format(version=version, unfit=int(unfit)))
        path.chmod(0o755)

    def make(self, *arguments):
        """What came of it, with what the environment's Python was asked to do."""
        variables = {"PATH": f"{self.folder}{os.pathsep}{os.environ['PATH']}"}
        (self.folder / "done").write_text("")
        how = {
            "cwd": self.folder,
            "env": variables,
            "capture_output": True,
            "text": True,
        }
        done = subprocess.run(["make", *arguments], check=False, **how)
        done.asked = (self.folder / "done").read_text().splitlines()
        return done

    def changed(self, name):
        """Make a file newer than what was made from it."""
        stamps = [
            *(self.folder / ".venv").glob("packages-*"),
            self.folder / ".venv" / "ready",
        ]
        for path, seconds in {
            **dict.fromkeys(SOURCES, 60),
            **dict.fromkeys(stamps, 30),
            name: 0,
        }.items():
            os.utime(self.folder / path, (time.time() - seconds,) * 2)


@pytest.fixture
def project(tmp_path):
    (tmp_path / "project").mkdir()
    one = Project(tmp_path / "project")
    one.python("python3.13", "3.13")
    return one


@pytest.fixture
def ready(project):
    """The same with an environment, made of locked packages first and the kit then."""
    first, second = project.make("environment").asked
    assert LOCKED in first
    assert KIT in second
    return project


def test_the_environment_is_made_again_only_for_another_lock_another_folder_or_without_its_python(
    ready,
):
    assert ready.make("environment").asked == []
    ready.changed("pyproject.toml")
    (asked,) = ready.make("environment").asked
    assert KIT in asked
    ready.changed("requirements.lock")
    assert len(ready.make("environment").asked) == 2
    (ready.folder / ".venv" / "bin" / "python").unlink()
    assert len(ready.make("environment").asked) == 2
    ready.folder = ready.folder.rename(ready.folder.with_name("moved"))
    assert len(ready.make("environment").asked) == 2


def test_an_installation_that_failed_is_tried_again(project):
    (project.folder / "broken").touch()
    done = project.make("test")
    assert (done.returncode, len(done.asked)) == (2, 1)
    (project.folder / "broken").unlink()
    assert len(project.make("environment").asked) == 2


def test_the_first_python_that_fits_is_kept_until_another_is_asked_for(project):
    project.python("python3.13", "3.13", unfit=True)
    project.python("python3.12", "3.12")
    assert len(project.make("environment").asked) == 2
    assert (project.folder / ".venv" / "packages-3.12").exists()
    project.python("python3.13", "3.13")
    assert project.make("environment").asked == []
    assert len(project.make("environment", "PYTHON=python3.13").asked) == 2
    assert (project.folder / ".venv" / "packages-3.13").exists()


def test_a_python_that_does_not_fit_is_one_line(project):
    project.python("unfit", "3.10", unfit=True)
    done = project.make("lab", "PYTHON=unfit")
    (line,) = (
        line for line in done.stderr.splitlines() if not line.startswith("make: ")
    )
    assert line.startswith("Expected Python 3.11, 3.12 or 3.13 with venv")
    assert done.asked == []


def test_pythons_and_quick_tests_are_those_of_the_project():
    makefile = (ROOT / "Makefile").read_text("utf-8").replace("\\\n", "")
    assert "(3, 11) <= sys.version_info < (3, 14)" in makefile
    assert 'requires-python = ">=3.11,<3.14"' in (ROOT / "pyproject.toml").read_text(
        "utf-8"
    )
    quick = re.search(r"^QUICK = (.*)$", makefile, re.MULTILINE)[1].split()
    assert [path for path in quick if not (ROOT / path).exists()] == []


def test_every_check_runs_even_if_one_before_it_fails(ready):
    (ready.folder / "untidy").touch()
    done = ready.make("test", "TEST_ARGS=-k one")
    assert done.returncode
    assert [asked.split()[1] for asked in done.asked] == ["ruff", "mypy", "pytest"]
    assert done.asked[-1].endswith(" -k one")


def test_the_oldest_and_the_newest_other_python_run_types_and_quick_tests(ready):
    ready.python("python3.11", "3.11")
    asked = ready.make("test-others").asked
    assert [each.split()[1] for each in asked] == ["pip", "pip", "mypy", "pytest"]
    ready.python("python3.11", "3.11", unfit=True)
    done = ready.make("test-others")
    assert (done.returncode, done.asked) == (0, [])
    assert done.stdout.startswith("Left out: python3.11 is not here")


def test_quick_tests_run_on_the_oldest_packages(project):
    project.python("python3.11", "3.11")
    packages, kit, tests = project.make("test-oldest").asked
    assert packages.endswith(f" -r {OLDEST}")
    assert KIT in kit
    assert " tests/images " in tests
    assert (project.folder / ".venv-oldest" / "packages-3.11").exists()


def test_beside_what_a_host_has_the_kit_replaces_nothing_or_is_not_tested(project):
    pins = (ROOT / HOST).read_text("utf-8").replace("numpy==2.1.3", "numpy==2.4.6")
    (project.folder / "frozen").write_text(pins)
    done = project.make("test-hosted")
    assert done.returncode
    assert "numpy==2.1.3" in done.stdout.splitlines()
    assert "Expected the packages above as they were" in done.stderr
    assert not any(" pytest " in asked for asked in done.asked)
    shutil.copy(ROOT / HOST, project.folder / "frozen")
    kit, tools, tests = project.make("test-hosted").asked
    assert kit.endswith("install --quiet -e .")
    assert f"--constraint {HOST}" in tools
    assert " tests/images " in tests


def test_jupyterlab_opens_the_first_notebook_in_the_layout_beside_the_environment(
    ready,
):
    (asked,) = ready.make("lab", "LAB_ARGS=--no-browser --port 8890").asked
    assert "--LabApp.default_url=/lab/tree/notebooks/00_explore.ipynb" in asked
    assert asked.endswith("--no-browser --port 8890")
    folder = Path(re.search(r"workspaces_dir=(\S+)", asked)[1])
    assert [path.name for path in folder.iterdir()] == [
        "default-37a8.jupyterlab-workspace"
    ]
    assert (folder.parent / "settings" / "overrides.json").exists()


def test_other_targets_run_in_the_environment_and_a_wheelhouse_takes_the_place_of_the_network(
    project,
):
    (project.folder / "wheelhouse").mkdir()
    locked, _, checked = project.make("check-setup").asked
    assert "--no-index --find-links=wheelhouse" in locked
    assert checked == "-m kit check"
    for target, script in (("exercises", "derive.py"), ("site", "publish.py")):
        assert project.make(target).asked == [f"notebooks/solutions/{script}"]
    assert project.make("wheel").asked == ["-m hatchling build -t wheel"]
    (asked,) = project.make("wheelhouse").asked
    assert " download --require-hashes " in asked
