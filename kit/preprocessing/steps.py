"""The single steps from decoded pixels to a tensor, as pure functions on arrays.

Resizing and scaling have modules of their own.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kit.preprocessing.resizing import Pixels, Size
from kit.preprocessing.scaling import Float32

CHANNELS: Mapping[str, str] = MappingProxyType(
    {
        "rgb": "red, green, blue",
        "bgr": "blue, green, red (OpenCV, caffe)",
        "gray": "one channel, ITU-R 601 luma as Pillow's mode L",
        "gray_rgb": "the luma three times",
    }
)
LAYOUTS: Mapping[str, str] = MappingProxyType(
    {
        "channels_last": "(1, H, W, C)",
        "channels_first": "(1, C, H, W)",
        "transposed": "(1, W, H, C), height and width swapped",
        "reshaped": "(1, H, W, C) scrambled: reshaped, not transposed, to channels first and moved back",
    }
)
_LUMA = np.array([19595, 38470, 7471])
_LUMA.flags.writeable = False


def shrink(pixels: NDArray[np.uint8], size: Size) -> NDArray[np.uint8]:
    """Return uint8 (H, W, 3) shrunk in proportion to fit (height, width), as `Image.thumbnail` does."""
    image = Image.fromarray(pixels)
    image.thumbnail(size[::-1], Image.Resampling.BICUBIC, reducing_gap=None)
    return np.asarray(image)


def order_channels(pixels: Pixels, channels: str) -> Pixels:
    """Return RGB (H, W, 3) in one of the orders of `CHANNELS`; `pixels` itself for "rgb"."""
    if channels == "rgb":
        return pixels
    if channels == "bgr":
        # Channel by channel is three times faster than copying the reversed view.
        swapped = np.empty_like(pixels)
        for channel in range(3):
            swapped[..., channel] = pixels[..., 2 - channel]
        return swapped
    copies = 1 if channels == "gray" else 3
    if pixels.dtype == np.uint8:
        levels: NDArray[np.uint8] = ((pixels @ _LUMA + 0x8000) >> 16).astype(np.uint8)
        return np.repeat(levels[..., None], copies, axis=-1)
    luma: Float32 = (pixels @ (_LUMA / 0x10000)).astype(np.float32)
    return np.repeat(luma[..., None], copies, axis=-1)


def invert(pixels: Pixels) -> Pixels:
    """Return 255 - x, in the same data type."""
    return pixels.dtype.type(255) - pixels


def cast_uint8(x: Float32) -> Float32:
    """Return `x` without decimals and modulo 256, as a cast to uint8 leaves it, again as float32."""
    # Through int64, because a direct cast of negative numbers differs between processors.
    return x.astype(np.int64).astype(np.uint8).astype(np.float32)


def arrange(x: NDArray[Any], layout: str) -> NDArray[Any]:
    """Return (H, W, C) in one of the `LAYOUTS`, without the leading axis, C-contiguous."""
    if layout == "channels_first":
        x = x.transpose(2, 0, 1)
    elif layout == "transposed":
        x = x.transpose(1, 0, 2)
    elif layout == "reshaped":
        height, width, channels = x.shape
        x = x.reshape(channels, height, width).transpose(1, 2, 0)
    return np.ascontiguousarray(x)


def arrange_back(x: NDArray[Any], layout: str) -> NDArray[Any]:
    """Return the (H, W, C) that `arrange` turned into `x`."""
    if layout == "channels_first":
        x = x.transpose(1, 2, 0)
    elif layout == "transposed":
        x = x.transpose(1, 0, 2)
    elif layout == "reshaped":
        x = x.transpose(2, 0, 1).reshape(x.shape)
    return x
