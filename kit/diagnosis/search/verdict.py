"""Whether the best candidate's cause is named, mentioned or neither; with its evidence and its fix."""

from collections.abc import Sequence
from math import exp

from kit.diagnosis.finding import Evidence, Finding, Fix, using
from kit.diagnosis.search.evidence import Grounds
from kit.diagnosis.search.scoring import Score
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
from kit.samples import probes

_SEES = "The network sees what it was trained on when this is changed: {}."
_MEETS = "The labels are met when this is changed: {}."
_SEES_NOT = "Changing this brings the network no nearer to what it was trained on."
_MEETS_NOT = "The labels are met no better when this is changed."


def thresholds(grounds: Grounds, score: Score) -> tuple[float, float]:
    """Return the gains from which on the score names its cause, and from which on it is mentioned."""
    if not grounds.photographic:
        return grounds.needed, MENTIONED * grounds.needed
    return (NAMED, POSSIBLE) if score.spread is None else (LAYOUT_GAIN, LAYOUT_GAIN)


def judged(grounds: Grounds, ranked: Sequence[Score], in_use: Preprocessing) -> Finding | None:
    """Put the first of the scores into words and numbers; None where nothing speaks against `in_use`."""
    if not ranked:
        return None
    best = ranked[0]
    named, possible = thresholds(grounds, best)
    if best.gain < possible or (best.spread is not None and best.gain < LAYOUT_ERRORS * best.spread):
        return None
    right, cause = best.candidate.preprocessing, best.candidate.cause
    further = (_lead(grounds, best, ranked), labels_regained(grounds, best, in_use))
    conditions = [one for one in (*further, profile_distance(grounds, best)) if one is not None]
    sure = best.gain >= named and all(one.supports for one in conditions)
    return Finding(
        cause,
        "named" if sure else "possible",
        (_SEES if grounds.evaluator.statistics else _MEETS).format(difference(in_use, right)),
        (*_evidence(grounds, best), *conditions),
        float(grounds.trial(in_use, right).changed.mean()),
        fix(in_use, right, cause),
        _same_causes(grounds, best, ranked),
    )


def _lead(grounds: Grounds, best: Score, ranked: Sequence[Score]) -> Evidence | None:
    other = best_of_another_cause(grounds, best, ranked)
    if other is None:
        return None
    lead, text = best.gain - other.gain, f"lead over the next cause, {other.candidate.cause}, in nats"
    return Evidence(text, lead, MARGIN, supports=lead >= MARGIN)


def best_of_another_cause(grounds: Grounds, best: Score, ranked: Sequence[Score]) -> Score | None:
    """Return the first score of a cause that can be told from that of the best at all."""
    others = (score for score in ranked if not best.candidate.causes & score.candidate.causes)
    return next((score for score in others if not indistinguishable(grounds, best, score)), None)


def indistinguishable(grounds: Grounds, best: Score, score: Score) -> bool:
    """Whether no evidence tells the two apart: neither gain nor statistics nor answers."""
    pair = (best.candidate.preprocessing, score.candidate.preprocessing)
    return best.gain - score.gain < MARGIN and grounds.equivalence(*pair) is not None


def labels_regained(grounds: Grounds, best: Score, in_use: Preprocessing) -> Evidence | None:
    """Return how many more labels the candidate meets; None where there is other evidence than labels."""
    if grounds.evaluator.statistics:
        return None
    more = grounds.trial(in_use, best.candidate.preprocessing).regained
    text = f"more of the {grounds.known_labels} labelled pictures answered rightly when it is changed"
    return Evidence(text, more, REGAINED, supports=more >= REGAINED)


def explains_as_well(ranked: Sequence[Score]) -> bool:
    """Whether the preprocessing in use explains the pictures as well as anything that is tried."""
    return not ranked or ranked[0].gain < POSSIBLE


def within_profile(grounds: Grounds, best: Score) -> bool:
    """Whether the candidate brings the pictures among what the profile calls ordinary; True without one."""
    distance = profile_distance(grounds, best)
    return distance is None or distance.supports is True


def profile_distance(grounds: Grounds, best: Score) -> Evidence | None:
    """Return how far from the profile the candidate leaves the pictures; None without a profile."""
    if grounds.ordinary is None:
        return None
    away = exp(grounds.evaluator.log_distance(grounds.photos, best.candidate.preprocessing))
    text = "distance from the profile when it is changed; up to that of nine in ten training pictures"
    return Evidence(text, away, grounds.ordinary.limit, supports=away <= grounds.ordinary.limit)


def ruled_out(grounds: Grounds, ranked: Sequence[Score], told: set[str]) -> list[Finding]:
    """Return each cause not yet told whose best candidate explains no more than the preprocessing in use."""
    best: dict[str, Score] = {}
    for score in ranked:
        best.setdefault(score.candidate.cause, score)
    summary = _SEES_NOT if grounds.evaluator.statistics else _MEETS_NOT
    return [
        Finding(cause, "ruled_out", summary, tuple(_evidence(grounds, score)))
        for cause, score in best.items()
        if cause not in told and score.gain < thresholds(grounds, score)[1]
    ]


def difference(in_use: Preprocessing, right: Preprocessing) -> str:
    """Return what `right` does otherwise, step by step, and which steps it leaves out."""
    before, after = (dict(line.split(": ", 1) for line in each.describe()) for each in (in_use, right))
    changed = [f"{step}: {words}" for step, words in after.items() if before.get(step) != words]
    left_out = [f"leave out {step} ({words})" for step, words in before.items() if step not in after]
    return "; ".join([*changed, *left_out])


def fix(in_use: Preprocessing, right: Preprocessing, cause: str) -> Fix:
    """Return what to change, in words and as code."""
    text = f"Prepare pictures as in training: {difference(in_use, right)} ({cause} put right)."
    return using(text, right)


def _same_causes(grounds: Grounds, best: Score, ranked: Sequence[Score]) -> tuple[str, ...]:
    """Return other causes that come to the same, by what they do or on this network."""
    causes = dict.fromkeys(best.candidate.equivalent)
    for score in ranked:
        if score is not best and indistinguishable(grounds, best, score):
            causes.setdefault(score.candidate.cause)
    causes.pop(best.candidate.cause, None)
    return tuple(causes)


def _evidence(grounds: Grounds, score: Score) -> list[Evidence]:
    named, _ = thresholds(grounds, score)
    count, seen = len(grounds.photos), f"{len(probes())} probe photographs"
    photos = f"{count} picture{'' if count == 1 else 's'}"
    where = seen if grounds.photographic else photos
    if score.spread is not None:
        where = f"{seen} and {photos}"
    found = []
    enough = score.gain >= named
    if not grounds.photographic:
        found.append(Evidence(f"weighted gain on {where}, in nats", score.gain, named, supports=enough))
    parts = (
        ("fall of the logarithmic distance from the training statistics", score.distance),
        ("fall of the answers' mean entropy", score.entropy),
        ("rise of the labels' mean log-likelihood", score.likelihood),
    )
    for text, value in parts:
        if value is not None:
            limit, supports = (named, enough) if grounds.photographic else (None, value > 0)
            found.append(Evidence(f"{text} on {where}, in nats", value, limit, supports=supports))
    return found
