"""Calling a person's own preprocessing function: on decoded pixels, or on the path of a file."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from kit._arrays import Array
from kit.images import Photo
from kit.images.photo import encoded

Function = Callable[[Any], Any]


@dataclass(frozen=True)
class Called:
    """What a function returned.

    Attributes
    ----------
    tensor
        As it was returned; None where there is a problem.
    problem
        In one line, why it cannot be used; empty if it can.
    reads_file
        Whether the function opens a file by itself.
    """

    tensor: Array | None
    problem: str = ""
    reads_file: bool = False


def call(function: Function, photo: Photo) -> Called:
    """Call a function on a copy of the pixels or, where that comes to nothing, on the path of a file.

    The file has the contents that the photo was decoded from, or is a PNG of its pixels; it is gone
    afterwards.
    """
    tensor, problem = _tried(function, photo.pixels.copy())
    if not problem:
        return Called(tensor)
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        path = Path(folder, "picture").with_suffix(Path(photo.name).suffix if photo.file else ".png")
        path.write_bytes(photo.file or encoded(photo.pixels))
        for given in (str(path), path):
            tensor, reason = _tried(function, given)
            if not reason:
                return Called(tensor, reads_file=True)
            if reason != problem and str(given) == given:
                problem += f" (given pixels), {reason} (given a path)"
    return Called(None, problem)


def _tried(function: Function, given: Any) -> tuple[Array | None, str]:
    """Return what a function makes of a picture, or in one line why that cannot be used."""
    try:
        tensor = np.asarray(function(given))
        return tensor, _unusable(tensor)
    except Exception as error:  # noqa: BLE001  whatever a person's function raises is the finding
        told = " ".join(str(error).split())[:200]
        return None, f"raised {type(error).__name__}: {told}".removesuffix(": ")


def _unusable(theirs: Array) -> str:
    if theirs.dtype.kind not in "buif":
        return f"returned {theirs.dtype} values instead of numbers"
    shape = theirs.shape[1:] if theirs.ndim == 4 and theirs.shape[0] == 1 else theirs.shape
    if len(shape) == 2 and min(shape) > 0:
        return ""
    if len(shape) != 3 or min(shape) == 0 or not {shape[0], shape[2]} & {1, 3}:
        return f"returned shape {theirs.shape}, which is no picture of 1 or 3 channels"
    bad = int(np.size(theirs) - np.isfinite(theirs).sum())
    return f"returned {bad} values that are not finite" if bad else ""
