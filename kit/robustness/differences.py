"""How two sets of images differ: by each quantity, and in their predicted classes."""

from dataclasses import dataclass, replace

import numpy as np
import scipy  # its heavy parts are imported when they are used

from kit._arrays import Bools, Float64, Int64
from kit.images.properties import QUANTITIES
from kit.robustness.attribution import Explanation

FEWEST = 20
"""Images on each side from which anything is said."""

LEVEL = 0.01
"""Probability of a false positive, over all quantities together (Holm, 1979), and for the class shares."""

NEGLIGIBLE = 0.147
"""Size of Cliff's delta below which a difference is negligible (Romano et al., 2006)."""

_DRAWS, _SEED = 4999, 0
_CHANCE = 0.99


@dataclass(frozen=True)
class QuantityShift:
    """How one quantity differs between training images and photos.

    Attributes
    ----------
    quantity
        Key of `kit.images.properties.QUANTITIES`.
    training, photos
        Medians, in the unit of the quantity; means of ``turned``. NaN where nothing was measured.
    delta
        Cliff's delta, -1..1: the share of pairs in which the photo has more, less those in which it has less.
        Values within the resolution of the quantity are taken as equal.
    p_value
        Of Mann and Whitney's test, two-sided, times Holm's factor. NaN where fewer than `FEWEST` images have
        a value on either side.
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
        return (
            verdict
            if self.explanation is None
            else f"{verdict}: {self.explanation.summary}"
        )


def differences(training: Float64, photos: Float64) -> tuple[QuantityShift, ...]:
    """Compare measures, float64 (images, quantities); what differs has the verdict ``"follows"``."""
    found = []
    for column, (name, quantity) in enumerate(QUANTITIES.items()):
        sides = [
            side[~np.isnan(side[:, column]), column] for side in (training, photos)
        ]
        middle = np.mean if name == "turned" else np.median
        first, second = (float(middle(side)) if side.size else np.nan for side in sides)
        steps = [np.rint(quantity.scaled(side) / quantity.resolution) for side in sides]
        numbers = (
            _ranked(*steps) if min(map(len, sides)) >= FEWEST else (np.nan, np.nan)
        )
        found.append(QuantityShift(name, first, second, *numbers, "cannot_tell"))
    for place, p_value in enumerate(holm([one.p_value for one in found])):
        if not np.isnan(p_value):
            differs = p_value < LEVEL and abs(found[place].delta) >= NEGLIGIBLE
            verdict = "follows" if differs else "unchanged"
            found[place] = replace(found[place], p_value=p_value, verdict=verdict)
    return tuple(found)


def _ranked(training: Float64, photos: Float64) -> tuple[float, float]:
    if np.unique(np.concatenate([training, photos])).size == 1:
        return 0.0, 1.0
    tested = scipy.stats.mannwhitneyu(photos, training, method="asymptotic")
    return 2 * float(tested.statistic) / (len(training) * len(photos)) - 1, float(
        tested.pvalue
    )


def holm(p_values: list[float]) -> list[float]:
    """Return p-values adjusted for their number (Holm, 1979); NaN stays and does not count."""
    values = np.array(p_values)
    order = np.argsort(values)[: np.count_nonzero(~np.isnan(values))]
    factors = np.arange(len(order), 0, -1)
    values[order] = np.minimum(np.maximum.accumulate(values[order] * factors), 1)
    return list(map(float, values))


@dataclass(frozen=True)
class AnswerShift:
    """How often each class is predicted, for the training images and for the photos.

    Confidences are left out: a network is surer of the images that it has learned than of others like them.

    Attributes
    ----------
    training, photos, names
        Images that are predicted as each class, in the order of the names.
    p_value
        Of the chi-squared statistic among random tables with these sums. NaN for fewer than `FEWEST` images
        on either side. (As Rabanser et al. 2019, arXiv 1810.11953.)
    chance
        Total variation distance that 99 % of those tables stay below.
    verdict
        ``"other_classes"``, where nothing differs among images that are predicted alike, or where predictions
        differ more than the alterations that were found can change them; ``"follows"`` (they differ, but
        these alterations may do that), ``"unchanged"``, or ``"cannot_tell"`` (too few images).
    """

    training: tuple[int, ...]
    photos: tuple[int, ...]
    names: tuple[str, ...]
    p_value: float = np.nan
    chance: float = np.nan
    verdict: str = "cannot_tell"

    @property
    def changes(self) -> Float64:
        """Share of photos less that of training images predicted as each class: float64 (classes,)."""
        return _changes(np.array([self.training, self.photos]))

    @property
    def distance(self) -> float:
        """Total variation distance: the least share of the photos that would need another class, 0..1."""
        return float(np.abs(self.changes).sum() / 2)

    @property
    def summary(self) -> str:
        """What changed most, in words, in percent of the images on a side."""
        most = np.argsort(-np.abs(self.changes), kind="stable")[:3]
        return ", ".join(
            f"{self.names[each]} {self.changes[each]:+.0%}" for each in most
        )


def _changes(counts: Int64) -> Float64:
    shares = counts / np.maximum(counts.sum(axis=-1, keepdims=True), 1)
    return np.asarray(shares[..., 1, :] - shares[..., 0, :])


def compared_answers(
    training: Int64, photos: Int64, names: tuple[str, ...]
) -> AnswerShift:
    """Compare how often each class, an index in int64 (images,), is predicted."""
    counts = np.stack(
        [np.bincount(side, minlength=len(names)) for side in (training, photos)]
    )
    found = AnswerShift(tuple(counts[0].tolist()), tuple(counts[1].tolist()), names)
    if min(len(training), len(photos)) < FEWEST:
        return found
    total = counts.sum(axis=0)
    drawn = scipy.stats.random_table(counts.sum(axis=1), total).rvs(
        _DRAWS, random_state=_SEED
    )
    changes = _changes(np.concatenate([counts[None], drawn]))
    # With these sums fixed, chi-squared is this but for a factor.
    squares = (changes**2 / np.maximum(total, 1)).sum(axis=-1)
    p_value = float((squares >= squares[0] * (1 - 1e-12)).mean())
    chance = float(np.quantile(np.abs(changes[1:]).sum(axis=-1) / 2, _CHANCE))
    return replace(
        found,
        p_value=p_value,
        chance=chance,
        verdict="follows" if p_value < LEVEL else "unchanged",
    )


def alike(training: Int64, photos: Int64) -> tuple[Bools, Bools]:
    """Choose as many images as possible such that each class is predicted equally often on both sides.

    Takes indices of classes, int64 (images,), in random order; returns bool (images,) for each side.
    """
    chosen = np.zeros(len(training), bool), np.zeros(len(photos), bool)
    for each in np.intersect1d(training, photos):
        places = [np.flatnonzero(side == each) for side in (training, photos)]
        for mask, where in zip(chosen, places, strict=True):
            mask[where[: min(map(len, places))]] = True
    return chosen
