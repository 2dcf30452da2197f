"""The pipeline that comes nearest to tensors which other code made of photos."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from operator import itemgetter
from typing import NamedTuple

import numpy as np
import scipy  # its heavy parts are imported when they are used

from kit._arrays import Array, Float64, Levels
from kit.images import Photo
from kit.preprocessing.buffers import Buffer, buffers
from kit.preprocessing.calling import Called
from kit.preprocessing.colours import (
    SAME_LEVELS,
    UNDOUBTED_UNEXPLAINED_SHARE,
    UNEXPLAINED_RATIO,
    WordsByStep,
    colours_of,
    smoothed_colours_of,
    with_colours,
    with_fill,
)
from kit.preprocessing.comparison import short
from kit.preprocessing.pipeline import (
    MATTES,
    PIPELINE,
    TO_SIZE,
    TO_TENSOR,
    Changes,
    Pipeline,
    arrange_back,
    decoding_changes,
    fit_words,
    run,
)
from kit.preprocessing.placing import (
    Content,
    Placed,
    Window,
    pixels_apart,
    unexplained_share,
)
from kit.preprocessing.resizing import FILTERS, FITS, Axis, Size, axes, sampled
from kit.preprocessing.scaling import affine

# Root mean square in 8-bit levels, up to which libraries differ in decoding a JPEG file.
DECODER_LEVELS = 3.0
# Pixels by which the edges of an image are off where sides are rounded in another way.
ROUNDED_PIXELS = 2.0
# Likewise, where a blur or another contrast hides where they are.
NEAR_PIXELS = 10
# Share of the spread of a tensor that is unexplained where a photo hardly explains it.
UNRELATED_UNEXPLAINED_SHARE = 0.5
# Of the spread of an image beside what covers a part of it, up to which it is the same.
SAME_BESIDE_SHARE = 0.07
# Of all pixels, which are at least beside it.
LEAST_BESIDE_SHARE = 0.2
# Of so many rows and columns one is looked at to compare filters.
ROWS_PER_COMPARED = 2
# Pixels a side over which fine detail is averaged.
AVERAGED_PIXELS = 8
# Where a result has no more, and all are whole numbers, it was cast after scaling.
FEW_VALUES = 16
# Sides to which images are usually shrunk beforehand.
THUMBNAIL_SIDES = (32, 56, 64, 96, 100, 112, 128, 150, 160, 192, 200, 256)

_DECODING_CHANGES: tuple[Changes, ...] = (
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
    return max(_sample_levels_apart(pipeline, sample) for sample in samples)


def _sample_levels_apart(pipeline: Pipeline, sample: Probe) -> float:
    tensor = run(PIPELINE, pipeline, sample.photo)[0]
    if tensor.shape != sample.result.shape:
        return inf
    levels = _in_levels(pipeline, tensor, sample.result)
    if levels <= SAME_LEVELS:
        return levels
    photo = sample.photo.decoded(pipeline.decoding)
    content = Content(arrange_back(sample.result, pipeline.layout))
    _, window = content.refined(photo, window_of(pipeline, photo))
    if not _differs_by_rounded_sides(pipeline, photo, window):
        return levels
    tensor = run(TO_TENSOR, pipeline, _resized(pipeline, photo, window))[0]
    return min(levels, _in_levels(pipeline, tensor, sample.result))


def _in_levels(pipeline: Pipeline, tensor: Array, result: Float64) -> float:
    # The root mean square of the difference, in the unit before scaling.
    slope, _ = affine(pipeline.scaling)
    distance = np.sqrt(np.mean((tensor - result) ** 2))
    return float(distance / np.abs(slope).mean())


def _differs_by_rounded_sides(pipeline: Pipeline, photo: Photo, window: Window) -> bool:
    """Whether a part of a photo is that of a pipeline, but for how its sides are rounded."""
    size = pipeline.size or photo.size
    is_near = pixels_apart(window, window_of(pipeline, photo), size) <= ROUNDED_PIXELS
    return is_near and pipeline.fit != "squash"


def window_of(pipeline: Pipeline, photo: Photo) -> Window:
    """Return the part of a decoded photo that a pipeline shows."""
    size = pipeline.size or photo.size
    # Filled up first or last, the same part is shown, up to rounding.
    same_fit = pipeline.fit.replace("pad", "letterbox")
    rows_and_columns = axes(photo.size, size, same_fit, pipeline.crop_fraction)
    pairs = zip(rows_and_columns, size, strict=True)
    return np.array([axis.edges(side) for axis, side in pairs])


def few_values(expected: Pipeline, sample: Probe) -> WordsByStep:
    """Return the values that are left in words, if they are few and whole, or one; else empty."""
    values = np.unique(sample.result)
    pipelines = _with_other_decodings(expected, sample.photo)
    expected_count = min(
        len(np.unique(run(PIPELINE, pipeline, sample.photo))) for pipeline in pipelines
    )
    is_few = len(values) <= FEW_VALUES < expected_count
    words = ", ".join(map(short, values[:6]))
    if is_few and len(values) == 1:
        causes = "as in a buffer that is not filled, or after a cast to whole numbers"
        return {"tensor": f"values: an image here, {words} alone there, {causes}"}
    if not is_few or np.any(values % 1) or expected.cast is not None:
        return {}
    cast = "to whole numbers after scaling or by a threshold"
    return {"cast": f"cast: none here, {cast} there; only {words} are left"}


def covered_words(expected: Pipeline, sample: Probe) -> str:
    """Say which part shows something else than the photo, if all beside it is as expected; else empty."""
    tensor = run(PIPELINE, expected, sample.photo)[0]
    if tensor.shape != sample.result.shape:
        return ""
    levels = run(TO_SIZE, expected, sample.photo).astype(float)
    image = arrange_back(tensor, expected.layout)
    result = arrange_back(sample.result, expected.layout)
    difference = image - result
    is_off = np.abs(difference).max(axis=-1) > image.std() / UNEXPLAINED_RATIO
    # The one box around all pixels that are off; none where none is.
    for box in scipy.ndimage.find_objects(is_off.astype(int)):
        is_beside = np.ones_like(is_off)
        is_beside[box] = False
        share = unexplained_share(levels[~is_beside], result[~is_beside])
        is_enough = is_beside.mean() >= LEAST_BESIDE_SHARE
        if share < UNRELATED_UNEXPLAINED_SHARE or not is_enough:
            continue
        # Beside a plain background anything may be there.
        tolerance = SAME_BESIDE_SHARE * np.std(image[is_beside])
        if np.std(difference[is_beside]) < tolerance:
            rows, columns = (f"{edges.start} to {edges.stop}" for edges in box)
            words = "something else, as a bar or a buffer that is not filled, in"
            return f"content: the whole image here, {words} rows {rows} and columns {columns} there"
    return ""


def _with_other_decodings(expected: Pipeline, photo: Photo) -> list[Pipeline]:
    """Return what is expected, and with each decoding that makes other pixels of a photo."""
    # A file without notes has nothing that could be decoded in another way.
    changes = [{}, *_DECODING_CHANGES] if photo.notes else [{}]
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


class _Pixels(NamedTuple):
    """Levels of a photo (N, 3), results at the same pixels (N, C), and results beside the photo (M, C)."""

    levels: Float64
    values: Float64
    values_around: Float64


def _pixels(
    pipeline: Pipeline,
    window: Window | None,
    sample: Probe,
    step: int = 1,
    averaged: int = 1,
) -> _Pixels:
    """Compare all pixels or every so many rows and columns, each averaged over so many a side."""
    photo, result = sample
    shown_window = window_of(pipeline, photo) if window is None else window
    every = slice(None, None, step)
    inside = _inside(shown_window, photo.size, result.shape[:2])[every, every]
    image = _resized(pipeline, photo, window).astype(float)
    levels, values = (
        scipy.ndimage.uniform_filter(pixels, (averaged, averaged, 1))[every, every]
        for pixels in (image, result)
    )
    return _Pixels(levels[inside], values[inside], values[~inside])


def _inside(window: Window, source: Size, size: Size) -> Array:
    """Return which pixels of an image (H, W) lie in the photo, bool."""
    rows_and_columns: list[Array] = []
    for (first, end), length, side in zip(window, source, size, strict=True):
        centres = first + (end - first) * (np.arange(side) + 0.5) / side
        rows_and_columns.append((centres > 0) & (centres < length))
    return np.logical_and.outer(*rows_and_columns)


def _levels_off(pipeline: Pipeline, window: Window | None, sample: Probe) -> float:
    """Return by how many levels a result is off what any colours of a photo make."""
    levels, values, _ = _pixels(pipeline, window, sample, step=ROWS_PER_COMPARED)
    return unexplained_share(levels, values) * float(levels.std())


class _Origin(NamedTuple):
    """Which part of a photo, decoded as which pipeline does, a result shows once its values are in order."""

    placed: Placed
    photo: Photo
    content: Content
    buffer: Buffer
    expected: Pipeline


def _likeliest_origin(
    expected: Pipeline, decoding_pipelines: Sequence[Pipeline], sample: Probe
) -> _Origin:
    """Return how a result comes from a photo: whole or in part, upright or scrambled."""
    origins: list[_Origin] = []
    tensor = arrange_back(run(PIPELINE, expected, sample.photo)[0], expected.layout)
    for buffer in buffers(sample.result, tensor):
        content = Content(buffer.image)
        for pipeline in decoding_pipelines:
            photo = sample.photo.decoded(pipeline.decoding)
            fractions = (pipeline.crop_fraction, 0.875, 1.0)
            fitted = _with_each_fit(pipeline, content.size, fractions)
            placed = content.best(photo, [window_of(entry, photo) for entry in fitted])
            origins.append(_Origin(placed, photo, content, buffer, pipeline))
        least_share = min(origin.placed.unexplained_share for origin in origins)
        if least_share <= UNDOUBTED_UNEXPLAINED_SHARE:
            break
    best = min(origins, key=_doubt)
    refined = best.content.refined(best.photo, best.placed.window)
    limit = UNEXPLAINED_RATIO * UNDOUBTED_UNEXPLAINED_SHARE
    if refined.unexplained_share <= limit:
        return best._replace(placed=refined)
    # Of each order of values, as the first of the pipelines decodes.
    origins += [
        origin._replace(placed=origin.content.anywhere(origin.photo))
        for origin in origins[:: len(decoding_pipelines)]
    ]
    return min(origins, key=_doubt)


def _doubt(origin: _Origin) -> float:
    share = origin.placed.unexplained_share
    # Another part of an image may resemble one that is scrambled by chance.
    return share * UNEXPLAINED_RATIO if origin.buffer.order else share


def _with_each_fit(
    expected: Pipeline, size: Size | None, crop_fractions: Iterable[float]
) -> Iterator[Pipeline]:
    """Yield a pipeline up to this size for each fit, the one that is expected first."""
    # Channels, scaling and layout are read and set afterwards.
    sized = expected.replace(size=size, thumbnail=None, invert=False, cast=None)
    for fit in dict.fromkeys((expected.fit, *FITS)):
        for fraction in dict.fromkeys(crop_fractions) if "crop" in fit else [1.0]:
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
    decoding_choices = [
        [expected] if decoded else _with_other_decodings(expected, sample.photo)
        for sample in samples
    ]
    # The photo that says most: that is seen at all, how it was decoded, and in what order its colours are.
    decoding_pipelines, telling_sample = max(
        zip(decoding_choices, samples, strict=True),
        key=lambda pair: (
            np.ptp(pair[1].result) > 0,
            len(pair[0]) > 1,
            _has_colours(pair[1].photo),
        ),
    )
    origin = _likeliest_origin(expected, decoding_pipelines, telling_sample)
    buffer = origin.buffer
    sample = Probe(origin.photo, buffer.image)
    pipeline, window = _fitted(origin, sample)
    levels, values, values_around = _pixels(pipeline, window, sample)
    colours = colours_of(origin.expected, levels, values)
    levels_off = colours.unexplained_share * levels.std()
    if not colours.words and levels_off > DECODER_LEVELS:
        smooth = _pixels(pipeline, window, sample, averaged=AVERAGED_PIXELS)
        colours = smoothed_colours_of(
            origin.expected, colours, smooth.levels, smooth.values
        )
    # Of the spread of the result, whatever becomes of colours.
    least_share = unexplained_share(levels, values)
    unexplained = _placement_words(origin, pipeline, window)
    if buffer.order and pipeline.size != expected.size:
        pipeline = origin.expected
    elif min(least_share, colours.unexplained_share) > UNRELATED_UNEXPLAINED_SHARE:
        words = f"content: {1 - least_share**2:.0%} of it come from this image at most,"
        words += " however that is cut, mirrored or coloured"
        pipeline = expected.replace(size=pipeline.size)
        return Reading(pipeline, unexplained={"resize": words})
    elif colours.words:
        here = {"channels": expected.channels, "scaling": "a line", "cast": "none"}[
            colours.step
        ]
        words = f"{colours.step}: {here} here, {colours.words} there"
        unexplained[colours.step] = words
    if colours.line and not unexplained:
        pipeline, unexplained = with_fill(pipeline, colours.line, values_around)
    pipeline = with_colours(origin.expected, pipeline, colours)
    pipeline = pipeline.replace(layout=buffer.layout)
    # What is strange is all that there is to say.
    levels_left = 0.0 if unexplained else levels_apart(pipeline, samples)
    return Reading(pipeline, levels_left, unexplained)


def _has_colours(photo: Photo) -> bool:
    red, _, blue = np.moveaxis(photo.pixels.astype(float), -1, 0)
    return bool(np.std(red - blue) > DECODER_LEVELS)


def _placement_words(
    origin: _Origin, pipeline: Pipeline, window: Window | None
) -> WordsByStep:
    """Say in which order values are, or which part is shown, where no pipeline does so."""
    if origin.buffer.order:
        return {"layout": f"image: as it is here, {origin.buffer.order} there"}
    photo = origin.photo
    if window is None or _differs_by_rounded_sides(pipeline, photo, window):
        return {}
    return {"resize": _window_words(origin.expected, window, photo)}


def _window_words(expected: Pipeline, window: Window, photo: Photo) -> str:
    rows, columns = (
        f"{first:.4g} to {end:.4g} of {side}"
        for (first, end), side in zip(window, photo.size, strict=True)
    )
    words = f"window: {fit_words(expected)} here, rows {rows} and columns {columns}"
    size = expected.size or photo.size
    if np.array_equal(np.diff(window)[:, 0], size):
        words += ", not resized,"
    elif pixels_apart(window, window_of(expected, photo), size) <= ROUNDED_PIXELS:
        words += ", as with align_corners or without half-pixel centres,"
    return f"{words} there"


def _fitted(origin: _Origin, sample: Probe) -> tuple[Pipeline, Window | None]:
    """Return the fit and the filter that show a part of a photo, and this part if no fit does."""
    expected = origin.expected
    window = origin.placed.window
    size = origin.content.size
    shown_shares = np.diff(window)[:, 0] / sample.photo.size
    share = min(float(shown_shares.max()), 1.0)
    is_whole = expected.size is None and sample.photo.size == size
    fractions = expected.crop_fraction, 0.875, round(share, 2), round(share, 3)
    fits = [*_with_each_fit(expected, None if is_whole else size, fractions)]
    as_expected = fits[0]
    if _levels_off(as_expected, None, sample) <= SAME_LEVELS:
        return as_expected, None
    cut = window.round()
    is_as_large = np.array_equal(np.diff(cut)[:, 0], size)
    if is_as_large and _levels_off(as_expected, cut, sample) <= DECODER_LEVELS:
        return as_expected, cut
    distances = [
        pixels_apart(window, window_of(fit, sample.photo), size) for fit in fits
    ]
    nearest = 0 if distances[0] <= ROUNDED_PIXELS else int(np.argmin(distances))
    levels_off = inf
    if distances[nearest] <= NEAR_PIXELS:
        levels_off, pipeline = _with_best_filter(fits[nearest], None, sample)
        if levels_off <= DECODER_LEVELS:
            return pipeline, None
    window_levels_off, of_window = _with_best_filter(as_expected, window, sample)
    if levels_off > UNEXPLAINED_RATIO * window_levels_off:
        rounded = fits[nearest].replace(filter=of_window.filter)
        is_rounded = _differs_by_rounded_sides(rounded, sample.photo, window)
        return (rounded if is_rounded else of_window), window
    return _with_thumbnail(pipeline, sample), None


def _with_best_filter(
    pipeline: Pipeline, window: Window | None, sample: Probe
) -> tuple[float, Pipeline]:
    """Return by how many levels a result is off with the best filter, and the pipeline with it."""
    levels_off = _levels_off(pipeline, window, sample)
    if levels_off <= SAME_LEVELS:
        return levels_off, pipeline
    filtered = [pipeline.replace(filter=name) for name in FILTERS]
    ranked = [(_levels_off(entry, window, sample), entry) for entry in filtered]
    least, best = min(ranked, key=itemgetter(0))
    return least, pipeline if levels_off <= UNEXPLAINED_RATIO * least else best


def _with_thumbnail(pipeline: Pipeline, sample: Probe) -> Pipeline:
    """Return a pipeline that shrinks images first, if that makes a result."""
    shrinking = [pipeline.replace(thumbnail=(side, side)) for side in THUMBNAIL_SIDES]
    levels_off = [_levels_off(entry, None, sample) for entry in shrinking]
    nearest = int(np.argmin(levels_off))
    is_near = levels_off[nearest] <= UNEXPLAINED_RATIO * SAME_LEVELS
    return shrinking[nearest] if is_near else pipeline
