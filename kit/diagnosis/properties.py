"""Properties of a picture that make it unlike ordinary photographs: measure, then score.

Every measure is one number with a unit; every score puts it between 0 (beyond anything ordinary) and 1
(ordinary). The ordinary limit is where the most extreme of the bundled photographs lie that are as they
should be; the extreme one where most of them lie at brightness 0.3 or 3, contrast 0.15, noise 12, blur 3 or
JPEG quality 10.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Plane = npt.NDArray[np.float32]

# The tenth percentile of the root mean square in a block of correlated noise, over that of all blocks.
_FLATTEST = 0.78

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


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


def luma(pixels: Pixels) -> Plane:
    """Return the ITU-R 601 luma, float32 (H, W), 0..255."""
    plane: Plane = pixels.astype(np.float32) @ _LUMA
    return plane


def bright_level(pixels: Pixels) -> float:
    """Level below which 95 % of the picture lies, 0..255: low in a dark picture, whatever its subject."""
    return float(np.percentile(luma(pixels), 95))


def dark_level(pixels: Pixels) -> float:
    """Level below which 5 % of the picture lies, 0..255: high in a picture that is too bright."""
    return float(np.percentile(luma(pixels), 5))


def level_range(pixels: Pixels) -> float:
    """Levels between the 5th and the 95th percentile, 0..255."""
    return bright_level(pixels) - dark_level(pixels)


def relative_contrast(pixels: Pixels) -> float:
    """Range of levels over the sum of its ends (Michelson), 0..1, which less light alone does not lower."""
    low, high = dark_level(pixels), bright_level(pixels)
    return (high - low) / max(high + low, 1.0)


def noise_level(pixels: Pixels) -> float:
    """Noise as a standard deviation in levels, from the flattest tenth of the picture.

    The mask of Immerkaer (Fast noise variance estimation, 1996), which a slope passes without a trace, in
    blocks of 8 x 8; the tenth percentile over the blocks leaves texture out.
    """
    x = luma(pixels)
    if min(x.shape) < 10:
        return 0.0
    rows = x[:-2] - 2 * x[1:-1] + x[2:]
    mask = rows[:, :-2] - 2 * rows[:, 1:-1] + rows[:, 2:]
    height, width = (side // 8 * 8 for side in mask.shape)
    blocks = mask[:height, :width].reshape(height // 8, 8, width // 8, 8)
    flattest = float(np.percentile(np.sqrt((blocks**2).mean(axis=(1, 3))), 10))
    # The mask makes 6 of one standard deviation, and luma 0.67 where the channels have noise of their own.
    return flattest / _FLATTEST / 6 / float(np.linalg.norm(_LUMA))


def sharpness(pixels: Pixels) -> float:
    """Share of a step that the sharpest edges make between two neighbouring pixels, 0..1.

    The 99.5th percentile of neighbour differences over the range of levels; about 1 / (2.5 r) after a
    Gaussian blur of radius r.
    """
    x = luma(pixels)
    steps = np.concatenate([np.abs(np.diff(x, axis=axis)).reshape(-1) for axis in (0, 1)])
    return float(np.percentile(steps, 99.5)) / max(level_range(pixels), 8.0)


def block_edges(pixels: Pixels) -> float:
    """Differences across the 8 x 8 grid of JPEG over those beside it; 1 where no grid is to be seen."""
    x = luma(pixels)
    ratios = []
    for plane in (x, x.T):
        steps = np.abs(np.diff(plane, axis=1)).mean(axis=0)
        across = steps[7::8]
        if across.size < 2:
            return 1.0
        beside = np.delete(steps, np.s_[7::8])
        ratios.append(float(np.median(across)) / max(float(np.median(beside)), 0.05))
    return float(np.mean(ratios))


def colourfulness(pixels: Pixels) -> float:
    """Mean distance between the largest and the smallest channel, in levels."""
    spread: float = (pixels.max(axis=-1).astype(np.int16) - pixels.min(axis=-1)).mean()
    return float(spread)


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
