"""Figures of a sweep: means over its pictures, and how they are set in a table."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kit._arrays import Array, Bools, Float64
from kit._reporting import Table
from kit.perturbation import Perturbation

Figures = Mapping[str, Float64]


def mean(values: Array, counted: Bools) -> Float64:
    """Return the mean over the first axis of the values that count; NaN where none does."""
    total = np.where(counted, values, 0).sum(axis=0, dtype=np.float64)
    count = counted.sum(axis=0)
    return np.asarray(np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0), np.float64)


def figures_table(
    axes: Mapping[str, Sequence[Any]], perturbations: Sequence[Perturbation], figures: Figures
) -> Table:
    """Set figures in columns, with a row for each perturbation; over two axes the first of them in a grid."""
    if len(axes) == 2:
        return _grid(axes, *next(iter(figures.items())))
    names = ", ".join(axes) or "perturbation"
    places = (", ".join(_shown(getattr(each, name)) for name in axes) or repr(each) for each in perturbations)
    columns = (map(_percent, values.ravel()) for values in figures.values())
    rows = list(zip(places, *columns, strict=True))
    return Table((names, *figures), rows, ">" * (1 + len(figures)), widths=(0, *[10] * len(figures)))


def _grid(axes: Mapping[str, Sequence[Any]], name: str, shares: Float64) -> Table:
    (down, downwards), (across, values) = axes.items()
    heads = [_shown(value) for value in values]
    width = max(4, *map(len, heads))
    return Table(
        (down, *heads),
        [(_shown(value), *map(_percent, row)) for value, row in zip(downwards, shares, strict=True)],
        ">" * (1 + len(heads)),
        # The columns of figures stand closer to each other than to the first.
        widths=(0, width + 1, *[width] * (len(heads) - 1)),
        gap=1,
        title=f"{'mean confidence' if name == 'confidence' else name}, {down} down, {across} across",
    )


def _shown(value: Any) -> str:
    return str(value) if value is None or isinstance(value, bool) else f"{value:.3g}"


def _percent(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.0%}"
