"""What a compiled network makes of an image before its head: the channels of its last feature map."""

import struct
import warnings
from typing import Any

import numpy as np

_IDENTIFIER = b"TFL3"
"""What a file in the ``.tflite`` format is marked by."""


def pooled_features(compiled: bytes) -> bytes:
    """Return a compiled network that ends with the means of the channels of its last feature map.

    Parameters
    ----------
    compiled
        In the ``.tflite`` format, with one image-shaped input. Not changed.

    Returns
    -------
    bytes
        In the same format, for `LiteEngine`: from tensors (N, H, W, C) to float32 (N, channels).

    Raises
    ------
    ValueError
        There is no feature map of floats larger than one pixel, or the file is not understood.
    """
    litert = _schema()
    try:
        model = litert.ModelT.InitFromPackedBuf(compiled, 0)
        (graph,) = model.subgraphs
        maps = [place for place, each in enumerate(graph.operators) if _map_of(graph, each, litert)]
        row = _append_mean(model, graph, graph.operators[: maps[-1] + 1], litert)
        for signature in model.signatureDefs or []:
            signature.outputs[0].tensorIndex = row
        # What older converters measured of the memory plan no longer holds.
        model.metadata, model.metadataBuffer = None, None
        builder = litert.flatbuffers.Builder(len(compiled) + (1 << 16))
        builder.Finish(model.Pack(builder), _IDENTIFIER)
        return bytes(builder.Output())
    # Bytes that only look like the format fail wherever they are read first.
    except (IndexError, TypeError, AttributeError, KeyError, OverflowError, struct.error) as error:
        raise ValueError("Expected a compiled network with a feature map, received one without") from error


def _schema() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from ai_edge_litert import schema_py_generated
    return schema_py_generated


def _map_of(graph: Any, operator: Any, litert: Any) -> Any:
    """Return the feature map that an operator puts out, None if it puts out anything else."""
    tensor = graph.tensors[operator.outputs[0]]
    sides = tensor.shape if tensor.shapeSignature is None else tensor.shapeSignature
    larger = len(sides) == 4 and (sides[1] != 1 or sides[2] != 1)
    return tensor if larger and tensor.type == litert.TensorType.FLOAT32 else None


def _append_mean(model: Any, graph: Any, operators: list[Any], litert: Any) -> int:
    """End a graph with the mean over the image of what its last operator puts out; return that tensor."""
    last = int(operators[-1].outputs[0])
    both = litert.BufferT()
    both.data = np.frombuffer(np.array([1, 2], np.int32).tobytes(), np.uint8)
    model.buffers.append(both)
    axes, row = litert.TensorT(), litert.TensorT()
    axes.type, axes.shape = litert.TensorType.INT32, np.array([2], np.int32)
    axes.buffer = len(model.buffers) - 1
    width = int(graph.tensors[last].shape[-1])
    row.type, row.shape = litert.TensorType.FLOAT32, np.array([1, width], np.int32)
    row.shapeSignature = np.array([-1, width], np.int32)
    graph.tensors += [axes, row]
    code, mean = litert.OperatorCodeT(), litert.OperatorT()
    # Both fields: which one is read depends on the age of the reader.
    code.builtinCode = code.deprecatedBuiltinCode = litert.BuiltinOperator.MEAN
    code.version = 1
    model.operatorCodes.append(code)
    mean.opcodeIndex = len(model.operatorCodes) - 1
    mean.inputs = np.array([last, len(graph.tensors) - 2], np.int32)
    mean.outputs = np.array([len(graph.tensors) - 1], np.int32)
    mean.builtinOptionsType = litert.BuiltinOptions.ReducerOptions
    mean.builtinOptions = litert.ReducerOptionsT()
    graph.operators, graph.outputs = [*operators, mean], mean.outputs
    return len(graph.tensors) - 1
