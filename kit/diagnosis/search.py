"""The search for the preprocessing fault that is to be undone, and what its scores come to, in words."""

from dataclasses import dataclass
from math import inf
from typing import NamedTuple

import numpy as np

from kit.diagnosis.candidates import FEW_IMAGES, QUIET_SHARE, Candidate
from kit.diagnosis.checks_input import BY_PREDICTIONS
from kit.diagnosis.estimation import (
    gain_beside_own_distance,
    is_explained_by_light,
    with_unlisted_scaling,
)
from kit.diagnosis.evidence import CONVINCING_CHANCE, LEAST_SIDE, Grounds, Score, Scores
from kit.diagnosis.finding import (
    Evidence,
    Finding,
    Fix,
    chance_of_at_least,
    fix_from,
    words_of_changes,
)
from kit.diagnosis.sources import (
    NAMED_GAIN,
    POSSIBLE_GAIN,
    Bundled,
    Certainty,
    Labelled,
    Ordinary,
)
from kit.preprocessing import Preprocessing
from kit.preprocessing.comparison import contrasts
from kit.samples import probes as kit_photos

BEST_CHANGES_PAIRED = 6
"""Changes that are combined with others where none explains anything alone."""
PAIR_SURPLUS = 0.4
"""Nats more that two changes must explain than one: of so many pairs some fit better by chance."""


class _Faults(NamedTuple):
    """What is named, one finding that is doubtful or none, and the preprocessing with what is named fixed."""

    named: list[Finding]
    doubtful: list[Finding]
    fixed: Preprocessing


def pair_of_changes(grounds: Grounds) -> _Faults | None:
    """Find two changes that explain nothing alone; None where no two do, or others as well."""
    # Images that look as in training already need no two changes.
    if not grounds.evaluator.has_statistics or grounds.images_are_usual(grounds.in_use):
        return None
    single_scores = grounds.scores
    # Each has the cause of the first change, and the score of both: the second is made on top of the first.
    scored_pairs = [
        (first.candidate.cause, grounds.score(second))
        for first in single_scores[:BEST_CHANGES_PAIRED]
        for second in grounds.with_in_use(first.preprocessing).differing_candidates()
        if second.step != first.candidate.step
    ]
    if not scored_pairs:
        return None
    first_cause, best_pair = max(scored_pairs, key=lambda pair: pair[1].gain)
    second_cause = best_pair.candidate.cause
    # The same two changes in the other order are no rival.
    rival_gains = (
        score.gain
        for cause, score in scored_pairs
        if {cause, score.candidate.cause} != {first_cause, second_cause}
    )
    least_pair_gain = NAMED_GAIN + PAIR_SURPLUS
    best_rival_gain = max(rival_gains, default=-inf)
    least_gain = max(
        least_pair_gain,
        single_scores[0].gain + PAIR_SURPLUS,
        best_rival_gain + LEAD_OVER_STEPS,
    )
    fixed = best_pair.preprocessing
    if (
        best_pair.gain < least_gain
        or _leaves_much(grounds, fixed)
        or _must_not_be_named(grounds, best_pair)
        or _evidence_against_images(grounds, best_pair)
    ):
        return None
    evidence = Evidence(
        "gain of both changes together, in nats",
        best_pair.gain,
        least_pair_gain,
        supports=True,
    )
    findings = [
        Finding(
            cause=cause,
            verdict="named",
            summary="One of two causes.",
            evidence=(evidence,),
            cost=float(grounds.trial(fixed).changed.mean()),
            fix=fix_from(grounds.in_use, fixed),
        )
        for cause in (first_cause, second_cause)
    ]
    return _Faults(findings, [], fixed)


def _leaves_much(grounds: Grounds, fixed: Preprocessing) -> bool:
    return any(
        # Without a profile of the training, nothing tells.
        isinstance(source, Ordinary) and not source.explains_most(grounds.in_use, fixed)
        for source in grounds.sources
    )


_TOO_LITTLE_KNOWN_NOTE = (
    "too little is known of the training images: give more labels (labels=, --labels)"
    " or tensors of the training (reference=)"
)
_UNUSUAL_NOTE = (
    "the first layers get unusual values: look at the mean and standard deviation of the training,"
    " at crop, background and light"
)
MOST_FAULTS = 2
"""So many faults at once are looked for."""


