"""A person's own preprocessing function: called, and read as a pipeline."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from itertools import product
from math import inf
from operator import attrgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from kit._arrays import Array, Float64
from kit.images import Photo
from kit.images.photo import encoded
from kit.preprocessing.comparison import (
    TURNS,
    Comparison,
    Effect,
    StepDifference,
    differences,
    effect_alone,
    short,
)
from kit.preprocessing.pipeline import MATTES, PIPELINE, TO_SIZE, Pipeline, arrange_back, order_channels, run
from kit.preprocessing.resizing import FILTERS, FITS, LARGEST_SIDE
from kit.preprocessing.scaling import SCALINGS, Scaling, affine, fits, same_line

Function = Callable[[Any], Any]

SAME_LEVELS = 0.6
"""Root mean square in 8-bit levels, below which two images differ by rounding alone."""
STRANGE_LEVELS = 25.0
"""Above which they do not show the same."""
EXPLAINED = 2
"""How many times more must be left over without a step for it to be named."""
READ = 4
"""Photos from which a function is read; all are compared."""
LEAST_SIDE = 4
"""Of what can be an image."""
SHOWN = 3
"""Reasons that are given why a function could not be called."""
ELSEWHERE = 2.5
"""Levels of the ramps, a hundredth of the image, from which on a function shows another part of it."""
BENT = 5.0
"""Levels by which the middle of a ramp is off the line of its quarters, from which on it is a curve."""
DECODERS = 3.0
"""Levels up to which libraries differ in decoding a JPEG file."""
NEAR = 4
"""Windows, and then filters, that are compared on all of them."""
FEW_VALUES = 16
"""Where a result has no more, and all are whole numbers, it was cast after scaling."""

_TOGETHER = (("thumbnail",), ("filter",), ("channels",), ("fit", "crop_fraction", "fill"))
"""Fields that are right or wrong together."""
_PIXELS = (
    "the function starts from decoded pixels, so decoding is not compared;"
    " give one that takes a path and reads the file itself"
)
_TINY = 1e-9
_RANDOM = "function: is random, two calls on one image return different tensors; compare that of validation"
_BGR = re.compile(r"(?<!2)bgr", re.IGNORECASE)
# What a function may take, of a photo and the path of its file.
_WAYS: Mapping[str, Callable[[Photo, Path], Any]] = {
    "an RGB array": lambda photo, _: photo.pixels.copy(),
    "a path": lambda _, path: str(path),
    "a Pillow image": lambda _, path: Image.open(BytesIO(path.read_bytes())),
    "bytes": lambda _, path: path.read_bytes(),
    "an open file": lambda _, path: BytesIO(path.read_bytes()),
    "a batch": lambda photo, _: photo.pixels[None].copy(),
    "a Path": lambda _, path: path,
    "a BGR array": lambda photo, _: photo.pixels[..., ::-1].copy(),
}
_ARRAYS = {"an RGB array", "a BGR array", "a batch"}


@dataclass(frozen=True)
class Called:
    """What a function returned, and what it was given; `tensor` is None where `problem` says why."""

    tensor: Array | None
    problem: str = ""
    way: str = ""


def call(function: Function, photo: Photo, way: str = "") -> Called:
    """Call a function on whatever it takes: pixels, a batch of them, a path, a Pillow image, or bytes.

    The file has the contents that the photo was decoded from, or is a PNG of its pixels.
    """
    first = "a BGR array" if _wants_bgr(function) else "an RGB array"
    problems: dict[str, str] = {}
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        path = Path(folder, "picture").with_suffix(Path(photo.name).suffix if photo.file else ".png")
        for each in [way] if way else dict.fromkeys((first, *_WAYS)):
            if each not in _ARRAYS and not path.exists():
                path.write_bytes(photo.file or encoded(photo.pixels, compress_level=1))
            tensor, problem = _tried(function, _WAYS[each](photo, path))
            if not problem:
                return Called(tensor, way=each)
            problems.setdefault(problem.replace(str(path), path.name), each)
    told = (f"{problem} (given {each})" for problem, each in problems.items())
    return Called(None, f"could not be called: {'; '.join(list(told)[:SHOWN])}")


def _wants_bgr(function: Function) -> bool:
    """Whether a function's arguments or what it calls, such as COLOR_BGR2RGB, say so."""
    code = getattr(function, "__code__", None)
    return code is not None and any(map(_BGR.search, (*code.co_names, *code.co_varnames[: code.co_argcount])))


