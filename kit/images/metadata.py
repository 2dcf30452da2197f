"""Photos without what their files say about who took them, where and with what."""

import re
from contextlib import suppress
from typing import Any

import numpy as np

from kit.images.opening import first_frame
from kit.images.photo import Encoded, Photo, encoded

# Segments of a JPEG on which colours depend; viewers apply a profile, though the kit does not.
_NEEDED = re.compile(rb"JFIF\0.{9}\Z|Adobe.{7}\Z|ICC_PROFILE\0", re.DOTALL)
_ORIENTATION = (
    b"\xff\xe1\0\x22Exif\0\0MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0%c\0\0\0\0\0\0"
)
"""Segment of a JPEG: EXIF with this tag alone."""


def without_metadata(photo: Photo) -> Photo:
    """Return a photo with the same pixels whose file has no metadata but orientation and colour profile.

    A JPEG keeps its compressed pixels, other files become PNG; of several images the first stays. Where that
    cannot be done, as for colours that PNG does not have, the file is a PNG of the decoded pixels.
    """
    with suppress(Exception):
        file = photo.file or b""
        image, orientation = first_frame(file, photo.name, [])
        segment = b"" if orientation == 1 else _ORIENTATION % orientation
        if file.startswith(b"\xff\xd8"):
            file = _cleaned_jpeg(file, image, segment)
        else:
            file = encoded(image, exif=segment[4:])
        cleaned = Encoded(file, photo.name)(photo.decoding)
        if np.array_equal(cleaned.pixels, photo.pixels):
            return cleaned
    return Encoded(encoded(photo.pixels), photo.name)(photo.decoding)


def _cleaned_jpeg(file: bytes, image: Any, segment: bytes) -> bytes:
    """Take out the segments that Pillow lists, and what follows the first image: video, further images."""
    for _, contents in image.applist:
        if not _NEEDED.match(contents):
            size = (len(contents) + 2).to_bytes(2)
            before, after = file.split(size + contents, 1)
            file = before[:-2] + after
    # Compressed pixels never look like the end of an image.
    end = file.index(b"\xff\xd9", file.index(b"\xff\xda"))
    return file[:2] + segment + file[2 : end + 2]
