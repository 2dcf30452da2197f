"""In what a folder differs from the training images."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeAlias

import numpy as np

from kit._arrays import Float64, Int64
from kit._reporting import Progress, Report, Result, Steps, Table
from kit.classifier.classifier import Classifier, is_prepared_as_in_training
from kit.classifier.reference import InputStatistics, measured_responses, measured_rows
from kit.images.photo import (
    UNREADABLE,
    Photo,
    Picture,
    Pictures,
    Reasons,
    at_least_one,
    each_picture,
    names_of,
)
from kit.perturbation.conditions import ALTERATIONS, QUANTITIES
from kit.robustness.attribution import Explanation, explanations
from kit.robustness.differences import (
    FEWEST,
    AnswerShift,
    QuantityShift,
    compared_answers,
    quantity_shifts,
    with_equal_classes,
)

MOST = 1000
"""Images that are measured at most; of more, as many at random."""

EXAMPLES = 256
"""Images that are kept for asking the classifier, at most."""

LARGE_EXAMPLES = 64
"""The same, of images that have more than `_SMALL_PIXELS` together."""

_SMALL_PIXELS = 1 << 22

_SEED = 0

Findings: TypeAlias = tuple[QuantityShift, ...]
"""One for each quantity, the most important first."""

_PREDICTIONS = {
    "other_classes": "other classes, or a change that no quantity measures, such as turned images",
    "follows": "the mix of classes differs, which this change may explain",
    "unchanged": "each class is predicted about as often",
}
_ORDER = ("shifted", "follows", "unchanged", "cannot_tell")
_FARTHEST = 3.0


@dataclass(frozen=True, eq=False)
class Shift(Result):
    """How photos differ from the training images.

    Attributes
    ----------
    findings
        One for each quantity: shifted ones first, that which explains most before the others. None where
        there are fewer than 20 images on either side.
    training, photos
        Images that were compared.
    unreadable, notes
        Names of images that could not be read, each with the reason; what else limits the result, in words.
    answers
        How often each class is predicted; None without a classifier or the training images themselves.
    """

    findings: Findings
    training: int
    photos: int
    unreadable: Reasons = ()
    notes: tuple[str, ...] = ()
    answers: AnswerShift | None = None

    @property
    def shifted(self) -> Findings:
        """The findings with this verdict, the most important first."""
        return tuple(
            finding for finding in self.findings if finding.verdict == "shifted"
        )

    @property
    def verdict(self) -> str:
        """``"shifted"`` where a quantity is, ``"other_classes"``, ``"unchanged"``, or ``"cannot_tell"``.

        What no quantity measures, such as a turn, is ``"other_classes"``, too.
        """
        if min(self.training, self.photos) < FEWEST:
            return "cannot_tell"
        if self.shifted:
            return "shifted"
        if self.answers is not None and self.answers.verdict == "other_classes":
            return "other_classes"
        return "unchanged"

    def table(self) -> Table:
        """Set the findings in a table, one row for each quantity."""
        head = "quantity", "training", "photos", "delta", "p", "verdict"
        return Table(head, map(_table_row, self.findings), "<>>>><")

    def _report(self) -> Report:
        names = [QUANTITIES[finding.quantity].label for finding in self.shifted]
        results = {
            "cannot_tell": f"cannot tell, it takes {FEWEST} on each side",
            "other_classes": "no measured quantity is shifted, but the predictions differ",
            "unchanged": "no measured quantity is shifted",
            "shifted": f"shifted in {', '.join(names)}",
        }
        yield (
            f"{self.photos:,} photo{'' if self.photos == 1 else 's'}"
            f" compared with {self.training:,} training images: {results[self.verdict]}."
        )
        yield from (f"Note: {note}" for note in self.notes)
        if self.findings:
            yield self.table()
        for name, finding in zip(names, self.shifted, strict=True):
            cause = finding.explanation
            if cause is None:
                continue
            if self.answers is not None and np.isnan(cause.changed):
                yield f"{name}: how many predictions this changes, only the training images themselves tell."
            # What changes no prediction of others says nothing of these photos.
            elif cause.changed > 0:
                yield (
                    f"{name}: "
                    f"{cause.changed:.0%} of the predictions change when {cause.tried}"
                    f" ({cause.count} images)."
                )
        if self.answers is not None:
            yield f"Predictions: {_PREDICTIONS[self.answers.verdict]} ({self.answers.summary})."
        if self.unreadable:
            yield f"Not readable: {names_of(self.unreadable)}."

    __repr__ = Result.__str__


def _table_row(finding: QuantityShift) -> tuple[str, ...]:
    return (
        QUANTITIES[finding.quantity].label,
        _amount(finding.training),
        _amount(finding.photos),
        "" if np.isnan(finding.delta) else f"{finding.delta:+.2f}",
        # Which may be so small that it is 0 here.
        _amount(max(finding.p_value, 1e-9)),
        finding.summary,
    )


def _amount(value: float) -> str:
    if np.isnan(value):
        return ""
    return "<0.001" if 0 < value < 0.001 else f"{value:.3g}"


class Gathered(NamedTuple):
    """Measures of images, and some of the images.

    Attributes
    ----------
    rows
        float64 (images, quantities), in the order of `kit.perturbation.conditions.QUANTITIES`.
    photos
        The first of them, `EXAMPLES` at most; `LARGE_EXAMPLES` of large images.
    answers
        int64 (images,): index of the class that a classifier predicts; -1 without one.
    unreadable
        Name and reason of each that cannot be read.
    """

    rows: Float64
    photos: tuple[Photo, ...]
    answers: Int64
    unreadable: Reasons


def gather(
    pictures: Sequence[Picture],
    *,
    classifier: Classifier | None = None,
    progress: Progress = True,
) -> Gathered:
    """Open and measure images, in random order, `MOST` of them at most; a classifier predicts each.

    Interrupted, it returns what was measured, which is a fair sample.
    """
    # At random, so that those before an interruption are a fair sample.
    order = np.random.default_rng(_SEED).permutation(len(pictures))[:MOST].tolist()
    # In one list, so that an interruption leaves nothing half done.
    measured: list[tuple[Float64, int]] = []
    examples: list[Photo] = []
    unreadable: list[tuple[str, str]] = []
    pixels = 0
    with Steps(order, "Measuring", progress, keep=True) as places:
        for place in places:
            try:
                photo = pictures[place].open()
            except UNREADABLE as error:
                unreadable.append((pictures[place].name, str(error)))
                continue
            answer = -1
            if classifier is not None:
                answer = int(classifier.predict(photo).index[0])
            measured.append((measured_rows([photo])[0], answer))
            # Of large images fewer are kept, for the memory that they take.
            pixels += photo.pixels[..., 0].size
            if len(examples) < (
                EXAMPLES if pixels <= _SMALL_PIXELS else LARGE_EXAMPLES
            ):
                examples.append(photo)
    rows = np.array([row for row, _ in measured], np.float64)
    return Gathered(
        rows=rows.reshape(-1, len(QUANTITIES)),
        photos=tuple(examples),
        answers=np.array([answer for _, answer in measured], np.int64),
        unreadable=tuple(sorted(unreadable)),
    )


def judged_shifts(
    statistics: InputStatistics,
    examples: Sequence[Photo],
    photos: Gathered,
    classifier: Classifier | None,
    *,
    progress: Progress = False,
) -> tuple[Findings, AnswerShift | None, tuple[str, ...]]:
    """Separate other images from other classes; what `shift` does once everything is measured and predicted.

    Other classes are other images too: T-shirts are brighter than shoes. So where the predictions differ,
    images are compared with those that are predicted alike; and alterations change no more predictions than
    they do when they are tried. What no quantity measures, such as a turn, looks like other classes. Returns
    the findings, the predictions and the notes of a `Shift`.
    """
    quantities = ranked_findings(statistics, photos.rows)
    if classifier is None:
        return quantities, None, ()

    def with_changed_shares(quantities: Findings) -> Findings:
        """Let each cause say how many predictions it changes."""
        return tuple(
            replace(
                finding,
                explanation=finding.explanation
                and with_changed_share(
                    classifier, finding.explanation, examples, photos.photos
                ),
            )
            for finding in Steps(quantities, "Predicting changed images", progress)
        )

    if statistics.answers is None:
        note = "predictions are not compared: that takes the training images themselves"
        return with_changed_shares(quantities), None, (note,)
    names = classifier.class_names
    # "follows" is another mix of predicted classes; whether shifts explain it is judged below.
    answers = compared_answers(statistics.answers, photos.answers, names)
    if answers.verdict != "follows":
        return with_changed_shares(quantities), answers, ()
    # bool (images,) on each side: as many of each predicted class here as there.
    ours, theirs = with_equal_classes(statistics.answers, photos.answers)
    count = int(theirs.sum())
    notes = []
    if count >= FEWEST:
        training = replace(statistics, rows=statistics.rows[ours])
        within = ranked_findings(training, photos.rows[theirs])
        # What is shifted by other classes alone is not shifted within them.
        if not _shifted_names(quantities) <= _shifted_names(within):
            quantities = within
            notes.append(
                f"compared are {count} photos with as many training images of the same predicted classes"
            )
    quantities = with_changed_shares(quantities)
    if _explains_answers(answers, quantities):
        return quantities, answers, tuple(notes)
    if count < FEWEST:
        notes.append(
            f"classes may explain what differs: only {count} photos are predicted as training images"
        )
        quantities = tuple(
            replace(finding, verdict="cannot_tell", explanation=None)
            for finding in quantities
        )
    return quantities, replace(answers, verdict="other_classes"), tuple(notes)


def _shifted_names(quantities: Sequence[QuantityShift]) -> set[str]:
    return {finding.quantity for finding in quantities if finding.verdict == "shifted"}


def _explains_answers(
    answers: AnswerShift, quantities: Sequence[QuantityShift]
) -> bool:
    """Whether alterations change as many predictions as differ, or it cannot be said how many they change."""
    # What is as strong as the strongest that was tried, or could not be tried (NaN), may change any number.
    causes = [finding.explanation for finding in quantities if finding.explanation]
    changed = answers.chance + sum(cause.changed for cause in causes)
    explains_distance = answers.distance <= changed
    return bool(causes) and (
        explains_distance
        or any(cause.strongest or np.isnan(cause.changed) for cause in causes)
    )


def ranked_findings(statistics: InputStatistics, rows: Float64) -> Findings:
    """Compare measures, float64 (images, quantities), with those of training, and rank the quantities."""
    compared = quantity_shifts(statistics.rows, rows)
    differing = np.array([finding.verdict == "follows" for finding in compared])
    explained, unexplained = explanations(statistics, rows, differing)
    # By quantity; of two explanations about one, the first explains more.
    causes: dict[str, Explanation] = {}
    for explanation in explained:
        causes.setdefault(explanation.quantity, explanation)
    ranked = []
    for finding, is_unexplained in zip(compared, unexplained, strict=True):
        cause = causes.get(finding.quantity)
        verdict = "shifted" if cause or is_unexplained else finding.verdict
        ranked.append(replace(finding, verdict=verdict, explanation=cause))

    def rank(finding: QuantityShift) -> tuple[int, int, float]:
        # What is no cause comes after all that are.
        place = [*causes, finding.quantity].index(finding.quantity)
        return place, _ORDER.index(finding.verdict), -abs(np.nan_to_num(finding.delta))

    return tuple(sorted(ranked, key=rank))


def with_changed_share(
    classifier: Classifier,
    cause: Explanation,
    training: Sequence[Photo],
    photos: Sequence[Photo],
) -> Explanation:
    """Alter images as strongly as a shift did, and predict before and after; photos without training images.

    What training images went through cannot be done to them again, so the photos go through it. Photos from
    which the alteration cannot be taken away do not tell: what they have lost is not lost once more.
    """
    alteration = ALTERATIONS[cause.alteration]
    chosen = training
    strength = cause.strength
    tried = "training images are changed in this way"
    # What training images went through cannot be done to them again, so it is undone in the photos.
    if cause.opposite or not training:
        chosen = photos
        tried = "this is undone"
        if alteration.neutral == 1 and QUANTITIES[cause.quantity].invertible:
            # By the inverse factor, but not by more than three.
            strength = float(1 / np.clip(strength, 1 / _FARTHEST, _FARTHEST))
        elif not cause.opposite:
            return cause  # its share stays NaN: what photos have lost, they cannot lose once more
    altered = [alteration.apply(photo, strength) for photo in chosen]
    changed = classifier.predict(chosen).changed(classifier.predict(altered))
    return replace(cause, changed=float(changed.mean()), count=len(chosen), tried=tried)


def shift(
    training: Classifier | InputStatistics | Pictures,
    photos: Pictures,
    *,
    classifier: Classifier | None = None,
    progress: Progress = True,
) -> Shift:
    """Report in which measured quantities photos differ from the training images.

    Light, contrast, colour, sharpness, noise, traces of JPEG, size, aspect and EXIF turns are measured and
    compared one by one. Since one alteration changes several of them, the quantity that was altered is found
    by how the training images respond to alterations, and is ranked first; the others "follow". Where one
    alteration leaves much unexplained, two at once are tried, such as less light and noise. With a classifier
    and the training images, or what its file knows of them, its predictions for both are compared too, which
    separates other classes from other images in all that is measured (`AnswerShift`).

    No classifier is needed; hence it does not come first, unless it stands for its training images:
    ``kit.shift(classifier, photos)``.

    Parameters
    ----------
    training
        Training images (`kit.images.photo`), their `InputStatistics`, or a classifier whose file carries
        those (`Classifier.save` with ``training=`` puts them there).
    photos
        See `kit.images.photo`. At most 1,000 are measured, at random; interrupting keeps what was measured.
        Those that cannot be read are reported. Fewer than 20 on either side are not measured at all.
    classifier
        To predict every image, and to see how many predictions each alteration changes; by default the one
        that is given as ``training``.
    progress
        True for bars where it takes over two seconds; or a function that gets each step as a line.

    Raises
    ------
    TypeError, ValueError, FileNotFoundError
        A classifier in place of the photos, one without statistics, no image, no such folder or one without
        images, probabilities that are no numbers.
    """
    if classifier is None and isinstance(training, Classifier):
        classifier = training
    # One whose preprocessing is unknown predicts nothing.
    if classifier is not None and classifier.preprocessing is None:
        classifier = None
    source = _statistics_or_pictures(training, classifier)
    # A row or picture for each training image: here only their number counts.
    known = source.rows if isinstance(source, InputStatistics) else source
    pictures = at_least_one(each_picture(photos))
    result = Shift(findings=(), training=len(known), photos=len(pictures))
    if result.verdict == "cannot_tell":
        return result
    examples: tuple[Photo, ...] = ()
    unreadable: Reasons = ()
    if not isinstance(source, InputStatistics):
        gathered = gather(source, classifier=classifier, progress=progress)
        examples = gathered.photos
        unreadable = gathered.unreadable
        response = measured_responses(examples)
        source = InputStatistics(gathered.rows, response, gathered.answers)
    measured = gather(pictures, classifier=classifier, progress=progress)
    result = Shift(
        findings=(),
        training=len(source.rows),
        photos=len(measured.rows),
        unreadable=unreadable + measured.unreadable,
    )
    if result.verdict == "cannot_tell":
        return result
    quantities, answers, notes = judged_shifts(
        source, examples, measured, classifier, progress=progress
    )
    return replace(result, findings=quantities, notes=notes, answers=answers)


def _statistics_or_pictures(
    training: Classifier | InputStatistics | Pictures, classifier: Classifier | None
) -> InputStatistics | tuple[Picture, ...]:
    if isinstance(training, InputStatistics):
        return training
    if not isinstance(training, Classifier):
        return at_least_one(each_picture(training))
    statistics = training.reference.properties
    if statistics is None:
        raise ValueError(
            "Expected a classifier with statistics of its training images, received "
            f"{training.name!r} without; write kit.shift(images, photos, classifier=classifier)"
        )
    # What is predicted otherwise cannot be compared with what this one predicted in training.
    if classifier is training and is_prepared_as_in_training(training):
        return statistics
    return replace(statistics, answers=None)
