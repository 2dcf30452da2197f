"""Rows of a sweep in Parquet files."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self
from zlib import crc32

import numpy as np

from kit.classifier import Classifier
from kit.classifier.store import replacing
from kit.images import Photo, Picture
from kit.robustness.sweep_plan import Plan

KEY = b"kit.sweep"
"""Where Arrow's metadata has what the columns do not say, as JSON."""
DIGEST = KEY + b".sha256"
"""And where it has the digest of both."""
FORMAT = 1
MOST_VALUES = 50_000_000
"""Rows times columns of a table that is read; a file of one value repeated is small, and its table is not."""


def identity(classifier: Classifier, plan: Plan, pictures: Iterable[Picture]) -> dict[str, str]:
    """Return digests of everything that a sweep's rows depend on.

    Parameters
    ----------
    classifier, plan
        What is asked.
    pictures
        Those of the plan; an iterable, so that a progress bar can be put around it.

    Raises
    ------
    ValueError
        No classifier from a file, or no preprocessing.
    """
    if classifier.source is None:
        raise ValueError(
            f"Expected a classifier from a file, since a sweep goes on where another process ended, received"
            f" {classifier.name!r} made from a model; save it and use Classifier.load"
        )
    steps = classifier.preprocessing
    photographs = hashlib.sha256()
    for picture in pictures:
        photographs.update(f"{picture.name}\0{_digest(picture.source)}\0".encode())
    return {
        "classifier": classifier.source.digest,
        "class names": _hash(list(classifier.class_names)),
        "preprocessing": _hash(None if steps is None else steps.to_dict()),
        "photos": photographs.hexdigest(),
        "labels": _hash(plan.labels.tolist()),
        "perturbations": _hash([dict(plan.axes), [each.to_dict() for each in plan.perturbations]]),
    }


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _digest(source: Any) -> str:
    if isinstance(source, str):
        try:
            with open(source, "rb") as stream:  # noqa: PTH123 (of ten thousand, texts are smaller than paths)
                return hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError:
            return "unreadable"
    if isinstance(source, bytes):
        return hashlib.sha256(source).hexdigest()
    if isinstance(source, Photo):
        return hashlib.sha256(
            source.file or f"{source.size} {source.decoding}".encode() + source.pixels.tobytes()
        ).hexdigest()
    return str(source)


def refuse_another(received: Mapping[str, str], stored: Mapping[str, str] | None, path: Path) -> None:
    """Raise a ValueError if a file belongs to another sweep, and say what differs."""
    if stored is None:
        raise ValueError(
            f"Expected a sweep that was made with path=, received {path.name!r}, written by to_parquet; give"
            " another path"
        )
    different = [name for name, digest in received.items() if stored.get(name) != digest]
    if different:
        raise ValueError(
            f"Expected the sweep that {path.name!r} belongs to, received one with other"
            f" {', '.join(different)}; give another path, or delete the file to start anew"
        )


def write_table(path: Path, columns: Mapping[str, Any], description: Mapping[str, Any]) -> None:
    """Write columns and what they do not say as a Parquet file, in one step."""
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    arrays = {
        name: pa.array(each.tolist(), pa.string()) if each.dtype == object else pa.array(each)
        for name, each in columns.items()
    }
    told = json.dumps({"format": FORMAT, **description}, separators=(",", ":"))
    table = pa.table(arrays)
    table = table.replace_schema_metadata({KEY: told, DIGEST: _table_digest(told.encode(), table)})
    with replacing(path) as stream:
        pq.write_table(table, stream)


