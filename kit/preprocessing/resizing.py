"""Resizing: every Pillow filter and TensorFlow's own, and the ways to fit a picture into a size."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from PIL import Image

from kit._arrays import Levels, Pixels
from kit._checking import known
from kit.preprocessing.tf_resize import SAMPLERS, Axis

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
        "squash_crop": "the whole picture squashed, then the centre cut out (DeiT, timm)",
        "letterbox": "resized to fit inside, then filled up (Pillow's ImageOps.pad)",
        "pad": "filled up first and then resized (Keras pad_to_aspect_ratio)",
    }
)
MAX_PADDED_PIXELS = 100_000_000
LARGEST_SIDE = 4096

Size = tuple[int, int]


def resize(
    pixels: Pixels,
    size: Size,
    filter: str = "bilinear",  # noqa: A002  the word of the field
    fit: str = "squash",
    crop_fraction: float = 1.0,
    fill: tuple[int, ...] = (0, 0, 0),
) -> Levels:
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
        The part of each side that the fits with "crop" in their name keep, above 0 and up to 1.
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
    sampled = SAMPLERS.get(known("filter", filter, FILTERS))
    if known("fit", fit, FITS) == "pad":
        pixels = _pad(pixels, size, fill)
    rows, columns = _axes((pixels.shape[0], pixels.shape[1]), size, fit, crop_fraction)
    if sampled is None:
        part: Levels = _pillow(pixels, rows, columns, Image.Resampling[filter.upper()])
    else:
        part = sampled(pixels[rows.start : rows.stop, columns.start : columns.stop], rows, columns)
    if (rows.kept, columns.kept) == size:
        return part
    result = np.empty((*size, pixels.shape[2]), dtype=part.dtype)
    result[:] = np.asarray(fill[: pixels.shape[2]], dtype=part.dtype)
    result[rows.before : rows.before + rows.kept, columns.before : columns.before + columns.kept] = part
    return result


def sides(size: Size) -> str:
    """Return ``"224x224"`` with a multiplication sign, height first."""
    return f"{size[0]}\N{MULTIPLICATION SIGN}{size[1]}"


def fit_words(fit: str, crop_fraction: float, fill: tuple[int, ...] | None = None) -> str:
    """Return a fit in words, with what it keeps or, if that is known, fills up with."""
    if "crop" in fit:
        return f"{fit} of {100 * crop_fraction:.4g} %"
    return f"{fit} on {fill}" if fill is not None and fit in {"letterbox", "pad"} else fit


def _axes(source: Size, target: Size, fit: str, fraction: float) -> tuple[Axis, Axis]:
    (height, width), (rows, columns) = source, target
    if fit == "crop":
        window = min(height, width * rows // columns), min(width, height * columns // rows)
        return _window(height, window[0], rows, fraction), _window(width, window[1], columns, fraction)
    # The tolerance keeps 224 / (224 / 232) at 232.
    least = int(rows / fraction + 1e-6), int(columns / fraction + 1e-6)
    if fit == "squash_crop":
        return _centre(height, least[0], rows), _centre(width, least[1], columns)
    if fit == "resize_crop":
        # One of the two is the shorter side and keeps its `least`.
        resized = max(least[0], int(least[1] * height / width)), max(least[1], int(least[0] * width / height))
        return _centre(height, resized[0], rows), _centre(width, resized[1], columns)
    if fit == "letterbox":
        return _inside(height, rows, width, columns), _inside(width, columns, height, rows)
    return Axis(0, height, rows, 0, rows), Axis(0, width, columns, 0, columns)


def _window(length: int, window: int, target: int, fraction: float) -> Axis:
    window = max(1, int(window * fraction + 1e-6))
    start = (length - window) // 2
    return Axis(start, start + window, target, 0, target)


def _centre(length: int, resized: int, target: int) -> Axis:
    return Axis(0, length, resized, round((resized - target) / 2), target)


def _inside(length: int, target: int, other_length: int, other_target: int) -> Axis:
    inner = max(1, min(target, round(length / other_length * other_target)))
    return Axis(0, length, inner, 0, inner, round((target - inner) / 2))


def _pad(pixels: Pixels, size: Size, fill: tuple[int, ...]) -> Pixels:
    height, width, channels = pixels.shape
    above = (max(height, width * size[0] // size[1]) - height) // 2
    left = (max(width, height * size[1] // size[0]) - width) // 2
    padded = height + 2 * above, width + 2 * left
    if padded[0] * padded[1] > MAX_PADDED_PIXELS:
        raise ValueError(
            f"Expected at most {MAX_PADDED_PIXELS} pixels after padding, received {padded[0]} x {padded[1]} "
            "for a picture this long and thin; use fit='letterbox'"
        )
    result = np.empty((*padded, channels), dtype=np.uint8)
    result[:] = np.asarray(fill[:channels], dtype=np.uint8)
    result[above : above + height, left : left + width] = pixels
    return result


def _pillow(pixels: Pixels, rows: Axis, columns: Axis, resampling: Image.Resampling) -> Pixels:
    (top, bottom), (left, right) = rows.box, columns.box
    box = (left, top, right, bottom)
    if (rows.kept, columns.kept) == pixels.shape[:2] and box == (0, 0, pixels.shape[1], pixels.shape[0]):
        return pixels
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    # One resampling with box= gives what resizing everything and then cutting out gives.
    image = image.resize((columns.kept, rows.kept), resampling, box=box)
    return np.asarray(image).reshape(rows.kept, columns.kept, pixels.shape[2])
