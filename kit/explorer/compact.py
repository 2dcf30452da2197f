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
LARGEST_DIFFERENCE = 1e-3
"""Largest difference in a probability that shorter weights and rounding may make."""
NUDGE = np.float32(1 + 1e-5)
"""Factor that moves a tensor a little more than the rounding of another processor does."""
KEPT_BYTES = 4096
"""Bytes up to which constants stay as they are."""
LARGEST_INT16 = 32767
"""Largest whole number of a weight in 16 bits."""


class PageError(ValueError):
    """Why a page cannot run a network."""


def _checked_network(bench: Bench) -> bytes:
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
) -> tuple[bytes, dict[str, Any]]:
    """Return a network as a page unpacks it, and what the page has to know to do so.

    Weights have 16 bits and a scale for each channel, unless that changes a probability by more than `EQUAL`,
    for `tensors` or trial ones. PageError says why a page cannot run it.
    """
    data, map_weights, constants = _for_one_image(_checked_network(bench))
    compiled = bench.classifier.network.compiled
    shortened, restored, weight_places = _shortened(data, constants)
    trial_inputs = trial_tensors(compiled.input_shape, bench.trained)
    batch = np.concatenate([*trial_inputs, *tensors])
    expected_rows = bench.classifier.predict_tensors(batch)

    # On tensors that differ as much as another processor rounds.
    def is_equal(network: bytes) -> bool:
        rows = LiteEngine(network, threads=1).predict(batch * NUDGE)
        difference = np.abs(probabilities(rows, compiled.head) - expected_rows).max()
        return bool(difference <= LARGEST_DIFFERENCE)

    if exact or not is_equal(restored):
        # Such as a network that rounds to 8 bits between its layers.
        if not is_equal(data):
            raise PageError("rounding alone changes what this network predicts")
        shortened = data
        weight_places = []
    unpacking = {
        "network": {"length": len(data), "weights": weight_places},
        "map": map_weights,
    }
    return gzip.compress(shortened, 6, mtime=0), unpacking


def _for_one_image(
    compiled: bytes,
) -> tuple[bytes, dict[str, Any] | None, list[Float32]]:
    """Return a network for one image whose second output is its last feature map.

    Beside it, where its last layer is, and its constants.
    """
    litert = litert_schema()
    dense_weights = None
    # A ValueError: the network has no feature map, so the page has no heat map.
    with suppress(ValueError):
        compiled, layers = with_feature_map(compiled)
        # What lies before more than one dense layer takes a gradient, which the page has not.
        if len(layers) == 1:
            dense_weights = layers[0].weights
    model = litert.ModelT.InitFromPackedBuf(compiled, 0)
    [graph] = model.subgraphs
    for tensor in graph.tensors:
        if tensor.shapeSignature is not None:
            # -1 stands for any number of images.
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
    start = -1 if dense_weights is None else data.find(dense_weights.tobytes())
    # The page reads them out of the network, at this place.
    if dense_weights is None or start < 0:
        return data, None, constants
    shape = graph.tensors[graph.outputs[1]].shape[1:].tolist()
    map_weights = {
        "start": start,
        "count": dense_weights.size,
        "rows": len(dense_weights),
        "shape": shape,
    }
    return data, map_weights, constants


def _shortened(
    data: bytes, constants: Iterable[Float32]
) -> tuple[bytes, bytes, list[dict[str, int]]]:
    """Return a network in short, the network that a page makes of it, and where its weights are.

    In short it has empty constants; after it come the scales, the low bytes of all weights, the high bytes.
    """
    emptied = bytearray(data)
    restored = bytearray(data)
    weight_places = []
    all_row_scales = []
    whole_weights = []
    for values in constants:
        # Only constants with a row for each channel; small ones, and biases, keep all their bits.
        if values.nbytes < KEPT_BYTES or values.ndim < 2 or len(values) == 1:
            continue
        position = data.find(values.tobytes())
        rows = values.reshape(len(values), -1)
        row_scales = np.abs(rows).max(axis=1, keepdims=True) / np.float32(LARGEST_INT16)
        row_scales[row_scales == 0] = 1
        whole_values = np.rint(rows / row_scales).astype("<i2")
        emptied[position : position + values.nbytes] = bytes(values.nbytes)
        restored[position : position + values.nbytes] = (
            whole_values * row_scales
        ).tobytes()
        all_row_scales.append(row_scales)
        whole_weights.append(whole_values)
        weight_places.append(
            {"start": position, "count": values.size, "rows": len(values)}
        )
    scale_bytes = b"".join(row_scales.tobytes() for row_scales in all_row_scales)
    whole_bytes = b"".join(whole_values.tobytes() for whole_values in whole_weights)
    # All low bytes, then all high ones, which gzip makes smaller.
    byte_planes = whole_bytes[::2] + whole_bytes[1::2]
    shortened = bytes(emptied) + scale_bytes + byte_planes
    return shortened, bytes(restored), weight_places
