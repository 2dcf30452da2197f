"""A person's own preprocessing function: called, and read as a pipeline."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from io import BytesIO
from math import inf
from operator import itemgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from kit._arrays import Array, Float64, Pixels
from kit.images import Photo
from kit.images.photo import encoded
from kit.preprocessing.comparison import (
    TURNS,
    Comparison,
    Difference,
    Effect,
    StepDifference,
    differences_with_effects,
    short,
)
from kit.preprocessing.pipeline import (
    LAYOUTS,
    MATTES,
    PIPELINE,
    TO_SIZE,
    Changes,
    Pipeline,
    run,
)
from kit.preprocessing.resizing import FILTERS, FITS, LARGEST_SIDE
from kit.preprocessing.scaling import SCALINGS, Scaling, affine, fits, same_line

Function = Callable[[Any], Any]

SAME_LEVELS = 0.6
"""Root mean square in 8-bit levels, below which two images differ by rounding alone."""
DECODER_LEVELS = 3.0
"""Up to which libraries differ in decoding a JPEG file."""
STRANGE_LEVELS = 25.0
"""Above which two images do not show the same."""
CURVE_LEVELS = 5.0
"""By which grey is off the line from black to white, from which on it is a curve."""
EXPLAINED_RATIO = 2
"""How many times more must be left over without a step for it to be named."""
PHOTOS_READ = 4
"""From which a function is read, the least square first; all are compared."""
REPEATS = 12
"""Calls that tell a random function."""
LEAST_SIDE = 4
"""Of what can be an image."""
REASONS_GIVEN = 3
"""Why a function could not be called."""
FINALISTS = 4
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
_DECODINGS: tuple[Changes, ...] = (
    {},
    {"exif": False},
    {"depth": "clip"},
    *({"matte": matte} for matte in MATTES),
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
    ways = [way] if way else dict.fromkeys((first, *_WAYS))
    problems: dict[str, str] = {}
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        suffix = Path(photo.name).suffix if photo.file else ".png"
        path = Path(folder, f"picture{suffix}")
        for form in ways:
            if form not in _ARRAYS and not path.exists():
                path.write_bytes(photo.file or encoded(photo.pixels, compress_level=1))
            tensor, problem = _result(function, _WAYS[form](photo, path))
            if not problem:
                return Called(tensor, way=form)
            problems.setdefault(problem.replace(str(path), path.name), form)
    reasons = [f"{problem} (given {form})" for problem, form in problems.items()]
    return Called(None, f"could not be called: {'; '.join(reasons[:REASONS_GIVEN])}")


def _wants_bgr(function: Function) -> bool:
    """Whether a function's arguments or what it calls, such as COLOR_BGR2RGB, say so."""
    code = getattr(function, "__code__", None)
    if code is None:
        return False
    names = (*code.co_names, *code.co_varnames[: code.co_argcount])
    return any(map(_BGR.search, names))


def _result(function: Function, argument: Any) -> tuple[Array | None, str]:
    """Return the first image that a function returns, or why there is none."""
    problems = []
    try:
        for value in _values(function(argument)):
            array = _as_array(value)
            problem = _unusable(array)
            if not problem:
                return array, ""
            problems.append(problem)
    except (Exception, SystemExit) as error:  # noqa: BLE001  whatever a person's function raises is the finding
        message = " ".join(str(error).split())[:120]
        problems = [f"raised {type(error).__name__}: {message}".removesuffix(": ")]
    return None, problems[0] if problems else "returned nothing"


def _values(result: Any) -> Iterable[Any]:
    if isinstance(result, Mapping):
        return result.values()
    return result if type(result) is tuple else [result]


def _as_array(value: Any) -> Array:
    # A tensor of PyTorch may be part of a graph or lie on another device.
    value = value.detach().cpu() if hasattr(value, "detach") else value
    return np.asarray(value.numpy() if hasattr(value, "numpy") else value)


def _unusable(array: Array) -> str:
    """Say why an array is no image for a network; empty where it is one."""
    if array.dtype.kind not in "buif":
        return f"returned {array.dtype} values instead of numbers"
    is_batch = array.ndim == 4 and array.shape[0] == 1
    shape = array.shape[1:] if is_batch else array.shape
    has_channels = len(shape) == 3 and {shape[0], shape[2]} & {1, 3}
    is_image = has_channels or len(shape) == 2
    if not is_image or sorted(shape)[-2] < LEAST_SIDE or max(shape) > LARGEST_SIDE:
        return f"returned shape {array.shape}, which is not an image of 1 or 3 channels to {LARGEST_SIDE}"
    with np.errstate(over="ignore"):
        bad = array.size - np.isfinite(array.astype(np.float32)).sum()
    return f"returned {bad} values that are not finite in float32" if bad else ""


