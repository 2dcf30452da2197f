"""The pipeline that comes nearest to tensors which other code made of photos."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
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
    AGREEING_LEVELS,
    SAME_LEVELS,
    UNDOUBTED_UNEXPLAINED_SHARE,
    UNEXPLAINED_RATIO,
    Colours,
    WordsByStep,
    colours_of,
    ordered,
    smoothed_colours_of,
    with_colours,
    with_fill,
)
from kit.preprocessing.comparison import short
from kit.preprocessing.departures import (
    FLAT_PIXELS,
    detail_correlation,
    flat_places,
    local_correlation,
    turned_by,
)
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
# Likewise of small images, as a share of a side.
ROUNDED_SHARE = 1 / 28
# How many times more a part of a photo may leave unexplained, and be as likely.
SAME_SHARE_RATIO = 1.2
# Likewise, where a blur or another contrast hides where they are.
NEAR_PIXELS = 10
# Share of the spread of a tensor that is unexplained where a photo hardly explains it.
UNRELATED_UNEXPLAINED_SHARE = 0.5
# Of the spread of an image beside what covers a part of it, up to which it is the same.
SAME_BESIDE_SHARE = 0.07
# Of the pixels of a box, which are off at least where something covers it.
LEAST_OFF_SHARE = 0.1
# Of all pixels, which are at least beside what covers a part of an image.
LEAST_BESIDE_SHARE = 0.2
# Which it covers at least in one place.
LEAST_COVERED_SHARE = 0.005
# Of such places.
BOXES_NAMED = 3
# Of what a filter leaves with the detail of an image, if it is another one; 0.22 at most of decoders.
OTHER_FILTER_CORRELATION = 0.35
# Likeness of two images from place to place, from which on one is the other.
LEAST_CORRELATION = 0.5
# Share of the largest likeness, from which on the expected part of a photo is as likely.
NEARLY_AS_LIKE = 0.8
# Of so many rows and columns one is looked at to compare filters.
ROWS_PER_COMPARED = 2
# Pixels a side over which fine detail is averaged.
AVERAGED_PIXELS = 8
# Where a result has no more, and all are whole numbers, it was cast after scaling.
FEW_VALUES = 16
# Sides to which images are usually shrunk beforehand.
THUMBNAIL_SIDES = (32, 56, 64, 96, 100, 112, 128, 150, 160, 192, 200, 256)

_COVER_WORDS = "content: the whole image here, something else, as a bar or a buffer that is not filled, in"
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
    levels_off
        Likewise, of what the part of the photo and its colours leave, whether a pipeline does so or not.
    unexplained
        Words for what no pipeline does, by step.
    called
        What the code returned for each photo.
    """

    pipeline: Pipeline
    levels: float = 0.0
    levels_off: float = 0.0
    unexplained: Mapping[str, str] = field(default_factory=dict)
    called: tuple[Called, ...] = ()

    @property
    def exact(self) -> bool:
        """Whether the pipeline does what the code does."""
        return self.levels <= AGREEING_LEVELS and not self.unexplained


class Probe(NamedTuple):
    """A photo, and what was made of it: (H, W, C) or (C, H, W), NaN where it is not compared."""

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
    levels = in_levels(pipeline, tensor, sample.result)
    if levels <= SAME_LEVELS:
        return levels
    photo = sample.photo.decoded(pipeline.decoding)
    content = Content(arrange_back(sample.result, pipeline.layout))
    _, window = content.refined(photo, window_of(pipeline, photo))
    if not _differs_by_rounded_sides(pipeline, photo, window):
        return levels
    tensor = run(TO_TENSOR, pipeline, _resized(pipeline, photo, window))[0]
    return min(levels, in_levels(pipeline, tensor, sample.result))


def in_levels(pipeline: Pipeline, tensor: Array, result: Float64) -> float:
    """Return the root mean square of the difference of two tensors, in the unit before scaling."""
    slope, _ = affine(pipeline.scaling)
    distance = np.sqrt(np.nanmean((tensor - result) ** 2))
    return float(distance / np.abs(slope).mean())


def _differs_by_rounded_sides(pipeline: Pipeline, photo: Photo, window: Window) -> bool:
    """Whether a part of a photo is that of a pipeline, but for how its sides are rounded."""
    size = pipeline.size or photo.size
    limit = min(ROUNDED_PIXELS, ROUNDED_SHARE * min(size))
    is_near = pixels_apart(window, window_of(pipeline, photo), size) <= limit
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


