"""In what a folder differs from the training images."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np

from kit._arrays import Float64, Int64
from kit._reporting import Progress, Result, Steps, Table
from kit.classifier import Classifier
from kit.classifier.reference import InputStatistics, measured_responses, measured_rows
from kit.images import Photo, Pictures
from kit.images.photo import UNREADABLE, at_least_one, each_picture, names_of
from kit.images.properties import QUANTITIES
from kit.perturbation.alterations import ALTERATIONS
from kit.robustness.attribution import Explanation, explanations
from kit.robustness.differences import FEWEST, AnswerShift, Difference, alike, compared_answers, differences
from kit.robustness.responses import Response, respond

Verdict = Literal["shifted", "follows", "unchanged", "cannot_tell"]

MOST = 1000
"""Pictures that are measured at most; of more, as many at random."""

KEPT = (64, 256)
"""Pictures, large and small ones, that are kept for asking the classifier."""

_KEPT_PIXELS = 1 << 22

_SEED = 0

_HEAD = ("quantity", "training", "photos", "delta", "p", "verdict")
_CARES = {
    "cares": "the classifier cares",
    "indifferent": "the classifier hardly cares",
    "cannot_tell": "too few pictures to tell whether the classifier cares",
}
_TREATED = {
    "training": "of the answers to training pictures change when they are altered in this way",
    "undone": "of the answers change when this is undone",
    "once more": "of the answers change when this is done to the photos once more",
}
_ANSWERED = {
    "other_classes": "other classes",
    "follows": "they differ, as these alterations may make them",
    "unchanged": "each class about as often",
}


@dataclass(frozen=True)
class QuantityShift:
    """What is said about one quantity.

    Attributes
    ----------
    quantity, difference
        Key of `kit.images.properties.QUANTITIES`, and the numbers.
    verdict
        ``"shifted"``, ``"follows"`` (differs, but only as another shift makes it), ``"unchanged"``, or
        ``"cannot_tell"`` (too few images in which it can be measured).
    explanation, response
        Where it is ``"shifted"``, the alteration that explains it, and what the classifier makes of that.
    """

    quantity: str
    verdict: Verdict
    difference: Difference
    explanation: Explanation | None = None
    response: Response | None = None

    @property
    def summary(self) -> str:
        """One line in words."""
        if self.explanation is None:
            return self.verdict.replace("_", " ")
        alteration = ALTERATIONS[self.explanation.alteration]
        name = alteration.opposite if self.explanation.opposite else alteration.name
        strength = f"{self.explanation.strength:.2g}"
        times = "\N{MULTIPLICATION SIGN}"
        about = f"{times}{strength}" if alteration.unit == "factor" else f"{strength} {alteration.unit}"
        return f"{self.verdict}: {name} (about {about})"


@dataclass(frozen=True, eq=False, repr=False)
class Shift(Result):
    """How photos differ from the training images.

    Attributes
    ----------
    findings
        One for each quantity: shifted ones first, that which explains most before the others.
    training, photos
        Images that were compared.
    unreadable, notes
        Names of images that could not be read, each with the reason; what else limits the answer, in words.
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
    def other_classes(self) -> bool:
        """Whether the photos show other classes than the training pictures, by the answers."""
        return self.answers is not None and self.answers.verdict == "other_classes"

    @property
    def shifted(self) -> tuple[QuantityShift, ...]:
        """The findings with this verdict, the most important first."""
        return tuple(finding for finding in self.findings if finding.verdict == "shifted")

    @property
    def verdict(self) -> Literal["shifted", "other_classes", "unchanged", "cannot_tell"]:
        """``"shifted"`` where a quantity is; ``"cannot_tell"`` where there are too few pictures on a side."""
        if min(self.training, self.photos) < FEWEST:
            return "cannot_tell"
        if self.shifted:
            return "shifted"
        return "other_classes" if self.other_classes else "unchanged"

    def table(self) -> Table:
        """Set the findings in a table, one row for each quantity."""
        return Table(_HEAD, map(_cells, self.findings), "<>>>><", widths=(16, 8, 8, 6, 6))

    def _report(self) -> Iterable[str | Result]:
        yield self._headline()
        yield from (f"Note: {note}" for note in self.notes)
        yield self.table()
        yield from self._remarks()

    def _headline(self) -> str:
        counts = f"{self.photos} photos against {self.training} training pictures"
        if self.verdict == "cannot_tell":
            return f"{counts}: cannot tell, {FEWEST} on each side are needed."
        if self.verdict == "other_classes":
            return f"{counts}: other classes by the answers, and no other pictures of them."
        if self.verdict == "unchanged":
            return f"{counts}: no measured quantity is shifted."
        names = ", ".join(QUANTITIES[finding.quantity].label for finding in self.shifted)
        return (
            f"{counts}: shifted in {names}{'; other classes by the answers' if self.other_classes else ''}."
        )

    def _remarks(self) -> list[str]:
        lines = [
            f"{QUANTITIES[one.quantity].label}: {_answered(one.response)}"
            for one in self.shifted
            if one.response is not None
        ]
        if self.answers is not None and self.answers.verdict != "cannot_tell":
            lines.append(f"Answers: {_ANSWERED[self.answers.verdict]} ({self.answers.summary}).")
        if self.unreadable:
            lines.append(f"Not readable: {names_of(self.unreadable)}.")
        return lines

    def __repr__(self) -> str:
        return f"Shift({self._headline()!r})"


