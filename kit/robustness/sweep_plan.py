"""What a sweep asks: which pictures, under which perturbations, cut into blocks of rows."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import product
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from kit._checking import known
from kit.images import PhotoError, Picture, Pictures
from kit.images.photo import at_least_one, each_picture
from kit.perturbation import Perturbation

Grid: TypeAlias = Mapping[str, Sequence[Any]]

BLOCK_ROWS = 96
"""Rows that are computed, reported and kept together: under a second for a network of usual size."""

_AXES = tuple(field.name for field in fields(Perturbation))


class Block(NamedTuple):
    """A rectangle of pictures and perturbations whose rows lie one after another."""

    pictures: range
    perturbations: range


@dataclass(frozen=True, repr=False)
class Plan:
    """Pictures times perturbations; a row for each pair, picture by picture.

    Parameters
    ----------
    pictures
        What is looked at.
    perturbations
        What is done to each of them.
    axes
        Names and values of which the perturbations are all combinations, the last name changing fastest;
        empty where they are just a list.
    labels
        int32, shape (pictures,): class indices, -1 where none is known.
    """

    pictures: tuple[Picture, ...]
    perturbations: tuple[Perturbation, ...]
    axes: Mapping[str, tuple[Any, ...]]
    labels: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.pictures) * len(self.perturbations)

    def blocks(self) -> Iterator[Block]:
        """Cut the rows into blocks of about `BLOCK_ROWS`: whole pictures, or parts of one picture."""
        pictures, perturbations = len(self.pictures), len(self.perturbations)
        step = max(1, BLOCK_ROWS // perturbations)
        for first in range(0, pictures, step):
            chosen = range(first, min(first + step, pictures))
            for start in range(0, perturbations, BLOCK_ROWS):
                yield Block(chosen, range(start, min(start + BLOCK_ROWS, perturbations)))

    def rows(self, block: Block) -> slice:
        """Return where the rows of a block lie."""
        first = block.pictures.start * len(self.perturbations) + block.perturbations.start
        return slice(first, first + len(block.pictures) * len(block.perturbations))


def expand(
    perturbations: Perturbation | Iterable[Perturbation] | Grid,
) -> tuple[Mapping[str, tuple[Any, ...]], tuple[Perturbation, ...]]:
    """Return the axes of a grid and all its perturbations; no axes for perturbations that are listed.

    Raises
    ------
    TypeError, ValueError
        Neither of these, an unknown parameter (the message names the nearest), no values, or one that the
        parameter does not allow.
    """
    if isinstance(perturbations, Perturbation):
        return MappingProxyType({}), (perturbations,)
    if isinstance(perturbations, Mapping):
        # As the perturbation keeps them: 85.0 as a whole number, -0.0 as 0.0.
        axes = {
            known("parameter", name, _AXES): tuple(
                getattr(Perturbation(**{name: value}), name) for value in _values(name, values)
            )
            for name, values in perturbations.items()
        }
        if not axes:
            raise ValueError("Expected at least one parameter with values, received none")
        combinations = product(*axes.values())
        return MappingProxyType(axes), tuple(
            Perturbation(**dict(zip(axes, values, strict=True))) for values in combinations
        )
    listed = tuple(perturbations) if isinstance(perturbations, Iterable) else (perturbations,)
    for each in listed:
        if not isinstance(each, Perturbation):
            raise TypeError(
                f"Expected perturbations, or a mapping from parameters to values, received {each!r};"
                ' for instance {"brightness": [0.5, 1, 1.5]}'
            )
    if not listed:
        raise ValueError("Expected at least one perturbation, received none")
    return MappingProxyType({}), listed


def _values(name: str, values: Any) -> tuple[Any, ...]:
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise TypeError(f"Expected values of {name} in a sequence, received {values!r}; write [{values!r}]")
    # Plain numbers, which print in one way only.
    listed = tuple(each.item() if isinstance(each, np.generic) else each for each in values)
    if not listed:
        raise ValueError(f"Expected at least one value of {name}, received none")
    return listed


def held(photos: Pictures) -> tuple[Picture, ...]:
    """Return what to look at as workers can have it: a path, the contents of a file, a photo, or an error.

    Files are opened where they are used, and what cannot be read is kept as its error.

    Raises
    ------
    TypeError, ValueError, FileNotFoundError
        As `kit.images.photo.each_picture`; no pictures at all.
    """
    return at_least_one(map(_held, each_picture(photos)))


def _held(picture: Picture) -> Picture:
    source = picture.source
    if isinstance(source, (str, os.PathLike)):
        # Workers may have been started in another folder.
        return picture._replace(source=os.path.abspath(source))  # noqa: PTH100 (of ten thousand, texts are smaller)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return picture._replace(source=bytes(source))
    try:
        return picture._replace(source=picture.open())
    except PhotoError as error:
        return picture._replace(source=error)
