"""Which part of a photo an image shows, whatever happened to its colours."""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import product
from operator import attrgetter
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
import scipy  # its heavy parts are imported when they are used
from PIL import Image

from kit._arrays import Float64
from kit.images.photo import Photo
from kit.preprocessing.resizing import Size

# Root mean square in 8-bit levels, below which two images differ by rounding alone.
SAME_LEVELS = 0.6
# How many times more must be unexplained without a step for it to be named.
UNEXPLAINED_RATIO = 2
# Rows and columns of cells whose means are compared.
CELLS_PER_SIDE = 32
# Levels between which a function of the level is a line.
KNOT_LEVELS = np.array([0, 51, 102, 153, 204])
# Of each side of a photo, which is mirrored beyond its edges.
MARGIN_SHARE = 0.5
# Of the spread of an image, up to which a row or a column is of one colour.
UNIFORM_SPREAD_SHARE = 1e-4
# Windows of which the best is looked for nearby.
WINDOWS_REFINED = 2
_FIRST_AND_LAST_STEP = 0.04, 0.0004
"""Of that search, as a share of the window."""
_MOVES = np.array(
    [[[1, 1], [0, 0]], [[0, 0], [1, 1]], [[-1, 1], [-1, 1]], [[-1, 1], [1, -1]]]
)
"""Down, to the right, larger, and larger along one side alone."""
_SIDE_FRACTIONS = (1, 0.85, 0.7, 0.55, 0.4)
_TINY = 1e-9

Window = Float64
"""(2, 2): first and last edge of the rows and of the columns, in pixels of a photo, or beyond it."""


class Placed(NamedTuple):
    """The part of a photo that an image shows, and the share of its spread that this leaves unexplained."""

    unexplained_share: float
    window: Window


class Way(Protocol):
    """One way in which a photo may have become a result."""

    @property
    def unexplained_share(self) -> float:
        """Share of the spread of the result that it leaves unexplained."""


AnyWay = TypeVar("AnyWay", bound=Way)
BY_UNEXPLAINED_SHARE = attrgetter("unexplained_share")


def first_as_good(ways: Sequence[AnyWay], enough_share: float = 0.0) -> AnyWay:
    """Return the first of some ways, the simplest first, that explains enough or as much as any."""
    # In their order, not by the least: a later one has to leave much less unexplained.
    least = min(way.unexplained_share for way in ways)
    limit = max(enough_share, UNEXPLAINED_RATIO * least)
    return next(way for way in ways if way.unexplained_share <= limit)


def share_unexplained_by_curves(levels: Float64, values: Float64) -> float:
    """Return the share of the spread of values that the levels at the same places leave unexplained.

    Explained is a function of red plus one of green plus one of blue: any mixture, order or curve. Levels are
    float64 (N, 3), values (N, C).
    """
    if not len(levels):
        return 1.0
    # For each channel a curve, a line that bends at levels from 0 on; their sum is fitted by least squares.
    bends = np.maximum(levels[:, :, None] - KNOT_LEVELS, 0).reshape(len(levels), -1)
    bends -= bends.mean(axis=0)
    centred = values - values.mean(axis=0)
    squares = bends.T @ bends
    # Where all channels are the same, any of them will do.
    squares += np.eye(len(squares)) * (1e-6 * squares.diagonal().mean() + _TINY)
    products = bends.T @ centred
    explained = np.sum(products * np.linalg.solve(squares, products))
    variation = np.sum(centred**2)
    if variation <= _TINY**2 * np.sum(values**2):
        # A result of one colour is explained by levels of one colour (0.0) and by no others (1.0).
        return float(np.any(np.abs(bends) > _TINY))
    return float(np.sqrt(max(0.0, 1 - explained / variation)))


