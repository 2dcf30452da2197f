"""Which alteration explains a shift."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from typing import NamedTuple

import numpy as np
import scipy  # its heavy parts are imported when they are used

from kit._arrays import Bools, Float64
from kit.classifier.reference import InputStatistics, mean_known, scaled_rows
from kit.perturbation.alterations import Alteration, Condition
from kit.perturbation.conditions import ALTERATIONS, QUANTITIES

POINTS = np.arange(0.1, 3.51, 0.1)
"""Where the path from no alteration (0) over its three strengths (1, 2, 3) and a little further is tried."""

_CORNERS = np.arange(5)
_GROUPS = np.array([row.group for row in QUANTITIES.values()])
_LEVELS = np.isin(_GROUPS, ["noise", "clipping"])
_SHAPE = _GROUPS == "shape"
_TEXTURE = np.isin(_GROUPS, ["texture", "noise"])
_LINEAR = np.array([not row.logarithmic for row in QUANTITIES.values()])
RESOLUTION = np.array([row.resolution for row in QUANTITIES.values()])
"""float64 (quantities,): differences below it do not count."""

_UNKNOWN_VARIANCE = 1e12
"""Of a quantity that was not measured: it says nothing."""

_RELATIVE_MISS = 0.2
"""Share of a movement that an alteration of other images may miss it by."""

_FAR = 2
"""Squared distance for each quantity from which one alteration is not enough; about 1 is chance."""

_HALF = 0.5
"""Share of the distance left by one alteration that another must leave of it at most."""


@dataclass(frozen=True)
class Explanation:
    """An alteration that explains a shift.

    Attributes
    ----------
    alteration, strength
        Key of `kit.perturbation.conditions.ALTERATIONS`, and how strong it is.
    opposite
        Whether the training images look like photos that were altered in this way.
    changed, count, tried
        Share of a classifier's predictions that change, 0..1, among so many images, and in words what was
        done to them; NaN without a classifier, or where that takes the training images themselves.
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
        strength = f"{self.strength:.2g}"
        if alteration.unit == "factor":
            return f"{name} (about \N{MULTIPLICATION SIGN}{strength})"
        return f"{name} (about {strength} {alteration.unit})"

    @property
    def strongest(self) -> bool:
        """Whether it is at least as strong as the strongest that was tried."""
        # Both distances are from the strength that changes nothing; the strongest that was tried is the last.
        alteration = ALTERATIONS[self.alteration]
        strongest = abs(alteration.strengths[-1] - alteration.neutral)
        return abs(self.strength - alteration.neutral) >= strongest


@dataclass(frozen=True, eq=False)
class Path:
    """Movement along one alteration, or along its opposite, which the training images went through.

    `corners`, float64 (5, quantities), is the movement at no alteration, at its three strengths and as far
    again; `corner_strengths`, float64 (5,), the strengths there.
    """

    alteration: Alteration
    opposite: bool
    corners: Float64
    corner_strengths: Float64

    @cached_property
    def movements(self) -> Float64:
        """Movement at `POINTS`: float64 (points, quantities)."""
        return self._movements_at(POINTS)

    @cached_property
    def strengths(self) -> Float64:
        """Strengths at `POINTS`: float64 (points,)."""
        return np.asarray(np.interp(POINTS, _CORNERS, self.corner_strengths))

    @property
    def quantity(self) -> Condition:
        """What the alteration is about."""
        return QUANTITIES[self.alteration.quantity]

    @cached_property
    def about(self) -> Bools:
        """Which quantity speaks for the alteration: bool (quantities,)."""
        return np.isin(list(QUANTITIES), self.quantity.name)

    def _movements_at(self, points: Float64) -> Float64:
        # Straight between corners: a point 0 is no alteration, 1 to 3 are its three strengths.
        line = scipy.interpolate.make_interp_spline(_CORNERS, self.corners, k=1)
        return np.asarray(line(points))

    def moves_like(self, movement: Float64) -> bool:
        """Return whether the quantity that the alteration is about has moved the way that this does."""
        # That is its movement at the strongest strength; the last corner is beyond it.
        return bool((self.corners[-2] * movement > 0)[self.about].any())

    def explained(self, place: int) -> Explanation:
        """Return the alteration as strong as it is at a place among `POINTS`."""
        strength = float(self.strengths[place])  # an index into `POINTS`
        return Explanation(self.alteration.name, self.opposite, strength)

    def movements_in_light(self, factors: Float64) -> Float64:
        """Movement by noise on images whose light was changed first: (factors, points, quantities).

        Noise on an image of half the light is to everything in it what noise of twice the deviation is to the
        image itself. What is measured in levels is left out.
        """
        # Noise in half the light is to the image what noise of twice the deviation is in full light. What is
        # measured in levels moves as it does in full light. Shape: (factors, points, quantities).
        deviations = self.strengths / factors[:, None]
        moved = self._movements_at(
            np.interp(deviations, self.corner_strengths, _CORNERS)
        )
        return np.where(_LEVELS, self.movements, moved)


