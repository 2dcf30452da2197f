"""The table of what can be measured on a picture: light, colour, texture, traces of JPEG, shape.

Each row is one number with a unit. Whoever judges pictures, one by one or as a set, reads it from here.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

import numpy as np

from kit._arrays import Float32, Float64, Pixels
from kit.images import Photo, measuring

WINDOW = 512
"""Pixels a side of the middle part on which texture is measured in a larger picture."""


class Sample:
    """A picture as it is measured, with what several measures share.

    Parameters
    ----------
    photo
        Not changed.
    window
        In a picture with more pixels a side, texture is measured in a middle part of this many, and light and
        colour on a grid of pixels; None for every pixel.
    """

    def __init__(self, photo: Photo, window: int | None = WINDOW) -> None:
        self.photo = photo
        self._window = window or max(photo.size)

    @cached_property
    def thin(self) -> Pixels:
        """A grid of pixels, uint8 (H, W, 3)."""
        height, width = self.photo.size
        step = max(1, int(np.sqrt(height * width) // self._window))
        return self.photo.pixels[::step, ::step]

    @cached_property
    def middle(self) -> Pixels:
        """The middle part, uint8 (H, W, 3)."""
        # Whole blocks are left out at the top and left, so that the grid of JPEG stays where it is.
        top, left = (max(side - self._window, 0) // 2 // 8 * 8 for side in self.photo.size)
        return self.photo.pixels[top : top + self._window, left : left + self._window]

    @cached_property
    def luma(self) -> Float32:
        """Luma of the grid of pixels, float32 (H, W), 0..255."""
        return measuring.luma(self.thin)

    @cached_property
    def mean(self) -> float:
        """Mean luma."""
        return float(self.luma.mean())

    @cached_property
    def light(self) -> tuple[float, float, float]:
        """Red, green and blue of the light."""
        return measuring.edge_colour(self.thin)


@dataclass(frozen=True)
class Quantity:
    """One number that can be measured on a picture.

    Attributes
    ----------
    name
        Of the number.
    unit
        In words; empty for a plain ratio.
    measure
        Takes it from a `Sample`; NaN where there is nothing to measure.
    resolution
        Smallest difference worth speaking of between two sets of pictures, of the logarithm (base 2) where
        `logarithmic`. It keeps what does not vary at all among the training pictures from looking infinitely
        far away. 0 where sets are not compared by it.
    logarithmic
        Whether ratios count, and not differences.
    title
        The name in words, where that is another one.
    """

    name: str
    unit: str
    measure: Callable[[Sample], float]
    resolution: float = 0
    logarithmic: bool = False
    title: str = ""

    @property
    def label(self) -> str:
        """The name in words."""
        return self.title or self.name.replace("_", " ")

    def scaled(self, values: Float64) -> Float64:
        """Return values on the scale on which differences count."""
        if not self.logarithmic:
            return values
        scaled: Float64 = np.log2(np.maximum(values, 1e-3))
        return scaled


def _contrast(sample: Sample) -> float:
    # Root mean square (Peli, Contrast in complex images, 1990), which less light alone leaves as it is.
    return float(sample.luma.std()) / max(sample.mean, 1.0)


def _tint(sample: Sample) -> float:
    red, green, blue = sample.light
    return green / float(np.sqrt(red * blue))


def _turned(sample: Sample) -> float:
    return float(any(re.match("EXIF orientation", note) for note in sample.photo.notes))


def _thin(function: Callable[[Pixels], float]) -> Callable[[Sample], float]:
    return lambda sample: function(sample.thin)


def _middle(function: Callable[[Pixels], float]) -> Callable[[Sample], float]:
    return lambda sample: function(sample.middle)


_DEVIATION = "levels, standard deviation"
_STEP = "share of a step between two pixels"

_TABLE = (
    Quantity("brightness", "levels", lambda sample: sample.mean, 0.05, True),
    Quantity("contrast", "", _contrast, 0.05, True),
    Quantity("highlights", "share", lambda s: float((s.luma >= 254).mean()), 0.005, title="white pixels"),
    Quantity("shadows", "share", lambda s: float((s.luma <= 1).mean()), 0.005, title="black pixels"),
    Quantity("warmth", "red over blue", lambda sample: sample.light[0] / sample.light[2], 0.02, True),
    Quantity("tint", "green over red and blue", _tint, 0.02, True),
    Quantity("saturation", "", _thin(measuring.saturation), 0.01),
    Quantity("sharpness", _STEP, _middle(measuring.sharpness), 0.02),
    Quantity("noise", _DEVIATION, _middle(measuring.noise_level), 0.25),
    Quantity("colour_noise", _DEVIATION, _middle(measuring.colour_noise), 0.25),
    Quantity("blocking", "", _middle(measuring.grid_zeros), 0.01, title="JPEG blocks"),
    Quantity("jpeg_quality", "", lambda s: measuring.jpeg_quality(s.photo.file), 2, title="JPEG quality"),
    Quantity("size", "px", lambda sample: float(np.sqrt(np.prod(sample.photo.size))), 0.05, True),
    Quantity("aspect", "width over height", lambda s: s.photo.size[1] / s.photo.size[0], 0.05, True),
    Quantity("turned", "share of the pictures", _turned, 0.1, title="EXIF turn"),
    Quantity("bright_level", "level of the brightest 5 %, 0..255", _thin(measuring.bright_level)),
    Quantity("clipping", "share cut off at white", _thin(measuring.clipping)),
    Quantity("range", "range of levels over the sum of its ends", _thin(measuring.relative_contrast)),
    Quantity("block_edges", "ratio of steps on the 8 x 8 grid to others", _middle(measuring.block_edges)),
    Quantity("colour", "levels between the channels", _thin(measuring.colourfulness)),
)
PROPERTIES: Mapping[str, Quantity] = MappingProxyType({item.name: item for item in _TABLE})
"""Everything that is measured, by its name."""

QUANTITIES: Mapping[str, Quantity] = MappingProxyType(
    {name: item for name, item in PROPERTIES.items() if item.resolution}
)
"""What two sets of pictures are compared by, in the order of the statistics that a file carries."""


def measure(photo: Photo) -> dict[str, float]:
    """Measure a picture by all of `QUANTITIES`, in their order.

    Parameters
    ----------
    photo
        Not changed. Of one above `WINDOW` pixels a side, texture is measured in the middle, and light and
        colour on a grid of pixels.
    """
    sample = Sample(photo)
    return {name: item.measure(sample) for name, item in QUANTITIES.items()}
