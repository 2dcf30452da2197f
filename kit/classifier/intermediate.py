"""What a compiled network makes of an image before its head, and what its head makes of that."""

from contextlib import suppress
from typing import Any

import numpy as np

from kit._arrays import Float32
from kit.classifier.metadata import litert_schema

_SAME = "RESHAPE", "SQUEEZE", "QUANTIZE", "DEQUANTIZE"
_DENSE = "FULLY_CONNECTED", "CONV_2D"


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
        place = max(
            place
            for place, each in enumerate(graph.operators)
            if _is_map(graph, each, litert)
        )
        weights = None
        with suppress(Exception):
            weights = _weights(model, graph, place, litert)
        graph.outputs = [graph.outputs[0], graph.operators[place].outputs[0]]
        # What older converters measured of the memory plan no longer holds.
        model.metadata = model.metadataBuffer = model.signatureDefs = None
        builder = litert.flatbuffers.Builder(len(compiled) + (1 << 16))
        builder.Finish(model.Pack(builder), b"TFL3")  # the mark of the format
        return bytes(builder.Output()), weights
    except Exception as error:  # bytes that only look like the format fail wherever they are read first
        raise ValueError(
            "Expected a compiled network with a feature map, received one without"
        ) from error


def _is_map(graph: Any, operator: Any, litert: Any) -> bool:
    tensor, types = graph.tensors[operator.outputs[0]], litert.TensorType
    sides = tensor.shape if tensor.shapeSignature is None else tensor.shapeSignature
    known = tensor.type in {types.FLOAT32, types.INT8, types.UINT8}
    return known and len(sides) == 4 and tuple(sides[1:3]) != (1, 1)


def _weights(model: Any, graph: Any, place: int, litert: Any) -> Float32 | None:
    """Follow the feature map to the output; None unless there is one dense layer, and nothing bent."""
    names = {number: name for name, number in vars(litert.BuiltinOperator).items()}
    codes = [model.operatorCodes[each.opcodeIndex] for each in graph.operators]
    kinds = [names[max(code.builtinCode, code.deprecatedBuiltinCode)] for code in codes]
    steps = [*zip(kinds, graph.operators, strict=True)]
    widened = {
        each.outputs[0]: each.inputs[0] for kind, each in steps if kind == "DEQUANTIZE"
    }
    tensor, weights = graph.operators[place].outputs[0], None
    _, height, width, channels = graph.tensors[tensor].shape
    for kind, each in steps[place + 1 :]:
        made = each.outputs[0]
        # Sizes of an open batch, and weights in half precision.
        if (
            graph.tensors[made].type == litert.TensorType.INT32
            or widened.get(made, tensor) != tensor
        ):
            continue
        known = (
            ("MEAN", "AVERAGE_POOL_2D") if weights is None else ("SOFTMAX", "LOGISTIC")
        )
        if (
            weights is None
            and kind in _DENSE
            and not each.builtinOptions.fusedActivationFunction
        ):
            source = graph.tensors[widened.get(each.inputs[1], each.inputs[1])]
            weights = _constant(
                model.buffers[source.buffer].data, source, litert.TensorType
            )
        elif kind not in {*known, *_SAME}:
            return None
        options = each.builtinOptions
        small = kind == "AVERAGE_POOL_2D" and not (
            0 < height <= options.filterHeight and 0 < width <= options.filterWidth
        )
        if each.inputs[0] != tensor or small:
            return None
        tensor = made
    if weights is None or tensor != graph.outputs[0]:
        return None
    shape = (1, 1) if weights[0].size == channels else (height, width)
    return weights.reshape(len(weights), *shape, channels)


def _constant(data: Any, tensor: Any, types: Any) -> Float32:
    dtype = {types.FLOAT32: np.float32, types.FLOAT16: np.float16, types.INT8: np.int8}[
        tensor.type
    ]
    values = data.view(dtype).reshape(tensor.shape[0], -1).astype(np.float32)
    if tensor.type == types.INT8:
        scale, zero = tensor.quantization.scale, tensor.quantization.zeroPoint
        values = (values - np.reshape(zero, (-1, 1))) * np.reshape(scale, (-1, 1))
    return np.asarray(values, np.float32)
