"""How bright the scene is, and how much its parts differ.

Each function takes uint8 pixels of shape (H, W, 3), its setting and a seed, and returns new pixels of the
same shape.
"""

import numpy as np
from PIL import ImageEnhance

from kit._arrays import Float32, Pixels
from kit.perturbation.pixels import in_parts, through_pillow, to_pixels


def brightness(pixels: Pixels, factor: float, _seed: int = 0) -> Pixels:
    """Multiply in float32, clip, cut off the fraction.

    Bit for bit `PIL.ImageEnhance.Brightness` (libImaging/Blend.c with black), at a third of its time.
    """
    scale = np.float32(factor)

    def part(values: Pixels, scratch: Float32, _start: int) -> None:
        np.multiply(values, scale, out=scratch, dtype=np.float32)

    return in_parts(pixels, part)


def lift(pixels: Pixels, levels: float, _seed: int = 0) -> Pixels:
    """Add to the value V of hue, saturation and value; hue and saturation stay.

    V is the largest of the three channels, so all three are multiplied by ``clip(V + levels) / V``, and black
    becomes grey. This is what ImageNet-C calls brightness.
    """
    largest = pixels.max(axis=-1).astype(np.float32)
    wanted = np.clip(largest + np.float32(levels), 0, 255)
    gain = np.divide(wanted, largest, out=np.zeros_like(wanted), where=largest > 0)
    out = pixels * gain[..., None]
    out[largest == 0] = wanted[largest == 0][:, None]
    return to_pixels(out)


def contrast(pixels: Pixels, factor: float, _seed: int = 0) -> Pixels:
    """Scale the distance from the mean grey; `PIL.ImageEnhance.Contrast` itself."""
    return through_pillow(pixels, lambda image: ImageEnhance.Contrast(image).enhance(factor))


def fade(pixels: Pixels, share: float, _seed: int = 0) -> Pixels:
    """Draw every channel towards its own mean by `share`; ImageNet-C's contrast, there ``1 - share``.

    `contrast` draws towards one grey instead, and so takes the tint away as well.
    """
    means = pixels.mean(axis=(0, 1), dtype=np.float64).astype(np.float32)
    return to_pixels((pixels - means) * np.float32(1 - share) + means)
