"""Two classifiers compared on the same images."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Any

import numpy as np

from kit._arrays import Float32
from kit._reporting import Progress, Result, Steps, Table
from kit.classifier import Classifier, check_first
from kit.classifier.labels import Labels, class_indices, hits
from kit.images import Photo, Pictures, as_photos
from kit.perturbation import Perturbation
from kit.preprocessing.trace import Trace
from kit.regression.checking import STEPS
from kit.regression.forms import UNDONE, Forms, Function, compare_forms, is_distribution
from kit.regression.rounding import only_rounded
from kit.validation import Comparison, Comparison as AccuracyComparison, compare_accuracies
from kit.validation.calibration import measure

MOVERS = 10
"""Pictures that moved most are told, so many of them."""


@dataclass(frozen=True)
class Mover:
    """A picture whose answer moved.

    Attributes
    ----------
    photo
        Its name.
    before, after
        The most probable class and its probability, 0..1.
    change
        Largest difference of a probability, 0..1.
    label
        The right class; empty where it is not known.
    """

    photo: str
    before: tuple[str, float]
    after: tuple[str, float]
    change: float
    label: str = ""


@dataclass(frozen=True, repr=False)
class Compared(Result):
    """What came of two classifiers on the same pictures.

    Attributes
    ----------
    first, second
        Their names.
    photos
        How many pictures.
    changed
        How many answers changed.
    difference
        Mean over pictures of the largest difference of a probability, 0..1.
    movers
        The pictures that moved most, the first the most.
    classes
        For each pair of answers, before and after, how many pictures; the most frequent first.
    accuracy
        McNemar's test on the labelled pictures: whether one is right more often than by chance; None without
        labels.
    calibration
        Expected calibration error of both on the labelled pictures, 0..1; None without labels, or where the
        second puts out no probabilities.
    forms
        Where both are forms of one network that differ, or do not: see `kit.regression.forms`; None where
        they are trained apart.
    step
        The first step at which their preprocessings part, a name of `kit.regression.checking.STEPS`.
    """

    first: str
    second: str
    photos: int
    changed: int
    difference: float
    movers: tuple[Mover, ...]
    classes: tuple[tuple[str, str, int], ...]
    accuracy: AccuracyComparison | None = None
    calibration: tuple[float, float] | None = None
    forms: Forms | None = None
    step: str = ""

    def headline(self) -> str:
        """Return one sentence."""
        some = f"{self.changed} of {self.photos} answers change from {self.first} to {self.second}"
        if self.step:
            return f"{some}; {STEPS[self.step]}."
        return f"{some}{f'; {self.forms.text()}' if self.forms is not None else ''}."

    def text(self) -> str:
        """Return the report as lines of text."""
        return "\n".join([self.headline(), *self._lines(), *(f"  {one}" for one in map(_mover, self.movers))])

    def table(self) -> Table:
        """Return a row for each of the pictures that moved most."""
        head = ("picture", "before", "after", "moved by", "right")
        rows = [
            (one.photo, _answer(one.before), _answer(one.after), f"{one.change:.3f}", one.label)
            for one in self.movers
        ]
        return Table(head, rows, "<<<><", title=self.headline())

    def __repr__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        lines = "".join(f"<p>{escape(line.strip())}</p>" for line in self._lines())
        return f"{lines}{self.table().html()}"

    def _lines(self) -> Iterator[str]:
        if self.accuracy is not None:
            one = self.accuracy
            yield (
                f"  right: {one.first:.1%} before, {one.second:.1%} after; only before {one.only_first},"
                f" only after {one.only_second}; by chance alone in {one.p_value:.2g} (McNemar)"
            )
        if self.calibration is not None:
            yield "  expected calibration error: {:.3f} before, {:.3f} after".format(*self.calibration)
        for before, after, count in self.classes[:MOVERS]:
            yield f"  {before} -> {after}: {count}"


def _answer(answer: tuple[str, float]) -> str:
    return f"{answer[0]} {answer[1]:.2f}"


def _mover(one: Mover) -> str:
    right = f" (right: {one.label})" if one.label else ""
    return f"{one.photo}: {_answer(one.before)} -> {_answer(one.after)}{right}"


FORMS = 64
"""At most so many pictures are asked for what differs between two forms."""


def compare(
    first: Classifier,
    second: "Classifier | Function",
    photos: Pictures,
    labels: Labels | None = None,
    *,
    progress: Progress = True,
) -> Compared:
    """Compare two classifiers, or a classifier and another form of its network, on the same pictures.

    Parameters
    ----------
    first
        Each classifier prepares the pictures in its own way.
    second
        A classifier with as many classes, or a function from float32 tensors (N, H, W, C), as the first's
        network expects them, to probabilities (N, classes): an exported or quantised form.
    photos
        See `kit.images.photo`.
    labels
        The right class of each by name or index, None where it is not known.
    progress
        See `kit.robustness.sweep`.

    Raises
    ------
    TypeError, ValueError
        No classifier, no pictures, another number of classes or labels.
    """
    check_first(first, "kit.compare(first, second, photos)")
    opened = as_photos(photos, allow_empty=False)
    truth = class_indices(labels, first.class_names, len(opened))
    one = _rows(first.probabilities, opened, "First", progress)
    two = _rows(_answers(first, second), opened, "Second", progress)
    if one.shape != two.shape:
        raise ValueError(f"Expected as many classes, received {one.shape[1]} and {two.shape[1]}")
    if isinstance(second, Classifier):
        two = two[:, _order(first.class_names, second.class_names)]
    names = _names(first, second)
    accuracy, calibration = _on_labels(one, two, truth)
    step, forms = _what_differs(first, second, opened[:FORMS])
    answered = zip(one.argmax(1).tolist(), two.argmax(1).tolist(), strict=True)
    tops = [(first.class_names[before], first.class_names[after]) for before, after in answered]
    flipped = Counter(pair for pair in tops if pair[0] != pair[1])
    labelled = ["" if label is None else first.class_names[label] for label in truth]
    return Compared(
        *names,
        len(opened),
        sum(flipped.values()),
        float(_changes(one, two).mean()),
        _movers(opened, one, two, tops, labelled),
        tuple((before, after, count) for (before, after), count in flipped.most_common()),
        accuracy,
        calibration,
        forms,
        step,
    )


def _names(first: Classifier, second: "Classifier | Function") -> tuple[str, str]:
    """Return what tells the two apart: their files, where two networks have one name."""
    if not isinstance(second, Classifier):
        return first.name, getattr(second, "__name__", "the other form")
    if first.name == second.name and first.source is not None and second.source is not None:
        return first.source.path.as_posix(), second.source.path.as_posix()
    return first.name, second.name


def _answers(first: Classifier, second: "Classifier | Function") -> Callable[[Photo], Float32]:
    if isinstance(second, Classifier):
        return second.probabilities
    if not callable(second):
        raise TypeError(f"Expected a classifier or a function of tensors, received {type(second).__name__}")
    return lambda photo: np.asarray(second(first.tensor(photo)), np.float32)


def _rows(answer: Callable[[Photo], Float32], photos: Any, what: str, progress: Progress) -> Float32:
    return np.concatenate([answer(photo) for photo in Steps(photos, what, "photo", progress)])


def _on_labels(
    one: Float32, two: Float32, truth: Sequence[int | None]
) -> tuple[Comparison | None, tuple[float, float] | None]:
    """Return accuracy and calibration on the pictures whose class is known; None without any."""
    known = [place for place, label in enumerate(truth) if label is not None]
    if not known:
        return None, None
    picked = [label for label in truth if label is not None]
    ours, theirs = one[known], two[known]
    accuracy = compare_accuracies(hits(ours, picked), hits(theirs, picked))
    calibrated = (_error(ours, picked), _error(theirs, picked)) if is_distribution(two) else None
    return accuracy, calibrated


def _order(names: Sequence[str], others: Sequence[str]) -> list[int]:
    """Return where each class is among those of another classifier: by name, or by place if it has others."""
    if sorted(names) != sorted(others):
        return list(range(len(names)))
    # Stable, so that classes of one name stay in their order.
    ours, theirs = (sorted(range(len(each)), key=each.__getitem__) for each in (names, others))
    places = dict(zip(ours, theirs, strict=True))
    return [places[place] for place in range(len(names))]


def _what_differs(
    first: Classifier, second: "Classifier | Function", photos: Sequence[Photo]
) -> tuple[str, Forms | None]:
    """Return the step at which preprocessings part, or what differs between two forms of one network."""
    if not isinstance(second, Classifier):
        tensors = np.concatenate([first.tensor(photo) for photo in photos])
        return "", compare_forms(first.predict_tensors, second, tensors, first.preprocessing)
    step = _parts_at(first, second, photos)
    if not step and _order(first.class_names, second.class_names) != list(range(len(first.class_names))):
        step = "class_names"
    return step, None if step else _forms(first, second, photos)


def _parts_at(first: Classifier, second: Classifier, photos: Sequence[Photo]) -> str:
    """Return the first step at which preprocessings part on any of the photos; empty where none does."""
    ours, theirs = first.preprocessing, second.preprocessing
    if ours is None or theirs is None or ours == theirs:
        return ""
    pairs = ([Trace.of(photo, Perturbation(), each) for each in (theirs, ours)] for photo in photos)
    return next((step for now, then in pairs if (step := now.parts_at(then))), "")


def _forms(first: Classifier, second: Classifier, photos: Sequence[Photo]) -> Forms | None:
    """Return what differs between two classifiers as forms of one network; None where they are none."""
    if first.input_shape != second.input_shape:
        return None
    tensors = np.concatenate([first.tensor(photo) for photo in photos])
    forms = compare_forms(first.predict_tensors, second.predict_tensors, tensors, first.preprocessing)
    if forms.cause in {"same", *UNDONE}:
        return forms
    # By their answers, two trainings and a network that is rounded are alike; the weights tell them apart.
    if not only_rounded(first, second):
        return None
    return forms if forms.cause == "rounding" else replace(forms, cause="quantisation")


def _changes(one: Float32, two: Float32) -> Float32:
    """Return the largest difference of a probability of each picture; what is no probability counts as 1."""
    change: Float32 = np.nan_to_num(np.abs(one - two), nan=1.0).max(axis=1)
    return np.minimum(change, np.float32(1))


def _movers(photos: Any, one: Float32, two: Float32, tops: Any, labels: Any) -> tuple[Mover, ...]:
    change = _changes(one, two)
    order = [place for place in np.argsort(-change, kind="stable")[:MOVERS].tolist() if change[place] > 0]
    return tuple(
        Mover(
            photos[place].name,
            (tops[place][0], float(one[place].max())),
            (tops[place][1], float(two[place].max())),
            float(change[place]),
            labels[place],
        )
        for place in order
    )


def _error(rows: Float32, labels: list[int]) -> float:
    return float(measure(rows, np.asarray(labels), resamples=2).ece.value)
