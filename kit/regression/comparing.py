"""Two classifiers, or one in two environments, on the same pictures: what changes, and whether by chance."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from kit._arrays import Float32
from kit._reporting import Progress, Steps, Table
from kit.classifier import Classifier, check_first
from kit.classifier.architecture import architecture_and_weights
from kit.classifier.labels import Labels, class_indices
from kit.classifier.trial import hits
from kit.images import Photo, Pictures, as_photos
from kit.perturbation import Perturbation
from kit.preprocessing.trace import Trace
from kit.regression.checking import STEPS
from kit.regression.forms import Forms, Function, compare_forms
from kit.validation import Comparison as AccuracyComparison
from kit.validation import compare_accuracies
from kit.validation.calibration.metrics import measure

MOVERS = 10
"""Pictures that moved most are told, so many of them."""
LARGE, FEW = 1000, 0.6
"""Arrays of so many weights or more are rounded where at most this share of them differ from all others."""
FORMS = 64
"""At most so many pictures are asked for what differs between two forms."""


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
class Compared:
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
        Expected calibration error of both on the labelled pictures, 0..1; None without labels.
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

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        accuracy = None if self.accuracy is None else self.accuracy.to_dict()
        forms = None if self.forms is None else vars(self.forms) | {"order": list(self.forms.order)}
        plain = ("first", "second", "photos", "changed", "difference", "step")
        told = {name: getattr(self, name) for name in plain}
        movers = [vars(one) | {"before": list(one.before), "after": list(one.after)} for one in self.movers]
        calibration = None if self.calibration is None else list(self.calibration)
        parts = {"movers": movers, "classes": [list(each) for each in self.classes], "forms": forms}
        return told | parts | {"accuracy": accuracy, "calibration": calibration}

    def __repr__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        lines = "".join(f"<p>{escape(line.strip())}</p>" for line in self._lines())
        return f"{lines}{self.table().html}"

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
        See `kit.images.sources`.
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
    names = second.class_names if isinstance(second, Classifier) else first.class_names
    name = second.name if isinstance(second, Classifier) else getattr(second, "__name__", "the other form")
    known = [place for place, label in enumerate(truth) if label is not None]
    accuracy = calibration = None
    if known:
        picked = [truth[place] or 0 for place in known]
        accuracy = compare_accuracies(hits(one[known], picked), hits(two[known], picked))
        calibration = (_error(one[known], picked), _error(two[known], picked))
    step, forms = _what_differs(first, second, opened[:FORMS])
    tops = [(first.class_names[a], names[b]) for a, b in zip(one.argmax(1), two.argmax(1), strict=True)]
    flipped = Counter(pair for pair in tops if pair[0] != pair[1])
    labelled = ["" if label is None else first.class_names[label] for label in truth]
    return Compared(
        first.name,
        name,
        len(opened),
        sum(flipped.values()),
        float(np.abs(one - two).max(axis=1).mean()),
        _movers(opened, one, two, tops, labelled),
        tuple((before, after, count) for (before, after), count in flipped.most_common()),
        accuracy,
        calibration,
        forms,
        step,
    )


def _answers(first: Classifier, second: "Classifier | Function") -> Callable[[Photo], Float32]:
    if isinstance(second, Classifier):
        return second.probabilities
    if not callable(second):
        raise TypeError(f"Expected a classifier or a function of tensors, received {type(second).__name__}")
    return lambda photo: np.asarray(second(first.tensor(photo)), np.float32)


def _rows(answer: Callable[[Photo], Float32], photos: Any, what: str, progress: Progress) -> Float32:
    return np.concatenate([answer(photo) for photo in Steps(photos, what, "photo", progress)])


def _what_differs(
    first: Classifier, second: "Classifier | Function", photos: Any
) -> tuple[str, Forms | None]:
    """Return the step at which preprocessings part, or what differs between two forms of one network."""
    if not isinstance(second, Classifier):
        tensors = np.concatenate([first.tensor(photo) for photo in photos])
        return "", compare_forms(first.predict_tensors, second, tensors, first.preprocessing)
    ours, theirs = first.preprocessing, second.preprocessing
    if ours is not None and theirs is not None and ours != theirs:
        for photo in photos:
            step = Trace.of(photo, Perturbation(), theirs).parts_at(Trace.of(photo, Perturbation(), ours))
            if step:
                return step, None
    if first.class_names != second.class_names and sorted(first.class_names) == sorted(second.class_names):
        return "class_names", None
    if first.input_shape != second.input_shape:
        return "", None
    tensors = np.concatenate([first.tensor(photo) for photo in photos])
    forms = compare_forms(first.predict_tensors, second.predict_tensors, tensors, first.preprocessing)
    by_rounding = forms.cause in {"rounding", "quantisation"}
    apart = forms.cause in {"other_network", "cannot_tell"} or (by_rounding and not _rounded(second))
    return "", None if apart else forms


def _rounded(classifier: Classifier) -> bool:
    """Whether the weights take so few values that they were rounded: two trainings answer much alike, too."""
    _, weights = architecture_and_weights(classifier)
    kernels = [
        array
        for name, arrays in weights.items()
        for array in arrays
        if name != "optimizer" and array.ndim > 1 and array.size >= LARGE
    ]
    return bool(kernels) and all(
        np.unique(array).size <= FEW * array.size or np.array_equal(array, array.astype(np.float16))
        for array in kernels
    )


def _movers(photos: Any, one: Float32, two: Float32, tops: Any, labels: Any) -> tuple[Mover, ...]:
    change = np.abs(one - two).max(axis=1)
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


def _answer(answer: tuple[str, float]) -> str:
    return f"{answer[0]} {answer[1]:.2f}"


def _mover(one: Mover) -> str:
    right = f" (right: {one.label})" if one.label else ""
    return f"{one.photo}: {_answer(one.before)} -> {_answer(one.after)}{right}"
