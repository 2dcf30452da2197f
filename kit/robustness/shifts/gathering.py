"""Pictures from a folder or a collection; what cannot be read is reported and stops nothing."""

from dataclasses import dataclass

import numpy as np

from kit._arrays import Float64, Int64
from kit._reporting import Progress, Steps
from kit.classifier import Classifier
from kit.classifier.bundle.input_statistics import measured_rows
from kit.images import Photo, Pictures
from kit.images.properties import QUANTITIES
from kit.images.sources import UNREADABLE, at_least_one, each_picture

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
    answers
        int64 (pictures,): index of the class that a classifier answers; empty without one.
    found
        Pictures that there were.
    unreadable
        Name and reason, in the order in which they were given.
    interrupted
        Whether someone stopped it; the rows are a fair sample nevertheless.
    """

    rows: Float64
    photos: tuple[Photo, ...]
    places: tuple[int, ...]
    answers: Int64
    found: int
    unreadable: tuple[tuple[str, str], ...] = ()
    interrupted: bool = False


def gather(
    pictures: Pictures,
    what: str = "photos",
    *,
    classifier: Classifier | None = None,
    progress: Progress = True,
) -> Gathered:
    """Open and measure pictures, in random order, `MOST` of them at most.

    Parameters
    ----------
    pictures
        A folder, a glob pattern, an array, one picture or several: see `kit.images.sources`.
    what
        In words, for the progress bar.
    classifier
        To answer each picture, with the preprocessing in use.
    progress
        As for `kit.shift`.
    """
    found = at_least_one(each_picture(pictures))
    order = np.random.default_rng(_SEED).permutation(len(found))[:MOST].tolist()
    # In one list, so that an interruption leaves nothing half done.
    done: list[tuple[Float64, int, int]] = []
    photos: list[Photo] = []
    unreadable: dict[int, tuple[str, str]] = {}
    pixels = 0
    with Steps(order, f"measuring {what}", "picture", progress, keep=True) as measured:
        for place in measured:
            try:
                photo = found[place].open()
            except UNREADABLE as error:
                unreadable[place] = (found[place].name, str(error))
                continue
            answer = -1 if classifier is None else int(classifier.probabilities([photo])[0].argmax())
            done.append((measured_rows([photo])[0], place, answer))
            pixels += photo.pixels[..., 0].size
            if len(photos) < (KEPT[1] if pixels <= _KEPT_PIXELS else KEPT[0]):
                photos.append(photo)
    table = np.array([row for row, _, _ in done], np.float64).reshape(-1, len(QUANTITIES))
    places = tuple(place for _, place, _ in done)
    answers = np.array([answer for _, _, answer in done if classifier is not None], np.int64)
    told = tuple(unreadable[place] for place in sorted(unreadable))
    return Gathered(table, tuple(photos), places, answers, len(found), told, measured.interrupted)
