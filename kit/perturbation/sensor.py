"""Noise, values that are lost, and white balance.

Each function takes uint8 pixels of shape (H, W, 3), its setting and a seed, and returns new pixels of the
same shape.
"""

from statistics import NormalDist

import numpy as np

from kit._arrays import Float32, Floats, Int16, Pixels
from kit._interrupts import held
from kit.perturbation.pixels import NOISE_STEPS, in_parts, noise_field, steps, to_pixels

# Mean count from which the expansion for large means is within 0.05 of the Poisson quantile.
_MANY = 30.0


def noise(pixels: Pixels, deviation: float, seed: int) -> Pixels:
    """Add Gaussian noise: ``clip(rint(x + deviation / 4096 * q))``.

    One float32 multiplication and one float32 addition a value, rounded half to even, with q from
    `noise_field` in C order. The page repeats exactly this with ``Math.fround`` and a
    ``Uint8ClampedArray``, byte for byte.
    """
    return add_field(pixels, deviation, noise_field(seed, pixels.size))


def add_field(pixels: Pixels, deviation: float, field: Int16) -> Pixels:
    """Add samples that are given, int16 in steps of 1/4096 of the deviation, one for each value."""
    scale = np.float32(deviation / NOISE_STEPS)

    def part(values: Pixels, scratch: Float32, start: int) -> None:
        np.multiply(field[start : start + values.size], scale, out=scratch, dtype=np.float32)
        np.add(scratch, values, out=scratch)
        np.rint(scratch, out=scratch)

    return in_parts(pixels, part)


def shot_noise(pixels: Pixels, deviation: float, seed: int = 0) -> Pixels:
    """Count photons: Poisson noise whose standard deviation at white is `deviation` levels.

    White is ``(255 / deviation) ** 2`` photons, and the variance is proportional to the light. Each value is
    the Poisson quantile of a fixed random number, so counts change one by one as the setting does.
    """
    photons = (255 / deviation) ** 2
    field = steps(seed, "shot", pixels.size)
    counts = poisson(pixels.reshape(-1), np.arange(256) * (photons / 255), field)
    return to_pixels(counts.reshape(pixels.shape) * np.float32(255 / photons))


def poisson(levels: Pixels, means: Floats, field: Int16) -> Float32:
    """Return Poisson quantiles: float32, (N,).

    Parameters
    ----------
    levels
        uint8, (N,): which of the 256 `means` a value has.
    means
        float64, (256,).
    field
        int16, (N,): standard normal samples in steps of 1/4096; the quantile is that of their rank.
    """
    with held():
        from scipy import special  # noqa: PLC0415 (heavy)

    mean = means.astype(np.float32)[levels]
    deviation = np.sqrt(mean)
    z = field * np.float32(1 / NOISE_STEPS)
    # Cornish-Fisher: the quantile of a distribution with the cumulants of a Poisson, all equal to the mean.
    counts: Float32 = np.rint(mean + deviation * z + (z * z - 1) / 6)
    order = np.argsort(levels, kind="stable")
    ends = np.searchsorted(levels[order], np.arange(257))
    for level in np.flatnonzero(means < _MANY):
        there = order[ends[level] : ends[level + 1]]
        most = int(means[level] + 10 * means[level] ** 0.5 + 10)
        limits = special.ndtri(special.pdtr(np.arange(most), means[level])) * NOISE_STEPS
        counts[there] = np.searchsorted(limits, field[there])
    return counts


def impulse_noise(pixels: Pixels, share: float, seed: int = 0) -> Pixels:
    """Turn `share` of all values, each channel by itself, into 0 or 255 (salt and pepper, as often the one).

    A value that is lost at one share is lost at every larger one.
    """
    field = steps(seed, "impulse", pixels.size).reshape(pixels.shape)
    limit = -NormalDist().inv_cdf(share / 2) * NOISE_STEPS
    out = pixels.copy()
    out[field < -limit] = 0
    out[field >= limit] = 255
    return out


def white_balance(pixels: Pixels, stops: float, _seed: int = 0) -> Pixels:
    """Multiply red by ``2 ** stops`` and blue by ``2 ** -stops``: above 0 the picture turns warmer.

    Factors on 8-bit values: under a gamma of 2.2 they are 2.2 times as many stops in the light itself.
    """
    gains = np.array([2**stops, 1, 2**-stops], np.float32)
    return to_pixels(pixels.astype(np.float32) * gains)
