"""What a compiled network makes of an image before its head, and what its head makes of that."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np

from kit._arrays import Array, Float32
from kit.classifier.metadata import litert_schema

# Operators of LiteRT between the last feature map and the output.
_SAME = "RESHAPE", "SQUEEZE", "QUANTIZE", "DEQUANTIZE"
_FUSED = "NONE", "RELU", "RELU_N1_TO_1", "RELU6", "TANH"
_POOLINGS = "MEAN", "AVERAGE_POOL_2D"
_DENSE = "FULLY_CONNECTED", "CONV_2D"
_HEADS = "SOFTMAX", "LOGISTIC"
_ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "NONE": lambda x: x,
    "RELU": lambda x: x.clip(0),
    "RELU6": lambda x: x.clip(0, 6),
    "TANH": np.tanh,
    "HARD_SWISH": lambda x: x * (x / 6 + 0.5).clip(0, 1),
}
_ABSENT = -1
_SMALL = 1e-6


class Dense(NamedTuple):
    """A dense layer: float32 (outputs, inputs) and (outputs,), and the function of what they give."""

    weights: Float32
    bias: Array | float
    activation: Callable[[Array], Array]


def gradient(layers: Sequence[Dense], feature_map: Float32, weights: Array) -> Array:
    """Return the gradient of a sum of outputs by the places of the feature map before dense layers.

    ``layers`` are those of `with_feature_map`, ``feature_map`` is float32 (h, w, channels), and ``weights``,
    float (outputs,), are those in the sum, of the outputs before a last softmax or sigmoid. Returns float64
    (h, w, channels), or (channels,) where the map is pooled.
    """
    values = feature_map.astype(np.float64)
    if layers[0].weights.shape[1] == values.shape[-1]:
        values = values.mean(axis=(0, 1))
    by_inputs = _gradient_by_inputs(layers, values.ravel(), weights)
    return by_inputs.reshape(values.shape)


def _gradient_by_inputs(
    layers: Sequence[Dense], inputs: Array, weights: Array
) -> Array:
    """Return the gradient of a sum of the last layer's outputs, with these weights, by the first's inputs."""
    if not layers:
        return weights
    first, *others = layers
    sums = first.weights @ inputs + first.bias
    rise = first.activation(sums + _SMALL) - first.activation(sums - _SMALL)
    after = _gradient_by_inputs(others, first.activation(sums), weights)
    return np.asarray((after * rise / (2 * _SMALL)) @ first.weights)


def with_feature_map(compiled: bytes) -> tuple[bytes, tuple[Dense, ...]]:
    """Return a compiled network whose second output is its last feature map, and what follows it.

    Both are in the ``.tflite`` format, with one image-shaped input. The layers are empty where more than
    pooling or flattening, dense layers and `_ACTIVATIONS` follows. ValueError where there is no feature map
    larger than one pixel, or the file is not understood.
    """
    litert = litert_schema()
    try:
        model = litert.ModelT.InitFromPackedBuf(compiled, 0)
        (graph,) = model.subgraphs
        are_maps = [_makes_map(graph, operator, litert) for operator in graph.operators]
        (*_, map_index) = np.flatnonzero(are_maps).tolist()
        dense_layers: tuple[Dense, ...] = ()
        with suppress(Exception):
            dense_layers = _dense_layers_behind(compiled, graph, map_index, litert)
        graph.outputs = [graph.outputs[0], graph.operators[map_index].outputs[0]]
        # What older converters measured of the memory plan no longer holds.
        model.metadata = model.metadataBuffer = model.signatureDefs = None
        return packed(model), dense_layers
    # Bytes that only look like the format fail wherever they are read first.
    except Exception as error:
        raise ValueError(
            "Expected a compiled network with a feature map, received one without"
        ) from error


def packed(model: Any) -> bytes:
    """Return what the schema's ``ModelT`` has, in the ``.tflite`` format."""
    builder = litert_schema().flatbuffers.Builder(1 << 16)  # which grows
    builder.Finish(model.Pack(builder), b"TFL3")  # the mark of the format
    return bytes(builder.Output())


def _makes_map(graph: Any, operator: Any, litert: Any) -> bool:
    tensor = graph.tensors[operator.outputs[0]]
    types = litert.TensorType
    sides = tensor.shape if tensor.shapeSignature is None else tensor.shapeSignature
    is_read = tensor.type in {types.FLOAT32, types.INT8, types.UINT8}
    return is_read and len(sides) == 4 and tuple(sides[1:3]) != (1, 1)


def _dense_layers_behind(
    compiled: bytes, graph: Any, map_index: int, litert: Any
) -> tuple[Dense, ...]:
    """Follow the feature map to the output; empty unless all on the way is pooling, dense or elementwise."""
    from ai_edge_litert.interpreter import Interpreter

    lite = Interpreter(model_content=compiled)
    # By the schema alone, names are numbers that moved from one field to another.
    kinds = [details["op_name"] for details in lite._get_ops_details()]  # noqa: SLF001
    operators = list(zip(kinds, graph.operators, strict=True))
    widened_from = {
        operator.outputs[0]: operator.inputs[0]
        for kind, operator in operators
        if kind == "DEQUANTIZE"
    }
    followed = graph.operators[map_index].outputs[0]
    _, *sides, _ = graph.tensors[followed].shape
    layers: list[Dense] = []
    has_ended = False
    for kind, operator in operators[map_index + 1 :]:
        output = operator.outputs[0]
        # Others widen weights of half precision, or compute the sizes of an open batch.
        is_size = graph.tensors[output].type == litert.TensorType.INT32
        if operator.inputs[0] != followed or is_size:
            continue
        options = operator.builtinOptions
        if has_ended and kind not in _SAME:
            return ()
        if kind in _DENSE:
            # A bias of zeros is left out.
            weights, *bias = (
                _constant_values(lite, widened_from.get(index, index))
                for index in operator.inputs[1:]
                if index != _ABSENT
            )
            activation = _ACTIVATIONS[_FUSED[options.fusedActivationFunction]]
            layers.append(Dense(weights, sum(map(np.ravel, bias)), activation))
        elif kind in _ACTIVATIONS:
            layers[-1] = layers[-1]._replace(activation=_ACTIVATIONS[kind])
        elif not (
            kind in _SAME
            or (kind in _HEADS and layers)
            or (kind in _POOLINGS and not layers and _covers(kind, options, sides))
        ):
            return ()
        has_ended = has_ended or kind in _HEADS
        followed = output
    return tuple(layers) if followed == graph.outputs[0] else ()


def _covers(kind: str, options: Any, sides: list[int]) -> bool:
    """Whether a pooling takes in a whole feature map."""
    return kind == "MEAN" or [options.filterHeight, options.filterWidth] == sides


def _constant_values(lite: Any, index: int) -> Float32:
    """Return the numbers of a tensor that the file holds, float32 (outputs, inputs of each)."""
    values = lite.get_tensor(index)
    values = values.reshape(len(values), -1).astype(np.float32)
    (quantization,) = (
        tensor["quantization_parameters"]
        for tensor in lite.get_tensor_details()
        if tensor["index"] == index
    )
    scales = quantization["scales"]
    if scales.size:
        values = (values - quantization["zero_points"][:, None]) * scales[:, None]
    return np.asarray(values, np.float32)
