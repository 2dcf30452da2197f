"""Blurs of a lens and of a moving camera.

Each function takes uint8 pixels of shape (H, W, 3), its setting and a seed, and returns new pixels of the
same shape. Lengths are pixels of the picture; beyond its borders the picture is mirrored.
"""

import math

import numpy as np
from PIL import Image, ImageFilter

from kit._arrays import Float32, Pixels
from kit._interrupts import held
from kit.perturbation.pixels import normal, through_pillow, to_pixels

_MOST_ZOOMS = 32


def defocus_blur(pixels: Pixels, radius: float, _seed: int = 0) -> Pixels:
    """Blur with the disc of a lens out of focus, of this radius in pixels, its edge one pixel soft."""
    reach = math.ceil(radius)
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disc = np.clip(radius + 0.5 - np.hypot(rows, columns), 0, 1).astype(np.float32)
    return _blurred(pixels, disc)


def blur(pixels: Pixels, radius: float, _seed: int = 0) -> Pixels:
    """Blur with `PIL.ImageFilter.GaussianBlur`."""
    return through_pillow(pixels, lambda image: image.filter(ImageFilter.GaussianBlur(radius)))


def motion_blur(pixels: Pixels, length: float, _seed: int = 0, angle: float = 0.0) -> Pixels:
    """Blur along a straight line of this length in pixels, `angle` degrees anticlockwise from the horizontal.

    The camera moves evenly while the shutter is open; the middle of the way is where the picture stays.
    """
    places = np.linspace(-0.5, 0.5, 4 * math.ceil(length) + 1, dtype=np.float32) * np.float32(length)
    return _blurred(pixels, line_kernel(places, np.ones_like(places), angle))


def line_kernel(places: Float32, weights: Float32, angle: float) -> Float32:
    """Put `weights` at `places` (pixels from the centre) along a line: float32, square, of an odd side.

    `angle` is in degrees anticlockwise from the horizontal. Every weight is shared among the four pixels
    around its place, so the kernel changes smoothly with place and angle.
    """
    x = places * math.cos(math.radians(angle))
    y = -places * math.sin(math.radians(angle))
    reach = math.ceil(float(np.abs(places).max())) + 1
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    left, top = np.floor(x), np.floor(y)
    for right in (0, 1):
        for down in (0, 1):
            share = np.abs(1 - right - (x - left)) * np.abs(1 - down - (y - top))
            rows, columns = (top + down + reach).astype(int), (left + right + reach).astype(int)
            np.add.at(kernel, (rows, columns), weights * share)
    return kernel


def convolve(values: Float32, kernel: Float32) -> Float32:
    """Convolve a float32 plane (H, W) with a kernel of odd sides, scaled to the sum 1.

    Beyond its borders the plane is mirrored. By a Fourier transform, since discs and lines have hundreds of
    weights.
    """
    with held():
        from scipy import fft  # noqa: PLC0415 (heavy)

    height, width = values.shape
    tall, wide = kernel.shape
    padded = np.pad(values, ((tall // 2, tall // 2), (wide // 2, wide // 2)), mode="reflect")
    shape = tuple(fft.next_fast_len(side, real=True) for side in padded.shape)
    product = fft.rfft2(padded, shape) * fft.rfft2(kernel / kernel.sum(), shape)
    # The first rows and columns mix both ends; what is left is as large as the plane.
    whole: Float32 = fft.irfft2(product, shape)
    return whole[tall - 1 : tall - 1 + height, wide - 1 : wide - 1 + width]


def _blurred(pixels: Pixels, kernel: Float32) -> Pixels:
    out = np.empty(pixels.shape, np.uint8)
    for channel in range(3):
        out[..., channel] = to_pixels(convolve(pixels[..., channel].astype(np.float32), kernel))
    return out


def glass_blur(pixels: Pixels, deviation: float, seed: int = 0) -> Pixels:
    """Take every pixel from a random place nearby, as seen through frosted glass.

    `deviation` is the standard deviation of that displacement in pixels along each axis. ImageNet-C shuffles
    pixels between two Gaussian blurs; their standard deviations follow from the displacement here.
    """
    softness = min(deviation, 0.55 + 0.22 * deviation)  # a line through ImageNet-C's five pairs
    soft = blur(pixels, softness)
    height, width = pixels.shape[:2]
    moves = np.rint(deviation * normal(seed, "glass", (2, height, width))).astype(np.intp)
    rows = np.clip(moves[0] + np.arange(height)[:, None], 0, height - 1)
    columns = np.clip(moves[1] + np.arange(width), 0, width - 1)
    return blur(soft[rows, columns], softness)


def zoom_blur(pixels: Pixels, percent: float, _seed: int = 0) -> Pixels:
    """Average the picture over zooms from 1 to ``1 + percent / 100`` about its centre, evenly spaced."""
    height, width = pixels.shape[:2]
    # About a pixel apart at the borders, where neighbours part most.
    count = min(_MOST_ZOOMS, math.ceil(percent / 100 * max(height, width) / 2) + 1)
    image = Image.fromarray(pixels)
    total = np.zeros(pixels.shape, np.float32)
    for zoom in np.linspace(1, 1 + percent / 100, count):
        across, down = width / zoom, height / zoom
        box = ((width - across) / 2, (height - down) / 2, (width + across) / 2, (height + down) / 2)
        total += np.asarray(image.resize((width, height), Image.Resampling.BILINEAR, box=box))
    return to_pixels(total / np.float32(count))
