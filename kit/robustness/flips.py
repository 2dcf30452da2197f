"""Where along a parameter a prediction changes."""

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np

from kit._reporting import Steps
from kit.perturbation import PARAMETERS
from kit.robustness.bisection import Bracket, Flip, FlipsTask, as_flip, narrowed, tolerance_of
from kit.robustness.executors import Job, run
from kit.robustness.storage import Journal, batches
from kit.robustness.sweep_result import Sweep

Key: TypeAlias = tuple[int, int, bool]
"""The row beside a flip, the axis along which it lies, and whether that goes up."""


def flips_of(swept: Sweep, job: Job, journal: Journal | None) -> tuple[Flip, ...]:
    """Return the flips beside a sweep's first changes of an answer, picture by picture.

    Parameters
    ----------
    swept
        Its rows.
    job
        What it asks and how that is run.
    journal
        What is known there is not looked for again; what is found is written into it.
    """
    found = {(row, axis, bracket.value > bracket.last): bracket for row, axis, bracket in brackets(swept)}
    waiting = dict(found)
    for record in batches(journal, len(swept), len(swept.class_names), flips=True):
        columns = (record[name].tolist() for name in ("row", "axis", "top", "last", "value"))
        for row, axis, after, last, value in zip(*columns, strict=True):
            key = row, axis, value > last
            if waiting.pop(key, None) is not None:
                found[key] = found[key]._replace(last=last, value=value, after=after)
    count = len(swept.perturbations)
    by_photo: dict[int, list[Key]] = {}
    for key in waiting:
        by_photo.setdefault(key[0] // count, []).append(key)
    tasks = (
        (photo, FlipsTask(job.shared, job.plan.pictures[photo], tuple(waiting[key] for key in keys)))
        for photo, keys in by_photo.items()
    )
    with Steps[None]((), "Flips", "picture", job.progress, total=len(by_photo)) as steps:
        for photo, done in run(narrowed, tasks, job.executor, job.in_flight):
            keys = by_photo[photo]
            found |= zip(keys, done, strict=True)
            if journal is not None:
                row, axis, _ = zip(*keys, strict=True)
                top, last, value = zip(*((each.after, each.last, each.value) for each in done), strict=True)
                journal.write(row=row, axis=axis, top=top, last=last, value=value)
            steps.advance()
    ordered = sorted(found, key=lambda key: (key[0] // count, key[1], key[2]))
    return tuple(as_flip(key[0] // count, found[key], swept.class_names) for key in ordered)


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
                yield row, axis, bracket


def _nearest(name: str, values: Sequence[Any]) -> int:
    """Return the place of the value that changes a picture least: of JPEG qualities, the best."""
    parameter = PARAMETERS.get(name)
    numbers = [place for place, value in enumerate(values) if value is not None]
    if parameter is None or not numbers:
        return 0
    neutral = parameter.high if parameter.neutral is None else parameter.neutral
    return min(numbers, key=lambda place: abs(values[place] - neutral))
