"""The search for the preprocessing fault that is to be undone."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf

import numpy as np

from kit._arrays import Float64, Floats
from kit.classifier import Classifier, known_preprocessing
from kit.classifier.labels import Truth
from kit.diagnosis.candidates import Candidate, Equivalent, Evaluator, candidates
from kit.diagnosis.evidence import FEW, NAMED, Grounds, Score, estimated
from kit.diagnosis.finding import Evidence, Finding, Fix, at_least, using
from kit.images import Photo
from kit.preprocessing import Preprocessing

POSSIBLE = 0.25
"""Nats from which on a cause is mentioned."""

MEASURED = 0.05
"""Nats that must have been measured: how rare a step is never names it alone."""

NEAR, EXCLUDED = 0.1, -0.2
"""Nats above which a candidate is never ruled out, and up to which it is, if it changes any answer."""

LEAD, LEAD_WITHIN = 0.2, 0.03
"""Nats by which a cause must lead the next one of another step, and of the same step."""

BY_CHANCE = 0.02
"""Chance that a change which does nothing puts so many more labels right, where labels are all there is."""

_SEES = "The network sees what it was trained on when this is changed: {}."
_MEETS = "The labels are met when this is changed: {}."
_MAY = "Changing this brings the network somewhat nearer to what it was trained on: {}."
_SEES_NOT = "Changing this brings the network no nearer to what it was trained on."
_MEETS_NOT = "The labels are met no better when this is changed."
_OPEN = "Nothing tells whether this is as in training; changing it changes answers."


def judged(grounds: Grounds, ranked: Sequence[Score], in_use: Preprocessing) -> Finding | None:
    """Put the first of the scores into words and numbers; None where nothing speaks against `in_use`."""
    if not ranked or ranked[0].gain < POSSIBLE:
        return None
    best = ranked[0]
    right, cause = best.candidate.preprocessing, best.candidate.cause
    conditions = [one for one in (_lead(grounds, best, ranked), _beyond_chance(grounds, best, in_use)) if one]
    seen = best.measured >= MEASURED and best.at_home and not best.vetoed
    sure = best.gain >= NAMED and seen and all(one.supports for one in conditions)
    return Finding(
        cause,
        "named" if sure else "possible",
        _summary(grounds, sure=sure).format(difference(in_use, right)),
        (*weighed(best), *conditions),
        float(grounds.trial(in_use, right).changed.mean()),
        fix(in_use, right, cause),
        _same_causes(grounds, best, ranked),
    )


def _summary(grounds: Grounds, *, sure: bool) -> str:
    if not grounds.evaluator.statistics:
        return _MEETS
    return _SEES if sure else _MAY


def weighed(score: Score) -> tuple[Evidence, ...]:
    """Return the sum of the votes, then what each of them measured."""
    whole = Evidence(
        "all evidence together, in nats; a vote counts as much as is said behind it",
        score.gain,
        NAMED,
        supports=score.gain >= NAMED,
    )
    told = [
        Evidence(f"{vote.text} (counts {vote.gain:+.2f})", vote.measured, supports=vote.gain > 0)
        for vote in score.votes
        if vote.gain or vote.veto
    ]
    return (whole, *told)


def _lead(grounds: Grounds, best: Score, ranked: Sequence[Score]) -> Evidence | None:
    other = best_of_another_cause(grounds, best, ranked)
    if other is None:
        return None
    lead, text = best.gain - other.gain, f"lead over the next cause, {other.candidate.cause}, in nats"
    needed = LEAD_WITHIN if other.candidate.step == best.candidate.step else LEAD
    return Evidence(text, lead, needed, supports=lead >= needed)


def best_of_another_cause(grounds: Grounds, best: Score, ranked: Sequence[Score]) -> Score | None:
    """Return the score of another cause, told from the best at all, whose lead is the most doubtful."""
    rivals = [
        score
        for score in ranked
        if not best.candidate.causes & score.candidate.causes and _same(grounds, best, score) is None
    ]
    within = [score for score in rivals if score.candidate.step == best.candidate.step]
    beyond = [score for score in rivals if score.candidate.step != best.candidate.step]
    close = [score for score in within[:1] if best.gain - score.gain < LEAD_WITHIN]
    return next(iter((*close, *beyond, *within)), None)


def _same(grounds: Grounds, one: Score, other: Score) -> float | None:
    pair = one.candidate.preprocessing, other.candidate.preprocessing
    return grounds.equivalence(*pair, one.measured - other.measured)


def _beyond_chance(grounds: Grounds, best: Score, in_use: Preprocessing) -> Evidence | None:
    """Return the chance of so many more labels; None where there is other evidence than labels."""
    if grounds.evaluator.statistics:
        return None
    gained, lost = grounds.trial(in_use, best.candidate.preprocessing).turned
    chance = _by_chance(grounds, best, in_use)
    text = f"chance of {gained} labels more and {lost} less by a change that does nothing, out of all tried"
    return Evidence(text, chance, BY_CHANCE, supports=chance <= BY_CHANCE)


def _by_chance(grounds: Grounds, score: Score, in_use: Preprocessing) -> float:
    """Return the chance that one of all changes that are tried turns as many labels to the good."""
    gained, lost = grounds.trial(in_use, score.candidate.preprocessing).turned
    return min(1.0, at_least(gained, gained + lost, 0.5) * len(grounds.tried(in_use)))


def disagreement(grounds: Grounds, ranked: Sequence[Score], in_use: Preprocessing) -> str:
    """Say where the labels and the statistics of training speak for different things; empty where not."""
    if not grounds.known_labels or not grounds.evaluator.statistics:
        return ""
    for score in ranked:
        labels = grounds.vote_of_labels(score)
        rest = score.gain - labels.gain
        changes = difference(in_use, score.candidate.preprocessing)
        if labels.veto and rest >= NAMED:
            return f"the statistics of training speak for this change, and the labels forbid it: {changes}"
        if rest <= EXCLUDED and _by_chance(grounds, score, in_use) <= BY_CHANCE:
            return f"the labels speak for this change, and the statistics of training against it: {changes}"
    return ""


def settled(
    grounds: Grounds, ranked: Sequence[Score], in_use: Preprocessing, told: set[str]
) -> list[Finding]:
    """Return each cause not yet told: ruled out where no candidate of it is left that would change anything.

    A candidate is left that comes near to being named, or that changes an answer and is not excluded.
    """
    found: dict[str, Finding] = {}
    for score in ranked:
        cause = score.candidate.cause
        if cause in told or (cause in found and found[cause].verdict == "cannot_tell"):
            continue
        trial = grounds.trial(in_use, score.candidate.preprocessing)
        labelled = bool(grounds.known_labels) and _by_chance(grounds, score, in_use) <= BY_CHANCE
        if labelled or score.gain > NEAR or (score.gain > EXCLUDED and trial.changed.any()):
            found[cause] = Finding(cause, "cannot_tell", _OPEN, weighed(score))
        else:
            summary = _SEES_NOT if grounds.evaluator.statistics else _MEETS_NOT
            found.setdefault(cause, Finding(cause, "ruled_out", summary, weighed(score)))
    return list(found.values())


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
        if score is not best and _same(grounds, best, score) is not None:
            causes.update(dict.fromkeys((score.candidate.cause, *score.candidate.equivalent)))
    causes.pop(best.candidate.cause, None)
    return tuple(causes)


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
        One or two candidates; the first differs by one step from the preprocessing in use, the second by one
        more.
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
    classifier: Classifier, photos: Sequence[Photo], truth: Floats, in_use: Preprocessing | None = None
) -> tuple[Match, ...]:
    """Try every candidate, and two together where none explains enough, against the answers of another.

    Parameters
    ----------
    classifier
        Whose answers differ from `truth`.
    photos
        At least one.
    truth
        float (N, classes): probabilities of each photo; a 1 at the right class where only that is known.
    in_use
        The preprocessing that is suspected; the classifier's own by default.

    Returns
    -------
    tuple of Match
        The best first; empty where no answer differs by more than `EQUAL`. Answers differ by the share of the
        probability that moves, half the sum of absolute differences, on average over the photos.
    """
    used = in_use or known_preprocessing(classifier)
    evaluator, chosen = Evaluator(classifier), tuple(photos)
    away = _moved(evaluator.answers(chosen, used), truth)
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
    before = evaluator.tensors(photos, used)
    found = []
    for candidate in candidates(used):
        tensors = evaluator.tensors(photos, candidate.preprocessing)
        if tensors.shape == before.shape and not np.array_equal(tensors, before):
            left = _moved(evaluator.answers(photos, candidate.preprocessing), truth).mean()
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
        left = _moved(evaluator.answers(photos, pair.preprocessing), truth)
        found.append(replace(pair, explained=float(1 - left.mean() / away.mean())))
    return [each for each in found if 1 - each.explained <= LEFT * (1 - ones[0].explained)]


def _moved(answers: Floats, truth: Floats) -> Float64:
    """Return the share of the probability that moves, float64 (N,)."""
    moved: Float64 = np.abs(answers - truth).sum(axis=1) / 2
    return moved
