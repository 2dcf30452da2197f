"""Working out from its result what a person's own preprocessing function does to a picture.

A function cannot be looked into, so its result is explained backwards: layout, size, window and filter,
channel order, and the straight line that leads from the pixels to its values. How well that rebuilds the
result is measured and said.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from kit._arrays import Array, Float64, Pixels
from kit.images import Photo, Source, load_image
from kit.preprocessing.comparison import ROUNDING, Comparison, differences, short, step_difference
from kit.preprocessing.operations import run
from kit.preprocessing.pipeline import PIPELINE, Pipeline
from kit.preprocessing.reconstruction import ENOUGH_PIXELS, SAME_LEVELS, View, best_views
from kit.preprocessing.resizing import fit_words, sides
from kit.preprocessing.scaling import MINUS, SCALINGS, Scaling, Scalings, affine, same_line, scaling_words

Function = Callable[[Pixels], Any]

# Root mean square in 8-bit levels, above which two pictures do not show the same.
STRANGE_LEVELS = 25.0


def compare_function(here: Pipeline, function: Function, photo: Source | None = None) -> Comparison:
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
        problem = f"raised {type(error).__name__}: {' '.join(str(error).split())[:200]}".removesuffix(": ")
    if problem:
        return Comparison((f"function: {problem}",), "function", (), opened.name)
    ours = run(PIPELINE, here, opened)
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
    words = tuple(text for _, text in findings)
    return Comparison(words, findings[0][0] if findings else None, steps, opened.name, tuple(notes))


def _findings(here: Pipeline, pixels: Pixels, theirs: Float64, notes: list[str]) -> list[tuple[str, str]]:
    """Return (step, words) for every difference, in the order of the pipeline."""
    if np.ptp(theirs) == 0:
        return [("tensor", f"values: a picture here, {short(theirs.flat[0])} everywhere there")]
    cast = _cast_finding(here, pixels, theirs)
    if cast is not None:
        return cast
    ours, best = best_views(here, pixels, theirs)
    left = f"{best.levels:.2f} levels (root mean square)"
    size = here.size or (pixels.shape[0], pixels.shape[1])
    findings = []
    if best.size != size:
        findings.append(("resize", f"size: {sides(size)} here, {sides(best.size)} there"))
    if best.levels > STRANGE_LEVELS:
        nearest = f"{best.layout}, {best.fit} and {best.filter}"
        text = f"content: nothing tried explains it; nearest are {nearest}, off by {left}"
        return [*findings, ("tensor", text)]
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


def _resize_findings(here: Pipeline, ours: View, best: View) -> list[tuple[str, str]]:
    if here.size is None or ours is best or ours.levels <= SAME_LEVELS:
        return []
    exactly = "" if best.levels <= SAME_LEVELS else "something nearest to "
    apart = f"(the own one is off by {ours.levels:.2f} levels, this one by {best.levels:.2f})"
    fits = (fit_words(one.fit, one.crop_fraction) for one in (here, best))
    return [
        ("resize", f"{name}: {mine} here, {exactly}{there} there {apart}")
        for name, mine, there in (("filter", here.filter, best.filter), ("fit", *fits))
        if mine != there
    ]


def _scaling_findings(here: Pipeline, best: View) -> list[tuple[str, str]]:
    slope, offset = _line_of(here.scaling, here.invert)
    if _agree((slope, offset), best):
        return []
    relation = _relation(slope, offset, best)
    for inverted in (here.invert, not here.invert):
        for scaling in (here.scaling, *_scalings(here.scaling)):
            expressible = all(part.channels in {None, here.channel_count} for part in scaling)
            if not expressible or not _agree(_line_of(scaling, inverted), best):
                continue
            there = here.replace(invert=inverted, scaling=scaling)
            found = differences(here, there)
            return [(step, f"{text}: {relation}" if step == "scale" else text) for step, text in found]
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


def _agree(line: tuple[Float64, Float64], best: View) -> bool:
    """Tell whether two lines stay within half a level of each other from 0 to 255."""
    if np.size(line[0]) not in {1, np.size(best.slope)}:
        return False
    return same_line(line, (best.slope, best.offset), 0.5 * np.abs(best.slope) + ROUNDING)


def _relation(slope: Float64, offset: Float64, best: View) -> str:
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


def _cast_finding(here: Pipeline, pixels: Pixels, theirs: Float64) -> list[tuple[str, str]] | None:
    """Find a cast to whole numbers after scaling: no straight line, so it is tried out."""
    if here.cast is not None or np.unique(theirs.ravel()[:: max(1, theirs.size // ENOUGH_PIXELS)]).size > 16:
        return None
    photo = Photo.from_array(pixels)
    for scaling in (here.scaling, *SCALINGS.values()):
        try:
            scaled = here.replace(scaling=scaling)
        except ValueError:
            continue
        signed = np.trunc(run(PIPELINE, scaled, photo)[0])
        for rebuilt in (run(PIPELINE, scaled.replace(cast="uint8"), photo)[0], signed):
            if rebuilt.shape == theirs.shape and np.mean(rebuilt != theirs) < 0.02:
                few = ", ".join(short(value) for value in np.unique(theirs)[:6])
                text = f"cast: none here, to whole numbers after scaling there; only {few} are left"
                return [*differences(here, scaled), ("cast", text)]
    return None


def _unusable(theirs: Array) -> str | None:
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
    red = rows / 300 + 0.3 * np.sin(columns / 9)
    green = columns / 400 + 0.3 * np.sin(rows / 7 + columns / 31)
    blue = np.hypot(rows - 60, columns - 310) / 400 + 0.2 * np.sin(columns * rows / 900)
    waves = np.stack([red, green, blue], axis=-1)
    grain = np.random.default_rng(0).normal(0, 0.05, waves.shape)
    return Photo.from_array((255 * (waves + grain).clip(0, 1)).astype(np.uint8), "a made-up picture")
