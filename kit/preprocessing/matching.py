"""The pipeline that comes nearest to tensors which other code made of photos."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from math import inf
from operator import itemgetter
from typing import NamedTuple

import numpy as np

from kit._arrays import Array, Float64
from kit.images import Photo
from kit.preprocessing.calling import Called
from kit.preprocessing.comparison import TURNS, short
from kit.preprocessing.pipeline import (
    CHANNELS,
    LAYOUTS,
    MATTES,
    PIPELINE,
    TO_SIZE,
    Changes,
    Pipeline,
    decoding_changes,
    run,
)
from kit.preprocessing.resizing import FILTERS, FITS
from kit.preprocessing.scaling import SCALINGS, Scaling, affine, fits, same_line

SAME_LEVELS = 0.6
"""Root mean square in 8-bit levels, below which two images differ by rounding alone."""
DECODER_LEVELS = 3.0
"""Up to which libraries differ in decoding a JPEG file."""
STRANGE_LEVELS = 25.0
"""Above which two images do not show the same."""
EXPLAINED_RATIO = 2
"""How many times more must be left over without a step for it to be named."""
EXPLAINED_SHARE = 0.14
"""Of the spread of a tensor that is left over where it need not be turned."""
THINNED = 3
"""Of so many rows and columns one says which part of a photo a tensor shows."""
FINALISTS = 4
"""Fits, and then filters, of which the best are compared on."""
ALONE = 0.9
"""Of all channels' parts in one, from which on it is the largest alone."""
SAME_PARTS = 0.02
"""Difference of a channel's part in all channels, up to which they are the same mixture."""
TORN = 0.5
"""Of the range of values, from which on a step between neighbouring levels is a jump."""
FEW_VALUES = 16
"""Where a result has no more, and all are whole numbers, it was cast after scaling."""
THUMBNAILS = (32, 56, 64, 96, 100, 112, 128, 150, 160, 192, 200, 256)
"""Sides to which images are usually shrunk beforehand."""

_TOGETHER = (("filter",), ("channels",), ("fit", "crop_fraction", "fill"))
"""Fields that are right or wrong together."""
_FILLED = ("letterbox", "letterbox_floor", "letterbox_corner", "pad")
_TINY = 1e-9
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
    """Return the largest root mean square in levels, between a pipeline and what was made of a photo."""
    slope, _ = affine(pipeline.scaling)
    apart = [0.0]
    for photo, result in samples:
        tensor = run(PIPELINE, pipeline, photo)[0]
        if tensor.shape != result.shape:
            return inf
        distance = np.sqrt(np.mean((tensor - result) ** 2))
        apart.append(float(distance / np.abs(slope).mean()))
    return max(apart)


def few_values(expected: Pipeline, sample: Probe) -> str:
    """Return the values that are left in words, if they are few and whole; else empty."""
    values = np.unique(sample.result)
    decoded = _with_other_decodings(expected, sample.photo)
    count = min(len(np.unique(run(PIPELINE, p, sample.photo))) for p in decoded)
    is_few = len(values) <= FEW_VALUES < count and not np.any(values % 1)
    if not is_few or expected.cast is not None:
        return ""
    return f"only {', '.join(map(short, values[:6]))} are left"


def crop_rounding(pipeline: Pipeline, photo: Photo) -> float:
    """Return by how many levels an image differs where its crop begins at the pixel beside."""
    if "crop" not in pipeline.fit:
        return 0.0
    beside = Photo(photo.decoded(pipeline.decoding).pixels[1:, 1:].copy())
    apart = run(TO_SIZE, pipeline, photo) - run(TO_SIZE, pipeline, beside).astype(float)
    return float(np.sqrt(np.mean(apart**2)))


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


class _Line(NamedTuple):
    """Results as `slope` times levels plus `offset`, each float64 (C,), and how they are off it.

    `levels` is the root mean square in levels, `fill` what is around the image.
    """

    slope: Float64
    offset: Float64
    levels: float
    fill: tuple[int, ...]


_KnownLine = tuple[Float64, Float64] | None
"""Slope and offset where images of one colour have told them."""


