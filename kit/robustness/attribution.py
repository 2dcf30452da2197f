"""Which alteration explains a shift."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import NamedTuple

import numpy as np

from kit._arrays import Bools, Float64
from kit.classifier.reference import InputStatistics
from kit.images.properties import QUANTITIES
from kit.perturbation.alterations import ALTERATIONS, Alteration, mean_known, scaled_rows

POINTS = np.arange(0.1, 3.51, 0.1)
"""Where the path from no alteration (0) over its three strengths (1, 2, 3) and a little further is tried."""

_LIGHT = frozenset({"darker", "brighter", "flatter", "harder"})
_NOISE = frozenset({"noise", "colour_noise"})
_SHARES = frozenset({"highlights", "shadows"})
_LINEAR = frozenset(name for name, item in QUANTITIES.items() if not item.logarithmic)


@dataclass(frozen=True, eq=False)
class Path:
    """Movement along one alteration, or along its opposite, which the training images went through.

    `corners`, float64 (5, names), is the movement at no alteration, at its three strengths and as far again.
    """

    alteration: Alteration
    opposite: bool
    names: tuple[str, ...]
    corners: Float64

    @cached_property
    def moved(self) -> Float64:
        """Movement at `POINTS`: float64 (points, names)."""
        return self._at(POINTS)

    @cached_property
    def strengths(self) -> Float64:
        """Strengths at `POINTS`: float64 (points,)."""
        return np.asarray(np.interp(POINTS, np.arange(5), self._strengths()))

    def credible(self, movement: Float64) -> bool:
        """Whether its quantity, or one that speaks for it, has moved the way that it does."""
        along = self.corners[-2] * movement
        about = self.alteration.about
        return any(moved > 0 for name, moved in zip(self.names, along, strict=True) if name in about)

    def within(self, group: frozenset[str]) -> Bools:
        """Which of the names are in a group: bool (names,)."""
        return np.array([name in group for name in self.names])

    def _strengths(self) -> Float64:
        given = self.alteration.strengths
        # Factors and qualities that fall have an end; those that rise go on.
        return np.array([self.alteration.neutral, *given, max(given[-1], 2 * given[-1] - given[-2])])

    def _at(self, points: Float64) -> Float64:
        return np.stack([np.interp(points, np.arange(5), corner) for corner in self.corners.T], axis=-1)

    def in_light(self, factors: Float64) -> Float64:
        """Movement by noise on pictures whose light was changed first: (factors, points, names).

        Noise on a picture of half the light is to everything in it what noise of twice the deviation is to
        the picture itself. What is measured in levels is left out.
        """
        deviations = self.strengths / factors[:, None]
        moved = self._at(np.interp(deviations, self._strengths(), np.arange(5)))
        return np.where(self.within(_NOISE | _SHARES), self.moved, moved)


def together(one: Path, other: Path, base: Float64) -> Float64:
    """Return the movement under two alterations: float64 (points, points, names), at `POINTS` of each.

    ``base``, float64 (names,), has the means of the training images on the scale of `Quantity.scaled`.
    Movements add, but for three things. Noise is added to what light has become. What both of them lower,
    and cannot fall below nothing, is lowered by the product of their shares; so are black and white pixels
    where one of them lowers those. Noise adds by squares to what else looks like noise.
    """
    first: Float64 = np.broadcast_to(one.moved[:, None], (len(POINTS), len(POINTS), len(base)))
    second: Float64 = np.broadcast_to(other.moved[None], first.shape)
    if one.alteration.name in _LIGHT and _adds_noise(other):
        second = other.in_light(one.strengths)
    elif other.alteration.name in _LIGHT and _adds_noise(one):
        first = one.in_light(other.strengths).swapaxes(0, 1)
    either, both = (first < 0) | (second < 0), (first < 0) & (second < 0)
    falling = np.where(one.within(_SHARES), either, both) & one.within(_LINEAR) & (base > 0)
    product = np.divide(first * second, base, out=np.zeros_like(first), where=falling)
    squares = np.square(base + first) + np.square(base + second) - np.square(base)
    rising = one.within(_NOISE) & ((first > 0) | (second > 0))
    return np.asarray(np.where(rising, np.sqrt(np.maximum(squares, 0)) - base, first + second + product))


def _adds_noise(path: Path) -> bool:
    return path.alteration.quantity == "noise" and not path.opposite


def paths(response: Float64, names: tuple[str, ...]) -> tuple[Path, ...]:
    """Return the path of every alteration, and of the opposites that there are.

    ``response``, float64 (alterations, strengths, names), is that of `InputStatistics`; what is unknown of it
    stays as it is.
    """
    found = []
    for alteration, moved in zip(ALTERATIONS.values(), np.nan_to_num(response), strict=True):
        corners = np.vstack([np.zeros(len(names)), moved, 2 * moved[-1] - moved[-2]])
        found.append(Path(alteration, False, names, corners))
        if alteration.opposite:
            found.append(Path(alteration, True, names, -corners))
    return tuple(found)


class Nearest(NamedTuple):
    """One alteration, or two, where they come nearest to a movement.

    `places` are the points on their `paths`, indices to `POINTS`; `distance` is the squared distance of
    Mahalanobis that is left, and `moved`, float64 (names,), the movement that goes with them.
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


