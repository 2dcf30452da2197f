"""Answers as people write them: numbers as text, with a comma, names in other words."""

import math
import re
import reprlib
from collections.abc import Iterable, Mapping
from typing import Any

_UNITS = re.compile(r"(levels?|%|percent)$")


def number(answer: Any) -> float | None:
    """Read a number, from text too ("0,7", "12 levels"); None where there is none, or it is not finite."""
    if isinstance(answer, str):
        answer = _UNITS.sub("", answer.strip().lower()).strip().replace(",", ".")
    elif isinstance(answer, bool) or not hasattr(answer, "__float__"):
        return None
    try:
        read = float(answer)
    except (TypeError, ValueError, OverflowError):
        return None
    return read if math.isfinite(read) else None


def choice(answer: Any, names: Mapping[str, Iterable[str]]) -> str | None:
    """Return which of several things an answer names.

    Parameters
    ----------
    answer
        Text. Case, blanks, underscores and punctuation do not matter.
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
    return re.sub(r"[\W_]+", " ", text.casefold().replace("−", "-")).strip()
