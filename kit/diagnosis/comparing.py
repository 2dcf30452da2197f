"""Two classifiers, or two forms of one network, compared on the same images."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import inf
from operator import attrgetter
from typing import Any, NamedTuple, cast

import numpy as np
import scipy

from kit._arrays import Array, Float32, Indices
from kit._reporting import Progress, Result, Steps, Table
from kit.classifier import Classifier, check_first, known_preprocessing
from kit.classifier.engines import finite, probabilities, tempered
from kit.classifier.labels import Labels, label_indices
from kit.classifier.predictions import Predictions
from kit.diagnosis.candidates import Evaluator, candidates, explained
from kit.diagnosis.checks_network import check_determinism
from kit.diagnosis.class_order import known_orders
from kit.diagnosis.search import difference
from kit.images import Photo, Pictures, as_photos
from kit.preprocessing import Preprocessing
from kit.preprocessing.comparison import TURNS, pillow_words
from kit.preprocessing.faults import CATALOGUE
from kit.preprocessing.pipeline import LAYOUTS, PIPELINE, TO_TENSOR, arrange
from kit.preprocessing.scaling import SCALINGS, fits
from kit.validation.accuracy import Comparison, compare_accuracies

Function = Callable[[Float32], Float32]

GIVEN = {
    choice.name
    for operation in TO_TENSOR
    for choice in operation.choices
    if choice.name != "layout"
}
"""The steps between resizing and the layout, which are tried on tensors."""
MOVERS = 10
"""How many of the images that changed most are reported."""
JUDGED, SEARCHED, FEW, MATCHES = 32, 8, 2, 8
"""How many of them judge outputs, how many inputs, on how many all is tried, of which so many best go on."""
SOUND, ROUNDED, CLOSE = 0.01, 1e-3, 0.1
"""Largest difference, as `Compared` has it, of a form that can take the place of another, of one that is not
looked into, and of one that is called close; with a larger change of one probability, none is sound."""
RESTORED, EXACT = 0.1, 0.02
"""Share of the difference that undoing a cause may leave, also where it seems sound or much is fitted."""
_FLOOR, _EXACT = 1e-30, 1e-3


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
        sound = _sound(
            self.difference, max((mover.change for mover in self.movers), default=0.0)
        )
        unknown = "close, " * (not sound and self.difference <= CLOSE) + "cause unknown"
        cause = self.cause or ("no difference found" if sound else unknown)
        undone = (
            f", of which {self.undone} leaves {self.left:.0%}" if self.undone else ""
        )
        return f"{changes}; {cause}: {self.difference:.3f} on average{undone}."

    def _report(self) -> Iterator[str | Result]:
        yield repr(self)
        if self.prepared:
            yield f"the second prepares images differently: {self.prepared}"
        if (one := self.accuracy) is not None:
            only = f"only before {one.only_first}, only after {one.only_second}"
            shares = f"{one.first:.1%} before, {one.second:.1%} after"
            yield f"correct: {shares}; {only}; by chance alone in {one.p_value:.2g} (McNemar)"
        rows = []
        for mover in self.movers:
            sides = (
                f"{name} {share:.2f}" for name, share in (mover.before, mover.after)
            )
            rows.append((mover.photo, *sides, f"{mover.change:.3f}", mover.label))
        if rows:
            yield Table(
                ("image", "before", "after", "change", "true class"), rows, "<<<><"
            )


def _sound(mean: float, most: float) -> bool:
    return mean <= SOUND and most <= CLOSE


class _Form(NamedTuple):
    """The second as a search asks it: its outputs in the order of the first's classes."""

    function: Function
    order: Indices
    preprocessing: Preprocessing
    quantised: bool = False

    def predict_tensors(self, tensors: Float32) -> Float32:
        rows = np.asarray(self.function(tensors), np.float32)
        if rows.ndim != 2 or rows.shape[1] != len(self.order):
            raise ValueError(
                f"Expected as many classes, received {len(self.order)} and {rows.shape[-1]}"
            )
        return finite(rows, "the second")[:, self.order]

    def rows(self, photos: Sequence[Photo], preprocessing: Preprocessing) -> Float32:
        return self.predict_tensors(
            np.concatenate([preprocessing.apply(photo) for photo in photos])
        )


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
    another head. It is named only if undoing it removes the difference; quantisation, where nothing does, the
    two are close, and the file of the second alone has weights of 8 bits.

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
    check_first(first)
    used, names = known_preprocessing(first), first.class_names
    form = _form(first, second)
    opened = as_photos(photos)
    truth = label_indices(labels, names, len(opened))
    steps = Steps(opened, "Comparing", "image", progress)
    pairs = [
        (first.probabilities(each), form.rows([each], form.preprocessing))
        for each in steps
    ]
    one, two = np.hstack(pairs)
    before, after = (
        Predictions(rows, names, truth, tuple(photo.name for photo in opened))
        for rows in (one, two)
    )
    changes = _changes(one, two)
    most = np.argsort(-changes, kind="stable")[:JUDGED].tolist()
    asked = tuple(opened[place] for place in most), one[most], two[most]
    sound = _sound(float(changes.mean()), float(changes.max()))
    cause = _cause(first, form, *asked, sound=sound) if changes.mean() > ROUNDED else {}
    if not (cause or sound) and form.quantised and changes.mean() <= CLOSE:
        cause = {"cause": "quantisation", "left": 1.0}

    def moved(place: int) -> Mover:
        return Mover(
            photo=opened[place].name,
            before=before[place].top(1)[0][0],
            after=after[place].top(1)[0][0],
            change=float(changes[place]),
            label="" if truth[place] < 0 else names[truth[place]],
        )

    right = before.labelled.correct, after.labelled.correct
    versions = (pillow_words(used, form.preprocessing, photo) for photo in asked[0])
    prepared = dict.fromkeys([difference(used, form.preprocessing), *versions])
    return Compared(
        first.name,
        getattr(second, "name", getattr(second, "__name__", "the other form")),
        photos=len(opened),
        changed=int(before.changed(after).sum()),
        difference=float(changes.mean()),
        **cause,
        prepared="; ".join(filter(None, prepared)),
        movers=tuple(moved(place) for place in most[:MOVERS] if changes[place] > 0),
        accuracy=compare_accuracies(*right) if (truth >= 0).any() else None,
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
        quantised = (
            second.network.engine.quantised and not first.network.engine.quantised
        )
        return _Form(
            second.predict_tensors, order, second.preprocessing or used, quantised
        )
    if not callable(second):
        raise TypeError(
            f"Expected a classifier or a function of tensors, received {type(second).__name__}"
        )
    return _Form(second, order, used)


def _changes(one: Float32, two: Float32) -> Float32:
    """Return the largest difference of a probability of each image; what is no probability counts as 1."""
    return np.asarray(np.abs(one - two).max(axis=1).clip(max=1), np.float32)


class _Trial(NamedTuple):
    """Causes, what undoes them or does the same to the first, and the difference that is left then."""

    causes: tuple[str, ...]
    undone: tuple[str, ...]
    left: float


class _Idea(NamedTuple):
    """Causes, words as in `_Trial`, and the probabilities of both forms under it, for so many images."""

    causes: tuple[str, ...]
    undone: str
    rows: Callable[[int], tuple[Float32, Float32]]


def _cause(
    first: Classifier,
    form: _Form,
    photos: tuple[Photo, ...],
    one: Float32,
    two: Float32,
    *,
    sound: bool,
) -> dict[str, Any]:
    """Undo one thing after the other, and return what removes the difference, as `Compared` has it."""
    tensors = form.preprocessing.apply(photos[0])
    if not sound and (unsteady := check_determinism(cast("Classifier", form), tensors)):
        return {"cause": unsteady.cause, "left": 1.0}
    heads: dict[str, Function] = {"": np.asarray, **_heads(two)}
    proven = _proven(one, two, _outputs(first.class_names, one, two, heads))
    open_size = (
        form.preprocessing.size is None and len({photo.size for photo in photos}) > 1
    )
    if sound or open_size or (proven and proven["left"] * _apart(one, two) <= SOUND):
        return proven
    photos, one, two = photos[:SEARCHED], one[:SEARCHED], two[:SEARCHED]
    ideas = [*_inputs(first, form, photos, one), *_done(first, photos, two)]
    return _proven(one, two, _tried(ideas, heads, one, two)) or proven


def _tried(
    ideas: Sequence[_Idea], heads: Mapping[str, Function], one: Float32, two: Float32
) -> Iterator[_Trial]:
    """Yield what ideas leave, with each head: those that explain two images at once, then the best."""

    def trial(idea: _Idea, count: int) -> _Trial:
        ours, theirs = idea.rows(count)
        left, head = min(
            (_apart(ours, undo(theirs)), head) for head, undo in heads.items()
        )
        return _Trial(_HEAD * bool(head) + idea.causes, (head, idea.undone), left)

    lefts = []
    for idea in ideas:
        lefts.append(trial(idea, FEW).left)
        if lefts[-1] <= EXACT * _apart(one[:FEW], two[:FEW]):
            yield trial(idea, SEARCHED)
    yield from (
        trial(ideas[place], SEARCHED)
        for place in np.argsort(lefts, kind="stable")[:MATCHES]
    )


def _proven(one: Float32, two: Float32, trials: Iterable[_Trial]) -> dict[str, Any]:
    """Return the trial that leaves the least, as `Compared` has it; nothing where it leaves too much."""
    whole = _apart(one, two)
    best = _Trial((), (), inf)
    for trial in trials:
        best = min(best, trial, key=attrgetter("left"))
        if best.left <= _EXACT * whole:
            break
    if best.left > min(SOUND, whole * (RESTORED if whole > SOUND else EXACT)):
        return {}
    cause, undone = (
        " and ".join(filter(None, dict.fromkeys(each))) for each in best[:2]
    )
    return {"cause": cause, "undone": undone, "left": best.left / whole}


def _apart(one: Float32, two: Float32) -> float:
    return float(_changes(one, two).mean())


_HEAD = ("softmax_head",)


def _heads(two: Float32) -> dict[str, Function]:
    """Return what may turn the outputs of another head into probabilities."""
    inside = np.all(np.abs(two - 0.5) <= 0.5 + ROUNDED)
    if inside and np.allclose(two.sum(axis=1), 1, atol=1e-2):
        twice = _without_softmax(two).min() > -ROUNDED
        return {"taking one of two softmaxes out": _without_softmax} if twice else {}
    return {
        "a softmax": lambda x: probabilities(x, "logits"),
        "a softmax in place of sigmoids": lambda x: probabilities(
            scipy.special.logit(x.clip(_FLOOR, 1 - 1e-7)), "logits"
        ),
        "dividing by the sum": lambda x: probabilities(x.clip(0), "sigmoid"),
    }


def _without_softmax(rows: Float32) -> Float32:
    # What a softmax was taken of is known but for a constant, and probabilities are 1 together.
    logs = np.log(np.maximum(rows, _FLOOR))
    return np.asarray(
        logs + (1 - logs.sum(axis=1, keepdims=True)) / rows.shape[1], np.float32
    )


def _outputs(
    names: Sequence[str], one: Float32, two: Float32, heads: Mapping[str, Function]
) -> Iterator[_Trial]:
    """Yield what other heads leave of the difference, alone, with a temperature, and with other orders."""
    undone = [
        (_Trial(_HEAD * bool(head), (head,), _apart(one, undo(two))), undo(two))
        for head, undo in heads.items()
    ]
    yield from (alone for alone, _ in undone)
    for (causes, (head,), left), rows in undone:

        def cooled(power: float, rows: Float32 = rows) -> float:
            return _apart(one, tempered(rows, np.exp(-power)))

        # A temperature changes no predicted class.
        if np.array_equal(one.argmax(axis=1), rows.argmax(axis=1)):
            fitted = scipy.optimize.minimize_scalar(
                cooled, bounds=(-3, 3), method="bounded"
            )
            words = f"a temperature of {np.exp(fitted.x):.3g}"
            if abs(fitted.x) > EXACT:
                yield _Trial(_HEAD, (head, words), float(fitted.fun))
        for name, order in known_orders(names).items():
            back = _apart(one, rows[:, np.argsort(order)])
            yield _Trial(
                (*causes, "class_order"), (head, f"reading its classes {name}"), back
            )
        pairs = scipy.spatial.distance.cdist(one.T, rows.T, "sqeuclidean")
        back = _apart(one, rows[:, scipy.optimize.linear_sum_assignment(pairs)[1]])
        # So much is fitted that little may be left.
        if back <= EXACT * left:
            yield _Trial(
                (*causes, "class_order"), (head, "putting its classes in order"), back
            )


# Where channels have means of their own, this is not what another order does that is scaled afterwards.
_REVERSED = "with their channels reversed"
_TURNS: Mapping[str, Callable[[Array], Array]] = {
    **TURNS,
    _REVERSED: lambda x: x[..., ::-1],
}


def _inputs(
    first: Classifier, form: _Form, photos: tuple[Photo, ...], one: Float32
) -> Iterator[_Idea]:
    """Yield images that are prepared, turned or reshaped otherwise for the second; the simplest first."""
    used, own = form.preprocessing, known_preprocessing(first)
    evaluator = Evaluator(form)
    starts = {used: None}
    # As for the first, where that makes tensors for the second.
    if own.channel_count == used.channel_count:
        starts[own.replace(size=used.size, layout=used.layout)] = None
    shape = evaluator.tensors(photos[:1], used.replace(layout="channels_last"))[0].shape
    turns = [
        name
        for name, turn in _TURNS.items()
        if name and turn(np.empty(shape)).shape == shape
    ]
    ones = [each for start in starts for each in _ones(start)]
    tried = [(p, "") for p in (*starts, *ones)] + [
        (p, name) for name in turns for p in starts
    ]
    tried += [(p, "") for start in starts for p in _others(start)]
    tried += [(p, name) for name in turns for p in ones]

    def rows(p: Preprocessing, name: str, count: int) -> tuple[Float32, Float32]:
        tensors = evaluator.tensors(photos[:count], p.replace(layout="channels_last"))
        turned = np.stack([_TURNS[name](each) for each in tensors])
        return one[:count], form.predict_tensors(arrange(turned, used.layout))

    for p, name in tried:
        words = (difference(used, p), f"giving it tensors {name}" * bool(name))
        turn = (
            "channel_layout"
            if name and name.split()[0] in LAYOUTS
            else "exif_orientation"
        )
        turn = "channel_order" if name == _REVERSED else turn
        causes = (*_causes(used, p), *[turn] * bool(name))
        yield _Idea(causes, " and ".join(filter(None, words)), partial(rows, p, name))


def _ones(start: Preprocessing) -> list[Preprocessing]:
    return [one.preprocessing for one in candidates(start) if one.step in GIVEN]


def _others(start: Preprocessing) -> Iterator[Preprocessing]:
    """Yield two changes together, and two scalings one after the other."""
    for one in _ones(start):
        yield from _ones(one)
    for scaling in SCALINGS.values():
        if fits(scaling, start.channel_count):
            yield start.replace(scaling=scaling + start.scaling)


def _causes(used: Preprocessing, right: Preprocessing) -> Iterator[str]:
    for operation in PIPELINE:
        alone = used.replace(
            **{name: getattr(right, name) for name in operation.fields}
        )
        for choice in operation.choices:
            if choice.words(used) != choice.words(right):
                yield explained(choice.name, alone, used).cause


def _done(
    first: Classifier, photos: tuple[Photo, ...], two: Float32
) -> Iterator[_Idea]:
    """Yield faults done to the first, too, since not all can be undone."""
    own = known_preprocessing(first)
    faults: list[tuple[tuple[str, ...], str, Preprocessing]] = [
        ((one.cause,), one.title, one.apply(own))
        for one in CATALOGUE.values()
        if one.step in GIVEN
    ]
    for name, scaling in SCALINGS.items():
        if fits(scaling, own.channel_count):
            faults.append(
                (
                    ("double_scaling",),
                    f"and {name}",
                    own.replace(scaling=own.scaling + scaling),
                )
            )
    faults += [(tuple(_causes(p, own)), difference(own, p), p) for p in _others(own)]

    def rows(fault: Preprocessing, count: int) -> tuple[Float32, Float32]:
        return first.probabilities(photos[:count], preprocessing=fault), two[:count]

    for causes, title, fault in faults:
        yield _Idea(
            causes, f"doing the same to {first.name} ({title})", partial(rows, fault)
        )
