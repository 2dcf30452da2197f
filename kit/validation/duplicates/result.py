"""What a search for pictures that show the same has found."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from kit._arrays import Bools, Int64
from kit._reporting import Result, Table
from kit.validation.folds import connected


@dataclass(frozen=True)
class Duplicate:
    """Two pictures that show the same.

    Attributes
    ----------
    first, second
        Places of the pictures: within one collection the lower one first; in two, one in each.
    first_name, second_name
        Their names.
    similarity
        How much of the detail of one the other explains once they lie over each other, 0..1: 1 minus the
        ratio of root mean squares of what differs and of the detail, both band-passed (Gaussians of 1 and 3
        pixels of the thumbnail).
    difference
        What differs, in grey levels: the geometric mean of the root mean square and the largest, after a
        Gaussian of 0.7 pixels, which takes out what JPEG adds.
    change
        What was undone: of "flip", "crop" and "brightness" those that apply, else "re-encoded" where the
        thumbnails differ, as after resizing, and "none" where they do not.
    """

    first: int
    second: int
    first_name: str
    second_name: str
    similarity: float
    difference: float
    change: str


@dataclass(frozen=True, repr=False)
class Duplicates(Result):
    """What `find_duplicates` found.

    Attributes
    ----------
    pairs
        By place.
    sizes
        Number of pictures: one for a collection compared within itself, two for two compared with each other.
    unreadable
        Name of each picture that could not be read, and the reason in one line.
    plain
        Names of pictures with too little contrast to be compared, which were left out.
    complete
        False if the search was interrupted; the pairs found until then are here.
    """

    pairs: tuple[Duplicate, ...]
    sizes: tuple[int, ...]
    unreadable: tuple[tuple[str, str], ...] = ()
    plain: tuple[str, ...] = ()
    complete: bool = True

    @property
    def share(self) -> float:
        """Share of the pictures (of the second collection, if there are two) that have a duplicate, 0..1."""
        if len(self.sizes) == 2:
            return float(self.leaked.mean())
        return len({place for pair in self.pairs for place in (pair.first, pair.second)}) / self.sizes[0]

    @property
    def groups(self) -> Int64:
        """Group of each picture, int64, shape (N,): pictures joined by a chain of pairs share one.

        Numbered from 0 in the order of their first pictures, for `kit.validation.folds`.

        Raises
        ------
        ValueError
            Two collections were compared.
        """
        if len(self.sizes) != 1:
            raise ValueError(
                "Expected one collection to group, received two; call find_duplicates with one argument"
            )
        links = np.array([(pair.first, pair.second) for pair in self.pairs], np.int64).reshape(-1, 2)
        return connected(self.sizes[0], links)

    @property
    def leaked(self) -> Bools:
        """Which pictures of the second collection have a duplicate in the first, bool, shape (N,).

        Raises
        ------
        ValueError
            One collection was compared.
        """
        if len(self.sizes) != 2:
            raise ValueError(
                "Expected two collections, received one; call find_duplicates(training, validation)"
            )
        mask = np.zeros(self.sizes[1], bool)
        mask[[pair.second for pair in self.pairs]] = True
        return mask

    def table(self, rows: int = 20) -> Table:
        """Set the first pairs in a table, one row for each."""
        shown = [
            (one.first_name, one.second_name, f"{one.similarity:.2f}", f"{one.difference:.1f}", one.change)
            for one in self.pairs[:rows]
        ]
        more = f"and {len(self.pairs) - rows} more" if len(self.pairs) > rows else ""
        return Table(("first", "second", "similarity", "difference", "change"), shown, "<<>><", note=more)

    def __repr__(self) -> str:
        among = " and ".join(f"{size:,}" for size in self.sizes)
        kinds = Counter(pair.change for pair in self.pairs)
        ordered = sorted(kinds, key=lambda change: (-kinds[change], change))
        found = ", ".join(f"{kinds[change]} {change}" for change in ordered)
        pairs = "1 pair" if len(self.pairs) == 1 else f"{len(self.pairs):,} pairs"
        parts = [f"{pairs} among {among} pictures" + (f": {found}" if found else "")]
        if self.unreadable:
            parts.append(f"{len(self.unreadable)} unreadable")
        if self.plain:
            parts.append(f"{len(self.plain)} too plain to compare")
        if not self.complete:
            parts.append("interrupted")
        return f"Duplicates({'; '.join(parts)})"
