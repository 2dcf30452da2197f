"""What a compiled network computes on its way to the answer: logits, and channel statistics of its stages."""

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kit._arrays import Float32
from kit.classifier.engines import schema

_IDENTIFIER = b"TFL3"
"""What a file in the ``.tflite`` format is marked by."""


@dataclass(frozen=True, eq=False)
class IntermediateOutputs:
    """Rows that the compiled form of `reveal` puts out, in parts.

    Attributes
    ----------
    outputs
        float32 (N, outputs): what the network itself puts out.
    logits
        float32 (N, outputs), before the softmax; None where the network does not end in one.
    means, deviations
        float32 (N, sum(widths)): mean and standard deviation of each channel over the picture.
    """

    outputs: Float32
    logits: Float32 | None
    means: Float32
    deviations: Float32


@dataclass(frozen=True, eq=False, repr=False)
class IntermediateLayers:
    """A compiled network that puts out more than its answer.

    Attributes
    ----------
    compiled
        The network in the ``.tflite`` format, for `LiteEngine`: from tensors (N, H, W, C) to rows
        that `parts` takes apart.
    output_count
        Numbers that the network itself puts out.
    has_logits
        Whether the values before a softmax are among them.
    widths
        Channels of each stage. A stage ends with the last layer before the picture gets smaller inside the
        network (Lee et al. 2018, arXiv 1807.03888, take the same places).
    """

    compiled: bytes
    output_count: int
    has_logits: bool
    widths: tuple[int, ...]

    def parts(self, rows: Float32) -> IntermediateOutputs:
        """Take rows (N, values) of the compiled form apart."""
        count = self.output_count
        start = 2 * count if self.has_logits else count
        total = sum(self.widths)
        return IntermediateOutputs(
            rows[:, :count],
            rows[:, count:start] if self.has_logits else None,
            rows[:, start : start + total],
            # Rounding can leave a variance just below 0.
            np.sqrt(np.maximum(rows[:, start + total :], 0)),
        )

    def __repr__(self) -> str:
        count, logits = self.output_count, self.has_logits
        return f"IntermediateLayers({count} outputs, logits={logits}, widths={self.widths})"


def reveal(compiled: bytes) -> IntermediateLayers | None:
    """Give a compiled network more outputs.

    Parameters
    ----------
    compiled
        In the ``.tflite`` format, with one image-shaped input and one output (N, outputs). Not changed.

    Returns
    -------
    IntermediateLayers
        None where the file is not understood.
    """
    litert = schema()
    try:
        model = litert.ModelT.InitFromPackedBuf(compiled, 0)
        graph = _Graph(model, litert)
        has_logits, widths = graph.extend()
        builder = litert.flatbuffers.Builder(len(compiled) + (1 << 16))
        builder.Finish(model.Pack(builder), _IDENTIFIER)
        return IntermediateLayers(bytes(builder.Output()), graph.output_count, has_logits, widths)
    # Bytes that only look like the format fail wherever they are read first.
    except (IndexError, ValueError, TypeError, AttributeError, KeyError, OverflowError, struct.error):
        return None


