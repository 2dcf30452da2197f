"""``python -m kit diagnose``: what it prints, and its exit codes."""

import importlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

import kit
from kit import Preprocessing, samples
from kit.__main__ import main
from tests.networks import imported_keras

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
    told = capsys.readouterr().out
    assert "no fault is found" in told or "no loud fault is found" in told


def test_a_named_cause_gives_1_and_json_says_which(twice, capsys):
    assert main(["diagnose", MODEL, PICTURES[0], "--preprocessing", twice, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["cause"] == "double_scaling"


def test_labels_can_be_names_or_left_open(capsys):
    name = samples.classifier("efficientnet_lite0").class_names[CLASSES["cat.jpg"]]
    assert main(["diagnose", MODEL, *PICTURES, "--labels", f"{name},,{CLASSES['koala.jpg']},"]) in {0, 2}


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A network for 32 by 32 pixels that scales inside, as Keras alone writes it; compiled once."""
    keras = imported_keras()
    layers = keras.layers
    last = [layers.Rescaling(1 / 255), layers.Conv2D(4, 3), layers.GlobalAveragePooling2D(), layers.Dense(3)]
    file = tmp_path_factory.mktemp("plain") / "plain.keras"
    keras.Sequential([keras.Input((32, 32, 3)), *last]).save(file)
    return str(file)


def test_a_model_without_a_preprocessing_is_refused_before_it_is_compiled(tmp_path, plain, capsys):
    broken = tmp_path / "broken.keras"
    with zipfile.ZipFile(plain) as whole, zipfile.ZipFile(broken, "w") as part:
        for name in whole.namelist():
            content = whole.read(name)
            part.writestr(name, content[: len(content) // 2] if name.endswith(".h5") else content)
    assert main(["diagnose", str(broken), PICTURES[0]]) == 3
    assert "Expected a model that carries its preprocessing" in capsys.readouterr().err


def test_the_preprocessing_can_be_told_by_a_scaling_or_a_family_in_the_size_of_the_network(plain, capsys):
    # The networks that the families are named after take 224 by 224 pixels.
    for told in (["--scaling", "0..1"], ["--application", "MobileNetV2"]):
        assert main(["diagnose", plain, PICTURES[0], *told, "--json"]) == 1
        found = json.loads(capsys.readouterr().out)["findings"][0]
        assert "expects 0..255" in found["summary"]
    assert main(["diagnose", plain, PICTURES[0], "--scaling", "0..255", "--json"]) != 1
    assert json.loads(capsys.readouterr().out)["cause"] is None


def test_numbers_that_json_does_not_have_are_null(tmp_path, capsys):
    keras = imported_keras()
    network = keras.Sequential(
        [keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(2, activation="softmax")]
    )
    network.set_weights([np.full(weight.shape, np.nan, np.float32) for weight in network.get_weights()])
    network.save(tmp_path / "nan.keras")

    def refuse(constant):
        raise AssertionError(constant)

    main(["diagnose", str(tmp_path / "nan.keras"), PICTURES[0], "--scaling", "0..1", "--json"])
    assert json.loads(capsys.readouterr().out, parse_constant=refuse)["photos"] == 1


BAD = [
    ([PICTURES[0], "--preprocessing", "nothing.json"], "received 'nothing.json' (No such file or directory)"),
    ([PICTURES[0], "--preprocessing", PICTURES[0]], "(no text in UTF-8)"),
    ([PICTURES[0], "--preprocessing", str(DATA)], "(Is a directory)"),
    ([PICTURES[0], "--scaling", "0-1"], "did you mean '0..1'"),
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


TWO = ["diagnose", MODEL, PICTURES[0], "--scaling", "0..1", "--application", "MobileNetV2"]


@pytest.mark.parametrize("arguments", [[], ["diagnose"], ["diagnosis", MODEL], TWO])
def test_a_wrong_command_is_bad_input_too(arguments):
    command = [sys.executable, "-m", "kit", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=DATA.parent)
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("python -m kit")


def test_without_the_packages_it_says_how_to_install_them():
    command = [sys.executable, "-S", "-m", "kit", "diagnose", MODEL, PICTURES[0]]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=DATA.parent)
    assert (done.returncode, done.stderr.count("\n")) == (3, 1)
    assert "make environment installs what is needed" in done.stderr


def test_the_order_of_axes_in_a_file_of_a_pytorch_model_is_that_of_the_network(tmp_path, capsys):
    file = tmp_path / "preprocessor_config.json"
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    steps = {"do_resize": True, "do_rescale": True, "do_normalize": True, "rescale_factor": 1 / 255}
    size = {"size": {"height": 224, "width": 224}, "resample": 3, "image_mean": mean, "image_std": std}
    file.write_text(json.dumps({"image_processor_type": "ViTImageProcessor", **steps, **size}))
    assert kit.Preprocessing.from_config(file).layout == "channels_first"
    assert main(["diagnose", MODEL, PICTURES[0], "--preprocessing", str(file), "--json"]) < 3
    assert json.loads(capsys.readouterr().out)["photos"] == 1


def test_a_reader_that_has_read_enough_gets_no_traceback(twice):
    command = [sys.executable, "-m", "kit", "diagnose", MODEL, PICTURES[0], "--preprocessing", twice]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=DATA.parent
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == ""


LAYER = """
import keras

@keras.saving.register_keras_serializable(package="mine")
class Halved(keras.layers.Layer):
    def call(self, x):
        return x / 2
"""


def test_custom_layers_are_registered_by_a_module_that_is_imported_first(tmp_path, monkeypatch, capsys):
    (tmp_path / "my_layers.py").write_text(LAYER, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    keras, mine = imported_keras(), importlib.import_module("my_layers")
    last = [mine.Halved(), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(3, activation="softmax")]
    keras.Sequential([keras.Input((16, 16, 3)), *last]).save(tmp_path / "own.keras")
    # As in a process of its own, where nobody has imported it yet.
    del sys.modules["my_layers"], keras.saving.get_custom_objects()["mine>Halved"]
    command = [
        "pin",
        str(tmp_path / "own.keras"),
        PICTURES[0],
        "--scaling",
        "-1..1",
        "--cases",
        str(tmp_path),
    ]
    assert main(command) == 3
    assert "(--import MODULE on the command line)" in capsys.readouterr().err
    assert main([*command, "--import", "my_layers"]) == 0
    capsys.readouterr()
    assert main([*command, "--import", "their_layers"]) == 3
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "received 'their_layers' (ModuleNotFoundError: No module named 'their_layers')" in told


def test_the_version_is_told(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"python -m kit {kit.__version__}\n"


def test_shortened_options_are_refused_since_a_scaling_looks_like_one(capsys):
    with pytest.raises(SystemExit, match="3"):
        main(["diagnose", MODEL, PICTURES[0], "--scal", "-1..1"])
    assert "--scal" in capsys.readouterr().err