def _tried(function: Function, given: Any) -> tuple[Array | None, str]:
    try:
        result, problem = function(given), ""
        parts = (
            result.values() if isinstance(result, Mapping) else result if type(result) is tuple else [result]
        )
        for part in parts:
            tensor = _as_array(part)
            reason = _unusable(tensor)
            if not reason:
                return tensor, ""
            problem = problem or reason
    except (Exception, SystemExit) as error:  # noqa: BLE001  whatever a person's function raises is the finding
        problem = f"raised {type(error).__name__}: {' '.join(str(error).split())[:120]}".removesuffix(": ")
    return None, problem or "returned nothing"


def _as_array(value: Any) -> Array:
    # A tensor of PyTorch may be part of a graph or lie on another device.
    value = value.detach().cpu() if hasattr(value, "detach") else value
    return np.asarray(value.numpy() if hasattr(value, "numpy") else value)


def _unusable(theirs: Array) -> str:
    if theirs.dtype.kind not in "buif":
        return f"returned {theirs.dtype} values instead of numbers"
    shape = theirs.shape[1:] if theirs.ndim == 4 and theirs.shape[0] == 1 else theirs.shape
    flat = len(shape) not in {2, 3} or (len(shape) == 3 and not {shape[0], shape[2]} & {1, 3})
    if flat or sorted(shape)[-2] < LEAST_SIDE or max(shape) > LARGEST_SIDE:
        return f"returned shape {theirs.shape}, which is not an image of 1 or 3 channels to {LARGEST_SIDE}"
    with np.errstate(over="ignore"):
        bad = theirs.size - np.isfinite(theirs.astype(np.float32)).sum()
    return f"returned {bad} values that are not finite in float32" if bad else ""


def _image(theirs: Array) -> Float64:
    """Return a result as (H, W, C) or (C, H, W)."""
    image = theirs[..., None] if theirs.ndim == 2 else theirs.reshape(theirs.shape[-3:])
    return image.astype(np.float64)


class _Line(NamedTuple):
    """From 8-bit levels to values: slope * level + offset, each (C,)."""

    slope: Float64
    offset: Float64

    def levels(self, values: Float64) -> Float64:
        return (values - self.offset) / self.slope

    def inverted(self) -> "_Line":
        return _Line(-self.slope, 255 * self.slope + self.offset)


@dataclass(frozen=True)
class Reading:
    """A function in the words of a pipeline.

    Attributes
    ----------
    called
        What it returned for each photo.
    there
        The pipeline that comes nearest.
    levels
        The root mean square that is left, in 8-bit levels.
    others
        The step and the words of each difference that no pipeline has.
    note
        What is different and harmless.
    """

    called: tuple[Called, ...]
    there: Pipeline
    levels: float = 0.0
    others: tuple[tuple[str, str], ...] = ()
    note: str = ""

    @property
    def exact(self) -> bool:
        """Whether `there` does what the function does."""
        return self.levels <= SAME_LEVELS and not self.others


def read(here: Pipeline, function: Function, photos: Sequence[Photo]) -> Reading:
    """Find the pipeline that does what a function does with photos, as near as may be to the one expected.

    What it makes of black, white and two ramps says how it scales, and which part of an image it shows
    where; the photos say the rest.
    """
    called: list[Called] = []
    for photo in photos:
        called.append(call(function, photo, called[0].way if called else ""))
    pairs = zip(photos, called, strict=True)
    seen = [(photo, _image(one.tensor)) for photo, one in pairs if one.tensor is not None][:READ]
    if not seen:
        return Reading(tuple(called), here, inf)
    way = max(one.way for one in called)

    def made(photo: Photo) -> Float64:
        tensor = call(function, photo, way).tensor
        return np.zeros((0, 1, 1)) if tensor is None else _image(tensor)

    photo, theirs = seen[0]
    again, ramps = made(photo), [made(each) for each in _ramps(photo.size)]
    others = tuple(_plain(here, photo, theirs, again, ramps))
    if others:
        return Reading(tuple(called), here, 0.0, others)
    if way in _ARRAYS:
        return replace(_read(here, seen, ramps), called=tuple(called))
    reading = _read(here, [(photo, made(Photo(photo.pixels))) for photo, _ in seen], ramps)
    return replace(_decoded(reading, seen) if reading.exact else reading, called=tuple(called))


