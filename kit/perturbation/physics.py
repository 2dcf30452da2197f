"""Perturbations in the order of a camera: scene, lens, light, sensor, file.

Those of a parameter take pixels, its value, and whichever other parameters they name.
"""

import math
from collections.abc import Callable
from functools import partial
from io import BytesIO
from threading import Lock
from zlib import crc32

import numpy as np
import scipy  # its heavy parts are imported when they are used
from PIL import Image, ImageEnhance, ImageFilter

from kit._arrays import Float32, Floats, Int16, Pixels
from kit.images.photo import encoded

NOISE_STEPS = 4096
"""One standard deviation in a `noise_field`."""

NOISE_CACHE_BYTES = 64 << 20
"""Upper bound of all noise fields that are kept."""

_fields: dict[int, Int16] = {}
_lock = Lock()


def noise_field(seed: int, count: int) -> Int16:
    """Return standard normal samples times `NOISE_STEPS`, rounded: int16, (count,), read-only.

    `seed` is that of `numpy.random.default_rng`; a shorter field is the beginning of a longer one. Fields of
    recent seeds are kept and shared, up to `NOISE_CACHE_BYTES` in total.
    """
    with _lock:
        field = _fields.pop(seed, None)
        if field is None or field.size < count:
            field = _draw(seed, count)
        _fields[seed] = field  # the newest comes last
        while sum(cached.nbytes for cached in _fields.values()) > NOISE_CACHE_BYTES:
            del _fields[next(iter(_fields))]
    return field[:count]


def _draw(seed: int, count: int) -> Int16:
    samples = np.random.default_rng(seed).standard_normal(count, dtype=np.float32)
    samples *= NOISE_STEPS
    # int16 ends at 8 standard deviations, which a sample passes once in 10**15.
    np.rint(samples, out=samples).clip(-32768, 32767, out=samples)
    field = samples.astype(np.int16)
    field.flags.writeable = False
    return field


def derived_seed(seed: int, purpose: str) -> int:
    """Return a seed that belongs to `seed` and `purpose` alone, by `numpy.random.SeedSequence`."""
    sequence = np.random.SeedSequence((seed, crc32(purpose.encode())))
    return int(sequence.generate_state(1, np.uint64)[0])


def normal_steps(seed: int, purpose: str, count: int) -> Int16:
    """Return `count` standard normal samples as `noise_field` keeps them: steps of 1/4096."""
    return noise_field(derived_seed(seed, purpose), count)


def normal(seed: int, purpose: str, shape: tuple[int, ...]) -> Float32:
    """Return standard normal samples: float32 of this shape, a copy."""
    samples = normal_steps(seed, purpose, math.prod(shape)).astype(np.float32)
    samples /= NOISE_STEPS
    return samples.reshape(shape)


def uniform(seed: int, purpose: str, low: float, high: float) -> float:
    """Return one number that is equally likely anywhere within `low` and `high`."""
    return float(np.random.default_rng(derived_seed(seed, purpose)).uniform(low, high))


def to_pixels(values: Floats) -> Pixels:
    """Round half to even and clip to 0..255: uint8 of the same shape. Overwrites `values`."""
    return np.rint(values, out=values).clip(0, 255, out=values).astype(np.uint8)


OCCLUDER = 128
"""Grey level of what hides a part of the image, as in Zeiler and Fergus (2014), arXiv 1311.2901."""


def flip_horizontal(pixels: Pixels, _value: bool) -> Pixels:
    """Swap left and right."""
    return np.ascontiguousarray(pixels[:, ::-1])


def flip_vertical(pixels: Pixels, _value: bool) -> Pixels:
    """Swap top and bottom."""
    return np.ascontiguousarray(pixels[::-1])


def rotation(pixels: Pixels, degrees: float) -> Pixels:
    """Rotate anticlockwise about the centre, bilinear, same size, black corners."""
    image = Image.fromarray(pixels)
    return np.array(image.rotate(degrees, Image.Resampling.BILINEAR))


