"""A decoded image and where it came from; loading one or many."""

import glob
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from itertools import chain
from os import PathLike, fsdecode
from pathlib import Path, PureWindowsPath
from threading import Lock
from typing import IO, TYPE_CHECKING, Any, NamedTuple, Self, TypeAlias, TypeVar
from weakref import WeakKeyDictionary

import numpy as np
from PIL import Image

from kit._arrays import Array, Pixels
from kit._checking import no_attribute, printable
from kit.images.opening import (
    FORMATS,
    Decoding,
    PhotoError,
    as_levels,
    check_pixel_count,
    copied,
    decoded,
    describe,
)


@dataclass(frozen=True, eq=False)
class Photo:
    """One image as RGB, and what was done to get it; equal only to itself.

    Parameters
    ----------
    pixels
        uint8, shape (H, W, 3), RGB, 0..255, read-only and C-contiguous. A writeable array is copied. Those of
        a file are decoded again when they are asked for, once other photos took their place in memory.
    name
        File name, never a whole path: of images in a folder, the path below it.
    decoding, notes
        How the source was turned into RGB, and in words, what was done to it, in order.
    remake
        Decodes the source again, in another way. ``None`` where there is nothing to decode.

    Attributes
    ----------
    size
        Height and width in pixels.

    Raises
    ------
    TypeError, ValueError
        ``pixels`` of another dtype or shape.
    """

    pixels: Pixels
    name: str = "array"
    decoding: Decoding = field(default_factory=Decoding)
    notes: tuple[str, ...] = ()
    remake: Callable[[Decoding], "Photo"] | None = None
    size: tuple[int, int] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", printable(self.name))
        pixels = self.pixels
        if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8:
            raise TypeError(
                "Expected a uint8 array with values 0..255, received "
                f"{describe(pixels)}; scale it to 0..255, round and cast it to uint8, or call predict_tensors"
            )
        if pixels.ndim != 3 or pixels.shape[2] != 3:
            raise ValueError(
                "Expected shape (H, W, 3), or in from_array (H, W), received "
                f"{pixels.shape}; move channels last, and pass alpha as PIL.Image.fromarray(array)"
            )
        if pixels.flags.writeable or not pixels.flags.c_contiguous:
            pixels = pixels.copy(order="C")
            pixels.flags.writeable = False
            object.__setattr__(self, "pixels", pixels)
        object.__setattr__(self, "size", pixels.shape[:2])

    if not TYPE_CHECKING:  # for which every other name would be one of these, too

        def __getattr__(self, name: str) -> Pixels:
            """Decode the pixels of a file again."""
            if name != "pixels" or not isinstance(self.remake, Encoded):
                no_attribute(self, name)
            pixels, _ = decoded(self.remake.contents(), self.name, self.decoding)
            _keep(self, pixels)
            return pixels

    @classmethod
    def from_array(cls, array: Array, name: str = "array") -> Self:
        """Copy an array into a photo.

        Parameters
        ----------
        array
            uint8, or whole numbers 0..255 of another type (see `as_levels`); shape (H, W, 3) in RGB order, or
            (H, W) or (H, W, 1) in grey.
        name
            Name to show.

        Raises
        ------
        TypeError, ValueError
            Other numbers, another shape, no pixels, or more than `MAX_PIXELS`.
        """
        levels = as_levels(array)
        grey = levels.ndim == 2 or levels.shape[2:] == (1,)
        pixels = (
            np.repeat(levels.reshape(*levels.shape[:2], 1), 3, axis=-1)
            if grey
            else levels.copy()
        )
        photo = cls(
            pixels,
            file_name(name),
            notes=("greyscale converted to RGB",) if grey else (),
        )
        check_pixel_count(*photo.size[::-1], name)
        return photo

    @property
    def file(self) -> bytes | None:
        """Contents of the file that it was decoded from; None where there is none, and once perturbed."""
        data = self.remake.contents() if isinstance(self.remake, Encoded) else None
        return data if isinstance(data, bytes) else None

    def decoded(self, decoding: Decoding) -> "Photo":
        """Return this photo decoded in another way (or a PhotoError); itself where that changes nothing."""
        if decoding == self.decoding or self.remake is None:
            return self
        return self.remake(decoding)

    def altered(self, pixels: Pixels, *notes: str) -> "Photo":
        """Return a photo of other pixels, uint8 (H, W, 3), that were made of these."""
        return Photo(pixels, self.name, self.decoding, (*self.notes, *notes))

    def __repr__(self) -> str:
        size = "×".join(map(str, self.size))
        return f"Photo({', '.join([repr(self.name), size, *map(repr, self.notes)])})"

    def __reduce__(self) -> tuple[Any, ...]:
        # An unpickled array is writeable; going through the constructor freezes it again.
        return Photo, (self.pixels, self.name, self.decoding, self.notes, self.remake)

    def _repr_png_(self) -> bytes:
        """Return a PNG for notebooks, at most 512 pixels a side so that notebooks stay small."""
        image = Image.fromarray(self.pixels)
        image.thumbnail((512, 512))
        return encoded(image)


