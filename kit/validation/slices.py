"""Slices that fail: which property of the images goes with mistakes."""

from dataclasses import dataclass

import numpy as np
import scipy  # its parts are imported when they are used

from kit._arrays import Bools, Float64, Floats, Int64
from kit.images.photo import Photo
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
HIGHEST_P_VALUE = 0.02
"""Most that a p-value may be."""
NEAR_BEST_SHARE = 0.8
"""Share of the best evidence from which on the gap decides, not the evidence."""
WIDEST_GAP = 1.5
"""From here on a gap counts as no wider, and the first in `SIDES` is taken."""
# As `kit.images.properties.WINDOW`, so of the grid for light and colour, too.
_WINDOW_SIDE = 256


@dataclass(frozen=True)
class Slice:
    """Images with much or little of a property, among which more are predicted wrongly.

    Attributes
    ----------
    name, words, limit
        Key of `kit.perturbation.conditions.CONDITIONS`; what such images are; the value that they are beyond.
    images
        Measured images in it, and in no slice before.
    wrong, others
        Share that is predicted wrongly, 0..1: in it, and in the others that are in no slice before,
        as if both had the same classes; see `find_failing_slices`.
    p_value
        Of the best of all cuts; see `find_failing_slices`.
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
        # Both shares are as if the slice and the other images had the same mix of classes.
        sentence = (
            f"Class by class, {self.wrong:.0%} of {self.words} images are wrong, {self.others:.0%} of"
            " the others"
        )
        condition = CONDITIONS[self.name]
        # A binary property is 0 or 1: its limit, 0, says nothing.
        if condition.binary:
            return sentence
        # `much` is what images with large values are called, such as "bright".
        direction = "above" if condition.much == self.words else "below"
        return f"{sentence} ({condition.label} {direction} {self.limit:.3g})"


def measured(photo: Photo) -> list[float]:
    """Measure an image by each of `MEASURED`; texture in its middle of 256 x 256 pixels."""
    return measures(photo, map(CONDITIONS.__getitem__, MEASURED), _WINDOW_SIDE)


def find_failing_slices(
    measures_of_images: Floats, is_wrong: Bools, labels: Int64
) -> tuple[Slice, ...]:
    """Find the properties that go with mistakes, the clearest first.

    Each end of each property is cut off where that explains the mistakes best, after `FEWEST` to half of the
    images. The evidence is the likelihood ratio of other rates of mistakes on both sides to one rate for each
    class, since a class that is hard and bright is no fault of light; of a class with one image nothing
    follows. What only follows from the cause has nearly as much evidence. Of all with `NEAR_BEST_SHARE` of
    the most, those that the image states exactly come first, then the one with the widest gap at its cut: a
    cause sets its images apart.

    The p-value is Chernoff's bound for a cut times the number of ends (Bonferroni); the cuts of an end are
    nearly one. The next slice is sought in the images outside.

    The shares that are wrong are means over classes, too. Each counts on both sides by its images inside
    times those outside, over all of it (Mantel and Haenszel 1959).

    Parameters
    ----------
    measures_of_images
        Shape (N, properties), of `measured`; NaN where there is nothing to measure.
    is_wrong, labels
        Shape (N,): whether each is predicted wrongly, and its class.
    """
    failing_slices: list[Slice] = []
    while len(labels) >= 2 * FEWEST:
        # One for each of `SIDES`, without evidence where no more are wrong than usual in their classes.
        cuts = _best_cuts(measures_of_images, is_wrong, labels)
        most_evidence_nats = max(cut.evidence_nats for cut in cuts)
        # Chernoff's bound for the best cut, times the number of cuts (Bonferroni).
        p_value = len(cuts) * float(np.exp(-most_evidence_nats))
        if p_value >= HIGHEST_P_VALUE:
            break
        convincing = [
            cut
            for cut in cuts
            if cut.evidence_nats >= NEAR_BEST_SHARE * most_evidence_nats
        ]
        # A property that the file states is the cause sooner than one that is measured.
        stated = [cut for cut in convincing if CONDITIONS[cut.name].stated]
        # The gap lies between the values of the property on both sides, not between shares of mistakes.
        # The cuts are in the order of `SIDES`; of gaps as wide as `WIDEST_GAP`, max takes the first.
        cut = max(stated or convincing, key=lambda cut: cut.gap)
        # Above the limit on side 1, below it on -1; NaN, where nothing was measured, is outside.
        inside = (
            cut.side * (measures_of_images[:, MEASURED.index(cut.name)] - cut.limit) > 0
        )
        outside = ~inside
        # So each class weighs the same on both sides: by its images inside times those outside, over all.
        weights = np.abs(inside - _class_means(inside, labels))
        failing_slices.append(
            Slice(
                name=cut.name,
                words=SIDES[cut.name, cut.side],
                limit=cut.limit,
                images=int(inside.sum()),
                wrong=float(np.average(is_wrong[inside], weights=weights[inside])),
                others=float(np.average(is_wrong[outside], weights=weights[outside])),
                p_value=p_value,
            )
        )
        # The next slice is one of the images outside this one.
        measures_of_images = measures_of_images[outside]
        is_wrong = is_wrong[outside]
        labels = labels[outside]
    return tuple(failing_slices)


@dataclass(frozen=True, eq=False)
class _Cut:
    """An end of a property, cut off where this explains mistakes best: its first `inside_count` values."""

    name: str
    side: int
    ranked_values: Float64
    inside_count: int
    evidence_nats: float

    @property
    def limit(self) -> float:
        # The first value outside: those inside lie beyond it.
        return float(self.ranked_values[self.inside_count])

    @property
    def gap(self) -> float:
        """How far the medians of both sides are apart, in summed interquartile ranges, up to `WIDEST_GAP`."""
        # It decides only between cuts with nearly the same evidence.
        # Brightness, for one, as its logarithm; NaN, where nothing was measured, takes no part.
        values = self.side * CONDITIONS[self.name].scaled(self.ranked_values)
        percents = (25, 50, 75)
        # The ranking begins with the extreme, the largest on side 1, the smallest on -1: the first
        # `inside_count` are inside.
        quartiles_inside = np.nanpercentile(values[: self.inside_count], percents)
        quartiles_outside = np.nanpercentile(values[self.inside_count :], percents)
        _, median_gap, _ = quartiles_inside - quartiles_outside
        # Over both interquartile ranges together, so that all properties compare; 1e-9 for values all equal.
        width = max(np.ptp(quartiles_inside) + np.ptp(quartiles_outside), 1e-9)
        return float(min(median_gap / width, WIDEST_GAP))


def _best_cuts(
    measures_of_images: Floats, is_wrong: Bools, labels: Int64
) -> list[_Cut]:
    """Return for each end of each property where to cut it off, from the extreme values on."""
    usual_rates = _class_means(is_wrong, labels)
    inside_counts = np.arange(FEWEST, len(measures_of_images) // 2 + 1)
    cuts = []
    for name, side in SIDES:
        # A side of 1 is cut off from the largest value on, -1 from the smallest.
        values = measures_of_images[:, MEASURED.index(name)].astype(np.float64)
        ranking = np.argsort(-side * values, kind="stable")
        ranked_values = values[ranking]
        evidence_nats = _evidence_in_nats(
            is_wrong[ranking], usual_rates[ranking], inside_counts
        )
        # No cut lies between equal values, nor before a NaN, which is last in the ranking.
        is_between_unequal_values = (
            side * ranked_values[inside_counts - 1]
            > side * ranked_values[inside_counts]
        )
        evidence_nats[~is_between_unequal_values] = 0
        best_index = int(evidence_nats.argmax())
        cuts.append(
            _Cut(
                name=name,
                side=side,
                ranked_values=ranked_values,
                inside_count=FEWEST + best_index,
                evidence_nats=float(evidence_nats[best_index]),
            )
        )
    return cuts


def _class_means(values: Bools, labels: Int64) -> Float64:
    """Return for each image the mean of its class."""
    return np.bincount(labels, values)[labels] / np.bincount(labels)[labels]


def _evidence_in_nats(
    is_wrong: Bools, usual_rates: Float64, inside_counts: Int64
) -> Float64:
    """Return the log-likelihood ratio of a cut after so many images; 0 where fewer of these are wrong."""
    # The usual rates are those of the classes by label, so that they add up to as many mistakes as there are.
    # Row 0 counts wrong images, row 1 right ones. The caller has put the images in the order of one property,
    # once from its smallest value on and once from its largest.
    observed = np.cumsum([is_wrong, ~is_wrong], axis=1)
    expected = np.cumsum([usual_rates, 1 - usual_rates], axis=1)
    observed_inside = observed[:, inside_counts - 1]
    expected_inside = expected[:, inside_counts - 1]
    ratios = scipy.special.rel_entr(observed_inside, expected_inside)
    ratios += scipy.special.rel_entr(
        observed[:, -1:] - observed_inside, expected[:, -1:] - expected_inside
    )
    # An end of the ranking with fewer mistakes than usual is no slice that fails.
    return np.where(observed_inside[0] > expected_inside[0], ratios.sum(axis=0), 0)
