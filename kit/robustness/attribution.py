"""Which alteration explains a shift."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import NamedTuple

import numpy as np

from kit._arrays import Float64
from kit.classifier.reference import InputStatistics
from kit.images.properties import QUANTITIES
from kit.perturbation.alterations import ALTERATIONS, Alteration, mean_known, scaled_rows

POINTS = np.arange(0.1, 3.51, 0.1)
"""Where the path from no alteration (0) over its three strengths (1, 2, 3) and a little further is tried."""

LIGHT = frozenset({"darker", "brighter", "flatter", "harder"})
"""Alterations whose factor the deviation of noise is to be compared with."""

_NOISE = frozenset({"noise", "colour_noise"})
_SHARES = frozenset({"highlights", "shadows"})


@dataclass(frozen=True, eq=False)
class Path:
    """Movement along one alteration, or along its opposite, which the training images went through.

    Attributes
    ----------
    alteration, opposite
        Which.
    names
        Quantities that are looked at.
    corners
        float64 (5, names): movement at no alteration, at its three strengths and as far again.
    """

    alteration: Alteration
    opposite: bool
    names: tuple[str, ...]
    corners: Float64

    @classmethod
    def of(
        cls, alteration: Alteration, response: Float64, names: tuple[str, ...], *, opposite: bool
    ) -> "Path":
        """Make a path from the response (strengths, names) of training images; what is unknown stays."""
        moved = np.nan_to_num(response) * (-1 if opposite else 1)
        return cls(
            alteration, opposite, names, np.vstack([np.zeros(len(names)), moved, 2 * moved[-1] - moved[-2]])
        )

    @cached_property
    def moved(self) -> Float64:
        """Movement at `POINTS`: float64 (points, names)."""
        return self._at(POINTS)

    @property
    def strengths(self) -> Float64:
        """Strengths at `POINTS`: float64 (points,)."""
        return np.asarray(np.interp(POINTS, np.arange(5), self._strengths()))

    def credible(self, movement: Float64) -> bool:
        """Whether its quantity, or one that speaks for it, has moved the way that it does."""
        along = self.corners[-2] * movement
        about = self.alteration.about
        return any(moved > 0 for name, moved in zip(self.names, along, strict=True) if name in about)

    def _strengths(self) -> Float64:
        given = self.alteration.strengths
        # Factors and qualities that fall have an end; those that rise go on.
        return np.array([self.alteration.neutral, *given, max(given[-1], 2 * given[-1] - given[-2])])

    def _at(self, points: Float64) -> Float64:
        return np.stack([np.interp(points, np.arange(5), corner) for corner in self.corners.T], axis=-1)

    def _in_light(self, factors: Float64) -> Float64:
        """Movement by noise on pictures whose light was changed first: (factors, points, names).

        Noise on a picture of half the light is to everything in it what noise of twice the deviation is to
        the picture itself. What is measured in levels is left out.
        """
        deviations = self.strengths / factors[:, None]
        moved = self._at(np.interp(deviations, self._strengths(), np.arange(5)))
        absolute = [name in _NOISE | _SHARES for name in self.names]
        return np.where(absolute, self.moved, moved)


def together(one: Path, other: Path, base: Float64) -> Float64:
    """Return the movement under two alterations: float64 (points, points, names), at `POINTS` of each.

    ``base``, float64 (names,), has the means of the training images on the scale of `Quantity.scaled`.
    Movements add, but for three things. Noise is added to what light has become. What both of them lower,
    and cannot fall below nothing, is lowered by the product of their shares; so are black and white pixels
    where one of them lowers those. Noise adds by squares to what else looks like noise.
    """
    first: Float64 = np.broadcast_to(one.moved[:, None], (len(POINTS), len(POINTS), len(base)))
    second: Float64 = np.broadcast_to(other.moved[None], first.shape)
    if one.alteration.name in LIGHT and _adds_noise(other):
        second = other._in_light(one.strengths)  # noqa: SLF001 (of the same class)
    elif other.alteration.name in LIGHT and _adds_noise(one):
        first = one._in_light(other.strengths).swapaxes(0, 1)  # noqa: SLF001
    linear, noise, share = (
        np.array([name in group for name in one.names])
        for group in ({name for name, item in QUANTITIES.items() if not item.logarithmic}, _NOISE, _SHARES)
    )
    falling = np.where(share, (first < 0) | (second < 0), (first < 0) & (second < 0)) & linear & (base > 0)
    product = np.divide(first * second, base, out=np.zeros_like(first), where=falling)
    squares = np.square(base + first) + np.square(base + second) - np.square(base)
    rising = noise & ((first > 0) | (second > 0))
    return np.asarray(np.where(rising, np.sqrt(np.maximum(squares, 0)) - base, first + second + product))


def _adds_noise(path: Path) -> bool:
    return path.alteration.quantity == "noise" and not path.opposite


def paths(response: Float64, names: tuple[str, ...]) -> tuple[Path, ...]:
    """Return the path of every alteration, and of the opposites that there are.

    ``response``, float64 (alterations, strengths, names), is that of `InputStatistics`.
    """
    return tuple(
        Path.of(alteration, response[row], names, opposite=opposite)
        for row, alteration in enumerate(ALTERATIONS.values())
        for opposite in ((False, True) if alteration.opposite else (False,))
    )


class Nearest(NamedTuple):
    """One alteration, or two, where they come nearest to a movement.

    Attributes
    ----------
    paths, places
        Of the alterations, and the point on each, an index to `POINTS`.
    distance
        Squared distance of Mahalanobis that is left.
    moved
        float64 (names,): the movement that goes with them.
    """

    paths: tuple[Path, ...]
    places: tuple[int, ...]
    distance: float
    moved: Float64

    @property
    def apart(self) -> tuple[Float64, ...]:
        """Movement, float64 (names,), by each alteration alone."""
        return tuple(path.moved[place] for path, place in zip(self.paths, self.places, strict=True))

    @property
    def size(self) -> Float64:
        """float64 (names,): how far the alterations move each quantity, whether or not they cancel."""
        return np.asarray(np.abs(self.apart).sum(axis=0))


def distances(misses: Float64, inverse: Float64) -> Float64:
    """Squared distances of Mahalanobis: of (..., names) under an inverse covariance (names, names)."""
    return np.asarray(((misses @ inverse) * misses).sum(axis=-1))


def nearest_one(tried: Sequence[Path], movement: Float64, inverse: Float64) -> Nearest | None:
    """Return the nearest point of all paths; None without paths."""
    found = []
    for path in tried:
        left = distances(movement - path.moved, inverse)
        place = int(left.argmin())
        found.append(Nearest((path,), (place,), float(left[place]), path.moved[place]))
    return min(found, key=lambda one: one.distance, default=None)


def nearest_two(
    first: Sequence[Path], second: Sequence[Path], movement: Float64, base: Float64, inverse: Float64
) -> Nearest | None:
    """Return the nearest pair of points on a path of each list, about two quantities; None without any.

    ``movement`` and ``base``, as `together` takes it, are float64 (names,); ``inverse`` is the inverse
    covariance (names, names).
    """
    found = []
    tried: set[frozenset[Path]] = set()
    for one, other in product(first, second):
        alike = one.alteration.quantity == other.alteration.quantity
        # One that the photos went through and one that the training images did are no pair.
        if alike or one.opposite != other.opposite or {one, other} in tried:
            continue
        tried.add(frozenset({one, other}))
        moved = together(one, other, base)
        left = distances(movement - moved, inverse)
        places = divmod(int(left.argmin()), left.shape[1])
        found.append(Nearest((one, other), places, float(left[places]), moved[places].copy()))
    return min(found, key=lambda pair: pair.distance, default=None)


_SHAPE = frozenset({"size", "aspect"})
_TEXTURE = frozenset({"sharpness", "noise", "colour_noise", "blocking"})

_RELATIVE = 0.2
"""Part of a movement that an alteration of other pictures may miss it by."""

_FAR = 2
"""Squared distance for each quantity from which one alteration is not enough; about 1 is chance."""

_HALF = 0.5
"""Part of the distance left by one alteration that another must leave of it at most."""


@dataclass(frozen=True)
class Explanation:
    """An alteration that explains a shift.

    Attributes
    ----------
    alteration, strength
        Key of `kit.perturbation.alterations.ALTERATIONS`, and how strong it is.
    opposite
        Whether the training images look like photos that were altered in this way.
    share
        Of the movement that it explains, 0..1.
    """

    alteration: str
    opposite: bool
    strength: float
    share: float

    @property
    def quantity(self) -> str:
        """What the alteration is about."""
        return ALTERATIONS[self.alteration].quantity

    @property
    def strongest(self) -> bool:
        """Whether it is at least as strong as the strongest that was tried."""
        tried = ALTERATIONS[self.alteration]
        return abs(self.strength - tried.neutral) >= abs(tried.strengths[-1] - tried.neutral)


def explanations(
    statistics: InputStatistics, photos: Float64, shifted: Collection[str]
) -> tuple[tuple[Explanation, ...], frozenset[str]]:
    """Find alterations that explain a movement, the one that explains most first.

    The movement of the means is compared with the path of each alteration, by the squared distance of
    Mahalanobis under the covariance of the means. Where the nearest of them stays far away, every pair is
    tried, and taken where it halves that distance; once a pair is subtracted, others are sought in what is
    left. An alteration whose own quantity has moved the other way is out of the question.

    Parameters
    ----------
    statistics
        Of the training images.
    photos
        float64 (images, quantities): measures of the photos.
    shifted
        Quantities that differ; an alteration of another one explains nothing.

    Returns
    -------
    tuple of Explanation, and those of `shifted` that none of them accounts for
    """
    training, theirs = scaled_rows(statistics.rows), scaled_rows(photos)
    base = mean_known(training)
    columns = np.flatnonzero(~np.isnan(mean_known(theirs) - base))
    names = tuple(list(QUANTITIES)[column] for column in columns)
    training, theirs, base = training[:, columns], theirs[:, columns], base[columns]
    movement = mean_known(theirs) - base
    resolution = np.array([QUANTITIES[name].resolution for name in names])
    noise = _covariance(training) + _covariance(theirs) + np.diag(resolution**2)
    tried = [path for path in paths(statistics.response[..., columns], names) if path.credible(movement)]
    left, wanted, size = movement, set(shifted), np.abs(movement)
    shaped = not _SHAPE.isdisjoint(shifted)
    found: list[Explanation] = []
    while wanted:
        inverse = np.linalg.inv(noise + np.diag((_RELATIVE * left) ** 2)).astype(np.float64, copy=False)
        before = float(distances(left, inverse))
        # Nothing but a change of shape moves the shape, whatever else that moves.
        first = [path for path in tried if not path.alteration.about.isdisjoint(wanted & _SHAPE or wanted)]
        nearest = nearest_one(first, left, inverse)
        if nearest is None or nearest.distance > (_HALF if found else 1) * before:
            break
        limit = np.maximum(3 * np.sqrt(np.diag(noise)), _RELATIVE * (size + nearest.size))
        if not found and (nearest.distance > _FAR * len(names) or _unsettled(nearest, left, limit, wanted)):
            second = [path for path in tried if not path.alteration.about.isdisjoint(wanted)]
            pair = nearest_two(first, second, left, base, inverse)
            if pair is not None and pair.distance <= _HALF * nearest.distance:
                nearest = pair
                limit = np.maximum(limit, _RELATIVE * (size + nearest.size))
        wanted = _unsettled(nearest, left, limit, wanted)
        found += _explanations(nearest, left, before, inverse)
        left, size = left - nearest.moved, size + nearest.size
    # Filters that resize differ in what they do to texture.
    return tuple(found), frozenset(wanted - _TEXTURE if shaped else wanted)


def _unsettled(nearest: Nearest, movement: Float64, limit: Float64, wanted: set[str]) -> set[str]:
    """Return those of the wanted quantities of which the alterations leave more than a limit."""
    names = nearest.paths[0].names
    left = np.abs(movement - nearest.moved) > limit
    about = frozenset[str]().union(*(path.alteration.about for path in nearest.paths))
    return {name for name, far in zip(names, left, strict=True) if far and name in wanted} - about


def _explanations(nearest: Nearest, left: Float64, before: float, inverse: Float64) -> list[Explanation]:
    alone = [float(distances(left - moved, inverse)) for moved in nearest.apart]
    parts = sorted(zip(alone, nearest.paths, nearest.places, strict=True), key=lambda part: part[0])
    return [
        Explanation(
            path.alteration.name, path.opposite, float(path.strengths[place]), max(1 - own / before, 0.0)
        )
        for own, path, place in parts
    ]


def _covariance(table: Float64) -> Float64:
    """Covariance of the mean of rows in which some numbers may be missing."""
    filled = np.where(np.isnan(table), mean_known(table), table)
    return np.asarray(np.atleast_2d(np.cov(filled, rowvar=False)) / len(table))
