"""Correcting the input: levels brought back to those of the training pictures, and noise taken out."""

import numpy as np
from PIL import Image, ImageFilter

from kit.images import Photo, Pictures, as_photos
from kit.images.measuring import bright_level, dark_level

Levels = tuple[float, float]
"""Levels below which 5 % and 95 % of a picture's luma lie, 0..255."""


def usual_levels(photos: Pictures) -> Levels:
    """Measure the dark and the bright level of pictures: the median of each over all of them.

    Raises
    ------
    ValueError
        No pictures.
    """
    chosen = as_photos(photos, allow_empty=False)
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


def denoised(photo: Photo) -> Photo:
    """Take noise out: the median of 3 x 3 pixels, then a Gaussian of 0.8 pixels; fine detail goes with it.

    Parameters
    ----------
    photo
        Not changed.

    Returns
    -------
    Photo
        Of the same size.
    """
    image = Image.fromarray(photo.pixels).filter(ImageFilter.MedianFilter(3))
    pixels = np.asarray(image.filter(ImageFilter.GaussianBlur(0.8)))
    return Photo(pixels, photo.name, photo.decoding, (*photo.notes, "noise taken out"))
