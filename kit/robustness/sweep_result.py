"""What comes out of a sweep, as a frozen value: rows, curves and grids."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kit._arrays import Array, Bools, Float32, Float64
from kit._reporting import Result, Table
from kit.perturbation import Perturbation


@dataclass(frozen=True, eq=False, repr=False)
class Sweep(Result):
    """Predictions to images under perturbations: a row for each pair, image by image.

    Parameters
    ----------
    photos, perturbations
        Names of the images, and what was done to each, in the order of its rows.
    axes
        Names and values of which `perturbations` are all combinations, the last name changing fastest; empty
        where they are just a list.
    labels, tops
        int32: right classes, shape (photos,), and the most probable ones, shape (rows,); -1 for none.
    confidences
        float32, shape (rows,): softmax probability 0..1 of the most probable class; NaN where there is none.
    errors
        Rows without an answer, each with the reason.
    """

    photos: tuple[str, ...]
    perturbations: tuple[Perturbation, ...]
    axes: Mapping[str, tuple[Any, ...]]
    labels: npt.NDArray[np.int32]
    tops: npt.NDArray[np.int32]
    confidences: Float32
    errors: Mapping[int, str]

    def __len__(self) -> int:
        return len(self.tops)

    @property
    def shape(self) -> tuple[int, ...]:
        """Values on each axis; the number of perturbations where they are just a list."""
        return tuple(map(len, self.axes.values())) or (len(self.perturbations),)

    def accuracy(self) -> Float64:
        """Return the share of correct predictions, 0..1, float64 of shape `shape`; NaN where there is none.

        Images without a label, or without an answer there, do not count.
        """
        labels = np.repeat(self.labels, len(self.perturbations))
        return self._mean(self.tops == labels, (labels >= 0) & (self.tops >= 0))

    def confidence(self) -> Float64:
        """Return the mean softmax probability, 0..1, of the predictions given: float64 of shape `shape`."""
        return self._mean(self.confidences, self.tops >= 0)

    @property
    def figures(self) -> dict[str, Float64]:
        """`accuracy`, where there are labels, and `confidence`, by what they are called."""
        figures = {"accuracy": self.accuracy()} if (self.labels >= 0).any() else {}
        return figures | {"mean confidence": self.confidence()}

    def table(self) -> Table:
        """Set accuracy and confidence in whole percentages; of two axes, one of them in a grid."""
        figures = self.figures
        if len(self.axes) == 2:
            name, shares = next(iter(figures.items()))
            (down, downwards), (across, values) = self.axes.items()
            rows = zip(map(_shown, downwards), *(map(_percent, each) for each in shares.T), strict=True)
            title = f"{name}, {down} down, {across} across"
            return Table((down, *map(_shown, values)), rows, ">" * (1 + len(values)), title=title)
        places = (
            ", ".join(_shown(getattr(each, name)) for name in self.axes) or repr(each)
            for each in self.perturbations
        )
        columns = (map(_percent, values.ravel()) for values in figures.values())
        head = (", ".join(self.axes) or "perturbation", *figures)
        return Table(head, zip(places, *columns, strict=True), ">" * len(head))

    def _mean(self, values: Array, counted: Bools) -> Float64:
        table = np.ma.array(values, np.float64, mask=~counted).reshape(len(self.photos), *self.shape)
        return np.asarray(table.mean(axis=0).filled(np.nan))

    def __repr__(self) -> str:
        sizes = " × ".join(map(str, self.shape))
        return f"Sweep({len(self.photos)} photos × {sizes} perturbations, {len(self.errors)} errors)"


def _shown(value: Any) -> str:
    return str(value) if value is None or isinstance(value, bool) else f"{value:.3g}"


def _percent(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.0%}"
