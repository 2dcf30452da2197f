"""Properties that make a picture unlike ordinary photographs: a row for each, with its remedy.

A score puts a measure between 0 (beyond anything ordinary) and 1 (ordinary). The ordinary limit is where the
most extreme of the bundled photographs lie that are as they should be; the extreme one where most of them lie
at brightness 0.3 or 3, contrast 0.15, noise 12, blur 3 or JPEG quality 10.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from PIL import Image, ImageFilter

from kit._arrays import Pixels
from kit.diagnosis.finding import Fix
from kit.images import Photo, properties
from kit.images.levels import denoised, relevelled
from kit.images.measuring import bright_level

DARKEST, BRIGHTEST = 31, 204
"""Levels below which 5 % and 95 % of a typical bundled photograph lie; light is brought back to these."""

TEXTURED = 64
"""Pixels a side below which a picture is little but texture, so that noise, blur and JPEG blocks cannot be
told."""


@dataclass(frozen=True)
class Property:
    """One property, the limits of what is ordinary, and what to do about it.

    Attributes
    ----------
    name
        Cause that it stands for, such as ``"dark"``.
    measured
        Key of `kit.images.properties.PROPERTIES`.
    ordinary, extreme
        Measures with score 1 and with score 0; in between the score is linear.
    undo
        Takes the property out of uint8 pixels (H, W, 3), roughly; None where that cannot be done.
    least_side
        Pixels a side that a picture needs for it.
    coloured
        Whether it says something only where the network takes colour.
    word
        What such pictures are; the name if left out.
    """

    name: str
    measured: str
    ordinary: float
    extreme: float
    undo: Callable[[Pixels], Pixels] | None = None
    least_side: int = 0
    coloured: bool = False
    word: str = ""

    @property
    def remedy(self) -> Fix:
        """What to change."""
        return _REMEDIES[self.name]

    @property
    def unit(self) -> str:
        """Of the measure, in words."""
        return properties.PROPERTIES[self.measured].unit

    def measure(self, pixels: Pixels) -> float:
        """Measure uint8 pixels (H, W, 3), every one of them."""
        sample = properties.Sample(Photo(pixels), window=None)
        return properties.PROPERTIES[self.measured].measure(sample)

    def score(self, value: float) -> float:
        """Return 1 for an ordinary value, 0 for an extreme one, linear in between."""
        return float(np.clip((value - self.extreme) / (self.ordinary - self.extreme), 0, 1))


def _stretched(pixels: Pixels) -> Pixels:
    return relevelled(Photo(pixels), (DARKEST, BRIGHTEST)).pixels


def _brightened(pixels: Pixels) -> Pixels:
    factor = BRIGHTEST / max(bright_level(pixels), 1.0)
    result: Pixels = np.clip(np.rint(np.arange(256) * factor), 0, 255).astype(np.uint8)[pixels]
    return result


def _denoised(pixels: Pixels) -> Pixels:
    return denoised(Photo(pixels)).pixels


def _filtered(method: ImageFilter.Filter) -> Callable[[Pixels], Pixels]:
    return lambda pixels: np.asarray(Image.fromarray(pixels).filter(method))


_REMEDIES = {
    "dark": Fix(
        "Brighten the pictures, or add dark ones to the training pictures.",
        "image = PIL.ImageEnhance.Brightness(image).enhance(2.0)",
    ),
    "bright": Fix("Spread the levels, or expose less.", "image = PIL.ImageOps.autocontrast(image, cutoff=1)"),
    "low_contrast": Fix("Spread the levels.", "image = PIL.ImageOps.autocontrast(image, cutoff=1)"),
    "noisy": Fix(
        "Remove the noise, or add noise to the training pictures.",
        "image = image.filter(PIL.ImageFilter.MedianFilter(3))",
    ),
    "blurred": Fix(
        "Sharpen, or focus better; detail that is lost stays lost.",
        "image = image.filter(PIL.ImageFilter.UnsharpMask(radius=3, percent=200))",
    ),
    "jpeg": Fix(
        "Save with a higher quality, or add compressed pictures to the training.",
        'image.save("picture.jpg", quality=95)',
    ),
    "grayscale": Fix("Use the colour originals, or train on grey pictures as well."),
}
_SHARPENED = _filtered(ImageFilter.UnsharpMask(radius=3, percent=200, threshold=0))
_SMOOTHED = _filtered(ImageFilter.GaussianBlur(1.5))
_GREY = "grey, where the network takes colour"

_ROWS = (
    Property("dark", "bright_level", 105, 60, _brightened),
    Property("bright", "dark_level", 125, 180, _stretched),
    Property("low_contrast", "range", 0.22, 0.12, _stretched),
    Property("noisy", "noise", 4, 10, _denoised, TEXTURED),
    Property("blurred", "sharpness", 0.15, 0.08, _SHARPENED, TEXTURED),
    Property("jpeg", "block_edges", 1.8, 3.0, _SMOOTHED, TEXTURED, word="compressed"),
    Property("grayscale", "colour", 2.0, 0, coloured=True, word=_GREY),
)
PROPERTIES: Mapping[str, Property] = MappingProxyType({item.name: item for item in _ROWS})
"""Every property by its name."""
