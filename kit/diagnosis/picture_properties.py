"""Properties of a picture that make it unlike ordinary photographs: measured by `properties`, then scored.

A score puts a measure between 0 (beyond anything ordinary) and 1 (ordinary). The ordinary limit is where the
most extreme of the bundled photographs lie that are as they should be; the extreme one where most of them lie
at brightness 0.3 or 3, contrast 0.15, noise 12, blur 3 or JPEG quality 10.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from kit.images.properties import (
    Pixels,
    block_edges,
    bright_level,
    colourfulness,
    dark_level,
    noise_level,
    relative_contrast,
    sharpness,
)


@dataclass(frozen=True)
class Property:
    """One measurable property.

    Attributes
    ----------
    name
        Cause that it stands for, such as ``"dark"``.
    unit
        Of the measure, in words.
    ordinary, extreme
        Measures with score 1 and with score 0; in between the score is linear.
    measure
        From uint8 (H, W, 3) to the number.
    """

    name: str
    unit: str
    ordinary: float
    extreme: float
    measure: Callable[[Pixels], float]

    def score(self, value: float) -> float:
        """Return 1 for an ordinary value, 0 for an extreme one, linear in between."""
        return float(np.clip((value - self.extreme) / (self.ordinary - self.extreme), 0, 1))


PROPERTIES: Mapping[str, Property] = MappingProxyType(
    {
        item.name: item
        for item in (
            Property("dark", "level of the brightest 5 %, 0..255", 105, 60, bright_level),
            Property("bright", "level of the darkest 5 %, 0..255", 125, 180, dark_level),
            Property(
                "low_contrast", "range of levels over the sum of its ends", 0.22, 0.12, relative_contrast
            ),
            Property("noisy", "levels, standard deviation", 4, 10, noise_level),
            Property("blurred", "share of a step between two pixels", 0.15, 0.08, sharpness),
            Property("jpeg", "ratio of steps on the 8 x 8 grid to others", 1.8, 3.0, block_edges),
            Property("grayscale", "levels between the channels", 2, 0, colourfulness),
        )
    }
)
"""Every property by its name."""