def _line(
    pipeline: Pipeline,
    samples: Sequence[Probe],
    known: _KnownLine = None,
    step: int = 1,
) -> _Line:
    """Fit a line to levels and results at each pixel, or at some, unless slope and offset are known."""
    x, y, inside = _pixels(pipeline, samples, step)
    slope, offset = known or _least_squares(x[inside], y[inside])
    levels = (y - offset) / slope
    fill = pipeline.fill
    if not inside.all():
        around = levels[~inside].mean(axis=0)
        x[~inside] = around
        fill = tuple(np.resize(around.round().clip(0, 255), 3).astype(int).tolist())
    return _Line(slope, offset, float(np.sqrt(np.mean((levels - x) ** 2))), fill)


def _pixels(
    pipeline: Pipeline, samples: Sequence[Probe], step: int = 1
) -> tuple[Float64, Float64, Array]:
    """Return levels and results at each pixel, or at some, and which of them are inside the image."""
    thin = slice(None, None, step)
    plain = pipeline.replace(fill=(0, 0, 0))
    x = np.stack([_levels(plain, photo)[thin, thin] for photo, _ in samples])
    y = np.stack([result[thin, thin] for _, result in samples])
    return x, y, ~np.isnan(x[..., 0])


def _least_squares(x: Float64, y: Float64) -> tuple[Float64, Float64]:
    dx = x - x.mean(axis=0)
    slope = (dx * y).sum(axis=0) / ((dx**2).sum(axis=0) + _TINY)
    slope = np.where(np.abs(slope) > _TINY, slope, _TINY)
    return slope, y.mean(axis=0) - slope * x.mean(axis=0)


@lru_cache(maxsize=64)
def _levels(pipeline: Pipeline, photo: Photo) -> Float64:
    """Return what a pipeline makes of a photo, and not-a-number where it fills up."""
    levels: Float64 = run(PIPELINE, pipeline, photo)[0].astype(float)
    if pipeline.fit in _FILLED:
        white = run(PIPELINE, pipeline.replace(fill=(255, 255, 255)), photo)[0]
        levels[np.any(levels != white, axis=-1)] = np.nan
    return levels


