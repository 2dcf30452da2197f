"""How two sets of images differ: by each quantity, and in their predicted classes."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from kit._arrays import Bools, Float64, Int64
from kit.images.properties import QUANTITIES

FEWEST = 20
"""Pictures on each side from which anything is said."""

LEVEL = 0.01
"""Probability of an accusation by chance, over all quantities and the answers together (Holm, 1979)."""

NEGLIGIBLE = 0.147
"""Size of Cliff's delta below which a difference is negligible (Romano et al., 2006)."""

AnswerVerdict = Literal["other_classes", "follows", "unchanged", "cannot_tell"]

_DRAWS, _SEED = 4999, 0
_CHANCE = 0.99


@dataclass(frozen=True)
class Difference:
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
        Of Mann and Whitney's test, two-sided, times Holm's factor for this many comparisons. NaN where fewer
        than `FEWEST` images have a value on either side.
    """

    quantity: str
    training: float
    photos: float
    delta: float
    p_value: float

    @property
    def differs(self) -> bool:
        """Whether the difference is neither chance nor negligible."""
        return self.p_value < LEVEL and abs(self.delta) >= NEGLIGIBLE


def differences(training: Float64, photos: Float64, besides: int = 0) -> tuple[Difference, ...]:
    """Compare measures, float64 (images, quantities); ``besides`` counts other comparisons under `LEVEL`."""
    found = []
    for column, name in enumerate(QUANTITIES):
        ours, theirs = _known(training[:, column]), _known(photos[:, column])
        middle = np.mean if name == "turned" else np.median
        first, second = (float(middle(side)) if side.size else np.nan for side in (ours, theirs))
        few = min(ours.size, theirs.size) < FEWEST
        numbers = (np.nan, np.nan) if few else _ranked(_steps(name, ours), _steps(name, theirs))
        found.append(Difference(name, first, second, *numbers))
    adjusted = holm([difference.p_value for difference in found], besides)
    return tuple(replace(one, p_value=value) for one, value in zip(found, adjusted, strict=True))


def holm(p_values: list[float], besides: int = 0) -> list[float]:
    """Return p-values adjusted for these and other comparisons (Holm, 1979); NaN stays and does not count."""
    values = np.array(p_values, np.float64)
    order = [place for place in np.argsort(values, kind="stable") if not np.isnan(values[place])]
    factors = len(order) - np.arange(len(order)) + besides
    values[order] = np.maximum.accumulate(np.minimum(values[order] * factors, 1.0))
    return [float(value) for value in values]


def _known(values: Float64) -> Float64:
    return values[~np.isnan(values)]


def _steps(name: str, values: Float64) -> Float64:
    """Whole steps of a quantity's resolution."""
    return np.asarray(np.rint(QUANTITIES[name].scaled(values) / QUANTITIES[name].resolution))


def _ranked(training: Float64, photos: Float64) -> tuple[float, float]:
    from scipy.stats import mannwhitneyu

    if np.unique(np.concatenate([training, photos])).size == 1:
        return 0.0, 1.0
    tested = mannwhitneyu(photos, training, method="asymptotic")
    return 2 * float(tested.statistic) / (len(training) * len(photos)) - 1, float(tested.pvalue)


@dataclass(frozen=True)
class AnswerShift:
    """How often each class is predicted, for the training images and for the photos.

    Confidences are left out: a network is surer of the images that it has learned than of others like them.

    Attributes
    ----------
    training, photos, names
        Images that are predicted as each class, in the order of the names.
    p_value
        Of the chi-squared statistic, by drawing photos out of all images together at random, times the number
        of comparisons: this one and all quantities. NaN for fewer than `FEWEST` images on either side. (As
        Rabanser et al. 2019, arXiv 1810.11953.)
    chance
        Total variation distance that random draws seldom pass, one of a hundred.
    verdict
        ``"other_classes"``, where nothing differs among images that are predicted alike, or where predictions
        differ more than the alterations that were found can change them; ``"follows"`` (they differ, but
        these alterations may do that), ``"unchanged"``, or ``"cannot_tell"`` (too few images).
    """

    training: tuple[int, ...]
    photos: tuple[int, ...]
    names: tuple[str, ...]
    p_value: float
    chance: float
    verdict: AnswerVerdict = "cannot_tell"

    @property
    def moved(self) -> Float64:
        """Share of photos less that of training pictures answered with each class: float64 (classes,)."""
        ours, theirs = (np.array(counts) / max(sum(counts), 1) for counts in (self.training, self.photos))
        return np.asarray(theirs - ours)

    @property
    def distance(self) -> float:
        """Total variation distance: the least share of the photos that would need another answer, 0..1."""
        return float(np.abs(self.moved).sum() / 2)

    @property
    def summary(self) -> str:
        """What moved most, in words, in percent of the pictures on a side."""
        most = np.argsort(-np.abs(self.moved), kind="stable")[:3]
        return ", ".join(f"{self.names[each]} {self.moved[each]:+.0%}" for each in most)


def compared_answers(training: Int64, photos: Int64, names: tuple[str, ...]) -> AnswerShift:
    """Compare how often each class, an index in int64 (images,), is predicted."""
    ours, theirs = (np.bincount(answers, minlength=len(names)) for answers in (training, photos))
    told = tuple(ours.tolist()), tuple(theirs.tolist()), names
    if min(len(training), len(photos)) < FEWEST:
        return AnswerShift(*told, np.nan, np.nan)
    there = ours + theirs > 0
    total, count = (ours + theirs)[there], len(photos)
    expected = total * count / total.sum()
    generator = np.random.default_rng(_SEED)
    drawn = generator.multivariate_hypergeometric(total, count, size=_DRAWS, method="count") - expected
    moved = theirs[there] - expected
    # With these margins fixed, chi-squared is this sum but for a factor.
    beyond = (drawn**2 / total).sum(axis=1) >= (moved**2 / total).sum() * (1 - 1e-12)
    # A picture that one side has more of, the other has less.
    distances = np.abs(drawn).sum(axis=1) / 2 * (1 / count + 1 / len(training))
    p_value = min((1 + int(beyond.sum())) / (1 + _DRAWS) * (1 + len(QUANTITIES)), 1.0)
    verdict: AnswerVerdict = "follows" if p_value < LEVEL else "unchanged"
    return AnswerShift(*told, p_value, float(np.quantile(distances, _CHANCE)), verdict)


def alike(training: Int64, photos: Int64) -> tuple[Bools, Bools]:
    """Choose as many images as possible such that each class is predicted equally often on both sides.

    Takes indices of classes, int64 (images,), in random order; returns bool (images,) for each side.
    """
    size = max(training.max(initial=0), photos.max(initial=0)) + 1
    counts = np.minimum(np.bincount(training, minlength=size), np.bincount(photos, minlength=size))
    return _first(training, counts), _first(photos, counts)


def _first(answers: Int64, counts: Int64) -> Bools:
    chosen = np.zeros(len(answers), bool)
    for each, count in enumerate(counts):
        chosen[np.flatnonzero(answers == each)[:count]] = True
    return chosen
