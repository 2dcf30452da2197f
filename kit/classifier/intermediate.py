"""What a compiled network makes of an image before its head, and what its head makes of that."""

import struct
import warnings
from typing import Any

import numpy as np

from kit._arrays import Float32

_POOLING = "MEAN", "AVERAGE_POOL_2D", "RESHAPE", "SQUEEZE", "QUANTIZE", "DEQUANTIZE"
_DENSE = "FULLY_CONNECTED", "CONV_2D"
_AFTER = "SOFTMAX", "LOGISTIC", "RESHAPE", "SQUEEZE", "QUANTIZE", "DEQUANTIZE"


def with_feature_map(compiled: bytes) -> tuple[bytes, Float32 | None]:
    """Return a compiled network whose second output is its last feature map, and the weights of its classes.

    Parameters
    ----------
    compiled
        In the ``.tflite`` format, with one image-shaped input. Not changed.

    Returns
    -------
    bytes
        In the same format, for `LiteEngine.inside`.
    float32 (outputs, h, w, channels), or None
        Where pooling and one dense layer follow, h and w are 1; where the map is only flattened, its sides:
        the sum of weights times map is what an output is before its bias and softmax. None for other heads.

    Raises
    ------
    ValueError
        There is no feature map larger than one pixel, or the file is not understood.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from ai_edge_litert import schema_py_generated as litert
    try:
        model = litert.ModelT.InitFromPackedBuf(compiled, 0)
        (graph,) = model.subgraphs
        place = max(place for place, each in enumerate(graph.operators) if _is_map(graph, each, litert))
        weights = _class_weights(model, graph, place, litert)
        graph.outputs = [graph.outputs[0], graph.operators[place].outputs[0]]
        # What older converters measured of the memory plan no longer holds.
        model.metadata = model.metadataBuffer = model.signatureDefs = None
        builder = litert.flatbuffers.Builder(len(compiled) + (1 << 16))
        builder.Finish(model.Pack(builder), b"TFL3")  # the mark of the format
        return bytes(builder.Output()), weights
    # Bytes that only look like the format fail wherever they are read first.
    except (LookupError, TypeError, AttributeError, OverflowError, ValueError, struct.error) as error:
        raise ValueError("Expected a compiled network with a feature map, received one without") from error


def _is_map(graph: Any, operator: Any, litert: Any) -> bool:
    tensor, types = graph.tensors[operator.outputs[0]], litert.TensorType
    sides = tensor.shape if tensor.shapeSignature is None else tensor.shapeSignature
    larger = len(sides) == 4 and (sides[1] != 1 or sides[2] != 1)
    return bool(larger and tensor.type in {types.FLOAT32, types.INT8, types.UINT8})


def _class_weights(model: Any, graph: Any, place: int, litert: Any) -> Float32 | None:
    """Follow the feature map to the output; None unless there is one dense layer, and nothing bent."""
    kinds = {number: name for name, number in vars(litert.BuiltinOperator).items()}
    widened, weights = {}, None
    map_ = tensor = graph.operators[place].outputs[0]
    for each in graph.operators:
        code = model.operatorCodes[each.opcodeIndex]
        if kinds[max(code.builtinCode, code.deprecatedBuiltinCode)] == "DEQUANTIZE":
            widened[each.outputs[0]] = each.inputs[0]
    for each in graph.operators[place + 1 :]:
        code, made = model.operatorCodes[each.opcodeIndex], each.outputs[0]
        kind = kinds[max(code.builtinCode, code.deprecatedBuiltinCode)]
        # Sizes of an open batch, and weights in half precision.
        if graph.tensors[made].type == litert.TensorType.INT32 or widened.get(made, tensor) != tensor:
            continue
        if each.inputs[0] != tensor:
            return None
        if weights is None and kind in _DENSE and not each.builtinOptions.fusedActivationFunction:
            source = each.inputs[1]
            weights = _constant(model, graph.tensors[widened.get(source, source)], litert)
        elif kind not in (_POOLING if weights is None else _AFTER):
            return None
        tensor = made
    if weights is None or tensor != graph.outputs[0]:
        return None
    _, *sides = graph.tensors[map_].shape
    shape = (1, 1, sides[2]) if weights[0].size == sides[2] else sides
    return weights.reshape(len(weights), *shape) if weights[0].size == np.prod(shape) else None


def _constant(model: Any, tensor: Any, litert: Any) -> Float32 | None:
    dtypes = {litert.TensorType.FLOAT32: np.float32, litert.TensorType.FLOAT16: np.float16}
    dtype = dtypes.get(tensor.type, np.int8 if tensor.type == litert.TensorType.INT8 else None)
    data = model.buffers[tensor.buffer].data
    if dtype is None or data is None:
        return None
    values = np.asarray(data, np.uint8).view(dtype).reshape(tensor.shape).astype(np.float32)
    if dtype is np.int8:
        scale, zero = tensor.quantization.scale, tensor.quantization.zeroPoint
        along = (-1, *[1] * (values.ndim - 1))
        values = (values - np.reshape(zero, along)) * np.reshape(scale, along)
    return values.astype(np.float32)
