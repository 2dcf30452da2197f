"""A person's own preprocessing function: called, and read as a pipeline."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from io import BytesIO
from math import inf
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
from kit.preprocessing.pipeline import (
    LAYOUTS,
    MATTES,
    PIPELINE,
    TO_SIZE,
    Pipeline,
    order_channels,
    run,
)
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
"""Photos from which a function is read, the least square first; all are compared."""
REPEATS = 12
"""Calls that tell a random function."""
LEAST_SIDE = 4
"""Of what can be an image."""
SHOWN = 3
"""Reasons that are given why a function could not be called."""
BENT = 5.0
"""Levels by which grey is off the line from black to white, from which on it is a curve."""
DECODERS = 3.0
"""Levels up to which libraries differ in decoding a JPEG file."""
NEAR = 4
"""Fits, and then filters, of which the best are compared on."""
SAME_CONTRAST = 0.02
"""Share of its values to which a result stays the same at half the contrast, where each image is scaled."""
FEW_VALUES = 16
"""Where a result has no more, and all are whole numbers, it was cast after scaling."""

_TOGETHER = (("filter",), ("channels",), ("fit", "crop_fraction", "fill"))
"""Fields that are right or wrong together."""
_PIXELS = (
    "the function starts from decoded pixels, so decoding is not compared;"
    " give one that takes a path and reads the file itself"
)
_TINY = 1e-9
_DECODINGS: tuple[Mapping[str, Any], ...] = (
    {"exif": False},
    {"depth": "clip"},
    *({"matte": each} for each in MATTES),
)
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
        path = Path(folder, "picture").with_suffix(
            Path(photo.name).suffix if photo.file else ".png"
        )
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
    return code is not None and any(
        map(_BGR.search, (*code.co_names, *code.co_varnames[: code.co_argcount]))
    )


def _tried(function: Function, given: Any) -> tuple[Array | None, str]:
    try:
        result, problem = function(given), ""
        parts = (
            result.values()
            if isinstance(result, Mapping)
            else result
            if type(result) is tuple
            else [result]
        )
        for part in parts:
            tensor = _as_array(part)
            reason = _unusable(tensor)
            if not reason:
                return tensor, ""
            problem = problem or reason
    except (Exception, SystemExit) as error:  # noqa: BLE001  whatever a person's function raises is the finding
        problem = f"raised {type(error).__name__}: {' '.join(str(error).split())[:120]}".removesuffix(
            ": "
        )
    return None, problem or "returned nothing"


def _as_array(value: Any) -> Array:
    # A tensor of PyTorch may be part of a graph or lie on another device.
    value = value.detach().cpu() if hasattr(value, "detach") else value
    return np.asarray(value.numpy() if hasattr(value, "numpy") else value)


def _unusable(theirs: Array) -> str:
    if theirs.dtype.kind not in "buif":
        return f"returned {theirs.dtype} values instead of numbers"
    shape = (
        theirs.shape[1:] if theirs.ndim == 4 and theirs.shape[0] == 1 else theirs.shape
    )
    flat = len(shape) not in {2, 3} or (
        len(shape) == 3 and not {shape[0], shape[2]} & {1, 3}
    )
    if flat or sorted(shape)[-2] < LEAST_SIDE or max(shape) > LARGEST_SIDE:
        return f"returned shape {theirs.shape}, which is not an image of 1 or 3 channels to {LARGEST_SIDE}"
    with np.errstate(over="ignore"):
        bad = theirs.size - np.isfinite(theirs.astype(np.float32)).sum()
    return f"returned {bad} values that are not finite in float32" if bad else ""


def _image(theirs: Array) -> Float64:
    """Return a result as (H, W, C) or (C, H, W)."""
    image = theirs[..., None] if theirs.ndim == 2 else theirs.reshape(theirs.shape[-3:])
    return image.astype(np.float64)


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
    """

    called: tuple[Called, ...]
    there: Pipeline
    levels: float = 0.0
    others: tuple[tuple[str, str], ...] = ()

    @property
    def exact(self) -> bool:
        """Whether `there` does what the function does."""
        return self.levels <= SAME_LEVELS and not self.others


