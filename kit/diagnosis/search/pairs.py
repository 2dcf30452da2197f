"""Two faults at once of which neither explains anything alone."""

from collections.abc import Sequence
from math import inf

from kit.diagnosis.finding import Evidence, Finding
from kit.diagnosis.search.candidates import Candidate
from kit.diagnosis.search.evidence import Grounds, Score
from kit.diagnosis.search.sources import NAMED
from kit.diagnosis.search.verdict import LEAD, difference, fix
from kit.preprocessing import Preprocessing

FIRSTS = 6
"""Changes that are combined with others where none explains anything alone."""

DEARER = 0.4
"""Nats more that two changes must explain than one: of so many pairs some fit better by chance."""

Pair = tuple[Candidate, Score]
"""The first change, and both together weighed against the preprocessing in use."""


def together(
    grounds: Grounds, in_use: Preprocessing, ranked: Sequence[Score]
) -> tuple[list[Finding], Preprocessing] | None:
    """Look for two changes of which neither explains anything alone.

    Returns
    -------
    tuple or None
        A finding for each of the two, and the preprocessing with both.
    """
    if not grounds.evaluator.statistics or grounds.usual(in_use):
        return None
    pairs = sorted(_pairs(grounds, in_use, ranked), key=lambda pair: -pair[1].gain)
    if not pairs:
        return None
    first, both = pairs[0]
    alone = max(ranked[0].gain, 0.0)
    causes = {first.cause, both.candidate.cause}
    lead = both.gain - max((s.gain for f, s in pairs if {f.cause, s.candidate.cause} != causes), default=-inf)
    needed = NAMED + DEARER
    if both.gain < needed or both.gain - alone < DEARER or lead < LEAD or not both.at_home or both.vetoed:
        return None
    evidence = (
        Evidence("gain of both changes together, in nats", both.gain, needed, supports=True),
        Evidence("gain of the best change alone", alone),
    )
    right = both.candidate.preprocessing
    share = float(grounds.trial(in_use, right).changed.mean())
    findings = []
    for cause, before, after in (
        (first.cause, in_use, first.preprocessing),
        (both.candidate.cause, first.preprocessing, right),
    ):
        changes = difference(before, after)
        summary = f"One of two causes, neither of which explains anything alone. Put right by: {changes}."
        findings.append(Finding(cause, "named", summary, evidence, share, fix(in_use, right, cause)))
    return findings, right


def _pairs(grounds: Grounds, in_use: Preprocessing, ranked: Sequence[Score]) -> list[Pair]:
    return [
        (one.candidate, grounds.score(in_use, second))
        for one in ranked[:FIRSTS]
        for second in grounds.tried(one.candidate.preprocessing)
        if second.step != one.candidate.step
    ]
