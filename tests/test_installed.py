"""An installed wheel has what it needs, and does what a checkout does."""

import json
import os
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path

import pytest
from PIL import Image

import kit
from kit import Perturbation, samples
from kit.explorer import page
from tests.project import ROOT, tracked

NETWORK = ROOT / "data" / "models" / "efficientnet_lite0.keras"


def done(*command, cwd):
    """Run a program without what this environment adds to the path; return what it printed."""
    variables = {
        name: value for name, value in os.environ.items() if name != "PYTHONPATH"
    }
    ended = subprocess.run(
        command, cwd=cwd, env=variables, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    done(
        sys.executable,
        "-m",
        "hatchling",
        "build",
        "-t",
        "wheel",
        "-d",
        str(folder),
        cwd=ROOT,
    )
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def bare(wheel, tmp_path_factory):
    """The Python of an environment with the wheel, and with the packages that it needs as they are here."""
    folder = tmp_path_factory.mktemp("bare")
    done(sys.executable, "-m", "venv", "--without-pip", str(folder), cwd=folder)
    python = str(folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
    install = ("install", "--quiet", "--no-index", "--no-deps", str(wheel))
    done(sys.executable, "-m", "pip", "--python", python, *install, cwd=folder)
    site = done(
        python,
        "-c",
        "import sysconfig; print(sysconfig.get_path('purelib'))",
        cwd=folder,
    )
    # A path in such a file is searched after the environment's own, and no such files in it are read.
    Path(site, "others.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    assert Path(
        done(python, "-c", "import kit; print(kit.__file__)", cwd=folder)
    ).parent == Path(site, "kit")
    return python


def test_the_wheel_has_the_package_and_the_photographs_with_their_licences_and_nothing_else(
    wheel,
):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    package = {path for path in tracked() if path.startswith("kit/")}
    photographs = {
        f"kit/{path}" for path in tracked() if path.startswith("data/photographs/")
    }
    assert {
        name for name in names if ".dist-info/" not in name
    } == package | photographs
    for name in ("LICENSE", "data/README.md", "data/licences/GPL-2.0.txt"):
        assert any(each.endswith(f"/licenses/{name}") for each in names), name
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    index = json.loads(
        (ROOT / "data" / "photographs" / "index.json").read_text("utf-8")
    )
    # What lies in the public domain has no licence; the code, a network and the class names have the others.
    licences = {entry["licence"] for entry in index} - {"Public-Domain"}
    others = {"MIT", "Apache-2.0", "BSD-3-Clause"}
    assert set(project["license"].split(" AND ")) == licences | others


def test_a_diagnosis_is_the_same_from_a_wheel_without_keras_and_without_a_network(
    bare, tmp_path, photos
):
    panda = next(photo for photo in photos if photo.name == "panda.jpg")
    Image.fromarray(Perturbation(brightness=0.12, noise=25).apply(panda).pixels).save(
        tmp_path / "dark.png"
    )
    # Whoever asks a network is ended at once.
    offline = (
        "sys.addaudithook(lambda event, _: event.startswith('socket.') and os._exit(9))"
    )
    script = f"from kit.__main__ import main; main(['diagnose', {str(NETWORK)!r}, 'dark.png'])"
    script += "; print('keras' in sys.modules, 'tensorflow' in sys.modules)"
    installed, expected = (
        done(
            python,
            "-c",
            f"import os, sys; sys.path[:0] = {path}; {offline}; {script}",
            cwd=tmp_path,
        )
        for python, path in ((bare, []), (sys.executable, [str(ROOT)]))
    )
    assert installed == expected
    assert "dark" in installed
    assert installed.endswith("\nFalse False")


def test_the_command_is_installed_and_says_its_version(bare, tmp_path):
    command = Path(bare).with_name("kit.exe" if os.name == "nt" else "kit")
    assert (
        done(str(command), "--version", cwd=tmp_path)
        == f"python -m kit {kit.__version__}"
    )


def test_the_page_of_the_explorer_and_the_special_photographs_travel_in_the_wheel(
    bare, tmp_path
):
    script = "import kit; print(kit.samples.photos('special')); print(kit.Explorer._esm + kit.Explorer._css)"
    shown = done(bare, "-X", "utf8", "-c", script, cwd=tmp_path)
    assert (
        shown
        == f"{samples.photos('special')}\n{page.joined()}{page.page_file('explorer.css')}".strip()
    )
