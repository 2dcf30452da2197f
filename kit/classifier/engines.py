"""What runs a network: LiteRT, or Keras where it cannot be compiled."""

import os
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from queue import SimpleQueue
from typing import Any

import numpy as np

from kit._arrays import Float32
from kit._checking import first_line
from kit._interrupts import held
from kit.preprocessing import Preprocessing

Shape = tuple[int | None, int | None, int | None]
"""(H, W, C) of one tensor; None for a side that is open."""


def picture_size(shape: Shape) -> tuple[int | None, int | None]:
    """Return height and width of one tensor, channels last or first."""
    return shape[1:] if shape[2] not in {1, 3} and shape[0] in {1, 3} else shape[:2]


def sides(shape: Shape) -> str:
    """Write the shape of one tensor, with a question mark for a side that is open."""
    return "x".join("?" if side is None else str(side) for side in shape)


def check_preprocessing(preprocessing: Preprocessing | None, expected: Shape) -> None:
    """Refuse a preprocessing whose tensors the network does not take, and what is no preprocessing."""
    if not isinstance(preprocessing, Preprocessing | None):
        raise TypeError(f"Expected a Preprocessing, received {preprocessing!r}; see kit.Preprocessing")
    shape = None if preprocessing is None else tensor_shape(preprocessing)
    if shape is not None:
        check_shape((1, *shape), expected)


def tensor_shape(preprocessing: Preprocessing) -> tuple[int, int, int] | None:
    """Shape of one tensor without the batch, after the layout step; None where the photo decides it."""
    if preprocessing.input_shape is None:
        return None
    height, width, channels = preprocessing.input_shape
    turned = {"channels_first": (channels, height, width), "transposed": (width, height, channels)}
    return turned.get(preprocessing.layout, (height, width, channels))


def sized(expected: Shape, preprocessing: Preprocessing | None) -> Shape:
    """Shape of the tensors that a network gets: one that it leaves open is set by the preprocessing."""
    if None not in expected or preprocessing is None:
        return expected
    return tensor_shape(preprocessing) or expected


def check_shape(received: tuple[int, ...], expected: Shape) -> None:
    """Refuse tensors that the network does not take, with the setting that helps."""
    shape = received[1:]
    if len(shape) == 3 and all(side in (None, given) for side, given in zip(expected, shape, strict=True)):
        return
    channels_first = expected[2] not in {1, 3} and expected[0] in {1, 3}
    channels = 0 if channels_first else 2
    if len(shape) != 3:
        advice = "give images with a batch in front, as Classifier.tensor makes them"
    elif shape[channels] == expected[channels] and None not in expected:
        advice = f"set size={expected[1:] if channels_first else expected[:2]} in the preprocessing"
    elif channels_first or shape[0] == expected[2]:
        layout = "channels_first" if channels_first else "channels_last"
        advice = f"set layout={layout!r} in the preprocessing"
    else:
        advice = f"set channels={'gray' if expected[2] == 1 else 'rgb'!r} in the preprocessing"
    count = received[0] if len(shape) == 3 else "N"
    sides = ", ".join("any" if side is None else str(side) for side in expected)
    raise ValueError(f"Expected a tensor ({count}, {sides}), received {received}; {advice}")


# The standard error belongs to the whole process: two blocks at once would put back each other's sink.
_LOCK = threading.RLock()


@contextmanager
def captured_errors() -> Iterator[Callable[[], str]]:
    """Collect the standard error of the process; what is yielded returns what was written so far."""
    with _LOCK, tempfile.TemporaryFile() as sink:
        try:
            kept = os.dup(2)
        except OSError:  # no standard error, as under pythonw
            yield str
            return

        def written() -> str:
            sink.seek(0)
            return sink.read().decode(errors="replace")

        try:
            os.dup2(sink.fileno(), 2)
            yield written
        finally:
            os.dup2(kept, 2)
            os.close(kept)


HEADS = ("softmax", "logits", "sigmoid", "binary_logit", "log_softmax")
"""What the last layer puts out: probabilities, logits, a probability a class, one logit, logarithms."""


_LAYERS = {"Softmax": "softmax", "LogSoftmax": "log_softmax", "Sigmoid": "sigmoid"}