def _answered(response: Response) -> str:
    changed = f"{response.changed:.0%} {_TREATED[response.pictures]}"
    return f"{_CARES[response.verdict]}. {changed} ({response.count} pictures)."


def _cells(finding: QuantityShift) -> tuple[str, ...]:
    one = finding.difference
    return (
        QUANTITIES[finding.quantity].label,
        _told(one.training, ".3g"),
        _told(one.photos, ".3g"),
        _told(one.delta, "+.2f"),
        "<0.001" if one.p_value < 0.001 else _told(one.p_value, ".3f"),
        finding.summary,
    )


def _told(value: float, form: str) -> str:
    return "" if np.isnan(value) else format(value, form)


@dataclass(frozen=True, eq=False, repr=False)
class Gathered:
    """Measures of images, and some of the images.

    Attributes
    ----------
    rows
        float64 (images, quantities), in the order of `kit.images.properties.QUANTITIES`.
    photos
        The first of them, `KEPT` at most.
    answers
        int64 (images,): index of the class that a classifier predicts; -1 without one.
    found, unreadable
        Images that there were, and name and reason of each that cannot be read.
    """

    rows: Float64
    photos: tuple[Photo, ...]
    answers: Int64
    found: int
    unreadable: tuple[tuple[str, str], ...] = ()


def gather(
    pictures: Pictures,
    what: str = "photos",
    *,
    classifier: Classifier | None = None,
    progress: Progress = True,
) -> Gathered:
    """Open and measure images, in random order, `MOST` of them at most; a classifier predicts each.

    Interrupted, it returns what was measured, which is a fair sample.
    """
    found = at_least_one(each_picture(pictures))
    order = np.random.default_rng(_SEED).permutation(len(found))[:MOST].tolist()
    # In one list, so that an interruption leaves nothing half done.
    done: list[tuple[Float64, int]] = []
    photos: list[Photo] = []
    unreadable: list[tuple[int, str, str]] = []
    pixels = 0
    with Steps(order, f"measuring {what}", "picture", progress, keep=True) as places:
        for place in places:
            try:
                photo = found[place].open()
            except UNREADABLE as error:
                unreadable.append((place, found[place].name, str(error)))
                continue
            answer = -1 if classifier is None else int(classifier.probabilities([photo])[0].argmax())
            done.append((measured_rows([photo])[0], answer))
            pixels += photo.pixels[..., 0].size
            if len(photos) < (KEPT[1] if pixels <= _KEPT_PIXELS else KEPT[0]):
                photos.append(photo)
    rows = np.array([row for row, _ in done], np.float64).reshape(-1, len(QUANTITIES))
    answers = np.array([answer for _, answer in done], np.int64)
    told = tuple((name, reason) for _, name, reason in sorted(unreadable))
    return Gathered(rows, tuple(photos), answers, len(found), told)


