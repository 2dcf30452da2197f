"""In what a folder differs from the training images."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import NamedTuple

import numpy as np

from kit._arrays import Float64, Int64
from kit._reporting import Progress, Result, Steps, Table
from kit.classifier import Classifier
from kit.classifier.reference import InputStatistics, measured_responses
from kit.images import Photo, Picture, Pictures
from kit.images.photo import UNREADABLE, at_least_one, each_picture, names_of
from kit.perturbation.conditions import ALTERATIONS, QUANTITIES
from kit.perturbation.responses import measured_rows
from kit.robustness.attribution import Explanation, explanations
from kit.robustness.differences import (
    FEWEST,
    AnswerShift,
    QuantityShift,
    alike,
    compared_answers,
    differences,
)

MOST = 1000
"""Images that are measured at most; of more, as many at random."""

KEPT = (64, 256)
"""Images, large and small ones, that are kept for asking the classifier."""

_PIXELS = 1 << 22

_SEED = 0

_ANSWERED = {
    "other_classes": "other classes",
    "follows": "the mix of classes differs, which this alteration may explain",
    "unchanged": "each class is predicted about as often",
}
_ORDER = ("shifted", "follows", "unchanged", "cannot_tell")
_FARTHEST = 3.0


@dataclass(frozen=True, eq=False, repr=False)
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

    findings: tuple[QuantityShift, ...]
    training: int
    photos: int
    unreadable: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    answers: AnswerShift | None = None

    @property
    def shifted(self) -> tuple[QuantityShift, ...]:
        """The findings with this verdict, the most important first."""
        return tuple(
            finding for finding in self.findings if finding.verdict == "shifted"
        )

    @property
    def verdict(self) -> str:
        """``"shifted"`` where a quantity is, ``"other_classes"``, ``"unchanged"``, or ``"cannot_tell"``."""
        if min(self.training, self.photos) < FEWEST:
            return "cannot_tell"
        others = self.answers is not None and self.answers.verdict == "other_classes"
        return "shifted" if self.shifted else "other_classes" if others else "unchanged"

    def table(self) -> Table:
        """Set the findings in a table, one row for each quantity."""
        head = "quantity", "training", "photos", "delta", "p", "verdict"
        return Table(head, map(_cells, self.findings), "<>>>><")

    def _report(self) -> Iterable[str | Result]:
        names = ", ".join(
            QUANTITIES[finding.quantity].label for finding in self.shifted
        )
        said = {
            "cannot_tell": f"cannot tell, it takes {FEWEST} on each side",
            "other_classes": "the classes differ, the images of each class do not",
            "unchanged": "no measured quantity is shifted",
            "shifted": f"shifted in {names}",
        }
        photos = f"{self.photos} photo{'s' * (self.photos != 1)}"
        yield f"{photos} compared with {self.training} training images: {said[self.verdict]}."
        yield from (f"Note: {note}" for note in self.notes)
        if self.findings:
            yield self.table()
        for one in self.shifted:
            if (cause := one.explanation) is not None and cause.count:
                changed = (
                    f"{cause.changed:.0%} of the predictions change when {cause.tried}"
                )
                yield f"{QUANTITIES[one.quantity].label}: {changed} ({cause.count} images)."
        if self.answers is not None and self.answers.verdict != "cannot_tell":
            yield f"Predictions: {_ANSWERED[self.answers.verdict]} ({self.answers.summary})."
        if self.unreadable:
            yield f"Not readable: {names_of(self.unreadable)}."

    __repr__ = Result.__str__


def _cells(one: QuantityShift) -> tuple[str, ...]:
    numbers = (
        (one.training, ".3g"),
        (one.photos, ".3g"),
        (one.delta, "+.2f"),
        (one.p_value, ".3f"),
    )
    shown = ["" if np.isnan(value) else format(value, form) for value, form in numbers]
    shown[3] = "<0.001" if one.p_value < 0.001 else shown[3]
    return QUANTITIES[one.quantity].label, *shown, one.summary


class Gathered(NamedTuple):
    """Measures of images, and some of the images.

    Attributes
    ----------
    rows
        float64 (images, quantities), in the order of `kit.perturbation.conditions.QUANTITIES`.
    photos
        The first of them, `KEPT` at most.
    answers
        int64 (images,): index of the class that a classifier predicts; -1 without one.
    unreadable
        Name and reason of each that cannot be read.
    """

    rows: Float64
    photos: tuple[Photo, ...]
    answers: Int64
    unreadable: tuple[tuple[str, str], ...] = ()


def gather(
    found: Sequence[Picture],
    what: str = "photos",
    *,
    classifier: Classifier | None = None,
    progress: Progress = True,
) -> Gathered:
    """Open and measure images, in random order, `MOST` of them at most; a classifier predicts each.

    Interrupted, it returns what was measured, which is a fair sample.
    """
    order = np.random.default_rng(_SEED).permutation(len(found))[:MOST].tolist()
    # In one list, so that an interruption leaves nothing half done.
    done: list[tuple[Float64, int]] = []
    photos: list[Photo] = []
    unreadable: list[tuple[str, str]] = []
    pixels = 0
    with Steps(order, f"Measuring {what}", "image", progress, keep=True) as places:
        for place in places:
            try:
                photo = found[place].open()
            except UNREADABLE as error:
                unreadable.append((found[place].name, str(error)))
                continue
            answer = -1
            if classifier is not None:
                answer = int(classifier.predict(photo).index[0])
            done.append((measured_rows([photo])[0], answer))
            pixels += photo.pixels[..., 0].size
            if len(photos) < (KEPT[1] if pixels <= _PIXELS else KEPT[0]):
                photos.append(photo)
    rows = np.array([row for row, _ in done], np.float64).reshape(-1, len(QUANTITIES))
    answers = np.array([answer for _, answer in done], np.int64)
    return Gathered(rows, tuple(photos), answers, tuple(sorted(unreadable)))


def judged(
    statistics: InputStatistics,
    examples: Sequence[Photo],
    photos: Gathered,
    classifier: Classifier | None,
    *,
    progress: Progress = False,
) -> tuple[tuple[QuantityShift, ...], AnswerShift | None, tuple[str, ...]]:
    """Separate other images from other classes; what `shift` does once everything is measured and predicted.

    Other classes are other images too: T-shirts are brighter than shoes. So where the predictions differ,
    images are compared with those that are predicted alike; and alterations change no more predictions than
    they do when they are tried. What no quantity measures, such as a turn, looks like other classes. Returns
    the findings, the predictions and the notes of a `Shift`.
    """
    found = findings(statistics, photos.rows)
    if classifier is None:
        return found, None, ()
    answers, within, count = None, found, 0
    notes: tuple[str, ...] = (
        "predictions are not compared: that takes the training images themselves",
    )
    if statistics.answers is not None:
        answers, notes = (
            compared_answers(
                statistics.answers, photos.answers, classifier.class_names
            ),
            (),
        )
        ours, theirs = alike(statistics.answers, photos.answers)
        count = int(theirs.sum())
        if answers.verdict == "follows" and count >= FEWEST:
            within = findings(
                replace(statistics, rows=statistics.rows[ours]), photos.rows[theirs]
            )
    # What is shifted by other classes alone is not shifted within them.
    if not _shifted(found) <= _shifted(within):
        note = f"compared are {count} photos with as many training images of the same predicted classes"
        found, notes = within, (note,)
    asked = []
    for one in Steps(found, "Predicting altered images", "quantity", progress):
        cause = one.explanation and asked_about(
            classifier, one.explanation, examples, photos.photos
        )
        asked.append(replace(one, explanation=cause))
    found = tuple(asked)
    if answers is None or answers.verdict != "follows" or _accounted(answers, found):
        return found, answers, notes
    if count < FEWEST:
        notes = (
            f"classes may explain what differs: only {count} photos are predicted as training images",
        )
        found = tuple(
            replace(one, verdict="cannot_tell", explanation=None) for one in found
        )
    return found, replace(answers, verdict="other_classes"), notes


def _shifted(found: Sequence[QuantityShift]) -> set[str]:
    return {one.quantity for one in found if one.verdict == "shifted"}


def _accounted(answers: AnswerShift, found: Sequence[QuantityShift]) -> bool:
    """Whether alterations change as many predictions as differ, or are too strong to say how many."""
    causes = [one.explanation for one in found if one.explanation is not None]
    changed = answers.chance + sum(cause.changed for cause in causes)
    return bool(causes) and (
        answers.distance <= changed or any(cause.strongest for cause in causes)
    )


def findings(statistics: InputStatistics, rows: Float64) -> tuple[QuantityShift, ...]:
    """Compare measures, float64 (images, quantities), with those of training, and rank the quantities."""
    compared = differences(statistics.rows, rows)
    differing = np.array([one.verdict == "follows" for one in compared])
    explained, unexplained = (
        explanations(statistics, rows, differing)
        if differing.any()
        else ((), differing)
    )
    causes = {
        one.quantity: (place, one) for place, one in reversed([*enumerate(explained)])
    }
    found = []
    for one, alone in zip(compared, unexplained, strict=True):
        place, cause = causes.get(one.quantity, (len(explained), None))
        if cause is not None or alone:
            one = replace(one, verdict="shifted", explanation=cause)  # noqa: PLW2901
        found.append(
            ((place, _ORDER.index(one.verdict), -abs(np.nan_to_num(one.delta))), one)
        )
    return tuple(one for _, one in sorted(found, key=itemgetter(0)))


def asked_about(
    classifier: Classifier,
    cause: Explanation,
    training: Sequence[Photo],
    photos: Sequence[Photo],
) -> Explanation:
    """Alter images as strongly as a shift did, and predict before and after; photos without training images.

    What training images went through cannot be done to them again, so the photos go through it.
    """
    chosen, strength, tried = (
        training,
        cause.strength,
        "training images are altered in this way",
    )
    if cause.opposite or not training:
        chosen, tried = photos, "this is undone"
        if QUANTITIES[cause.quantity].invertible:
            strength = float(np.clip(1 / max(strength, 1e-3), 1 / _FARTHEST, _FARTHEST))
        elif not cause.opposite:
            tried = "this is done to the photos once more"
    altered = [ALTERATIONS[cause.alteration].apply(photo, strength) for photo in chosen]
    changes = classifier.predict(chosen).changed(classifier.predict(altered))
    changed = float(changes.mean())
    return replace(cause, changed=changed, count=len(chosen), tried=tried)


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
    separates other classes from other images (`AnswerShift`).

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

    Returns
    -------
    Shift

    Raises
    ------
    TypeError, ValueError, FileNotFoundError
        A classifier in place of the photos, one without statistics, no image, no such folder or one without
        images, probabilities that are no numbers.
    """
    asked = (
        training
        if classifier is None and isinstance(training, Classifier)
        else classifier
    )
    asked = asked if asked and asked.preprocessing else None
    source, pictures = _source(training, asked), at_least_one(each_picture(photos))
    counts = (
        len(source.rows if isinstance(source, InputStatistics) else source),
        len(pictures),
    )
    if min(counts) < FEWEST:
        return Shift((), *counts)
    examples: tuple[Photo, ...] = ()
    if not isinstance(source, InputStatistics):
        ours = gather(source, "training images", classifier=asked, progress=progress)
        examples = ours.photos
        source = InputStatistics(ours.rows, measured_responses(examples), ours.answers)
    theirs = gather(pictures, classifier=asked, progress=progress)
    counts = len(source.rows), len(theirs.rows)
    if min(counts) < FEWEST:
        return Shift((), *counts, theirs.unreadable)
    found, answers, notes = judged(source, examples, theirs, asked, progress=progress)
    if counts[1] + len(theirs.unreadable) < len(pictures):
        notes = (
            f"{counts[1]} of {len(pictures)} photos were measured, chosen at random",
            *notes,
        )
    return Shift(found, *counts, theirs.unreadable, notes, answers)


def _source(
    training: Classifier | InputStatistics | Pictures, asked: Classifier | None
) -> InputStatistics | tuple[Picture, ...]:
    if isinstance(training, InputStatistics):
        return training
    if not isinstance(training, Classifier):
        return at_least_one(each_picture(training))
    found = training.reference.properties
    if found is None:
        received = f"{training.name!r} without; write kit.shift(images, photos, classifier=classifier)"
        raise ValueError(
            f"Expected a classifier with statistics of its training images, received {received}"
        )
    return found if asked is training else replace(found, answers=None)