@dataclass(frozen=True)
class Search:
    """What the search over candidates came to; see `kit.diagnosis.report.Diagnosis` for what is in both.

    Attributes
    ----------
    decided
        Whether there was evidence to decide by, so that nothing named means nothing wrong.
    photos_may_be_unusual
        Whether the probes show that the network knows photos, and no profile finds the images, as they are,
        as usual as nine in ten training images.
    """

    findings: tuple[Finding, ...] = ()
    decided: bool = False
    photos_may_be_unusual: bool = False
    notes: tuple[str, ...] = ()
    judged_by: str = ""


def search(grounds: Grounds) -> Search:
    """Try every candidate for the preprocessing in use, put the best right, and look once more."""
    if not grounds.judges_some_step and not grounds.labelled.count:
        return Search(
            findings=scaling_by_constant_class(grounds), notes=(_TOO_LITTLE_KNOWN_NOTE,)
        )
    # Without a named fault, `fixed` is the preprocessing in use.
    faults = _faults_one_by_one(grounds)
    if not faults.named:
        faults = pair_of_changes(grounds) or faults
    named, doubtful, fixed = faults
    looks_as_in_training = grounds.images_are_usual(fixed)
    repaired = grounds.with_in_use(fixed)
    reported_causes = {
        cause
        for finding in named or doubtful
        for cause in (finding.cause, *finding.equivalent)
    }
    others = other_findings(repaired, repaired.scores, reported_causes)
    undecided_causes = [
        finding.cause for finding in others if finding.verdict != "ruled_out"
    ]
    can_rule_out_faults = grounds.can_rule_out_faults()
    notes = [] if looks_as_in_training else [_UNUSUAL_NOTE]
    if named:
        # Beside a named cause, others are told in a note alone.
        others = []
        if undecided_causes:
            notes.append(
                f"once that is fixed, these cannot be judged: {', '.join(undecided_causes)}"
            )
    elif not grounds.judges_every_step and (doubtful or not can_rule_out_faults):
        notes.append(_TOO_LITTLE_KNOWN_NOTE)
    nothing_is_wrong = (
        looks_as_in_training
        and can_rule_out_faults
        and not (doubtful or undecided_causes)
    )
    return Search(
        findings=(*named, *doubtful, *others),
        decided=bool(named) or nothing_is_wrong,
        # Photos of the kit look as in training, and nothing says that the user's own do, too.
        photos_may_be_unusual=bool(grounds.probes)
        and not grounds.photos_are_usual_by_profile,
        notes=tuple(notes),
        judged_by=grounds.judged_by,
    )


def scaling_by_constant_class(grounds: Grounds) -> tuple[Finding, ...]:
    """Return a scaling as possible where that in use makes all predictions for photos the same."""
    # The user's may all be of one class; photos of the kit show different things.
    photos = (*grounds.photos, *kit_photos())

    def is_constant(preprocessing: Preprocessing) -> bool:
        probabilities = grounds.evaluator.probabilities(photos, preprocessing)
        classes = probabilities.argmax(axis=1)
        # Of two classes, such as cats and dogs, one may well be that of all photos of the kit.
        return bool(np.ptp(classes) == 0 and probabilities.shape[1] > 2)

    # Networks for small images know no photos.
    # Without a size photos make no batch, which counts as too small.
    size_too_small = min(grounds.in_use.size or (0,)) < LEAST_SIDE
    if size_too_small or not is_constant(grounds.in_use):
        return ()
    # The best first.
    for candidate in (score.candidate for score in grounds.scores):
        fixed = candidate.preprocessing
        if candidate.step == "scaling" and not is_constant(fixed):
            finding = Finding(
                candidate.cause,
                "possible",
                _CONSTANT_CLASS,
                fix=fix_from(grounds.in_use, fixed),
            )
            return (finding,)
    return ()


def is_merely_possible(grounds: Grounds, named_by_check: Finding) -> bool:
    """Whether evidence forbids the fix of what a check has named, or lacks for what it has by predictions."""
    fixed = named_by_check.fix.preprocessing
    if not fixed:
        return False
    candidate = Candidate(fixed, step="", cause=named_by_check.cause)
    # A fix that leaves the tensors as they are cannot be judged by them.
    if not [
        *grounds.evaluator.candidates_changing_tensors(
            grounds.photos, grounds.in_use, [candidate]
        )
    ]:
        return False
    score = grounds.score(candidate)
    # What a check read off a file or the network stands unless a source forbids its fix.
    if score.vetoed or named_by_check.cause not in BY_PREDICTIONS:
        return score.vetoed
    # How sure predictions are, images of the kit and how rare a step is (None) say nothing of the user's own.
    gains_of_own_images = [
        vote.gain
        for vote in score.votes
        if vote.source not in {Certainty, Bundled, None}
    ]
    return not gains_of_own_images or sum(gains_of_own_images) < -NEVER_EXCLUDED_GAIN