def match_beside(
    expected: Pipeline, sample: Probe, reading: Reading, *, decoded: bool
) -> Reading:
    """Return a better reading of a result in which something covers a part of the photo, if it is that."""
    photo, result = sample
    channel_axis = int(np.argmin(result.shape))
    for is_covered in _covers(expected, sample, channel_axis):
        words = _boxes_words(is_covered)
        is_hidden = scipy.ndimage.maximum_filter(is_covered, FLAT_PIXELS)
        if not words or is_hidden.mean() > 1 - LEAST_BESIDE_SHARE:
            continue
        hidden = np.expand_dims(is_hidden, channel_axis)
        visible = Probe(photo, np.where(hidden, np.nan, result))
        beside = match(expected, [visible], decoded=decoded)
        is_better = UNEXPLAINED_RATIO * beside.levels_off < reading.levels_off
        if is_better and beside.levels_off <= DECODER_LEVELS:
            unexplained = {
                **beside.unexplained,
                "tensor": f"{_COVER_WORDS} {words} there",
            }
            return replace(beside, unexplained=unexplained)
    return reading


def _covers(expected: Pipeline, sample: Probe, channel_axis: int) -> Iterator[Array]:
    """Yield where a part of a photo may be covered, bool (H, W): of one colour, or alone not as expected."""
    photo, result = sample
    size = tuple(np.delete(result.shape, channel_axis))
    image = run(TO_SIZE, expected.replace(size=size), photo)
    is_flat = flat_places(np.moveaxis(result, channel_axis, -1))
    yield is_flat & ~flat_places(image)
    tensor = run(PIPELINE, expected, photo)[0]
    if tensor.shape == result.shape:
        difference = np.abs(tensor - result).max(axis=channel_axis)
        is_off = difference > tensor.std() / UNEXPLAINED_RATIO
        # The one box around all pixels that are off; none where none is.
        for box in scipy.ndimage.find_objects(is_off.astype(int)):
            is_covered = np.zeros_like(is_off)
            is_covered[box] = True
            beside = ~is_covered
            tolerance = SAME_BESIDE_SHARE * tensor.std() * beside.sum()
            is_same_beside = np.sum(difference[beside]) < tolerance
            if is_same_beside and is_off[box].mean() >= LEAST_OFF_SHARE:
                yield is_covered


def _boxes_words(is_covered: Array) -> str:
    """Say in which rows and columns the largest places lie."""
    labels, _ = scipy.ndimage.label(is_covered)
    boxes: list[str] = []
    for box in scipy.ndimage.find_objects(labels):
        rows, columns = (f"{edges.start} to {edges.stop}" for edges in box)
        if is_covered[box].sum() >= LEAST_COVERED_SHARE * is_covered.size:
            boxes.append(f"rows {rows} and columns {columns}")
    return " and in ".join(boxes[:BOXES_NAMED])


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
    is_inside = _inside(shown_window, photo.size, result.shape[:2])[every, every]
    is_compared = np.isfinite(result[every, every, 0])
    image = _resized(pipeline, photo, window).astype(float)
    levels, values = (
        scipy.ndimage.uniform_filter(pixels, (averaged, averaged, 1))[every, every]
        for pixels in (image, np.nan_to_num(result))
    )
    is_shown = is_inside & is_compared
    return _Pixels(levels[is_shown], values[is_shown], values[~is_inside & is_compared])


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


def _likeliest_origin(decoding_pipelines: Sequence[Pipeline], sample: Probe) -> _Origin:
    """Return how a result comes from a photo: whole or in part, upright or scrambled."""
    origins: list[_Origin] = []
    for buffer in buffers(sample.result):
        content = Content(buffer.image)
        for pipeline in decoding_pipelines:
            photo = sample.photo.decoded(pipeline.decoding)
            fractions = (pipeline.crop_fraction, 0.875, 1.0)
            fitted = _with_each_fit(pipeline, content.size, fractions)
            placed = content.best(photo, [window_of(entry, photo) for entry in fitted])
            origins.append(_Origin(placed, photo, content, buffer, pipeline))
        least_share = min(origin.placed.unexplained_share for origin in origins)
        is_partly_hidden = np.isnan(sample.result).any()
        if least_share <= UNDOUBTED_UNEXPLAINED_SHARE or is_partly_hidden:
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
    origin = _likeliest_origin(decoding_pipelines, telling_sample)
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
        return _following(expected.replace(size=pipeline.size), telling_sample)
    elif colours.words:
        here = {"channels": expected.channels, "scaling": "a line", "cast": "none"}[
            colours.step
        ]
        words = f"{colours.step}: {here} here, {colours.words} there"
        unexplained[colours.step] = words
    elif _is_another_filter(expected, pipeline, window, sample, colours):
        words = f"filter: {expected.filter} here, another, a blur or sharpening there,"
        unexplained["resize"] = f"{words} {pipeline.filter} is nearest"
        pipeline = pipeline.replace(filter=expected.filter)
    if colours.line and not unexplained:
        pipeline, unexplained = with_fill(pipeline, colours.line, values_around)
    pipeline = with_colours(origin.expected, pipeline, colours)
    pipeline = pipeline.replace(layout=buffer.layout)
    # What is strange is all that there is to say.
    levels_left = 0.0 if unexplained else levels_apart(pipeline, samples)
    return Reading(pipeline, levels_left, levels_off, unexplained)


