"""One picture, from whatever it is kept in: a path, bytes, an open file, a Pillow image or an array."""

import re
from os import PathLike, fspath
from pathlib import Path
from typing import IO, Any, TypeAlias

import numpy as np
from PIL import Image

from kit._arrays import Array
from kit.images.decoding import Decoding
from kit.images.opening import PhotoError, check_pixel_count
from kit.images.photo import Photo, decode_file, decode_image, describe, file_name

MAX_BYTES = 1 << 30
"""Largest file that is read, in bytes."""

Source: TypeAlias = (
    str | PathLike[str] | bytes | bytearray | memoryview | IO[bytes] | Image.Image | Array | Photo
)
"""One picture."""


def load_image(source: Source, *, name: str | None = None, decoding: Decoding | None = None) -> Photo:
    """Open a picture and convert it to RGB, reporting every conversion in `Photo.notes`.

    Parameters
    ----------
    source
        Path, contents of a file, binary file object, Pillow image, photo, or array or tensor (see
        `Photo.from_array`).
        A file is read once, into memory, so that the photo does not depend on it later.
    name
        Name to show instead of the file name.
    decoding
        How to treat orientation, alpha and 16 bits; default ``Decoding()``, or that of the photo given.

    Raises
    ------
    PhotoError
        Contents that are not a usable picture: empty, another format than `FORMATS`, above `MAX_PIXELS`,
        truncated or damaged, or values without a meaning in 8 bits.
    FileNotFoundError, IsADirectoryError
        No file there.
    ValueError
        A URL (nothing is downloaded), or a device.
    TypeError
        Another kind of object.
    """
    return opened(source, file_name(name) if name else own_name(source) or kind_of(source), decoding)


def opened(source: Any, name: str, decoding: Decoding | None = None) -> Photo:
    """Open a picture as `load_image` does, under a name that may be a path; a photo keeps its own."""
    wanted = Decoding() if decoding is None else decoding
    source = as_array(source)
    if isinstance(source, Photo):
        return source if decoding is None else source.decoded(decoding)
    if isinstance(source, np.ndarray):
        return Photo.from_array(source, name)
    if isinstance(source, Image.Image):
        check_pixel_count(*source.size, name)
        try:
            copy = source.copy()  # loads it
        except (OSError, SyntaxError, ValueError) as error:
            raise PhotoError(
                f"Expected a complete Pillow image, received {name!r}, which cannot be read "
                f"({error}); open it anew"
            ) from error
        return decode_image(copy, name, wanted)
    return decode_file(_read(source, name), name, wanted)


def as_array(source: Any) -> Any:
    """Return a tensor of any library as an array, and everything else as it is."""
    return np.asarray(source) if hasattr(source, "__array__") and hasattr(source, "shape") else source


def own_name(source: Any) -> str:
    """Return the file name that a picture brings along; nothing where it has none."""
    if isinstance(source, (str, PathLike)):
        return file_name(path_text(source))
    kept = getattr(source, "filename" if isinstance(source, Image.Image) else "name", None)
    if not isinstance(kept, str):
        return ""  # a file descriptor's name is a number
    return kept if isinstance(source, Photo) else kept and file_name(kept)


def kind_of(source: Any) -> str:
    """Return what a picture without a name is called."""
    kinds = {np.ndarray: "array", Image.Image: "Pillow image", bytes | bytearray | memoryview: "bytes"}
    usual = "file object" if hasattr(source, "read") else "picture"
    return next((name for kind, name in kinds.items() if isinstance(source, kind)), usual)


def path_text(path: str | PathLike[str]) -> str:
    """Return a path as text, or raise a TypeError."""
    text = fspath(path)
    if not isinstance(text, str):
        raise TypeError(f"Expected a path as text, received {describe(text)}; decode it with os.fsdecode")
    return text


def is_url(text: str) -> bool:
    """Tell whether a text is an address and no path; a single letter before the colon is a drive."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]+://|data:", text) is not None


def _read(source: Any, name: str) -> bytes:
    if isinstance(source, (bytes, bytearray, memoryview)):
        return bytes(source)
    if isinstance(source, (str, PathLike)):
        return _read_file(path_text(source), name)
    if hasattr(source, "read"):
        if getattr(source, "seekable", bool)():
            source.seek(0)
        data = source.read(MAX_BYTES + 1)
        if not isinstance(data, bytes):
            raise TypeError(
                f"Expected a file opened for reading bytes, received one that reads "
                f"{type(data).__name__}; use mode 'rb'"
            )
        _check_byte_count(len(data), name)
        return data
    raise TypeError(
        "Expected a path, bytes, a binary file, a Pillow image, an array or a Photo, "
        f"received {describe(source)}; pass one of these"
    )


def _read_file(text: str, name: str) -> bytes:
    check_path(text)
    path = Path(text)
    if path.is_dir():
        raise IsADirectoryError(
            f"Expected an image file, received the folder {text!r}; pass one of the files in it"
        )
    if not path.is_file():
        raise ValueError(
            f"Expected an image file, received {text!r}, which is a device or pipe; copy it to a file first"
        )
    _check_byte_count(path.stat().st_size, name)
    return path.read_bytes()


def check_path(text: str) -> None:
    """Raise a ValueError for an address, and a FileNotFoundError where there is neither file nor folder."""
    if is_url(text):
        raise ValueError(
            f"Expected a local file, received the URL {text[:200]!r}; "
            "nothing is downloaded here, so save the picture first"
        )
    if not Path(text).exists():
        raise FileNotFoundError(
            f"Expected an existing image file, received {text!r}, which does not exist; "
            f"look what there is in {str(Path(text).parent)!r}"
        )


def _check_byte_count(count: int, name: str) -> None:
    if count > MAX_BYTES:
        raise PhotoError(
            f"Expected at most {MAX_BYTES} bytes, received {name!r} with more; save it as PNG or JPEG first"
        )
