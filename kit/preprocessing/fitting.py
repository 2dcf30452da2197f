"""The fit and the filter with which a pipeline shows a part of a photo, whatever becomes of its colours."""

from collections.abc import Collection, Iterable, Iterator
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
# Every so many rows and columns one is looked at to compare fits and filters.
COMPARED_PIXEL_STEP = 2
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
    """Return the part of a decoded photo that a pipeline with a size shows, to find the fit of other code."""
    result_size = pipeline.size or photo.size
    # `axes` takes no "pad", which `resize` fills up itself; "letterbox" shows the same part, up to rounding.
    fit = pipeline.fit.replace("pad", "letterbox")
    rows_and_columns = axes(photo.size, result_size, fit, pipeline.crop_fraction)
    pairs = zip(rows_and_columns, result_size, strict=True)
    # Of each axis the first and last edge in pixels of the photo, beyond it where a fit fills up.
    return np.array([axis.edges(result_side) for axis, result_side in pairs])


def is_same_but_for_rounding(pipeline: Pipeline, photo: Photo, window: Window) -> bool:
    """Whether a part of a photo is that of a pipeline, but for how its sides are rounded."""
    result_size = pipeline.size or photo.size
    # A few pixels of the result, fewer in a small one.
    limit = min(ROUNDED_PIXELS, ROUNDED_SHARE * min(result_size))
    is_near = pixels_apart(window, window_of(pipeline, photo), result_size) <= limit
    # A squashed image shows the whole photo: there is no part whose sides could be rounded.
    return is_near and pipeline.fit != "squash"


def pipeline_of_each_fit(
    expected: Pipeline, size: Size | None, crop_fractions: Collection[float]
) -> Iterator[Pipeline]:
    """Yield a pipeline up to this size for each fit, the one that is expected first."""
    # Only fits are told apart here: thumbnail, polarity and cast are found later, so they are left out.
    sized = expected.replace(size=size, thumbnail=None, invert=False, cast=None)
    # The keys of a dictionary keep their order, and none comes twice.
    for fit in dict.fromkeys((expected.fit, *FITS)):
        for fraction in dict.fromkeys(crop_fractions) if "crop" in fit else [1.0]:
            yield sized.replace(fit=fit, crop_fraction=fraction)


def resized_part(part: Part, photo: Photo) -> Levels:
    """Return a part of a decoded photo in the size of its pipeline."""
    pipeline = part.pipeline
    result_size = pipeline.size
    # Without a window, the part is what the pipeline shows, after its steps up to the resize.
    if part.window is None or result_size is None:
        image: Levels = run(TO_SIZE, pipeline, photo)
        return image
    # Of rows, then of columns: the edges of the window, the length of the photo, and that of the result.
    rows, columns = map(Axis.from_edges, part.window, photo.size, result_size)
    return sampled(
        photo.pixels,
        result_size,
        rows,
        columns,
        filter=pipeline.filter,
        fill=pipeline.fill,
        pillow=pipeline.pillow,
    )


def levels_and_values(
    part: Part, probe: Probe, pixel_step: int = 1, averaged_pixels: int = 1
) -> LevelsAndValues:
    """Compare all pixels or every so many rows and columns, each averaged over so many a side."""
    photo, result = probe
    window = window_of(part.pipeline, photo) if part.window is None else part.window
    # Of rows and of columns alike; to compare fewer pixels is faster.
    every = slice(None, None, pixel_step)
    is_in_photo = _is_in_photo(window, photo.size, result.shape[:2])[every, every]
    # The result is NaN where the buffer it came from ends too early.
    has_values = np.isfinite(result[every, every, 0])
    image = resized_part(part, photo).astype(float)
    # Levels (H, W, 3) of the photo and values (H, W, C) of the result; masks make (N, 3) and (N, C) of them.
    levels, values = (
        scipy.ndimage.uniform_filter(pixels, (averaged_pixels, averaged_pixels, 1))[
            every, every
        ]
        for pixels in (image, np.nan_to_num(result))
    )
    is_compared = is_in_photo & has_values
    return LevelsAndValues(
        levels[is_compared],
        values[is_compared],
        values_around=values[~is_in_photo & has_values],
    )


