"""The search for the preprocessing fault that is to be undone, and what its scores come to, in words."""

from dataclasses import dataclass, replace
from math import inf, sqrt
from typing import NamedTuple

import numpy as np

from kit.diagnosis.candidates import FEW, QUIET, Candidate
from kit.diagnosis.checks_input import BY_PREDICTIONS
from kit.diagnosis.estimation import as_light, estimated
from kit.diagnosis.evidence import LEAST_SIDE, Grounds, Score, Scores
from kit.diagnosis.finding import Evidence, Finding, Fix, at_least, using
from kit.diagnosis.sources import NAMED, Bundled, Certainty, Labelled
from kit.preprocessing import Preprocessing
from kit.preprocessing.pipeline import contrasts
from kit.samples import probes

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
    singles = grounds.scores()
    weighed = pairs(grounds, singles[:FIRSTS])
    if not weighed:
        return None
    best = weighed[0]
    alone = max(singles[0].gain, 0.0)
    rivals = (pair.both.gain for pair in weighed if pair.causes != best.causes)
    needed = NAMED + DEARER
    enough = max(needed, alone + DEARER, max(rivals, default=-inf) + LEAD)
    right = best.both.right
    if (
        best.both.gain < enough
        or not grounds.usual(right)
        or best.both.vetoed
        or _needless(grounds, right)
        or as_light(grounds, best.both)
    ):
        return None
    text = "gain of both changes together, in nats"
    evidence = (
        Evidence(text, best.both.gain, needed, supports=True),
        Evidence("gain of the best change alone", alone),
    )
    findings = [
        Finding(
            cause=cause,
            verdict="named",
            summary="One of two causes.",
            evidence=evidence,
            cost=_cost(grounds, right),
            fix=fix(grounds.in_use, right),
        )
        for cause in (best.first.cause, best.both.candidate.cause)
    ]
    return findings, right


_UNABLE = "too little is known of the training images: give labels or training images"
_FEW_LABELS = "so few labels match by chance: give more, or training images"
_REMAINS = "once that is fixed, the first layers still get unusual values"
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
    if not grounds.measured and not grounds.known_labels:
        return Search(findings=by_certainty(grounds), notes=(_UNABLE,))
    named, doubtful, right = _one_or_two(grounds)
    usual = grounds.usual(right)
    repaired = grounds.around(right)
    reported = {
        cause
        for finding in named or doubtful
        for cause in (finding.cause, *finding.equivalent)
    }
    others = settled(repaired, repaired.scores(), reported)
    undecided = [finding.cause for finding in others if finding.verdict != "ruled_out"]
    convincing = grounds.convincing()
    notes = []
    if named:
        others = []
        if undecided:
            notes.append(
                f"once that is fixed, these cannot be judged: {', '.join(undecided)}"
            )
        if not usual:
            notes.append(_REMAINS)
    elif any(finding.summary == _LIGHT for finding in doubtful):
        notes.append(_LIGHT)
    else:
        if not usual:
            notes.append(_UNUSUAL)
        if not grounds.decisive and (doubtful or not convincing):
            notes.append(_FEW_LABELS if grounds.known_labels else _UNABLE)
    nothing_else = usual and convincing and not (doubtful or undecided)
    return Search(
        findings=(*named, *doubtful, *others),
        decided=bool(named) or nothing_else,
        photographic=bool(grounds.probes),
        notes=tuple(notes),
        judged_by=grounds.judged_by,
        as_in_training=grounds.as_in_training,
    )


UNSURE = 0.5
"""Probability that some prediction of a network exceeds under the right scaling."""


