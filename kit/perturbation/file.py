"""What a picture loses when it is reduced and saved.

Each function takes uint8 pixels of shape (H, W, 3), its setting and a seed, and returns new pixels of the
same shape.
"""

from io import BytesIO

import numpy as np
from PIL import Image

from kit._arrays import Pixels
from kit.perturbation.pixels import through_pillow


def downscale(pixels: Pixels, factor: float, _seed: int = 0) -> Pixels:
    """Reduce both sides by `factor` and enlarge to the old size again, both by Pillow's bicubic filter."""
    return _resampled(pixels, factor, Image.Resampling.BICUBIC, Image.Resampling.BICUBIC)


def pixelate(pixels: Pixels, block: float, _seed: int = 0) -> Pixels:
    """Average blocks of `block` pixels a side and show each as one; ImageNet-C calls it ``1 / block``."""
    return _resampled(pixels, block, Image.Resampling.BOX, Image.Resampling.NEAREST)


def _resampled(pixels: Pixels, factor: float, down: Image.Resampling, up: Image.Resampling) -> Pixels:
    image = Image.fromarray(pixels)
    width, height = image.size
    small = image.resize((max(1, int(width / factor)), max(1, int(height / factor))), down)
    return np.array(small.resize((width, height), up))


def jpeg_quality(pixels: Pixels, quality: int, _seed: int = 0) -> Pixels:
    """Write a JPEG file of this quality in memory and read it back."""

    def through_file(image: Image.Image) -> Image.Image:
        buffer = BytesIO()
        image.save(buffer, "JPEG", quality=quality)
        return Image.open(buffer, formats=("JPEG",))

    return through_pillow(pixels, through_file)
