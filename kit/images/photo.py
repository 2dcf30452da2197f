"""Photo: RGB pixels together with what was done to get them."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from typing import Any, Self

import numpy as np
from PIL import Image

from kit._arrays import Array, Pixels
from kit._checking import told
from kit.images.decoding import Decoding, to_rgb
from kit.images.listening import as_notes, listening
from kit.images.opening import check_pixel_count, open_image

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
        File name, never a whole path: of pictures in a folder, the path below it.
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

    pixels: Pixels
    name: str = "array"
    decoding: Decoding = field(default_factory=Decoding)
    notes: tuple[str, ...] = ()
    remake: Callable[[Decoding], "Photo"] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", told(self.name))
        pixels = self.pixels
        if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8:
            raise TypeError(
                f"Expected pixels as a uint8 array, received {describe(pixels)}; see Photo.from_array"
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
    def from_array(cls, array: Array, name: str = "array") -> Self:
        """Copy an array into a photo.

        Parameters
        ----------
        array
            uint8, or whole numbers 0..255 of another type (see `as_levels`); shape (H, W, 3) in RGB order, or
            (H, W) or (H, W, 1) in grey.
        name
            Name to show.

        Raises
        ------
        TypeError
            Other numbers. Fractions are refused because they do not say which value is white.
        ValueError
            Another shape.
        PhotoError
            No pixels, or more than `MAX_PIXELS`.
        """
        array = as_levels(array) if isinstance(array, np.ndarray) else array
        if not isinstance(array, np.ndarray) or array.dtype != np.uint8:
            raise TypeError(
                f"Expected a uint8 array with values 0..255, received {describe(array)}; "
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
        return cls(pixels.copy(order="C"), file_name(name), notes=notes)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        height, width, _ = self.pixels.shape
        return height, width

    @property
    def file(self) -> bytes | None:
        """Contents of the file that it was decoded from; None where there is none, and once perturbed."""
        made = self.remake
        return made.args[0] if isinstance(made, partial) and made.func is decode_file else None

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
        return encoded(image)


def encoded(picture: Pixels | Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """Return the bytes of an image file; `options` are those of Pillow for that kind."""
    file = BytesIO()
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(np.ascontiguousarray(picture))
    image.save(file, kind, **options)
    return file.getvalue()


def decode_file(data: bytes, name: str, decoding: Decoding) -> Photo:
    """Decode the contents of an image file; the photo keeps them, to be decoded anew.

    Raises
    ------
    PhotoError
        No usable picture, or none that can be decoded that way.
    """
    with listening() as heard:
        image, stored = open_image(data, name)
        pixels, notes = to_rgb(image, decoding, name, stored)
    return Photo(pixels, name, decoding, notes + as_notes(heard), partial(decode_file, data, name))


def decode_image(image: Image.Image, name: str, decoding: Decoding) -> Photo:
    """Convert a Pillow image that nobody else changes; the photo keeps it, as in `decode_file`."""
    with listening() as heard:
        pixels, notes = to_rgb(image, decoding, name)
    return Photo(pixels, name, decoding, notes + as_notes(heard), partial(decode_image, image, name))


def as_levels(array: Array) -> Array:
    """Return whole numbers 0..255 as uint8: of a signed type, or floats above 1, as of ``img_to_array``.

    Others come back as they are: floats up to 1 do not say which value is white, and to uint16 it is 65535.
    """
    if array.dtype.kind not in "if" or not array.size:
        return array
    low, high = array.min(), array.max()
    if not (low >= 0 and high <= 255) or (array.dtype.kind == "f" and high <= 1):
        return array
    levels = array.astype(np.uint8)
    return levels if np.array_equal(levels, array) else array


def file_name(name: str) -> str:
    """Return the last part of a path of any system."""
    return re.split(r"[/\\]", name.rstrip("/\\"))[-1] or "picture"


def describe(value: Any) -> str:
    """Return the type of a value, and dtype, shape and range of an array."""
    if not isinstance(value, np.ndarray):
        return type(value).__name__
    text = f"{value.dtype} of shape {value.shape}"
    if value.size and value.dtype.kind in "iuf":
        text += f" with values {value.min():.6g}..{value.max():.6g}"
    return text