class _Graph:
    """The one graph of a network, as the objects of LiteRT's schema."""

    def __init__(self, model: Any, litert: Any) -> None:
        self._schema = litert
        self._model = model
        (self._graph,) = model.subgraphs
        (self._output,) = (int(index) for index in self._graph.outputs)
        self.output_count = int(self._graph.tensors[self._output].shape[-1])

    def extend(self) -> tuple[bool, tuple[int, ...]]:
        """Put everything into one output; return whether there are logits, and the widths of the stages."""
        logits = self._logits()
        stages = self._stages()
        axes = self._constant(np.array([1, 2], np.int32))
        operators, means, variances = [], [], []
        for operator in self._graph.operators:
            operators.append(operator)
            for stage in {int(index) for index in operator.outputs} & set(stages):
                # At once, so that the memory of the stage is free again for what follows.
                width = int(self._graph.tensors[stage].shape[-1])
                mean, flat, variance = (self._tensor(*shape) for shape in ((1, 1, width), (width,), (width,)))
                square = self._tensor(*(int(side) for side in self._graph.tensors[stage].shape[1:]))
                operators += [
                    self._operator("MEAN", [stage, axes], mean, "ReducerOptions", keepDims=True),
                    self._operator("MEAN", [stage, axes], flat, "ReducerOptions", keepDims=False),
                    self._operator("SQUARED_DIFFERENCE", [stage, mean], square, "SquaredDifferenceOptions"),
                    self._operator("MEAN", [square, axes], variance, "ReducerOptions", keepDims=False),
                ]
                means.append(flat)
                variances.append(variance)
        widths = tuple(int(self._graph.tensors[index].shape[-1]) for index in means)
        parts = [self._output, *([logits] if logits is not None else []), *means, *variances]
        row = self._tensor(sum(int(self._graph.tensors[index].shape[-1]) for index in parts))
        operators.append(self._operator("CONCATENATION", parts, row, "ConcatenationOptions", axis=1))
        self._graph.operators = operators
        self._graph.outputs = np.array([row], np.int32)
        for signature in self._model.signatureDefs or []:
            signature.outputs[0].tensorIndex = row
        # What older converters measured of the memory plan no longer holds.
        self._model.metadata, self._model.metadataBuffer = None, None
        return logits is not None, widths

    def _kind(self, operator: Any) -> int:
        code = self._model.operatorCodes[operator.opcodeIndex]
        return max(int(code.builtinCode), int(code.deprecatedBuiltinCode))

    def _logits(self) -> int | None:
        """Return what goes into the last softmax."""
        softmaxes = {self._schema.BuiltinOperator.SOFTMAX, self._schema.BuiltinOperator.LOG_SOFTMAX}
        for operator in self._graph.operators:
            if self._output in operator.outputs and self._kind(operator) in softmaxes:
                return int(operator.inputs[0])
        return None

    def _stages(self) -> tuple[int, ...]:
        """Return the last tensor of each size of picture, in the order of the graph."""
        last: dict[tuple[int, int], int] = {}
        for operator in self._graph.operators:
            for index in operator.outputs:
                tensor = self._graph.tensors[index]
                signature = tensor.shape if tensor.shapeSignature is None else tensor.shapeSignature
                sides = tuple(int(side) for side in signature)
                real = tensor.type == self._schema.TensorType.FLOAT32
                if real and len(sides) == 4 and min(sides[1:]) > 0 and sides[1] * sides[2] > 1:
                    last[sides[1], sides[2]] = int(index)
        return tuple(last.values())

    def _tensor(self, *sides: int) -> int:
        """Add a float32 tensor of shape (N, *sides)."""
        return self._added("FLOAT32", (1, *sides), (-1, *sides))

    def _constant(self, values: npt.NDArray[np.int32]) -> int:
        buffer = self._schema.BufferT()
        buffer.data = np.frombuffer(values.tobytes(), np.uint8)
        self._model.buffers.append(buffer)
        return self._added("INT32", values.shape, buffer=len(self._model.buffers) - 1)

    def _added(
        self, kind: str, shape: tuple[int, ...], signature: tuple[int, ...] | None = None, buffer: int = 0
    ) -> int:
        tensor = self._schema.TensorT()
        tensor.type = getattr(self._schema.TensorType, kind)
        tensor.shape = np.array(shape, np.int32)
        tensor.shapeSignature = None if signature is None else np.array(signature, np.int32)
        tensor.buffer, tensor.name = buffer, f"kit/{len(self._graph.tensors)}"
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def _operator(self, kind: str, inputs: list[int], output: int, options: str, **settings: Any) -> Any:
        code = self._schema.OperatorCodeT()
        number = getattr(self._schema.BuiltinOperator, kind)
        # Both fields: which one is read depends on the age of the reader.
        code.builtinCode, code.deprecatedBuiltinCode, code.version = number, min(number, 127), 1
        self._model.operatorCodes.append(code)
        operator = self._schema.OperatorT()
        operator.opcodeIndex = len(self._model.operatorCodes) - 1
        operator.inputs = np.array(inputs, np.int32)
        operator.outputs = np.array([output], np.int32)
        operator.builtinOptionsType = getattr(self._schema.BuiltinOptions, options)
        operator.builtinOptions = getattr(self._schema, f"{options}T")()
        for name, value in settings.items():
            setattr(operator.builtinOptions, name, value)
        return operator
