"""Opening image files safely and decoding them to RGB."""

import logging
import re
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from PIL import ExifTags, Image, ImageFile, TiffImagePlugin, WebPImagePlugin  # noqa: F401

from kit._arrays import Array, Pixels
from kit._checking import instance, integers, known

_KEPT, _LONGEST = 3, 200


_LISTENING = threading.RLock()


@contextmanager
def listening() -> Iterator[list[str]]:
    """Collect what Pillow warns of while the block runs; the list is filled when it ends.

    The filters of warnings belong to the whole process, so one thread listens at a time.
    """
    heard: list[str] = []
    with _LISTENING, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield heard
    for one in caught:
        if "PIL" in Path(one.filename).parts:
            heard.append(str(one.message))
        else:  # of another thread
            warnings.showwarning(one.message, one.category, one.filename, one.lineno)


def as_notes(heard: list[str]) -> tuple[str, ...]:
    """Put warnings as notes of a photo: each once, in one line, the first few."""
    told = list(dict.fromkeys(" ".join(text.split())[:_LONGEST] for text in heard))
    more = (f"Pillow warns {len(told) - _KEPT} times more",) if len(told) > _KEPT else ()
    return (*(f"Pillow warns: {text}" for text in told[:_KEPT]), *more)


# Pillow logs an error for some of the files that it refuses; without a handler Python prints it.
logging.getLogger("PIL").addHandler(logging.NullHandler())

# Registers the other formats; TIFF's and WebP's plugins do by being imported.
Image.preinit()

MAX_PIXELS = 50_000_000
"""Largest picture that is opened, in pixels; read from the header, before anything is decoded."""

READS = 500_000
"""So many pieces are read of a file: Pillow's parsers go through millions of empty ones, a byte at a time."""
MAX_SIDE = 65_500
"""Longest side, that of libjpeg; of fifty million rows of one pixel, Pillow takes each on its own."""
SCANS = 100
"""A progressive JPEG has about ten scans; each goes over the whole picture, though a few bytes make one."""
SCANNED_PIXELS = 20 * MAX_PIXELS
"""Pixels that the scans of a JPEG go over together; Pillow writes 18 for CMYK."""
RUN_PIXELS = 8_000_000
"""Largest bitmap in runs (BMP RLE), which Pillow decodes pixel by pixel in Python."""

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
"""Formats that are opened. TIFF is among them because 16-bit, float and LAB pictures come as TIFF; formats
that run a program (EPS), unpack archives or draw (PDF, SVG, WMF) are not."""

_HEIC = "save or send it as JPEG; iPhones take JPEG with Camera, Formats, Most Compatible in the settings"
_SIGNATURES = (
    (rb"%PDF", "a PDF document"),
    (rb"PK\x03\x04", "a ZIP archive (a .keras or office file, too)"),
    (rb"(?s)....ftyp(heic|heix|mif1|msf1|hevc)", f"a HEIC photograph ({_HEIC})"),
    (rb"(?s)....ftypavi[fs]", "an AVIF picture"),
    (rb"(?s)....ftyp", "a video"),
    (rb"(?i)\s*(<!doctype html|<html)", "a web page (perhaps a failed download)"),
    (rb"(?is)\s*(<\?xml.*)?<svg", "an SVG drawing"),
    (rb"version https://git-lfs", "a Git LFS pointer (run git lfs pull)"),
    (rb"(?s)[\t\r\n\x20-\x7e]{1,16}\Z|[\t\r\n\x20-\x7e]{16}", "plain text"),
)


class PhotoError(ValueError):
    """A source that was found but cannot be used as a photograph."""


class Stored(NamedTuple):
    """What a file says about its pixels and Pillow forgets when it decodes them."""

    depth: int = 8
    """Bits per channel in the file."""
    orientation: int = 1
    """EXIF orientation that Pillow has applied by itself, which it does for TIFF only."""
    several: bool = False
    """Whether more pictures follow the first."""


class _Pieces(BytesIO):
    """A file in memory that is read in at most `READS` pieces."""

    left = READS

    def read(self, size: int | None = -1, /) -> bytes:
        self.left -= 1
        if self.left < 0:
            raise OSError(f"it is in more than {READS} pieces")
        return super().read(size)


