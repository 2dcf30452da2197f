"""A scaling that no table has, estimated from what the first layers receive."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from kit._arrays import Float64
from kit.diagnosis.candidates import explained
from kit.diagnosis.evidence import Grounds, Score, Scores
from kit.diagnosis.finding import Evidence
from kit.diagnosis.sources import Averages, Ordinary
from kit.preprocessing import Preprocessing
from kit.preprocessing.scaling import Scaling, affine

TRIALS = 48
"""Scalings that are tried at most."""

FEW = 6
"""Pictures that they are tried on: the question is one of two numbers."""

BETTER = 0.5
"""Nats by which two numbers that were fitted must explain more than a known scaling."""

KNOWN = 0.1
"""Nats that the evidence may fall by within what is told as known."""

LIGHT, LIFTED = (0.5, 2.1), 0.4
"""Factors on the levels of a picture, and the share of their range by which its middle moves, that its light
and contrast may have of their own."""

_STEPS = (0.15, 0.3)
_DIGITS = 3


def estimated(
    grounds: Grounds, in_use: Preprocessing, ranked: Scores
) -> tuple[Score, tuple[Evidence, ...]] | None:
    """Estimate a scaling where the first layers receive the wrong numbers and no known scaling mends it.

    Returns the score of the scaling ``(x / 255 - mean) / std``, and how exactly the two numbers are known.
    None where the pictures are usual as they are, where nothing is known of the training pictures, or where
    what is found explains no more than a known scaling; `ranked` has the best of these first.
    """
    best = next((score for score in ranked if score.candidate.step == "scaling"), None)
    judges = _judges(grounds)
    if best is None or not judges or grounds.usual(in_use) or (ranked[0] is not best and ranked[0].at_home):
        return None
    known = best.candidate.preprocessing
    if all(judge.nearest(known) for judge in judges):
        return None
    start = _line(known)

    def worth(point: Float64) -> float:
        scaled = _scaled(in_use, point)
        return sum(judge.nearness(scaled) for judge in judges)

    from scipy.optimize import minimize

    simplex = start + np.array([(0, 0), (_STEPS[0], 0), (0, _STEPS[1])])
    options = {"initial_simplex": simplex, "maxfev": TRIALS, "xatol": 0.005, "fatol": 0.01}
    search = minimize(lambda point: -worth(point), start, method="Nelder-Mead", options=options)
    found = np.asarray(search.x, np.float64)
    candidate = explained("scaling", _scaled(in_use, found), in_use)
    nearer = worth(found) - sum(judge.nearness(known) for judge in judges)
    if nearer < BETTER or _as_light(in_use, candidate.preprocessing):
        return None
    (scaling,) = candidate.preprocessing.scaling
    mean, std = (float(np.mean(value or 0.0)) for value in (scaling.mean, scaling.std))
    margins = _margin(worth, found, 0), _margin(worth, found, 1) * std
    evidence = tuple(
        Evidence(f"estimated {name} of the scaling, as a share of 255, known to about ± {margin:.2g}", value)
        for name, value, margin in zip(("mean", "std"), (mean, std), margins, strict=True)
    )
    return grounds.score(in_use, candidate), evidence


def _judges(grounds: Grounds) -> list[Averages | Ordinary]:
    """Return the sources that see scalings, on few pictures each."""
    found = [source for source in grounds.sources if isinstance(source, Averages | Ordinary)]
    return [
        replace(source, photos=source.photos[:FEW]) if source.photos is grounds.photos else source
        for source in found
    ]


def _as_light(in_use: Preprocessing, right: Preprocessing) -> bool:
    """Whether other light or contrast of the pictures would do the same as this change of the scaling."""
    (mean, std), (middle, wanted) = _line(in_use), _line(right)
    gain = float(np.exp(std - wanted))
    moved = gain * (0.5 - middle) + mean - 0.5
    return LIGHT[0] < gain < LIGHT[1] and abs(moved) <= LIFTED


def _line(preprocessing: Preprocessing) -> Float64:
    """Return mean and the logarithm of std, as shares of 255, of a scaling."""
    slope, offset = (float(np.mean(part)) for part in affine(preprocessing.scaling))
    return np.array([-offset / slope / 255, np.log(1 / slope / 255)])


def _scaled(in_use: Preprocessing, point: Float64) -> Preprocessing:
    mean, std = round(float(point[0]), _DIGITS), max(round(float(np.exp(point[1])), _DIGITS), 10**-_DIGITS)
    return in_use.replace(scaling=Scaling(255.0, mean, std), cast=None)


def _margin(worth: Callable[[Float64], float], found: Float64, place: int) -> float:
    """Return how far along an axis the evidence falls by `KNOWN` nats, by a parabola through three points."""
    step = 0.1 * np.eye(2)[place]
    fall = worth(found) - (worth(found + step) + worth(found - step)) / 2
    return float(0.1 * np.sqrt(KNOWN / max(fall, 1e-3)))
