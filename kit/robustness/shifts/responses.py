"""How far quantities move along an alteration, and under two of them at once."""

from dataclasses import dataclass

import numpy as np

from kit._arrays import Float64
from kit.images.properties import QUANTITIES
from kit.perturbation.alterations import ALTERATIONS, Alteration

POINTS = np.arange(0.1, 3.51, 0.1)
"""Where the path from no alteration (0) over its three strengths (1, 2, 3) and a little further is tried."""

LIGHT = frozenset({"darker", "brighter", "flatter", "harder"})
"""Alterations whose factor the deviation of noise is to be compared with."""

_NOISE = frozenset({"noise", "colour_noise"})
_SHARES = frozenset({"highlights", "shadows"})


@dataclass(frozen=True, eq=False)
class Path:
    """Movement along one alteration, or along its opposite.

    Attributes
    ----------
    alteration
        Of `kit.perturbation.alterations.ALTERATIONS`.
    opposite
        Whether the training pictures went through it, and not the photos.
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
        """Make a path from the response (strengths, names) of training pictures; what is unknown stays."""
        known = np.nan_to_num(response) * (-1 if opposite else 1)
        nothing = np.zeros((1, len(names)))
        return cls(alteration, opposite, names, np.concatenate([nothing, known, [2 * known[-1] - known[-2]]]))

    @property
    def moved(self) -> Float64:
        """Movement at `POINTS`: float64 (points, names)."""
        return self._at(POINTS)

    @property
    def strengths(self) -> Float64:
        """Strengths at `POINTS`: float64 (points,)."""
        return np.asarray(np.interp(POINTS, np.arange(5), self._strengths()))

    @property
    def about(self) -> frozenset[str]:
        """Its quantity and those that may speak for it."""
        return self.alteration.about

    def credible(self, movement: Float64) -> bool:
        """Whether its quantity, or one that speaks for it, has moved the way that it does."""
        along = self.corners[-2] * movement
        return any(along[self.names.index(name)] > 0 for name in self.about if name in self.names)

    def _strengths(self) -> Float64:
        given = self.alteration.strengths
        # Factors and qualities that fall have an end; those that rise go on.
        return np.array([self.alteration.neutral, *given, max(given[-1], 2 * given[-1] - given[-2])])

    def _at(self, points: Float64) -> Float64:
        columns = [np.interp(points, np.arange(5), corner) for corner in self.corners.T]
        return np.stack(columns, axis=-1)

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
    """Movement under two alterations at once.

    Parameters
    ----------
    one, other
        Paths over the same quantities.
    base
        float64 (names,): means of the training pictures, on the scale of `Quantity.scaled`.

    Returns
    -------
    float64, shape (points, points, names)
        At `POINTS` of the one and of the other. Movements add, but for three things. Noise is added to what
        light has become. What both of them lower, and cannot fall below nothing, is lowered by the product of
        their shares; so are black and white pixels where one of them lowers those. Noise adds by squares to
        what else looks like noise.
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

    Parameters
    ----------
    response
        float64 (alterations, strengths, names), of `kit.classifier.bundle.input_statistics.InputStatistics`.
    names
        Quantities.
    """
    return tuple(
        Path.of(alteration, response[row], names, opposite=opposite)
        for row, alteration in enumerate(ALTERATIONS.values())
        for opposite in ((False, True) if alteration.opposite else (False,))
    )
