"""The ways to name pictures, the same everywhere, and the order in which labels belong to them.

- A folder: all pictures in it and in the folders below, sorted by path, without hidden ones. Each is called
  by its path from there, with forward slashes.
- A glob pattern, such as ``"photos/**/*.png"``: likewise, from the last folder before the first wildcard.
- An array or tensor, levels 0..255: (N, H, W, C) or (N, H, W) is a batch; (H, W), (H, W, 1) or (H, W, 3) is
  one picture. Channels come last: (3, H, W) is three grey pictures. Of (batch, labels) the batch is taken.
- One picture, as `kit.load_image` takes it.
- An iterable of pictures, folders and patterns. What has no file name is called by its place, "array 3".
"""

import glob
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, TypeVar

import numpy as np
from PIL import Image

from kit._checking import told
from kit.images.decoding import Decoding
from kit.images.loading import Source, as_array, check_path, is_url, kind_of, opened, own_name, path_text
from kit.images.opening import FORMATS, PhotoError
from kit.images.photo import Photo, as_levels

Pictures: TypeAlias = Source | Iterable[Source]

SUFFIXES = frozenset(suffix for suffix, kind in Image.EXTENSION.items() if kind in FORMATS)
"""By their endings, in either case, pictures are told from the other files of a folder."""

UNREADABLE = (OSError, ValueError)
"""What opening a picture raises where the picture is to blame; a TypeError blames whoever gave it."""

_MOST_CHANNELS = 4
_Any = TypeVar("_Any")
_SINGLE = (str, bytes, bytearray, memoryview, PathLike, Image.Image, np.ndarray, Photo, Mapping)


class Picture(NamedTuple):
    """A picture that is not opened yet, so that a collection of them stays small.

    Attributes
    ----------
    name
        What it is called in tables and messages.
    source
        Where it is, or why there is none.
    """

    name: str
    source: Source | PhotoError

    def open(self, decoding: Decoding | None = None) -> Photo:
        """Open it as `kit.load_image` does, and with what that raises."""
        return opened(self.source, self.name, decoding)


def each_picture(pictures: Pictures) -> Iterator[Picture]:
    """Yield pictures one by one, in order, none of them opened.

    Raises
    ------
    FileNotFoundError
        No such file or folder. A file that is missing in an iterable is found out when it is opened.
    ValueError
        A folder without pictures, a pattern that fits none, or an address on the network.
    """
    pictures = _batch(pictures)
    single = not _is_collection(pictures)
    if single and isinstance(pictures, (str, PathLike)):
        text = path_text(pictures)
        if is_url(text) or not _is_pattern(Path(text)):
            check_path(text)
    given: Any = [pictures] if single else pictures
    for place, (name, source) in enumerate(chain.from_iterable(map(_found, given))):
        yield Picture(told(name) or (kind_of(source) if single else f"{kind_of(source)} {place}"), source)


def as_photos(pictures: Pictures, *, allow_empty: bool = True) -> tuple[Photo, ...]:
    """Open all pictures, none left out, since labels belong to them by place.

    Raises
    ------
    As `each_picture` and `load_image`. Where several cannot be read, one PhotoError names them; a ValueError
    where there are none and one is needed.
    """
    photos: list[Photo] = []
    unreadable: list[tuple[str, Exception]] = []
    for picture in each_picture(pictures):
        try:
            photos.append(picture.open())
        except UNREADABLE as error:
            unreadable.append((picture.name, error))
    if len(unreadable) == 1:
        raise unreadable[0][1]
    if unreadable:
        raise PhotoError(
            f"Expected {len(photos) + len(unreadable)} pictures that can be read, received {len(unreadable)}"
            f" that cannot, {names_of(unreadable)}; the first: {unreadable[0][1]}"
        )
    return tuple(photos) if allow_empty else at_least_one(photos)


def at_least_one(pictures: Iterable[_Any]) -> tuple[_Any, ...]:
    """Return pictures, opened or not, or raise a ValueError where there are none."""
    if not (found := tuple(pictures)):
        raise ValueError("Expected at least one picture, received none")
    return found


def names_of(unreadable: Sequence[tuple[str, Any]]) -> str:
    """Return the names of the first pictures that could not be read, and how many more there are."""
    more = f" and {len(unreadable) - 3} more" if len(unreadable) > 3 else ""
    return ", ".join(name for name, _ in unreadable[:3]) + more


def _batch(pictures: Any) -> Any:
    """Return arrays and tensors as levels, of a batch as `tf.data` gives it without its labels."""
    if isinstance(pictures, (tuple, list)) and len(pictures) == 2:
        images, labels = map(as_array, pictures)
        if getattr(images, "ndim", 0) == 4 and getattr(labels, "shape", ())[:1] == images.shape[:1]:
            pictures = images
    pictures = as_array(pictures)
    return as_levels(pictures) if isinstance(pictures, np.ndarray) else pictures


def _is_collection(pictures: Any) -> bool:
    if isinstance(pictures, np.ndarray):
        return pictures.ndim == 4 or (pictures.ndim == 3 and pictures.shape[2] > _MOST_CHANNELS)
    several = isinstance(pictures, Iterable) and not isinstance(pictures, _SINGLE)
    return several and not hasattr(pictures, "read")


def _is_pattern(path: Path) -> bool:
    # Some roots on Windows have a question mark.
    return any(glob.has_magic(part) for part in path.parts if part != path.anchor)


def _found(source: Any) -> Iterator[tuple[str, Source]]:
    """Yield the source of one picture, or those of a folder or pattern, with its name or an empty one."""
    if isinstance(source, (str, PathLike)) and not is_url(path_text(source)):
        path = Path(source)
        if path.is_dir():
            yield from _files(path, path.rglob("*"))
            return
        if _is_pattern(path) and not path.exists():
            yield from _files(path, map(Path, glob.iglob(str(path), recursive=True)))  # noqa: PTH207 (may be absolute)
            return
    yield own_name(source), source


def _files(given: Path, paths: Iterable[Path]) -> Iterator[tuple[str, str]]:
    folder = next(each for each in (given, *given.parents) if not _is_pattern(each))
    found = {
        (path.relative_to(folder).parts, path)
        for path in paths
        if path.suffix.lower() in SUFFIXES and path.is_file()
    }
    shown = sorted(each for each in found if not any(part.startswith(".") for part in each[0]))
    if not shown:
        raise ValueError(
            f"Expected a folder with pictures or a pattern for some ({', '.join(FORMATS)}), received"
            f" {str(given)!r} without any; look where they are and how their names end"
        )
    for parts, path in shown:
        yield "/".join(parts), str(path)
