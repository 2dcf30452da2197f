"""How colours of a photo become those of a result: the channels, the scaling and the fill."""

from dataclasses import replace
from math import inf
from typing import NamedTuple

import numpy as np

from kit._arrays import Float64
from kit.preprocessing.comparison import short
from kit.preprocessing.pipeline import CHANNELS, Changes, Pipeline, order_channels
from kit.preprocessing.placing import BY_UNEXPLAINED_SHARE, unexplained_share
from kit.preprocessing.scaling import SCALINGS, Scaling, affine, fits, same_line

# Root mean square in 8-bit levels, below which two images differ by rounding alone.
SAME_LEVELS = 0.6
# Likewise, between what one program makes of an image and another, which may round more than once.
AGREEING_LEVELS = 1.0
# How many times more must be unexplained without a step for it to be named.
UNEXPLAINED_RATIO = 2
# Of the spread of an image, which is unexplained by a part of a photo that it shows without doubt.
UNDOUBTED_UNEXPLAINED_SHARE = 0.14
# Of all channels' parts in one, from which on it is the largest alone.
MAIN_CHANNEL_SHARE = 0.9
# Of the largest spread of a channel, up to which one is the same everywhere.
CONSTANT_SPREAD_SHARE = 0.01
# Difference of a channel's part in all channels, up to which they are the same mixture.
SAME_MIXTURE_DIFFERENCE = 0.02
# How many times the levels that a line is off, a named scaling may be off it at black and at white.
SCALING_LEVELS_RATIO = 4
# Levels that a line is off, from which on its numbers say nothing.
ROUGH_LEVELS = 3.0
# Of the range of values, from which on a step between neighbouring levels is a jump.
JUMP_SHARE = 0.5
# To which colours of fewer bits, such as RGB565, are rounded at most.
FEW_LEVELS = 64
# Of all that is cut off at both ends, from which on an end is named.
CUT_OFF_SHARE = 0.05
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

    `levels_off` is the root mean square in levels.
    """

    slope: Float64
    offset: Float64
    levels_off: float


def _fitted_line(
    levels: Float64, values: Float64, least: float = -inf, largest: float = inf
) -> Line:
    """Fit a line to levels and results, each (N, C), which is cut off at the least and the largest."""
    weights = ((values > least) & (values < largest)) + _TINY
    mean_levels, mean_values = (
        np.average(pixels, axis=0, weights=weights) for pixels in (levels, values)
    )
    centred = levels - mean_levels
    products = weights * centred * (values - mean_values)
    slope = products.sum(axis=0) / ((weights * centred**2).sum(axis=0) + _TINY)
    slope = np.where(np.abs(slope) > _TINY, slope, _TINY)
    offset = mean_values - slope * mean_levels
    errors = (slope * levels + offset).clip(least, largest) - values
    return Line(slope, offset, float(np.sqrt(np.mean((errors / slope) ** 2))))


class Colours(NamedTuple):
    """How results come from levels: the share of their spread that is unexplained, and the line, if any.

    `channels` is an order that has a name; else `words` say what is done at a step.
    """

    unexplained_share: float
    line: Line | None = None
    channels: str = ""
    step: str = "channels"
    words: str = ""


def colours_of(expected: Pipeline, levels: Float64, values: Float64) -> Colours:
    """Return how levels (N, 3) become results (N, C): as expected where that is as near."""
    candidates = [_mixed(levels, values)]
    curves: list[Colours] = []
    for order in dict.fromkeys((expected.channels, *CHANNELS)):
        ordered_levels = ordered(levels, order)
        if ordered_levels.shape == values.shape:
            curves.append(_curved(ordered_levels, values, order))
    if curves:
        curve = min(curves, key=BY_UNEXPLAINED_SHARE)
        limit = UNEXPLAINED_RATIO * curve.unexplained_share
        first = curves[0]
        if first.channels == expected.channels and first.unexplained_share <= limit:
            curve = first
        straight = _straight(levels, values, curve.channels)
        if straight.unexplained_share <= SAME_LEVELS / (levels.std() + _TINY):
            return straight
        candidates.append(curve)
    best = min(candidates, key=BY_UNEXPLAINED_SHARE)
    least_share = unexplained_share(levels, values)
    if best.unexplained_share > UNEXPLAINED_RATIO * least_share:
        best = Colours(least_share, words=_ANY_COLOURS)
    if (
        curves
        and UNEXPLAINED_RATIO * best.unexplained_share > straight.unexplained_share
    ):
        return straight
    return best


def smoothed_colours_of(
    expected: Pipeline, rough: Colours, levels: Float64, values: Float64
) -> Colours:
    """Return how colours become results where fine detail, which may be missing, is averaged."""
    smooth = colours_of(expected, levels, values)
    if smooth.line is None or rough.line is None:
        return smooth
    # A blur flattens the line, too.
    levels_off = max(smooth.line.levels_off, rough.line.levels_off / UNEXPLAINED_RATIO)
    return smooth._replace(line=smooth.line._replace(levels_off=levels_off))


def ordered(levels: Float64, channels: str) -> Float64:
    """Return levels (..., 3) in an order of channels, (..., C)."""
    return np.asarray(order_channels(levels.astype(np.float32), channels), float)


def _mixed(levels: Float64, values: Float64) -> Colours:
    """Make each channel of the results a sum of all channels."""
    mean_levels = levels.mean(axis=0)
    centred_values = values - values.mean(axis=0)
    # (3, C): how much of red, green and blue is in each channel of the results.
    weights = np.linalg.lstsq(levels - mean_levels, centred_values)[0]
    errors = centred_values - (levels - mean_levels) @ weights
    error_share = float(np.std(errors) / (np.std(centred_values) + _TINY))
    parts = np.abs(weights) / (np.abs(weights).sum(axis=0) + _TINY)
    spreads = centred_values.std(axis=0)
    is_constant = spreads <= CONSTANT_SPREAD_SHARE * spreads.max()
    main_channels = np.array([*"rgb"])[parts.argmax(axis=0)]
    names = np.where(is_constant, "a constant", main_channels)
    words = (", " if is_constant.any() else "").join(names)
    is_mixture = (parts.max(axis=0) < MAIN_CHANNEL_SHARE) & ~is_constant
    if words in CHANNELS or np.any(is_mixture):
        words = "mixtures of them, as in YCrCb, YUV or at another saturation,"
        if np.ptp(parts, axis=1).max() < SAME_MIXTURE_DIFFERENCE:
            words = "one mixture of them, such as their mean,"
        if error_share > UNDOUBTED_UNEXPLAINED_SHARE:
            return Colours(error_share, words=_ANY_COLOURS)
    # A grey level is in all channels.
    offset = values.mean(axis=0) - mean_levels @ weights
    line = Line(weights.sum(axis=0), offset, error_share * float(levels.std()))
    return Colours(error_share, line, words=words)


def _straight(levels: Float64, values: Float64, channels: str) -> Colours:
    """Make each channel of the results a line of its level, cut off at both ends where it must be."""
    ordered_levels = ordered(levels, channels)
    ends = values.min(), values.max()
    line = _fitted_line(ordered_levels, values)
    cut_off = _fitted_line(ordered_levels, values, least=ends[0], largest=ends[1])
    spread = float(levels.std()) + _TINY
    if line.levels_off <= max(SAME_LEVELS, UNEXPLAINED_RATIO * cut_off.levels_off):
        return Colours(line.levels_off / spread, line, channels)
    uncut = cut_off.slope * ordered_levels + cut_off.offset
    lengths = [np.sum(length.clip(0)) for length in (ends[0] - uncut, uncut - ends[1])]
    names = [
        short(end)
        for end, length in zip(ends, lengths, strict=True)
        if length > CUT_OFF_SHARE * sum(lengths)
    ]
    words = f"cut off at {' and '.join(names)}"
    share = cut_off.levels_off / spread
    return Colours(share, cut_off, channels, step="cast", words=words)


def _curved(levels: Float64, values: Float64, channels: str) -> Colours:
    """Make each channel of the results any function of its level; both are (N, C)."""
    by_level = np.take_along_axis(values, levels.argsort(axis=0), axis=0)
    rises = np.diff(by_level, axis=0)
    spread = np.std(values - values.mean(axis=0)) + _TINY
    # The difference of two numbers varies by the root of 2 more than each.
    error_share = float(np.std(rises) / spread / np.sqrt(2))
    counts = [len(np.unique(channel)) for channel in values.T]
    if max(counts) <= min(FEW_LEVELS, len(np.unique(levels)) / UNEXPLAINED_RATIO):
        words = f"only {max(counts)} levels"
        return Colours(error_share, channels=channels, step="cast", words=words)
    words = "a curve, such as gamma, contrast or equalisation,"
    if np.abs(rises).max() > JUMP_SHARE * np.ptp(values):
        words = "a jump, as where bytes wrap around,"
    return Colours(error_share, channels=channels, step="scaling", words=words)


def with_colours(expected: Pipeline, pipeline: Pipeline, colours: Colours) -> Pipeline:
    """Return a pipeline with channels and scaling, as expected where nothing is known."""
    line = colours.line
    channels = colours.channels or expected.channels
    pipeline = pipeline.replace(channels=channels, scaling=())
    if (
        line is not None
        and line.levels_off <= STRANGE_LEVELS
        and line.slope.size == pipeline.channel_count
    ):
        return pipeline.replace(**_scaling_of_line(expected, line))
    if fits(expected.scaling, pipeline.channel_count):
        return pipeline.replace(scaling=expected.scaling, invert=expected.invert)
    return pipeline


def with_fill(
    pipeline: Pipeline, line: Line, values_around: Float64
) -> tuple[Pipeline, WordsByStep]:
    """Return a pipeline that fills up as results around a photo do, and in words what no fill does."""
    if not len(values_around):
        return pipeline, {}
    levels = (values_around - line.offset) / line.slope
    fill_levels = np.median(levels, axis=0)
    is_other_colour = np.abs(levels - fill_levels).max(axis=-1) > STRANGE_LEVELS
    if is_other_colour.mean() > STRANGE_PIXELS_SHARE:
        return pipeline, {"resize": _SEVERAL_FILLS}
    fill = np.resize(fill_levels.round().clip(0, 255), 3).astype(int)
    if np.abs(fill - pipeline.fill).max() > 1.5 + line.levels_off:
        pipeline = pipeline.replace(fill=tuple(fill.tolist()))
    return pipeline, {}


def _scaling_of_line(expected: Pipeline, line: Line) -> Changes:
    """Return the scaling that makes the line, one with a name if it is within this many levels."""
    slope, offset, levels_off = line
    slope_sizes = np.abs(slope)
    if np.any(slope_sizes <= max(_TINY, CONSTANT_SPREAD_SHARE * slope_sizes.max())):
        # A channel of one colour says nothing of it.
        return {"invert": expected.invert, "scaling": expected.scaling}
    tolerance = max(0.5, SCALING_LEVELS_RATIO * levels_off) * slope_sizes
    undivided = tuple(replace(scaling, divisor=1.0) for scaling in expected.scaling)
    single = [expected.scaling, *SCALINGS.values(), undivided]
    double = [first + second for first in single for second in single]
    scalings = [scaling for scaling in single + double if fits(scaling, slope.size)]
    # The same line of the inverted levels, 255 - x.
    lines_by_invert = {False: (slope, offset), True: (-slope, 255 * slope + offset)}
    for invert in (expected.invert, not expected.invert):
        for scaling in scalings:
            if same_line(affine(scaling), lines_by_invert[invert], tolerance):
                return {"invert": invert, "scaling": scaling}
    if levels_off > ROUGH_LEVELS:
        return {"invert": expected.invert, "scaling": expected.scaling}
    slope, offset = lines_by_invert[expected.invert]
    level_of_zero = -offset / slope
    # Less than half a level is what rounding makes of none.
    level_of_zero = np.where(np.abs(level_of_zero) < 0.5, 0, level_of_zero)
    is_of_0_to_1 = any(scaling.divisor == 255 for scaling in expected.scaling)
    # A mean in the unit of the one that is expected.
    divisor = 255.0 if is_of_0_to_1 and level_of_zero.any() else 1.0
    fitted = Scaling(
        divisor=divisor,
        mean=_in_four_digits(level_of_zero / divisor) or None,
        std=_in_four_digits(1 / slope / divisor),
    )
    return {"invert": expected.invert, "scaling": fitted}


def _in_four_digits(values: Float64) -> float | tuple[float, ...]:
    """Return numbers of four digits, or the one that all are."""
    rounded = tuple(float(f"{value:.4g}") for value in values)
    return rounded[0] if len({*rounded}) == 1 else rounded
