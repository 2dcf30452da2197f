"""Network: from tensors to probabilities, by LiteRT, ONNX Runtime or Keras; compiling and comparing it."""

import hashlib
import json
import threading
import zipfile
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Self, TypeVar

import numpy as np

from kit._arrays import Float32, JSONObject
from kit._checking import first_line
from kit.classifier import engines
from kit.classifier.child import Predict, awaited, serve
from kit.classifier.engines import (
    TRIAL_SIDE,
    Engine,
    KerasEngine,
    LiteEngine,
    Shape,
    uninterrupted,
)
from kit.classifier.first_layers import FirstLayers, first_layers_of
from kit.classifier.intermediate import Dense, with_feature_map
from kit.classifier.keras_models import (
    check_model,
    compiled_lite,
    load_keras,
)
from kit.classifier.store import (
    Archive,
    arrays_in,
    checked_unchanged,
    npz_of,
    replacing,
)
from kit.images.photo import Photo
from kit.preprocessing import Preprocessing

# Members of the file that is kept, and what the first of them holds.
_ABOUT = "about.json"
_MODEL = "model.tflite"
_LAYERS = "first_layers.npz"
_FIELDS = ("head", "input_shape", "output_count", "reason", "said")


_HEADS = {
    "logits": "a linear last layer, whose outputs are used as logits, with a softmax",
    "sigmoid": "one sigmoid for each class: the outputs are divided by their sum",
}
_SINGLE_HEADS = {
    "binary_logit": "one linear output, used as the logit of the second class; a number is no class",
    "softmax": "a softmax over one output is always 1; train with one sigmoid or two outputs",
}
"""What to know of a last layer that puts out several numbers, or one."""


