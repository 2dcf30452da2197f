"""What is ordinary among the training pictures of a profile, and how far other pictures are from it.

Moving averages tell mean and variance of each channel. A profile of single training pictures tells which
values go together as well, and so judges one picture, or a picture on its side, far better.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from kit._arrays import Float64
from kit.classifier.activations.first_layers import FirstLayers
from kit.robustness.reference.activation_distance import split
from kit.robustness.reference.gaussian import Gaussian

LEAST_PROFILED = 10
"""Training pictures that a profile must have for its values to be taken together."""

SHARE = 0.9
"""Share of training pictures that lie within `Profile.limit`. Of pictures of something else, the largest
distance lets most pass once they are letterboxed."""

_PARTS = 5
_LEAST_CONTRAST = 1e-3
_ROUNDING = 1e-6


@dataclass(frozen=True, eq=False)
class Profile:
    """What is ordinary among the training pictures of a profile.

    Attributes
    ----------
    widths
        Channels of each layer.
    floors
        float64 (sum(widths),): added to the variance of each channel over a picture before its logarithm is
        taken; NaN for channels that are constant over every picture, which have none.
    gaussian
        Of what `rows` makes of the profile.
    limit
        Distance from the others within which nine in ten training pictures lie.
    typical, scatter
        Mean and standard deviation of the logarithm of these distances.
    """

    widths: tuple[int, ...]
    floors: Float64
    gaussian: Gaussian
    limit: float
    typical: float
    scatter: float

    @classmethod
    def of(cls, first_layers: FirstLayers) -> Self:
        """Learn from the profile of training pictures what is ordinary.

        The limit comes from leaving out a fifth of the pictures at a time.

        Parameters
        ----------
        first_layers
            With a profile of `LEAST_PROFILED` pictures at least.

        Raises
        ------
        ValueError
            No profile, or a shorter one.
        """
        profile, widths = first_layers.profile, first_layers.widths
        if profile is None or len(profile) < LEAST_PROFILED:
            count = 0 if profile is None else len(profile)
            raise ValueError(
                f"Expected a profile of {LEAST_PROFILED} training pictures or more, received {count};"
                " save the classifier with training="
            )
        floors = _floors(profile, widths)
        rows = _rows(profile, first_layers.features, widths, floors)
        # Neighbours may be copies of one picture: they are left out together.
        left_out = [
            _distances(Gaussian.of_rows(np.delete(rows, part, axis=0)), rows[part])
            for part in np.array_split(np.arange(len(rows)), _PARTS)
        ]
        distances = np.concatenate(left_out)
        logs = np.log(distances + 1e-12)
        limit = float(np.quantile(distances, SHARE))
        return cls(widths, floors, Gaussian.of_rows(rows), limit, float(logs.mean()), float(logs.std()))

    def distances(self, moments: Float64, features: Float64 | None) -> Float64:
        """Return how far each picture is from the training pictures; float64 (N,), about 1 for one of them.

        Parameters
        ----------
        moments
            float64 (N, 2 * sum(widths)), one row for each picture, as `FirstLayers.measure` gives them.
        features
            float64 (N, K), as `tensor_features` gives them; None where the profile has none.
        """
        return _distances(self.gaussian, _rows(moments, features, self.widths, self.floors))


def _distances(gaussian: Gaussian, rows: Float64) -> Float64:
    """Squared distances of Mahalanobis over the number of values."""
    return gaussian.distances(rows) / len(gaussian.whitening)


def _rows(moments: Float64, features: Float64 | None, widths: tuple[int, ...], floors: Float64) -> Float64:
    """Return means, logarithms of standard deviations, and features, one row for each picture.

    The logarithm makes a picture without any contrast as unusual as it is: by its variance, it is near the
    mean of all.
    """
    means, squares = split(moments, widths)
    varied = ~np.isnan(floors)
    variances = np.maximum(squares - means**2, 0)[:, varied]
    known = [] if features is None else [features]
    return np.concatenate([means, np.log(variances + floors[varied]) / 2, *known], axis=1)


def _floors(profile: Float64, widths: tuple[int, ...]) -> Float64:
    means, squares = split(profile, widths)
    variance = np.maximum(squares - means**2, 0).mean(axis=0)
    constant = variance <= _ROUNDING * squares.mean(axis=0)
    return np.where(constant, np.nan, _LEAST_CONTRAST * variance)
