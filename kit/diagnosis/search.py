"""The search for the preprocessing fault that is to be undone, and what its scores come to, in words."""

from dataclasses import dataclass, replace
from math import inf, sqrt
from typing import NamedTuple

import numpy as np

from kit.diagnosis.candidates import FEW, QUIET, Candidate
from kit.diagnosis.checks_input import BY_PREDICTIONS
from kit.diagnosis.estimation import as_light, estimated
from kit.diagnosis.evidence import Grounds, Score, Scores
from kit.diagnosis.finding import Evidence, Finding, Fix, at_least, using
from kit.diagnosis.sources import NAMED, Certainty, Labelled
from kit.preprocessing import Preprocessing

FIRSTS = 6
"""Changes that are combined with others where none explains anything alone."""
DEARER = 0.4
"""Nats more that two changes must explain than one: of so many pairs some fit better by chance."""


class Pair(NamedTuple):
    """A change, and what comes of another one with it."""

    first: Candidate
    both: Score

    @property
    def causes(self) -> set[str]:
        """What both are called."""
        return {self.first.cause, self.both.candidate.cause}


def pairs(grounds: Grounds, firsts: Scores) -> list[Pair]:
    """Weigh changes of two steps, the first of which is given; the best first."""
    weighed = [
        Pair(first.candidate, grounds.score(second))
        for first in firsts
        for second in grounds.around(first.candidate.preprocessing).tried()
        if second.step != first.candidate.step
    ]
    return sorted(weighed, key=lambda pair: -pair.both.gain)


def together(grounds: Grounds) -> tuple[list[Finding], Preprocessing] | None:
    """Look for two changes of which neither explains anything alone.

    Returns a finding for each of the two, and the preprocessing with both; None where there are none.
    """
    if not grounds.evaluator.statistics or grounds.usual(grounds.in_use):
        return None
    ranked = grounds.scores()
    ranked_pairs = pairs(grounds, ranked[:FIRSTS])
    if not ranked_pairs:
        return None
    best = ranked_pairs[0]
    first, both = best
    alone = max(ranked[0].gain, 0.0)
    rivals = (pair.both.gain for pair in ranked_pairs if pair.causes != best.causes)
    rival = max(rivals, default=-inf)
    needed = NAMED + DEARER
    enough = both.gain >= max(needed, alone + DEARER, rival + LEAD)
    right = both.candidate.preprocessing
    if (
        not enough
        or not grounds.usual(right)
        or both.vetoed
        or _needless(grounds, right)
        or as_light(grounds, both)
    ):
        return None
    whole = Evidence("gain of both changes together, in nats", both.gain, needed, True)
    evidence = whole, Evidence("gain of the best change alone", alone)
    share = float(grounds.trial(right).changed.mean())
    found = [
        Finding(
            cause,
            "named",
            "One of two causes.",
            evidence,
            share,
            fix(grounds.in_use, right, cause),
        )
        for cause in (first.cause, both.candidate.cause)
    ]
    return found, right


_UNABLE = "nothing is known of the training images: pass reference= or labels="
_FEW_LABELS = "so few labels match by chance: give more, or pass reference="
_REMAINS = "with that fixed, the first layers still get unusual values"
_UNUSUAL = "the first layers get unusual values: look at crop, background and light"


ROUNDS = 2
"""So many faults at once are looked for."""


@dataclass(frozen=True)
class Search:
    """What the search over candidates came to; see `kit.diagnosis.report.Diagnosis` for what is in both.

    Attributes
    ----------
    decided
        Whether there was evidence to decide by, so that nothing named means nothing wrong.
    photographic, as_in_training
        Whether the probes show that the network knows photos, and whether a profile finds the images,
        as they are, as usual as nine in ten training images.
    """

    findings: tuple[Finding, ...] = ()
    decided: bool = False
    photographic: bool = False
    notes: tuple[str, ...] = ()
    judged_by: str = ""
    as_in_training: bool = False

    @property
    def named(self) -> bool:
        """Whether a cause is named."""
        return any(finding.verdict == "named" for finding in self.findings)


NOTHING = Search()
"""What is known before a search."""