def _image(array: Array) -> Float64:
    """Return a result as (H, W, C) or (C, H, W)."""
    image = array[..., None] if array.ndim == 2 else array.reshape(array.shape[-3:])
    return image.astype(np.float64)


@dataclass(frozen=True)
class Reading:
    """A function in the words of a pipeline.

    Attributes
    ----------
    pipeline
        The one that comes nearest.
    levels
        The root mean square that is left, in 8-bit levels.
    unexplained
        Words for what no pipeline does, by step.
    called
        What the function returned for each photo.
    """

    pipeline: Pipeline
    levels: float = 0.0
    unexplained: Mapping[str, str] = field(default_factory=dict)
    called: tuple[Called, ...] = ()

    @property
    def exact(self) -> bool:
        """Whether the pipeline does what the function does."""
        return self.levels <= SAME_LEVELS and not self.unexplained


class _Sample(NamedTuple):
    """A photo, and what the function makes of it: (H, W, C) or (C, H, W)."""

    photo: Photo
    result: Float64


def read(expected: Pipeline, function: Function, photos: Sequence[Photo]) -> Reading:
    """Find the pipeline that does what a function does with photos, as near as may be to the one expected.

    What it makes of black, grey and white says how it scales; the photos say the rest.
    """
    # The function runs with the Pillow that is installed, whatever the pipeline expects.
    expected = expected.replace(pillow=0)
    called = _called(function, photos)
    every = [
        _Sample(photo, _image(outcome.tensor))
        for photo, outcome in zip(photos, called, strict=True)
        if outcome.tensor is not None
    ]
    if not every:
        return Reading(expected, inf, called=called)
    way = max(outcome.way for outcome in called)
    reading = _read(expected, function, way, every)
    if not reading.unexplained:
        worst = max(_levels_apart(reading.pipeline, [sample]) for sample in every)
        if worst > _same_levels(way):
            reading = replace(reading, levels=max(reading.levels, worst))
    return replace(reading, called=called)


def _called(function: Function, photos: Sequence[Photo]) -> tuple[Called, ...]:
    called: list[Called] = []
    for photo in photos:
        called.append(call(function, photo, called[0].way if called else ""))
    failed = sum(outcome.tensor is None for outcome in called)
    if failed == len(called):
        return tuple(called)
    count = f"called on {failed} of {len(called)} images:"
    return tuple(
        replace(outcome, problem=outcome.problem.replace("called:", count, 1))
        for outcome in called
    )


def _same_levels(way: str) -> float:
    """Return how far apart two images are that are the same, where a function was called in this way."""
    return SAME_LEVELS if way in _ARRAYS else DECODER_LEVELS


