"""A network as a page holds it: for one image, and with rounded weights."""

import zlib
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from kit._arrays import Float32, Pixels
from kit.classifier.engines import LiteEngine, is_lite, probabilities
from kit.classifier.intermediate import packed, with_feature_map
from kit.classifier.metadata import litert_schema
from kit.classifier.network import trial_tensors
from kit.explorer import page
from kit.explorer.bench import Bench

LARGEST_NETWORK_BYTES = 40_000_000
"""Bytes of a network that a page takes."""
LARGEST_DIFFERENCE = 1e-3
"""Largest difference in a probability that shorter weights and rounding may make."""
NUDGE_FACTOR = np.float32(1 + 1e-5)
"""Factor that moves a tensor a little more than the rounding of another processor does."""
LEAST_ROUNDED_BYTES = 4096
"""Bytes below which weights stay as they are."""
ROUNDED_BITS = 12
"""Of the 23 bits of a weight's fraction, those that are rounded to zeros, which gzip makes small."""


class PageError(ValueError):
    """Why a page cannot run a network."""


def _network_that_pages_run(bench: Bench) -> bytes:
    """Return the network; PageError for one that a page does not run as the kit does."""
    compiled = bench.classifier.network.compiled
    network = compiled.data
    if network is None:
        raise PageError("Keras runs this network")
    if not is_lite(network):
        advice = "convert it to .tflite for a page with the model"
        raise PageError(f"ONNX Runtime runs this network ({advice})")
    if len(network) > LARGEST_NETWORK_BYTES:
        raise PageError(
            f"this network has more than {LARGEST_NETWORK_BYTES / 1e6:.0f} MB"
        )
    if None in compiled.input_shape or bench.usual_preprocessing.size is None:
        raise PageError("this network takes images of any size")
    if bench.novelty:
        raise PageError("this model tells images of none of its classes")
    if bench.usual_preprocessing.filter not in page.FILTERS:
        raise PageError(f"pages do not resize by {bench.usual_preprocessing.filter}")
    return network


def compact(
    bench: Bench, tensors_to_check: Sequence[Float32], *, exact_weights: bool
) -> tuple[bytes, dict[str, Any] | None]:
    """Return a network in short, and where in it the layer of a heat map lies, where there is one.

    In short it is gzip of its `grouped_by_byte_of_number`. Weights are rounded, unless that changes a
    probability by more than `LARGEST_DIFFERENCE`, for `tensors_to_check` or trial ones. PageError says why a
    page cannot run it.
    """
    # A PageError for a network that no page runs. The place is the same in both networks.
    exact_network, rounded_network, place_of_heat_map_weights = _networks_for_one_image(
        _network_that_pages_run(bench)
    )
    compiled = bench.classifier.network.compiled
    trial_inputs = trial_tensors(compiled.input_shape, bench.usual_preprocessing)
    batch = np.concatenate([*trial_inputs, *tensors_to_check])
    expected_probabilities = bench.classifier.predict_tensors(batch)

    # The tensors differ from those of `batch` by a little more than another processor's rounding changes.
    def predicts_nearly_the_same(network: bytes) -> bool:
        outputs = LiteEngine(network, threads=1).predict(batch * NUDGE_FACTOR)
        differences = np.abs(
            probabilities(outputs, compiled.head) - expected_probabilities
        )
        return bool(differences.max() <= LARGEST_DIFFERENCE)

    network = exact_network if exact_weights else rounded_network
    if not predicts_nearly_the_same(network):
        network = exact_network
        # Such as one that rounds to 8 bits between its layers: another processor would predict otherwise.
        if not predicts_nearly_the_same(exact_network):
            raise PageError("rounding alone changes what this network predicts")
    # Rounded weights repeat only by chance, where a reference back costs more than the bytes themselves.
    packer = zlib.compressobj(
        wbits=31,  # in gzip's format
        strategy=zlib.Z_RLE,
    )
    return packer.compress(
        grouped_by_byte_of_number(network)
    ) + packer.flush(), place_of_heat_map_weights  # None: a page without heat maps


def _networks_for_one_image(
    network: bytes,
) -> tuple[bytes, bytes, dict[str, Any] | None]:
    """Return a network for one image whose second output is its last feature map.

    Beside it, the same with rounded weights, and where the last layer is in both.
    """
    litert = litert_schema()
    dense_weights = None
    # Heat maps need the feature map as a second output and the weights of the dense layer after it.
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
    exact_network = packed(model)
    for tensor in graph.tensors:
        buffer = model.buffers[tensor.buffer]
        # Small ones, and those of one row (biases, filters of depthwise layers), stay as they are.
        if (
            tensor.type == litert.TensorType.FLOAT32
            and buffer.data is not None
            and len(buffer.data) >= LEAST_ROUNDED_BYTES
            and len(tensor.shape) > 1
            and tensor.shape[0] > 1
        ):
            buffer.data = rounded(buffer.data)
    networks = exact_network, packed(model)
    if dense_weights is None or dense_weights.tobytes() not in exact_network:
        return *networks, None
    place_of_heat_map_weights = {
        # The page reads them out of its network, at this place in both.
        "start": exact_network.index(dense_weights.tobytes()),  # in bytes
        "count": dense_weights.size,
        "rows": len(dense_weights),
        # Of the feature map: height, width and channels.
        "shape": graph.tensors[graph.outputs[1]].shape[1:].tolist(),
    }
    return *networks, place_of_heat_map_weights


def rounded(weights: Pixels) -> Pixels:
    """Return bytes of float32, each the nearest number whose last bits are zeros, which gzip makes small."""
    # These are the bytes of float32 numbers. Half of the last bit that stays is added, so that cutting off
    # the bits below it rounds to the nearest.
    bits = weights.view(np.uint32) + np.uint32(1 << (ROUNDED_BITS - 1))
    return ((bits >> ROUNDED_BITS) << ROUNDED_BITS).view(np.uint8)


def grouped_by_byte_of_number(network: bytes) -> bytes:
    """Return the first bytes of all numbers of four bytes, then their second ones and so on, for gzip."""
    # All first bytes of numbers of 32 bits, then all second ones, and so on: like ones are packed better.
    return np.frombuffer(network, np.uint8).reshape(-1, 4).T.tobytes()
