"""Photographs: RGB pixels together with what was done to get them."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from os import PathLike, fspath
from pathlib import Path
from typing import IO, Any, Self, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from kit.images.decoding import Decoding, to_rgb
from kit.images.opening import FORMATS, MAX_PIXELS, PhotoError, check_pixel_count, open_image

__all__ = ["FORMATS", "MAX_PIXELS", "Decoding", "Photo", "PhotoError", "Source", "as_photos", "load_image"]

MAX_BYTES = 1 << 30
"""Largest file that is read, in bytes."""

_SHOWN_PIXELS = 512


@dataclass(frozen=True, eq=False, repr=False)
class Photo:
    """One picture as RGB, and what was done to get it.

    Two photos are equal only if they are the same object; compare ``pixels`` for the rest.

    Parameters
    ----------
    pixels
        uint8, shape (H, W, 3), RGB, 0..255, read-only and C-contiguous. A writeable array is copied.
    name
        File name, never a path.
    decoding
        How the source was turned into RGB.
    notes
        In words, what was done to the source, in order.
    remake
        Decodes the source anew, in another way. ``None`` where there is nothing to decode.

    Raises
    ------
    TypeError, ValueError
        ``pixels`` of another dtype or shape.
    """

    pixels: npt.NDArray[np.uint8]
    name: str = "array"
    decoding: Decoding = field(default_factory=Decoding)
    notes: tuple[str, ...] = ()
    remake: "Callable[[Decoding], Photo] | None" = None

    def __post_init__(self) -> None:
        pixels = self.pixels
        if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8:
            raise TypeError(
                f"Expected pixels as a uint8 array, received {_describe(pixels)}; see Photo.from_array"
            )
        if pixels.ndim != 3 or pixels.shape[2] != 3:
            raise ValueError(
                f"Expected pixels of shape (H, W, 3), received {pixels.shape}; see Photo.from_array"
            )
        if pixels.flags.writeable or not pixels.flags.c_contiguous:
            pixels = pixels.copy(order="C")
            pixels.flags.writeable = False
            object.__setattr__(self, "pixels", pixels)

    @classmethod
    def from_array(cls, array: npt.NDArray[Any], name: str = "array") -> Self:
        """Copy an array into a photo.

        Parameters
        ----------
        array
            uint8, shape (H, W, 3) in RGB order, or (H, W) or (H, W, 1) in grey.
        name
            Name to show.

        Raises
        ------
        TypeError
            Another dtype. Floats are refused because they do not say which value is white.
        ValueError
            Another shape.
        PhotoError
            No pixels, or more than `MAX_PIXELS`.
        """
        if not isinstance(array, np.ndarray) or array.dtype != np.uint8:
            raise TypeError(
                f"Expected a uint8 array with values 0..255, received {_describe(array)}; "
                "scale it to 0..255, round and cast it"
            )
        notes: tuple[str, ...] = ()
        pixels = array
        if array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 1):
            pixels = np.repeat(array.reshape(*array.shape[:2], 1), 3, axis=-1)
            notes = ("greyscale converted to RGB",)
        if pixels.ndim != 3 or pixels.shape[2] != 3:
            raise ValueError(
                f"Expected an array of shape (H, W, 3), (H, W, 1) or (H, W), received {array.shape}; "
                "move channels last, and pass alpha as PIL.Image.fromarray(array)"
            )
        check_pixel_count(pixels.shape[1], pixels.shape[0], name)
        return cls(pixels.copy(order="C"), _file_name(name), notes=notes)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        height, width, _ = self.pixels.shape
        return height, width

    @property
    def file(self) -> bytes | None:
        """Contents of the file that it was decoded from; None where there is none, and once perturbed."""
        made = self.remake
        return made.args[0] if isinstance(made, partial) and made.func is _from_bytes else None

    def decoded(self, decoding: Decoding) -> "Photo":
        """Return this photo decoded in another way; itself where that changes nothing.

        Raises
        ------
        PhotoError
            If the source cannot be decoded that way.
        """
        if decoding == self.decoding or self.remake is None:
            return self
        return self.remake(decoding)

    def __repr__(self) -> str:
        height, width = self.size
        size = f"{height}\N{MULTIPLICATION SIGN}{width}"
        return f"Photo({', '.join([repr(self.name), size, *map(repr, self.notes)])})"

    def __reduce__(self) -> tuple[Any, ...]:
        # An unpickled array is writeable; going through the constructor freezes it again.
        return Photo, (self.pixels, self.name, self.decoding, self.notes, self.remake)

    def _repr_png_(self) -> bytes:
        """Return a PNG for notebooks, at most 512 pixels a side so that notebooks stay small."""
        image = Image.fromarray(self.pixels)
        image.thumbnail((_SHOWN_PIXELS, _SHOWN_PIXELS))
        buffer = BytesIO()
        image.save(buffer, "PNG")
        return buffer.getvalue()


Source: TypeAlias = (
    str | PathLike[str] | bytes | bytearray | memoryview | IO[bytes] | Image.Image | npt.NDArray[Any] | Photo
)


def load_image(source: Source, *, name: str | None = None, decoding: Decoding | None = None) -> Photo:
    """Open a picture and convert it to RGB, reporting every conversion in `Photo.notes`.

    Parameters
    ----------
    source
        Path, contents of a file, binary file object, Pillow image, array (see `Photo.from_array`) or photo.
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
    wanted = Decoding() if decoding is None else decoding
    if isinstance(source, Photo):
        return source if decoding is None else source.decoded(decoding)
    if isinstance(source, np.ndarray):
        return Photo.from_array(source, name or "array")
    if isinstance(source, Image.Image):
        label = _file_name(name or _text(getattr(source, "filename", None)) or "Pillow image")
        check_pixel_count(*source.size, label)
        try:
            copy = source.copy()  # loads it
        except (OSError, SyntaxError, ValueError) as error:
            raise PhotoError(
                f"Expected a complete Pillow image, received {label!r}, which cannot be read "
                f"({error}); open it anew"
            ) from error
        return _from_image(copy, label, wanted)
    data, label = _read(source)
    return _from_bytes(data, _file_name(name or label), wanted)


