"""Statistics of what the first layers receive, and how far they lie from those of the training pictures.

Two ways lead to the statistics. The taps run the first layers on real tensors. For a change that is affine
per channel or mixes channels (every scaling, a swap of channels, an inversion), the statistics of the first
convolution follow in closed form from the mean and covariance of its input patches, which are measured once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kit.classifier.activations.first_layers import Stem, Taps

Float32 = npt.NDArray[np.float32]
Vector = npt.NDArray[np.float64]


def distances(moments: Vector, taps: Taps) -> Vector:
    """Divergence of the statistics on some pictures from those of training.

    The Kullback-Leibler divergence of two normal distributions, from the pictures to training, for each
    channel: ``(log(v / v') + (v' + (m' - m)**2) / v - 1) / 2``; the mean over the channels of each tap.

    Parameters
    ----------
    moments
        float64 (..., 2 * sum(widths)): as `Taps.compiled` gives them, averaged over pictures.
    taps
        With the means and variances of training.

    Returns
    -------
    float64, shape (..., taps)
        In nats; 0 where the statistics are those of training.

    Raises
    ------
    ValueError
        Nothing is known of the training pictures.
    """
    means, variances = averages(taps)
    parts = []
    start = 0
    for width in taps.widths:
        mean = moments[..., 2 * start : 2 * start + width]
        square = moments[..., 2 * start + width : 2 * (start + width)]
        wanted, spread = means[start : start + width], variances[start : start + width]
        variance = np.maximum(square - mean**2, 0) + taps.epsilon
        spread = spread + taps.epsilon
        divergence = (np.log(spread / variance) + (variance + (mean - wanted) ** 2) / spread - 1) / 2
        parts.append(divergence.mean(axis=-1))
        start += width
    return np.stack(parts, axis=-1)


@dataclass(frozen=True, eq=False)
class Patches:
    """Mean and mean outer product of a first convolution's input patches.

    A patch holds the values under the kernel, (h, w, C), and beside each position whether it lies inside the
    picture (1) or in the padding (0): an offset is added to the picture and not to the padding.

    Attributes
    ----------
    mean
        float64 (N, h * w * (C + 1)), one row for each picture.
    square
        float64 (N, D, D) with D = h * w * (C + 1).
    """

    mean: Vector
    square: Vector


def patches(tensors: Float32, stem: Stem) -> Patches:
    """Measure the input patches of the first convolution.

    Parameters
    ----------
    tensors
        float32 (N, H, W, C), as they are fed to the network. Not changed.
    stem
        The first convolution.
    """
    height, width = stem.kernel.shape[:2]
    _, rows, columns, channels = tensors.shape
    padded = np.pad(np.ones((rows, columns), np.float32), stem.padding)
    down = (padded.shape[0] - height) // stem.stride[0] + 1
    across = (padded.shape[1] - width) // stem.stride[1] + 1
    layers = np.zeros((channels + 1, *padded.shape), np.float32)
    layers[channels] = padded
    (top, _), (left, _) = stem.padding
    values = np.empty((height, width, channels + 1, down, across), np.float32)
    means, squares = [], []
    for tensor in tensors:
        layers[:channels, top : top + rows, left : left + columns] = tensor.transpose(2, 0, 1)
        for row in range(height):
            for column in range(width):
                values[row, column] = layers[
                    :,
                    row : row + down * stem.stride[0] : stem.stride[0],
                    column : column + across * stem.stride[1] : stem.stride[1],
                ][:, :down, :across]
        flat = values.reshape(-1, down * across)
        # Centred before it is squared: float32 then keeps what a large mean would swallow.
        mean = flat.mean(axis=1)
        flat -= mean[:, None]
        exact = mean.astype(np.float64)
        squares.append((flat @ flat.T).astype(np.float64) / flat.shape[1] + np.outer(exact, exact))
        means.append(exact)
    return Patches(np.stack(means), np.stack(squares))


def stem_moments(measured: Patches, stem: Stem, mixing: Vector, offset: Vector) -> Vector:
    """Statistics of the first convolution for tensors that are changed per pixel, without running it.

    Parameters
    ----------
    measured
        Of the tensors as they are.
    stem
        The first convolution.
    mixing, offset
        Float64 (C, C) and (C,): channel values x, as a row, become ``x @ mixing + offset``.

    Returns
    -------
    float64, shape (N, 2 * filters)
        Every filter's mean over the picture, then the mean of its squares, exact but for rounding.
    """
    height, width, channels, filters = stem.kernel.shape
    # What the network does itself comes after the change.
    mixing = mixing * stem.slope
    offset = offset * stem.slope + stem.offset
    # kernel @ (mixing, offset) once, rather than changing the patches for every candidate.
    kernel = np.einsum("hwcf,kc->hwkf", stem.kernel, mixing)
    constant = np.einsum("hwcf,c->hwf", stem.kernel, offset)[:, :, None]
    weights = np.concatenate([kernel, constant], axis=2).reshape(height * width * (channels + 1), filters)
    mean = measured.mean @ weights
    square = np.einsum("df,nde,ef->nf", weights, measured.square, weights, optimize=True)
    return np.concatenate([mean + stem.bias, square + 2 * stem.bias * mean + stem.bias**2], axis=-1)


def pooled(moments: Sequence[Vector] | Vector) -> Vector:
    """Average over pictures: the statistics of a batch from those of its pictures."""
    averaged: Vector = np.asarray(moments).mean(axis=-2)
    return averaged


def averages(taps: Taps) -> tuple[Vector, Vector]:
    """Return mean and variance of every channel on the training pictures, each float64 (sum(widths),).

    Raises
    ------
    ValueError
        Nothing is known of the training pictures.
    """
    if taps.means is not None and taps.variances is not None:
        return taps.means, taps.variances
    if taps.profile is None:
        raise ValueError(
            "Expected taps with statistics of training pictures, received none; give a reference"
        )
    means, squares = split(taps.profile, taps.widths)
    mean = means.mean(axis=0)
    return mean, squares.mean(axis=0) - mean**2


def split(moments: Vector, widths: tuple[int, ...]) -> tuple[Vector, Vector]:
    """Return the means and the mean squares of all taps' channels, each float64 (N, sum(widths))."""
    ends = np.cumsum(np.repeat(widths, 2))[:-1]
    parts = np.split(moments, ends, axis=1)
    return np.concatenate(parts[::2], axis=1), np.concatenate(parts[1::2], axis=1)
