"""What is missing on a machine is told in plain words."""

import shutil
import subprocess
import sys
import tomllib
import venv

import pytest
from packaging.requirements import Requirement

import kit
from kit.__main__ import main
from kit.workshop import setup
from tests.project import ROOT


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """An environment with none of the packages."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, with_pip=False, symlinks=True)
    return folder


def check(environment):
    """Exit code and output of the check in an environment."""
    command = [environment / "bin" / "python", "-m", "kit", "check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    lines = {line.split()[0]: line for line in done.stdout.splitlines() if line.strip()}
    return done.returncode, lines, done.stdout


def test_everything_is_in_place_here(capsys):
    assert main(["check"]) == 0
    told = capsys.readouterr().out
    assert [line.split()[:2] for line in told.splitlines()[:6]] == [[name, "ok"] for name in setup.CHECKS]
    assert "TensorFlow 2." in told
    assert "ms: espresso" in told
    assert "Everything is in place." in told


def test_without_packages_each_line_says_what_to_do(bare):
    code, lines, told = check(bare)
    assert code == 1
    assert "the kit is not installed for it: run make clean lab" in lines["Python"]
    assert "No module named 'tensorflow': run make clean lab" in lines["TensorFlow"]
    assert "No module named 'jupyterlab'" in lines["Widgets"]
    assert "Not ready yet: Python, Packages, Widgets, TensorFlow, Network, Memory." in told
    assert "Traceback" not in told


def test_an_old_and_a_missing_package_are_named(bare, monkeypatch):
    versions = {"keras": "0.1", setup.NAME: kit.__version__}

    def version(name):
        if name == "h5py":
            raise setup.metadata.PackageNotFoundError
        return versions.get(name, "99")

    monkeypatch.setattr(setup.metadata, "version", version)
    with pytest.raises(
        setup.NotReadyError, match=r"^h5py is missing; keras is 0.1, expected >=3.15.1: run make clean"
    ):
        setup.packages()


def test_another_python_is_told_what_is_expected(monkeypatch):
    monkeypatch.setattr(setup.platform, "python_version", lambda: "3.10.13")
    with pytest.raises(setup.NotReadyError, match=r"^3.10.13 on .*, expected <3.14,>=3.11; install"):
        setup.python()


def test_a_front_end_that_jupyterlab_does_not_find_is_named(monkeypatch):
    monkeypatch.setattr(setup, "FRONT_ENDS", ("anywidget", "no-such-widget"))
    with pytest.raises(setup.NotReadyError, match=r"^JupyterLab 4\.\d+\.\d+ has no no-such-widget; where"):
        setup.widgets()


def test_too_little_memory_is_told(monkeypatch):
    monkeypatch.setattr(setup, "MEMORY", 1e6)
    with pytest.raises(setup.NotReadyError, match=r"GB, .* of them free; cores: \d+; 1e\+06 GB must be free"):
        setup.memory()


def test_a_check_that_ends_its_process_is_told(monkeypatch, capsys):
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    monkeypatch.setattr(setup, "CHECKS", {"TensorFlow": setup.tensorflow})
    found = kit.check_setup()
    assert repr(found) == "Not ready yet: TensorFlow."
    assert capsys.readouterr().out == "TensorFlow   NO  Python ended without a word (exit code 1)\n"


def test_a_checkout_is_held_against_its_own_floors(monkeypatch):
    monkeypatch.setattr(setup.metadata, "requires", lambda _name: ["numpy>=2"])
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = [Requirement(text) for text in project["dependencies"]]
    number = sum(each.marker is None or each.marker.evaluate() for each in needed)
    monkeypatch.setattr(setup.metadata, "version", lambda _name: "99")
    assert setup.packages() == f"all {number} are there and new enough"


def test_the_text_has_every_line_and_the_outcome():
    checks = (
        setup.Check("Python", holds=True, told="3.13.0"),
        setup.Check("Memory", holds=False, told="1 GB"),
    )
    found = setup.Setup(checks)
    assert found.text() == "Python       ok  3.13.0\nMemory       NO  1 GB\nNot ready yet: Memory."


def test_nobody_waits_for_the_import_of_the_kit():
    code = "import sys, kit.workshop.setup; print({'numpy', 'psutil', 'packaging'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
