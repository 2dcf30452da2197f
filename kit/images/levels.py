"""Correcting the input: bringing the levels of a picture back to those of the training pictures."""

from collections.abc import Iterable

import numpy as np

from kit.images import Photo, Source, as_photos
from kit.images.measuring import bright_level, dark_level

Levels = tuple[float, float]
"""Levels below which 5 % and 95 % of a picture's luma lie, 0..255."""


def usual_levels(photos: Source | Iterable[Source]) -> Levels:
    """Measure the dark and the bright level of pictures: the median of each over all of them.

    Raises
    ------
    ValueError
        No pictures.
    """
    chosen = as_photos(photos)
    if not chosen:
        raise ValueError("Expected at least one picture to measure, received none; give training pictures")
    low, high = (
        float(np.median([measure(photo.pixels) for photo in chosen]))
        for measure in (dark_level, bright_level)
    )
    return low, high


def relevelled(photo: Photo, levels: Levels) -> Photo:
    """Stretch and move all values so that dark and bright levels become the given ones.

    That undoes added levels, a factor, or both, except where values had been clipped. It cannot know of a
    picture that was meant to be dark.

    Parameters
    ----------
    photo
        Not changed.
    levels
        Wanted dark and bright level, as `usual_levels` measures them on training pictures.

    Returns
    -------
    Photo
        Of the same size, values rounded and clipped to 0..255. A picture of one value alone is moved, not
        stretched.
    """
    low, high = dark_level(photo.pixels), bright_level(photo.pixels)
    slope = (levels[1] - levels[0]) / (high - low) if high > low else 1.0
    table = np.clip(np.rint((np.arange(256) - low) * slope + levels[0]), 0, 255).astype(np.uint8)
    return Photo(table[photo.pixels], photo.name, photo.decoding, (*photo.notes, "levels corrected"))
