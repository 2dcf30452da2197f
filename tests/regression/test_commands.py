"""``python -m kit pin | verify | compare``: what they print, and their exit codes."""

import json
import os
import re
import subprocess
import sys
from errno import ENOSPC
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from PIL import Image

import kit
from kit import samples
from kit.__main__ import main
from kit._bundled import DATA
from kit.regression import cases as folders
from tests.regression.conftest import edited

MODEL = str(DATA / "models" / "fashion_mnist.keras")
EARLY = str(DATA / "models" / "fashion_mnist_500.keras")
LITE = str(DATA / "models" / "efficientnet_lite0.keras")
CAT = str(DATA / "photographs" / "cat.jpg")


@pytest.fixture
def pinned(tmp_path, fashion, clothes):
    """A folder with three cases of clothes."""
    for photo in clothes[:3]:
        kit.pin(tmp_path / "cases", fashion, photo)
    return str(tmp_path / "cases")


def test_a_case_is_pinned_and_verified(tmp_path, classifier, capsys):
    cases = str(tmp_path / "cases")
    given = ["--cases", cases, "--note", "seen in the field"]
    assert main(["pin", LITE, CAT, "--expect", "Egyptian cat", *given]) == 0
    path, told = capsys.readouterr().out.rsplit(": ", 1)
    assert re.fullmatch(r"Egyptian cat, 0\.\d{3}, as expected\n", told)
    assert main(["pin", LITE, CAT, "--expect", "Egyptian cat", *given]) == 0
    again = f"{path}: {told[:-1]}, pinned already\n"
    assert capsys.readouterr().out == again
    case = folders.read_case(Path(path))
    assert (case.note, case.expected) == ("seen in the field", ("Egyptian cat",))
    assert main(["verify", LITE, cases, "--scaling", "lite"]) == 0
    assert "1 case of efficientnet_lite0: 1 passed." in capsys.readouterr().out
    assert main(["verify", LITE, cases, "--scaling", "0..1"]) == 1
    printed = capsys.readouterr()
    assert "the step 'scaling' differs" in printed.out
    assert printed.err.endswith("update=True, or --update.\n")
    assert main(["verify", LITE, cases, "--scaling", "0..255", "--update"]) == 1
    printed = capsys.readouterr()
    assert "not accepted, as the expected class does not hold" in printed.out
    assert "--update" not in printed.err
    Path(path).write_bytes(b"torn")
    assert main(["verify", LITE, cases]) == 1
    assert "--update" not in capsys.readouterr().err
    # A class can be expected by index, and need not be predicted yet.
    tiger = classifier.class_names.index("tiger cat")
    cases = str(tmp_path / "tigers")
    assert main(["pin", LITE, CAT, "--expect", str(tiger), "--cases", cases]) == 0
    assert "still failing" in capsys.readouterr().out
    (path,) = folders.case_files(cases)
    assert folders.read_case(path).expected == ("tiger cat",)
    assert main(["pin", LITE, CAT, "--cases", cases]) == 0
    assert capsys.readouterr().out.endswith("taken as the expected class\n")


def test_what_moved_gives_1_in_text_json_and_junit_until_it_is_accepted(
    tmp_path, pinned, fashion, capsys
):
    unscaled = fashion.preprocessing.replace(scaling="0..255")
    name = edited(pinned, expected=fashion.class_names, preprocessing=unscaled)
    assert main(["verify", MODEL, pinned, "--junit", str(tmp_path / "cases.xml")]) == 1
    assert f"{name} CHANGED" in capsys.readouterr().out
    suite = ET.parse(tmp_path / "cases.xml").getroot()  # noqa: S314 - our own
    assert (suite.get("tests"), suite.get("failures")) == ("3", "1")
    assert suite.find("testcase/failure/..").get("name") == name
    assert (
        main(["verify", MODEL, pinned, "--json", "--artefacts", str(tmp_path / "kept")])
        == 1
    )
    told = json.loads(capsys.readouterr().out)
    assert told["holds"] is False
    assert [
        (one["name"], one["step"]) for one in told["cases"] if one["state"] == "moved"
    ] == [(name, "scaling")]
    assert (tmp_path / "kept" / f"{name}.changed.png").is_file()
    assert main(["verify", MODEL, pinned, "--update"]) == 0
    assert "accepted: " in capsys.readouterr().out
    assert main(["verify", MODEL, pinned]) == 0
    missing = str(tmp_path / "misspelt")
    assert main(["verify", MODEL, missing, "--junit", str(tmp_path / "cases.xml")]) == 3
    assert not (tmp_path / "cases.xml").exists(), "a report is of the last run"


