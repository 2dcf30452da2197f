"""The photographs of an explorer, and the files that are on their way to it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from time import monotonic

import numpy as np
from PIL import Image

from kit._checking import known
from kit.explorer.path import idle_steps
from kit.explorer.view import View
from kit.images import Photo
from kit.images.photo import encoded
from kit.preprocessing import Preprocessing

CAMERA = "Camera (live)"
"""Name of the picture that a camera of the page gives; its frames take each other's place."""
THUMBNAIL = 56
"""Longest side of a thumbnail, in pixels."""
THUMBNAILS = 200
"""So many photographs have a thumbnail; of those that follow there is the name."""
UPLOAD_BYTES = 64_000_000
"""Largest picture file that the page accepts."""
UPLOADS, UPLOAD_SECONDS = 4, 60.0
"""So many files may be on their way at a time, and so long one may be silent before it is given up."""


@dataclass(eq=False)
class Entry:
    """A photograph, the index of its class where that is known, and what was worked out about it once."""

    photo: Photo
    label: int | None = None
    added: bool = False
    reference: View | None = None
    idle: tuple[str, ...] | None = None
    thumbnail: bytes = b""


@dataclass(eq=False)
class Shelf:
    """Photographs by name, in the order in which they came; names are made unique."""

    entries: dict[str, Entry] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Entry:
        return self.entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def add(self, photo: Photo, label: int | None = None, *, added: bool = False) -> str:
        """Put a photograph there, and return its name."""
        name, count = photo.name, 1
        while name in self.entries or name == CAMERA:
            count += 1
            name = f"{photo.name} ({count})"
        self.entries[name] = Entry(photo, label, added)
        return name

    def remove(self, name: str) -> None:
        """Take a photograph away that was added; nothing of it is kept.

        Raises
        ------
        ValueError
            There is none of that name, or it came with the explorer.
        """
        known("photo", name, list(self.entries))
        if not self.entries[name].added:
            raise ValueError(
                f"Expected a picture that was added, received {name!r}, which came with the explorer"
            )
        del self.entries[name]

    def idle(self, name: str, trained: Preprocessing) -> tuple[str, ...]:
        """Return the steps of reading a file that make no difference to this one."""
        entry = self.entries[name]
        if entry.idle is None:
            entry.idle = idle_steps(entry.photo, trained)
        return entry.idle

    def told(self) -> list[dict[str, object]]:
        """Return what the page shows of each: name, whether it can be removed, and a small JPEG."""
        rows = []
        for place, (name, entry) in enumerate(self.entries.items()):
            if not entry.thumbnail and place < THUMBNAILS:
                entry.thumbnail = _thumbnail(entry.photo)
            rows.append({"name": name, "added": entry.added, "thumbnail": entry.thumbnail})
        return rows


@dataclass(eq=False)
class Uploads:
    """Files that come in pieces, since a websocket refuses messages over 10 MiB."""

    pieces: dict[str, list[bytes]] = field(default_factory=dict)
    heard: dict[str, float] = field(default_factory=dict)

    def take(self, number: str, name: str, piece: bytes, *, last: bool) -> bytes | None:
        """Take a piece of a file, and return the whole with the last one.

        Raises
        ------
        ValueError
            The file is too large, or too many are on their way; nothing of it is kept.
        """
        now = monotonic()
        for silent in [key for key, time in self.heard.items() if now - time > UPLOAD_SECONDS]:
            self._forget(silent)
        if number not in self.pieces and len(self.pieces) >= UPLOADS:
            raise ValueError(f"Expected at most {UPLOADS} pictures at a time, received one more: {name}")
        self.heard[number] = now
        self.pieces.setdefault(number, []).append(piece)
        if sum(map(len, self.pieces[number])) > UPLOAD_BYTES:
            self._forget(number)
            most = UPLOAD_BYTES // 1_000_000
            raise ValueError(f"Expected a picture of at most {most} MB, received more: {name}")
        return b"".join(self._forget(number)) if last else None

    def _forget(self, number: str) -> list[bytes]:
        self.heard.pop(number, None)
        return self.pieces.pop(number, [])


def _thumbnail(photo: Photo) -> bytes:
    height, width = photo.size
    step = max(1, min(height, width) // (2 * THUMBNAIL))
    image = Image.fromarray(np.ascontiguousarray(photo.pixels[::step, ::step]))
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    return encoded(image, "JPEG", quality=80)
