"""Resizing as Pillow, TensorFlow and OpenCV do it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Self

import numpy as np
import PIL
from PIL import Image

from kit._arrays import Array, Float32, Float64, Floats, Indices, Levels, Pixels


@dataclass(frozen=True)
class Axis:
    """Source pixels start..stop become `resized`, of which `kept` from `offset` on land at `before`."""

    start: int
    stop: int
    resized: float
    offset: float
    kept: int
    before: int = 0

    @classmethod
    def from_edges(cls, edges: "Edges", source_length: int, target_length: int) -> Self:
        """Return what shows a part of a side, as far as there is one, in so many pixels."""
        low, high = edges
        scale = (high - low) / target_length
        # Pixels of the target that lie beyond the source; at least one shows it.
        before = min(max(0, round(-low / scale)), target_length - 1)
        after = min(
            max(0, round((high - source_length) / scale)), target_length - 1 - before
        )
        return cls(
            start=0,
            stop=source_length,
            resized=source_length / scale,
            offset=low / scale + before,
            kept=target_length - before - after,
            before=before,
        )

    @property
    def scale(self) -> float:
        """How many pixels of the source become one."""
        return (self.stop - self.start) / self.resized

    @property
    def box(self) -> tuple[float, float]:
        """Where the kept pixels begin and end in the source, in pixels."""
        begin = self.start + self.offset * self.scale
        end = self.start + (self.offset + self.kept) * self.scale
        # Rounding may leave the source, which Pillow refuses.
        return max(begin, self.start), min(end, self.stop)

    def edges(self, side: int) -> "Edges":
        """Return where so many pixels begin and end in the source, beyond it where they are filled up."""
        low = self.start + (self.offset - self.before) * self.scale
        return low, low + side * self.scale


Edges = tuple[float, float]
"""Where something begins and ends along a side of an image, in pixels."""


# Source indices, intp (taps, kept), and their weights, float32 (taps, kept).
_Taps = tuple[Indices, Float32]


def _source_positions(axis: Axis, origin: float = 0.5) -> tuple[Float32, int]:
    """Where the kept pixels' centres fall in the source window, counted from `origin`; its length."""
    # From the centre of the first pixel of the window start..stop, or with 0 from its edge; in float32,
    # as TensorFlow computes.
    window_length = axis.stop - axis.start
    scale = np.float32(window_length) / np.float32(axis.resized)
    kept_pixels = np.float32(axis.offset) + np.arange(axis.kept, dtype=np.float32)
    return (kept_pixels + np.float32(0.5)) * scale - np.float32(origin), window_length


@lru_cache(maxsize=32)
def _bilinear_taps(axis: Axis) -> tuple[Indices, Float32]:
    # Two indices into the window start..stop; the weight, float32 (kept,), is that of the second.
    positions, window_length = _source_positions(axis)
    below = np.floor(positions)
    indices = np.stack(
        [np.maximum(below, 0), np.minimum(np.ceil(positions), window_length - 1)]
    )
    return indices.astype(np.intp), positions - below


@lru_cache(maxsize=32)
def _bicubic_taps(axis: Axis) -> _Taps:
    positions, window_length = _source_positions(axis)
    below = np.floor(positions)
    # The TensorFlow kernel rounds the distance to 1/1024, which changes results by up to some tenths of a
    # level, and reads the weight from a double-precision table.
    distance = np.rint((positions - below) * np.float32(1024)).astype(np.float64) / 1024
    tap_offsets = np.arange(-1, 3)[:, None]
    indices = (below + tap_offsets).astype(np.intp)
    inside = (indices >= 0) & (indices < window_length)
    weights = np.where(
        inside,
        _keys_cubic(np.abs(distance - tap_offsets)).astype(np.float32),
        np.float32(0),
    )
    total = weights[0] + weights[1] + weights[2] + weights[3]
    return indices.clip(0, window_length - 1), weights * (np.float32(1) / total)


def _keys_cubic(distance: Float64, a: float = -0.5) -> Float64:
    """Cubic convolution (R. Keys, 1981)."""
    # `a` is the slope at a distance of 1: -0.5 in TensorFlow, -0.75 in OpenCV.
    near = ((a + 2) * distance - (a + 3)) * distance * distance + 1
    far = ((a * distance - 5 * a) * distance + 8 * a) * distance - 4 * a
    return np.where(distance < 1, near, np.where(distance < 2, far, 0.0))


