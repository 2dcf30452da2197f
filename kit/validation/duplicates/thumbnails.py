"""Collections of pictures as small grey squares, to be compared with each other."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from kit._arrays import Pixels
from kit._reporting import Progress, Steps
from kit.images import Photo, Pictures
from kit.images.photo import UNREADABLE, at_least_one, each_picture

SIDE = 28
"""Rows and columns of a thumbnail; pictures of this size stay as they are."""


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

    pixels: Pixels
    names: tuple[str, ...]
    unreadable: dict[int, str]


def thumbnails(pictures: Pictures, *, progress: Progress = True) -> Thumbnails:
    """Shrink pictures to `SIDE` x `SIDE` in grey (ITU-R BT.601), whatever their shape.

    Parameters
    ----------
    pictures
        A folder, a glob pattern, an array, one picture or several: see `kit.images.photo`.
    progress
        As for `kit.find_duplicates`.

    Raises
    ------
    TypeError, ValueError, FileNotFoundError
        No pictures, or no such folder. A picture that cannot be read is noted and left out.
    """
    found = at_least_one(each_picture(pictures))
    pixels = np.zeros((len(found), SIDE, SIDE), np.uint8)
    unreadable = {}
    for place, picture in enumerate(Steps(found, "Reading", "picture", progress)):
        try:
            pixels[place] = _shrunk(picture.open())
        except UNREADABLE as error:
            unreadable[place] = str(error)
    return Thumbnails(pixels, tuple(picture.name for picture in found), unreadable)


def _shrunk(photo: Photo) -> Pixels:
    grey = Image.fromarray(photo.pixels).convert("L")
    # Pillow's bilinear filter averages over the area of a smaller pixel, so that fine patterns do not alias.
    return np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.BILINEAR))
