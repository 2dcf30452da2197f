"""What travels in an sdist and in a wheel, and that an installed wheel does what a checkout does."""

import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from kit import Perturbation, samples
from kit.explorer import page
from tests.project import ROOT, tracked

BUILD = (sys.executable, "-m", "hatchling", "build", "-t")
NETWORK = ROOT / "data" / "models" / "efficientnet_lite0.keras"


def done(*command, cwd):
    """Run a program without what this environment adds to the path; it must not fail."""
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ended = subprocess.run(command, cwd=cwd, env=variables, capture_output=True, text=True, check=False)
    return ended.returncode, ended.stdout, ended.stderr


@pytest.fixture(scope="module")
def sdist(tmp_path_factory):
    """The sdist, unpacked."""
    folder = tmp_path_factory.mktemp("sdist")
    code, _, errors = done(*BUILD, "sdist", "-d", str(folder), cwd=ROOT)
    assert code == 0, errors
    (packed,) = folder.glob("*.tar.gz")
    with tarfile.open(packed) as archive:
        archive.extractall(folder, filter="data")
    return next(path for path in folder.iterdir() if path.is_dir())


@pytest.fixture(scope="module")
def wheel(sdist):
    """The wheel that is built from the sdist, as an index would have it built."""
    code, _, errors = done(*BUILD, "wheel", "-d", "dist", cwd=sdist)
    assert code == 0, errors
    return next((sdist / "dist").glob("*.whl"))


@pytest.fixture(scope="module")
def bare(wheel, tmp_path_factory):
    """The Python of an environment with the wheel, and with the packages that it needs as they are here."""
    folder = tmp_path_factory.mktemp("bare")
    assert done(sys.executable, "-m", "venv", "--without-pip", str(folder), cwd=folder)[0] == 0
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    install = ("install", "--quiet", "--no-index", "--no-deps", str(wheel))
    code, _, errors = done(sys.executable, "-m", "pip", "--python", str(python), *install, cwd=folder)
    assert code == 0, errors
    _, site, _ = done(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder)
    # A path in such a file is searched after the environment's own, and no such files in it are read.
    Path(site.strip(), "others.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    _, home, _ = done(python, "-c", "import kit; print(kit.__file__)", cwd=folder)
    assert Path(home.strip()).parent == Path(site.strip(), "kit")
    return str(python)


def test_the_sdist_has_every_file_of_the_repository(sdist):
    assert {path for path in tracked() if not (sdist / path).is_file()} == set()


def test_the_wheel_has_the_package_and_the_photographs_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if ".dist-info/" not in name]
    package = {path for path in tracked() if path.startswith("kit/")}
    photographs = {f"kit/{path}" for path in tracked() if path.startswith("data/photographs/")}
    assert len(names) == len(set(names))
    assert set(names) == package | photographs


def test_the_wheel_names_the_licence_of_everything_in_it(wheel):
    with zipfile.ZipFile(wheel) as archive:
        carried = [name for name in archive.namelist() if "/licenses/" in name]
    for name in ("LICENSE", "data/README.md", "data/licences/GPL-2.0.txt"):
        assert any(each.endswith(f"/licenses/{name}") for each in carried), name
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    named = set(project["license"].split(" AND "))
    index = json.loads((ROOT / "data" / "photographs" / "index.json").read_text("utf-8"))
    # What lies in the public domain has no licence; the code, a network and the class names have the others.
    photographs = {entry["licence"] for entry in index} - {"Public-Domain"}
    assert named == photographs | {"MIT", "Apache-2.0", "BSD-3-Clause"}


def test_a_diagnosis_is_the_same_from_a_wheel_and_from_a_checkout(bare, tmp_path, photos):
    panda = next(photo for photo in photos if photo.name == "panda.jpg")
    Image.fromarray(panda.pixels).save(tmp_path / "panda.png")
    Image.fromarray(Perturbation(brightness=0.12, noise=25).apply(panda).pixels).save(tmp_path / "dark.png")
    runs = [["diagnose", str(NETWORK), *rest] for rest in (["panda.png", "--scaling", "0..1"], ["dark.png"])]
    # Whoever asks a network is ended at once.
    offline = "sys.addaudithook(lambda event, _: event.startswith('socket.') and os._exit(9))"
    script = f"from kit.__main__ import main; print([main(run) for run in {runs}], kit.__file__)"
    outputs = [
        done(
            python,
            "-c",
            f"import os, sys; sys.path[:0] = {path}; {offline}; import kit; {script}",
            cwd=tmp_path,
        )
        for python, path in ((bare, []), (sys.executable, [str(ROOT)]))
    ]
    (installed, home), (expected, other) = (told.rsplit("] ", 1) for _, told, _ in outputs)
    assert installed == expected, outputs[0][2]
    assert Path(home) != Path(other)
    # Both kinds of probes took part: those of the pipeline, and those that a property is tried out on.
    assert "11 photographs of the kit decided" in installed
    assert "dark" in installed


def test_what_the_wheel_lacks_is_one_line(bare, tmp_path):
    script = "from kit import samples; samples.classifier('fashion_mnist')"
    told = done(bare, "-c", script, cwd=tmp_path)[2].splitlines()[-1]
    assert told.startswith("FileNotFoundError: Expected data/models/fashion_mnist.keras beside the package")
    assert "work in a checkout" in told


def test_the_photographs_of_a_wheel_are_those_of_a_checkout(bare, tmp_path):
    script = (
        "from kit import samples; print([samples.probes(), samples.typical(), samples.photos('special')])"
    )
    _, told, errors = done(bare, "-c", script, cwd=tmp_path)
    assert told.strip() == str([samples.probes(), samples.typical(), samples.photos("special")]), errors


def test_the_page_of_the_explorer_travels_in_the_wheel(bare, tmp_path):
    script = "import kit; import sys; sys.stdout.write(kit.Explorer._esm + kit.Explorer._css)"
    _, told, errors = done(bare, "-X", "utf8", "-c", script, cwd=tmp_path)
    assert told.strip() == (page.joined() + page.style()).strip(), errors


def test_regression_notebooks_run_with_the_plugin_of_the_wheel(bare, tmp_path):
    model = ROOT / "data" / "models" / "fashion_mnist.keras"
    picture = ROOT / "data" / "photographs" / "cat.jpg"
    pinned = ("-m", "kit", "pin", str(model), str(picture), "--cases", "regression/cases")
    written = ("-m", "kit", "new-regression", "regression", "--model", str(model))
    for command in (pinned, written):
        code, told, errors = done(bare, *command, cwd=tmp_path)
        assert code == 0, told + errors
    book = "regression/check_cases.ipynb"
    code, told, errors = done(bare, "-m", "pytest", "--nbval", "--kit", "-q", book, cwd=tmp_path)
    assert code == 0, told + errors
    assert (tmp_path / "kit-artefacts" / "check_cases.ipynb").is_file()


def test_the_plugin_and_the_version_are_those_of_the_wheel(bare, tmp_path):
    script = (
        "from importlib.metadata import entry_points, version; import kit;"
        "(each,) = entry_points(group='pytest11', name='kit');"
        "print(each.load().__file__.startswith(kit.__path__[0]), version(each.dist.name) == kit.__version__)"
    )
    assert done(bare, "-c", script, cwd=tmp_path)[1].split() == ["True", "True"]
