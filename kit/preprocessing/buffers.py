"""How the values of an image may lie in memory."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from kit._arrays import Float64
from kit.preprocessing.comparison import TURNS
from kit.preprocessing.pipeline import LAYOUTS
from kit.preprocessing.resizing import LARGEST_SIDE

KINDS_OF_PIXELS = {1: "grey", 3: "RGB", 4: "RGBA"}
"""By the count of their values."""
LEAST_ROWS = 8
"""As many rows a buffer has at least."""


class Buffer(NamedTuple):
    """An image (H, W, C) as it is in one order of values, with its layout; `order` says what else it is."""

    image: Float64
    layout: str
    order: str = ""


def buffers(result: Float64) -> Iterator[Buffer]:
    """Yield the images that a result (H, W, C) or (C, H, W) may be."""
    is_channels_first = (
        result.shape[0] in KINDS_OF_PIXELS and result.shape[2] not in KINDS_OF_PIXELS
    )
    layout = "channels_first" if is_channels_first else "channels_last"
    image = np.moveaxis(result, 0, -1) if is_channels_first else result
    for turn, undo in TURNS.items():
        if turn in LAYOUTS and not is_channels_first:
            yield Buffer(undo(image), layout=turn)
        else:
            yield Buffer(undo(image), layout, order=turn)
    for pixel_values in (image.shape[2], 4):
        row_values = _row_length(result.ravel(), pixel_values)
        if row_values != image[0].size:
            rows = np.resize(result, (result.size // row_values, row_values))
            # Without what fills up each row behind its last pixel.
            whole = rows[:, : row_values // pixel_values * pixel_values]
            pixels = whole.reshape(len(rows), -1, pixel_values)
            kind = KINDS_OF_PIXELS[pixel_values]
            words = f"rows of {row_values / pixel_values:g} {kind} pixels"
            yield Buffer(pixels, layout, words)


def _row_length(buffer: Float64, pixel_values: int) -> int:
    """Return after how many values a buffer is most like itself, beyond what is beside a pixel."""
    # The correlation of the buffer with itself, moved by each length.
    spectrum = np.fft.rfft(buffer - buffer.mean(), 2 * buffer.size)
    longest = min(buffer.size // LEAST_ROWS, LARGEST_SIDE * pixel_values)
    lengths = np.arange(16 * pixel_values, longest)
    products = np.fft.irfft(np.abs(spectrum) ** 2)[lengths]
    return int(lengths[np.argmax(products / (buffer.size - lengths))])
