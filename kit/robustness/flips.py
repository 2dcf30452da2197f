"""Where along a parameter a prediction changes, by bisection."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from kit._checking import known, number
from kit._reporting import Progress, Steps
from kit.classifier import Classifier, check_first
from kit.images import Picture, Source, load_image
from kit.perturbation import PARAMETERS, Perturbation
from kit.robustness.executors import run
from kit.robustness.sweep_result import Flip, Sweep
from kit.robustness.sweep_work import Shared, answers, opened


class Bracket(NamedTuple):
    """Two values of a parameter between which a prediction changes.

    Attributes
    ----------
    last, value
        Where the prediction is still ``before``, and where it is another; either may be the larger one.
    perturbation
        Everything else.
    before, after
        Classes at the two ends.
    tolerance
        How close the ends are to be brought, in units of the parameter.
    """

    name: str
    last: float
    value: float
    perturbation: Perturbation
    before: int
    after: int
    tolerance: float

    def at(self, value: float) -> Perturbation:
        """Return the perturbation with this value of the parameter."""
        changes: dict[str, Any] = {self.name: value}
        return replace(self.perturbation, **changes)


class FlipsTask(NamedTuple):
    """A picture, and the brackets to be narrowed on it."""

    shared: Shared
    picture: Picture
    brackets: tuple[Bracket, ...]


def flip(
    classifier: Classifier,
    photo: Source,
    parameter: str,
    low: float,
    high: float,
    tolerance: float | None = None,
    *,
    perturbation: Perturbation | None = None,
) -> Flip | None:
    """Find by bisection where the answer to a picture changes between two values of a parameter.

    Parameters
    ----------
    classifier
        With a known preprocessing.
    photo
        A `Photo` or whatever else `kit.load_image` takes.
    parameter
        Name of a parameter of `Perturbation`.
    low, high
        Values to look between, which may be in either order. The answer is followed from `low`.
    tolerance
        How far apart `Flip.last` and `Flip.value` may be, in units of the parameter; by default a tenth of
        the step of its slider, or 1 where it is a whole number.
    perturbation
        Everything else; by default nothing.

    Returns
    -------
    Flip or None
        None where both ends have the same answer. Between different ones there may be more than one flip; it
        is one of them.

    Raises
    ------
    TypeError, ValueError
        An unknown parameter, one that is only on or off, values outside its bounds, no tolerance above 0, or
        a picture that cannot be read.
    """
    check_first(classifier, "flip(classifier, photo, parameter, low, high)")
    known("parameter", parameter, [name for name, each in PARAMETERS.items() if each.kind != "switch"])
    chosen = tolerance_of(parameter) if tolerance is None else number("tolerance", tolerance)
    if chosen <= 0:
        raise ValueError(f"Expected a tolerance above 0, received {tolerance!r}")
    base = Perturbation() if perturbation is None else perturbation
    bracket = Bracket(parameter, number("low", low), number("high", high), base, -1, -1, chosen)
    opened_photo = load_image(photo)
    ends = [(opened_photo, bracket.at(value), -1) for value in (bracket.last, bracket.value)]
    answered = answers(classifier, ends, len(ends))
    if answered.errors:
        raise ValueError(answered.errors[0][1])
    before, after = answered.top.tolist()
    if before == after:
        return None
    bracket = bracket._replace(before=before, after=after)
    (found,) = narrowed(FlipsTask(Shared(classifier), Picture(opened_photo.name, opened_photo), (bracket,)))
    return _as_flip(0, found, classifier.class_names)


def tolerance_of(parameter: str) -> float:
    """Return how far apart the sides of a flip may be: a tenth of the slider's step, 1 for whole numbers."""
    chosen = PARAMETERS[parameter]
    return 1.0 if chosen.kind == "whole" else chosen.step / 10


def _as_flip(photo: int, bracket: Bracket, class_names: Sequence[str]) -> Flip:
    before, after = class_names[bracket.before], class_names[bracket.after]
    return Flip(photo, bracket.name, float(bracket.last), float(bracket.value), before, after)


