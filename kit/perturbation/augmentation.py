"""Augmentation: training images changed again in each epoch, as the network will meet them later."""

from dataclasses import dataclass

import numpy as np

from kit._arrays import Array, Pixels
from kit._checking import number
from kit._reporting import changed
from kit.perturbation.physics import to_pixels


@dataclass(frozen=True, repr=False)
class Augmentation:
    """Random changes of images, drawn for each by itself; in the order of the parameters.

    Parameters
    ----------
    brightness
        Lowest and highest factor on every value, 0.001 to 1000; drawn evenly on a logarithmic scale.
    added
        Lowest and highest number of levels added to every value, -255..255; drawn evenly.
    noise
        Highest standard deviation of Gaussian noise, 0..255 levels; drawn evenly from 0.

    Raises
    ------
    TypeError, ValueError
        No numbers, or outside these bounds.
    """

    brightness: tuple[float, float] = (1.0, 1.0)
    added: tuple[float, float] = (0.0, 0.0)
    noise: float = 0.0

    def __post_init__(self) -> None:
        ranges = {"brightness": (self.brightness, 1e-3, 1e3), "added": (self.added, -255, 255)}
        for name, (given, least, most) in {**ranges, "noise": ((0.0, self.noise), 0, 255)}.items():
            if not isinstance(given, tuple) or len(given) != 2:
                raise TypeError(f"Expected {name} as (lowest, highest), received {given!r}")
            low, high = (number(name, value) for value in given)
            if not least <= low <= high <= most:
                raise ValueError(f"Expected {name} within {least:g}..{most:g}, received {given!r}")

    def __call__(self, pictures: Pixels, rng: np.random.Generator) -> Pixels:
        """Return changed copies of images, uint8 (N, H, W, C), rounded and clipped once, at the end."""
        count = len(pictures)
        low, high = np.log(self.brightness)
        factors = np.exp(rng.uniform(low, high, count)).astype(np.float32)
        levels = rng.uniform(*self.added, count).astype(np.float32)
        values = pictures.astype(np.float32) * _each(factors) + _each(levels)
        if self.noise:
            deviations = rng.uniform(0, self.noise, count).astype(np.float32)
            values += rng.standard_normal(values.shape, np.float32) * _each(deviations)
        return to_pixels(values)

    def __repr__(self) -> str:
        return f"Augmentation({changed(self)})"


def _each(values: Array) -> Array:
    return values[:, None, None, None]  # goes with (N, H, W, C)
