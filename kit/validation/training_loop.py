"""Training loops of anybody, as cross-validation and learning curves call them, and what they are given."""

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from kit._arrays import Array, Indices, Int64
from kit.images import Photo, Pictures, as_photos


class Predictor(Protocol):
    """What training returns: a `kit.Classifier`, or anything with its method."""

    def probabilities(self, photos: Any, /) -> Array:
        """Return one row for each picture and one column for each class."""


class Train(Protocol):
    """A training loop; `train` with its other arguments filled in by functools.partial."""

    def __call__(self, pictures: tuple[Photo, ...], labels: Int64, /, *, seed: int) -> Predictor:
        """Train anew on these pictures."""


def answered(classifier: Predictor, photos: Any) -> Int64:
    """Return the class with the highest probability for each photo, int64, shape (N,)."""
    classes: Indices = np.asarray(classifier.probabilities(photos)).argmax(axis=1)
    return classes.astype(np.int64)


def checked(pictures: Pictures, labels: npt.ArrayLike) -> tuple[tuple[Photo, ...], Int64]:
    """Return photos and their labels, or raise a ValueError if these do not fit."""
    photos = as_photos(pictures)
    truth = np.asarray(labels)
    if truth.shape != (len(photos),) or truth.dtype.kind not in "iu" or not len(photos):
        raise ValueError(
            f"Expected a whole number for each of {len(photos)} pictures, received {truth.dtype} of shape "
            f"{truth.shape}"
        )
    return photos, truth.astype(np.int64)