def search(grounds: Grounds) -> Search:
    """Try every candidate for the preprocessing in use, put the best right, and look once more."""
    if not grounds.evaluator.statistics and not grounds.known_labels:
        return Search(notes=(_UNABLE,))
    named, doubtful, current = _one_by_one(grounds)
    if not named and (pair := together(grounds)) is not None:
        (named, current), doubtful = pair, []
    if len(named) > 1 and all(one.right for one in named):
        named = [
            replace(one, fix=fix(grounds.in_use, current, one.cause)) for one in named
        ]
    usual, fixed = grounds.usual(current), grounds.around(current)
    told = {
        cause for one in named or doubtful for cause in (one.cause, *one.equivalent)
    }
    rest = settled(fixed, fixed.scores(), told)
    left = [one.cause for one in rest if one.verdict != "ruled_out"]
    decided, notes = True, []
    if named:
        rest = []
        doubts = [f"with that fixed, cannot tell about {', '.join(left)}"] * bool(left)
        notes = doubts + [_REMAINS] * (not usual)
    else:
        convincing = grounds.convincing()
        few = not grounds.evaluator.statistics and bool(doubtful or not convincing)
        lit = [one.summary for one in doubtful if one.summary == _LIGHT]
        notes = lit or [_UNUSUAL] * (not usual) + [_FEW_LABELS] * few
        decided = usual and convincing and not (doubtful or left)
    known = (
        bool(grounds.probes),
        tuple(notes),
        grounds.judged_by,
        grounds.as_in_training,
    )
    return Search((*named, *doubtful, *rest), decided, *known)


def contradicted(grounds: Grounds, finding: Finding) -> bool:
    """Whether labels or the user's images forbid the fix of a fault that a check has named."""
    if finding.right is None:
        return False
    before, after = (
        grounds.evaluator.tensors(grounds.photos, p)
        for p in (grounds.in_use, finding.right)
    )
    if before.shape != after.shape or not (
        np.isfinite(before).all() and np.isfinite(after).all()
    ):
        return False
    return grounds.score(Candidate(finding.right, "", finding.cause)).vetoed


def unsupported(grounds: Grounds, finding: Finding) -> bool:
    """Whether nothing but surer predictions speaks for the fix of what a check has named by predictions."""
    if finding.right is None or finding.cause not in BY_PREDICTIONS:
        return False
    votes = grounds.score(Candidate(finding.right, "", finding.cause)).votes
    gains = [
        vote.gain
        for source, vote in zip(grounds.sources, votes, strict=False)
        if not isinstance(source, Certainty)
    ]
    return not gains or sum(gains) < -NEAR


def _one_by_one(grounds: Grounds) -> tuple[list[Finding], list[Finding], Preprocessing]:
    """Return what is named, what is doubtful, and the preprocessing fixed."""
    named: list[Finding] = []
    steps: set[str] = set()
    for _ in range(ROUNDS):
        ranked = [
            score for score in grounds.scores() if score.candidate.step not in steps
        ]
        fitted = None if "scaling" in steps else estimated(grounds, ranked)
        if fitted is not None:
            # The known scalings only come near to it.
            others = (score for score in ranked if score.candidate.step != "scaling")
            ranked = sorted([fitted, *others], key=lambda score: -score.gain)
        one = judged(grounds, ranked)
        if one is None or one.verdict != "named":
            return named, [one] if one else [], grounds.in_use
        named.append(one)
        best = ranked[0].candidate
        steps.add(best.step)
        grounds = grounds.around(best.preprocessing)
        if one.right is None:
            break
    return named, [], grounds.in_use


POSSIBLE = 0.25
"""Nats from which on a cause is mentioned."""

MEASURED = 0.05
"""Nats that must have been measured: how rare a step is never names it alone."""

NEAR, EXCLUDED = 0.1, -0.2
"""Nats above which a candidate is never ruled out, and up to which it is, if it changes any answer."""

LEAD, LEAD_WITHIN = 0.2, 0.03
"""Nats by which a cause must lead the next one of another step, and of the same step."""

BY_CHANCE = 0.05
"""Chance, out of all changes tried, of so many labels fixed, up to which labels alone name a cause."""

