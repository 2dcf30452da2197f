"""What a compiled network makes of an image before its head."""

from contextlib import suppress
from typing import Any
from warnings import catch_warnings

import numpy as np

from kit._arrays import Float32

# Operators of LiteRT between the last feature map and the output.
_SAME = "RESHAPE", "SQUEEZE"
_BEFORE = *_SAME, "MEAN"
_DENSE = "FULLY_CONNECTED", "CONV_2D"
_BEHIND = *_SAME, "SOFTMAX", "LOGISTIC"


def litert_schema() -> Any:
    """Import the classes of the ``.tflite`` format."""
    with catch_warnings(action="ignore"):
        from ai_edge_litert import schema_py_generated
    return schema_py_generated


def with_feature_map(compiled: bytes) -> tuple[bytes, Float32 | None]:
    """Return a compiled network whose second output is its last feature map, and the weights behind it.

    Parameters
    ----------
    compiled
        In the ``.tflite`` format, with one image-shaped input. Not changed.

    Returns
    -------
    bytes
        In the same format, for `LiteEngine.inside`.
    float32 (outputs, inputs) or None
        Weights of the dense layer behind the map, pooled or flattened; None where other layers follow, or the
        weights are no float32.

    Raises
    ------
    ValueError
        There is no feature map larger than one pixel, or the file is not understood.
    """
    litert = litert_schema()
    try:
        model = litert.ModelT.InitFromPackedBuf(compiled, 0)
        (graph,) = model.subgraphs
        maps = [_is_map(graph, operator, litert) for operator in graph.operators]
        (*_, place) = np.flatnonzero(maps).tolist()
        weights = None
        with suppress(Exception):
            weights = _dense_weights(model, graph, place, litert)
        graph.outputs = [graph.outputs[0], graph.operators[place].outputs[0]]
        # What older converters measured of the memory plan no longer holds.
        model.metadata = model.metadataBuffer = model.signatureDefs = None
        builder = litert.flatbuffers.Builder(len(compiled) + (1 << 16))
        builder.Finish(model.Pack(builder), b"TFL3")  # the mark of the format
        return bytes(builder.Output()), weights
    # Bytes that only look like the format fail wherever they are read first.
    except Exception as error:
        raise ValueError(
            "Expected a compiled network with a feature map, received one without"
        ) from error


def _is_map(graph: Any, operator: Any, litert: Any) -> bool:
    tensor = graph.tensors[operator.outputs[0]]
    types = litert.TensorType
    sides = tensor.shape if tensor.shapeSignature is None else tensor.shapeSignature
    is_read = tensor.type in {types.FLOAT32, types.INT8, types.UINT8}
    return is_read and len(sides) == 4 and tuple(sides[1:3]) != (1, 1)


def _dense_weights(model: Any, graph: Any, place: int, litert: Any) -> Float32 | None:
    """Follow the feature map to the output; None unless all on the way is pooling and one dense layer."""
    tensor = graph.operators[place].outputs[0]
    weights = None
    for kind, operator in _named(model, graph, litert)[place + 1 :]:
        made = operator.outputs[0]
        # Others compute the sizes of an open batch.
        is_size = graph.tensors[made].type == litert.TensorType.INT32
        if operator.inputs[0] != tensor or is_size:
            continue
        if kind in _DENSE and weights is None:
            # What follows it here is no gradient of the output.
            if operator.builtinOptions.fusedActivationFunction:
                return None
            constant = graph.tensors[operator.inputs[1]]
            if constant.type != litert.TensorType.FLOAT32:
                return None
            values = model.buffers[constant.buffer].data.view("f4")
            weights = values.reshape(constant.shape[0], -1)
        elif kind not in (_BEFORE if weights is None else _BEHIND):
            return None
        tensor = made
    return weights if tensor == graph.outputs[0] else None


def _named(model: Any, graph: Any, litert: Any) -> list[tuple[str, Any]]:
    """Return the operators, each with its name."""
    names = {number: name for name, number in vars(litert.BuiltinOperator).items()}
    codes = [model.operatorCodes[each.opcodeIndex] for each in graph.operators]
    kinds = [names[max(code.builtinCode, code.deprecatedBuiltinCode)] for code in codes]
    return [*zip(kinds, graph.operators, strict=True)]