def by_certainty(grounds: Grounds) -> tuple[Finding, ...]:
    """Return a scaling as possible where the one in use makes all predictions for photos unsure, or the same.

    How sure a network is names nothing: see `kit.diagnosis.sources.Certainty`.
    """
    photos = (*grounds.photos, *probes())

    def dull(p: Preprocessing) -> bool:
        rows = grounds.evaluator.answers(photos, p)
        return bool(rows.max() <= UNSURE or np.ptp(rows.argmax(axis=1)) == 0)

    if min(grounds.in_use.size or (0,)) < LEAST_SIDE or not dull(grounds.in_use):
        return ()
    for score in grounds.scores():
        candidate = score.candidate
        if candidate.step == "scaling" and not dull(score.right):
            advice = fix(grounds.in_use, score.right)
            return (Finding(candidate.cause, "possible", _DULL, fix=advice),)
    return ()


def contradicted(grounds: Grounds, finding: Finding) -> bool:
    """Whether labels or the user's images forbid the fix of a fault that a check has named."""
    right = finding.fix.preprocessing
    if right is None:
        return False
    before = grounds.evaluator.tensors(grounds.photos, grounds.in_use)
    after = grounds.evaluator.tensors(grounds.photos, right)
    if before.shape != after.shape or not np.isfinite([before, after]).all():
        return False
    return grounds.score(Candidate(right, "", finding.cause)).vetoed


def unsupported(grounds: Grounds, finding: Finding) -> bool:
    """Whether nothing but surer predictions speaks for the fix of what a check has named by predictions."""
    right = finding.fix.preprocessing
    if right is None or finding.cause not in BY_PREDICTIONS:
        return False
    score = grounds.score(Candidate(right, "", finding.cause))
    gains = [
        vote.gain
        for source, vote in zip(grounds.sources, score.votes, strict=False)
        if not isinstance(source, Certainty | Bundled)
    ]
    return not gains or sum(gains) < -NEAR


def _one_or_two(grounds: Grounds) -> tuple[list[Finding], list[Finding], Preprocessing]:
    """Return what `_one_by_one` does, or a pair; what is named together has one fix."""
    named, doubtful, right = _one_by_one(grounds)
    if not named and (pair := together(grounds)) is not None:
        named, right = pair
        doubtful = []
    if len(named) > 1 and all(finding.fix.preprocessing for finding in named):
        named = [replace(finding, fix=fix(grounds.in_use, right)) for finding in named]
    return named, doubtful, right


def _one_by_one(grounds: Grounds) -> tuple[list[Finding], list[Finding], Preprocessing]:
    """Return what is named, what is doubtful, and the preprocessing fixed."""
    named: list[Finding] = []
    steps: set[str] = set()
    for _ in range(ROUNDS):
        scores = [
            score for score in grounds.scores() if score.candidate.step not in steps
        ]
        fitted = None if "scaling" in steps else estimated(grounds, scores)
        if fitted is not None:
            # The known scalings only come near to it.
            others = (score for score in scores if score.candidate.step != "scaling")
            scores = sorted([fitted, *others], key=lambda score: -score.gain)
        finding = judged(grounds, scores)
        if finding is None or finding.verdict != "named":
            return named, [*filter(None, [finding])], grounds.in_use
        named.append(finding)
        best = scores[0].candidate
        steps.add(best.step)
        grounds = grounds.around(best.preprocessing)
        if finding.fix.preprocessing is None:
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
_MEETS = "With the fix, labelled images are predicted correctly."
_MAY = "The fix brings the images a little closer to training."
_SEES_NOT = "This change does not bring the images closer to training."
_MEETS_NOT = "This change does not make more predictions correct."
_LIGHT = (
    "The preprocessing, or the light of these images: compare with a training image."
)
_DULL = "All predictions are unsure, or the same; with another scaling they are not."
_OPEN = "No evidence shows whether this is as in training."


