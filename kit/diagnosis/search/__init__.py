"""The search over candidate preprocessings: what is named, what is only possible, what is ruled out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from kit.classifier.trial import Truth
from kit.diagnosis.finding import Finding
from kit.diagnosis.search.candidates import Candidate
from kit.diagnosis.search.estimation import estimated
from kit.diagnosis.search.evaluator import Evaluator
from kit.diagnosis.search.evidence import Grounds, Score
from kit.diagnosis.search.pairs import together
from kit.diagnosis.search.sensitivity import Equivalent
from kit.diagnosis.search.verdict import difference, disagreement, fix, judged, settled
from kit.images import Photo
from kit.preprocessing import Preprocessing

_UNABLE = (
    "there are no statistics of training pictures to compare with, and no label is given: save the classifier"
    " with training pictures, or pass reference= or labels="
)
_FEW_LABELS = (
    "labels are all there is to judge by, and as few are met by chance: give more labelled pictures, save the"
    " classifier with training pictures, or pass reference="
)
_REMAINS = (
    "with that put right, the first layers still receive what is unusual for them: another fault may be left,"
    " in the preprocessing or in the pictures"
)
_UNUSUAL = (
    "the first layers receive what is unusual for them, and no change of the preprocessing explains it;"
    " the pictures may be unlike those of the training, by their frame, their background or their light"
)


ROUNDS = 2
"""So many faults at once are looked for."""


@dataclass(frozen=True)
class Search:
    """What the search over candidates came to.

    Attributes
    ----------
    findings
        Named ones first.
    decided
        Whether there was evidence to decide by, so that nothing named means nothing wrong.
    photographic
        Whether photographs are what the network was trained on, as the probes show.
    notes
        What limits the answer, in words.
    equivalents
        Preprocessings that come to the same as the best one.
    judged_by
        What decided, in words.
    as_in_training
        Whether a profile finds the pictures, as they are, as usual as nine in ten training pictures.
    """

    findings: tuple[Finding, ...]
    decided: bool
    photographic: bool = False
    notes: tuple[str, ...] = ()
    equivalents: tuple[Equivalent, ...] = ()
    judged_by: str = ""
    as_in_training: bool = False

    @property
    def named(self) -> bool:
        """Whether a cause is named."""
        return any(finding.verdict == "named" for finding in self.findings)


NOTHING = Search((), decided=False)
"""What is known before a search."""


def search(
    evaluator: Evaluator, in_use: Preprocessing, photos: Sequence[Photo], labels: Truth = ()
) -> Search:
    """Try every candidate, put the best right, and look once more.

    Parameters
    ----------
    evaluator
        Of the network.
    in_use
        The preprocessing that is suspected.
    photos, labels
        The user's pictures, and the index of the class of each where known.
    """
    grounds = Grounds.of(evaluator, in_use, photos, labels)
    if not grounds.evaluator.statistics and not grounds.known_labels:
        return Search((), decided=False, notes=(_UNABLE,))
    named, doubtful, first, current = _one_by_one(grounds, in_use)
    if not named:
        pair = together(grounds, in_use, first)
        if pair is not None:
            named, current = pair
            doubtful = []
    if len(named) > 1:
        current = _nearest(grounds, current)
        named = [replace(one, fix=fix(in_use, current, one.cause)) for one in named]
    found = (*named, *doubtful)
    told = {cause for one in found for cause in (one.cause, *one.equivalent)}
    deciding = next((score for score in first if named and score.candidate.cause == named[0].cause), None)
    named_one, usual = bool(named), grounds.usual(current)
    open_ones = settled(grounds, first, in_use, told) if not named_one else []
    clear = not doubtful and all(one.verdict == "ruled_out" for one in open_ones)
    sure = {cause for one in named for cause in (one.cause, *one.equivalent)}
    notes = _remaining(grounds, current, sure) if named_one else ()
    if not usual:
        notes = (*notes, _REMAINS if named_one else _UNUSUAL)
    contradiction = "" if named_one else disagreement(grounds, first, in_use)
    if contradiction:
        notes = (*notes, contradiction)
    convincing = grounds.convincing(in_use) and not contradiction
    if not grounds.evaluator.statistics and not named_one and (doubtful or not convincing):
        notes = (*notes, _FEW_LABELS)
    return Search(
        (*found, *open_ones),
        decided=named_one or (clear and usual and convincing),
        photographic=bool(grounds.probes),
        notes=notes,
        equivalents=_equivalents(grounds, current),
        judged_by=grounds.judged_by(deciding),
        as_in_training=grounds.as_in_training(in_use),
    )


def contradicted(
    evaluator: Evaluator, in_use: Preprocessing, photos: Sequence[Photo], labels: Truth, finding: Finding
) -> bool:
    """Whether labels or the user's pictures forbid the fix of a fault that a check has named."""
    right = None if finding.fix is None else finding.fix.preprocessing
    if finding.verdict != "named" or right is None:
        return False
    shapes = {evaluator.tensors(photos[:1], each).shape for each in (in_use, right)}
    if len(shapes) > 1 or not all(
        np.isfinite(evaluator.tensors(photos, each)).all() for each in (in_use, right)
    ):
        return False
    grounds = Grounds.of(evaluator, in_use, photos, labels)
    return grounds.score(in_use, Candidate(right, "", finding.cause)).vetoed