def open_image(data: bytes, name: str) -> tuple[Image.Image, Stored]:
    """Open and decode the first frame of an image file in memory, in its own mode; and what its header says.

    Raises
    ------
    PhotoError
        Empty, not an image of `FORMATS`, above `MAX_PIXELS`, truncated or damaged.
    """
    if not data:
        raise PhotoError(f"Expected an image file, received {name!r} with 0 bytes; copy or download it again")
    try:
        image = _identify(data)
        if image is not None:
            check_pixel_count(*image.size, name)
            _check_structure(data, image)
            stored = _stored(data, image)
            image.load()
    except (MemoryError, PhotoError):
        raise
    except Exception as error:  # decoders raise nearly anything on damaged bytes
        raise _damaged(data, name, error) from error
    if image is None:
        raise PhotoError(
            f"Expected an image file ({', '.join(FORMATS)}), received {name!r}, which is "
            f"{_contents(data)}; open it in an image program and save it as PNG or JPEG"
        )
    return image, stored


def _damaged(data: bytes, name: str, error: Exception) -> PhotoError:
    reason = " ".join(str(error).split()) or type(error).__name__
    return PhotoError(
        f"Expected a complete image file, received {name!r} ({len(data)} bytes), which is truncated, "
        f"damaged or of an unknown kind ({reason}); copy it again, or save it anew as PNG or JPEG"
    )


def _identify(data: bytes) -> ImageFile.ImageFile | None:
    # Image.open() warns about large pictures, and silencing it means changing the warning filters of the
    # whole process, for every thread. Calling the registered plugins needs no such change, and the size
    # check that follows is stricter.
    for image_format in FORMATS:
        factory, accept = Image.OPEN[image_format]
        if accept is None or accept(data[:16]) is True:
            return factory(_Pieces(data), "")
    return None


def _stored(data: bytes, image: ImageFile.ImageFile) -> Stored:
    several = bool(getattr(image, "is_animated", False))  # of a GIF, reads the head of the second one
    if image.format == "TIFF":
        tags = image.tag_v2  # type: ignore[attr-defined]
        return Stored(max(tags.get(258, (8,))), tags.get(ExifTags.Base.Orientation, 1), several)
    return Stored(data[24] if image.format == "PNG" else 8, several=several)