def _plain(
    here: Pipeline, photo: Photo, theirs: Float64, again: Float64, ramps: Sequence[Float64]
) -> Iterator[tuple[str, str]]:
    """Yield what is seen at once, and leaves nothing to be read."""
    if again.shape != theirs.shape or not np.allclose(again, theirs, atol=1e-3 * np.ptp(theirs)):
        yield "function", _RANDOM
    values, own = np.unique(theirs), np.unique(run(PIPELINE, here, photo))
    if len(values) == 1 and np.array_equal(ramps[0], ramps[1]):
        yield "tensor", f"values: an image here, {short(values[0])} everywhere there"
    elif here.cast is None and len(values) <= FEW_VALUES < len(own) and not np.any(values % 1):
        few = ", ".join(short(value) for value in values[:6])
        yield "cast", f"cast: none here, to whole numbers after scaling there; only {few} are left"
    elif np.array_equal(ramps[0], again) or len({each.shape for each in ramps[2:]}) > 1:
        yield "tensor", "content: nothing that was tried explains it; other images give the same, or none"
    elif not ramps[0].size or np.array_equal(ramps[0], ramps[1]):
        yield "scale", "scaling: the same for all images here, by the values of each image there"


def _ramps(size: tuple[int, int]) -> list[Photo]:
    """Return black, white, and ramps from left to right and from top to bottom."""
    height, width = size
    rows, columns = np.linspace(0, 255, height)[:, None], np.linspace(0, 255, width)
    levels = (np.broadcast_to(each, size) for each in (np.array(0), np.array(255), columns, rows))
    return [Photo.from_array(np.rint(each).astype(np.uint8), "probe.png") for each in levels]


class _Window(NamedTuple):
    """A pipeline up to the size, how far off it shows the ramps, in levels, and what else they tell."""

    steps: Pipeline
    apart: float
    line: _Line
    layout: str
    turn: str
    otherwise: tuple[str, str]


