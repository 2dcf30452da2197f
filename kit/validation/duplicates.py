"""Images that show the same: near-duplicates within a collection, and leakage between two."""

from dataclasses import dataclass

import numpy as np
import scipy  # its parts are imported when they are used
from PIL import Image, ImageOps

from kit._arrays import Bools, Float32, Int64
from kit._reporting import Progress, Result, Steps, Table
from kit.images import Pictures
from kit.images.photo import UNREADABLE, at_least_one, each_picture

HASH_SIDE = 16
"""The hash has this many bits a side, 256 in all. Of the usual 64 bits, 8 are fewer than what tells one shirt
from the next: 45 % of Fashion-MNIST's test images then have a "copy" among 5,000 training images."""
MOST_DIFFERING_BITS = 24
"""Bits that may differ. Of 20 million pairs of different Fashion-MNIST images two differ by no more, of 780
pairs of the bundled photos none; all of these are found again at JPEG quality 30 or at half the size."""
PLAIN_DEVIATION = 4.0
"""Standard deviation in grey levels below which an image has nothing to be recognized by."""
ROWS = 20
"""Pairs in a table."""
_BLOCK_ROWS = 1000


@dataclass(frozen=True)
class Duplicate:
    """Places and names of two images that show the same, and by how many of 256 bits their hashes differ.

    ``mirrored`` tells whether one is the mirror image of the other, left to right.
    """

    first: int
    second: int
    first_name: str
    second_name: str
    distance: int
    mirrored: bool


@dataclass(frozen=True, repr=False)
class Duplicates(Result):
    """What `find_duplicates` found.

    Attributes
    ----------
    pairs
        By place; within one collection the lower place is the first.
    sizes
        Number of images in each collection.
    left_out
        Names of the images that were left out, and reasons.
    """

    pairs: tuple[Duplicate, ...]
    sizes: tuple[int, ...]
    left_out: tuple[tuple[str, str], ...] = ()

    @property
    def groups(self) -> Int64:
        """Group of each image, int64, shape (N,), for `kit.cross_validate`: chains of pairs share one.

        A ValueError where two collections were compared.
        """
        # A ValueError where two collections were compared.
        (size,) = self.sizes
        linked = scipy.sparse.dok_array((size, size))
        for pair in self.pairs:
            linked[pair.first, pair.second] = 1
        _, groups = scipy.sparse.csgraph.connected_components(linked, directed=False)
        return np.asarray(groups, np.int64)

    @property
    def leaked(self) -> Bools:
        """Which images of the second collection have a duplicate in the first, bool, shape (N,).

        A ValueError where there is no second one.
        """
        # A ValueError where there is only one collection.
        _, second_size = self.sizes
        leaked = np.zeros(second_size, bool)
        leaked[[pair.second for pair in self.pairs]] = True
        return leaked

    def table(self) -> Table:
        """Return the first pairs as a table."""
        rows = []
        for pair in self.pairs[:ROWS]:
            mirrored = "yes" if pair.mirrored else "no"
            rows.append(
                (pair.first_name, pair.second_name, str(pair.distance), mirrored)
            )
        return Table(("first", "second", "bits that differ", "mirrored"), rows, "<<><")

    def __repr__(self) -> str:
        sizes = " and ".join(f"{size:,}" for size in self.sizes)
        left_out = f"; {len(self.left_out)} left out" if self.left_out else ""
        return f"Pairs of near-duplicates: {len(self.pairs):,} among {sizes} images{left_out}"


def find_duplicates(
    pictures: Pictures, others: Pictures | None = None, *, progress: Progress = True
) -> Duplicates:
    """Find images that are near-duplicates, within one collection or between two.

    Compares perceptual hashes (`imagehash.phash`) of each image and of its mirror image. That finds copies
    that were saved again, resized, made brighter or darker, mirrored, or cropped by up to two percent.

    Parameters
    ----------
    pictures
        See `kit.images.photo`; say the training images.
    others
        Another collection, say the validation images. Then only pairs across are looked for.
    progress
        True for a bar; or a function that gets each step as a line of text.

    Raises
    ------
    TypeError, ValueError, FileNotFoundError
        No images, or no such folder. What cannot be read is listed in the result.
    """
    left_out: list[tuple[str, str]] = []
    names, hashes = _names_and_hashes(pictures, left_out, progress)
    collection_sizes = [len(names)]
    other_names = names
    other_hashes = hashes
    if others is not None:
        other_names, other_hashes = _names_and_hashes(others, left_out, progress)
        collection_sizes.append(len(other_names))
    pairs = []
    # In blocks, since the distances of all pairs at once would not fit into memory.
    for start in range(0, len(names), _BLOCK_ROWS):
        block = hashes[0, start : start + _BLOCK_ROWS]
        distances, mirror_distances = (
            _differing_bits(block, bits) for bits in other_hashes
        )
        # NaN, of images that cannot be compared, is no match.
        least_distances = np.fmin(distances, mirror_distances)
        for index_in_block, second in np.argwhere(
            least_distances <= MOST_DIFFERING_BITS
        ).tolist():
            first = start + index_in_block
            # Within one collection each pair comes up twice, and each image with itself.
            if others is not None or first < second:
                duplicate = Duplicate(
                    first=first,
                    second=second,
                    first_name=names[first],
                    second_name=other_names[second],
                    distance=int(least_distances[index_in_block, second]),
                    mirrored=bool(
                        mirror_distances[index_in_block, second]
                        < distances[index_in_block, second]
                    ),
                )
                pairs.append(duplicate)
    return Duplicates(tuple(pairs), tuple(collection_sizes), tuple(left_out))


def _names_and_hashes(
    pictures: Pictures, left_out: list[tuple[str, str]], progress: Progress
) -> tuple[list[str], Float32]:
    """Names, and bits (2, N, 256) of images and of their mirror images; NaN for what cannot be compared."""
    from imagehash import phash

    images = at_least_one(each_picture(pictures))
    # [0] of the images and [1] of their mirror images; NaN stays where one cannot be compared.
    hashes = np.full((2, len(images), HASH_SIDE * HASH_SIDE), np.nan, np.float32)
    for index, picture in enumerate(Steps(images, "Hashing images", "image", progress)):
        try:
            grey = Image.fromarray(picture.open().pixels).convert("L")
        except UNREADABLE as error:
            left_out.append((picture.name, str(error)))
            continue
        # Small first, so that a photo is not resized twice; the hash looks at 64 x 64 pixels.
        grey.thumbnail((256, 256), reducing_gap=None)
        if np.asarray(grey, np.float32).std() < PLAIN_DEVIATION:
            left_out.append((picture.name, "too little contrast to be compared"))
            continue
        hashes[0, index] = phash(grey, HASH_SIDE).hash.reshape(-1)
        hashes[1, index] = phash(ImageOps.mirror(grey), HASH_SIDE).hash.reshape(-1)
    return [picture.name for picture in images], hashes


def _differing_bits(rows: Float32, columns: Float32) -> Float32:
    """Return by how many bits hashes differ, (N, 256) and (M, 256) of 0 and 1: float32 (N, M)."""
    set_in_both = rows @ columns.T
    return np.asarray(rows.sum(axis=1)[:, None] + columns.sum(axis=1) - 2 * set_in_both)
