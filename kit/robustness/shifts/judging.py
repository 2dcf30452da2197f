"""What is said once all pictures are measured and answered: other pictures, other classes, or neither."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from kit._reporting import Progress, Steps
from kit.classifier import Classifier
from kit.classifier.bundle.input_statistics import InputStatistics
from kit.classifier.trial import Truth
from kit.images import Photo
from kit.robustness.shifts.answers import AnswerShift, alike, compared_answers
from kit.robustness.shifts.attribution import explanations
from kit.robustness.shifts.gathering import Gathered
from kit.robustness.shifts.impact import Response, respond
from kit.robustness.shifts.report import QuantityShift, Verdict
from kit.robustness.shifts.two_sample import FEWEST, Difference, differences


def judged(
    statistics: InputStatistics,
    training: Gathered | None,
    photos: Gathered,
    classifier: Classifier | None,
    labels: Truth = (),
    *,
    progress: Progress = False,
) -> tuple[tuple[QuantityShift, ...], Response | None, AnswerShift | None, tuple[str, ...]]:
    """Tell other pictures from other classes; what `shift` does once everything is measured and answered.

    Other classes are other pictures too: T-shirts are brighter than shoes. So where the answers differ,
    pictures are compared with those that are answered alike; and alterations move no more answers than they
    change. What no quantity measures, such as a turn, looks like other classes.

    Parameters
    ----------
    statistics, training
        Of the training pictures; and those themselves, where there are any.
    photos
        With `Gathered.answers`, as the training pictures, where there is a classifier.
    classifier
        With a known preprocessing.
    labels, progress
        Of the photos that are kept, and as for `shift`.

    Returns
    -------
    findings, together, answers, notes
        As in `Shift`.
    """
    if classifier is None or not photos.photos:
        return findings(statistics, photos.rows), None, None, ()
    examples = () if training is None else training.photos
    ask = partial(_asked, classifier, examples, photos.photos, labels, progress=progress)
    found = findings(statistics, photos.rows, besides=int(training is not None))
    if training is None:
        return (
            *ask(found),
            None,
            ("the answers are not compared: that takes the training pictures themselves",),
        )
    answers = compared_answers(training.answers, photos.answers, tuple(classifier.class_names))
    if answers.verdict != "follows":
        return *ask(found), answers, ()
    ours, theirs = alike(training.answers, photos.answers)
    enough = min(ours.sum(), theirs.sum()) >= FEWEST
    counts = f"{theirs.sum()} photos with {ours.sum()} training pictures that are answered alike"
    note = f"compared are {counts}" if enough else f"classes may explain what is shifted: there are {counts}"
    within = (
        findings(replace(statistics, rows=statistics.rows[ours]), photos.rows[theirs], 1) if enough else ()
    )
    others = replace(answers, verdict="other_classes")
    if within and not any(one.verdict == "shifted" for one in within):
        return within, None, others, (note,)
    shifted, together = ask(found)
    if _accounted(answers, shifted, together):
        return shifted, together, answers, ()
    return *(ask(within) if within else (shifted, together)), others, (note,)


def _accounted(answers: AnswerShift, found: Sequence[QuantityShift], together: Response | None) -> bool:
    """Whether alterations change as many answers as differ, or are too strong to say how many."""
    responses = [together, *(one.response for one in found)]
    changed = max((one.changed[-1] for one in responses if one is not None), default=0.0)
    strongest = any(one.explanation is not None and one.explanation.strongest for one in found)
    return strongest or answers.distance - answers.chance <= changed


def findings(statistics: InputStatistics, rows: Any, besides: int = 0) -> tuple[QuantityShift, ...]:
    """Compare measures and rank the quantities; what `shift` does once everything is measured.

    Parameters
    ----------
    statistics
        Of the training pictures.
    rows
        float64 (pictures, quantities): measures of the photos, as
        `kit.classifier.bundle.input_statistics.measured_rows` gives them.
    besides
        Other comparisons that share the probability of an accusation by chance.
    """
    compared = {one.quantity: one for one in differences(statistics.rows, rows, besides)}
    differing = {name for name, one in compared.items() if one.differs}
    explained, unexplained = explanations(statistics, rows, differing) if differing else ((), frozenset())
    causes = {one.quantity: one for one in reversed(explained)}
    order = [one.quantity for one in explained]
    order += sorted(
        compared, key=lambda name: (name not in unexplained, name not in differing, -_size(compared[name]))
    )

    def verdict(name: str) -> Verdict:
        if name in causes or name in unexplained:
            return "shifted"
        if name in differing:
            return "follows"
        return "unchanged" if compared[name].p_value >= 0 else "cannot_tell"

    ranked = dict.fromkeys(order)
    return tuple(QuantityShift(name, verdict(name), compared[name], causes.get(name)) for name in ranked)


def _size(difference: Difference) -> float:
    return abs(difference.delta) if difference.p_value >= 0 else -1.0


def _asked(
    classifier: Classifier,
    examples: Sequence[Photo],
    photos: Sequence[Photo],
    labels: Truth,
    found: Sequence[QuantityShift],
    *,
    progress: Progress,
) -> tuple[tuple[QuantityShift, ...], Response | None]:
    """Return the findings with the classifier's response to each, and that to all of them at once."""
    causes = [[one.explanation] for one in found if one.explanation is not None]
    everything = [[cause for each in causes for cause in each]] if len(causes) > 1 else []
    responses = []
    for explained in Steps([*causes, *everything], "asking the classifier", "alteration", progress):
        # What was done to the training pictures cannot be done to them again.
        training = bool(examples) and not any(one.opposite for one in explained)
        chosen, truth = (examples, ()) if training else (photos, labels)
        responses.append(respond(classifier, explained, chosen, truth, training=training))
    each = iter(responses)
    answered = tuple(one if one.explanation is None else replace(one, response=next(each)) for one in found)
    return answered, next(each, None)
