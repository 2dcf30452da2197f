"""Augmentation: training images changed again in each epoch, as the network will meet them later."""

from dataclasses import dataclass

import numpy as np

from kit._arrays import Pixels
from kit.perturbation.physics import to_pixels


@dataclass(frozen=True)
class Augmentation:
    """Random changes of images, drawn for each by itself; in the order of the parameters.

    Parameters
    ----------
    brightness
        Lowest and highest factor on every value, above 0; drawn evenly on a logarithmic scale.
    added
        Lowest and highest number of levels added to every value; drawn evenly.
    noise
        Highest standard deviation of Gaussian noise in levels; drawn evenly from 0.
    """

    brightness: tuple[float, float] = (1.0, 1.0)
    added: tuple[float, float] = (0.0, 0.0)
    noise: float = 0.0

    def __call__(self, pictures: Pixels, rng: np.random.Generator) -> Pixels:
        """Return changed copies of images, uint8 (N, H, W, C), rounded and clipped once, at the end."""
        shape = len(pictures), 1, 1, 1
        low, high = np.log(self.brightness)
        factors = np.exp(rng.uniform(low, high, shape)).astype(np.float32)
        levels = rng.uniform(*self.added, shape).astype(np.float32)
        values = pictures.astype(np.float32) * factors + levels
        if self.noise:
            deviations = rng.uniform(0, self.noise, shape).astype(np.float32)
            values += rng.standard_normal(values.shape, np.float32) * deviations
        return to_pixels(values)
