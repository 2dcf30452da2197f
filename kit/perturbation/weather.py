"""Fog, snow and frost by rule, at ImageNet-C's severities 0..5 (Hendrycks and Dietterich, arXiv 1903.12261).

Each function takes uint8 (H, W, 3), its severity and a seed. Weather is made for 224 pixels along the shorter
side and stretched, so that flakes and clouds take the same share of an image of any size.
"""

from functools import lru_cache

import numpy as np
import scipy  # its heavy parts are imported when they are used
from PIL import Image

from kit._arrays import Float32, Pixels
from kit.perturbation.physics import convolve, line_kernel, normal, to_pixels, uniform

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
# From severity 1 on: mean of the noise, whose deviation is 0.3, its zoom, threshold, radius and deviation of
# the streaks, share of the image.
_SNOW = (
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
    thickness, decay = _between(_FOG, severity)
    brightest = float(pixels.max()) / 255
    height, width = layer_size(pixels)
    side = 1 << (max(height, width) - 1).bit_length()
    clouds = _stretched(plasma(seed, side, decay)[:height, :width], pixels)
    scale = np.float32(brightest / (brightest + thickness))
    return to_pixels((pixels + np.float32(255 * thickness) * clouds[..., None]) * scale)


def plasma(seed: int, side: int, decay: float) -> Float32:
    """Make a fractal by diamonds and squares: float32, (side, side), 0..1; `side` is a power of two.

    Every halving of the step adds uniform noise that is ``decay ** 2`` times weaker: 1 is rough, 3 smooth.
    """
    noise = _uniform(seed, "fog", (side, side))
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
    below = int(severity)
    mixed = (1 + below - severity) * (
        _snowed(pixels, below, seed) if below else pixels.astype(np.float32)
    )
    if severity > below:
        mixed = mixed + (severity - below) * _snowed(pixels, below + 1, seed)
    return to_pixels(mixed)


def _snowed(pixels: Pixels, severity: int, seed: int) -> Float32:
    mean, zoom, least, radius, fading, share = _SNOW[severity - 1]
    height, width = layer_size(pixels)
    flakes = mean + np.float32(0.3) * normal(seed, "snow", (height, width))
    middle = np.array([(height - 1) / 2, (width - 1) / 2])
    shift = middle - middle / zoom
    flakes = scipy.ndimage.affine_transform(
        flakes, np.full(2, 1 / zoom), shift, order=1, mode="reflect"
    )
    flakes = np.clip(np.where(flakes < least, 0, flakes), 0, 1).astype(np.float32)
    positions = np.arange(2 * radius + 1, dtype=np.float32)
    weights = np.exp(-0.5 * (positions / fading) ** 2)
    angle = uniform(seed, "snow", -135, -45)
    flakes = convolve(flakes, line_kernel(positions, weights, angle))
    layer = _stretched(flakes + np.rot90(flakes, 2), pixels)
    values = pixels * np.float32(1 / 255)
    grey = values @ np.array([0.299, 0.587, 0.114], np.float32)
    white = np.maximum(values, (1.5 * grey + 0.5)[..., None])
    snowed: Float32 = np.clip(
        share * values + (1 - share) * white + layer[..., None], 0, 1
    )
    return 255 * snowed


def frost(pixels: Pixels, severity: float, seed: int) -> Pixels:
    """Mix the image with drawn ice crystals, as severe as ImageNet-C's 1 to 5, and in between.

    They have the colour and contrast of ImageNet-C's photos.
    """
    share, ice = _between(_FROST, severity)
    pane = _stretched(crystals(seed, layer_size(pixels)), pixels)
    shade = np.clip(_ICE + np.float32(24) * pane[..., None], 0, 255)
    return to_pixels(np.float32(share) * pixels + np.float32(ice) * shade)


@lru_cache(maxsize=8)  # a slider only mixes it in
def crystals(seed: int, shape: tuple[int, int]) -> Float32:
    """Draw ice: float32 of this shape, mean 0, standard deviation 1, read-only, shared.

    The pane is shared among crystals, each the pixels nearest to its centre. In each, needles run in one
    direction: noise that is stretched eightfold along it, at two widths of the needles.
    """
    rows, columns = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    count = max(1, round(60 * shape[0] * shape[1] / SIDE**2))
    centres = _uniform(seed, "crystals", (3, count)) / 2 + 0.5
    tree = scipy.spatial.cKDTree(
        np.stack([centres[0] * shape[0], centres[1] * shape[1]], axis=-1)
    )
    wobble = _smooth(seed, "wobble", shape, 3.0)  # curves the borders between crystals
    nearest = tree.query(
        np.stack([rows + 6 * wobble[0], columns + 6 * wobble[1]], axis=-1).reshape(
            -1, 2
        )
    )[1]
    angle = (np.pi * centres[2])[nearest].reshape(shape)
    along = columns * np.cos(angle) + rows * np.sin(angle)
    across = rows * np.cos(angle) - columns * np.sin(angle)
    tile = normal(seed, "needles", (256, 256))
    pane = np.zeros(shape, np.float32)
    for width, strength in ((1.0, 0.8), (3.0, 1.0)):
        coordinates = np.stack([across / width, along / (8 * width)])
        pane += strength * scipy.ndimage.map_coordinates(
            tile, coordinates, order=1, mode="grid-wrap"
        )
    pane += 0.8 * _smooth(seed, "haze", shape, 12.0)[0]
    pane -= pane.mean()
    pane /= max(float(pane.std()), 1e-6)
    pane.flags.writeable = False
    return pane


def layer_size(pixels: Pixels) -> tuple[int, int]:
    """Height and width of the layer for an image: 224 pixels along the shorter side, at most 1024."""
    height, width = pixels.shape[:2]
    scale = min(SIDE / min(height, width), 1024 / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def _between(rows: tuple[tuple[float, ...], ...], severity: float) -> list[float]:
    return [
        float(np.interp(severity, range(len(rows)), column))
        for column in zip(*rows, strict=True)
    ]


def _stretched(layer: Float32, pixels: Pixels) -> Float32:
    height, width = pixels.shape[:2]
    image = Image.fromarray(np.ascontiguousarray(layer, np.float32))
    return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))


def _uniform(seed: int, purpose: str, shape: tuple[int, ...]) -> Float32:
    chances: Float32 = scipy.special.ndtr(normal(seed, purpose, shape))
    return 2 * chances - 1


def _smooth(seed: int, purpose: str, shape: tuple[int, int], sigma: float) -> Float32:
    field = normal(seed, purpose, (2, *shape))
    smooth: Float32 = scipy.ndimage.gaussian_filter(
        field, (0, sigma, sigma), mode="reflect"
    )
    return smooth * np.float32(2 * np.pi**0.5 * sigma)
