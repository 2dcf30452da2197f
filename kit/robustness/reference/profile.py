"""What is ordinary among the training pictures of a profile, and how far other pictures are from it.

Moving averages tell mean and variance of each channel. A profile of single training pictures tells which
values go together as well, and so judges one picture, or a picture on its side, far better.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kit.classifier.activations.first_layers import Taps
from kit.robustness.reference.activation_distance import Vector, split

LEAST_PROFILED = 10
"""Training pictures that a profile must have for its values to be taken together."""

SHARE = 0.9
"""Share of training pictures that lie within `Ordinary.limit`. Of pictures of something else, the largest
distance lets most pass once they are letterboxed."""

_PARTS = 5
_LEAST_CONTRAST = 1e-3
_ROUNDING = 1e-6


@dataclass(frozen=True, eq=False)
class Gaussian:
    """A normal distribution of rows, their correlations shrunk.

    Attributes
    ----------
    mean, spread
        float64 (D,), of each value that varies at all.
    precision
        float64 (D, D): inverse of the shrunk correlation matrix.
    varied
        bool, for each value of a row; D are True.
    """

    mean: Vector
    spread: Vector
    precision: Vector
    varied: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, rows: Vector) -> "Gaussian":
        """Learn it from rows, float64 (N, values).

        There may be fewer rows than values, so the correlations are shrunk as Ledoit and Wolf do (A
        well-conditioned estimator for large-dimensional covariance matrices, 2004).
        """
        from sklearn.covariance import ledoit_wolf  # noqa: PLC0415 (heavy)

        spread = rows.std(axis=0)
        varied = spread > 1e-9 * np.abs(rows).max(initial=0)
        mean, spread = rows.mean(axis=0)[varied], spread[varied]
        covariance, _ = ledoit_wolf((rows[:, varied] - mean) / spread)
        return cls(mean, spread, np.linalg.inv(covariance), varied)

    def distances(self, rows: Vector) -> Vector:
        """Return the squared Mahalanobis distance of each row, over D; float64 (N,)."""
        away = (rows[:, self.varied] - self.mean) / self.spread
        squares: Vector = np.einsum("nd,de,ne->n", away, self.precision, away, optimize=True)
        return squares / len(self.mean)


@dataclass(frozen=True, eq=False)
class Ordinary:
    """What is ordinary among the training pictures of a profile.

    Attributes
    ----------
    widths
        Channels of each tap.
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
    floors: Vector
    gaussian: Gaussian
    limit: float
    typical: float
    scatter: float

    def distances(self, moments: Vector, features: Vector | None) -> Vector:
        """Return how far each picture is from the training pictures; float64 (N,), about 1 for one of them.

        Parameters
        ----------
        moments
            float64 (N, 2 * sum(widths)), one row for each picture, as `Taps.compiled` gives them.
        features
            float64 (N, K), as `tensor_features` gives them; None where the profile has
            none.
        """
        return self.gaussian.distances(_rows(moments, features, self.widths, self.floors))


def ordinary(taps: Taps) -> Ordinary:
    """Learn from a profile what is ordinary.

    The limit comes from leaving out a fifth of the pictures at a time.

    Parameters
    ----------
    taps
        With a profile of `LEAST_PROFILED` pictures at least.

    Raises
    ------
    ValueError
        No profile, or a shorter one.
    """
    profile = taps.profile
    if profile is None or len(profile) < LEAST_PROFILED:
        count = 0 if profile is None else len(profile)
        raise ValueError(
            f"Expected a profile of {LEAST_PROFILED} training pictures or more, received {count}; save the"
            " classifier with training="
        )
    floors = _floors(profile, taps.widths)
    rows = _rows(profile, taps.features, taps.widths, floors)
    left_out = [
        Gaussian.of(np.delete(rows, np.s_[part::_PARTS], axis=0)).distances(rows[part::_PARTS])
        for part in range(_PARTS)
    ]
    distances = np.concatenate(left_out)
    logs = np.log(distances + 1e-12)
    return Ordinary(
        taps.widths,
        floors,
        Gaussian.of(rows),
        limit=float(np.quantile(distances, SHARE)),
        typical=float(logs.mean()),
        scatter=float(logs.std()),
    )


def _rows(moments: Vector, features: Vector | None, widths: tuple[int, ...], floors: Vector) -> Vector:
    """Return means, logarithms of standard deviations, and features, one row for each picture.

    The logarithm makes a picture without any contrast as unusual as it is: by its variance, it is near the
    mean of all.
    """
    means, squares = split(moments, widths)
    varied = ~np.isnan(floors)
    variances = np.maximum(squares - means**2, 0)[:, varied]
    known = [] if features is None else [features]
    return np.concatenate([means, np.log(variances + floors[varied]) / 2, *known], axis=1)


def _floors(profile: Vector, widths: tuple[int, ...]) -> Vector:
    means, squares = split(profile, widths)
    variance = np.maximum(squares - means**2, 0).mean(axis=0)
    constant = variance <= _ROUNDING * squares.mean(axis=0)
    return np.where(constant, np.nan, _LEAST_CONTRAST * variance)
