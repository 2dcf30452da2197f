"""Two classifiers, or two forms of one network, compared on the same images."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import numpy as np
import scipy

from kit._arrays import Float32
from kit._reporting import Progress, Result, Steps, Table
from kit.classifier import Classifier, check_first, known_preprocessing
from kit.classifier.engines import finite
from kit.classifier.labels import Labels, class_indices, hits, known
from kit.diagnosis.checks_network import check_determinism
from kit.diagnosis.class_order import known_orders
from kit.diagnosis.search import matching
from kit.diagnosis.verdict import difference
from kit.images import Photo, Pictures, as_photos
from kit.preprocessing import Preprocessing
from kit.preprocessing.pipeline import TO_TENSOR
from kit.validation import Comparison, compare_accuracies

Function = Callable[[Float32], Float32]

MOVERS = 10
"""How many of the images that changed most are reported."""
JUDGED, SEARCHED = 32, 8
"""How many of them judge a head and an order of classes, and how many a preprocessing, which takes longer."""
SOUND = 0.01
"""Largest difference, as `Compared` has it, of a form that can take the place of another."""
RESTORED, ORDERED = 0.1, 0.01
"""Share of the difference that undoing a cause may leave, and difference that a fitted order may."""
_FLOOR, _ROUNDED = 1e-12, 1e-3


@dataclass(frozen=True)
class Mover:
    """An image whose prediction changed.

    `before` and `after` are the most probable class and its probability, `change` is the largest difference
    of a probability, 0..1, and `label` the right class, empty where it is not known.
    """

    photo: str
    before: tuple[str, float]
    after: tuple[str, float]
    change: float
    label: str = ""


@dataclass(frozen=True, repr=False)
class Compared(Result):
    """What came of two classifiers on the same images.

    Attributes
    ----------
    photos, changed
        How many images there are, and how many predicted classes change.
    difference
        Mean over images of the largest difference of a probability, 0..1.
    cause
        What differs, if it is proven: causes as `diagnose` names them, joined by "and"; else empty.
    undone, left
        What undoes the cause, in words, and the share of the difference that is left then, 0..1.
    prepared
        What the second does otherwise when it prepares images, in words.
    movers
        The images that changed most, the first the most.
    accuracy
        McNemar's test on the labelled images; None without labels.
    """

    first: str
    second: str
    photos: int
    changed: int
    difference: float
    cause: str = ""
    undone: str = ""
    left: float = 0.0
    prepared: str = ""
    movers: tuple[Mover, ...] = ()
    accuracy: Comparison | None = None

    def __repr__(self) -> str:
        changes = f"{self.changed} of {self.photos} predictions change from {self.first} to {self.second}"
        cause = self.cause or ("no difference found" if self.difference <= SOUND else "cause unknown")
        undone = f", of which {self.undone} leaves {self.left:.0%}" if self.undone else ""
        return f"{changes}; {cause}: {self.difference:.3f} on average{undone}."

    def _report(self) -> Iterator[str | Result]:
        yield repr(self)
        if self.prepared:
            yield f"the second prepares images differently: {self.prepared}"
        if (one := self.accuracy) is not None:
            yield (
                f"correct: {one.first:.1%} before, {one.second:.1%} after; only before {one.only_first},"
                f" only after {one.only_second}; by chance alone in {one.p_value:.2g} (McNemar)"
            )
        rows = []
        for mover in self.movers:
            sides = (f"{name} {share:.2f}" for name, share in (mover.before, mover.after))
            rows.append((mover.photo, *sides, f"{mover.change:.3f}", mover.label))
        if rows:
            yield Table(("image", "before", "after", "change", "true class"), rows, "<<<><")


class _Form(NamedTuple):
    """The second as a search asks it: its outputs in the order of the first's classes."""

    function: Function
    order: Sequence[int]
    preprocessing: Preprocessing

    def predict_tensors(self, tensors: Float32) -> Float32:
        rows = np.asarray(self.function(tensors), np.float32)
        if rows.ndim != 2 or rows.shape[1] != len(self.order):
            raise ValueError(f"Expected as many classes, received {len(self.order)} and {rows.shape[-1]}")
        return finite(rows, "the second")[:, self.order]

    def rows(self, photos: Sequence[Photo], preprocessing: Preprocessing) -> Float32:
        return self.predict_tensors(np.concatenate([preprocessing.apply(photo) for photo in photos]))