def _one_by_one(
    grounds: Grounds, in_use: Preprocessing
) -> tuple[list[Finding], list[Finding], tuple[Score, ...], Preprocessing]:
    """Return what is named, what is doubtful, the first round's scores, and the preprocessing put right."""
    named: list[Finding] = []
    first: tuple[Score, ...] = ()
    steps: set[str] = set()
    current = in_use
    for _ in range(ROUNDS):
        ranked = [score for score in grounds.scores(current) if score.candidate.step not in steps]
        first = first or tuple(ranked)
        better = None if "scaling" in steps else estimated(grounds, current, ranked)
        if better is not None:
            # The known scalings only come near to it.
            others = (score for score in ranked if score.candidate.step != "scaling")
            ranked = sorted([better.score, *others], key=lambda score: -score.gain)
        one = judged(grounds, ranked, current)
        if one is not None and better is not None and ranked[0] is better.score:
            one = replace(one, evidence=(*one.evidence, *better.evidence))
        if one is None or one.verdict != "named":
            return named, [one] if one else [], first, current
        named.append(one)
        best = ranked[0].candidate
        steps.add(best.step)
        current = best.preprocessing
    return named, [], first, current


def _remaining(grounds: Grounds, right: Preprocessing, told: set[str]) -> tuple[str, ...]:
    """Say which causes are neither named nor ruled out once what is named is put right."""
    rest = settled(grounds, grounds.scores(right), right, told)
    left = ", ".join(one.cause for one in rest if one.verdict != "ruled_out")
    return (f"with that put right, another fault may be left: {left} cannot be told",) if left else ()


def _nearest(grounds: Grounds, right: Preprocessing) -> Preprocessing:
    """Return what comes to the same as `right` and lies nearer to training now that all is put right."""
    best = next(iter(grounds.scores(right)), None)
    if best is None or best.gain <= 0:
        return right
    nearer = best.candidate.preprocessing
    return right if grounds.equivalence(right, nearer, best.measured) is None else nearer


def _equivalents(grounds: Grounds, right: Preprocessing) -> tuple[Equivalent, ...]:
    """Return the candidates that neither statistics nor answers tell from `right`."""
    found = []
    for score in grounds.scores(right):
        candidate = score.candidate
        largest = grounds.equivalence(right, candidate.preprocessing, score.measured)
        if largest is not None:
            change = difference(right, candidate.preprocessing)
            found.append(Equivalent(change, candidate.cause, largest))
    return tuple(found)
