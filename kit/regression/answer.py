"""An answer: what has to hold of it, and what was observed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import NoneType
from typing import Any, Self

import numpy as np

from kit._arrays import Float32
from kit._checking import built, fraction, instance, nearest
from kit.preprocessing import Preprocessing
from kit.preprocessing.trace import Trace

KEPT = 0.001
"""Probabilities from which on a class is kept by name; the others count as none."""

Bounds = Mapping[str, float]


@dataclass(frozen=True)
class Expected:
    """What the answer has to be; all that is given has to hold.

    Attributes
    ----------
    classes
        The most probable class has to be one of these.
    never
        The most probable class must be none of these.
    order
        Two classes, of which the first has to be more probable.
    least, most
        Least and greatest probability, 0..1, by class.
    novel
        True where it has to be told as none of the classes, False where it must not; needs a classifier that
        can tell, see `kit.fit_novelty`.
    """

    classes: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    order: tuple[str, ...] = ()
    least: Bounds = field(default_factory=dict)
    most: Bounds = field(default_factory=dict)
    novel: bool | None = None

    def __post_init__(self) -> None:
        for name in ("classes", "never", "order"):
            object.__setattr__(self, name, texts(name, getattr(self, name)))
        if len(self.order) not in {0, 2}:
            raise ValueError(f"Expected order as two classes, received {list(self.order)!r}")
        for name in ("least", "most"):
            bounds = instance(name, getattr(self, name), Mapping, "probabilities by class")
            checked = {str(key): fraction(f"{name} of {key}", value) for key, value in bounds.items()}
            object.__setattr__(self, name, checked)
        if self.novel is not None:
            instance("novel", self.novel, bool, "True or False")
        if not self.named and self.novel is None:
            raise ValueError("Expected something that has to hold, received nothing; give classes, for one")

    @property
    def named(self) -> tuple[str, ...]:
        """Every class that it speaks of."""
        return (*self.classes, *self.never, *self.order, *self.least, *self.most)

    def broken(self, row: Float32, names: Sequence[str], *, novel: bool | None = None) -> tuple[str, ...]:
        """Return what does not hold of an answer, in words; empty where all does.

        Parameters
        ----------
        row
            float32, (classes,): probabilities.
        names
            Of the classes.
        novel
            Whether the classifier says that it is none of them; None where it cannot tell.
        """
        if not np.isfinite(row).all():
            return ("its probabilities are no numbers",)
        unknown = next((name for name in self.named if name not in names), None)
        if unknown is not None:
            return (f"the classifier has no class {unknown!r}{nearest(unknown, names)}",)
        top = names[int(np.argmax(row))]
        found = []
        if self.classes and top not in self.classes:
            found.append(f"it is {top}, expected {' or '.join(self.classes)}")
        if top in self.never:
            found.append(f"it is {top}, which it must not be")
        share = {
            name: max(float(row[place]) for place, each in enumerate(names) if each == name)
            for name in self.named
        }
        if self.order and share[self.order[0]] <= share[self.order[1]]:
            found.append(f"{self.order[0]} is not more probable than {self.order[1]}")
        found += [f"{name} has less than {low:g}" for name, low in self.least.items() if share[name] < low]
        found += [f"{name} has more than {high:g}" for name, high in self.most.items() if share[name] > high]
        if self.novel is not None and novel is None:
            found.append("the classifier cannot tell what is none of its classes")
        elif self.novel is not None and novel != self.novel:
            found.append(f"it is told as {'one' if self.novel else 'none'} of the classes")
        return tuple(found)


@dataclass(frozen=True)
class Observed:
    """What a classifier answered.

    Attributes
    ----------
    probabilities
        Index and name of each class with a probability of `KEPT` or more, and that probability, 0..1.
    trace
        What each step left behind.
    engine
        What ran the network, in words.
    novel
        Whether it was told as none of the classes; None where the classifier cannot tell.
    preprocessing
        The classifier's own at that time, if the picture was prepared by it; None in older files.
    held
        Whether what was expected held; None in older files.
    """

    probabilities: tuple[tuple[int, str, float], ...]
    trace: Trace
    engine: str = ""
    novel: bool | None = None
    preprocessing: Preprocessing | None = None
    held: bool | None = None

    @classmethod
    def of(cls, row: Float32, names: Sequence[str], trace: Trace, **more: Any) -> Self:
        """Keep an answer: float32, (classes,); `more` are the other attributes."""
        kept = np.flatnonzero(row >= KEPT).tolist()
        ranked = sorted(kept, key=lambda place: (-row[place], place))
        told = tuple((place, names[place], round(float(row[place]), 6)) for place in ranked)
        return cls(told, trace, **more)

    @property
    def top(self) -> tuple[str, float]:
        """The most probable class and its probability."""
        if not self.probabilities:
            return "no class", 0.0
        _, name, share = self.probabilities[0]
        return name, share

    def judged(self, expected: Expected, row: Float32, names: Sequence[str]) -> Self:
        """Return a copy that knows whether what is expected holds of the answer: float32, (classes,)."""
        return replace(self, held=not expected.broken(row, names, novel=self.novel))

    def moved(self, row: Float32) -> float:
        """Return by how much a probability differs at most from those of another answer, 0..1."""
        before = np.zeros(len(row))
        for place, _, share in self.probabilities:
            if place >= len(row):
                return 1.0
            before[place] = share
        told = {place for place, _, _ in self.probabilities}
        rest = [place not in told for place in range(len(row))]
        change = np.abs(np.asarray(row, np.float64) - before)
        change[rest] = np.maximum(change[rest] - KEPT, 0)
        return float(np.nan_to_num(change, nan=1.0).max(initial=0))

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values; `from_dict` gives back an equal one."""
        return {
            **vars(self),
            "probabilities": [list(each) for each in self.probabilities],
            "trace": self.trace.to_list(),
            "preprocessing": dict_of(self.preprocessing),
        }

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        """Return the answer that `to_dict` wrote.

        Raises
        ------
        TypeError, ValueError
            Something else.
        """
        kept = built(cls, "a part of a case", data)
        rows = []
        for place, name, share in instance("probabilities", kept.probabilities, list, "a list"):
            if type(place) is not int or place < 0:
                raise TypeError(f"Expected the index of a class, received {place!r}")
            rows.append((place, instance("a class", name, str, "text"), fraction("a probability", share)))
        engine = instance("engine", kept.engine, str, "text")
        for name in ("novel", "held"):
            if not isinstance(value := getattr(kept, name), (bool, NoneType)):
                raise TypeError(f"Expected {name} as true, false or null, received {value!r}")
        trace, steps = Trace.from_list(kept.trace), preprocessing_of(kept.preprocessing)
        return cls(tuple(rows), trace, engine, kept.novel, steps, kept.held)


def texts(name: str, value: Any) -> tuple[str, ...]:
    """Return names as a tuple; one name may stand alone."""
    listed = (value,) if isinstance(value, str) else value
    if not isinstance(listed, (list, tuple)) or not all(isinstance(each, str) for each in listed):
        raise TypeError(f"Expected {name} as names of classes, received {value!r}")
    return tuple(listed)


def dict_of(preprocessing: Preprocessing | None) -> dict[str, Any] | None:
    """Return a preprocessing as JSON values."""
    return None if preprocessing is None else preprocessing.to_dict()


def preprocessing_of(data: Any) -> Preprocessing | None:
    """Return the preprocessing that `dict_of` wrote."""
    return None if data is None else Preprocessing.from_dict(data)
