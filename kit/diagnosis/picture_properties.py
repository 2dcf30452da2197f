"""Properties that make a picture unlike ordinary photographs: a row for each, how it is done and undone.

The ordinary limit is where the most extreme of ordinary photographs lie; beyond it the network is asked. The
amounts are what brings bundled photographs, in the median, to a measure.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from PIL import Image, ImageFilter, ImageOps

from kit._arrays import Pixels
from kit.diagnosis.finding import Fix
from kit.images import Photo, properties
from kit.images.levels import relevelled
from kit.images.measuring import bright_level
from kit.perturbation import Perturbation
from kit.robustness.restoring import compression_quality, without_blocks, without_blur, without_noise

Undo = Callable[[Pixels, float], Pixels]
"""Takes an amount of a property out of uint8 pixels (H, W, 3), roughly."""

_DIMMED = 0.65

TEXTURED = 64
"""Pixels a side below which a picture is little but texture, so that noise, blur and JPEG blocks cannot be
told."""


@dataclass(frozen=True)
class Property:
    """One property, the limit of what is ordinary, and how it is done and undone.

    Attributes
    ----------
    name
        Cause that it stands for, such as ``"dark"``.
    measured
        Key of `kit.images.properties.PROPERTIES`.
    ordinary
        Measure beyond which a picture is out of the ordinary.
    below
        Whether that is below this measure, and not above.
    parameter
        Of a `Perturbation`, which does it; empty where colour is taken away.
    amounts
        Pairs of a measure and the setting of `parameter` that brings photographs to it.
    undo
        Ways to take it out of a picture, given the setting. Empty where that cannot be done.
    read
        Reads the setting from the pixels, where they tell it better than the measure does.
    exact
        Whether undoing it brings back all but the rounding.
    brings
        Properties that come with it and are no causes of their own beside it.
    least_side
        Pixels a side that a picture needs for it.
    coloured
        Whether it says something only where the network takes colour.
    words
        What such pictures are; the name if left out.
    """

    name: str
    measured: str
    ordinary: float
    below: bool = False
    parameter: str = ""
    amounts: tuple[tuple[float, float], ...] = ()
    undo: tuple[Undo, ...] = ()
    read: Callable[[Pixels], float] | None = None
    exact: bool = False
    brings: tuple[str, ...] = ()
    least_side: int = 0
    coloured: bool = False
    words: str = ""

    def remedy(self, amount: float) -> Fix:
        """Return what to change, and code that tries it on this amount."""
        restored = _RESTORED.get(self.name, "").format(amount)
        code = _CODE.format(restored.partition("(")[0], restored) if restored else ""
        return Fix(_REMEDIES[self.name], code)

    @property
    def word(self) -> str:
        """What such pictures are."""
        return self.words or self.name.replace("_", " ")

    @property
    def unit(self) -> str:
        """Of the measure, in words."""
        return properties.PROPERTIES[self.measured].unit

    def measure(self, pixels: Pixels) -> float:
        """Measure uint8 pixels (H, W, 3), every one of them."""
        sample = properties.Sample(Photo(pixels), window=None)
        return properties.PROPERTIES[self.measured].measure(sample)

    def unusual(self, value: float) -> bool:
        """Return whether a measure is out of the ordinary."""
        return value < self.ordinary if self.below else value > self.ordinary

    def amount(self, value: float, pixels: Pixels | None = None) -> float:
        """Return the setting that brings photographs to a measure; that of the pixels where they tell it."""
        if self.read is not None and pixels is not None:
            return self.read(pixels)
        return float(np.interp(value, *zip(*self.amounts, strict=True))) if self.amounts else 0.0

    def undone(self, pixels: Pixels, amount: float) -> list[Photo]:
        """Return the pictures that come of taking this amount out of uint8 pixels (H, W, 3)."""
        return [Photo(np.ascontiguousarray(each(pixels, amount))) for each in self.undo]

    def done(self, photo: Photo, amount: float) -> Photo:
        """Return a photo to which this amount is done."""
        if not self.parameter:
            grey = Image.fromarray(photo.pixels).convert("L").convert("RGB")
            return Photo(np.asarray(grey), photo.name)
        whole = self.parameter == "jpeg_quality"
        return Perturbation(**{self.parameter: round(amount) if whole else amount}).apply(photo)


def _to(*levels: float) -> Undo:
    """Bring the dark and the bright level to these; to the bright one alone by a factor."""
    if len(levels) == 2:
        return lambda pixels, _: relevelled(Photo(pixels), (levels[0], levels[1])).pixels
    return lambda pixels, _: _by_factor(pixels, levels[0] / max(bright_level(pixels), 1.0))


def _by_factor(pixels: Pixels, factor: float) -> Pixels:
    table = np.clip(np.rint(np.arange(256) * factor), 0, 255).astype(np.uint8)
    result: Pixels = table[pixels]
    return result


def _equalized(pixels: Pixels, _amount: float) -> Pixels:
    return _by_factor(np.asarray(ImageOps.equalize(Image.fromarray(pixels))), _DIMMED)


def _dimmed(pixels: Pixels, _amount: float) -> Pixels:
    return _by_factor(pixels, _DIMMED)


def _sharpened(pixels: Pixels, _amount: float, percent: int = 200) -> Pixels:
    sharp = ImageFilter.UnsharpMask(radius=3, percent=percent, threshold=0)
    return np.asarray(Image.fromarray(pixels).filter(sharp).filter(sharp))


def _denoised_sharp(pixels: Pixels, amount: float) -> Pixels:
    return _sharpened(without_noise(pixels, amount), amount, percent=50)


def _mirrored(undo: Undo) -> Undo:
    return lambda pixels, amount: undo(pixels, amount)[:, ::-1]


def _shrunk(undo: Undo) -> Undo:
    """Show the result at 0.7 of its size amid its mirror images: what is left of noise and blur shrinks."""

    def shrunk(pixels: Pixels, amount: float) -> Pixels:
        height, width = pixels.shape[:2]
        tall, wide = (max(1, round(0.7 * side)) for side in (height, width))
        image = Image.fromarray(undo(pixels, amount)).resize((wide, tall), Image.Resampling.BICUBIC)
        top, left = (height - tall) // 2, (width - wide) // 2
        edges = ((top, height - tall - top), (left, width - wide - left), (0, 0))
        return np.pad(np.asarray(image), edges, "symmetric")

    return shrunk


_TRAINING = "or add such pictures to the training pictures"
_REMEDIES = {
    "dark": f"Brighten the pictures, {_TRAINING}.",
    "bright": f"Expose less; what is cut off at white stays lost; {_TRAINING}.",
    "low_contrast": f"Spread the levels, {_TRAINING}.",
    "noisy": f"Remove the noise, {_TRAINING}.",
    "blurred": f"Sharpen, or focus better; detail that is lost stays lost; {_TRAINING}.",
    "jpeg": f"Save with a higher quality, {_TRAINING}.",
    "grayscale": f"Use the colour originals, {_TRAINING}.",
}
_LEVELS = "relevelled(photo, (31, 204))"
_RESTORED = {
    "dark": _LEVELS,
    "bright": _LEVELS,
    "low_contrast": _LEVELS,
    "noisy": "restored(photo, noise={:.3g})",
    "blurred": "restored(photo, blur={:.3g})",
    "jpeg": "restored(photo, jpeg_quality={:.0f})",
}
_CODE = """\
from kit.images import as_photos
from kit.robustness import {}
better = [{} for photo in as_photos(photos)]
for row in classifier.probabilities(better):
    print(classifier.top(row, 3))"""

_DARK = ((10, 0.05), (20, 0.1), (41, 0.2), (82, 0.4), (123, 0.6), (204, 1))
_BRIGHT = ((0, 1), (0.14, 1.25), (0.3, 1.5), (0.4, 1.75), (0.43, 2), (0.45, 2.5), (0.55, 3))
_FLAT = ((0.04, 0.05), (0.08, 0.1), (0.16, 0.2), (0.32, 0.4), (0.74, 1))
_NOISE = ((0, 0), (10, 10), (19.3, 20), (27.6, 30), (39.3, 45), (49.6, 60), (62.4, 80), (73.5, 100))
_BLUR = ((0.03, 8), (0.05, 5), (0.06, 4), (0.08, 3), (0.11, 2), (0.15, 1.5), (0.2, 1), (0.41, 0))
_BLOCKS = ((1.2, 60), (2, 30), (2.9, 20), (3.2, 15), (4.3, 10), (5.9, 7), (8, 5), (27, 2))

_DARKER = (_equalized, _mirrored(_dimmed), _shrunk(_dimmed))
_BRIGHTER = (_to(204), _to(160), _to(31, 204))
_SPREAD = (_to(31, 204), _to(31, 170), _to(60, 190))
_CLEANED = (without_noise, _denoised_sharp, _shrunk(without_noise))
_SHARPENED = (without_blur, _sharpened, _shrunk(without_blur))
_SMOOTHED = (without_blocks, _mirrored(without_blocks), _shrunk(without_blocks))
_GREY = "grey, where the network takes colour"

_ROWS = (
    Property("dark", "bright_level", 105, True, "brightness", _DARK, _BRIGHTER, exact=True),
    Property("bright", "clipping", 0.08, False, "brightness", _BRIGHT, _DARKER, brings=("low_contrast",)),
    Property("low_contrast", "range", 0.25, True, "contrast", _FLAT, _SPREAD, exact=True),
    Property("noisy", "noise", 8, False, "noise", _NOISE, _CLEANED, least_side=TEXTURED),
    Property("blurred", "sharpness", 0.2, True, "blur", _BLUR, _SHARPENED, least_side=TEXTURED),
    Property(
        "jpeg",
        "block_edges",
        1.6,
        False,
        "jpeg_quality",
        _BLOCKS,
        _SMOOTHED,
        compression_quality,
        least_side=TEXTURED,
        words="compressed",
    ),
    Property("grayscale", "colour", 2.0, True, coloured=True, words=_GREY),
)
PROPERTIES: Mapping[str, Property] = MappingProxyType({item.name: item for item in _ROWS})
"""Every property by its name."""