def head_of(config: Mapping[str, Any]) -> str | None:
    """Read from a Keras ``config.json`` what the last layer puts out; None where it does not say."""
    kind, inner = config.get("class_name"), config.get("config", {})
    if not isinstance(inner, Mapping):
        return None
    layers = inner.get("layers")
    if layers:
        output = inner.get("output_layers")
        while output and isinstance(output, list):  # ["name", 0, 0] or [["name", 0, 0]]
            output = output[0]
        named = [layer for layer in layers if layer.get("config", {}).get("name") == output]
        return head_of(named[0] if output and named else layers[-1])
    activation = _LAYERS.get(str(kind), inner.get("activation"))
    if isinstance(activation, Mapping):
        activation = activation.get("config", activation.get("class_name"))
    if kind == "Dense" and activation in {None, "linear"}:
        return "binary_logit" if inner.get("units") == 1 else "logits"
    return activation if activation in HEADS else None


def measured_head(outputs: Float32) -> str:
    """Judge by outputs, float32 (N, outputs), what the last layer puts out, where no architecture tells."""
    inside = bool((outputs >= 0).all() and (outputs <= 1).all())
    if outputs.shape[1] == 1:
        return "sigmoid" if inside else "binary_logit"
    if inside and np.allclose(outputs.sum(axis=1), 1, atol=1e-3):
        return "softmax"
    if (outputs <= 0).all() and np.allclose(np.exp(outputs).sum(axis=1), 1, atol=1e-3):
        return "log_softmax"
    return "logits"


def probabilities(outputs: Float32, head: str) -> Float32:
    """Turn what the last layer puts out, float32 (N, outputs), into probabilities (N, classes).

    One output becomes two columns: the first class, the second. Sigmoids that are all zero say nothing: every
    class is as probable.
    """
    if head == "softmax":
        return outputs
    if head in {"sigmoid", "binary_logit"} and outputs.shape[1] == 1:
        # The sigmoid in the form that cannot overflow.
        second = outputs if head == "sigmoid" else np.asarray((1 + np.tanh(outputs / 2)) / 2, np.float32)
        return np.concatenate([1 - second, second], axis=1)
    if head == "sigmoid":
        weights = outputs + np.finfo(np.float32).tiny
    else:
        with np.errstate(invalid="ignore"):  # infinite ones, which `finite` refuses
            weights = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)


def finite(rows: Float32, name: str) -> Float32:
    """Return the probabilities that a network of this name gave; ValueError if one is nan or infinite."""
    lost = np.count_nonzero(~np.isfinite(rows).all(axis=1))
    if lost:
        received = (
            f"nan or infinite values in {lost} of {len(rows)} rows; see kit.diagnose(classifier, photos)"
        )
        raise ValueError(f"Expected probabilities from {name!r}, received {received}")
    return rows


def tempered(rows: Float32, temperature: float) -> Float32:
    """Divide the logits behind softmax probabilities by a temperature (Guo et al. 2017, arXiv 1706.04599).

    The logits are known up to a constant for each row, which a softmax does not see: the logarithms. Above 1
    it makes every row less sure. A probability of 0 counts as the smallest float32. Returns a new array like
    ``rows``, float32 (N, classes), of rows that sum to 1.
    """
    if temperature == 1:
        return rows.copy()
    logarithms = np.log(np.maximum(rows, np.finfo(np.float32).tiny)) / np.float32(temperature)
    return probabilities(logarithms.astype(np.float32), "logits")


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


# A batch is cut into parts of about this many input values: nothing is gained by larger ones, the buffers
# between the layers stay small, and a live prediction waits for one part at most.
_PART_VALUES = 1 << 20
_MAX_PART = 64
_MOST_THREADS = 4


