"""Slices that fail: which property of the images goes with mistakes."""

from dataclasses import dataclass

import numpy as np
import scipy  # its parts are imported when they are used

from kit._arrays import Bools, Float64, Floats, Int64
from kit.images import Photo
from kit.perturbation.conditions import CONDITIONS, measures
from kit.robustness.differences import FEWEST

_NAMED = [row for row in CONDITIONS.values() if row.little or row.much]
SIDES = {
    (row.name, side): words
    for row in sorted(_NAMED, key=lambda row: row.rank)
    for side, words in ((-1, row.little), (1, row.much))
    if words
}
"""Key of `kit.perturbation.conditions.CONDITIONS`, little (-1) or much (1), and the words for such images."""
MEASURED = tuple(dict.fromkeys(name for name, _ in SIDES))
SLICE_P_VALUE = 0.02
"""Most that a p-value may be."""
NEAR_SHARE = 0.8
"""Share of the best evidence from which on the gap decides, not the evidence."""
WIDEST_GAP = 1.5
"""From here on a gap counts as no wider, and the first in `SIDES` is taken."""
_WINDOW = 256


@dataclass(frozen=True)
class Slice:
    """Images with much or little of a property, among which more are predicted wrongly.

    Attributes
    ----------
    name, words, limit
        Key of `kit.perturbation.conditions.CONDITIONS`; what such images are; the value that they are beyond.
    images
        Measured images in it.
    wrong, others
        Share that is predicted wrongly, in it and outside it, 0..1.
    p_value
        Of the best of all cuts; see `slices`.
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
        sentence = f"{self.wrong:.0%} of {self.words} images are wrong, {self.others:.0%} of the others"
        condition = CONDITIONS[self.name]
        if condition.binary:
            return sentence
        side = "above" if condition.much == self.words else "below"
        return f"{sentence} ({condition.label} {side} {self.limit:.3g})"


def measured(photo: Photo) -> list[float]:
    """Measure an image by each of `MEASURED`; texture in its middle of 256 x 256 pixels."""
    return measures(photo, map(CONDITIONS.__getitem__, MEASURED), _WINDOW)


def slices(rows: Floats, wrong: Bools, labels: Int64) -> tuple[Slice, ...]:
    """Find the properties that go with mistakes, the clearest first.

    Each end of each property is cut off where that explains the mistakes best, after `FEWEST` to half of the
    images. The evidence is the likelihood ratio of other rates of mistakes on both sides to one rate for each
    class, since a class that is hard and bright is no fault of light. What only follows from the cause has
    nearly as much evidence. Of all with `NEAR_SHARE` of the most, those that the image states exactly come
    first, then the one with the widest gap at its cut: a cause sets its images apart.

    The p-value is Chernoff's bound for a cut times the number of ends (Bonferroni); the cuts of an end are
    nearly one. The next slice is sought in the images outside.

    Parameters
    ----------
    rows
        Shape (N, properties), of `measured`; NaN where there is nothing to measure.
    wrong, labels
        Shape (N,): whether each is predicted wrongly, and its class.
    """
    failing: list[Slice] = []
    outside = np.ones(len(rows), np.bool_)
    while outside.sum() >= 2 * FEWEST:
        cuts = _best_cuts(rows[outside], wrong[outside], labels[outside])
        most_evidence = max(cut.evidence for cut in cuts)
        p_value = len(cuts) * float(np.exp(-most_evidence))
        if p_value >= SLICE_P_VALUE:
            break
        convincing = [cut for cut in cuts if cut.evidence >= NEAR_SHARE * most_evidence]
        stated = [cut for cut in convincing if CONDITIONS[cut.name].stated]
        cut = max(stated or convincing, key=lambda cut: cut.gap)
        inside = cut.side * (rows[:, MEASURED.index(cut.name)] - cut.limit) > 0
        failing.append(
            Slice(
                name=cut.name,
                words=SIDES[cut.name, cut.side],
                limit=cut.limit,
                images=int(inside.sum()),
                wrong=float(wrong[inside].mean()),
                others=float(wrong[~inside].mean()),
                p_value=p_value,
            )
        )
        outside &= ~inside
    return tuple(failing)


@dataclass(frozen=True, eq=False)
class _Cut:
    """An end of a property, cut off where that explains the mistakes best: the first `size` of its values."""

    name: str
    side: int
    values: Float64
    size: int
    evidence: float

    @property
    def limit(self) -> float:
        return float(self.values[self.size])

    @property
    def gap(self) -> float:
        """The distance of the medians on both sides, in widths of their middle halves, up to `WIDEST_GAP`."""
        values = self.side * CONDITIONS[self.name].scaled(self.values)
        quartiles = (25, 50, 75)
        inside = np.nanpercentile(values[: self.size], quartiles)
        outside = np.nanpercentile(values[self.size :], quartiles)
        _, median_gap, _ = inside - outside
        width = max(np.ptp(inside) + np.ptp(outside), 1e-9)
        return float(min(median_gap / width, WIDEST_GAP))


def _best_cuts(rows: Floats, wrong: Bools, labels: Int64) -> list[_Cut]:
    """Return for each end of each property where to cut it off, from the extreme values on."""
    # Classes of a few images are one.
    strata = np.where(np.bincount(labels)[labels] < FEWEST, 0, labels + 1)
    usual_rates = np.bincount(strata, wrong)[strata] / np.bincount(strata)[strata]
    sizes = np.arange(FEWEST, len(rows) // 2 + 1)
    cuts = []
    for name, side in SIDES:
        values = rows[:, MEASURED.index(name)].astype(np.float64)
        order = np.argsort(-side * values, kind="stable")
        ranked = values[order]
        evidence = _evidence(wrong[order], usual_rates[order], sizes)
        # No cut lies between equal values, nor before a NaN, which comes last.
        evidence[~(side * ranked[sizes - 1] > side * ranked[sizes])] = 0
        best = int(evidence.argmax())
        cut = _Cut(
            name=name,
            side=side,
            values=ranked,
            size=FEWEST + best,
            evidence=float(evidence[best]),
        )
        cuts.append(cut)
    return cuts


def _evidence(wrong: Bools, usual_rates: Float64, sizes: Int64) -> Float64:
    """Return the log-likelihood ratio of a cut after so many images; 0 where fewer of these are wrong."""
    counts = np.cumsum([wrong, ~wrong], axis=1)
    expected = np.cumsum([usual_rates, 1 - usual_rates], axis=1)
    inside = counts[:, sizes - 1]
    usual_inside = expected[:, sizes - 1]
    # Rounding may leave less than nothing outside.
    usual_outside = np.maximum(expected[:, -1:] - usual_inside, 0)
    ratios = scipy.special.rel_entr(inside, usual_inside)
    ratios += scipy.special.rel_entr(counts[:, -1:] - inside, usual_outside)
    return np.where(inside[0] > usual_inside[0], ratios.sum(axis=0), 0)