_opencv_cubic = partial(_keys_cubic, a=-0.75)


def _triangle(distance: Float64) -> Float64:
    return np.maximum(0.0, 1 - distance)


def _nearest_taps(axis: Axis) -> _Taps:
    # From the edge, so that cutting off decimals finds the pixel. Pillow computes in double precision: where
    # a centre falls on the border of two pixels, results differ.
    return _single_tap(*_source_positions(axis, 0))


def _single_tap(positions: Floats, window_length: int) -> _Taps:
    indices = np.minimum(positions, window_length - 1).astype(np.intp)[None]
    return indices, np.ones(indices.shape, np.float32)


def _sample_bilinear(window: Pixels, rows: Axis, columns: Axis) -> Float32:
    (up, down), row_weights = _bilinear_taps(rows)
    (left, right), column_weights = _bilinear_taps(columns)
    # Repeated for speed, as in _sampler.
    repeated_weights = column_weights[:, None].repeat(window.shape[2], axis=1)
    # np.take is twice as fast as indexing.
    upper_rows = window[up]
    lower_rows = window[down]
    upper: Float32 = upper_rows.take(left, axis=1).astype(np.float32)
    lower: Float32 = lower_rows.take(left, axis=1).astype(np.float32)
    # In this order the results are bit for bit TensorFlow's; so they are in _sampler.
    upper += (upper_rows.take(right, axis=1) - upper) * repeated_weights
    lower += (lower_rows.take(right, axis=1) - lower) * repeated_weights
    upper += (lower - upper) * row_weights[:, None, None]
    return upper


def _sampler(taps: Callable[[Axis], _Taps]) -> Callable[..., Float32]:
    def sample(window: Pixels, rows: Axis, columns: Axis) -> Float32:
        row_indices, row_weights = taps(rows)
        column_indices, column_weights = taps(columns)
        height_resized = _weighted_sum(
            [window[index] for index in row_indices], row_weights[:, :, None, None]
        )
        # Repeated along the channels: multiplying by an innermost axis of one is slow.
        repeated_weights = column_weights[:, :, None].repeat(window.shape[2], axis=2)
        return _weighted_sum(
            [height_resized.take(index, axis=1) for index in column_indices],
            repeated_weights,
        )

    return sample


def _weighted_sum(arrays: list[Levels], weights: Float32) -> Float32:
    # One after the other, as TensorFlow adds; a matrix product would also wait for threads.
    total: Float32 = np.multiply(arrays[0], weights[0]).astype(np.float32, copy=False)
    for array, weight in zip(arrays[1:], weights[1:], strict=True):
        np.add(total, array * weight, out=total)
    return total


def _antialiased_taps(
    kernel: Callable[[Float64], Float64], radius: int
) -> Callable[[Axis], _Taps]:
    @lru_cache(maxsize=32)
    def taps(axis: Axis) -> _Taps:
        positions, window_length = _source_positions(axis)
        # Where an image shrinks, the kernel widens, so that no pixel is skipped.
        widening = max(1.0, axis.scale)
        first = np.ceil(positions.astype(np.float64) - radius * widening)
        indices = first + np.arange(int(2 * radius * widening) + 1)[:, None]
        inside = (indices >= 0) & (indices < window_length)
        weights = np.where(inside, kernel(np.abs(indices - positions) / widening), 0.0)
        normalized: Float32 = (weights / weights.sum(axis=0)).astype(np.float32)
        return indices.clip(0, window_length - 1).astype(np.intp), normalized

    return taps


def _cv_kept_pixels(axis: Axis) -> tuple[Float64, float, int]:
    """Return the result's pixels that are kept, how many of the source each is, and the window's length."""
    window_length = axis.stop - axis.start
    # Divided twice, since that is rounded as in OpenCV.
    scale = 1 / (axis.resized / window_length)
    kept_pixels = axis.offset + np.arange(axis.kept, dtype=np.float64)
    return kept_pixels, scale, window_length


def _cv_nearest_taps(axis: Axis) -> _Taps:
    kept_pixels, scale, window_length = _cv_kept_pixels(axis)
    return _single_tap(kept_pixels * scale, window_length)