def test_a_report_takes_the_place_of_a_report_alone(tmp_path, pinned, capsys):
    photo = tmp_path / "cat.jpg"
    photo.touch()
    device = tmp_path / "null.xml"
    device.symlink_to(os.devnull)
    for command in (
        ("verify", MODEL, pinned, "--junit"),
        ("mistakes", MODEL, pinned, "--html"),
    ):
        for path in (photo, device, tmp_path):
            assert main([*command, str(path)]) == 3
            said = capsys.readouterr().err
            assert f"l file to write, received '{path}'; choose another name\n" in said
    assert photo.is_file()
    assert device.is_symlink()


def test_commands_print_any_name_in_any_encoding_and_import_nothing_at_hand(
    tmp_path, clothes
):
    photo = tmp_path / "漢.png"
    Image.fromarray(clothes[0].pixels).save(photo)
    (tmp_path / "numpy.py").write_text("raise SystemExit(9)", encoding="utf-8")
    for arguments in (["pin", MODEL, photo.name], ["verify", MODEL, "cases"]):
        done = subprocess.run(
            [sys.executable, "-m", "kit", *arguments],
            cwd=tmp_path,
            env=os.environ | {"PYTHONIOENCODING": "cp1252"},
            capture_output=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, b"")
        assert rb"\u6f22-" in done.stdout


@pytest.mark.parametrize(("fits", "name"), [(0, ".jpg"), (1, ".json")])
def test_a_full_disk_is_one_line_and_nothing_is_pinned(
    tmp_path, monkeypatch, capsys, fits, name
):
    command = ["pin", LITE, CAT, "--cases", str(tmp_path)]
    troubles = [KeyboardInterrupt(), OSError(ENOSPC, "No space left on device")]
    written = []

    def full(stream):
        written.append(stream)
        if len(written) > fits:
            written.clear()
            raise troubles.pop()

    monkeypatch.setattr(os, "fsync", full)
    assert main(command) == 3
    line = capsys.readouterr().err
    assert f"{name}', received: No space left on device; free space, or choose" in line
    assert (line.count("Expected"), line.count("\n")) == (1, 1)
    assert main(command) == 130, "interrupted"
    assert not [*tmp_path.rglob("*.json"), *tmp_path.rglob(".*")]


def test_two_models_are_compared_on_images_of_which_one_is_enough(
    tmp_path, fashion, clothes, capsys
):
    early = samples.classifier("fashion_mnist_500").predict(clothes[:50])
    changed = fashion.predict(clothes[:50]).changed(early)
    pictures = [str(tmp_path / name) for name in ("same.png", "other.png")]
    for path, place in zip(pictures, (changed.argmin(), changed.argmax()), strict=True):
        Image.fromarray(clothes[place].pixels).save(path)
    assert main(["compare", MODEL, MODEL, *pictures]) == 0
    assert f"0 of 2 predictions change from {MODEL} to" in capsys.readouterr().out
    names = f"{fashion.class_names[9]},{fashion.class_names[4]}"
    assert main(["compare", MODEL, EARLY, *pictures, "--labels", names]) == 1
    printed = capsys.readouterr().out
    assert f"1 of 2 predictions change from {MODEL} to {EARLY}" in printed
    assert "Correct: 100.0% before, 50.0% after" in printed


def run_notebook(folder):
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "--nbval",
        "--nbval-current-env",
        "check_cases.ipynb",
    ]
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("PYTEST")
    }
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env=environment,
    )
    return done.returncode, done.stdout


def test_the_notebook_of_the_lessons_turns_red_with_a_case_elsewhere_too(
    tmp_path, pinned, fashion
):
    notebook = DATA.parent / "notebooks" / "regression" / "check_cases.ipynb"
    text = notebook.read_text("utf-8").replace("efficientnet_lite0", "fashion_mnist")
    (tmp_path / notebook.name).write_text(text, "utf-8")
    edited(pinned, preprocessing=fashion.preprocessing.replace(layout="transposed"))
    code, told = run_notebook(tmp_path)
    assert code == 1
    assert "CasesMovedError" in told
    assert "1 failed, 1 passed" in told
