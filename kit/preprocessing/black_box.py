"""A person's own preprocessing function, called and compared."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property
from itertools import permutations
from operator import attrgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from kit._arrays import Array, Float64, Levels, Pixels
from kit.images import Photo, Source, load_image
from kit.images.photo import encoded
from kit.preprocessing.comparison import (
    Comparison,
    Difference,
    Effect,
    StepDifference,
    alone,
    differences,
    moved,
    short,
)
from kit.preprocessing.pipeline import (
    CHANNELS,
    PIPELINE,
    TO_SIZE,
    Pipeline,
    arrange,
    arrange_back,
    cast_uint8,
    order_channels,
    other_decodings,
    run,
)
from kit.preprocessing.resizing import FILTERS, FITS, Size, fit_words, resize, sides
from kit.preprocessing.scaling import SCALINGS, Scaling, Scalings, affine, fits, same_line, scaling_words

Function = Callable[[Any], Any]

SAME_LEVELS = 0.6
"""Root mean square in 8-bit levels, below which two pictures differ by rounding alone."""
STRANGE_LEVELS = 25.0
"""Above which they do not show the same."""
MUCH_BETTER = 4
"""How many times less must be left over to say that the picture was changed before it was resized."""
ENOUGH_PIXELS = 20_000
"""So many, evenly spread, tell the ways of reading a result apart."""


@dataclass(frozen=True)
class Called:
    """What a function returned.

    Attributes
    ----------
    tensor
        As it was returned; None where there is a problem.
    problem
        In one line, why it cannot be used; empty if it can.
    reads_file
        Whether the function opens a file by itself.
    """

    tensor: Array | None
    problem: str = ""
    reads_file: bool = False


def call(function: Function, photo: Photo) -> Called:
    """Call a function on a copy of the pixels or, where that fails, on the path of a temporary file.

    The file has the contents that the photo was decoded from, or is a PNG of its pixels.
    """
    tensor, problem = _tried(function, photo.pixels.copy())
    if not problem:
        return Called(tensor)
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        path = Path(folder, "picture").with_suffix(Path(photo.name).suffix if photo.file else ".png")
        path.write_bytes(photo.file or encoded(photo.pixels))
        tensor, reason = _tried(function, str(path))
    if not reason:
        return Called(tensor, reads_file=True)
    if reason != problem:
        problem += f" (given pixels), {reason} (given a path)"
    return Called(None, problem)


def _tried(function: Function, given: Any) -> tuple[Array | None, str]:
    try:
        tensor = np.asarray(function(given))
        return tensor, _unusable(tensor)
    except Exception as error:  # noqa: BLE001  whatever a person's function raises is the finding
        told = " ".join(str(error).split())[:200]
        return None, f"raised {type(error).__name__}: {told}".removesuffix(": ")


def _unusable(theirs: Array) -> str:
    if theirs.dtype.kind not in "buif":
        return f"returned {theirs.dtype} values instead of numbers"
    shape = theirs.shape[1:] if theirs.ndim == 4 and theirs.shape[0] == 1 else theirs.shape
    if len(shape) not in {2, 3} or min(shape) == 0 or (len(shape) == 3 and not {shape[0], shape[2]} & {1, 3}):
        return f"returned shape {theirs.shape}, which is no picture of 1 or 3 channels"
    bad = theirs.size - np.isfinite(theirs).sum()
    return f"returned {bad} values that are not finite" if bad else ""


# Layouts that no preprocessing offers: how a result is read as (H, W, C), and how it comes about.
_MISTAKEN: Mapping[str, tuple[Callable[[Array], Array], Callable[[Array], Array]]] = {
    "channels_first with height and width swapped": (np.transpose, np.transpose),
    "channels_first by reshape, which scrambles it": (
        lambda x: x.reshape(*x.shape[1:], x.shape[0]),
        lambda x: x.reshape(x.shape[2], *x.shape[:2]),
    ),
    "channels_last mirrored left to right": (np.fliplr, np.fliplr),
    "channels_last upside down": (np.flipud, np.flipud),
    "channels_last by reshape from channels_first, which scrambles it": (
        lambda x: arrange(x, "reshaped"),
        lambda x: arrange_back(x, "reshaped"),
    ),
}


@dataclass(frozen=True)
class View:
    """One way to read a tensor: its layout, the resizing tried on the photo, and what came of it.

    `order` says which colour each channel holds, `slope` and `offset` lead from 8-bit levels to values, and
    `levels` is what is left over, as a root mean square in levels.
    """

    layout: str
    size: Size
    fit: str
    filter: str
    crop_fraction: float
    order: str
    slope: Float64
    offset: Float64
    levels: float

    @classmethod
    def own(cls, here: Pipeline, pixels: Pixels) -> "View":
        """Return what a preprocessing does itself; without its thumbnail and its cast."""
        size = here.size or (pixels.shape[0], pixels.shape[1])
        line = _line(here.scaling, inverted=here.invert)
        return cls(here.layout, size, here.fit, here.filter, here.crop_fraction, here.channels, *line, 0.0)

    def rebuilt(self, pixels: Pixels, fill: tuple[int, ...]) -> Float64:
        """Return the tensor that it makes of a decoded photo, without a leading axis."""
        picture = resize(pixels, self.size, self.filter, self.fit, self.crop_fraction, fill)
        if self.order in CHANNELS:
            picture = order_channels(picture, self.order)
        else:
            picture = picture[..., ["rgb".index(colour) for colour in self.order]]
        values: Float64 = self.slope * picture + self.offset
        mistaken = _MISTAKEN.get(self.layout)
        return mistaken[1](values) if mistaken else arrange(values, self.layout)


_LEVELS = attrgetter("levels")


def _line(scalings: Scalings, *, inverted: bool) -> tuple[Float64, Float64]:
    slope, offset = affine(scalings)
    return (-slope, 255 * slope + offset) if inverted else (slope, offset)


def best_views(here: Pipeline, pixels: Pixels, tensor: Float64) -> tuple[View, View]:
    """Return the best view with the own resizing and the best one of all, the own one if it is as good.

    Parameters
    ----------
    here
        The preprocessing that is expected.
    pixels
        uint8 (H, W, 3), the decoded photo.
    tensor
        float64 of three axes, or of two for a single channel.
    """
    readings = dict(_readings(tensor, here.layout))

    @cache
    def resized(size: Size, fit: str, filter: str, fraction: float) -> Levels:  # noqa: A002  the field's word
        same = here.size is None and size == pixels.shape[:2]
        return pixels if same else resize(pixels, size, filter, fit, fraction, here.fill)

    def view(layout: str, fit: str, filter: str, fraction: float) -> View:  # noqa: A002  the field's word
        values = readings[layout]
        size = values.shape[0], values.shape[1]
        fitted = _fitted(resized(size, fit, filter, fraction), values, here.channels)
        return View(layout, size, fit, filter, fraction, *fitted)

    views = [view(layout, here.fit, here.filter, here.crop_fraction) for layout in readings]
    ours = min(views, key=_LEVELS)
    if ours.levels <= SAME_LEVELS:
        return ours, ours
    fractions = dict.fromkeys((here.crop_fraction, 1.0, 0.875))
    fits = [(fit, part) for fit in FITS for part in (fractions if "crop" in fit else (1.0,))]
    views += [view(layout, fit, here.filter, part) for layout in readings for fit, part in fits]
    best = min(views, key=_LEVELS)
    # Only the windows that come near are tried with every filter.
    near = [one for one in views if one.layout == best.layout and one.levels <= 1.5 * best.levels + 1]
    windows = dict.fromkeys((one.fit, one.crop_fraction) for one in sorted(near, key=_LEVELS)[:4])
    views += [view(best.layout, fit, name, part) for fit, part in windows for name in FILTERS]
    return ours, min(views, key=_LEVELS)


def _readings(theirs: Float64, expected: str) -> Iterator[tuple[str, Float64]]:
    if theirs.ndim == 2:
        theirs = theirs[..., None]
    layouts = ["channels_last", "transposed", "reshaped"] if theirs.shape[2] in {1, 3} else []
    layouts += ["channels_first"] if theirs.shape[0] in {1, 3} else []
    for layout in sorted(layouts, key=lambda layout: layout != expected):
        yield layout, arrange_back(theirs, layout)
    for layout, (read, _) in _MISTAKEN.items():
        if layout.split()[0] in layouts:
            yield layout, read(theirs)


def _fitted(picture: Levels, values: Float64, expected: str) -> tuple[str, Float64, Float64, float]:
    # Order, slope, offset and levels of a `View`.
    stride = max(1, values.shape[0] * values.shape[1] // ENOUGH_PIXELS)
    flat = values.reshape(-1, values.shape[2])[::stride]
    colours = picture.reshape(-1, 1, 3)[::stride]
    luma = order_channels(colours, "gray")[:, 0].astype(np.float64)
    slope, offset, left = (part[0] for part in _lines(luma, flat))
    grey = ("gray" if flat.shape[1] == 1 else "gray_rgb"), slope, offset, float(np.sqrt(left.mean()))
    if flat.shape[1] == 1:
        return grey
    slopes, offsets, lefts = _lines(colours[:, 0].astype(np.float64), flat)
    orders = {"".join("rgb"[channel] for channel in turn): list(turn) for turn in permutations(range(3))}
    scores = {order: float(np.sqrt(lefts[turn, [0, 1, 2]].mean())) for order, turn in orders.items()}
    own, order = "bgr" if expected == "bgr" else "rgb", min(scores, key=lambda order: scores[order])
    # On a grey picture every order is as good: the expected one it is.
    order = own if scores[own] <= max(1.05 * scores[order], SAME_LEVELS / 2) else order
    if scores[order] > grey[3] + (0 if expected == "gray_rgb" else SAME_LEVELS / 2):
        return grey
    pairs = orders[order], [0, 1, 2]
    return order, slopes[pairs], offsets[pairs], scores[order]


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


@dataclass(frozen=True)
class Explanation:
    """What a function does otherwise than a preprocessing, from what it made of one photo.

    Attributes
    ----------
    here
        The preprocessing.
    photo
        Decoded as the preprocessing does.
    theirs
        float64 of two or three axes, what the function returned.
    effect
        Of a difference by itself.
    """

    here: Pipeline
    photo: Photo
    theirs: Float64
    effect: Effect

    def differences(self, notes: list[str], *, decoding: bool) -> list[Difference]:
        """Return every difference, in the order of the pipeline; what is left over is added to `notes`.

        `decoding` says whether the function reads the file, so that another decoding may explain its result.
        """
        if np.ptp(self.theirs) == 0:
            text = f"values: a picture here, {short(self.theirs.flat[0])} everywhere there"
            return [self._difference("tensor", text, self.theirs)]
        if cast := list(self._cast()):
            return cast
        pixels, found = self.photo.pixels, []
        ours, best = best_views(self.here, pixels, self.theirs)
        for step, words, other in self._beforehand(decoding) if best.levels > SAME_LEVELS else ():
            views = best_views(self.here, other, self.theirs)
            if views[1].levels < best.levels / MUCH_BETTER:
                (ours, best), pixels = views, other
                found = [self._difference(step, words, self._own.rebuilt(other, self.here.fill))]
        for step, words, changes in self._explained(ours, best, pixels):
            changed = replace(self._own, **changes).rebuilt(pixels, self.here.fill)
            found.append(self._difference(step, words, changed))
        left = f"{best.levels:.2f} levels (root mean square)"
        if best.levels > STRANGE_LEVELS:
            text = f"content: nothing tried explains it; the nearest is off by {left}"
            found.append(self._difference("tensor", text, self.theirs))
        elif best.levels > SAME_LEVELS:
            text = f"values: {left} are left over, so something else happens there too"
            apart = self.effect(best.rebuilt(pixels, self.here.fill), self.theirs)
            found.append(Difference("tensor", text, apart))
        else:
            rebuilds = "what is said above" if found else "this preprocessing"
            notes.append(f"{rebuilds} rebuilds their result to {left}")
        return found

    @cached_property
    def _own(self) -> View:
        return View.own(self.here, self.photo.pixels)

    def _difference(self, step: str, words: str, changed: Array) -> Difference:
        own = self._own.rebuilt(self.photo.pixels, self.here.fill)
        return Difference(step, words, self.effect(own, changed))

    def _beforehand(self, decoding: bool) -> Iterator[tuple[str, str, Pixels]]:
        # What may be done before resizing: step, words and what becomes of the pixels.
        here = self.here
        others = list(other_decodings(here)) if decoding else []
        if here.size is not None and here.thumbnail is None:
            small = [tuple(max(side // part, 1) for side in here.size) for part in (2, 4, 8)]
            others += [here.replace(thumbnail=size) for size in small]
        for there in others:
            pixels = run(TO_SIZE, there.replace(size=None), self.photo)
            if not np.array_equal(pixels, self.photo.pixels):
                yield (*next(differences(here, there)), pixels)

    def _explained(self, ours: View, best: View, pixels: Pixels) -> Iterator[tuple[str, str, dict[str, Any]]]:
        # Step, words and the fields of the own view that this difference changes.
        here = self.here
        size = here.size or (pixels.shape[0], pixels.shape[1])
        if best.size != size:
            yield "resize", f"size: {sides(size)} here, {sides(best.size)} there", {"size": best.size}
        if best.levels > STRANGE_LEVELS:
            return
        if here.size is not None:
            nearest = "" if best.levels <= SAME_LEVELS else "something nearest to "
            apart = f"(the own one is off by {ours.levels:.2f} levels, this one by {best.levels:.2f})"
            mine, there = (fit_words(one.fit, one.crop_fraction) for one in (here, best))
            if here.filter != best.filter:
                text = f"filter: {here.filter} here, {nearest}{best.filter} there {apart}"
                yield "resize", text, {"filter": best.filter}
            if mine != there:
                text = f"fit: {mine} here, {nearest}{there} there {apart}"
                yield "resize", text, {"fit": best.fit, "crop_fraction": best.crop_fraction}
        if best.order != here.channels:
            yield "channels", f"channels: {here.channels} here, {best.order} there", {"order": best.order}
        for step, text in _scaling_findings(here, best):
            yield step, text, {"slope": best.slope, "offset": best.offset}
        if best.layout != here.layout:
            yield "layout", f"layout: {here.layout} here, {best.layout} there", {"layout": best.layout}

    def _cast(self) -> Iterator[Difference]:
        # A cast to whole numbers after scaling makes no straight line, so it is tried out.
        here, theirs = self.here, self.theirs
        few = np.unique(theirs.ravel()[:: max(1, theirs.size // ENOUGH_PIXELS)]).size <= 16
        if here.cast is not None or not few:
            return
        cast: Callable[[Array], Array] = np.trunc if theirs.min() < 0 else cast_uint8
        scalings = [each for each in SCALINGS.values() if fits(each, here.channel_count)]
        for there in (here, *(here.replace(scaling=each) for each in scalings)):
            made = cast(run(PIPELINE, there, self.photo)[0])
            if made.shape == theirs.shape and np.mean(made != theirs) < 0.02:
                break
        else:
            return
        own = run(PIPELINE, here, self.photo)[0]
        for step, words in differences(here, there):
            changed = run(PIPELINE, alone(here, there, step), self.photo)[0]
            yield Difference(step, words, self.effect(own, changed))
        left = ", ".join(short(value) for value in np.unique(theirs)[:6])
        text = f"cast: none here, to whole numbers after scaling there; only {left} are left"
        yield Difference("cast", text, self.effect(own, np.trunc(own)))


def _scaling_findings(here: Pipeline, best: View) -> Iterator[tuple[str, str]]:
    if _agree(_line(here.scaling, inverted=here.invert), best):
        return
    for inverted in (here.invert, not here.invert):
        for scaling in (here.scaling, *_scalings(here.scaling)):
            if fits(scaling, here.channel_count) and _agree(_line(scaling, inverted=inverted), best):
                yield from differences(here, here.replace(invert=inverted, scaling=scaling))
                return
    fitted = scaling_words((_fitted_scaling(best),))
    yield "scale", f"scaling: {scaling_words(here.scaling)} here, {fitted} there"


def _fitted_scaling(best: View) -> Scaling:
    std = 1 / np.atleast_1d(best.slope)
    mean = -best.offset * std
    # Less than half a level is what rounding makes of none; a Scaling takes no number beyond 1e12.
    mean = np.where(np.abs(mean) < 0.5, 0, np.clip(mean, -1e12, 1e12))
    std = np.copysign(np.maximum(np.abs(std), 1e-12), std)
    if np.ptp(mean) < 0.5 and np.ptp(std) < 2e-3 * np.abs(std).max():
        mean, std = mean[:1], std[:1]
    means, deviations = (tuple(float(f"{value:.4g}") for value in values) for values in (mean, std))
    if len(means) == 1:
        return Scaling(1.0, means[0] or None, deviations[0])
    return Scaling(1.0, means if any(means) else None, deviations)


def _scalings(own: Scalings) -> Iterator[Scalings]:
    yield from SCALINGS.values()
    for again in (own, *SCALINGS.values()):
        yield own + again
        yield again + own
    for part in own:
        yield (Scaling(1.0, part.mean, part.std),)
        yield (Scaling(part.divisor, None, part.std),)
        yield (Scaling(part.divisor, part.mean, None),)


def _agree(line: tuple[Float64, Float64], best: View) -> bool:
    # Within half a level of each other from 0 to 255.
    alike = np.size(line[0]) in {1, np.size(best.slope)}
    return alike and same_line(line, (best.slope, best.offset), 0.5 * np.abs(best.slope))


def compare_function(here: Pipeline, function: Function, photo: Source | None = None) -> Comparison:
    """Compare a preprocessing with a function on one photo.

    Parameters
    ----------
    here
        The preprocessing.
    function
        From a copy of the decoded picture, RGB uint8 (H, W, 3), or else from the path of a file, to what
        ``np.asarray`` takes: numbers (H, W, C), (C, H, W) or (H, W), with or without a leading axis of 1.
    photo
        None takes a made-up picture, in which every step shows.

    Returns
    -------
    comparison
        A function that raises, or returns no picture, is a difference as well. Its notes say whether decoding
        is compared: only a function that opens the file itself shows how it does so.
    """
    opened = (_made_up() if photo is None else load_image(photo)).decoded(here.decoding)
    return compare_called(here, call(function, opened), opened)


def compare_called(here: Pipeline, called: Called, photo: Photo, effect: Effect = moved) -> Comparison:
    """Compare a preprocessing with what a function made of a photo.

    Parameters
    ----------
    here, called
        The preprocessing, and what came of the function.
    photo
        Decoded as the preprocessing does.
    effect
        By which the differences are ordered; each is tried by itself on the tensor of the preprocessing.
    """
    notes = [_decoding_note(called, photo)]
    theirs = called.tensor
    if theirs is None:
        problem = Difference("function", f"function: {called.problem}", 1.0)
        return Comparison.on(photo.name, [problem], (), notes, "function")
    ours = run(PIPELINE, here, photo)
    if theirs.ndim == ours.ndim - 1:
        notes.append(f"the function returns no leading axis of 1, {theirs.shape}")
    elif theirs.ndim == ours.ndim:
        theirs = theirs[0]
    if theirs.dtype != ours.dtype:
        notes.append(f"the function returns {theirs.dtype}, which Keras casts to float32")
    found, step = [], StepDifference.of("tensor", ours[0], theirs)
    if step.parts:
        explanation = Explanation(here, photo, theirs.astype(np.float64), effect)
        found = explanation.differences(notes, decoding=called.reads_file)
    return Comparison.on(photo.name, found, (step,), notes, found[0].step if found else None)


def _decoding_note(called: Called, photo: Photo) -> str:
    if called.tensor is None:
        return "decoding is not compared"
    if not called.reads_file:
        return (
            "the function starts from decoded pixels, so decoding is not compared; give one that takes a path"
            " and reads the file itself"
        )
    if photo.file is None:
        return "the function reads a PNG of the pixels, since there is no file, so decoding is not compared"
    return "the function reads the file itself, so decoding is compared"


def _made_up() -> Photo:
    # Channels, corners and directions differ in it, and there is fine detail.
    rows, columns = np.mgrid[0:300, 0:400].astype(np.float64)
    red = rows / 300 + 0.3 * np.sin(columns / 9)
    green = columns / 400 + 0.3 * np.sin(rows / 7 + columns / 31)
    blue = np.hypot(rows - 60, columns - 310) / 400 + 0.2 * np.sin(columns * rows / 900)
    waves = np.stack([red, green, blue], axis=-1)
    grain = np.random.default_rng(0).normal(0, 0.05, waves.shape)
    return Photo.from_array((255 * (waves + grain).clip(0, 1)).astype(np.uint8), "a made-up picture")