def _faults_one_by_one(grounds: Grounds) -> _Faults:
    named: list[Finding] = []
    steps_fixed: set[str] = set()
    for _ in range(MOST_FAULTS):
        scores: Scores = [
            score for score in grounds.scores if score.candidate.step not in steps_fixed
        ]
        scores = with_unlisted_scaling(grounds, scores)
        finding = best_finding(grounds, scores)
        if not finding or finding.verdict != "named":
            doubtful = [finding] if finding else []
            return _Faults(named, doubtful, grounds.in_use)
        named.append(finding)
        # The first score is the one of which `best_finding` speaks.
        best = scores[0].candidate
        steps_fixed.add(best.step)
        grounds = grounds.with_in_use(best.preprocessing)
        # A fix in words alone leaves open which preprocessing is right: from there is no searching on.
        if not finding.fix.preprocessing:
            break
    return _Faults(named, [], grounds.in_use)


LEAST_MEASURED_GAIN = 0.05
"""Nats that must have been measured: how rare a step is never names it alone."""

NEVER_EXCLUDED_GAIN = 0.1
"""Nats above which a candidate is never ruled out."""

ALWAYS_EXCLUDED_GAIN = -0.2
"""Nats up to which a candidate that changes any prediction is ruled out."""

LEAD_OVER_STEPS = 0.2
"""Nats by which a cause must lead the next one of another step."""

LEAD_WITHIN_STEP = 0.03
"""Nats by which a cause must lead the next one of the same step."""

_SEES_AS_TRAINED = "With the fix, the model sees what it was trained on."
_LABELS_MET = "With the fix, labelled images are predicted correctly."
_A_LITTLE_FOR_IT = "Undoing it explains images or labels a little better."
_RARE = "Hardly any training has this step."
_NOTHING_FOR_IT = "This change does not explain images or labels better."
_PREPROCESSING_OR_IMAGES = (
    "The preprocessing, or these images, as by light: compare with a training image."
)
_CONSTANT_CLASS = (
    "The same class is predicted for these and for all photos of the kit;"
    " with another scaling it is not."
)
_NO_EVIDENCE = "No evidence shows whether this is as in training."


def best_finding(grounds: Grounds, scores: Scores) -> Finding | None:
    """Put the first of the scores into words and numbers; None where nothing speaks for a change."""
    if not scores or scores[0].gain < POSSIBLE_GAIN:
        return None
    best_score = scores[0]
    fixed = best_score.preprocessing
    # Over that other cause which comes too near to this one, if any does.
    lead = _most_doubtful_lead(best_score, scores)
    chance_of_labels = _chance_evidence(grounds, best_score)
    against_images = _evidence_against_images(grounds, best_score)
    # Each is evidence, or None where it is no condition.
    conditions = [*filter(None, (lead, chance_of_labels, against_images))]
    is_sure = (
        best_score.gain >= NAMED_GAIN
        # How rare a step is in training is part of `gain`, but names nothing alone.
        and best_score.measured_gain >= LEAST_MEASURED_GAIN
        and not _must_not_be_named(grounds, best_score)
        and all(condition.supports for condition in conditions)
    )
    summary = _A_LITTLE_FOR_IT
    if is_sure:
        # Labels alone do not tell what training was like.
        has_statistics = grounds.evaluator.has_statistics
        summary = _SEES_AS_TRAINED if has_statistics else _LABELS_MET
    if against_images or is_explained_by_light(grounds, best_score):
        summary = _PREPROCESSING_OR_IMAGES
    elif best_score.measured_gain < LEAST_MEASURED_GAIN:
        summary = _RARE
    best_fix = _fix_of_best(grounds, best_score, scores)
    if is_sure and not best_fix.preprocessing:
        sentences = " ".join(contrasts(grounds.in_use, fixed).values())
        # Each sentence says behind its semicolon what is right, which cannot be told here.
        in_use_words, _, _ = sentences.partition(";")
        summary = f"{in_use_words}; this model was trained otherwise."
    return Finding(
        cause=best_score.candidate.cause,
        verdict="named" if is_sure else "possible",
        summary=summary,
        evidence=(*evidence_of(best_score), *conditions),
        # Of each image, whether its predicted class changes.
        cost=float(grounds.trial(fixed).changed.mean()),
        fix=best_fix,
        equivalent=best_score.candidate.equivalent,
    )


