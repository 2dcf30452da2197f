"""The journal of a sweep that is under way.

A Parquet file cannot be added to safely. While a sweep runs, its rows therefore go into a journal beside it,
``….partial``: Arrow's streaming format, one record batch for each block, written in one call. A process that
is killed leaves at most one torn batch at the end, which is cut off.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from kit._interrupts import held
from kit.robustness.sweeps.storage import FORMAT, KEY, refuse_another


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

    Raises
    ------
    ValueError
        A journal of another sweep.
    """

    def __init__(self, path: Path, identified: Mapping[str, str]) -> None:
        with held():
            import pyarrow as pa  # noqa: PLC0415 (only sweeps that are kept need it)

        self._schema = pa.schema(
            [
                pa.field("row", pa.int64()),
                # -1 for a row; otherwise the axis along which the answer flips, seen from the row.
                pa.field("axis", pa.int8()),
                pa.field("top", pa.int32()),
                pa.field("confidence", pa.float32()),
                pa.field("probability", pa.float32()),
                pa.field("error", pa.string()),
                pa.field("last", pa.float64()),
                pa.field("value", pa.float64()),
            ],
            metadata={KEY: json.dumps({"format": FORMAT, "identity": dict(identified)})},
        )
        self.records, end = self._read(path, identified) if path.exists() else ((), 0)
        # Unbuffered: what was written is with the system when the call returns.
        self._file = path.open("r+b" if end else "wb", buffering=0)
        if end:
            self._file.seek(end)
            self._file.truncate()
        else:
            self._file.write(self._schema.serialize())

    def _read(self, path: Path, identified: Mapping[str, str]) -> tuple[tuple[Mapping[str, Any], ...], int]:
        with held():
            import pyarrow as pa  # noqa: PLC0415

        records: list[Mapping[str, Any]] = []
        end = 0
        with pa.OSFile(str(path)) as stream:
            try:
                reader = pa.ipc.open_stream(stream)
                stored = json.loads((reader.schema.metadata or {}).get(KEY, b"{}")).get("identity", {})
                refuse_another(identified, stored, path)
                while True:
                    end = stream.tell()
                    batch = reader.read_next_batch()
                    records.append(
                        {name: batch[name].to_numpy(zero_copy_only=False) for name in batch.schema.names}
                    )
            except (pa.ArrowInvalid, OSError, StopIteration):
                return tuple(records), end

    def write(self, **columns: Any) -> None:
        """Add records; columns that are left out are empty, and others are passed over."""
        with held():
            import pyarrow as pa  # noqa: PLC0415

        count = len(columns["row"])
        arrays = [pa.array(columns.get(field.name, [None] * count), field.type) for field in self._schema]
        self._file.write(pa.record_batch(arrays, schema=self._schema).serialize())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._file.close()


def batches(journal: Journal | None, *, flips: bool) -> Iterator[Mapping[str, Any]]:
    """Return the records of a journal, if there is one, that are flips, or those that are rows."""
    records = () if journal is None else journal.records
    return (each for each in records if len(each["axis"]) and bool(each["axis"][0] >= 0) is flips)
