"""Resizing: every Pillow filter and TensorFlow's own, and the ways to fit a picture into a size.

TensorFlow is not needed: its half-pixel sampling is written out here in numpy, after the definitions of
``tf.image.resize``, and tested against it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kit.checking import known

FILTERS: Mapping[str, str] = MappingProxyType(
    {
        "nearest": "one source pixel for each, the default of Keras load_img",
        "box": "Pillow, mean of the pixels underneath",
        "bilinear": "Pillow, antialiased",
        "hamming": "Pillow, antialiased, sharper than bilinear",
        "bicubic": "Pillow, antialiased, the default of Image.resize",
        "lanczos": "Pillow, antialiased, the sharpest",
        "tf_nearest": "TensorFlow and Keras layers, rarely another pixel than nearest",
        "tf_bilinear": "TensorFlow and Keras layers, skips pixels when it shrinks a picture",
        "tf_bicubic": "TensorFlow and Keras layers, skips pixels when it shrinks a picture",
        "tf_bilinear_antialias": "TensorFlow with antialias=True",
        "tf_bicubic_antialias": "TensorFlow with antialias=True",
    }
)
FITS: Mapping[str, str] = MappingProxyType(
    {
        "squash": "the whole picture, its proportions lost",
        "crop": "a central window of the target's proportions, cut first and then resized (Keras)",
        "resize_crop": "the shorter side resized, then the centre cut out (torchvision, timm, Hugging Face)",
        "letterbox": "resized to fit inside, then filled up (Pillow's ImageOps.pad)",
        "pad": "filled up first and then resized (Keras pad_to_aspect_ratio)",
    }
)
MAX_PADDED_PIXELS = 100_000_000

Pixels = NDArray[np.uint8] | NDArray[np.float32]
Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Size = tuple[int, int]


@dataclass(frozen=True)
class _Axis:
    """Source pixels start..stop become `resized`, of which `kept` from `offset` on land at `before`."""

    start: int
    stop: int
    resized: int
    offset: int
    kept: int
    before: int = 0

    @property
    def box(self) -> tuple[float, float]:
        scale = (self.stop - self.start) / self.resized
        end = self.start + (self.offset + self.kept) * scale
        return self.start + self.offset * scale, min(end, self.stop)


def resize(
    pixels: NDArray[np.uint8],
    size: Size,
    filter: str = "bilinear",  # noqa: A002  the word of the field
    fit: str = "squash",
    crop_fraction: float = 1.0,
    fill: tuple[int, ...] = (0, 0, 0),
) -> Pixels:
    """Resize a picture.

    Parameters
    ----------
    pixels
        uint8, shape (H, W, C) with C = 1 or 3, range 0..255; not changed.
    size
        (height, width) of the result.
    filter, fit
        One of `FILTERS`, one of `FITS`.
    crop_fraction
        The part of the largest window that "crop" and "resize_crop" keep, above 0 and up to 1.
    fill
        8-bit levels, one for each channel, around what "letterbox" and "pad" leave empty.

    Returns
    -------
    array
        (height, width, C) in 0..255. uint8 for Pillow's filters, which round; float32 for the ``tf_`` ones,
        which do not (bicubic ones overshoot the range a little). New memory, or `pixels` itself where
        nothing was to do.

    Raises
    ------
    ValueError
        For unknown names, and a picture so long and thin that padding it would fill the memory.
    """
    sampled = _TF.get(known("filter", filter, FILTERS))
    if known("fit", fit, FITS) == "pad":
        pixels = _pad(pixels, size, fill)
    rows, columns = _axes((pixels.shape[0], pixels.shape[1]), size, fit, crop_fraction)
    if sampled is None:
        part: Pixels = _pillow(pixels, rows, columns, Image.Resampling[filter.upper()])
    else:
        part = sampled(pixels[rows.start : rows.stop, columns.start : columns.stop], rows, columns)
    if (rows.kept, columns.kept) == size:
        return part
    result = np.empty((*size, pixels.shape[2]), dtype=part.dtype)
    result[:] = np.asarray(fill[: pixels.shape[2]], dtype=part.dtype)
    result[rows.before : rows.before + rows.kept, columns.before : columns.before + columns.kept] = part
    return result


def _axes(source: Size, target: Size, fit: str, fraction: float) -> tuple[_Axis, _Axis]:
    (height, width), (rows, columns) = source, target
    if fit == "crop":
        window = min(height, width * rows // columns), min(width, height * columns // rows)
        return _window(height, window[0], rows, fraction), _window(width, window[1], columns, fraction)
    if fit == "resize_crop":
        # The tolerance keeps 224 / (224 / 232) at 232.
        least = int(rows / fraction + 1e-6), int(columns / fraction + 1e-6)
        if height * least[1] <= width * least[0]:
            resized = least[0], max(int(least[0] * width / height), columns)
        else:
            resized = max(int(least[1] * height / width), rows), least[1]
        return _centre(height, resized[0], rows), _centre(width, resized[1], columns)
    if fit == "letterbox":
        if width * rows > height * columns:
            inner = max(1, min(rows, round(height / width * columns))), columns
        else:
            inner = rows, max(1, min(columns, round(width / height * rows)))
        return _inside(height, inner[0], rows), _inside(width, inner[1], columns)
    return _Axis(0, height, rows, 0, rows), _Axis(0, width, columns, 0, columns)


def _window(length: int, window: int, target: int, fraction: float) -> _Axis:
    window = max(1, int(window * fraction + 1e-6))
    start = (length - window) // 2
    return _Axis(start, start + window, target, 0, target)


def _centre(length: int, resized: int, target: int) -> _Axis:
    return _Axis(0, length, resized, round((resized - target) / 2), target)


def _inside(length: int, inner: int, target: int) -> _Axis:
    return _Axis(0, length, inner, 0, inner, round((target - inner) / 2))


def _pad(pixels: NDArray[np.uint8], size: Size, fill: tuple[int, ...]) -> NDArray[np.uint8]:
    height, width, channels = pixels.shape
    above = (max(height, width * size[0] // size[1]) - height) // 2
    left = (max(width, height * size[1] // size[0]) - width) // 2
    padded = height + 2 * above, width + 2 * left
    if padded[0] * padded[1] > MAX_PADDED_PIXELS:
        msg = (
            f"Expected at most {MAX_PADDED_PIXELS} pixels after padding, received {padded[0]} x {padded[1]} "
            "for a picture this long and thin; use fit='letterbox'"
        )
        raise ValueError(msg)
    result = np.empty((*padded, channels), dtype=np.uint8)
    result[:] = np.asarray(fill[:channels], dtype=np.uint8)
    result[above : above + height, left : left + width] = pixels
    return result


def _pillow(
    pixels: NDArray[np.uint8], rows: _Axis, columns: _Axis, resampling: Image.Resampling
) -> NDArray[np.uint8]:
    (top, bottom), (left, right) = rows.box, columns.box
    box = (left, top, right, bottom)
    if (rows.kept, columns.kept) == pixels.shape[:2] and box == (0, 0, pixels.shape[1], pixels.shape[0]):
        return pixels
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    # One resampling with box= gives what resizing everything and then cutting out gives.
    image = image.resize((columns.kept, rows.kept), resampling, box=box)
    return np.asarray(image).reshape(rows.kept, columns.kept, pixels.shape[2])


class _Taps(NamedTuple):
    """Source indices, intp (taps, kept), and their weights, float32 (taps, kept)."""

    indices: NDArray[np.intp]
    weights: NDArray[np.float32]


def _positions(axis: _Axis) -> tuple[NDArray[np.float32], int]:
    """Where the centres of the kept pixels fall in the source window, in pixels, and the window's length."""
    length = axis.stop - axis.start
    scale = np.float32(length) / np.float32(axis.resized)
    kept = np.arange(axis.offset, axis.offset + axis.kept, dtype=np.float32)
    return (kept + np.float32(0.5)) * scale - np.float32(0.5), length


