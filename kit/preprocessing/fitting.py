"""The fit and the filter with which a pipeline shows a part of a photo, whatever becomes of its colours."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import scipy  # its heavy parts are imported when they are used

from kit._arrays import Array, Float64, Levels
from kit.images.photo import Photo
from kit.preprocessing.comparison import four_digits
from kit.preprocessing.pipeline import TO_SIZE, Pipeline, fit_words, run
from kit.preprocessing.placing import (
    BY_UNEXPLAINED_SHARE,
    SAME_LEVELS,
    UNEXPLAINED_RATIO,
    Window,
    first_as_good,
    pixels_apart,
    share_unexplained_by_curves,
)
from kit.preprocessing.resizing import FILTERS, FITS, Axis, Size, axes, sampled

# Root mean square in 8-bit levels, up to which libraries differ in decoding a JPEG file.
DECODER_LEVELS = 3.0
# Pixels by which the edges of an image are off where sides are rounded in another way.
ROUNDED_PIXELS = 2.0
# Likewise of small images, as a share of a side.
ROUNDED_SHARE = 1 / 28
# Likewise, where a blur or another contrast hides where they are.
NEAR_PIXELS = 10
# Of so many rows and columns one is looked at to compare fits and filters.
ROWS_PER_COMPARED = 2
# Sides to which images are usually shrunk beforehand.
THUMBNAIL_SIDES = (32, 56, 64, 96, 100, 112, 128, 150, 160, 192, 200, 256)


class Probe(NamedTuple):
    """A photo, and what was made of it: (H, W, C) or (C, H, W), NaN where a buffer ends before it does."""

    photo: Photo
    result: Float64


class Part(NamedTuple):
    """What a pipeline shows of a photo, or else `window`, another part of it.

    `unexplained_share` is what that leaves unexplained; 0 where it was not measured.
    """

    pipeline: Pipeline
    window: Window | None = None
    unexplained_share: float = 0.0


class LevelsAndValues(NamedTuple):
    """Levels of a photo (N, 3), results at the same pixels (N, C), and results beside the photo (M, C)."""

    levels: Float64
    values: Float64
    values_around: Float64


def window_of(pipeline: Pipeline, photo: Photo) -> Window:
    """Return the part of a decoded photo that a pipeline shows."""
    size = pipeline.size or photo.size
    # Filled up first or last, the same part is shown, up to rounding.
    same_fit = pipeline.fit.replace("pad", "letterbox")
    by_axis = axes(photo.size, size, same_fit, pipeline.crop_fraction)
    pairs = zip(by_axis, size, strict=True)
    # In pixels of the photo, beyond it where a fit fills up.
    return np.array([axis.edges(side) for axis, side in pairs])


def is_same_but_for_rounding(pipeline: Pipeline, photo: Photo, window: Window) -> bool:
    """Whether a part of a photo is that of a pipeline, but for how its sides are rounded."""
    size = pipeline.size or photo.size
    limit = min(ROUNDED_PIXELS, ROUNDED_SHARE * min(size))
    # A squashed image shows the whole photo: there is no part whose sides could be rounded.
    is_near = pixels_apart(window, window_of(pipeline, photo), size) <= limit
    return is_near and pipeline.fit != "squash"


def pipeline_of_each_fit(
    expected: Pipeline, size: Size | None, crop_fractions: Iterable[float]
) -> Iterator[Pipeline]:
    """Yield a pipeline up to this size for each fit, the one that is expected first."""
    # A thumbnail, polarity and cast are read afterwards, as channels, scaling and layout are.
    sized = expected.replace(size=size, thumbnail=None, invert=False, cast=None)
    for fit in dict.fromkeys((expected.fit, *FITS)):
        for fraction in dict.fromkeys(crop_fractions) if "crop" in fit else [1.0]:
            yield sized.replace(fit=fit, crop_fraction=fraction)


def resized_part(part: Part, photo: Photo) -> Levels:
    """Return a part of a decoded photo in the size of its pipeline."""
    pipeline = part.pipeline
    size = pipeline.size
    if part.window is None or size is None:
        levels: Levels = run(TO_SIZE, pipeline, photo)
        return levels
    rows, columns = map(Axis.from_edges, part.window, photo.size, size)
    return sampled(
        photo.pixels,
        size,
        rows,
        columns,
        filter=pipeline.filter,
        fill=pipeline.fill,
        pillow=pipeline.pillow,
    )


def levels_and_values(
    part: Part, probe: Probe, rows_per_compared: int = 1, averaged_pixels: int = 1
) -> LevelsAndValues:
    """Compare all pixels or every so many rows and columns, each averaged over so many a side."""
    photo, result = probe
    window = window_of(part.pipeline, photo) if part.window is None else part.window
    every = slice(None, None, rows_per_compared)
    is_inside = _is_inside(window, photo.size, result.shape[:2])[every, every]
    has_values = np.isfinite(result[every, every, 0])
    image = resized_part(part, photo).astype(float)
    levels, values = (
        scipy.ndimage.uniform_filter(pixels, (averaged_pixels, averaged_pixels, 1))[
            every, every
        ]
        for pixels in (image, np.nan_to_num(result))
    )
    is_shown = is_inside & has_values
    return LevelsAndValues(
        levels[is_shown], values[is_shown], values[~is_inside & has_values]
    )


def _is_inside(window: Window, photo_size: Size, result_size: Size) -> Array:
    """Return which pixels of an image (H, W) lie in the photo, bool."""
    by_axis: list[Array] = []
    for (first, end), length, side in zip(window, photo_size, result_size, strict=True):
        centres = first + (end - first) * (np.arange(side) + 0.5) / side
        by_axis.append((centres > 0) & (centres < length))
    return np.logical_and.outer(*by_axis)


def fitting_part(expected: Pipeline, window: Window, probe: Probe) -> Part:
    """Return the fit and the filter that show about a part of a photo, and this part if no fit does."""
    photo, result = probe
    size = result.shape[:2]
    is_whole = expected.size is None and photo.size == size
    shown_share = min(float(np.max(np.diff(window)[:, 0] / photo.size)), 1.0)
    rounded_shares = round(shown_share, 2), round(shown_share, 3)
    fractions = expected.crop_fraction, 0.875, *rounded_shares
    pipelines = [*pipeline_of_each_fit(expected, None if is_whole else size, fractions)]
    as_expected = _measured(Part(pipelines[0]), probe)
    # What is not resized has no fit and no filter.
    if is_whole or _leaves_at_most(SAME_LEVELS, as_expected, photo):
        return as_expected

    is_cut_out = np.array_equal(np.diff(window.round())[:, 0], size)
    if is_cut_out:
        window = window.round()

    def distance(pipeline: Pipeline) -> float:
        # Those that differ by rounding come in their order, the expected one first.
        apart = pixels_apart(window, window_of(pipeline, photo), size)
        return max(apart, ROUNDED_PIXELS)

    near_pipelines = [
        pipeline
        for pipeline in sorted(pipelines, key=distance)
        if distance(pipeline) <= NEAR_PIXELS
    ]
    parts: list[Part] = []
    if pipelines[0] in near_pipelines:
        parts.append(_with_best_filter(as_expected, probe))
        if _leaves_at_most(DECODER_LEVELS, parts[0], photo):
            return parts[0]
    window_part = _with_best_filter(_measured(Part(pipelines[0], window), probe), probe)
    if is_cut_out and _leaves_at_most(DECODER_LEVELS, window_part, photo):
        return window_part
    best_filter = window_part.pipeline.filter
    parts += [
        _measured(Part(pipeline.replace(filter=best_filter)), probe)
        for pipeline in near_pipelines
    ]
    parts.append(window_part)
    part = _with_best_filter(first_as_good(parts), probe)
    nearest = (near_pipelines or pipelines)[0].replace(filter=part.pipeline.filter)
    is_nearest = part.window is None and part.pipeline == nearest
    is_exact = _leaves_at_most(SAME_LEVELS, part, photo)
    if not (is_nearest or is_exact) and is_same_but_for_rounding(
        nearest, photo, window
    ):
        # The window as it was rounded; `window_words` says nothing of it, as the fit is the same.
        return Part(nearest, window)
    return _with_thumbnail(part, probe)


def _leaves_at_most(most_levels_off: float, part: Part, photo: Photo) -> bool:
    """Whether what is unexplained is so many levels of the photo, root mean square."""
    return part.unexplained_share * float(photo.pixels.std()) <= most_levels_off


def _measured(part: Part, probe: Probe) -> Part:
    """Return a part with the share that it leaves unexplained of some rows and columns."""
    levels, values, _ = levels_and_values(
        part, probe, rows_per_compared=ROWS_PER_COMPARED
    )
    return part._replace(unexplained_share=share_unexplained_by_curves(levels, values))


def _with_best_filter(part: Part, probe: Probe) -> Part:
    """Return a part as another filter shows it, if that leaves no more than a decoder and much less."""
    if _leaves_at_most(SAME_LEVELS, part, probe.photo):
        return part
    filtered = (part.pipeline.replace(filter=name) for name in FILTERS)
    return _with_better_pipeline(part, filtered, probe, enough_levels=DECODER_LEVELS)


def _with_thumbnail(part: Part, probe: Probe) -> Part:
    """Return a part of an image that was shrunk first, if that makes a result."""
    is_explained = _leaves_at_most(DECODER_LEVELS, part, probe.photo)
    if part.window is not None or is_explained:
        return part
    shrunk = (part.pipeline.replace(thumbnail=(side, side)) for side in THUMBNAIL_SIDES)
    enough_levels = UNEXPLAINED_RATIO * SAME_LEVELS
    return _with_better_pipeline(part, shrunk, probe, enough_levels=enough_levels)


def _with_better_pipeline(
    part: Part, pipelines: Iterable[Pipeline], probe: Probe, enough_levels: float
) -> Part:
    """Return a part as another pipeline shows it, if that leaves little and much less."""
    measured = (_measured(part._replace(pipeline=entry), probe) for entry in pipelines)
    best = min(measured, key=BY_UNEXPLAINED_SHARE)
    if _leaves_at_most(enough_levels, best, probe.photo):
        # The better one only if it leaves less than half as much.
        return first_as_good([part, best])
    return part


def window_words(expected: Pipeline, part: Part, photo: Photo) -> str:
    """Say which part is shown where no pipeline does so; else empty."""
    window = part.window
    if window is None or is_same_but_for_rounding(part.pipeline, photo, window):
        return ""
    size = part.pipeline.size or photo.size
    note = ""
    if np.array_equal(np.diff(window)[:, 0], size):
        note = ", not resized,"
    elif pixels_apart(window, window_of(expected, photo), size) < 1:
        note = ", as with align_corners or without half-pixel centres,"
    inner = window.clip(0, np.transpose([photo.size]))
    # What lies beyond the photo is a border, in pixels of the result.
    borders = np.abs(window - inner) / np.diff(window) * np.transpose([size])
    widths = borders.round().ravel()
    if widths.any():
        window = inner
        note = note or ", drawn smaller,"
        numbers = ", ".join(map(four_digits, widths))
        note += f" with a border of {numbers} pixels above, below, left and right,"
    rows, columns = (
        f"{first:.4g} to {end:.4g} of {side}"
        for (first, end), side in zip(window, photo.size, strict=True)
    )
    return f"window: {fit_words(expected)} here, rows {rows} and columns {columns}{note} there"
