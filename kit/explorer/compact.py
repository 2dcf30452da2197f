"""A network as a page holds it: for one image, and with weights of 16 bits."""

import gzip
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from kit._arrays import Float32
from kit.classifier.engines import LiteEngine, is_lite, probabilities
from kit.classifier.intermediate import with_feature_map
from kit.classifier.metadata import litert_schema
from kit.classifier.network import trial_tensors
from kit.explorer import page
from kit.explorer.bench import Bench

LARGEST = 40_000_000
"""Bytes of a network that a page takes."""
EQUAL = 1e-3
"""Largest difference in a probability that shorter weights and rounding may make."""
NUDGE = np.float32(1 + 1e-5)
"""Factor that moves a tensor a little more than the rounding of another processor does."""
SMALL = 4096
"""Bytes up to which constants stay as they are."""
WHOLE = 32767
"""Largest whole number of a weight in 16 bits."""


class PageError(ValueError):
    """Why a page cannot run a network."""


def _check(bench: Bench) -> bytes:
    """Return the network; PageError for one that a page does not run as the kit does."""
    compiled = bench.classifier.network.compiled
    data = compiled.data
    if data is None:
        raise PageError("Keras runs this network")
    if not is_lite(data):
        advice = "convert it to .tflite for a page with the model"
        raise PageError(f"ONNX Runtime runs this network ({advice})")
    if len(data) > LARGEST:
        raise PageError(f"this network has more than {LARGEST / 1e6:.0f} MB")
    if None in compiled.input_shape or bench.trained.size is None:
        raise PageError("this network takes images of any size")
    if bench.novelty is not None:
        raise PageError("this model tells images of none of its classes")
    if bench.trained.filter not in page.FILTERS:
        raise PageError(f"pages do not resize by {bench.trained.filter}")
    return data


def compact(
    bench: Bench, tensors: Sequence[Float32], *, exact: bool
) -> tuple[bytes, Any]:
    """Return a network as a page unpacks it, and what the page has to know to do so.

    Weights have 16 bits and a scale for each channel, unless that changes a probability by more than `EQUAL`,
    for `tensors` or trial ones. PageError says why a page cannot run it.
    """
    data, head, constants = _for_one(_check(bench))
    compiled = bench.classifier.network.compiled
    short, restored, weights = _shortened(data, constants)
    trials = trial_tensors(compiled.input_shape, bench.trained)
    batch = np.concatenate([*trials, *tensors])
    expected = bench.classifier.predict_tensors(batch)

    def is_equal(network: bytes) -> bool:
        rows = LiteEngine(network, threads=1).predict(batch * NUDGE)
        difference = np.abs(probabilities(rows, compiled.head) - expected).max()
        return bool(difference <= EQUAL)

    if exact or not is_equal(restored):
        # Such as one that rounds to 8 bits between its layers.
        if not is_equal(data):
            raise PageError("rounding alone changes what this network predicts")
        short = data
        weights = []
    about = {"network": {"length": len(data), "weights": weights}, "map": head}
    return gzip.compress(short, 6, mtime=0), about


def _for_one(compiled: bytes) -> tuple[bytes, Any, list[Float32]]:
    """Return a network for one image whose second output is its last feature map.

    Beside it, where its last layer is, and its constants.
    """
    litert = litert_schema()
    weights = None
    with suppress(ValueError):
        compiled, layers = with_feature_map(compiled)
        # What lies before more than one dense layer takes a gradient, which the page has not.
        if len(layers) == 1:
            weights = layers[0].weights
    model = litert.ModelT.InitFromPackedBuf(compiled, 0)
    [graph] = model.subgraphs
    for tensor in graph.tensors:
        if tensor.shapeSignature is not None:
            tensor.shapeSignature = np.abs(tensor.shapeSignature)
    if graph.tensors[graph.inputs[0]].type != litert.TensorType.FLOAT32:
        raise PageError("this network takes whole numbers")
    constants = []
    for tensor in graph.tensors:
        raw = model.buffers[tensor.buffer].data
        if tensor.type == litert.TensorType.FLOAT32 and raw is not None:
            constants.append(raw.view("<f4").reshape(tensor.shape))
    builder = litert.flatbuffers.Builder(len(compiled) + (1 << 16))
    builder.Finish(model.Pack(builder), b"TFL3")  # the mark of the format
    data = bytes(builder.Output())
    start = -1 if weights is None else data.find(weights.tobytes())
    if weights is None or start < 0:
        return data, None, constants
    shape = graph.tensors[graph.outputs[1]].shape[1:].tolist()
    head = {"start": start, "count": weights.size, "rows": len(weights), "shape": shape}
    return data, head, constants


def _shortened(
    data: bytes, constants: Iterable[Float32]
) -> tuple[bytes, bytes, list[dict[str, int]]]:
    """Return a network in short, the network that a page makes of it, and where its weights are.

    In short it has empty constants; after it come the scales, the low bytes of all weights, the high bytes.
    """
    file = bytearray(data)
    restored = bytearray(data)
    weights = []
    scales = []
    wholes = []
    for values in constants:
        # Those with a row for each channel; of the small ones that have none, such as biases, all bits stay.
        if values.nbytes < SMALL or values.ndim < 2 or len(values) == 1:
            continue
        start = data.find(values.tobytes())
        rows = values.reshape(len(values), -1)
        scale = np.abs(rows).max(axis=1, keepdims=True) / np.float32(WHOLE)
        scale[scale == 0] = 1
        whole = np.rint(rows / scale).astype("<i2")
        file[start : start + values.nbytes] = bytes(values.nbytes)
        restored[start : start + values.nbytes] = (whole * scale).tobytes()
        scales.append(scale)
        wholes.append(whole)
        weights.append({"start": start, "count": values.size, "rows": len(values)})
    scale_bytes = b"".join(scale.tobytes() for scale in scales)
    whole_bytes = b"".join(whole.tobytes() for whole in wholes)
    planes = whole_bytes[::2] + whole_bytes[1::2]
    return bytes(file) + scale_bytes + planes, bytes(restored), weights
