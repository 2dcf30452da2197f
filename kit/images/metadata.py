"""Image files without what they say about who took them, where and with what."""

import re
import struct
from contextlib import suppress
from io import BytesIO
from typing import Any

import numpy as np

from kit.images.opening import first_frame
from kit.images.photo import Photo, decode, encoded

# Segments of a JPEG on which colours depend; viewers apply a profile, though the kit does not.
_NEEDED = re.compile(rb"JFIF\0.{9}\Z|Adobe.{7}\Z|ICC_PROFILE\0", re.DOTALL)
_ORIENTATION = b"Exif\0\0MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0%c\0\0\0\0\0\0"
"""EXIF with this tag alone; 32 bytes."""


def without_metadata(photo: Photo) -> bytes:
    """Return the file of a photo, its metadata reduced to orientation and colour profile; else a PNG.

    The pixels are the same, of several images those of the first. A JPEG keeps its compressed pixels; other
    files are compressed again, without loss.
    """
    with suppress(
        Exception
    ):  # damage where decoders do not look, or a format that holds less
        file = _cleaned(photo.file or b"", photo.name)
        again = decode(file, photo.name, photo.decoding)
        if np.array_equal(again.pixels, photo.pixels):
            return file
    return encoded(photo.pixels)


def _cleaned(data: bytes, name: str) -> bytes:
    image, orientation = first_frame(data, name, [])
    tags = b"" if orientation == 1 else _ORIENTATION % orientation
    if image.format in {"JPEG", "MPO"}:
        return _jpeg(data, image, tags)
    file = BytesIO()
    profile = image.info.get("icc_profile")
    lossless = {"lossless": True, "exact": True, "compression": "tiff_adobe_deflate"}
    # A copy, since of an image that was opened Pillow writes its tags, too.
    image.copy().save(
        file, image.format, exif=tags, icc_profile=profile, comment=b"", **lossless
    )
    return file.getvalue()


def _jpeg(file: bytes, image: Any, tags: bytes) -> bytes:
    """Take out the segments that Pillow lists, and what follows the first image: video, further images."""
    for _, contents in image.applist:
        if not _NEEDED.match(contents):
            size = struct.pack(">H", len(contents) + 2)
            before, after = file.split(size + contents, 1)
            file = before[: -len(b"\xff\xe1")] + after
    # Compressed pixels never look like the end of an image.
    end = file.index(b"\xff\xd9", file.index(b"\xff\xda")) + 2
    head = b"\xff\xd8\xff\xe1\0\x22" if tags else b"\xff\xd8"
    return head + tags + file[2:end]