def _check_structure(data: bytes, image: ImageFile.ImageFile) -> None:
    """Raise an OSError where the end is missing, or where little data would keep Pillow busy for long.

    Pillow finds most missing ends itself, unless someone has set the process-wide LOAD_TRUNCATED_IMAGES.
    """
    if image.format in ("JPEG", "MPO"):
        # The thumbnail in the EXIF block has an end marker of its own, and a phone may append a film.
        start = _scan_start(data)
        end = data.find(b"\xff\xd9", start)
        if end < 0:
            raise EOFError("its end is missing")
        most = min(SCANS, SCANNED_PIXELS // (image.width * image.height))
        if data.count(b"\xff\xda", start, end) > most:
            raise OSError(f"it has more than {most} scans")
    if image.format == "PNG" and b"IEND" not in data:
        raise EOFError("its end is missing")
    if image.format == "BMP" and image.tile[0][0] == "bmp_rle" and image.width * image.height > RUN_PIXELS:
        raise OSError(f"it has more than {RUN_PIXELS} pixels in runs")


def _scan_start(jpeg: bytes) -> int:
    position = 2
    while jpeg[position : position + 1] == b"\xff" and (kind := jpeg[position + 1 : position + 2]) != b"\xda":
        if kind == b"\xff":  # any number of these may stand before a marker
            position += 1
            continue
        position += 2 + int.from_bytes(jpeg[position + 2 : position + 4], "big")
    return position


def _contents(data: bytes) -> str:
    for pattern, description in _SIGNATURES:
        if re.match(pattern, data[:512]):
            return description
    return f"{len(data)} bytes of unknown data"


def check_pixel_count(width: int, height: int, name: str) -> None:
    """Refuse a picture above `MAX_PIXELS` or `MAX_SIDE`, or without pixels.

    Raises
    ------
    PhotoError
    """
    count = width * height
    if not 0 < count <= MAX_PIXELS:
        raise PhotoError(
            f"Expected 1 to {MAX_PIXELS} pixels, received {name!r} with {count} "
            f"(height {height}, width {width}); "
            f"{'make it smaller' if count else 'it is empty, so make it'} first"
        )
    if max(width, height) > MAX_SIDE:
        raise PhotoError(
            f"Expected sides of at most {MAX_SIDE} pixels, received {name!r} with height {height}, "
            f"width {width}; cut it into pieces first"
        )


_NOTHING_STORED = Stored()
_BAND = 1 << 20
"""Pixels that are converted at a time; of a whole picture, all stages side by side would take a gigabyte."""
_SIXTEEN_BIT_MODES = ("I;16", "I;16L", "I;16B", "I;16N", "I")
_SAID = {
    "1": "1 bit",
    **dict.fromkeys(("L", "LA", "La"), "greyscale"),
    **dict.fromkeys(("P", "PA"), "palette"),
    **{mode: mode for mode in ("LAB", "YCbCr", "HSV")},
}
# How to undo an orientation: swap 6 and 8, everything else undoes itself.
_UNDO = {6: 8, 8: 6}


@dataclass(frozen=True)
class Decoding:
    """How a file becomes RGB. Each field can be the one in which training and inference differ.

    Parameters
    ----------
    exif
        Turn the picture upright by its EXIF orientation tag. Keras' ``load_img`` and TensorFlow do not.
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


def to_rgb(
    image: Image.Image, decoding: Decoding, name: str, stored: Stored = _NOTHING_STORED
) -> tuple[Pixels, tuple[str, ...]]:
    """Convert a loaded picture of any Pillow mode to RGB.

    Returns
    -------
    pixels
        uint8, shape (H, W, 3), RGB, a new array.
    notes
        What was done, in words, in order.

    Raises
    ------
    PhotoError
        A mode or a value range that has no meaning in 8 bits.
    """
    notes: list[str] = []
    if stored.several:
        kind = "animation" if image.format in ("GIF", "PNG", "WEBP") else "several pictures in the file"
        notes.append(f"{kind}, number {image.tell() + 1} used")
    convert, has_alpha = _conversion(image, decoding, name, notes, stored.depth)
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    transparent = 0
    for rows, band in _bands(image):
        color, alpha = convert(band)
        if alpha is not None:
            transparent += int(np.count_nonzero(alpha < 255))
            color = color if decoding.matte is None else _on_matte(color, alpha, decoding.matte)
        pixels[rows] = color
    if has_alpha:
        done = "alpha dropped" if decoding.matte is None else f"alpha laid on {decoding.matte}"
        notes.append(f"{done}, {_share(transparent, image)} of the pixels transparent")
    pixels = _upright(image, pixels, decoding, notes, stored.orientation)
    if image.info.get("icc_profile"):
        notes.append("ICC profile not applied")
    return np.ascontiguousarray(pixels), tuple(notes)


_Conversion: TypeAlias = Callable[[Image.Image], tuple[Pixels, Pixels | None]]
"""From a band of a picture to its RGB (H, W, 3), and alpha (H, W) where there is some."""


def _bands(image: Image.Image) -> Iterator[tuple[slice, Image.Image]]:
    step = max(1, _BAND // image.width)
    for top in range(0, image.height, step):
        rows = slice(top, min(top + step, image.height))
        yield rows, image.crop((0, rows.start, image.width, rows.stop))


def _conversion(
    image: Image.Image, decoding: Decoding, name: str, notes: list[str], depth: int
) -> tuple[_Conversion, bool]:
    mode = image.mode
    if mode in _SIXTEEN_BIT_MODES:
        return _from_integers(image, decoding, name, notes), image.info.get("transparency") is not None
    if mode == "F":
        return _from_floats(image, name, notes), False
    if mode in _SAID:
        notes.append(f"{_SAID[mode]} converted to RGB")
    elif mode == "CMYK":
        notes.append("CMYK converted to RGB without a colour profile")
    elif mode not in ("RGB", "RGBA", "RGBa", "RGBX"):
        raise PhotoError(
            f"Expected a picture in a known colour mode, received {name!r} in mode {mode!r}; "
            "save it as RGB PNG"
        )
    if depth == 16:
        notes.append("16 bits a channel read as 8, upper byte kept")
    has_alpha = mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info

    def convert(band: Image.Image) -> tuple[Pixels, Pixels | None]:
        try:
            straight = band.convert("LA") if mode == "La" else band  # Pillow has no way from La to RGBA
            pixels = np.asarray(straight.convert("RGBA" if has_alpha else "RGB"))
        except (ValueError, KeyError, ImportError, OSError) as error:
            raise PhotoError(
                f"Expected a picture that can become RGB, received {name!r} in mode {mode!r} ({error})"
            ) from error
        return pixels[..., :3], pixels[..., 3] if has_alpha else None

    return convert, has_alpha


def _range(image: Image.Image) -> tuple[Array, Array]:
    # np.asarray honours the byte order of each 16-bit mode; a NaN comes through.
    bands = (np.asarray(band) for _, band in _bands(image))
    ends = np.array([(values.min(), values.max()) for values in bands])
    return ends[:, 0].min(), ends[:, 1].max()


def _from_integers(image: Image.Image, decoding: Decoding, name: str, notes: list[str]) -> _Conversion:
    low, high = map(int, _range(image))
    if low < 0 or high > 65535:
        raise PhotoError(
            f"Expected whole numbers 0..65535 in a picture of mode {image.mode!r}, received {name!r} with "
            f"{low}..{high}; save it as 8 or 16 bit"
        )
    scaled = decoding.depth == "scale"
    if scaled:
        notes.append(f"16-bit greyscale {low}..{high} divided by 257")
    else:
        cut = sum(int(np.count_nonzero(np.asarray(band) > 255)) for _, band in _bands(image))
        notes.append(f"16-bit greyscale {low}..{high} cut at 255 ({_share(cut, image)} of the pixels)")
    transparent = image.info.get("transparency")

    def convert(band: Image.Image) -> tuple[Pixels, Pixels | None]:
        values = np.asarray(band).astype(np.int32)
        # Rounds to nearest; 257 is odd, so there are no ties.
        gray = (values + 128) // 257 if scaled else np.minimum(values, 255)
        alpha = None if transparent is None else np.where(values == transparent, 0, 255).astype(np.uint8)
        return _as_rgb(gray), alpha

    return convert


def _from_floats(image: Image.Image, name: str, notes: list[str]) -> _Conversion:
    low, high = map(float, _range(image))
    if not (low >= 0 and high <= 255):  # a NaN fails this, too
        raise PhotoError(
            f"Expected floating-point values 0..1 or 0..255, received {name!r} with {low:.6g}..{high:.6g}; "
            "scale them and save as 8 bit"
        )
    # A float file does not say which value is white; at most 1 can only be a picture if 1 is.
    factor = 255 if high <= 1 else 1
    notes.append(f"floating-point greyscale {low:.6g}..{high:.6g} taken as 0..{255 // factor}")
    return lambda band: (_as_rgb(np.rint(np.asarray(band, np.float64) * factor)), None)


def _as_rgb(gray: Array) -> Pixels:
    return np.repeat(gray.astype(np.uint8)[..., None], 3, axis=-1)


def _on_matte(pixels: Pixels, alpha: Pixels, matte: tuple[int, int, int]) -> Pixels:
    """``(color * alpha + matte * (255 - alpha) + 127) // 255``: rounded to nearest, without ties."""
    mixed = np.empty_like(pixels)
    weight = alpha.astype(np.uint16)
    for channel, background in enumerate(matte):
        # 255 * 255 + 127 fits into 16 bits.
        color = pixels[..., channel] * weight + np.uint16(background) * (255 - weight) + np.uint16(127)
        mixed[..., channel] = color // 255
    return mixed


def _share(count: int, image: Image.Image) -> str:
    percent = 100 * count / (image.width * image.height)
    return "<0.1 %" if 0 < percent < 0.05 else f"{percent:.1f} %"


def _upright(
    image: Image.Image, pixels: Pixels, decoding: Decoding, notes: list[str], applied: int
) -> Pixels:
    turned_by_pillow = applied != 1
    orientation = applied if turned_by_pillow else _orientation(image)
    if orientation not in range(2, 9):
        return pixels
    notes.append(f"EXIF orientation {orientation} {'applied' if decoding.exif else 'ignored'}")
    if decoding.exif == turned_by_pillow:
        return pixels
    return orient(pixels, orientation if decoding.exif else _UNDO.get(orientation, orientation))


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # noqa: BLE001  # a damaged EXIF block is no reason to refuse the pixels
        return 1
    return value if isinstance(value, int) else 1


def orient(pixels: Pixels, orientation: int) -> Pixels:
    """Turn stored pixels upright, by EXIF orientation 1..8 (CIPA DC-008, tag 274); returns a view."""
    if orientation >= 5:  # stored rows are columns
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels
