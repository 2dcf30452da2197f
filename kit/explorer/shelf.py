"""The photos of an explorer, by name, with their thumbnails and views."""

from dataclasses import dataclass
from functools import cached_property
from math import prod

from PIL import Image, ImageOps

from kit._arrays import Pixels
from kit._checking import known
from kit.explorer.bench import Bench, View
from kit.explorer.protocol import PhotoRow
from kit.explorer.settings import State, neutral, state_of
from kit.images import Photo
from kit.images.photo import encoded

CAMERA = "Camera (live)"
"""Name of the image that a camera of the page gives; its frames take each other's place."""
THUMBNAIL = 56
"""Longest side of a thumbnail, in pixels."""
THUMBNAILS = 200
"""So many photos have a thumbnail and a mark; of those that follow there is the name."""
ADDED_BYTES = 1_500_000_000
"""Pixels of added images from which on no more are taken."""


def small_jpeg(pixels: Pixels, side: int) -> bytes:
    """Return a JPEG of at most `side` pixels a side."""
    image = Image.fromarray(pixels)
    image.thumbnail((side, side))
    # Small images are enlarged in whole pixels, so that none of them is invented.
    image = ImageOps.scale(image, side // max(image.size), Image.Resampling.NEAREST)
    return encoded(image, "JPEG", quality=85)


@dataclass(eq=False)
class Entry:
    """A photo, the index of its class where that is known, and its untouched view once there is one."""

    photo: Photo
    label: int | None = None
    added: bool = False
    reference: View | None = None

    @cached_property
    def thumbnail(self) -> bytes:
        """A small JPEG."""
        step = max(1, min(self.photo.size) // (2 * THUMBNAIL))
        return small_jpeg(self.photo.pixels[::step, ::step], THUMBNAIL)

    def look(self, bench: Bench, state: State, reference: View | None = None) -> View:
        """Return the view of the photo in a state."""
        return bench.look(self.photo, state, reference, self.label)

    def view(self, bench: Bench, state: State) -> View:
        """Return the view of the photo in a state, compared with its untouched one."""
        if self.reference is None:
            self.reference = self.look(
                bench, state_of(neutral(state.settings["photo"]))
            )
        untouched = self.reference.settings
        if state.settings == untouched:
            return self.reference
        # The untouched photo with a heat map is compared with nothing but itself.
        untouched_with_map = untouched | {"where": state.settings["where"]}
        if state.settings == untouched_with_map:
            return self.look(bench, state)
        return self.look(bench, state, self.reference)


class Shelf(dict[str, Entry]):
    """Photos by name, in the order in which they came; names are made unique.

    A name that is none raises a ValueError, which says the nearest.
    """

    def __missing__(self, name: str) -> Entry:
        raise KeyError(known("photo", name, self))

    def add(
        self, photo: Photo, label: int | None = None, *, added: bool = False
    ) -> str:
        """Put a photo there, and return its name, or raise a ValueError beyond `ADDED_BYTES`."""
        if added:
            sizes = [entry.photo.size for entry in self.values() if entry.added]
            if 3 * sum(map(prod, sizes)) >= ADDED_BYTES:
                raise ValueError(
                    f"Expected at most {ADDED_BYTES} bytes of added images; remove one"
                )
        name = photo.name
        number = 1
        while name in self or name == CAMERA:
            number += 1
            name = f"{photo.name} ({number})"
        self[name] = Entry(photo, label, added)
        if len(self) <= THUMBNAILS:
            self[name].thumbnail  # noqa: B018  made while the photo has its pixels
        return name

    def rows(self) -> list[PhotoRow]:
        """Return the strip of the page, on which a camera's frame has no place."""
        # Of a photo beyond THUMBNAILS the page shows the name alone.
        return [
            {
                "name": name,
                "added": entry.added,
                "labelled": index < THUMBNAILS and entry.label is not None,
                "thumbnail": entry.thumbnail if index < THUMBNAILS else b"",
            }
            for index, (name, entry) in enumerate(self.items())
            if name != CAMERA
        ]
