"""Models as they are shipped: each opens with its maker's predictions, or is refused in one sentence."""

import json
import os
import subprocess
import sys
import zipfile
from functools import partial

import numpy as np
import pytest

import kit
from kit.__main__ import main
from kit._bundled import DATA
from kit.classifier import engines, loading
from kit.classifier.metadata import onnx_about
from tests import networks, zoo
from tests.classifier.test_averages import safetensors
from tests.networks import imported_keras
from tests.refusals import refused
from tests.zoo import SAMPLE, lite, network, onnx, with_metadata

IMAGENET = (("mean", "[0.485, 0.456, 0.406]"), ("std", "[0.229, 0.224, 0.225]"))
HEADS = {"logits": None, "sigmoids": "sigmoid"}


@pytest.fixture(autouse=True)
def here(monkeypatch):
    """Files are tried in this process; the other is tested below."""
    monkeypatch.setattr(loading, "run_apart", zoo.tried_here)


def means():
    """Mean levels, which are no probabilities, as images of 0..1 alone would not show."""
    layers = imported_keras().layers
    return networks.stacked((12, 12, 3), layers.GlobalAveragePooling2D())


KERAS = {
    "sequential": zoo.keras_model,
    "open sides": partial(zoo.keras_model, side=None),
    **{name: partial(zoo.keras_model, network(last)) for name, last in HEADS.items()},
    "one sigmoid": partial(zoo.keras_model, network("sigmoid", 1)),
    "one logit": partial(zoo.keras_model, network(None, 1)),
    "one softmax": partial(zoo.keras_model, network("softmax", 1)),
    "height and width": zoo.quickstart,
}
KINDS = "float32", "float16", "dynamic", "int8", "uint8"
LITE = {kind: partial(lite, kind) for kind in KINDS}
LITE |= {"open batch": partial(lite, batch=None)}
LITE |= {name: partial(lite, made=network(last)) for name, last in HEADS.items()}
LITE |= {"one logit": partial(lite, made=network(None, 1))}
LITE |= {"one sigmoid, int8": partial(lite, "int8", made=network("sigmoid", 1))}
LITE |= {"open sides": partial(lite, side=None)}
LITE |= {"means": lambda: zoo.compiled_lite(means())}
LITE |= {"names alone": lambda: with_metadata(lite(), levels=())}
LITE |= {"metadata": lambda: with_metadata(lite())}
ONNX = {
    "batch of one": partial(onnx, batch=1),
    "float16": partial(onnx, kind=zoo.FLOAT16),
    "uint8": partial(onnx, False, kind=zoo.BYTE, properties=IMAGENET),
    "metadata": partial(
        onnx, properties=(("names", str(dict(enumerate(zoo.NAMES)))), *IMAGENET)
    ),
}


def as_probabilities(rows, head):
    """Softmax or shares of what a maker's runtime gives, in double precision."""
    rows = rows.astype(np.float64)
    if rows.shape[1] == 1 and head != "softmax":
        second = 1 / (1 + np.exp(-rows)) if head == "binary_logit" else rows
        return np.hstack([1 - second, second])
    powers = np.exp(rows) if head == "logits" else rows
    return rows if head == "softmax" else powers / powers.sum(axis=1, keepdims=True)


def lite_rows(data, tensors, *, quantised=False):
    """What LiteRT itself makes of tensors, or of whole numbers in steps of the network's input."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=data)
    (given,), (found,) = (
        interpreter.get_input_details(),
        interpreter.get_output_details(),
    )
    interpreter.resize_tensor_input(given["index"], (1, *tensors.shape[1:]))
    interpreter.allocate_tensors()
    rows = []
    for each in tensors:
        scale, zero = given["quantization"]
        levels = np.rint(each / scale + zero) if scale and not quantised else each
        interpreter.set_tensor(given["index"], levels[None].astype(given["dtype"]))
        interpreter.invoke()
        row, (scale, zero) = (
            interpreter.get_tensor(found["index"]).astype(np.float64),
            found["quantization"],
        )
        rows.append((row - zero) * scale if scale else row)
    return np.concatenate(rows)


def check(path, tensors, rows):
    """Predictions are the maker's, and those of the file that is saved are the same."""
    opened = kit.Classifier.load(path)
    found = opened.predict_tensors(tensors)
    np.testing.assert_allclose(
        found, as_probabilities(rows, opened.network.compiled.head), atol=1e-5
    )
    keras = (
        f"^Expected a .keras file, whose layers Keras knows, received '{path.name}'$"
    )
    with refused(keras):
        opened.model  # noqa: B018 (asked for)
    if path.suffix == ".onnx":
        with refused(
            r"^Expected a network of Keras or LiteRT, received an \.onnx file; copy the file itself$",
        ):
            opened.save(path.with_stem("saved"))
        return opened
    with refused(r"ends in \.tflite, received 'saved\.keras'$"):
        opened.save(path.with_name("saved.keras"))
    opened.save(path.with_stem("saved"))
    members, kept = map(members_of, (path, path.with_stem("saved")))
    assert members <= kept
    again = kit.Classifier.load(path.with_stem("saved"))
    np.testing.assert_array_equal(again.predict_tensors(tensors), found)
    for name in ("class_names", "preprocessing", "notes"):
        assert getattr(again, name) == getattr(opened, name)
    return opened