def read_table(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return columns and description that `write_table` wrote.

    Raises
    ------
    FileNotFoundError, ValueError
        No such file, or no sweep in it.
    """
    import pyarrow as pa  # noqa: PLC0415

    if not path.is_file():
        raise FileNotFoundError(f"Expected the Parquet file of a sweep, received {path.name!r}, no file")
    try:
        table = _bounded(path)
        kept = table.schema.metadata or {}
        whole = DIGEST not in kept or kept[DIGEST] == _table_digest(kept[KEY], table)
        description = dict(json.loads(kept[KEY]))
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(
            f"Expected the Parquet file of a sweep, received {path.name!r}, which holds none"
        ) from error
    if not whole:
        raise ValueError(
            f"Expected the sweep in {path.name!r} as it was written, received a damaged one; delete the file"
            " and run the sweep again"
        )
    if description.get("format") != FORMAT:
        raise ValueError(
            f"Expected a sweep in format {FORMAT}, received {description.get('format')!r} in {path.name!r};"
            " update the kit"
        )
    return {name: table[name].to_numpy() for name in table.column_names}, description


def _bounded(path: Path) -> Any:
    """Read a table of numbers and texts whose values fit into memory, however small they are in the file."""
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.compute as pc  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    schema = pq.read_schema(path)
    texts = [field.name for field in schema if pa.types.is_string(field.type)]
    file = pq.ParquetFile(path, read_dictionary=texts)  # each different text once
    whole = file.metadata
    size = sum(whole.row_group(place).total_byte_size for place in range(whole.num_row_groups))
    if whole.num_rows * whole.num_columns > MOST_VALUES or size > 8 * MOST_VALUES:
        raise ValueError(f"{whole.num_rows} rows of {size} bytes")
    if not all(pa.types.is_primitive(field.type) or field.name in texts for field in schema):
        raise ValueError("values that are neither numbers nor texts")
    table = file.read()
    for name in texts:
        lengths = [pc.binary_length(part.dictionary).take(part.indices) for part in table[name].chunks]
        if sum(pc.sum(part).as_py() or 0 for part in lengths) > MOST_VALUES:
            raise ValueError("texts that are too long")
        table = table.set_column(table.column_names.index(name), name, table[name].cast(pa.string()))
    return table.replace_schema_metadata(schema.metadata)


def _table_digest(told: bytes, table: Any) -> bytes:
    digest = hashlib.sha256(told)
    for name in table.column_names:
        values = table[name].to_pylist() if table[name].type == "string" else table[name].to_numpy().tobytes()
        digest.update(
            b"%s\0%s\0" % (name.encode(), values if isinstance(values, bytes) else repr(values).encode())
        )
    return digest.hexdigest().encode()


def texts(column: Any) -> dict[int, str]:
    """Return the places of a column that have a text."""
    return {place: str(text) for place, text in enumerate(column) if text is not None}


Record = Mapping[str, Any]
_ARROW = b"\xff\xff\xff\xff"
"""How a journal of the first kind begins."""
_COLUMNS: Mapping[str, Any] = {
    "row": np.int64,
    # -1 for a row; otherwise the axis along which the answer flips, seen from the row.
    "axis": np.int8,
    "top": np.int32,
    "confidence": np.float32,
    "probability": np.float32,
    "error": object,
    "last": np.float64,
    "value": np.float64,
}


class Journal:
    """The rows and flips of a sweep that is under way; a context manager. One process may write at a time.

    Parameters
    ----------
    path
        The file; made if missing, else what is whole in it is read and the rest cut off.
    identified
        From `identity`. A journal of another sweep is refused.

    Attributes
    ----------
    records : tuple of mapping
        What an earlier run left: columns as numpy arrays, one mapping for each `write`.
    damaged : int
        Lines that had another content than was written, and are gone.

    Raises
    ------
    ValueError
        A journal of another sweep, or one whose beginning is damaged.
    """

    def __init__(self, path: Path, identified: Mapping[str, str]) -> None:
        known, found = _read(path) if path.exists() else (None, ())
        if known is not None:
            stored = known.get("identity")
            refuse_another(identified, stored if isinstance(stored, dict) else {}, path)
        kept = [(content, record) for content in found if (record := _record(content)) is not None]
        self.records = tuple(record for _, record in kept)
        self.damaged = len(found) - len(kept)
        beginning = {"format": FORMAT, "identity": dict(identified)}
        with replacing(path) as stream:
            stream.writelines(map(_line, (beginning, *(content for content, _ in kept))))
        # Unbuffered: what was written is with the system when the call returns.
        self._file = path.open("ab", buffering=0)

    def write(self, **columns: Any) -> None:
        """Add records; columns that are left out are empty, and others are passed over."""
        self._file.write(_line({name: _listed(columns[name]) for name in _COLUMNS if name in columns}))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._file.close()


def batches(journal: Journal | None, rows: int, classes: int, *, flips: bool) -> Iterator[Record]:
    """Return the records of a journal, if there is one, that are flips, or those that are rows."""
    for each in () if journal is None else journal.records:
        row, top = each["row"], each["top"]
        fits = len(row) and 0 <= row.min() <= row.max() < rows and -1 <= top.min() <= top.max() < classes
        if fits and bool(each["axis"][0] >= 0) is flips:
            yield each


def _listed(column: Any) -> list[Any]:
    return column.tolist() if isinstance(column, np.ndarray) else list(column)


def _line(content: Any) -> bytes:
    text = json.dumps(content, separators=(",", ":")).encode()
    return b"%08x %s\n" % (crc32(text), text)


def _read(path: Path) -> tuple[Mapping[str, Any] | None, Sequence[Any]]:
    """Return the beginning and the records of a journal; None in the place of each that is damaged."""
    if not path.is_file():
        raise ValueError(f"Expected a file at {path.name!r}, received something else; give another path")
    data = path.read_bytes()
    if data.startswith(_ARROW):
        return _earlier(path)
    known, *found = [_checked(line) for line in data.split(b"\n")[:-1]] or [None]
    if not isinstance(known, dict) and any(found):
        raise ValueError(
            f"Expected the beginning of {path.name!r} as it was written, received a damaged one; delete the"
            " file to start anew"
        )
    return known if isinstance(known, dict) else None, found


def _checked(line: bytes) -> Any:
    check, _, text = line.partition(b" ")
    try:
        return json.loads(text) if check == b"%08x" % crc32(text) else None
    except (ValueError, RecursionError):
        return None


def _record(content: Any) -> Record | None:
    """Return columns as arrays of one length, or None where they are none."""
    try:
        count = len(content["row"])
        with np.errstate(over="raise"):
            columns = {
                name: np.array(content.get(name, [None] * count if kind is object else [0] * count), kind)
                for name, kind in _COLUMNS.items()
            }
    except (TypeError, ValueError, KeyError, AttributeError, ArithmeticError):
        return None
    return columns if {each.shape for each in columns.values()} == {(count,)} else None


def _earlier(path: Path) -> tuple[Mapping[str, Any], Sequence[Any]]:
    """Read a journal of the first kind, Arrow's stream, as far as it is whole."""
    import pyarrow as pa  # noqa: PLC0415 (only earlier journals need it)

    found: list[Any] = []
    known: Any = None
    try:
        reader = pa.ipc.open_stream(path.read_bytes())
        known = dict(json.loads((reader.schema.metadata or {})[KEY]))
        while True:
            batch = reader.read_next_batch()
            batch.validate(full=True)
            found.append({name: _listed(batch[name].to_numpy(zero_copy_only=False)) for name in _COLUMNS})
    except (pa.ArrowException, OSError, StopIteration, LookupError, TypeError, ValueError) as error:
        if known is None:
            raise ValueError(
                f"Expected an earlier journal in {path.name!r}, received a damaged one; delete the file"
                " to start anew"
            ) from error
    return known, found
