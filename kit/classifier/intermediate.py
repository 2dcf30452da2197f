"""What a compiled network makes of an image before its head: the channels of its last feature map."""

import struct
import warnings
from typing import Any


def feature_map(compiled: bytes) -> bytes:
    """Return a compiled network that ends with its last feature map.

    Parameters
    ----------
    compiled
        In the ``.tflite`` format, with one image-shaped input. Not changed.

    Returns
    -------
    bytes
        In the same format, for `LiteEngine`, which gives the means of the channels: float32 (N, channels).

    Raises
    ------
    ValueError
        There is no feature map of floats larger than one pixel, or the file is not understood.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from ai_edge_litert import schema_py_generated as litert
    try:
        model = litert.ModelT.InitFromPackedBuf(compiled, 0)
        (graph,) = model.subgraphs
        maps = [place for place, each in enumerate(graph.operators) if _is_map(graph, each, litert)]
        graph.operators = graph.operators[: maps[-1] + 1]
        graph.outputs = graph.operators[-1].outputs
        for signature in model.signatureDefs or []:
            signature.outputs[0].tensorIndex = graph.outputs[0]
        # What older converters measured of the memory plan no longer holds.
        model.metadata, model.metadataBuffer = None, None
        builder = litert.flatbuffers.Builder(len(compiled) + (1 << 16))
        builder.Finish(model.Pack(builder), b"TFL3")  # the mark of the format
        return bytes(builder.Output())
    # Bytes that only look like the format fail wherever they are read first.
    except (IndexError, TypeError, AttributeError, KeyError, OverflowError, struct.error) as error:
        raise ValueError("Expected a compiled network with a feature map, received one without") from error


def _is_map(graph: Any, operator: Any, litert: Any) -> bool:
    tensor = graph.tensors[operator.outputs[0]]
    sides = tensor.shape if tensor.shapeSignature is None else tensor.shapeSignature
    larger = len(sides) == 4 and (sides[1] != 1 or sides[2] != 1)
    return bool(larger and tensor.type == litert.TensorType.FLOAT32)