def elastic(pixels: Pixels, deviation: float, seed: int) -> Pixels:
    """Move every pixel by a smooth random field, bilinear, mirrored at the borders.

    Simard, Steinkraus and Platt (2003), as ImageNet-C sets it, smoothed by a Gaussian of 1 % of each side, at
    least a pixel. `deviation` is that of the displacement along each axis in pixels.
    """
    height, width = pixels.shape[:2]
    smoothing = [max(1.0, 0.01 * side) for side in (height, width)]
    moves = normal(seed, "elastic", (2, height, width))
    moves = scipy.ndimage.gaussian_filter(moves, (0, *smoothing))
    # Smoothing takes most of the deviation of white noise; this gives it back.
    moves *= deviation / moves.std()
    moves += np.indices((height, width))
    sample = partial(
        scipy.ndimage.map_coordinates, coordinates=moves, order=1, mode="reflect"
    )
    return _each_channel(pixels, sample)


def occlusion(
    pixels: Pixels, share: float, occlusion_x: float, occlusion_y: float
) -> Pixels:
    """Hide this share of the area behind a grey rectangle of the image's own proportions.

    They place it: 0 at the left or upper border, 0.5 in the middle, 1 at the right or lower border.
    """
    occluded = pixels.copy()
    height, width = pixels.shape[:2]
    tall, wide = (round(side * share**0.5) for side in (height, width))
    top = round((height - tall) * occlusion_y)
    left = round((width - wide) * occlusion_x)
    occluded[top : top + tall, left : left + wide] = OCCLUDER
    return occluded


def defocus_blur(pixels: Pixels, radius: float) -> Pixels:
    """Blur with the disc of a lens out of focus, of this radius in pixels, its edge one pixel soft."""
    reach = math.ceil(radius)
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disc = np.clip(radius + 0.5 - np.hypot(rows, columns), 0, 1).astype(np.float32)
    return _each_channel(pixels, partial(convolve, kernel=disc))


def blur(pixels: Pixels, radius: float) -> Pixels:
    """Blur by a Gaussian of this standard deviation in pixels, as PIL.ImageFilter.GaussianBlur."""
    image = Image.fromarray(pixels)
    return np.array(image.filter(ImageFilter.GaussianBlur(radius)))


def motion_blur(pixels: Pixels, length: float, motion_angle: float) -> Pixels:
    """Blur along a line of this length in pixels, at an angle anticlockwise from the horizontal."""
    reach = math.ceil(length / 2)
    distances = np.abs(np.arange(-reach, reach + 1))
    weights = (length / 2 + 0.5 - distances).clip(0, 1)
    kernel = line_kernel(weights, motion_angle)
    return _each_channel(pixels, partial(convolve, kernel=kernel))