def _read(
    expected: Pipeline, function: Function, way: str, every: list[_Sample]
) -> Reading:
    """Read a function from the least square photos, and from what it makes of their pixels."""

    def result(pixels: Pixels) -> Float64:
        tensor = call(function, Photo(pixels), way).tensor
        return np.zeros((0, 1, 1)) if tensor is None else _image(tensor)

    every = sorted(every, key=lambda one: min(one.photo.size) / max(one.photo.size))
    samples = every[:PHOTOS_READ]
    pixels = samples[0].photo.pixels
    flat = [result(np.full_like(pixels, level)) for level in (0, 128, 255)]
    faint = result(pixels // 2)
    decoded = samples
    if way not in _ARRAYS:
        decoded = [_Sample(photo, result(photo.pixels)) for photo, _ in samples]
    unexplained = _unsteady(function, way, samples) or _plain(
        expected, samples[0], faint, flat
    )
    if unexplained:
        return Reading(expected, unexplained=unexplained)
    if not all(sample.result.size for sample in decoded):
        decoded = samples
    reading = _as_pipeline(expected, decoded, black=flat[0], white=flat[2])
    if decoded is samples or not reading.exact:
        return reading
    return _decoded(reading, samples)


def _unsteady(function: Function, way: str, samples: list[_Sample]) -> dict[str, str]:
    """Call a function again, last of all, since it may fail from some call on."""
    repeated = (samples * REPEATS)[:REPEATS]
    called = [call(function, sample.photo, way) for sample in repeated]
    problems = [outcome.problem for outcome in called if outcome.problem]
    if problems:
        count = f"called again, {len(problems)} of {REPEATS} times:"
        return {"function": f"function: {problems[0].replace('called:', count, 1)}"}
    if all(
        outcome.tensor is not None
        and _close(_image(outcome.tensor), sample.result, share=1e-3)
        for outcome, sample in zip(called, repeated, strict=True)
    ):
        return {}
    return {
        "function": "function: is random,"
        " two calls on one image return different tensors"
    }


def _close(first: Float64, second: Float64, share: float) -> bool:
    """Whether two images agree to a share of the range of the second."""
    return first.shape == second.shape and np.allclose(
        first, second, atol=share * np.ptp(second)
    )


def _levels_apart(pipeline: Pipeline, samples: Iterable[_Sample]) -> float:
    """Return the root mean square in levels, between a pipeline and a function."""
    squares = []
    for photo, result in samples:
        tensor = run(PIPELINE, pipeline, photo)[0]
        if tensor.shape != result.shape:
            return inf
        squares.append(np.mean((tensor - result) ** 2))
    slope, _ = affine(pipeline.scaling)
    return float(np.sqrt(np.mean(squares)) / np.abs(slope).mean())


def _plain(
    expected: Pipeline, sample: _Sample, faint: Float64, flat: Sequence[Float64]
) -> dict[str, str]:
    """Return what is seen at once, and leaves nothing to be read."""
    black, grey, white = flat
    black_as_white = bool(black.size) and np.array_equal(black, white)
    if black_as_white and np.array_equal(black, sample.result):
        return {
            "tensor": "content: nothing tried explains it, all images give the same"
        }
    values = np.unique(sample.result)
    count = len(np.unique(run(PIPELINE, expected, sample.photo)))
    is_cast = len(values) <= FEW_VALUES < count and not np.any(values % 1)
    if is_cast and expected.cast is None:
        few = ", ".join(short(value) for value in values[:6])
        return {
            "cast": "cast: none here, to whole numbers after scaling there;"
            f" only {few} are left"
        }
    if black_as_white or _close(faint, sample.result, SAME_CONTRAST):
        return {
            "scaling": "scaling: the same for all images here,"
            " by the values of each image there"
        }
    if not black.size or len({result.shape for result in flat}) > 1:
        return {
            "tensor": "content: cannot tell, since the function takes no images of one"
            " colour"
        }
    line = black + (white - black) * 128 / 255
    is_bent = np.abs(grey - line) > CURVE_LEVELS / 255 * np.abs(white - black)
    if is_bent.mean() > 0.5 and expected.cast is None:
        return {
            "scaling": "scaling: along a straight line here, a curve there, such as a"
            " gamma"
        }
    return {}


class _View(NamedTuple):
    """A way to turn results back, whose values are `slope` times levels plus `offset`, each float64 (C,).

    Then they have this `size`, and `fill` around the image, in levels.
    """

    turn: str
    slope: Float64
    offset: Float64
    size: tuple[int, int]
    fill: tuple[int, int, int]

    def levels(self, result: Float64) -> Float64:
        """Return a result turned back, on the scale 0..255."""
        return (TURNS[self.turn](result) - self.offset) / self.slope


def _view(expected: Pipeline, turn: str, black: Float64, white: Float64) -> _View:
    black = TURNS[turn](black)
    white = TURNS[turn](white)
    height, width, _ = black.shape
    offset = black[height // 2, width // 2]
    slope = (white[height // 2, width // 2] - offset) / 255
    slope = np.where(np.abs(slope) > _TINY, slope, _TINY)
    # Whatever is the same on black and on white was filled in.
    is_fill = np.all(np.abs(white - black) < np.abs(slope), axis=-1)
    fill = expected.fill
    if is_fill.any():
        levels = (black[is_fill] - offset) / slope
        mean = levels.mean(axis=0).round().clip(0, 255)
        red, green, blue = np.resize(mean, 3).astype(int).tolist()
        fill = (red, green, blue)
    return _View(turn, slope, offset, size=(height, width), fill=fill)


def _windows(expected: Pipeline, photo: Photo, view: _View) -> Iterator[Pipeline]:
    """Yield each part of a photo that may have been resized, up to the size."""
    whole = type(expected)(
        size=view.size,
        filter="tf_bilinear",
        fill=view.fill,
        decoding=expected.decoding,
    )
    if expected.size is None and photo.size == view.size:
        yield whole.replace(size=None)
    _, width = view.size
    # As usual, the side before a crop is a multiple of 8 pixels, where that of the network is 224.
    sides = range(width, width * 4 // 3 + 1, max(1, width // 28))
    fractions = {expected.crop_fraction, 0.875, *(width / side for side in sides)}
    for fit in FITS:
        for fraction in fractions if "crop" in fit else [1]:
            yield whole.replace(fit=fit, crop_fraction=fraction)


def _turned(
    expected: Pipeline, sample: _Sample, black: Float64, white: Float64
) -> tuple[_View, list[Pipeline]]:
    """Return the way to turn results back, and the windows that come nearest then, in shades of grey."""
    shades = lru_cache(lambda p: run(TO_SIZE, p, sample.photo).mean(axis=-1))
    ranked = []
    for turn in TURNS:
        view = _view(expected, turn, black, white)
        grey = view.levels(sample.result).mean(axis=-1)
        # Another part of an image may resemble one that is scrambled by chance.
        doubt = EXPLAINED_RATIO**2 if turn else 1
        for window in _windows(expected, sample.photo, view):
            difference = float(np.mean((shades(window) - grey) ** 2))
            ranked.append((doubt * difference, view, window))
    ranked.sort(key=itemgetter(0))
    best = ranked[0][1]
    return best, [window for _, view, window in ranked if view is best][:FINALISTS]


def _as_pipeline(
    expected: Pipeline, samples: Sequence[_Sample], black: Float64, white: Float64
) -> Reading:
    """Read the turn, the window, the channels and the scaling, one after the other."""
    channels_first = black.shape[0] in {1, 3} and black.shape[2] not in {1, 3}
    if channels_first:
        black = np.moveaxis(black, 0, -1)
        white = np.moveaxis(white, 0, -1)
        samples = [_Sample(photo, np.moveaxis(x, 0, -1)) for photo, x in samples]
    view, windows = _turned(expected, samples[0], black, white)
    slopes = np.abs(view.slope)
    if np.any(slopes < 0.01 * slopes.max()):
        words = "colours: another colour space there, such as HSV or LAB, or a missing channel; cannot tell"
        return Reading(expected, unexplained={"channels": words})
    samples = [_Sample(photo, view.levels(result)) for photo, result in samples]
    nearest = _nearest(windows, samples)
    levels = _levels_apart(nearest, samples)
    unexplained = {}
    layout = "channels_first" if channels_first else "channels_last"
    if view.turn in LAYOUTS and not channels_first:
        layout = view.turn
    elif view.turn:
        unexplained["layout"] = f"image: as it is here, {view.turn} there"
    if levels > STRANGE_LEVELS:
        # Each level becomes the same value everywhere, so what differs is where.
        unexplained["resize"] = (
            f"fit: {expected.fit} of the image here, another part or content there;"
            " nothing tried explains it"
        )
        fields = {"size": nearest.size, "channels": nearest.channels, "cast": None}
        nearest = expected.replace(**fields, scaling=())
        levels = 0.0
    else:
        nearest = _as_expected(expected, nearest, samples)
        levels = _levels_apart(nearest, samples)
    scaled = _scaled(expected, view.slope, view.offset)
    return Reading(nearest.replace(layout=layout, **scaled), levels, unexplained)


def _nearest(windows: Sequence[Pipeline], samples: Sequence[_Sample]) -> Pipeline:
    """Return the pipeline that comes nearest to samples in levels."""

    def finalists(pipelines: Iterable[Pipeline]) -> list[Pipeline]:
        first = samples[:1]
        return sorted(pipelines, key=lambda p: _levels_apart(p, first))[:FINALISTS]

    is_grey = samples[0].result.shape[-1] == 1
    orders = ["gray"] if is_grey else ["rgb", "bgr", "gray_rgb"]
    coloured = finalists(p.replace(channels=order) for p in windows for order in orders)
    filtered = finalists(p.replace(filter=name) for p in coloured for name in FILTERS)
    return min(filtered, key=lambda p: _levels_apart(p, samples))


def _as_expected(
    expected: Pipeline, nearest: Pipeline, samples: Sequence[_Sample]
) -> Pipeline:
    """Return the pipeline that comes nearest and with it the fields that are expected, if that is as near."""
    limit = max(EXPLAINED_RATIO * _levels_apart(nearest, samples), SAME_LEVELS)
    for names in _TOGETHER:
        fields = {name: getattr(expected, name) for name in names}
        if _levels_apart(nearest.replace(**fields), samples) <= limit:
            nearest = nearest.replace(**fields)
    return nearest


def _decoded(reading: Reading, samples: Sequence[_Sample]) -> Reading:
    """Add how files are decoded, by what a function makes of them and its reading of decoded images."""
    decoding = reading.pipeline.decoding
    levels = {}
    for changes in _DECODINGS:
        pipeline = reading.pipeline.replace(decoding=replace(decoding, **changes))
        levels[pipeline] = max(_levels_apart(pipeline, [sample]) for sample in samples)
    if levels[reading.pipeline] <= DECODER_LEVELS:
        return reading
    nearest = min(levels, key=lambda pipeline: levels[pipeline])
    unexplained = {}
    if levels[nearest] > DECODER_LEVELS:
        words = f"files are decoded otherwise, off by {levels[nearest]:.2f} levels"
        unexplained["decode"] = words
    return replace(reading, pipeline=nearest, unexplained=unexplained)


def _scaled(expected: Pipeline, slope: Float64, offset: Float64) -> Changes:
    """Return the scaling that makes the line, one with a name if it is within half a level from 0 to 255."""
    own = expected.scaling
    single = [own, *SCALINGS.values()]
    double = [pair for entry in single for pair in (own + entry, entry + own)]
    scalings = [entry for entry in single + double if fits(entry, slope.size)]
    lines = {False: (slope, offset), True: (-slope, 255 * slope + offset)}
    for invert in (expected.invert, not expected.invert):
        for scaling in scalings:
            if same_line(affine(scaling), lines[invert], 0.5 * np.abs(slope)):
                return {"invert": invert, "scaling": scaling}
    slope, offset = lines[expected.invert]
    # Less than half a level is what rounding makes of none.
    means = np.where(np.abs(offset / slope) < 0.5, 0, -offset / slope)
    mean = _rounded(means)
    std = _rounded(1 / slope)
    if len({*mean}) == len({*std}) == 1:
        fitted = Scaling(1.0, mean[0] or None, std[0])
    else:
        fitted = Scaling(1.0, mean if any(mean) else None, std)
    return {"invert": expected.invert, "scaling": fitted}


def _rounded(values: Float64) -> tuple[float, ...]:
    """Return numbers of four digits."""
    return tuple(float(f"{value:.4g}") for value in values)


def compared(
    expected: Pipeline, reading: Reading, called: Called, photo: Photo, effect: Effect
) -> Comparison:
    """Compare a preprocessing with what a function made of a photo that is decoded as the preprocessing does.

    `effect` orders the differences, each tried by itself on the tensor of the preprocessing.
    """
    if called.tensor is None:
        problem = Difference("function", f"function: {called.problem}", effect=1.0)
        return Comparison.on([problem], first_step="function", photo=photo.name)
    way = f"the function reads {called.way}, so decoding is compared"
    notes = [_PIXELS if called.way in _ARRAYS else way]
    sample = _Sample(photo, _image(called.tensor))
    tensor = run(PIPELINE, expected, photo)
    result = sample.result.astype(called.tensor.dtype)
    step = StepDifference.of("tensor", tensor[0], result)
    causes: list[Difference] = []
    if step.parts or "function" in reading.unexplained:
        causes = list(
            differences_with_effects(expected, reading.pipeline, photo, effect)
        )
        for name, words in reading.unexplained.items():
            causes.append(Difference(name, words, effect(tensor[0], sample.result)))
        levels = reading.levels
        if not reading.unexplained:
            levels = _levels_apart(reading.pipeline, [sample])
        remainder = f"{levels:.2f} levels (root mean square)" if levels < inf else "all"
        if levels > _same_levels(called.way):
            words = f"values: {remainder} are unexplained, so something else happens there, too"
            nearest = run(PIPELINE, reading.pipeline, photo)[0]
            effects = [effect(nearest, sample.result)]
            # A step that is named explains more than what is left.
            effects += [cause.effect for cause in causes]
            causes.append(Difference("tensor", words, min(effects)))
        elif reading.exact:
            rebuilds = "what is listed above" if causes else "this preprocessing"
            notes.append(f"{rebuilds} reproduces the result to within {remainder}")
    return Comparison.on(
        causes,
        first_step=causes[0].step if causes else None,
        steps=(step,),
        photo=photo.name,
        notes=tuple(notes),
    )
