"""The training images that an image is nearest to, as the network sees them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy  # its heavy parts are imported when they are used
from PIL import Image, ImageOps

from kit._arrays import Array, Arrays, Float32, Float64, Pixels
from kit._reporting import Result, Table, tag
from kit.images.photo import Photo, encoded

NEAREST = 5
"""Training images that are shown, and whose mean distance says how novel an image is."""
MOST_KEPT = 10_000
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


@dataclass(frozen=True, eq=False)
class Nearest(Result):
    """The training images that an image is nearest to.

    Attributes
    ----------
    name, predicted, neighbours
        The image's name and predicted class; its training images, the nearest first.
    thumbnails
        uint8 (neighbours, `SIDE`, `SIDE`, 3); none where the file has none.
    """

    name: str
    predicted: str
    neighbours: tuple[Neighbour, ...]
    thumbnails: Pixels

    @property
    def agreeing(self) -> int:
        """How many of the neighbours are of the predicted class."""
        return sum(image.predicted == self.predicted for image in self.neighbours)

    def table(self) -> Table:
        """Return name, predicted class and distance of each."""
        rows = [
            (image.name, image.predicted, f"{image.distance:.1f}")
            for image in self.neighbours
        ]
        return Table(("training image", "predicted as", "distance"), rows, "<<>")

    def html(self) -> str:
        """Return the table, and the thumbnails that there are."""
        pairs = zip(self.thumbnails, self.neighbours, strict=False)
        images = (tag(encoded(pixels), image.name) for pixels, image in pairs)
        # Front ends put images that stand alone below each other.
        return f"{super().html()}<p>{' '.join(images)}</p>"

    def __repr__(self) -> str:
        count = len(self.neighbours)
        doubt = ": doubt this prediction" if 2 * self.agreeing < count else ""
        return (
            f"{self.name} is predicted as {self.predicted}; the same is predicted for {self.agreeing}"
            f" of the {count} nearest training images{doubt}."
        )


class Neighbours:
    """What is kept of training images; of `arrays`, which `arrays_of_images` made.

    KeyError, TypeError or ValueError where they do not fit a network of so many channels and classes.
    """

    def __init__(self, arrays: Arrays, channels: int, classes: int) -> None:
        no_thumbnails = np.empty((0, SIDE, SIDE, 3), np.uint8)
        self.features = arrays["features"].astype(np.float64)
        self.predicted = arrays["predicted"].astype(np.int64)
        self.names = arrays["names"].tobytes().decode().split("\0")
        self.thumbnails = arrays.get("thumbnails", no_thumbnails)
        self.basis = arrays.get("basis")
        count = len(self.features)
        # Which raises a ValueError where sides do not fit each other.
        distances = self.distances(np.zeros((1, channels), np.float32))
        fits = (
            0 < count == len(self.names) <= MOST_KEPT
            and self.predicted.shape == (count,)
            and set(self.predicted.tolist()) <= set(range(classes))
            and self.thumbnails.shape[1:] == no_thumbnails.shape[1:]
            and len(self.thumbnails) in {0, count}
            and self.thumbnails.dtype == np.uint8
        )
        if not fits or not np.isfinite(distances).all():
            raise ValueError(
                "Expected what is kept of training images, received other arrays"
            )

    def distances(self, features: Float32) -> Float64:
        """Return Euclidean distances, float64 (N, images), of features, float32 (N, channels)."""
        rows = features if self.basis is None else projected(features, self.basis)
        return np.asarray(scipy.spatial.distance.cdist(rows, self.features))

    def nearest(
        self, features: Float32, class_names: Sequence[str], count: int
    ) -> tuple[tuple[Neighbour, ...], Pixels]:
        """Return the images nearest to one with features (1, channels), and the thumbnails that there are."""
        (distances,) = self.distances(features)
        order = np.argsort(distances, kind="stable")[:count]
        neighbours = tuple(
            Neighbour(
                name=self.names[index],
                predicted=class_names[self.predicted[index]],
                distance=float(distances[index]),
            )
            for index in order
        )
        return neighbours, self.thumbnails[order[: len(self.thumbnails)]]

    def scores(self, features: Float32) -> Float64:
        """Return the mean distance to the `NEAREST`, float64 (N,), of features, float32 (N, channels)."""
        # Nearest neighbours in scikit-learn start threads for every single image, which takes longer.
        distances = np.sort(self.distances(features), axis=1)
        return np.asarray(distances[:, :NEAREST].mean(axis=1))


def arrays_of_images(
    photos: Sequence[Photo],
    probabilities: Float32,
    features: Float32,
    *,
    thumbnails: bool,
) -> Arrays:
    """Return what is kept of images, of their probabilities (N, classes) and features (N, channels).

    Of more than `NUMBERS` channels the first principal components are kept, and the length of what is left.
    """
    predicted = probabilities.argmax(axis=1)
    names = "\0".join(photo.name.replace("\0", "") for photo in photos)
    arrays: Arrays = {
        "predicted": predicted.astype(np.int32),
        "names": np.frombuffer(names.encode(errors="replace"), np.uint8),
    }
    channel_count = features.shape[1]
    if channel_count > NUMBERS:
        kept_components = channel_count - NUMBERS + 1, channel_count - 1
        products = features.T @ features
        _, arrays["basis"] = scipy.linalg.eigh(
            products, subset_by_index=kept_components
        )
        features = projected(features, arrays["basis"])
    if thumbnails:
        images = (Image.fromarray(photo.pixels) for photo in photos)
        small = [np.asarray(ImageOps.fit(image, (SIDE, SIDE))) for image in images]
        arrays["thumbnails"] = np.stack(small)
    # Half precision changes no distance by more than a thousandth of itself.
    return arrays | {"features": features.astype(np.float16)}


def projected(features: Float32, basis: Array) -> Float32:
    """Return the parts of features, float32 (N, channels), along a basis, and the length of the rest."""
    along = features @ basis
    beside = (features**2).sum(axis=1) - (along**2).sum(axis=1)
    return np.column_stack([along, np.sqrt(np.maximum(beside, 0))])
