"""Two faults at once of which neither explains anything alone."""

from collections.abc import Sequence
from math import inf

from kit.diagnosis.finding import Evidence, Finding
from kit.diagnosis.search.evidence import Grounds
from kit.diagnosis.search.scoring import Score, by_statistics
from kit.diagnosis.search.thresholds import MARGIN, NAMED
from kit.diagnosis.search.verdict import difference, explains_as_well, fix, within_profile
from kit.preprocessing import Preprocessing
from kit.samples import probes

FIRSTS = 6
"""Changes that are combined with others where none explains anything alone."""

Pair = tuple[Score, Score]


def together(
    grounds: Grounds, in_use: Preprocessing, ranked: Sequence[Score]
) -> tuple[list[Finding], Preprocessing] | None:
    """Look for two changes of which neither explains anything alone.

    Returns
    -------
    tuple or None
        A finding for each of the two, and the preprocessing with both.
    """
    if not grounds.evaluator.statistics or (not grounds.photographic and explains_as_well(ranked)):
        return None
    pairs = sorted(_pairs(grounds, ranked), key=_gain, reverse=True)
    if not pairs:
        return None
    first, second = pair = pairs[0]
    gain, needed = _gain(pair), NAMED if grounds.photographic else 2 * grounds.needed
    lead = gain - max((_gain(one) for one in pairs if _differs(grounds, pair, one)), default=-inf)
    alone = ranked[0].gain
    if gain < needed or gain - alone < needed or lead < MARGIN or not within_profile(grounds, second):
        return None
    evidence = (
        Evidence("gain of both changes together, in nats", gain, needed, supports=True),
        Evidence("gain of the best change alone", alone),
    )
    right = second.candidate.preprocessing
    share = float(grounds.trial(in_use, right).changed.mean())
    findings = []
    for score, before in ((first, in_use), (second, first.candidate.preprocessing)):
        cause = score.candidate.cause
        changes = difference(before, score.candidate.preprocessing)
        summary = f"One of two causes, neither of which explains anything alone. Put right by: {changes}."
        findings.append(Finding(cause, "named", summary, evidence, share, fix(in_use, right, cause)))
    return findings, right


def _pairs(grounds: Grounds, ranked: Sequence[Score]) -> list[Pair]:
    """Return pairs of changes; on photographs only those that hide each other, colour and polarity."""
    if not grounds.photographic:
        return [
            (first, second)
            for first in ranked[:FIRSTS]
            for second in grounds.scores(first.candidate.preprocessing)[:FIRSTS]
            if second.candidate.step != first.candidate.step
        ]
    found: list[Pair] = []
    for first in (one for one in ranked if one.candidate.step == "polarity"):
        inverted = first.candidate.preprocessing
        colours = [one for one in grounds.tried(inverted) if one.step == "channels"]
        seconds = by_statistics(grounds.evaluator, inverted, colours, probes())
        found += [(first, second) for second in seconds]
    return found


def _differs(grounds: Grounds, best: Pair, other: Pair) -> bool:
    """Whether another pair is of other causes, and can be told from the best one."""
    causes, others = ({score.candidate.cause for score in pair} for pair in (best, other))
    right, wrong = (second.candidate.preprocessing for _, second in (best, other))
    return causes != others and grounds.equivalence(right, wrong) is None


def _gain(pair: Pair) -> float:
    return pair[0].gain + pair[1].gain