def combined_movements(first: Path, second: Path, training_means: Float64) -> Float64:
    """Return the movement under two alterations: float64 (points, points, quantities), at `POINTS` of each.

    ``training_means``, float64 (quantities,), are on the scale of `Condition.scaled`. Movements add, but
    noise is added to what light has become, and what is no logarithm cannot fall below nothing.
    """
    by_second = second.movements
    # Of the two, light is the first of `ALTERATIONS`; it has no opposite, which is never paired with it.
    if first.quantity.group == "light" and second.quantity.group == "noise":
        by_second = second.movements_in_light(first.strengths)
    # A point of each: (points, points, quantities). What is no logarithm cannot fall below 0.
    total = first.movements[:, None] + by_second
    return np.where(
        _LINEAR & (training_means > 0), np.maximum(total, -training_means), total
    )


def paths(response: Float64) -> tuple[Path, ...]:
    """Return the path of every alteration, and of the opposites that there are.

    ``response``, float64 (alterations, strengths, quantities), is that of `InputStatistics`; what is unknown
    of it stays as it is.
    """
    ways = []
    movements = np.nan_to_num(response)
    for alteration, moved in zip(ALTERATIONS.values(), movements, strict=True):
        # `moved` has a row for each of the three strengths; before them comes no alteration, behind them a
        # strength as far again.
        unmoved = np.zeros(len(QUANTITIES))
        corners = np.vstack([unmoved, moved, 2 * moved[-1] - moved[-2]])
        *_, strong, strongest = alteration.strengths
        # Factors and qualities that fall have an end; those that rise go on.
        farthest = max(strongest, 2 * strongest - strong)
        corner_strengths = np.array(
            [alteration.neutral, *alteration.strengths, farthest]
        )
        ways.append(
            Path(
                alteration,
                opposite=False,
                corners=corners,
                corner_strengths=corner_strengths,
            )
        )
        if alteration.opposite:
            ways.append(
                Path(
                    alteration,
                    opposite=True,
                    corners=-corners,
                    corner_strengths=corner_strengths,
                )
            )
    return tuple(ways)


class NearestPaths(NamedTuple):
    """One alteration, or two, where they come nearest to a movement.

    `explanations` say how strong they are there, `about`, bool (quantities,), which quantities they are
    about, and `single_movements`, float64 (alterations, quantities), what each does alone. `distance` is the
    squared distance of Mahalanobis that is left of the movement, and `joint_movement`, float64 (quantities,),
    the movement that goes with them together.
    """

    explanations: tuple[Explanation, ...]
    about: Bools
    single_movements: Float64
    distance: float
    joint_movement: Float64

    @property
    def size(self) -> Float64:
        """float64 (quantities,): how far the alterations move each, whether or not they cancel."""
        # Movements count, even if two of them cancel.
        return np.asarray(np.abs(self.single_movements).sum(axis=0))

    def out_of_reach(self, movement: Float64, limit: Float64) -> Bools:
        """Return which quantities are farther than a limit from all that this may do: bool (quantities,)."""
        # What two alterations do need not add: of black corners, either leaves none.
        ends = (*self.single_movements, self.joint_movement)
        reached = np.clip(movement, np.min(ends, axis=0), np.max(ends, axis=0))
        return (np.abs(movement - reached) > limit) & ~self.about


