"""What runs a network: LiteRT, ONNX Runtime, or Keras where it cannot be compiled."""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from warnings import catch_warnings

import numpy as np
import scipy  # its parts are imported when they are used

from kit._arrays import Array, Float32
from kit._checking import first_line
from kit._reporting import hidden_errors
from kit.preprocessing import Preprocessing
from kit.preprocessing.pipeline import arrange
from kit.preprocessing.scaling import Scaling

Shape = tuple[int | None, int | None, int | None]
"""(H, W, C) of one tensor; None for a side that is open."""


def channels_first(shape: Sequence[int | None]) -> bool:
    """Whether the shape of one tensor, three sides, begins with its channels."""
    return shape[2] not in {1, 3} and shape[0] in {1, 3}


def picture_size(shape: Shape) -> tuple[int | None, int | None]:
    """Return height and width of one tensor, channels last or first."""
    return shape[1:] if channels_first(shape) else shape[:2]


def shape_text(shape: Shape) -> str:
    """Write the shape of one tensor, with a question mark for a side that is open."""
    return "x".join("?" if side is None else str(side) for side in shape)


def checked_for_network(
    steps: Preprocessing | None, expected: Shape
) -> tuple[Preprocessing | None, Shape]:
    """Return a preprocessing, `fitted` to a network if its size is that of `Preprocessing` by default.

    With it comes the shape of the tensors that the network gets, of which it sets the sides that are open.
    TypeError or ValueError for what is no preprocessing, or one whose tensors the network does not take.
    """
    if not isinstance(steps, Preprocessing | None):
        raise TypeError(
            f"Expected a Preprocessing, received {steps!r}; see kit.Preprocessing"
        )
    if steps and steps.size == Preprocessing.size:
        steps = fitted(steps, expected, USUAL_SIDE)
    if steps is None or steps.input_shape is None:
        return steps, expected
    tensor = arrange(np.empty((1, *steps.input_shape), np.uint8), steps.layout)
    check_shape(tensor.shape, expected)
    return steps, tensor.shape[1:]


USUAL_SIDE = 224
"""Height and width assumed where a network leaves them open, in pixels: the size of most that are in use."""
TRIAL_SIDE = 96
"""Height and width on which a network is tried that leaves them open, in pixels."""
MOST_CLASSES = 1 << 18
"""Each has a name, and a network may declare as many as it likes."""
Shapes = Sequence[tuple[int | None, ...]]


def check_ends(
    kind: str,
    inputs: Shapes,
    outputs: Shapes,
    advice: str = "; export one image and its classes alone",
) -> None:
    """Refuse a network that is no classifier of images, with the words that say what it is."""
    match inputs, outputs:
        # Channels are first or last; without a side for them, images are grey.
        case [(_, first_side, _, *channels)], [(_, int(classes))] if len(channels) < 2:
            channel_sides = {first_side, *(channels or [1])}
            if channel_sides & {1, 3} and 0 < classes <= MOST_CLASSES:
                return
    raise ValueError(
        "Expected a network from (N, H, W), (N, H, W, 1 or 3) or (N, 1 or 3, H, W) to (N, classes) alone"
        f", received {kind} from {inputs} to {outputs}{advice}"
    )


def fitted(
    steps: Preprocessing, shape: Shape, open_side: int | None = None
) -> Preprocessing:
    """Return a preprocessing with the size, channels and layout of a network; open sides get one length."""
    is_channels_first = channels_first(shape)
    channels = shape[0] if is_channels_first else shape[2]
    height, width = (length or open_side for length in picture_size(shape))
    return steps.replace(
        size=(height, width) if height and width else None,
        channels="gray" if channels == 1 else steps.channels,
        layout="channels_first" if is_channels_first else steps.layout,
    )


