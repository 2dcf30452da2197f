"""An installed wheel does what a checkout does; what it leaves to an extra, it says."""

import json
import os
import re
import subprocess
import sys
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import kit
from kit.classifier import store
from tests.project import ROOT, code, tracked
from tests.test_project import PROJECT

NETWORK = ROOT / "data" / "models" / "efficientnet_lite0.keras"


def ended(*command, cwd):
    """What came of a program without what this environment adds to the path."""
    variables = {
        name: value for name, value in os.environ.items() if name != "PYTHONPATH"
    }
    return subprocess.run(
        command, cwd=cwd, env=variables, capture_output=True, text=True, check=False
    )


def done(*command, cwd):
    """What a program printed that ended well."""
    process = ended(*command, cwd=cwd)
    assert process.returncode == 0, process.stderr
    return process.stdout.strip()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    build = ("build", "-t", "wheel", "-d", str(folder))
    done(sys.executable, "-m", "hatchling", *build, cwd=ROOT)
    return next(folder.glob("*.whl"))


def brought_by(lines):
    """The distributions that requirements bring, by name, with what these bring."""
    found = {}
    pending = [Requirement(line) for line in lines]
    while pending:
        wanted = pending.pop()
        here = wanted.marker is None or wanted.marker.evaluate({"extra": ""})
        if here and wanted.name not in found:
            found[wanted.name] = distribution(wanted.name)
            pending += map(Requirement, found[wanted.name].requires or [])
    return found


@pytest.fixture(scope="module")
def bare(wheel, tmp_path_factory):
    """The Python of an environment with the wheel and the packages that it asks for, as they are here."""
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
    packages = brought_by(PROJECT["project"]["dependencies"]).values()
    tops = {
        package.locate_file(file.parts[0])
        for package in packages
        for file in package.files
    }
    for top in tops:
        if top.name not in {"..", "__pycache__"}:
            Path(site, top.name).symlink_to(top)
    assert Path(
        done(python, "-c", "import kit; print(kit.__file__)", cwd=folder)
    ).parent == Path(site, "kit")
    return python


def test_the_wheel_has_package_models_images_and_lessons_with_their_licences_and_no_answers(
    wheel,
):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    package = {path for path in tracked() if path.startswith("kit/")}
    beside = r"data/(fashion_mnist|models|photographs)/.*|notebooks/(\w+\.(ipynb|py)|regression/.*)"
    bundled = {f"kit/{path}" for path in tracked() if re.fullmatch(beside, path)}
    assert {name for name in names if ".dist-info/" not in name} == package | bundled
    for name in ("LICENSE", "data/README.md", "data/licences/GPL-2.0.txt"):
        assert any(each.endswith(f"/licenses/{name}") for each in names), name
    index = json.loads(
        (ROOT / "data" / "photographs" / "index.json").read_text("utf-8")
    )
    # What lies in the public domain has no licence; the code, a network and the class names have the others.
    licences = {entry["licence"] for entry in index} - {"Public-Domain"}
    others = {"MIT", "Apache-2.0", "BSD-3-Clause"}
    assert set(PROJECT["project"]["license"].split(" AND ")) == licences | others


def test_the_command_is_installed_and_says_its_version(bare, tmp_path):
    command = Path(bare).with_name("kit.exe" if os.name == "nt" else "kit")
    assert (
        done(str(command), "--version", cwd=tmp_path)
        == f"python -m kit {kit.__version__}"
    )


LIGHT = """
import os, sys
# Whoever asks a network is ended at once.
sys.addaudithook(lambda event, _: event.startswith("socket.") and os._exit(9))
import kit
from kit import samples

classifier = samples.classifier("fashion_mnist")
photos, labels = samples.photos("fashion_mnist")[:4], samples.labels("fashion_mnist")[:4]
explorer = kit.Explorer(classifier, photos)
explorer.settings = {"brightness": 0.1}
print(explorer.prediction.label)
twice = classifier.preprocessing.replace(scaling=("0..1", "0..1"))
print(kit.diagnose(classifier.using(twice), photos, labels))
print(kit.sweep(classifier, photos, {"noise": [0, 30]}, progress=False))
print(kit.mistakes(classifier, photos, labels, progress=False).accuracy)
classifier.save("model.tflite")
saved = kit.Classifier.load("model.tflite")
kit.pin("cases", saved, photos[0])
print(kit.check_cases("cases", saved, progress=False).holds)
print("keras" in sys.modules, "tensorflow" in sys.modules)
"""


