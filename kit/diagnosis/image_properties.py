"""Image properties that may be causes: how each is measured, done to other images and undone."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter, ImageOps

from kit._arrays import Pixels
from kit.diagnosis.finding import Fix
from kit.images import Photo, properties
from kit.images.properties import bright_level, denoised, edge_colour, luma, relevelled
from kit.perturbation import PARAMETERS, Perturbation
from kit.perturbation.physics import to_pixels
from kit.robustness.restoring import (
    blur_radius,
    noise_deviation,
    without_blocks,
    without_blur,
    without_noise,
)

WORDS = {
    "dark": ("dark", "Brighten the images"),
    "bright": ("bright", "Expose less"),
    "low_contrast": ("low in contrast", "Spread the levels"),
    "noisy": ("noisy", "Remove the noise"),
    "blurred": ("blurred", "Sharpen, or focus better"),
    "jpeg": ("blocky", "Save with a higher quality"),
    "tinted": ("tinted", "Balance the channels"),
}
"""What such images are, and what to do."""
_DIMMED = 0.65
_LEVELS = "relevelled(photo, (31, 204))"
_BALANCE = "ImageOps.autocontrast(Image.fromarray(photo.pixels), cutoff=5)"
_CALLS = {"brightness": _LEVELS, "contrast": _LEVELS, "white_balance": _BALANCE}
_CODE = """\
from PIL import Image, ImageOps
from kit.images import as_photos
from kit.robustness import relevelled, restored
better = [{} for photo in as_photos(photos)]
print(classifier.predict(better))"""


def brightened(pixels: Pixels, _amount: float) -> list[Pixels]:
    """Bring the light of a dark image back."""
    bright = max(bright_level(pixels), 1.0)
    if bright >= 105:  # only the middle is dark, as by a gamma
        middle = np.clip(np.median(luma(pixels)), 1, 100) / 255
        powers = (np.log(level / 255) / np.log(middle) for level in (80, 105))
        return [to_pixels(255 * (pixels / 255) ** power) for power in powers]
    return [
        to_pixels(pixels * (204 / bright)),
        to_pixels(pixels * (160 / bright)),
        _spread(pixels, 31, 204),
    ]


def contrasted(pixels: Pixels, _amount: float) -> list[Pixels]:
    """Spread the levels."""
    return [_spread(pixels, *levels) for levels in ((31, 204), (31, 170), (60, 190))]


def darkened(pixels: Pixels, _amount: float) -> list[Pixels]:
    """Take light from an image that is too bright, and even its levels out."""
    equalized = np.asarray(ImageOps.equalize(Image.fromarray(pixels)))
    dimmed = to_pixels(pixels * _DIMMED)
    return [to_pixels(equalized * _DIMMED), dimmed[:, ::-1], _shrunk(dimmed)]


def cleaned(pixels: Pixels, amount: float) -> list[Pixels]:
    """Remove noise."""
    # To a network, detail that goes does more harm than noise that stays.
    less, more = (without_noise(pixels, share * amount) for share in (0.4, 0.7))
    return [less, more[:, ::-1], _shrunk(more), denoised(Photo(pixels)).pixels]


def deblurred(pixels: Pixels, amount: float) -> list[Pixels]:
    """Sharpen, by two filters."""
    masked = ImageFilter.UnsharpMask(radius=3, percent=200, threshold=0)
    twice = np.asarray(Image.fromarray(pixels).filter(masked).filter(masked))
    return [
        twice,
        without_blur(pixels, amount),
        _shrunk(without_blur(pixels, 0.8 * amount)),
    ]


def balanced(pixels: Pixels, _amount: float = 0) -> list[Pixels]:
    """Make the channels equal: by their edges, as `edge_colour`, by their means, and half-way."""
    light = np.stack([edge_colour(pixels), np.maximum(pixels.mean(axis=(0, 1)), 1)])
    gains = np.exp(np.log(light).mean(axis=1, keepdims=True)) / light
    return [to_pixels(pixels * gain) for gain in (*gains, np.sqrt(gains[0]))]


def smoothed(pixels: Pixels, amount: float) -> list[Pixels]:
    """Smooth the blocks of JPEG, or show them elsewhere."""
    return [without_blocks(pixels, amount)[:, ::-1], pixels[:, ::-1], _shrunk(pixels)]


def _spread(pixels: Pixels, dark: float, bright: float) -> Pixels:
    return relevelled(Photo(pixels), (dark, bright)).pixels


def _shrunk(pixels: Pixels) -> Pixels:
    """Show an image at 0.7 of its size amid its mirror images: what is left of noise and blur shrinks."""
    height, width = pixels.shape[:2]
    tall, wide = (max(1, round(0.7 * side)) for side in (height, width))
    small = Image.fromarray(pixels).resize((wide, tall), Image.Resampling.BICUBIC)
    top, left = (height - tall) // 2, (width - wide) // 2
    edges = ((top, height - tall - top), (left, width - wide - left), (0, 0))
    return np.pad(np.asarray(small), edges, "symmetric")


def slight(pixels: Pixels) -> dict[str, list[Pixels]]:
    """Return slight changes of uint8 pixels (H, W, 3), by name, that leave a sound prediction as it is."""
    light = [to_pixels(pixels * _DIMMED), to_pixels(pixels * 1.5)]
    return {"light": light, "colour of the light": balanced(pixels)[1:2]}


TEXTURED = 64
"""Pixels a side below which an image is little but texture, so that noise, blur and JPEG blocks cannot be
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
    ordinary, below
        Measure beyond which an image is out of the ordinary, and whether that is below it, and not above.
    parameter
        Of a `Perturbation`, which does it.
    amounts
        Pairs of a measure and the setting of `parameter` that brings photos to it, where nothing reads it.
    undo, read
        Takes it out of an image, given the setting, and reads the setting from the pixels; None where the
        measure tells it better.
    least_side
        Pixels a side that an image needs for it.
    exact
        Whether undoing it brings back all but the rounding.
    brings
        Properties that come with it and are no causes of their own beside it.
    coloured
        Whether it says something only where the network takes colour.
    """

    name: str
    measured: str
    ordinary: float
    below: bool
    parameter: str
    amounts: tuple[tuple[float, float], ...]
    undo: Callable[[Pixels, float], list[Pixels]]
    read: Callable[[Pixels], float] | None = None
    least_side: int = 0
    exact: bool = False
    brings: tuple[str, ...] = ()
    coloured: bool = False

    def remedy(self, amount: float) -> Fix:
        """Return what to change, and code that takes this amount out of ``photos`` and asks again."""
        call = _CALLS.get(
            self.parameter, f"restored(photo, {self.parameter}={amount:.3g})"
        )
        text = f"{WORDS[self.name][1]}, or train on such images."
        return Fix(text, _CODE.format(call))

    def measure(self, pixels: Pixels) -> float:
        """Measure uint8 pixels (H, W, 3), every one of them."""
        sample = properties.Sample(Photo(pixels), window=None)
        return properties.PROPERTIES[self.measured].measure(sample)

    def unusual(self, value: float) -> bool:
        """Return whether a measure is out of the ordinary."""
        return value < self.ordinary if self.below else value > self.ordinary

    def amount(self, value: float, pixels: Pixels) -> float:
        """Return the setting that brings photos to a measure; that of the pixels where they tell it."""
        if self.read is not None:
            return self.read(pixels)
        measures, amounts = np.array(self.amounts).T
        return float(np.interp(value, measures, amounts))

    def done(self, photo: Photo, amount: float) -> Photo:
        """Return a photo to which this amount is done."""
        setting = (
            round(amount) if PARAMETERS[self.parameter].kind == "whole" else amount
        )
        return Perturbation(**{self.parameter: setting}).apply(photo)  # type: ignore[arg-type]


_DARK = ((10, 0.05), (20, 0.1), (41, 0.2), (82, 0.4), (123, 0.6), (204, 1))
_BRIGHT = (
    (0, 1),
    (0.14, 1.25),
    (0.3, 1.5),
    (0.4, 1.75),
    (0.43, 2),
    (0.45, 2.5),
    (0.55, 3),
)
_FLAT = ((0.044, 0.05), (0.09, 0.1), (0.18, 0.2), (0.36, 0.4), (0.56, 0.6), (1, 1))
_READ = ((0, 0),)
_BLOCKS = (
    (0.13, 60),
    (0.19, 30),
    (0.27, 20),
    (0.33, 15),
    (0.48, 10),
    (0.58, 7),
    (0.73, 5),
    (1.1, 2),
)
_HAZY = ("low_contrast",)
_CAST = ((0.22, 0), (0.66, 0.25), (0.98, 0.5), (1.25, 0.75), (1.52, 1))


_ROWS = (
    Property(
        "dark",
        "light",
        105,
        True,
        "brightness",
        _DARK,
        brightened,
        exact=True,
        brings=("tinted",),
    ),
    Property(
        "bright", "clipping", 0.08, False, "brightness", _BRIGHT, darkened, brings=_HAZY
    ),
    Property(
        "low_contrast", "range", 0.4, True, "contrast", _FLAT, contrasted, exact=True
    ),
    Property(
        "tinted",
        "cast",
        0.8,
        False,
        "white_balance",
        _CAST,
        balanced,
        exact=True,
        coloured=True,
    ),
    Property(
        "noisy", "noise", 8, False, "noise", _READ, cleaned, noise_deviation, TEXTURED
    ),
    Property(
        "blurred",
        "edge_share",
        0.27,
        True,
        "blur",
        _READ,
        deblurred,
        blur_radius,
        TEXTURED,
        brings=_HAZY,
    ),
    Property(
        "jpeg", "grid", 0.16, False, "jpeg_quality", _BLOCKS, smoothed, None, TEXTURED
    ),
)
PROPERTIES: Mapping[str, Property] = {item.name: item for item in _ROWS}
"""Every property by its name."""