def _must_not_be_named(grounds: Grounds, score: Score) -> bool:
    fixed = score.preprocessing
    return (
        # A source of evidence forbids the change.
        score.vetoed
        # With the right preprocessing, images look as in training.
        or not grounds.images_are_usual(fixed)
        # Nearly all labels are met as it is, and no more with the fix.
        or _labels_need_no_fix(grounds, fixed)
        or is_explained_by_light(grounds, score)
    )


def _evidence_against_images(grounds: Grounds, score: Score) -> Evidence | None:
    """Return what speaks against a change that brings the user's images nearer to training, if all else does.

    Then they may be unlike those of the training, and the preprocessing right.
    """
    # Infinite where distances tell nothing.
    gain = gain_beside_own_distance(grounds, score)
    if gain >= 0:
        return None
    text = "all but the distance of your images, in nats; photos of the kit count in their place"
    return Evidence(text, gain, 0.0, supports=False)


def _fix_of_best(grounds: Grounds, best: Score, scores: Scores) -> Fix:
    """Return the fix, without code where another one explains as much and changes predictions."""
    fixed = best.preprocessing
    rivals_predicting_otherwise = [
        *best.variants,
        *(
            rival
            for rival in _rivals_of_same_step(grounds, best, scores)
            # As if two images more had changed and two had not: few that agree are no proof.
            if grounds.changes_predictions(fixed, rival, pseudocount=2)
        ),
    ]
    if not rivals_predicting_otherwise:
        return fix_from(grounds.in_use, fixed)
    # Which of them is right cannot be told, so that the fix is words alone.
    fix_words = words_of_changes(grounds.in_use, fixed)
    rival_words = words_of_changes(grounds.in_use, rivals_predicting_otherwise[0])
    # The best is a scaling of no table, and its variant the best of the usual ones.
    if best.variants:
        return Fix(
            f"Prepare images as in training: {fix_words} fits best, of usual ones {rival_words};"
            " look up the mean and standard deviation of the training."
        )
    return Fix(
        "Prepare images as in training;"
        f" these cannot tell {fix_words} from {rival_words}: give more, or labels."
    )


def _rivals_of_same_step(
    grounds: Grounds, best: Score, scores: Scores
) -> list[Preprocessing]:
    """Return what else of the same step explains about as much.

    Few labels tell less where they are alone, and how sure a network is of them tells nothing: what meets as
    many within chance, and moves predictions, is a rival however likely it makes them.
    """
    repaired = grounds.with_in_use(best.preprocessing)

    def explains_as_much(rival: Score) -> bool:
        # Its gain over the best: about 0 where it is as good. Over what is in use, most gain something.
        if repaired.score(rival.candidate).gain > -LEAD_OVER_STEPS:
            return True
        trial = repaired.trial(rival.preprocessing)
        # Labels make a rival only where nothing else judges, and of what moves predictions.
        if grounds.judges_some_step or trial.moved_share.mean() <= QUIET_SHARE:
            return False
        # It meets as many labels as the best, unless more are lost than chance explains.
        gained, lost = repaired.gained_and_lost(rival.preprocessing)
        return chance_of_at_least(lost, gained + lost, 0.5) > Labelled.LOSS_BY_CHANCE

    return [
        rival.preprocessing
        for rival in scores
        if rival.candidate.step == best.candidate.step and rival is not best
        if not rival.vetoed and explains_as_much(rival)
    ]


def evidence_of(score: Score) -> tuple[Evidence, ...]:
    """Return the sum of the votes, then what each of them measured."""
    overall = Evidence(
        "overall evidence, in nats",
        score.gain,
        NAMED_GAIN,
        supports=score.gain >= NAMED_GAIN,
    )
    # Of each text, `Diagnosis.how_sure` says what is before the first comma.
    # None decides nothing: a measurement that is worth no nats.
    return overall, *(
        Evidence(
            f"{vote.text} (counts {vote.gain:+.2f})",
            vote.measured,
            supports=vote.gain > 0 and not vote.veto
            if vote.gain or vote.veto
            else None,
        )
        for vote in score.votes
        if vote.gain or vote.veto or vote.measured
    )


def _most_doubtful_lead(best: Score, scores: Scores) -> Evidence | None:
    """Return the lead over that other cause whose lead is the most doubtful."""

    def lead_needed(rival: Score) -> float:
        return (
            LEAD_WITHIN_STEP
            if rival.candidate.step == best.candidate.step
            else LEAD_OVER_STEPS
        )

    # The one that leaves the best least of the lead that it needs.
    rival = max(
        _of_other_causes(best, scores),
        key=lambda rival: _gain_however_rare(rival) + lead_needed(rival),
        default=None,
    )
    if not rival:
        return None
    lead = best.gain - _gain_however_rare(rival)
    text = f"lead over {rival.candidate.cause}, the next cause, in nats"
    threshold = lead_needed(rival)
    return Evidence(text, lead, threshold, supports=lead >= threshold)


