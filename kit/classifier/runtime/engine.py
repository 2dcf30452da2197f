"""The forward pass, as fast as the machine allows.

Two engines with one face: `LiteEngine` runs the compiled form of a network without TensorFlow; `KerasEngine`
calls the Keras model itself, for the few networks that cannot be compiled.
"""

import os
import threading
import time
import warnings
from collections.abc import Sequence
from contextlib import nullcontext
from queue import SimpleQueue
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from kit.classifier.runtime.quiet import captured_errors

Tensors = npt.NDArray[np.float32]
Shape = tuple[int | None, int | None, int | None]

TRIAL_SECONDS = 0.06
"""Longest time that the choice of a thread count may take."""

_THREADS = (1, 2, 4)
_PASSES = 20
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

    def predict(self, tensors: Tensors) -> Tensors:
        """Run the network on float32 tensors (N, H, W, C); returns float32 (N, outputs)."""


class LiteEngine:
    """A compiled network in LiteRT; TensorFlow is not imported.

    May be called from several threads; calls are served one after another.

    Parameters
    ----------
    compiled
        Network in the ``.tflite`` format, with one image-shaped input and one output of shape (N, outputs).
    threads
        Threads to use. By default those counts that the machine has cores for are tried for at most
        `TRIAL_SECONDS` together: on a shared machine one thread may beat two.

    Raises
    ------
    ValueError
        ``compiled`` is no such network, or needs operations that LiteRT does not have.
    ImportError
        Neither ``ai-edge-litert`` nor TensorFlow is installed.
    """

    def __init__(self, compiled: bytes, *, threads: int | None = None) -> None:
        self._lock = threading.Lock()
        if threads is None:
            self._interpreter, self.threads = _quickest(compiled)
        else:
            self._interpreter, self.threads = _ready(compiled, threads), threads
        (entry,) = self._interpreter.get_input_details()
        (result,) = self._interpreter.get_output_details()
        self._input, self._output = entry["index"], result["index"]
        self._dtype = entry["dtype"]
        self._allocated = not _is_open(entry)
        self._shape: tuple[int, ...] = () if _is_open(entry) else tuple(int(side) for side in entry["shape"])
        height, width, channels = (int(side) if side > 0 else None for side in entry["shape_signature"][1:])
        self.input_shape: Shape = (height, width, channels)
        self.output_count = int(result["shape_signature"][-1])

    @property
    def description(self) -> str:
        """What runs the network, in words."""
        return f"LiteRT, {self.threads} thread{'s' if self.threads > 1 else ''}"

    def predict(self, tensors: Tensors) -> Tensors:
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
        if count != 1:
            part = part_size(shape)
            if count > part or count == 0:
                rows = [self.predict(tensors[start : start + part]) for start in range(0, count, part)]
                return np.concatenate(rows) if rows else np.empty((0, self.output_count), np.float32)
        values = tensors if tensors.dtype == self._dtype else tensors.astype(self._dtype)
        with self._lock:
            interpreter = self._interpreter
            if shape != self._shape:
                _check_shape(shape, self.input_shape)
                self._shape = ()  # in case what follows fails
                # Memory grows with the largest part so far and is kept: going back to one picture costs 0.1
                # ms.
                interpreter.resize_tensor_input(self._input, shape)
                # The first time, LiteRT tells what it runs on.
                with nullcontext() if self._allocated else captured_errors():
                    interpreter.allocate_tensors()
                self._shape, self._allocated = shape, True
            interpreter.set_tensor(self._input, values)
            interpreter.invoke()
            outputs: Tensors = interpreter.get_tensor(self._output)
        return outputs if outputs.dtype == np.float32 else outputs.astype(np.float32)

    def __repr__(self) -> str:
        return f"LiteEngine({_sides(self.input_shape)} -> {self.output_count})"


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
        self.count = _cores()
        self._free: SimpleQueue[LiteEngine] = SimpleQueue()
        for _ in range(self.count):
            self._free.put(LiteEngine(compiled, threads=1))

    def predict(self, tensors: Tensors) -> Tensors:
        """Run the network on whatever lane is free; see `LiteEngine.predict`."""
        engine = self._free.get()
        try:
            return engine.predict(tensors)
        finally:
            self._free.put(engine)


