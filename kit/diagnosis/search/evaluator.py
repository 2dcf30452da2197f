"""Many preprocessings on the same pictures: decoding and resizing are done once and shared."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from kit._arrays import Array, Float32, Float64
from kit.classifier import Classifier
from kit.classifier.activations.first_layers import FirstLayers
from kit.classifier.activations.tensor_features import tensor_features
from kit.classifier.trial import Trial, Truth
from kit.images import Photo
from kit.preprocessing import Preprocessing
from kit.preprocessing.operations import run
from kit.preprocessing.pipeline import TO_SIZE, TO_TENSOR
from kit.robustness.reference.activation_distance import distances
from kit.robustness.reference.profile import LEAST_PROFILED, Profile

CONSTANT = 1e-4
"""Share of the median variance of a layer's channels up to which one is not looked at."""

_KEPT = 24


class Evaluator:
    """Runs a network and its first layers on pictures under many preprocessings.

    Parameters
    ----------
    classifier
        The network.
    first_layers
        Of the network; None where they cannot be reached.
    """

    def __init__(self, classifier: Classifier, first_layers: FirstLayers | None = None) -> None:
        self.classifier = classifier
        self.first_layers = _learned(first_layers)
        self._resized: dict[tuple[Any, ...], Array] = {}
        self._known: dict[tuple[Any, ...], Float64] = {}
        self._ordinary: Profile | None = None

    @property
    def statistics(self) -> bool:
        """Whether anything is known of the training pictures."""
        layers = self.first_layers
        return layers is not None and (layers.means is not None or self.profile is not None)

    @property
    def profile(self) -> Profile | None:
        """What is ordinary by the profile; None without one, or where it is short."""
        layers = self.first_layers
        if layers is None or layers.profile is None:
            return None
        if (
            len({row.tobytes() for row in layers.profile}) < LEAST_PROFILED
            or not np.isfinite(layers.profile).all()
        ):
            return None
        if self._ordinary is None:
            self._ordinary = Profile.of(layers)
        return self._ordinary

    @property
    def _read(self) -> FirstLayers:
        if self.first_layers is None:
            raise ValueError("Expected a network whose first layers can be read, received another")
        return self.first_layers

    def tensors(self, photos: Sequence[Photo], preprocessing: Preprocessing) -> Float32:
        """Return what `preprocessing` makes of the photos, float32 (N, H, W, C), equal to its `apply`."""
        resized = [operation.values(preprocessing) for operation in TO_SIZE]
        key = (tuple(map(id, photos)), *resized)
        if key not in self._resized:
            if len(self._resized) >= _KEPT:
                self._resized.pop(next(iter(self._resized)))
            self._resized[key] = np.stack([run(TO_SIZE, preprocessing, photo) for photo in photos])
        tensors: Float32 = run(TO_TENSOR, preprocessing, self._resized[key])
        return tensors

    def moments(self, photos: Sequence[Photo], preprocessing: Preprocessing) -> Float64:
        """Return the statistics of the first layers, float64 (N, 2 * sum(widths)), one row for each photo."""
        return self._once("moments", self._read.measure, photos, preprocessing)

    def features(self, photos: Sequence[Photo], preprocessing: Preprocessing) -> Float64 | None:
        """Return the features of the tensors, float64 (N, K), one row for each; None as in the profile."""
        if self.first_layers is None or self.first_layers.features is None:
            return None
        return self._once("features", tensor_features, photos, preprocessing)

    def distance(
        self, photos: Sequence[Photo], preprocessing: Preprocessing, weights: Float64 | None = None
    ) -> float:
        """Return the distance of the photos, pooled, from the averages of training, in nats.

        The geometric mean over the layers.

        Parameters
        ----------
        photos, preprocessing
            The photos, and how they are prepared.
        weights
            float64 (N,) of the photos; the same for each by default.
        """
        moments = np.average(self.moments(photos, preprocessing), axis=0, weights=weights)
        return float(np.exp(np.log(distances(moments, self._read, CONSTANT) + 1e-12).mean()))

    def log_profile_distances(
        self, photos: Sequence[Photo], preprocessing: Preprocessing, profile: Profile
    ) -> Float64:
        """Return the logarithm of the distance of each photo from a profile, float64 (N,)."""
        moments, features = self.moments(photos, preprocessing), self.features(photos, preprocessing)
        logs: Float64 = np.log(profile.distances(moments, features) + 1e-12)
        return logs

    def answers(self, photos: Sequence[Photo], preprocessing: Preprocessing) -> Float64:
        """Return the probabilities, float64 (N, classes)."""
        return self._once("answers", self.classifier.predict_tensors, photos, preprocessing)

    def _once(
        self, what: str, function: Callable[[Float32], Array], photos: Sequence[Photo], p: Preprocessing
    ) -> Float64:
        key = (what, tuple(map(id, photos)), p)
        if key not in self._known:
            self._known[key] = function(self.tensors(photos, p)).astype(np.float64)
        return self._known[key]

    def trial(
        self, photos: Sequence[Photo], before: Preprocessing, after: Preprocessing, labels: Truth = ()
    ) -> Trial:
        """Return the answers under one preprocessing, and under another in its place."""
        return Trial(self.answers(photos, before), self.answers(photos, after), labels)


def _learned(layers: FirstLayers | None) -> FirstLayers | None:
    """Return the layers without averages where these are still those of a new layer, as in a frozen one."""
    if layers is None or layers.means is None or layers.variances is None:
        return layers
    new = not layers.means.any() and bool((layers.variances == 1).all())
    return replace(layers, means=None, variances=None) if new else layers
