"""What is missing on a machine is said in plain words."""

import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

import kit
from kit import samples, setup
from kit.__main__ import main
from tests.project import ROOT


def test_everything_is_in_place_here(capsys):
    assert main(["check"]) == 0
    printed = capsys.readouterr().out
    lines = printed.splitlines()[: len(setup.CHECKS)]
    assert [line.split()[:2] for line in lines] == [
        [name, "ok"] for name in setup.CHECKS
    ]
    assert re.search(r"ok  TensorFlow 2\.[\d.]+ starts\n", printed)
    assert "it predicts espresso for espresso.jpg\n" in printed
    assert "has anywidget and @jupyter-widgets/jupyterlab-manager\n" in printed
    assert "Everything is in place." in printed


def test_without_packages_each_line_says_what_to_do(tmp_path):
    venv.create(tmp_path, with_pip=False, symlinks=True)
    command = [tmp_path / "bin" / "python", "-m", "kit", "check"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (1, "")
    lines = {line.split()[0]: line for line in done.stdout.splitlines() if line.strip()}
    assert "run make clean lab" in lines["Python"]
    assert "No module named 'numpy': run make clean lab" in lines["Model"]
    assert "pip install psutil" in lines["Memory"]
    assert "Not ready yet: Python, Model." in done.stdout
    assert "Traceback" not in done.stdout


def test_an_old_and_a_missing_package_are_named(monkeypatch):
    def version(name):
        if name in {"h5py", "x"}:
            raise setup.metadata.PackageNotFoundError(name)
        return "0.1" if name == "keras" else "99rc1"

    required = ["h5py", "keras>=3", "numpy>=2", "x; extra == 'keras'"]
    monkeypatch.setattr(setup.metadata, "version", version)
    monkeypatch.setattr(setup.metadata, "requires", lambda _: required)
    with pytest.raises(ImportError, match="No package metadata was found for h5py"):
        setup.packages()
    required.remove("h5py")
    with pytest.raises(
        RuntimeError,
        match=(
            r"^Expected keras>=3, received 0\.1: run make clean lab, or install the kit again with "
            r"python -m pip install$"
        ),
    ):
        setup.packages()
    required[0] = "y>=1; python_version > '3'"
    assert setup.packages().endswith(" has all 2 packages")


def test_what_had_better_be_newer_is_advice_with_its_advisory(monkeypatch):
    host = [
        SimpleNamespace(name="keras", version="3.9.2"),
        SimpleNamespace(name="Pillow", version="12.2.0"),
    ]
    monkeypatch.setattr(setup.metadata, "distributions", lambda: host)
    assert setup.safety() == (
        "before you open files of strangers, update keras from 3.9.2 to 3.15.1 or later (CVE-2026-12480); "
        "pillow from 12.2.0 to 12.3 or later (CVE-2026-55379)"
    )
    host[:] = [SimpleNamespace(name="pillow", version="12.3.0")]
    assert setup.safety() == "newer than the advisories that the kit knows: pillow"


def test_a_front_end_that_jupyterlab_does_not_find_is_named(monkeypatch):
    monkeypatch.setattr(setup, "FRONT_ENDS", ("anywidget", "no-such-widget"))
    with pytest.raises(
        RuntimeError,
        match=(
            r"^JupyterLab 4\.\d+\.\d+ has no no-such-widget; run pip install --force-reinstall "
            r"anywidget ipywidgets$"
        ),
    ):
        setup.widgets()


def test_a_container_has_the_memory_that_it_is_limited_to(monkeypatch, tmp_path):
    machine = SimpleNamespace(total=64e9, available=3e9)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: machine)
    monkeypatch.setattr(setup, "Path", lambda path: tmp_path / Path(path).name)
    (tmp_path / "memory.current").write_text("6000000000\n")
    cores = f"cores: {os.cpu_count()}"
    for limit, figures in (
        ("max", "64.0 GB, 3.0 of them free"),
        ("8000000000", "8.0 GB, 2.0 of them free"),
    ):
        (tmp_path / "memory.max").write_text(f"{limit}\n")
        assert setup.memory() == f"{figures}; {cores}"
    (tmp_path / "memory.max").write_text("7500000000\n")
    advice = "2 GB must be free: close other programs, or use a hub"
    with pytest.raises(RuntimeError) as refused:
        setup.memory()
    assert str(refused.value) == f"7.5 GB, 1.5 of them free; {cores}; {advice}"


def test_another_prediction_of_the_bundled_network_is_said(monkeypatch):
    cup = SimpleNamespace(predict=lambda _: SimpleNamespace(label=["cup"]))
    monkeypatch.setattr(samples, "classifier", lambda _: cup)
    with pytest.raises(
        RuntimeError,
        match=r"^espresso\.jpg is cup here; unpack or clone the kit again$",
    ):
        setup.network()


def test_a_check_imports_nothing_that_lies_in_the_folder_at_hand(monkeypatch, tmp_path):
    (tmp_path / "packaging.py").write_text("raise SystemExit('not this one')")
    monkeypatch.chdir(tmp_path)
    assert setup._run_apart(setup.safety).returncode == 0


def test_a_check_that_ends_its_process_is_said(monkeypatch, capsys):
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    monkeypatch.setattr(setup, "CHECKS", {"TensorFlow": (setup.tensorflow, ())})
    assert repr(kit.check_setup()) == "Not ready yet: TensorFlow."
    assert capsys.readouterr().out == "TensorFlow   NO  Python ended with exit code 1\n"
    # Libraries print before the line that counts, which is on the standard error where a check fails.
    for code, line in (
        (0, "TensorFlow   ok  it starts\n"),
        (1, "TensorFlow   NO  no\n"),
    ):
        ended = subprocess.CompletedProcess(
            [], code, "first\nit starts\n", "first\nno\n"
        )
        monkeypatch.setattr(setup, "_run_apart", lambda _, ended=ended: ended)
        assert kit.check_setup().missing == ("TensorFlow",) * code
        assert capsys.readouterr().out == line
