"""How the values of an image may lie in memory, and how the image may lie in them."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from kit._arrays import Float64
from kit.preprocessing.comparison import SCRAMBLED, TURNS
from kit.preprocessing.pipeline import LAYOUTS
from kit.preprocessing.resizing import LARGEST_SIDE

KINDS_OF_PIXELS = {1: "grey", 3: "RGB", 4: "RGBA"}
"""By the count of their values."""
LEAST_ROWS = 8
"""As many rows a buffer has at least."""
LEAST_PIXELS = 16
"""As many pixels a row has at least, beyond what is like a pixel for being beside it."""


class Ordered(NamedTuple):
    """An image (H, W, C) from values in one order, NaN where there is none: that of a layout.

    Where it is none of a layout, `orders` say how values lie in memory and how the image is turned.
    """

    image: Float64
    layout: str
    orders: tuple[str, ...] = ()


def each_order(result: Float64) -> Iterator[Ordered]:
    """Yield the images that a result (H, W, C) or (C, H, W) may be, the most usual first."""
    # Of the first and the last side, that of the channels is one of few lengths.
    is_channels_first = (
        result.shape[0] in KINDS_OF_PIXELS and result.shape[2] not in KINDS_OF_PIXELS
    )
    layout = "channels_first" if is_channels_first else "channels_last"
    image = np.moveaxis(result, 0, -1) if is_channels_first else result
    for memory_order, ordered in _each_memory_order(image, result.ravel()):
        for turn, undo_turn in TURNS.items():
            # In words, which are empty for the usual order and for no turn.
            orders = tuple(filter(None, (memory_order, turn)))
            # "transposed" and "reshaped" are layouts that a pipeline can have.
            if len(orders) == 1 and orders[0] in LAYOUTS and not is_channels_first:
                yield Ordered(undo_turn(ordered), layout=orders[0])
            else:
                yield Ordered(undo_turn(ordered), layout, orders)


def _each_memory_order(
    image: Float64, values_in_memory: Float64
) -> Iterator[tuple[str, Float64]]:
    """Yield words and images for each way in which values may lie, none for the usual one."""
    yield "", image
    for order, undo_order in SCRAMBLED.items():
        yield order, undo_order(image)
    height, width, channel_count = image.shape
    # A buffer with rows of another length, as wide as its file or filled up, or with opacity (RGBA).
    for values_per_pixel in (channel_count, 4):
        # Too few values to tell the length of a row.
        if values_in_memory.size // LEAST_ROWS <= LEAST_PIXELS * values_per_pixel:
            continue
        values_per_row = _likeliest_values_per_row(values_in_memory, values_per_pixel)
        # Rows as they should be are the usual order.
        if values_per_row == width * channel_count:
            continue
        rows = np.resize(
            values_in_memory, (values_in_memory.size // values_per_row, values_per_row)
        )
        # Without the values that fill up a row: they make no whole pixel.
        whole_pixels = rows[:, : values_per_row // values_per_pixel * values_per_pixel]
        pixels = whole_pixels.reshape(len(rows), -1, values_per_pixel)
        if pixels.shape[1] >= width:
            # As large as it should be, as far as there are rows.
            pixels = pixels[:height, :width]
        if values_per_pixel == 4:
            # Opacity is the same everywhere, mostly: channels that vary are kept, or all where none does.
            varies = np.ptp(pixels, axis=(0, 1)) > 0
            pixels = pixels[..., varies | ~varies.any()]
            # Of two or four that vary there is no order of channels; see `colours_of`.
            if pixels.shape[2] not in (1, 3):
                continue
        # As many rows as the image has, so that it can be compared; NaN where the buffer ends.
        missing_rows = height - len(pixels) if pixels.shape[1] == width else 0
        pixels = np.pad(
            pixels, ((0, missing_rows), (0, 0), (0, 0)), constant_values=np.nan
        )
        kind = KINDS_OF_PIXELS[values_per_pixel]
        # By how it begins, `_placement_words` knows rows as wide as the photo.
        yield f"rows of {values_per_row / values_per_pixel:g} {kind} pixels", pixels


def _likeliest_values_per_row(buffer: Float64, values_per_pixel: int) -> int:
    """Return after how many values, which make a row, a buffer is most like itself."""
    # The correlation of the buffer with itself, moved by each length: twice as long with zeros, or its end
    # would meet its start.
    spectrum = np.fft.rfft(buffer - buffer.mean(), 2 * buffer.size)
    longest = min(buffer.size // LEAST_ROWS, LARGEST_SIDE * values_per_pixel)
    lengths = np.arange(LEAST_PIXELS * values_per_pixel, longest)
    products = np.fft.irfft(np.abs(spectrum) ** 2)[lengths]
    # The farther it is moved, the fewer values overlap: their mean counts, not their sum.
    return int(lengths[np.argmax(products / (buffer.size - lengths))])
