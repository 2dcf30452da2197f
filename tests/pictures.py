"""Images and image files for tests, made by hand."""

import io
import struct
import zlib

import numpy as np

from kit.images.photo import Photo

LEVELS = np.arange(256, dtype=np.uint8)


def scene(height=90, width=120):
    """A photo with edges, slopes, black and white."""
    rows, columns = np.mgrid[:height, :width]
    pixels = np.stack(
        [rows * 255 // height, columns * 255 // width, (rows * columns) % 256], axis=-1
    )
    pixels[10:30, 20:60] = 255
    pixels[50:80, 70:100] = [0, 20, 200]
    return Photo.from_array(pixels.astype(np.uint8), "scene")


def chart(heights, colour):
    """A photo of bars of these heights, on white."""
    pixels = np.full((120, 160, 3), 255, np.uint8)
    pixels[110] = 0
    for place, height in enumerate(heights):
        left = 20 + 26 * place
        pixels[110 - height : 110, left : left + 18] = colour
    return Photo.from_array(pixels)


def smooth(height=24, width=32):
    """Pixels without an edge, which JPEG hardly changes."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack(
        [rows * 8, columns * 7, 255 - rows * 4 - columns * 3], axis=-1
    ).astype(np.uint8)


def picture(size, channels=3, seed=0):
    """Pseudo-random pixels, uint8 (H, W, C)."""
    return np.random.default_rng(seed).integers(
        0, 256, (*size, channels), dtype=np.uint8
    )


def file_of(image, image_format="PNG", **options):
    """The bytes that Pillow writes."""
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def png(width, height, depth, color_type, rows, *chunks):
    """A PNG written by hand, for kinds that Pillow does not write."""

    def chunk(kind, body):
        return (
            struct.pack(">I", len(body))
            + kind
            + body
            + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    body = b"".join(chunk(*each) for each in chunks)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + body
        + chunk(b"IDAT", pixels)
        + chunk(b"IEND", b"")
    )
