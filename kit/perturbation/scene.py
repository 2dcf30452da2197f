"""What can befall the scene: flips, a rotation, an elastic deformation, something in front of it.

Each function takes uint8 pixels of shape (H, W, 3), its setting and a seed, and returns new pixels of the
same shape.
"""

import numpy as np
from PIL import Image

from kit._arrays import Float32, Pixels
from kit._interrupts import held
from kit.perturbation.pixels import normal, through_pillow, to_pixels

OCCLUDER = 128
"""Grey level of what hides a part of the picture, as in Zeiler and Fergus (2014), arXiv 1311.2901."""

_ELASTIC_SHARE = 0.01
_ELASTIC_REACH = 3  # standard deviations at which the smoothing ends


def flip_horizontal(pixels: Pixels, value: bool, _seed: int = 0) -> Pixels:
    """Swap left and right where `value` is true."""
    return np.ascontiguousarray(pixels[:, ::-1] if value else pixels)


def flip_vertical(pixels: Pixels, value: bool, _seed: int = 0) -> Pixels:
    """Swap top and bottom where `value` is true."""
    return np.ascontiguousarray(pixels[::-1] if value else pixels)


def rotation(pixels: Pixels, degrees: float, _seed: int = 0) -> Pixels:
    """Rotate anticlockwise about the centre, bilinear, same size, black corners."""
    return through_pillow(pixels, lambda image: image.rotate(degrees, Image.Resampling.BILINEAR))


def elastic(pixels: Pixels, deviation: float, seed: int = 0) -> Pixels:
    """Move every pixel by a smooth random field, bilinear, mirrored at the borders.

    Simard, Steinkraus and Platt (2003), as ImageNet-C sets it: the field is smoothed by a Gaussian with a
    standard deviation of 1 % of each side (here never less than a pixel). `deviation` is the standard
    deviation of the displacement along each axis in pixels, whatever the smoothing.
    """
    with held():
        from scipy import ndimage  # noqa: PLC0415 (heavy)

    height, width = pixels.shape[:2]
    widths = [max(1.0, _ELASTIC_SHARE * side) for side in (height, width)]
    moves = normal(seed, "elastic", (2, height, width))
    for axis, sigma in enumerate(widths, start=1):
        moves = ndimage.gaussian_filter1d(moves, sigma, axis, mode="reflect", truncate=_ELASTIC_REACH)
    # Smoothing takes from white noise the root of the squared weights; this gives it back.
    moves *= deviation / (_gain(widths[0]) * _gain(widths[1]))
    moves[0] += np.arange(height, dtype=np.float32)[:, None]
    moves[1] += np.arange(width, dtype=np.float32)
    out = np.empty(pixels.shape, np.uint8)
    for channel in range(3):
        values = pixels[..., channel].astype(np.float32)
        out[..., channel] = to_pixels(ndimage.map_coordinates(values, moves, order=1, mode="reflect"))
    return out


def _gain(sigma: float) -> float:
    reach = int(_ELASTIC_REACH * sigma + 0.5)
    weights: Float32 = np.exp(-0.5 * (np.arange(-reach, reach + 1, dtype=np.float32) / sigma) ** 2)
    return float(np.sqrt((weights**2).sum()) / weights.sum())


def occlusion(pixels: Pixels, share: float, _seed: int = 0, x: float = 0.5, y: float = 0.5) -> Pixels:
    """Hide `share` of the picture's area behind a grey rectangle of the picture's own proportions.

    `x` and `y` place it: 0 at the left or upper border, 0.5 in the middle, 1 at the right or lower border.
    """
    out = pixels.copy()
    height, width = pixels.shape[:2]
    tall, wide = (round(side * share**0.5) for side in (height, width))
    top, left = round((height - tall) * y), round((width - wide) * x)
    out[top : top + tall, left : left + wide] = OCCLUDER
    return out
