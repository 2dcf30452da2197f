"""Random fields for perturbations: one seed gives an independent field for each purpose.

A perturbation scales its field and never draws anew, so a slider moves smoothly and sliding back gives the
same picture.
"""

from zlib import crc32

import numpy as np
import numpy.typing as npt

from kit.perturbation.pixels import NOISE_STEPS, noise_field

Float = npt.NDArray[np.float32]


def derived_seed(seed: int, purpose: str) -> int:
    """Return a seed that belongs to `seed` and `purpose` alone, by `numpy.random.SeedSequence`."""
    words = np.random.SeedSequence((seed, crc32(purpose.encode()))).generate_state(2, np.uint64)
    return int(words[0])


def steps(seed: int, purpose: str, count: int) -> npt.NDArray[np.int16]:
    """Return `count` standard normal samples as `noise_field` keeps them: steps of 1/4096."""
    return noise_field(derived_seed(seed, purpose), count)


def normal(seed: int, purpose: str, shape: tuple[int, ...]) -> Float:
    """Return standard normal samples: float32 of this shape, a copy."""
    samples = steps(seed, purpose, int(np.prod(shape))).astype(np.float32)
    samples /= NOISE_STEPS
    return samples.reshape(shape)


def uniform(seed: int, purpose: str, low: float, high: float) -> float:
    """Return one number that is equally likely anywhere within `low` and `high`."""
    return float(np.random.default_rng(derived_seed(seed, purpose)).uniform(low, high))


def to_pixels(values: npt.NDArray[np.floating]) -> npt.NDArray[np.uint8]:
    """Round half to even and clip to 0..255: uint8 of the same shape. `values` is overwritten."""
    np.rint(values, out=values)
    np.clip(values, 0, 255, out=values)
    return values.astype(np.uint8)
