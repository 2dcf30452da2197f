"""Pictures from a folder or a collection; what cannot be read is reported and stops nothing."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kit.classifier.bundle.input_statistics import measured_rows
from kit.images import Photo, Pictures
from kit.images.properties import QUANTITIES
from kit.images.sources import UNREADABLE, at_least_one, each_picture

Vector = npt.NDArray[np.float64]

MOST = 1000
"""Pictures that are measured at most; of more, as many at random."""

KEPT = (64, 256)
"""Pictures, large and small ones, that are kept for asking the classifier."""

_KEPT_PIXELS = 1 << 22

_SEED = 0


@dataclass(frozen=True, eq=False, repr=False)
class Gathered:
    """Measures of pictures, and some of the pictures.

    Attributes
    ----------
    rows
        float64 (pictures, quantities), in the order of `kit.images.properties.QUANTITIES`.
    photos
        The first of them, `KEPT` at most.
    places
        Position of each row in what was given.
    found
        Pictures that there were.
    unreadable
        Name and reason.
    interrupted
        Whether someone stopped it; the rows are a fair sample nevertheless.
    """

    rows: Vector
    photos: tuple[Photo, ...]
    places: tuple[int, ...]
    found: int
    unreadable: tuple[tuple[str, str], ...] = ()
    interrupted: bool = False


def gather(pictures: Pictures, what: str = "photos", *, progress: bool = True) -> Gathered:
    """Open and measure pictures, in random order, `MOST` of them at most.

    Parameters
    ----------
    pictures
        A folder, a glob pattern, an array, one picture or several: see `kit.images.sources`.
    what
        In words, for the progress bar.
    progress
        Whether to show one where it takes over two seconds.
    """
    found = at_least_one(each_picture(pictures))
    order = np.random.default_rng(_SEED).permutation(len(found))[:MOST].tolist()
    rows: list[Vector] = []
    photos: list[Photo] = []
    places: list[int] = []
    unreadable: list[tuple[str, str]] = []
    pixels = 0
    interrupted = False
    try:
        for place in _progress(order, what, shown=progress):
            try:
                photo = found[place].open()
            except UNREADABLE as error:
                unreadable.append((found[place].name, str(error)))
                continue
            rows.append(measured_rows([photo])[0])
            places.append(place)
            pixels += photo.pixels[..., 0].size
            if len(photos) < (KEPT[1] if pixels <= _KEPT_PIXELS else KEPT[0]):
                photos.append(photo)
    except KeyboardInterrupt:
        interrupted = True
    table = np.array(rows, np.float64).reshape(-1, len(QUANTITIES))
    return Gathered(table, tuple(photos), tuple(places), len(found), tuple(unreadable), interrupted)


def _progress(order: list[int], what: str, *, shown: bool) -> Iterator[int]:
    from tqdm.auto import tqdm  # noqa: PLC0415 (slow to import)

    # Nothing is shown where it takes less than two seconds.
    bar: Any = tqdm(order, desc=f"measuring {what}", unit="picture", delay=2, disable=not shown, leave=False)
    yield from bar
