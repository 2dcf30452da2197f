"""Pairs of pictures that may show the same, by an indexed search in place of a look at all pairs."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from kit._arrays import Array, Bools, Float32, Int64
from kit._reporting import Progress, Steps
from kit.validation.duplicates.alignment import box, cubic

_FREQUENCIES = 6
"""Cosines along each side that describe a picture; finer ones do not survive a shift by half a pixel."""
_DIMENSIONS = 16
"""Principal components kept of those, since k-d trees are slow in more."""
_FURTHEST = 0.25
"""Largest distance of two descriptions, which have length 1 before the projection."""
_NEAREST = 3
"""Neighbours looked at for whole pictures; for crops only the nearest."""
_SHORTLIST = 12
"""Candidates kept: those that are among the nearest so many of either picture."""
_CROPS = ((0.95, 2), (0.91, 3), (0.87, 4), (0.82, 5))
"""Shares of a side that are tried, and positions along each side for each of them."""


class Candidates(NamedTuple):
    """Pairs of pictures that may show the same.

    Attributes
    ----------
    first, second
        int64, shape (P,), places among the pictures; a part of `first` resembles `second`.
    boxes
        float32, shape (P, 4), which part; see `kit.validation.duplicates.alignment.Alignment`.
    flipped
        bool, shape (P,): whether `first` is mirrored left to right before.
    """

    first: Int64
    second: Int64
    boxes: Float32
    flipped: Bools

    def part(self, start: int, stop: int) -> "Candidates":
        """Return the pairs from `start` to before `stop`."""
        return Candidates._make(each[start:stop] for each in self)


def variants(side: int) -> list[tuple[tuple[float, float, float, float], bool]]:
    """Return box and mirroring of everything that is looked up: the whole, mirrored, and 54 crops."""
    whole = box(1, 0, 0, side)
    crops = [
        box(kept, down, right, side)
        for kept, positions in _CROPS
        for down in np.linspace(0, 1, positions)
        for right in np.linspace(0, 1, positions)
    ]
    return [(whole, False), (whole, True), *((crop, False) for crop in crops)]


def candidates(pictures: Float32, sides: Bools | None, *, progress: Progress) -> Candidates:
    """Look every picture, its mirror image and crops of it up among the others.

    A picture is described by the lowest frequencies of its two-dimensional cosine transform, as a perceptual
    hash is (Zauner 2010), without the constant one and with length 1, so that brightness and contrast drop
    out; but it keeps its values, where a hash keeps signs, which collide among pictures of one kind. The
    descriptions are in a k-d tree.

    Parameters
    ----------
    pictures
        Shape (N, S, S), grey levels, none of them constant.
    sides
        Shape (N,): to which of two collections each belongs, to compare only across; None to compare all.
    progress
        As for `find_duplicates`.
    """
    described = _Description(pictures)
    everyone = np.arange(len(pictures))
    if sides is None:
        rounds = [(everyone, everyone)]
    else:
        rounds = [(everyone[sides], everyone[~sides]), (everyone[~sides], everyone[sides])]
    found = [
        part for asking, asked in rounds for part in _look_up(pictures, described, asking, asked, progress)
    ]
    first, second, number, distance = (np.concatenate(column) for column in zip(*found, strict=True))
    order = np.argsort(distance, kind="stable")
    key = np.minimum(first, second)[order] * len(pictures) + np.maximum(first, second)[order]
    nearest = order[np.unique(key, return_index=True)[1]]
    first, second, number, distance = (each[nearest] for each in (first, second, number, distance))
    short = np.minimum(_ranks(first, distance), _ranks(second, distance)) < _SHORTLIST
    first, second, number = first[short], second[short], number[short]
    boxes, flips = zip(*variants(pictures.shape[1]), strict=True)
    return Candidates(first, second, np.array(boxes, np.float32)[number], np.array(flips)[number])


class _Description:
    """From pictures to points: cosine transform, length 1, principal components of the whole pictures."""

    def __init__(self, pictures: Float32) -> None:
        side = pictures.shape[1]
        places = (np.arange(side) + 0.5) / side
        self._cosines = np.cos(np.pi * np.arange(_FREQUENCIES)[:, None] * places).astype(np.float32)
        self._cosines[0] /= np.sqrt(2)
        self._centre, self._components = np.zeros(1, np.float32), np.eye(_FREQUENCIES**2 - 1)
        points = self(pictures, box(1, 0, 0, side))
        self._centre = points.mean(axis=0)
        self._components = np.linalg.svd(np.cov(points, rowvar=False))[2][:_DIMENSIONS].T

    def __call__(self, pictures: Float32, part: tuple[float, float, float, float]) -> Float32:
        side = pictures.shape[1]
        centres = np.arange(side, dtype=np.float32) + 0.5
        rows = self._cosines @ cubic(part[1] + part[0] * centres[None] - 0.5, side)[0][0]
        columns = self._cosines @ cubic(part[3] + part[2] * centres[None] - 0.5, side)[0][0]
        points = (rows @ pictures @ columns.T).reshape(len(pictures), -1)[:, 1:]
        points /= np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-6)
        return np.asarray((points - self._centre) @ self._components, np.float32)


def _look_up(
    pictures: Float32, described: _Description, asking: Int64, asked: Int64, progress: Progress
) -> Iterator[tuple[Int64, ...]]:
    """Yield first, second, number of the variant and distance."""
    from scipy.spatial import cKDTree  # noqa: PLC0415 (slow to import)

    side = pictures.shape[1]
    tree = cKDTree(described(pictures[asked], box(1, 0, 0, side)))
    looked_up = Steps(variants(side), "Searching", "variant", progress)
    for number, (part, flipped) in enumerate(looked_up):
        queries = pictures[asking][:, :, ::-1] if flipped else pictures[asking]
        nearest = 1 + (_NEAREST if part[0] == 1 else 1)  # one more, since a picture may find itself
        # One worker: threads of scipy would go on after an interrupt and write to arrays that are gone.
        distances, places = tree.query(
            described(queries, part), k=np.arange(1, nearest + 1), distance_upper_bound=_FURTHEST
        )
        row, column = np.nonzero(np.isfinite(distances))
        first, second = asking[row], asked[places[row, column]]
        other = first != second
        yield (first[other], second[other], np.full(other.sum(), number), distances[row, column][other])


def _ranks(members: Int64, distances: Array) -> Int64:
    """How many candidates of the same member are nearer."""
    order = np.lexsort((distances, members))
    ordered = members[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(ordered) else np.zeros(0, int)
    ranks = np.empty(len(members), np.int64)
    ranks[order] = np.arange(len(members)) - np.repeat(starts, np.diff(np.r_[starts, len(members)]))
    return ranks
