"""What all perturbations share: fields of noise that are drawn once, and ways through float32 and Pillow.

One seed gives an independent field for each purpose. A perturbation scales its field and never draws anew, so
a slider moves smoothly and sliding back gives the same picture.
"""

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from zlib import crc32

import numpy as np
from PIL import Image

from kit._arrays import Float32, Floats, Int16, Pixels

NOISE_STEPS = 4096
"""One standard deviation in a `noise_field`."""

NOISE_CACHE_BYTES = 64 << 20
"""Upper bound of all noise fields that are kept."""

# 128 KiB of float32 at a time stay in the processor's second-level cache, which halves the time.
_CHUNK = 32_768
_fields: OrderedDict[int, Int16] = OrderedDict()
_fields_lock = Lock()


def noise_field(seed: int, count: int) -> Int16:
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


def _draw(seed: int, count: int) -> Int16:
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


def derived_seed(seed: int, purpose: str) -> int:
    """Return a seed that belongs to `seed` and `purpose` alone, by `numpy.random.SeedSequence`."""
    words = np.random.SeedSequence((seed, crc32(purpose.encode()))).generate_state(2, np.uint64)
    return int(words[0])


def steps(seed: int, purpose: str, count: int) -> Int16:
    """Return `count` standard normal samples as `noise_field` keeps them: steps of 1/4096."""
    return noise_field(derived_seed(seed, purpose), count)


def normal(seed: int, purpose: str, shape: tuple[int, ...]) -> Float32:
    """Return standard normal samples: float32 of this shape, a copy."""
    samples = steps(seed, purpose, int(np.prod(shape))).astype(np.float32)
    samples /= NOISE_STEPS
    return samples.reshape(shape)


def uniform(seed: int, purpose: str, low: float, high: float) -> float:
    """Return one number that is equally likely anywhere within `low` and `high`."""
    return float(np.random.default_rng(derived_seed(seed, purpose)).uniform(low, high))


def to_pixels(values: Floats) -> Pixels:
    """Round half to even and clip to 0..255: uint8 of the same shape. `values` is overwritten."""
    np.rint(values, out=values)
    np.clip(values, 0, 255, out=values)
    return values.astype(np.uint8)


def in_parts(pixels: Pixels, part: Callable[[Pixels, Float32, int], None]) -> Pixels:
    """Compute levels in float32 without filling the memory, clip them to 0..255 and cut off fractions.

    Parameters
    ----------
    pixels
        uint8 of any shape, C-contiguous.
    part
        Takes some of the values in their order, an array for the results and how many values came before.
    """
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


def through_pillow(pixels: Pixels, function: Callable[[Image.Image], Image.Image]) -> Pixels:
    """Return what a function on Pillow's images makes of pixels, in new memory."""
    return np.array(function(Image.fromarray(pixels)))
