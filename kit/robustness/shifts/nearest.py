"""Which alteration, or which two of them, come nearest to a movement."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kit._arrays import Float64
from kit.robustness.shifts.responses import Path, together


@dataclass(frozen=True, eq=False)
class Nearest:
    """One alteration, or two, where they come nearest to a movement.

    Attributes
    ----------
    paths
        Of the alterations.
    places
        Point on each path, an index to `kit.robustness.shifts.responses.POINTS`.
    distance
        Squared distance of Mahalanobis that is left.
    moved
        float64 (names,): the movement that goes with them.
    alone
        Distance that each of them leaves without the other.
    """

    paths: tuple[Path, ...]
    places: tuple[int, ...]
    distance: float
    moved: Float64
    alone: tuple[float, ...]

    @property
    def size(self) -> Float64:
        """float64 (names,): how far the alterations move each quantity, whether or not they cancel."""
        moved = [path.moved[place] for path, place in zip(self.paths, self.places, strict=True)]
        return np.asarray(np.abs(moved).sum(axis=0))


def distances(misses: Float64, inverse: Float64) -> Float64:
    """Squared distances of Mahalanobis: of (..., names) under an inverse covariance (names, names)."""
    return np.asarray(((misses @ inverse) * misses).sum(axis=-1))


def nearest_one(tried: Sequence[Path], movement: Float64, inverse: Float64) -> Nearest | None:
    """Return the nearest point of all paths; None without paths."""
    found = []
    for path in tried:
        left = distances(movement - path.moved, inverse)
        place = int(left.argmin())
        nearest = float(left[place])
        found.append(Nearest((path,), (place,), nearest, path.moved[place], (nearest,)))
    return min(found, key=lambda one: one.distance, default=None)


def nearest_two(
    first: Sequence[Path], second: Sequence[Path], movement: Float64, base: Float64, inverse: Float64
) -> Nearest | None:
    """Return the nearest pair of points on a path of each list, about two quantities; None without any.

    Parameters
    ----------
    first, second
        Paths over the same quantities.
    movement
        float64 (names,).
    base
        As `kit.robustness.shifts.responses.together` takes it.
    inverse
        float64 (names, names): inverse covariance.
    """
    best: Nearest | None = None
    tried: set[frozenset[int]] = set()
    for one in first:
        for other in second:
            pair = frozenset({id(one), id(other)})
            alike = one.alteration.quantity == other.alteration.quantity
            # One that the photos went through and one that the training pictures did are no pair.
            if alike or one.opposite != other.opposite or pair in tried:
                continue
            tried.add(pair)
            moved = together(one, other, base)
            left = distances(movement - moved, inverse)
            places = divmod(int(left.argmin()), left.shape[1])
            if best is None or left[places] < best.distance:
                chosen = (one.moved[places[0]], other.moved[places[1]])
                alone = tuple(float(distances(movement - each, inverse)) for each in chosen)
                best = Nearest((one, other), places, float(left[places]), moved[places], alone)
    return best
