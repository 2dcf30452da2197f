"""Answers as people write them: numbers as text, with a comma, names in other words."""

import math
import re
import reprlib
from collections.abc import Iterable, Mapping
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np

_NUMBER = re.compile(
    r"(?:[a-z]\w* ?[=:] ?|[x×] ?)?(?P<value>[+-]?(?:\d+[.,]?\d*|[.,]\d+)) ?"
    r"(?:(?P<percent>%|percent)|levels?(?: of noise)?)?"
)


def number(answer: Any) -> float | None:
    """Read a finite number, from text too ("0,7", "70 %", "12 levels"); None where there is none."""
    if isinstance(answer, np.ndarray) and answer.size == 1 and not np.ma.isMaskedArray(answer):
        answer = answer.item()
    if isinstance(answer, str):
        read = _NUMBER.fullmatch(" ".join(answer.lower().split()))
        if read is None:
            return None
        answer = float(read["value"].replace(",", ".")) / (100 if read["percent"] else 1)
    if isinstance(answer, bool) or not isinstance(answer, (Real, Decimal)):
        return None
    try:
        return float(answer) if math.isfinite(answer) else None
    except (OverflowError, ValueError):
        return None


def choice(answer: Any, names: Mapping[str, Iterable[str]]) -> str | None:
    """Return which of several things an answer names.

    Parameters
    ----------
    answer
        Text. Case, blanks, punctuation and what stands in parentheses do not matter.
    names
        Other words for each thing, by its name.

    Returns
    -------
    str or None
        The name; None where none or several of them are meant.
    """
    if not isinstance(answer, str):
        return None
    found = {name for name, others in names.items() if _plain(answer) in {*map(_plain, (name, *others))}}
    return found.pop() if len(found) == 1 else None


def told(answer: Any) -> str:
    """Return an answer as it is quoted, in one short line."""
    try:
        text = reprlib.repr(answer)
    except Exception:  # noqa: BLE001 - whatever a learner has put there, the check goes on
        text = f"a {type(answer).__name__}"
    return " ".join(text.split())[:60]


def _plain(text: str) -> str:
    return re.sub(r"[\W_]+", "", re.sub(r"\(.*?\)", "", text.casefold()))