_SEES = "With the fix, the model sees what it was trained on."
_MEETS = "With the fix, the predictions match the labels."
_MAY = "The fix brings the images somewhat nearer to training."
_SEES_NOT = "This change brings the images no nearer to training."
_MEETS_NOT = "This change makes no more predictions match the labels."
_LIGHT = (
    "The preprocessing, or the light of these images: compare with a training image."
)
_OPEN = "Nothing says whether this is as in training."


def judged(grounds: Grounds, ranked: Scores) -> Finding | None:
    """Put the first of the scores into words and numbers; None where nothing speaks for a change."""
    if not ranked or ranked[0].gain < POSSIBLE:
        return None
    best = ranked[0]
    right, cause = best.candidate.preprocessing, best.candidate.cause
    conditions = [
        one for one in (_lead(best, ranked), _beyond_chance(grounds, best)) if one
    ]
    forbidden = best.vetoed or _needless(grounds, right)
    seen = best.measured >= MEASURED and grounds.usual(right) and not forbidden
    lit = as_light(grounds, best)
    strong = best.gain >= NAMED and seen and all(one.supports for one in conditions)
    sure = strong and not lit
    summary = _MEETS if not grounds.evaluator.statistics else _SEES if sure else _MAY
    if lit:
        summary = _LIGHT
    evidence, cost = (
        (*weighed(best), *conditions),
        float(grounds.trial(right).changed.mean()),
    )
    fixed, same = fix(grounds.in_use, right, cause), best.candidate.equivalent
    unlike = [each for each in best.variants if _unlike(grounds, right, each, 0)]
    unlike += [
        each
        for each in _untold(grounds, best, ranked)
        if _unlike(grounds, right, each, 2)
    ]
    if unlike:
        forms = " or ".join(
            difference(grounds.in_use, each) for each in (right, unlike[0])
        )
        fixed = Fix(
            f"Prepare images as in training; these cannot tell {forms}: give more, or labels."
        )
    return Finding(
        cause, "named" if sure else "possible", summary, evidence, cost, fixed, same
    )


def _untold(grounds: Grounds, best: Score, ranked: Scores) -> list[Preprocessing]:
    """Return what else of the same step explains about as much.

    Few labels tell less where they are alone, and how sure a network is of them tells nothing: what meets as
    many within chance, and moves predictions, is a rival however likely it makes them.
    """
    alone = not grounds.evaluator.statistics
    lead = LEAD * max(sqrt(Labelled.ENOUGH / grounds.known_labels) if alone else 1, 1)
    around = grounds.around(best.candidate.preprocessing)

    def close(rival: Score) -> bool:
        trial = around.trial(rival.candidate.preprocessing)
        gained, lost = trial.turned
        if best.gain - rival.gain < lead:
            return True
        moves = alone and bool(trial.moved.mean() > QUIET)
        return moves and at_least(lost, gained + lost, 0.5) > Labelled.BY_CHANCE

    return [
        rival.candidate.preprocessing
        for rival in ranked
        if rival.candidate.step == best.candidate.step and rival is not best
        if not rival.vetoed and close(rival)
    ]


def _unlike(
    grounds: Grounds, right: Preprocessing, other: Preprocessing, errors: int
) -> bool:
    """Whether another preprocessing may change more than a few predictions; a few images do not show it."""
    photos, evaluator = (*grounds.probes[:FEW], *grounds.photos), grounds.evaluator
    moved = evaluator.trial(photos, right, other).moved
    # With 2, the upper end of the interval of Agresti and Coull (1998).
    large = (moved.sum() + errors) / (len(moved) + 2 * errors) > QUIET
    return bool(large) and not evaluator.alike(photos, right, other)


def weighed(score: Score) -> tuple[Evidence, ...]:
    """Return the sum of the votes, then what each of them measured."""
    whole = Evidence(
        "overall evidence, in nats", score.gain, NAMED, score.gain >= NAMED
    )
    return whole, *(
        Evidence(
            f"{vote.text} (counts {vote.gain:+.2f})",
            vote.measured,
            supports=vote.gain > 0 if vote.gain or vote.veto else None,
        )
        for vote in score.votes
        if vote.gain or vote.veto or vote.measured
    )