def as_photos(photos: Source | Iterable[Source]) -> tuple[Photo, ...]:
    """Return photos for one picture or a collection of them, in order; an array (N, H, W, C) is a collection.

    Raises
    ------
    As `load_image`.
    """
    if isinstance(photos, np.ndarray) and photos.ndim == 4:
        return tuple(Photo.from_array(picture, f"array {number}") for number, picture in enumerate(photos))
    single = (str, bytes, bytearray, memoryview, PathLike, Image.Image, np.ndarray, Photo)
    if (
        isinstance(photos, Iterable)
        and not isinstance(photos, (*single, Mapping))
        and not hasattr(photos, "read")
    ):
        return tuple(load_image(photo) for photo in photos)
    return (load_image(photos),)  # type: ignore[arg-type]  # load_image refuses a mapping


def _from_bytes(data: bytes, name: str, decoding: Decoding) -> Photo:
    image, stored = open_image(data, name)
    pixels, notes = to_rgb(image, decoding, name, stored)
    return Photo(pixels, name, decoding, notes, partial(_from_bytes, data, name))


def _from_image(image: Image.Image, name: str, decoding: Decoding) -> Photo:
    pixels, notes = to_rgb(image, decoding, name)
    return Photo(pixels, name, decoding, notes, partial(_from_image, image, name))


def _read(source: Any) -> tuple[bytes, str]:
    if isinstance(source, (bytes, bytearray, memoryview)):
        return bytes(source), "bytes"
    if isinstance(source, (str, PathLike)):
        return _read_file(source)
    if hasattr(source, "read"):
        if getattr(source, "seekable", bool)():
            source.seek(0)
        data = source.read(MAX_BYTES + 1)
        if not isinstance(data, bytes):
            raise TypeError(
                f"Expected a file opened for reading bytes, received one that reads "
                f"{type(data).__name__}; use mode 'rb'"
            )
        label = _text(getattr(source, "name", None)) or "file object"
        _check_byte_count(len(data), label)
        return data, label
    raise TypeError(
        "Expected a path, bytes, a binary file, a Pillow image, an array or a Photo, "
        f"received {_describe(source)}; pass one of these"
    )


def _read_file(source: str | PathLike[str]) -> tuple[bytes, str]:
    text = fspath(source)
    if not isinstance(text, str):
        raise TypeError(f"Expected a path as text, received {_describe(text)}; decode it with os.fsdecode")
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+://|data:", text):
        raise ValueError(
            f"Expected a local file, received the URL {text[:200]!r}; "
            "nothing is downloaded here, so save the picture first"
        )
    path = Path(text)
    if path.is_dir():
        raise IsADirectoryError(
            f"Expected an image file, received the folder {text!r}; pass one of the files in it"
        )
    if not path.exists():
        raise FileNotFoundError(
            f"Expected an existing image file, received {text!r}, which does not exist; "
            f"look what there is in {str(path.parent)!r}"
        )
    if not path.is_file():
        raise ValueError(
            f"Expected an image file, received {text!r}, which is a device or pipe; copy it to a file first"
        )
    _check_byte_count(path.stat().st_size, path.name)
    return path.read_bytes(), path.name


def _check_byte_count(count: int, name: str) -> None:
    if count > MAX_BYTES:
        raise PhotoError(
            f"Expected at most {MAX_BYTES} bytes, received {_file_name(name)!r} with more; "
            "save it as PNG or JPEG first"
        )


def _file_name(name: str) -> str:
    return re.split(r"[/\\]", name.rstrip("/\\"))[-1] or "picture"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""  # a file descriptor's name is a number


def _describe(value: Any) -> str:
    if not isinstance(value, np.ndarray):
        return type(value).__name__
    text = f"{value.dtype} of shape {value.shape}"
    if value.size and value.dtype.kind in "iuf":
        text += f" with values {value.min():.6g}..{value.max():.6g}"
    return text
