"""Which alterations explain how far all quantities have moved, since each moves others with it."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from kit._arrays import Float64, Indices
from kit.classifier.bundle.input_statistics import InputStatistics
from kit.images.properties import QUANTITIES
from kit.perturbation.alterations import ALTERATIONS, mean_known, scaled_rows
from kit.robustness.shifts.nearest import Nearest, distances, nearest_one, nearest_two
from kit.robustness.shifts.responses import paths

_SHAPE = frozenset({"size", "aspect"})
_TEXTURE = frozenset({"sharpness", "noise", "colour_noise", "blocking"})

_RELATIVE = 0.2
"""Part of a movement that an alteration of other pictures may miss it by."""

_FAR = 2
"""Squared distance for each quantity from which one alteration is not enough; about 1 is chance."""

_HALF = 0.5
"""Part of the distance left by one alteration that another must leave of it at most."""


@dataclass(frozen=True, eq=False)
class Explanation:
    """An alteration that explains a shift, or its opposite.

    Attributes
    ----------
    alteration
        Key of `kit.perturbation.alterations.ALTERATIONS`.
    opposite
        Whether the training pictures look like photos that were altered in this way.
    strength
        Of the alteration.
    share
        Of the movement that it explains, 0..1.
    moved
        float64 (quantities,): the movement that goes with it, on the scale of differences; NaN where unknown.
    """

    alteration: str
    opposite: bool
    strength: float
    share: float
    moved: Float64

    @property
    def quantity(self) -> str:
        """What the alteration is about."""
        return ALTERATIONS[self.alteration].quantity

    @property
    def strongest(self) -> bool:
        """Whether it is at least as strong as the strongest that was tried."""
        tried = ALTERATIONS[self.alteration]
        return abs(self.strength - tried.neutral) >= abs(tried.strengths[-1] - tried.neutral)

    @property
    def about(self) -> frozenset[str]:
        """`quantity` and those that may speak for it."""
        return ALTERATIONS[self.alteration].about


def explanations(
    statistics: InputStatistics, photos: Float64, shifted: Collection[str]
) -> tuple[tuple[Explanation, ...], frozenset[str]]:
    """Find alterations that explain a movement, the one that explains most first.

    The movement of the means is held against the path of each alteration, by the squared distance of
    Mahalanobis under the covariance of the means. Where the nearest of them stays far away, every pair is
    tried, and taken where it halves that distance; once a pair is subtracted, others are sought in what is
    left. An alteration whose own quantity has moved the other way is out of the question.

    Parameters
    ----------
    statistics
        Of the training pictures.
    photos
        float64 (pictures, quantities): measures of the photos. Not changed.
    shifted
        Quantities that differ; an alteration of another one explains nothing.

    Returns
    -------
    explanations
        None where nothing differs.
    unexplained
        Those of `shifted` that none of them accounts for.
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
        first = [path for path in tried if not path.about.isdisjoint(wanted & _SHAPE or wanted)]
        nearest = nearest_one(first, left, inverse)
        if nearest is None or nearest.distance > (_HALF if found else 1) * before:
            break
        limit = np.maximum(3 * np.sqrt(np.diag(noise)), _RELATIVE * (size + nearest.size))
        if not found and (nearest.distance > _FAR * len(names) or _unsettled(nearest, left, limit, wanted)):
            second = [path for path in tried if not path.about.isdisjoint(wanted)]
            pair = nearest_two(first, second, left, base, inverse)
            if pair is not None and pair.distance <= _HALF * nearest.distance:
                nearest = pair
                limit = np.maximum(limit, _RELATIVE * (size + nearest.size))
        wanted = _unsettled(nearest, left, limit, wanted)
        found += _explanations(nearest, before, columns)
        left, size = left - nearest.moved, size + nearest.size
    # Filters that resize differ in what they do to texture.
    return tuple(found), frozenset(wanted - _TEXTURE if shaped else wanted)


def _unsettled(nearest: Nearest, movement: Float64, limit: Float64, wanted: set[str]) -> set[str]:
    """Return those of the wanted quantities of which the alterations leave more than a limit."""
    names = nearest.paths[0].names
    left = np.abs(movement - nearest.moved) > limit
    about = frozenset[str]().union(*(path.about for path in nearest.paths))
    return {name for name, far in zip(names, left, strict=True) if far and name in wanted} - about


def _explanations(nearest: Nearest, before: float, columns: Indices) -> list[Explanation]:
    made = []
    parts = zip(nearest.paths, nearest.places, nearest.alone, strict=True)
    for path, place, alone in sorted(parts, key=lambda one: one[2]):
        moved = np.full(len(QUANTITIES), np.nan)
        moved[columns] = path.moved[place]
        strength, share = float(path.strengths[place]), max(1 - alone / before, 0.0)
        made.append(Explanation(path.alteration.name, path.opposite, strength, share, moved))
    return made


def _covariance(table: Float64) -> Float64:
    """Covariance of the mean of rows in which some numbers may be missing."""
    filled = np.where(np.isnan(table), mean_known(table), table)
    return np.asarray(np.atleast_2d(np.cov(filled, rowvar=False)) / len(table))