@dataclass(frozen=True, eq=False)
class _Remainder:
    """What is left of a movement once `explained` is subtracted.

    Of each quantity: the `movement` that is left, the `size` of all movements so far, whether or not they
    cancel, whether it is `unexplained`, and `training_means`. `covariance` is that of the means, and
    `measured` the number of quantities that both sides have.
    """

    movement: Float64
    size: Float64
    unexplained: Bools
    training_means: Float64
    covariance: Float64
    measured: int
    explained: tuple[Explanation, ...] = ()

    @cached_property
    def _inverse(self) -> Float64:
        # Other images may respond otherwise: by so much an alteration may miss what is left, as a variance.
        miss = np.diag((_RELATIVE_MISS * self.movement) ** 2)
        return np.asarray(np.linalg.inv(self.covariance + miss))

    def _distances(self, moved: Float64) -> Float64:
        """Return the squared distance of Mahalanobis from each movement, (…, quantities): (…)."""
        # Squared, of Mahalanobis; one for each movement in `moved`, (…, quantities).
        misses = self.movement - moved
        return np.asarray(((misses @ self._inverse) * misses).sum(axis=-1))

    def _nearest(self, candidates: Iterable[tuple[Path, ...]]) -> NearestPaths | None:
        nearest = []
        # A candidate is one path or a pair, whose distances have an axis of `POINTS` for each path.
        for candidate in candidates:
            moved = candidate[0].movements
            if len(candidate) == 2:
                moved = combined_movements(
                    candidate[0], candidate[1], self.training_means
                )
            distances = self._distances(moved)
            places = np.unravel_index(distances.argmin(), distances.shape)
            at_places = list(zip(candidate, map(int, places), strict=True))
            point = NearestPaths(
                explanations=tuple(path.explained(place) for path, place in at_places),
                about=np.any([path.about for path in candidate], axis=0),
                single_movements=np.stack(
                    [path.movements[place] for path, place in at_places]
                ),
                distance=float(distances[places]),
                joint_movement=moved[places].copy(),  # a view would keep all of `moved`
            )
            nearest.append(point)
        return min(nearest, key=lambda point: point.distance, default=None)

    def _unexplained_after(self, step: NearestPaths) -> Bools:
        """Return which quantities stay unexplained behind a step: bool (quantities,)."""
        # Three standard errors, or the share by which alterations of other images may miss.
        chance = 3 * np.sqrt(np.diag(self.covariance))
        limit = np.maximum(chance, _RELATIVE_MISS * (self.size + step.size))
        return self.unexplained & step.out_of_reach(self.movement, limit)

    def step(self, candidates: Sequence[Path]) -> "_Remainder | None":
        """Subtract the nearest alteration, or the nearest pair; None where that explains too little."""
        # Nothing but a change of shape moves the shape, whatever else that moves.
        shape = self.unexplained & _SHAPE
        leading = shape if shape.any() else self.unexplained
        able_paths = [path for path in candidates if leading[path.about].any()]
        single = self._nearest((path,) for path in able_paths)
        # The first one has to come nearer than no alteration, each later one has to halve what is left.
        largest_share = _HALF if self.explained else 1
        unmoved = self._distances(np.zeros_like(self.movement))
        if single is None or single.distance > largest_share * unmoved:
            return None
        far = single.distance > _FAR * self.measured
        if not self.explained and (far or self._unexplained_after(single).any()):
            # One that the photos went through and one that the training images did are no pair.
            pairs = (
                (first, second)
                for first, second in combinations(able_paths, 2)
                if first.opposite == second.opposite
                and first.quantity.name != second.quantity.name
            )
            pair = self._nearest(pairs)
            if pair is not None and pair.distance <= _HALF * single.distance:
                return self._without(pair)
        return self._without(single)

    def _without(self, step: NearestPaths) -> "_Remainder":
        # Of a pair, the alteration that comes nearer by itself is first.
        alone = self._distances(step.single_movements)
        order = np.argsort(alone, kind="stable")
        explained = [step.explanations[index] for index in order]
        return replace(
            self,
            movement=self.movement - step.joint_movement,
            size=self.size + step.size,
            unexplained=self._unexplained_after(step),
            explained=(*self.explained, *explained),
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
    training = scaled_rows(statistics.rows)
    theirs = scaled_rows(photos)
    training_means = mean_known(training)
    movement = mean_known(theirs) - training_means
    # What one side lacks counts as no movement, of a variance so large that it says nothing.
    measured = ~np.isnan(movement)
    variance = np.where(measured, np.square(RESOLUTION), _UNKNOWN_VARIANCE)
    remainder = _Remainder(
        movement=np.nan_to_num(movement),
        size=np.abs(np.nan_to_num(movement)),
        unexplained=shifted,
        training_means=np.nan_to_num(training_means),
        covariance=_covariance(training) + _covariance(theirs) + np.diag(variance),
        measured=int(measured.sum()),
    )
    candidates = [
        path
        for path in paths(statistics.response)
        if path.moves_like(remainder.movement)
    ]
    # Each step subtracts one alteration, or two, until none explains enough of what is left.
    while (following := remainder.step(candidates)) is not None:
        remainder = following
    unexplained = remainder.unexplained
    if (shifted & _SHAPE).any():
        # Filters that resize differ in what they do to texture.
        unexplained = unexplained & ~_TEXTURE
    return remainder.explained, unexplained


def _covariance(table: Float64) -> Float64:
    """Return the covariance of the mean of rows in which some numbers may be missing."""
    # Missing numbers become the mean. The covariance of a mean is that of the rows, over their number.
    filled = np.where(np.isnan(table), np.nan_to_num(mean_known(table)), table)
    return np.cov(filled, rowvar=False) / len(table)
