"""What came of two classifiers on the same pictures, as text, tables and plain values."""

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

from kit._reporting import Result, Table
from kit.regression.checking import STEPS
from kit.regression.forms import Forms
from kit.validation import Comparison as AccuracyComparison

MOVERS = 10
"""Pictures that moved most are told, so many of them."""


@dataclass(frozen=True)
class Mover:
    """A picture whose answer moved.

    Attributes
    ----------
    photo
        Its name.
    before, after
        The most probable class and its probability, 0..1.
    change
        Largest difference of a probability, 0..1.
    label
        The right class; empty where it is not known.
    """

    photo: str
    before: tuple[str, float]
    after: tuple[str, float]
    change: float
    label: str = ""


@dataclass(frozen=True, repr=False)
class Compared(Result):
    """What came of two classifiers on the same pictures.

    Attributes
    ----------
    first, second
        Their names.
    photos
        How many pictures.
    changed
        How many answers changed.
    difference
        Mean over pictures of the largest difference of a probability, 0..1.
    movers
        The pictures that moved most, the first the most.
    classes
        For each pair of answers, before and after, how many pictures; the most frequent first.
    accuracy
        McNemar's test on the labelled pictures: whether one is right more often than by chance; None without
        labels.
    calibration
        Expected calibration error of both on the labelled pictures, 0..1; None without labels, or where the
        second puts out no probabilities.
    forms
        Where both are forms of one network that differ, or do not: see `kit.regression.forms`; None where
        they are trained apart.
    step
        The first step at which their preprocessings part, a name of `kit.regression.checking.STEPS`.
    """

    first: str
    second: str
    photos: int
    changed: int
    difference: float
    movers: tuple[Mover, ...]
    classes: tuple[tuple[str, str, int], ...]
    accuracy: AccuracyComparison | None = None
    calibration: tuple[float, float] | None = None
    forms: Forms | None = None
    step: str = ""

    def headline(self) -> str:
        """Return one sentence."""
        some = f"{self.changed} of {self.photos} answers change from {self.first} to {self.second}"
        if self.step:
            return f"{some}; {STEPS[self.step]}."
        return f"{some}{f'; {self.forms.text()}' if self.forms is not None else ''}."

    def text(self) -> str:
        """Return the report as lines of text."""
        return "\n".join([self.headline(), *self._lines(), *(f"  {one}" for one in map(_mover, self.movers))])

    def table(self) -> Table:
        """Return a row for each of the pictures that moved most."""
        head = ("picture", "before", "after", "moved by", "right")
        rows = [
            (one.photo, _answer(one.before), _answer(one.after), f"{one.change:.3f}", one.label)
            for one in self.movers
        ]
        return Table(head, rows, "<<<><", title=self.headline())

    def __repr__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        lines = "".join(f"<p>{escape(line.strip())}</p>" for line in self._lines())
        return f"{lines}{self.table().html}"

    def _lines(self) -> Iterator[str]:
        if self.accuracy is not None:
            one = self.accuracy
            yield (
                f"  right: {one.first:.1%} before, {one.second:.1%} after; only before {one.only_first},"
                f" only after {one.only_second}; by chance alone in {one.p_value:.2g} (McNemar)"
            )
        if self.calibration is not None:
            yield "  expected calibration error: {:.3f} before, {:.3f} after".format(*self.calibration)
        for before, after, count in self.classes[:MOVERS]:
            yield f"  {before} -> {after}: {count}"


def _answer(answer: tuple[str, float]) -> str:
    return f"{answer[0]} {answer[1]:.2f}"


def _mover(one: Mover) -> str:
    right = f" (right: {one.label})" if one.label else ""
    return f"{one.photo}: {_answer(one.before)} -> {_answer(one.after)}{right}"
