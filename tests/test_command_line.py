"""``python -m kit diagnose``: what it prints, and its exit codes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from kit import Preprocessing, samples
from kit.__main__ import main

DATA = Path(__file__).parents[1] / "data"
MODEL = str(DATA / "models" / "efficientnet_lite0.keras")
NAMES = ("cat.jpg", "otter.jpg", "koala.jpg", "panda.jpg")
PICTURES = [str(DATA / "photographs" / name) for name in NAMES]
CLASSES = {
    photo.name: label
    for photo, label in zip(samples.photos("imagenet"), samples.labels("imagenet"), strict=True)
}
LABELS = ",".join(str(CLASSES[name]) for name in NAMES)


@pytest.fixture
def twice(tmp_path):
    file = tmp_path / "twice.json"
    file.write_text(Preprocessing(scaling=("0..1", "0..1")).to_json(), encoding="utf-8")
    return str(file)


def test_a_right_pipeline_with_labels_is_clean(capsys):
    assert main(["diagnose", MODEL, *PICTURES, "--labels", LABELS]) == 0
    assert "nothing is wrong" in capsys.readouterr().out


def test_a_named_cause_gives_1_and_json_says_which(twice, capsys):
    assert main(["diagnose", MODEL, PICTURES[0], "--preprocessing", twice, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["cause"] == "double_scaling"


def test_labels_can_be_names_or_left_open(capsys):
    name = samples.classifier("efficientnet_lite0").class_names[CLASSES["cat.jpg"]]
    assert main(["diagnose", MODEL, *PICTURES, "--labels", f"{name},,{CLASSES['koala.jpg']},"]) in {0, 2}


BAD = [
    (["nothing.jpg"], "which does not exist"),
    ([PICTURES[0], "--labels", "1,2"], "Expected 1 labels, one for each picture, received 2"),
    ([PICTURES[0], "--labels", "no such class"], "Expected a label out of 1000 class names"),
    ([PICTURES[0], "--application", "ResNet51"], "did you mean"),
    ([MODEL], "Expected an image file"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_bad_input_is_told_in_one_line(arguments, message, capsys):
    assert main(["diagnose", MODEL, *arguments]) == 3
    told = capsys.readouterr()
    assert message in told.err
    assert told.err.count("\n") == 1
    assert told.out == ""


@pytest.mark.parametrize("arguments", [[], ["diagnose"], ["diagnosis", MODEL]])
def test_a_wrong_command_is_bad_input_too(arguments):
    command = [sys.executable, "-m", "kit", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=DATA.parent)
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1
