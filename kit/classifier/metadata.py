"""What ``.tflite`` and ``.onnx`` files say of their classes and pixels, read without what runs them."""

import ast
import struct
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, Self

from kit.preprocessing.scaling import Scaling

MOST_TEXT = 1 << 22
"""Bytes of a list of class names."""
_MOST = 1 << 17
About = tuple[tuple[str, ...] | None, Scaling | None]
"""Class names, and how levels 0..255 are scaled; None where a file does not say."""
_DAMAGE = (struct.error, LookupError, ValueError, TypeError, SyntaxError, RecursionError, MemoryError)


class Table(NamedTuple):
    """A table of a FlatBuffer, with its fields by their number in the schema.

    Nothing outside of the buffer is read: struct.error or LookupError for what leads there, or is left out.
    """

    data: bytes
    place: int = 0

    def follow(self, place: int = 0) -> Self:
        """Return the table that an offset leads to."""
        return self._replace(place=place + self._read("I", place))

    def _read(self, kind: str, place: int) -> int:
        if place < 0:
            raise LookupError
        return int(struct.unpack_from(f"<{kind}", self.data, place)[0])

    def field(self, number: int) -> int:
        """Return where a field is."""
        fields, at = self.place - self._read("i", self.place), 4 + 2 * number
        offset = self._read("H", fields + at) if at < self._read("H", fields) else 0
        if not offset:
            raise LookupError
        return self.place + offset

    def number(self, number: int, kind: str) -> int:
        """Return a number, 0 where it is left out."""
        with suppress(LookupError):
            return self._read(kind, self.field(number))
        return 0

    def values(self, number: int, kind: str = "s") -> Any:
        """Return a list of numbers, or bytes."""
        place = self.follow(self.field(number)).place
        count = self._read("I", place)
        if kind != "s" and count > _MOST:
            raise LookupError
        found = struct.unpack_from(f"<{count}{kind}", self.data, place + 4)
        return found[0] if kind == "s" else found

    def tables(self, number: int) -> list[Self]:
        """Return a list of tables."""
        start = self.follow(self.field(number)).place + 4
        return [self.follow(start + 4 * place) for place in range(len(self.values(number, "I")))]


def lite_about(network: bytes, files: Mapping[str, bytes]) -> About:
    """Read TFLite Metadata; the numbers are of LiteRT's schema and of TFLite Support's metadata_schema.fbs.

    ``files`` are those that the ``.tflite`` file carries, by name.
    """
    names = scaling = None
    with suppress(*_DAMAGE):
        model = Table(network).follow()
        (place,) = (each.number(1, "I") for each in model.tables(6) if each.values(0) == b"TFLITE_METADATA")
        (graph,) = Table(model.tables(4)[place].values(0)).follow().tables(3)
        with suppress(*_DAMAGE):
            (output,) = graph.tables(3)
            lists = (each.values(0).decode() for each in output.tables(6) if each.number(2, "b") == 2)
            names = listed(files[next(lists, "")])
        (given,) = graph.tables(2)
        units = (unit for unit in given.tables(4) if unit.number(0, "B") == 1)
        for options in (unit.follow(unit.field(1)) for unit in units):
            scaling = Scaling(1.0, *(_one(options.values(part, "f")) for part in (0, 1)))
    return names, scaling


def _one(values: tuple[float, ...]) -> Any:
    return values if len(values) > 1 else values[0]


def listed(content: bytes) -> tuple[str, ...] | None:
    """Return the class names in a text, one a line; None for what is no such text."""
    with suppress(UnicodeDecodeError):
        return tuple(line.strip() for line in content.decode("utf-8-sig").strip().splitlines()) or None
    return None


def onnx_about(content: bytes) -> About:
    """Read class names, and mean and std, from the properties that exporters write into an ``.onnx`` file.

    Numbers of fields are of onnx.proto. ValueError for other bytes, and for weights that are in other files.
    """
    found: dict[str, Any] = {}
    try:
        for number, part in _fields(memoryview(content)):
            if number == 14:
                key, text = (str(each, "utf-8") for _, each in _fields(part))
                with suppress(*_DAMAGE):
                    found[key.removeprefix("image_")] = ast.literal_eval(text[:MOST_TEXT])
    except _DAMAGE as error:
        raise ValueError("cut off, or none; copy it again") from error
    if b"\n\x08location\x12" in content:
        raise ValueError("without its weights, which are in other files; export it with external_data=False")
    names = next((found[key] for key in ("names", "class_names", "classes") if key in found), None)
    with suppress(*_DAMAGE):
        if isinstance(names, Mapping):
            names = [names[key] for key in sorted(names, key=int)]
    names = tuple(map(str, names)) if isinstance(names, list | tuple) else None
    with suppress(*_DAMAGE):
        mean, std = (tuple(map(float, found[key])) for key in ("mean", "std"))
        # Of 0..1, as in PyTorch, or of levels.
        return names, Scaling(255.0 if max(*mean, *std) <= 1 else 1.0, _one(mean), _one(std))
    return names, None


def _fields(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yield number and content of each field of a protocol buffer."""
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        size = {1: 8, 5: 4}.get(key & 7, 0)
        if key & 7 in {0, 2}:
            value, place = _varint(data, place)
            size = value if key & 7 else 0
        if key & 7 not in {0, 1, 2, 5} or place + size > len(data):
            raise LookupError
        yield key >> 3, data[place : place + size]
        place += size


def _varint(data: memoryview, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        value |= (data[place] & 127) << shift
        place += 1
        if data[place - 1] < 128:
            return value, place
    raise LookupError


def names_beside(file: Path) -> tuple[tuple[str, ...] | None, bool]:
    """Return the class names in a ``labels.txt`` beside a file, and whether Teachable Machine wrote it.

    It numbers the lines from 0.
    """
    with suppress(OSError):
        with file.with_name("labels.txt").open("rb") as stream:
            names = listed(stream.read(MOST_TEXT)) or ()
        pairs = [line.partition(" ") for line in names]
        if names and [number for number, _, _ in pairs] == [str(place) for place in range(len(names))]:
            return tuple(name for _, _, name in pairs), True
        return names or None, False
    return None, False
