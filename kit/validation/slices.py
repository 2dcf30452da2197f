"""Slices that fail: which measured property of the images goes with mistakes."""

from dataclasses import dataclass

import numpy as np
import scipy  # its parts are imported when they are used

from kit._arrays import Bools, Floats, Int64
from kit.images import Photo
from kit.images.properties import PROPERTIES, Sample
from kit.robustness.differences import FEWEST, LEVEL, holm

SHARES = (0.05, 0.1, 0.2, 0.3)
"""Shares of the images, those with most or least of a property, that are tried as a slice."""
SIDES = {
    ("noise", 1): "noisy",
    ("brightness", -1): "dark",
    ("brightness", 1): "bright",
    ("range", -1): "flat",
    ("sharpness", -1): "blurred",
    ("blocking", 1): "compressed",
    ("grid", 1): "blocky",
    ("saturation", -1): "pale",
    ("saturation", 1): "colourful",
    ("cast", 1): "tinted",
    ("size", -1): "small",
    ("size", 1): "large",
    ("aspect", -1): "tall",
    ("aspect", 1): "wide",
    ("turned", 1): "turned",
}
"""Key of `kit.images.properties.PROPERTIES`, little (-1) or much (1), and the word for such images."""
MEASURED = tuple(dict.fromkeys(name for name, _ in SIDES))
_NEAR = 0.7
_WINDOW = 256


@dataclass(frozen=True)
class Slice:
    """Images with much or little of a property, among which more are predicted wrongly.

    Attributes
    ----------
    name, words, limit
        Key of `kit.images.properties.PROPERTIES`; what such images are; its value where the slice begins.
    images
        Measured images in it.
    wrong, others
        Share that is predicted wrongly, in it and outside it, 0..1.
    p_value
        Of the test in `slices`, times Holm's factor.
    """

    name: str
    words: str
    limit: float
    images: int
    wrong: float
    others: float
    p_value: float

    @property
    def summary(self) -> str:
        """One sentence."""
        side = "above" if SIDES.get((self.name, 1)) == self.words else "below"
        limit = f"{PROPERTIES[self.name].label} {side} {self.limit:.3g}"
        return f"{self.wrong:.0%} of {self.words} images are wrong, {self.others:.0%} of the others ({limit})"


def measured(photo: Photo) -> list[float]:
    """Measure an image by each of `MEASURED`; texture in its middle of 256 x 256 pixels."""
    sample = Sample(photo, _WINDOW)
    return [PROPERTIES[name].measure(sample) for name in MEASURED]


def slices(rows: Floats, wrong: Bools, labels: Int64) -> tuple[Slice, ...]:
    """Find the properties that go with mistakes, the clearest first.

    Each end of each property is a slice. Fisher's exact test (1922, doi 10.2307/2340521), one-sided and
    within each class of `FEWEST` images or more, since a class that is hard and bright is no fault of light;
    p-values times Holm's factor (1979), below `LEVEL`. Of slices with nearly the same, the first in `SIDES`
    is taken; the next is sought in the images outside.

    Parameters
    ----------
    rows
        Shape (N, properties), of `measured`.
    wrong, labels
        Shape (N,): whether each is predicted wrongly, and its class.
    """
    strata = np.where(np.bincount(labels, minlength=1)[labels] >= FEWEST, labels, -1)
    tried = []
    for (name, side), words in SIDES.items():
        values = side * rows[:, MEASURED.index(name)]
        limits = (
            np.unique(np.quantile(values, 1 - np.array(SHARES))) if len(rows) else ()
        )
        tried += [(name, words, side * limit, values > limit) for limit in limits]
    found: list[Slice] = []
    left = np.ones(len(rows), np.bool_)
    while True:
        p_values = holm(
            [_chance(inside[left], wrong[left], strata[left]) for *_, inside in tried]
        )
        least = min(p_values, default=1)
        if least >= LEVEL:
            return tuple(found)
        word = next(
            one[1] for one, p in zip(tried, p_values, strict=True) if p <= least**_NEAR
        )
        p_value, place = min(
            (p, place) for place, p in enumerate(p_values) if tried[place][1] == word
        )
        name, _, limit, inside = tried[place]
        shares = float(wrong[inside].mean()), float(wrong[~inside].mean())
        found.append(
            Slice(name, word, float(limit), int(inside.sum()), *shares, p_value)
        )
        left &= ~inside


def _chance(inside: Bools, wrong: Bools, strata: Int64) -> float:
    count, chance = int((inside & wrong).sum()), np.ones(1)
    if count * len(wrong) <= inside.sum() * wrong.sum():
        return 1.0
    for stratum in np.unique(strata[inside]):
        among = strata == stratum
        drawn, mistakes = int((inside & among).sum()), int((wrong & among).sum())
        counts = np.arange(min(drawn, mistakes) + 1)
        chance = np.convolve(
            chance, scipy.stats.hypergeom.pmf(counts, among.sum(), mistakes, drawn)
        )
    return float(chance[count:].sum())
