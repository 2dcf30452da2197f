"""Network: what a classifier runs; compiled, or in Keras where it cannot be."""

import hashlib
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from kit._arrays import Float32
from kit.classifier.conversion import TOLERANCE, Compiled, Verification, largest_difference, trial_tensors
from kit.classifier.engines import Engine, KerasEngine, Lanes, LiteEngine, Shape, picture_size, probabilities
from kit.classifier.first_layers import FirstLayers
from kit.classifier.loading import restore_first_layers, unchanged
from kit.classifier.store import Archive
from kit.preprocessing import Preprocessing


class Network:
    """A network from tensors to probabilities; what takes TensorFlow is made at the first use and kept.

    May be called from several threads, and belong to several classifiers: what is known of it is never set
    anew, `up_to_date` returns another network instead.

    Parameters
    ----------
    compiled
        What is known of it.
    lite
        Runs the compiled form; None where Keras has to run the network.
    model
        The Keras model; None to open it from ``source`` when it is needed.
    source
        The file that it came from; None for a network in memory.
    compared
        The preprocessing in whose range the compiled form was compared with Keras; None if in no such range.
    """

    def __init__(
        self,
        compiled: Compiled,
        lite: LiteEngine | None,
        *,
        model: Any = None,
        source: Archive | None = None,
        compared: Preprocessing | None = None,
    ) -> None:
        self.compiled = compiled
        self.lite = lite
        self.source = source
        self._lock = threading.RLock()
        self._model = model
        self._keras: KerasEngine | None = None
        self._lanes: Lanes | None = None
        self._first_layers: dict[Shape, FirstLayers | None] = {}
        self._weights = _fingerprint(model) if source is None else None
        self._compared = compared

    @classmethod
    def of(cls, model: Any, preprocessing: Preprocessing | None = None) -> Self:
        """Compile a Keras model that is in memory.

        Raises
        ------
        TypeError, ValueError
            No Keras model, one with other shapes, or a preprocessing that does not fit.
        """
        from kit.classifier import conversion  # noqa: PLC0415 (not needed for a network from a file)

        compiled = conversion.describe(model, preprocessing)
        lite = None if compiled.data is None else LiteEngine(compiled.data)
        return cls(compiled, lite, model=model, compared=preprocessing)

    @property
    def engine(self) -> Engine:
        """What runs the network; where that is Keras, it is made at the first use."""
        if self.lite is not None:
            return self.lite
        with self._lock:
            if self._keras is None:
                self._keras = KerasEngine(self.model)
            return self._keras

    @property
    def model(self) -> Any:
        """The Keras model; of a network from a file it is opened at the first use."""
        if self._model is None and self.source is not None:
            from kit.classifier.conversion import load_keras  # noqa: PLC0415 (not needed to predict)

            with self._lock:
                if self._model is None:
                    self._model = load_keras(unchanged(self.source).path)
        return self._model

    @property
    def lanes(self) -> Lanes | None:
        """The compiled form once for each core, made at the first use; None where Keras runs the network."""
        if self.compiled.data is None or self.lite is None:
            return None
        with self._lock:
            if self._lanes is None:
                self._lanes = Lanes(self.compiled.data)
            return self._lanes

    def predict(self, tensors: Float32) -> Float32:
        """Return probabilities, float32 (N, classes), for tensors, float32 (N, H, W, C)."""
        return probabilities(self.engine.predict(tensors), self.compiled.head)

    def first_layers(self, shape: Shape) -> FirstLayers | None:
        """Find statistics of the first layers, for one shape of tensors, once; see `restore_first_layers`.

        None where the size is open, since they belong to one.
        """
        height, width = picture_size(shape)
        if height is None or width is None:
            return None
        with self._lock:
            if shape not in self._first_layers:
                self._first_layers[shape] = restore_first_layers(
                    self.source, lambda: self.model, self.compiled.input_shape, (height, width)
                )
            return self._first_layers[shape]

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

    def up_to_date(self, shape: Shape, preprocessing: Preprocessing | None) -> Self:
        """Return this network, or another where its compiled form can no longer be trusted.

        A model that was trained since is compiled anew. The compiled form from a file is compared with Keras
        in the range of the preprocessing, if it was not before; where they differ, it is left out.

        Parameters
        ----------
        shape
            (H, W, C) of the tensors that the preprocessing makes; ``None`` for a side that photos decide.
        preprocessing
            What the network expects, if known.
        """
        if self.source is None:
            trained = _fingerprint(self._model) != self._weights
            return self.of(self._model, preprocessing) if trained else self
        known = self._compared is not None and self._compared == preprocessing
        if known or self.compiled.data is None:
            return self
        found = self.verify(shape, preprocessing)
        difference, lite = found.max_difference, self.lite if found.agrees else None
        compiled = replace(self.compiled, max_difference=difference)
        compiled = compiled if found.agrees else compiled.differing(difference)
        return type(self)(compiled, lite, model=self._model, source=self.source, compared=preprocessing)


def _fingerprint(model: Any) -> str:
    """Digest of the weights in memory, which training on changes."""
    total = hashlib.sha256()
    for array in model.get_weights():
        total.update(np.ascontiguousarray(array).data)
    return total.hexdigest()
