"""How two sets of images differ: by each quantity, and in their predicted classes."""

from dataclasses import dataclass, replace
from warnings import catch_warnings

import numpy as np
import scipy  # its heavy parts are imported when they are used

from kit._arrays import Bools, Float64, Int64
from kit.classifier.reference import scaled_rows
from kit.perturbation.conditions import QUANTITIES
from kit.robustness.attribution import RESOLUTION, Explanation

FEWEST = 20
"""Images on each side from which anything is said."""

SIGNIFICANCE = 0.01
"""Probability of a false positive, over all quantities together (Bonferroni)."""

NEGLIGIBLE = 0.147
"""Size of Cliff's delta below which a difference is negligible (Romano et al., 2006)."""

_BINARY = [row.binary for row in QUANTITIES.values()]
_RANDOM_TABLES = 4999
_SEED = 0
_CHANCE = 0.99


@dataclass(frozen=True)
class QuantityShift:
    """How one quantity differs between training images and photos.

    Attributes
    ----------
    quantity
        Key of `kit.perturbation.conditions.QUANTITIES`.
    training, photos
        Medians, in the unit of the quantity; means of ``turned``. NaN where nothing was measured.
    delta
        Cliff's delta, -1..1: the share of pairs in which the photo has more, less those in which it has less;
        NaN as `p_value` is.
        Values within the resolution of the quantity are taken as equal.
    p_value
        Of Mann and Whitney's test, two-sided, times the number of quantities that are compared (Bonferroni).
        NaN where fewer than `FEWEST` images have a value on either side.
    verdict
        ``"shifted"``, ``"follows"`` (differs, but only as another shift makes it), ``"unchanged"``, or
        ``"cannot_tell"`` (too few images in which it can be measured, or their classes may explain it).
    explanation
        Where it is ``"shifted"``, the alteration that explains it.
    """

    quantity: str
    training: float
    photos: float
    delta: float
    p_value: float
    verdict: str
    explanation: Explanation | None = None

    @property
    def summary(self) -> str:
        """One line in words."""
        verdict = self.verdict.replace("_", " ")
        if self.explanation is None:
            return verdict
        return f"{verdict}: {self.explanation.summary}"


def quantity_shifts(training: Float64, photos: Float64) -> tuple[QuantityShift, ...]:
    """Compare measures, float64 (images, quantities); what differs has the verdict ``"follows"``."""
    sides = training, photos
    # In whole steps of the resolution, so that smaller differences are ties.
    training_steps, photo_steps = (
        np.rint(scaled_rows(side) / RESOLUTION) for side in sides
    )
    # Measured images of each quantity, on each side; others are NaN.
    counts = [np.count_nonzero(~np.isnan(side), axis=0) for side in sides]
    # Of quantities that nothing was measured of, or one and the same value.
    with catch_warnings(action="ignore"):
        test = scipy.stats.mannwhitneyu(
            photo_steps, training_steps, method="asymptotic", nan_policy="omit"
        )
        middles = [
            np.where(_BINARY, np.nanmean(side, axis=0), np.nanmedian(side, axis=0))
            for side in sides
        ]
        # Mann and Whitney's U as a share of all pairs, 0..1, becomes Cliff's delta, -1..1.
        deltas = 2 * test.statistic / np.prod(counts, axis=0) - 1
    few = np.min(counts, axis=0) < FEWEST
    # By Bonferroni: times the number of quantities that are compared.
    p_values = np.minimum(np.nan_to_num(test.pvalue, nan=1.0) * (~few).sum(), 1)
    deltas, p_values = np.where(few, np.nan, (deltas, p_values))
    rows = np.stack([*middles, deltas, p_values], axis=1).tolist()
    return tuple(
        QuantityShift(
            quantity=quantity,
            training=training_middle,
            photos=photos_middle,
            delta=delta,
            p_value=p_value,
            verdict=_verdict(delta, p_value),
        )
        for quantity, (training_middle, photos_middle, delta, p_value) in zip(
            QUANTITIES, rows, strict=True
        )
    )


