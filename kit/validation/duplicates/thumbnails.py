"""Collections of pictures as small grey squares, to be compared with each other."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from kit._reporting import Progress, Steps
from kit.images import Photo, Source, load_image

SIDE = 28
"""Rows and columns of a thumbnail; pictures of this size stay as they are."""
SUFFIXES = frozenset((".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"))
"""Of the files that are read in a folder."""

Pictures: TypeAlias = str | PathLike[str] | npt.NDArray[Any] | Iterable[Source]
"""A folder (with the folders in it), an array (N, H, W) or (N, H, W, C), or any collection of pictures."""


@dataclass(frozen=True, eq=False)
class Thumbnails:
    """Small grey squares of pictures, and which pictures they are.

    Attributes
    ----------
    pixels
        uint8, shape (N, `SIDE`, `SIDE`), grey levels; zeros where a picture could not be read.
    names
        One for each picture.
    unreadable
        Place and reason, in one line, of the pictures that could not be read.
    """

    pixels: npt.NDArray[np.uint8]
    names: tuple[str, ...]
    unreadable: tuple[tuple[int, str], ...]

    def __repr__(self) -> str:
        return f"Thumbnails({len(self.names)} pictures, {len(self.unreadable)} of them unreadable)"


def thumbnails(pictures: Pictures, *, progress: Progress = True) -> Thumbnails:
    """Shrink pictures to `SIDE` x `SIDE` in grey (ITU-R BT.601), whatever their shape.

    Parameters
    ----------
    pictures
        See `Pictures`. The files of a folder come in the order of their paths.
    progress
        As for `kit.find_duplicates`.

    Raises
    ------
    TypeError, ValueError, FileNotFoundError
        No collection of pictures, none in it, or no such folder. A picture that cannot be read is noted and
        left out.
    """
    named = list(_named(pictures))
    if not named:
        raise ValueError("Expected at least one picture, received none; look for files of a known format")
    pixels = np.zeros((len(named), SIDE, SIDE), np.uint8)
    unreadable = []
    names = []
    for place, (name, source) in enumerate(Steps(named, "Reading", "picture", progress)):
        try:
            photo = load_image(source)
            pixels[place] = _shrunk(photo)
            names.append(name or (photo.name if photo.name != "array" else f"picture {place}"))
        except (OSError, ValueError) as error:  # PhotoError is one of them
            names.append(name or f"picture {place}")
            unreadable.append((place, str(error)))
    return Thumbnails(pixels, tuple(names), tuple(unreadable))


def _named(pictures: Pictures) -> Iterator[tuple[str, Source]]:
    """Yield pictures with their names, which are empty where the picture has its own."""
    if isinstance(pictures, (str, PathLike)):
        folder = Path(pictures)
        if not folder.is_dir():
            raise FileNotFoundError(
                f"Expected an existing folder of pictures, received {str(pictures)!r}; "
                "pass single files in a list"
            )
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() in SUFFIXES and path.is_file():
                yield path.relative_to(folder).as_posix(), path
        return
    if isinstance(pictures, np.ndarray) and pictures.ndim not in (3, 4):
        raise ValueError(
            f"Expected pictures of shape (N, H, W) or (N, H, W, C), received {pictures.shape}; "
            "put a single one into a list"
        )
    if not isinstance(pictures, Iterable) or isinstance(pictures, (bytes, Photo, Image.Image)):
        raise TypeError(
            f"Expected a folder, an array or a collection of pictures, received {type(pictures).__name__}; "
            "put a single one into a list"
        )
    for picture in pictures:
        yield "", picture


def _shrunk(photo: Photo) -> npt.NDArray[np.uint8]:
    grey = Image.fromarray(photo.pixels).convert("L")
    # Pillow's bilinear filter averages over the area of a smaller pixel, so that fine patterns do not alias.
    return np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.BILINEAR))