def check_shape(received: tuple[int, ...], expected: Shape) -> None:
    """Refuse tensors that the network does not take, with the settings that help."""
    _, *sides = received
    pairs = zip(expected, sides, strict=False)
    if len(sides) == 3 and all(wanted in (None, side) for wanted, side in pairs):
        return
    steps = fitted(Preprocessing(), expected)
    size = f"size={steps.size}, " if steps.size else ""
    raise ValueError(
        f"Expected tensors of {shape_text(expected)}, received the shape {received};"
        f" set {size}channels={steps.channels!r}, layout={steps.layout!r} in the preprocessing"
    )


def head_of(model: Any) -> str | None:
    """Say what the last layer of a Keras model puts out; None where its kind does not tell."""
    layer = model
    while getattr(layer, "outputs", None):
        layer = layer.outputs[0]._keras_history.operation  # noqa: SLF001 (Keras's own way to it)
    kind = type(layer).__name__
    activation = getattr(layer, "activation", None)
    name = getattr(activation, "__name__", kind.lower())
    if kind == "Dense" and name == "linear":
        return "binary_logit" if layer.units == 1 else "logits"
    return name if name in {"softmax", "sigmoid"} else None


def measured_head(outputs: Float32, step: float = 0.0) -> str:
    """Judge by outputs, float32 (N, outputs), what the last layer puts out; 8 bits know them in steps."""
    columns = outputs.shape[1]
    if not ((outputs >= 0).all() and (outputs <= 1).all()):
        return "logits" if columns > 1 else "binary_logit"
    # Of a single output, a softmax always makes exactly 1.
    tolerance = 1e-3 + step * columns / 2 if columns > 1 else 0
    is_softmax = np.abs(outputs.sum(axis=1) - 1).max() <= tolerance
    return "softmax" if is_softmax else "sigmoid"


def probabilities(outputs: Float32, head: str) -> Float32:
    """Turn what the last layer puts out, float32 (N, outputs), into probabilities (N, classes).

    One output becomes two columns: the first class, the second. Sigmoids that are all zero say nothing: every
    class is as probable.
    """
    if head == "softmax":
        return outputs
    if head == "logits":
        with np.errstate(invalid="ignore"):  # infinite ones, which `finite` refuses
            return np.asarray(scipy.special.softmax(outputs, axis=1))
    if head == "binary_logit":
        outputs = scipy.special.expit(outputs)
    if outputs.shape[1] == 1:
        return np.concatenate([1 - outputs, outputs], axis=1)
    shares = outputs + np.finfo(np.float32).tiny
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def finite(rows: Float32, name: str) -> Float32:
    """Return the probabilities that a network of this name gave; ValueError if one is nan or infinite."""
    bad_rows = np.count_nonzero(~np.isfinite(rows).all(axis=1))
    if bad_rows:
        raise ValueError(
            f"Expected probabilities from {name!r}, received "
            f"nan or infinite values in {bad_rows} of {len(rows)} rows; see kit.diagnose"
        )
    return rows


def tempered(rows: Float32, temperature: float) -> Float32:
    """Divide the logits behind softmax probabilities by a temperature (Guo et al. 2017, arXiv 1706.04599).

    The logits are known up to a constant for each row, which a softmax does not see: the logarithms. Above 1
    it makes every row less sure. A probability of 0 counts as the smallest float32. Returns a new array like
    ``rows``, float32 (N, classes), of rows that sum to 1.
    """
    if temperature == 1:
        return rows.copy()
    logits = np.log(np.maximum(rows, np.finfo(np.float32).tiny))
    return probabilities((logits / temperature).astype(np.float32), "logits")


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


# A batch is cut into parts of about this many input values: nothing is gained by larger ones, the buffers
# between the layers stay small, and a live prediction waits for one part at most.
_PART_VALUES = 1 << 20
_MAX_PART = 64
_THREADS = min(4, cores())


