"""Whether the best candidate's cause is named, only mentioned, or neither."""

from collections.abc import Sequence
from math import exp

from kit.diagnosis.finding import Evidence, Verdict
from kit.diagnosis.search.evidence import Basis
from kit.diagnosis.search.scoring import Score, log_distance
from kit.diagnosis.search.thresholds import (
    LAYOUT_ERRORS,
    LAYOUT_GAIN,
    MARGIN,
    MENTIONED,
    NAMED,
    POSSIBLE,
    REGAINED,
)
from kit.preprocessing import Preprocessing


def thresholds(basis: Basis, score: Score) -> tuple[float, float]:
    """Return the gains from which on the score names its cause, and from which on it is mentioned."""
    if not basis.photographic:
        return basis.needed, MENTIONED * basis.needed
    return (NAMED, POSSIBLE) if score.spread is None else (LAYOUT_GAIN, LAYOUT_GAIN)


def verdict(basis: Basis, ranked: Sequence[Score], in_use: Preprocessing) -> Verdict | None:
    """Return what can be said of the first; None where nothing speaks against `in_use`."""
    if not ranked:
        return None
    best = ranked[0]
    named, possible = thresholds(basis, best)
    if best.gain < possible:
        return None
    if best.spread is not None and best.gain < LAYOUT_ERRORS * best.spread:
        return None
    other = rival(basis, best, ranked)
    ahead = other is None or best.gain - other.gain >= MARGIN
    regained = regain(basis, best, in_use)
    enough = regained is None or regained.supports is True
    return "named" if best.gain >= named and ahead and enough and familiar(basis, best) else "possible"


def rival(basis: Basis, best: Score, ranked: Sequence[Score]) -> Score | None:
    """Return the best of another cause that can be told from this one at all."""
    same = {best.candidate.cause, *best.candidate.equivalent}
    for score in ranked:
        if same & {score.candidate.cause, *score.candidate.equivalent} or score is best:
            continue
        if not alike(basis, best, score):
            return score
    return None


def alike(basis: Basis, best: Score, score: Score) -> bool:
    """Whether no evidence tells the two apart: neither gain nor statistics nor answers."""
    pair = (best.candidate.preprocessing, score.candidate.preprocessing)
    return best.gain - score.gain < MARGIN and basis.alike(*pair) is not None


def regain(basis: Basis, best: Score, in_use: Preprocessing) -> Evidence | None:
    """Return how many more labels the candidate meets; None where there is other evidence than labels."""
    if basis.statistics:
        return None
    more = basis.right(best.candidate.preprocessing) - basis.right(in_use)
    text = f"more of the {basis.known_labels} labelled pictures answered rightly when it is changed"
    return Evidence(text, more, REGAINED, supports=more >= REGAINED)


def settled(ranked: Sequence[Score]) -> bool:
    """Whether the preprocessing in use explains the pictures as well as anything that is tried."""
    return not ranked or ranked[0].gain < POSSIBLE


def familiar(basis: Basis, best: Score) -> bool:
    """Whether the candidate brings the pictures among what the profile calls ordinary."""
    reached = reach(basis, best)
    return reached is None or reached.supports is True


def reach(basis: Basis, best: Score) -> Evidence | None:
    """Return how far from the profile the candidate leaves the pictures; None without a profile."""
    if basis.ordinary is None:
        return None
    away = exp(log_distance(basis.laboratory, basis.photos, best.candidate.preprocessing))
    text = "distance from the profile when it is changed; up to that of nine in ten training pictures"
    return Evidence(text, away, basis.ordinary.limit, supports=away <= basis.ordinary.limit)
