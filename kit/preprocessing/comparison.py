"""Comparing two ways of preparing a picture: which steps differ in words, and where the tensors part."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kit.images import Source, load_image
from kit.preprocessing.resizing import FITS
from kit.preprocessing.scaling import MINUS, same_scaling, scaling_words
from kit.preprocessing.steps import CHANNELS, LAYOUTS

if TYPE_CHECKING:
    from kit.preprocessing import Preprocessing

TIMES = "\N{MULTIPLICATION SIGN}"
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

    def __str__(self) -> str:
        if self.difference is None:
            return f"{self.name}: shapes differ; {self.here} here, {self.there} there"
        if self.difference == 0:
            return f"{self.name}: equal, {self.here}"
        # How much is rounded off depends on the processor, so the figure stays out of notebooks.
        apart = f"max difference {short(self.difference)}" if self.parts else "equal up to rounding"
        return f"{self.name}: {apart}; {self.here} here, {self.there} there"


@dataclass(frozen=True)
class Comparison:
    """How two ways of preparing a picture differ.

    Parameters
    ----------
    differences
        The differing steps in words, in the order of the pipeline; empty if there are none.
    first_step
        On a photo, the first step after which the tensors differ; None if they never do, or without a photo.
    steps
        On a photo, every step with its figures.
    photo
        The photo's name.
    notes
        What the comparison could not see.
    """

    differences: tuple[str, ...] = ()
    first_step: str | None = None
    steps: tuple[StepDifference, ...] = ()
    photo: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def equal(self) -> bool:
        """Whether nothing differs."""
        return not self.differences and self.first_step is None

    def __str__(self) -> str:
        lines = list(self.differences) or ["No difference in the steps."]
        if self.photo is not None:
            exact = all(step.difference == 0 for step in self.steps)
            end = "the tensors are equal" if exact else "the tensors agree up to rounding"
            end = f"the tensors part at: {self.first_step}" if self.first_step else end
            lines += [f"On {self.photo}, {end}.", *(f"  {step}" for step in self.steps)]
        return "\n".join([*lines, *(f"Note: {note}." for note in self.notes)])


def compare_values(here: "Preprocessing", there: "Preprocessing", photo: Source | None = None) -> Comparison:
    """Compare two preprocessings in words and, if there is a photo, step by step on it."""
    differences = differing_words(here, there)
    notes = _written_differently(here, there)
    if photo is None:
        return Comparison(differences, notes=notes)
    opened = load_image(photo)
    pairs = zip(here.steps(opened), there.steps(opened), strict=True)
    steps = tuple(step_difference(mine.name, mine.array, theirs.array) for mine, theirs in pairs)
    first = next((step.name for step in steps if step.parts), None)
    return Comparison(differences, first, steps, opened.name, notes)


def differing_words(here: "Preprocessing", there: "Preprocessing") -> tuple[str, ...]:
    """Return ``"scaling: 0..1 here, 0..255 there"`` for each part of two preprocessings that differs."""
    mine, theirs = words(here), words(there)
    same = {"scaling"} if same_scaling(here.scaling, there.scaling) else set()
    if here.size is None or there.size is None:
        same |= {"filter", "fit"}
    return tuple(
        f"{name}: {text} here, {theirs[name]} there"
        for name, text in mine.items()
        if theirs[name] != text and name not in same
    )


def words(preprocessing: "Preprocessing") -> Mapping[str, str]:
    """Return every part of a preprocessing in words, in the order of the pipeline."""
    p = preprocessing
    matte = "dropped" if p.decoding.matte is None else f"laid over {p.decoding.matte}"
    return {
        "EXIF orientation": "applied" if p.decoding.exif else "ignored",
        "alpha": matte,
        "16 bit": "divided by 257" if p.decoding.depth == "scale" else "cut at 255",
        "thumbnail": "none" if p.thumbnail is None else f"at most {sides(p.thumbnail)} first",
        "size": "as it comes" if p.size is None else sides(p.size),
        "filter": p.filter,
        "fit": _fit_words(p),
        "channels": p.channels,
        "polarity": "inverted" if p.invert else "as it is",
        "scaling": scaling_words(p.scaling),
        "cast": "none" if p.cast is None else f"to {p.cast} after scaling",
        "layout": p.layout,
    }


def describe(preprocessing: "Preprocessing") -> tuple[str, ...]:
    """Return one line for each step that does something, for people to read."""
    said = words(preprocessing)
    decode = "; ".join(f"{name} {said[name]}" for name in ("EXIF orientation", "alpha", "16 bit"))
    lines = [f"decode: {decode}"]
    if preprocessing.thumbnail is not None:
        lines.append(f"thumbnail: {said['thumbnail']}")
    if preprocessing.size is not None:
        meaning = FITS[preprocessing.fit]
        lines.append(f"resize: to {said['size']}, filter {said['filter']}, {said['fit']} ({meaning})")
    lines.append(f"channels: {said['channels']} ({CHANNELS[preprocessing.channels]})")
    if preprocessing.invert:
        lines.append(f"invert: 255 {MINUS} x")
    lines.append(f"scale: {said['scaling']}")
    if preprocessing.cast is not None:
        lines.append(f"cast: {said['cast']}")
    return (*lines, f"layout: {said['layout']} {LAYOUTS[preprocessing.layout]}")


def step_difference(name: str, here: NDArray[Any], there: NDArray[Any]) -> StepDifference:
    """Measure how far two arrays are apart."""
    difference = None
    if here.shape == there.shape:
        apart = np.abs(here.astype(np.float64) - there.astype(np.float64))
        difference = float(apart.max()) if apart.size else 0.0
    return StepDifference(name, held(here), held(there), difference)


def held(array: NDArray[Any]) -> Held:
    """Say what an array holds."""
    numbers = array[np.isfinite(array)] if array.dtype.kind == "f" else array
    low, high = (float(numbers.min()), float(numbers.max())) if numbers.size else (float("nan"), float("nan"))
    return Held(str(array.dtype), array.shape, low, high)


def sides(size: tuple[int, int]) -> str:
    """Return ``"224x224"`` with a multiplication sign, height first."""
    return f"{size[0]}{TIMES}{size[1]}"


def short(value: float) -> str:
    """Return a number with four digits and a true minus sign."""
    return f"{value:.4g}".replace("-", MINUS)


def _fit_words(p: "Preprocessing") -> str:
    if "crop" in p.fit:
        return f"{p.fit} of {100 * p.crop_fraction:.4g} %"
    return f"{p.fit} on {p.fill}" if p.fit in {"letterbox", "pad"} else p.fit


def _written_differently(here: "Preprocessing", there: "Preprocessing") -> tuple[str, ...]:
    if here.scaling != there.scaling and same_scaling(here.scaling, there.scaling):
        return ("the scalings are written differently and agree up to rounding",)
    return ()