def _cv_taps(
    axis: Axis,
    kernel: Callable[[Float64], Float64],
    radius: int,
    *,
    for_area_filter: bool = False,
) -> _Taps:
    # Indices in the result, and how many source pixels each is wide.
    kept_pixels, scale, window_length = _cv_kept_pixels(axis)
    positions = ((kept_pixels + 0.5) * scale - 0.5).astype(np.float32)
    if for_area_filter:
        # OpenCV's, where a side grows: between the source pixel where a target pixel begins and the next, by
        # the share of the target pixel that lies in the next.
        begins = np.floor(kept_pixels * scale)
        share = kept_pixels + 1 - (begins + 1) * (axis.resized / window_length)
        positions = begins + share.astype(np.float32).clip(0) % 1
    below = np.floor(positions)
    tap_offsets = np.arange(1 - radius, 1 + radius)[:, None]
    weights = kernel(np.abs((positions - below).astype(np.float64) - tap_offsets))
    indices = (below + tap_offsets).clip(0, window_length - 1).astype(np.intp)
    return indices, weights.astype(np.float32)


@lru_cache(maxsize=32)
def _cv_area_taps(axis: Axis) -> _Taps:
    # For shrinking alone, where each pixel is the mean of those that it covers.
    kept_pixels, scale, window_length = _cv_kept_pixels(axis)
    start = kept_pixels * scale
    stop = (kept_pixels + 1) * scale
    # The scale is rounded: a start that should be whole may lie a little below.
    first = np.floor(start + 1e-6)
    indices = first + np.arange(int(scale) + 2)[:, None]
    covered = (np.minimum(indices + 1, stop) - np.maximum(indices, start)).clip(0)
    weights = (covered / covered.sum(axis=0)).astype(np.float32)
    return indices.clip(0, window_length - 1).astype(np.intp), weights


_cv_linear_taps = partial(_cv_taps, kernel=_triangle, radius=1)
_cv_area_growing_taps = partial(_cv_linear_taps, for_area_filter=True)


def _cv_linear(
    window: Pixels,
    rows: Axis,
    columns: Axis,
    taps: Callable[[Axis], _Taps] = _cv_linear_taps,
) -> Pixels:
    # Of each pixel of the result, two source pixels and their weights; the area filter has other weights.
    # Weights are whole 2048ths, 11 bits; of the 22 of two of them, OpenCV's vector code drops 4, 16 and 2.
    row_indices, row_weights = taps(rows)
    column_indices, column_weights = taps(columns)
    row_shares, column_shares = (
        np.rint(2048 * weights).astype(np.int32)[..., None]
        for weights in (row_weights, column_weights)
    )
    width_resized = (
        window[:, column_indices[0]] * column_shares[0]
        + window[:, column_indices[1]] * column_shares[1]
    ) >> 4
    above, below = (
        width_resized[index] * share[..., None] >> 16
        for index, share in zip(row_indices, row_shares, strict=True)
    )
    mixed: Pixels = ((above + below + 2) >> 2).astype(np.uint8)
    return mixed


def _rounded_to_uint8(sample: Callable[..., Float32]) -> Callable[..., Pixels]:
    return lambda *window_and_axes: (
        np.rint(sample(*window_and_axes)).clip(0, 255).astype(np.uint8)
    )


def _cv_area(window: Pixels, rows: Axis, columns: Axis) -> Pixels:
    scales = {rows.scale, columns.scale}
    # Where a side grows, OpenCV's area filter is bilinear with other weights.
    if min(scales) < 1:
        return _cv_linear(window, rows, columns, _cv_area_growing_taps)
    # Halved, both filters of OpenCV are the mean of four pixels.
    sample = _cv_linear if scales == {2} else _rounded_to_uint8(_sampler(_cv_area_taps))
    return sample(window, rows, columns)


SAMPLERS: Mapping[str, Callable[..., Levels]] = {
    "tf_nearest": _sampler(_nearest_taps),
    "tf_bilinear": _sample_bilinear,
    "tf_bicubic": _sampler(_bicubic_taps),
    "tf_bilinear_antialias": _sampler(_antialiased_taps(_triangle, 1)),
    "tf_bicubic_antialias": _sampler(_antialiased_taps(_keys_cubic, 2)),
    "cv2_nearest": _rounded_to_uint8(_sampler(_cv_nearest_taps)),
    "cv2_linear": _cv_linear,
    "cv2_cubic": _rounded_to_uint8(
        _sampler(lambda axis: _cv_taps(axis, _opencv_cubic, 2))
    ),
    "cv2_area": _cv_area,
}


