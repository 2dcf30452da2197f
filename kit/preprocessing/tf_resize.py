"""TensorFlow's resampling in numpy, after the definitions of ``tf.image.resize`` and tested against it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from kit._arrays import Float32, Float64, Indices, Levels, Pixels


@dataclass(frozen=True)
class Axis:
    """Source pixels start..stop become `resized`, of which `kept` from `offset` on land at `before`."""

    start: int
    stop: int
    resized: int
    offset: int
    kept: int
    before: int = 0

    @property
    def box(self) -> tuple[float, float]:
        """Where the kept pixels begin and end in the source, in pixels."""
        scale = (self.stop - self.start) / self.resized
        end = self.start + (self.offset + self.kept) * scale
        return self.start + self.offset * scale, min(end, self.stop)


class _Taps(NamedTuple):
    """Source indices, intp (taps, kept), and their weights, float32 (taps, kept)."""

    indices: Indices
    weights: Float32


def _positions(axis: Axis, first: float = 0.5) -> tuple[Float32, int]:
    """Where the kept pixels' centres fall in the source window, counted from `first`; its length."""
    length = axis.stop - axis.start
    scale = np.float32(length) / np.float32(axis.resized)
    kept = np.arange(axis.offset, axis.offset + axis.kept, dtype=np.float32)
    return (kept + np.float32(0.5)) * scale - np.float32(first), length


@lru_cache(maxsize=32)
def _bilinear_taps(axis: Axis) -> tuple[Indices, Float32]:
    """Source indices, intp (2, kept), and the weight of the second, float32 (kept,)."""
    where, length = _positions(axis)
    below = np.floor(where)
    indices = np.stack([np.maximum(below, 0), np.minimum(np.ceil(where), length - 1)])
    return indices.astype(np.intp), where - below


@lru_cache(maxsize=32)
def _bicubic_taps(axis: Axis) -> _Taps:
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


def _sample_nearest(pixels: Pixels, rows: Axis, columns: Axis) -> Float32:
    # Pillow computes in double precision: where a centre falls on the border of two pixels, results differ.
    return pixels[_nearest_indices(rows)][:, _nearest_indices(columns)].astype(np.float32)


def _nearest_indices(axis: Axis) -> Indices:
    centres, length = _positions(axis, 0)
    indices: Indices = np.minimum(np.floor(centres), length - 1).astype(np.intp)
    return indices


def _sample_bilinear(pixels: Pixels, rows: Axis, columns: Axis) -> Float32:
    ((up, down), row_weights), ((left, right), column_weights) = _bilinear_taps(rows), _bilinear_taps(columns)
    # Repeated for speed, as in _sampler.
    across = column_weights[:, None].repeat(pixels.shape[2], axis=1)
    # np.take is twice as fast as indexing.
    upper, lower = pixels[up], pixels[down]
    above: Float32 = upper.take(left, axis=1).astype(np.float32)
    below: Float32 = lower.take(left, axis=1).astype(np.float32)
    # In this order the results are bit for bit TensorFlow's; so they are in _sampler.
    above += (upper.take(right, axis=1) - above) * across
    below += (lower.take(right, axis=1) - below) * across
    above += (below - above) * row_weights[:, None, None]
    return above


def _sampler(taps: Callable[[Axis], _Taps]) -> Callable[..., Float32]:
    def sample(pixels: Pixels, rows: Axis, columns: Axis) -> Float32:
        down, across = taps(rows), taps(columns)
        lines = _weighted([pixels[index] for index in down.indices], down.weights[:, :, None, None])
        # Repeated along the channels: multiplying by an innermost axis of one is slow.
        shares = across.weights[:, :, None].repeat(pixels.shape[2], axis=2)
        return _weighted([lines.take(index, axis=1) for index in across.indices], shares)

    return sample


def _weighted(parts: list[Levels], weights: Float32) -> Float32:
    # One after the other, as TensorFlow adds; a matrix product would also wait for threads.
    total: Float32 = np.multiply(parts[0], weights[0]).astype(np.float32, copy=False)
    for part, weight in zip(parts[1:], weights[1:], strict=True):
        np.add(total, part * weight, out=total)
    return total


def _antialiased(kernel: Callable[[Float64], Float64], radius: int) -> Callable[[Axis], _Taps]:
    @lru_cache(maxsize=32)
    def taps(axis: Axis) -> _Taps:
        where, length = _positions(axis)
        widening = max(1.0, length / axis.resized)
        first = np.ceil(where.astype(np.float64) - radius * widening)
        indices = first + np.arange(int(2 * radius * widening) + 1)[:, None]
        inside = (indices >= 0) & (indices < length)
        weights = np.where(inside, kernel(np.abs(indices - where) / widening), 0.0)
        shares: Float32 = (weights / weights.sum(axis=0)).astype(np.float32)
        return _Taps(indices.clip(0, length - 1).astype(np.intp), shares)

    return taps


SAMPLERS: Mapping[str, Callable[..., Float32]] = MappingProxyType(
    {
        "tf_nearest": _sample_nearest,
        "tf_bilinear": _sample_bilinear,
        "tf_bicubic": _sampler(_bicubic_taps),
        "tf_bilinear_antialias": _sampler(_antialiased(_triangle, 1)),
        "tf_bicubic_antialias": _sampler(_antialiased(_keys, 2)),
    }
)
