"""What Pillow says of a file beside its pixels: heard by the thread that opens it, kept from the notebook."""

import ctypes
import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from PIL import Image, JpegImagePlugin, PngImagePlugin, TiffImagePlugin

_KEPT, _LONGEST = 3, 200


class _Warnings:
    """Stands for the module `warnings` in Pillow's modules: what a thread hears that listens is kept for it.

    `warnings.catch_warnings` changes the filters of every thread, and other libraries read and copy them.
    """

    thread = threading.local()

    def __getattr__(self, name: str) -> Any:
        return getattr(warnings, name)

    def warn(self, message: str, category: type[Warning] = UserWarning, stacklevel: int = 1) -> None:
        """Keep a warning where this thread listens; warn as ever where it does not."""
        heard = getattr(self.thread, "heard", None)
        if heard is None:
            warnings.warn(message, category, stacklevel + 1)
        else:
            heard.append(str(message))


for _module in (Image, JpegImagePlugin, PngImagePlugin, TiffImagePlugin):
    _module.warnings = _Warnings()  # type: ignore[attr-defined]


@contextmanager
def listening() -> Iterator[list[str]]:
    """Collect what Pillow warns of in this thread, in order; nobody else sees it."""
    before = getattr(_Warnings.thread, "heard", None)
    heard: list[str] = []
    _Warnings.thread.heard = heard
    try:
        yield heard
    finally:
        _Warnings.thread.heard = before


def as_notes(heard: list[str]) -> tuple[str, ...]:
    """Put warnings as notes of a photo: each once, in one line, the first few."""
    told = list(dict.fromkeys(" ".join(text.split())[:_LONGEST] for text in heard))
    more = (f"Pillow warns {len(told) - _KEPT} times more",) if len(told) > _KEPT else ()
    return (*(f"Pillow warns: {text}" for text in told[:_KEPT]), *more)


def _mute_libtiff() -> None:
    # It prints its errors on the process's standard error, and Pillow raises an OSError for each besides.
    try:
        ctypes.CDLL(Image.core.__file__).TIFFSetErrorHandler(None)  # type: ignore[attr-defined]
    except (AttributeError, OSError, TypeError):
        return  # linked into Pillow, as on Windows, where no notebook shows what is printed there


_mute_libtiff()
# Pillow logs an error for some of the files that it refuses; without a handler Python prints it.
logging.getLogger("PIL").addHandler(logging.NullHandler())