@lru_cache(maxsize=32)
def _bilinear_taps(axis: _Axis) -> _Taps:
    where, length = _positions(axis)
    below = np.floor(where)
    indices = np.stack([np.maximum(below, 0), np.minimum(np.ceil(where), length - 1)])
    return _Taps(indices.astype(np.intp), np.stack([1 - (where - below), where - below]))


@lru_cache(maxsize=32)
def _bicubic_taps(axis: _Axis) -> _Taps:
    where, length = _positions(axis)
    below = np.floor(where)
    # The TensorFlow kernel rounds the distance to 1/1024 and reads the weight from a double-precision table.
    distance = np.rint((where - below) * np.float32(1024)).astype(np.float64) / 1024
    taps = np.arange(-1, 3)[:, None]
    indices = (below + taps).astype(np.intp)
    inside = (indices >= 0) & (indices < length)
    weights = np.where(inside, _keys(np.abs(distance - taps)).astype(np.float32), np.float32(0))
    total = weights[0] + weights[1] + weights[2] + weights[3]
    return _Taps(indices.clip(0, length - 1), weights * (np.float32(1) / total))


def _keys(distance: Float64) -> Float64:
    """Cubic convolution with a = -0.5 (R. Keys, 1981)."""
    near = (1.5 * distance - 2.5) * distance * distance + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    return np.where(distance < 1, near, np.where(distance < 2, far, 0.0))


