"""The first step at which two pipelines differ."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any, NamedTuple, Self

import numpy as np

from kit._arrays import Array
from kit._reporting import Report, Result, Table
from kit.images.photo import Photo
from kit.preprocessing.pipeline import (
    CHOICES,
    PIPELINE,
    TO_SIZE,
    Pipeline,
    arrange,
    arrange_back,
    run,
)
from kit.preprocessing.resizing import PILLOW
from kit.preprocessing.scaling import MINUS, same_scaling

ROUNDING_SHARE = 2e-6
"""What float32 may round off, relative to the largest value."""
Reorderings = Mapping[str, Callable[[Array], Array]]
"""By name, what becomes of an image (H, W, ...)."""
TURNS: Reorderings = {
    "": lambda x: x,
    "transposed": lambda x: x.swapaxes(0, 1),
    "mirrored left to right": lambda x: x[:, ::-1],
    "upside down": lambda x: x[::-1],
    "turned by 180 degrees": lambda x: x[::-1, ::-1],
    "turned to the left": lambda x: np.rot90(x, -1),
    "turned to the right": np.rot90,
    "mirrored and turned to the right": lambda x: np.rot90(x, 2).swapaxes(0, 1),
}
"""How an image (H, W, ...) can have been turned, and what undoes it."""
SCRAMBLED: Reorderings = {
    "reshaped": lambda x: arrange_back(x, "reshaped"),
    "channels first in another shape": lambda x: arrange(x, "reshaped"),
}
"""In which order its values can have been read, and what undoes it."""
Effect = Callable[[Array, Array], float]
"""From the tensor of a preprocessing, and what one difference makes of it, to a number from 0 to 1."""


@dataclass(frozen=True)
class StepDifference:
    """One step on a photo: what both hold after it in words, and the largest difference.

    `difference` is None where the shapes differ, `differs` whether the two differ by more than rounding.
    """

    name: str
    here: str
    there: str
    difference: float | None
    differs: bool

    @classmethod
    def of(cls, name: str, expected: Array, actual: Array) -> Self:
        """Measure how far two arrays are apart."""
        difference = None
        differs = True
        if expected.shape == actual.shape:
            expected_values = expected.astype(np.float64)
            difference = float(np.max(np.abs(expected_values - actual), initial=0))
            largest_value_or_1 = float(np.max(np.abs(expected_values), initial=1))
            rounding = ROUNDING_SHARE * largest_value_or_1
            # A difference that is no number, or infinite, is none that rounding makes.
            differs = not difference <= rounding < inf
        return cls(
            name,
            here=_summary(expected),
            there=_summary(actual),
            difference=difference,
            differs=differs,
        )

    @property
    def words(self) -> str:
        """The largest difference as a number, or in words."""
        # `difference` is the largest of all values.
        if self.difference is None:
            return "shapes differ"
        if self.difference == 0:
            return "equal"
        # Rounding differs between processors: its figure would change the outputs stored in notebooks.
        return four_digits(self.difference) if self.differs else "equal up to rounding"


def _summary(array: Array) -> str:
    return f"{array.dtype} {array.shape}, {four_digits(array.min())}..{four_digits(array.max())}"


def four_digits(value: float) -> str:
    """Return a number with four digits and a true minus sign."""
    return f"{value:.4g}".replace("-", MINUS)


class Difference(NamedTuple):
    """The step that differs, in words how, and its effect by itself, from 0 to 1."""

    step: str
    words: str
    effect: float


@dataclass(frozen=True)
class Comparison(Result):
    """How two ways of preparing an image differ.

    Parameters
    ----------
    differences
        In words, the one with the largest effect first.
    first_step, steps
        The first step after which the tensors differ, None if they never do; each step of either, with
        figures.
    effects
        The step of each difference and its effect by itself, from 0 to 1: how far the tensor moves (see
        `relative_distance`), or where a classifier is asked, which share of the probability.
    notes
        What the comparison could not see.
    """

    differences: tuple[str, ...]
    first_step: str | None = None
    steps: tuple[StepDifference, ...] = ()
    photo: str = ""
    effects: tuple[tuple[str, float], ...] = ()
    notes: tuple[str, ...] = ()

    @classmethod
    def on(cls, differences: Iterable[Difference], **fields: Any) -> Self:
        """Return the comparison of differences, the one with the largest effect first."""
        largest_first = sorted(differences, key=lambda difference: -difference.effect)
        # `main_step` counts on this order of the effects, too.
        return cls(
            differences=tuple(difference.words for difference in largest_first),
            effects=tuple(
                (difference.step, difference.effect) for difference in largest_first
            ),
            **fields,
        )

    @property
    def main_step(self) -> str | None:
        """The step with the largest effect; None where nothing differs, or there is no photo."""
        # The effects are sorted, the largest first; where none moves the tensor, the order of steps counts.
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
                # None, where shapes differ, is not 0: then both are shown.
                "" if step.difference == 0 else step.there,
            )
            for step in self.steps
        ]
        # Each of the four columns is aligned to the left.
        return Table(("step", "difference", "here", "there"), rows, align="<<<<")

    def _report(self) -> Report:
        yield from self.differences or ["No difference in the steps."]
        if self.photo:
            outcome = "the tensors are equal"
            if self.first_step:
                outcome = f"first difference: {self.first_step}"
                if self.main_step != self.first_step:
                    outcome += f", biggest: {self.main_step}"
            elif any(step.difference for step in self.steps):
                outcome += " up to rounding"
            yield f"On {self.photo}, {outcome}."
        if self.steps:
            yield self.table()
        yield from (f"Note: {note}." for note in self.notes)


def relative_distance(tensor: Array, changed: Array) -> float:
    """Return how far a tensor is moved: d / (d + s), of root mean square d and the standard deviation s.

    0 where it stays as it is, 0.5 where it moves as far as it varies, 1 where the shapes differ.
    """
    if tensor.shape != changed.shape:
        return 1.0
    distance = float(np.sqrt(np.mean((changed.astype(np.float64) - tensor) ** 2)))
    # Beside how far `tensor` varies, so that it stays below 1 however far it is moved.
    return distance / (distance + float(np.std(tensor))) if distance else 0.0


def arrays_by_step(pipeline: Pipeline, photo: Photo) -> dict[str, Array]:
    """Return what each operation leaves behind of a photo, by its name, read-only."""
    arrays = {}
    # The first operation decodes the photo; from then on it is an array.
    photo_or_array: Any = photo
    for operation in PIPELINE:
        photo_or_array = run((operation,), pipeline, photo_or_array)
        # A view, as an operation that is left out hands on the array before it.
        view = photo_or_array.view()
        view.flags.writeable = False
        arrays[operation.name] = view
    return arrays


def compare_pipelines(
    expected: Pipeline, actual: Pipeline, photo: Photo | None
) -> Comparison:
    """Compare two preprocessings in words and, if there is a photo, step by step on it."""
    if photo is None:
        # Without a photo, no step is run and no effect is measured.
        return Comparison(
            tuple(words for _, words in differences(expected, actual, photo))
        )
    expected_arrays = arrays_by_step(expected, photo)
    actual_arrays = arrays_by_step(actual, photo)
    # `PIPELINE` is all steps there are; one that neither side performs is not listed.
    step_differences = tuple(
        StepDifference.of(
            operation.name,
            expected_arrays[operation.name],
            actual_arrays[operation.name],
        )
        for operation in PIPELINE
        if not (operation.skipped(expected) and operation.skipped(actual))
    )
    differing_steps = (step.name for step in step_differences if step.differs)
    # The effect of a difference is how far it alone, made in `expected`, moves the tensor of that.
    return Comparison.on(
        differences_with_effects(expected, actual, photo, effect=relative_distance),
        first_step=next(differing_steps, None),
        steps=step_differences,
        photo=photo.name,
    )


def differences_with_effects(
    expected: Pipeline, actual: Pipeline, photo: Photo, effect: Effect
) -> Iterator[Difference]:
    """Yield each difference with the effect of its step by itself."""
    fields_by_step = {operation.name: operation.fields for operation in PIPELINE}
    tensor = run(PIPELINE, expected, photo)
    for step, words in differences(expected, actual, photo):
        # The whole step: two choices of one step, such as filter and fit, have one effect.
        changes = {name: getattr(actual, name) for name in fields_by_step[step]}
        try:
            expected_but_this_step = expected.replace(**changes)
        except ValueError:
            # One grey channel, say, cannot be scaled by three means: what cannot be run has the full effect.
            yield Difference(step, words, effect=1.0)
        else:
            changed_tensor = run(PIPELINE, expected_but_this_step, photo)
            yield Difference(step, words, effect(tensor, changed_tensor))


_SIDE_NAMES = ("here", "there")


def differences(
    expected: Pipeline,
    actual: Pipeline,
    photo: Photo | None,
    side_names: tuple[str, str] = _SIDE_NAMES,
) -> Iterator[tuple[str, str]]:
    """Yield ``("scaling", "scaling: 0..1 here, 0..255 there")`` for each choice that differs.

    So are versions of Pillow that resize the photo, where there is one, to other pixels. `side_names` is what
    the two preprocessings are called.
    """
    for operation in PIPELINE:
        choices = operation.choices
        if operation.skipped(expected) or operation.skipped(actual):
            # The first choice says that one side leaves the operation out; then the others do not count.
            choices = choices[:1]
        for choice in choices:
            expected_words = choice.words(expected)
            actual_words = choice.words(actual)
            is_same = expected_words == actual_words or (
                choice.name == "scaling"
                and same_scaling(expected.scaling, actual.scaling)
            )
            if not is_same:
                both_sides = (
                    f"{expected_words} {side_names[0]}, {actual_words} {side_names[1]}"
                )
                yield operation.name, f"{choice.title or choice.name}: {both_sides}"
    # No choice names the version of Pillow, on which pixels may depend, too; without a photo none is told.
    if words := pillow_words(expected, actual, photo, side_names):
        yield "resize", words


def pillow_words(
    expected: Pipeline,
    actual: Pipeline,
    photo: Photo | None,
    side_names: tuple[str, str] = _SIDE_NAMES,
) -> str:
    """Say which versions of Pillow resize a photo, if they alone make other pixels of it; else empty."""
    # `pillow` is a version. With another filter, other pixels are not the version's doing.
    if (
        photo is None
        or expected.filter != actual.filter
        or expected.pillow == actual.pillow
    ):
        return ""
    expected_with_other_pillow = expected.replace(pillow=actual.pillow)
    if np.array_equal(
        run(TO_SIZE, expected, photo), run(TO_SIZE, expected_with_other_pillow, photo)
    ):
        return ""
    # A version of 0 stands for the installed one, which is `PILLOW`.
    return (
        f"resize: Pillow {expected.pillow or PILLOW} {side_names[0]},"
        f" {actual.pillow or PILLOW} {side_names[1]}"
    )


def contrasts(in_use: Pipeline, fixed: Pipeline) -> dict[str, str]:
    """Return a sentence for each choice, by name, in which a pipeline differs from that of training."""
    sentence_by_choice = {}
    for choice in CHOICES:
        words_of = choice.words
        if words_of(in_use) == words_of(fixed):
            continue
        # Plain words read better, but may be the same for two values.
        if choice.plain and choice.plain(in_use) != choice.plain(fixed):
            words_of = choice.plain
        # A diagnosis that cannot tell what is right cuts the sentence off at its semicolon.
        sentence = choice.sentence.format(
            in_use=words_of(in_use), right=words_of(fixed)
        )
        sentence = sentence.replace("(0, 0, 0)", "black")
        # By this name the explorer finds the setting that it puts back.
        sentence_by_choice[choice.name] = sentence.replace("(255, 255, 255)", "white")
    return sentence_by_choice