def _windows(p: Pipeline, photo: Photo, ramps: Sequence[Float64], layout: str, turn: str) -> list[_Window]:
    """Return the ways to read ramps in one layout, turned or not, the best first."""
    black, white, *shown = (_back(each, layout, turn) for each in ramps)
    middle = black.shape[0] // 2, black.shape[1] // 2
    slope = (white[middle] - black[middle]) / 255
    line = _Line(np.where(np.abs(slope) > _TINY, slope, _TINY), black[middle])
    # Whatever is the same on black and on white was filled in.
    empty = np.all(np.abs(white - black) < np.abs(line.slope), axis=-1)
    fill = line.levels(black[empty]).mean(axis=0).round().clip(0, 255) if empty.any() else p.fill
    across, down = (line.levels(each) for each in shown)
    size = None if p.size is None and across.shape[:2] == photo.size else across.shape[:2]
    p = p.replace(size=size, fill=np.resize(fill, 3).astype(int).tolist())
    profiles = {"columns": across[middle[0]].mean(axis=-1), "rows": down[:, middle[1]].mean(axis=-1)}
    words = (f"{name} {one[0] / 2.55:.0f} to {one[-1] / 2.55:.0f} %" for name, one in profiles.items())
    otherwise = "resize", f"fit: {p.fit} here, {' and '.join(words)} of the image there"
    if any(
        abs(one[[len(one) // 4, -len(one) // 4]].mean() - one[len(one) // 2]) > BENT
        for one in profiles.values()
    ):
        otherwise = "scale", "scaling: along a straight line here, a curve there, such as a gamma"
    found = []
    for window in _fits(p, *profiles.values()):
        pictures = (
            run(TO_SIZE, window.replace(filter="tf_bilinear"), probe) for probe in _ramps(photo.size)[2:]
        )
        squares = [
            np.mean((one[..., :1] - each) ** 2) for one, each in zip(pictures, (across, down), strict=True)
        ]
        found.append(_Window(window, float(np.sqrt(np.mean(squares))), line, layout, turn, otherwise))
    return sorted(found, key=attrgetter("apart"))


def _back(values: Float64, layout: str, turn: str) -> Float64:
    if layout == "reshaped" and values.shape[2] not in {1, 3}:
        return values.reshape(*values.shape[1:], values.shape[0])
    return TURNS[turn](arrange_back(values, layout))


def _fits(p: Pipeline, *profiles: Float64) -> Iterator[Pipeline]:
    """Yield a pipeline with its own window and others, such as with the part that the ramps show."""
    yield p
    parts = []
    for profile in profiles:
        count = len(profile)
        first, last = count // 4, count - count // 4 - 1
        parts.append((profile[last] - profile[first]) / (last - first) * count / 255)
    part, side = float(np.nan_to_num(max(parts))), len(profiles[1])
    whole = side / max(1, round(side / max(part, 1e-3)))
    for fit in FITS:
        for each in dict.fromkeys((1.0, p.crop_fraction, whole, part)) if "crop" in fit else (1.0,):
            if 0 < each <= 1:
                yield p.replace(fit=fit, crop_fraction=each, thumbnail=None)


def _read(here: Pipeline, seen: Sequence[tuple[Photo, Float64]], ramps: Sequence[Float64]) -> Reading:
    near = _nearest(here, seen[0][0], ramps)
    best, apart, line, layout, turn, otherwise = near[0]
    shown = [(photo, line.levels(_back(each, layout, turn))) for photo, each in seen]

    def left(p: Pipeline, count: int = READ) -> float:
        squares = [np.mean((_levels(p, photo) - levels) ** 2) for photo, levels in shown[:count]]
        return float(np.sqrt(np.mean(squares)))

    names = dict.fromkeys((here.channels, "rgb", "bgr", "gray_rgb"))
    orders = ["gray"] if line.slope.size == 1 else [name for name in names if name != "gray"]
    windows = [one.steps.replace(channels=name, scaling=()) for one in near for name in orders]
    windows = sorted(windows, key=left)[:NEAR]
    steps, others = windows[0], []
    if turn not in {"", "transposed"} or (layout == "reshaped" and ramps[0].shape[2] not in {1, 3}):
        others.append(("layout", f"image: as it is here, {turn or layout} there"))
        layout = here.layout
    fields = {"layout": turn if turn == "transposed" else layout, "cast": None, **_scaled(here, line)}
    if apart > ELSEWHERE:
        steps = here.replace(size=best.size, channels=steps.channels, scaling=())
        return Reading((), steps.replace(**fields), 0.0, (*others, otherwise))
    tried = sorted(
        (one.replace(filter=name) for one in windows for name in FILTERS), key=lambda p: left(p, 1)
    )
    steps = min([steps, *tried[:NEAR]], key=left)
    if left(steps) > SAME_LEVELS:
        steps = min(steps, _shrunk(steps, left), key=left)
    levels = left(steps)
    if levels > STRANGE_LEVELS:
        text = f"content: nothing that was tried explains it; the nearest is off by {_in_levels(levels)}"
        return Reading((), here.replace(size=steps.size), 0.0, (*others, ("tensor", text)))
    for together in _TOGETHER:
        other = steps.replace(**{name: getattr(here, name) for name in together})
        if left(other) <= max(EXPLAINED * levels, SAME_LEVELS):
            steps = other
    return Reading((), steps.replace(**fields), left(steps), tuple(others))


def _in_levels(levels: float) -> str:
    return f"{levels:.2f} levels (root mean square)"


def _decoded(reading: Reading, seen: Sequence[tuple[Photo, Float64]]) -> Reading:
    """Add how files are decoded, by what a function makes of them and its reading of decoded images."""
    slope = float(np.abs(affine(reading.there.scaling)[0]).mean())

    def left(p: Pipeline) -> float:
        pairs = [(run(PIPELINE, p, photo)[0], theirs) for photo, theirs in seen]
        if any(one.shape != other.shape for one, other in pairs):
            return inf
        return float(np.sqrt(np.mean([np.mean((one - other) ** 2) for one, other in pairs]))) / slope

    own, there = reading.there.decoding, reading.there
    others = [replace(own, exif=not own.exif), *(replace(own, matte=each) for each in MATTES)]
    others.append(replace(own, depth="clip" if own.depth == "scale" else "scale"))
    best = min((there.replace(decoding=each) for each in others), key=left)
    there = best if left(best) * EXPLAINED < left(there) else there
    words = f"files are decoded otherwise, which changes {_in_levels(left(there))}"
    if left(there) > DECODERS:
        return replace(reading, there=there, others=(("decode", words),))
    return replace(reading, there=there, note=words if left(there) > SAME_LEVELS else "")


def _levels(p: Pipeline, photo: Photo) -> Float64:
    return order_channels(run(TO_SIZE, p, photo), p.channels).astype(np.float64)


def _nearest(here: Pipeline, photo: Photo, ramps: Sequence[Float64]) -> list[_Window]:
    """Return the windows that show the ramps nearly as a function does, the best first."""
    first = {each for each in (0, 2) if ramps[0].shape[each] in {1, 3}}
    best: list[_Window] = []
    for layout, turn in product(
        dict.fromkeys((here.layout, "channels_last", "channels_first", "reshaped")), TURNS
    ):
        if layout == "reshaped" or (0 if layout == "channels_first" else 2) in first:
            found = _windows(here, photo, ramps, layout, turn)
            best = min(best or found, found, key=lambda each: each[0].apart)
            if best[0].apart <= 1:
                break
    return [one for one in best if one.apart <= best[0].apart + 1][:NEAR]


def _shrunk(steps: Pipeline, left: Callable[..., float]) -> Pipeline:
    """Return a pipeline after the thumbnail that leaves the least on the first photo."""
    side = max(steps.size or (16,))
    sizes: Iterable[int] = np.geomspace(side / 8 + 1, side * 4, 60).astype(int).tolist()
    for _ in range(2):
        tried = (steps.replace(thumbnail=(each, each)) for each in sizes)
        best = min(tried, key=lambda p: left(p, 1))
        size = (best.thumbnail or (1,))[0]
        sizes = range(int(size * 0.94) + 1, int(size * 1.06) + 2)
    return best


def _scaled(here: Pipeline, line: _Line) -> dict[str, Any]:
    """Return the scaling that makes the line, one with a name if it is within half a level from 0 to 255."""
    own = here.scaling
    twice = [both for each in (own, *SCALINGS.values()) for both in (own + each, each + own)]
    for inverted in (here.invert, not here.invert):
        turned = line.inverted() if inverted else line
        for scaling in (own, *SCALINGS.values(), *twice):
            if fits(scaling, line.slope.size) and same_line(
                affine(scaling), turned, 0.5 * np.abs(line.slope)
            ):
                return {"invert": inverted, "scaling": scaling}
    return {"scaling": _fitted_scaling(*(line.inverted() if here.invert else line))}


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


def compared(here: Pipeline, reading: Reading, photos: Sequence[Photo], effect: Effect) -> list[Comparison]:
    """Compare a preprocessing with what a function made of photos that are decoded as the preprocessing does.

    `effect` orders the differences, each tried by itself on the tensor of the preprocessing.
    """
    return [_compared(here, reading, *each, effect) for each in zip(reading.called, photos, strict=True)]


def _compared(here: Pipeline, reading: Reading, called: Called, photo: Photo, effect: Effect) -> Comparison:
    if called.tensor is None:
        problem = "function", f"function: {called.problem}", 1.0
        return Comparison.on([problem], first_step="function", steps=(), photo=photo.name)
    notes = [
        _PIXELS if called.way in _ARRAYS else f"the function reads {called.way}, so decoding is compared"
    ]
    notes += [reading.note] * bool(reading.note)
    ours, theirs, there = run(PIPELINE, here, photo), _image(called.tensor), reading.there
    step, found = StepDifference.of("tensor", ours[0], theirs.astype(called.tensor.dtype)), []
    if step.parts:
        steps = differences(here, there)
        found = [(name, words, effect_alone(here, there, name, photo, effect)) for name, words in steps]
        found += [(name, words, effect(ours[0], theirs)) for name, words in reading.others]
        left = _in_levels(reading.levels)
        if reading.levels > SAME_LEVELS:
            text = f"values: {left} are unexplained, so something else happens there, too"
            rest = effect(run(PIPELINE, there, photo)[0], theirs)
            # A step that is named explains more than what is left.
            found.append(("tensor", text, min((rest, *(one[2] for one in found)))))
        elif reading.exact:
            rebuilds = "this preprocessing" if there == here else "what is listed above"
            notes.append(f"{rebuilds} reproduces the result to within {left}")
    first = found[0][0] if found else None
    return Comparison.on(found, first_step=first, steps=(step,), photo=photo.name, notes=tuple(notes))
