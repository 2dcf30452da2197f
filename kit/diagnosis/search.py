"""The search for the preprocessing fault that is to be undone."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf

import numpy as np

from kit._arrays import Float64, Floats
from kit.classifier import Classifier, known_preprocessing
from kit.classifier.labels import Trial
from kit.diagnosis.candidates import Candidate, Evaluator, candidates
from kit.diagnosis.estimation import estimated
from kit.diagnosis.evidence import FEW, Grounds
from kit.diagnosis.finding import Evidence, Finding, Photos
from kit.diagnosis.sources import NAMED
from kit.diagnosis.verdict import LEAD, difference, fix, judged, settled
from kit.images import Photo
from kit.preprocessing import Preprocessing

FIRSTS = 6
"""Changes that are combined with others where none explains anything alone."""

DEARER = 0.4
"""Nats more that two changes must explain than one: of so many pairs some fit better by chance."""


def together(grounds: Grounds, in_use: Preprocessing) -> tuple[list[Finding], Preprocessing] | None:
    """Look for two changes of which neither explains anything alone.

    Returns a finding for each of the two, and the preprocessing with both; None where there are none.
    """
    if not grounds.evaluator.statistics or grounds.usual(in_use):
        return None
    ranked = grounds.scores(in_use)
    pairs = [
        (one.candidate, grounds.score(in_use, second))
        for one in ranked[:FIRSTS]
        for second in grounds.tried(one.candidate.preprocessing)
        if second.step != one.candidate.step
    ]
    if not pairs:
        return None
    pairs.sort(key=lambda pair: -pair[1].gain)
    (first, both), alone = pairs[0], max(ranked[0].gain, 0.0)
    causes = {first.cause, both.candidate.cause}
    rival = next((s.gain for f, s in pairs if {f.cause, s.candidate.cause} != causes), -inf)
    needed = NAMED + DEARER
    enough = both.gain >= max(needed, alone + DEARER, rival + LEAD)
    if not enough or not both.at_home or both.vetoed:
        return None
    evidence = (
        Evidence("gain of both changes together, in nats", both.gain, needed, supports=True),
        Evidence("gain of the best change alone", alone),
    )
    right = both.candidate.preprocessing
    share = float(grounds.trial(in_use, right).changed.mean())
    findings = []
    for change, before in ((first, in_use), (both.candidate, first.preprocessing)):
        changes = difference(before, change.preprocessing)
        summary = f"Two causes together; neither explains anything alone. Fixed by: {changes}."
        fixed = fix(in_use, right, change.cause)
        findings.append(Finding(change.cause, "named", summary, evidence, share, fixed))
    return findings, right


_UNABLE = "no statistics of training images, and no labels: pass reference= or labels="
_FEW_LABELS = "so few labels can match by chance: give more labelled images, or pass reference="
_REMAINS = "with that fixed, the first layers still get unusual values: there may be another fault"
_UNUSUAL = "the first layers get unusual values, and no step explains it: look at crop, background and light"


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


def search(grounds: Grounds, in_use: Preprocessing) -> Search:
    """Try every candidate, put the best right, and look once more; `in_use` is suspected."""
    if not grounds.evaluator.statistics and not grounds.known_labels:
        return Search(notes=(_UNABLE,))
    named, doubtful, current = _one_by_one(grounds, in_use)
    if not named and (pair := together(grounds, in_use)) is not None:
        (named, current), doubtful = pair, []
    if len(named) > 1 and all(one.right for one in named):
        named = [replace(one, fix=fix(in_use, current, one.cause)) for one in named]
    usual = grounds.usual(current)
    decided, rest = True, []
    if named:
        notes = [*_remaining(grounds, current, _causes(named)), *[_REMAINS] * (not usual)]
    else:
        rest = settled(grounds, grounds.scores(in_use), in_use, _causes(doubtful))
        notes = [_UNUSUAL] * (not usual)
        convincing = grounds.convincing(in_use)
        if not grounds.evaluator.statistics and (doubtful or not convincing):
            notes.append(_FEW_LABELS)
        settled_all = not doubtful and all(one.verdict == "ruled_out" for one in rest)
        decided = settled_all and usual and convincing
    findings, as_in_training = (*named, *doubtful, *rest), grounds.as_in_training(in_use)
    return Search(findings, decided, bool(grounds.probes), tuple(notes), grounds.judged_by, as_in_training)


def _causes(findings: Sequence[Finding]) -> set[str]:
    return {cause for one in findings for cause in (one.cause, *one.equivalent)}


def contradicted(grounds: Grounds, in_use: Preprocessing, finding: Finding) -> bool:
    """Whether labels or the user's images forbid the fix of a fault that a check has named."""
    if finding.right is None:
        return False
    before, after = (grounds.evaluator.tensors(grounds.photos, p) for p in (in_use, finding.right))
    if before.shape != after.shape or not (np.isfinite(before).all() and np.isfinite(after).all()):
        return False
    return grounds.score(in_use, Candidate(finding.right, "", finding.cause)).vetoed


