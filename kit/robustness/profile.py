"""The profile of training images in a classifier file."""

from dataclasses import dataclass
from typing import Self, cast

import numpy as np

from kit._arrays import Bools, Float64
from kit.classifier.first_layers import FirstLayers

_CONSTANT = 1e-9


@dataclass(frozen=True, eq=False)
class Gaussian:
    """A normal distribution, D values wide.

    `whitening` is a lower triangle L, float64 (D, D), whose L @ L.T is the inverse of the covariance;
    `centre` the mean, float64 (D,); `columns`, bool (values,), the D values of a row that take part.
    """

    whitening: Float64
    centre: Float64
    columns: Bools

    @classmethod
    def of_rows(cls, rows: Float64) -> Self:
        """Learn from rows, float64 (N, values), of which there may be fewer than values.

        Correlations are shrunk as Ledoit and Wolf do (A well-conditioned estimator for large-dimensional
        covariance matrices, 2004). Values that never vary take no part.
        """
        from sklearn.covariance import ledoit_wolf

        spread = rows.std(axis=0)
        varied = spread > _CONSTANT * np.abs(rows).max(initial=0)
        mean, spread = rows.mean(axis=0)[varied], spread[varied]
        covariance, _ = ledoit_wolf((rows[:, varied] - mean) / spread)
        return cls(
            np.linalg.cholesky(np.linalg.inv(covariance)) / spread[:, None],
            mean,
            varied,
        )

    def distances(self, rows: Float64) -> Float64:
        """Return the squared Mahalanobis distance to the mean, over D: float64 (N, values) to (N,)."""
        return np.asarray(
            (((rows[:, self.columns] - self.centre) @ self.whitening) ** 2).mean(axis=1)
        )


def distances(
    moments: Float64, first_layers: FirstLayers, constant: float = 0.0
) -> Float64:
    """Kullback-Leibler divergence of the statistics on some images from those of training.

    Of two normal distributions, for each channel: ``(log(v / v') + (v' + (m' - m)**2) / v - 1) / 2``; the
    mean over the channels of each layer.

    Parameters
    ----------
    moments
        float64 (..., 2 * sum(widths)), as `FirstLayers.measure` gives them.
    first_layers
        With the means and variances of training, or a profile.
    constant
        Share of the median variance of a layer's channels up to which one is left out: a channel that was
        constant in training, as in quantized networks, is at any distance from itself.

    Returns
    -------
    float64, shape (..., layers)
        In nats; 0 where the statistics are those of training.
    """
    wanted, variances = first_layers.means, first_layers.variances
    if wanted is None or variances is None:
        profile = np.mean(cast("Float64", first_layers.profile), axis=0)
        wanted, _, variances = split(profile, first_layers.widths)
    means, _, found = split(moments, first_layers.widths)
    found = found + first_layers.epsilon
    spread = variances + first_layers.epsilon
    divergence = (
        np.log(spread / found) + (found + (means - wanted) ** 2) / spread - 1
    ) / 2
    ends = np.cumsum(first_layers.widths)[:-1]
    layers = zip(
        np.split(divergence, ends, axis=-1), np.split(variances, ends), strict=True
    )
    kept = [part[..., own >= constant * np.median(own)] for part, own in layers]
    return np.stack([part.mean(axis=-1) for part in kept], axis=-1)


def split(
    moments: Float64, widths: tuple[int, ...]
) -> tuple[Float64, Float64, Float64]:
    """Return the means, mean squares and variances of all layers' channels, each float64 (..., sum(widths)).

    Of a channel that hardly varies, rounding may leave less than nothing, which counts as nothing.
    """
    parts = np.split(moments, np.cumsum(np.repeat(widths, 2))[:-1], axis=-1)
    means, squares = (
        np.concatenate(parts[::2], axis=-1),
        np.concatenate(parts[1::2], axis=-1),
    )
    return means, squares, np.maximum(squares - means**2, 0)


LEAST_PROFILED = 10
"""Training images that a profile must have for its values to be taken together."""

SHARE = 0.9
"""Share of training images that lie within `Profile.limit`. Of images of something else, the largest
distance lets most pass once they are letterboxed."""

_PARTS = 5
_CONTRAST = 1e-3
_ROUNDING = 1e-6


@dataclass(frozen=True, eq=False)
class Profile:
    """What is ordinary among the training images of a profile.

    Attributes
    ----------
    widths, gaussian
        Channels of each layer, and the distribution of what is made of the profile.
    floors
        float64 (sum(widths),): added to the variance of each channel over an image before its logarithm is
        taken; NaN for channels that are constant over every image, which have none.
    limit, typical, scatter
        Distance from the others within which nine in ten training images lie; mean and standard deviation of
        the logarithm of these distances.
    """

    widths: tuple[int, ...]
    floors: Float64
    gaussian: Gaussian
    limit: float
    typical: float
    scatter: float

    @classmethod
    def of(
        cls, profile: Float64, features: Float64 | None, widths: tuple[int, ...]
    ) -> Self:
        """Learn what is ordinary from those of `FirstLayers`, of `LEAST_PROFILED` images or more.

        The limit comes from leaving out a fifth of the images at a time.
        """
        floors = _floors(profile, widths)
        rows = _rows(profile, features, widths, floors)
        # Neighbours may be copies of one image: they are left out together.
        distances = np.concatenate(
            [
                Gaussian.of_rows(np.delete(rows, part, axis=0)).distances(rows[part])
                for part in np.array_split(np.arange(len(rows)), _PARTS)
            ]
        )
        logs = np.log(distances + 1e-12)
        limit = float(np.quantile(distances, SHARE))
        return cls(
            widths,
            floors,
            Gaussian.of_rows(rows),
            limit,
            float(logs.mean()),
            float(logs.std()),
        )

    def distances(self, moments: Float64, features: Float64 | None) -> Float64:
        """Return how far each image is from the training images; float64 (N,), about 1 for one of them.

        ``moments``, float64 (N, 2 * sum(widths)), are those of `FirstLayers.measure`; ``features``, float64
        (N, K), those of `tensor_features`, None where the profile has none.
        """
        return self.gaussian.distances(
            _rows(moments, features, self.widths, self.floors)
        )


def _rows(
    moments: Float64, features: Float64 | None, widths: tuple[int, ...], floors: Float64
) -> Float64:
    # Means, logarithms of standard deviations, and features. The logarithm makes an image without any
    # contrast as unusual as it is: by its variance, it is near the mean of all.
    means, _, variances = split(moments, widths)
    varied = ~np.isnan(floors)
    known = [] if features is None else [features]
    return np.concatenate(
        [means, np.log(variances[:, varied] + floors[varied]) / 2, *known], axis=1
    )


def _floors(profile: Float64, widths: tuple[int, ...]) -> Float64:
    _, squares, variances = split(profile, widths)
    variance = variances.mean(axis=0)
    constant = variance <= _ROUNDING * squares.mean(axis=0)
    return np.where(constant, np.nan, _CONTRAST * variance)
