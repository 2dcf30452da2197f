"""What ``.tflite`` and ``.onnx`` files say of their classes and pixels, and a list of classes beside them."""

import ast
import warnings
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from kit.preprocessing.scaling import Scaling

MOST_TEXT = 1 << 20
"""Bytes of a list of class names."""
_MOST_PROPERTY = 1 << 16
_MOST = 1 << 17
About = tuple[tuple[str, ...] | None, Scaling | None]
"""Class names, and how levels 0..255 are scaled; None where a file does not say."""


def litert_schema() -> Any:
    """Import the classes of the ``.tflite`` format."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from ai_edge_litert import schema_py_generated
    return schema_py_generated


def _at(table: Any, number: int) -> int:
    if offset := table.Offset(4 + 2 * number):
        return int(offset)
    raise LookupError


def _text(table: Any, number: int) -> bytes:
    return bytes(table.String(table.Pos + _at(table, number)))


def _tables(table: Any, number: int) -> list[Any]:
    start, count = table.Vector(_at(table, number)), table.VectorLen(_at(table, number))
    places = range(start, start + 4 * min(count, _MOST), 4)
    return [type(table)(table.Bytes, table.Indirect(place)) for place in places]


def lite_about(network: bytes, file: Path) -> About:
    """Read TFLite Metadata; the numbers are of LiteRT's schema and of TFLite Support's metadata_schema.fbs.

    ``file`` has the network, and behind it the texts that the metadata name.
    """
    flat, names, scaling = litert_schema().flatbuffers, None, None
    kinds = flat.number_types

    def root(data: bytes) -> Any:
        return flat.Table(data, flat.Table(data, 0).Indirect(0))

    with suppress(Exception):
        model = root(network)
        (entry,) = (
            each for each in _tables(model, 6) if _text(each, 0) == b"TFLITE_METADATA"
        )
        (graph,) = _tables(
            root(_text(_tables(model, 4)[entry.GetSlot(6, 0, kinds.Uint32Flags)], 0)), 3
        )
        with suppress(Exception):
            (output,) = _tables(graph, 3)
            lists = [
                each
                for each in _tables(output, 6)
                if each.GetSlot(8, 0, kinds.Int8Flags) == 2
            ]
            behind = zipfile.Path(file, _text(lists[0], 0).decode())
            names = listed(behind.read_bytes()[:MOST_TEXT])
        (given,) = _tables(graph, 2)
        for unit in (
            each
            for each in _tables(given, 4)
            if each.GetSlot(4, 0, kinds.Uint8Flags) == 1
        ):
            options = flat.Table(unit.Bytes, unit.Indirect(unit.Pos + _at(unit, 1)))
            parts = (
                options.GetVectorAsNumpy(kinds.Float32Flags, _at(options, part))
                for part in (0, 1)
            )
            scaling = Scaling(1.0, *(_one(tuple(each.tolist())) for each in parts))
    return names, scaling


def _one(values: tuple[float, ...]) -> Any:
    return values if len(values) > 1 else values[0]


def listed(content: bytes) -> tuple[str, ...] | None:
    """Return the class names in a text, one a line; None for what is no such text."""
    with suppress(UnicodeDecodeError):
        return (
            tuple(
                line.strip()
                for line in content.decode("utf-8-sig").strip().splitlines()
            )
            or None
        )
    return None


def onnx_about(properties: Mapping[str, str]) -> About:
    """Return class names, and mean and std, of the properties that exporters write into an ``.onnx`` file."""
    names = _value(properties, "names", "class_names", "classes")
    with suppress(Exception):
        if isinstance(names, Mapping):
            names = [names[key] for key in sorted(names, key=int)]
    names = tuple(map(str, names)) if isinstance(names, list | tuple) else None
    with suppress(Exception):
        mean, std = (
            tuple(map(float, _value(properties, key, f"image_{key}")))
            for key in ("mean", "std")
        )
        # Of 0..1, as in PyTorch, or of levels.
        return names, Scaling(
            255.0 if max(*mean, *std) <= 1 else 1.0, _one(mean), _one(std)
        )
    return names, None


def _value(properties: Mapping[str, str], *keys: str) -> Any:
    """Return the value of the first of these keys that has one; None without."""
    for key in keys:
        with suppress(Exception):
            text = properties[key]
            if len(text) <= _MOST_PROPERTY:
                # In JSON, or as Python prints a dictionary of names.
                return ast.literal_eval(text)
    return None


def names_beside(file: Path) -> tuple[tuple[str, ...] | None, bool]:
    """Return the class names in a ``labels.txt`` beside a file, and whether Teachable Machine wrote it.

    It numbers the lines from 0.
    """
    names: tuple[str, ...] = ()
    labels = file.with_name("labels.txt")
    # A pipe would be waited for, and a link may lead to what is nobody's business.
    if labels.is_file() and not labels.is_symlink():
        with suppress(OSError), labels.open("rb") as stream:
            names = listed(stream.read(MOST_TEXT)) or ()
    pairs = [line.partition(" ") for line in names]
    if pairs and all(
        name and number == str(place) for place, (number, _, name) in enumerate(pairs)
    ):
        return tuple(name for _, _, name in pairs), True
    return names or None, False