FILTERS = ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos", *SAMPLERS)
"""Pillow's filters, antialiased but for the first, which is the default of Keras's load_img; those of
TensorFlow and Keras layers, and of OpenCV (INTER_LINEAR is its default), which skip pixels when they shrink
an image, unless their names say otherwise. Those of OpenCV are equal to it, but for one level in some values
of cubic, and of area where no side grows."""
PILLOW = float(".".join(PIL.__version__.split(".")[:2]))
"""The version of Pillow that is installed, of which there are four in a year: 12.0, 12.1, 12.2 and 12.3."""
FITS: Mapping[str, str] = {
    "squash": "the whole image, its proportions lost",
    "crop": "a central window of the target's proportions, cut first and then resized (Keras)",
    "resize_crop": "the shorter side resized, then the centre cut out (torchvision, timm, Hugging Face)",
    "squash_crop": "the whole image squashed, then the centre cut out (DeiT, timm)",
    "letterbox": "resized to fit inside, then filled up (Pillow's ImageOps.pad)",
    "letterbox_floor": "the same, with the larger half of an odd rest below and to the right (Ultralytics)",
    "letterbox_corner": "the same, with the image in the upper left corner (YOLOX, EfficientDet)",
    "pad": "filled up first and then resized (Keras pad_to_aspect_ratio)",
}
WITH_BARS = tuple(fit for fit in FITS if fit.startswith(("letterbox", "pad")))
"""Fits that keep all of an image and its proportions, and fill up what it leaves empty."""
MAX_PADDED_PIXELS = 100_000_000
LARGEST_SIDE = 4096
_TOLERANCE_PIXELS = 1e-6
"""Of pixels, which keeps 224 / (224 / 354) at 354."""

Size = tuple[int, int]


def resize(
    pixels: Pixels,
    size: Size,
    filter: str = "bilinear",  # noqa: A002  the word of the field
    fit: str = "squash",
    crop_fraction: float = 1.0,
    fill: tuple[int, ...] = (0, 0, 0),
    pillow: float = 0,
) -> Levels:
    """Resize an image.

    Parameters
    ----------
    pixels
        uint8, shape (H, W, 3), range 0..255; not changed.
    size, filter, fit
        (height, width) of the result, one of `FILTERS`, one of `FITS`.
    crop_fraction, fill, pillow
        As in `kit.Preprocessing`.

    Returns
    -------
    array
        (height, width, 3) in 0..255. uint8 for Pillow's and OpenCV's filters, which round; float32 for the
        ``tf_`` ones, which do not (bicubic ones overshoot the range a little).

    Raises
    ------
    ValueError
        For more than `MAX_PADDED_PIXELS` with the fit "pad".
    """
    if fit == "pad":
        pixels = _padded(pixels, size, fill)
    rows, columns = axes(pixels.shape[:2], size, fit, crop_fraction)
    # It fills what letterbox fits leave empty; `pillow` is a version of Pillow, 0 the installed one.
    return sampled(pixels, size, rows, columns, filter, fill, pillow)


def shrink(pixels: Pixels, size: Size) -> Pixels:
    """Return uint8 (H, W, 3) shrunk into (height, width), as `Image.thumbnail` without its `reducing_gap`."""
    image = Image.fromarray(pixels)
    # Pillow takes the width first, and leaves a smaller image alone. No coarser reduction comes before.
    image.thumbnail(size[::-1], Image.Resampling.BICUBIC, reducing_gap=None)
    return np.asarray(image)


def axes(
    source_size: Size, size: Size, fit: str, crop_fraction: float
) -> tuple[Axis, Axis]:
    """Return what a fit does along the height and along the width of an image."""
    rows = _axis_of_fit(source_size, size, fit, crop_fraction)
    return rows, _axis_of_fit(source_size[::-1], size[::-1], fit, crop_fraction)


def sampled(
    pixels: Pixels,
    size: Size,
    rows: Axis,
    columns: Axis,
    filter: str,  # noqa: A002  the word of the field
    fill: tuple[int, ...],
    pillow: float,
) -> Levels:
    """Resize an image along its axes, and fill up what they leave empty."""
    if filter in SAMPLERS:
        window = pixels[rows.start : rows.stop, columns.start : columns.stop]
        resized = SAMPLERS[filter](window, rows, columns)
    else:
        resampling = Image.Resampling[filter.upper()]
        # A pipeline's 0 is the installed version.
        resized = _resized_by_pillow(
            pixels, rows, columns, resampling=resampling, version=pillow or PILLOW
        )
    if (rows.kept, columns.kept) == size:
        return resized
    return _framed(resized, size, corner=(rows.before, columns.before), fill=fill)


