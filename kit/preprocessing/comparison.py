"""The first step at which two pipelines differ."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from kit._arrays import Array
from kit._reporting import Result, Table
from kit.images import Photo, Source, load_image
from kit.preprocessing.pipeline import PIPELINE, Pipeline, run, steps
from kit.preprocessing.scaling import MINUS, same_scaling

# What float32 may round off, relative to the largest value.
ROUNDING = 2e-6


@dataclass(frozen=True)
class Held:
    """What a tensor holds: data type, shape, lowest and highest finite value."""

    dtype: str
    shape: tuple[int, ...]
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.dtype} {self.shape}, {short(self.low)}..{short(self.high)}"


@dataclass(frozen=True)
class StepDifference:
    """One step on a photo: what both hold after it, and the largest difference, None if shapes differ."""

    name: str
    here: Held
    there: Held
    difference: float | None

    @property
    def parts(self) -> bool:
        """Whether the two differ by more than rounding."""
        if self.difference is None:
            return True
        return not self.difference <= ROUNDING * max(1.0, abs(self.here.low), abs(self.here.high))

    @property
    def words(self) -> str:
        """The largest difference as a number, or in words."""
        if self.difference is None:
            return "shapes differ"
        if self.difference == 0:
            return "equal"
        # How much is rounded off depends on the processor, so the figure stays out of notebooks.
        return short(self.difference) if self.parts else "equal up to rounding"


@dataclass(frozen=True)
class Comparison(Result):
    """How two ways of preparing a picture differ.

    Parameters
    ----------
    differences
        The differing steps in words; empty if there are none. On a photo the one with the largest effect
        comes first, without a photo, or where effects are equal, the first of the pipeline.
    first_step
        On a photo, the first step after which the tensors differ; None if they never do, or without a photo.
    steps
        On a photo, every step with its figures.
    photo
        The photo's name.
    notes
        What the comparison could not see.
    effects
        On a photo, the step of each difference and its effect by itself, from 0 to 1: how far the tensor
        moves (see `moved`), or where a classifier is asked, which share of the probability.
    """

    differences: tuple[str, ...] = ()
    first_step: str | None = None
    steps: tuple[StepDifference, ...] = ()
    photo: str | None = None
    notes: tuple[str, ...] = ()
    effects: tuple[tuple[str, float], ...] = ()

    @property
    def main_step(self) -> str | None:
        """The step with the largest effect; None without a photo, or where nothing differs on it."""
        return next((step for step, effect in self.effects if effect > 0), self.first_step)

    @property
    def equal(self) -> bool:
        """Whether nothing differs."""
        return not self.differences and self.first_step is None

    def table(self) -> Table:
        """Return a row for each step with what both hold after it; on the right none where they are equal."""
        rows = [
            (step.name, step.words, str(step.here), str(step.there) if step.difference != 0 else "")
            for step in self.steps
        ]
        return Table(("step", "difference", "here", "there"), rows, "<<<<")

    def _report(self) -> Iterator[str | Result]:
        yield from self.differences or ["No difference in the steps."]
        if self.photo is not None:
            exact = all(step.difference == 0 for step in self.steps)
            end = "the tensors are equal" if exact else "the tensors agree up to rounding"
            if self.first_step:
                end = f"the tensors part at: {self.first_step}"
                end += f", most by: {self.main_step}" if self.main_step != self.first_step else ""
            yield f"On {self.photo}, {end}."
        if self.steps:
            yield self.table()
        yield from (f"Note: {note}." for note in self.notes)


Effect = Callable[[Array, Array], float]
"""From the tensor of a preprocessing, and what one difference makes of it, to a number from 0 to 1."""


@dataclass(frozen=True)
class Difference:
    """One difference: its step, what it is in words, and its effect by itself."""

    step: str
    words: str
    effect: float


def compared(
    found: Iterable[Difference],
    first_step: str | None,
    steps: tuple[StepDifference, ...],
    photo: str,
    notes: Sequence[str],
) -> Comparison:
    """Return the comparison on a photo, of differences in the order of the pipeline."""
    ordered = sorted(found, key=lambda one: -one.effect)
    words = tuple(one.words for one in ordered)
    effects = tuple((one.step, one.effect) for one in ordered)
    return Comparison(words, first_step, steps, photo, tuple(notes), effects)


def moved(here: Array, there: Array) -> float:
    """Return how far a tensor is moved: d / (d + s), of root mean square d and the standard deviation s.

    0 where it stays as it is, 0.5 where it moves as far as it varies, 1 where the shapes differ.
    """
    if here.shape != there.shape:
        return 1.0
    apart = float(np.sqrt(np.mean((there.astype(np.float64) - here) ** 2)))
    return apart / (apart + float(np.std(here))) if apart else 0.0


def compare_values(here: Pipeline, there: Pipeline, photo: Source | None = None) -> Comparison:
    """Compare two preprocessings in words and, if there is a photo, step by step on it."""
    told = tuple(differences(here, there))
    notes: tuple[str, ...] = ()
    if here.scaling != there.scaling and same_scaling(here.scaling, there.scaling):
        notes = ("the scalings are written differently and agree up to rounding",)
    if photo is None:
        return Comparison(tuple(text for _, text in told), notes=notes)
    opened = load_image(photo)
    pairs = zip(steps(PIPELINE, here, opened), steps(PIPELINE, there, opened), strict=True)
    found = tuple(step_difference(mine.name, mine.array, theirs.array) for mine, theirs in pairs)
    first = next((step.name for step in found if step.parts), None)
    effects = {name: _effect(here, there, name, opened) for name, _ in told}
    return compared([Difference(*one, effects[one[0]]) for one in told], first, found, opened.name, notes)


def _effect(here: Pipeline, there: Pipeline, name: str, photo: Photo) -> float:
    """Return how far one step moves the tensor if it alone is taken from the other preprocessing."""
    operation = next(each for each in PIPELINE if each.name == name)
    try:
        alone = here.replace(**dict(zip(operation.fields, operation.values(there), strict=True)))
    except ValueError:
        # The other order of channels has another number of them than the mean.
        return 1.0
    return moved(*(run(PIPELINE, each, photo) for each in (here, alone)))


def differences(
    here: Pipeline, there: Pipeline, sides: tuple[str, str] = ("here", "there")
) -> Iterator[tuple[str, str]]:
    """Yield ``("scale", "scaling: 0..1 here, 0..255 there")`` for each choice that differs."""
    for operation in PIPELINE:
        # Where one of the two leaves the operation out, that is all there is to say.
        compared = 1 if operation.skipped(here) or operation.skipped(there) else None
        for choice in operation.choices[:compared]:
            mine, theirs = choice.words(here), choice.words(there)
            alike = choice.name == "scaling" and same_scaling(here.scaling, there.scaling)
            if mine != theirs and not alike:
                told = f"{choice.title or choice.name}: {mine} {sides[0]}, {theirs} {sides[1]}"
                yield operation.name, told


def step_difference(name: str, here: Array, there: Array) -> StepDifference:
    """Measure how far two arrays are apart."""
    difference = None
    if here.shape == there.shape:
        apart = np.abs(here.astype(np.float64) - there.astype(np.float64))
        difference = float(apart.max()) if apart.size else 0.0
    return StepDifference(name, held(here), held(there), difference)


def held(array: Array) -> Held:
    """Say what an array holds."""
    numbers = array[np.isfinite(array)] if array.dtype.kind == "f" else array
    low, high = (float(numbers.min()), float(numbers.max())) if numbers.size else (float("nan"), float("nan"))
    return Held(str(array.dtype), array.shape, low, high)


def short(value: float) -> str:
    """Return a number with four digits and a true minus sign."""
    return f"{value:.4g}".replace("-", MINUS)
