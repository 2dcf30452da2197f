"""The first step at which two pipelines differ."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from kit._arrays import Array
from kit._reporting import Result, Table
from kit.images import Photo
from kit.preprocessing.pipeline import (
    PIPELINE,
    TO_SIZE,
    Pipeline,
    arrange,
    arrange_back,
    run,
    steps,
)
from kit.preprocessing.resizing import PILLOW
from kit.preprocessing.scaling import MINUS, same_scaling

ROUNDING = 2e-6
"""What float32 may round off, relative to the largest value."""
TURNS: Mapping[str, Callable[[Array], Array]] = {
    "": lambda x: x,
    "transposed": lambda x: x.swapaxes(0, 1),
    "reshaped": lambda x: arrange_back(x, "reshaped"),
    "reshaped back": lambda x: arrange(x, "reshaped"),
    "mirrored left to right": lambda x: x[:, ::-1],
    "upside down": lambda x: x[::-1],
    "turned by 180 degrees": lambda x: x[::-1, ::-1],
    "turned to the left": lambda x: np.rot90(x, -1),
    "turned to the right": np.rot90,
}
"""What can have happened to an image (H, W, ...), and what undoes it."""
Effect = Callable[[Array, Array], float]
"""From the tensor of a preprocessing, and what one difference makes of it, to a number from 0 to 1."""


@dataclass(frozen=True)
class StepDifference:
    """One step on a photo: what both hold after it in words, and the largest difference.

    `difference` is None where the shapes differ, `parts` whether the two differ by more than rounding.
    """

    name: str
    here: str
    there: str
    difference: float | None
    parts: bool

    @classmethod
    def of(cls, name: str, here: Array, there: Array) -> Self:
        """Measure how far two arrays are apart."""
        if here.shape != there.shape:
            return cls(name, _held(here), _held(there), None, parts=True)
        difference = float(np.max(np.abs(here.astype(np.float64) - there), initial=0))
        rounding = ROUNDING * max(
            1.0, float(np.max(np.abs(here.astype(np.float64)), initial=0))
        )
        return cls(
            name,
            _held(here),
            _held(there),
            difference,
            parts=not difference <= rounding,
        )

    @property
    def words(self) -> str:
        """The largest difference as a number, or in words."""
        if self.difference is None:
            return "shapes differ"
        if self.difference == 0:
            return "equal"
        # How much is rounded off depends on the processor, so the figure stays out of notebooks.
        return short(self.difference) if self.parts else "equal up to rounding"


def _held(array: Array) -> str:
    return f"{array.dtype} {array.shape}, {short(array.min())}..{short(array.max())}"


def short(value: float) -> str:
    """Return a number with four digits and a true minus sign."""
    return f"{value:.4g}".replace("-", MINUS)


Difference = tuple[str, str, float]
"""Its step, what it is in words, and its effect by itself."""


@dataclass(frozen=True)
class Comparison(Result):
    """How two ways of preparing an image differ.

    Parameters
    ----------
    differences
        In words, the one with the largest effect first.
    first_step
        The first step after which the tensors differ; None if they never do.
    steps
        Every step with its figures.
    effects
        The step of each difference and its effect by itself, from 0 to 1: how far the tensor moves (see
        `moved`), or where a classifier is asked, which share of the probability.
    notes
        What the comparison could not see.
    """

    differences: tuple[str, ...]
    first_step: str | None
    steps: tuple[StepDifference, ...]
    photo: str
    effects: tuple[tuple[str, float], ...]
    notes: tuple[str, ...] = ()

    @classmethod
    def on(cls, found: Iterable[Difference], **fields: Any) -> Self:
        """Return the comparison of differences in the order of the pipeline."""
        ordered = sorted(found, key=lambda one: -one[2])
        effects = tuple((step, effect) for step, _, effect in ordered)
        return cls(tuple(words for _, words, _ in ordered), effects=effects, **fields)

    @property
    def main_step(self) -> str | None:
        """The step with the largest effect; None where nothing differs."""
        return next(
            (step for step, effect in self.effects if effect > 0), self.first_step
        )

    @property
    def equal(self) -> bool:
        """Whether nothing differs."""
        return not self.differences and self.first_step is None

    def table(self) -> Table:
        """Return a row for each step with what both hold after it; on the right none where they are equal."""
        rows = [
            (
                step.name,
                step.words,
                step.here,
                step.there if step.difference != 0 else "",
            )
            for step in self.steps
        ]
        return Table(("step", "difference", "here", "there"), rows, "<<<<")

    def _report(self) -> Iterator[str | Result]:
        yield from self.differences or ["No difference in the steps."]
        if self.photo:
            exact = all(step.difference == 0 for step in self.steps)
            end = (
                "the tensors are equal"
                if exact
                else "the tensors are equal up to rounding"
            )
            if self.first_step:
                end = f"first difference: {self.first_step}"
                end += (
                    f", biggest: {self.main_step}"
                    if self.main_step != self.first_step
                    else ""
                )
            yield f"On {self.photo}, {end}."
        if self.steps:
            yield self.table()
        yield from (f"Note: {note}." for note in self.notes)


def moved(here: Array, there: Array) -> float:
    """Return how far a tensor is moved: d / (d + s), of root mean square d and the standard deviation s.

    0 where it stays as it is, 0.5 where it moves as far as it varies, 1 where the shapes differ.
    """
    if here.shape != there.shape:
        return 1.0
    apart = float(np.sqrt(np.mean((there.astype(np.float64) - here) ** 2)))
    return apart / (apart + float(np.std(here))) if apart else 0.0


def compare_values(here: Pipeline, there: Pipeline, photo: Photo | None) -> Comparison:
    """Compare two preprocessings in words and, if there is a photo, step by step on it."""
    named = tuple(differences(here, there, photo))
    if photo is None:
        return Comparison(tuple(text for _, text in named), None, (), "", ())
    mine, theirs = steps(here, photo), steps(there, photo)
    found = tuple(StepDifference.of(name, mine[name], theirs[name]) for name in mine)
    first = next((step.name for step in found if step.parts), None)
    parts = [
        (name, text, effect_alone(here, there, name, photo, moved))
        for name, text in named
    ]
    return Comparison.on(parts, first_step=first, steps=found, photo=photo.name)


def effect_alone(
    here: Pipeline, there: Pipeline, step: str, photo: Photo, effect: Effect
) -> float:
    """Return the effect of one step of the second preprocessing by itself."""
    operation = next(each for each in PIPELINE if each.name == step)
    try:
        changed = here.replace(
            **{name: getattr(there, name) for name in operation.fields}
        )
    except ValueError:
        # The other order of channels has another number of them than the mean.
        return 1.0
    return effect(run(PIPELINE, here, photo), run(PIPELINE, changed, photo))


def differences(
    here: Pipeline,
    there: Pipeline,
    photo: Photo | None,
    sides: tuple[str, str] = ("here", "there"),
) -> Iterator[tuple[str, str]]:
    """Yield ``("scaling", "scaling: 0..1 here, 0..255 there")`` for each choice that differs.

    So are versions of Pillow that resize the photo, where there is one, to other pixels.
    """
    for operation in PIPELINE:
        # Where one of the two leaves the operation out, that is all there is to say.
        compared = 1 if operation.skipped(here) or operation.skipped(there) else None
        for choice in operation.choices[:compared]:
            mine, theirs = choice.words(here), choice.words(there)
            alike = choice.name == "scaling" and same_scaling(
                here.scaling, there.scaling
            )
            if mine != theirs and not alike:
                yield (
                    operation.name,
                    f"{choice.title or choice.name}: {mine} {sides[0]}, {theirs} {sides[1]}",
                )
    if words := pillow_words(here, there, photo, sides):
        yield "resize", words


def pillow_words(
    here: Pipeline,
    there: Pipeline,
    photo: Photo | None,
    sides: tuple[str, str] = ("here", "there"),
) -> str:
    """Say which versions of Pillow resize a photo, if they alone make other pixels of it; else empty."""
    if photo is None or here.filter != there.filter or here.pillow == there.pillow:
        return ""
    other = here.replace(pillow=there.pillow)
    if np.array_equal(run(TO_SIZE, here, photo), run(TO_SIZE, other, photo)):
        return ""
    versions = (
        f"{here.pillow or PILLOW} {sides[0]}, {there.pillow or PILLOW} {sides[1]}"
    )
    return f"resize: Pillow {versions}"