def _lead(best: Score, ranked: Scores) -> Evidence | None:
    """Return the lead over that other cause whose lead is the most doubtful."""
    rivals = [
        score for score in ranked if not best.candidate.causes & score.candidate.causes
    ]
    if not rivals:
        return None

    def needed(rival: Score) -> float:
        return LEAD_WITHIN if rival.candidate.step == best.candidate.step else LEAD

    other = min(rivals, key=lambda rival: -rival.gain - needed(rival))
    lead, text = (
        best.gain - other.gain,
        f"lead over {other.candidate.cause}, the next cause, in nats",
    )
    return Evidence(text, lead, needed(other), lead >= needed(other))


def _beyond_chance(grounds: Grounds, best: Score) -> Evidence | None:
    """Return the chance of so many more labels; None where other evidence names the cause without them."""
    votes = zip(grounds.sources, best.votes, strict=False)
    by_labels = sum(vote.gain for source, vote in votes if isinstance(source, Labelled))
    if grounds.evaluator.statistics and best.gain - by_labels >= NAMED:
        return None
    gained, lost = grounds.trial(best.candidate.preprocessing).turned
    chance = _by_chance(grounds, best)
    text = f"chance that any change puts {gained} labels right and {lost} wrong"
    return Evidence(text, chance, BY_CHANCE, chance <= BY_CHANCE)


def _needless(grounds: Grounds, right: Preprocessing) -> bool:
    """Whether nearly all labels are met as it is, and no more with a change."""
    count, (gained, lost) = grounds.known_labels, grounds.trial(right).turned
    return (
        count >= FEW and count - grounds.correct() <= QUIET * count and gained <= lost
    )


def _by_chance(grounds: Grounds, score: Score) -> float:
    """Return the chance that one of all changes tried puts as many labels right as this one.

    Each puts a wrong label right as often as those do that are called otherwise.
    """
    tried = grounds.scores()
    apart = [one for one in tried if not one.candidate.causes & score.candidate.causes]
    gained, lost = grounds.trial(score.candidate.preprocessing).turned
    wrong = grounds.known_labels - grounds.correct()
    met = sum(grounds.trial(one.candidate.preprocessing).turned[0] for one in apart)
    rate = (met + 1) / (wrong * len(apart) + 2)
    return min(1.0, at_least(gained - lost, wrong, rate) * len(tried))


def settled(grounds: Grounds, ranked: Scores, told: set[str]) -> list[Finding]:
    """Return each cause not yet told: ruled out where no candidate of it is left that would change anything.

    A candidate is left that comes near to being named, or that changes a prediction and is not excluded.
    """
    found: dict[str, Finding] = {}
    excluded = _SEES_NOT if grounds.evaluator.statistics else _MEETS_NOT
    for score in ranked:
        cause = score.candidate.cause
        if cause in told or (cause in found and found[cause].verdict == "cannot_tell"):
            continue
        trial = grounds.trial(score.candidate.preprocessing)
        labelled = (
            bool(grounds.known_labels) and _by_chance(grounds, score) <= BY_CHANCE
        )
        if (
            labelled
            or score.gain > NEAR
            or (score.gain > EXCLUDED and trial.changed.any())
        ):
            found[cause] = Finding(cause, "cannot_tell", _OPEN, weighed(score))
        else:
            found.setdefault(
                cause, Finding(cause, "ruled_out", excluded, weighed(score))
            )
    return list(found.values())


def difference(in_use: Preprocessing, right: Preprocessing) -> str:
    """Return what `right` does otherwise, step by step, and which steps it leaves out."""
    before, after = (
        dict(line.split(": ", 1) for line in each.describe())
        for each in (in_use, right)
    )
    changed = [
        f"{step}: {words}" for step, words in after.items() if before.get(step) != words
    ]
    left_out = [
        f"leave out {step} ({words})"
        for step, words in before.items()
        if step not in after
    ]
    return "; ".join([*changed, *left_out])


def fix(in_use: Preprocessing, right: Preprocessing, cause: str) -> Fix:
    """Return what to change, in words and as code."""
    text = (
        f"Prepare images as in training: {difference(in_use, right)} (fixes {cause})."
    )
    return using(text, right)