def narrowed(task: FlipsTask) -> tuple[Bracket, ...]:
    """Narrow brackets by bisection; a bracket with a value that cannot be answered stays as wide as it is."""
    classifier = task.shared.classifier
    photo = opened(task.picture, classifier)
    found = list(task.brackets)
    open_ = set(range(len(found)))
    while open_:
        middles = {place: _middle(found[place]) for place in sorted(open_)}
        asked = {place: middle for place, middle in middles.items() if middle is not None}
        cells = [(photo, found[place].at(middle), -1) for place, middle in asked.items()]
        tops = answers(classifier, cells, len(cells)).top
        for (place, middle), top in zip(asked.items(), tops.tolist(), strict=True):
            bracket = found[place]
            if top == bracket.before:
                found[place] = bracket._replace(last=middle)
            elif top >= 0:
                found[place] = bracket._replace(value=middle, after=top)
            else:
                open_.discard(place)
        open_ &= asked.keys()
    return tuple(found)


def _middle(bracket: Bracket) -> float | None:
    """Return the value in the middle, None where the ends are close enough."""
    gap = abs(bracket.value - bracket.last)
    if PARAMETERS[bracket.name].kind == "whole":
        return None if gap <= max(1, bracket.tolerance) else (bracket.value + bracket.last) // 2
    middle = (bracket.value + bracket.last) / 2
    return None if gap <= bracket.tolerance or middle in (bracket.value, bracket.last) else middle


def flips_of(
    swept: Sweep,
    shared: Shared,
    pictures: Sequence[Picture],
    executor: Executor | None,
    progress: Progress,
) -> tuple[Flip, ...]:
    """Return the flips beside a sweep's first changes of a prediction, image by image."""
    by_photo: dict[int, list[Bracket]] = {}
    for photo, bracket in brackets(swept):
        by_photo.setdefault(photo, []).append(bracket)
    tasks = ((photo, FlipsTask(shared, pictures[photo], tuple(found))) for photo, found in by_photo.items())
    narrow: dict[int, tuple[Bracket, ...]] = {}
    with Steps[None]((), "Flips", "picture", progress, total=len(by_photo)) as steps:
        for photo, done in run(narrowed, tasks, executor):
            narrow[photo] = done
            steps.advance()
    return tuple(
        _as_flip(photo, bracket, swept.class_names) for photo in sorted(narrow) for bracket in narrow[photo]
    )


def brackets(swept: Sweep) -> Iterator[tuple[int, Bracket]]:
    """Yield the picture and the bracket of each first flip of the grid, along one axis after the other.

    Along each axis, every picture is followed from the value nearest to the neutral one down and up.
    """
    middle = tuple(_nearest(name, values) for name, values in swept.axes.items())
    places = np.arange(len(swept)).reshape(len(swept.photos), *swept.shape)
    for axis, (name, values) in enumerate(swept.axes.items()):
        parameter = PARAMETERS.get(name)
        if parameter is None or parameter.kind == "switch":
            continue
        numbers = [place for place, value in enumerate(values) if value is not None]
        order = sorted(numbers, key=values.__getitem__)
        if middle[axis] not in order:
            continue
        start = order.index(middle[axis])
        here: tuple[Any, ...] = (slice(None), *middle[:axis], slice(None), *middle[axis + 1 :])
        for rows in places[here]:
            for way in (order[start::-1], order[start:]):
                tops = swept.tops[rows[way]]
                changed = np.flatnonzero(tops != tops[0])
                if not len(changed) or tops[0] < 0 or tops[changed[0]] < 0:
                    continue
                inner, outer = way[changed[0] - 1], way[changed[0]]
                row = int(rows[inner])
                others = swept.perturbations[row % len(swept.perturbations)]
                ends = int(tops[0]), int(tops[changed[0]])
                bracket = Bracket(name, values[inner], values[outer], others, *ends, tolerance_of(name))
                yield row // len(swept.perturbations), bracket


def _nearest(name: str, values: Sequence[Any]) -> int:
    """Return the place of the value that changes a picture least: of JPEG qualities, the best."""
    parameter = PARAMETERS.get(name)
    numbers = [place for place, value in enumerate(values) if value is not None]
    if parameter is None or not numbers:
        return 0
    neutral = parameter.high if parameter.neutral is None else parameter.neutral
    return min(numbers, key=lambda place: abs(values[place] - neutral))
