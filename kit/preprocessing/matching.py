"""The pipeline that comes nearest to tensors which other code made of photos."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from math import inf
from operator import itemgetter
from typing import NamedTuple

import numpy as np

from kit._arrays import Bools, Float32, Float64
from kit.images import Photo
from kit.preprocessing.calling import Called, image_of
from kit.preprocessing.comparison import TURNS, short
from kit.preprocessing.pipeline import (
    LAYOUTS,
    MATTES,
    PIPELINE,
    TO_SIZE,
    Changes,
    Pipeline,
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
SAME_EDGES = 0.5
"""Correlation of edges from which on two images show the same in the same places."""
EXPLAINED_RATIO = 2
"""How many times more must be left over without a step for it to be named."""
EXPLAINED_SHARE = 0.02
"""Of the variance of a tensor that is left over where it need not be turned."""
THINNED = 3
"""Of so many rows and columns one says which part of a photo a tensor shows."""
FINALISTS = 4
"""Fits, and then filters, of which the best are compared on."""
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


class Sample(NamedTuple):
    """A photo, and what was made of it: (H, W, C) or (C, H, W)."""

    photo: Photo
    result: Float64


def samples_of(
    expected: Pipeline, called: Sequence[Called], photos: Sequence[Photo]
) -> list[Sample]:
    """Return the photos of which an image was made, with these images."""
    return [
        Sample(photo, image_of(outcome.tensor, expected))
        for photo, outcome in zip(photos, called, strict=True)
        if outcome.tensor is not None
    ]


def levels_apart(pipeline: Pipeline, samples: Sequence[Sample]) -> float:
    """Return the root mean square in levels, between a pipeline and what was made of photos."""
    squares = []
    for photo, result in samples:
        tensor = run(PIPELINE, pipeline, photo)[0]
        if tensor.shape != result.shape:
            return inf
        squares.append(np.mean((tensor - result) ** 2))
    slope, _ = affine(pipeline.scaling)
    return float(np.sqrt(np.mean(squares)) / np.abs(slope).mean())


def few_values(expected: Pipeline, sample: Sample) -> str:
    """Return the values that are left in words, if they are few and whole; else empty."""
    values = np.unique(sample.result)
    count = len(np.unique(run(PIPELINE, expected, sample.photo)))
    is_few = len(values) <= FEW_VALUES < count and not np.any(values % 1)
    if not is_few or expected.cast is not None:
        return ""
    few = ", ".join(short(value) for value in values[:6])
    return f"only {few} are left"


def cast_words(few: str) -> dict[str, str]:
    """Return the difference of a cast that leaves few values."""
    return {"cast": f"cast: none here, to whole numbers after scaling there; {few}"}


def match(
    expected: Pipeline,
    samples: Sequence[Sample],
    flat: Sequence[Float64] = (),
    *,
    decoded: bool,
) -> Reading:
    """Find the pipeline that makes results of photos, as near as may be to the one expected.

    Parameters
    ----------
    flat
        What is made of black and of white, which says how it scales; else the photos say so.
    decoded
        Whether results were made of decoded pixels. If not, the photos may have been decoded otherwise.
    """
    reading = _steps(expected, samples, flat)
    if decoded or not any(photo.notes for photo, _ in samples):
        return reading
    others = (
        _steps(
            expected.replace(decoding=replace(expected.decoding, **changes)),
            samples,
            flat,
        )
        for changes in _DECODINGS
    )
    explained = (other for other in (reading, *others) if _explains(other))
    return next(explained, reading)


def _explains(reading: Reading) -> bool:
    return reading.levels <= DECODER_LEVELS and not reading.unexplained


class _Line(NamedTuple):
    """Results as `slope` times levels plus `offset`, each float64 (C,), and how they are off it.

    `share` is that of the variance of the results, and `levels` the root mean square in levels. `fill` is
    what is around the image, in levels.
    """

    slope: Float64
    offset: Float64
    share: float
    levels: float
    fill: tuple[int, int, int]


_Known = tuple[Float64, Float64] | None


def _line(
    pipeline: Pipeline,
    samples: Sequence[Sample],
    known: _Known = None,
    step: int = 1,
) -> _Line:
    """Fit a line to levels and results at each pixel, or at some, unless slope and offset are known."""
    thin = slice(None, None, step)
    every = np.stack([result[thin, thin] for _, result in samples])
    made = [_levels(pipeline.replace(fill=(0, 0, 0)), photo) for photo, _ in samples]
    inside = np.stack([mask[thin, thin] for _, mask in made])
    x = np.stack([levels[thin, thin] for levels, _ in made], dtype=float)[inside]
    y = every[inside]
    slope, offset = known or _least_squares(x, y)
    around = every[~inside]
    ground = around.mean(axis=0) if len(around) else y.mean(axis=0)
    off = np.concatenate([y - slope * x - offset, around - ground])
    spread = np.var(every, axis=(0, 1, 2)).sum() + _TINY**2
    fill = ((ground - offset) / slope).round().clip(0, 255)
    red, green, blue = np.resize(fill, 3).astype(int).tolist()
    return _Line(
        slope,
        offset,
        share=float(np.mean(off**2, axis=0).sum() / spread),
        levels=float(np.sqrt(np.mean((off / slope) ** 2))),
        fill=(red, green, blue),
    )


def _least_squares(x: Float64, y: Float64) -> tuple[Float64, Float64]:
    dx = x - x.mean(axis=0)
    slope = (dx * y).sum(axis=0) / ((dx**2).sum(axis=0) + _TINY)
    slope = np.where(np.abs(slope) > _TINY, slope, _TINY)
    return slope, y.mean(axis=0) - slope * x.mean(axis=0)


@lru_cache(maxsize=64)
def _levels(pipeline: Pipeline, photo: Photo) -> tuple[Float32, Bools]:
    """Return what a pipeline makes of a photo, and where the image is, and not what it fills up."""
    levels = run(PIPELINE, pipeline, photo)[0]
    inside = np.ones(levels.shape[:2], bool)
    if pipeline.fit in _FILLED:
        white = run(PIPELINE, pipeline.replace(fill=(255, 255, 255)), photo)[0]
        inside = np.all(levels == white, axis=-1)
    return levels, inside


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


def _turned(expected: Pipeline, sample: Sample) -> tuple[str, list[Pipeline]]:
    """Return the way to turn a result back, and the windows that come nearest then."""
    ranked: list[tuple[float, str, Pipeline]] = []
    for turn, back in TURNS.items():
        turned = Sample(sample.photo, back(sample.result))
        # Another part of an image may resemble one that is scrambled by chance.
        doubt = EXPLAINED_RATIO**2 if turn else 1
        ranked += [
            (doubt * _line(window, [turned], step=THINNED).share, turn, window)
            for window in _windows(expected, sample.photo, turned.result.shape)
        ]
        ranked.sort(key=itemgetter(0))
        if ranked[0][0] <= EXPLAINED_SHARE:
            break
    best = ranked[0][1]
    return best, [window for _, turn, window in ranked if turn == best][:FINALISTS]


def _steps(
    expected: Pipeline, results: Sequence[Sample], flat: Sequence[Float64]
) -> Reading:
    """Read the turn, the window, the channels and the scaling, one after the other."""
    shape = results[0].result.shape
    channels_first = shape[0] in {1, 3} and shape[2] not in {1, 3}
    to_last = partial(np.moveaxis, source=0, destination=-1 if channels_first else 0)
    turn, windows = _turned(
        expected, Sample(results[0].photo, to_last(results[0].result))
    )
    layout, unexplained = _laid_out(turn, channels_first=channels_first)
    upright = [Sample(photo, TURNS[turn](to_last(x))) for photo, x in results]
    known = _through(*(TURNS[turn](to_last(x)) for x in flat)) if flat else None
    if known and np.any(np.abs(known[0]) < 0.01 * np.abs(known[0]).max()):
        words = "colours: another colour space there, such as HSV or LAB, or a missing channel; cannot tell"
        return Reading(expected, unexplained={"channels": words})
    nearest = _nearest(upright, windows, known)
    line = _line(nearest, upright, known)
    tolerance = 0.5 if known else max(0.5, line.levels)
    if line.levels > STRANGE_LEVELS:
        unexplained |= _strange(expected, nearest, upright[0], line)
        # Where colours are in other places, grey is nearer, which says nothing.
        same_count = nearest.channel_count == expected.channel_count
        channels = expected.channels if same_count else nearest.channels
        fields = {"size": nearest.size, "channels": channels, "cast": None}
        nearest = expected.replace(**fields, scaling=())
    else:
        nearest = _as_expected(expected, nearest, upright, known)
        line = _line(nearest, upright, known)
        is_other = np.abs(np.subtract(line.fill, nearest.fill)).max() > 1 + tolerance
        if nearest.fit in _FILLED and is_other:
            nearest = nearest.replace(fill=line.fill)
    if known or line.levels <= STRANGE_LEVELS:
        scaled = _scaled(expected, line.slope, line.offset, tolerance)
    else:
        scaled = {"scaling": expected.scaling}
    pipeline = nearest.replace(layout=layout, **scaled)
    if not unexplained:
        return Reading(pipeline, levels_apart(pipeline, results))
    # What is strange is all that there is to say.
    levels = line.levels if line.levels <= STRANGE_LEVELS else 0.0
    return Reading(pipeline, levels, unexplained)


def _laid_out(turn: str, *, channels_first: bool) -> tuple[str, dict[str, str]]:
    """Return the layout of images that are turned back, and in words what no layout does."""
    layout = "channels_first" if channels_first else "channels_last"
    if turn in LAYOUTS and not channels_first:
        return turn, {}
    if turn:
        return layout, {"layout": f"image: as it is here, {turn} there"}
    return layout, {}


def _through(black: Float64, white: Float64) -> tuple[Float64, Float64]:
    """Return slope and offset of the line through what is made of black and of white."""
    height, width, _ = black.shape
    offset = black[height // 2, width // 2]
    slope = (white[height // 2, width // 2] - offset) / 255
    return np.where(np.abs(slope) > _TINY, slope, _TINY), offset


def _strange(
    expected: Pipeline, nearest: Pipeline, sample: Sample, line: _Line
) -> dict[str, str]:
    """Return in words what differs where an image does not show the same."""
    edges, other_edges = (
        np.diff(image.mean(axis=-1), axis=1).ravel()
        for image in (run(TO_SIZE, nearest, sample.photo), sample.result / line.slope)
    )
    if np.corrcoef(edges, other_edges)[0, 1] > SAME_EDGES:
        words = "contrast: unchanged here, adjusted image by image there, as by an equalised histogram"
        return {"scaling": words}
    # Each level becomes the same value everywhere, so what differs is where.
    return {
        "resize": f"fit: {expected.fit} of the image here, another part or content there;"
        " nothing tried explains it"
    }


def _nearest(
    samples: Sequence[Sample], windows: Sequence[Pipeline], known: _Known
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
    apart = {p: _line(p, samples, known).levels for p in filtered}
    nearest = min(apart, key=apart.__getitem__)
    if apart[nearest] > DECODER_LEVELS:
        for side in THUMBNAILS:
            small = nearest.replace(thumbnail=(side, side))
            levels = _line(small, samples, known).levels
            if levels <= EXPLAINED_RATIO * SAME_LEVELS:
                apart[small] = EXPLAINED_RATIO * levels
    return min(apart, key=apart.__getitem__)


def _as_expected(
    expected: Pipeline, nearest: Pipeline, samples: Sequence[Sample], known: _Known
) -> Pipeline:
    """Return the pipeline that comes nearest and with it the fields that are expected, if that is as near."""
    limit = max(EXPLAINED_RATIO * _line(nearest, samples, known).levels, SAME_LEVELS)
    for names in _TOGETHER:
        fields = {name: getattr(expected, name) for name in names}
        changed = nearest.replace(**fields)
        if changed.channel_count != nearest.channel_count:
            continue
        if _line(changed, samples, known).levels <= limit:
            nearest = changed
    return nearest


def _scaled(
    expected: Pipeline, slope: Float64, offset: Float64, tolerance: float
) -> Changes:
    """Return the scaling that makes the line, one with a name if it is within this many levels."""
    own = expected.scaling
    single = [own, *SCALINGS.values()]
    double = [pair for entry in single for pair in (own + entry, entry + own)]
    scalings = [entry for entry in single + double if fits(entry, slope.size)]
    lines = {False: (slope, offset), True: (-slope, 255 * slope + offset)}
    for invert in (expected.invert, not expected.invert):
        for scaling in scalings:
            if same_line(affine(scaling), lines[invert], tolerance * np.abs(slope)):
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
