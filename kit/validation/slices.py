"""Slices that fail: which measured property of the images goes with mistakes."""

from dataclasses import dataclass

import numpy as np
import scipy  # its parts are imported when they are used

from kit._arrays import Bools, Floats, Int64
from kit.images.properties import QUANTITIES
from kit.robustness.differences import FEWEST, LEVEL, holm

SHARES = (0.05, 0.1, 0.2, 0.3)
"""Shares of the images, those with the least or the most of a quantity, that are tried as a slice."""


@dataclass(frozen=True)
class Slice:
    """Images with much or little of a quantity, among which more are predicted wrongly.

    Attributes
    ----------
    quantity, above, limit
        Key of `kit.images.properties.QUANTITIES`; whether the images have more than `limit`, or less.
    images
        Measured images in it.
    wrong, others
        Share that is predicted wrongly, in it and outside it, 0..1.
    p_value
        Of the test in `slices`, times Holm's factor.
    """

    quantity: str
    above: bool
    limit: float
    images: int
    wrong: float
    others: float
    p_value: float

    @property
    def summary(self) -> str:
        """One sentence."""
        item, side = QUANTITIES[self.quantity], "above" if self.above else "below"
        words = f"{self.wrong:.0%} of the images with {item.label} {side} {self.limit:.3g} are wrong"
        return f"{words}, {self.others:.0%} of the others"


def slices(rows: Floats, wrong: Bools, labels: Int64) -> tuple[Slice, ...]:
    """Find the properties that go with mistakes, the clearest first.

    Each end of each quantity is a slice. Fisher's exact test (1922, doi 10.2307/2340521), one-sided and
    within each class of `FEWEST` images or more, since a class that is hard and bright is no fault of light;
    p-values times Holm's factor (1979), below `LEVEL`. The next is sought in the images outside.

    Parameters
    ----------
    rows
        Shape (N, quantities): measures in the order of `QUANTITIES`, NaN where there was nothing to measure.
    wrong, labels
        Shape (N,): whether each is predicted wrongly, and its class.
    """
    often = np.bincount(labels)[labels] >= FEWEST
    strata = np.where(often, labels, -1)
    tried = [
        (name, above, limit, values > limit if above else values < limit)
        for name, values in zip(QUANTITIES, rows.T, strict=True)
        for above in (False, True)
        for limit in np.unique(_ends(values[~np.isnan(values)], above=above))
    ]
    found: list[Slice] = []
    left = np.ones(len(rows), np.bool_)
    while True:
        p_values = holm([_chance(inside[left], wrong[left], strata[left]) for *_, inside in tried])
        least = int(np.argmin(p_values))
        if not p_values[least] < LEVEL:
            return tuple(found)
        name, above, limit, inside = tried[least]
        shares = float(wrong[inside].mean()), float(wrong[~inside].mean())
        found.append(Slice(name, above, limit, int(inside.sum()), *shares, p_values[least]))
        left &= ~inside


def _ends(values: Floats, *, above: bool) -> Floats:
    parts = 1 - np.array(SHARES) if above else SHARES
    return np.quantile(values, parts) if values.size else values


def _chance(inside: Bools, wrong: Bools, strata: Int64) -> float:
    count, chance = int((inside & wrong).sum()), np.ones(1)
    if count * len(wrong) <= inside.sum() * wrong.sum():
        return 1.0
    for stratum in np.unique(strata[inside]):
        among = strata == stratum
        drawn, mistakes = int((inside & among).sum()), int((wrong & among).sum())
        counts = np.arange(min(drawn, mistakes) + 1)
        chance = np.convolve(chance, scipy.stats.hypergeom.pmf(counts, among.sum(), mistakes, drawn))
    return float(chance[count:].sum())
