"""What comes out of a sweep, as a frozen value: rows, curves, grids and flips."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from kit._checking import known
from kit.perturbation import Perturbation
from kit.robustness.sweeps import storage as sweep_file

Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Flip:
    """Where the answer to a picture changes along one parameter.

    Attributes
    ----------
    photo
        Place of the picture among those of the sweep.
    parameter
        Name of the parameter.
    last, value
        The answer is ``before`` at `last` and ``after`` at `value`, both of which were tried; they lie no
        farther apart than the tolerance. In a sweep `last` is the one nearer to the neutral value.
    before, after
        Names of classes.
    """

    photo: int
    parameter: str
    last: float
    value: float
    before: str
    after: str


@dataclass(frozen=True, eq=False, repr=False)
class Sweep:
    """Answers to pictures under perturbations: a row for each pair, picture by picture.

    Parameters
    ----------
    photos
        Names of the pictures.
    perturbations
        What was done to each picture, in the order of its rows.
    axes
        Names and values of which `perturbations` are all combinations, the last name changing fastest; empty
        where they are just a list.
    class_names
        Names of the classes.
    labels
        int32, shape (photos,): right classes, -1 where none is known.
    tops
        int32, shape (rows,): the most probable class, -1 where there is no answer.
    confidences, probabilities
        float32, shape (rows,): softmax probabilities 0..1 of that class and of the labelled one; NaN where
        there is none.
    errors
        Rows without an answer, each with the reason.
    flips
        Where answers flip along each axis, by bisection: for each picture the first one below and above the
        value nearest to the neutral one, with the other parameters at theirs.
    """

    photos: tuple[str, ...]
    perturbations: tuple[Perturbation, ...]
    axes: Mapping[str, tuple[Any, ...]]
    class_names: tuple[str, ...]
    labels: npt.NDArray[np.int32]
    tops: npt.NDArray[np.int32]
    confidences: npt.NDArray[np.float32]
    probabilities: npt.NDArray[np.float32]
    errors: Mapping[int, str]
    flips: tuple[Flip, ...] = ()

    def __len__(self) -> int:
        return len(self.tops)

    @property
    def shape(self) -> tuple[int, ...]:
        """Values on each axis; the number of perturbations where they are just a list."""
        return tuple(map(len, self.axes.values())) or (len(self.perturbations),)

    @cached_property
    def columns(self) -> Mapping[str, npt.NDArray[Any]]:
        """The rows as arrays of shape (rows,), as `pandas.DataFrame` takes them.

        ``photo`` and ``perturbation`` int32: places in `photos` and `perturbations`. The parameters that are
        swept, float64: their values, NaN for None. ``top`` and ``label`` int32, -1 for none; ``confidence``
        and ``probability`` (of the label) float32; ``correct`` bool, False without label or answer; ``name``,
        ``class`` and ``error`` texts or None.
        """
        photos, perturbations = len(self.photos), len(self.perturbations)
        photo = np.repeat(np.arange(photos, dtype=np.int32), perturbations)
        label = self.labels[photo]
        errors = np.full(len(self), None, object)
        errors[list(self.errors)] = list(self.errors.values())
        classes = np.array([*self.class_names, None], object)
        columns = {
            "photo": photo,
            "name": np.array(self.photos, object)[photo],
            "perturbation": np.tile(np.arange(perturbations, dtype=np.int32), photos),
            **{name: np.tile(self._values(name), photos) for name in self.parameters},
            "top": self.tops,
            "class": classes[self.tops],
            "confidence": self.confidences,
            "label": label,
            "probability": self.probabilities,
            "correct": (self.tops == label) & (label >= 0),
            "error": errors,
        }
        return MappingProxyType(columns)

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the parameters that are swept: the axes, or what differs among listed perturbations."""
        if self.axes:
            return tuple(self.axes)
        settings = [each.to_dict() for each in self.perturbations]
        return tuple(name for name in settings[0] if len({each[name] for each in settings}) > 1)

    def grid(self, column: str) -> npt.NDArray[Any]:
        """Return a column as an array of a picture's place and then that on each axis.

        Raises
        ------
        TypeError, ValueError
            No name of a column.
        """
        chosen = self.columns[known("column", column, self.columns)]
        return chosen.reshape(len(self.photos), *self.shape)

    def accuracy(self) -> Float64:
        """Return the share of right answers, 0..1, float64 of shape `shape`; NaN where nothing was answered.

        Pictures without a label, or without an answer there, do not count.

        Raises
        ------
        ValueError
            No labels.
        """
        if not (self.labels >= 0).any():
            raise ValueError("Expected a sweep with labels, received one without; give labels= to kit.sweep")
        return _mean(self.grid("correct"), (self.grid("label") >= 0) & (self.grid("top") >= 0))

    def confidence(self) -> Float64:
        """Return the mean softmax probability, 0..1, of the answers given: float64 of shape `shape`."""
        return _mean(self.grid("confidence"), self.grid("top") >= 0)

    def table(self) -> str:
        """Set accuracy and confidence as text, in whole percentages; of a grid, accuracy if there is one."""
        labelled = bool((self.labels >= 0).any())
        if len(self.axes) == 2:
            return self._square("accuracy" if labelled else "mean confidence", labelled=labelled)
        names = [*self.axes] or ["perturbation"]
        places = [", ".join(each) for each in self._places()]
        width = max(map(len, [", ".join(names), *places]))
        figures = {"confidence": self.confidence()}
        if labelled:
            figures = {"accuracy": self.accuracy(), **figures}
        head = "  ".join([f"{', '.join(names):>{width}}", *(f"{name:>10}" for name in figures)])
        flat = [values.ravel() for values in figures.values()]
        lines = [
            "  ".join([f"{place:>{width}}", *(f"{_percent(values[row]):>10}" for values in flat)])
            for row, place in enumerate(places)
        ]
        return "\n".join([head, *lines])

    def _square(self, title: str, *, labelled: bool) -> str:
        down, across = self.axes
        heads = [_shown(value) for value in self.axes[across]]
        figures = self.accuracy() if labelled else self.confidence()
        width = max(4, *map(len, heads))
        side = max(len(down), *(len(_shown(value)) for value in self.axes[down]))
        lines = [
            f"{_shown(value):>{side}}  " + " ".join(f"{_percent(each):>{width}}" for each in row)
            for value, row in zip(self.axes[down], figures, strict=True)
        ]
        head = f"{down:>{side}}  " + " ".join(f"{each:>{width}}" for each in heads)
        return "\n".join([f"{title}, {down} down, {across} across", head, *lines])

    def _places(self) -> Iterator[tuple[str, ...]]:
        for perturbation in self.perturbations:
            yield tuple(_shown(getattr(perturbation, name)) for name in self.axes) or (repr(perturbation),)

    def _values(self, name: str) -> Float64:
        values = [getattr(perturbation, name) for perturbation in self.perturbations]
        return np.array([np.nan if value is None else value for value in values], np.float64)

    def to_parquet(self, path: str | PathLike[str], *, identity: Mapping[str, str] | None = None) -> None:
        """Write the rows as columns of a Parquet file, in one step; pandas and others read it too.

        Parameters
        ----------
        path
            File to write.
        identity
            What `kit.sweep` knows a sweep by that it is asked for again.
        """
        description = {
            "photos": self.photos,
            "perturbations": [each.to_dict() for each in self.perturbations],
            "axes": dict(self.axes),
            "class_names": self.class_names,
            "flips": [list(vars(flip).values()) for flip in self.flips],
            "identity": identity,
        }
        sweep_file.write_table(Path(path), self.columns, description)

    @classmethod
    def from_parquet(cls, path: str | PathLike[str]) -> Self:
        """Read what `to_parquet`, or a sweep with ``path=``, wrote.

        Raises
        ------
        FileNotFoundError, ValueError
            No such file, or no sweep in it.
        """
        return cls.from_table(*sweep_file.read_table(Path(path)))

    @classmethod
    def from_table(cls, columns: Mapping[str, Any], description: Mapping[str, Any]) -> Self:
        """Make a sweep from what `kit.robustness.sweeps.storage.read_table` returns."""
        perturbations = tuple(map(Perturbation.from_dict, description["perturbations"]))
        return cls(
            tuple(description["photos"]),
            perturbations,
            MappingProxyType({name: tuple(each) for name, each in description["axes"].items()}),
            tuple(description["class_names"]),
            columns["label"][:: len(perturbations)],
            columns["top"],
            columns["confidence"],
            columns["probability"],
            MappingProxyType(sweep_file.texts(columns["error"])),
            tuple(Flip(*each) for each in description["flips"]),
        )

    def __eq__(self, other: object) -> bool:
        """Whether everything is the same, to the last bit."""
        if not isinstance(other, Sweep):
            return NotImplemented
        plain = ("photos", "perturbations", "axes", "class_names", "errors", "flips")
        arrays = ("labels", "tops", "confidences", "probabilities")
        return all(getattr(self, name) == getattr(other, name) for name in plain) and all(
            np.array_equal(one, two, equal_nan=one.dtype.kind == "f")
            for one, two in ((getattr(self, name), getattr(other, name)) for name in arrays)
        )

    __hash__ = None  # type: ignore[assignment]  # arrays have none

    def __repr__(self) -> str:
        times = " \N{MULTIPLICATION SIGN} "
        what = times.join(f"{name} {len(values)}" for name, values in self.axes.items())
        parts = [
            f"{len(self.photos)} photo{'s' if len(self.photos) != 1 else ''}",
            what or f"{len(self.perturbations)} perturbation{'s' if len(self.perturbations) != 1 else ''}",
        ]
        missing = f", {len(self.errors)} rows without an answer" if self.errors else ""
        flips = f", {len(self.flips)} flip{'s' if len(self.flips) != 1 else ''}" if self.flips else ""
        return f"Sweep({times.join(parts)}{flips}{missing})"


def _mean(values: npt.NDArray[Any], counted: npt.NDArray[np.bool_]) -> Float64:
    total = np.where(counted, values, 0).sum(axis=0, dtype=np.float64)
    count = counted.sum(axis=0)
    return np.asarray(np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0), np.float64)


def _shown(value: Any) -> str:
    return str(value) if value is None or isinstance(value, bool) else f"{value:.3g}"


def _percent(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.0%}"
