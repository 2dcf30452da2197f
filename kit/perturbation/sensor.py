"""What light, sensor and file do to single values and to resolution.

Each function takes uint8 pixels of shape (H, W, 3), its setting and a seed, and returns new pixels of the
same shape.
"""

from statistics import NormalDist

import numpy as np
import numpy.typing as npt
from PIL import Image

from kit.perturbation.pixels import NOISE_STEPS, Pixels
from kit.perturbation.random_fields import Float, steps, to_pixels

# Mean count from which the expansion for large means is within 0.05 of the Poisson quantile.
_MANY = 30.0


def lift(pixels: Pixels, levels: float, seed: int = 0) -> Pixels:
    """Add to the value V of hue, saturation and value; hue and saturation stay.

    V is the largest of the three channels, so all three are multiplied by ``clip(V + levels) / V``, and black
    becomes grey. This is what ImageNet-C calls brightness.
    """
    del seed
    largest = pixels.max(axis=-1).astype(np.float32)
    wanted = np.clip(largest + np.float32(levels), 0, 255)
    gain = np.divide(wanted, largest, out=np.zeros_like(wanted), where=largest > 0)
    out = pixels * gain[..., None]
    out[largest == 0] = wanted[largest == 0][:, None]
    return to_pixels(out)


def white_balance(pixels: Pixels, stops: float, seed: int = 0) -> Pixels:
    """Multiply red by ``2 ** stops`` and blue by ``2 ** -stops``: above 0 the picture turns warmer.

    Factors on 8-bit values: under a gamma of 2.2 they are 2.2 times as many stops in the light itself.
    """
    del seed
    gains = np.array([2**stops, 1, 2**-stops], np.float32)
    return to_pixels(pixels.astype(np.float32) * gains)


def fade(pixels: Pixels, share: float, seed: int = 0) -> Pixels:
    """Draw every channel towards its own mean by `share`; ImageNet-C's contrast, there ``1 - share``.

    `change_contrast` draws towards one grey instead, and so takes the tint away as well.
    """
    del seed
    means = pixels.mean(axis=(0, 1), dtype=np.float64).astype(np.float32)
    return to_pixels((pixels - means) * np.float32(1 - share) + means)


def shot_noise(pixels: Pixels, deviation: float, seed: int = 0) -> Pixels:
    """Count photons: Poisson noise whose standard deviation at white is `deviation` levels.

    White is ``(255 / deviation) ** 2`` photons, and the variance is proportional to the light. Each value is
    the Poisson quantile of a fixed random number, so counts change one by one as the setting does.
    """
    photons = (255 / deviation) ** 2
    field = steps(seed, "shot", pixels.size)
    counts = poisson(pixels.reshape(-1), np.arange(256) * (photons / 255), field)
    return to_pixels(counts.reshape(pixels.shape) * np.float32(255 / photons))


def poisson(
    levels: npt.NDArray[np.uint8], means: npt.NDArray[np.floating], field: npt.NDArray[np.int16]
) -> Float:
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
    from scipy import special  # noqa: PLC0415 (heavy)

    mean = means.astype(np.float32)[levels]
    deviation = np.sqrt(mean)
    z = field * np.float32(1 / NOISE_STEPS)
    # Cornish-Fisher: the quantile of a distribution with the cumulants of a Poisson, all equal to the mean.
    counts: Float = np.rint(mean + deviation * z + (z * z - 1) / 6)
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


def downscale(pixels: Pixels, factor: float, seed: int = 0) -> Pixels:
    """Reduce both sides by `factor` and enlarge to the old size again, both by Pillow's bicubic filter."""
    del seed
    return _resampled(pixels, factor, Image.Resampling.BICUBIC, Image.Resampling.BICUBIC)


def pixelate(pixels: Pixels, block: float, seed: int = 0) -> Pixels:
    """Average blocks of `block` pixels a side and show each as one; ImageNet-C calls it ``1 / block``."""
    del seed
    return _resampled(pixels, block, Image.Resampling.BOX, Image.Resampling.NEAREST)


def _resampled(pixels: Pixels, factor: float, down: Image.Resampling, up: Image.Resampling) -> Pixels:
    image = Image.fromarray(pixels)
    width, height = image.size
    small = image.resize((max(1, int(width / factor)), max(1, int(height / factor))), down)
    return np.array(small.resize((width, height), up))
