"""The forward pass, as fast as the machine allows.

Two engines with one face: `LiteEngine` runs the compiled form of a network without TensorFlow;
`kit.classifier.runtime.keras_engine.KerasEngine` calls the Keras model itself.
"""

import threading
from collections.abc import Sequence
from contextlib import nullcontext
from queue import SimpleQueue
from typing import Protocol

import numpy as np

from kit._arrays import Float32
from kit._checking import first_line
from kit.classifier.runtime.interpreter import cores, is_open, quickest, ready
from kit.classifier.runtime.quiet import captured_errors
from kit.classifier.runtime.shapes import Shape, check_shape, sides

# A batch is cut into parts of about this many input values: nothing is gained by larger ones, the buffers
# between the layers stay small, and a live prediction waits for one part at most.
_PART_VALUES = 1 << 20
_MAX_PART = 64


class Engine(Protocol):
    """What both engines offer."""

    input_shape: Shape
    output_count: int

    @property
    def description(self) -> str:
        """What runs the network, in words."""

    def predict(self, tensors: Float32) -> Float32:
        """Run the network on float32 tensors (N, H, W, C); returns float32 (N, outputs)."""


class LiteEngine:
    """A compiled network in LiteRT; TensorFlow is not imported.

    May be called from several threads; calls are served one after another.

    Parameters
    ----------
    compiled
        Network in the ``.tflite`` format, with one image-shaped input and one output of shape (N, outputs).
    threads
        Threads to use. By default those counts that the machine has cores for are tried, for a few hundredths
        of a second together: on a shared machine one thread may beat two.

    Raises
    ------
    ValueError
        ``compiled`` is no such network, or needs operations that LiteRT does not have.
    """

    def __init__(self, compiled: bytes, *, threads: int | None = None) -> None:
        self._lock = threading.Lock()
        if threads is None:
            self._interpreter, self.threads = quickest(compiled)
        else:
            self._interpreter, self.threads = ready(compiled, threads), threads
        (entry,) = self._interpreter.get_input_details()
        (result,) = self._interpreter.get_output_details()
        self._input, self._output = entry["index"], result["index"]
        self._dtype = entry["dtype"]
        self._allocated = not is_open(entry)
        self._shape: tuple[int, ...] = () if is_open(entry) else tuple(int(side) for side in entry["shape"])
        height, width, channels = (int(side) if side > 0 else None for side in entry["shape_signature"][1:])
        self.input_shape: Shape = (height, width, channels)
        self.output_count = int(result["shape_signature"][-1])

    @property
    def description(self) -> str:
        """What runs the network, in words."""
        return f"LiteRT, {self.threads} thread{'s' if self.threads > 1 else ''}"

    def predict(self, tensors: Float32) -> Float32:
        """Run the network.

        Parameters
        ----------
        tensors
            float32, shape (N, H, W, C), in the range that the network expects. Not changed.

        Returns
        -------
        float32, shape (N, outputs)
            A new array: what the last layer puts out.
        """
        shape = tensors.shape
        count = shape[0]
        if count != 1 and count not in (sizes := part_sizes(shape)):
            rows, start = [np.empty((0, self.output_count), np.float32)], 0
            while start < count:
                part = next(size for size in sizes if size <= count - start)
                rows.append(self.predict(tensors[start : start + part]))
                start += part
            return np.concatenate(rows)
        values = tensors if tensors.dtype == self._dtype else tensors.astype(self._dtype)
        with self._lock:
            try:
                outputs = self._invoked(values)
            except (RuntimeError, MemoryError) as error:
                self._shape = ()
                raise ValueError(
                    f"Expected tensors that the compiled network runs on, received {shape}: LiteRT says"
                    f" {first_line(error)[:200]!r}; give smaller pictures, or save the network anew"
                ) from error
        return outputs if outputs.dtype == np.float32 else outputs.astype(np.float32)

    def _invoked(self, values: Float32) -> Float32:
        interpreter, shape = self._interpreter, values.shape
        if shape != self._shape:
            check_shape(shape, self.input_shape)
            self._shape = ()  # in case what follows fails
            # Memory grows with the largest part so far and is kept: going back to one picture costs 0.1 ms.
            interpreter.resize_tensor_input(self._input, shape)
            # The first time, LiteRT tells what it runs on.
            with nullcontext() if self._allocated else captured_errors():
                interpreter.allocate_tensors()
            self._shape, self._allocated = shape, True
        interpreter.set_tensor(self._input, values)
        interpreter.invoke()
        outputs: Float32 = interpreter.get_tensor(self._output)
        return outputs

    def __repr__(self) -> str:
        return f"LiteEngine({sides(self.input_shape)} -> {self.output_count})"


class Lanes:
    """The same network once for each core, with one thread each, for many pictures at a time.

    Called from as many threads, they run side by side. That beats one network on all cores, whose threads
    wait for each other after every layer, and leaves each thread to prepare its own pictures.

    Parameters
    ----------
    compiled
        As for `LiteEngine`.
    """

    def __init__(self, compiled: bytes) -> None:
        self.count = cores()
        self._free: SimpleQueue[LiteEngine] = SimpleQueue()
        for _ in range(self.count):
            self._free.put(LiteEngine(compiled, threads=1))

    def predict(self, tensors: Float32) -> Float32:
        """Run the network on whatever lane is free; see `LiteEngine.predict`."""
        engine = self._free.get()
        try:
            return engine.predict(tensors)
        finally:
            self._free.put(engine)


def part_size(shape: Sequence[int]) -> int:
    """Return how many tensors an engine takes at a time, of a batch (N, H, W, C)."""
    return part_sizes(shape)[0]


def part_sizes(shape: Sequence[int]) -> list[int]:
    """Return every number of tensors that a `LiteEngine` takes at a time, the largest first.

    Powers of two, so that these are few, and all of them can be tried with a network of somebody else's.
    """
    most = max(1, min(_MAX_PART, _PART_VALUES // max(1, int(np.prod(shape[1:])))))
    return [1 << power for power in reversed(range(most.bit_length()))]
