"""Fog, snow and frost by rule, at ImageNet-C's severities 0..5 (Hendrycks and Dietterich, arXiv 1903.12261).

Each function takes uint8 (H, W, 3), its severity and a seed. Weather is made for 224 pixels along the shorter
side and stretched, so that flakes and clouds take the same share of an image of any size.
"""

import numpy as np
import scipy  # its heavy parts are imported when they are used
from PIL import Image

from kit._arrays import Float32, Pixels
from kit.images.properties import luma
from kit.perturbation.physics import (
    convolve,
    line_kernel,
    normal,
    to_pixels,
    uniform,
    zoomed,
)

SIDE = 224
"""Shorter side, in pixels, of the image that ImageNet-C's constants are meant for."""

# A row for each severity 0..5; row 0 changes nothing.
_FOG = ((0, 2), (1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4))  # thickness, decay
_FROST = (
    (1, 0),
    (1, 0.4),
    (0.8, 0.6),
    (0.7, 0.7),
    (0.65, 0.7),
    (0.6, 0.75),
)  # image, ice
# Mean of the noise, whose deviation is 0.3, its zoom, threshold, radius and deviation of the streaks, and the
# share of the image.
_SNOW = (
    (-1, 3, 0.5, 10, 4, 1),
    (0.1, 3, 0.5, 10, 4, 0.8),
    (0.2, 2, 0.5, 12, 4, 0.7),
    (0.55, 4, 0.9, 12, 8, 0.7),
    (0.55, 4.5, 0.85, 12, 8, 0.65),
    (0.55, 2.5, 0.85, 12, 12, 0.55),
)
# Over the five photos of frost that ImageNet-C draws from: mean colour, and the mean over crops of
# 224 pixels of the standard deviation of their grey levels.
_ICE = np.array([143, 164, 176], np.float32)


def fog(pixels: Pixels, severity: float, seed: int) -> Pixels:
    """Add clouds of a plasma fractal, as severe as ImageNet-C's 1 to 5, and in between.

    What comes out is scaled back to the brightest value of the image.
    """
    thickness, decay = _at_severity(_FOG, severity)
    brightest = float(pixels.max()) / 255
    height, width = layer_size(pixels)
    side = 1 << (max(height, width) - 1).bit_length()
    clouds = _stretched_over(plasma(seed, side, decay)[:height, :width], pixels)
    scale = np.float32(brightest / (brightest + thickness))
    return to_pixels((pixels + np.float32(255 * thickness) * clouds[..., None]) * scale)


def plasma(seed: int, side: int, decay: float) -> Float32:
    """Make a fractal by diamonds and squares: float32, (side, side), 0..1; `side` is a power of two.

    Every halving of the step adds uniform noise that is ``decay ** 2`` times weaker: 1 is rough, 3 smooth.
    """
    # The rank of a normal sample is uniform.
    ranks: Float32 = scipy.special.ndtr(normal(seed, "fog", (side, side)))
    noise = 2 * ranks - 1
    clouds = np.zeros((side, side), np.float32)
    step = side
    strength = 1.0
    while step >= 2:
        half = step // 2
        corners = clouds[::step, ::step]
        rows = corners + np.roll(corners, -1, 0)
        squares = rows + np.roll(rows, -1, 1)
        middles = squares / 4 + strength * noise[half::step, half::step]
        clouds[half::step, half::step] = middles
        above = middles + np.roll(middles, 1, 0) + corners + np.roll(corners, -1, 1)
        clouds[::step, half::step] = above / 4 + strength * noise[::step, half::step]
        beside = middles + np.roll(middles, 1, 1) + corners + np.roll(corners, -1, 0)
        clouds[half::step, ::step] = beside / 4 + strength * noise[half::step, ::step]
        step = half
        strength /= decay**2
    clouds -= clouds.min()
    return clouds / max(float(clouds.max()), 1e-6)


def snow(pixels: Pixels, severity: float, seed: int) -> Pixels:
    """Lay streaks of falling snow over an image that is whitened where it is bright.

    Between two severities their images are mixed, since flakes of another size lie elsewhere.
    """
    lower = int(severity)
    upper = min(lower + 1, len(_SNOW) - 1)
    snowed = [_snowed(pixels, row, seed) for row in (lower, upper)]
    return to_pixels(snowed[0] + (severity - lower) * (snowed[1] - snowed[0]))


def _snowed(pixels: Pixels, row: int, seed: int) -> Float32:
    mean, zoom, threshold, radius, fade_length, image_share = _SNOW[row]
    noise = mean + 0.3 * normal(seed, "snow", layer_size(pixels))
    flakes = np.asarray(zoomed(Image.fromarray(noise), zoom))
    flakes = np.where(flakes < threshold, 0, flakes).clip(0, 1)
    # From its upper end on, a streak fades.
    weights = np.exp(-0.5 * (np.arange(2 * radius + 1) / fade_length) ** 2)
    angle = uniform(seed, "snow", -135, -45)
    flakes = convolve(flakes, line_kernel(weights, angle))
    layer = _stretched_over(flakes + np.rot90(flakes, 2), pixels)
    values = pixels * np.float32(1 / 255)
    white = np.maximum(values, (1.5 / 255 * luma(pixels) + 0.5)[..., None])
    snowed = image_share * values + (1 - image_share) * white + layer[..., None]
    return np.asarray(255 * snowed.clip(0, 1))


def frost(pixels: Pixels, severity: float, seed: int) -> Pixels:
    """Mix the image with drawn ice, as severe as ImageNet-C's 1 to 5, and in between.

    It has the colour and contrast of ImageNet-C's photos.
    """
    image_share, ice_share = _at_severity(_FROST, severity)
    pane = _stretched_over(crystals(seed, layer_size(pixels)), pixels)
    shade = np.clip(_ICE + 24 * pane[..., None], 0, 255)
    return to_pixels(np.float32(image_share) * pixels + np.float32(ice_share) * shade)


def crystals(seed: int, shape: tuple[int, int]) -> Float32:
    """Draw patches of needles in four directions: float32 of this shape, mean 0, standard deviation 1."""
    patches, noise = normal(seed, "frost", (2, 4, *shape))
    haze = scipy.ndimage.gaussian_filter(patches, (0, 9, 9))
    needle = np.exp(-0.5 * (np.arange(-10, 11) / 4) ** 2)
    directions = [
        convolve(field, line_kernel(needle, 45 * quarter))
        for quarter, field in enumerate(noise)
    ]
    # Steps between neighbours are then those of ImageNet-C's photos.
    pane = np.choose(haze.argmax(axis=0), directions) + 11 * haze[0]
    pane = pane - pane.mean()
    return np.asarray(pane / max(float(pane.std()), 1e-6))


def layer_size(pixels: Pixels) -> tuple[int, int]:
    """Height and width of the layer for an image: 224 pixels along the shorter side, at most 1024."""
    height, width = pixels.shape[:2]
    scale = min(SIDE / min(height, width), 1024 / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def _at_severity(rows: tuple[tuple[float, ...], ...], severity: float) -> list[float]:
    return [
        float(np.interp(severity, range(len(rows)), column))
        for column in zip(*rows, strict=True)
    ]


def _stretched_over(layer: Float32, pixels: Pixels) -> Float32:
    height, width = pixels.shape[:2]
    image = Image.fromarray(np.ascontiguousarray(layer, np.float32))
    return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))