def _triangle(distance: Float64) -> Float64:
    return np.maximum(0.0, 1 - distance)


def _sample_nearest(pixels: NDArray[np.uint8], rows: _Axis, columns: _Axis) -> Float32:
    # Pillow computes in double precision: where a centre falls on the border of two pixels, results differ.
    return pixels[_nearest_indices(rows)][:, _nearest_indices(columns)].astype(np.float32)


def _nearest_indices(axis: _Axis) -> NDArray[np.intp]:
    length = axis.stop - axis.start
    scale = np.float32(length) / np.float32(axis.resized)
    kept = np.arange(axis.offset, axis.offset + axis.kept, dtype=np.float32) + np.float32(0.5)
    indices: NDArray[np.intp] = np.minimum(np.floor(kept * scale), length - 1).astype(np.intp)
    return indices


def _sample_bilinear(pixels: NDArray[np.uint8], rows: _Axis, columns: _Axis) -> Float32:
    ((up, down), row_weights), ((left, right), column_weights) = _bilinear_taps(rows), _bilinear_taps(columns)
    upper, lower = pixels[up], pixels[down]
    above, below = upper[:, left].astype(np.float32), lower[:, left].astype(np.float32)
    # In this order the results are bit for bit TensorFlow's; so they are in _sample_bicubic.
    above += (upper[:, right] - above) * column_weights[1][:, None]
    below += (lower[:, right] - below) * column_weights[1][:, None]
    above += (below - above) * row_weights[1][:, None, None]
    return above


def _sample_bicubic(pixels: NDArray[np.uint8], rows: _Axis, columns: _Axis) -> Float32:
    down, across = _bicubic_taps(rows), _bicubic_taps(columns)
    lines = _weighted([pixels[index] for index in down.indices], down.weights[:, :, None, None])
    return _weighted([lines[:, index] for index in across.indices], across.weights[:, :, None])


def _weighted(parts: list[Pixels], weights: NDArray[np.float32]) -> Float32:
    total: Float32 = parts[0] * weights[0]
    for part, weight in zip(parts[1:], weights[1:], strict=True):
        total += part * weight
    return total


def _antialiased(kernel: Callable[[Float64], Float64]) -> Callable[..., Float32]:
    def weights(axis: _Axis) -> Float32:
        where, length = _positions(axis)
        widening = max(1.0, length / axis.resized)
        table = kernel(np.abs(np.arange(length) - where[:, None].astype(np.float64)) / widening)
        return (table / table.sum(axis=1, keepdims=True)).astype(np.float32)

    def sample(pixels: NDArray[np.uint8], rows: _Axis, columns: _Axis) -> Float32:
        height, width, channels = pixels.shape
        lines = weights(rows) @ pixels.reshape(height, width * channels).astype(np.float32)
        result: Float32 = weights(columns) @ lines.reshape(rows.kept, width, channels)
        return result

    return sample


_TF: Mapping[str, Callable[..., Float32]] = {
    "tf_nearest": _sample_nearest,
    "tf_bilinear": _sample_bilinear,
    "tf_bicubic": _sample_bicubic,
    "tf_bilinear_antialias": _antialiased(_triangle),
    "tf_bicubic_antialias": _antialiased(_keys),
}
