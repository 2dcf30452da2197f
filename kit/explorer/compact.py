"""A network as a page holds it: for one image, and with rounded weights."""

import zlib
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
"""Bytes below which constants stay as they are."""
ROUNDED_BITS = 12
"""Of the 23 bits of a weight's fraction, those that are rounded to zeros, which gzip makes small."""


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
    if None in compiled.input_shape or bench.usual_preprocessing.size is None:
        raise PageError("this network takes images of any size")
    if bench.novelty:
        raise PageError("this model tells images of none of its classes")
    if bench.usual_preprocessing.filter not in page.FILTERS:
        raise PageError(f"pages do not resize by {bench.usual_preprocessing.filter}")
    return data


def compact(
    bench: Bench, tensors_to_check: Sequence[Float32], *, exact_weights: bool
) -> tuple[bytes, dict[str, Any] | None]:
    """Return a network in short, and where in it the layer of a heat map lies, where there is one.

    In short it is gzip of its `grouped_by_byte_of_number`. Weights are rounded, unless that changes a
    probability by more than `LARGEST_DIFFERENCE`, for `tensors_to_check` or trial ones. PageError says why a
    page cannot run it.
    """
    data, place_of_heat_map_weights, constants = _for_one_image(_checked_network(bench))
    compiled = bench.classifier.network.compiled
    trial_inputs = trial_tensors(compiled.input_shape, bench.usual_preprocessing)
    batch = np.concatenate([*trial_inputs, *tensors_to_check])
    expected_rows = bench.classifier.predict_tensors(batch)

    # On tensors that differ as much as another processor rounds.
    def predicts_nearly_the_same(network: bytes) -> bool:
        rows = LiteEngine(network, threads=1).predict(batch * NUDGE)
        difference = np.abs(probabilities(rows, compiled.head) - expected_rows).max()
        return bool(difference <= LARGEST_DIFFERENCE)

    network = data if exact_weights else rounded(data, constants)
    if not predicts_nearly_the_same(network):
        network = data
        # Such as a network that rounds to 8 bits between its layers.
        if not predicts_nearly_the_same(data):
            raise PageError("rounding alone changes what this network predicts")
    # Rounded weights repeat only by chance, where a reference back costs more than the bytes themselves.
    packer = zlib.compressobj(
        wbits=31,  # in gzip's format
        strategy=zlib.Z_RLE,
    )
    return packer.compress(
        grouped_by_byte_of_number(network)
    ) + packer.flush(), place_of_heat_map_weights


def _for_one_image(
    network: bytes,
) -> tuple[bytes, dict[str, Any] | None, list[Float32]]:
    """Return a network for one image whose second output is its last feature map.

    Beside it, where its last layer is, and its constants.
    """
    litert = litert_schema()
    dense_weights = None
    # A network without a feature map raises a ValueError; its page has no heat map.
    with suppress(ValueError):
        network, dense_layers = with_feature_map(network)
        # With several dense layers a heat map needs gradients, which the page cannot compute.
        if len(dense_layers) == 1:
            dense_weights = dense_layers[0].weights
    model = litert.ModelT.InitFromPackedBuf(network, 0)
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
    builder = litert.flatbuffers.Builder(len(network) + (1 << 16))
    builder.Finish(model.Pack(builder), b"TFL3")  # the mark of the format
    data = bytes(builder.Output())
    if dense_weights is None or dense_weights.tobytes() not in data:
        return data, None, constants
    place_of_heat_map_weights = {
        # The page reads them out of the network, at this place.
        "start": data.index(dense_weights.tobytes()),
        "count": dense_weights.size,
        "rows": len(dense_weights),
        "shape": graph.tensors[graph.outputs[1]].shape[1:].tolist(),
    }
    return data, place_of_heat_map_weights, constants


def rounded(data: bytes, constants: Iterable[Float32]) -> bytes:
    """Return a network whose larger constants, of several rows, end in zeros."""
    half = np.uint32(1 << (ROUNDED_BITS - 1))
    for values in constants:
        # Small ones, and those of one row (biases, filters of depthwise layers), stay as they are.
        if values.nbytes < KEPT_BYTES or values.ndim < 2 or len(values) == 1:
            continue
        # To the nearest number that ends in zeros, which gzip makes small.
        bits = values.view(np.uint32) + half >> ROUNDED_BITS << ROUNDED_BITS
        data = data.replace(values.tobytes(), bits.tobytes())
    return data


def grouped_by_byte_of_number(network: bytes) -> bytes:
    """Return the first bytes of all numbers of four bytes, then their second ones and so on, for gzip."""
    return np.frombuffer(network, np.uint8).reshape(-1, 4).T.tobytes()
