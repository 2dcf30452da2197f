"""``python -m kit``: what ``diagnose`` prints, its exit codes, and what all commands have in common."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from errno import ENOSPC
from pathlib import Path

import pytest
from PIL import Image

import kit
from kit import Preprocessing
from kit.__main__ import _class_names, main
from kit._bundled import DATA, LESSONS
from kit.classifier.labels import checked_class_names
from tests.networks import imported_keras, saved_plain, stacked
from tests.preprocessing.test_configs import VIT

MODEL, SMALL = (
    str(DATA / "models" / f"{name}.keras")
    for name in ("efficientnet_lite0", "fashion_mnist")
)
PICTURES = [
    str(DATA / "photographs" / name)
    for name in ("cat.jpg", "otter.jpg", "koala.jpg", "panda.jpg")
]


def test_a_correct_pipeline_with_labels_is_clean(capsys):
    # None, names, and places in the list of classes.
    assert main(["diagnose", MODEL, *PICTURES[1:], "--labels", ",koala, 388"]) == 0
    printed = capsys.readouterr().out
    assert re.match(r"image +predicted .*\notter\.jpg +otter +\d", printed)
    assert "Nothing wrong found." in printed


def test_predictions_stand_there_before_the_search_whose_parts_a_terminal_shows(
    monkeypatch, capsys
):
    def diagnose(*_asked, progress):
        assert re.match(r"cat\.jpg: .*%\n$", capsys.readouterr().out)
        progress("checks")
        raise ValueError("enough")

    monkeypatch.setattr(kit, "diagnose", diagnose)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert main(["diagnose", SMALL, PICTURES[0]]) == 3
    assert capsys.readouterr().err.startswith("checks       \rpython -m kit diag")


def test_folders_name_the_classes(tmp_path, capsys):
    for name, path in zip(["koala", "giant panda"], PICTURES[2:], strict=True):
        (tmp_path / name).mkdir()
        shutil.copy(path, tmp_path / name)
    of_folders = [MODEL, str(tmp_path), "--labels", "folders"]
    assert main(["diagnose", *of_folders]) == 0
    assert "Nothing wrong found." in capsys.readouterr().out
    (tmp_path / "koala").rename(tmp_path / "bear")
    assert main(["diagnose", *of_folders]) == 3
    assert "received 'bear'; did you mean" in capsys.readouterr().err


def test_what_cannot_be_told_gives_2(tmp_path):
    Image.new("L", (28, 28)).save(tmp_path / "black.png")
    assert main(["diagnose", SMALL, str(tmp_path / "black.png")]) == 2


def test_a_named_cause_gives_1_which_json_says_and_details_with_the_fix_once_as_code(
    tmp_path, capsys
):
    twice = tmp_path / "twice.json"
    steps = Preprocessing((28, 28), channels="gray", scaling=("0..1", "0..1"))
    twice.write_text(steps.to_json(), encoding="utf-8")
    wrong = ["diagnose", SMALL, PICTURES[0], "--preprocessing", str(twice)]
    assert main([*wrong, "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["cause"] == "double_scaling"
    classifier = kit.Classifier.load(SMALL, preprocessing=steps)
    (top,) = classifier.predict(PICTURES[0]).top()
    assert told["predictions"] == [["cat.jpg", [*map(list, top)]]]
    assert main([*wrong, "--details"]) == 1
    _cat, _title, *details = capsys.readouterr().out.splitlines()
    assert "1. double_scaling: named" in details
    (fix,) = [line.strip() for line in details if "classifier.using" in line]
    names = {"kit": kit, "classifier": classifier}
    exec(fix, names)  # noqa: S102 (our own)
    right = kit.Classifier.load(SMALL).preprocessing
    assert names["classifier"].preprocessing == right


def test_the_preprocessing_is_asked_for_and_takes_the_size_of_the_network(
    tmp_path, capsys, monkeypatch
):
    # For 32 by 32 pixels, and scales inside, as Keras alone writes it.
    layers, plain = imported_keras().layers, str(tmp_path / "plain.keras")
    last = [
        layers.Rescaling(1 / 255),
        layers.Conv2D(4, 3),
        layers.GlobalAveragePooling2D(),
        layers.Dense(3),
    ]
    saved_plain(stacked((32, 32, 3), *last), plain)
    with monkeypatch.context() as patch:
        # Compiling it takes seconds, so what is missing is said before.
        patch.setattr(kit.Classifier, "load", pytest.fail)
        assert main(["diagnose", plain, PICTURES[0]]) == 3
    added = "; add --scaling, --application or --preprocessing (see --help)\n"
    assert capsys.readouterr().err.endswith(
        f"preprocessing, received one without{added}"
    )
    # The network that the family is named after takes 299 by 299 pixels.
    for given in (["--scaling", "-1..1"], ["--application", "InceptionV3"]):
        assert main(["diagnose", plain, PICTURES[0], *given, "--json"]) == 1
        printed = capsys.readouterr().out
        assert "\\u" not in printed
        untrained, finding = json.loads(printed)["findings"][:2]
        assert untrained["cause"] == "untrained_weights", "no other fix helps it"
        assert "expects 0..255" in finding["summary"]
        assert finding["fix"]["preprocessing"]["size"] == [32, 32]
    # One with open sides has that of the family.
    saved_plain(stacked((None, None, 3), *last), plain)
    assert main(["diagnose", plain, PICTURES[0], *given, "--json"]) == 1
    _, finding, *_ = json.loads(capsys.readouterr().out)["findings"]
    assert finding["fix"]["preprocessing"]["size"] == [299, 299]
    # Where predictions are no numbers, none are printed.
    no_number = imported_keras().initializers.Constant(float("nan"))
    last[-1] = layers.Dense(3, bias_initializer=no_number)
    saved_plain(stacked((32, 32, 3), *last), plain)
    assert main(["diagnose", plain, PICTURES[0], *given]) == 1
    assert re.match(
        r"plain on 1 image: .*\nCause: diverged_training", capsys.readouterr().out
    )


def test_the_order_of_axes_in_a_file_of_a_pytorch_model_is_that_of_the_network(
    tmp_path, capsys
):
    file = tmp_path / "preprocessor_config.json"
    file.write_text(json.dumps(VIT))
    assert kit.Preprocessing.from_config(file).layout == "channels_first"
    given = ["--preprocessing", str(file), "--cases", str(tmp_path)]
    assert main(["pin", MODEL, PICTURES[0], *given]) == 0


DIAGNOSE = ["diagnose", MODEL, PICTURES[0]]
BAD = [
    (
        [*DIAGNOSE, "--preprocessing", "nothing.json"],
        "received no file 'nothing.json'; ",
    ),
    ([*DIAGNOSE, "--preprocessing", PICTURES[0]], "as JSON, received text that is not"),
    (
        # Others of the kind, as /dev/zero, never end.
        [*DIAGNOSE, "--preprocessing", os.devnull],
        "Expected a plain file of at most 1048576 bytes, received",
    ),
    ([*DIAGNOSE, "--scaling", ""], "Expected the scaling out of"),
    (
        [*DIAGNOSE, "--import", "their_layers"],
        "a module to import, received 'their_layers' (ModuleNotFoundError: No module named 'their_layers')",
    ),
    (["pin", SMALL, PICTURES[0], __file__], Path(__file__).name),
    (["pin", SMALL, PICTURES[0], "--cases", f"{PICTURES[0]}/cases"], "Not a directory"),
    (
        ["pin", MODEL, PICTURES[0], "--expect", "panda"],
        "'lesser panda' or 'giant panda'?",
    ),
    (["verify", str(DATA), "cases"], "received the folder"),
    (["verify", SMALL, SMALL], "Expected a folder of cases"),
    (
        ["verify", SMALL, str(DATA / "fashion_mnist")],
        "Expected cases in 'fashion_mnist'",
    ),
]


@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_bad_input_is_one_line_and_nothing_is_left_behind(
    arguments, message, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 3
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.err.startswith(f"python -m kit {arguments[0]}: ")
    assert (printed.err.count("\n"), printed.out) == (1, "")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "program"),
    [
        ([], "python -m kit"),
        (["diagnosis", MODEL], "python -m kit"),
        ([*DIAGNOSE, "--nothing"], "python -m kit diagnose"),
    ],
)
def test_a_wrong_command_or_option_is_bad_input_too(arguments, program, capsys):
    with pytest.raises(SystemExit, match="3"):
        main(arguments)
    line = capsys.readouterr().err
    unknown = "unrecognized arguments: --nothing" if "--nothing" in arguments else ".*"
    assert re.fullmatch(f"{program}: {unknown}; see {program} --help\n", line)


def test_without_the_packages_it_says_how_to_install_them():
    command = [sys.executable, "-S", "-m", "kit", "diagnose", MODEL, PICTURES[0]]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=DATA.parent
    )
    assert (done.returncode, done.stderr.count("\n")) == (3, 1)
    advice = "; make environment installs what is needed, for .venv/bin/python -m kit\n"
    assert done.stderr.endswith(advice)


def test_a_page_of_mistakes_asks_for_matplotlib_before_anything_is_predicted(
    monkeypatch, capsys
):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main(["mistakes", SMALL, "nothing", "--html", "page.html"]) == 3
    message = capsys.readouterr().err
    assert message.endswith("received none; python -m pip install matplotlib\n")


def test_lessons_on_a_full_disk_are_one_line_and_not_in_the_way_of_the_next_try(
    tmp_path, monkeypatch, capsys
):
    command = ["lessons", str(tmp_path / "new")]
    written = []

    def full(stream):
        written.append(stream)
        if len(written) > 1:
            raise OSError(ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        assert main(command) == 3
    line = capsys.readouterr().err
    assert re.fullmatch(r".*: Expected to write '.*', received: No space .*\n", line)
    assert not [*tmp_path.iterdir()]
    assert main(command) == 0
    copied = [path for path in (tmp_path / "new").rglob("*") if path.is_file()]
    for file in copied:
        original = LESSONS / file.relative_to(tmp_path / "new")
        assert file.read_bytes() == original.read_bytes()
    assert {"exercises.py", "check_cases.ipynb", "cases.txt", "espresso.json"} < {
        file.name for file in copied
    }


def test_a_module_at_hand_is_imported_and_hides_none_that_is_installed(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    for name, said in (
        ("at_hand", "(SystemExit: here, too)"),
        ("colorsys", "'nothing'"),
    ):
        Path(f"{name}.py").write_text("raise SystemExit('here,\\ntoo')")
        modules = ["--import", "json", "--import", name]
        assert main(["verify", "nothing", "cases", *modules]) == 3
        assert said in capsys.readouterr().err


def test_a_crash_is_no_result(monkeypatch, capsys):
    monkeypatch.setattr(kit, "diagnose", lambda *_, **__: {}["tinted"])
    assert main(["diagnose", MODEL, PICTURES[0]]) == 70
    assert "KeyError: 'tinted'" in capsys.readouterr().err

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(kit, "diagnose", interrupted)
    assert main(["diagnose", MODEL, PICTURES[0]]) == 130
    assert capsys.readouterr().err == "python -m kit diagnose: interrupted\n"


@pytest.mark.skipif(os.name == "nt", reason="there it is closed otherwise")
def test_an_output_that_nobody_reads_is_no_result_and_has_no_bars(tmp_path):
    (tmp_path / "bar.py").write_text("import tqdm; list(tqdm.tqdm('ab'))")
    # Buffered, whatever the variables of this machine say.
    command = [sys.executable, "-Em", "kit", "lessons", "new", "--import", "bar"]
    read, write = os.pipe()
    os.close(read)
    how = {"stderr": subprocess.PIPE, "cwd": tmp_path}
    cut_off = subprocess.run(command, stdout=write, check=False, **how)
    assert (cut_off.returncode, cut_off.stderr) == (141, b"")


@pytest.mark.skipif(os.name == "nt", reason="there it is closed otherwise")
def test_a_command_whose_output_is_closed_gives_its_own_result(tmp_path):
    command = f"{shlex.quote(sys.executable)} -m kit lessons new >&- 2>&-"
    for code in (0, 3):  # the second time the folder is there
        done = subprocess.run(["sh", "-c", command], check=False, cwd=tmp_path)
        assert done.returncode == code


CLOTHES = "abcdefghij"


def test_the_classes_of_a_model_can_be_named(tmp_path, capsys):
    file = tmp_path / "names.txt"
    file.write_text("\n".join(CLOTHES), encoding="utf-8")
    photo = tmp_path / "photo.png"
    Image.fromarray(kit.samples.photos("fashion_mnist")[1].pixels).save(photo)
    pin = ["pin", SMALL, str(photo), "--cases", str(tmp_path)]
    for names in (str(file), " , ".join(CLOTHES)):
        assert main([*pin, "--classes", names]) == 0
        assert ": c, " in capsys.readouterr().out
    assert main([*pin, "--classes", "boot ,bag"]) == 3
    assert "10 class names" in capsys.readouterr().err
    for content, reason in [
        (b"\xe4", "'utf-8' codec can't decode"),
        (b"", "it is empty"),
        (b"a\n" * (1 << 19) + b"b", "Expected a plain file of at most 1048576 bytes"),
    ]:
        file.write_bytes(content)
        with pytest.raises(SystemExit):
            main(["pin", SMALL, "--classes", str(file)])
        assert f"{file}': {reason}" in capsys.readouterr().err


def test_the_classes_of_a_model_may_be_json(tmp_path):
    file = tmp_path / "config.json"
    for given in ('["a", "b"]', '{"id2label": {"1": "b", "0": "a"}}'):
        file.write_text(given)
        assert checked_class_names(_class_names(str(file)), 2, "small") == ("a", "b")
