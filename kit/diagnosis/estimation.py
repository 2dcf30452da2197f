"""A scaling that no table has, from the level and contrast of tensors in training; and other light."""

from dataclasses import replace
from math import log, sqrt
from typing import NamedTuple, Self

import numpy as np

from kit._arrays import Array, Float64
from kit.diagnosis.candidates import explained
from kit.diagnosis.evidence import Grounds, Score, Scores
from kit.diagnosis.sources import POSSIBLE_GAIN, Vote
from kit.preprocessing.scaling import Scaling, scale, unscale

FITTING_SQUARED_ERRORS = 9.0
"""Squared standard errors, of two numbers together, up to which a scaling fits; chance exceeds it in 1 %."""

FLAT_STANDARD_ERRORS = -4.0
"""Standard errors of the contrast below which no scaling is named: flat tensors lie near to any centre."""

BETTER_BY_NATS = 0.1
"""Nats by which two numbers that were fitted must explain more than a known scaling."""

PLAUSIBLE_MEANS = (-0.05, 1.0)
"""Shares of 255 that people subtract."""

PLAUSIBLE_STDS = (0.05, 1.1)
"""Shares of 255 that people divide by."""

DIMMEST_GAIN = 0.51
"""Least gain of a channel by which other light may be undone: lamps hardly make levels more than twice as
high. -1..1 in place of 0..1 is undone by 0.5."""

BRIGHTEST_GAIN = 100.0
"""Largest gain of a channel by which other light may be undone."""

AS_WELL_SHARE = 0.75
"""Share of the evidence for a change from which on light that is undone explains the images as well."""

ENOUGH_IMAGES = 4
"""Images that a fit needs to be more than possible."""

UNLISTED_SCALINGS = tuple(
    Scaling(255.0, mean, std)
    for mean in (None, 0.15, 0.3, 0.45)
    for std in (0.12, 0.2, 0.35, 0.6)
)
"""Between and beside those of the tables, since people take mean and std of their own images."""

_CELLS_PER_TENSOR = 16
_DARK_AND_BRIGHT_QUANTILES = 0.01, 0.99
_DECIMALS = 3


class TensorLevels(NamedTuple):
    """Level and contrast of some tensors.

    `mean` and `std` are of cells within a tensor, in its own unit; the deviations are those of the first and
    of the logarithm of the second, between so many tensors.
    """

    tensor_count: int
    mean: float
    std: float
    deviation_of_mean: float
    deviation_of_log_std: float

    @classmethod
    def of(cls, features: Float64) -> Self:
        """Measure what `tensor_features` gave, float64 (N, K)."""
        cells = features[
            :, : features.shape[1] // _CELLS_PER_TENSOR * _CELLS_PER_TENSOR
        ]
        means = cells.mean(axis=1)
        variances = cells.var(axis=1) + 1e-12
        deviation_of_log_std = float(variances.std() / variances.mean() / 2)
        return cls(
            len(cells),
            float(means.mean()),
            sqrt(variances.mean()),
            float(means.std()),
            deviation_of_log_std,
        )

    def fit(self, training: "TensorLevels") -> tuple[float, float]:
        """Return mean and std, as shares of 255, that scale these levels of images to those of training."""
        std = self.std / training.std
        return (self.mean - std * training.mean) / 255, std / 255

    def standard_errors_of(self, training: "TensorLevels") -> tuple[float, float]:
        """Return the standard errors of the differences from training: of mean, and of log std."""
        # The standard error of a difference of means, as a share of the deviation between tensors.
        share = sqrt(1 / self.tensor_count + 1 / training.tensor_count)
        return (
            training.deviation_of_mean * share + 1e-12,
            training.deviation_of_log_std * share + 1e-12,
        )

    def standard_errors_from(self, training: "TensorLevels") -> tuple[float, float]:
        """Return squared standard errors from training, and those, not squared, of the contrast above it."""
        mean_error, std_error = self.standard_errors_of(training)
        level_errors = (self.mean - training.mean) / mean_error
        contrast_errors = log(self.std / training.std) / std_error
        return level_errors**2 + contrast_errors**2, contrast_errors


def with_unlisted_scaling(grounds: Grounds, ranked: Scores) -> Scores:
    """Put a scaling that no table has beside the known ones, or in their place, where it explains more.

    It is fitted to a profile. Labels and averages are met by any scaling that comes near: of these a few are
    tried, and where the best predicts otherwise than the known one, neither is the fix.
    """
    known = next((score for score in ranked if score.candidate.step == "scaling"), None)
    if known is None:
        return ranked
    if grounds.evaluator.profile is not None:
        fitted = _estimated(grounds, known, ranked[0])
        others = [score for score in ranked if score.candidate.step != "scaling"]
        if fitted is None:
            return ranked
        # The known scalings only come near to it.
        return sorted([fitted, *others], key=lambda score: -score.gain)
    if known is not ranked[0] or known.gain < POSSIBLE_GAIN or grounds.probes:
        return ranked
    in_use = grounds.in_use
    rivals = (
        grounds.score(explained("scaling", in_use.replace(scaling=scaling), in_use))
        for scaling in UNLISTED_SCALINGS
    )
    rival = max(rivals, key=lambda score: score.gain)
    if rival.gain > known.gain and grounds.changes_predictions(
        known.preprocessing, rival.preprocessing, added_each_way=0
    ):
        return [replace(rival, variants=(known.preprocessing,)), *ranked]
    return ranked


