"""The single steps from decoded pixels to a tensor, as pure functions on arrays.

Resizing and scaling have modules of their own. All but `shrink` take one picture (H, W, C) or many
(N, H, W, C).
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from PIL import Image

from kit._arrays import Array, Float32, Levels, Pixels
from kit.preprocessing.resizing import Size

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


def shrink(pixels: Pixels, size: Size) -> Pixels:
    """Return uint8 (H, W, 3) shrunk in proportion to fit (height, width), as `Image.thumbnail` does."""
    image = Image.fromarray(pixels)
    image.thumbnail(size[::-1], Image.Resampling.BICUBIC, reducing_gap=None)
    return np.asarray(image)


def order_channels(pixels: Levels, channels: str) -> Levels:
    """Return RGB (…, 3) in one of the orders of `CHANNELS`; `pixels` itself for "rgb"."""
    if channels == "rgb":
        return pixels
    if channels == "bgr":
        # Channel by channel is three times faster than copying the reversed view.
        swapped = np.empty_like(pixels)
        for channel in range(3):
            swapped[..., channel] = pixels[..., 2 - channel]
        return swapped
    luma: Array
    if pixels.dtype == np.uint8:
        luma = ((pixels @ _LUMA + 0x8000) >> 16).astype(np.uint8)
    else:
        luma = (pixels @ (_LUMA / 0x10000)).astype(np.float32)
    return np.repeat(luma[..., None], 1 if channels == "gray" else 3, axis=-1)


def restore_channels(x: Float32, channels: str) -> Float32:
    """Return (…, C) in one of the orders of `CHANNELS` as RGB; what was grey stays grey."""
    if channels == "gray":
        return np.repeat(x, 3, axis=-1)
    return x[..., ::-1] if channels == "bgr" else x


def invert(pixels: Levels) -> Levels:
    """Return 255 - x, in the same data type."""
    return pixels.dtype.type(255) - pixels


def cast_uint8(x: Float32, _to: str = "uint8") -> Float32:
    """Return `x` without decimals and modulo 256, as a cast to uint8 leaves it, again as float32."""
    # Through int64, because a direct cast of negative numbers differs between processors.
    return x.astype(np.int64).astype(np.uint8).astype(np.float32)


def arrange(x: Array, layout: str) -> Array:
    """Return (…, H, W, C) in one of the `LAYOUTS`, C-contiguous."""
    return np.ascontiguousarray(_ARRANGE[layout][0](x))


def arrange_back(x: Array, layout: str) -> Array:
    """Return the (…, H, W, C) that `arrange` turned into `x`."""
    return _ARRANGE[layout][1](x)


def _swapped(x: Array) -> Array:
    return x.swapaxes(-3, -2)


def _scrambled(x: Array) -> Array:
    *many, height, width, channels = x.shape
    return np.moveaxis(x.reshape(*many, channels, height, width), -3, -1)


# For each of the LAYOUTS the way there and the way back.
_ARRANGE: Mapping[str, tuple[Callable[[Array], Array], Callable[[Array], Array]]] = {
    "channels_last": (lambda x: x, lambda x: x),
    "channels_first": (lambda x: np.moveaxis(x, -1, -3), lambda x: np.moveaxis(x, -3, -1)),
    "transposed": (_swapped, _swapped),
    "reshaped": (_scrambled, lambda x: np.moveaxis(x, -1, -3).reshape(x.shape)),
}