class Engine:
    """What engines have in common: batches are cut into parts, and threads are served one after another."""

    input_shape: Shape
    output_count: int
    single = False
    """Whether it takes one image at a time."""
    step = 0.0
    """Between two outputs of 8 bits; 0 for floating point."""
    channels: int | None = None
    """Of the last feature map, if `inside` gives one."""
    dtype: Any = np.dtype("float32")
    """Of the input."""
    scaling: Scaling | None = None
    """Of an input of whole numbers, with which each of the levels 0..255 is one of them; None for others."""

    def __init__(self) -> None:
        self._lock = threading.RLock()

    def _check_and_set_shapes(self, inputs: Shapes, outputs: Shapes) -> None:
        # Behind the classes there may be a feature map.
        first, *others = outputs
        check_ends(
            "one", inputs, [first, *(shape for shape in others if len(shape) != 4)]
        )
        self._set_input_shape(inputs[0])
        batch = inputs[0][0]
        if batch not in {None, 1}:
            raise ValueError(
                f"Expected a network for one image or any number, received one for {batch}"
                "; export it with a batch of 1"
            )
        self.single = batch == 1
        self.output_count = outputs[0][1] or 0

    def _set_input_shape(self, shape: Sequence[int | None]) -> None:
        """Take tensors for an input of this shape, which for grey images may be (N, H, W)."""
        _, height, width, channels, *_ = (*shape, 1)
        self.input_shape = height, width, channels
        self._dimensions = len(shape)

    def predict(self, tensors: Float32) -> Float32:
        """Run the network on float32 tensors (N, H, W, C), in the range that it expects; not changed.

        Returns what the last layer puts out, float32 (N, outputs), in a new array.
        """
        check_shape(tensors.shape, self.input_shape)
        size = 1 if self.single else part_size(tensors.shape)
        if len(tensors) > size:
            starts = range(0, len(tensors), size)
            return np.concatenate(
                [self.predict(tensors[start : start + size]) for start in starts]
            )
        with self._lock:
            try:
                return self._run(tensors.reshape(tensors.shape[: self._dimensions]))
            # TensorFlow has exceptions of its own, for memory too.
            except Exception as error:
                raise ValueError(
                    f"Expected other tensors than {tensors.shape}: {first_line(error)}"
                ) from error

    def _run(self, tensors: Float32) -> Float32:
        raise NotImplementedError

    def inside(self, tensors: Float32) -> tuple[Float32, Float32 | None]:
        """Return what `predict` does, and the last feature map of the same pass, float32 (N, h, w, channels).

        All tensors run at once: give no more than `part_size` says, and one where `single` is set. None where
        there is no such map.
        """
        return self.predict(tensors), None


