"""Whether a picture is like the training pictures at all, so that a classifier can answer "none of these".

A softmax gives every picture to one of its classes, however strange it is. Five scores tell strangers from
acquaintances, each higher for what is stranger:

- ``"probability"``: 1 minus the largest softmax probability (Hendrycks and Gimpel 2017, arXiv 1610.02136).
- ``"energy"``: minus the logarithm of the sum of exponentials of the logits (Liu et al. 2020, arXiv
  2010.03759).
- ``"batchnorm"``: divergence of the first layers' channel statistics from those of training, in nats.
- ``"features"``: squared Mahalanobis distance to the nearest class, with one covariance for all (Lee et al.
  2018, arXiv 1807.03888), of each channel's mean and standard deviation at the end of every stage.
- ``"last_stage"``: that at the end of the last stage alone, which sees shapes. The stages before see
  light and texture as well, and are far from training for a noisy picture that is answered well.

``"combined"`` is the logarithm of the sum of the exponentials of two of them, the energy and the logarithm of
the distance in the last stage, standardized on held-back pictures: high as soon as one of the two is.
The distance is that in all stages where there is no ``"last_stage"``.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from kit._arrays import Array, Float32, Float64
from kit._reporting import Progress, Steps
from kit.classifier import Classifier
from kit.classifier.activations.intermediate import IntermediateOutputs, reveal
from kit.classifier.runtime.engine import LiteEngine
from kit.classifier.runtime.heads import probabilities
from kit.images import Photo
from kit.robustness.reference.activation_distance import distances
from kit.robustness.reference.gaussian import Gaussian

METHODS = ("combined", "last_stage", "features", "energy", "batchnorm", "probability")
"""Names of the scores; the first of these that a network allows decides. This order was chosen without any of
the pictures that the method is judged by: ``tests/benchmarks/novelty.py`` says how."""
FEWEST = 20
"""Training pictures that a distance needs at least."""

_PART = 32
_TINY = np.finfo(np.float64).tiny


def energy(logits: Float64) -> Float64:
    """Return minus the logarithm of the sum of exponentials of each row: float64 (N, classes) to (N,)."""
    return np.asarray(-np.logaddexp.reduce(logits, axis=1))


def statistics(found: IntermediateOutputs) -> Float64:
    """Return the means and standard deviations of all stages as float64 (N, 2 * sum(widths)).

    Square roots of them, with their sign: averages of rectified channels are then nearer to normal.
    """
    values = np.concatenate([found.means, found.deviations], axis=1).astype(np.float64)
    return np.asarray(np.sign(values) * np.sqrt(np.abs(values)))


def combined(scores: Mapping[str, Float64], held_back: Mapping[str, Array]) -> Float64:
    """Return the combined score (N,) from the others, standardized by those of held-back pictures."""

    def standard(name: str, change: Callable[[Float64], Float64]) -> Float64:
        reference = change(held_back[name].astype(np.float64))
        return np.asarray((change(scores[name]) - reference.mean()) / (reference.std() + _TINY))

    first = standard("energy", lambda values: values)
    second = standard(
        "last_stage" if "last_stage" in held_back else "features", lambda values: np.log(values + _TINY)
    )
    return np.asarray(np.logaddexp(first, second))


class Instruments:
    """What a classifier's pictures are measured with: its network with more outputs, and its first layers."""

    def __init__(self, classifier: Classifier) -> None:
        self._classifier = classifier
        engine, compiled = classifier.engine, classifier.compiled
        lite = engine if isinstance(engine, LiteEngine) else None
        self.intermediate = None if compiled is None or lite is None else reveal(compiled)
        if self.intermediate is not None and lite is not None:
            self._engine = LiteEngine(self.intermediate.compiled, threads=lite.threads)
        first_layers = classifier.first_layers
        self._first_layers = first_layers if first_layers is not None and first_layers.source else None

    def tensors(
        self, photos: Sequence[Photo], told: str = "", progress: Progress = False
    ) -> Iterator[Float32]:
        """Prepare some photos at a time, since memory is finite: float32 (N, H, W, C) each."""
        parts = [photos[start : start + _PART] for start in range(0, len(photos), _PART)]
        for part in Steps(parts, told, f" times {_PART} pictures", progress):
            yield np.concatenate([self._classifier.tensor(photo) for photo in part])

    def outputs(self, tensors: Float32) -> IntermediateOutputs:
        """Run the network; only where `intermediate` is known."""
        intermediate: Any = self.intermediate
        result: IntermediateOutputs = intermediate.parts(self._engine.predict(tensors))
        return result

    def distributions(self, features: Gaussian | None) -> dict[str, Gaussian]:
        """Return by the name of its score where the training pictures lie: in all stages, and in the last.

        Not in the last where there is one distribution for all classes (see `Gaussian.of_classes`): pictures
        of something else activate few of its channels, and so lie near the middle of them all.
        """
        if features is None or self.intermediate is None:
            return {}
        if features.whitening.ndim == 1:
            return {"features": features}
        stages = np.repeat(np.arange(len(self.intermediate.widths)), self.intermediate.widths)
        # Means of all stages, then their standard deviations: see `statistics`.
        last = features.marginal(np.tile(stages == stages[-1], 2))
        return {"features": features, "last_stage": last}

    def scores(self, tensors: Float32, distributions: Mapping[str, Gaussian]) -> dict[str, Float64]:
        """Every score but the combined one."""
        scores: dict[str, Float64] = {}
        head = self._classifier.head
        if self.intermediate is None:
            rows = self._classifier.predict_tensors(tensors)
        else:
            found = self.outputs(tensors)
            rows = probabilities(found.outputs, head)
            values = statistics(found)
            scores |= {name: one.distances(values) for name, one in distributions.items()}
            logits = found.outputs if head == "logits" else found.logits
            if logits is not None and logits.shape[1] > 1:
                scores["energy"] = energy(logits.astype(np.float64))
        if self._first_layers is not None:
            moments = self._first_layers.measure(tensors)
            scores["batchnorm"] = distances(moments, self._first_layers).mean(axis=-1)
        scores["probability"] = 1 - rows.max(axis=1).astype(np.float64)
        return scores
