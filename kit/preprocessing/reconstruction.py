"""Explaining a tensor backwards: which reading of it and which resizing of the photo come nearest to it.

What remains is a straight line from the pixels of each channel to the values, fitted by least squares.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import permutations

import numpy as np

from kit._arrays import Array, Float64, Levels, Pixels
from kit.preprocessing.pipeline import Pipeline
from kit.preprocessing.resizing import FILTERS, FITS, Size, resize
from kit.preprocessing.scaling import Scalings, affine
from kit.preprocessing.steps import CHANNELS, arrange, arrange_back, order_channels

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
