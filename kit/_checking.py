"""Refusing values in one line that says what was expected, what was received and what comes nearest."""

import json
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from difflib import get_close_matches
from functools import wraps
from inspect import signature
from math import inf, isfinite
from numbers import Real
from typing import Any, TypeVar

import numpy as np

_Kind = TypeVar("_Kind")
_CALLED = {
    "scaling": (
        "rescale",
        "scale",
        "normalize",
        "mean",
        "std",
        "mode",
        "preprocessing_function",
    ),
    "size": (
        "target_size",
        "image_size",
        "input_shape",
        "input_size",
        "resize",
        "shape",
    ),
    "filter": ("interpolation", "resample"),
    "box": ("area", "inter_area"),
}
_REPLACED = {
    "Classifier.top": "classifier.predict(photos).top(count)",
    "Mistakes.explorer": "kit.Explorer(classifier, [one.picture.open() for one in mistakes.wrong])",
    "Mistakes.found": "mistakes.swept",
    "Mistakes.outcomes": "mistakes.swept",
    "Mistakes.gallery": "kit.plots.mistakes_figure(mistakes.wrong)",
    "Mistakes.page": "kit.plots.mistakes_page(mistakes)",
}
"""Public attributes that are gone, and what to use in their place."""
_MEANT = {other: name for name, others in _CALLED.items() for other in others}
"""What users of Keras, scikit-learn and torchvision try, and what it is called here."""
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufffe\uffff]")


def nearest(received: str, names: Iterable[str]) -> str:
    """Return ``"; did you mean 'name'?"`` for what other libraries call so, or the most similar name.

    A name that has it for one of its words, as ``giant panda`` has ``panda``, is the most similar.
    """
    spelled = {name.lower(): name for name in names}
    received = received.lower()
    candidates = [
        *[name for name in spelled if name == _MEANT.get(received)],
        *[name for name in spelled if received in name.split()],
        *get_close_matches(received, spelled, n=1, cutoff=0.5),
    ]
    return f"; did you mean {spelled[candidates[0]]!r}?" if candidates else ""


def printable(name: str) -> str:
    """Return a name for one line of any text, with ? for controls and for bytes of another encoding."""
    return _CONTROLS.sub("?", name.encode(errors="replace").decode())


def known(kind: str, received: object, names: Iterable[str]) -> str:
    """Return `received` if it is one of `names`, else raise a ValueError that lists them."""
    names = tuple(names)
    if not isinstance(received, str) or received not in names:
        hint = nearest(received, names) if isinstance(received, str) else ""
        raise ValueError(
            f"Expected the {kind} out of {', '.join(names)}; received {received!r}{hint}"
        )
    return received


def instance(what: str, value: Any, kind: type, words: str) -> Any:
    """Return `value` if it is of this type, else raise a TypeError."""
    if not isinstance(value, kind):
        raise TypeError(f"Expected {what} as {words}, received {value!r}")
    return value


def optional(check: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
    """Return the check that lets None pass as well."""
    return lambda what, value: None if value is None else check(what, value)


def refuse_unknown(received: Iterable[str], names: Sequence[str]) -> None:
    """Raise a TypeError for the first of `received` that is none of `names`."""
    for name in received:
        if name not in names:
            hint = nearest(str(name), names)
            raise TypeError(
                f"Expected fields out of {', '.join(names)}; received {name!r}{hint}"
            )


def parsed(what: str, text: str | bytes) -> dict[str, Any]:
    """Return the object that a JSON text holds, else raise a TypeError or a ValueError."""
    try:
        value = json.loads(text)
        # Half a character could be printed nowhere.
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        received = left_by_git(text) or f"text that is not ({error})"
        raise ValueError(f"Expected {what} as JSON, received {received}") from error
    parsed_object: dict[str, Any] = instance(what, value, dict, "a JSON object")
    return parsed_object


def left_by_git(text: str | bytes) -> str:
    """Say which trace of Git is in a file that is not what it should be; empty where there is none."""
    if isinstance(text, bytes):
        text = text.decode(errors="replace")
    if text.startswith("version https://git-lfs"):
        return "a Git LFS pointer; run git lfs pull"
    if re.search("^<<<<<<< ", text, re.MULTILINE):
        return "both sides of a Git merge; keep one of them"
    return ""


def built(kind: type[_Kind], what: str, value: Any) -> _Kind:
    """Return a dataclass from its JSON object, else raise a TypeError."""
    values = instance(what, value, Mapping, "a JSON object")
    refuse_unknown(values, [field.name for field in fields(kind)])  # type: ignore[arg-type]
    return kind(**values)


def guiding(kind: type[_Kind]) -> type[_Kind]:
    """Let a class name the right argument or attribute where a wrong or an old one is tried."""
    make = kind.__init__
    _, *names = signature(make).parameters

    @wraps(make)
    def init(self: Any, *args: Any, **options: Any) -> None:
        refuse_unknown(options, names)
        make(self, *args, **options)

    def missing(self: Any, name: str) -> None:
        called = f"{kind.__name__}.{name}"
        message = f"there is no {called}"
        if called in _REPLACED:
            message = f"{called} is gone; use {_REPLACED[called]}"
        raise AttributeError(message, name=name, obj=self)

    kind.__init__ = init  # type: ignore[method-assign]
    kind.__getattr__ = missing  # type: ignore[attr-defined]
    return kind


def number(what: str, value: Any, low: float = -inf, high: float = inf) -> float:
    """Return a finite number within the bounds as a float, else raise a TypeError or a ValueError."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"Expected {what} as a number, received {value!r}")
    with suppress(OverflowError):  # a whole number beyond all floats
        if isfinite(value) and low <= float(value) <= high:
            return float(value)
    expected = f"a finite {what}" if low == -inf else f"{what} within {low:g}..{high:g}"
    raise ValueError(f"Expected {expected}, received {value!r:.30}")


def whole(name: str, value: Any, low: int, high: int | None) -> int:
    """Return a whole number within the bounds as an int, else raise a TypeError or a ValueError."""
    bounds = f"{low}..{high}" if high is not None else f"not below {low}"
    expected = f"Expected {name} as a whole number {bounds}, received {value!r}"
    if isinstance(value, (bool, np.bool_)):
        raise TypeError(expected)
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # sliders hand over 85.0
    try:
        result = operator.index(value)
    except TypeError:
        raise TypeError(expected) from None
    if result < low or (high is not None and result > high):
        raise ValueError(expected)
    return result


def integers(
    what: str, value: Any, names: Sequence[str], low: int, high: int
) -> tuple[int, ...]:
    """Return whole numbers within low..high, one for each name, else raise a TypeError or a ValueError."""
    if not isinstance(value, (tuple, list)) or len(value) != len(names):
        raise TypeError(
            f"Expected {what} as whole numbers ({', '.join(names)}), received {value!r}"
        )
    pairs = zip(names, value, strict=True)
    return tuple(
        whole(f"{name} of the {what}", number, low, high) for name, number in pairs
    )


def first_line(error: BaseException) -> str:
    """Return what an exception says in one line, 300 characters at most and without controls.

    That is the first one, if it is not one in which Keras or TensorFlow only says where it happened.
    """
    text = re.sub(r"\x1b\[\d*m", "", str(error))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    lines = lines or [type(error).__name__]
    if lines[0].startswith("in user code"):
        lines = [line for line in lines if re.match(r"\w+Error: ", line)][:1] + lines
    while len(lines) > 1 and "Exception encountered when calling" in lines[0]:
        del lines[0]
    return printable(lines[0][:300].rstrip(".;:"))
