"""Refusing values, and missing packages, in one line: what was expected and received, and what is nearest."""

import json
import operator
import re
import tomllib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from functools import wraps
from importlib.util import find_spec
from inspect import signature
from math import inf, isfinite
from numbers import Real
from pathlib import Path
from typing import Any, NoReturn, TypeVar, cast
from unicodedata import normalize

_Kind = TypeVar("_Kind")
_Function = TypeVar("_Function", bound=Callable[..., Any])
WORDS = tomllib.loads(Path(__file__).with_name("words.toml").read_text("utf-8"))
"""What others call what the kit calls otherwise: by kind, the names here and their words for each."""
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufffe\uffff]")
_LARGEST = 1 << 20
"""Bytes of a text file that is read; the JSON of a case with a thousand probabilities has 100,000."""
KERAS = ("keras", "tensorflow")
"""Modules that `require` is asked for where networks are opened by Keras, trained or compiled."""
_KIT = "classifier-investigation-kit"
_INSTALLED_BY = {
    "jupyterlab": f'"{_KIT}[lab]"',
    "keras": f'"{_KIT}[keras]" (a .tflite file that Classifier.save wrote needs none)',
    "tensorflow": f'"{_KIT}[keras]"',
}
"""What pip is given for a module of another name; extras of an installed kit are looked up nowhere else."""


def nearest(received: str, names: Iterable[str]) -> str:
    """Return ``"; did you mean 'name'?"`` for what other libraries call so, or the most similar name.

    Names of which it is a word, as ``panda`` of ``giant panda``, or else begins one, are the most similar.
    """
    spelled = {name.lower(): name for name in names}
    received = received.lower()
    words = WORDS["names"] | WORDS["advice"]
    meant = (
        [name for name in spelled.values() if received in words.get(name, ())]
        or [name for word, name in spelled.items() if received in word.split()]
        or [
            name
            for word, name in spelled.items()
            if len(received) > 2 and f" {received}" in f" {word}"
        ]
        or [
            spelled[word]
            for word in get_close_matches(received, spelled, n=1, cutoff=0.5)
        ]
    )
    return f"; did you mean {' or '.join(map(repr, meant[:5]))}?" if meant else ""


def printable(name: str) -> str:
    """Return a name for one line of any text, with ? for controls and for bytes of another encoding."""
    return _CONTROLS.sub("?", name.encode(errors="replace").decode())


def known(kind: str, received: object, names: Iterable[str]) -> str:
    """Return `received` if it is one of `names`, else raise a ValueError that lists them."""
    names = tuple(names)
    if not isinstance(received, str) or received not in names:
        hint = nearest(str(received), names)
        offered = ", ".join(names) if len(names) < 50 else f"{len(names)} names"
        raise ValueError(
            f"Expected the {kind} out of {offered}; received {received!r}{hint}"
        )
    return received


def meant(kind: str, received: object, names: Collection[str]) -> str:
    """Return what `known` does, or the only one of `names` that is spelled or called otherwise."""
    if isinstance(received, str) and received in names:
        return received
    # Enumerations of Pillow and torchvision, data types of TensorFlow and types of NumPy have names.
    name = getattr(received, "name", getattr(received, "__name__", received))
    word = letters(str(name))
    same = [
        name
        for name in names
        if word in map(letters, [name, *WORDS["values"].get(name, ())])
    ]
    return same[0] if len(same) == 1 and word else known(kind, received, names)


def letters(text: str) -> str:
    """Return the letters and digits of a text, in lower case, however it writes letters with accents."""
    return re.sub(r"\W|_", "", normalize("NFC", text)).casefold()


def instance(what: str, value: Any, kind: type, words: str) -> Any:
    """Return `value` if it is of this type, else raise a TypeError."""
    if not isinstance(value, kind):
        raise TypeError(f"Expected {what} as {words}, received {value!r}")
    return value


