"""What a step of a preprocessing is: how it runs and is undone, its words, what can be chosen wrongly."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from kit._arrays import Array

P = TypeVar("P")
"""The value that holds the fields of all operations."""

Changes = Mapping[str, Any]
Tried = Callable[[P], Iterable[Changes]]


@dataclass(frozen=True)
class Choice(Generic[P]):
    """What there is to choose in an operation, and to choose wrongly.

    Attributes
    ----------
    name, label
        Key and text of the explorer's menus, if faults of the catalogue make one.
    words
        Says in words what has been chosen.
    causes
        What it is called to choose wrongly; the first is meant where no fault of the catalogue fits.
    tried
        Changes that lead from what is in use to what may have been in training.
    title
        Its name in comparisons, where that is another.
    """

    name: str
    label: str
    words: Callable[[P], str]
    causes: tuple[str, ...] = ()
    tried: Callable[[P], Iterable[Changes]] = lambda _: ()
    title: str = ""


@dataclass(frozen=True)
class Operation(Generic[P]):
    """One step of a preprocessing.

    Attributes
    ----------
    name
        That of the `Step` it leaves behind.
    function
        Takes what the operation before it left behind, then the values of the fields.
    fields
        Those that it reads, each with what checks a value by its name. The operation is left out where the
        first one is None or False.
    choices
        What can be chosen wrongly in it.
    undo
        Like `function`, back from a tensor to a picture; None where that cannot be.
    line
        What it does in words, if the words of the choices do not say it.
    """

    name: str
    function: Callable[..., Any]
    fields: Mapping[str, Callable[[str, Any], Any]]
    choices: tuple[Choice[P], ...]
    undo: Callable[..., Any] | None = None
    line: Callable[[P], str] | None = None

    def values(self, p: P) -> tuple[Any, ...]:
        """Return the values of the fields that it reads."""
        return tuple(getattr(p, name) for name in self.fields)

    def skipped(self, p: P) -> bool:
        """Whether it is left out."""
        first = self.values(p)[0]
        return first is None or first is False

    def described(self, p: P) -> str:
        """Return what it does, in words."""
        return self.line(p) if self.line else "; ".join(choice.words(p) for choice in self.choices)


@dataclass(frozen=True)
class Step:
    """What one step left behind: its name and a read-only array."""

    name: str
    array: Array

    def __repr__(self) -> str:
        low, high = self.array.min(), self.array.max()
        return f"Step({self.name!r}, {self.array.dtype} {self.array.shape}, {low:g}..{high:g})"


def run(operations: Iterable[Operation[P]], p: P, x: Any) -> Any:
    """Return what operations make of a photo, or of what those before them left behind."""
    for operation in operations:
        if not operation.skipped(p):
            x = operation.function(x, *operation.values(p))
    return x


def run_back(operations: Sequence[Operation[P]], p: P, x: Array) -> Array:
    """Return what `x` was before those operations that can be undone."""
    for operation in reversed(operations):
        if operation.undo is not None and not operation.skipped(p):
            x = operation.undo(x, *operation.values(p))
    return x


def steps(operations: Iterable[Operation[P]], p: P, x: Any) -> tuple[Step, ...]:
    """Return what each operation leaves behind."""
    found = []
    for operation in operations:
        x = run((operation,), p, x)
        shown = x.view()
        shown.flags.writeable = False
        found.append(Step(operation.name, shown))
    return tuple(found)
