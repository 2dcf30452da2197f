"""The journal of a sweep that is under way.

A Parquet file cannot be added to safely. While a sweep runs, its rows therefore go into a journal beside it,
``….partial``: a line of JSON for each block with its CRC-32 before it, written in one call. A process that is
killed leaves at most one torn line, which is cut off, as is any line that was damaged since.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self
from zlib import crc32

import numpy as np

from kit._interrupts import held
from kit.classifier.archive.writing import replacing
from kit.robustness.sweeps.storage import FORMAT, KEY, refuse_another

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
    with held():
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
