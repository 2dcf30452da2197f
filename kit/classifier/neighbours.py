"""The training images that an image is nearest to, as the network sees them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy  # its heavy parts are imported when they are used
from PIL import Image, ImageOps

from kit._arrays import Array, Float32, Float64, Pixels
from kit._reporting import Result, Table, tag
from kit.images import Photo
from kit.images.photo import encoded

NEAREST = 5
"""Training images that are shown, and whose mean distance says how novel an image is."""
KEPT = 10_000
"""Training images that are kept at most."""
NUMBERS = 40
"""Numbers kept of each."""
SIDE = 48
"""Height and width of a thumbnail, in pixels."""


class Neighbour(NamedTuple):
    """A training image: its name, the class predicted for it, and its distance, 0 or more."""

    name: str
    predicted: str
    distance: float


@dataclass(frozen=True, eq=False, repr=False)
class Nearest(Result):
    """The training images that an image is nearest to.

    Attributes
    ----------
    name, predicted
        Of the image.
    neighbours
        The nearest first.
    thumbnails
        uint8 (neighbours, `SIDE`, `SIDE`, 3); none where the file has none.
    foreign
        Whether the training images were prepared in another way.
    """

    name: str
    predicted: str
    neighbours: tuple[Neighbour, ...]
    thumbnails: Pixels
    foreign: bool = False

    @property
    def agreeing(self) -> int:
        """How many of the neighbours are of the predicted class."""
        return sum(one.predicted == self.predicted for one in self.neighbours)

    def table(self) -> Table:
        """Return name, predicted class and distance of each."""
        rows = [
            (one.name, one.predicted, f"{one.distance:.1f}") for one in self.neighbours
        ]
        return Table(("training image", "predicted as", "distance"), rows, "<<>")

    def html(self) -> str:
        """Return the table, and the thumbnails that there are."""
        shown = zip(self.thumbnails, self.neighbours, strict=False)
        return super().html() + " ".join(
            tag(encoded(image), one.name) for image, one in shown
        )

    def __repr__(self) -> str:
        count = len(self.neighbours)
        doubt = ": doubt this prediction" if 2 * self.agreeing < count else ""
        if self.foreign:
            doubt = "; these were made with another preprocessing: call with_reference again"
        found = f"{self.agreeing} of the {count} nearest training images are predicted as this class{doubt}"
        return f"Nearest({self.name!r}, predicted {self.predicted!r}; {found})"


class Neighbours:
    """What is kept of training images; of `arrays`, which `described` made.

    KeyError, TypeError or ValueError where they do not fit a network of so many channels and classes.
    """

    def __init__(
        self, arrays: Mapping[str, Array], channels: int, classes: int
    ) -> None:
        features, self.predicted = (
            arrays["features"].astype(np.float64),
            arrays["predicted"].astype(np.int64),
        )
        self.features, self.basis = (
            features,
            arrays.get("basis", np.empty((channels, channels - 1))),
        )
        self.names = arrays["names"].tobytes().decode().split("\0")
        count, self.whole = len(features), "basis" not in arrays
        self.thumbnails = arrays.get(
            "thumbnails", np.empty((0, SIDE, SIDE, 3), np.uint8)
        )
        fits = (
            features.shape == (count, self.basis.shape[1] + 1)
            and self.basis.shape[0] == channels
        )
        fits &= (
            self.predicted.shape == (count,) and 0 < count == len(self.names) <= KEPT
        )
        fits &= self.thumbnails.shape in {(0, SIDE, SIDE, 3), (count, SIDE, SIDE, 3)}
        fits &= self.thumbnails.dtype == np.uint8 and set(self.predicted.tolist()) <= {
            *range(classes)
        }
        if not fits or not np.isfinite(features).all():
            raise ValueError(
                "Expected what is kept of training images, received other arrays"
            )

    def distances(self, features: Float32) -> Float64:
        """Return Euclidean distances, float64 (N, images), of features, float32 (N, channels)."""
        rows = features if self.whole else projected(features, self.basis)
        return np.asarray(scipy.spatial.distance.cdist(rows, self.features))

    def scores(self, features: Float32) -> Float64:
        """Return the mean distance to the `NEAREST`, float64 (N,), of features, float32 (N, channels)."""
        # Nearest neighbours in scikit-learn start threads for every single image, which takes longer.
        return np.asarray(
            np.sort(self.distances(features), axis=1)[:, :NEAREST].mean(axis=1)
        )


def described(
    photos: Sequence[Photo], answers: Float32, features: Float32, *, thumbnails: bool
) -> dict[str, Array]:
    """Return what is kept of images, of their probabilities (N, classes) and features (N, channels).

    Of more than `NUMBERS` channels the first principal components are kept, and the length of what is left.
    """
    kept: dict[str, Array] = {"predicted": answers.argmax(axis=1).astype(np.int32)}
    names = "\0".join(photo.name.replace("\0", "") for photo in photos)
    kept["names"] = np.frombuffer(names.encode(errors="replace"), np.uint8)
    if (count := features.shape[1]) > NUMBERS:
        largest = count - NUMBERS + 1, count - 1
        kept["basis"] = scipy.linalg.eigh(
            features.T @ features, subset_by_index=largest
        )[1]
        features = projected(features, kept["basis"])
    if thumbnails:
        small = (
            ImageOps.fit(Image.fromarray(photo.pixels), (SIDE, SIDE))
            for photo in photos
        )
        kept["thumbnails"] = np.stack([np.asarray(image) for image in small])
    # Half precision changes no distance by more than a thousandth of itself.
    return kept | {"features": features.astype(np.float16)}


def projected(features: Float32, basis: Array) -> Float32:
    """Return the parts of features, float32 (N, channels), along a basis, and the length of the rest."""
    kept = features @ basis
    left = (features**2).sum(axis=1) - (kept**2).sum(axis=1)
    return np.column_stack([kept, np.sqrt(np.maximum(left, 0))])
