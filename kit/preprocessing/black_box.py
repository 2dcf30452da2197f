"""Working out from its result what a person's own preprocessing function does to a picture.

A function cannot be looked into, so its result is explained backwards: layout, size, window and filter,
channel order, and the straight line that leads from the pixels to its values. How well that rebuilds the
result is measured and said.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import permutations
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kit.images import Photo, Source, load_image
from kit.preprocessing.comparison import ROUNDING, Comparison, short, sides, step_difference
from kit.preprocessing.resizing import FILTERS, FITS, Pixels, Size, resize
from kit.preprocessing.scaling import MINUS, SCALINGS, Scaling, Scalings, affine, scaling_words
from kit.preprocessing.steps import arrange_back, order_channels

if TYPE_CHECKING:
    from kit.preprocessing import Preprocessing

Float64 = NDArray[np.float64]
Function = Callable[[NDArray[np.uint8]], Any]

# Root mean square in 8-bit levels: below the first two pictures differ by rounding alone, above the second
# they do not show the same.
SAME_LEVELS, STRANGE_LEVELS = 0.6, 25.0
# So many pixels, evenly spread, are enough to tell the ways of reading a result apart.
ENOUGH_PIXELS = 20_000
_ORDERS: dict[tuple[int, ...], str] = {(0, 1, 2): "rgb", (2, 1, 0): "bgr"}


def compare_function(here: "Preprocessing", function: Function, photo: Source | None = None) -> Comparison:
    """Compare a preprocessing with a function on one photo.

    Parameters
    ----------
    here
        The preprocessing.
    function
        Takes a copy of the decoded picture, RGB uint8 (H, W, 3), and returns what ``np.asarray`` takes:
        (H, W, C), (C, H, W) or (H, W), with or without a leading axis of 1, of any data type.
    photo
        None takes a made-up picture, in which every step shows.

    Returns
    -------
    comparison
        A function that raises, or returns no picture, is a difference as well.
    """
    opened = (_made_up() if photo is None else load_image(photo)).decoded(here.decoding)
    try:
        theirs = np.asarray(function(opened.pixels.copy()))
        problem = _unusable(theirs)
    except Exception as error:  # noqa: BLE001  whatever a person's function raises is the finding
        reason = " ".join(str(error).split())[:200]
        problem = f"raised {type(error).__name__}: {reason}" if reason else f"raised {type(error).__name__}"
    if problem:
        return Comparison((f"function: {problem}",), "function", (), opened.name)
    ours = here.apply(opened)
    notes = ["the function starts from decoded pixels, so decoding is not compared"]
    if theirs.ndim == ours.ndim - 1:
        notes.append(f"the function returns no leading axis of 1, {theirs.shape}")
    elif theirs.ndim == ours.ndim:
        theirs = theirs[0]
    steps = (step_difference("tensor", ours[0], theirs),)
    if theirs.dtype != ours.dtype:
        notes.append(f"the function returns {theirs.dtype}, which Keras casts to float32")
    if not steps[0].parts:
        return Comparison((), None, steps, opened.name, tuple(notes))
    findings = _findings(here, opened.pixels, theirs.astype(np.float64), notes)
    differences = tuple(text for _, text in findings)
    return Comparison(differences, findings[0][0] if findings else None, steps, opened.name, tuple(notes))


@dataclass(frozen=True)
class _View:
    """One way to read a result: its layout, the resizing tried on the photo, and what came of it.

    `order` says which colour each of their channels holds, `slope` and `offset` lead from 8-bit levels to
    their values, and `levels` is what is left over, as a root mean square in levels.
    """

    layout: str
    size: tuple[int, int]
    fit: str
    filter: str
    crop_fraction: float
    order: str
    slope: Float64
    offset: Float64
    levels: float


def _findings(
    here: "Preprocessing", pixels: NDArray[np.uint8], theirs: Float64, notes: list[str]
) -> list[tuple[str, str]]:
    """Return (step, words) for every difference, in the order of the pipeline."""
    if np.ptp(theirs) == 0:
        return [("tensor", f"values: a picture here, {short(theirs.flat[0])} everywhere there")]
    cast = _cast_finding(here, pixels, theirs)
    if cast is not None:
        return cast
    ours, best = _best_views(here, pixels, theirs)
    left = f"{best.levels:.2f} levels (root mean square)"
    size = here.size or (pixels.shape[0], pixels.shape[1])
    findings = []
    if best.size != size:
        findings.append(("resize", f"size: {sides(size)} here, {sides(best.size)} there"))
    if best.levels > STRANGE_LEVELS:
        nearest = f"{best.layout}, {best.fit} and {best.filter}"
        return [
            *findings,
            ("tensor", f"content: nothing tried explains it; nearest are {nearest}, off by {left}"),
        ]
    findings += _resize_findings(here, ours, best)
    if best.order != here.channels:
        findings.append(("channels", f"channels: {here.channels} here, {best.order} there"))
    findings += _scaling_findings(here, best)
    if best.layout != here.layout:
        findings.append(("layout", f"layout: {here.layout} here, {best.layout} there"))
    if best.levels > SAME_LEVELS:
        findings.append(("tensor", f"values: {left} are left over, so something else happens there too"))
    else:
        what = "what is said above" if findings else "this preprocessing"
        notes.append(f"{what} rebuilds their result to {left}")
    return findings


def _best_views(here: "Preprocessing", pixels: NDArray[np.uint8], theirs: Float64) -> tuple[_View, _View]:
    """Return the best view with the own resizing and the best one of all, the own one if it is as good."""
    readings = dict(_readings(theirs, here.layout))

    @cache
    def resized(size: Size, fit: str, filter: str, fraction: float) -> Pixels:  # noqa: A002  the field's word
        same = here.size is None and size == pixels.shape[:2]
        return pixels if same else resize(pixels, size, filter, fit, fraction, here.fill)

    def view(layout: str, fit: str, filter: str, fraction: float) -> _View:  # noqa: A002  the field's word
        values = readings[layout]
        size = values.shape[0], values.shape[1]
        fitted = _fitted(resized(size, fit, filter, fraction), values, here.channels)
        return _View(layout, size, fit, filter, fraction, *fitted)

    views = [view(layout, here.fit, here.filter, here.crop_fraction) for layout in readings]
    ours = min(views, key=_levels)
    if ours.levels <= SAME_LEVELS:
        return ours, ours
    fractions = dict.fromkeys((here.crop_fraction, 1.0, 0.875))
    fits = [(fit, part) for fit in FITS for part in (fractions if "crop" in fit else (1.0,))]
    views += [view(layout, fit, here.filter, part) for layout in readings for fit, part in fits]
    best = min(views, key=_levels)
    # Only the windows that come near are tried with every filter.
    near = [one for one in views if one.layout == best.layout and one.levels <= 1.5 * best.levels + 1]
    windows = dict.fromkeys((one.fit, one.crop_fraction) for one in sorted(near, key=_levels)[:4])
    views += [view(best.layout, fit, name, part) for fit, part in windows for name in FILTERS]
    return ours, min(views, key=_levels)


def _levels(view: _View) -> float:
    return view.levels


def _readings(theirs: Float64, expected: str) -> Iterator[tuple[str, Float64]]:
    """Yield every way to read a result as (H, W, C), the expected layout first."""
    if theirs.ndim == 2:
        theirs = theirs[..., None]
    layouts = ["channels_last", "transposed", "reshaped"] if theirs.shape[2] in {1, 3} else []
    layouts += ["channels_first"] if theirs.shape[0] in {1, 3} else []
    for layout in sorted(layouts, key=lambda layout: layout != expected):
        yield layout, arrange_back(theirs, layout)
    if "channels_first" in layouts:
        channels, height, width = theirs.shape
        yield "channels_first with height and width swapped", theirs.transpose(2, 1, 0)
        yield "channels_first by reshape, which scrambles it", theirs.reshape(height, width, channels)
    if "channels_last" in layouts:
        yield "channels_last mirrored left to right", theirs[:, ::-1]
        yield "channels_last upside down", theirs[::-1]
        height, width, channels = theirs.shape
        yield (
            "channels_last by reshape from channels_first, which scrambles it",
            theirs.reshape(channels, height, width).transpose(1, 2, 0),
        )


def _fitted(picture: Pixels, values: Float64, expected: str) -> tuple[str, Float64, Float64, float]:
    """Return order, slope, offset and levels of a `_View`: how a picture explains (H, W, C) values."""
    stride = max(1, values.shape[0] * values.shape[1] // ENOUGH_PIXELS)
    flat = values.reshape(-1, values.shape[2])[::stride]
    colours = picture.reshape(-1, 1, 3)[::stride]
    luma = order_channels(colours, "gray")[:, 0].astype(np.float64)
    slope, offset, left = (part[0] for part in _lines(luma, flat))
    grey = ("gray" if flat.shape[1] == 1 else "gray_rgb"), slope, offset, float(np.sqrt(left.mean()))
    if flat.shape[1] == 1:
        return grey
    slopes, offsets, lefts = _lines(colours[:, 0].astype(np.float64), flat)
    turns = permutations(range(3))
    scores = {turn: float(np.sqrt(lefts[list(turn), [0, 1, 2]].mean())) for turn in turns}
    own = (2, 1, 0) if expected == "bgr" else (0, 1, 2)
    turn = min(scores, key=lambda turn: scores[turn])
    # On a grey picture every order is as good: the expected one it is.
    turn = own if scores[own] <= max(1.05 * scores[turn], SAME_LEVELS / 2) else turn
    if scores[turn] > grey[3] + (0 if expected == "gray_rgb" else SAME_LEVELS / 2):
        return grey
    order = _ORDERS.get(turn, "".join("rgb"[channel] for channel in turn))
    pairs = list(turn), [0, 1, 2]
    return order, slopes[pairs], offsets[pairs], scores[turn]


def _lines(pictured: Float64, values: Float64) -> tuple[Float64, Float64, Float64]:
    """Fit values[:, k] = slope[j, k] * pictured[:, j] + offset[j, k]; what is left is in squared levels."""
    mean, their_mean = pictured.mean(axis=0), values.mean(axis=0)
    pictured, values = pictured - mean, values - their_mean
    spread = np.maximum((pictured**2).mean(axis=0)[:, None], 1e-12)
    slope = pictured.T @ values / len(values) / spread
    left = np.maximum((values**2).mean(axis=0) - slope**2 * spread, 0)
    # A line that is level explains nothing.
    levels = np.where(slope**2 * spread > 1e-12 * spread, left / np.maximum(slope**2, 1e-300), np.inf)
    return slope, their_mean - slope * mean[:, None], levels


def _resize_findings(here: "Preprocessing", ours: _View, best: _View) -> list[tuple[str, str]]:
    if here.size is None or ours is best or ours.levels <= SAME_LEVELS:
        return []
    exactly = "" if best.levels <= SAME_LEVELS else "something nearest to "
    found = [
        ("resize", f"{name}: {mine} here, {exactly}{there} there")
        for name, mine, there in (
            ("filter", here.filter, best.filter),
            ("fit", _fit(here.fit, here.crop_fraction), _fit(best.fit, best.crop_fraction)),
        )
        if mine != there
    ]
    apart = f" (the own one is off by {ours.levels:.2f} levels, this one by {best.levels:.2f})"
    return [(step, text + apart) for step, text in found]


def _fit(fit: str, fraction: float) -> str:
    return f"{fit} of {100 * fraction:.4g} %" if "crop" in fit else fit


def _scaling_findings(here: "Preprocessing", best: _View) -> list[tuple[str, str]]:
    slope, offset = _line_of(here.scaling, here.invert)
    if _agree(slope, offset, best.slope, best.offset):
        return []
    relation = _relation(slope, offset, best)
    for inverted in (here.invert, not here.invert):
        for scaling in (here.scaling, *_scalings(here.scaling)):
            if not _agree(*_line_of(scaling, inverted), best.slope, best.offset):
                continue
            polarity = ("as it is", "inverted")
            found = []
            if inverted != here.invert:
                found.append(
                    ("invert", f"polarity: {polarity[here.invert]} here, {polarity[inverted]} there")
                )
            if scaling != here.scaling:
                mine = scaling_words(here.scaling)
                found.append(("scale", f"scaling: {mine} here, {scaling_words(scaling)} there: {relation}"))
            return found
    return [("scale", f"scaling: {scaling_words(here.scaling)} here, {relation}")]


def _scalings(own: Scalings) -> Iterator[Scalings]:
    yield from SCALINGS.values()
    for again in (own, *SCALINGS.values()):
        yield own + again
        yield again + own
    for part in own:
        yield (Scaling(1.0, part.mean, part.std),)
        yield (Scaling(part.divisor, None, part.std),)
        yield (Scaling(part.divisor, part.mean, None),)


def _line_of(scalings: Scalings, inverted: bool) -> tuple[Float64, Float64]:
    slope, offset = affine(scalings)
    return (-slope, 255 * slope + offset) if inverted else (slope, offset)


def _agree(slope: Float64, offset: Float64, their_slope: Float64, their_offset: Float64) -> bool:
    """Tell whether two lines stay within half a level of each other from 0 to 255."""
    if np.size(slope) not in {1, np.size(their_slope)}:
        return False
    ends = [x * (slope - their_slope) + offset - their_offset for x in (0, 255)]
    return all(bool(np.all(np.abs(end) <= 0.5 * np.abs(their_slope) + ROUNDING)) for end in ends)


def _relation(slope: Float64, offset: Float64, best: _View) -> str:
    """Return ``theirs = 255·ours`` or, where the channels differ, one such line for each."""
    if np.size(slope) not in {1, np.size(best.slope)}:
        slope, offset = np.array(1.0), np.array(0.0)
    factors = np.atleast_1d(best.slope / slope)
    shifts = np.atleast_1d(best.offset - best.slope / slope * offset)
    spread = np.abs(best.slope).max() * 0.5
    if np.ptp(factors) <= 2e-3 * np.abs(factors).max() and np.ptp(shifts) <= spread:
        factors, shifts = factors[:1], shifts[:1]
    lines = [_equation(factor, shift, spread) for factor, shift in zip(factors, shifts, strict=True)]
    return f"theirs = {lines[0]}" if len(lines) == 1 else f"theirs by channel = ({', '.join(lines)})"


def _equation(factor: float, shift: float, negligible: float) -> str:
    whole, inverse = round(factor), round(1 / factor)
    if abs(factor - 1) < 2e-3:
        text = "ours"
    elif factor > 1 and abs(factor - whole) < 2e-3 * factor:
        text = f"{whole}·ours"
    elif 0 < factor < 0.99 and abs(1 / factor - inverse) < 2e-3 / factor:
        text = f"ours / {inverse}"
    else:
        text = f"{short(factor)}·ours"
    if abs(shift) <= negligible:
        return text
    return f"{text} {'+' if shift > 0 else MINUS} {short(abs(shift))}"


def _cast_finding(
    here: "Preprocessing", pixels: NDArray[np.uint8], theirs: Float64
) -> list[tuple[str, str]] | None:
    """Find a cast to whole numbers after scaling: no straight line, so it is tried out."""
    if here.cast is not None or np.unique(theirs.ravel()[:: max(1, theirs.size // ENOUGH_PIXELS)]).size > 16:
        return None
    for scaling in (here.scaling, *SCALINGS.values()):
        try:
            candidate = here.replace(scaling=scaling, cast="uint8")
        except ValueError:
            continue
        signed = np.trunc(here.replace(scaling=scaling).apply(Photo.from_array(pixels))[0])
        for rebuilt in (candidate.apply(Photo.from_array(pixels))[0], signed):
            if rebuilt.shape == theirs.shape and np.mean(rebuilt != theirs) < 0.02:
                found = []
                if scaling != here.scaling:
                    mine, other = scaling_words(here.scaling), scaling_words(scaling)
                    found.append(("scale", f"scaling: {mine} here, {other} there"))
                few = ", ".join(short(value) for value in np.unique(theirs)[:6])
                found.append(
                    ("cast", f"cast: none here, to whole numbers after scaling there; only {few} are left")
                )
                return found
    return None


def _unusable(theirs: NDArray[Any]) -> str | None:
    if theirs.dtype.kind not in "buif":
        return f"returned {theirs.dtype} values instead of numbers"
    shape = theirs.shape[1:] if theirs.ndim == 4 and theirs.shape[0] == 1 else theirs.shape
    if len(shape) == 2 and min(shape) > 0:
        return None
    if len(shape) != 3 or min(shape) == 0 or not {shape[0], shape[2]} & {1, 3}:
        return f"returned shape {theirs.shape}, which is no picture of 1 or 3 channels"
    bad = int(np.size(theirs) - np.isfinite(theirs).sum())
    return f"returned {bad} values that are not finite" if bad else None


def _made_up() -> Photo:
    """Return a picture in which channels, corners and directions differ and there is fine detail."""
    rows, columns = np.mgrid[0:300, 0:400].astype(np.float64)
    waves = np.stack(
        [
            rows / 300 + 0.3 * np.sin(columns / 9),
            columns / 400 + 0.3 * np.sin(rows / 7 + columns / 31),
            np.hypot(rows - 60, columns - 310) / 400 + 0.2 * np.sin(columns * rows / 900),
        ],
        axis=-1,
    )
    grain = np.random.default_rng(0).normal(0, 0.05, waves.shape)
    return Photo.from_array((255 * (waves + grain).clip(0, 1)).astype(np.uint8), "a made-up picture")
