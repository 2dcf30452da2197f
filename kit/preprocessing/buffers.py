"""How the values of an image may lie in memory."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from kit._arrays import Float64
from kit.preprocessing.comparison import TURNS
from kit.preprocessing.pipeline import LAYOUTS

PIXELS = {1: "grey", 3: "RGB", 4: "RGBA"}
"""Kinds of pixels by the count of their values."""
ROWS = 8
"""As many rows a buffer has at least."""


class Buffer(NamedTuple):
    """An image (H, W, C) as it is in one order of values, with the layout, or in words what else this is."""

    image: Float64
    layout: str
    there: str = ""


def buffers(result: Float64, expected: Float64) -> Iterator[Buffer]:
    """Yield the images that a result may be.

    Parameters
    ----------
    result
        (H, W, C) or (C, H, W).
    expected
        What should be there, (H, W, C) of any channels.
    """
    is_first = result.shape[0] in PIXELS and result.shape[2] not in PIXELS
    layout = "channels_first" if is_first else "channels_last"
    image = np.moveaxis(result, 0, -1) if is_first else result
    for turn, back in TURNS.items():
        if turn in LAYOUTS and not is_first:
            yield Buffer(back(image), turn)
        else:
            yield Buffer(back(image), layout, turn)
    for values in (image.shape[2], 4):
        row = _row_length(result.ravel(), values)
        if row != image[0].size:
            lines = np.resize(result, (result.size // row, row))
            pixels = lines[:, : row // values * values].reshape(len(lines), -1, values)
            words = f"rows of {row / values:g} {PIXELS[values]} pixels"
            yield Buffer(pixels, layout, words)
    if image.shape[:2] == expected.shape[:2]:
        down, right = _shift(image.mean(axis=-1), expected.mean(axis=-1))
        rolled = np.roll(image, (-down, -right), axis=(0, 1))
        yield Buffer(rolled, layout, f"rolled by {down} rows and {right} columns")


def _row_length(buffer: Float64, values: int) -> int:
    """Return after how many values a buffer is most like itself, beyond what is beside a pixel."""
    spectrum = np.fft.rfft(buffer - buffer.mean(), 2 * buffer.size)
    lengths = np.arange(16 * values, buffer.size // ROWS)
    likeness = np.fft.irfft(np.abs(spectrum) ** 2)[lengths]
    return int(lengths[np.argmax(likeness / (buffer.size - lengths))])


def _shift(image: Float64, expected: Float64) -> tuple[int, int]:
    """Return by how many rows and columns one image is the other, moved round."""
    spectrum = np.fft.rfft2(image - image.mean())
    products = spectrum * np.fft.rfft2(expected).conj()
    likeness = np.abs(np.fft.irfft2(products, image.shape))
    row, column = np.unravel_index(likeness.argmax(), likeness.shape)
    return int(row), int(column)
