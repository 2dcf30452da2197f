"""The profile of training images in a classifier file."""

from dataclasses import dataclass
from typing import Any, Self, cast

import numpy as np

from kit._arrays import Bools, Float64
from kit.classifier.first_layers import FirstLayers

_CONSTANT = 1e-9


@dataclass(frozen=True, eq=False)
class Gaussian:
    """A normal distribution, D values wide.

    `fitted` is what scikit-learn learned of the values over `scale`, float64 (D,), of those D `columns`, bool
    (values,), of a row that vary.
    """

    fitted: Any
    scale: Float64
    columns: Bools

    @classmethod
    def of_rows(cls, rows: Float64) -> Self:
        """Learn from rows, float64 (N, values), of which there may be fewer than values.

        Correlations are shrunk as Ledoit and Wolf do (A well-conditioned estimator for large-dimensional
        covariance matrices, 2004). Values that never vary take no part.
        """
        from sklearn.covariance import LedoitWolf  # slow to import

        # What varies by no more than rounding takes no part.
        deviations = rows.std(axis=0)
        varied = deviations > _CONSTANT * np.abs(rows).max(initial=0)
        scale = deviations[varied]
        return cls(LedoitWolf().fit(rows[:, varied] / scale), scale, columns=varied)

    def distances(self, rows: Float64) -> Float64:
        """Return the squared Mahalanobis distance to the mean, over D: float64 (N, values) to (N,)."""
        # Squared; over the number of values, so that it is about 1 for an ordinary row.
        squares = self.fitted.mahalanobis(rows[:, self.columns] / self.scale)
        return np.asarray(squares / len(self.scale))


def layer_divergences(
    moments: Float64, first_layers: FirstLayers, constant: float = 0.0
) -> Float64:
    """Kullback-Leibler divergence of the statistics on some images from those of training.

    Of two normal distributions, for each channel: ``(log(v / v') + (v' + (m' - m)**2) / v - 1) / 2``; the
    mean over the channels of each layer. Returns float64, shape (..., layers), in nats; 0 where the
    statistics are those of training.

    Parameters
    ----------
    moments, first_layers
        float64 (..., 2 * sum(widths)), as `FirstLayers.measure` gives them; and the means and variances of
        training, or a profile.
    constant
        Share of the median variance of a layer's channels up to which one is left out: a channel that was
        constant in training, as in quantized networks, is at any distance from itself.
    """
    widths = first_layers.widths
    training_means = first_layers.means
    training_variances = first_layers.variances
    if training_means is None or training_variances is None:
        # What was measured on training images stands for the averages of BatchNorm.
        profile = np.mean(cast("Float64", first_layers.profile), axis=0)
        training_means, _, training_variances = split_moments(profile, widths)
    means, _, variances = split_moments(moments, widths)
    variances = variances + first_layers.epsilon
    expected = training_variances + first_layers.epsilon
    squares = (variances + (means - training_means) ** 2) / expected
    # Twice that of Kullback and Leibler, of these images from training, for each channel.
    divergence = np.log(expected / variances) + squares - 1
    ends = np.cumsum(widths)[:-1]
    layers = []
    for channels, variance in zip(
        np.split(divergence / 2, ends, axis=-1),
        np.split(training_variances, ends),
        strict=True,
    ):
        # Channels that hardly varied in training, below this share of the median, are left out.
        varied = variance >= constant * np.median(variance)
        layers.append(channels[..., varied].mean(axis=-1))
    return np.stack(layers, axis=-1)


def split_moments(
    moments: Float64, widths: tuple[int, ...]
) -> tuple[Float64, Float64, Float64]:
    """Return the means, mean squares and variances of all layers' channels, each float64 (..., sum(widths)).

    Of a channel that hardly varies, rounding may leave less than nothing, which counts as nothing.
    """
    # Without layers nothing was measured, so all three are empty.
    if not widths:
        return moments, moments, moments
    # Of each layer all means, then all mean squares.
    parts = np.split(moments, np.cumsum(np.repeat(widths, 2))[:-1], axis=-1)
    means = np.concatenate(parts[::2], axis=-1)
    squares = np.concatenate(parts[1::2], axis=-1)
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
    def of(cls, profile: Float64, features: Float64, widths: tuple[int, ...]) -> Self:
        """Learn what is ordinary from those of `FirstLayers`, of `LEAST_PROFILED` images or more.

        The limit comes from leaving out a fifth of the images at a time.
        """
        floors = _variance_floors(profile, widths)
        rows = _profile_rows(profile, features, widths, floors)
        distances = []
        # Neighbours may be copies of one image: they are left out together.
        # Each part is measured from the others, as new images will be.
        for part in np.array_split(np.arange(len(rows)), _PARTS):
            others = Gaussian.of_rows(np.delete(rows, part, axis=0))
            distances.append(others.distances(rows[part]))
        left_out = np.concatenate(distances)
        logarithms = np.log(left_out + 1e-12)
        return cls(
            widths=widths,
            floors=floors,
            gaussian=Gaussian.of_rows(rows),
            limit=float(np.quantile(left_out, SHARE)),
            typical=float(logarithms.mean()),
            scatter=float(logarithms.std()),
        )

    def distances(self, moments: Float64, features: Float64) -> Float64:
        """Return how far each image is from the training images; float64 (N,), about 1 for one of them.

        ``moments``, float64 (N, 2 * sum(widths)), are those of `FirstLayers.measure`; ``features``, float64
        (N, K), those of `tensor_features`.
        """
        return self.gaussian.distances(
            _profile_rows(moments, features, self.widths, self.floors)
        )


def _profile_rows(
    moments: Float64, features: Float64, widths: tuple[int, ...], floors: Float64
) -> Float64:
    # Means, logarithms of standard deviations, and features. The logarithm makes an image without any
    # contrast as unusual as it is: by its variance, it is near the mean of all.
    means, _, variances = split_moments(moments, widths)
    varied = ~np.isnan(floors)
    deviations = np.log(variances[:, varied] + floors[varied]) / 2
    return np.concatenate([means, deviations, features], axis=1)


def _variance_floors(profile: Float64, widths: tuple[int, ...]) -> Float64:
    _, squares, variances = split_moments(profile, widths)
    variance = variances.mean(axis=0)
    # Over every image such a channel has one value, but for rounding; NaN leaves it out.
    constant = variance <= _ROUNDING * squares.mean(axis=0)
    return np.where(constant, np.nan, _CONTRAST * variance)
