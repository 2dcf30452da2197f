"""Network: what a classifier runs; compiled, or in Keras where it cannot be."""

import hashlib
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from kit._arrays import Float32
from kit.classifier.conversion import (
    TOLERANCE,
    Compiled,
    Verification,
    describe,
    largest_difference,
    trial_tensors,
)
from kit.classifier.engines import Engine, KerasEngine, Lanes, LiteEngine, Shape, probabilities
from kit.classifier.keras_models import load_keras
from kit.classifier.store import Archive, unchanged
from kit.preprocessing import Preprocessing


class Network:
    """A network from tensors to probabilities; what takes TensorFlow is made at the first use and kept.

    May be called from several threads, and belong to several classifiers: what is known of it is never set
    anew, `up_to_date` returns another network instead.

    Parameters
    ----------
    compiled
        What is known of it.
    model
        The Keras model; None to open it from ``source`` when it is needed.
    source
        The file that it came from; None for a network in memory.

    Raises
    ------
    ValueError
        LiteRT does not run the compiled form.
    """

    def __init__(self, compiled: Compiled, *, model: Any = None, source: Archive | None = None) -> None:
        self.compiled = compiled
        self.source = source
        self._lite = None if compiled.data is None else LiteEngine(compiled.data)
        self._lock = threading.RLock()
        self._model = model
        self._keras: KerasEngine | None = None
        self._lanes: Lanes | None = None
        self._weights = _fingerprint(model) if source is None else None

    @classmethod
    def of(cls, model: Any, preprocessing: Preprocessing | None = None) -> Self:
        """Compile a Keras model that is in memory.

        Raises
        ------
        TypeError, ValueError
            No Keras model, one with other shapes, or a preprocessing that does not fit.
        """
        return cls(describe(model, preprocessing), model=model)

    @property
    def engine(self) -> Engine:
        """What runs the network; where that is Keras, it is made at the first use."""
        if self._lite is not None:
            return self._lite
        with self._lock:
            if self._keras is None:
                self._keras = KerasEngine(self.model)
            return self._keras

    @property
    def model(self) -> Any:
        """The Keras model; of a network from a file it is opened at the first use."""
        if self._model is None and self.source is not None:
            with self._lock:
                if self._model is None:
                    self._model = load_keras(unchanged(self.source).path)
        return self._model

    @property
    def lanes(self) -> Lanes | None:
        """The compiled form once for each core, made at the first use; None where Keras runs the network."""
        if self.compiled.data is None:
            return None
        with self._lock:
            if self._lanes is None:
                self._lanes = Lanes(self.compiled.data)
            return self._lanes

    def predict(self, tensors: Float32) -> Float32:
        """Return probabilities, float32 (N, classes), for tensors, float32 (N, H, W, C)."""
        return probabilities(self.engine.predict(tensors), self.compiled.head)

    def verify(
        self, shape: Shape, preprocessing: Preprocessing | None, photos: Sequence[Float32] = ()
    ) -> Verification:
        """Hold what runs the network against Keras, in the range of a preprocessing and on photos."""
        batches = (*trial_tensors(shape, preprocessing), *photos)
        head = self.compiled.head
        difference = largest_difference(KerasEngine(self.model), self.engine, head, batches)
        return Verification(difference, len(photos), difference <= TOLERANCE)

    def keras_file(self, folder: Path) -> Path:
        """Return a ``.keras`` file with the network as it is now; written to the folder if there is none."""
        if self.source is not None:
            return unchanged(self.source).path
        path = folder / "network.keras"
        self._model.save(path)
        return path

    def up_to_date(self, preprocessing: Preprocessing | None) -> Self:
        """Return this network, or another, compiled anew, where the model was trained since."""
        if self.source is not None or _fingerprint(self._model) == self._weights:
            return self
        return self.of(self._model, preprocessing)


def _fingerprint(model: Any) -> str:
    """Digest of the weights in memory, which training on changes."""
    total = hashlib.sha256()
    for array in model.get_weights():
        total.update(np.ascontiguousarray(array).data)
    return total.hexdigest()
