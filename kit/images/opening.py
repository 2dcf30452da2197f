"""Image files from unknown places: what is opened, what is refused, and in which words."""

import re
from io import BytesIO
from typing import NamedTuple

# Importing a plugin registers its format in Image.OPEN; preinit imports those of the other formats.
from PIL import ExifTags, Image, ImageFile, TiffImagePlugin, WebPImagePlugin  # noqa: F401

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
    (rb"%!PS", "a PostScript document"),
    (rb"PK\x03\x04", "a ZIP archive (a .keras or office file, too)"),
    (rb"\x1f\x8b", "a gzip file"),
    (rb"\x89HDF", "an HDF5 file"),
    (rb"\x93NUMPY", "a NumPy array file"),
    (rb"8BPS", "a Photoshop document"),
    (rb"(?s)....ftyp(heic|heix|mif1|msf1|hevc)", f"a HEIC photograph ({_HEIC})"),
    (rb"(?s)....ftypavi[fs]", "an AVIF picture"),
    (rb"(?s)....ftyp", "a video"),
    (rb"(?s)\x00\x00\x00\x0cjP  |\xff\x4f\xff\x51", "a JPEG 2000 picture"),
    (rb"(?s)\x00\x00\x00\x0cJXL |\xff\x0a", "a JPEG XL picture"),
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
    """Open and fully decode an image file in memory.

    Parameters
    ----------
    data
        The whole file.
    name
        File name for messages.

    Returns
    -------
    image
        First frame, in the mode of the file.
    stored
        What its header said besides.

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