def size_words(size: Size) -> str:
    """Return ``"224x224"`` with a multiplication sign, height first."""
    return f"{size[0]}\N{MULTIPLICATION SIGN}{size[1]}"


def _axis_of_fit(
    source_sides: Size, target_sides: Size, fit: str, crop_fraction: float
) -> Axis:
    """Return what a fit does along the first of the two sides of an image and of its target."""
    # The first is the one along this axis: the height along the rows, the width along the columns.
    length, other_length = source_sides
    side, other_side = target_sides
    if fit == "crop":
        window_length = min(length, other_length * side // other_side)
        window_length = max(1, int(window_length * crop_fraction + _TOLERANCE_PIXELS))
        start = (length - window_length) // 2
        return Axis(start, start + window_length, resized=side, offset=0, kept=side)
    if "letterbox" in fit:
        inner = max(1, min(side, round(length / other_length * other_side)))
        border = (side - inner) / 2
        before = round(border) if fit == "letterbox" else int(border)
        if fit == "letterbox_corner":
            before = 0
        return Axis(0, length, resized=inner, offset=0, kept=inner, before=before)
    resized = side
    if fit in {"squash_crop", "resize_crop"}:
        resized = int(side / crop_fraction + _TOLERANCE_PIXELS)
    if fit == "resize_crop":
        # One of the two is the shorter side, and the other is longer in proportion.
        shorter = int(other_side / crop_fraction + _TOLERANCE_PIXELS)
        resized = max(resized, int(shorter * length / other_length))
    # Of all that is resized, the central part is kept.
    return Axis(0, length, resized, offset=round((resized - side) / 2), kept=side)


def _padded(pixels: Pixels, size: Size, fill: tuple[int, ...]) -> Pixels:
    """Fill an image up, the same on both sides, to the proportions of a size."""
    # Of the size, only the proportions count.
    height, width, _ = pixels.shape
    above = (max(height, width * size[0] // size[1]) - height) // 2
    left = (max(width, height * size[1] // size[0]) - width) // 2
    tall = height + 2 * above
    wide = width + 2 * left
    if tall * wide > MAX_PADDED_PIXELS:
        raise ValueError(
            f"Expected at most {MAX_PADDED_PIXELS} pixels after padding,"
            f" received {tall} x {wide}"
        )
    return _framed(pixels, (tall, wide), corner=(above, left), fill=fill)


def _framed(
    pixels: Array, size: Size, corner: tuple[int, int], fill: tuple[int, ...]
) -> Array:
    """Put an image on a ground of this size and colour, its upper left corner at (top, left)."""
    height, width, _ = pixels.shape
    top, left = corner
    framed = np.full((*size, 3), fill, dtype=pixels.dtype)
    framed[top : top + height, left : left + width] = pixels
    return framed


def _resized_by_pillow(
    pixels: Pixels,
    rows: Axis,
    columns: Axis,
    resampling: Image.Resampling,
    version: float,
) -> Pixels:
    """Resample as this version of Pillow does."""
    top, bottom = rows.box
    left, right = columns.box
    image = Image.fromarray(pixels)
    # Pillow rounds between its passes; since 13.0 (pull request 9549), the height comes first where it
    # shrinks by more than twice as many pixels as the width.
    is_tall = image.height - rows.kept > max(2 * (image.width - columns.kept), 0)
    width_first = version < 13
    installed_width_first = PILLOW < 13
    if not is_tall or width_first == installed_width_first:
        # One resampling with box= gives what resizing everything and then cutting out gives.
        size = columns.kept, rows.kept
        return np.asarray(image.resize(size, resampling, (left, top, right, bottom)))

    for along_width in (width_first, not width_first):
        width, height = image.size
        if along_width:
            image = image.resize(
                (columns.kept, height), resampling, (left, 0, right, height)
            )
        else:
            image = image.resize(
                (width, rows.kept), resampling, (0, top, width, bottom)
            )
    return np.asarray(image)
