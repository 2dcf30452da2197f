"""Where the answer to a picture flips along one parameter, by bisection."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from kit._checking import known, number
from kit.classifier import Classifier, check_first
from kit.images import Picture, Source, load_image
from kit.perturbation import PARAMETERS, Perturbation
from kit.robustness.sweeps import work as sweep_work
from kit.robustness.sweeps.result import Flip, Sweep
from kit.robustness.sweeps.work import Bracket, FlipsTask, Shared


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
    opened = load_image(photo)
    base = Perturbation() if perturbation is None else perturbation
    bracket = Bracket(parameter, number("low", low), number("high", high), base, -1, -1)
    ends = [(opened, bracket.at(value), -1) for value in (bracket.last, bracket.value)]
    answers = sweep_work.answers(classifier, ends, len(ends))
    if answers.errors:
        raise ValueError(answers.errors[0][1])
    before, after = answers.top.tolist()
    if before == after:
        return None
    bracket = bracket._replace(before=before, after=after)
    picture = Picture(opened.name, opened)
    (found,) = sweep_work.flips(FlipsTask(Shared(classifier), picture, (bracket,), (chosen,)))
    return as_flip(0, parameter, found, classifier.class_names)


def tolerance_of(parameter: str) -> float:
    """Return how far apart the sides of a flip may be: a tenth of the slider's step, 1 for whole numbers."""
    chosen = PARAMETERS[parameter]
    return 1.0 if chosen.kind == "whole" else chosen.step / 10


def as_flip(photo: int, parameter: str, bracket: Bracket, class_names: Sequence[str]) -> Flip:
    """Put a bracket into words."""
    before, after = class_names[bracket.before], class_names[bracket.after]
    return Flip(photo, parameter, float(bracket.last), float(bracket.value), before, after)


def brackets(swept: Sweep) -> Iterator[tuple[int, int, Bracket]]:
    """Yield the row beside each first flip of the grid, the axis along which it lies, and the bracket.

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
        line = places[here]
        for rows in line:
            for way in (order[start::-1], order[start:]):
                tops = swept.tops[rows[way]]
                changed = np.flatnonzero(tops != tops[0])
                if not len(changed) or tops[0] < 0 or tops[changed[0]] < 0:
                    continue
                after = int(changed[0])
                inner, outer = way[after - 1], way[after]
                row = int(rows[inner])
                yield (
                    row,
                    axis,
                    Bracket(
                        name,
                        values[inner],
                        values[outer],
                        swept.perturbations[row % len(swept.perturbations)],
                        int(tops[0]),
                        int(tops[after]),
                    ),
                )


def _nearest(name: str, values: Sequence[Any]) -> int:
    """Return the place of the value that changes a picture least: of JPEG qualities, the best."""
    parameter = PARAMETERS.get(name)
    numbers = [place for place, value in enumerate(values) if value is not None]
    if parameter is None or not numbers:
        return 0
    neutral = parameter.high if parameter.neutral is None else parameter.neutral
    return min(numbers, key=lambda place: abs(values[place] - neutral))