def line_kernel(weights: Floats, angle: float) -> Float32:
    """Lay an odd number of weights, a pixel apart, along a line through the centre: float32, square.

    The angle is in degrees, anticlockwise from the horizontal. Bilinear, so the kernel changes smoothly.
    """
    side = len(weights)
    line = np.zeros((side, side), np.float32)
    line[side // 2] = weights
    return np.asarray(
        scipy.ndimage.rotate(line, angle, reshape=False, order=1), np.float32
    )


def convolve(values: Float32, kernel: Float32) -> Float32:
    """Convolve a float32 plane (H, W), mirrored at its borders, with a kernel of odd sides, scaled to 1."""
    tall, wide = kernel.shape
    padded = np.pad(
        values, ((tall // 2, tall // 2), (wide // 2, wide // 2)), mode="reflect"
    )
    return np.asarray(
        scipy.signal.fftconvolve(padded, kernel / kernel.sum(), mode="valid")
    )


def _each_channel(pixels: Pixels, function: Callable[[Float32], Float32]) -> Pixels:
    planes = np.moveaxis(pixels.astype(np.float32), -1, 0)
    return np.stack([to_pixels(function(plane)) for plane in planes], axis=-1)


def glass_blur(pixels: Pixels, deviation: float, seed: int) -> Pixels:
    """Take every pixel from a random place, so many pixels away along each axis, between two blurs.

    As ImageNet-C's frosted glass; the standard deviation of the blurs follows from the displacement.
    """
    # A line through ImageNet-C's five pairs.
    softness = min(deviation, 0.55 + 0.22 * deviation)
    soft = blur(pixels, softness)
    height, width = pixels.shape[:2]
    field = normal(seed, "glass", (2, height, width))
    moves = np.rint(deviation * field).astype(np.intp)
    rows, columns = np.indices((height, width)) + moves
    moved = soft[rows.clip(0, height - 1), columns.clip(0, width - 1)]
    return blur(moved, softness)


def zoom_blur(pixels: Pixels, percent: float) -> Pixels:
    """Average over zooms about the centre, evenly spaced from none to so many percent."""
    height, width = pixels.shape[:2]
    # About a pixel apart at the borders, where neighbours part most.
    count = min(32, math.ceil(percent / 100 * max(height, width) / 2) + 1)
    image = Image.fromarray(pixels)
    total = np.zeros(pixels.shape, np.float32)
    for zoom in np.linspace(1, 1 + percent / 100, count):
        total += np.asarray(zoomed(image, zoom))
    return to_pixels(total / count)


def zoomed(image: Image.Image, zoom: float) -> Image.Image:
    """Enlarge the middle of an image to its size, bilinear."""
    middle = np.array(image.size * 2) / 2
    box = middle + np.repeat([-1, 1], 2) * middle / zoom
    return image.resize(image.size, Image.Resampling.BILINEAR, box=tuple(box))


def brightness(pixels: Pixels, factor: float) -> Pixels:
    """Multiply every value by this factor.

    In float32, clipped, the fraction cut off: bit for bit `PIL.ImageEnhance.Brightness` (libImaging/Blend.c
    with black), in less time.
    """
    levels = np.arange(256, dtype=np.float32) * np.float32(factor)
    return levels.clip(0, 255).astype(np.uint8).take(pixels)


def lift(pixels: Pixels, levels: float) -> Pixels:
    """Add to the value of hue, saturation, value, which is the largest channel: ImageNet-C's brightness."""
    largest = pixels.max(axis=-1).astype(np.float32)
    lifted = np.clip(largest + np.float32(levels), 0, 255)
    gain = lifted / np.maximum(largest, 1)
    return to_pixels(
        np.where(largest[..., None] > 0, pixels * gain[..., None], lifted[..., None])
    )


def contrast(pixels: Pixels, factor: float) -> Pixels:
    """Scale the distance from the mean grey by this factor, as PIL.ImageEnhance.Contrast."""
    image = Image.fromarray(pixels)
    return np.array(ImageEnhance.Contrast(image).enhance(factor))


def fade(pixels: Pixels, share: float) -> Pixels:
    """Draw every channel towards its own mean by this share: one less ImageNet-C's contrast.

    `contrast` draws towards one grey instead, and so takes the tint away as well.
    """
    means = pixels.mean(axis=(0, 1), dtype=np.float64).astype(np.float32)
    return to_pixels((pixels - means) * np.float32(1 - share) + means)


# Mean count from which the expansion for large means is within 0.05 of the Poisson quantile.
_MANY = 30.0


def noise(pixels: Pixels, deviation: float, seed: int) -> Pixels:
    """Add Gaussian noise of this standard deviation in 8-bit levels.

    ``clip(rint(x + deviation / 4096 * q))``, with q from `noise_field` in C order. One float32
    multiplication and addition a value, rounded half to even: the page repeats it byte for byte.
    """
    return add_field(pixels, deviation, noise_field(seed, pixels.size))


def add_field(pixels: Pixels, deviation: float, field: Int16) -> Pixels:
    """Add the given samples, int16 in steps of 1/4096 of the deviation, one for each value."""
    scale = np.float32(deviation / NOISE_STEPS)
    return to_pixels(field.reshape(pixels.shape) * scale + pixels)


def shot_noise(pixels: Pixels, deviation: float, seed: int) -> Pixels:
    """Count photons: Poisson noise whose standard deviation at white is so many levels.

    Each value is the Poisson quantile of a fixed random number, so counts change one by one with the setting.
    """
    photons = (255 / deviation) ** 2
    field = normal_steps(seed, "shot", pixels.size)
    counts = poisson(pixels.reshape(-1), np.arange(256) * (photons / 255), field)
    return to_pixels(counts.reshape(pixels.shape) * np.float32(255 / photons))


def poisson(levels: Pixels, means: Floats, field: Int16) -> Float32:
    """Return Poisson quantiles, float32 (N,).

    `levels`, uint8 (N,), says which of the 256 `means` a value has; `field`, int16 (N,), are standard normal
    samples in steps of 1/4096, whose rank is that of the quantile.
    """
    mean = means.astype(np.float32)[levels]
    z = field * np.float32(1 / NOISE_STEPS)
    # Cornish-Fisher: the quantile of a distribution with the cumulants of a Poisson, all equal to the mean.
    counts: Float32 = np.rint(mean + np.sqrt(mean) * z + (z * z - 1) / 6)
    by_level = np.argsort(levels, kind="stable")
    ends = np.searchsorted(levels[by_level], np.arange(257))
    for level in np.flatnonzero(means < _MANY):
        places = by_level[ends[level] : ends[level + 1]]
        largest_count = int(means[level] + 10 * means[level] ** 0.5 + 10)
        ranks = scipy.special.pdtr(np.arange(largest_count), means[level])
        limits = scipy.special.ndtri(ranks) * NOISE_STEPS
        counts[places] = np.searchsorted(limits, field[places])
    return counts


def impulse_noise(pixels: Pixels, share: float, seed: int) -> Pixels:
    """Turn this share of all values, each channel by itself, into 0 or 255, as often the one.

    A value that is lost at one share is lost at every larger one.
    """
    field = normal_steps(seed, "impulse", pixels.size).reshape(pixels.shape)
    limit = -scipy.special.ndtri(share / 2) * NOISE_STEPS
    noisy = pixels.copy()
    noisy[field < -limit] = 0
    noisy[field >= limit] = 255
    return noisy


def white_balance(pixels: Pixels, stops: float) -> Pixels:
    """Multiply red by 2 to this power and divide blue by it: above 0 the image turns warmer.

    Factors on 8-bit values: under a gamma of 2.2 they are 2.2 times as many stops in the light itself.
    """
    gains = np.array([2**stops, 1, 2**-stops], np.float32)
    return to_pixels(pixels * gains)


def downscale(pixels: Pixels, factor: float) -> Pixels:
    """Reduce both sides by this factor and enlarge to the old size again, both by Pillow's bicubic filter."""
    return _resampled(
        pixels, factor, Image.Resampling.BICUBIC, Image.Resampling.BICUBIC
    )


def pixelate(pixels: Pixels, block: float) -> Pixels:
    """Average blocks of so many pixels a side and show each as one.

    ImageNet-C gives one over it.
    """
    return _resampled(pixels, block, Image.Resampling.BOX, Image.Resampling.NEAREST)


def _resampled(
    pixels: Pixels, factor: float, down: Image.Resampling, up: Image.Resampling
) -> Pixels:
    image = Image.fromarray(pixels)
    width, height = (max(1, int(side / factor)) for side in image.size)
    return np.array(image.resize((width, height), down).resize(image.size, up))


def jpeg_quality(pixels: Pixels, quality: int) -> Pixels:
    """Write a JPEG file of this quality in memory and read it back."""
    file = BytesIO(encoded(pixels, "JPEG", quality=quality))
    return np.array(Image.open(file, formats=("JPEG",)))
