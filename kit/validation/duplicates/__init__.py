"""Pictures that show the same, within a collection or in two: near-duplicates and leakage.

A validation picture whose near-duplicate was trained on measures memory. Pairs are looked for by a search
tree, laid over each other, and kept if what is left between them is small.
"""

from functools import partial

import numpy as np

from kit._arrays import Bools, Float32, Int64, Pixels
from kit._interrupts import cancelling_threads
from kit._reporting import Progress, Steps
from kit.images import Pictures
from kit.validation.duplicates.candidates import candidates
from kit.validation.duplicates.matching import EQUAL, Match, exposed, matches
from kit.validation.duplicates.result import Duplicate, Duplicates
from kit.validation.duplicates.thumbnails import thumbnails

__all__ = ["Duplicate", "Duplicates", "find_duplicates"]

PLAIN = 4.0
"""Standard deviation in grey levels below which a picture has nothing to be recognized by."""
_PART = 1000
"""Pairs that are laid over each other together, in about 60 MB."""


def find_duplicates(
    pictures: Pictures, others: Pictures | None = None, *, progress: Progress = True
) -> Duplicates:
    """Find pictures that show the same within one collection, or in one and another.

    Found are copies that were re-encoded, made brighter or darker (0.5 to 1.5), mirrored left to right, or
    cropped to 80 % of each side and more, and resized. What burns out to white in a brighter copy is lost: of
    the 40 bundled photographs 39 are found at 1.2 and 18 at 1.5. All are compared as grey squares of 28 x 28,
    so small differences in large pictures do not count. 10,000 pictures take up to a minute on two cores.

    Parameters
    ----------
    pictures
        See `kit.images.photo`; say the training pictures.
    others
        Another one, say the validation pictures. Then only pairs across are looked for.
    progress
        True for bars where it takes over two seconds; or a function that is told each step in a line.

    Returns
    -------
    Duplicates
        An interruption once the first thousand pairs are compared returns those that were found before,
        with ``complete=False``.

    Raises
    ------
    TypeError, ValueError, FileNotFoundError
        No pictures, or no such folder. What cannot be read is listed in the result.
    """
    collections = [thumbnails(each, progress=progress) for each in (pictures, others) if each is not None]
    sizes = tuple(len(each.names) for each in collections)
    pixels = np.concatenate([each.pixels for each in collections])
    names = [name for each in collections for name in each.names]
    in_first = np.arange(len(pixels)) < sizes[0]
    varied = pixels.reshape(len(pixels), -1).std(axis=1) >= PLAIN
    unreadable = np.array(
        [place in each.unreadable for each in collections for place in range(len(each.names))]
    )
    places = np.flatnonzero(varied & ~unreadable)
    # Equal pictures stand for each other in the search; else a crowd of them would fill a neighbourhood.
    originals = _originals(pixels, places)
    searched = places[(originals == places) | ~in_first[places]]
    pairs, complete = _pairs(
        pixels[searched].astype(np.float32), None if others is None else in_first[searched], progress
    )
    found = {(int(searched[one]), int(searched[two])): match for (one, two), match in pairs.items()}
    if others is None:
        copied = originals != places
        equal = zip(originals[copied].tolist(), places[copied].tolist(), strict=True)
        found |= dict.fromkeys(equal, EQUAL)
    shift = 0 if others is None else sizes[0]
    return Duplicates(
        tuple(
            Duplicate(one, two - shift, names[one], names[two], *match)
            for (one, two), match in sorted(found.items())
        ),
        sizes,
        tuple((each.names[place], why) for each in collections for place, why in each.unreadable.items()),
        tuple(names[place] for place in np.flatnonzero(~varied & ~unreadable)),
        complete,
    )


def _originals(pixels: Pixels, places: Int64) -> Int64:
    """Return the first of the places whose pictures are equal, for each place."""
    # Not by np.unique: where it compares rows, it makes a TypeError of an interrupt.
    first: dict[bytes, int] = {}
    return np.array([first.setdefault(pixels[each].tobytes(), each) for each in places.tolist()], np.int64)


def _pairs(
    pictures: Float32, in_first: Bools | None, progress: Progress
) -> tuple[dict[tuple[int, int], Match], bool]:
    """Return the pairs, lower place first, and whether none is left to be looked at."""
    pairs: dict[tuple[int, int], Match] = {}
    one_sided = in_first is not None and len(np.unique(in_first)) < 2
    if len(pictures) < 2 or one_sided:
        return pairs, True
    waiting = exposed(candidates(pictures, in_first, progress=progress), pictures)
    parts = [waiting.part(start, start + _PART) for start in range(0, len(waiting.first), _PART)]
    # Two, since numpy lets go of the interpreter; more would only wait for memory.
    with cancelling_threads(2) as pool:
        done = pool.map(partial(matches, pictures), parts)
        with Steps(done, "Comparing", " thousand pairs", progress, total=len(parts), keep=True) as compared:
            for part in compared:
                for one, two, match in part:
                    pairs[min(one, two), max(one, two)] = match
    return pairs, not compared.interrupted
