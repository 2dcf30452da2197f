"""What came of running cases, as text that is the same on every machine where nothing moved."""

import textwrap
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from kit._checking import told
from kit._reporting import Result, Table
from kit.regression.cases import Case

State = Literal["holds", "moved", "failing", "fixed", "skipped", "unusable"]

_WORDS: dict[State, str] = {
    "holds": "holds",
    "moved": "MOVED",
    "failing": "fails as it did",
    "fixed": "holds by now",
    "skipped": "left out",
    "unusable": "CANNOT BE RUN",
}
_COUNTED: dict[State, str] = {
    "moved": "moved",
    "unusable": "cannot be run",
    "holds": "hold",
    "failing": "fail as they did",
    "fixed": "hold by now",
    "skipped": "left out",
}
_MARGINS = ((0.05, "by a hair"), (0.2, "narrowly"), (0.5, "clearly"), (2.0, "by far"))
_SHOWN = 5


class CasesMovedError(AssertionError):
    """Cases moved; the message is one paragraph, which is all that a notebook shows."""

    def _render_traceback_(self) -> list[str]:
        return textwrap.wrap(f"{type(self).__name__}: {self}", 100)


@dataclass(frozen=True)
class Checked:
    """What came of one case.

    Attributes
    ----------
    name, state
        Of the case; ``"moved"`` where it does not hold any more or a probability moved too far, ``"failing"``
        and ``"fixed"`` where it did not hold from the start.
    case
        None where its file cannot be read.
    answer
        The most probable class now, and its probability, 0..1.
    change
        By how much a probability moved at most, 0..1.
    broken
        What does not hold, in words.
    step
        Which step it is that moved it, a name of `kit.regression.checking.STEPS`.
    told
        The same in words, or why the case was not run.
    accepted
        Whether the case was written anew.
    """

    name: str
    state: State
    case: Case | None = None
    answer: tuple[str, float] = ("", 0.0)
    change: float = 0.0
    broken: tuple[str, ...] = ()
    step: str = ""
    told: str = ""
    accepted: bool = False

    @property
    def moved(self) -> bool:
        """Whether it is red."""
        return self.state in {"moved", "unusable"} and not self.accepted

    @property
    def words(self) -> str:
        """One line: the same everywhere, unless something moved."""
        if self.case is None or self.state in {"skipped", "unusable"}:
            return f"{_WORDS[self.state]}: {self.told}"
        before, share = self.case.observed.top
        name, now = self.answer
        if self.state == "moved":
            parts = [*self.broken, f"was {before} {share:.3f}, is {name} {now:.3f}"]
            parts += [f"a probability moved by {self.change:.3f}"] * (self.change > self.case.tolerance)
            verb = "accepted" if self.accepted else _WORDS["moved"]
            return f"{verb}: {'; '.join([*parts, self.told])}"
        if self.state == "fixed":
            done = "and is accepted" if self.accepted else "accept it with update=True, or --update"
            return f"{_WORDS['fixed']}: was {before}, is {name}; {done}"
        return f"{_WORDS[self.state]}: {before}, {self.margin}{f'; {self.told}' if self.told else ''}"

    @property
    def margin(self) -> str:
        """How far the first class was ahead when the case was made, in coarse words."""
        if self.case is None or not self.case.observed.probabilities:
            return ""
        shares = [share for _, _, share in self.case.observed.probabilities[:2]]
        lead = shares[0] - (shares[1] if len(shares) > 1 else 0.0)
        return next(word for limit, word in _MARGINS if lead < limit)


@dataclass(frozen=True, repr=False)
class CheckedCases(Result):
    """What came of a folder of cases.

    Attributes
    ----------
    classifier
        Its name.
    cases
        By name.
    unfinished
        Cases that were not run, since somebody stopped it.
    """

    classifier: str
    cases: tuple[Checked, ...]
    unfinished: int = 0

    @property
    def moved(self) -> tuple[Checked, ...]:
        """Those that are red: moved, or not to be run."""
        return tuple(one for one in self.cases if one.moved)

    @property
    def holds(self) -> bool:
        """Whether all were run and none is red."""
        return not (self.moved or self.unfinished)

    def headline(self) -> str:
        """Return one sentence."""
        counts = Counter(one.state for one in self.cases)
        parts = [f"{counts[state]} {words}" for state, words in _COUNTED.items() if counts[state]]
        if self.unfinished:
            parts.append(f"{self.unfinished} not run")
        count = len(self.cases)
        return f"{count} case{'s' * (count != 1)} of {self.classifier}: {', '.join(parts) or 'none'}."

    def text(self) -> str:
        """Return a line for each case, the same on every machine where nothing moved."""
        return "\n".join([self.headline(), *(told(f"  {one.name}: {one.words}") for one in self.cases)])

    def paragraph(self) -> str:
        """Return what moved as one paragraph."""
        shown = [told(f"{one.name} {one.words}.") for one in self.moved[:_SHOWN]]
        more = len(self.moved) - len(shown)
        return " ".join([self.headline(), *shown, *([f"And {more} more."] if more else [])])

    def table(self) -> Table:
        """Return a row for each case."""
        rows = [(one.name, one.words) for one in self.cases]
        return Table(("case", "result"), rows, "<<", title=self.headline())

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return {
            "classifier": self.classifier,
            "holds": self.holds,
            "unfinished": self.unfinished,
            "cases": [
                {
                    "name": one.name,
                    "state": one.state,
                    "answer": one.answer[0],
                    "probability": one.answer[1],
                    "change": one.change,
                    "step": one.step,
                    "told": one.words,
                    "accepted": one.accepted,
                }
                for one in self.cases
            ],
        }

    def junit(self) -> str:
        """Return the report as JUnit XML, which CI servers show."""
        from xml.sax.saxutils import quoteattr  # noqa: PLC0415 (only here; writes, never reads)

        rows = []
        for one in self.cases:
            inside = f"<failure message={quoteattr(_printable(one.words))}/>" if one.moved else ""
            inside += "<skipped/>" if one.state == "skipped" else ""
            rows.append(
                f'<testcase classname="cases" name={quoteattr(_printable(one.name))}>{inside}</testcase>'
            )
        skipped = sum(one.state == "skipped" for one in self.cases)
        head = f'tests="{len(self.cases)}" failures="{len(self.moved)}" skipped="{skipped}"'
        name = quoteattr(_printable(self.classifier))
        start = '<?xml version="1.0" encoding="UTF-8"?>\n'
        return f"{start}<testsuite name={name} {head}>{''.join(rows)}</testsuite>\n"

    def __repr__(self) -> str:
        return self.text()

    def _report(self) -> Iterator[Table]:
        yield self.table()


def _printable(text: str) -> str:
    return "".join(each if each.isprintable() else " " for each in text)
