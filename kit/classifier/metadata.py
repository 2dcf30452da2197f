"""What ``.tflite`` and ``.onnx`` files say of their classes and pixels, and a list of classes beside them."""

import ast
import re
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from warnings import catch_warnings

from kit.preprocessing.scaling import Scaling

MOST_PROPERTY = 1 << 16
"""Characters of a property that are read: a literal takes several hundred times as much memory."""

MOST_TEXT = 1 << 20
"""Bytes of a list of class names."""
About = tuple[tuple[str, ...] | None, Scaling | None]
"""Class names, and how levels 0..255 are scaled; None where a file does not say."""


def litert_schema() -> Any:
    """Import the classes of the ``.tflite`` format."""
    with catch_warnings(action="ignore"):
        from ai_edge_litert import schema_py_generated
    return schema_py_generated


# Where fields stand, two bytes each from 4 on, in TFLite Support's metadata_schema.fbs; LiteRT has no classes
# of it.
_SUBGRAPHS = 10
# Of a subgraph.
_INPUTS = 8
# Of an input.
_PROCESS_UNITS = 12
# Of a process unit, and the kind that has mean and standard deviation.
_OPTIONS_KIND = 4
_OPTIONS = 6
_NORMALIZATION = 1
_MEAN = 4
_STD = 6


def lite_about(network: bytes, file: Path) -> About:
    """Read TFLite Metadata: how pixels are scaled, and the first text behind the network, a class a line."""
    names = scaling = None
    # Without metadata, or with damaged ones, a network runs all the same.
    with suppress(Exception), zipfile.ZipFile(file) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".txt"))
        names = listed(archive.read(name)[:MOST_TEXT])
    with suppress(Exception):
        scaling = _normalization(network)
    return names, scaling


def _normalization(network: bytes) -> Scaling | None:
    """Return how the only input of the only subgraph that a network describes is scaled; None if not said."""
    schema = litert_schema()
    numbers = schema.flatbuffers.number_types
    model = schema.Model.GetRootAs(network)
    metadata_entries = map(model.Metadata, range(model.MetadataLength()))
    (entry,) = (
        entry for entry in metadata_entries if entry.Name() == b"TFLITE_METADATA"
    )
    content = model.Buffers(entry.Buffer()).DataAsNumpy().tobytes()
    metadata = schema.flatbuffers.Table(content, 0)
    metadata.Pos = metadata.Indirect(0)
    (graph,) = _tables(metadata, _SUBGRAPHS)
    (picture,) = _tables(graph, _INPUTS)
    for unit in _tables(picture, _PROCESS_UNITS):
        if unit.GetSlot(_OPTIONS_KIND, 0, numbers.Uint8Flags) == _NORMALIZATION:
            options = _table_at(unit, unit.Pos + _offset(unit, _OPTIONS))
            mean, std = (
                _one_or_each(
                    options.GetVectorAsNumpy(numbers.Float32Flags, offset).tolist()
                )
                for offset in (_offset(options, _MEAN), _offset(options, _STD))
            )
            return Scaling(1.0, mean, std)
    return None


def _offset(table: Any, field: int) -> int:
    """Return where in a table the entry of a field is."""
    if offset := table.Offset(field):
        return int(offset)
    raise LookupError


def _table_at(table: Any, place: int) -> Any:
    return type(table)(table.Bytes, table.Indirect(place))


def _tables(table: Any, field: int) -> list[Any]:
    offset = _offset(table, field)
    start = table.Vector(offset)
    return [
        _table_at(table, start + 4 * index) for index in range(table.VectorLen(offset))
    ]


def _one_or_each(values: Sequence[float]) -> Any:
    """Return one number for all channels, or one for each."""
    return tuple(values) if len(values) > 1 else values[0]


def listed(content: bytes) -> tuple[str, ...] | None:
    """Return the class names in a text, one a line; None for what is no such text."""
    with suppress(UnicodeDecodeError):
        lines = content.decode("utf-8-sig").strip().splitlines()
        return tuple(line.strip() for line in lines) or None
    return None


def onnx_about(properties: Mapping[str, str]) -> About:
    """Return class names, and mean and std, of the properties that exporters write into an ``.onnx`` file."""
    names = _first_literal(properties, "names", "class_names", "classes")
    # Names by their index; where a key is no number, they stay as they are.
    with suppress(Exception):
        if isinstance(names, Mapping):
            names = [names[key] for key in sorted(names, key=int)]
    names = tuple(map(str, names)) if isinstance(names, list | tuple) else None
    with suppress(Exception):
        mean = list(map(float, _first_literal(properties, "mean", "image_mean")))
        std = list(map(float, _first_literal(properties, "std", "image_std")))
        # Of 0..1, as in PyTorch, or of levels.
        divisor = 255.0 if max(mean + std) <= 1 else 1.0
        return names, Scaling(divisor, _one_or_each(mean), _one_or_each(std))
    return names, None


def _first_literal(properties: Mapping[str, str], *keys: str) -> Any:
    """Return the value of the first of these keys that has one; None without."""
    for key in keys:
        with suppress(Exception):
            # In JSON, or as Python prints a dictionary of names.
            return ast.literal_eval(properties[key][:MOST_PROPERTY])
    return None


def names_in(labels: Path) -> tuple[tuple[str, ...] | None, bool]:
    """Return the class names in a file, one a line, and whether Teachable Machine wrote it.

    It numbers the lines from 0. Lines that begin with all numbers from 0 on are put into the order of these,
    without them. None where there is no such file.
    """
    names = None
    with suppress(OSError):
        # A pipe would be waited for, and a link may lead to what is nobody's business.
        if labels.is_file() and not labels.is_symlink():
            with labels.open("rb") as stream:
                names = listed(stream.read(MOST_TEXT))
    pairs = re.findall(r"(?m)^(\d{1,6})[:, \t]\s*(.+)$", "\n".join(names or ()))
    by_number = dict(sorted((int(number), name) for number, name in pairs))
    if names and [*by_number] == [*range(len(names))]:
        return (*by_number.values(),), names[0].startswith("0 ")
    return names, False
