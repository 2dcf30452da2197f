"""The photos of an explorer, by name, with their thumbnails, and those that are on their way."""

from dataclasses import replace
from math import prod

import numpy as np
from PIL import Image, ImageOps

from kit._arrays import Pixels
from kit._checking import known
from kit.explorer.bench import Entry
from kit.explorer.protocol import PhotoRow
from kit.images.photo import Photo, encoded

CAMERA = "Camera (live)"
"""Name of the image that a camera of the page gives; its frames take each other's place."""
THUMBNAIL = 56
"""Longest side of a thumbnail, in pixels."""
THUMBNAILS = 200
"""So many photos have a thumbnail and a mark; of those that follow there is the name."""
ADDED_BYTES = 1_500_000_000
"""Pixels of added images from which on no more are taken."""
UPLOAD_BYTES = 64_000_000
"""Largest image file that the page accepts."""
UPLOADS = 4
"""So many files may be on their way at a time: a view of the widget sends one after the other."""


def small_jpeg(pixels: Pixels, side: int) -> bytes:
    """Return a JPEG of at most `side` pixels a side."""
    image = Image.fromarray(pixels)
    image.thumbnail((side, side))
    # A small image is enlarged by a whole number, so that each pixel stays a square of its own colour.
    factor = side // max(image.size)
    image = ImageOps.scale(image, factor, Image.Resampling.NEAREST)
    return encoded(image, "JPEG", quality=85)


class Uploads(dict[str, bytes]):
    """What has come of files that are on their way, by their number."""

    def take(self, upload_number: str, file_name: str, piece: memoryview) -> None:
        """Add a piece to a file; ValueError beyond `UPLOAD_BYTES`, after which none of it is left."""
        file_so_far = self.pop(upload_number, b"") + piece
        if len(file_so_far) > UPLOAD_BYTES:
            raise ValueError(
                f"Expected an image of at most {UPLOAD_BYTES // 1_000_000} MB, received more: {file_name}"
            )
        self[upload_number] = file_so_far
        if len(self) > UPLOADS:
            # The one that has waited longest for a piece: its page has given it up.
            del self[next(iter(self))]


class Shelf(dict[str, Entry]):
    """Photos by name, in the order in which they came; names are made unique, and the nearest one is said."""

    def __missing__(self, name: str) -> Entry:
        # Since it is not there, `known` raises: a ValueError that lists the others.
        raise KeyError(known("photo", name, self))

    def add(
        self, photo: Photo, label: int | None = None, *, added: bool = False
    ) -> str:
        """Put a photo there, and return its name, or raise a ValueError beyond `ADDED_BYTES`."""
        if added:
            sizes = [entry.photo.size for entry in self.values() if entry.added]
            # A byte for each of three channels; images that came with the explorer do not count.
            if 3 * sum(map(prod, sizes)) >= ADDED_BYTES:
                raise ValueError(
                    f"Expected at most {ADDED_BYTES} bytes of added images; remove one"
                )
        name = photo.name
        number = 1
        while name in {*self, CAMERA}:
            number += 1
            name = f"{photo.name} ({number})"
        if number > 1:
            photo = replace(photo, name=name)
        # Of many photos, the page shows the later ones by their name alone.
        thumbnail = b""
        if len(self) < THUMBNAILS:
            thumbnail = small_jpeg(photo.pixels, THUMBNAIL)
        self[name] = Entry(photo, label, added, thumbnail)
        return name

    def remove(self, name: str) -> None:
        """Take out a photo that was added; ValueError for another one."""
        if not self[name].added:
            raise ValueError(
                f"Expected an added image, received {name!r}, which came with the explorer"
            )
        del self[name]

    def take_frame(self, buffer: memoryview, height: int, width: int) -> None:
        """Put a frame of the camera there, uint8 RGB; ValueError for another number of bytes."""
        frame = np.frombuffer(buffer, np.uint8).reshape(height, width, 3)
        # The label of the frame before stays until somebody takes it back.
        label = getattr(self.get(CAMERA), "label", None)
        self[CAMERA] = Entry(Photo.from_array(frame, CAMERA), label)

    def entries_but_camera(self) -> list[Entry]:
        """Return all but what a camera shows now."""
        return [entry for name, entry in self.items() if name != CAMERA]

    def rows(self) -> list[PhotoRow]:
        """Return the strip of the page, on which a camera's frame has no place."""
        return [
            {
                "name": name,
                "added": entry.added,
                # A mark on the thumbnail, so that there is none without one, even where the class is known.
                "labelled": bool(entry.thumbnail) and entry.label is not None,
                "thumbnail": entry.thumbnail,
            }
            for name, entry in self.items()
            if name != CAMERA
        ]
