"""The pipeline that comes nearest to tensors which other code made of photos."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from operator import itemgetter
from typing import NamedTuple

import numpy as np
from scipy.ndimage import uniform_filter

from kit._arrays import Array, Float64, Levels
from kit.images import Photo
from kit.preprocessing.buffers import Buffer, buffers
from kit.preprocessing.calling import Called
from kit.preprocessing.comparison import short
from kit.preprocessing.pipeline import (
    CHANNELS,
    MATTES,
    PIPELINE,
    TO_SIZE,
    TO_TENSOR,
    Changes,
    Pipeline,
    arrange_back,
    decoding_changes,
    fit_words,
    order_channels,
    run,
)
from kit.preprocessing.placing import Content, Window, apart, left_over
from kit.preprocessing.resizing import FILTERS, FITS, Axis, Size, axes, sampled
from kit.preprocessing.scaling import SCALINGS, Scaling, affine, fits, same_line

# Root mean square in 8-bit levels, below which two images differ by rounding alone.
SAME_LEVELS = 0.6
# Up to which libraries differ in decoding a JPEG file.
DECODER_LEVELS = 3.0
# Pixels by which the edges of an image are off where sides are rounded in another way.
ROUNDED = 2.0
# Likewise, where a blur or another contrast hides where they are.
NEAR = 10
# How many times more must be left over without a step for it to be named.
EXPLAINED_RATIO = 2
# Of the spread of an image, which a part of a photo leaves that it shows without doubt.
EXPLAINED_SHARE = 0.14
# Share of the spread of a tensor that is left over where a photo hardly explains it.
PARTLY_EXPLAINED = 0.5
# Of so many rows and columns one is looked at to compare filters.
THINNED = 2
# Of all channels' parts in one, from which on it is the largest alone.
ALONE = 0.9
# Of the largest spread of a channel, up to which one is the same everywhere.
CONSTANT = 0.01
# Difference of a channel's part in all channels, up to which they are the same mixture.
SAME_PARTS = 0.02
# Of the levels that a line is off, as many it may be off at black and at white.
TOLERATED = 4
# Pixels a side over which fine detail is averaged.
AVERAGED = 8
# Of the range of values, from which on a step between neighbouring levels is a jump.
TORN = 0.5
# Where a result has no more, and all are whole numbers, it was cast after scaling.
FEW_VALUES = 16
# Sides to which images are usually shrunk beforehand.
THUMBNAILS = (32, 56, 64, 96, 100, 112, 128, 150, 160, 192, 200, 256)

# By which pixels are off that are something else.
STRANGE_LEVELS = 25.0
# Of the pixels around an image, from which on they have several colours.
STRANGE_SHARE = 0.2

_TINY = 1e-9
_FIRST = itemgetter(0)
_ANY = "another colour space or contrast, such as HSV, LAB or equalised,"
_SEVERAL = "fill: one colour here, several there, as from mirrored or repeated edges"
_DECODINGS: tuple[Changes, ...] = (
    {"exif": False},
    {"depth": "clip"},
    *({"matte": matte} for matte in MATTES),
)


@dataclass(frozen=True)
class Reading:
    """Other code in the words of a pipeline.

    Attributes
    ----------
    pipeline
        The one that comes nearest.
    levels
        The root mean square that is left, in 8-bit levels.
    unexplained
        Words for what no pipeline does, by step.
    called
        What the code returned for each photo.
    """

    pipeline: Pipeline
    levels: float = 0.0
    unexplained: Mapping[str, str] = field(default_factory=dict)
    called: tuple[Called, ...] = ()

    @property
    def exact(self) -> bool:
        """Whether the pipeline does what the code does."""
        return self.levels <= SAME_LEVELS and not self.unexplained


class Probe(NamedTuple):
    """A photo, and what was made of it: (H, W, C) or (C, H, W)."""

    photo: Photo
    result: Float64


def levels_apart(pipeline: Pipeline, samples: Iterable[Probe]) -> float:
    """Return the largest root mean square in levels, between a pipeline and what was made of a photo.

    Where a fit rounds sides, any of its roundings will do.
    """
    return max((_apart(pipeline, sample) for sample in samples), default=0.0)


def _apart(pipeline: Pipeline, sample: Probe) -> float:
    tensor = run(PIPELINE, pipeline, sample.photo)[0]
    if tensor.shape != sample.result.shape:
        return inf
    levels = _distance(pipeline, tensor, sample.result)
    if levels <= SAME_LEVELS:
        return levels
    photo = sample.photo.decoded(pipeline.decoding)
    content = Content(arrange_back(sample.result, pipeline.layout))
    _, window = content.refined(photo, window_of(pipeline, photo))
    if not _is_rounding(pipeline, photo, window):
        return levels
    tensor = run(TO_TENSOR, pipeline, _resized(pipeline, photo, window))[0]
    return min(levels, _distance(pipeline, tensor, sample.result))


def _distance(pipeline: Pipeline, tensor: Array, result: Float64) -> float:
    slope, _ = affine(pipeline.scaling)
    distance = np.sqrt(np.mean((tensor - result) ** 2))
    return float(distance / np.abs(slope).mean())


def _is_rounding(pipeline: Pipeline, photo: Photo, window: Window) -> bool:
    """Whether a part of a photo is that of a pipeline, but for how its sides are rounded."""
    size = pipeline.size or photo.size
    is_near = apart(window, window_of(pipeline, photo), size) <= ROUNDED
    return is_near and pipeline.fit != "squash"


def window_of(pipeline: Pipeline, photo: Photo) -> Window:
    """Return the part of a decoded photo that a pipeline shows."""
    size = pipeline.size or photo.size
    # Filled up first or last, the same part is shown, up to rounding.
    fit = pipeline.fit.replace("pad", "letterbox")
    lines = axes(photo.size, size, fit, pipeline.crop_fraction)
    return np.array([axis.edges(side) for axis, side in zip(lines, size, strict=True)])


def few_values(expected: Pipeline, sample: Probe) -> str:
    """Return the values that are left in words, if they are few and whole; else empty."""
    values = np.unique(sample.result)
    decoded = _with_other_decodings(expected, sample.photo)
    count = min(len(np.unique(run(PIPELINE, p, sample.photo))) for p in decoded)
    is_few = len(values) <= FEW_VALUES < count and not np.any(values % 1)
    if not is_few or expected.cast is not None:
        return ""
    return f"only {', '.join(map(short, values[:6]))} are left"


def _with_other_decodings(expected: Pipeline, photo: Photo) -> list[Pipeline]:
    """Return what is expected, and with each decoding that makes other pixels of a photo."""
    # A file without notes has nothing that could be decoded in another way.
    changes = [{}, *_DECODINGS] if photo.notes else [{}]
    pipelines = [
        expected.replace(**decoding_changes(expected, **change)) for change in changes
    ]
    # The first of those that make the same pixels stays.
    by_pixels = {
        photo.decoded(pipeline.decoding).pixels.tobytes(): pipeline
        for pipeline in reversed(pipelines)
    }
    return [*by_pixels.values()]


def _resized(pipeline: Pipeline, photo: Photo, window: Window | None) -> Levels:
    """Return what a pipeline makes of a decoded photo up to the size, or of another part of it."""
    size = pipeline.size
    if window is None or size is None:
        levels: Levels = run(TO_SIZE, pipeline, photo)
        return levels
    rows, columns = map(Axis.through, window, photo.size, size)
    return sampled(
        photo.pixels,
        size,
        rows,
        columns,
        filter=pipeline.filter,
        fill=pipeline.fill,
        pillow=pipeline.pillow,
    )


def _pairs(
    pipeline: Pipeline,
    window: Window | None,
    sample: Probe,
    step: int = 1,
    averaged: int = 1,
) -> tuple[Float64, Float64, Float64]:
    """Return levels (N, 3) and results (N, C) in the photo, at all pixels or some, and results beside it."""
    photo, result = sample
    shown = window_of(pipeline, photo) if window is None else window
    thin = slice(None, None, step)
    inside = _inside(shown, photo.size, result.shape[:2])[thin, thin]
    image = _resized(pipeline, photo, window).astype(float)
    levels, values = (
        uniform_filter(x, (averaged, averaged, 1))[thin, thin] for x in (image, result)
    )
    return levels[inside], values[inside], values[~inside]


def _inside(window: Window, source: Size, size: Size) -> Array:
    """Return which pixels of an image (H, W) lie in the photo, bool."""
    lines: list[Array] = []
    for (first, end), length, side in zip(window, source, size, strict=True):
        middles = first + (end - first) * (np.arange(side) + 0.5) / side
        lines.append((middles > 0) & (middles < length))
    return np.logical_and.outer(*lines)


def _off(pipeline: Pipeline, window: Window | None, sample: Probe) -> float:
    """Return by how many levels a result is off what any colours of a photo make."""
    levels, values, _ = _pairs(pipeline, window, sample, THINNED)
    return left_over(levels, values) * float(levels.std())


class _Shown(NamedTuple):
    """Which part of a photo, decoded in which way, a result shows once its values are in order."""

    share: float
    window: Window
    photo: Photo
    content: Content
    buffer: Buffer
    expected: Pipeline


def _shown(expected: Pipeline, decodings: Sequence[Pipeline], sample: Probe) -> _Shown:
    """Return how a result comes from a photo: whole or in part, upright or scrambled."""
    ways: list[_Shown] = []
    tensor = arrange_back(run(PIPELINE, expected, sample.photo)[0], expected.layout)
    for buffer in buffers(sample.result, tensor):
        content = Content(buffer.image)
        for pipeline in decodings:
            photo = sample.photo.decoded(pipeline.decoding)
            usual = _named(pipeline, content.size, (pipeline.crop_fraction, 0.875, 1.0))
            placed = content.best(photo, [window_of(entry, photo) for entry in usual])
            ways.append(_Shown(*placed, photo, content, buffer, pipeline))
        if min(way.share for way in ways) <= EXPLAINED_SHARE:
            break
    best = min(ways, key=_doubt)
    placed = best.content.refined(best.photo, best.window)
    if placed.share <= EXPLAINED_RATIO * EXPLAINED_SHARE:
        return best._replace(**placed._asdict())
    ways += [
        way._replace(**way.content.anywhere(way.photo)._asdict())
        for way in ways[:: len(decodings)]
    ]
    return min(ways, key=_doubt)


def _doubt(way: _Shown) -> float:
    # Another part of an image may resemble one that is scrambled by chance.
    return way.share * EXPLAINED_RATIO if way.buffer.there else way.share


def _named(
    expected: Pipeline, size: Size | None, fractions: Iterable[float]
) -> Iterator[Pipeline]:
    """Yield a pipeline up to this size for each fit, the one that is expected first."""
    sized = expected.replace(
        size=size,
        thumbnail=None,
        channels="rgb",
        invert=False,
        scaling=(),
        cast=None,
        layout="channels_last",
    )
    for fit in dict.fromkeys((expected.fit, *FITS)):
        for fraction in dict.fromkeys(fractions) if "crop" in fit else [1.0]:
            yield sized.replace(fit=fit, crop_fraction=fraction)


def match(expected: Pipeline, samples: Sequence[Probe], *, decoded: bool) -> Reading:
    """Find the pipeline that makes results of photos, as near as may be to the one expected.

    Read are the order of values, the part of the photo, the filter, the channels and the scaling, one after
    the other. Each is as expected where that explains as much.

    Parameters
    ----------
    decoded
        Whether results were made of decoded pixels. If not, the photos may have been decoded otherwise.
    """
    decoded_ways = [
        [expected] if decoded else _with_other_decodings(expected, sample.photo)
        for sample in samples
    ]
    # The photo that says most: how it was decoded, and in what order its colours are.
    decodings, first = max(
        zip(decoded_ways, samples, strict=True),
        key=lambda pair: (len(pair[0]) > 1, _has_colours(pair[1].photo)),
    )
    shown = _shown(expected, decodings, first)
    buffer = shown.buffer
    sample = Probe(shown.photo, buffer.image)
    pipeline, window = _fitted(shown, sample)
    levels, values, around = _pairs(pipeline, window, sample)
    least = left_over(levels, values)
    colours = _coloured(shown.expected, levels, values)
    if not colours.words and colours.share * levels.std() > DECODER_LEVELS:
        smooth = _pairs(pipeline, window, sample, averaged=AVERAGED)
        colours = _smoothed(shown.expected, colours, *smooth[:2])
    is_scrambled = pipeline.size != expected.size and bool(buffer.there)
    unexplained: dict[str, str] = {}
    if buffer.there:
        unexplained["layout"] = f"image: as it is here, {buffer.there} there"
    elif window is not None and not _is_rounding(shown.expected, sample.photo, window):
        unexplained["resize"] = _window_words(shown.expected, window, sample.photo)
    if is_scrambled:
        pipeline = shown.expected
    elif min(least, colours.share) > PARTLY_EXPLAINED:
        words = f"content: {1 - least**2:.0%} of it come from this image at most,"
        words += " however that is cut, turned or coloured"
        pipeline = expected.replace(size=pipeline.size)
        return Reading(pipeline, unexplained={"resize": words})
    elif colours.words:
        here = {"channels": expected.channels, "scaling": "a line"}[colours.step]
        words = f"{colours.step}: {here} here, {colours.words} there"
        unexplained[colours.step] = words
    if colours.line and not unexplained:
        pipeline, unexplained = _with_fill(pipeline, colours.line, around)
    pipeline = _with_colours(shown.expected, pipeline, colours)
    pipeline = pipeline.replace(layout=buffer.layout)
    # What is strange is all that there is to say.
    levels_left = 0.0 if unexplained else levels_apart(pipeline, samples)
    return Reading(pipeline, levels_left, unexplained)


def _has_colours(photo: Photo) -> bool:
    red, _, blue = np.moveaxis(photo.pixels.astype(float), -1, 0)
    return bool(np.std(red - blue) > DECODER_LEVELS)


def _window_words(expected: Pipeline, window: Window, photo: Photo) -> str:
    rows, columns = (
        f"{first:.4g} to {end:.4g} of {side}"
        for (first, end), side in zip(window, photo.size, strict=True)
    )
    return (
        f"window: {fit_words(expected)} here, rows {rows} and columns {columns} there"
    )


def _fitted(shown: _Shown, sample: Probe) -> tuple[Pipeline, Window | None]:
    """Return the fit and the filter that show a part of a photo, and this part if no fit does."""
    expected = shown.expected
    window = shown.window
    size = shown.content.size
    parts = np.diff(window)[:, 0] / sample.photo.size
    part = min(float(parts.max()), 1.0)
    is_whole = expected.size is None and sample.photo.size == size
    fractions = expected.crop_fraction, 0.875, round(part, 2), round(part, 3)
    named = [*_named(expected, None if is_whole else size, fractions)]
    if _off(named[0], None, sample) <= SAME_LEVELS:
        return named[0], None
    distances = [apart(window, window_of(entry, sample.photo), size) for entry in named]
    nearest = 0 if distances[0] <= ROUNDED else int(np.argmin(distances))
    levels = inf
    if distances[nearest] <= NEAR:
        levels, pipeline = _filtered(named[nearest], None, sample)
        if levels <= DECODER_LEVELS:
            return pipeline, None
    free_levels, free = _filtered(named[0], window, sample)
    if levels > EXPLAINED_RATIO * free_levels:
        return free, window
    return _with_thumbnail(pipeline, sample), None


def _filtered(
    pipeline: Pipeline, window: Window | None, sample: Probe
) -> tuple[float, Pipeline]:
    """Return by how many levels a result is off with the best filter, and the pipeline with it."""
    usual = _off(pipeline, window, sample)
    if usual <= SAME_LEVELS:
        return usual, pipeline
    filtered = [pipeline.replace(filter=name) for name in FILTERS]
    ranked = [(_off(entry, window, sample), entry) for entry in filtered]
    least, best = min(ranked, key=_FIRST)
    return least, pipeline if usual <= EXPLAINED_RATIO * least else best


class _Line(NamedTuple):
    """Results as `slope` times levels plus `offset`, each float64 (C,), and how they are off it.

    `levels` is the root mean square in levels.
    """

    slope: Float64
    offset: Float64
    levels: float


def _line(levels: Float64, values: Float64) -> _Line:
    """Fit a line to levels and results, each (N, C)."""
    middle = levels.mean(axis=0)
    centred = levels - middle
    slope = (centred * values).sum(axis=0) / ((centred**2).sum(axis=0) + _TINY)
    slope = np.where(np.abs(slope) > _TINY, slope, _TINY)
    offset = values.mean(axis=0) - slope * middle
    distances = (values - offset) / slope - levels
    return _Line(slope, offset, float(np.sqrt(np.mean(distances**2))))


class _Colours(NamedTuple):
    """How results come from levels: the share of their spread that is left, and their line, if they have one.

    `channels` is an order that has a name; else `words` say what is done at a step.
    """

    share: float
    line: _Line | None = None
    channels: str = ""
    step: str = "channels"
    words: str = ""


def _coloured(expected: Pipeline, levels: Float64, values: Float64) -> _Colours:
    """Return how colours become results: by a line for each channel, as expected where that is as near."""
    spread = float(levels.std()) + _TINY
    others = [_mixed(levels, values)]
    named: list[_Colours] = []
    for name in dict.fromkeys((expected.channels, *CHANNELS)):
        ordered = _ordered(levels, name)
        if ordered.shape == values.shape:
            line = _line(ordered, values)
            named.append(_Colours(line.levels / spread, line, name))
    if named:
        nearest = min(named, key=_FIRST)
        limit = max(SAME_LEVELS / spread, EXPLAINED_RATIO * nearest.share)
        if named[0].channels == expected.channels and named[0].share <= limit:
            nearest = named[0]
        if nearest.share <= SAME_LEVELS / spread:
            return nearest
        others.append(_bent(_ordered(levels, nearest.channels), values))
    best = min(others, key=_FIRST)
    least = left_over(levels, values)
    if best.share > EXPLAINED_RATIO * least:
        best = _Colours(least, words=_ANY)
    if named and EXPLAINED_RATIO * best.share > nearest.share:
        return nearest
    return best


def _smoothed(
    expected: Pipeline, rough: _Colours, levels: Float64, values: Float64
) -> _Colours:
    """Return how colours become results where fine detail, which may be missing, is averaged."""
    colours = _coloured(expected, levels, values)
    if colours.line is None or rough.line is None:
        return colours
    # A blur flattens the line, too.
    off = max(colours.line.levels, rough.line.levels / EXPLAINED_RATIO)
    return colours._replace(line=colours.line._replace(levels=off))


def _ordered(levels: Float64, channels: str) -> Float64:
    return np.asarray(order_channels(levels.astype(np.float32), channels), float)


def _mixed(levels: Float64, values: Float64) -> _Colours:
    """Make each channel of the results a sum of all channels."""
    middle = levels.mean(axis=0)
    centred = values - values.mean(axis=0)
    weights = np.linalg.lstsq(levels - middle, centred)[0]
    share = np.std(centred - (levels - middle) @ weights) / (np.std(centred) + _TINY)
    parts = np.abs(weights) / (np.abs(weights).sum(axis=0) + _TINY)
    spreads = centred.std(axis=0)
    is_constant = spreads <= CONSTANT * spreads.max()
    names = np.where(
        is_constant, "a constant", np.array([*"rgb"])[parts.argmax(axis=0)]
    )
    words = (", " if is_constant.any() else "").join(names)
    if words in CHANNELS or np.any((parts.max(axis=0) < ALONE) & ~is_constant):
        words = "mixtures of them, as in YCrCb or YUV,"
        if np.ptp(parts, axis=1).max() < SAME_PARTS:
            words = "one mixture of them, such as their mean,"
        if share > EXPLAINED_SHARE:
            return _Colours(float(share), words=_ANY)
    # A grey level is in all channels.
    line = _Line(weights.sum(axis=0), values.mean(axis=0) - middle @ weights, 0.0)
    return _Colours(float(share), line, words=words)


def _bent(x: Float64, y: Float64) -> _Colours:
    """Make each channel of the results any function of its level."""
    rises = np.diff(np.take_along_axis(y, x.argsort(axis=0), axis=0), axis=0)
    share = float(np.std(rises) / (np.std(y - y.mean(axis=0)) + _TINY) / np.sqrt(2))
    words = "a curve, such as gamma or contrast,"
    if np.abs(rises).max() > TORN * np.ptp(y):
        words = "a jump, as where bytes wrap around,"
    return _Colours(share, step="scaling", words=words)


def _with_colours(
    expected: Pipeline, pipeline: Pipeline, colours: _Colours
) -> Pipeline:
    """Return a pipeline with channels and scaling, as expected where nothing is known."""
    line = colours.line
    channels = colours.channels or expected.channels
    pipeline = pipeline.replace(channels=channels, scaling=())
    is_near = line is not None and line.levels <= STRANGE_LEVELS
    if line and is_near and line.slope.size == pipeline.channel_count:
        return pipeline.replace(**_scaling_of_line(expected, line))
    if fits(expected.scaling, pipeline.channel_count):
        return pipeline.replace(scaling=expected.scaling, invert=expected.invert)
    return pipeline


def _with_fill(
    pipeline: Pipeline, line: _Line, around: Float64
) -> tuple[Pipeline, dict[str, str]]:
    """Return a pipeline that fills up as results do, and in words what no fill does."""
    if not len(around):
        return pipeline, {}
    levels = (around - line.offset) / line.slope
    colour = np.median(levels, axis=0)
    is_other = np.abs(levels - colour).max(axis=-1) > STRANGE_LEVELS
    if is_other.mean() > STRANGE_SHARE:
        return pipeline, {"resize": _SEVERAL}
    fill = np.resize(colour.round().clip(0, 255), 3).astype(int)
    if np.abs(fill - pipeline.fill).max() > 1.5 + line.levels:
        pipeline = pipeline.replace(fill=tuple(fill.tolist()))
    return pipeline, {}


def _with_thumbnail(pipeline: Pipeline, sample: Probe) -> Pipeline:
    """Return a pipeline that shrinks images first, if that makes a result."""
    small = [pipeline.replace(thumbnail=(side, side)) for side in THUMBNAILS]
    levels = [_off(entry, None, sample) for entry in small]
    nearest = int(np.argmin(levels))
    is_near = levels[nearest] <= EXPLAINED_RATIO * SAME_LEVELS
    return small[nearest] if is_near else pipeline


def _scaling_of_line(expected: Pipeline, line: _Line) -> Changes:
    """Return the scaling that makes the line, one with a name if it is within this many levels."""
    own = expected.scaling
    slope, offset, levels = line
    tolerance = max(0.5, TOLERATED * levels)
    sizes = np.abs(slope)
    if np.any(sizes <= max(_TINY, CONSTANT * sizes.max())):
        # A channel of one colour says nothing of it.
        return {"invert": expected.invert, "scaling": own}
    single = [own, *SCALINGS.values()]
    double = [first + second for first in single for second in single]
    scalings = [entry for entry in single + double if fits(entry, slope.size)]
    lines = {False: (slope, offset), True: (-slope, 255 * slope + offset)}
    for invert in (expected.invert, not expected.invert):
        for scaling in scalings:
            if same_line(affine(scaling), lines[invert], tolerance * np.abs(slope)):
                return {"invert": invert, "scaling": scaling}
    slope, offset = lines[expected.invert]
    zero = -offset / slope
    # Less than half a level is what rounding makes of none.
    mean = _rounded(np.where(np.abs(zero) < 0.5, 0, zero))
    fitted = Scaling(1.0, mean or None, _rounded(1 / slope))
    return {"invert": expected.invert, "scaling": fitted}


def _rounded(values: Float64) -> float | tuple[float, ...]:
    """Return numbers of four digits, or the one that all are."""
    rounded = tuple(float(f"{value:.4g}") for value in values)
    return rounded[0] if len({*rounded}) == 1 else rounded
