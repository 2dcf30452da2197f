"""Which alteration explains a shift."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import NamedTuple

import numpy as np

from kit._arrays import Bools, Float64
from kit.classifier.reference import InputStatistics
from kit.images.properties import QUANTITIES
from kit.perturbation.alterations import (
    ALTERATIONS,
    Alteration,
    mean_known,
    scaled_rows,
)

POINTS = np.arange(0.1, 3.51, 0.1)
"""Where the path from no alteration (0) over its three strengths (1, 2, 3) and a little further is tried."""


def _among(names: Iterable[str]) -> Bools:
    return np.isin(list(QUANTITIES), list(names))


_LIGHT = frozenset({"darker", "brighter", "flatter", "harder"})
_NOISE, _SHARES = _among({"noise", "colour_noise"}), _among({"highlights", "shadows"})
_SHAPE, _TEXTURE = (
    _among({"size", "aspect"}),
    _among({"sharpness", "noise", "colour_noise", "blocking"}),
)
_LINEAR = np.array([not item.logarithmic for item in QUANTITIES.values()])
_RESOLUTION = np.array([item.resolution for item in QUANTITIES.values()])

_UNKNOWN = 1e12
"""Variance of a quantity that was not measured: it says nothing."""

_RELATIVE = 0.2
"""Part of a movement that an alteration of other images may miss it by."""

_FAR = 2
"""Squared distance for each quantity from which one alteration is not enough; about 1 is chance."""

_HALF = 0.5
"""Part of the distance left by one alteration that another must leave of it at most."""


@dataclass(frozen=True, eq=False)
class Path:
    """Movement along one alteration, or along its opposite, which the training images went through.

    `corners`, float64 (5, quantities), is the movement at no alteration, at its three strengths and as far
    again; `scale`, float64 (5,), the strengths there.
    """

    alteration: Alteration
    opposite: bool
    corners: Float64
    scale: Float64

    @cached_property
    def moved(self) -> Float64:
        """Movement at `POINTS`: float64 (points, quantities)."""
        return self._at(POINTS)

    @cached_property
    def strengths(self) -> Float64:
        """Strengths at `POINTS`: float64 (points,)."""
        return np.asarray(np.interp(POINTS, np.arange(5), self.scale))

    @cached_property
    def about(self) -> Bools:
        """The quantities that the alteration is about: bool (quantities,)."""
        return _among(self.alteration.about)

    @property
    def noise(self) -> bool:
        """Whether noise is added."""
        return self.alteration.quantity == "noise" and not self.opposite

    def _at(self, points: Float64) -> Float64:
        return np.stack(
            [np.interp(points, np.arange(5), corner) for corner in self.corners.T],
            axis=-1,
        )

    def in_light(self, factors: Float64) -> Float64:
        """Movement by noise on images whose light was changed first: (factors, points, quantities).

        Noise on an image of half the light is to everything in it what noise of twice the deviation is to the
        image itself. What is measured in levels is left out.
        """
        deviations = self.strengths / factors[:, None]
        moved = self._at(np.interp(deviations, self.scale, np.arange(5)))
        return np.where(_NOISE | _SHARES, self.moved, moved)


def together(one: Path, other: Path, base: Float64) -> Float64:
    """Return the movement under two alterations: float64 (points, points, quantities), at `POINTS` of each.

    ``base``, float64 (quantities,), has the means of the training images on the scale of `Quantity.scaled`.
    Movements add, but noise is added to what light has become, and what is no logarithm cannot fall below
    nothing.
    """
    first: Float64 = np.broadcast_to(
        one.moved[:, None], (len(POINTS), len(POINTS), len(base))
    )
    second: Float64 = np.broadcast_to(other.moved[None], first.shape)
    if one.alteration.name in _LIGHT and other.noise:
        second = other.in_light(one.strengths)
    elif other.alteration.name in _LIGHT and one.noise:
        first = one.in_light(other.strengths).swapaxes(0, 1)
    total = first + second
    return np.where(_LINEAR & (base > 0), np.maximum(total, -base), total)


def paths(response: Float64) -> tuple[Path, ...]:
    """Return the path of every alteration, and of the opposites that there are.

    ``response``, float64 (alterations, strengths, quantities), is that of `InputStatistics`; what is unknown
    of it stays as it is.
    """
    found = []
    for alteration, moved in zip(
        ALTERATIONS.values(), np.nan_to_num(response), strict=True
    ):
        corners = np.vstack(
            [np.zeros(len(QUANTITIES)), moved, 2 * moved[-1] - moved[-2]]
        )
        given = alteration.strengths
        # Factors and qualities that fall have an end; those that rise go on.
        scale = np.array(
            [alteration.neutral, *given, max(given[-1], 2 * given[-1] - given[-2])]
        )
        found.append(Path(alteration, False, corners, scale))
        if alteration.opposite:
            found.append(Path(alteration, True, -corners, scale))
    return tuple(found)


class Nearest(NamedTuple):
    """One alteration, or two, where they come nearest to a movement.

    `places` are the points on their `paths`, indices to `POINTS`; `distance` is the squared distance of
    Mahalanobis that is left, and `moved`, float64 (quantities,), the movement that goes with them.
    """

    paths: tuple[Path, ...]
    places: tuple[int, ...]
    distance: float
    moved: Float64

    @property
    def apart(self) -> tuple[Float64, ...]:
        """Movement, float64 (quantities,), by each alteration alone."""
        return tuple(
            path.moved[place]
            for path, place in zip(self.paths, self.places, strict=True)
        )

    @property
    def size(self) -> Float64:
        """float64 (quantities,): how far the alterations move each, whether or not they cancel."""
        return np.asarray(np.abs(self.apart).sum(axis=0))

    def unsettled(self, movement: Float64, limit: Float64) -> Bools:
        """Return of which quantities more than a limit is left: bool (quantities,)."""
        about = np.any([path.about for path in self.paths], axis=0)
        return np.asarray((np.abs(movement - self.moved) > limit) & ~about)


def _distances(misses: Float64, inverse: Float64) -> Float64:
    return np.asarray(((misses @ inverse) * misses).sum(axis=-1))


def _nearest(
    tried: Iterable[tuple[Path, ...]],
    movement: Float64,
    base: Float64,
    inverse: Float64,
) -> Nearest | None:
    found = []
    for some in tried:
        moved = some[0].moved if len(some) == 1 else together(some[0], some[1], base)
        left = _distances(movement - moved, inverse)
        places = tuple(
            int(place) for place in np.unravel_index(left.argmin(), left.shape)
        )
        found.append(Nearest(some, places, float(left[places]), moved[places].copy()))
    return min(found, key=lambda one: one.distance, default=None)


@dataclass(frozen=True)
class Explanation:
    """An alteration that explains a shift.

    Attributes
    ----------
    alteration, strength
        Key of `kit.perturbation.alterations.ALTERATIONS`, and how strong it is.
    opposite
        Whether the training images look like photos that were altered in this way.
    changed, count, tried
        Share of a classifier's predictions that change, 0..1, among so many images, and in words what was
        done to them; NaN without a classifier.
    """

    alteration: str
    opposite: bool
    strength: float
    changed: float = np.nan
    count: int = 0
    tried: str = ""

    @property
    def quantity(self) -> str:
        """What the alteration is about."""
        return ALTERATIONS[self.alteration].quantity

    @property
    def summary(self) -> str:
        """The alteration and its strength in words."""
        alteration = ALTERATIONS[self.alteration]
        name = alteration.opposite if self.opposite else alteration.name
        unit = (
            "\N{MULTIPLICATION SIGN}{}"
            if alteration.unit == "factor"
            else f"{{}} {alteration.unit}"
        )
        return f"{name} (about {unit.format(f'{self.strength:.2g}')})"

    @property
    def strongest(self) -> bool:
        """Whether it is at least as strong as the strongest that was tried."""
        tried = ALTERATIONS[self.alteration]
        return abs(self.strength - tried.neutral) >= abs(
            tried.strengths[-1] - tried.neutral
        )


def explanations(
    statistics: InputStatistics, photos: Float64, shifted: Bools
) -> tuple[tuple[Explanation, ...], Bools]:
    """Find alterations that explain a movement, the one that explains most first.

    The movement of the means is compared with the path of each alteration, by the squared distance of
    Mahalanobis under the covariance of the means. Where the nearest of them stays far away, every pair is
    tried, and taken where it halves that distance; once a pair is subtracted, others are sought in what is
    left. An alteration whose own quantity has moved the other way is out of the question.

    Takes statistics of the training images, measures of the photos, float64 (images, quantities), and which
    quantities differ, bool (quantities,); returns also which of them no explanation accounts for.
    """
    training, theirs = scaled_rows(statistics.rows), scaled_rows(photos)
    movement, base = (
        mean_known(theirs) - mean_known(training),
        np.nan_to_num(mean_known(training)),
    )
    known, left = ~np.isnan(movement), np.nan_to_num(movement)
    noise = _covariance(training) + _covariance(theirs)
    noise += np.diag(np.where(known, np.square(_RESOLUTION), _UNKNOWN))
    # Its quantity, or one that speaks for it, has moved the way that it does.
    tried = [
        path
        for path in paths(statistics.response)
        if (path.corners[-2] * left > 0)[path.about].any()
    ]
    wanted, size = shifted, np.abs(left)
    found: list[Explanation] = []
    while wanted.any():
        inverse = np.linalg.inv(noise + np.diag((_RELATIVE * left) ** 2)).astype(
            np.float64, copy=False
        )
        able = [path for path in tried if wanted[path.about].any()]
        # Nothing but a change of shape moves the shape, whatever else that moves.
        shape = wanted & _SHAPE
        first = [path for path in able if not shape.any() or shape[path.about].any()]
        step = _nearest([(path,) for path in first], left, base, inverse)
        if step is None or step.distance > (_HALF if found else 1) * float(
            _distances(left, inverse)
        ):
            break
        limit = np.maximum(3 * np.sqrt(np.diag(noise)), _RELATIVE * (size + step.size))
        far = step.distance > _FAR * known.sum()
        if not found and (far or (wanted & step.unsettled(left, limit)).any()):
            two = _nearest(_pairs(able, first), left, base, inverse)
            if two is not None and two.distance <= _HALF * step.distance:
                step, limit = two, np.maximum(limit, _RELATIVE * (size + two.size))
        wanted = wanted & step.unsettled(left, limit)
        alone = [float(_distances(left - moved, inverse)) for moved in step.apart]
        parts = sorted(
            zip(alone, step.paths, step.places, strict=True), key=lambda part: part[0]
        )
        found += [
            Explanation(
                path.alteration.name, path.opposite, float(path.strengths[place])
            )
            for _, path, place in parts
        ]
        left, size = left - step.moved, size + step.size
    # Filters that resize differ in what they do to texture.
    return tuple(found), wanted & ~_TEXTURE if (shifted & _SHAPE).any() else wanted


def _pairs(able: list[Path], first: list[Path]) -> Iterable[tuple[Path, Path]]:
    for one, other in combinations(able, 2):
        # One that the photos went through and one that the training images did are no pair.
        same = (
            one.alteration.quantity == other.alteration.quantity
            or one.opposite != other.opposite
        )
        if not same and (one in first or other in first):
            yield one, other


def _covariance(table: Float64) -> Float64:
    # Of the mean of rows in which some numbers may be missing.
    filled = np.where(np.isnan(table), np.nan_to_num(mean_known(table)), table)
    return np.asarray(np.cov(filled, rowvar=False) / len(table))
