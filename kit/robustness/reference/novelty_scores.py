"""Whether a picture is like the training pictures at all, so that a classifier can answer "none of these".

A softmax gives every picture to one of its classes, however strange it is. Four scores tell strangers from
acquaintances, each higher for what is stranger:

- ``"probability"``: 1 minus the largest softmax probability (Hendrycks and Gimpel 2017, arXiv 1610.02136).
- ``"energy"``: minus the logarithm of the sum of exponentials of the logits (Liu et al. 2020, arXiv
  2010.03759).
- ``"batchnorm"``: divergence of the first layers' channel statistics from those of training, in nats.
- ``"features"``: squared Mahalanobis distance to the nearest class, with one covariance for all (Lee et al.
  2018, arXiv 1807.03888), of each channel's mean and standard deviation at the end of every stage.

``"combined"`` is the logarithm of the sum of the exponentials of two of them, the energy and the logarithm of
the distance, each standardized on held-back pictures: high as soon as one of the two is.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from kit.classifier import Classifier
from kit.classifier.activations.intermediate import Inside, reveal
from kit.classifier.runtime.engine import LiteEngine
from kit.classifier.runtime.heads import probabilities

Float64 = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]

METHODS = ("combined", "features", "energy", "batchnorm", "probability")
"""Names of the scores; the first of these that a network allows decides. This order was chosen without any of
the pictures that the method is judged by: ``tests/benchmarks/novelty.py`` says how."""
FEWEST = 20
"""Training pictures that a distance needs at least."""

# A covariance needs some times more pictures than it has rows, and the mean of a class some at all.
_PER_FEATURE, _PER_CLASS = 10, 10
# Share of the mean variance that is added to every variance: channels that hardly move are not divided by 0.
_SHRINKAGE = 1e-3
_TINY = np.finfo(np.float64).tiny


def energy(logits: Float64) -> Float64:
    """Return minus the logarithm of the sum of exponentials of each row: float64 (N, classes) to (N,)."""
    largest = logits.max(axis=1)
    return np.asarray(-largest - np.log(np.exp(logits - largest[:, None]).sum(axis=1)))


def statistics(inside: Inside) -> Float64:
    """Return the means and standard deviations of all stages as float64 (N, 2 * sum(widths)).

    Square roots of them, with their sign: averages of rectified channels are then nearer to normal.
    """
    values = np.concatenate([inside.means, inside.deviations], axis=1).astype(np.float64)
    return np.asarray(np.sign(values) * np.sqrt(np.abs(values)))


@dataclass(frozen=True, eq=False)
class Features:
    """Where the training pictures lie in the space of channel statistics.

    Attributes
    ----------
    whitening
        float32 (D * (D + 1) / 2,): the lower triangle, row by row, of a matrix L whose L @ L.T is the inverse
        of the shared covariance; or (D,), its diagonal, where the pictures were too few for a covariance.
    means
        float32 (classes, D): mean of each class that enough training pictures belong to, times the whitening.
    """

    whitening: Float32
    means: Float32

    @cached_property
    def _matrix(self) -> Float64:
        size = self.means.shape[1]
        if self.whitening.size == size:
            return self.whitening.astype(np.float64)
        matrix = np.zeros((size, size))
        matrix[np.tril_indices(size)] = self.whitening
        return matrix

    def distances(self, values: Float64) -> Float64:
        """Squared Mahalanobis distance to the nearest mean: float64 (N, D) to (N,)."""
        white = values * self._matrix if self._matrix.ndim == 1 else values @ self._matrix
        means = self.means.astype(np.float64)
        each = [((white - mean) ** 2).sum(axis=1) for mean in means]
        nearest: Float64 = np.min(each, axis=0)
        return nearest


def fit_features(values: Float64, classes: npt.NDArray[np.int64]) -> Features:
    """Fit the mean of every class and the covariance around them.

    Parameters
    ----------
    values
        float64 (N, D): what `statistics` gives for training pictures.
    classes
        int64 (N,): their classes. With fewer than 10 * D pictures there is one mean and no covariance.
    """
    count, size = values.shape
    full = count >= _PER_FEATURE * size
    kept = [each for each in np.unique(classes) if (classes == each).sum() >= _PER_CLASS] if full else []
    groups = [classes == each for each in kept] or [np.ones(count, bool)]
    means = np.stack([values[group].mean(axis=0) for group in groups])
    around = np.concatenate([values[group] - mean for group, mean in zip(groups, means, strict=True)])
    if not full:
        variance = (around**2).mean(axis=0)
        scale = 1 / np.sqrt(variance + _SHRINKAGE * variance.mean() + _TINY)
        return Features(scale.astype(np.float32), (means * scale).astype(np.float32))
    covariance = around.T @ around / len(around)
    covariance += (_SHRINKAGE * np.trace(covariance) / size + _TINY) * np.eye(size)
    whitening = np.linalg.cholesky(np.linalg.inv(covariance))
    triangle = whitening[np.tril_indices(size)].astype(np.float32)
    return Features(triangle, (means @ whitening).astype(np.float32))


def combined(scores: Mapping[str, Float64], held_back: Mapping[str, npt.NDArray[Any]]) -> Float64:
    """Return the combined score (N,) from the others, standardized by those of held-back pictures."""

    def standard(name: str, change: Callable[[Float64], Float64]) -> Float64:
        reference = change(held_back[name].astype(np.float64))
        return np.asarray((change(scores[name]) - reference.mean()) / (reference.std() + _TINY))

    first = standard("energy", lambda values: values)
    second = standard("features", lambda values: np.log(values + _TINY))
    return np.asarray(np.logaddexp(first, second))


class Instruments:
    """What a classifier's pictures are measured with: its network with more outputs, and its taps."""

    def __init__(self, classifier: Classifier) -> None:
        self._classifier = classifier
        engine, compiled = classifier.engine, classifier.compiled
        lite = engine if isinstance(engine, LiteEngine) else None
        self.inner = None if compiled is None or lite is None else reveal(compiled)
        if self.inner is not None and lite is not None:
            self._engine = LiteEngine(self.inner.compiled, threads=lite.threads)
        taps = classifier.taps
        self._taps = taps if taps is not None and taps.source else None
        if self._taps is not None:
            self._tap_engine = LiteEngine(self._taps.compiled, threads=1)

    def inside(self, tensors: Float32) -> Inside:
        """Run the network; only where `inner` is known."""
        inner: Any = self.inner
        result: Inside = inner.parts(self._engine.predict(tensors))
        return result

    def scores(self, tensors: Float32, features: Features | None) -> dict[str, Float64]:
        """Every score but the combined one."""
        scores: dict[str, Float64] = {}
        head = self._classifier.head
        if self.inner is None:
            rows = self._classifier.predict_tensors(tensors)
        else:
            inside = self.inside(tensors)
            rows = probabilities(inside.outputs, head)
            if features is not None:
                scores["features"] = features.distances(statistics(inside))
            logits = inside.outputs if head == "logits" else inside.logits
            if logits is not None and logits.shape[1] > 1:
                scores["energy"] = energy(logits.astype(np.float64))
        if self._taps is not None:
            from kit.robustness.reference.activation_distance import distances  # noqa: PLC0415 (the diagnosis may ask this module)

            moments = self._tap_engine.predict(tensors).astype(np.float64)
            scores["batchnorm"] = distances(moments, self._taps).mean(axis=-1)
        scores["probability"] = 1 - rows.max(axis=1).astype(np.float64)
        return scores