class LiteEngine(Engine):
    """A compiled network in LiteRT, without TensorFlow.

    Parameters
    ----------
    compiled
        Network in the ``.tflite`` format, with one image-shaped input, an output of shape (N, outputs), and
        for `inside` a feature map as a second one. ValueError for another, or operations that LiteRT lacks.
    threads
        Threads to use; as many as there are cores by default, 4 at most.
    """

    def __init__(self, compiled: bytes, *, threads: int = _THREADS) -> None:
        from ai_edge_litert.interpreter import Interpreter

        super().__init__()
        try:
            with hidden_errors(), catch_warnings(action="ignore"):
                lite = Interpreter(model_content=compiled, num_threads=threads)
                inputs = lite.get_input_details()
                outputs = lite.get_output_details()
                _, *sides = inputs[0]["shape_signature"].tolist()
                if min(sides) < 1:
                    shape = 1, *(side if side > 0 else TRIAL_SIDE for side in sides)
                    lite.resize_tensor_input(inputs[0]["index"], shape)
                lite.allocate_tensors()  # prints what it runs on
        except (RuntimeError, ValueError) as error:
            raise ValueError(
                "Expected a network that LiteRT can run, received one that it refuses"
                f" ({first_line(error)}); copy or convert it again"
            ) from error
        self._check_and_set_shapes(*map(_shapes_of, (inputs, outputs)))
        self._lite = lite
        self._input = inputs[0]
        self._outputs = outputs
        self._shape: tuple[int, ...] = ()
        self.dtype = np.dtype(inputs[0]["dtype"])
        self.scaling = _scaling_of_levels(self.dtype, *inputs[0]["quantization"])
        self.step = outputs[0]["quantization"][0]
        if len(outputs) > 1:
            self.channels = int(outputs[1]["shape_signature"][-1])

    def _run(self, tensors: Float32) -> Float32:
        index = self._input["index"]
        if tensors.shape != self._shape:
            self._shape = ()  # in case what follows fails
            # Memory grows with the largest part so far and is kept: going back to one image costs 0.1 ms.
            self._lite.resize_tensor_input(index, tensors.shape)
            self._lite.allocate_tensors()
            self._shape = tensors.shape
        levels = _as_network_input(
            tensors, self._input["dtype"], *self._input["quantization"]
        )
        self._lite.set_tensor(index, levels)
        self._lite.invoke()
        return self._output(0)

    def _output(self, number: int) -> Float32:
        output = self._outputs[number]
        values = self._lite.get_tensor(output["index"])
        scale, zero = output["quantization"]
        if scale:
            values = (values - np.float32(zero)) * scale
        return np.asarray(values, np.float32)

    def inside(self, tensors: Float32) -> tuple[Float32, Float32 | None]:  # noqa: D102 (see Engine)
        if self.channels is None:
            return super().inside(tensors)
        with self._lock:
            return self.predict(tensors), self._output(1)


def _shapes_of(tensors: Sequence[Any]) -> Shapes:
    return [_shape(tensor["shape_signature"].tolist()) for tensor in tensors]


def _shape(sides: Sequence[Any]) -> tuple[int | None, ...]:
    """Return a shape with None for a side that is a name, or -1: it is open."""
    return tuple(side if isinstance(side, int) and side > 0 else None for side in sides)


def _as_network_input(
    tensors: Float32, dtype: Any, scale: float = 0.0, zero: int = 0
) -> Array:
    """Return tensors as a network takes them; of whole numbers in steps of a scale, if it has one."""
    if np.dtype(dtype).kind == "f":
        return tensors.astype(dtype, copy=False)
    limits = np.iinfo(dtype)
    levels = np.clip(np.rint(tensors / (scale or 1) + zero), limits.min, limits.max)
    return np.asarray(levels, dtype)


def _scaling_of_levels(dtype: Any, scale: float = 0.0, zero: int = 0) -> Scaling | None:
    """Return the scaling that `_as_network_input` undoes, of an input of 8 bits; None for another."""
    if np.dtype(dtype).itemsize > 1:
        return None
    first = int(np.iinfo(dtype).min)
    return Scaling(1.0, mean=float(zero - first), std=1 / (scale or 1))


class OnnxEngine(Engine):
    """An ``.onnx`` network in ONNX Runtime; see `LiteEngine`."""

    def __init__(self, data: bytes, *, threads: int = _THREADS) -> None:
        super().__init__()
        # Read at its import; from 1.32 on it would leave a file for its telemetry among the temporary ones.
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = threads
        # Where nothing can lie, whatever the network names: weights in other files are not read.
        options.add_session_config_entry(
            "session.model_external_initializers_file_folder_path", os.devnull
        )
        options.add_session_config_entry("session.load_model_format", "ONNX")
        # Waiting threads would burn as much processor time as the network takes.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(
                data, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # with classes of its own
            raise ValueError(
                "Expected a network that ONNX Runtime can run, with its weights in it"
                " (external_data=False), received one that it refuses"
                f" ({first_line(error)}); copy or export it again"
            ) from error
        inputs = self._session.get_inputs()
        outputs = self._session.get_outputs()
        self._check_and_set_shapes(
            [_shape(tensor.shape) for tensor in inputs],
            [_shape(tensor.shape) for tensor in outputs],
        )
        self._input = inputs[0].name
        self._output = outputs[0].name
        input_type = inputs[0].type.removeprefix("tensor(").removesuffix(")")
        self.dtype = np.dtype("float32" if input_type == "float" else input_type)
        self.scaling = _scaling_of_levels(self.dtype)
        self.properties = self._session.get_modelmeta().custom_metadata_map

    def _run(self, tensors: Float32) -> Float32:
        inputs = {self._input: _as_network_input(tensors, self.dtype)}
        (outputs,) = self._session.run([self._output], inputs)
        return np.asarray(outputs, np.float32)