def compare(
    first: Classifier,
    second: Classifier | Function,
    photos: Pictures,
    labels: Labels | None = None,
    *,
    progress: Progress = True,
) -> Compared:
    """Compare two classifiers, or a classifier and another form of its network, on the same images.

    Where predictions differ by more than `SOUND`, the cause is looked for as `kit.diagnose` does, with the
    predictions of the first as the truth: a fault of the preprocessing, another order of the classes, or
    another head. It is named only if undoing it removes the difference.

    Parameters
    ----------
    first
        Each classifier prepares the images in its own way.
    second
        A classifier with as many classes, or a function from float32 tensors (N, H, W, C), as the first's
        network expects them, to probabilities (N, classes): an exported or quantised form.
    photos, progress
        See `kit.images.photo` and `kit.robustness.sweep`.
    labels
        The right class of each by name or index, None where it is not known.

    Raises
    ------
    TypeError, ValueError
        No classifier, no images, another number of classes or labels.
    """
    check_first(first, "kit.compare(first, second, photos)")
    used, names = known_preprocessing(first), first.class_names
    form = _form(first, second)
    opened = as_photos(photos, allow_empty=False)
    truth = class_indices(labels, names, len(opened))
    steps = Steps(opened, "Comparing", "image", progress)
    pairs = [(first.probabilities(each), form.rows([each], form.preprocessing)) for each in steps]
    one, two = np.hstack(pairs)
    changes = _changes(one, two)
    most = np.argsort(-changes, kind="stable")[:JUDGED].tolist()
    given = isinstance(second, Classifier)
    asked = tuple(opened[place] for place in most), one[most], two[most]
    cause = _cause(form, *asked, names, given) if changes.mean() > SOUND else {}

    def moved(place: int) -> Mover:
        before, after = ((names[row.argmax()], float(row.max())) for row in (one[place], two[place]))
        right = "" if (label := truth[place]) is None else names[label]
        return Mover(opened[place].name, before, after, float(changes[place]), right)

    labelled = known(truth)[0]
    right = [hits(rows, truth)[labelled] for rows in (one, two)]
    return Compared(
        first.name,
        second.name if isinstance(second, Classifier) else getattr(second, "__name__", "the other form"),
        photos=len(opened),
        changed=int((one.argmax(axis=1) != two.argmax(axis=1)).sum()),
        difference=float(changes.mean()),
        **cause,
        prepared=difference(used, form.preprocessing),
        movers=tuple(moved(place) for place in most[:MOVERS] if changes[place] > 0),
        accuracy=compare_accuracies(*right) if labelled else None,
    )


def _form(first: Classifier, second: Classifier | Function) -> _Form:
    used, names = known_preprocessing(first), first.class_names
    order = np.arange(len(names))
    if isinstance(second, Classifier):
        others = second.class_names
        if sorted(names) == sorted(others):
            # Stable, so that classes of one name stay in their order.
            ours, theirs = (np.argsort(each, kind="stable") for each in (names, others))
            order = theirs[np.argsort(ours)]
        return _Form(second.predict_tensors, order.tolist(), second.preprocessing or used)
    if not callable(second):
        raise TypeError(f"Expected a classifier or a function of tensors, received {type(second).__name__}")
    return _Form(second, order.tolist(), used)


def _changes(one: Float32, two: Float32) -> Float32:
    """Return the largest difference of a probability of each image; what is no probability counts as 1."""
    return np.asarray(np.abs(one - two).max(axis=1).clip(max=1), np.float32)


def _cause(
    form: _Form, photos: tuple[Photo, ...], one: Float32, two: Float32, names: Sequence[str], prepares: bool
) -> dict[str, Any]:
    """Undo one thing after the other, and return what removes the difference, as `Compared` has it."""
    network, used = cast("Classifier", form), form.preprocessing
    unsteady = check_determinism(network, used.apply(photos[0]), ())
    if unsteady is not None:
        return {"cause": unsteady.cause, "left": 1.0}
    tried = (*_heads(two), *_orders(names, one, two))
    left, cause, undone = min((_left(one, two, rows), cause, undone) for cause, undone, rows in tried)
    if left <= RESTORED:
        return {"cause": cause, "undone": undone, "left": left}
    photos, one, two = photos[:SEARCHED], one[:SEARCHED], two[:SEARCHED]
    if used.size is None and len({photo.size for photo in photos}) > 1:
        return {}
    given = {choice.name for operation in TO_TENSOR for choice in operation.choices}
    for match in matching(network, photos, one, used):
        # A function is given tensors: how images were resized is none of its doing.
        if prepares or all(change.step in given for change in match.changes):
            left = _left(one, two, form.rows(photos, match.preprocessing))
            causes = " and ".join(dict.fromkeys(change.cause for change in match.changes))
            undone = difference(used, match.preprocessing)
            return {"cause": causes, "undone": undone, "left": left} if left <= RESTORED else {}
    return {}


def _left(one: Float32, two: Float32, undone: Float32) -> float:
    return float(_changes(one, undone).mean() / _changes(one, two).mean())


def _heads(two: Float32) -> Iterator[tuple[str, str, Float32]]:
    """Yield what the outputs of a head without softmax, or with two of them, stand for."""
    inside = bool(np.all(np.abs(two - 0.5) <= 0.5 + _ROUNDED))
    if not (inside and np.allclose(two.sum(axis=1), 1, atol=1e-2)):
        yield "softmax_head", "a softmax", scipy.special.softmax(two, axis=1)
        return
    logs = np.log(np.maximum(two, _FLOOR))
    # What a softmax was taken of is known but for a constant, and probabilities are 1 together.
    inner = logs + (1 - logs.sum(axis=1, keepdims=True)) / two.shape[1]
    yield "softmax_head", "taking one of two softmaxes out", inner


def _orders(names: Sequence[str], one: Float32, two: Float32) -> Iterator[tuple[str, str, Float32]]:
    """Yield the usual orders of the classes, and the one that fits best where it leaves nothing."""
    for name, order in known_orders(names).items():
        yield "class_order", f"reading its classes {name}", two[:, np.argsort(order)]
    apart = (one**2).sum(axis=0)[:, None] + (two**2).sum(axis=0)[None] - 2 * one.T @ two
    fitted = two[:, scipy.optimize.linear_sum_assignment(apart)[1]]
    if _changes(one, fitted).mean() <= ORDERED:
        yield "class_order", "putting its classes in order", fitted
