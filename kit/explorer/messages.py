"""The messages of the page, and what each has to carry."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from kit._checking import known

FIELDS: Mapping[str, Mapping[str, tuple[type, ...]]] = MappingProxyType(
    {
        "hello": {},
        "settings": {"settings": (dict,)},
        "noise": {"seed": (int,), "count": (int,)},
        "frame": {"settings": (dict,), "height": (int,), "width": (int,)},
        "snap": {},
        "ahead": {"settings": (dict,), "key": (str,), "places": (list, tuple)},
        "upload": {"number": (str,), "name": (str,), "last": (bool,)},
        "remove": {"name": (str,)},
        "sample": {"step": (str,)},
        "why": {"settings": (dict,)},
        "stop": {},
        "pin": {"settings": (dict,)},
    }
)
"""Fields of each kind of message, with their types."""
PIXELS = ("frame", "upload")
"""Kinds of messages with one buffer."""


def checked(content: Any, buffers: int) -> str:
    """Return the kind of a message that has all that it needs.

    Raises
    ------
    TypeError, ValueError
        An unknown kind, a field that is missing or of another type, or a buffer that is missing.
    """
    if not isinstance(content, Mapping):
        raise TypeError(f"Expected a message as an object, received {content!r}")
    kind = known("kind of a message", content.get("kind"), FIELDS)
    for name, types in FIELDS[kind].items():
        value = content.get(name)
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            words = " or ".join(each.__name__ for each in types)
            raise TypeError(f"Expected {name} of a message {kind!r} as {words}, received {value!r}")
    if kind in PIXELS and buffers < 1:
        raise ValueError(f"Expected a message {kind!r} with a buffer, received none")
    return kind