def _is_another_filter(
    expected: Pipeline,
    pipeline: Pipeline,
    window: Window | None,
    sample: Probe,
    colours: Colours,
) -> bool:
    """Whether what the nearest filter leaves is fine detail of the image, which no decoder leaves."""
    line = colours.line
    if (
        pipeline.filter == expected.filter
        or line is None
        or line.levels_off <= SAME_LEVELS
    ):
        return False
    levels = _resized(pipeline, sample.photo, window).astype(float)
    image = ordered(levels, colours.channels)
    difference = np.nan_to_num((sample.result - line.offset) / line.slope - image)
    correlation = detail_correlation(image.mean(axis=-1), difference.mean(axis=-1))
    return correlation >= OTHER_FILTER_CORRELATION


def likeliest_fit(expected: Pipeline, sample: Probe) -> tuple[Pipeline, float]:
    """Return the fit that makes an image most like a result from place to place, and their correlation.

    It is the one expected where that is nearly as like.
    """
    result = _grey(sample)
    fractions = expected.crop_fraction, 0.875, 1.0
    fits = [*_with_each_fit(expected, result.shape, fractions)]
    correlations = [
        local_correlation(run(TO_SIZE, fit, sample.photo).mean(axis=-1), result)
        for fit in fits
    ]
    best = int(np.argmax(correlations))
    largest = correlations[best]
    is_clear = largest >= LEAST_CORRELATION
    if not is_clear or correlations[0] >= NEARLY_AS_LIKE * largest:
        return expected, largest
    fit = fits[best]
    return expected.replace(fit=fit.fit, crop_fraction=fit.crop_fraction), largest


def _grey(sample: Probe) -> Float64:
    channel_axis = int(np.argmin(sample.result.shape))
    return np.asarray(np.nan_to_num(sample.result).mean(axis=channel_axis))


def _following(expected: Pipeline, sample: Probe) -> Reading:
    """Say how a result follows a photo whose brightness it does not have, or that it does not."""
    pipeline, correlation = likeliest_fit(expected, sample)
    if correlation >= LEAST_CORRELATION:
        words = f"content: follows this image (correlation {correlation:.2f} from place to place),"
        words += " but not all of it, as with a vignette, local contrast or another image over it"
        return Reading(pipeline, levels_off=inf, unexplained={"tensor": words})
    image = run(TO_SIZE, pipeline, sample.photo).mean(axis=-1)
    degrees, turned_correlation = turned_by(image, _grey(sample))
    words = f"content: this image is not recognised (correlation {correlation:.2f} at most),"
    words += " no part, order or colours of it that were tried explain the result"
    if turned_correlation >= LEAST_CORRELATION:
        side = "left" if degrees > 0 else "right"
        words = f"image: as it is here, turned by about {abs(degrees)} degrees to the {side},"
        words += " as it is resized, there"
    return Reading(pipeline, levels_off=inf, unexplained={"tensor": words})


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
    size = expected.size or photo.size
    note = ""
    if np.array_equal(np.diff(window)[:, 0], size):
        note = ", not resized,"
    elif pixels_apart(window, window_of(expected, photo), size) < 1:
        note = ", as with align_corners or without half-pixel centres,"
    rows, columns = (
        f"{first:.4g} to {end:.4g} of {side}"
        for (first, end), side in zip(window, photo.size, strict=True)
    )
    return f"window: {fit_words(expected)} here, rows {rows} and columns {columns}{note} there"


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
    expected_share = origin.content.unexplained_share(
        sample.photo, window_of(as_expected, sample.photo)
    )
    is_as_expected = (
        distances[0] <= ROUNDED_PIXELS
        or expected_share <= SAME_SHARE_RATIO * origin.placed.unexplained_share
    )
    nearest = 0 if is_as_expected else int(np.argmin(distances))
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
