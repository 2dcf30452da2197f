"""Whether the best candidate's cause is named, mentioned or neither; with its evidence and its fix."""

import re
from collections.abc import Sequence
from math import exp

from kit.diagnosis.finding import Evidence, Finding, Fix, Verdict
from kit.diagnosis.search.evidence import Grounds
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


def verdict(grounds: Grounds, ranked: Sequence[Score], in_use: Preprocessing) -> Verdict | None:
    """Return what can be said of the first; None where nothing speaks against `in_use`."""
    if not ranked:
        return None
    best = ranked[0]
    named, possible = thresholds(grounds, best)
    if best.gain < possible:
        return None
    if best.spread is not None and best.gain < LAYOUT_ERRORS * best.spread:
        return None
    other = best_of_another_cause(grounds, best, ranked)
    ahead = other is None or best.gain - other.gain >= MARGIN
    regained = labels_regained(grounds, best, in_use)
    enough = regained is None or regained.supports is True
    sure = best.gain >= named and ahead and enough and within_profile(grounds, best)
    return "named" if sure else "possible"


def best_of_another_cause(grounds: Grounds, best: Score, ranked: Sequence[Score]) -> Score | None:
    """Return the first score of a cause that can be told from that of the best at all."""
    same = {best.candidate.cause, *best.candidate.equivalent}
    for score in ranked:
        if same & {score.candidate.cause, *score.candidate.equivalent} or score is best:
            continue
        if not indistinguishable(grounds, best, score):
            return score
    return None


def indistinguishable(grounds: Grounds, best: Score, score: Score) -> bool:
    """Whether no evidence tells the two apart: neither gain nor statistics nor answers."""
    pair = (best.candidate.preprocessing, score.candidate.preprocessing)
    return best.gain - score.gain < MARGIN and grounds.equivalence(*pair) is not None


def labels_regained(grounds: Grounds, best: Score, in_use: Preprocessing) -> Evidence | None:
    """Return how many more labels the candidate meets; None where there is other evidence than labels."""
    if grounds.statistics:
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
    away = exp(log_distance(grounds.evaluator, grounds.photos, best.candidate.preprocessing))
    text = "distance from the profile when it is changed; up to that of nine in ten training pictures"
    return Evidence(text, away, grounds.ordinary.limit, supports=away <= grounds.ordinary.limit)


def finding(grounds: Grounds, ranked: Sequence[Score], said: Verdict, in_use: Preprocessing) -> Finding:
    """Put the first of the ranked scores into words and numbers."""
    best = ranked[0]
    right, cause = best.candidate.preprocessing, best.candidate.cause
    evidence = _evidence(grounds, best)
    other = best_of_another_cause(grounds, best, ranked)
    if other is not None:
        lead = best.gain - other.gain
        text = f"lead over the next cause, {other.candidate.cause}, in nats"
        evidence.append(Evidence(text, lead, MARGIN, supports=lead >= MARGIN))
    further = (labels_regained(grounds, best, in_use), profile_distance(grounds, best))
    return Finding(
        cause,
        said,
        (_SEES if grounds.statistics else _MEETS).format(difference(in_use, right)),
        (*evidence, *(one for one in further if one is not None)),
        float(grounds.trial(in_use, right).changed.mean()),
        fix(in_use, right, cause),
        _same_causes(grounds, best, ranked),
    )


def ruled_out(grounds: Grounds, ranked: Sequence[Score], told: set[str]) -> list[Finding]:
    """Return each cause not yet told whose best candidate explains no more than the preprocessing in use."""
    best: dict[str, Score] = {}
    for score in ranked:
        best.setdefault(score.candidate.cause, score)
    summary = _SEES_NOT if grounds.statistics else _MEETS_NOT
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
    built = re.sub(r"\b[A-Z]\w*\(", r"kit.\g<0>", repr(right))
    return Fix(text, f"classifier = classifier.using({built})", right)


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
    if not grounds.photographic:
        text = f"weighted gain on {where}, in nats"
        found.append(Evidence(text, score.gain, named, supports=score.gain >= named))
    parts = (
        ("fall of the logarithmic distance from the training statistics", score.distance),
        ("fall of the answers' mean entropy", score.entropy),
        ("rise of the labels' mean log-likelihood", score.likelihood),
    )
    for text, value in parts:
        if value is not None:
            limit = named if grounds.photographic else None
            supports = score.gain >= named if grounds.photographic else value > 0
            found.append(Evidence(f"{text} on {where}, in nats", value, limit, supports=supports))
    return found