def members_of(path):
    """Names in the archive behind a network, if it has one."""
    if not zipfile.is_zipfile(path):
        return set()
    with zipfile.ZipFile(path) as archive:
        return set(archive.namelist())


REMARKS = {
    "logits": ["a linear last layer, whose outputs are used as logits, with a softmax"],
    "sigmoids": ["one sigmoid for each class: the outputs are divided by their sum"],
    "one logit": [
        "one linear output, used as the logit of the second class; a number is no class"
    ],
}
REMARKS["one softmax"] = [
    "a softmax over one output is always 1; train with one sigmoid or two outputs"
]
REMARKS["height and width"] = REMARKS["means"] = REMARKS["logits"]


@pytest.mark.parametrize("name", KERAS)
def test_keras_is_saved_as_keras_and_as_lite(name, tmp_path):
    model = KERAS[name]()
    made = kit.Classifier(model)
    _unknown, *remarks = made.notes
    assert remarks == REMARKS.get(name, [])
    tensors = SAMPLE[..., :1] if name == "height and width" else SAMPLE
    _, *sides = tensors.shape[: len(model.inputs[0].shape)]
    rows = model.predict_on_batch(tensors.reshape(-1, *sides))
    expected = as_probabilities(rows, made.network.compiled.head)
    assert len(made.class_names) == expected.shape[1]
    for file in ("saved.keras", "saved.tflite"):
        made.save(tmp_path / file)
        found = kit.Classifier.load(tmp_path / file)
        np.testing.assert_allclose(found.predict_tensors(tensors), expected, atol=1e-5)
        assert (found.network.compiled.head, found.first_layers.widths) == (
            made.network.compiled.head,
            made.first_layers.widths,
        )


@pytest.mark.parametrize("name", LITE)
def test_lite_predicts_as_its_interpreter(name, tmp_path):
    data = LITE[name]()
    (tmp_path / "net.tflite").write_bytes(data)
    opened = check(tmp_path / "net.tflite", SAMPLE, lite_rows(data, SAMPLE))
    # Dynamic ranges leave few weights as they are.
    assert engines.is_quantised(data) == ("float16" in name or "int8" in name)
    assert [opened.network.compiled.remark] == REMARKS.get(name, [""])
    if not name.startswith("one") and name != "means":
        (dense,) = opened.network.engine_and_dense_layers[1]
        weights = network()[1]["dense"].T
        np.testing.assert_allclose(dense.weights, weights, atol=0.01)
    if name == "names alone":
        assert (opened.class_names, opened.preprocessing) == (zoo.NAMES, None)
    if name.startswith("metadata"):
        assert opened.class_names == zoo.NAMES
        scaling = kit.Scaling(1.0, 127.5, 255.0)
        assert opened.preprocessing == kit.Preprocessing(size=(12, 12), scaling=scaling)