@dataclass(frozen=True)
class Compiled:
    """A network's shapes and head, with its compiled form or the reason why it has none.

    Parameters
    ----------
    head
        What the last layer puts out: ``"softmax"``, ``"logits"`` (or logarithms), ``"sigmoid"`` (one for each
        class) or ``"binary_logit"`` (one logit).
    input_shape, output_count
        (H, W, C), ``None`` for a side that the network leaves open; numbers that the last layer puts out.
    data, reason
        The compiled form, in the ``.tflite`` format, or the network of another file; or why there is none.
    first_layers
        Measures what the first layers receive; None where there is nothing to measure.
    said
        What the maker of a network of another format says in its file, as a part of a contract.
    """

    head: str
    input_shape: Shape
    output_count: int
    data: bytes | None = field(default=None, repr=False)
    reason: str | None = None
    first_layers: FirstLayers | None = None
    said: JSONObject = field(default_factory=dict)

    @property
    def class_count(self) -> int:
        """Columns of the probabilities; one sigmoid or one logit stands for two classes."""
        two = self.output_count == 1 and self.head != "softmax"
        return 2 if two else self.output_count

    @property
    def runner(self) -> str:
        """Name of what runs it."""
        if self.data is None:
            return "Keras"
        return "LiteRT" if engines.is_lite(self.data) else "ONNX Runtime"

    @property
    def remark(self) -> str:
        """What to know of the head; empty for a usual one."""
        heads = _HEADS if self.output_count > 1 else _SINGLE_HEADS
        return heads.get(self.head, "")

    def write(self, path: Path) -> None:
        """Write everything to a file of its own."""
        fields = {name: getattr(self, name) for name in _FIELDS}
        with replacing(path) as stream, zipfile.ZipFile(stream, "w") as archive:
            archive.writestr(_ABOUT, json.dumps(fields))
            if self.data is not None:
                archive.writestr(_MODEL, self.data)
            if self.first_layers is not None:
                archive.writestr(_LAYERS, npz_of(self.first_layers.arrays()))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `write` wrote; any exception for anything else."""
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        fields = json.loads(members[_ABOUT])
        fields.pop("max_difference", None)  # of earlier versions
        fields["input_shape"] = tuple(fields["input_shape"])
        if _LAYERS in members:
            fields["first_layers"] = FirstLayers.of(arrays_in(members[_LAYERS]))
        return cls(data=members.get(_MODEL), **fields)


TOLERANCE = 1e-5
"""Largest difference in a probability between the compiled form and Keras that is accepted."""


def largest_difference(
    reference: Engine, compiled: Engine, head: str, batches: Iterable[Float32]
) -> float:
    """Return the largest difference of a probability, 0..1; nan where a result is no number."""
    differences = []
    for batch in batches:
        expected = engines.probabilities(reference.predict(batch), head)
        received = engines.probabilities(compiled.predict(batch), head)
        differences.append(np.abs(expected - received).max())
    return float(np.max(differences))


def trial_tensors(
    shape: Shape, steps: Preprocessing | None = None
) -> tuple[Float32, ...]:
    """Make inputs to compare engines on: pseudo-random values, and a slow rise with grain.

    They cover the range of the preprocessing; without one the usual ranges 0..1, -1..1 and 0..255. An open
    side gets `TRIAL_SIDE`. Returns float32 arrays (2, H, W, C), the same at every call.
    """
    sides = [side or TRIAL_SIDE for side in shape]
    random = np.random.default_rng(20_241)
    patterns = random.random((2, *sides), dtype=np.float32)
    rise = np.linspace(0, 1, patterns[1].size, dtype=np.float32)
    patterns[1] = 0.1 * patterns[1] + 0.9 * rise.reshape(sides)
    ranges = [(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)]
    if steps is not None:
        black_and_white = Photo.from_array(255 * np.tri(96, dtype=np.uint8))
        tensor = steps.apply(black_and_white)
        ranges = [(float(tensor.min()), float(tensor.max()))]
    return tuple(patterns * (high - low) + low for low, high in ranges)


@uninterrupted()
def compile_model(
    model: Any, steps: Preprocessing | None = None, *, serving: bool = False
) -> Compiled:
    """Compile a Keras model, which is not changed, and hold the result against it.

    The preprocessing that it expects, if known, sets the range in which the two are compared. Where compiling
    fails, or results differ by more than `TOLERANCE`, there is a ``reason`` in place of ``data``. ``serving``
    lets Keras predict meanwhile, in a process of its own. TypeError or ValueError where the model is no
    classifier of images, or takes other tensors than the preprocessing makes.
    """
    check_model(model)
    keras = KerasEngine(model)
    _, shape = engines.checked_for_network(steps, keras.input_shape)
    batches = trial_tensors(shape, steps)
    head = engines.head_of(model) or engines.measured_head(
        np.concatenate([keras.predict(batch) for batch in batches])
    )
    # Without a graph, layers are called, which `first_layers_of` changes meanwhile.
    if serving and keras.graph is not None:
        # The first time takes long, and longer beside what follows.
        keras.predict(batches[0][:1])
        serve((head, keras.input_shape, keras.output_count), keras.predict)
    compiled = Compiled(
        head,
        keras.input_shape,
        keras.output_count,
        first_layers=first_layers_of(model),
    )
    try:
        data = compiled_lite(keras.graph)
        engine = LiteEngine(data, threads=1)
    except ValueError as error:
        return replace(compiled, reason=first_line(error))
    difference = largest_difference(keras, engine, head, batches)
    if difference <= TOLERANCE:
        return replace(compiled, data=data)
    reason = f"its compiled form differs by {difference:.1e} in a probability"
    return replace(compiled, reason=reason)


_T = TypeVar("_T")


class _Once(cached_property[_T]):
    """What is made at the first use, by one thread, and kept."""

    def __get__(self, network: Any, kind: Any = None) -> _T:  # type: ignore[override]
        with network.lock:
            value: _T = super().__get__(network, kind)
            return value


class Network:
    """A network from tensors to probabilities; what takes TensorFlow is made at the first use and kept.

    May be called from several threads, and belong to several classifiers: what is known of it is never set
    again, `up_to_date` returns another network instead. ``source`` is the file that it came from, or None;
    ``model`` may be None with a file. ``digest`` is that of the file, or of the weights in memory. ValueError
    where LiteRT does not run the compiled form.

    While it is being compiled, ``about`` has its shapes and head alone; what needs ``compiled`` waits for
    ``late``, and ``predict_early`` predicts. Else ``late`` is done.
    """

    def __init__(
        self,
        about: Compiled,
        *,
        model: Any = None,
        source: Archive | None = None,
        late: Future[Compiled] | None = None,
        predict_early: Predict | None = None,
    ) -> None:
        if late is None:
            late = Future()
            late.set_result(about)
        self._early = about
        self.late = late
        self.source = source
        self._predict_early = predict_early
        self.lock = threading.RLock()
        if source is None:
            self.model = model
        self.digest = _digest(model) if source is None else source.digest

    @property
    def about(self) -> Compiled:
        """What is known by now, without waiting; ValueError where compiling failed."""
        if not self.late.done():
            return self._early
        if error := self.late.exception():
            # Else each time adds to the lines of the times before, and keeps their arrays.
            raise error.with_traceback(None)
        return self.late.result()

    @property
    def compiled(self) -> Compiled:
        """All that is known, once it is compiled; ValueError where that failed."""
        if not self.late.done():
            awaited([self.late], "Compiling the model, once")
        return self.about

    @_Once
    def engine(self) -> Engine:
        """Return what runs the network."""
        data = self.compiled.data
        return KerasEngine(self.model) if data is None else engines.engine_of(data)

    @_Once
    def model(self) -> Any:
        """Return the Keras model."""
        return self.source and load_keras(checked_unchanged(self.source).path)

    @_Once
    def lanes(self) -> tuple[Engine, ...]:
        """Return the compiled form once for each core, on one thread; once where Keras runs the network.

        Called from as many threads, they beat one on all cores, whose threads wait at the end of every layer.
        """
        data = self.compiled.data
        if data is None:
            return (self.engine,)
        return tuple(engines.engine_of(data, threads=1) for _ in range(engines.cores()))

    def side_by_side(self, name: str) -> tuple[Callable[[Float32], Float32], int]:
        """Return a `predict` for many images, and from how many threads it is best called.

        It raises a ValueError, which says the name, for probabilities that are no numbers.
        """
        lanes = self.lanes
        free_lanes = SimpleQueue[Engine]()
        for lane in lanes:
            free_lanes.put(lane)

        def predict(tensors: Float32) -> Float32:
            lane = free_lanes.get()
            try:
                outputs = lane.predict(tensors)
            finally:
                free_lanes.put(lane)
            rows = engines.probabilities(outputs, self.compiled.head)
            return engines.finite(rows, name)

        return predict, len(lanes)

    def predict(self, tensors: Float32, *, early: bool = False) -> Float32:
        """Return probabilities, float32 (N, classes), for tensors, float32 (N, H, W, C).

        ``early`` ones come from Keras where the network is still being compiled.
        """
        outputs = None
        if early and self._predict_early and not self.late.done():
            outputs = self._predict_early(tensors)
        if outputs is None:
            outputs = self.engine.predict(tensors)
        return engines.probabilities(outputs, self.about.head)

    @_Once
    def engine_and_dense_layers(self) -> tuple[Engine, tuple[Dense, ...]]:
        """Return the engine, which then also gives the last feature map, if any, and the layers behind it."""
        data = self.compiled.data
        if data is None or not isinstance(self.engine, LiteEngine):
            return self.engine, ()
        try:
            with_map, dense_layers = with_feature_map(data)
            # Whose predictions are the same: one in memory is enough.
            self.engine = LiteEngine(with_map)
        except ValueError:
            return self.engine, ()
        return self.engine, dense_layers

    def up_to_date(self, steps: Preprocessing | None) -> Self:
        """Return this network, or another, compiled again, where the model was trained since."""
        if self.source is not None or _digest(self.model) == self.digest:
            return self
        return type(self)(compile_model(self.model, steps), model=self.model)


def _digest(model: Any) -> str:
    """Digest of the weights in memory, which training on changes."""
    total = hashlib.sha256()
    for array in model.get_weights():
        total.update(np.ascontiguousarray(array).data)
    return total.hexdigest()
