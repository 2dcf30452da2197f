"""Holding two engines of one network against each other, on inputs that are always the same."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from kit._arrays import Float32, Pixels
from kit._reporting import Result
from kit.classifier.runtime.engine import Engine
from kit.classifier.runtime.heads import probabilities
from kit.classifier.runtime.shapes import Shape
from kit.images import Photo
from kit.preprocessing import Preprocessing

TOLERANCE = 1e-5
"""Largest difference in a probability between the compiled form and Keras that is accepted."""

OPEN_SIDE = 96
"""Height and width on which a network is tried that leaves them open, in pixels."""


@dataclass(frozen=True, repr=False)
class Verification(Result):
    """Result of holding the compiled form of a network against Keras.

    Parameters
    ----------
    max_difference
        Largest difference in a probability, 0..1.
    photos
        Photographs that were compared, beside the inputs made by formulas.
    agrees
        Whether the difference is within 1e-5.
    """

    max_difference: float
    photos: int
    agrees: bool

    def __repr__(self) -> str:
        # Without the figure, which depends on the machine: notebooks that are compared strictly show this.
        verdict = "agrees with" if self.agrees else "differs from"
        return f"Verification({verdict} Keras to 1e-5 on {self.photos} photos and on inputs made by formulas)"


def largest_difference(reference: Engine, compiled: Engine, head: str, batches: Iterable[Float32]) -> float:
    """Return the largest difference between two engines' probabilities.

    Parameters
    ----------
    reference, compiled
        Engines of the same network.
    head
        One of `kit.classifier.runtime.heads.HEADS`.
    batches
        Float32, shape (N, H, W, C) each.

    Returns
    -------
    float
        Largest absolute difference, 0..1; infinite where a result is not a number.
    """
    both = [(reference.predict(batch), compiled.predict(batch)) for batch in batches]
    return difference_between([one for one, _ in both], [other for _, other in both], head)


def difference_between(outputs: Iterable[Float32], others: Iterable[Float32], head: str) -> float:
    """Return what `largest_difference` does, from outputs for the same inputs."""
    largest = 0.0
    for one, other in zip(outputs, others, strict=True):
        difference = np.abs(probabilities(one, head) - probabilities(other, head))
        largest = max(largest, float(difference.max()) if np.isfinite(difference).all() else float("inf"))
    return largest


def trial_tensors(shape: Shape, preprocessing: Preprocessing | None = None) -> tuple[Float32, ...]:
    """Make inputs to compare engines on: pseudo-random values, and pictures drawn by a formula.

    Parameters
    ----------
    shape
        Input shape of the network without the batch; an open side gets `OPEN_SIDE`.
    preprocessing
        What the network expects; the pictures go through it, and the random values cover its range. Where
        unknown, the usual ranges 0..1, -1..1 and 0..255 are covered.

    Returns
    -------
    tuple of float32 arrays (N, H, W, C)
        The same values at every call.
    """
    height, width, channels = (side or OPEN_SIDE for side in shape)
    sized = (height, width, channels)
    random = np.random.default_rng(20_241)
    noise = random.random((2, *sized), dtype=np.float32)
    pictures = _scenes(random)
    if preprocessing is None:
        side = max(256, *sized)
        crops = np.stack([_fitted(picture, side, sized) for picture in pictures]) / np.float32(255)
        batch = np.concatenate([noise, crops])
        return batch, batch * np.float32(2) - np.float32(1), batch * np.float32(255)
    tensors = np.concatenate([preprocessing.apply(Photo.from_array(picture)) for picture in pictures])
    low, high = float(tensors.min()), float(tensors.max())
    return noise * np.float32(high - low) + np.float32(low), tensors


def _scenes(random: np.random.Generator) -> list[Pixels]:
    """Three pictures, uint8 (192, 256, 3), with the smooth areas, edges and grain of photographs."""
    down, across = np.mgrid[0 : 1 : 192 * 1j, 0 : 1 : 256 * 1j][..., None]
    scenes = []
    for turn in range(3):
        centre = random.random((2, 3))
        distance = np.hypot(down - centre[0], across - centre[1])
        light = 40 + 160 * (across if turn % 2 else down)
        disc = 60 * (distance < 0.3) - 40 * np.cos(8 * (turn + 1) * distance)
        grain = random.normal(0, 6, distance.shape)
        scenes.append(np.clip(light + disc + grain, 0, 255).astype(np.uint8))
    return scenes


def _fitted(picture: Pixels, side: int, shape: tuple[int, int, int]) -> Float32:
    """Repeat a picture to the side and cut it to the shape, channels last or first, without resampling."""
    repeats = (-(-side // picture.shape[0]), -(-side // picture.shape[1]), 1)
    large = np.tile(picture, repeats).astype(np.float32)
    if shape[2] in {1, 3}:
        return large[: shape[0], : shape[1], : shape[2]]
    return large[: shape[1], : shape[2], : shape[0]].transpose(2, 0, 1)