def encoded(picture: Pixels | Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """Return the bytes of an image file; `options` are those of Pillow for that kind."""
    file = BytesIO()
    image = Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture
    image.save(file, kind, **options)
    return file.getvalue()


PIXEL_BYTES = 400_000_000
"""Upper bound of the pixels that photos of files keep, all together; more than those of `MAX_PIXELS`."""


_recent: WeakKeyDictionary[Photo, int] = WeakKeyDictionary()
_lock = Lock()


def _keep(photo: Photo, pixels: Pixels) -> None:
    """Let a photo have its pixels, and take them from those beyond `PIXEL_BYTES` that were decoded first."""
    with _lock:
        vars(photo)["pixels"] = pixels
        _recent[photo] = pixels.nbytes
        while sum(_recent.values()) > PIXEL_BYTES:
            oldest = next(iter(_recent))
            del _recent[oldest], vars(oldest)["pixels"]


def _digest(data: Any) -> str:
    return hashlib.sha256(data).hexdigest()


@dataclass(frozen=True, eq=False)
class Encoded:
    """What a photo is decoded from.

    `source` is the contents of a file, the path of one that stays there, whose SHA-256 is `digest`, or a
    Pillow image that nobody else changes.
    """

    source: bytes | Path | Image.Image
    name: str
    digest: str = ""

    def contents(self) -> bytes | Image.Image:
        """Return the contents of the file; a PhotoError where it is another one than before."""
        if not isinstance(self.source, Path):
            return self.source
        data = _read(self.source)
        if _digest(data) != self.digest:
            raise PhotoError(
                f"Expected {self.name!r} as it was, received a file that has changed; open it again"
            )
        return data

    def __call__(self, decoding: Decoding) -> Photo:
        """Decode it."""
        pixels, notes = decoded(self.contents(), self.name, decoding)
        photo = Photo(pixels, self.name, decoding, notes, self)
        _keep(photo, photo.pixels)
        return photo

    def __reduce__(self) -> tuple[Any, ...]:
        # Another machine has other files.
        return Encoded, (self.contents(), self.name)


def file_name(name: str) -> str:
    """Return the last part of a path of any system."""
    return PureWindowsPath(name).name or "image"


MAX_BYTES = 1 << 30
"""Largest file that is read, in bytes."""

Source: TypeAlias = (
    str
    | PathLike[str]
    | bytes
    | bytearray
    | memoryview
    | IO[bytes]
    | Image.Image
    | Array
    | Photo
)
"""One image."""


def load_image(
    source: Source, *, name: str | None = None, decoding: Decoding | None = None
) -> Photo:
    """Open an image and convert it to RGB, reporting every conversion in `Photo.notes`.

    Parameters
    ----------
    source
        Path, contents of a file, binary file object, Pillow image, photo, or array or tensor (see
        `Photo.from_array`). A file is read into memory, and not needed afterwards.
    name
        Name to show instead of the file name.
    decoding
        How to treat orientation, alpha and 16 bits; default ``Decoding()``, or that of the photo given.

    Raises
    ------
    PhotoError
        Another format than `FORMATS`, above `MAX_PIXELS`, truncated or damaged, or values without a meaning
        in 8 bits.
    FileNotFoundError, IsADirectoryError, ValueError
        No file there, but a URL, say.
    TypeError
        Another kind of object.
    """
    shown_name = file_name(name) if name else name_of(as_array(source))
    if path_text(source):
        source = _read(source)
    return opened(source, shown_name, decoding)


def opened(source: Any, name: str, decoding: Decoding | None = None) -> Photo:
    """Open an image under a name that may be a path; a photo keeps its own, and a file stays on disk."""
    source = as_array(source)
    if isinstance(source, Photo):
        return source if decoding is None else source.decoded(decoding)
    if isinstance(source, np.ndarray):
        return Photo.from_array(source, name)
    data = copied(source, name) if isinstance(source, Image.Image) else _read(source)
    encoded_image = Encoded(data, name)
    if text := path_text(source):
        encoded_image = Encoded(Path(text).absolute(), name, _digest(data))
    return encoded_image(decoding or Decoding())


def as_array(source: Any) -> Any:
    """Return a tensor of any library as an array, and everything else as it is."""
    return (
        np.asarray(source)
        if hasattr(type(source), "__array__") and hasattr(source, "shape")
        else source
    )


def path_text(source: Any) -> str:
    """Return the path that a source is; empty for another one."""
    return fsdecode(source) if isinstance(source, (str, PathLike)) else ""


def name_of(source: Any, place: int | None = None) -> str:
    """Return the file name that an image brings along, else its kind and its place among several."""
    if isinstance(source, Photo):
        return source.name
    if text := path_text(source):
        return file_name(text)
    path = getattr(source, "filename", getattr(source, "name", None))
    if isinstance(path, str) and path:  # a file descriptor's name is a number
        return file_name(path)
    kind = "array" if isinstance(source, np.ndarray) else "image"
    return kind if place is None else f"{kind} {place}"


def _read(source: Any) -> bytes:
    if isinstance(source, (str, PathLike)):
        text = path_text(source)
        path = Path(text)
        check_path(text)
        if path.is_dir():
            raise IsADirectoryError(
                f"Expected an image file, received the folder {text!r}; pass a file in it"
            )
        if not path.is_file() or path.stat().st_size > MAX_BYTES:
            raise ValueError(
                f"Expected an image file of at most {MAX_BYTES} bytes, received {text!r}"
            )
        return path.read_bytes()
    if hasattr(source, "read"):
        if getattr(source, "seekable", bool)():
            source.seek(0)
        source = source.read()
    if not isinstance(source, (bytes, bytearray, memoryview)):
        raise TypeError(
            "Expected a path, bytes, a binary file, a Pillow image, an array or a Photo"
            f", received {describe(source)}; pass one of these"
        )
    return bytes(source)


def check_path(text: str) -> None:
    """Raise a ValueError for an address, and a FileNotFoundError where there is neither file nor folder."""
    if is_url(text):
        raise ValueError(
            f"Expected a local file, received the URL {text[:200]!r}; save the image first"
        )
    if not text or not Path(text).exists():
        raise FileNotFoundError(
            f"Expected an existing image file, received {text!r}; check the path"
        )


def is_url(text: str) -> bool:
    """Tell whether a text is an address and no path; a single letter before the colon is a drive."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]+://|data:", text) is not None


Pictures: TypeAlias = Source | Iterable[Source]

SUFFIXES = frozenset(
    suffix for suffix, kind in Image.EXTENSION.items() if kind in FORMATS
) | {".heic", ".heif", ".avif"}
"""By their endings, in either case, images are distinguished from other files of a folder.

A phone's HEIC and AVIF are among them, to be refused by name instead of left out in silence.
"""

UNREADABLE = (OSError, ValueError)
"""What opening an image raises where the image is to blame; a TypeError blames whoever gave it."""

_T = TypeVar("_T")
_SINGLE = (
    str,
    bytes,
    bytearray,
    memoryview,
    PathLike,
    Image.Image,
    np.ndarray,
    Photo,
    Mapping,
)


class Picture(NamedTuple):
    """An image that is not opened yet: what it is called, and where it is."""

    name: str
    source: Source

    def open(self, decoding: Decoding | None = None) -> Photo:
        """Open it as `kit.load_image` does, and with what that raises."""
        return opened(self.source, self.name, decoding)


def each_picture(pictures: Pictures) -> Iterator[Picture]:
    """Yield images one by one, in order, none of them opened.

    FileNotFoundError or ValueError for no such file or folder, no images in it or for a pattern, or an
    address on the network. A file that is missing in an iterable is found out when it is opened.
    """
    pictures = as_array(pictures)
    if isinstance(pictures, np.ndarray):
        # A column of a table has paths.
        is_text = pictures.dtype.kind in "OU"
        pictures = pictures.tolist() if is_text else as_levels(pictures)
    single = not _are_several(pictures)
    if single and not isinstance(pictures, _SINGLE) and not hasattr(pictures, "read"):
        _read(pictures)  # which says what it takes
    text = path_text(pictures)
    if text and not _is_pattern(text):
        check_path(text)
    sources: Any = [pictures] if single else pictures
    named_sources = chain.from_iterable(map(_sources_in, sources))
    for place, (name, source) in enumerate(named_sources):
        yield Picture(
            printable(name or name_of(source, None if single else place)), source
        )


def as_photos(pictures: Pictures) -> tuple[Photo, ...]:
    """Open all images, none left out, since labels belong to them by place.

    Files stay where they are and must not change: they are read again when their pixels are asked for. Raises
    what `each_picture` and `load_image` do, and a ValueError where there are none.
    """
    return at_least_one(picture.open() for picture in each_picture(pictures))


def at_least_one(pictures: Iterable[_T]) -> tuple[_T, ...]:
    """Return images, opened or not, or raise a ValueError where there are none."""
    if not (listed := tuple(pictures)):
        raise ValueError("Expected at least one image, received none")
    return listed


Reasons: TypeAlias = tuple[tuple[str, str], ...]
"""Names of images that were left out, each with the reason."""


def names_of(named: Sequence[tuple[str, Any]]) -> str:
    """Return the first names, as of images that could not be read, and how many more there are."""
    more = f" and {len(named) - 3} more" if len(named) > 3 else ""
    return ", ".join(name for name, _ in named[:3]) + more


LARGEST_GREY_SIDE = 64
"""Up to which an array (3, H, W) is three grey images, as of MNIST, and no image with channels first."""


def _are_several(pictures: Any) -> bool:
    if isinstance(pictures, np.ndarray):
        sides = pictures.shape[1:]
        if pictures.ndim == len(pictures) == 3 and min(sides) > LARGEST_GREY_SIDE:
            raise ValueError(
                f"Expected (H, W, 3) or (N, H, W, 1 or 3), received {pictures.shape}, one image with channels"
                " first or three grey ones; array.transpose(1, 2, 0) for one, array[..., None] for three"
            )
        return pictures.ndim == 4 or (pictures.ndim == 3 and pictures.shape[2] > 4)
    is_list = isinstance(pictures, Iterable) and not isinstance(pictures, _SINGLE)
    return is_list and not hasattr(pictures, "read")


def _is_pattern(text: str) -> bool:
    return glob.has_magic(text) and not is_url(text) and not Path(text).exists()


def _sources_in(source: Any) -> Iterator[tuple[str, Source]]:
    """Yield the source of one image, or those of a folder or pattern, with its name or an empty one."""
    text = path_text(source)
    if text and _is_pattern(text):
        yield from _named_files(Path(text), map(Path, glob.iglob(text, recursive=True)))  # noqa: PTH207 (may be absolute)
    elif text and Path(text).is_dir():
        yield from _named_files(Path(text), Path(text).rglob("*"))
    else:
        yield "", source


def _named_files(place: Path, paths: Iterable[Path]) -> Iterator[tuple[str, str]]:
    folder = next(each for each in (place, *place.parents) if each.is_dir())
    # A set, since a pattern may meet a file twice.
    images = {
        (path.relative_to(folder).parts, str(path))
        for path in paths
        if path.suffix.lower() in SUFFIXES and path.is_file()
    }
    named = [
        ("/".join(parts), path)
        for parts, path in sorted(images)
        if not any(part.startswith(".") for part in parts)
    ]
    if not named:
        raise ValueError(
            f"Expected a folder or pattern with images in it ({', '.join(FORMATS)})"
            f", received {str(place)!r}; look there"
        )
    yield from named
