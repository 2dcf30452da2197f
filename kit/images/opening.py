"""Opening image files safely and decoding them to RGB; what numbers of an array are levels."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Literal

import numpy as np
from PIL import (
    ExifTags,
    Image,
    ImageFile,
    ImageOps,
    TiffImagePlugin,
    WebPImagePlugin,  # noqa: F401
)

from kit._arrays import Array, Pixels
from kit._checking import first_line, instance, integers, known
from kit._reporting import hidden_errors

# Pillow logs an error for some of the files that it refuses; without a handler Python prints it.
logging.getLogger("PIL").addHandler(logging.NullHandler())

# Registers the other formats; TIFF's and WebP's plugins do by being imported.
Image.preinit()

MAX_PIXELS = 50_000_000
"""Largest image that is opened, in pixels; read from the header, before anything is decoded."""
MAX_SIDE = 65_500
"""Longest side, that of libjpeg; of fifty million rows of one pixel, Pillow takes each on its own."""

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
"""Formats that are opened. TIFF is among them because 16-bit and LAB images come as TIFF; formats
that run a program (EPS), unpack archives or draw (PDF, SVG, WMF) are not."""

_SIGNATURES = (
    # Brands after the first one are those that it is compatible with.
    (rb"(?s)....ftyp(....)*?avi[fs]", "an AVIF photo; save it as PNG or JPEG"),
    (
        rb"(?s)....ftyp(....)*?(hei|hev|mif1|msf1)",
        "a HEIC photo; save it as PNG or JPEG",
    ),
    (rb"(?i)\s*(<!doctype html|<html)", "a web page; download the image itself"),
    (rb"version https://git-lfs", "a Git LFS pointer; run git lfs pull"),
)


class PhotoError(ValueError):
    """A source that was found but cannot be used as a photo."""


@dataclass(frozen=True)
class Decoding:
    """How a file becomes RGB. Each field can be the one in which training and inference differ.

    Parameters
    ----------
    exif
        Turn the image upright by its EXIF orientation tag. Keras' ``load_img`` and TensorFlow do not.
    matte
        Colour under transparent pixels, RGB in 0..255. ``None`` drops the alpha channel and shows the
        colour stored under it, as Pillow's ``convert("RGB")`` does.
    depth
        16 bits to 8: ``"scale"`` divides by 257 and rounds (65535 becomes 255), ``"clip"`` cuts at 255
        as Pillow's ``convert`` does.

    Raises
    ------
    TypeError, ValueError
        For a value outside these.
    """

    exif: bool = True
    matte: tuple[int, int, int] | None = (255, 255, 255)
    depth: Literal["scale", "clip"] = "scale"

    def __post_init__(self) -> None:
        instance("exif", self.exif, bool, "True or False")
        known("depth", self.depth, ("scale", "clip"))
        if self.matte is not None:
            matte = integers("matte", self.matte, ("red", "green", "blue"), 0, 255)
            object.__setattr__(self, "matte", matte)


_NOTE_OF_MODE = {
    **dict.fromkeys(("RGB", "RGBA", "RGBa", "RGBX"), ""),
    **dict.fromkeys(("1", "L", "LA"), "greyscale converted to RGB"),
    **dict.fromkeys(("P", "PA"), "palette converted to RGB"),
    **{mode: f"{mode} converted to RGB" for mode in ("CMYK", "LAB", "YCbCr", "HSV")},
}


def decoded(
    source: bytes | Image.Image, name: str, decoding: Decoding
) -> tuple[Pixels, tuple[str, ...]]:
    """Decode the first frame of an image file in memory, or convert a Pillow image of any mode, to RGB.

    Returns pixels, uint8, shape (H, W, 3), RGB, read-only; and what was done, in words, in order. PhotoError
    for what is no image of `FORMATS`, above `MAX_PIXELS`, truncated or damaged; or a mode or a value range
    that has no meaning in 8 bits.
    """
    notes: list[str] = []
    with _safely(name):
        image, orientation = first_frame(source, name, notes)
        in_known_mode = _in_known_mode(image, decoding, name, notes)
        rgb = _without_alpha(in_known_mode, decoding, notes)
        if 2 <= orientation <= 8:
            notes.append(
                f"EXIF orientation {orientation} {'applied' if decoding.exif else 'ignored'}"
            )
            rgb.info = {}  # of which a damaged EXIF block may be part
            rgb.getexif()[ExifTags.Base.Orientation] = orientation
            rgb = ImageOps.exif_transpose(rgb) if decoding.exif else rgb
        if image.info.get("icc_profile"):
            notes.append("ICC profile not applied")
        pixels = np.asarray(rgb)
    return pixels, tuple(notes)


def copied(image: Image.Image, name: str) -> Image.Image:
    """Return a loaded copy of a Pillow image, or raise a PhotoError."""
    check_pixel_count(*image.size, name)
    with _safely(name):
        return image.copy()


@contextmanager
def _safely(name: str) -> Iterator[None]:
    """Refuse whatever goes wrong in one line."""
    try:
        yield
    except (MemoryError, PhotoError):
        raise
    except Exception as error:  # decoders raise nearly anything on damaged bytes
        raise PhotoError(
            "Expected a complete image, received "
            f"{name!r}, which is truncated, damaged or of an unknown kind ({first_line(error)})"
            "; save it as PNG or JPEG"
        ) from error


def first_frame(
    source: bytes | Image.Image, name: str, notes: list[str]
) -> tuple[Image.Image, int]:
    """Return the loaded first frame of a file, or a Pillow image, and its EXIF orientation."""
    if isinstance(source, Image.Image):
        return source, _orientation(source)
    image = _image(source, name)
    check_pixel_count(*image.size, name)
    if getattr(image, "is_animated", False):
        notes.append("several images in the file, number 1 used")
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        with (
            hidden_errors()
        ):  # of libtiff: what cannot be decoded is refused in one line
            # With the tag, Pillow would turn it by itself.
            orientation = image.getexif().pop(ExifTags.Base.Orientation, 1)
            image.load()
        # Which has the size as it is stored; that of the file was swapped for a quarter turn.
        return image.copy(), orientation
    image.load()
    return image, _orientation(image)


def _image(data: bytes, name: str) -> ImageFile.ImageFile:
    if image_format := file_format(data):
        # Image.open() warns about large images; the size check that follows is stricter.
        factory, _ = Image.OPEN[image_format]
        return factory(BytesIO(data), "")
    unknown = (
        f"{len(data)} bytes of unknown data; copy it again, or save it as PNG or JPEG"
    )
    contents = next(
        (words for pattern, words in _SIGNATURES if re.match(pattern, data[:512])),
        unknown,
    )
    raise PhotoError(
        f"Expected an image file ({', '.join(FORMATS)}), received "
        f"{name!r}, which is {contents}"
    )


def file_format(data: bytes) -> str:
    """Return the format out of `FORMATS` that a file begins as, empty for another one."""
    for image_format in FORMATS:
        _, accept = Image.OPEN[image_format]
        if accept is None or accept(data[:16]) is True:
            return image_format
    return ""


def check_pixel_count(width: int, height: int, name: str) -> None:
    """Raise a PhotoError for an image above `MAX_PIXELS` or `MAX_SIDE`, or without pixels."""
    if not 0 < width * height <= MAX_PIXELS or max(width, height) > MAX_SIDE:
        raise PhotoError(
            f"Expected 1 to {MAX_PIXELS} pixels and sides of at most {MAX_SIDE}, received {name!r} with "
            f"{width * height} (height {height}, width {width}); resize or cut it first"
        )


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # noqa: BLE001  # a damaged EXIF block is no reason to refuse the pixels
        return 1


def _in_known_mode(
    image: Image.Image, decoding: Decoding, name: str, notes: list[str]
) -> Image.Image:
    if image.mode in ("I;16", "I;16L", "I;16B", "I;16N", "I"):
        return _from_16_bits(image, decoding, name, notes)
    if image.mode not in _NOTE_OF_MODE:
        raise PhotoError(
            f"Expected a known colour mode, received {name!r} in {image.mode!r}; save it as PNG"
        )
    notes += filter(None, [_NOTE_OF_MODE[image.mode]])
    return image


def _from_16_bits(
    image: Image.Image, decoding: Decoding, name: str, notes: list[str]
) -> Image.Image:
    values = np.asarray(image).astype(np.int32)
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > 65535:
        raise PhotoError(
            f"Expected whole numbers 0..65535 in mode {image.mode!r}, received "
            f"{name!r} with {low}..{high}; save it as 8 or 16 bit"
        )
    if decoding.depth == "scale":
        how = "divided by 257"
        grey = (values + 128) // 257  # to the nearest; 257 is odd: no ties
    else:
        how = "clipped at 255"
        grey = np.minimum(values, 255)
    notes.append(f"16-bit greyscale {how}")
    return Image.fromarray(grey.astype(np.uint8))


def _without_alpha(
    image: Image.Image, decoding: Decoding, notes: list[str]
) -> Image.Image:
    if not image.has_transparency_data:
        return image.convert("RGB")
    rgba = image.convert("RGBA")
    if decoding.matte is None:
        notes.append("alpha dropped")
        return rgba.convert("RGB")
    notes.append(f"alpha laid on {decoding.matte}")
    ground = Image.new("RGB", image.size, decoding.matte)
    ground.paste(rgba, mask=rgba)  # rounded to the nearest
    return ground


def as_levels(array: Array) -> Array:
    """Return whole numbers 0..255 as uint8: of a signed type, or floats above 1, as of ``img_to_array``.

    Others come back as they are: floats up to 1 do not say which value is white, and to uint16 it is 65535.
    """
    array = np.asarray(array)
    if array.dtype.kind not in "if" or not array.size:
        return array
    low, high = array.min(), array.max()
    if not (low >= 0 and high <= 255) or (array.dtype.kind == "f" and high <= 1):
        return array
    levels = array.astype(np.uint8)
    return levels if np.array_equal(levels, array) else array


def describe(value: Any) -> str:
    """Return the type of a value, and dtype, shape and range of an array."""
    if not isinstance(value, np.ndarray):
        return type(value).__name__
    text = f"{value.dtype} of shape {value.shape}"
    if value.size and value.dtype.kind in "iuf":
        text += f" with values {value.min():.6g}..{value.max():.6g}"
    return text