def _is_in_photo(window: Window, photo_size: Size, result_size: Size) -> Array:
    """Return which pixels of an image (H, W) lie in the photo, bool."""
    by_axis: list[Array] = []
    # Rows, then columns.
    for (first, end), length, side in zip(window, photo_size, result_size, strict=True):
        centres = first + (end - first) * (np.arange(side) + 0.5) / side
        by_axis.append((centres > 0) & (centres < length))
    return np.logical_and.outer(*by_axis)


def fitting_part(expected: Pipeline, window: Window, probe: Probe) -> Part:
    """Return the fit and the filter that show about a part of a photo, and this part if no fit does."""
    photo, result = probe
    result_size = result.shape[:2]
    is_not_resized = expected.size is None and photo.size == result_size
    # The window may come from a crop whose fraction was given in two or three digits; 0.875 is the usual one.
    shown_share = min(float(np.max(np.diff(window)[:, 0] / photo.size)), 1.0)
    rounded_shares = round(shown_share, 2), round(shown_share, 3)
    fractions = expected.crop_fraction, 0.875, *rounded_shares
    size = None if is_not_resized else result_size
    pipelines = [*pipeline_of_each_fit(expected, size, fractions)]
    expected_pipeline = pipelines[0]
    expected_part = _with_expected_thumbnail(expected, expected_pipeline, probe)
    # What is not resized has no fit and no filter; where rounding alone is left, no other is searched for.
    if is_not_resized or _unexplained_levels(expected_part, photo) <= SAME_LEVELS:
        return expected_part

    # As many pixels of the photo as of the result were cut out, not resized: at whole pixels.
    is_cut_out = np.array_equal(np.diff(window.round())[:, 0], result_size)
    if is_cut_out:
        window = window.round()

    def distance(pipeline: Pipeline) -> float:
        # Those that differ by rounding come in their order, the expected one first.
        apart = pixels_apart(window, window_of(pipeline, photo), result_size)
        return max(apart, ROUNDED_PIXELS)

    near_pipelines = [
        pipeline
        for pipeline in sorted(pipelines, key=distance)
        if distance(pipeline) <= NEAR_PIXELS
    ]
    # Candidates, the likeliest first: the expected fit, the other fits near the window, the window itself.
    parts: list[Part] = []
    if expected_pipeline in near_pipelines:
        parts.append(_with_best_filter(expected_part, probe))
        if _unexplained_levels(parts[0], photo) <= DECODER_LEVELS:
            return parts[0]
    window_part = _with_best_filter(
        _with_unexplained_share(Part(expected_pipeline, window), probe), probe
    )
    if is_cut_out and _unexplained_levels(window_part, photo) <= DECODER_LEVELS:
        return window_part
    best_filter = window_part.pipeline.filter
    parts += [
        _with_unexplained_share(Part(pipeline.replace(filter=best_filter)), probe)
        for pipeline in near_pipelines
    ]
    parts.append(window_part)
    # The first that leaves at most twice as much unexplained as the best one.
    part = _with_best_filter(first_as_good(parts), probe)
    nearest = (near_pipelines or pipelines)[0].replace(filter=part.pipeline.filter)
    is_nearest = part.window is None and part.pipeline == nearest
    is_exact = _unexplained_levels(part, photo) <= SAME_LEVELS
    if not (is_nearest or is_exact) and is_same_but_for_rounding(
        nearest, photo, window
    ):
        # The window as the other code rounded it; `window_words` says nothing of it, as the fit is the same.
        return Part(nearest, window)
    return _with_thumbnail(part, probe)


def _with_expected_thumbnail(
    expected: Pipeline, without_thumbnail: Pipeline, probe: Probe
) -> Part:
    """Return the part that a fit shows, of the thumbnail that is expected if that makes the result."""
    # The image is shrunk first, to so many pixels a side. `_with_thumbnail` tries usual sides later; of
    # others only the expected one is tried.
    if expected.thumbnail is not None:
        shrunk = Part(without_thumbnail.replace(thumbnail=expected.thumbnail))
        image = resized_part(shrunk, probe.photo)
        # Without a size, what is shrunk is smaller than a result that is not.
        if image.shape[:2] == probe.result.shape[:2]:
            shrunk = _with_unexplained_share(shrunk, probe)
            # Root mean square of 8-bit levels, 0..255, as the limit is.
            if _unexplained_levels(shrunk, probe.photo) <= SAME_LEVELS:
                return shrunk
    return _with_unexplained_share(Part(without_thumbnail), probe)