def _one_by_one(
    grounds: Grounds, in_use: Preprocessing
) -> tuple[list[Finding], list[Finding], Preprocessing]:
    """Return what is named, what is doubtful, and the preprocessing fixed."""
    named: list[Finding] = []
    steps: set[str] = set()
    current = in_use
    for _ in range(ROUNDS):
        ranked = [score for score in grounds.scores(current) if score.candidate.step not in steps]
        fitted = None if "scaling" in steps else estimated(grounds, current, ranked)
        if fitted is not None:
            # The known scalings only come near to it.
            others = (score for score in ranked if score.candidate.step != "scaling")
            ranked = sorted([fitted, *others], key=lambda score: -score.gain)
        one = judged(grounds, ranked, current)
        if one is None or one.verdict != "named":
            return named, [one] if one else [], current
        named.append(one)
        best = ranked[0].candidate
        steps.add(best.step)
        current = best.preprocessing
        if one.right is None:
            break
    return named, [], current


def _remaining(grounds: Grounds, right: Preprocessing, told: set[str]) -> tuple[str, ...]:
    """Say which causes are neither named nor ruled out once what is named is fixed."""
    rest = settled(grounds, grounds.scores(right), right, told)
    left = ", ".join(one.cause for one in rest if one.verdict != "ruled_out")
    return (f"with that fixed, there may be another fault: cannot tell about {left}",) if left else ()


EXPLAINED, LEFT = 0.98, 0.5
"""Share of a difference from which on one change is enough, and share of the rest that two may leave."""

EQUAL = 1e-3
"""Share of the probability up to which two answers are the same."""


@dataclass(frozen=True)
class Match:
    """A preprocessing under which a network comes nearer to given answers.

    Attributes
    ----------
    changes
        One or two candidates, each of which differs by one step from what is before it.
    explained
        Share of the difference that goes with them: 1 where nothing is left, below 0 where they add to it.
    """

    changes: tuple[Candidate, ...]
    explained: float

    @property
    def preprocessing(self) -> Preprocessing:
        """With all changes."""
        return self.changes[-1].preprocessing


def matching(
    classifier: Classifier, photos: Photos, truth: Floats, in_use: Preprocessing | None = None
) -> tuple[Match, ...]:
    """Try every candidate, and two together where none explains enough, against the predictions of another.

    Parameters
    ----------
    classifier, in_use
        Whose answers differ from `truth`, and the preprocessing that is suspected, by default its own.
    photos
        At least one.
    truth
        float (N, classes): probabilities of each photo; a 1 at the right class where only that is known.

    Returns
    -------
    tuple of Match
        The best first; empty where no answer differs by more than `EQUAL`. Answers differ by the share of the
        probability that moves, half the sum of absolute differences, on average over the photos.
    """
    used = in_use or known_preprocessing(classifier)
    evaluator, chosen = Evaluator(classifier), tuple(photos)
    away = Trial(evaluator.answers(chosen, used), truth).moved
    if away.max() <= EQUAL:
        return ()
    found = _matches(evaluator, chosen, truth, used, float(away.mean()))
    if found and found[0].explained < EXPLAINED:
        found += _two(evaluator, chosen, truth, found, away)
    return tuple(sorted(found, key=lambda match: -match.explained))


def _matches(
    evaluator: Evaluator, photos: tuple[Photo, ...], truth: Floats, used: Preprocessing, whole: float
) -> list[Match]:
    """Return what each candidate explains of a difference that is `whole`; the best first."""
    found = []
    for candidate in evaluator.differing(photos, used, candidates(used)):
        left = Trial(evaluator.answers(photos, candidate.preprocessing), truth).moved.mean()
        found.append(Match((candidate,), float(1 - left / whole)))
    return sorted(found, key=lambda match: -match.explained)


def _two(
    evaluator: Evaluator, photos: tuple[Photo, ...], truth: Floats, ones: Sequence[Match], away: Float64
) -> list[Match]:
    """Return the pairs that explain more than any one, chosen by the photos that differ most."""
    most = np.sort(np.argsort(-away)[:FEW])
    few = tuple(photos[place] for place in most)
    pairs = [
        replace(two, changes=(*one.changes, *two.changes))
        for one in ones[:FIRSTS]
        for two in _matches(evaluator, few, truth[most], one.preprocessing, float(away[most].mean()))
        if two.changes[0].step != one.changes[0].step
    ]
    found = []
    for pair in sorted(pairs, key=lambda pair: -pair.explained)[:FIRSTS]:
        left = Trial(evaluator.answers(photos, pair.preprocessing), truth).moved
        found.append(replace(pair, explained=float(1 - left.mean() / away.mean())))
    return [each for each in found if 1 - each.explained <= LEFT * (1 - ones[0].explained)]
