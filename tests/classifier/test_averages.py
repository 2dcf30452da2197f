"""Averages that an exporter dropped, from the weights of a network that was exported: EfficientNet-Lite0."""

import json
import re

import numpy as np
import pytest

import kit
from kit import samples
from kit.classifier import loading
from kit.classifier.first_layers import first_layers_of_export
from tests import zoo
from tests.refusals import refused

NETWORK = "efficientnet_lite0"


def safetensors(arrays, metadata=None):
    """A file in the ``.safetensors`` format."""
    header = {"__metadata__": metadata or {"format": "pt"}}
    content = b""
    for name, array in arrays.items():
        start = len(content)
        dtype = "I64" if isinstance(array, np.int64) else "F32"
        content += np.asarray(array, {"I64": "<i8", "F32": "<f4"}[dtype]).tobytes()
        header[name] = {
            "dtype": dtype,
            "shape": np.shape(array),
            "data_offsets": [start, len(content)],
        }
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + content


@pytest.fixture(scope="module")
def weights():
    """What PyTorch has of the first layers and the last, by its names, with other layers as wide between."""
    bundled = samples.classifier(NETWORK)
    layers = bundled.first_layers
    model = bundled.model
    (kernel,) = model.layers[1].get_weights()
    dense, _ = model.layers[-1].get_weights()
    return {
        "blocks.0.bn1.running_mean": np.ones(32),
        "blocks.0.bn1.running_var": np.full(32, 2.0),
        "bn1.running_mean": layers.means[:32],
        "bn1.running_var": layers.variances[:32],
        "conv_head.weight": np.ones((4, 32, 1, 1)),
        "conv_stem.weight": kernel.transpose(3, 2, 0, 1),
        "fc.weight": dense.T,
    }


@pytest.fixture
def exported(tmp_path, monkeypatch):
    """The network without anything beside it."""
    monkeypatch.setattr(loading, "run_apart", zoo.tried_here)
    (tmp_path / "net.tflite").write_bytes(
        samples.classifier(NETWORK).network.compiled.data
    )
    steps = samples.classifier(NETWORK).preprocessing
    return kit.Classifier.load(tmp_path / "net.tflite", preprocessing=steps)


def test_with_its_averages_an_exported_network_tells_how_images_are_prepared(
    exported, weights, tmp_path
):
    (tmp_path / "model.safetensors").write_bytes(safetensors(weights))
    classifier = exported.with_statistics(tmp_path / "model.safetensors")
    layers = classifier.first_layers
    np.testing.assert_array_equal(layers.means, np.float32(weights["bn1.running_mean"]))
    wrong = classifier.preprocessing.replace(scaling="0..1")
    photo = samples.photo("espresso.jpg")
    findings = [
        kit.diagnose(network.using(wrong), photo).best
        for network in (exported, classifier)
    ]
    measures = [str([part.text for part in found.evidence]) for found in findings]
    assert [found.cause for found in findings] == ["wrong_range"] * 2
    assert ["averages of training" in text for text in measures] == [False, True]
    classifier.save(tmp_path / "saved.tflite")
    saved = kit.Classifier.load(tmp_path / "saved.tflite").first_layers
    np.testing.assert_equal(saved.arrays(), layers.arrays())
    assert saved.epsilon == 1e-5
    assert classifier.notes == ("the layers of a .tflite file are not checked",)
    knowing = exported.with_reference([photo]).with_statistics(
        tmp_path / "model.safetensors"
    )
    assert knowing.nearest(photo, 1).neighbours[0].distance < 0.01


DENSE = np.arange(6).reshape(3, 2)
SMALL = {
    "of_others.0.weight": np.ones((1, 3, 1, 1)),
    "stem.0.bias": [0.5, -0.5],
    "stem.0.weight": np.arange(6).reshape(2, 3, 1, 1) / 6,
    "stem.1.num_batches_tracked": np.int64(9),
    "stem.1.running_mean": [0, 1],
    "stem.1.running_var": [1, 2],
    "4.running_mean": [5, 5],
    "4.running_var": [5, 5],
    "9.weight": DENSE,
}


def of_small(path, arrays, channels=3):
    path.write_bytes(safetensors(arrays))
    return first_layers_of_export(path, b"ONNX" + np.float32(DENSE).tobytes(), channels)


def test_the_first_layer_is_measured_whether_channels_are_first_or_last(tmp_path):
    layers = of_small(tmp_path / "small.safetensors", SMALL)
    np.testing.assert_array_equal(layers.means, [0 - 0.5, 1 + 0.5])
    np.testing.assert_array_equal(layers.variances, [1, 2])
    assert (layers.widths, layers.epsilon) == ((2,), 1e-5)
    tensors = np.random.default_rng(1).random((2, 4, 6, 3), dtype=np.float32)
    values = tensors[:, ::2, ::2] @ SMALL["stem.0.weight"][:, :, 0, 0].T
    expected = np.concatenate([values.mean((1, 2)), (values**2).mean((1, 2))], axis=1)
    for measured in (tensors, tensors.transpose(0, 3, 1, 2)):
        np.testing.assert_allclose(layers.measure(measured), expected, rtol=1e-5)


REFUSED = {
    "of another network": (
        SMALL | {"9.weight": DENSE + 1, "5.weight": [[0]]},
        "^Expected the weights that the network was exported from, received those in 'small.safetensors'$",
    ),
    "no averages": (
        {"stem.0.weight": SMALL["stem.0.weight"], "9.weight": DENSE},
        "^Expected a convolution of images with running averages in 'small.safetensors': ",
    ),
    "no convolution": ({"9.weight": DENSE}, "averages in"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_other_weights_are_refused_in_one_line(tmp_path, name):
    arrays, message = REFUSED[name]
    with refused(message):
        of_small(tmp_path / "small.safetensors", arrays)


DAMAGED = {
    "cut.safetensors": safetensors(SMALL)[:200],
    "empty.safetensors": b"",
    "huge.safetensors": b"\xff" * 64,
    "list.safetensors": (2).to_bytes(8, "little") + b"[]",
    "pointer.safetensors": b"version https://git-lfs.github.com/spec/v1\n",
    "model.pt": b"PK",
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_and_one_of_another_format_are_refused_in_one_line(
    tmp_path, name
):
    (tmp_path / name).write_bytes(DAMAGED[name])
    with refused(f"Expected .*{re.escape(name)}") as caught:
        first_layers_of_export(tmp_path / name, b"", 3)
    line = (
        "Expected a .safetensors file, received 'model.pt'; of a .pt file make one: safetensors."
        "torch.save_file(torch.load('model.pt', weights_only=True), 'model.safetensors')"
    )
    assert (line in str(caught.value)) == (name == "model.pt")
