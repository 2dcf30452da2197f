"""A person's own preprocessing function, called and compared."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from itertools import permutations
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from kit._arrays import Array, Float64, Levels, Pixels
from kit.images import Photo, Source, load_image
from kit.images.photo import encoded
from kit.preprocessing.comparison import (
    ROUNDING,
    Comparison,
    Difference,
    Effect,
    compared,
    differences,
    moved,
    short,
    step_difference,
)
from kit.preprocessing.pipeline import (
    CHANNELS,
    PIPELINE,
    TO_SIZE,
    Pipeline,
    arrange,
    arrange_back,
    order_channels,
    other_decodings,
    run,
)
from kit.preprocessing.resizing import FILTERS, FITS, Size, fit_words, resize, sides
from kit.preprocessing.scaling import MINUS, SCALINGS, Scaling, Scalings, affine, same_line, scaling_words

Function = Callable[[Any], Any]


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
    """Call a function on a copy of the pixels or, where that comes to nothing, on the path of a file.

    The file has the contents that the photo was decoded from, or is a PNG of its pixels; it is gone
    afterwards.
    """
    tensor, problem = _tried(function, photo.pixels.copy())
    if not problem:
        return Called(tensor)
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        path = Path(folder, "picture").with_suffix(Path(photo.name).suffix if photo.file else ".png")
        path.write_bytes(photo.file or encoded(photo.pixels))
        for given in (str(path), path):
            tensor, reason = _tried(function, given)
            if not reason:
                return Called(tensor, reads_file=True)
            if reason != problem and str(given) == given:
                problem += f" (given pixels), {reason} (given a path)"
    return Called(None, problem)


def _tried(function: Function, given: Any) -> tuple[Array | None, str]:
    """Return what a function makes of a picture, or in one line why that cannot be used."""
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
    if len(shape) == 2 and min(shape) > 0:
        return ""
    if len(shape) != 3 or min(shape) == 0 or not {shape[0], shape[2]} & {1, 3}:
        return f"returned shape {theirs.shape}, which is no picture of 1 or 3 channels"
    bad = int(np.size(theirs) - np.isfinite(theirs).sum())
    return f"returned {bad} values that are not finite" if bad else ""


# Root mean square in 8-bit levels, below which two pictures differ by rounding alone.
SAME_LEVELS = 0.6
# So many pixels, evenly spread, are enough to tell the ways of reading a result apart.
ENOUGH_PIXELS = 20_000
_ORDERS: dict[tuple[int, ...], str] = {(0, 1, 2): "rgb", (2, 1, 0): "bgr"}
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

    `order` says which colour each of its channels holds, `slope` and `offset` lead from 8-bit levels to its
    values, and `levels` is what is left over, as a root mean square in levels.
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


def own_view(here: Pipeline, pixels: Pixels) -> View:
    """Return what a preprocessing does itself; without its thumbnail and its cast."""
    size = here.size or (pixels.shape[0], pixels.shape[1])
    line = line_of(here.scaling, inverted=here.invert)
    return View(here.layout, size, here.fit, here.filter, here.crop_fraction, here.channels, *line, 0.0)


def line_of(scalings: Scalings, *, inverted: bool) -> tuple[Float64, Float64]:
    """Return slope and offset of a scaling, after an inversion if there is one."""
    slope, offset = affine(scalings)
    return (-slope, 255 * slope + offset) if inverted else (slope, offset)


def rebuilt(view: View, pixels: Pixels, fill: tuple[int, ...]) -> Float64:
    """Return the tensor that a view makes of a decoded photo, without a leading axis."""
    picture = resize(pixels, view.size, view.filter, view.fit, view.crop_fraction, fill)
    if view.order in CHANNELS:
        picture = order_channels(picture, view.order)
    else:
        picture = picture[..., ["rgb".index(colour) for colour in view.order]]
    values: Float64 = view.slope * picture + view.offset
    write = _MISTAKEN[view.layout][1] if view.layout in _MISTAKEN else None
    return write(values) if write else arrange(values, view.layout)


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


def _levels(view: View) -> float:
    return view.levels


def _readings(theirs: Float64, expected: str) -> Iterator[tuple[str, Float64]]:
    """Yield every way to read a result as (H, W, C), the expected layout first."""
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
    """Return order, slope, offset and levels of a `View`: how a picture explains (H, W, C) values."""
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


# So many times less must be left over to tell that the picture was changed before it was resized.
MUCH_BETTER = 4
# Root mean square in 8-bit levels, above which two pictures do not show the same.
STRANGE_LEVELS = 25.0


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
        """Return every difference, in the order of the pipeline; what is left over is added to the notes.

        Parameters
        ----------
        notes
            Texts, added to.
        decoding
            Whether the function reads the file, so that another decoding may explain its result.
        """
        if np.ptp(self.theirs) == 0:
            text = f"values: a picture here, {short(self.theirs.flat[0])} everywhere there"
            return [self._difference("tensor", text, self.theirs)]
        cast = self._cast()
        if cast is not None:
            return cast
        pixels, found = self.photo.pixels, []
        ours, best = best_views(self.here, pixels, self.theirs)
        if best.levels > SAME_LEVELS:
            for step, words, other in self._beforehand(decoding):
                views = best_views(self.here, other, self.theirs)
                if views[1].levels < best.levels / MUCH_BETTER:
                    (ours, best), pixels = views, other
                    found = [self._difference(step, words, self._own, pixels)]
        found += [self._difference(*each) for each in self._explained(ours, best, pixels)]
        left = f"{best.levels:.2f} levels (root mean square)"
        if best.levels > STRANGE_LEVELS:
            text = (
                f"content: nothing tried explains it; nearest are {best.layout}, {best.fit} and {best.filter}"
            )
            return [*found, self._difference("tensor", f"{text}, off by {left}", self.theirs)]
        if best.levels > SAME_LEVELS:
            text = f"values: {left} are left over, so something else happens there too"
            apart = self.effect(rebuilt(best, pixels, self.here.fill), self.theirs)
            return [*found, Difference("tensor", text, apart)]
        notes.append(
            f"{'what is said above' if found else 'this preprocessing'} rebuilds their result to {left}"
        )
        return found

    @property
    def _own(self) -> View:
        return own_view(self.here, self.photo.pixels)

    def _difference(
        self, step: str, words: str, alone: View | Array, pixels: Pixels | None = None
    ) -> Difference:
        """Return a difference with its effect, from what the own preprocessing becomes by it alone."""
        own = rebuilt(self._own, self.photo.pixels, self.here.fill)
        if isinstance(alone, View):
            alone = rebuilt(alone, self.photo.pixels if pixels is None else pixels, self.here.fill)
        return Difference(step, words, self.effect(own, alone))

    def _beforehand(self, decoding: bool) -> Iterator[tuple[str, str, Pixels]]:
        """Yield step, words and what becomes of the pixels, for what may be done before resizing."""
        here = self.here
        others = [here.replace(decoding=each) for each in other_decodings(here.decoding)] if decoding else []
        if here.size is not None and here.thumbnail is None:
            small = [tuple(max(side // part, 1) for side in here.size) for part in (2, 4, 8)]
            others += [here.replace(thumbnail=size) for size in small]
        for there in others:
            pixels = run(TO_SIZE, there.replace(size=None), self.photo)
            if not np.array_equal(pixels, self.photo.pixels):
                yield (*next(differences(here, there)), pixels)

    def _explained(self, ours: View, best: View, pixels: Pixels) -> Iterator[tuple[str, str, View]]:
        """Yield step, words and what the own preprocessing becomes by this difference alone."""
        here, own = self.here, self._own
        size = here.size or (pixels.shape[0], pixels.shape[1])
        if best.size != size:
            yield (
                "resize",
                f"size: {sides(size)} here, {sides(best.size)} there",
                replace(own, size=best.size),
            )
        if best.levels > STRANGE_LEVELS:
            return
        for words, changes in _resize_words(here, ours, best):
            yield "resize", words, replace(own, **changes)
        if best.order != here.channels:
            text = f"channels: {here.channels} here, {best.order} there"
            yield "channels", text, replace(own, order=best.order)
        for step, text in _scaling_findings(here, best):
            yield step, text, replace(own, slope=best.slope, offset=best.offset)
        if best.layout != here.layout:
            text = f"layout: {here.layout} here, {best.layout} there"
            yield "layout", text, replace(own, layout=best.layout)

    def _cast(self) -> list[Difference] | None:
        """Find a cast to whole numbers after scaling: no straight line, so it is tried out."""
        here, theirs = self.here, self.theirs
        few = np.unique(theirs.ravel()[:: max(1, theirs.size // ENOUGH_PIXELS)]).size <= 16
        if here.cast is not None or not few:
            return None
        for there in self._otherwise():
            signed = np.trunc(run(PIPELINE, there, self.photo)[0])
            for tried in (run(PIPELINE, there.replace(cast="uint8"), self.photo)[0], signed):
                if tried.shape == theirs.shape and np.mean(tried != theirs) < 0.02:
                    return self._with_cast(there)
        return None

    def _otherwise(self) -> Iterator[Pipeline]:
        """Yield the preprocessing with every usual scaling and window, its own first."""
        here = self.here
        windows = dict.fromkeys([(here.fit, here.crop_fraction), ("squash", 1.0), ("crop", 1.0)])
        for fit, fraction in windows if here.size is not None else [(here.fit, here.crop_fraction)]:
            for scaling in (here.scaling, *SCALINGS.values()):
                if all(part.channels in {None, here.channel_count} for part in scaling):
                    yield here.replace(fit=fit, crop_fraction=fraction, scaling=scaling)

    def _with_cast(self, there: Pipeline) -> list[Difference]:
        own, theirs = self._own, own_view(there, self.photo.pixels)
        alone = {
            "resize": replace(own, fit=theirs.fit, crop_fraction=theirs.crop_fraction),
            "scale": replace(own, slope=theirs.slope, offset=theirs.offset),
        }
        left = ", ".join(short(value) for value in np.unique(self.theirs)[:6])
        text = f"cast: none here, to whole numbers after scaling there; only {left} are left"
        found = [self._difference(*told, alone[told[0]]) for told in differences(self.here, there)]
        cast = np.trunc(rebuilt(own, self.photo.pixels, self.here.fill))
        return [*found, self._difference("cast", text, cast)]


def _resize_words(here: Pipeline, ours: View, best: View) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield in words what another resizing does, and the fields that it changes."""
    if here.size is None or ours is best or ours.levels <= SAME_LEVELS:
        return
    exactly = "" if best.levels <= SAME_LEVELS else "something nearest to "
    apart = f"(the own one is off by {ours.levels:.2f} levels, this one by {best.levels:.2f})"
    mine, there = (fit_words(one.fit, one.crop_fraction) for one in (here, best))
    fit = {"fit": best.fit, "crop_fraction": best.crop_fraction}
    for name, own, other, changes in (
        ("filter", here.filter, best.filter, {"filter": best.filter}),
        ("fit", mine, there, fit),
    ):
        if own != other:
            yield f"{name}: {own} here, {exactly}{other} there {apart}", changes


