"""Scalings: what happens to the numbers 0..255 before a network sees them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from kit._arrays import Float32, Float64
from kit._checking import instance, known, number
from kit._reporting import changed

PerChannel = float | tuple[float, ...]
MINUS = "\N{MINUS SIGN}"
_LARGEST = 1e12
"""Of a number in a scaling, and of one over it: beyond, float32 overflows."""


def _per_channel(what: str, value: Any) -> PerChannel | None:
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, (tuple, list)):
        return tuple(_single(what, part) for part in value)
    return None if value is None else _single(what, value)


def _single(what: str, value: Any) -> float:
    given = number(what, value)
    number(
        f"size of {what}", abs(given), 0 if what == "mean" else 1 / _LARGEST, _LARGEST
    )
    return given


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
        object.__setattr__(self, "divisor", _single("divisor", self.divisor))
        object.__setattr__(self, "mean", _per_channel("mean", self.mean))
        object.__setattr__(self, "std", _per_channel("std", self.std))
        lengths = [
            len(value) for value in (self.mean, self.std) if isinstance(value, tuple)
        ]
        if len(set(lengths)) > 1:
            received = f"{lengths[0]} and {lengths[1]} values"
            raise ValueError(
                f"Expected mean and std of one length, received {received}"
            )

    def __repr__(self) -> str:
        return f"Scaling({changed(self)})"

    @property
    def channels(self) -> int | None:
        """How many channels the mean and std are made for; None if for any number."""
        return next(
            (len(value) for value in (self.mean, self.std) if isinstance(value, tuple)),
            None,
        )


Scalings = tuple[Scaling, ...]

SCALINGS: Mapping[str, Scalings] = {
    "0..255": (),
    "0..1": (Scaling(255.0),),
    "-1..1": (Scaling(127.5, mean=1.0),),
    "imagenet": (Scaling(255.0, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),),
    "caffe": (Scaling(1.0, (103.939, 116.779, 123.68)),),
    "lite": (Scaling(1.0, 127.0, 128.0),),
}


def as_scalings(value: str | Scaling | Sequence[str | Scaling]) -> Scalings:
    """Return a name of `SCALINGS`, one scaling or a sequence of both as a tuple of scalings, in order."""
    if isinstance(value, Scaling):
        return (value,)
    if isinstance(value, str):
        return SCALINGS[known("scaling", value, SCALINGS)]
    parts = instance("scaling", value, Sequence, "a name, a Scaling or a tuple of them")
    return tuple(scaling for part in parts for scaling in as_scalings(part))


def fits(scalings: Scalings, count: int) -> bool:
    """Whether scalings are made for any number of channels, or for this one."""
    return all(part.channels in {None, count} for part in scalings)


def affine(scalings: Scalings) -> tuple[Float64, Float64]:
    """Return (slope, offset), each of shape () or (C,), of the straight line that the scalings make."""
    slope, offset = np.array(1.0), np.array(0.0)
    for scaling in scalings:
        std = np.array(1.0 if scaling.std is None else scaling.std)
        mean = np.array(0.0 if scaling.mean is None else scaling.mean)
        slope = slope / scaling.divisor / std
        offset = (offset / scaling.divisor - mean) / std
    return slope, offset


def same_scaling(one: Scalings, other: Scalings) -> bool:
    """Return whether two scalings agree on 0..255 up to what float32 rounds off."""
    slope, offset = affine(one)
    return same_line(
        (slope, offset),
        affine(other),
        1e-6 * np.max(255 * np.abs(slope) + np.abs(offset)),
    )


def same_line(
    one: tuple[Float64, Float64], other: tuple[Float64, Float64], apart: Any
) -> bool:
    """Return whether two lines (slope, offset) are nowhere on 0..255 further apart than `apart`."""
    ends = [x * (one[0] - other[0]) + one[1] - other[1] for x in (0, 255)]
    return all(bool(np.all(np.abs(end) <= apart)) for end in ends)


def _name(scalings: Scalings) -> str | None:
    return next(
        (name for name, each in SCALINGS.items() if same_scaling(scalings, each)), None
    )


def simplest(scalings: Scalings) -> Scalings:
    """Return the scaling of `SCALINGS` that agrees up to rounding, since it has a name, or `scalings`."""
    name = _name(scalings)
    return scalings if name is None else SCALINGS[name]


def scaling_words(scalings: Scalings) -> str:
    """Return the name, if there is one, and where it does not say all the formula, for people to read."""
    name = _name(scalings)
    if name is not None and ".." in name:
        return name.replace("-", MINUS)
    formula = ", then ".join(_formula(scaling) for scaling in scalings)
    return formula if name is None else f"{name}, {formula}"


def scale(x: ArrayLike, scalings: Scalings) -> Float32:
    """Return the copy of `x`, float32 (..., C), to which `scalings` were applied one after the other."""
    result: Float32 = np.array(x, dtype=np.float32, order="C")
    for each in scalings:
        _calculate(
            result,
            (np.divide, each.divisor),
            (np.subtract, each.mean),
            (np.divide, each.std),
        )
    return result


def unscale(x: ArrayLike, scalings: Scalings) -> Float32:
    """Return the copy of `x`, float32 (…, C), that `scale` would turn into `x` (up to rounding)."""
    result = np.array(x, dtype=np.float32, order="C")
    for each in reversed(scalings):
        _calculate(
            result,
            (np.multiply, each.std),
            (np.add, each.mean),
            (np.multiply, each.divisor),
        )
    return result


def _calculate(result: Float32, *steps: tuple[np.ufunc, PerChannel | None]) -> None:
    # Repeated along the row: broadcasting over an innermost axis of three is eight times slower.
    rows = result.reshape(
        -1, result.shape[-1] * (result.shape[-2] if result.ndim > 1 else 1)
    )
    for function, value in steps:
        if value is not None:
            function(
                rows, np.resize(np.asarray(value, np.float32), rows.shape[-1]), out=rows
            )


def _formula(scaling: Scaling) -> str:
    text = "x" if scaling.divisor == 1 else f"x / {scaling.divisor:g}"
    if scaling.mean is not None:
        text = f"{text} {MINUS} {_short(scaling.mean)}"
    if scaling.std is not None:
        text = (
            f"({text}) / {_short(scaling.std)}"
            if " " in text
            else f"{text} / {_short(scaling.std)}"
        )
    return text


def _short(value: PerChannel) -> str:
    return (
        f"({', '.join(f'{part:g}' for part in value)})"
        if isinstance(value, tuple)
        else f"{value:g}"
    )