def test_explorer_diagnosis_sweep_mistakes_and_cases_need_no_extra_and_no_network(
    bare, tmp_path
):
    here = Path(sys.executable).with_name("python")
    installed = done(bare, "-c", LIGHT, cwd=tmp_path)
    assert "double_scaling" in installed
    assert installed.endswith("True\nFalse False")
    (tmp_path / "here").mkdir()
    assert installed == done(str(here), "-c", LIGHT, cwd=tmp_path / "here")


KERAS = '"classifier-investigation-kit[keras]"'
NEEDS = {
    "kit.Classifier.load('plain.keras')": KERAS,
    "kit.import_h5('none.h5', 'new.keras')": KERAS,
    "kit.adapt(classifier, 'none.jpg')": KERAS,
    "kit.validation.train('none.jpg', [0], None, (), epochs=1)": KERAS,
    "kit.plots.image_figure([('', classifier.tensor(photo)[0])])": "matplotlib",
}
"""What needs an extra, with files that are not there: it is asked for before any is opened."""


def test_what_needs_an_extra_says_so_before_it_begins(bare, tmp_path):
    network = NETWORK.with_name("fashion_mnist.keras")
    config = store.read_model(network).config() | {"name": "unknown"}
    with (
        zipfile.ZipFile(network) as old,
        zipfile.ZipFile(tmp_path / "plain.keras", "w") as new,
    ):
        new.writestr("config.json", json.dumps(config))
        new.writestr("model.weights.h5", old.read("model.weights.h5"))
    script = f"""
import kit
classifier, photo = kit.samples.classifier("fashion_mnist"), kit.samples.photo("cat.jpg")
for call in {list(NEEDS)}:
    try:
        eval(call)
    except ModuleNotFoundError as error:
        print(error)
"""
    lines = done(bare, "-c", script, cwd=tmp_path).splitlines()
    for line, package in zip(lines, NEEDS.values(), strict=True):
        assert re.match(
            rf"Expected \w+, received none; python -m pip install {re.escape(package)}",
            line,
        )


def test_the_check_of_a_light_installation_holds_and_says_what_would_be_added(
    bare, tmp_path
):
    printed = done(bare, "-m", "kit", "check", cwd=tmp_path)
    assert re.search(r"^Widgets +--  .*\[lab\]", printed, re.MULTILINE)
    assert re.search(r"^TensorFlow +--  .*\[keras\]", printed, re.MULTILINE)
    advice = "\nWhat is installed is in place; not installed: Widgets, TensorFlow."
    assert printed.endswith(advice)


def test_lessons_are_copied_out_and_run_there(bare, tmp_path):
    begin = done(bare, "-m", "kit", "lessons", "my lessons", cwd=tmp_path)
    assert begin.endswith(" 'my lessons/00_explore.ipynb'")
    folder = tmp_path / "my lessons"
    names = {path.name for path in folder.iterdir()}
    notebooks = {path.name for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert names == notebooks | {"exercises.py", "regression"}
    for name in ("06_keep_it_fixed.ipynb", "regression/check_cases.ipynb"):
        file = folder / name
        done(bare, "-c", code(file), cwd=file.parent)
    without_figures = ended(bare, "-c", "import exercises", cwd=folder)
    assert without_figures.stderr.splitlines()[-1].endswith("pip install matplotlib")
    (tmp_path / "mine").mkdir()
    refused = ended(bare, "-m", "kit", "lessons", "mine", cwd=tmp_path)
    assert (refused.returncode, refused.stderr.count("\n")) == (3, 1)
    assert not list((tmp_path / "mine").iterdir())
