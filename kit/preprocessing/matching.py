"""The pipeline that comes nearest to tensors which other code made of photos."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from operator import attrgetter
from typing import NamedTuple

import numpy as np
import scipy  # its heavy parts are imported when they are used

from kit._arrays import Array, Float64
from kit._reporting import Steps
from kit.images.opening import first_frame
from kit.images.photo import Photo
from kit.preprocessing.buffers import Ordered, each_order
from kit.preprocessing.calling import ARRAYS, Called
from kit.preprocessing.colours import (
    AGREEING_LEVELS,
    SCALING_LEVELS_RATIO,
    UNDOUBTED_UNEXPLAINED_SHARE,
    colours_of,
    few_levels_words,
    slope_and_offset,
    smoothed_colours_of,
    with_colours,
    with_expected_scaling,
    with_fill,
)
from kit.preprocessing.comparison import four_digits
from kit.preprocessing.fitting import (
    DECODER_LEVELS,
    Part,
    Probe,
    fitting_part,
    is_same_but_for_rounding,
    levels_and_values,
    pipeline_of_each_fit,
    resized_part,
    window_of,
    window_words,
)
from kit.preprocessing.pipeline import (
    PIPELINE,
    TO_SIZE,
    TO_TENSOR,
    Changes,
    Pipeline,
    arrange_back,
    decoding_changes,
    run,
)
from kit.preprocessing.placing import (
    SAME_LEVELS,
    UNEXPLAINED_RATIO,
    Content,
    Placed,
    share_unexplained_by_curves,
)
from kit.preprocessing.scaling import affine, same_line

# Share of the spread of a tensor that is unexplained where a photo hardly explains it.
UNRELATED_UNEXPLAINED_SHARE = 0.5
# Of the fine detail of two images, from which on one is the other.
LEAST_CORRELATION = 0.2
# Of the spread of values in a file, which is left where a result was made of them as they are.
UNCONVERTED_LEFT_SHARE = 0.02
# Pixels over which an image is averaged to tell its fine detail.
DETAIL_PIXELS = 1.0
# Pixels a side over which fine grain is averaged.
AVERAGED_PIXELS = 8

_SCALED_BY_ITSELF_WORDS = (
    "scaling: the same for all images here, by the values of each image there"
)
_DECODING_CHANGES: tuple[Changes, ...] = (
    {},
    {"exif": False},
    {"depth": "clip"},
    {"matte": (255, 255, 255)},
    {"matte": (0, 0, 0)},
    {"matte": None},
)
# Where one of these is unexplained, values are no line of levels that could be compared.
_COLOUR_STEPS = {"channels", "scaling", "cast"}
# Where a result has no more values, and all are whole numbers, it may have been cast after scaling.
FEW_WHOLE_VALUES = 16
# Of Pillow, whose values are those of RGB, or no whole numbers.
_UNCHANGED_MODES = {"RGB", "RGBA", "L", "LA", "1", "F"}
_TINY = 1e-9


@dataclass(frozen=True)
class Reading:
    """Other code in the words of a pipeline.

    Attributes
    ----------
    pipeline, levels_off
        The one that comes nearest, and the root mean square that is left, in 8-bit levels: where something is
        unexplained, what the part of the photo and its colours leave, whether a pipeline does so or not.
    unexplained, called, images_read
        Words for what no pipeline does, by step; what the code returned for each photo; how many were read.
    """

    pipeline: Pipeline
    levels_off: float = 0.0
    unexplained: Mapping[str, str] = field(default_factory=dict)
    called: tuple[Called, ...] = ()
    images_read: int = 1

    @property
    def tolerated_levels_off(self) -> float:
        """What rounding may leave, or another decoder, unless the code was given pixels."""
        # Code that was given a file decodes it by itself, and decoders differ by some levels.
        given_pixels = any(one_call.given_as in ARRAYS for one_call in self.called)
        return AGREEING_LEVELS if given_pixels else DECODER_LEVELS

    @property
    def agrees(self) -> bool:
        """Whether the pipeline does what the code does."""
        return self.levels_off <= self.tolerated_levels_off and not self.unexplained


def largest_levels_off(pipeline: Pipeline, probes: Iterable[Probe]) -> float:
    """Return the largest root mean square in levels, between a pipeline and what was made of a photo.

    Where a fit rounds sides, any of its roundings will do.
    """
    return max(_probe_levels_off(pipeline, probe) for probe in probes)


def _probe_levels_off(pipeline: Pipeline, probe: Probe) -> float:
    # A result has no axis of images, unlike the tensor of a pipeline.
    tensor = run(PIPELINE, pipeline, probe.photo)[0]
    if tensor.shape != probe.result.shape:
        return inf
    # Root mean square in 8-bit levels: in the unit of the tensor, divided by the slope of the scaling.
    levels_off = _rms_levels(pipeline, tensor, probe.result)
    if levels_off <= SAME_LEVELS:
        return levels_off
    photo = probe.photo.decoded(pipeline.decoding)
    content = Content(arrange_back(probe.result, pipeline.layout))
    _, window = content.best_near(photo, window_of(pipeline, photo))
    # Other code may only have rounded the sides of the part in another way: then the part it took counts.
    if not is_same_but_for_rounding(pipeline, photo, window):
        return levels_off
    tensor = run(TO_TENSOR, pipeline, resized_part(Part(pipeline, window), photo))[0]
    return min(levels_off, _rms_levels(pipeline, tensor, probe.result))


def _rms_levels(pipeline: Pipeline, tensor: Array, result: Float64) -> float:
    """Return the root mean square of the difference of two tensors, in the unit before scaling."""
    # The slope turns the unit of the tensors back into 8-bit levels.
    slope, _ = affine(pipeline.scaling)
    distance = np.sqrt(np.mean((tensor - result) ** 2))
    return float(distance / np.abs(slope).mean())


class _DecodedPhoto(NamedTuple):
    """A photo as other code may have read its file."""

    photo: Photo
    pipeline: Pipeline


def in_each_decoding(
    expected: Pipeline, photo: Photo, *, given_pixels: bool
) -> list[_DecodedPhoto]:
    """Return a photo as it is expected, and with each decoding that makes other pixels of it."""
    # Code that was given pixels decoded nothing, and without notes there is one way to decode a file.
    may_differ = photo.notes and not given_pixels
    # The first change is none: the decoding that is expected.
    changes = _DECODING_CHANGES if may_differ else ({},)
    pipelines = (
        expected.replace(**decoding_changes(expected, **change)) for change in changes
    )
    decodings = [
        _DecodedPhoto(photo.decoded(pipeline.decoding), pipeline)
        for pipeline in pipelines
    ]
    by_pixels: dict[bytes, _DecodedPhoto] = {}
    for decoded in decodings:
        # The first of those that make the same pixels stays.
        by_pixels.setdefault(decoded.photo.pixels.tobytes(), decoded)
    return [*by_pixels.values()]


class _Origin(NamedTuple):
    """Which part of a photo, read in one way, a result shows once its values are in order."""

    placed: Placed
    decoded: _DecodedPhoto
    content: Content
    ordered: Ordered

    @property
    def weighted_unexplained_share(self) -> float:
        """Share of the spread that is unexplained, counted as more for each order that is unusual."""
        ratio = float(UNEXPLAINED_RATIO ** len(self.ordered.orders))
        return self.placed.unexplained_share * ratio


_BY_WEIGHTED_UNEXPLAINED_SHARE = attrgetter("weighted_unexplained_share")


def _origin_by_fits(decoded: _DecodedPhoto, ordered: Ordered) -> _Origin:
    """Find which fit shows the part of a photo that a result shows."""
    # Compared is what lies within borders of one colour; `content.size` is that of the whole image.
    content = Content(ordered.image)
    pipeline = decoded.pipeline
    # 0.875 is the usual fraction: 224 of 256 pixels.
    pipelines = pipeline_of_each_fit(
        pipeline,
        content.size,
        crop_fractions=(pipeline.crop_fraction, 0.875, 1.0),
    )
    windows = (window_of(fitted, decoded.photo) for fitted in pipelines)
    # The window that leaves the least unexplained, whatever became of colours, and that share.
    placed = content.best_of(decoded.photo, windows)
    return _Origin(placed, decoded, content, ordered)


def _likeliest_origin(decodings: Sequence[_DecodedPhoto], result: Float64) -> _Origin:
    """Return how a result comes from a photo: whole or in part, upright, turned or scrambled."""
    origins: list[_Origin] = []
    orders = Steps(each_order(result), "Trying orders of values", progress=True)
    for ordered in orders:
        origins += [_origin_by_fits(decoded, ordered) for decoded in decodings]
        least_share = min(origin.placed.unexplained_share for origin in origins)
        if least_share <= UNDOUBTED_UNEXPLAINED_SHARE:
            break
    # The weighted best may be another one than ended the loop: a usual order wins against an unusual one
    # that explains a little more. Hence the limit.
    best = min(origins, key=_BY_WEIGHTED_UNEXPLAINED_SHARE)
    refined = best.content.best_near(best.decoded.photo, best.placed.window)
    limit = UNEXPLAINED_RATIO * UNDOUBTED_UNEXPLAINED_SHARE
    if refined.unexplained_share <= limit:
        return best._replace(placed=refined)
    # Searching all of a photo takes long: only as it should be decoded, in one unusual order at most.
    likely = [
        origin
        for origin in origins
        if origin.decoded is decodings[0] and len(origin.ordered.orders) <= 1
    ]
    origins += [
        origin._replace(placed=origin.content.best_anywhere(origin.decoded.photo))
        for origin in Steps(likely, "Searching the photo", progress=True)
    ]
    return min(origins, key=_BY_WEIGHTED_UNEXPLAINED_SHARE)


def match(
    expected: Pipeline, probes: Sequence[Probe], *, given_pixels: bool
) -> Reading:
    """Find the pipeline that makes results of photos, as near as may be to the one expected.

    Read are the order of values, the part of the photo, the filter, the channels and the scaling, one after
    the other. Each is as expected where that explains as much. What is read of the first photo is read again
    of another one, which it explains least. Unless the code was `given_pixels`, it may
    have decoded the photos otherwise.
    """
    # Code that was given pixels decoded nothing, so that no other decoding is tried.
    first = _match_one(expected, probes[0], given_pixels=given_pixels)
    levels_off_of_others = [
        _probe_levels_off(first.pipeline, probe) for probe in probes[1:]
    ]
    # Where colours are unexplained, no pipeline makes values that could be compared with those of others.
    if (
        _COLOUR_STEPS & {*first.unexplained}
        or max(levels_off_of_others, default=0) <= DECODER_LEVELS
    ):
        return first
    least_explained = probes[1 + int(np.argmax(levels_off_of_others))]
    second = _match_one(expected, least_explained, given_pixels=given_pixels)
    second_on_first = _probe_levels_off(second.pipeline, probes[0])
    # Where one of the two hardly leaves more of both images, what remains is something else.
    neither_fits_both = (
        max(levels_off_of_others) > UNEXPLAINED_RATIO * second.levels_off
        and second_on_first > UNEXPLAINED_RATIO * first.levels_off
    )
    if neither_fits_both and _are_scaled_differently(first, second):
        return _with_scaling_by_each_image(expected, first)

    def levels_left(reading: Reading) -> float:
        if reading.unexplained:
            return reading.levels_off
        return largest_levels_off(reading.pipeline, probes)

    return min(first, second, key=levels_left)


def unconverted_reading(expected: Pipeline, probes: Sequence[Probe]) -> Reading | None:
    """Return a reading by which the values of files became colours as they are; None where it is not so."""
    raw_probes, words = zip(*map(_unconverted_probe, probes), strict=True)
    # Words are empty, and sort first, for a file that needs no conversion; a palette or CMYK needs one.
    if max(words):
        # With the scaling that is expected, since one that is read could be fitted to anything.
        matched = match(expected, raw_probes, given_pixels=True).pipeline
        pipeline = with_expected_scaling(expected, matched)
        # Both in 8-bit levels: the spread of the plainest photo, and what is left of the worst explained.
        least_spread = min(photo.pixels.std() for photo, _ in raw_probes)
        if (
            largest_levels_off(pipeline, raw_probes)
            <= UNCONVERTED_LEFT_SHARE * least_spread
        ):
            return Reading(pipeline, unexplained={"decode": max(words)})
    return None


def _unconverted_probe(probe: Probe) -> tuple[Probe, str]:
    """Return a probe of the values in its file and words for them; itself and none where they are RGB."""
    photo = probe.photo
    # Without notes nothing was converted, and the file need not be opened again.
    if photo.notes and photo.file:
        image, _ = first_frame(photo.file, photo.name, notes=[])
        if image.mode not in _UNCHANGED_MODES:
            values = np.atleast_3d(np.asarray(image).astype(np.uint8))
            # A photo has one channel or three: the first three of CMYK, the index of a palette.
            raw = Photo.from_array(values[..., : 3 if values.shape[2] > 2 else 1])
            words = f"file: its {image.mode} values converted to RGB here, not there"
            return Probe(raw, probe.result), words
    return probe, ""


def _rises_in_steps(pipeline: Pipeline, probe: Probe, distinct_values: Float64) -> bool:
    """Whether a result of few values rises with the tensor of a pipeline, of more values, in steps."""
    # The pipeline is the one expected, or that inverted: nothing has been read yet.
    tensor = run(PIPELINE, pipeline, probe.photo)[0]
    # Of the result, sorted: a cast leaves at most half as many values as the tensor has.
    has_more = len(np.unique(tensor)) >= UNEXPLAINED_RATIO * len(distinct_values)
    if not has_more or tensor.shape != probe.result.shape:
        return False
    # Of the tensor, where the result has each of its values.
    lowest = scipy.ndimage.minimum(tensor, probe.result, distinct_values)
    highest = scipy.ndimage.maximum(tensor, probe.result, distinct_values)
    # One level of 0..255, by the slope in the unit of the tensor: steps may overlap so much by rounding.
    one_level = np.abs(affine(pipeline.scaling)[0]).max()
    return bool(np.all(highest[:-1] <= lowest[1:] + one_level))


def _cast_reading(pipeline: Pipeline, distinct_values: Float64) -> Reading:
    words = f"cast: none here, {few_levels_words(len(distinct_values), distinct_values)} there"
    return Reading(pipeline, unexplained={"cast": words})


def _are_scaled_differently(first: Reading, second: Reading) -> bool:
    """Whether two images were scaled in two ways, as far as what is unexplained lets them be told apart."""
    # Where colours are unexplained, there is no line to compare, and images count as scaled in the same way.
    if _COLOUR_STEPS & {*first.unexplained, *second.unexplained}:
        return False
    first_line, second_line = (
        slope_and_offset(reading.pipeline.scaling, invert=reading.pipeline.invert)
        for reading in (first, second)
    )
    levels_off = max(first.levels_off, second.levels_off)
    tolerance_levels = DECODER_LEVELS + SCALING_LEVELS_RATIO * levels_off
    # By the slope, levels become the unit of the results.
    tolerance = tolerance_levels * np.abs(first_line[0])
    return not same_line(first_line, second_line, tolerance)


def _with_scaling_by_each_image(expected: Pipeline, reading: Reading) -> Reading:
    """Say that each image is scaled by its own values."""
    # No pipeline does so: this one gets the scaling that is expected. With it comes the expected polarity,
    # which is put back as it was read.
    pipeline = reading.pipeline
    return replace(
        reading,
        pipeline=with_expected_scaling(expected, pipeline).replace(
            invert=pipeline.invert
        ),
        unexplained={**reading.unexplained, "scaling": _SCALED_BY_ITSELF_WORDS},
    )


def is_constant_by_channel(result: Array) -> bool:
    """Whether a result, (H, W, C) or (C, H, W), has one value alone in each channel."""
    # Of three lengths the smallest is that of the channels.
    channels_last = np.moveaxis(result, int(np.argmin(result.shape)), -1)
    return not bool(np.ptp(channels_last, axis=(0, 1)).any())


def _match_one(expected: Pipeline, probe: Probe, *, given_pixels: bool) -> Reading:
    """Read a result of one photo."""
    decodings = in_each_decoding(expected, probe.photo, given_pixels=given_pixels)
    result = probe.result
    distinct_values = np.unique(result)
    is_constant = is_constant_by_channel(result)
    # Of a photo of one colour, one value in each channel is right.
    if is_constant and all(np.ptp(decoded.photo.pixels) for decoded in decodings):
        causes = "as in a buffer that is not filled, or after a cast to whole numbers"
        constants = ", ".join(map(four_digits, distinct_values))
        words = f"values: an image here, {constants} alone there, {causes}"
        return Reading(expected, levels_off=inf, unexplained={"tensor": words})
    may_be_cast = 1 < len(distinct_values) <= FEW_WHOLE_VALUES and not np.any(
        distinct_values % 1
    )
    # What a cast lets wrap around may rise with the inverted image, so that this is tried first.
    cast = expected.replace(cast="uint8")
    if may_be_cast and _probe_levels_off(cast, probe) <= DECODER_LEVELS:
        return Reading(cast)
    for pipeline in (expected, expected.replace(invert=not expected.invert)):
        if may_be_cast and _rises_in_steps(pipeline, probe, distinct_values):
            return _cast_reading(pipeline, distinct_values)
    reading = _reading_of_origin(expected, _likeliest_origin(decodings, result))
    is_explained = reading.levels_off <= DECODER_LEVELS or "cast" in reading.unexplained
    if is_explained or not may_be_cast:
        return reading
    # Too little is left of the photo to find which part of it this is.
    return _cast_reading(expected, distinct_values)


def _reading_of_origin(expected: Pipeline, origin: _Origin) -> Reading:
    """Read the filter, the channels and the scaling, once it is known what a result shows of a photo."""
    ordered = origin.ordered
    expected_so_decoded = origin.decoded.pipeline
    probe = Probe(origin.decoded.photo, ordered.image)
    # First the fit and the filter, which can be found whatever became of the colours.
    part = fitting_part(expected_so_decoded, origin.placed.window, probe)
    levels, values, values_around = levels_and_values(part, probe)
    if not len(levels):
        return _unrelated_reading(expected, part.pipeline, probe)
    colours = colours_of(expected_so_decoded, levels, values)
    levels_off = colours.unexplained_share * float(levels.std())
    if levels_off > DECODER_LEVELS:
        averaged = levels_and_values(part, probe, averaged_pixels=AVERAGED_PIXELS)
        smoothed = smoothed_colours_of(
            expected_so_decoded, colours, averaged.levels, averaged.values
        )
        # What a blur or noise leaves may look like a curve or a mixture, but a line is simpler.
        is_line = not smoothed.words and (
            smoothed.unexplained_share * UNEXPLAINED_RATIO < colours.unexplained_share
        )
        if is_line or not colours.words:
            colours = smoothed
    # Of the spread of the result: what no order, mixture or curve of colours explains.
    least_share = min(
        share_unexplained_by_curves(levels, values), colours.unexplained_share
    )
    pipeline = part.pipeline
    unexplained = _placement_words(origin, part)
    if ordered.orders and pipeline.size != expected.size:
        # Turned or in other rows, an image has other sides, but the network takes those that are expected.
        # Then it is never called unrelated, whatever the least share is, and only the order is told.
        pipeline = expected_so_decoded
    elif least_share > UNRELATED_UNEXPLAINED_SHARE:
        return _unrelated_reading(expected, pipeline, probe)
    elif colours.words:
        expected_words = {"channels": expected.channels, "cast": "none"}
        expected_here = expected_words.get(colours.step, "a line")
        unexplained[colours.step] = (
            f"{colours.step}: {expected_here} here, {colours.words} there"
        )
    if colours.line and not unexplained:
        # Beside the photo, the values tell its fill; words for what no fill does are then the only ones.
        pipeline, unexplained = with_fill(
            pipeline, colours.line, colours.channels, values_around
        )
    pipeline = with_colours(expected_so_decoded, pipeline, colours).replace(
        layout=ordered.layout
    )
    return Reading(pipeline, levels_off=levels_off, unexplained=unexplained)


def _placement_words(origin: _Origin, part: Part) -> dict[str, str]:
    """Say in which order values are or which part is shown, where no pipeline does so."""
    decoded = origin.decoded
    # Words: how values lie in memory, how the image is turned; empty where a pipeline's layout says it.
    orders = origin.ordered.orders
    if orders:
        words = f"as it is here, {' and '.join(orders)} there"
        # Rows as wide as the photo show that it was cut off, not resized.
        if orders[0].startswith(f"rows of {decoded.photo.size[1]} "):
            words = "resized here, cut off after as many values there"
        return {"layout": f"image: {words}"}
    words = window_words(decoded.pipeline, part, decoded.photo)
    return {"resize": words} if words else {}


def _unrelated_reading(expected: Pipeline, nearest: Pipeline, probe: Probe) -> Reading:
    """Say how much a result (H, W, C) is like a photo that does not explain it."""
    # In the size of the result, to which both are compared.
    expected = expected.replace(size=nearest.size)
    # Where a buffer ends early, there is no number.
    grey = np.nan_to_num(probe.result).mean(axis=-1)
    images = (run(TO_SIZE, entry, probe.photo) for entry in (expected, nearest))
    likeness = max(
        abs(correlation(detail_of(image.mean(axis=-1)), detail_of(grey)))
        for image in images
    )
    cause = "another image, or this one turned by some degrees"
    if likeness >= LEAST_CORRELATION:
        cause = "local contrast, a vignette, something over it or a buffer that is not filled"
    words = (
        "content: no part, order or colours of this image that were tried explain the result"
        f" (correlation {likeness:.2f} of fine detail), as with {cause}"
    )
    return Reading(expected, levels_off=inf, unexplained={"tensor": words})


def detail_of(image: Float64) -> Float64:
    """Return what is finer in an image (H, W) than its shades."""
    return np.asarray(image - scipy.ndimage.gaussian_filter(image, DETAIL_PIXELS))


def correlation(first: Float64, second: Float64) -> float:
    """Return the correlation of two images whose means are 0."""
    # Means are not subtracted: those of fine detail are 0.
    norms = np.linalg.norm(first) * np.linalg.norm(second)
    return float(np.sum(first * second) / (norms + _TINY))
