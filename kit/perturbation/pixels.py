"""What a perturbation does to pixels: one pure function for each parameter, and the noise field they share.

Each function takes uint8 pixels of shape (H, W, 3), its setting and a seed, and returns new pixels of the
same shape.
"""

from collections import OrderedDict
from collections.abc import Callable
from io import BytesIO
from threading import Lock

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageEnhance, ImageFilter

Pixels = npt.NDArray[np.uint8]

NOISE_STEPS = 4096
"""One standard deviation in a `noise_field`."""

NOISE_CACHE_BYTES = 64 << 20
"""Upper bound of all noise fields that are kept."""

_JPEG_MAX_SIDE = 65_500  # libjpeg's JPEG_MAX_DIMENSION
# 128 KiB of float32 at a time stay in the processor's second-level cache, which halves the time.
_CHUNK = 32_768
_fields: OrderedDict[int, npt.NDArray[np.int16]] = OrderedDict()
_fields_lock = Lock()


def noise_field(seed: int, count: int) -> npt.NDArray[np.int16]:
    """Return standard normal samples in steps of 1/4096.

    Parameters
    ----------
    seed
        Seed of `numpy.random.default_rng`.
    count
        Number of samples. A shorter field is the beginning of a longer one.

    Returns
    -------
    ndarray
        int16, shape (count,), read-only, shared: samples times `NOISE_STEPS`, rounded. The longest fields of
        recent seeds are kept, up to `NOISE_CACHE_BYTES` in total.
    """
    with _fields_lock:
        known = _fields.get(seed)
        if known is not None and known.size >= count:
            _fields.move_to_end(seed)
            return known[:count]
    field = _draw(seed, count)
    if field.nbytes <= NOISE_CACHE_BYTES:
        with _fields_lock:
            known = _fields.get(seed)
            if known is None or known.size < count:
                _fields[seed] = field
            _fields.move_to_end(seed)
            while sum(kept.nbytes for kept in _fields.values()) > NOISE_CACHE_BYTES:
                _fields.popitem(last=False)
    return field


def _draw(seed: int, count: int) -> npt.NDArray[np.int16]:
    generator = np.random.default_rng(seed)
    field = np.empty(count, np.int16)
    for start in range(0, count, _CHUNK):
        part = field[start : start + _CHUNK]
        samples = generator.standard_normal(part.size, dtype=np.float32)
        samples *= np.float32(NOISE_STEPS)
        np.rint(samples, out=samples)
        # int16 ends at 8 standard deviations, which a sample passes once in 10**15.
        part[...] = np.clip(samples, -32768, 32767)
    field.flags.writeable = False
    return field


def add_noise(pixels: Pixels, deviation: float, seed: int) -> Pixels:
    """Add Gaussian noise: ``clip(rint(x + deviation / 4096 * q))``.

    One float32 multiplication and one float32 addition a value, rounded half to even, with q from
    `noise_field` in C order. The page repeats exactly this with ``Math.fround`` and a
    ``Uint8ClampedArray``, byte for byte.
    """
    return _add_field(pixels, deviation, noise_field(seed, pixels.size))


def _add_field(pixels: Pixels, deviation: float, field: npt.NDArray[np.int16]) -> Pixels:
    scale = np.float32(deviation / NOISE_STEPS)

    def part(values: Pixels, scratch: npt.NDArray[np.float32], start: int) -> None:
        np.multiply(field[start : start + values.size], scale, out=scratch, dtype=np.float32)
        np.add(scratch, values, out=scratch)
        np.rint(scratch, out=scratch)

    return _in_parts(pixels, part)


def brighten(pixels: Pixels, factor: float, seed: int = 0) -> Pixels:
    """Multiply in float32, clip, cut off the fraction.

    Bit for bit `PIL.ImageEnhance.Brightness` (libImaging/Blend.c with black), at a third of its time.
    """
    del seed
    scale = np.float32(factor)

    def part(values: Pixels, scratch: npt.NDArray[np.float32], start: int) -> None:
        del start
        np.multiply(values, scale, out=scratch, dtype=np.float32)

    return _in_parts(pixels, part)


def _in_parts(pixels: Pixels, part: Callable[[Pixels, npt.NDArray[np.float32], int], None]) -> Pixels:
    # Scratch space belongs to the call: callbacks come from several threads.
    values = pixels.reshape(-1)
    out = np.empty(pixels.shape, np.uint8)
    flat = out.reshape(-1)
    scratch = np.empty(min(_CHUNK, values.size), np.float32)
    for start in range(0, values.size, _CHUNK):
        piece = values[start : start + _CHUNK]
        room = scratch[: piece.size]
        part(piece, room, start)
        np.clip(room, 0, 255, out=room)
        np.copyto(flat[start : start + piece.size], room, casting="unsafe")
    return out


def change_contrast(pixels: Pixels, factor: float, seed: int = 0) -> Pixels:
    """Scale the distance from the mean grey; `PIL.ImageEnhance.Contrast` itself."""
    del seed
    return _through_pillow(pixels, lambda image: ImageEnhance.Contrast(image).enhance(factor))


def blur(pixels: Pixels, radius: float, seed: int = 0) -> Pixels:
    """Blur with `PIL.ImageFilter.GaussianBlur`."""
    del seed
    return _through_pillow(pixels, lambda image: image.filter(ImageFilter.GaussianBlur(radius)))


def rotate(pixels: Pixels, degrees: float, seed: int = 0) -> Pixels:
    """Rotate anticlockwise about the centre, bilinear, same size, black corners."""
    del seed
    return _through_pillow(pixels, lambda image: image.rotate(degrees, Image.Resampling.BILINEAR))


def recompress(pixels: Pixels, quality: int, seed: int = 0) -> Pixels:
    """Write a JPEG file of this quality in memory and read it back."""
    del seed
    if max(pixels.shape) > _JPEG_MAX_SIDE:
        raise ValueError(
            f"Expected at most {_JPEG_MAX_SIDE} pixels a side for JPEG, received {pixels.shape}; "
            "make it smaller first"
        )

    def through_file(image: Image.Image) -> Image.Image:
        buffer = BytesIO()
        image.save(buffer, "JPEG", quality=quality)
        return Image.open(buffer, formats=("JPEG",))

    return _through_pillow(pixels, through_file)


def _through_pillow(pixels: Pixels, function: Callable[[Image.Image], Image.Image]) -> Pixels:
    return np.array(function(Image.fromarray(pixels)))
