"""Lays many pictures over others at once: the part of one, and its brightness, nearest to the other."""

from typing import Any, NamedTuple

import numpy as np

from kit._arrays import Float32

SMALLEST = 0.7
"""Smallest part of a side that is taken for a crop."""
_GAINS = (0.3, 4.0)
_WHITE = 250
_LONGEST_STEP = np.array((0.08, 1.5, 0.08, 1.5), np.float32)
"""Of one iteration, for (kept, start) of rows and of columns; further away the linear model means nothing."""


class Alignment(NamedTuple):
    """How pairs of pictures lie over each other.

    Attributes
    ----------
    boxes
        float32, shape (P, 4): share of the rows kept and first row in pixels, the same for columns.
    gains
        float32, shape (P,): the factor of the grey levels.
    aligned
        float32, shape (P, M, M): those parts of the first pictures, resized, multiplied
        and clipped to 0..255.
    targets
        float32, shape (P, M, M): the second pictures, in the same resolution.
    """

    boxes: Float32
    gains: Float32
    aligned: Float32
    targets: Float32


def align(
    first: Float32, second: Float32, boxes: Float32, steps: int, lens: Float32 | None = None
) -> Alignment:
    """Find the part of each first picture, and its brightness, that comes nearest to the second.

    Gauss-Newton on the sum of squared differences (Lucas and Kanade 1981; Baker and Matthews 2004, doi
    10.1023/B:VISI.0000011205.11775.fd) with one scale and one shift for each side and one gain. The parts are
    resized by Keys's cubic convolution (1981, doi 10.1109/TASSP.1981.1163711, a = -0.5, as Pillow's bicubic).
    Pixels that the gain drives to white and that are white do not count.

    Parameters
    ----------
    first, second
        Shape (P, N, N), grey levels 0..255. Not changed.
    boxes
        Shape (P, 4), where to begin; see `Alignment`.
    steps
        Iterations.
    lens
        Shape (M, N): rows of weights under which rows and columns are compared, to blur or to shrink.

    Returns
    -------
    Alignment
        The best of all iterations.
    """
    targets = second if lens is None else _seen(second, lens)
    side, count = first.shape[1], len(first)
    gains: Float32 | None = None
    least = np.full(count, np.inf, np.float32)
    best = Alignment(boxes.copy(), np.ones(count, np.float32), np.zeros_like(targets), targets)
    for step in range(steps + 1):
        part, slopes = _part(first, boxes, lens)
        if gains is None:
            gains = _first_gains(part, targets)
        lit = gains[:, None, None] * part
        clipped = np.clip(lit, 0, 255)
        residual = targets - clipped
        error = np.einsum("pij,pij->p", residual, residual)
        better = error < least
        least[better] = error[better]
        for kept, found in zip(best[:3], (boxes, gains, clipped), strict=True):
            kept[better] = found[better]
        if step == steps:
            break
        counted = ((lit <= 255) | (residual < 0)).astype(np.float32)
        columns = [gains[:, None, None] * slope * counted for slope in slopes]
        jacobian = np.stack([*columns, part * counted], axis=1).reshape(count, 5, -1)
        change = _solve(jacobian, (residual * counted).reshape(count, -1, 1))
        boxes = _inside(boxes + np.clip(change[:, :4], -_LONGEST_STEP, _LONGEST_STEP), side)
        gains = np.clip(gains + change[:, 4], *_GAINS)
    return best


def box(kept: float, down: float, right: float, side: int) -> tuple[float, float, float, float]:
    """Return the box that keeps a share of both sides, `down` and `right` (0..1) through what is left."""
    rest = side * (1 - kept)
    return kept, down * rest, kept, right * rest


def cubic(places: Float32, side: int) -> tuple[Float32, Float32]:
    """Return weights (P, M, N) that interpolate `side` pixels at places (P, M), and their derivatives."""
    base = np.floor(places).astype(np.int64)
    t = places - base
    square, cube = t * t, t * t * t
    weights = (-t + 2 * square - cube, 2 - 5 * square + 3 * cube, t + 4 * square - 3 * cube, cube - square)
    slopes = (-1 + 4 * t - 3 * square, -10 * t + 9 * square, 1 + 8 * t - 9 * square, 3 * square - 2 * t)
    flat = np.arange(places.size)
    matrices = np.zeros((2, places.size, side), np.float32)
    for offset, pair in enumerate(zip(weights, slopes, strict=True), start=-1):
        pixels = np.clip(base + offset, 0, side - 1).ravel()
        for matrix, values in zip(matrices, pair, strict=True):
            matrix[flat, pixels] += values.ravel() / 2
    return matrices[0].reshape(*places.shape, side), matrices[1].reshape(*places.shape, side)


def _part(pictures: Float32, boxes: Float32, lens: Float32 | None) -> tuple[Float32, tuple[Float32, ...]]:
    """Resize the boxes to the whole; with the derivatives by the four numbers of a box."""
    side = pictures.shape[1]
    centres = np.arange(side, dtype=np.float32) + 0.5
    rows, row_slopes = cubic(boxes[:, 1:2] + boxes[:, :1] * centres - 0.5, side)
    columns, column_slopes = cubic(boxes[:, 3:4] + boxes[:, 2:3] * centres - 0.5, side)
    row_scales, column_scales = row_slopes * centres[:, None], column_slopes * centres[:, None]
    if lens is not None:
        rows, row_slopes, row_scales = lens @ rows, lens @ row_slopes, lens @ row_scales
        columns, column_slopes, column_scales = lens @ columns, lens @ column_slopes, lens @ column_scales
    narrow: Any = pictures @ columns.transpose(0, 2, 1)
    low: Any = rows @ pictures
    return rows @ narrow, (
        row_scales @ narrow,
        row_slopes @ narrow,
        low @ column_scales.transpose(0, 2, 1),
        low @ column_slopes.transpose(0, 2, 1),
    )


def _seen(pictures: Float32, lens: Float32) -> Float32:
    return np.asarray(lens @ pictures @ lens.T, np.float32)


def _first_gains(part: Float32, targets: Float32) -> Float32:
    open_ = targets < _WHITE
    across, own = (part * targets * open_).sum((1, 2)), (part * part * open_).sum((1, 2))
    return np.asarray(np.clip(across / np.maximum(own, 1), *_GAINS), np.float32)


def _solve(jacobian: Float32, residual: Float32) -> Float32:
    """Least squares by the normal equations, held up slightly where they are singular."""
    normal = jacobian @ jacobian.transpose(0, 2, 1)
    diagonal = np.arange(normal.shape[1])
    normal[:, diagonal, diagonal] = 1.001 * normal[:, diagonal, diagonal] + 1e-3
    return np.asarray(np.linalg.solve(normal, jacobian @ residual)[..., 0])


def _inside(boxes: Float32, side: int) -> Float32:
    kept = np.clip(boxes[:, ::2], SMALLEST, 1)
    starts = np.clip(boxes[:, 1::2], 0, side * (1 - kept))
    return np.stack([kept[:, 0], starts[:, 0], kept[:, 1], starts[:, 1]], axis=1).astype(np.float32)
