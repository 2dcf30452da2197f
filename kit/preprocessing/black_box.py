"""A person's own preprocessing function, called and compared."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from operator import attrgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np

from kit._arrays import Array, Float64, Levels
from kit.images import Photo
from kit.images.photo import encoded
from kit.preprocessing.comparison import Comparison, Effect, StepDifference, differences, effect_alone, short
from kit.preprocessing.pipeline import MATTES, PIPELINE, TO_SIZE, Pipeline, arrange_back, order_channels, run
from kit.preprocessing.resizing import FILTERS, FITS, LARGEST_SIDE, sides
from kit.preprocessing.scaling import SCALINGS, Scaling, affine, fits, same_line

Function = Callable[[Any], Any]

SAME_LEVELS = 0.6
"""Root mean square in 8-bit levels, below which two images differ by rounding alone."""
STRANGE_LEVELS = 25.0
"""Above which they do not show the same."""
MUCH_BETTER = 4
"""How many times less must be left over to say that the file was decoded otherwise."""
ENOUGH_PIXELS = 20_000
"""So many, evenly spread, tell the ways of reading a result apart."""
FEW_VALUES = 16
"""Where a result has no more, and all are whole numbers, it was cast after scaling."""

_READS_FILE = "the function reads the file itself, so decoding is compared"
_READS_PIXELS = (
    "the function starts from decoded pixels, so decoding is not compared;"
    " give one that takes a path and reads the file itself"
)


@dataclass(frozen=True)
class Called:
    """What a function returned.

    `tensor` is None where `problem` says why it cannot be used; `reads_file` is whether it opened a file.
    """

    tensor: Array | None
    problem: str = ""
    reads_file: bool = False


def call(function: Function, photo: Photo) -> Called:
    """Call a function on a copy of the pixels or, where that fails, on the path of a temporary file.

    The file has the contents that the photo was decoded from, or is a PNG of its pixels.
    """
    tensor, problem = _tried(function, photo.pixels.copy())
    if not problem:
        return Called(tensor)
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        path = Path(folder, "picture").with_suffix(Path(photo.name).suffix if photo.file else ".png")
        path.write_bytes(photo.file or encoded(photo.pixels))
        tensor, reason = _tried(function, str(path))
    if not reason:
        return Called(tensor, reads_file=True)
    if reason != problem:
        problem += f" (given pixels), {reason} (given a path)"
    return Called(None, problem)


def _tried(function: Function, given: Any) -> tuple[Array | None, str]:
    try:
        tensor = np.asarray(function(given))
        return tensor, _unusable(tensor)
    except (Exception, SystemExit) as error:  # noqa: BLE001  whatever a person's function raises is the finding
        told = " ".join(str(error).split())[:200]
        return None, f"raised {type(error).__name__}: {told}".removesuffix(": ")


def _unusable(theirs: Array) -> str:
    if theirs.dtype.kind not in "buif":
        return f"returned {theirs.dtype} values instead of numbers"
    shape = theirs.shape[1:] if theirs.ndim == 4 and theirs.shape[0] == 1 else theirs.shape
    if len(shape) not in {2, 3} or min(shape) == 0 or (len(shape) == 3 and not {shape[0], shape[2]} & {1, 3}):
        return f"returned shape {theirs.shape}, which is not an image of 1 or 3 channels"
    with np.errstate(over="ignore"):
        bad = theirs.size - np.isfinite(theirs.astype(np.float32)).sum()
    return f"returned {bad} values that are not finite in float32" if bad else ""


class _Fit(NamedTuple):
    """One way to read a result: a preprocessing with its own channels and scaling, and those that fit.

    `slope` and `offset`, (C,), lead from 8-bit levels to the values; `levels`, a root mean square, are left.
    """

    steps: Pipeline
    channels: str
    slope: Float64
    offset: Float64
    levels: float


_LEVELS = attrgetter("levels")


def _fitted(steps: Pipeline, photo: Photo, theirs: Float64) -> _Fit:
    values = arrange_back(theirs, steps.layout)
    size = values.shape[:2]
    if steps.size is not None or run(TO_SIZE, steps, photo).shape[:2] != size:
        steps = steps.replace(size=size)
    return _Fit(steps, *_line_of(run(TO_SIZE, steps, photo), values, steps.channels))


def _best_fit(here: Pipeline, photo: Photo, theirs: Float64) -> _Fit:
    """Return the best fit, with the own resizing if that is as good."""
    layouts = dict.fromkeys((here.layout, "channels_last", "transposed", "reshaped", "channels_first"))
    found = [
        _fitted(here.replace(layout=layout), photo, theirs)
        for layout in layouts
        if theirs.shape[0 if layout == "channels_first" else 2] in {1, 3}
    ]
    if (best := min(found, key=_LEVELS)).levels <= SAME_LEVELS:
        return best
    fractions = dict.fromkeys((here.crop_fraction, 1.0, 0.875))
    own = here.fit, here.crop_fraction
    windows = [(fit, part) for fit in FITS for part in (fractions if "crop" in fit else (1.0,))]
    windows = [window for window in windows if window != own]
    tried = [one.steps.replace(fit=fit, crop_fraction=part) for one in found for fit, part in windows]
    found = sorted([*found, *(_fitted(steps, photo, theirs) for steps in tried)], key=_LEVELS)
    # Only the windows that come near are tried with every filter.
    near = [one.steps for one in found[:4] if one.levels <= 1.5 * found[0].levels + 1]
    tried = [steps.replace(filter=name) for steps in near for name in FILTERS if name != here.filter]
    return min([*found, *(_fitted(steps, photo, theirs) for steps in tried)], key=_LEVELS)


def _line_of(picture: Levels, values: Float64, expected: str) -> tuple[str, Float64, Float64, float]:
    """Return the order of the channels, slope, offset and levels of the straight line that fits best."""
    count = values.shape[2]
    stride = max(1, values.shape[0] * values.shape[1] // ENOUGH_PIXELS)
    flat = values.reshape(-1, count)[::stride]
    colours = picture.reshape(-1, 3)[::stride]
    names = [name for name in dict.fromkeys((expected, "rgb", "bgr", "gray_rgb")) if name != "gray"]
    orders = ["gray"] if count == 1 else names
    lines = [(order, *_line(order_channels(colours, order).astype(np.float64), flat)) for order in orders]
    # On a grey image every order is as good: the expected one it is.
    enough = max(1.05 * min(levels for *_, levels in lines), SAME_LEVELS / 2)
    return next(line for line in lines if line[-1] <= enough)


def _line(shown: Float64, values: Float64) -> tuple[Float64, Float64, float]:
    """Fit values = slope * shown + offset by least squares, each channel by itself."""
    mean, their_mean = shown.mean(axis=0), values.mean(axis=0)
    shown, values = shown - mean, values - their_mean
    spread = np.maximum((shown**2).mean(axis=0), 1e-12)
    slope = (shown * values).mean(axis=0) / spread
    left = np.maximum((values**2).mean(axis=0) - slope**2 * spread, 0)
    # A line that is level explains nothing.
    squares = np.divide(left, slope**2, out=np.full_like(left, np.inf), where=np.abs(slope) > 1e-6)
    return slope, their_mean - slope * mean, float(np.sqrt(squares.mean()))


def _scaled(here: Pipeline, best: _Fit) -> dict[str, Any]:
    """Return the scaling that makes the line, one with a name if it is within half a level from 0 to 255."""
    own = here.scaling
    twice = [both for each in (own, *SCALINGS.values()) for both in (own + each, each + own)]
    for inverted in (here.invert, not here.invert):
        line = _turned(best, inverted)
        for scaling in (own, *SCALINGS.values(), *twice):
            apart = 0.5 * np.abs(best.slope)
            if fits(scaling, best.slope.size) and same_line(affine(scaling), line, apart):
                return {"invert": inverted, "scaling": scaling}
    return {"scaling": _fitted_scaling(*_turned(best, here.invert))}


def _turned(best: _Fit, inverted: bool) -> tuple[Float64, Float64]:
    return (-best.slope, 255 * best.slope + best.offset) if inverted else (best.slope, best.offset)


def _fitted_scaling(slope: Float64, offset: Float64) -> Scaling:
    std = 1 / slope
    mean = -offset * std
    # Less than half a level is what rounding makes of none.
    mean = np.where(np.abs(mean) < 0.5, 0, mean)
    if np.ptp(mean) < 0.5 and np.ptp(std) < 2e-3 * np.abs(std).max():
        mean, std = mean[:1], std[:1]
    means, deviations = (tuple(float(f"{value:.4g}") for value in values) for values in (mean, std))
    if len(means) == 1:
        return Scaling(1.0, means[0] or None, deviations[0])
    return Scaling(1.0, means if any(means) else None, deviations)


def _other_decodings(here: Pipeline) -> list[Pipeline]:
    own = here.decoding
    others = [replace(own, exif=not own.exif), *(replace(own, matte=each) for each in MATTES)]
    others.append(replace(own, depth="clip" if own.depth == "scale" else "scale"))
    return [here.replace(decoding=each) for each in others]


def _nearest(here: Pipeline, called: Called, theirs: Float64, photo: Photo) -> tuple[Pipeline, _Fit]:
    """Return the preprocessing that comes nearest to a function, with the best fit."""
    best = _best_fit(here, photo, theirs)
    for other in _other_decodings(here) if called.reads_file and best.levels > SAME_LEVELS else ():
        decoded = photo.decoded(other.decoding)
        if not np.array_equal(decoded.pixels, photo.pixels):
            found = _best_fit(other, decoded, theirs)
            best = found if found.levels < best.levels / MUCH_BETTER else best
    if best.levels > STRANGE_LEVELS:
        return here.replace(size=best.steps.size, decoding=best.steps.decoding), best
    return best.steps.replace(channels=best.channels, cast=None, **_scaled(here, best)), best


def _found(
    here: Pipeline, called: Called, theirs: Float64, photo: Photo, effect: Effect, notes: list[str]
) -> Iterator[tuple[str, str, float]]:
    """Yield each difference: step, words, effect; what is left over is added to `notes`."""
    own = run(PIPELINE, here, photo)[0]
    if np.ptp(theirs) == 0:
        text = f"values: an image here, {short(theirs.flat[0])} everywhere there"
        yield "tensor", text, effect(own, theirs)
        return
    if here.size is not None and max(theirs.shape) > LARGEST_SIDE:
        yield "resize", f"size: {sides(here.size)} here, {theirs.shape} there", 1.0
        return
    values = np.unique(theirs)
    if here.cast is None and len(values) <= FEW_VALUES < len(np.unique(own)) and not np.any(values % 1):
        few = ", ".join(short(value) for value in values[:6])
        text = f"cast: none here, to whole numbers after scaling there; only {few} are left"
        yield "cast", text, effect(own, np.trunc(own))
        return
    there, best = _nearest(here, called, theirs, photo)
    for step, words in differences(here, there):
        yield step, words, effect_alone(here, there, step, photo, effect)
    left = f"{best.levels:.2f} levels (root mean square)"
    if best.levels > STRANGE_LEVELS:
        text = f"content: nothing that was tried explains it; the nearest is off by {left}"
        yield "tensor", text, effect(own, theirs)
    elif best.levels > SAME_LEVELS:
        text = f"values: {left} are unexplained, so something else happens there, too"
        yield "tensor", text, effect(run(PIPELINE, there, photo)[0], theirs)
    else:
        rebuilds = "this preprocessing" if there == here else "what is listed above"
        notes.append(f"{rebuilds} reproduces the result to within {left}")


def compare_called(here: Pipeline, called: Called, photo: Photo, effect: Effect) -> Comparison:
    """Compare a preprocessing with what a function made of a photo that is decoded as the preprocessing does.

    `effect` orders the differences, each tried by itself on the tensor of the preprocessing.
    """
    theirs = called.tensor
    if theirs is None:
        problem = "function", f"function: {called.problem}", 1.0
        return Comparison.on([problem], first_step="function", steps=(), photo=photo.name)
    notes = [_READS_FILE if called.reads_file else _READS_PIXELS]
    ours = run(PIPELINE, here, photo)
    if theirs.ndim == 3:
        notes.append(f"the function returns no batch axis, {theirs.shape}")
    theirs = theirs[..., None] if theirs.ndim == 2 else theirs.reshape(theirs.shape[-3:])
    found, step = [], StepDifference.of("tensor", ours[0], theirs)
    if step.parts:
        found = list(_found(here, called, theirs.astype(np.float64), photo, effect, notes))
    first = found[0][0] if found else None
    return Comparison.on(found, first_step=first, steps=(step,), photo=photo.name, notes=tuple(notes))
