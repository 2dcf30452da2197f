"""Which part of a photo an image shows, whatever happened to its colours."""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import product
from typing import NamedTuple

import numpy as np
from PIL import Image
from scipy.ndimage import map_coordinates

from kit._arrays import Float64
from kit.images import Photo
from kit.preprocessing.resizing import Size

# Rows and columns of cells whose means are compared.
CELLS = 32
# Levels between which a function of the level is a line.
KNOTS = np.array([0, 51, 102, 153, 204])
# Of each side of a photo, which is mirrored beyond its edges.
MARGIN = 0.5
# Of the spread of an image, up to which a row or a column is of one colour.
UNIFORM = 1e-4
# Windows of which the best is looked for nearby.
REFINED = 2
_STEPS = 0.04, 0.0004
"""First and last step of that search, as a share of the window."""
_MOVES = np.array(
    [[[1, 1], [0, 0]], [[0, 0], [1, 1]], [[-1, 1], [-1, 1]], [[-1, 1], [1, -1]]]
)
"""Down, to the right, larger, and larger along one side alone."""
_FRACTIONS = (1, 0.85, 0.7, 0.55, 0.4)
_TINY = 1e-9

Window = Float64
"""(2, 2): first and last edge of the rows and of the columns, in pixels of a photo, or beyond it."""


class Placed(NamedTuple):
    """The part of a photo that an image shows, and the share of its spread that is left over."""

    share: float
    window: Window


def left_over(levels: Float64, values: Float64) -> float:
    """Return the share of the spread of values that the levels at the same places leave unexplained.

    Explained is a function of red plus one of green plus one of blue: any mixture, order or curve.

    Parameters
    ----------
    levels, values
        float64 (N, 3) and (N, C).
    """
    bends = np.maximum(levels[:, :, None] - KNOTS, 0).reshape(len(levels), -1)
    bends -= bends.mean(axis=0)
    centred = values - values.mean(axis=0)
    squares = bends.T @ bends
    # Where all channels are the same, any of them will do.
    squares += np.eye(len(squares)) * (1e-6 * squares.diagonal().mean() + _TINY)
    products = bends.T @ centred
    explained = np.sum(products * np.linalg.solve(squares, products))
    total = np.sum(centred**2)
    if not total:
        # What is of one colour comes from what is of one colour.
        return float(np.any(bends))
    return float(np.sqrt(max(0.0, 1 - explained / total)))


class Content:
    """An image (H, W, C) between borders of one colour, in cells.

    Attributes
    ----------
    size
        Of the whole image.
    """

    def __init__(self, image: Float64) -> None:
        self.size: Size = image.shape[:2]
        self._edges = np.array([_varying(image, axis) for axis in (1, 0)])
        self._cells = [
            np.linspace(first, end, min(CELLS, end - first) + 1)
            for first, end in self._edges
        ]
        self._means = _means(_sums(image), self._cells)

    def share(self, photo: Photo, window: Window) -> float:
        """Return what is left over where the whole image shows this part of a photo."""
        sums, factor, margins = _mirrored(photo, min(self.size))
        scales = np.diff(window)[:, 0] / self.size
        lines = [
            (first + cells * scale) / factor + margin
            for cells, first, scale, margin in zip(
                self._cells, window[:, 0], scales, margins, strict=True
            )
        ]
        return left_over(_means(sums, lines), self._means)

    def best(self, photo: Photo, windows: Iterable[Window]) -> Placed:
        """Return the best of some windows."""
        return min(self._ranked(photo, windows), key=lambda placed: placed.share)

    def refined(self, photo: Photo, window: Window) -> Placed:
        """Return the best window near another one."""
        best = Placed(self.share(photo, window), window)
        step, last = _STEPS
        while step > last:
            moves = step * np.diff(best.window) * [*_MOVES, *-_MOVES]
            nearby = (best.window + move for move in moves)
            better = (
                placed
                for placed in self._ranked(photo, nearby)
                if placed.share < best.share
            )
            moved = next(better, None)
            best = moved or best
            step /= 1 if moved else 2
        return best

    def anywhere(self, photo: Photo) -> Placed:
        """Return the best window of all."""
        shape = np.diff(self._edges)[:, 0]
        windows = map(self._whole, _parts(np.array(photo.size), shape))
        ranked = sorted(self._ranked(photo, windows), key=lambda placed: placed.share)
        nearby = (self.refined(photo, placed.window) for placed in ranked[:REFINED])
        return min(nearby, key=lambda placed: placed.share)

    def _ranked(self, photo: Photo, windows: Iterable[Window]) -> Iterator[Placed]:
        return (Placed(self.share(photo, window), window) for window in windows)

    def _whole(self, part: Window) -> Window:
        """Return the window of the whole image if what is between the borders shows this part of a photo."""
        scale = np.diff(part) / np.diff(self._edges)
        first = part[:, :1] - self._edges[:, :1] * scale
        return np.asarray(first + scale * np.transpose([(0, 0), self.size]))


def apart(window: Window, usual: Window, size: Size) -> float:
    """Return how many pixels of an image of this size the edges of two windows are apart at most."""
    return float(np.max(np.abs(window - usual) / np.diff(usual) * np.c_[size]))


def _varying(image: Float64, axis: int) -> tuple[int, int]:
    """Return the first and the end of the rows, or columns, that are not of one colour."""
    spread = np.ptp(image, axis=axis).max(axis=-1)
    (inside,) = np.nonzero(spread > UNIFORM * spread.max())
    if len(inside) < 2:
        return 0, len(spread)
    return int(inside[0]), int(inside[-1]) + 1


def _sums(image: Float64) -> Float64:
    """Return the sums of all pixels above and to the left of each corner."""
    sums = image.cumsum(axis=0).cumsum(axis=1)
    return np.pad(sums, ((1, 0), (1, 0), (0, 0)))


def _means(sums: Float64, lines: Iterable[Float64]) -> Float64:
    """Return the means of the cells between lines, float64 (N, C)."""
    rows, columns = np.meshgrid(*lines, indexing="ij")
    corners = np.stack(
        [
            map_coordinates(channel, (rows, columns), order=1, mode="nearest")
            for channel in np.moveaxis(sums, -1, 0)
        ],
        axis=-1,
    )
    cells = np.diff(np.diff(corners, axis=0), axis=1)
    areas = np.diff(rows, axis=0)[:, 1:] * np.diff(columns)[1:]
    return np.asarray((cells / areas[..., None]).reshape(-1, sums.shape[2]))


@lru_cache(maxsize=8)
def _mirrored(photo: Photo, side: int) -> tuple[Float64, int, list[int]]:
    """Return sums over a photo and its mirror images, by what it was reduced, and how wide these are."""
    factor = max(1, min(photo.size) // (2 * side))
    pixels = np.asarray(Image.fromarray(photo.pixels).reduce(factor), float)
    margins = [int(MARGIN * length) for length in pixels.shape[:2]]
    widths = [(margin, margin) for margin in (*margins, 0)]
    return _sums(np.pad(pixels, widths, "symmetric")), factor, margins


def _parts(size: Float64, shape: Float64) -> Iterator[Window]:
    """Yield parts of a photo in its own proportions and in those of a shape, at edges and in the centre."""
    largest = shape * (size / shape).min()
    for fraction, sides in product(_FRACTIONS, (size, largest)):
        for anchor in product((0, 0.5, 1), repeat=2):
            first = anchor * (size - fraction * sides)
            yield np.transpose([first, first + fraction * sides])
