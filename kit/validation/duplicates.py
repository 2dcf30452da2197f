"""Images that show the same: near-duplicates within a collection, and leakage between two."""

from dataclasses import dataclass

import numpy as np
import scipy  # its parts are imported when they are used
from PIL import Image, ImageOps

from kit._arrays import Bools, Float32, Int64
from kit._reporting import Progress, Result, Steps, Table
from kit.images.photo import UNREADABLE, Pictures, Reasons, at_least_one, each_picture

HASH_SIDE = 16
"""The hash has this many bits a side, 256 in all. Of the usual 64 bits, 8 are fewer than what tells one shirt
from the next: 45 % of Fashion-MNIST's test images then have a "copy" among 5,000 training images."""
MOST_DIFFERING_BITS = 24
"""Bits that may differ. Of 20 million pairs of different Fashion-MNIST images two differ by no more, of 780
pairs of the bundled photos none; all of these are found again at JPEG quality 30 or at half the size."""
PLAIN_DEVIATION = 4.0
"""Standard deviation in grey levels below which an image has nothing to be recognized by."""
SHOWN_PAIRS = 20
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


@dataclass(frozen=True)
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
    left_out: Reasons = ()

    @property
    def groups(self) -> Int64:
        """Group of each image, int64, shape (N,), for `kit.cross_validate`: chains of pairs share one.

        A ValueError where two collections were compared.
        """
        if len(self.sizes) > 1:
            raise ValueError(
                "Expected the duplicates in one collection, received those of two; see `leaked`"
            )
        (image_count,) = self.sizes
        linked = scipy.sparse.dok_array((image_count, image_count))
        for pair in self.pairs:
            linked[pair.first, pair.second] = 1
        _, groups = scipy.sparse.csgraph.connected_components(linked, directed=False)
        return np.asarray(groups, np.int64)

    @property
    def leaked(self) -> Bools:
        """Which images of the second collection have a duplicate in the first, bool, shape (N,).

        Those in `left_out` were not compared, so they have none. A ValueError where there is no second one.
        """
        if len(self.sizes) == 1:
            raise ValueError(
                "Expected the duplicates of two collections, received those in one; see `groups`"
            )
        _, second_size = self.sizes
        return np.isin(np.arange(second_size), [pair.second for pair in self.pairs])

    def table(self) -> Table:
        """Return the first pairs, in the order of the images, as a table."""
        # The pairs are in the order of the images, not of their distance.
        rows = [
            (
                pair.first_name,
                pair.second_name,
                str(pair.distance),
                "yes" if pair.mirrored else "no",
            )
            for pair in self.pairs[:SHOWN_PAIRS]
        ]
        return Table(
            ("first", "second", "bits that differ", "mirrored"), rows, align="<<><"
        )

    def __repr__(self) -> str:
        sizes = " and ".join(f"{size:,}" for size in self.sizes)
        left_out = f"; {len(self.left_out)} left out" if self.left_out else ""
        return f"Pairs of near-duplicates: {len(self.pairs):,} among {sizes} images{left_out}"


def find_duplicates(
    pictures: Pictures, others: Pictures | None = None, *, progress: Progress = True
) -> Duplicates:
    """Find images that are near-duplicates, within one collection or between two.

    Compares perceptual hashes (`imagehash.phash`) of each image and of its mirror image. That finds copies
    that were saved again, resized, made brighter or darker, mirrored, or cropped by one percent; not all, and
    of small images fewer: of 48 pixels a side 7 in 10 at JPEG quality 75, 2 in 10 at 30.

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
    # Names and reasons, which `_names_and_hashes` adds: unreadable, or too plain to be compared. What is left
    # out keeps its place among the hashes, with one of 0s, which is near to none.
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
        # The axes of hashes: not mirrored (0) or mirrored (1), image, bit.
        # One side is not mirrored, and is compared with the others both ways.
        block_hashes = hashes[0, start : start + _BLOCK_ROWS]
        # Of 1 and -1, as many more products are 1 than -1 as bits agree more than they differ.
        products = block_hashes @ other_hashes.swapaxes(1, 2)
        distances = (HASH_SIDE**2 - products) / 2
        near_pairs = np.argwhere(distances.min(axis=0) <= MOST_DIFFERING_BITS)
        for index_in_block, second in near_pairs.tolist():
            first = start + index_in_block
            # Within one collection each pair comes up twice, and each image with itself.
            if others is not None or first < second:
                upright, mirrored = distances[:, index_in_block, second].tolist()
                pairs.append(
                    Duplicate(
                        first=first,
                        second=second,
                        first_name=names[first],
                        second_name=other_names[second],
                        distance=int(min(upright, mirrored)),
                        mirrored=mirrored < upright,
                    )
                )
    return Duplicates(tuple(pairs), tuple(collection_sizes), tuple(left_out))


def _names_and_hashes(
    pictures: Pictures, left_out: list[tuple[str, str]], progress: Progress
) -> tuple[list[str], Float32]:
    """Names, and bits (2, N, 256), 1 or -1, of images and of their mirror images.

    Those of what cannot be compared are 0, half-way to every other.
    """
    from imagehash import phash

    images = at_least_one(each_picture(pictures))
    # Of images and of their mirror images. What is left out stays 0, half-way to all others: in no pair.
    hashes = np.zeros((2, len(images), HASH_SIDE**2), np.float32)
    for index, picture in enumerate(Steps(images, "Hashing images", progress)):
        try:
            grey = Image.fromarray(picture.open().pixels).convert("L")
        except UNREADABLE as error:
            left_out.append((picture.name, str(error)))
            continue
        # Made small once, not by each of the two hashes; a hash looks at 64 x 64 pixels.
        grey.thumbnail((256, 256), reducing_gap=None)
        if np.asarray(grey, np.float32).std() < PLAIN_DEVIATION:
            left_out.append((picture.name, "too little contrast to be compared"))
            continue
        for view_index, view in enumerate((grey, ImageOps.mirror(grey))):
            hashes[view_index, index] = np.where(
                phash(view, HASH_SIDE).hash, 1, -1
            ).ravel()
    return [picture.name for picture in images], hashes