def judged(grounds: Grounds, scores: Scores) -> Finding | None:
    """Put the first of the scores into words and numbers; None where nothing speaks for a change."""
    if not scores or scores[0].gain < POSSIBLE:
        return None
    best = scores[0]
    right = best.right
    conditions = [*filter(None, (_lead(best, scores), _beyond_chance(grounds, best)))]
    lit = as_light(grounds, best)
    sure = (
        best.gain >= NAMED
        and best.measured >= MEASURED
        and grounds.usual(right)
        and not (best.vetoed or lit or _needless(grounds, right))
        and all(condition.supports for condition in conditions)
    )
    if lit:
        summary = _LIGHT
    elif not grounds.evaluator.statistics:
        summary = _MEETS
    else:
        summary = _SEES if sure else _MAY
    advice = _best_fix(grounds, best, scores)
    if sure and advice.preprocessing is None:
        sentences = " ".join(contrasts(grounds.in_use, right).values())
        differs, _, _ = sentences.partition(";")
        summary = f"{differs}; this model was trained otherwise."
    return Finding(
        cause=best.candidate.cause,
        verdict="named" if sure else "possible",
        summary=summary,
        evidence=(*weighed(best), *conditions),
        cost=_cost(grounds, right),
        fix=advice,
        equivalent=best.candidate.equivalent,
    )


def _cost(grounds: Grounds, right: Preprocessing) -> float:
    """Return the share of the predictions that change."""
    return float(grounds.trial(right).changed.mean())


def _best_fix(grounds: Grounds, best: Score, scores: Scores) -> Fix:
    """Return the fix, without code where another one explains as much and changes predictions."""
    right = best.right
    unlike = [
        variant for variant in best.variants if _unlike(grounds, right, variant, 0)
    ]
    unlike += [
        rival
        for rival in _rivals(grounds, best, scores)
        if _unlike(grounds, right, rival, 2)
    ]
    if not unlike:
        return fix(grounds.in_use, right)
    first = difference(grounds.in_use, right)
    second = difference(grounds.in_use, unlike[0])
    return Fix(
        f"Prepare images as in training; these cannot tell {first} from {second}: give more, or labels."
    )


def _rivals(grounds: Grounds, best: Score, scores: Scores) -> list[Preprocessing]:
    """Return what else of the same step explains about as much.

    Few labels tell less where they are alone, and how sure a network is of them tells nothing: what meets as
    many within chance, and moves predictions, is a rival however likely it makes them.
    """
    by_labels = not grounds.measured
    lead = LEAD
    if by_labels:
        lead *= max(
            sqrt(grounds.labelled.enough(grounds.in_use) / grounds.known_labels), 1
        )
    repaired = grounds.around(best.right)

    def close(rival: Score) -> bool:
        if best.gain - rival.gain < lead:
            return True
        trial = repaired.trial(rival.right)
        if not by_labels or trial.moved.mean() <= QUIET:
            return False
        gained, lost = repaired.turned(rival.right)
        return at_least(lost, gained + lost, 0.5) > Labelled.BY_CHANCE

    return [
        rival.right
        for rival in scores
        if rival.candidate.step == best.candidate.step and rival is not best
        if not rival.vetoed and close(rival)
    ]


def _unlike(
    grounds: Grounds, right: Preprocessing, other: Preprocessing, errors: int
) -> bool:
    """Whether another preprocessing may change more than a few predictions; a few images do not show it."""
    photos = (*grounds.probes[:FEW], *grounds.photos)
    moved = grounds.evaluator.trial(photos, right, other).moved
    # With 2, the upper end of the interval of Agresti and Coull (1998).
    share = (moved.sum() + errors) / (len(moved) + 2 * errors)
    return bool(share > QUIET) and not grounds.evaluator.alike(photos, right, other)


