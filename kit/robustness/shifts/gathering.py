"""Pictures from a folder or a collection; what cannot be read is reported and stops nothing."""

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kit._reporting import Progress, Steps
from kit.classifier.bundle.input_statistics import measured_rows
from kit.images import Photo, Source, as_photos, load_image
from kit.images.properties import QUANTITIES

Vector = npt.NDArray[np.float64]

MOST = 1000
"""Pictures that are measured at most; of more, as many at random."""

KEPT = (64, 256)
"""Pictures, large and small ones, that are kept for asking the classifier."""

_KEPT_PIXELS = 1 << 22

_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"})
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
        File name, or position, and the reason.
    interrupted
        Whether someone stopped it; the rows are a fair sample nevertheless.
    """

    rows: Vector
    photos: tuple[Photo, ...]
    places: tuple[int, ...]
    found: int
    unreadable: tuple[tuple[str, str], ...] = ()
    interrupted: bool = False


def sources(pictures: Source | Iterable[Source]) -> tuple[Source, ...]:
    """Return the pictures one by one, not opened; those of a folder and the folders in it, by name.

    Raises
    ------
    ValueError
        A folder without pictures.
    """
    if isinstance(pictures, (str, PathLike)) and Path(pictures).is_dir():
        files = sorted(path for path in Path(pictures).rglob("*") if path.suffix.lower() in _SUFFIXES)
        if not files:
            raise ValueError(
                f"Expected a folder with pictures, received {Path(pictures).name!r} with none;"
                f" their names end in {', '.join(sorted(_SUFFIXES))}"
            )
        return tuple(files)
    if isinstance(pictures, (list, tuple, Generator)):
        return tuple(pictures)
    return as_photos(pictures)


def gather(
    pictures: Source | Iterable[Source], what: str = "photos", *, progress: Progress = True
) -> Gathered:
    """Open and measure pictures, in random order, `MOST` of them at most.

    Parameters
    ----------
    pictures
        A folder, or what `kit.load_image` takes, once or many times.
    what
        In words, for the progress bar.
    progress
        As for `kit.shift`.
    """
    listed = sources(pictures)
    order = np.random.default_rng(_SEED).permutation(len(listed))[:MOST].tolist()
    rows: list[Vector] = []
    photos: list[Photo] = []
    places: list[int] = []
    unreadable: list[tuple[str, str]] = []
    pixels = 0
    with Steps(order, f"measuring {what}", "picture", progress, keep=True) as measured:
        for place in measured:
            try:
                photo = load_image(listed[place])
            except (OSError, ValueError) as error:
                unreadable.append((_name(listed[place], place), str(error)))
                continue
            rows.append(measured_rows([photo])[0])
            places.append(place)
            pixels += photo.pixels[..., 0].size
            if len(photos) < (KEPT[1] if pixels <= _KEPT_PIXELS else KEPT[0]):
                photos.append(photo)
    table = np.array(rows, np.float64).reshape(-1, len(QUANTITIES))
    return Gathered(table, tuple(photos), tuple(places), len(listed), tuple(unreadable), measured.interrupted)


def _name(source: Any, place: int) -> str:
    return Path(source).name if isinstance(source, (str, PathLike)) else f"number {place + 1}"
