"""Which alteration explains how far all quantities have moved, since one moves others with it."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kit.alterations import ALTERATIONS, SIGNS, mean_known, scaled_rows
from kit.input_statistics import InputStatistics
from kit.measures import QUANTITIES

Vector = npt.NDArray[np.float64]

_POINTS = np.arange(0.1, 3.51, 0.1)
"""Where the path from no alteration (0) over its three strengths (1, 2, 3) and a little further is tried."""

_SHAPE = frozenset({"size", "aspect"})

_RELATIVE = 0.2
"""Part of a movement that an alteration of other pictures may miss it by."""


@dataclass(frozen=True, eq=False)
class Explanation:
    """An alteration that explains a shift, or its opposite.

    Attributes
    ----------
    alteration
        Key of `kit.alterations.ALTERATIONS`.
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
    moved: Vector

    @property
    def quantity(self) -> str:
        """What the alteration is about."""
        return ALTERATIONS[self.alteration].quantity


def explanations(
    statistics: InputStatistics, photos: Vector, shifted: Collection[str]
) -> tuple[tuple[Explanation, ...], frozenset[str]]:
    """Find alterations that explain a movement, the one that explains most first.

    The movement of the means is held against the path of each alteration, by the squared distance of
    Mahalanobis under the covariance of the means. Once the best is subtracted, the next is sought for what is
    left, among those whose own quantity has moved and is not accounted for.

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
    movement = mean_known(theirs) - mean_known(training)
    columns = np.flatnonzero(~np.isnan(movement))
    names = [list(QUANTITIES)[column] for column in columns]
    resolution = np.array([QUANTITIES[name].resolution for name in names])
    left = movement[columns]
    wanted = set(shifted)
    noise = _covariance(training[:, columns]) + _covariance(theirs[:, columns]) + np.diag(resolution**2)
    found: list[Explanation] = []
    while wanted:
        inverse = np.linalg.inv(noise + np.diag((_RELATIVE * left) ** 2))
        before = float(left @ inverse @ left)
        best: Explanation | None = None
        # Nothing but a change of shape moves the shape, whatever else that moves.
        sought = wanted & _SHAPE or wanted
        for row, alteration in enumerate(ALTERATIONS.values()):
            if sought.isdisjoint((alteration.quantity, *SIGNS.get(alteration.quantity, ()))):
                continue
            for sign in (1, -1) if alteration.opposite else (1,):
                path = sign * _path(statistics.response[row][:, columns])
                misses = left - path
                costs = np.einsum("pi,ij,pj->p", misses, inverse, misses)
                place = int(costs.argmin())
                share = 1 - float(costs[place]) / before
                if best is None or share > best.share:
                    moved = np.full(len(QUANTITIES), np.nan)
                    moved[columns] = path[place]
                    strength = _strength(alteration.neutral, alteration.strengths, float(_POINTS[place]))
                    best = Explanation(alteration.name, sign < 0, strength, share, moved)
        if best is None or best.share <= 0:
            break
        found.append(best)
        left = left - best.moved[columns]
        limit = np.maximum(3 * np.sqrt(np.diag(noise)), _RELATIVE * np.abs(movement[columns]))
        open_still = {name for name, far in zip(names, np.abs(left) > limit, strict=True) if far}
        about = best.quantity
        wanted = (wanted & open_still) - {about, *SIGNS.get(about, ())}
    return tuple(found), frozenset(wanted)


def _covariance(table: Vector) -> Vector:
    """Covariance of the mean of rows in which some numbers may be missing."""
    filled = np.where(np.isnan(table), mean_known(table), table)
    covariance: Vector = np.atleast_2d(np.cov(filled, rowvar=False)) / len(table)
    return covariance


def _path(response: Vector) -> Vector:
    """Movement along an alteration, (points, quantities), straight between its strengths."""
    known = np.nan_to_num(response)
    corners = np.concatenate([np.zeros((1, known.shape[1])), known, [2 * known[-1] - known[-2]]])
    path: Vector = np.stack(
        [np.interp(_POINTS, np.arange(len(corners)), corner) for corner in corners.T], axis=1
    )
    return path


def _strength(neutral: float, strengths: tuple[float, ...], point: float) -> float:
    corners = (neutral, *strengths, strengths[-1])
    return float(np.interp(point, np.arange(len(corners)), corners))
