"""What a compiled network makes of an image before its head, and what its head makes of that."""

from contextlib import suppress
from typing import Any

import numpy as np

from kit._arrays import Float32
from kit.classifier.metadata import litert_schema

# Operators of LiteRT between the last feature map and the output.
_SAME = "RESHAPE", "SQUEEZE", "QUANTIZE", "DEQUANTIZE"
_POOLINGS = "MEAN", "AVERAGE_POOL_2D"
_DENSE = "FULLY_CONNECTED", "CONV_2D"
_HEADS = "SOFTMAX", "LOGISTIC"


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
    litert = litert_schema()
    try:
        model = litert.ModelT.InitFromPackedBuf(compiled, 0)
        (graph,) = model.subgraphs
        maps = [_is_map(graph, operator, litert) for operator in graph.operators]
        (*_, place) = np.flatnonzero(maps).tolist()
        weights = None
        with suppress(Exception):
            weights = _weights(model, graph, place, litert)
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


def _weights(model: Any, graph: Any, place: int, litert: Any) -> Float32 | None:
    """Follow the feature map to the output; None unless there is one dense layer, and nothing bent."""
    names = {number: name for name, number in vars(litert.BuiltinOperator).items()}
    codes = [model.operatorCodes[each.opcodeIndex] for each in graph.operators]
    kinds = [names[max(code.builtinCode, code.deprecatedBuiltinCode)] for code in codes]
    steps = [*zip(kinds, graph.operators, strict=True)]
    half_precision = {
        operator.outputs[0]: operator.inputs[0]
        for kind, operator in steps
        if kind == "DEQUANTIZE"
    }
    tensor = graph.operators[place].outputs[0]
    _, height, width, channels = graph.tensors[tensor].shape
    weights = None
    for kind, operator in steps[place + 1 :]:
        made = operator.outputs[0]
        # Others widen weights of half precision, or compute the sizes of an open batch.
        is_size = graph.tensors[made].type == litert.TensorType.INT32
        if operator.inputs[0] != tensor or is_size:
            continue
        options = operator.builtinOptions
        if kind in _DENSE and weights is None and not options.fusedActivationFunction:
            constant = operator.inputs[1]
            source = graph.tensors[half_precision.get(constant, constant)]
            weights = _constant(model, source, litert.TensorType)
        elif kind not in (*_SAME, *(_POOLINGS if weights is None else _HEADS)):
            return None
        if kind == "AVERAGE_POOL_2D":
            covers_height = 0 < height <= options.filterHeight
            if not (covers_height and 0 < width <= options.filterWidth):
                return None
        tensor = made
    if weights is None or tensor != graph.outputs[0]:
        return None
    sides = (1, 1) if weights[0].size == channels else (height, width)
    return weights.reshape(len(weights), *sides, channels)


def _constant(model: Any, tensor: Any, types: Any) -> Float32:
    """Return the numbers of a tensor that the file holds, float32 (outputs, inputs of each)."""
    dtypes = {types.FLOAT32: "f4", types.FLOAT16: "f2", types.INT8: "i1"}
    values = model.buffers[tensor.buffer].data.view(dtypes[tensor.type])
    values = values.reshape(tensor.shape[0], -1).astype(np.float32)
    if tensor.type == types.INT8:
        scale = np.reshape(tensor.quantization.scale, (-1, 1))
        zero = np.reshape(tensor.quantization.zeroPoint, (-1, 1))
        values = (values - zero) * scale
    return np.asarray(values, np.float32)