def _estimated(grounds: Grounds, known: Score, best: Score) -> Score | None:
    """Fit ``(x / 255 - mean) / std`` where no known scaling gives the tensors level and contrast of training.

    None where the images are usual as they are, or the best known scaling fits. Where the fit explains no
    more, this one comes back, with a veto where it makes the tensors flat.
    """
    evaluator = grounds.evaluator
    layers = evaluator.first_layers
    explained_otherwise = best is not known and grounds.usual(best.preprocessing)
    if layers.features is None or grounds.usual(grounds.in_use) or explained_otherwise:
        return None
    training = TensorLevels.of(layers.features)
    scaled = evaluator.features(grounds.photos, known.preprocessing)
    levels = TensorLevels.of(np.asarray(scaled))
    squared_errors, contrast_errors = levels.standard_errors_from(training)
    if squared_errors <= FITTING_SQUARED_ERRORS:
        return None
    unscaled = grounds.in_use.replace(scaling=(), cast=None)
    features = evaluator.features(grounds.photos, unscaled)
    fitted = _fitted_score(grounds, np.asarray(features), training)
    is_flat = contrast_errors < FLAT_STANDARD_ERRORS
    if fitted is not None and (is_flat or fitted.gain >= known.gain + BETTER_BY_NATS):
        return fitted
    text = "contrast above that of training, in standard errors"
    return _with_vote(
        known, Vote(text, gain=0.0, measured=contrast_errors, veto=is_flat)
    )


def _fitted_score(
    grounds: Grounds, unscaled_features: Float64, training: TensorLevels
) -> Score | None:
    """Return the score of the fit; None where people do not scale so."""
    unscaled = TensorLevels.of(unscaled_features)
    mean, std = (round(value, _DECIMALS) for value in unscaled.fit(training))
    is_plausible = (
        PLAUSIBLE_MEANS[0] <= mean <= PLAUSIBLE_MEANS[1]
        and PLAUSIBLE_STDS[0] <= std <= PLAUSIBLE_STDS[1]
    )
    if not is_plausible:
        return None
    fixed = grounds.in_use.replace(scaling=Scaling(255.0, mean, std), cast=None)
    score = grounds.score(explained("scaling", fixed, grounds.in_use))
    predicted = grounds.trial(fixed).after.argmax(axis=1)
    # In the unit of tensors of training, times the std that was fitted.
    mean_error, std_error = (
        error * std for error in unscaled.standard_errors_of(training)
    )
    variants = tuple(
        fixed.replace(
            scaling=Scaling(255.0, mean + up * mean_error, std + wider * std_error)
        )
        for up, wider in ((-1, 0), (1, 0), (0, -1), (0, 1))
    )
    text = f"fitted mean; mean known to ± {mean_error:.2g}, std to ± {std_error:.2g}"
    predicts_one_class = len(set(predicted)) == 1
    vetoed = unscaled.tensor_count < ENOUGH_IMAGES or predicts_one_class
    vote = Vote(text, gain=0.0, measured=mean, veto=vetoed)
    return replace(_with_vote(score, vote), variants=variants)


def _with_vote(score: Score, vote: Vote) -> Score:
    # The vote of what is known before any image stays the last.
    *votes, rarity = score.votes
    return replace(score, votes=(*votes, vote, rarity))


def explained_by_light(grounds: Grounds, score: Score) -> bool:
    """Whether other light than in training explains images as well as another scaling or order of channels.

    Light is a gain and an offset of each channel: those of the other scaling, as far as they leave levels
    within 0..255; or those that make all channels as bright as green on average, or where each is brightest,
    as cameras balance white.
    """
    in_use = grounds.in_use
    fixed = score.preprocessing
    if fixed != in_use.replace(scaling=fixed.scaling, channels=fixed.channels):
        return False
    plain = in_use.replace(scaling=(), cast=None, layout="channels_last")
    levels = grounds.evaluator.tensors(grounds.photos, plain)
    # (2, C): a dark and a bright level of each channel.
    ends = np.quantile(levels, _DARK_AND_BRIGHT_QUANTILES, axis=(0, 1, 2))
    spread = np.ptp(ends, axis=0).clip(1)
    if fixed.channels == in_use.channels:
        # Levels of which the scaling in use makes what the other one makes of these.
        needed = unscale(scale(ends, fixed.scaling), in_use.scaling)
        if ((needed[1] - needed[0]) / spread <= DIMMEST_GAIN).any():
            return False
        lit_ends = [needed.clip(0, 255)]
    else:
        means = levels.mean(axis=(0, 1, 2))
        bright = ends[1].clip(1)
        # Each channel as bright as green, on average or where it is brightest.
        lit_ends = [ends * means[1] / means.clip(1), ends * bright[1] / bright]
    return any(
        _measured_under(grounds, score, ends, lit) >= AS_WELL_SHARE * score.measured
        for lit in lit_ends
    )


def _measured_under(grounds: Grounds, score: Score, ends: Array, lit: Array) -> float:
    """Return the evidence for light that takes the ends of the levels of each channel, (2, C), to others."""
    spread = np.ptp(ends, axis=0).clip(1)
    gains = (np.ptp(lit, axis=0) / spread).clip(DIMMEST_GAIN, BRIGHTEST_GAIN)
    undone = Scaling(mean=ends[0] - lit[0] / gains, std=1 / gains)
    in_use = grounds.in_use
    lamp = in_use.replace(scaling=(undone, *in_use.scaling))
    return grounds.score(replace(score.candidate, preprocessing=lamp)).measured
