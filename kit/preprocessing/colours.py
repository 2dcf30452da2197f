"""How colours of a photo become those of a result: the channels, the scaling and the fill."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from kit._arrays import Float64
from kit.preprocessing.comparison import four_digits
from kit.preprocessing.pipeline import (
    CHANNELS,
    Changes,
    Pipeline,
    order_channels,
    restore_channels,
)
from kit.preprocessing.placing import (
    BY_UNEXPLAINED_SHARE,
    SAME_LEVELS,
    UNEXPLAINED_RATIO,
    first_as_good,
    share_unexplained_by_curves,
)
from kit.preprocessing.scaling import (
    SCALINGS,
    Scaling,
    Scalings,
    affine,
    fits,
    same_line,
)

# Root mean square in 8-bit levels, between what programs make of an image that round more than once.
AGREEING_LEVELS = 1.0
# Of the spread of an image, which is unexplained by a part of a photo that it shows without doubt.
UNDOUBTED_UNEXPLAINED_SHARE = 0.14
# Of all channels' shares in one, from which on it is the largest alone.
MAIN_CHANNEL_SHARE = 0.9
# Of the largest spread of a channel, up to which one is the same everywhere.
CONSTANT_SPREAD_SHARE = 0.01
# Difference of a channel's part in all channels, up to which they are the same mixture.
SAME_MIXTURE_DIFFERENCE = 0.02
# How many times the levels that a line is off, a named scaling may be off it where levels were seen.
SCALING_LEVELS_RATIO = 4
# Levels that a line is off, from which on its numbers say nothing.
ROUGH_LEVELS = 3.0
# Of the range of values, from which on a step between neighbouring levels is a jump.
JUMP_SHARE = 0.5
# Of all pixels, which are at least not cut off, so that they tell a line.
LEAST_WHOLE_SHARE = 0.05
# To which colours of fewer bits, such as RGB565, are rounded at most.
FEW_LEVELS = 64
# Up to which they are listed.
FEW_VALUES = 6
# By which some are beyond the value that they become where values are cut off.
CUT_OFF_LEVELS = 32
# By which pixels are off that are something else.
STRANGE_LEVELS = 25.0
# Of the pixels around an image, from which on they have several colours.
STRANGE_PIXELS_SHARE = 0.2

_TINY = 1e-9
_ANY_COLOURS = (
    "another colour space or contrast, such as HSV, LAB, equalised or pixel by pixel,"
)
_SEVERAL_FILLS = (
    "fill: one colour here, several there, as from mirrored or repeated edges"
)


# What no pipeline does, in words, by the name of the step.
WordsByStep = dict[str, str]


class Line(NamedTuple):
    """Results as `slope` times levels plus `offset`, each float64 (C,), and how far they are off it.

    `levels_off` is the root mean square in levels, `ends` the lowest and the highest level that were seen.
    """

    slope: Float64
    offset: Float64
    levels_off: float
    ends: tuple[float, float] = (0, 255)


class Colours(NamedTuple):
    """How results come from levels: the share of their spread that is unexplained, and the line, if any.

    `channels` is an order that has a name; else `words` say what is done at a step.
    """

    unexplained_share: float
    line: Line | None = None
    channels: str = ""
    step: str = "channels"
    words: str = ""


def colours_of(
    expected: Pipeline, photo_levels: Float64, result_values: Float64
) -> Colours:
    """Return the simplest way from levels (N, 3) to results (N, C), C being 1 or 3."""
    # Of levels (N, 3) and values (N, C), a curve for each order that has C channels; the expected one first.
    curves = [
        _curved_colours(in_channel_order(photo_levels, order), result_values, order)
        for order in dict.fromkeys((expected.channels, *CHANNELS))
        if in_channel_order(photo_levels[:1], order).shape[1] == result_values.shape[1]
    ]
    # The expected order, unless another leaves less than half as much unexplained.
    curve = first_as_good([curves[0], min(curves, key=BY_UNEXPLAINED_SHARE)])
    simplest_first = [
        _straight_colours(photo_levels, result_values, curve.channels),
        curve,
        _mixed_colours(photo_levels, result_values),
        Colours(
            share_unexplained_by_curves(photo_levels, result_values), words=_ANY_COLOURS
        ),
    ]
    # What leaves no more than rounding does, as a share of the spread, is good enough.
    return first_as_good(
        simplest_first, enough_share=SAME_LEVELS / (photo_levels.std() + _TINY)
    )


def smoothed_colours_of(
    expected: Pipeline,
    unaveraged: Colours,
    averaged_levels: Float64,
    averaged_values: Float64,
) -> Colours:
    """Return how colours become results where fine detail, which may be missing, is averaged."""
    smoothed = colours_of(expected, averaged_levels, averaged_values)
    if smoothed.line is None or unaveraged.line is None:
        return smoothed
    # Averaging hides how far single pixels are off the line: a share of that counts at least,
    # since a blur makes the slope of the line itself uncertain.
    levels_off = max(
        smoothed.line.levels_off, unaveraged.line.levels_off / UNEXPLAINED_RATIO
    )
    return smoothed._replace(line=smoothed.line._replace(levels_off=levels_off))


def in_channel_order(levels: Float64, channels: str) -> Float64:
    """Return levels (..., 3) in an order of channels, (..., C)."""
    return np.asarray(order_channels(levels.astype(np.float32), channels), float)


def _mixed_colours(photo_levels: Float64, result_values: Float64) -> Colours:
    """Make each channel of the results a sum of all channels."""
    columns = np.c_[photo_levels, np.ones(len(photo_levels))]
    # (4, C): how much of red, green and blue is in each channel of the results, and what is added.
    weights_and_offsets = np.linalg.lstsq(columns, result_values)[0]
    weights = weights_and_offsets[:3]
    spreads = result_values.std(axis=0)
    error = np.sqrt(np.mean((columns @ weights_and_offsets - result_values) ** 2))
    error_share = float(error / (np.sqrt(np.mean(spreads**2)) + _TINY))
    if error_share > UNDOUBTED_UNEXPLAINED_SHARE:
        return Colours(error_share, words=_ANY_COLOURS)
    channel_shares = np.abs(weights) / (np.abs(weights).sum(axis=0) + _TINY)
    is_constant = spreads <= CONSTANT_SPREAD_SHARE * spreads.max()
    main_channels = np.array([*"rgb"])[channel_shares.argmax(axis=0)]
    is_mixture = channel_shares.max(axis=0) < MAIN_CHANNEL_SHARE
    names = np.where(is_mixture, "a mixture", main_channels)
    # Such as "grb", or "r, a constant, a mixture".
    words = "".join(names)
    if is_constant.any():
        words = ", ".join(np.where(is_constant, "a constant", names))
    # An order with a name, such as "bgr", was tried before, alone: if it comes out here, others are mixed in.
    elif words in CHANNELS or np.any(is_mixture):
        words = "mixtures of them, as in YCrCb, YUV or at another saturation,"
        if np.ptp(channel_shares, axis=1).max() < SAME_MIXTURE_DIFFERENCE:
            words = "one mixture of them, such as their mean,"
    # Where red, green and blue are one grey level, their weights add up to the slope of a line.
    line = Line(
        slope=weights.sum(axis=0),
        offset=weights_and_offsets[3],
        # The error is a share of the results' spread; here in levels of the photo.
        levels_off=error_share * float(photo_levels.std()),
    )
    return Colours(error_share, line, words=words)


def _straight_colours(
    photo_levels: Float64, result_values: Float64, channels: str
) -> Colours:
    """Make each channel of the results a line of its level."""
    line = _fitted_line(in_channel_order(photo_levels, channels), result_values)
    share = line.levels_off / (float(photo_levels.std()) + _TINY)
    return Colours(share, line, channels)


def _fitted_line(photo_levels: Float64, result_values: Float64) -> Line:
    """Fit a line to levels and results, each (N, C)."""
    mean_levels = photo_levels.mean(axis=0)
    centred = photo_levels - mean_levels
    slope = (centred * result_values).sum(axis=0) / ((centred**2).sum(axis=0) + _TINY)
    # Not 0, as the errors are divided by it.
    slope = np.where(np.abs(slope) > _TINY, slope, _TINY)
    offset = result_values.mean(axis=0) - slope * mean_levels
    errors_in_levels = photo_levels - (result_values - offset) / slope
    levels_off = float(np.sqrt(np.mean(errors_in_levels**2)))
    ends = float(photo_levels.min()), float(photo_levels.max())
    return Line(slope, offset, levels_off, ends)


def _curved_colours(
    photo_levels: Float64, result_values: Float64, channels: str
) -> Colours:
    """Make each channel of the results any function of its level; both are (N, C)."""
    # In random order, since pixels that touch are alike without any curve: of one level, all are compared.
    shuffled = np.random.default_rng(0).permutation(len(photo_levels))
    values_by_level = np.take_along_axis(
        result_values[shuffled],
        photo_levels[shuffled].argsort(axis=0, kind="stable"),
        axis=0,
    )
    # On a curve, values of neighbouring levels are nearly the same; what differs is error.
    neighbour_differences = np.diff(values_by_level, axis=0)
    spread = np.std(result_values - result_values.mean(axis=0)) + _TINY
    # The difference of two numbers varies by the root of 2 more than each.
    error_share = float(np.std(neighbour_differences) / spread / np.sqrt(2))
    # The step is that to which the words below belong: few levels and cut-off ends come from a cast.
    curve = Colours(error_share, channels=channels, step="cast")
    level_count = max(len(np.unique(channel)) for channel in result_values.T)
    most_levels = min(FEW_LEVELS, len(np.unique(photo_levels)) / UNEXPLAINED_RATIO)
    # One value alone shows nothing of the photo: all others lie outside the part that is compared.
    if 1 < level_count <= most_levels:
        return curve._replace(
            words=few_levels_words(level_count, np.unique(result_values))
        )
    ends = result_values.min(), result_values.max()
    is_between_ends = ~np.isin(result_values, ends).any(axis=1)
    if is_between_ends.mean() >= LEAST_WHOLE_SHARE:
        line = _fitted_line(
            photo_levels[is_between_ends], result_values[is_between_ends]
        )
        levels_off = np.abs(photo_levels - (result_values - line.offset) / line.slope)
        # At an end that is cut off, some values would lie far beyond it on the line.
        cut_off_ends = [
            four_digits(end)
            for end in ends
            if levels_off[result_values == end].max() >= CUT_OFF_LEVELS
        ]
        if cut_off_ends and line.levels_off <= ROUGH_LEVELS:
            return curve._replace(
                line=line, words=f"cut off at {' and '.join(cut_off_ends)}"
            )
    # What leaves so much is hardly a function of the level.
    if error_share > UNEXPLAINED_RATIO * UNDOUBTED_UNEXPLAINED_SHARE:
        return curve
    words = "a curve, such as gamma, contrast or equalisation,"
    if np.abs(neighbour_differences).max() > JUMP_SHARE * np.ptp(result_values):
        words = "a jump, as where bytes wrap around,"
    return curve._replace(step="scaling", words=words)


def few_levels_words(level_count: int, distinct_values: Float64) -> str:
    """Say how many levels a channel has, and which these are if they are few and the same in all channels."""
    words = f"only {level_count} levels"
    # Channels of levels of their own have more values together.
    if level_count == len(distinct_values) <= FEW_VALUES:
        # With a comma at the end, as the sentence goes on behind these words.
        words += f": {', '.join(map(four_digits, distinct_values))},"
    return words


def with_colours(expected: Pipeline, pipeline: Pipeline, colours: Colours) -> Pipeline:
    """Return a pipeline with channels, polarity and scaling, as expected where nothing is known."""
    line = colours.line
    channels = colours.channels or expected.channels
    # The channels first: whether a line or a scaling fits depends on how many there are.
    pipeline = pipeline.replace(channels=channels, scaling=())
    # Pixels that are far off a line are something else, of which it says nothing.
    if (
        line is not None
        and line.levels_off <= STRANGE_LEVELS
        and line.slope.size == pipeline.channel_count
    ):
        return pipeline.replace(**_polarity_and_scaling_of_line(expected, line))
    return with_expected_scaling(expected, pipeline)


def with_expected_scaling(expected: Pipeline, pipeline: Pipeline) -> Pipeline:
    """Return a pipeline with the scaling and the polarity that are expected, if they fit its channels."""
    # One grey channel cannot be scaled by three means: it stays as it is.
    if not fits(expected.scaling, pipeline.channel_count):
        return pipeline.replace(scaling=())
    return pipeline.replace(scaling=expected.scaling, invert=expected.invert)


def with_fill(
    pipeline: Pipeline, line: Line, channels: str, values_around: Float64
) -> tuple[Pipeline, WordsByStep]:
    """Return a pipeline that fills up as results around a photo do, and in words what no fill does."""
    # No value of the result lies beside the photo, so that no fill is seen.
    if not len(values_around):
        return pipeline, {}
    # The line led from levels of the photo to values of the result; here it leads back.
    levels_around = (values_around - line.offset) / line.slope
    fill_levels = np.median(levels_around, axis=0)
    is_other_colour = np.abs(levels_around - fill_levels).max(axis=-1) > STRANGE_LEVELS
    if is_other_colour.mean() > STRANGE_PIXELS_SHARE:
        return pipeline, {"resize": _SEVERAL_FILLS}
    # Red, green and blue again, in whichever order results have them.
    fill = restore_channels(fill_levels.round().clip(0, 255), channels).astype(int)
    # The expected fill stays, unless it is farther away than rounding of both and the line's noise explain.
    if np.abs(fill - pipeline.fill).max() > 1.5 + line.levels_off:
        pipeline = pipeline.replace(fill=tuple(fill.tolist()))
    return pipeline, {}


def slope_and_offset(scaling: Scalings, *, invert: bool) -> tuple[Float64, Float64]:
    """Return slope and offset of what becomes of levels that are inverted or not, and then scaled."""
    slope, offset = affine(scaling)
    return (-slope, 255 * slope + offset) if invert else (slope, offset)


def _polarity_and_scaling_of_line(expected: Pipeline, line: Line) -> Changes:
    """Return polarity and scaling that make the line: usual ones within a tolerance, else fitted ones."""
    # A value of the result is slope * level + offset, for each channel.
    slope, offset, levels_off, ends = line
    as_expected: Changes = {"invert": expected.invert, "scaling": expected.scaling}
    slope_sizes = np.abs(slope)
    if np.any(slope_sizes <= max(_TINY, CONSTANT_SPREAD_SHARE * slope_sizes.max())):
        # A channel that is the same everywhere says nothing of its scaling.
        return as_expected
    # Half a level is what rounding makes; the slope turns levels into the unit of the results.
    rounding = 0.5 * slope_sizes
    tolerance = SCALING_LEVELS_RATIO * levels_off * slope_sizes
    is_rough = levels_off > ROUGH_LEVELS
    # Beyond the levels that a pale image has, a little noise leads a line far off.
    ends_seen = (0, 255) if is_rough else ends
    # Common mistakes: another usual scaling, a division left out, and two scalings in place of one.
    undivided = tuple(replace(scaling, divisor=1.0) for scaling in expected.scaling)
    single_scalings = [expected.scaling, *SCALINGS.values(), undivided]
    double_scalings = [
        first + second for first in single_scalings for second in single_scalings
    ]
    scalings = [
        scaling
        for scaling in single_scalings + double_scalings
        if fits(scaling, slope.size)
    ]
    for invert in (expected.invert, not expected.invert):
        for scaling in scalings:
            line_of_scaling = slope_and_offset(scaling, invert=invert)
            if same_line(line_of_scaling, (slope, offset), rounding) or same_line(
                line_of_scaling, (slope, offset), tolerance, ends_seen
            ):
                return {"invert": invert, "scaling": scaling}
    # Numbers fitted to so rough a line would say nothing, nor do channels of which some rise and some fall.
    if is_rough or np.ptp(np.sign(slope)):
        return as_expected
    # No known scaling makes the line. If its slope is opposite to the expected one, so is the polarity.
    expected_slope, _ = slope_and_offset(expected.scaling, invert=expected.invert)
    invert = expected.invert != bool(np.all(slope * expected_slope < 0))
    if invert:
        # From here on it is the line of levels that are inverted already.
        slope, offset = -slope, 255 * slope + offset
    level_of_zero = -offset / slope
    # Less than half a level is no mean but rounding.
    level_of_zero = np.where(np.abs(level_of_zero) < 0.5, 0, level_of_zero)
    is_of_0_to_1 = any(scaling.divisor == 255 for scaling in expected.scaling)
    # In the unit of the scaling that is expected, so that people can compare them.
    divisor = 255.0 if is_of_0_to_1 and level_of_zero.any() else 1.0
    fitted = Scaling(
        divisor=divisor,
        mean=_in_four_digits(level_of_zero / divisor) or None,
        std=_in_four_digits(1 / slope / divisor),
    )
    return {"invert": invert, "scaling": fitted}


def _in_four_digits(values: Float64) -> float | tuple[float, ...]:
    """Return numbers of four digits, or the one that all are."""
    rounded = tuple(float(f"{value:.4g}") for value in values)
    return rounded[0] if len({*rounded}) == 1 else rounded