def _scaling_findings(here: Pipeline, best: View) -> list[tuple[str, str]]:
    slope, offset = line_of(here.scaling, inverted=here.invert)
    if _agree((slope, offset), best):
        return []
    for inverted in (here.invert, not here.invert):
        for scaling in (here.scaling, *_scalings(here.scaling)):
            expressible = all(part.channels in {None, here.channel_count} for part in scaling)
            if not expressible or not _agree(line_of(scaling, inverted=inverted), best):
                continue
            there = here.replace(invert=inverted, scaling=scaling)
            return list(differences(here, there))
    relation = _relation(slope, offset, best)
    return [("scale", f"scaling: {scaling_words(here.scaling)} here, there {relation}")]


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
    """Tell whether two lines stay within half a level of each other from 0 to 255."""
    if np.size(line[0]) not in {1, np.size(best.slope)}:
        return False
    return same_line(line, (best.slope, best.offset), 0.5 * np.abs(best.slope) + ROUNDING)


def _relation(slope: Float64, offset: Float64, best: View) -> str:
    """Return ``255 × the value here`` or, where the channels differ, one such line for each."""
    if np.size(slope) not in {1, np.size(best.slope)}:
        slope, offset = np.array(1.0), np.array(0.0)
    factors = np.atleast_1d(best.slope / slope)
    shifts = np.atleast_1d(best.offset - best.slope / slope * offset)
    spread = np.abs(best.slope).max() * 0.5
    if np.ptp(factors) <= 2e-3 * np.abs(factors).max() and np.ptp(shifts) <= spread:
        factors, shifts = factors[:1], shifts[:1]
    lines = [_equation(factor, shift, spread) for factor, shift in zip(factors, shifts, strict=True)]
    return lines[0] if len(lines) == 1 else f"by channel ({', '.join(lines)})"