@pytest.mark.parametrize("name", ONNX)
def test_onnx_predicts_as_its_runtime(name, tmp_path):
    import onnxruntime

    data = ONNX[name]()
    assert engines.is_quantised(data + b"QuantizeLinear") > engines.is_quantised(data)
    (tmp_path / "net.onnx").write_bytes(data)
    session = onnxruntime.InferenceSession(data)
    (given,) = session.get_inputs()
    dtype = {"tensor(float16)": np.float16, "tensor(uint8)": np.uint8}.get(
        given.type, np.float32
    )
    tensors = np.rint(SAMPLE * 255) if dtype == np.uint8 else SAMPLE
    if given.shape[1] == 3:
        tensors = np.ascontiguousarray(tensors.transpose(0, 3, 1, 2))
    rows = np.concatenate(
        [
            session.run(None, {given.name: each[None].astype(dtype)})[0]
            for each in tensors
        ]
    )
    opened = check(tmp_path / "net.onnx", tensors, rows)
    if name == "uint8":
        # Whatever a note in the file says, which is of the training.
        levels = kit.Preprocessing(size=(12, 12), scaling="0..255")
        assert opened.preprocessing == levels
        # What is above the last level is as bright.
        white = opened.predict_tensors(np.full_like(tensors, 255))
        np.testing.assert_array_equal(opened.predict_tensors(tensors + 256), white)
    if name == "metadata":
        assert opened.class_names == zoo.NAMES
        steps = kit.Preprocessing(
            size=(12, 12), scaling="imagenet", layout="channels_first"
        )
        assert opened.preprocessing == steps
        assert repr(opened) == "Classifier('net', 3x12x12 -> 3 classes, ONNX Runtime)"
        # Which is not asked for on the command line, then.
        cat = str(DATA / "photographs" / "cat.jpg")
        pin = ["pin", str(tmp_path / "net.onnx"), cat, "--cases", str(tmp_path)]
        assert main(pin) == 0


def test_averages_of_a_network_with_channels_first_are_found(tmp_path):
    _, weights = network()
    averages = {"0.running_mean": np.zeros(4), "0.running_var": np.ones(4)}
    file = tmp_path / "net.safetensors"
    file.write_bytes(safetensors({"0.weight": weights["kernel"], **averages}))
    (tmp_path / "net.onnx").write_bytes(onnx())
    opened = kit.Classifier.load(tmp_path / "net.onnx").with_statistics(file)
    np.testing.assert_array_equal(opened.first_layers.kernel, weights["kernel"])