def _windows(
    expected: Pipeline, photo: Photo, shape: tuple[int, ...]
) -> Iterator[Pipeline]:
    """Yield each part of a photo that may have been resized, up to the size, with these channels."""
    height, width, channels = shape
    whole = type(expected)(
        size=(height, width),
        filter="tf_bilinear",
        channels="gray" if channels == 1 else "rgb",
        decoding=expected.decoding,
    )
    if expected.size is None and photo.size == whole.size:
        yield whole.replace(size=None)
    # As usual, the side before a crop is a multiple of 8 pixels, where that of the network is 224.
    resized = range(width, width * 4 // 3 + 1, max(1, width // 28))
    fractions = {expected.crop_fraction, 0.875, *(width / side for side in resized)}
    for fit in FITS:
        for fraction in fractions if "crop" in fit else [1]:
            yield whole.replace(fit=fit, crop_fraction=fraction)


def _best_turn(
    pipelines: Sequence[Pipeline], sample: Probe
) -> tuple[str, list[Pipeline]]:
    """Return the way to turn a result back, and the windows that come nearest then."""
    photo, result = sample
    spread = np.std(result) + _TINY
    ranked: list[tuple[float, str, Pipeline]] = []
    for turn, back in TURNS.items():
        turned = back(result)
        # Another part of an image may resemble one that is scrambled by chance.
        doubt = EXPLAINED_RATIO if turn else 1
        for pipeline in pipelines:
            decoded = Probe(photo.decoded(pipeline.decoding), turned)
            for window in _windows(pipeline, photo, turned.shape):
                line = _line(window, [decoded], step=THINNED)
                left_over = line.levels * np.abs(line.slope).mean() / spread
                ranked.append((doubt * left_over, turn, window))
        ranked.sort(key=itemgetter(0))
        if ranked[0][0] <= EXPLAINED_SHARE:
            break
    _, best, first = ranked[0]
    return best, [
        window
        for _, turn, window in ranked
        if turn == best and window.decoding == first.decoding
    ][:FINALISTS]


def match(
    expected: Pipeline,
    samples: Sequence[Probe],
    flat: Sequence[Float64] = (),
    *,
    decoded: bool,
) -> Reading:
    """Find the pipeline that makes results of photos, as near as may be to the one expected.

    Read are the turn, the window, the channels and the scaling, one after the other.

    Parameters
    ----------
    flat
        What is made of black and of white, which says how it scales; else the photos say so.
    decoded
        Whether results were made of decoded pixels. If not, the photos may have been decoded otherwise.
    """
    # One that can be decoded otherwise says how.
    first = max(samples, key=lambda sample: bool(sample.photo.notes))
    shape = first.result.shape
    channels_first = shape[0] in {1, 3} and shape[2] not in {1, 3}
    to_last = partial(np.moveaxis, source=0, destination=-1 if channels_first else 0)
    pipelines = [expected] if decoded else _with_other_decodings(expected, first.photo)
    turn, windows = _best_turn(pipelines, Probe(first.photo, to_last(first.result)))

    def upright(image: Float64) -> Float64:
        return TURNS[turn](to_last(image))

    known = _line_through([upright(image) for image in flat]) if flat else None
    if known and np.any(np.abs(known[0]) < 0.01 * np.abs(known[0]).max()):
        words = "another colour space there, such as HSV or LAB, or a missing channel"
        return Reading(
            expected, unexplained={"channels": f"colours: {words}; cannot tell"}
        )
    decoding = windows[0].decoding
    results = [Probe(photo.decoded(decoding), upright(x)) for photo, x in samples]
    pipeline, unexplained = _fitted_pipeline(expected, windows, results, known)
    if unexplained or levels_apart(pipeline, results[:1]) > DECODER_LEVELS:
        untouched = [Probe(photo, to_last(x)) for photo, x in samples]
        if recoloured := _recoloured(expected, untouched, known):
            pipeline, unexplained = recoloured
            turn = ""
    if "resize" in unexplained:
        # Which way up another image is cannot be told.
        turn = ""
    layout = "channels_first" if channels_first else "channels_last"
    if turn in LAYOUTS and not channels_first:
        layout = turn
    elif turn:
        unexplained["layout"] = f"image: as it is here, {turn} there"
    pipeline = pipeline.replace(layout=layout)
    # What is strange is all that there is to say.
    levels = 0.0 if unexplained else levels_apart(pipeline, samples)
    return Reading(pipeline, levels, unexplained)


def _fitted_pipeline(
    expected: Pipeline,
    windows: Sequence[Pipeline],
    samples: Sequence[Probe],
    known: _KnownLine,
) -> tuple[Pipeline, dict[str, str]]:
    """Return the pipeline that comes nearest to upright images, and in words what none does."""
    nearest = _nearest_pipeline(samples, windows, known)
    nearest, line = _with_expected_fields(expected, nearest, samples, known)
    tolerance = 0.5 if known else max(0.5, line.levels)
    scaled = _scaling_of_line(expected, line, tolerance)
    if line.levels <= STRANGE_LEVELS:
        return nearest.replace(**scaled), {}
    # Where the image is another one, what comes nearest says nothing.
    same_count = nearest.channel_count == expected.channel_count
    if not known:
        scaled = {"scaling": expected.scaling if same_count else ()}
    channels = expected.channels if same_count else nearest.channels
    words = "another part, colours or contrast of the image there"
    return expected.replace(size=nearest.size, channels=channels, **scaled), {
        "resize": f"content: {words}; nothing tried explains it"
    }


class _Colours(NamedTuple):
    """What is left of results where levels are mixed or bent, as a share of their spread; and how."""

    share: float
    step: str
    words: str
    order: Sequence[int] = ()


def _mixed(x: Float64, y: Float64) -> _Colours:
    """Make each channel of the results a sum of all channels."""
    weights = np.linalg.lstsq(x, y)[0]
    share = float(np.std(y - x @ weights) / np.std(y))
    parts = np.abs(weights) / (np.abs(weights).sum(axis=0) + _TINY)
    order = parts.argmax(axis=0).tolist()
    names = "".join("rgb"[channel] for channel in order)
    if names in CHANNELS or parts.max(axis=0).min() < ALONE:
        words = "mixtures of them, as in YCrCb or YUV,"
        if np.ptp(parts, axis=1).max() < SAME_PARTS:
            words = "one mixture of them, such as their mean,"
        return _Colours(share, "channels", words)
    return _Colours(share, "channels", names, order)


def _bent(x: Float64, y: Float64) -> _Colours:
    """Make each channel of the results any function of its level."""
    rises = np.diff(np.take_along_axis(y, x.argsort(axis=0), axis=0), axis=0)
    share = float(np.std(rises) / np.std(y) / np.sqrt(2))
    if np.abs(rises).max() > TORN * np.ptp(y):
        return _Colours(share, "scaling", "a jump, as where bytes wrap around,")
    return _Colours(share, "scaling", "a curve, such as gamma or contrast,")


def _recoloured(
    expected: Pipeline, samples: Sequence[Probe], known: _KnownLine
) -> tuple[Pipeline, dict[str, str]] | None:
    """Return the window whose levels, mixed or bent, make the results, and in words how.

    None where that leaves much, or a line for each channel leaves no more.
    """
    photo, result = samples[0]

    def colours(window: Pipeline, step: int = 1) -> _Colours:
        x, y, inside = _pixels(window, samples[:1], step)
        x = x[inside] - x[inside].mean(axis=0)
        y = y[inside] - y[inside].mean(axis=0)
        return min(_mixed(x, y), _bent(x, y))

    windows = _windows(expected, photo, result.shape)
    window = min(windows, key=partial(colours, step=THINNED))
    window = min((window.replace(filter=name) for name in FILTERS), key=colours)
    share, step, there, order = colours(window)
    spread = np.std(run(TO_SIZE, window, photo))
    leftover = EXPLAINED_RATIO * share
    if leftover > min(EXPLAINED_SHARE, _line(window, samples[:1]).levels / spread):
        return None
    if order:
        samples = [Probe(Photo(p.pixels[..., order]), y) for p, y in samples]
        window, _ = _fitted_pipeline(expected, [window], samples, known)
    else:
        window = window.replace(scaling=expected.scaling, invert=expected.invert)
    here = {"channels": expected.channels, "scaling": "a line"}[step]
    words = f"{step}: {here} here, {there} there"
    return window.replace(channels=expected.channels), {step: words}


def _line_through(flat: Sequence[Float64]) -> tuple[Float64, Float64]:
    """Return slope and offset of the line through what is made of black and of white."""
    middle = flat[0].shape[0] // 2, flat[0].shape[1] // 2
    values = np.stack([image[middle] for image in flat])
    return _least_squares(np.array([[0.0], [255.0]]), values)


def _nearest_pipeline(
    samples: Sequence[Probe], windows: Sequence[Pipeline], known: _KnownLine
) -> Pipeline:
    """Return which window comes nearest to samples, in what order of channels and by what filter."""

    def finalists(pipelines: Iterable[Pipeline]) -> list[Pipeline]:
        first = samples[:1]
        return sorted(pipelines, key=lambda p: _line(p, first, known).levels)[
            :FINALISTS
        ]

    is_grey = windows[0].channels == "gray"
    orders = ["gray"] if is_grey else ["rgb", "bgr", "gray_rgb"]
    coloured = finalists(p.replace(channels=order) for p in windows for order in orders)
    filtered = finalists(p.replace(filter=name) for p in coloured for name in FILTERS)

    def levels(pipeline: Pipeline) -> float:
        return _line(pipeline, samples, known).levels

    nearest = min(filtered, key=levels)
    if levels(nearest) <= DECODER_LEVELS:
        return nearest
    small = min(
        (nearest.replace(thumbnail=(side, side)) for side in THUMBNAILS), key=levels
    )
    return small if levels(small) <= EXPLAINED_RATIO * SAME_LEVELS else nearest


def _with_expected_fields(
    expected: Pipeline, nearest: Pipeline, samples: Sequence[Probe], known: _KnownLine
) -> tuple[Pipeline, _Line]:
    """Return the nearest pipeline with the fields that are expected, where that is as near, and its line."""
    line = _line(nearest, samples, known)
    is_exact = line.levels <= SAME_LEVELS
    limit = max(SAME_LEVELS, min(EXPLAINED_RATIO * line.levels, STRANGE_LEVELS))
    for names in _TOGETHER:
        fields = {name: getattr(expected, name) for name in names}
        changed = nearest.replace(**fields)
        changed_line = _line(changed, samples, known)
        own_rounding = 0.0 if is_exact else crop_rounding(changed, samples[0].photo)
        same_count = changed.channel_count == nearest.channel_count
        if same_count and changed_line.levels <= max(limit, own_rounding):
            nearest = changed
            line = changed_line
    tolerance = 1.5 if known else max(1.5, 1 + line.levels)
    if np.abs(np.subtract(line.fill, nearest.fill)).max() > tolerance:
        nearest = nearest.replace(fill=line.fill)
    return nearest, line


def _scaling_of_line(expected: Pipeline, line: _Line, tolerance: float) -> Changes:
    """Return the scaling that makes the line, one with a name if it is within this many levels."""
    own = expected.scaling
    slope, offset, *_ = line
    if np.all(np.abs(slope) <= _TINY):
        # An image of one colour says nothing of it.
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
