"""What ``.tflite`` and ``.onnx`` files say of their classes, and a list of classes beside them."""

import ast
import re
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

MOST_PROPERTY = 1 << 16
"""Characters of a property that are read: a literal takes several hundred times as much memory."""

MOST_TEXT = 1 << 20
"""Bytes of a list of class names."""
Names = tuple[str, ...] | None
"""Class names; None where a file does not say."""


def lite_names(file: Path) -> Names:
    """Return the class names in the first text that lies behind a network, one a line."""
    # Without any, or with damaged ones, a network runs all the same.
    with suppress(Exception), zipfile.ZipFile(file) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".txt"))
        return listed(archive.read(name)[:MOST_TEXT])
    return None


def listed(content: bytes) -> Names:
    """Return the class names in a text, one a line; None for what is no such text."""
    with suppress(UnicodeDecodeError):
        lines = content.decode("utf-8-sig").strip().splitlines()
        return tuple(line.strip() for line in lines) or None
    return None


def onnx_names(properties: Mapping[str, str]) -> Names:
    """Return the class names in the properties that exporters write into an ``.onnx`` file."""
    names = _value(properties, "names", "class_names", "classes")
    with suppress(Exception):
        if isinstance(names, Mapping):
            names = [names[key] for key in sorted(names, key=int)]
    return tuple(map(str, names)) if isinstance(names, list | tuple) else None


def _value(properties: Mapping[str, str], *keys: str) -> Any:
    """Return the value of the first of these keys that has one; None without."""
    for key in keys:
        with suppress(Exception):
            # In JSON, or as Python prints a dictionary of names.
            return ast.literal_eval(properties[key][:MOST_PROPERTY])
    return None


def names_in(labels: Path) -> tuple[Names, bool]:
    """Return the class names in a file, one a line, and whether Teachable Machine wrote it.

    It numbers the lines from 0. None where there is no such file.
    """
    names = None
    with suppress(OSError):
        # A pipe would be waited for, and a link may lead to what is nobody's business.
        if labels.is_file() and not labels.is_symlink():
            with labels.open("rb") as stream:
                names = listed(stream.read(MOST_TEXT))
    numbered = [
        re.match(rf"{number} (.+)", line) for number, line in enumerate(names or ())
    ]
    if names and all(numbered):
        return tuple(match[1] for match in numbered if match), True
    return names, False