def _equation(factor: float, shift: float, negligible: float) -> str:
    whole, inverse = round(factor), round(1 / factor)
    if abs(factor - 1) < 2e-3:
        text = "the value here"
    elif factor > 1 and abs(factor - whole) < 2e-3 * factor:
        text = f"{whole} × the value here"
    elif 0 < factor < 0.99 and abs(1 / factor - inverse) < 2e-3 / factor:
        text = f"the value here / {inverse}"
    else:
        text = f"{short(factor)} × the value here"
    if abs(shift) <= negligible:
        return text
    return f"{text} {'+' if shift > 0 else MINUS} {short(abs(shift))}"


def compare_function(here: Pipeline, function: Function, photo: Source | None = None) -> Comparison:
    """Compare a preprocessing with a function on one photo.

    Parameters
    ----------
    here
        The preprocessing.
    function
        Takes a copy of the decoded picture, RGB uint8 (H, W, 3), or else the path of a file, and returns what
        ``np.asarray`` takes: (H, W, C), (C, H, W) or (H, W), with or without a leading axis of 1, of any data
        type.
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
        return compared([problem], "function", (), photo.name, notes)
    ours = run(PIPELINE, here, photo)
    if theirs.ndim == ours.ndim - 1:
        notes.append(f"the function returns no leading axis of 1, {theirs.shape}")
    elif theirs.ndim == ours.ndim:
        theirs = theirs[0]
    steps = (step_difference("tensor", ours[0], theirs),)
    if theirs.dtype != ours.dtype:
        notes.append(f"the function returns {theirs.dtype}, which Keras casts to float32")
    if not steps[0].parts:
        return compared([], None, steps, photo.name, notes)
    explanation = Explanation(here, photo, theirs.astype(np.float64), effect)
    found = explanation.differences(notes, decoding=called.reads_file)
    return compared(found, found[0].step if found else None, steps, photo.name, notes)


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
    """Return a picture in which channels, corners and directions differ and there is fine detail."""
    rows, columns = np.mgrid[0:300, 0:400].astype(np.float64)
    red = rows / 300 + 0.3 * np.sin(columns / 9)
    green = columns / 400 + 0.3 * np.sin(rows / 7 + columns / 31)
    blue = np.hypot(rows - 60, columns - 310) / 400 + 0.2 * np.sin(columns * rows / 900)
    waves = np.stack([red, green, blue], axis=-1)
    grain = np.random.default_rng(0).normal(0, 0.05, waves.shape)
    return Photo.from_array((255 * (waves + grain).clip(0, 1)).astype(np.uint8), "a made-up picture")