def weighed(score: Score) -> tuple[Evidence, ...]:
    """Return the sum of the votes, then what each of them measured."""
    whole = Evidence(
        "overall evidence, in nats", score.gain, NAMED, supports=score.gain >= NAMED
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


def _lead(best: Score, scores: Scores) -> Evidence | None:
    """Return the lead over that other cause whose lead is the most doubtful."""

    def needed(rival: Score) -> float:
        return LEAD_WITHIN if rival.candidate.step == best.candidate.step else LEAD

    rival = min(
        _otherwise_called(best, scores),
        key=lambda rival: -rival.gain - needed(rival),
        default=None,
    )
    if rival is None:
        return None
    lead = best.gain - rival.gain
    text = f"lead over {rival.candidate.cause}, the next cause, in nats"
    return Evidence(text, lead, needed(rival), supports=lead >= needed(rival))


def _otherwise_called(score: Score, scores: Scores) -> list[Score]:
    causes = score.candidate.causes
    return [other for other in scores if not causes & other.candidate.causes]


def _beyond_chance(grounds: Grounds, best: Score) -> Evidence | None:
    """Return the chance of so many more labels; None where other evidence names the cause without them."""
    kinds = map(type, grounds.sources)
    gains = {kind: vote.gain for kind, vote in zip(kinds, best.votes, strict=False)}
    by_others = gains.get(Bundled, 0.0)
    if grounds.evaluator.statistics:
        by_others = best.gain - gains.get(Labelled, 0.0)
    if by_others >= NAMED:
        return None
    gained, lost = grounds.turned(best.right)
    chance = _by_chance(grounds, best)
    text = f"chance that any change puts {gained} labels right and {lost} wrong"
    return Evidence(text, chance, BY_CHANCE, supports=chance <= BY_CHANCE)


def _needless(grounds: Grounds, right: Preprocessing) -> bool:
    """Whether nearly all labels are met as it is, and no more with a change."""
    count = grounds.known_labels
    gained, lost = grounds.turned(right)
    wrong = count - grounds.correct()
    return count >= FEW and wrong <= QUIET * count and gained <= lost


def _by_chance(grounds: Grounds, score: Score) -> float:
    """Return the chance that one of all changes tried puts as many labels right as this one.

    Each puts a wrong label right as often as those do that are called otherwise.
    """
    scores = grounds.scores()
    others = _otherwise_called(score, scores)
    gained, lost = grounds.turned(score.right)
    wrong = grounds.known_labels - grounds.correct()
    by_others = sum(grounds.turned(other.right)[0] for other in others)
    rate = (by_others + 1) / (wrong * len(others) + 2)
    return min(1.0, at_least(gained - lost, wrong, rate) * len(scores))


def settled(grounds: Grounds, scores: Scores, reported: set[str]) -> list[Finding]:
    """Return each cause not yet reported: ruled out where no candidate of it would change anything.

    A candidate is left that comes near to being named, or that changes a prediction and is not excluded.
    """
    findings: dict[str, Finding] = {}
    excluded = _SEES_NOT if grounds.evaluator.statistics else _MEETS_NOT
    for score in scores:
        cause = score.candidate.cause
        previous = findings.get(cause)
        if cause in reported or (previous and previous.verdict == "cannot_tell"):
            continue
        if _undecided(grounds, score):
            findings[cause] = Finding(cause, "cannot_tell", _OPEN, weighed(score))
        elif previous is None:
            findings[cause] = Finding(cause, "ruled_out", excluded, weighed(score))
    return list(findings.values())


def _undecided(grounds: Grounds, score: Score) -> bool:
    if grounds.known_labels and _by_chance(grounds, score) <= BY_CHANCE:
        return True
    changed = grounds.trial(score.right).changed
    return score.gain > NEAR or bool(score.gain > EXCLUDED and changed.any())


def difference(in_use: Preprocessing, right: Preprocessing) -> str:
    """Return what `right` does otherwise, step by step, and which steps it leaves out."""
    before = dict(line.split(": ", 1) for line in in_use.describe())
    after = dict(line.split(": ", 1) for line in right.describe())
    changed = [
        f"{step}: {words}" for step, words in after.items() if before.get(step) != words
    ]
    left_out = [
        f"leave out {step} ({words})"
        for step, words in before.items()
        if step not in after
    ]
    return "; ".join([*changed, *left_out])


def fix(in_use: Preprocessing, right: Preprocessing) -> Fix:
    """Return what to change, in words and as code."""
    return using(f"Prepare images as in training: {difference(in_use, right)}.", right)
