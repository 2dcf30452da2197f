"""What the kit shows while it works, and the forms of its results."""

import csv
import json
import os
import threading
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from html import escape
from importlib import import_module
from itertools import repeat
from pathlib import Path
from textwrap import indent
from typing import Any, Generic, Self, TypeAlias, TypeVar

import numpy as np

from kit._arrays import AnyPath, Array, JSONObject
from kit._checking import no_attribute, require

Part = TypeVar("Part")
Progress: TypeAlias = bool | Callable[[str], object]
"""True shows a bar once two seconds have passed, False nothing; a function gets each step as a line."""


def say(line: str, progress: Progress) -> None:
    """Report what was done, to whom steps are shown."""
    tell = progress if callable(progress) else print
    if progress:
        tell(line)


class Steps(Generic[Part]):
    """The parts of something that may take long; a context manager.

    Parameters
    ----------
    parts
        Iterated over, each a step; empty where `advance` is called instead.
    what, progress
        What is done; see `Progress`.
    total
        Steps that there are, by default as many as parts; of parts without a number, seconds are shown.
    keep
        Whether an interruption after the first step ends the block quietly, for what is finished to be used.

    Attributes
    ----------
    done : int
        Steps that were taken.
    """

    def __init__(
        self,
        parts: Iterable[Part],
        what: str,
        progress: Progress,
        *,
        total: int | None = None,
        keep: bool = False,
    ) -> None:
        if total is None and isinstance(parts, Sized):
            total = len(parts)
        self._parts = parts
        self._what = what
        self._keep = keep
        self._total = total
        self._tell = progress if callable(progress) else None
        self.done = 0
        self._bar: Any = None
        if progress and self._tell is None:
            from tqdm.auto import tqdm

            self._bar = tqdm(
                total=total,
                desc=what,
                delay=2,
                leave=False,
                bar_format=None if total else "{desc}: {elapsed}",
            )

    def __iter__(self) -> Iterator[Part]:
        with self:
            for part in self._parts:
                yield part
                self.advance()

    def advance(self, count: int = 1) -> None:
        """Say that more steps are taken."""
        self.done += count
        if self._bar is not None:
            self._bar.update(count)
        if self._tell is not None:
            self._tell(f"{self._what}: {self.done} of {self._total}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> bool:
        if self._bar is not None:
            self._bar.close()
        stopped = isinstance(error, KeyboardInterrupt)
        return self._keep and self.done > 0 and stopped


# The standard error belongs to the whole process: two blocks at once would put back each other's sink.
_LOCK = threading.RLock()


@contextmanager
def hidden_errors() -> Iterator[None]:
    """Keep what libraries write to the standard error of the process off the screen."""
    with _LOCK, Path(os.devnull).open("wb") as sink:
        try:
            screen = os.dup(2)
        except OSError:  # no standard error, as under pythonw
            yield
            return
        try:
            os.dup2(sink.fileno(), 2)
            yield
        finally:
            os.dup2(screen, 2)
            os.close(screen)


class Heading(str):
    """A line of a report that stands out in HTML."""

    __slots__ = ()


class Code(str):
    """Lines of code in a report."""

    __slots__ = ()


class Result:
    """What a person gets back: text for a terminal, HTML for a notebook, plain values for JSON."""

    def _report(self) -> "Report":
        """Yield the parts of a `Report`; those of other results are indented."""
        yield repr(self)
        if hasattr(self, "table"):
            yield self.table()

    def text(self) -> str:
        """Return the result as lines of text."""
        return "\n".join(map(_text, self._report()))

    def html(self) -> str:
        """Return the result as HTML; whatever came from a file or a person is escaped."""
        return f'<div class="kit-result">\n{"".join(map(_html, self._report()))}</div>'

    def to_dict(self) -> JSONObject:
        """Return everything as plain lists, numbers and texts, for JSON; None for what is no number."""
        content: JSONObject = json_value(_field_values(self))
        return content

    def __str__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        return self.html()

    def _repr_mimebundle_(self, **_options: Any) -> dict[str, str]:
        # Beside the HTML all of it stands as text, for pages that show only that and for comparisons.
        return {"text/plain": self.text(), "text/html": self._repr_html_()}


Report: TypeAlias = Iterable[str | Result]
"""The lines, tables and other results that text and HTML are made of."""

# Where it would stand in the class, every attribute would have a type.
Result.__getattr__ = no_attribute  # type: ignore[attr-defined]


class Rows(Result):
    """A result with a row for each image, perturbed image or case."""

    def _columns(self) -> Mapping[str, Sequence[Any] | Array]:
        """Return the values of each column, by its name."""
        raise NotImplementedError

    def to_dataframe(self) -> Any:
        """Return a `pandas.DataFrame`, in which None is what is not known; ImportError without pandas."""
        require("pandas")
        return import_module("pandas").DataFrame(self._columns())

    def to_csv(self, path: AnyPath) -> None:
        """Write the columns of `to_dataframe` as a CSV file in UTF-8, over the one that is there."""
        columns = self._columns()
        with Path(path).open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            writer.writerows(zip(*columns.values(), strict=True))


class Table(Result):
    """Rows under a head: as a text, aligned columns; in a notebook, a table whose cells are escaped.

    Parameters
    ----------
    head, title
        Titles of the columns; line above.
    rows
        Texts, one for each column; a ValueError for another number.
    align
        ``"<"`` or ``">"`` for each column; by default the first is to the left and the others to the right.
    """

    def __init__(
        self,
        head: Sequence[str],
        rows: Iterable[Sequence[str]],
        align: str = "",
        *,
        title: str = "",
    ) -> None:
        self._rows = [head, *rows]
        self._align = align or "<".ljust(len(head), ">")
        self._title = title
        columns = zip(self._align, *self._rows, strict=True)
        self._formats = [f"{side}{max(map(len, texts))}" for side, *texts in columns]

    def text(self) -> str:
        """Return aligned columns."""
        lines = [
            "  ".join(map(format, row, self._formats)).rstrip() for row in self._rows
        ]
        if self._title:
            lines = [self._title, *lines]
        return "\n".join(lines)

    def html(self) -> str:
        """Return a table whose columns and rows have header cells."""
        caption = f"<caption>{escape(self._title)}</caption>" if self._title else ""
        head, *rows = self._rows
        titles = self._html_row(repeat('th scope="col"'), head)
        tags = ['th scope="row"', *repeat("td", len(head) - 1)]
        body = "".join(self._html_row(tags, row) for row in rows)
        # Where its output is folded, JupyterLab shows the first line.
        return f"<table>\n{caption}<thead>{titles}</thead><tbody>{body}</tbody></table>"

    def _html_row(self, tags: Iterable[str], texts: Sequence[str]) -> str:
        return f"<tr>{''.join(map(_html_cell, tags, texts, self._align))}</tr>"

    __repr__ = Result.__str__


def _text(part: str | Result) -> str:
    if isinstance(part, str | Table):
        return str(part)
    return indent(part.text(), "   ", lambda line: bool(line.strip()))


def _html(part: str | Result) -> str:
    if isinstance(part, Heading):
        return f"<p><strong>{escape(part)}</strong></p>"
    if isinstance(part, Code) or (isinstance(part, str) and "\n" in part):
        return f"<pre>{escape(part)}</pre>"
    if isinstance(part, str):
        return f"<p>{escape(part)}</p>" if part else ""
    if isinstance(part, Table):
        return part.html()
    return f'<div style="margin-left: 1.5em">{part.html()}</div>'


def _html_cell(tag: str, text: str, side: str) -> str:
    style = ' style="text-align: left"' if side == "<" else ""
    return f"<{tag}{style}>{escape(text)}</{tag[:2]}>"


def tag(file: bytes, alt: str, kind: str = "png") -> str:
    """Return an image file as an HTML element with its alternative text."""
    return f'<img alt="{escape(alt)}" src="data:image/{kind};base64,{b64encode(file).decode()}">'


def json_value(value: Any) -> Any:
    """Return a value as JSON has it; None for a number that is none, its `repr` for what has no such form."""
    text = json.dumps(value, default=_plain)
    return json.loads(text, parse_constant=lambda _name: None)


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if hasattr(value, "to_dict"):
        return value.to_dict()
    return _field_values(value) if is_dataclass(value) else repr(value)


def _field_values(value: Any) -> JSONObject:
    return {field.name: getattr(value, field.name) for field in fields(value)}


def changed(settings: Any) -> str:
    """Return ``name=value`` of the fields of a dataclass that differ from their defaults."""
    defaults = {field.name: field.default for field in fields(settings)}
    return ", ".join(
        f"{name}={getattr(settings, name)!r}"
        for name, default in defaults.items()
        if getattr(settings, name) != default
    )


def value_text(value: Any) -> str:
    """Return a value of a parameter as text."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)
