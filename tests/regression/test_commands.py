"""``python -m kit pin | verify | compare | new-regression``: what they print, and their exit codes."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from argparse import ArgumentParser
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

import kit
from kit import samples
from kit.__main__ import main
from kit.regression import cases as folders
from kit.regression.commands import add

DATA = Path(__file__).parents[2] / "data"
MODEL = str(DATA / "models" / "fashion_mnist.keras")
LITE = str(DATA / "models" / "efficientnet_lite0.keras")
CAT = str(DATA / "photographs" / "cat.jpg")
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "KIT_"))}


def refuse(constant):
    raise AssertionError(constant)


def read_json(capsys):
    return json.loads(capsys.readouterr().out, parse_constant=refuse)


@pytest.fixture
def pinned(tmp_path, fashion, clothes):
    """A folder with three cases of clothes."""
    for photo in clothes[:3]:
        kit.pin(tmp_path / "cases", fashion, photo)
    return str(tmp_path / "cases")


@pytest.fixture
def golden(tmp_path, fashion, clothes):
    path = tmp_path / "golden.keras"
    kit.Classifier.load(fashion.source.path).save(path, golden=clothes[:2])
    return str(path)


def edited(folder, **changes):
    """Change the first case of a folder, and return its name."""
    path = folders.paths(folder)[0]
    folders.overwrite(path, replace(folders.read(path), **changes))
    return path.stem


def test_a_case_is_pinned_and_verified(tmp_path, capsys):
    cases = str(tmp_path / "cases")
    given = ["--cases", cases, "--note", "seen in the field", "--owner", "the shop"]
    assert main(["pin", LITE, CAT, "--expect", "Egyptian cat", *given]) == 0
    path, told = capsys.readouterr().out.rsplit(": ", 1)
    assert told.startswith("Egyptian cat, ")
    assert told.endswith(", as expected\n")
    case = folders.read(Path(path))
    assert (case.note, case.owner, case.expected.classes) == (
        "seen in the field",
        "the shop",
        ("Egyptian cat",),
    )
    assert main(["verify", LITE, cases]) == 0
    assert "1 case of efficientnet_lite0: 1 hold." in capsys.readouterr().out
    assert main(["verify", LITE, cases, "--scaling", "0..1"]) == 1
    assert "the pixels are scaled otherwise" in capsys.readouterr().out


def test_a_class_can_be_expected_by_index_and_need_not_be_answered_yet(tmp_path, capsys):
    names = samples.classifier("efficientnet_lite0").class_names
    tiger = names.index("tiger cat")
    assert main(["pin", LITE, CAT, "--expect", str(tiger), "--cases", str(tmp_path)]) == 0
    assert "which is not what is expected yet" in capsys.readouterr().out
    (path,) = folders.paths(tmp_path)
    assert folders.read(path).expected.classes == ("tiger cat",)


def test_what_moved_gives_1_in_text_json_and_junit(tmp_path, pinned, capsys):
    name = edited(pinned, expected=kit.Expected(never=samples.classifier("fashion_mnist").class_names))
    edited(pinned, preprocessing=samples.classifier("fashion_mnist").preprocessing.replace(scaling="0..255"))
    assert main(["verify", MODEL, pinned, "--junit", str(tmp_path / "cases.xml")]) == 1
    assert f"{name}: MOVED" in capsys.readouterr().out
    suite = ET.parse(tmp_path / "cases.xml").getroot()  # noqa: S314 - our own
    assert (suite.get("tests"), suite.get("failures")) == ("3", "1")
    assert suite.find("testcase/failure/..").get("name") == name
    assert main(["verify", MODEL, pinned, "--json", "--artefacts", str(tmp_path / "kept")]) == 1
    told = read_json(capsys)
    assert told["holds"] is False
    assert [(one["name"], one["step"]) for one in told["cases"] if one["state"] == "moved"] == [
        (name, "scale")
    ]
    assert (tmp_path / "kept" / f"{name}.png").is_file()


def test_golden_pictures_of_other_weights_are_red(golden, tmp_path, capsys):
    """As a training leaves them that goes on with a file and saves it by Keras."""
    trained = zipfile.ZipFile(DATA / "models" / "fashion_mnist_5000.keras")
    with trained, zipfile.ZipFile(golden) as old, zipfile.ZipFile(tmp_path / "trained.keras", "w") as new:
        for name in old.namelist():
            new.writestr(name, (trained if name == "model.weights.h5" else old).read(name))
    assert main(["verify", str(tmp_path / "trained.keras")]) == 1
    assert "golden pictures of other weights" in capsys.readouterr().out


def test_what_moved_can_be_accepted(pinned, capsys):
    edited(pinned, preprocessing=samples.classifier("fashion_mnist").preprocessing.replace(scaling="0..255"))
    assert main(["verify", MODEL, pinned]) == 1
    assert main(["verify", MODEL, pinned, "--update"]) == 1
    assert "not accepted, since what is expected does not hold" in capsys.readouterr().out
    edited(pinned, expected=kit.Expected(most={"Bag": 1}))
    assert main(["verify", MODEL, pinned, "--update"]) == 0
    assert "accepted: " in capsys.readouterr().out
    assert main(["verify", MODEL, pinned]) == 0


def test_without_cases_the_golden_pictures_of_the_file_are_verified(golden, capsys):
    assert main(["verify", golden]) == 0
    assert capsys.readouterr().out == "fashion_mnist: 2 golden pictures: equal within 1e-05\n"
    assert main(["verify", golden, "--scaling", "-1..1", "--json"]) == 1
    told = read_json(capsys)
    assert (told["pictures"], told["step"], told["holds"]) == (2, "scale", False)


def test_two_models_are_compared_on_pictures_and_on_cases(tmp_path, pinned, capsys):
    pictures = [str(path) for path in sorted(Path(pinned, "pictures").iterdir())]
    assert main(["compare", MODEL, MODEL, *pictures]) == 0
    assert "0 of 3 answers change" in capsys.readouterr().out
    other = tmp_path / "bgr.keras"
    lite = kit.Classifier.load(LITE)
    kit.pin(tmp_path / "photographs", lite, CAT)
    shutil.copy(LITE, other)
    assert main(["compare", LITE, str(other), str(tmp_path / "photographs"), "--json"]) == 0
    told = read_json(capsys)
    assert told["photos"] == 1
    assert told["accuracy"]["first"] == 1, "cases say what is right"
    early = str(DATA / "models" / "fashion_mnist_500.keras")
    tops = [
        samples.classifier(name).probabilities(pictures).argmax(axis=1)
        for name in ("fashion_mnist", "fashion_mnist_500")
    ]
    assert main(["compare", MODEL, early, *pictures]) == int((tops[0] != tops[1]).any())


def test_cases_are_compared_as_they_are_perturbed(tmp_path, capsys, fashion, clothes):
    black = kit.Perturbation(brightness=0)
    kit.pin(tmp_path / "cases", fashion, clothes[0], perturbation=black)
    early = DATA / "models" / "fashion_mnist_500.keras"
    main(["compare", MODEL, str(early), str(tmp_path / "cases"), "--json"])
    told = read_json(capsys)
    networks = (fashion, samples.classifier("fashion_mnist_500"))
    one, other = (each.probabilities(black.apply(clothes[0]))[0] for each in networks)
    assert told["movers"][0]["change"] == pytest.approx(abs(one - other).max(), abs=1e-6)


def test_a_notebook_is_only_written_for_a_file_with_a_preprocessing(plain_file, tmp_path, capsys):
    assert main(["new-regression", str(tmp_path / "new"), "--model", str(plain_file)]) == 3
    assert "Expected a classifier with a known preprocessing" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def run_notebook(folder):
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "--nbval",
        "--nbval-current-env",
        "-p",
        "no:cacheprovider",
    ]
    done = subprocess.run(
        [*command, "check_cases.ipynb"],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env=ENVIRONMENT,
    )
    return done.returncode, done.stdout


def test_a_new_notebook_is_green_and_turns_red_with_a_case(tmp_path, pinned, fashion, clothes, capsys):
    shutil.copy(MODEL, tmp_path / "mine.keras")
    assert main(["new-regression", str(tmp_path), "--model", str(tmp_path / "mine.keras")]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "check_cases.ipynb")
    assert "kit.Classifier.load('mine.keras')" in (tmp_path / "check_cases.ipynb").read_text()
    code, told = run_notebook(tmp_path)
    assert code == 0, told
    kit.pin(pinned, fashion, clothes[3], "Bag")
    code, told = run_notebook(tmp_path)
    assert code == 0, "a new case moves nothing, and one that failed from the start may"
    edited(
        pinned, preprocessing=samples.classifier("fashion_mnist").preprocessing.replace(layout="transposed")
    )
    code, told = run_notebook(tmp_path)
    assert code == 1
    assert "CasesMovedError" in told
    assert main(["new-regression", str(tmp_path)]) == 3
    assert "that has it" in capsys.readouterr().err


def test_a_new_notebook_without_cases_waits_for_some(tmp_path, capsys):
    assert main(["new-regression", str(tmp_path / "new")]) == 0
    assert capsys.readouterr().out.endswith(f"red until there are cases in {tmp_path / 'new' / 'cases'}\n")
    code, told = run_notebook(tmp_path / "new")
    assert code == 1
    assert "Expected cases in 'cases', received none; make one with" in told
    book = json.loads((tmp_path / "new" / "check_cases.ipynb").read_text())
    assert [cell["cell_type"] for cell in book["cells"]] == ["markdown", "code", "code"]
    assert (tmp_path / "new" / "cases").is_dir()


BAD = [
    (["pin", MODEL, "nothing.jpg"], "nothing.jpg"),
    (["pin", LITE, CAT, "--expect", "no such class"], "out of 1000 class names"),
    (["verify", MODEL], "golden pictures or a folder of cases"),
    (["verify", MODEL, "--json"], "golden pictures or a folder of cases"),
    (["verify", "nothing.keras", "cases"], "Expected an existing local .keras file"),
    (["verify", MODEL, "nothing"], "Expected a folder of cases"),
    (["verify", MODEL, "--junit", "x.xml"], "Expected a folder of cases for --junit"),
    (["pin", MODEL, CAT, __file__], Path(__file__).name),
    (["pin", MODEL, CAT, "--cases", f"{CAT}/cases"], "Expected another path than"),
    (["pin", MODEL, CAT, "--expect", "shoe"], "they are T-shirt/top, Trouser, "),
    (["pin", LITE, CAT, "--expect", "panda"], "did you mean 'giant panda'"),
    (["verify", MODEL, str(DATA / "fashion_mnist")], "Expected cases in"),
    (["compare", MODEL, LITE, CAT], "Expected as many classes, received 10 and 1000"),
    (["compare", MODEL, MODEL, "nothing.jpg"], "nothing.jpg"),
    (["new-regression", "x", "--model", "nothing.keras"], "Expected an existing local .keras file"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_bad_input_is_told_in_one_line(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 3
    told = capsys.readouterr()
    assert message in told.err
    assert told.err.startswith(f"python -m kit {arguments[0]}: ")
    assert told.err.count("\n") == 1
    assert told.out == ""
    assert not list(tmp_path.iterdir()), "nothing is left behind"


def test_the_commands_run_in_a_process_of_their_own(golden, pinned):
    def run(*arguments):
        command = [sys.executable, "-m", "kit", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=ENVIRONMENT)

    done = run("verify", golden, pinned, "--json")
    assert (done.returncode, json.loads(done.stdout)["holds"], done.stderr) == (0, True, "")
    wrong = run("verify", golden, "--json", "--junit", "x.xml")
    assert (wrong.returncode, wrong.stderr.count("\n")) == (3, 1)


def test_help_says_what_each_command_and_each_option_is_for():
    parser = ArgumentParser(prog="kit")
    commands = parser.add_subparsers()
    add(commands, lambda _: None)
    told = {name: " ".join(one.format_help().split()) for name, one in commands.choices.items()}
    usage = {
        name: text.partition(" MODEL.keras")[0].removeprefix("usage: kit ") for name, text in told.items()
    }
    assert usage["pin"] == "pin [-h] [--expect CLASS] [--cases FOLDER] [--note NOTE] [--owner OWNER]"
    assert usage["verify"] == "verify [-h] [--artefacts FOLDER] [--update] [--json | --junit FILE.xml]"
    assert (
        "verify [-h] [--artefacts FOLDER] [--update] [--json | --junit FILE.xml] MODEL.keras [FOLDER]"
        in told["verify"]
    )
    assert told["compare"].startswith(
        "usage: kit compare [-h] [--json] A.keras B.keras PICTURES [PICTURES ...]"
    )
    assert told["new-regression"].startswith("usage: kit new-regression [-h] [--model MODEL.keras] FOLDER")
    assert told["pin"].count("MODEL.keras PICTURE") == 2
    for command, words in {
        "pin": ["what they show", "where cases are written", "why it is kept", "who needs it to hold"],
        "verify": ["Exit codes: 0 all hold, are accepted, or fail as they did when pinned; 1 something moved",
                   "of cases; the golden set without it", "pictures of what moved", "accept what moved",
                   "JSON instead of text", "write JUnit XML"],
        "compare": ["Exit codes: 0 no answer changes, 1 some do, 3 bad input", "files, folders",
                    "JSON instead of text"],
        "new-regression": ["made where there is none", "else the bundled one"],
    }.items():  # fmt: skip
        assert [each for each in words if each not in told[command]] == []
    overview = " ".join(parser.format_help().split())
    for words in ("make a case", "run the cases", "compare two models", "write a notebook"):
        assert words in overview