def optional(check: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
    """Return the check that lets None pass as well."""
    return lambda what, value: None if value is None else check(what, value)


def small_file(path: Path) -> bytes:
    """Return what is in a text file; ValueError for a large one, or what may never end, as a pipe."""
    if path.stat().st_size > _LARGEST or not path.is_file():
        raise ValueError(
            f"Expected a plain file of at most {_LARGEST} bytes, received {path.name!r}"
        )
    return path.read_bytes()


def parsed(what: str, text: str | bytes) -> dict[str, Any]:
    """Return the object that a JSON text holds, else raise a TypeError or a ValueError."""
    try:
        value = json.loads(text)
        # Half a character could be printed nowhere.
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"Expected {what} as JSON, received text that is not ({error})"
        ) from error
    parsed_object: dict[str, Any] = instance(what, value, dict, "a JSON object")
    return parsed_object


def built(kind: type[_Kind], what: str, value: Any) -> _Kind:
    """Return a dataclass from its JSON object, else raise a TypeError."""
    return guided(kind)(**instance(what, value, Mapping, "a JSON object"))


def guided(function: _Function) -> _Function:
    """Let a function say what it takes, and what is meant, where it is called otherwise."""
    form = signature(function)
    names = [name for name in form.parameters if name not in {"self", "cls"}]
    called = function.__qualname__.removesuffix(".__init__")

    @wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        try:
            form.bind(*args, **options)
        except TypeError as error:
            received = f"a call with {error}"
            for name in options:
                if name not in names:
                    received = f"{name!r}{nearest(name, names)}"
            raise TypeError(
                f"Expected {called}({', '.join(names)}), received {received}"
            ) from None
        return function(*args, **options)

    return cast("_Function", call)


def guiding(kind: type[_Kind]) -> type[_Kind]:
    """Let a class name the right argument or attribute where a wrong or an old one is tried."""
    kind.__init__ = guided(kind.__init__)  # type: ignore[method-assign]
    kind.__getattr__ = no_attribute  # type: ignore[attr-defined]
    return kind


def no_attribute(value: object, name: str) -> NoReturn:
    """Raise an AttributeError with the name that is meant: the `__getattr__` of a class."""
    message = f"there is no {type(value).__name__}.{name}"
    if not name.startswith("_"):
        names = [known for known in dir(value) if not known.startswith("_")]
        message += nearest(name, [*names, *WORDS["advice"]])
    raise AttributeError(message)


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
    if isinstance(value, bool):
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
    import numpy as np  # the check of a machine without it comes this way, too

    try:
        # As objects, so that True does not become 1; one number stands for all.
        values = np.broadcast_to(np.array(value, object), len(names)).tolist()
    except ValueError:
        raise TypeError(
            f"Expected {what} as whole numbers ({', '.join(names)}), received {value!r}"
        ) from None
    pairs = zip(names, values, strict=True)
    return tuple(
        whole(f"{name} of the {what}", number, low, high) for name, number in pairs
    )


def first_line(error: BaseException) -> str:
    """Return the first line of an exception that says what happened: printable, 300 characters at most."""
    text = re.sub(r"\x1b\[\d*m", "", str(error))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    lines = lines or [type(error).__name__]
    if lines[0].startswith("in user code"):
        lines = [line for line in lines if re.match(r"\w+Error: ", line)][:1] + lines
    while len(lines) > 1 and "Exception encountered when calling" in lines[0]:
        del lines[0]
    return printable(lines[0][:300].rstrip(".;:"))


def require(*modules: str) -> None:
    """Raise a ModuleNotFoundError, with what installs it, for the first module that is not there.

    Nothing is imported, and whatever has brought a module counts: TensorFlow comes under several names.
    """
    for module in modules:
        if find_spec(module) is None:
            raise ModuleNotFoundError(
                f"Expected {module}, received none; python -m pip install {_INSTALLED_BY.get(module, module)}"
            )