def judged(
    statistics: InputStatistics,
    training: Gathered | None,
    photos: Gathered,
    classifier: Classifier | None,
    *,
    progress: Progress = False,
) -> tuple[tuple[QuantityShift, ...], AnswerShift | None, tuple[str, ...]]:
    """Tell other images from other classes; what `shift` does once everything is measured and predicted.

    Other classes are other images too: T-shirts are brighter than shoes. So where the predictions differ,
    images are compared with those that are predicted alike; and alterations move no more predictions than
    they change. What no quantity measures, such as a turn, looks like other classes. Returns the findings,
    the predictions and the notes of a `Shift`.
    """
    if classifier is None or not photos.photos:
        return findings(statistics, photos.rows), None, ()
    examples = () if training is None else training.photos
    ask = partial(_asked, classifier, examples, photos.photos, progress=progress)
    found = findings(statistics, photos.rows, besides=int(training is not None))
    if training is None:
        note = "the answers are not compared: that takes the training pictures themselves"
        return ask(found), None, (note,)
    answers = compared_answers(training.answers, photos.answers, tuple(classifier.class_names))
    if answers.verdict != "follows":
        return ask(found), answers, ()
    ours, theirs = alike(training.answers, photos.answers)
    within: tuple[QuantityShift, ...] = ()
    note = f"classes may explain what is shifted: too few photos, {theirs.sum()}, are answered like training"
    if ours.sum() >= FEWEST:
        note = f"compared are {theirs.sum()} photos with as many training pictures that are answered alike"
        within = findings(replace(statistics, rows=statistics.rows[ours]), photos.rows[theirs], besides=1)
    others = replace(answers, verdict="other_classes")
    if within and not any(one.verdict == "shifted" for one in within):
        return within, others, (note,)
    found = ask(found)
    if _accounted(answers, found):
        return found, answers, ()
    return ask(within) if within else found, others, (note,)


def _accounted(answers: AnswerShift, found: Sequence[QuantityShift]) -> bool:
    """Whether alterations change as many answers as differ, or are too strong to say how many."""
    changed = sum(one.response.changed for one in found if one.response is not None)
    strongest = any(one.explanation is not None and one.explanation.strongest for one in found)
    return strongest or answers.distance - answers.chance <= changed


def findings(statistics: InputStatistics, rows: Float64, besides: int = 0) -> tuple[QuantityShift, ...]:
    """Compare measures, float64 (images, quantities), with statistics of training, and rank the quantities.

    ``besides`` counts other comparisons that share the probability of an accusation by chance.
    """
    compared = {one.quantity: one for one in differences(statistics.rows, rows, besides)}
    differing = {name for name, one in compared.items() if one.differs}
    explained, unexplained = explanations(statistics, rows, differing) if differing else ((), frozenset())
    causes = {one.quantity: one for one in reversed(explained)}

    def verdict(name: str) -> Verdict:
        if name in causes or name in unexplained:
            return "shifted"
        if name in differing:
            return "follows"
        return "unchanged" if compared[name].p_value >= 0 else "cannot_tell"

    def rank(name: str) -> tuple[bool, bool, float]:
        return name not in unexplained, name not in differing, -_size(compared[name])

    ranked = dict.fromkeys([*(one.quantity for one in explained), *sorted(compared, key=rank)])
    return tuple(QuantityShift(name, verdict(name), compared[name], causes.get(name)) for name in ranked)


def _size(difference: Difference) -> float:
    return abs(difference.delta) if difference.p_value >= 0 else -1.0


