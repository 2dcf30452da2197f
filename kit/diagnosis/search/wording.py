"""Scores in words and numbers: findings with evidence for and against, and the fix."""

from collections.abc import Sequence

from kit.diagnosis.finding import Evidence, Finding, Fix, Verdict
from kit.diagnosis.search.evidence import Basis
from kit.diagnosis.search.scoring import Score
from kit.diagnosis.search.thresholds import MARGIN
from kit.diagnosis.search.verdict import alike, reach, regain, rival, thresholds
from kit.preprocessing import Preprocessing
from kit.samples import probes

_SEES = "The network sees what it was trained on when this is changed: {}."
_MEETS = "The labels are met when this is changed: {}."
_SEES_NOT = "Changing this brings the network no nearer to what it was trained on."
_MEETS_NOT = "The labels are met no better when this is changed."


def finding(
    basis: Basis, best: Score, ranked: Sequence[Score], verdict: Verdict, in_use: Preprocessing
) -> Finding:
    """Put one score into words and numbers."""
    candidate = best.candidate
    evidence = list(_evidence(basis, best))
    other = rival(basis, best, ranked)
    if other is not None:
        lead = best.gain - other.gain
        text = f"lead over the next cause, {other.candidate.cause}, in nats"
        evidence.append(Evidence(text, lead, MARGIN, supports=lead >= MARGIN))
    further = (regain(basis, best, in_use), reach(basis, best))
    evidence += [one for one in further if one is not None]
    changes = "; ".join(difference(in_use, candidate.preprocessing))
    return Finding(
        candidate.cause,
        verdict,
        (_SEES if basis.statistics else _MEETS).format(changes),
        tuple(evidence),
        cost(basis, in_use, candidate.preprocessing),
        fix(in_use, candidate.preprocessing, candidate.cause),
        _same_causes(basis, best, ranked),
    )


def ruled_out(basis: Basis, ranked: Sequence[Score], told: set[str]) -> list[Finding]:
    """Return each cause not yet told whose best candidate explains no more than the preprocessing in use."""
    best: dict[str, Score] = {}
    for score in ranked:
        best.setdefault(score.candidate.cause, score)
    summary = _SEES_NOT if basis.statistics else _MEETS_NOT
    return [
        Finding(cause, "ruled_out", summary, tuple(_evidence(basis, score)))
        for cause, score in best.items()
        if cause not in told and score.gain < thresholds(basis, score)[1]
    ]


def cost(basis: Basis, in_use: Preprocessing, right: Preprocessing) -> float:
    """Return the share of the user's pictures, 0..1, whose answer changes."""
    before, after = (basis.laboratory.answers(basis.photos, each).argmax(axis=1) for each in (in_use, right))
    return float((before != after).mean())


def difference(in_use: Preprocessing, right: Preprocessing) -> list[str]:
    """Return what `right` does otherwise, a line for each step."""
    before, after = in_use.describe(), right.describe()
    changed = [line for line in after if line not in before]
    return changed or [line for line in before if line not in after]


def fix(in_use: Preprocessing, right: Preprocessing, cause: str) -> Fix:
    """Return what to change, in words and as code."""
    changes = "; ".join(difference(in_use, right))
    return Fix(
        f"Prepare pictures as in training: {changes} ({cause} put right).",
        f"classifier.preprocessing = kit.{right!r}",
        right,
    )


def _same_causes(basis: Basis, best: Score, ranked: Sequence[Score]) -> tuple[str, ...]:
    """Return other causes that come to the same, by what they do or on this network."""
    causes = dict.fromkeys(best.candidate.equivalent)
    for score in ranked:
        if score is not best and alike(basis, best, score):
            causes.setdefault(score.candidate.cause)
    causes.pop(best.candidate.cause, None)
    return tuple(causes)


def _evidence(basis: Basis, score: Score) -> list[Evidence]:
    named, _ = thresholds(basis, score)
    count, seen = len(basis.photos), f"{len(probes())} probe photographs"
    photos = f"{count} picture{'' if count == 1 else 's'}"
    where = seen if basis.photographic else photos
    if score.spread is not None:
        where = f"{seen} and {photos}"
    found = []
    if not basis.photographic:
        text = f"weighted gain on {where}, in nats"
        found.append(Evidence(text, score.gain, named, supports=score.gain >= named))
    parts = (
        ("fall of the logarithmic distance from the training statistics", score.distance),
        ("fall of the answers' mean entropy", score.entropy),
        ("rise of the labels' mean log-likelihood", score.likelihood),
    )
    for text, value in parts:
        if value is not None:
            limit = named if basis.photographic else None
            supports = score.gain >= named if basis.photographic else value > 0
            found.append(Evidence(f"{text} on {where}, in nats", value, limit, supports=supports))
    return found
