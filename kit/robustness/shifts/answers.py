"""Whether photos show other classes than the training pictures, by what a classifier answers."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from kit._arrays import Bools, Float64, Int64
from kit.images.properties import QUANTITIES
from kit.robustness.shifts.two_sample import FEWEST, LEVEL

AnswerVerdict = Literal["other_classes", "follows", "unchanged", "cannot_tell"]

_DRAWS = 4999
_CHANCE = 0.99
_SEED = 0


@dataclass(frozen=True)
class AnswerShift:
    """How often each class is answered, for the training pictures and for the photos.

    Confidences are left out: a network is surer of the pictures that it has learned than of others like them.

    Attributes
    ----------
    training, photos
        Pictures that are answered with each class, in the order of `names`.
    names
        Of the classes.
    p_value
        Of the chi-squared statistic, by drawing photos out of all pictures together at random, multiplied by
        the number of comparisons: this one and all quantities. NaN where fewer than `FEWEST` pictures are on
        either side. (Lipton et al. 2018, arXiv 1802.03916, and Rabanser et al. 2019, arXiv 1810.11953,
        compare answers too.)
    chance
        Total variation distance that random draws seldom pass, one of a hundred.
    verdict
        ``"other_classes"``, where nothing differs among pictures that are answered alike, or where the
        answers differ more than the alterations that were found can change them; ``"follows"`` (they differ,
        but these alterations may do that), ``"unchanged"``, or ``"cannot_tell"`` (too few pictures).
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
    """Compare how often each class is answered.

    Parameters
    ----------
    training, photos
        int64 (pictures,): index of the class that each picture is answered with.
    names
        Of the classes.
    """
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
    """Choose pictures such that each class is answered as often on both sides, as many as that allows.

    Parameters
    ----------
    training, photos
        int64 (pictures,): index of the class that each picture is answered with, in random order.

    Returns
    -------
    training, photos
        bool (pictures,), none of them where no class is answered on both sides.
    """
    size = max(training.max(initial=0), photos.max(initial=0)) + 1
    ours, theirs = (np.bincount(answers, minlength=size) for answers in (training, photos))
    common = (ours > 0) & (theirs > 0)

    def worth(ratio: float) -> float:
        """How much there is to compare, 1 / (1 / n + 1 / m), with n = m * ratio training pictures."""
        return float(np.minimum(theirs, ours / ratio).sum() * ratio / (1 + ratio))

    ratio = max((ours[common] / theirs[common]).tolist(), key=worth, default=1.0)
    return _first(training, np.minimum(ours, theirs * ratio)), _first(
        photos, np.minimum(theirs, ours / ratio)
    )


def _first(answers: Int64, counts: Float64) -> Bools:
    chosen = np.zeros(len(answers), bool)
    for each, count in enumerate(counts):
        chosen[np.flatnonzero(answers == each)[: int(count + 1e-9)]] = True
    return chosen