def _asked(
    classifier: Classifier,
    training: Sequence[Photo],
    photos: Sequence[Photo],
    found: Sequence[QuantityShift],
    *,
    progress: Progress,
) -> tuple[QuantityShift, ...]:
    causes = [one for one in found if one.explanation is not None]
    responses = {
        one.quantity: respond(classifier, one.explanation, training, photos)
        for one in Steps(causes, "asking the classifier", "alteration", progress)
        if one.explanation is not None
    }
    return tuple(replace(one, response=responses.get(one.quantity)) for one in found)


def shift(
    training: Classifier | InputStatistics | Pictures,
    photos: Pictures,
    *,
    classifier: Classifier | None = None,
    progress: Progress = True,
) -> Shift:
    """Tell in which measured quantities photos differ from the training images.

    Light, contrast, colour, sharpness, noise, traces of JPEG, size, aspect and EXIF turns are measured and
    compared one by one. Since one alteration moves several of them, the quantity that was altered is found by
    how the training images respond to alterations, and is ranked first; the others "follow". Where one
    alteration leaves much unexplained, two at once are tried, such as less light and noise. With the training
    images and a classifier, its predictions for both are compared too, which tells other classes from other
    images (`AnswerShift`).

    No classifier is needed; hence it does not come first, unless it stands for its training images:
    ``kit.shift(classifier, photos)``.

    Parameters
    ----------
    training
        Training images (`kit.images.photo`), their `InputStatistics`, or a classifier whose file carries
        those (`Classifier.save` with ``training=`` puts them there).
    photos
        See `kit.images.photo`. At most 1,000 are measured, at random; interrupting keeps what was measured.
        Those that cannot be read are reported.
    classifier
        To predict every image, and to tell whether its predictions change by each alteration; the one that is
        given as ``training`` by default.
    progress
        True for bars where it takes over two seconds; or a function that is told each step in a line.

    Returns
    -------
    Shift

    Raises
    ------
    TypeError, ValueError, FileNotFoundError
        A classifier in place of the photos, one without statistics, no photo, no readable training image, no
        such folder or one without images.
    """
    if isinstance(photos, Classifier):
        raise TypeError(
            "Expected photos, received a Classifier; write kit.shift(training, photos, classifier=classifier)"
        )
    asked = training if classifier is None and isinstance(training, Classifier) else classifier
    asked = None if asked is None or asked.preprocessing is None else asked
    statistics, examples = _statistics(training, asked, progress=progress)
    gathered = gather(photos, classifier=asked, progress=progress)
    found, answers, notes = judged(statistics, examples, gathered, asked, progress=progress)
    counts = len(statistics.rows), len(gathered.rows)
    return Shift(found, *counts, gathered.unreadable, _notes(gathered) + notes, answers)


def _statistics(
    training: Any, classifier: Classifier | None, *, progress: Progress
) -> tuple[InputStatistics, Gathered | None]:
    """Return statistics of the training pictures, and the pictures themselves where there are any."""
    if isinstance(training, InputStatistics):
        return training, None
    if isinstance(training, Classifier):
        statistics = training.reference.properties
        if statistics is None:
            raise ValueError(
                f"Expected a classifier that carries statistics of its training pictures, received"
                f" {training.name!r} without; save it with training=pictures, or give the pictures:"
                " kit.shift(pictures, photos, classifier=classifier)"
            )
        return statistics, None
    gathered = gather(training, "training pictures", classifier=classifier, progress=progress)
    if not gathered.photos:
        raise ValueError("Expected training pictures, received none that can be read; give a folder of them")
    responses = measured_responses(gathered.photos)
    return InputStatistics(gathered.rows, responses, gathered.found), gathered


def _notes(gathered: Gathered) -> tuple[str, ...]:
    notes = []
    if len(gathered.rows) + len(gathered.unreadable) < gathered.found:
        notes.append(f"{len(gathered.rows)} of {gathered.found} photos were measured, chosen at random")
    if len(gathered.rows) < FEWEST:
        notes.append(f"fewer than {FEWEST} photos: nothing can be told from so few")
    return tuple(notes)