class KerasEngine:
    """A Keras model, called through one compiled function; starts later than `LiteEngine`, often runs slower.

    May be called from several threads; calls are served one after another.

    Parameters
    ----------
    model
        A Keras model with one image-shaped input and one output of shape (N, outputs). It is used, not
        copied.
    """

    def __init__(self, model: Any) -> None:
        self._lock = threading.Lock()
        self._model = model  # the graph does not keep its weights alive
        self._call = _compiled_call(model)
        height, width, channels = model.inputs[0].shape[1:]
        self.input_shape: Shape = (height, width, channels)
        self.output_count = int(model.outputs[0].shape[-1])

    @property
    def description(self) -> str:
        """What runs the network, in words."""
        return "Keras, compiled"

    def predict(self, tensors: Tensors) -> Tensors:
        """Run the network; see `LiteEngine.predict`."""
        _check_shape(tensors.shape, self.input_shape)
        part = part_size(tensors.shape)
        rows = []
        for start in range(0, len(tensors), part):
            with self._lock:
                rows.append(np.asarray(self._call(tensors[start : start + part]), np.float32))
        return np.concatenate(rows) if rows else np.empty((0, self.output_count), np.float32)

    def __repr__(self) -> str:
        return f"KerasEngine({_sides(self.input_shape)} -> {self.output_count})"


def part_size(shape: Sequence[int]) -> int:
    """Return how many tensors an engine takes at a time, of a batch (N, H, W, C)."""
    return max(1, min(_MAX_PART, _PART_VALUES // max(1, int(np.prod(shape[1:])))))


def _is_open(entry: Any) -> bool:
    """Whether height or width are left to the caller, so that there is nothing to try or to allocate yet."""
    return any(side < 0 for side in entry["shape_signature"][1:])


def _check_shape(shape: tuple[int, ...], expected: Shape) -> None:
    if len(shape) != 4 or any(
        side not in (None, received) for side, received in zip(expected, shape[1:], strict=True)
    ):
        sides = ", ".join("?" if side is None else str(side) for side in expected)
        raise ValueError(f"Expected tensors (N, {sides}), received {shape}")


def _sides(shape: Shape) -> str:
    return "x".join("?" if side is None else str(side) for side in shape)


def _compiled_call(model: Any) -> Any:
    import keras  # noqa: PLC0415 (heavy, and loaded already where a model exists)

    dtype = model.inputs[0].dtype
    if keras.backend.backend() != "tensorflow":
        return lambda tensors: model.predict_on_batch(tensors.astype(dtype))
    import tensorflow as tf  # noqa: PLC0415

    signature = tf.TensorSpec((None, *model.inputs[0].shape[1:]), dtype)
    # One graph for every batch size, traced here: tracing at the first call would be felt in a live session.
    call = tf.function(lambda tensors: model(tensors, training=False), input_signature=[signature])
    graph = call.get_concrete_function()
    return lambda tensors: graph(tf.constant(tensors.astype(dtype)))


def _interpreter_class() -> Any:
    try:
        from ai_edge_litert.interpreter import Interpreter  # noqa: PLC0415
    except ImportError:
        # No wheel for this platform: TensorFlow has the same interpreter, and asks to be replaced by the
        # wheel.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import tensorflow as tf  # noqa: PLC0415

            return tf.lite.Interpreter
    return Interpreter


def _ready(compiled: bytes, threads: int) -> Any:
    """Interpreter with memory for one picture."""
    interpreter_class = _interpreter_class()
    try:
        with captured_errors(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            interpreter = interpreter_class(model_content=compiled, num_threads=threads)
            entries, results = interpreter.get_input_details(), interpreter.get_output_details()
            fits = [len(entry["shape"]) for entry in (*entries, *results)] == [4, 2]
            if fits and not _is_open(entries[0]):
                interpreter.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        reason = (str(error).strip() or "it gives no reason").splitlines()[0][:200]
        raise ValueError(
            f"Expected a network that LiteRT can run, received one it refuses: {reason}"
        ) from error
    if not fits:
        shapes = [entry["shape_signature"].tolist() for entry in (*entries, *results)]
        raise ValueError(
            f"Expected a network from (N, H, W, C) to (N, outputs), received the shapes {shapes}"
        )
    return interpreter


def _quickest(compiled: bytes) -> tuple[Any, int]:
    """Interpreter with the thread count that was quickest in a short trial."""
    started = time.perf_counter()
    counts = [count for count in reversed(_THREADS) if count <= _cores()]
    best, best_count, best_time = None, 0, float("inf")
    # Most threads first: where one pass takes long, they are the better guess, and the trial ends there.
    for count in counts:
        interpreter = _ready(compiled, count)
        if _is_open(interpreter.get_input_details()[0]):
            return interpreter, count
        elapsed = _usual_pass(interpreter, TRIAL_SECONDS / (2 * len(counts)))
        if elapsed < best_time:
            best, best_count, best_time = interpreter, count, elapsed
        if time.perf_counter() - started > TRIAL_SECONDS / 2:
            break
    return best, best_count


def _usual_pass(interpreter: Any, budget: float) -> float:
    """Median seconds of a pass; the first, which still sets things up, counts only if it is the only one."""
    times: list[float] = []
    began = time.perf_counter()
    while len(times) < _PASSES and time.perf_counter() - began < budget:
        before = time.perf_counter()
        interpreter.invoke()
        times.append(time.perf_counter() - before)
    return float(np.median(times[1:] or times))


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
