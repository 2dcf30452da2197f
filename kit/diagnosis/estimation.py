"""Scalings that no table has, and images that are unlike those of the training: other light, and more."""

from dataclasses import replace
from math import inf, log

import numpy as np

from kit._arrays import Array
from kit.diagnosis.candidates import candidate_with_causes
from kit.diagnosis.evidence import FAMILIAR_DISTANCE, Grounds, Score, Scores
from kit.diagnosis.sources import POSSIBLE_GAIN, Averages, Ordinary
from kit.preprocessing.scaling import Scaling, scale, unscale
from kit.samples import typical

LEAST_LIGHT_FACTOR = 0.51
"""Least factor of a channel by which other light may be undone: lamps hardly make levels more than twice as
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


def with_unlisted_scaling(grounds: Grounds, scores_best_first: Scores) -> Scores:
    """Put a scaling that no table has before a known one that is first, where it explains more.

    Any scaling that comes near explains a lot. A few are tried, and where the best predicts otherwise than
    the known one, neither is the fix.
    """
    best_known = next(iter(scores_best_first), None)
    if best_known is None or best_known.candidate.step != "scaling":
        return scores_best_first
    # One that explains little is no cause; where photos of the kit judge, one that only comes near gets no
    # fix anyway.
    if best_known.gain < POSSIBLE_GAIN or grounds.probes:
        return scores_best_first
    in_use = grounds.in_use
    unlisted_scores = (
        grounds.score(
            candidate_with_causes("scaling", in_use.replace(scaling=scaling), in_use)
        )
        for scaling in UNLISTED_SCALINGS
    )
    best_unlisted = max(unlisted_scores, key=lambda score: score.gain)
    if best_unlisted.gain > best_known.gain and grounds.changes_predictions(
        best_known.preprocessing, best_unlisted.preprocessing, pseudocount=0
    ):
        # With a variant that predicts otherwise the fix is words alone, without code.
        return [
            replace(best_unlisted, variants=(best_known.preprocessing,)),
            *scores_best_first,
        ]
    return scores_best_first


def is_explained_by_light(grounds: Grounds, score: Score) -> bool:
    """Whether other light than in training explains images as well as another scaling or order of channels.

    Light is a factor and an offset of each channel: those of the other scaling, as far as they leave levels
    within 0..255; or those that make all channels as bright as green on average, or where each is brightest,
    as cameras balance white.
    """
    in_use = grounds.in_use
    fixed = score.preprocessing
    # Light looks like no other change of the preprocessing.
    if fixed != in_use.replace(scaling=fixed.scaling, channels=fixed.channels):
        return False
    plain = in_use.replace(scaling=(), cast=None, layout="channels_last")
    levels = grounds.evaluator.tensors(grounds.photos, plain)
    # (2, C): a dark and a bright level of each channel.
    dark_and_bright = np.quantile(levels, _DARK_AND_BRIGHT_QUANTILES, axis=(0, 1, 2))
    spread = np.ptp(dark_and_bright, axis=0).clip(1)
    if fixed.channels == in_use.channels:
        # Another scaling: levels of which the scaling in use makes what the other one makes of these. Light
        # explains none that needs about half of a channel's contrast or less.
        lit_as_needed = unscale(scale(dark_and_bright, fixed.scaling), in_use.scaling)
        if ((lit_as_needed[1] - lit_as_needed[0]) / spread <= LEAST_LIGHT_FACTOR).any():
            return False
        dark_and_bright_when_lit = [lit_as_needed.clip(0, 255)]
    else:
        means = levels.mean(axis=(0, 1, 2))
        brightest = dark_and_bright[1].clip(1)
        # Another order of channels: each as bright as green, on average or where it is brightest.
        dark_and_bright_when_lit = [
            dark_and_bright * means[1] / means.clip(1),
            dark_and_bright * brightest[1] / brightest,
        ]
    # If so, the candidate is possible, not named: dim or bright light may look like another scaling, tinted
    # light like another order of channels.
    return any(
        _measured_gain_of_light(grounds, score, dark_and_bright, lit)
        >= AS_WELL_SHARE * score.measured_gain
        for lit in dark_and_bright_when_lit
    )


def _measured_gain_of_light(
    grounds: Grounds, score: Score, dark_and_bright: Array, when_lit: Array
) -> float:
    """Return the evidence for light that takes dark and bright levels of each channel, (2, C), to others."""
    # Levels are those before scaling, 0..255; `when_lit` are the same in the light that would do to them what
    # the candidate does. Light hardly does more than the least factor; one of 0 `Scaling` refuses.
    spread = np.ptp(dark_and_bright, axis=0).clip(1)
    factors = (np.ptp(when_lit, axis=0) / spread).clip(LEAST_LIGHT_FACTOR)
    # Both are (2, C): this scaling takes levels from `dark_and_bright` to `when_lit`.
    other_light = Scaling(
        mean=dark_and_bright[0] - when_lit[0] / factors, std=1 / factors
    )
    in_use = grounds.in_use
    in_other_light = in_use.replace(scaling=(other_light, *in_use.scaling))
    # Weighed as the same step as the candidate, so that both gains can be compared.
    return grounds.score(
        replace(score.candidate, preprocessing=in_other_light)
    ).measured_gain


def gain_beside_own_distance(grounds: Grounds, score: Score) -> float:
    """Return what speaks for a change, in nats, besides that the user's images come nearer to training by it.

    Images unlike those of the training, such as one that is overexposed, come nearer by a wrong change, too.
    Photos of the kit do so only by chance, also where the network is not at home with them. Infinite where
    distances tell nothing.
    """
    evaluator = grounds.evaluator
    kit_photos, photo_weights = typical(without=grounds.photos)
    # No distance tells anything then: infinite, so that it speaks against no cause.
    if (
        evaluator.first_layers.means is None
        or not grounds.in_use.size
        or not kit_photos
    ):
        return inf
    before, after = (
        evaluator.distance_from_training(kit_photos, preprocessing, photo_weights)
        for preprocessing in (grounds.in_use, score.preprocessing)
    )
    # Added to both, so that it hardly counts which is nearer below it.
    gain_of_kit_photos = log((before + FAMILIAR_DISTANCE) / (after + FAMILIAR_DISTANCE))
    # Two sources judge by the distance of images, the user's or of the kit; those of the kit count above.
    return gain_of_kit_photos + sum(
        vote.gain for vote in score.votes if vote.source not in {Averages, Ordinary}
    )
