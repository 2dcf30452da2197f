"""Scalings: what happens to the numbers 0..255 before a network sees them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from kit._arrays import Float32, Float64
from kit._checking import instance, meant, number
from kit._reporting import changed

PerChannel = float | tuple[float, ...]
MINUS = "\N{MINUS SIGN}"
LARGEST_BEFORE_OVERFLOW = 1e12
"""Of a number in a scaling, and of one over it: beyond, float32 overflows."""


def _checked_per_channel(name: str, value: Any) -> PerChannel | None:
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, (tuple, list)):
        return tuple(_checked_number(name, entry) for entry in value)
    # None leaves the step out. `_checked_number` raises for what is no finite number, too large, or too
    # small to divide by.
    return None if value is None else _checked_number(name, value)


def _checked_number(name: str, value: Any) -> float:
    checked = number(name, value)
    # A divisor and a std divide, so `number` has to raise near 0, on either side of it.
    lowest_size = 0 if name == "mean" else 1 / LARGEST_BEFORE_OVERFLOW
    number(f"size of {name}", abs(checked), lowest_size, LARGEST_BEFORE_OVERFLOW)
    return checked


@dataclass(frozen=True)
class Scaling:
    """``(x / divisor - mean) / std``, in float32 and in exactly this order.

    The order and the data type make the results bit for bit those of ``keras.applications``.

    Parameters
    ----------
    divisor
        In 8-bit levels; 1 leaves the range alone.
    mean, std
        One number, one per channel in the order in which the channels arrive, or None to leave the step out.

    Raises
    ------
    TypeError, ValueError
        For values that are not finite numbers, a divisor or std of 0, or mean and std of different lengths.
    """

    divisor: float = 1.0
    mean: PerChannel | None = None
    std: PerChannel | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "divisor", _checked_number("divisor", self.divisor))
        object.__setattr__(self, "mean", _checked_per_channel("mean", self.mean))
        object.__setattr__(self, "std", _checked_per_channel("std", self.std))
        # The lengths of those that have a number for each channel; one number goes with any length.
        if len(set(self._channel_counts)) > 1:
            received = " and ".join(map(str, self._channel_counts))
            raise ValueError(
                f"Expected mean and std of one length, received {received} values"
            )

    def __repr__(self) -> str:
        return f"Scaling({changed(self)})"

    @property
    def channels(self) -> int | None:
        """How many channels the mean and std are made for; None if for any number."""
        return next(iter(self._channel_counts), None)

    @property
    def _channel_counts(self) -> list[int]:
        values = (self.mean, self.std)
        return [len(value) for value in values if isinstance(value, tuple)]


Scalings = tuple[Scaling, ...]

SCALINGS: Mapping[str, Scalings] = {
    "0..255": (),
    "0..1": (Scaling(255.0),),
    "-1..1": (Scaling(127.5, mean=1.0),),
    "imagenet": (Scaling(255.0, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),),
    "caffe": (Scaling(1.0, (103.939, 116.779, 123.68)),),
    "lite": (Scaling(1.0, 127.0, 128.0),),
}


def as_scalings(value: Any) -> Scalings:
    """Return names of `SCALINGS`, factors and scalings, one or several, as a tuple of scalings, in order."""
    if isinstance(value, Scaling):
        return (value,)
    # `meant` takes None as another word for 0..255, and a name that is spelled otherwise.
    if value is None or isinstance(value, str):
        return SCALINGS[meant("scaling", value, SCALINGS)]
    # A factor, such as 1/255.
    if isinstance(value, float) and 1 / LARGEST_BEFORE_OVERFLOW <= value <= 1:
        return simplest((Scaling(1 / value),))
    entries = instance(
        "scaling", value, Sequence, "a name, 1/255, a Scaling or a tuple of them"
    )
    return tuple(scaling for entry in entries for scaling in as_scalings(entry))


def fits(scalings: Scalings, count: int) -> bool:
    """Whether scalings are made for any number of channels, or for this one."""
    return all(scaling.channels in {None, count} for scaling in scalings)


def affine(scalings: Scalings) -> tuple[Float64, Float64]:
    """Return (slope, offset), each of shape () or (C,), of the straight line that the scalings make."""
    # x * slope + offset is x itself at first.
    slope = np.array(1.0)
    offset = np.array(0.0)
    for scaling in scalings:
        std = np.array(1.0 if scaling.std is None else scaling.std)
        mean = np.array(0.0 if scaling.mean is None else scaling.mean)
        slope = slope / scaling.divisor / std
        offset = (offset / scaling.divisor - mean) / std
    return slope, offset


def same_scaling(first: Scalings, second: Scalings) -> bool:
    """Return whether two scalings agree on 0..255 up to what float32 rounds off."""
    # All its steps together make one straight line, for each channel.
    slope, offset = affine(first)
    # Some ten times what float32 rounds off the largest number that can come up for x in 0..255.
    rounding = 1e-6 * np.max(255 * np.abs(slope) + np.abs(offset))
    return same_line((slope, offset), affine(second), rounding)


def same_line(
    first: tuple[Float64, Float64],
    second: tuple[Float64, Float64],
    tolerance: Float64 | float,
    ends: tuple[float, float] = (0, 255),
) -> bool:
    """Return whether lines (slope, offset) are nowhere between two levels further apart than `tolerance`."""
    slope_difference, offset_difference = map(np.subtract, first, second)
    # Lines are farthest apart at one of the ends.
    return all(
        np.all(np.abs(level * slope_difference + offset_difference) <= tolerance)
        for level in ends
    )


def _known_name(scalings: Scalings) -> str | None:
    """Return the name of the scaling of `SCALINGS` that agrees up to rounding."""
    for name, named_scalings in SCALINGS.items():
        if same_scaling(scalings, named_scalings):
            return name
    return None


def simplest(scalings: Scalings) -> Scalings:
    """Return the scaling of `SCALINGS` that agrees up to rounding, since it has a name, or `scalings`."""
    name = _known_name(scalings)
    return scalings if name is None else SCALINGS[name]


def scaling_words(scalings: Scalings) -> str:
    """Return the name, if there is one, and where it does not say all the formula, for people to read."""
    name = _known_name(scalings)
    # The name is a range, which says all.
    if name is not None and ".." in name:
        return name.replace("-", MINUS)
    formula = ", then ".join(_formula(scaling) for scaling in scalings)
    return formula if name is None else f"{name}, {formula}"


@lru_cache  # asked for with every move of a slider
def range_words(scalings: Scalings) -> str:
    """Return what 0..255 becomes, such as "−1..1", to a tenth of its width or more exactly."""
    slope, offset = affine(scalings)
    ends = np.stack([offset, 255 * slope + offset])
    # Decimals that show two digits of the width; a whole number keeps all its digits.
    decimals = max(0, 1 - int(np.floor(np.log10(np.ptp(ends)))))
    # + 0.0 turns -0.0, which would be written as -0, into 0.0.
    low, high = (round(float(end), decimals) + 0.0 for end in (ends.min(), ends.max()))
    return f"{low:g}..{high:g}".replace("-", MINUS)


def scale(x: ArrayLike, scalings: Scalings) -> Float32:
    """Return the copy of `x`, float32 (..., C), to which `scalings` were applied one after the other."""
    # The copy is changed in place, in C order. A divisor is one number; mean and std may be None, one number,
    # or one for each channel.
    result = np.array(x, dtype=np.float32, order="C")
    for scaling in scalings:
        _apply_in_place_unless_none(np.divide, result, scaling.divisor)
        _apply_in_place_unless_none(np.subtract, result, scaling.mean)
        _apply_in_place_unless_none(np.divide, result, scaling.std)
    return result


def unscale(x: ArrayLike, scalings: Scalings) -> Float32:
    """Return the copy of `x`, float32 (…, C), that `scale` would turn into `x` (up to rounding)."""
    # The copy is changed in place, in C order, by the steps that are not None.
    result = np.array(x, dtype=np.float32, order="C")
    for scaling in reversed(scalings):
        _apply_in_place_unless_none(np.multiply, result, scaling.std)
        _apply_in_place_unless_none(np.add, result, scaling.mean)
        _apply_in_place_unless_none(np.multiply, result, scaling.divisor)
    return result


def _apply_in_place_unless_none(
    operation: np.ufunc, result: Float32, operand: PerChannel | None
) -> None:
    """Change a result (..., C) in place by an operation with one number, or with one for each channel."""
    if operand is None:
        return
    # Channels are the last axis. Repeated along the row: broadcasting over an axis of three is eight times
    # slower. In C order, as callers make the result, rows are a view of it, so that it is what changes.
    row_length = result.shape[-1] * (result.shape[-2] if result.ndim > 1 else 1)
    rows = result.reshape(-1, row_length)
    operation(rows, np.resize(np.asarray(operand, np.float32), row_length), out=rows)


def _formula(scaling: Scaling) -> str:
    formula = "x" if scaling.divisor == 1 else f"x / {scaling.divisor:g}"
    if scaling.mean is not None:
        formula = f"{formula} {MINUS} {_six_digits(scaling.mean)}"
        # A mean of -1 is added, as + 1.
        formula = formula.replace(f"{MINUS} -", "+ ")
    if scaling.std is not None:
        formula = f"({formula})" if " " in formula else formula
        formula = f"{formula} / {_six_digits(scaling.std)}"
    return formula


def _six_digits(value: PerChannel) -> str:
    if isinstance(value, tuple):
        return f"({', '.join(map(_six_digits, value))})"
    return f"{value:g}"