def engine_of(data: bytes, *, threads: int = _THREADS) -> LiteEngine | OnnxEngine:
    """Make what runs a network in the ``.tflite`` or the ``.onnx`` format; raises as they do."""
    kind = LiteEngine if is_lite(data) else OnnxEngine
    return kind(data, threads=threads)


def check_lite(data: bytes) -> None:
    """Raise a ValueError unless LiteRT reads a network and has its operations; its tensors are not made."""
    from ai_edge_litert.interpreter import Interpreter

    Interpreter(model_content=data)


def is_lite(data: bytes) -> bool:
    """Whether the bytes are marked as the ``.tflite`` format."""
    return data[4:8] == b"TFL3"


def is_quantised(data: bytes) -> bool:
    """Whether a ``.tflite`` or ``.onnx`` file has numbers of few bits."""
    if not is_lite(data):
        return b"uantizeLinear" in data  # with Q, Deq, or DynamicQ before it
    from ai_edge_litert.interpreter import Interpreter

    tensors = str(Interpreter(model_content=data).get_tensor_details())
    return "int8'>" in tensors or "float16'>" in tensors  # as numpy writes its types


def part_size(shape: Sequence[int]) -> int:
    """Return how many tensors an engine takes at a time, of a batch (N, H, W, C)."""
    values = int(np.prod(shape[1:]))
    return max(1, min(_MAX_PART, _PART_VALUES // max(1, values)))


class KerasEngine(Engine):
    """A Keras model, called through one compiled function; starts later than `LiteEngine`, often runs slower.

    The model, from one image-shaped input to (N, outputs), is used, not copied.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self._model = model  # the graph does not keep its weights alive
        self._set_input_shape(model.inputs[0].shape)
        self.output_count = int(model.outputs[0].shape[-1])
        self._dtype = model.inputs[0].dtype
        with uninterrupted():
            self.graph = traced(model, lambda tensors: model(tensors, training=False))

    def _run(self, tensors: Float32) -> Float32:
        with uninterrupted():
            run = self._model.predict_on_batch if self.graph is None else self.graph
            return np.asarray(run(tensors.astype(self._dtype)), np.float32)


def traced(model: Any, call: Callable[[Any], Any]) -> Any:
    """Return one graph of TensorFlow for every number of images; None where there is none.

    As on another backend, or with a layer that must know the sizes where the network leaves them open.
    """
    _, *sides = model.inputs[0].shape
    try:
        import tensorflow as tf

        signature = tf.TensorSpec((None, *sides), model.inputs[0].dtype)
        # Of what TensorFlow asks of Python.
        with catch_warnings(action="ignore", category=DeprecationWarning):
            function = tf.function(call, input_signature=[signature])
            return function.get_concrete_function()
    except Exception:  # noqa: BLE001 (what another backend or a layer raises has no limit)
        return None


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold an interrupt (SIGINT) back until the block ends, where it is raised as ever.

    For single steps of TensorFlow: cut off, they leave it building graphs for ever, or end the process.
    """
    # Elsewhere no interrupt arrives; and what was not set from Python cannot be put back from it.
    on_main = threading.current_thread() is threading.main_thread()
    usual_handler = signal.getsignal(signal.SIGINT)
    if not on_main or usual_handler is None:
        yield
        return
    interrupts: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _frame: interrupts.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual_handler)
        if interrupts:
            signal.raise_signal(signal.SIGINT)