def _distances(misses: Float64, inverse: Float64) -> Float64:
    return np.asarray(((misses @ inverse) * misses).sum(axis=-1))


def nearest(
    tried: Iterable[tuple[Path, ...]], movement: Float64, base: Float64, inverse: Float64
) -> Nearest | None:
    """Return the nearest point of all paths, and pairs of paths, that are tried; None without any.

    ``movement`` and ``base``, as `together` takes it, are float64 (names,); ``inverse`` is the inverse
    covariance (names, names).
    """
    found = []
    for some in tried:
        moved = some[0].moved if len(some) == 1 else together(some[0], some[1], base)
        left = _distances(movement - moved, inverse)
        places = tuple(int(place) for place in np.unravel_index(left.argmin(), left.shape))
        found.append(Nearest(some, places, float(left[places]), moved[places].copy()))
    return min(found, key=lambda one: one.distance, default=None)


def _pair(one: Path, other: Path) -> bool:
    # One that the photos went through and one that the training images did are no pair.
    return one.alteration.quantity != other.alteration.quantity and one.opposite == other.opposite


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
    """

    alteration: str
    opposite: bool
    strength: float

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

    Takes statistics of the training images, measures of the photos, float64 (images, quantities), and the
    quantities that differ; returns also those of them that no explanation accounts for.
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
        before = float(_distances(left, inverse))
        able = [path for path in tried if not path.alteration.about.isdisjoint(wanted)]
        # Nothing but a change of shape moves the shape, whatever else that moves.
        first = [path for path in able if not path.alteration.about.isdisjoint(wanted & _SHAPE or wanted)]
        step = nearest([(path,) for path in first], left, base, inverse)
        if step is None or step.distance > (_HALF if found else 1) * before:
            break
        limit = np.maximum(3 * np.sqrt(np.diag(noise)), _RELATIVE * (size + step.size))
        if not found and (step.distance > _FAR * len(names) or _unsettled(step, left, limit, wanted)):
            pairs = [
                pair for pair in combinations(able, 2) if _pair(*pair) and not set(first).isdisjoint(pair)
            ]
            two = nearest(pairs, left, base, inverse)
            if two is not None and two.distance <= _HALF * step.distance:
                step = two
                limit = np.maximum(limit, _RELATIVE * (size + step.size))
        wanted = _unsettled(step, left, limit, wanted)
        found += _explanations(step, left, inverse)
        left, size = left - step.moved, size + step.size
    # Filters that resize differ in what they do to texture.
    return tuple(found), frozenset(wanted - _TEXTURE if shaped else wanted)


def _unsettled(step: Nearest, movement: Float64, limit: Float64, wanted: set[str]) -> set[str]:
    left = np.abs(movement - step.moved) > limit
    about = frozenset[str]().union(*(path.alteration.about for path in step.paths))
    return {
        name for name, far in zip(step.paths[0].names, left, strict=True) if far and name in wanted
    } - about


def _explanations(step: Nearest, left: Float64, inverse: Float64) -> list[Explanation]:
    alone = [float(_distances(left - moved, inverse)) for moved in step.apart]
    parts = sorted(zip(alone, step.paths, step.places, strict=True), key=lambda part: part[0])
    return [
        Explanation(path.alteration.name, path.opposite, float(path.strengths[place]))
        for _, path, place in parts
    ]


def _covariance(table: Float64) -> Float64:
    # Of the mean of rows in which some numbers may be missing.
    filled = np.where(np.isnan(table), mean_known(table), table)
    return np.asarray(np.atleast_2d(np.cov(filled, rowvar=False)) / len(table))