def _verdict(delta: float, p_value: float) -> str:
    if np.isnan(p_value):
        return "cannot_tell"
    # What differs follows from another quantity, as long as no explanation is about it.
    differs = p_value < SIGNIFICANCE and abs(delta) >= NEGLIGIBLE
    return "follows" if differs else "unchanged"


@dataclass(frozen=True)
class AnswerShift:
    """How often each class is predicted, for the training images and for the photos.

    Confidences are left out: a network is surer of the images that it has learned than of others like them.

    Attributes
    ----------
    training, photos, names
        Images that are predicted as each class, in the order of the names.
    chance
        Total variation distance that 99 % of random tables with these sums stay below.
    verdict
        ``"other_classes"``, where nothing that is measured differs among images that are predicted alike, or
        where predictions differ more than the alterations that were found can change them: other classes, or
        something that no quantity measures, such as turned images; ``"follows"`` (they differ, but these
        alterations may do that), or ``"unchanged"``.
    """

    training: tuple[int, ...]
    photos: tuple[int, ...]
    names: tuple[str, ...]
    chance: float
    verdict: str = "unchanged"

    @property
    def changes(self) -> Float64:
        """Share of photos less that of training images predicted as each class: float64 (classes,)."""
        return _share_differences(np.array([self.training, self.photos]))

    @property
    def distance(self) -> float:
        """Total variation distance: the least share of the photos that would need another class, 0..1."""
        # Half, since an image that has another class counts for both classes.
        return float(np.abs(self.changes).sum() / 2)

    @property
    def summary(self) -> str:
        """What changed most, in words, in percent of the images on a side."""
        changes = self.changes
        largest = np.argsort(-np.abs(changes), kind="stable")[:3]
        return ", ".join(
            f"{self.names[label]} {changes[label]:+.0%}" for label in largest
        )


def _share_differences(counts: Int64) -> Float64:
    # (…, 2, classes): training images, then photos. Those with no image at all have shares of 0.
    shares = counts / np.maximum(counts.sum(axis=-1, keepdims=True), 1)
    return np.asarray(shares[..., 1, :] - shares[..., 0, :])


def compared_answers(
    training: Int64, photos: Int64, names: tuple[str, ...]
) -> AnswerShift:
    """Compare how often each class, an index in int64 (images,), is predicted."""
    counts = np.stack(
        [np.bincount(side, minlength=len(names)) for side in (training, photos)]
    )
    # Tables with the same sums in rows and columns: so far apart are both sides by chance.
    drawn = scipy.stats.random_table(counts.sum(axis=1), counts.sum(axis=0)).rvs(
        _RANDOM_TABLES, random_state=_SEED
    )
    distances = np.abs(_share_differences(drawn)).sum(axis=-1) / 2
    ours, theirs = map(tuple, counts.tolist())
    shift = AnswerShift(ours, theirs, names, float(np.quantile(distances, _CHANCE)))
    if shift.distance > shift.chance:
        return replace(shift, verdict="follows")
    return shift


def with_equal_classes(training: Int64, photos: Int64) -> tuple[Bools, Bools]:
    """Choose as many images as possible such that each class is predicted equally often on both sides.

    Takes indices of classes, int64 (images,), in random order; returns bool (images,) for each side.
    """
    sides = training, photos
    chosen_training, chosen_photos = (np.zeros(len(side), bool) for side in sides)
    for label in np.intersect1d(training, photos):
        our_places, their_places = (np.flatnonzero(side == label) for side in sides)
        # The first ones of the class are a fair sample, since the order is random.
        count = min(len(our_places), len(their_places))
        chosen_training[our_places[:count]] = True
        chosen_photos[their_places[:count]] = True
    return chosen_training, chosen_photos