def _gain_however_rare(score: Score) -> float:
    """Return the gain, of an inversion as measured: images such as film negatives are inverted themselves."""
    if score.candidate.step == "polarity":
        return max(score.gain, score.measured_gain)
    return score.gain


def _of_other_causes(score: Score, scores: Scores) -> list[Score]:
    causes = score.candidate.causes
    return [rival for rival in scores if not causes & rival.candidate.causes]


def _chance_evidence(grounds: Grounds, best: Score) -> Evidence | None:
    """Return the chance of so many more labels; None where other evidence names the cause without them."""
    gain_by_source = {vote.source: vote.gain for vote in best.votes}
    # Where nothing is known of the training, labelled images of the kit alone can name without the user's.
    gain_without_labels = gain_by_source.get(Bundled, 0.0)
    if grounds.evaluator.has_statistics:
        gain_without_labels = best.gain - gain_by_source.get(Labelled, 0.0)
    if gain_without_labels >= NAMED_GAIN:
        # The cause is named without the user's labels, so that their chance is no condition.
        return None
    gained, lost = grounds.gained_and_lost(best.preprocessing)
    chance = _chance_of_label_gain(grounds, best)
    text = f"chance that any change puts {gained} labels right and {lost} wrong"
    return Evidence(
        text, chance, CONVINCING_CHANCE, supports=chance <= CONVINCING_CHANCE
    )


def _labels_need_no_fix(grounds: Grounds, fixed: Preprocessing) -> bool:
    """Whether nearly all labels are met as it is, and no more with a change."""
    label_count = grounds.labelled.count
    gained, lost = grounds.gained_and_lost(fixed)
    wrong_count = label_count - grounds.correct_count()
    # Fewer may be met by chance.
    return (
        label_count >= FEW_IMAGES
        and wrong_count <= QUIET_SHARE * label_count
        and gained <= lost
    )


def _chance_of_label_gain(grounds: Grounds, score: Score) -> float:
    """Return the chance that one of all changes tried puts as many labels right as this one.

    Each puts a wrong label right as often as those do that are called otherwise.
    """
    scores = grounds.scores
    rivals = _of_other_causes(score, scores)
    gained, lost = grounds.gained_and_lost(score.preprocessing)
    wrong_count = grounds.labelled.count - grounds.correct_count()
    gained_by_rivals = sum(
        grounds.gained_and_lost(rival.preprocessing)[0] for rival in rivals
    )
    # Laplace's estimate: that few others meet no label proves little.
    chance_per_label = (gained_by_rivals + 1) / (wrong_count * len(rivals) + 2)
    chance_of_one = chance_of_at_least(gained - lost, wrong_count, chance_per_label)
    # Bonferroni's: of all changes tried, one may well do what each alone hardly does.
    return min(1.0, chance_of_one * len(scores))


def other_findings(
    grounds: Grounds, scores: Scores, reported_causes: set[str]
) -> list[Finding]:
    """Return each cause not yet reported: ruled out where no candidate of it would change anything.

    A candidate is left that comes near to being named, or that changes a prediction and is not excluded.
    """
    findings: dict[str, Finding] = {}
    # Several candidates may have one cause; the best comes first, and its evidence is told.
    for score in scores:
        cause = score.candidate.cause
        earlier = findings.get(cause)
        if cause in reported_causes or (earlier and earlier.verdict == "cannot_tell"):
            continue
        if _is_undecided(grounds, score):
            findings[cause] = Finding(
                cause, "cannot_tell", _NO_EVIDENCE, evidence_of(score)
            )
        elif not earlier:
            findings[cause] = Finding(
                cause, "ruled_out", _NOTHING_FOR_IT, evidence_of(score)
            )
    return list(findings.values())


def _is_undecided(grounds: Grounds, score: Score) -> bool:
    if (
        grounds.labelled.count
        and _chance_of_label_gain(grounds, score) <= CONVINCING_CHANCE
    ):
        # The labels speak for the change, so that it is not ruled out whatever else speaks against it.
        return True
    predictions_changed = grounds.trial(score.preprocessing).changed
    gain = _gain_however_rare(score)
    return gain > NEVER_EXCLUDED_GAIN or bool(
        gain > ALWAYS_EXCLUDED_GAIN and predictions_changed.any()
    )