def read(here: Pipeline, function: Function, photos: Sequence[Photo]) -> Reading:
    """Find the pipeline that does what a function does with photos, as near as may be to the one expected.

    What it makes of black, grey and white says how it scales; the photos say the rest.
    """
    called = _called(function, photos)
    pairs = zip(photos, called, strict=True)
    every = [
        (photo, _image(one.tensor)) for photo, one in pairs if one.tensor is not None
    ]
    if not every:
        return Reading(called, here, inf)
    seen = sorted(every, key=lambda pair: min(pair[0].size) / max(pair[0].size))[:READ]
    way = max(one.way for one in called)

    def made(photo: Photo) -> Float64:
        tensor = call(function, photo, way).tensor
        return np.zeros((0, 1, 1)) if tensor is None else _image(tensor)

    photo, theirs = seen[0]
    flat = [made(Photo(np.full_like(photo.pixels, level))) for level in (0, 128, 255)]
    faint = made(Photo(photo.pixels // 2))
    pixels = (
        seen
        if way in _ARRAYS
        else [(photo, made(Photo(photo.pixels))) for photo, _ in seen]
    )
    if not all(one.size for _, one in pixels):
        pixels = seen
    other = _unsteady(function, way, seen) or _plain(here, photo, theirs, faint, flat)
    if other:
        return Reading(called, here, 0.0, (other,))
    reading = _read(here, pixels, flat)
    if pixels is not seen and reading.exact:
        reading = _decoded(reading, seen)
    if not reading.others:
        apart = [_apart(reading.there, *pair) for pair in every]
        same = SAME_LEVELS if way in _ARRAYS else DECODERS
        reading = replace(
            reading,
            levels=max([reading.levels, *(each for each in apart if each > same)]),
        )
    return replace(reading, called=called)


def _called(function: Function, photos: Sequence[Photo]) -> tuple[Called, ...]:
    called: list[Called] = []
    for photo in photos:
        called.append(call(function, photo, called[0].way if called else ""))
    failed = sum(one.tensor is None for one in called)
    some = (
        f"called on {failed} of {len(called)} images:"
        if failed < len(called)
        else "called:"
    )
    return tuple(
        replace(one, problem=one.problem.replace("called:", some, 1)) for one in called
    )


def _unsteady(
    function: Function, way: str, seen: list[tuple[Photo, Float64]]
) -> tuple[str, str] | None:
    """Call a function again, last of all, since it may fail from some call on."""
    again = [
        (call(function, photo, way), theirs)
        for photo, theirs in (seen * REPEATS)[:REPEATS]
    ]
    failed = [one.problem for one, _ in again if one.tensor is None]
    if failed:
        later = f"called again, {len(failed)} of {REPEATS} times:"
        return "function", f"function: {failed[0].replace('called:', later, 1)}"
    if all(
        one.tensor is not None and _close(_image(one.tensor), theirs, 1e-3)
        for one, theirs in again
    ):
        return None
    return (
        "function",
        "function: is random, two calls on one image return different tensors",
    )


def _close(one: Float64, other: Float64, share: float) -> bool:
    return one.shape == other.shape and np.allclose(
        one, other, atol=share * np.ptp(other)
    )


def _apart(there: Pipeline, photo: Photo, theirs: Float64) -> float:
    """Return the root mean square in levels, between a pipeline and a function."""
    ours = run(PIPELINE, there, photo)[0]
    if ours.shape != theirs.shape:
        return inf
    return float(
        np.sqrt(np.mean((ours - theirs) ** 2)) / np.abs(affine(there.scaling)[0]).mean()
    )


def _plain(
    here: Pipeline,
    photo: Photo,
    theirs: Float64,
    faint: Float64,
    flat: Sequence[Float64],
) -> tuple[str, str] | None:
    """Return what is seen at once, and leaves nothing to be read."""
    black, grey, white = flat
    values, own = np.unique(theirs), np.unique(run(PIPELINE, here, photo))
    if np.array_equal(black, white) and np.array_equal(black, theirs):
        return "tensor", "content: nothing tried explains it, all images give the same"
    if (
        here.cast is None
        and len(values) <= FEW_VALUES < len(own)
        and not np.any(values % 1)
    ):
        few = ", ".join(short(value) for value in values[:6])
        return (
            "cast",
            f"cast: none here, to whole numbers after scaling there; only {few} are left",
        )
    if _close(faint, theirs, SAME_CONTRAST) or (
        black.size and np.array_equal(black, white)
    ):
        return (
            "scaling",
            "scaling: the same for all images here, by the values of each image there",
        )
    if not black.size or len({each.shape for each in flat}) > 1:
        return (
            "tensor",
            "content: cannot tell, since the function takes no images of one colour",
        )
    bent = np.abs(grey - black - (white - black) * 128 / 255) > BENT / 255 * np.abs(
        white - black
    )
    if here.cast is None and bent.mean() > 0.5:
        return (
            "scaling",
            "scaling: along a straight line here, a curve there, such as a gamma",
        )
    return None


class _View(NamedTuple):
    """A pipeline up to the size and how far off it is; `slope` and `offset` (C,) make levels values."""

    steps: Pipeline
    apart: float
    slope: Float64
    offset: Float64
    turn: str


def _views(here: Pipeline, photo: Photo, images: Sequence[Float64]) -> Iterator[_View]:
    """Yield each way to turn back a result and each fit; `images` are black, white, and the photo."""
    shown = lru_cache(lambda p: run(TO_SIZE, p, photo).mean(axis=-1))
    for turn in TURNS:
        black, white, values = (TURNS[turn](each) for each in images)
        height, width, _ = black.shape
        slope, offset = (
            (white - black)[height // 2, width // 2] / 255,
            black[height // 2, width // 2],
        )
        slope = np.where(np.abs(slope) > _TINY, slope, _TINY)
        # Whatever is the same on black and on white was filled in.
        empty = np.all(np.abs(white - black) < np.abs(slope), axis=-1)
        levels = (black[empty] - offset) / slope
        fill = levels.mean(axis=0).round().clip(0, 255) if empty.any() else here.fill
        p = here.replace(
            size=(height, width),
            fill=np.resize(fill, 3).astype(int).tolist(),
            thumbnail=None,
        )
        tried = [p.replace(size=None)] * (
            here.size is None and photo.size == (height, width)
        )
        # As usual, the side before a crop is a multiple of 8 pixels, where that of the network is 224.
        sides = range(width, width * 4 // 3 + 1, max(1, width // 28))
        parts = {here.crop_fraction, 0.875, *(width / side for side in sides)}
        tried += [
            p.replace(fit=fit, crop_fraction=part)
            for fit in FITS
            for part in parts
            if "crop" in fit or part == 1
        ]
        grey = ((values - offset) / slope).mean(axis=-1)
        for each in tried:
            apart = np.mean((shown(each.replace(filter="tf_bilinear")) - grey) ** 2)
            yield _View(each.replace(scaling=()), float(apart), slope, offset, turn)


def _read(
    here: Pipeline, seen: Sequence[tuple[Photo, Float64]], flat: Sequence[Float64]
) -> Reading:
    first = flat[0].shape[0] in {1, 3} and flat[0].shape[2] not in {1, 3}
    black, white, *shown = (
        np.moveaxis(each, 0, -1) if first else each
        for each in (*flat[::2], *(one for _, one in seen))
    )

    def likely(view: _View) -> float:
        # Another part of an image may resemble one that is scrambled by chance.
        return view.apart * (EXPLAINED**2 if view.turn else 1)

    views = sorted(_views(here, seen[0][0], (black, white, shown[0])), key=likely)
    _, _, slope, offset, turn = views[0]
    if np.any(np.abs(slope) < 0.01 * np.abs(slope).max()):
        words = "colours: another colour space there, such as HSV or LAB, or a missing channel; cannot tell"
        return Reading((), here, 0.0, (("channels", words),))
    levels = [(TURNS[turn](each) - offset) / slope for each in shown]

    def left(p: Pipeline, count: int = READ) -> float:
        pairs = zip(seen[:count], levels, strict=False)
        ours = (
            (order_channels(run(TO_SIZE, p, photo), p.channels), other)
            for (photo, _), other in pairs
        )
        return float(
            np.sqrt(np.mean([np.mean((one - other) ** 2) for one, other in ours]))
        )

    def nearest(tried: Iterable[Pipeline]) -> list[Pipeline]:
        return sorted(tried, key=lambda p: left(p, 1))[:NEAR]

    orders = ["gray"] if slope.size == 1 else ["rgb", "bgr", "gray_rgb"]
    windows = [one.steps for one in views if one.turn == turn][:NEAR]
    coloured = nearest(one.replace(channels=name) for one in windows for name in orders)
    steps = min(
        nearest(one.replace(filter=name) for one in coloured for name in FILTERS),
        key=left,
    )
    named = turn in LAYOUTS and not first
    others = (("layout", f"image: as it is here, {turn} there"),) * (
        turn != "" and not named
    )
    layout = turn if named else "channels_first" if first else "channels_last"
    fields = {"layout": layout, "cast": None, **_scaled(here, slope, offset)}
    apart = left(steps)
    if apart > STRANGE_LEVELS:
        steps = here.replace(size=steps.size, channels=steps.channels, scaling=())
        # Each level becomes the same value everywhere, so what differs is where.
        words = f"fit: {here.fit} of the image here, another part or content there; nothing tried explains it"
        return Reading((), steps.replace(**fields), 0.0, (*others, ("resize", words)))
    for together in _TOGETHER:
        other = steps.replace(**{name: getattr(here, name) for name in together})
        if left(other) <= max(EXPLAINED * apart, SAME_LEVELS):
            steps = other
    return Reading((), steps.replace(**fields), left(steps), others)


def _decoded(reading: Reading, seen: Sequence[tuple[Photo, Float64]]) -> Reading:
    """Add how files are decoded, by what a function makes of them and its reading of decoded images."""
    there = reading.there
    tried = [
        there,
        *(
            there.replace(decoding=replace(there.decoding, **each))
            for each in _DECODINGS
        ),
    ]
    left = [max(_apart(each, *pair) for pair in seen) for each in tried]
    if left[0] <= DECODERS:
        return reading
    words = f"files are decoded otherwise, off by {min(left):.2f} levels"
    others = (("decode", words),) if min(left) > DECODERS else ()
    return replace(reading, there=tried[int(np.argmin(left))], others=others)


def _scaled(here: Pipeline, slope: Float64, offset: Float64) -> dict[str, Any]:
    """Return the scaling that makes the line, one with a name if it is within half a level from 0 to 255."""
    own = here.scaling
    named = [own, *SCALINGS.values()]
    named += [both for each in named for both in (own + each, each + own)]
    named = [each for each in named if fits(each, slope.size)]
    lines = {False: (slope, offset), True: (-slope, 255 * slope + offset)}
    for inverted in (here.invert, not here.invert):
        for scaling in named:
            if same_line(affine(scaling), lines[inverted], 0.5 * np.abs(slope)):
                return {"invert": inverted, "scaling": scaling}
    slope, offset = lines[here.invert]
    # Less than half a level is what rounding makes of none.
    means = np.where(np.abs(offset / slope) < 0.5, 0, -offset / slope)
    mean, std = (
        tuple(float(f"{value:.4g}") for value in values)
        for values in (means, 1 / slope)
    )
    if len({*mean}) == len({*std}) == 1:
        return {"scaling": Scaling(1.0, mean[0] or None, std[0])}
    return {"scaling": Scaling(1.0, mean if any(mean) else None, std)}


def compared(
    here: Pipeline, reading: Reading, called: Called, photo: Photo, effect: Effect
) -> Comparison:
    """Compare a preprocessing with what a function made of a photo that is decoded as the preprocessing does.

    `effect` orders the differences, each tried by itself on the tensor of the preprocessing.
    """
    if called.tensor is None:
        problem = "function", f"function: {called.problem}", 1.0
        return Comparison.on(
            [problem], first_step="function", steps=(), photo=photo.name
        )
    notes = [
        _PIXELS
        if called.way in _ARRAYS
        else f"the function reads {called.way}, so decoding is compared"
    ]
    ours, theirs, there = (
        run(PIPELINE, here, photo),
        _image(called.tensor),
        reading.there,
    )
    step, found = (
        StepDifference.of("tensor", ours[0], theirs.astype(called.tensor.dtype)),
        [],
    )
    if step.parts or "function" in dict(reading.others):
        steps = differences(here, there)
        found = [
            (name, words, effect_alone(here, there, name, photo, effect))
            for name, words in steps
        ]
        found += [
            (name, words, effect(ours[0], theirs)) for name, words in reading.others
        ]
        levels, same = reading.levels, SAME_LEVELS
        if not reading.others:
            levels = _apart(there, photo, theirs)
            same = SAME_LEVELS if called.way in _ARRAYS else DECODERS
        left = f"{levels:.2f} levels (root mean square)" if levels < inf else "all"
        if levels > same:
            rest = effect(run(PIPELINE, there, photo)[0], theirs)
            # A step that is named explains more than what is left.
            rest = min((rest, *(one[2] for one in found)))
            found.append(
                (
                    "tensor",
                    f"values: {left} are unexplained, so something else happens there, too",
                    rest,
                )
            )
        elif reading.exact:
            rebuilds = "this preprocessing" if there == here else "what is listed above"
            notes.append(f"{rebuilds} reproduces the result to within {left}")
    first = found[0][0] if found else None
    return Comparison.on(
        found, first_step=first, steps=(step,), photo=photo.name, notes=tuple(notes)
    )
