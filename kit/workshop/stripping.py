"""The file of a picture without what a camera or a program wrote beside the pixels."""

import re
from io import BytesIO

import numpy as np
from PIL import ExifTags, Image

from kit.images import Photo, load_image
from kit.images.photo import encoded
from kit.regression.cases import picture_of

# After the data of a scan; a zero byte, a restart and a filling 255 do not end it (ITU T.81, B.1.1).
_NEXT = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)
_START, _END, _SCAN = b"\xff\xd8", b"\xff\xd9", 0xDA
# Notes of the camera, GPS, thumbnails and comments; JFIF and Adobe say how colours are stored.
_BESIDE = {*range(0xE1, 0xEE), 0xEF, 0xFE}


def stripped(photo: Photo) -> tuple[bytes, str]:
    """Return the file of a photo without GPS, camera, dates, comments, thumbnails and colour profile.

    What shows how the picture is turned stays. A JPEG is not compressed anew; any other file becomes a PNG.

    Returns
    -------
    file
        That decodes to the very pixels of the photo.
    ending
        ``"jpg"`` or ``"png"``.

    Raises
    ------
    ValueError
        It would come out with other pixels.
    """
    data, kind = picture_of(photo)
    with Image.open(BytesIO(data)) as image:
        # Pillow turns a TIFF by itself, and then says so no more.
        image.load()
        turned = image.getexif().get(ExifTags.Base.Orientation)
        exif = Image.Exif()
        if turned is not None:
            exif[ExifTags.Base.Orientation] = turned
        file = _jpeg(data, exif.tobytes() if turned else b"") if kind == "jpg" else _png(image, exif)
    if not np.array_equal(load_image(file).pixels, load_image(data).pixels):
        raise ValueError(
            f"Expected the same picture without what is written beside it, received another: {kind}"
        )
    return file, "jpg" if kind == "jpg" else "png"


def _jpeg(data: bytes, exif: bytes) -> bytes:
    """Return the segments that make the pixels, and nothing after their end."""
    parts, at = [_START], 2
    if exif:
        parts.append(b"\xff\xe1" + (len(exif) + 2).to_bytes(2) + exif)
    while data[at : at + 2] not in {_END, b""}:
        marker, end = data[at + 1], at + 2 + int.from_bytes(data[at + 2 : at + 4])
        if marker == 0xFF:
            # Filling before a marker.
            at += 1
            continue
        if marker == _SCAN:
            found = _NEXT.search(data, end)
            end = found.start() if found else len(data)
        if marker not in _BESIDE:
            parts.append(data[at:end])
        at = end
    return b"".join([*parts, _END])


def _png(image: Image.Image, exif: Image.Exif) -> bytes:
    image.info = {key: value for key, value in image.info.items() if key == "transparency"}
    return encoded(image, exif=exif)
