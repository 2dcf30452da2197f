"""Scalings that no table has, and other light."""

from dataclasses import replace

import numpy as np

from kit._arrays import Array
from kit.diagnosis.candidates import explained
from kit.diagnosis.evidence import Grounds, Score, Scores
from kit.diagnosis.sources import POSSIBLE_GAIN
from kit.preprocessing.scaling import Scaling, scale, unscale

DIMMEST_GAIN = 0.51
"""Least gain of a channel by which other light may be undone: lamps hardly make levels more than twice as
high. -1..1 in place of 0..1 is undone by 0.5."""

AS_WELL_SHARE = 0.75
"""Share of the evidence for a change from which on light that is undone explains the images as well."""

UNLISTED_SCALINGS = tuple(
    Scaling(255.0, mean, std)
    for mean in (None, 0.15, 0.3, 0.45)
    for std in (0.12, 0.2, 0.35, 0.6)
)
"""Between and beside those of the tables, since people take mean and std of their own images."""

_DARK_AND_BRIGHT_QUANTILES = 0.01, 0.99


def with_unlisted_scaling(grounds: Grounds, ranked: Scores) -> Scores:
    """Put a scaling that no table has before a known one that is first, where it explains more.

    Any scaling that comes near explains a lot. A few are tried, and where the best predicts otherwise than
    the known one, neither is the fix.
    """
    best_known = next(iter(ranked), None)
    if best_known is None or best_known.candidate.step != "scaling":
        return ranked
    # By photos of the kit, a known one that only comes near is named without a fix anyway.
    if best_known.gain < POSSIBLE_GAIN or grounds.probes:
        return ranked
    in_use = grounds.in_use
    unlisted_scores = (
        grounds.score(explained("scaling", in_use.replace(scaling=scaling), in_use))
        for scaling in UNLISTED_SCALINGS
    )
    best_unlisted = max(unlisted_scores, key=lambda score: score.gain)
    if best_unlisted.gain > best_known.gain and grounds.changes_predictions(
        best_known.preprocessing, best_unlisted.preprocessing, added_each_way=0
    ):
        # With a variant that predicts otherwise no fix is given.
        return [replace(best_unlisted, variants=(best_known.preprocessing,)), *ranked]
    return ranked


def is_explained_by_light(grounds: Grounds, score: Score) -> bool:
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
        _measured_without_light(grounds, score, ends, lit)
        >= AS_WELL_SHARE * score.measured_gain
        for lit in lit_ends
    )


def _measured_without_light(
    grounds: Grounds, score: Score, ends: Array, lit: Array
) -> float:
    """Return the evidence for light that takes the ends of the levels of each channel, (2, C), to others."""
    spread = np.ptp(ends, axis=0).clip(1)
    gains = (np.ptp(lit, axis=0) / spread).clip(DIMMEST_GAIN)
    # Before the scaling in use, it takes levels from `ends` to `lit`, both (2, C).
    light_undone = Scaling(mean=ends[0] - lit[0] / gains, std=1 / gains)
    in_use = grounds.in_use
    without_light = in_use.replace(scaling=(light_undone, *in_use.scaling))
    return grounds.score(
        replace(score.candidate, preprocessing=without_light)
    ).measured_gain