class Content:
    """An image (H, W, C) between borders of one colour, in cells; rows and columns of NaN are borders, too.

    `size` is that of the whole image.
    """

    def __init__(self, image: Float64) -> None:
        image = np.nan_to_num(image)
        self.size: Size = image.shape[:2]
        # (2, 2): first and end of the rows, which vary across the columns, and of the columns.
        self._content_edges = np.array(
            [_edges_of_content(image, axis) for axis in (1, 0)]
        )
        # Means of few cells are compared instead of pixels, since many windows are tried.
        self._content_cell_edges = [
            np.linspace(first, end, min(CELLS_PER_SIDE, end - first) + 1)
            for first, end in self._content_edges
        ]
        self._content_cell_means = _means_of_cells(
            _summed_area_table(image), self._content_cell_edges
        )

    def unexplained_share(self, photo: Photo, window: Window) -> float:
        """Return what is unexplained where the whole image shows this part of a photo."""
        summed_area_table, reduction_factor, margins = _mirrored_summed_area_table(
            photo, min(self.size)
        )
        scales = np.diff(window)[:, 0] / self.size
        # Where the cells of the image lie in the photo, which is smaller in the table and has margins.
        edges_in_photo = [
            (window_start + edges * scale) / reduction_factor + margin
            for edges, window_start, scale, margin in zip(
                self._content_cell_edges, window[:, 0], scales, margins, strict=True
            )
        ]
        return share_unexplained_by_curves(
            _means_of_cells(summed_area_table, edges_in_photo), self._content_cell_means
        )

    def best_of(self, photo: Photo, windows: Iterable[Window]) -> Placed:
        """Return the best of some windows."""
        return min(self._each_placed(photo, windows), key=BY_UNEXPLAINED_SHARE)

    def best_near(self, photo: Photo, window: Window) -> Placed:
        """Return the best window near another one."""
        best = Placed(self.unexplained_share(photo, window), window)
        step_share, last_step_share = _FIRST_AND_LAST_STEP
        while step_share > last_step_share:
            # Shares of the height and of the width of the window, which its edges move either way.
            moves = step_share * np.diff(best.window) * [*_MOVES, *-_MOVES]
            nearby = (best.window + move for move in moves)
            # Measured one by one, only until the first better one.
            better_placed = (
                placed
                for placed in self._each_placed(photo, nearby)
                if placed.unexplained_share < best.unexplained_share
            )
            first_better = next(better_placed, None)
            if first_better is None:
                step_share /= 2
            else:
                best = first_better
        return best

    def best_anywhere(self, photo: Photo) -> Placed:
        """Return the best window of all."""
        content_size = np.diff(self._content_edges)[:, 0]
        content_windows = [*_starting_windows(np.array(photo.size), content_size)]
        # Of windows that come twice, both would be refined, and no other.
        different_windows = np.unique(np.round(content_windows, 6), axis=0)
        windows = map(self._window_of_whole_image, different_windows)
        ranked = sorted(self._each_placed(photo, windows), key=BY_UNEXPLAINED_SHARE)
        best_starts = ranked[:WINDOWS_REFINED]
        refined = (self.best_near(photo, start.window) for start in best_starts)
        return min(refined, key=BY_UNEXPLAINED_SHARE)

    def _each_placed(self, photo: Photo, windows: Iterable[Window]) -> Iterator[Placed]:
        return (
            Placed(self.unexplained_share(photo, window), window) for window in windows
        )

    def _window_of_whole_image(self, content_window: Window) -> Window:
        """Return the window of the whole image from that of what is between its borders."""
        # Pixels of the photo for one of the image, along rows and columns.
        scale = np.diff(content_window) / np.diff(self._content_edges)
        first = content_window[:, :1] - self._content_edges[:, :1] * scale
        return np.asarray(first + scale * np.transpose([(0, 0), self.size]))


def pixels_apart(window: Window, other_window: Window, size: Size) -> float:
    """Return how many pixels of an image of this size the edges of two windows are apart at most."""
    # A window is [[top, bottom], [left, right]] in the photo. The other one fills the image, of whose pixels
    # the result is.
    return float(
        np.max(
            np.abs(window - other_window) / np.diff(other_window) * np.transpose([size])
        )
    )


def _edges_of_content(image: Float64, across_axis: int) -> tuple[int, int]:
    """Return the first and the end of the rows, or columns, that are not of one colour."""
    spread = np.ptp(image, axis=across_axis).max(axis=-1)
    (varying,) = np.nonzero(spread > UNIFORM_SPREAD_SHARE * spread.max())
    # Nothing tells content from borders.
    if len(varying) < 2:
        return 0, len(spread)
    return int(varying[0]), int(varying[-1]) + 1


def _summed_area_table(image: Float64) -> Float64:
    """Return the sums of all pixels above and to the left of each corner, (H + 1, W + 1, C)."""
    sums = image.cumsum(axis=0).cumsum(axis=1)
    return np.pad(sums, ((1, 0), (1, 0), (0, 0)))


def _means_of_cells(
    summed_area_table: Float64, cell_edges: Iterable[Float64]
) -> Float64:
    """Return the means of the cells between edges along rows and columns, float64 (N, C)."""
    # Edges along the rows, then along the columns. The table, (H + 1, W + 1, C), has the sums above and to
    # the left of each corner of a pixel, and is interpolated in between.
    rows, columns = np.meshgrid(*cell_edges, indexing="ij")
    sums_at_corners = np.stack(
        [
            scipy.ndimage.map_coordinates(
                channel, (rows, columns), order=1, mode="nearest"
            )
            for channel in np.moveaxis(summed_area_table, -1, 0)
        ],
        axis=-1,
    )
    cell_sums = np.diff(np.diff(sums_at_corners, axis=0), axis=1)
    areas = np.diff(rows, axis=0)[:, 1:] * np.diff(columns)[1:]
    return np.asarray(
        (cell_sums / areas[..., None]).reshape(-1, summed_area_table.shape[2])
    )


@lru_cache(maxsize=8)
def _mirrored_summed_area_table(
    photo: Photo, smaller_side: int
) -> tuple[Float64, int, list[int]]:
    """Return sums over a photo and its mirror images, by what it was reduced, and how wide these are."""
    # At least two pixels remain for each of the image that may show a part of it, whose smaller side this is.
    reduction_factor = max(1, min(photo.size) // (2 * smaller_side))
    pixels = np.asarray(Image.fromarray(photo.pixels).reduce(reduction_factor), float)
    margins = [int(MARGIN_SHARE * length) for length in pixels.shape[:2]]
    widths = [(margin, margin) for margin in (*margins, 0)]
    # A window may reach beyond the photo.
    return (
        _summed_area_table(np.pad(pixels, widths, "symmetric")),
        reduction_factor,
        margins,
    )


def _starting_windows(photo_size: Float64, proportions: Float64) -> Iterator[Window]:
    """Yield parts of a photo in its own proportions and in others, at edges and in the centre."""
    # `proportions` counts by the ratio of height to width alone, as of the result.
    largest_in_proportions = proportions * (photo_size / proportions).min()
    for fraction, largest in product(
        _SIDE_FRACTIONS, (photo_size, largest_in_proportions)
    ):
        sides = fraction * largest
        for anchor in product((0, 0.5, 1), repeat=2):
            first = anchor * (photo_size - sides)
            yield np.transpose([first, first + sides])