@pytest.mark.parametrize("ends", [(0, 255), (-2, 2.5)])
@pytest.mark.parametrize("kind", ["int8", "uint8"])
def test_levels_reach_a_network_of_whole_numbers_as_they_are(tmp_path, kind, ends):
    """Whatever a note in the file says of mean and std, which are those of the training."""
    data = with_metadata(lite(kind, ends=ends), levels=(1.0,))
    (tmp_path / "net.tflite").write_bytes(data)
    opened = kit.Classifier.load(tmp_path / "net.tflite")
    pixels = np.arange(432, dtype=np.uint8).reshape(12, 12, 3)
    as_levels = lambda x: (x.astype(int) - 128 * (kind == "int8")).astype(kind)
    buffer = as_levels(pixels)
    rows = lite_rows(data, buffer[None], quantised=True)
    np.testing.assert_array_equal(opened.probabilities(pixels), rows)
    # An app's buffer is as right as the floats that it stands for, its bytes under either type.
    assert kit.check(opened, [pixels, pixels], [buffer, buffer.view("int8")]).agrees
    assert kit.check(opened, pixels, as_levels).agrees
    assert not kit.check(opened, pixels, buffer[..., ::-1]).agrees


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n"
REFUSED = {
    "a.pt": (
        b"PK",
        (
            r"; nothing here runs it: export where the model is built, model.eval\(\); "
            r"torch.onnx.export\(model, torch.zeros\(1, 3, height, width\), 'model.onnx', "
            r"external_data=False\)$"
        ),
    ),
    "saved_model.pb": (
        b"\x08\x01",
        (
            r"; of its folder make a .tflite file: open\('model.tflite', "
            r"'wb'\).write\(tensorflow.lite.TFLiteConverter.from_saved_model\('FOLDER'\).convert\(\)\)$"
        ),
    ),
    "frozen.pb": (
        b"\n",
        (
            r"; if it is a frozen graph, .*\.compat\.v1\.lite\.TFLiteConverter\.from_frozen_graph\("
            r"'FILE', \['INPUT'\], \['OUTPUT'\], {'INPUT': \[1, height, width, 3\]}\)\.convert\(\)\)$"
        ),
    ),
    "a.weights.h5": (
        b"\x89HDF",
        r"; it has weights alone: where the network is built, model\.load_weights\('OLD\.weights\.h5'\); ",
    ),
    "model.json": (
        b"{}",
        (
            "; of TensorFlow.js make one: tensorflowjs_converter --input_format=tfjs_layers_model "
            "--output_format=keras model.json model.h5; python -m kit import model.h5 model.keras$"
        ),
    ),
    "a.mlmodel": (
        b"\x08\x01",
        "; nothing makes one of Core ML's: export to .onnx, .tflite or .keras where it was built$",
    ),
    **{
        f"pointer.{suffix}": (
            POINTER,
            r"Expected a model file, received 'pointer\.\w+', a Git LFS pointer; run git lfs pull$",
        )
        for suffix in ("keras", "tflite", "onnx", "h5", "pt", "safetensors", "any")
    },
    "cut.onnx": (
        lambda: onnx()[:400],
        (
            r"ONNX Runtime can run, with its weights in it \(external_data=False\), received one "
            r"that it refuses \(.*\); copy or export it again$"
        ),
    ),
    "cut.tflite": (
        lambda: lite()[:900],
        (
            r"^Expected a network that LiteRT can run, received one that it refuses \(.*\); copy or "
            r"convert it again$"
        ),
    ),
    "lite.onnx": (
        lite,
        "Expected a .onnx network, received 'lite.onnx', which is none or damaged; copy it again$",
    ),
    "onnx.tflite": (
        onnx,
        "Expected a .tflite network, received 'onnx.tflite', which is none",
    ),
    "two.onnx": (
        lambda: onnx(outputs=("y", "flat")),
        (
            r"from \(N, H, W\), \(N, H, W, 1 or 3\) or \(N, 1 or 3, H, W\) to \(N, classes\) alone, "
            r"received one from \[\(None, .*\)\] to \[\(None, 3\), \(None, 4\)\]; "
            r"export one image and its classes alone$"
        ),
    ),
    "features.onnx": (
        lambda: onnx(outputs=("conv", "y")),
        r"to \[\(None, 4, 10, 10\), \(None, 3\)\]; export one image and its classes alone$",
    ),
    "eight.onnx": (
        lambda: onnx(batch=8),
        "^Expected a network for one image or any number, received one for 8; export it with a batch of 1$",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_others_are_refused_in_one_sentence(name, tmp_path):
    content, message = REFUSED[name]
    (tmp_path / name).write_bytes(content() if callable(content) else content)
    with refused(message) as caught:
        kit.Classifier.load(tmp_path / name)
    assert str(caught.value).startswith("Expected")


def test_a_folder_of_a_saved_model_is_refused_as_its_file(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"\x08\x01")
    with refused(r"received 'saved_model\.pb'; of its folder"):
        kit.Classifier.load(tmp_path)


@pytest.mark.parametrize("place", zoo.PLACES)
def test_weights_in_other_files_are_not_read_wherever_the_file_says_so(
    tmp_path, monkeypatch, place
):
    import onnxruntime

    data = zoo.apart(place)
    (tmp_path / "weights.bin").write_bytes(np.ones(9, np.float32))
    monkeypatch.chdir(tmp_path)
    session = onnxruntime.InferenceSession(data)  # which by itself reads them
    (rows,) = session.run(None, {"x": np.ones((1, 3, 12, 12), np.float32)})
    np.testing.assert_allclose(rows, [[3, 3, 3]])
    # A second name of a file, which nothing tells from the first.
    os.link(tmp_path / "weights.bin", tmp_path / "secret.bin")
    (tmp_path / "apart.onnx").write_bytes(data)
    with refused(r"with its weights in it \(external_data=False\)"):
        kit.Classifier.load("apart.onnx")


def test_what_a_network_is_counts_before_a_contract_that_lies_behind_it(tmp_path):
    kit.Classifier(zoo.keras_model()).save(tmp_path / "small.tflite")
    content = (tmp_path / "small.tflite").read_bytes()
    contract = content[content.index(b"PK") :]
    (tmp_path / "other.tflite").write_bytes(onnx() + contract)
    with refused(r"Expected a \.tflite network, received 'other\.tflite'"):
        kit.Classifier.load(tmp_path / "other.tflite")


def test_names_in_an_onnx_file_are_in_the_order_of_their_indices_up_to_64_kilobytes_and_means_may_be_levels():
    names = [f"class {place}" for place in range(11)]
    text = json.dumps(dict(enumerate(names)))
    assert onnx_about({"classes": text}) == (tuple(names), None)
    # Either may tell.
    levels = kit.Scaling(1.0, 0.0, (128.0, 64.0, 32.0))
    of_levels = {"image_mean": "[0]", "image_std": "[128, 64, 32]"}
    assert onnx_about(of_levels) == (None, levels)
    means_alone = onnx_about({"mean": "[127.5]", "std": "[1]"})
    assert means_alone == (None, kit.Scaling(1.0, 127.5, 1.0))
    # A literal takes several hundred times as much memory as its text.
    assert onnx_about({"names": str(["o" * (1 << 16)])}) == (None, None)


def test_what_runs_a_file_that_was_tried_is_made_by_its_first_prediction(
    tmp_path, monkeypatch
):
    """Since what it declares may fill the memory."""
    path = tmp_path / "net.onnx"
    path.write_bytes(onnx(seed=9))
    kit.Classifier.load(path)
    made = []
    monkeypatch.setattr(
        engines, "engine_of", lambda *_given, **_options: made.append(path)
    )
    assert str(kit.Classifier.load(path)).startswith("Classifier('net'")
    assert made == []


def test_onnx_asks_for_its_runtime(tmp_path, monkeypatch):
    (tmp_path / "net.onnx").write_bytes(onnx(batch=1, seed=4))
    # What is known of a network does not run it.
    for known in (False, True):
        if known:
            kit.Classifier.load(tmp_path / "net.onnx")
        with monkeypatch.context() as without:
            without.setitem(sys.modules, "onnxruntime", None)
            with pytest.raises(ModuleNotFoundError, match="pip install onnxruntime"):
                kit.Classifier.load(tmp_path / "net.onnx")


def test_labels_beside_a_file_of_teachable_machine_say_how_images_are_prepared(
    tmp_path,
):
    (tmp_path / "model_unquant.tflite").write_bytes(lite())
    (tmp_path / "labels.txt").write_text(
        "0 red cat \n1 dog\n2 horse\n", encoding="utf-8-sig"
    )
    opened = kit.Classifier.load(tmp_path / "model_unquant.tflite")
    assert opened.class_names == ("red cat", "dog", "horse")
    assert opened.preprocessing.size == (12, 12)
    assert (opened.preprocessing.fit, opened.preprocessing.scaling) == (
        "crop",
        kit.Preprocessing(scaling="-1..1").scaling,
    )
    (tmp_path / "labels.txt").write_text("0\n1\n2\n", encoding="utf-8")
    opened = kit.Classifier.load(tmp_path / "model_unquant.tflite")
    assert (opened.class_names, opened.preprocessing) == (("0", "1", "2"), None)


@pytest.mark.skipif(
    os.name == "nt", reason="Windows has no such pipes, and few may make links"
)
@pytest.mark.parametrize("kind", ["pipe", "link"])
def test_labels_beside_a_file_count_where_they_are_a_plain_file(tmp_path, kind):
    (tmp_path / "secrets").write_text("a\nb\nc\n", encoding="utf-8")
    (tmp_path / "net.tflite").write_bytes(lite())
    if kind == "pipe":
        os.mkfifo(tmp_path / "labels.txt")
    else:
        (tmp_path / "labels.txt").symlink_to(tmp_path / "secrets")
    assert kit.Classifier.load(tmp_path / "net.tflite").class_names[0] == "class 0"


SCRIPT = """
import pathlib, sys
from kit import Classifier
from kit.classifier import loading
loading.cache_folder = lambda: pathlib.Path(sys.argv[2])
print(Classifier.load(sys.argv[1]).class_names[0], "tensorflow" in sys.modules)
"""


def test_a_file_is_tried_in_a_process_of_its_own_and_opened_without_tensorflow(
    tmp_path,
):
    (tmp_path / "net.tflite").write_bytes(with_metadata(lite()))
    command = [sys.executable, "-c", SCRIPT, tmp_path / "net.tflite", tmp_path / "kept"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == "cat False\n", done.stderr
    assert len(list((tmp_path / "kept").glob("*.zip"))) == 1
