"""A scaling that no table has, from the level and the contrast that tensors had in training."""

from dataclasses import replace
from math import log, sqrt
from typing import NamedTuple, Self

import numpy as np

from kit._arrays import Float64
from kit.diagnosis.candidates import explained, mean_and_std
from kit.diagnosis.evidence import Grounds, Score, Scores
from kit.diagnosis.sources import Vote
from kit.preprocessing import Preprocessing
from kit.preprocessing.scaling import Scaling

FITS = 9.0
"""Squared standard errors, of two numbers together, up to which a scaling fits; chance exceeds it in 1 %."""

FLAT = -4.0
"""Standard errors of the contrast below which no scaling is named: flat tensors lie near to any centre."""

BETTER = 0.1
"""Nats by which two numbers that were fitted must explain more than a known scaling."""

MEANS, STDS = (-0.05, 1.0), (0.05, 1.1)
"""Shares of 255 that people subtract, and divide by."""

LIGHT, LIFTED = (0.5, 2.1), 0.4
"""Factors on the levels of an image, and the share of their range by which its middle changes, that its light
and contrast may have of their own."""

ENOUGH = 4
"""Images that a fit needs to be more than possible."""

_CELLS = 16
_DIGITS = 3


class Levels(NamedTuple):
    """Level and contrast of some tensors.

    `mean` and `std` are of cells within a tensor, in its own unit; `of_mean` and `of_std` the standard
    deviations, between so many tensors, of the first and of the logarithm of the second.
    """

    tensors: int
    mean: float
    std: float
    of_mean: float
    of_std: float

    @classmethod
    def of(cls, features: Float64) -> Self:
        """Measure what `tensor_features` gave, float64 (N, K)."""
        cells = features[:, : features.shape[1] // _CELLS * _CELLS]
        means, variances = cells.mean(axis=1), cells.var(axis=1) + 1e-12
        of_std = float(variances.std() / variances.mean() / 2)
        return cls(
            len(cells),
            float(means.mean()),
            sqrt(variances.mean()),
            float(means.std()),
            of_std,
        )

    def fit(self, training: "Levels") -> tuple[float, float]:
        """Return mean and std, as shares of 255, that scale these levels of images to those of training."""
        std = self.std / training.std
        return (self.mean - std * training.mean) / 255, std / 255

    def beyond(self, training: "Levels") -> tuple[float, float]:
        """Return squared standard errors from training, and those, not squared, of the contrast above it."""
        error = sqrt(1 / self.tensors + 1 / training.tensors)
        level = (self.mean - training.mean) / (training.of_mean * error + 1e-12)
        contrast = log(self.std / training.std) / (training.of_std * error + 1e-12)
        return level**2 + contrast**2, contrast


def estimated(grounds: Grounds, ranked: Scores) -> Score | None:
    """Fit ``(x / 255 - mean) / std`` where no known scaling gives the tensors level and contrast of training.

    None where no profile tells of the training tensors, the images are usual as they are, or the best known
    scaling, the first in `ranked`, fits. Where the fit explains no more, this one comes back, with a veto
    where it makes the tensors flat.
    """
    best = next((score for score in ranked if score.candidate.step == "scaling"), None)
    layers, measure = grounds.evaluator.first_layers, grounds.evaluator.features
    if (
        best is None
        or grounds.evaluator.profile is None
        or layers is None
        or layers.features is None
    ):
        return None
    if grounds.usual(grounds.in_use) or (
        ranked[0] is not best and grounds.usual(ranked[0].candidate.preprocessing)
    ):
        return None
    training = Levels.of(layers.features)
    tried = best.candidate.preprocessing, grounds.in_use.replace(scaling=(), cast=None)
    known, raw = (np.asarray(measure(grounds.photos, each)) for each in tried)
    misfit, contrast = Levels.of(known).beyond(training)
    if misfit <= FITS:
        return None
    fitted = _fitted(grounds, raw, training)
    if fitted is not None and (contrast < FLAT or fitted.gain >= best.gain + BETTER):
        return fitted
    text = "contrast above that of training, in standard errors"
    return _with(best, Vote(text, 0.0, contrast, veto=contrast < FLAT))


def _fitted(grounds: Grounds, raw: Float64, training: Levels) -> Score | None:
    """Return the score of the fit; None where people do not scale so, or other light would do the same."""
    mean, std = (round(value, _DIGITS) for value in Levels.of(raw).fit(training))
    if not (MEANS[0] <= mean <= MEANS[1] and STDS[0] <= std <= STDS[1]):
        return None
    right = grounds.in_use.replace(scaling=Scaling(255.0, mean, std), cast=None)
    if _as_light(grounds.in_use, right):
        return None
    score = grounds.score(explained("scaling", right, grounds.in_use))
    apart = len(set(grounds.trial(right).after.argmax(axis=1))) > 1
    error = sqrt(1 / len(raw) + 1 / training.tensors) * std
    by_mean, by_std = training.of_mean * error, training.of_std * error
    ends = (
        (mean - by_mean, std),
        (mean + by_mean, std),
        (mean, std - by_std),
        (mean, std + by_std),
    )
    variants = tuple(right.replace(scaling=Scaling(255.0, *each)) for each in ends)
    text = f"fitted mean; mean known to ± {by_mean:.2g}, std to ± {by_std:.2g}"
    vote = Vote(text, 0.0, mean, veto=len(raw) < ENOUGH or not apart)
    return replace(_with(score, vote), variants=variants)


def _with(score: Score, vote: Vote) -> Score:
    *votes, rarity = score.votes
    return replace(score, votes=(*votes, vote, rarity))


def _as_light(in_use: Preprocessing, right: Preprocessing) -> bool:
    """Whether other light or contrast of the images would do the same as this change of the scaling."""
    (mean, std), (middle, wanted) = (
        map(np.mean, mean_and_std(each)) for each in (in_use, right)
    )
    gain = std / wanted
    lifted = gain * (0.5 - middle) + mean - 0.5
    return bool(LIGHT[0] < gain < LIGHT[1] and abs(lifted) <= LIFTED)
