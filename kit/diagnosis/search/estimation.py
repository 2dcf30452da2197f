"""A scaling that no table has: mean and standard deviation found from what the first layers receive."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import log

import numpy as np

from kit._arrays import Float64
from kit._interrupts import held
from kit.diagnosis.finding import Evidence
from kit.diagnosis.search.candidates import explained
from kit.diagnosis.search.evidence import Grounds, Score
from kit.diagnosis.search.sources import Averages, Ordinary
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


@dataclass(frozen=True)
class Estimate:
    """A scaling ``(x / 255 - mean) / std`` with what is known of it.

    Attributes
    ----------
    score
        Of the candidate with this scaling.
    mean, std
        As shares of 255.
    margins
        By how much mean and std may differ before the evidence falls by `KNOWN` nats.
    """

    score: Score
    mean: float
    std: float
    margins: tuple[float, float]

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """What is known of the two numbers."""
        return tuple(
            Evidence(
                f"estimated {name} of the scaling, as a share of 255, known to about ± {margin:.2g}", value
            )
            for name, value, margin in zip(("mean", "std"), (self.mean, self.std), self.margins, strict=True)
        )


def estimated(grounds: Grounds, in_use: Preprocessing, ranked: Sequence[Score]) -> Estimate | None:
    """Estimate a scaling where the first layers receive the wrong numbers and no known scaling mends it.

    Parameters
    ----------
    grounds
        What judges.
    in_use
        The preprocessing that is suspected.
    ranked
        The scores of the candidates, the best first.

    Returns
    -------
    Estimate or None
        None where the pictures are usual as they are, where nothing is known of the training pictures, or
        where what is found explains no more than a known scaling.
    """
    best = next((score for score in ranked if score.candidate.step == "scaling"), None)
    judges = _judges(grounds)
    explained_otherwise = bool(ranked) and ranked[0] is not best and ranked[0].at_home
    if best is None or not judges or explained_otherwise or grounds.usual(in_use) or _settled(judges, best):
        return None
    start = _line(best.candidate.preprocessing)

    def worth(point: Float64) -> float:
        return _nearness(judges, _scaled(in_use, point))

    with held():
        from scipy.optimize import minimize  # noqa: PLC0415 (heavy, and seldom needed)

    simplex = start + np.array([(0, 0), (_STEPS[0], 0), (0, _STEPS[1])])
    options = {"initial_simplex": simplex, "maxfev": TRIALS, "xatol": 0.005, "fatol": 0.01}
    search = minimize(lambda point: -worth(point), start, method="Nelder-Mead", options=options)
    found = np.asarray(search.x, np.float64)
    candidate = explained("scaling", _scaled(in_use, found), in_use)
    nearer = worth(found) - _nearness(judges, best.candidate.preprocessing)
    if nearer < BETTER or _as_light(in_use, candidate.preprocessing):
        return None
    score = grounds.score(in_use, candidate)
    margins = tuple(_margin(worth, found, step) for step in ((0.1, 0.0), (0.0, 0.1)))
    (scaling,) = candidate.preprocessing.scaling
    mean, std = (float(np.mean(value or 0.0)) for value in (scaling.mean, scaling.std))
    return Estimate(score, mean, std, (margins[0], margins[1] * std))


def _judges(grounds: Grounds) -> list[Averages | Ordinary]:
    """Return the sources that see scalings, on few pictures each."""
    found = [source for source in grounds.sources if isinstance(source, Averages | Ordinary)]
    return [
        replace(source, photos=source.photos[:FEW]) if source.photos is grounds.photos else source
        for source in found
    ]


def _nearness(judges: Sequence[Averages | Ordinary], preprocessing: Preprocessing) -> float:
    """Return how near to training pictures lie, in nats, counted as for a name but without a floor."""
    return -sum(
        judge.weight
        * (judge.away(preprocessing) if isinstance(judge, Ordinary) else log(judge.away(preprocessing)))
        for judge in judges
    )


def _settled(judges: Sequence[Averages | Ordinary], best: Score) -> bool:
    """Whether a known scaling brings the pictures as near as chance lets training pictures come."""
    right = best.candidate.preprocessing
    return all(
        judge.away(right) <= (judge.floor if isinstance(judge, Averages) else judge.profile.typical)
        for judge in judges
    )


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


def _margin(worth: Callable[[Float64], float], found: Float64, step: tuple[float, float]) -> float:
    """Return how far along a step the evidence falls by `KNOWN` nats, by a parabola through three points."""
    size = max(step)
    here = worth(found)
    fall = here - (worth(found + np.array(step)) + worth(found - np.array(step))) / 2
    return float(size * np.sqrt(KNOWN / max(fall, 1e-3)))