def _unexplained_levels(part: Part, photo: Photo) -> float:
    """Return how many levels of the photo, root mean square, are unexplained."""
    return part.unexplained_share * float(photo.pixels.std())


def _with_unexplained_share(part: Part, probe: Probe) -> Part:
    """Return a part with the share that it leaves unexplained of some rows and columns."""
    levels, values, _ = levels_and_values(part, probe, pixel_step=COMPARED_PIXEL_STEP)
    # What became of colours does not count here: any curves of red, green and blue are allowed for.
    return part._replace(unexplained_share=share_unexplained_by_curves(levels, values))


def _with_best_filter(part: Part, probe: Probe) -> Part:
    """Return a part as another filter shows it, if that leaves no more than a decoder and much less."""
    if _unexplained_levels(part, probe.photo) <= SAME_LEVELS:
        return part
    filtered = (part.pipeline.replace(filter=name) for name in FILTERS)
    # Another decoder of JPEG files may leave as much, whatever the filter.
    return _with_better_pipeline(part, filtered, probe, most_levels=DECODER_LEVELS)


def _with_thumbnail(part: Part, probe: Probe) -> Part:
    """Return a part of an image that was shrunk first, if that makes a result."""
    # A window is cut out of the photo itself, never of a thumbnail. Another decoder of JPEG files may leave
    # as much, without a thumbnail.
    if (
        part.window is not None
        or _unexplained_levels(part, probe.photo) <= DECODER_LEVELS
    ):
        return part
    shrunk = (part.pipeline.replace(thumbnail=(side, side)) for side in THUMBNAIL_SIDES)
    return _with_better_pipeline(
        part, shrunk, probe, most_levels=UNEXPLAINED_RATIO * SAME_LEVELS
    )


def _with_better_pipeline(
    part: Part, pipelines: Iterable[Pipeline], probe: Probe, most_levels: float
) -> Part:
    """Return a part as another pipeline shows it, if that leaves little and much less."""
    others = (
        _with_unexplained_share(part._replace(pipeline=pipeline), probe)
        for pipeline in pipelines
    )
    best = min(others, key=BY_UNEXPLAINED_SHARE)
    if _unexplained_levels(best, probe.photo) <= most_levels:
        # The first of the two, unless the other leaves less than half as much unexplained.
        return first_as_good([part, best])
    return part


def window_words(expected: Pipeline, part: Part, photo: Photo) -> str:
    """Say which part is shown where no pipeline does so; else empty."""
    window = part.window
    if window is None or is_same_but_for_rounding(part.pipeline, photo, window):
        return ""
    result_size = part.pipeline.size or photo.size
    note = ""
    if np.array_equal(np.diff(window)[:, 0], result_size):
        note = ", not resized,"
    # Another place of the pixels' centres moves a window by less than a pixel of the result.
    elif pixels_apart(window, window_of(expected, photo), result_size) < 1:
        note = ", as with align_corners or without half-pixel centres,"
    window_in_photo = window.clip(0, np.transpose([photo.size]))
    # What lies beyond the photo is a border, in pixels of the result.
    border_shares = np.abs(window - window_in_photo) / np.diff(window)
    border_pixels = (border_shares * np.transpose([result_size])).round().ravel()
    if border_pixels.any():
        window = window_in_photo
        note = note or ", drawn smaller,"
        numbers = ", ".join(map(four_digits, border_pixels))
        note += f" with a border of {numbers} pixels above, below, left and right,"
    rows, columns = (
        f"{first:.4g} to {end:.4g} of {length}"
        for (first, end), length in zip(window, photo.size, strict=True)
    )
    # "here" is the pipeline that is expected, "there" the other code.
    return f"window: {fit_words(expected)} here, rows {rows} and columns {columns}{note} there"
