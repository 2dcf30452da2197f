"""How far what the first layers receive lies from what they received in training."""

import numpy as np

from kit._arrays import Float64
from kit.classifier.activations.first_layers import FirstLayers


def distances(moments: Float64, first_layers: FirstLayers, constant: float = 0.0) -> Float64:
    """Divergence of the statistics on some pictures from those of training.

    The Kullback-Leibler divergence of two normal distributions, from the pictures to training, for each
    channel: ``(log(v / v') + (v' + (m' - m)**2) / v - 1) / 2``; the mean over the channels of each layer.

    Parameters
    ----------
    moments
        float64 (..., 2 * sum(widths)): of a picture, as `FirstLayers.measure` gives them, or of several on
        average.
    first_layers
        With the means and variances of training.
    constant
        Share of the median variance of a layer's channels up to which one is left out: a channel that was
        constant in training, as in quantized networks, is at any distance from itself.

    Returns
    -------
    float64, shape (..., layers)
        In nats; 0 where the statistics are those of training.

    Raises
    ------
    ValueError
        Nothing is known of the training pictures.
    """
    means, variances = averages(first_layers)
    parts = []
    start = 0
    for width in first_layers.widths:
        mean = moments[..., 2 * start : 2 * start + width]
        square = moments[..., 2 * start + width : 2 * (start + width)]
        wanted, spread = means[start : start + width], variances[start : start + width]
        variance = np.maximum(square - mean**2, 0) + first_layers.epsilon
        spread = spread + first_layers.epsilon
        divergence = (np.log(spread / variance) + (variance + (mean - wanted) ** 2) / spread - 1) / 2
        varied = variances[start : start + width] >= constant * np.median(variances[start : start + width])
        parts.append(divergence[..., varied].mean(axis=-1))
        start += width
    return np.stack(parts, axis=-1)


def averages(first_layers: FirstLayers) -> tuple[Float64, Float64]:
    """Return mean and variance of every channel on the training pictures, each float64 (sum(widths),).

    Raises
    ------
    ValueError
        Nothing is known of the training pictures.
    """
    if first_layers.means is not None and first_layers.variances is not None:
        return first_layers.means, first_layers.variances
    if first_layers.profile is None:
        raise ValueError(
            "Expected statistics of training pictures in the first layers, received none; give a reference"
        )
    means, squares = split(first_layers.profile, first_layers.widths)
    mean = means.mean(axis=0)
    # Of a channel that hardly varies, rounding may leave less than nothing.
    return mean, np.maximum(squares.mean(axis=0) - mean**2, 0)


def split(moments: Float64, widths: tuple[int, ...]) -> tuple[Float64, Float64]:
    """Return the means and the mean squares of all layers' channels, each float64 (N, sum(widths))."""
    ends = np.cumsum(np.repeat(widths, 2))[:-1]
    parts = np.split(moments, ends, axis=1)
    return np.concatenate(parts[::2], axis=1), np.concatenate(parts[1::2], axis=1)