class LiteEngine:
    """A compiled network in LiteRT, without TensorFlow.

    Calls from several threads are served one after another.

    Parameters
    ----------
    compiled
        Network in the ``.tflite`` format, with one image-shaped input and one output of shape (N, outputs).
    threads
        Threads to use; as many as there are cores by default, 4 at most.

    Raises
    ------
    ValueError
        ``compiled`` is no such network, or needs operations that LiteRT does not have.
    """

    def __init__(self, compiled: bytes, *, threads: int | None = None) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._lock = threading.Lock()
        self.threads = min(_MOST_THREADS, cores()) if threads is None else threads
        try:
            with captured_errors(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self._interpreter = Interpreter(model_content=compiled, num_threads=self.threads)
                ends = (*self._interpreter.get_input_details(), *self._interpreter.get_output_details())
                sides = [[int(side) for side in end["shape_signature"]] for end in ends]
                self._allocated = [len(each) for each in sides] == [4, 2] and min(sides[0][1:]) > 0
                if self._allocated:
                    self._interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            raise ValueError(f"Expected a network that LiteRT can run: {first_line(error)}") from error
        if [len(each) for each in sides] != [4, 2]:
            raise ValueError(f"Expected a network from (N, H, W, C) to (N, outputs), received {sides}")
        self._input, self._output = (end["index"] for end in ends)
        self._dtype = ends[0]["dtype"]
        self._shape: tuple[int, ...] = (1, *sides[0][1:]) if self._allocated else ()
        height, width, channels = (side if side > 0 else None for side in sides[0][1:])
        self.input_shape: Shape = (height, width, channels)
        self.output_count = sides[1][1]

    def predict(self, tensors: Float32) -> Float32:
        """Run the network on float32 tensors (N, H, W, C), in the range that it expects; not changed.

        Returns what the last layer puts out, float32 (N, outputs), in a new array.
        """
        shape, count = tensors.shape, len(tensors)
        part = 1 if count == 1 else part_size(shape)
        if not 0 < count <= part:
            return _in_parts(self, tensors, part)
        values = tensors if tensors.dtype == self._dtype else tensors.astype(self._dtype)
        with self._lock:
            try:
                outputs = self._invoked(values)
            except (RuntimeError, MemoryError) as error:
                self._shape = ()
                told = first_line(error)[:200]
                raise ValueError(f"Expected tensors that LiteRT runs on, received {shape}: {told}") from error
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


class Lanes:
    """The same network once for each core, with one thread each, for many images at a time.

    Called from as many threads, they beat one network on all cores, whose threads wait for each other after
    every layer.
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


def _in_parts(engine: "Engine", tensors: Float32, part: int) -> Float32:
    parts = [engine.predict(tensors[start : start + part]) for start in range(0, len(tensors), part)]
    return np.concatenate([np.empty((0, engine.output_count), np.float32), *parts])


def part_size(shape: Sequence[int]) -> int:
    """Return how many tensors an engine takes at a time, of a batch (N, H, W, C)."""
    most = max(1, min(_MAX_PART, _PART_VALUES // max(1, int(np.prod(shape[1:])))))
    return 1 << (most.bit_length() - 1)


class KerasEngine:
    """A Keras model, called through one compiled function; starts later than `LiteEngine`, often runs slower.

    The model, from one image-shaped input to (N, outputs), is used, not copied. Calls from several threads
    are served one after another.
    """

    def __init__(self, model: Any) -> None:
        self._lock = threading.Lock()
        self._model = model  # the graph does not keep its weights alive
        self.input_shape: Shape = tuple(model.inputs[0].shape[1:])
        self.output_count = int(model.outputs[0].shape[-1])
        self._dtype = model.inputs[0].dtype
        with held():
            self.graph = traced(model, lambda tensors: model(tensors, training=False), self.input_shape)

    def predict(self, tensors: Float32) -> Float32:
        """Run the network; see `LiteEngine.predict`."""
        shape = tensors.shape
        check_shape(shape, self.input_shape)
        part = part_size(shape)
        if not 0 < len(tensors) <= part:
            return _in_parts(self, tensors, part)
        with self._lock, held():
            try:
                return self._called(tensors)
            except Exception as error:  # TensorFlow has exceptions of its own, for memory too
                told = first_line(error)[:200]
                raise ValueError(f"Expected tensors that Keras runs on, received {shape}: {told}") from error

    def _called(self, tensors: Float32) -> Float32:
        values = tensors.astype(self._dtype)
        if self.graph is None:
            return np.asarray(self._model.predict_on_batch(values), np.float32)
        return np.asarray(self.graph(_tensorflow().constant(values)), np.float32)


Engine = LiteEngine | KerasEngine


def traced(model: Any, call: Callable[[Any], Any], shape: Shape) -> Any:
    """Return one graph of TensorFlow for every number of images; None where there is none.

    As on another backend, or with a layer that must know the sizes where the network leaves them open.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        return None
    tf = _tensorflow()
    signature = tf.TensorSpec((None, *shape), model.inputs[0].dtype)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of what TensorFlow asks of Python
            return tf.function(call, input_signature=[signature]).get_concrete_function()
    except (TypeError, ValueError, tf.errors.OpError):
        return None


def _tensorflow() -> Any:
    import tensorflow as tf

    return tf
