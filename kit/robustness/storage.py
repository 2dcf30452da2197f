"""A sweep in a folder: a Parquet file for each block of rows, and what they belong to in a JSON file."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kit._arrays import Array
from kit.classifier.store import replacing

FORMAT = 2
ABOUT, FLIPS = "_sweep.json", "_flips.json"
"""Readers of Parquet leave out names that begin so."""
MOST_ROWS = 50_000_000
_EARLIER = b"kit.sweep"


class Folder:
    """Where a sweep is kept while it runs and after it; what is there is done.

    Takes the folder, made if missing; digests of what the rows depend on; and what the columns do not say.
    Raises a ValueError for the folder of another sweep, or a file.
    """

    def __init__(self, path: Path, identity: Mapping[str, str], description: Mapping[str, Any]) -> None:
        if path.is_file():
            raise ValueError(
                f"Expected a folder for the sweep, received the file {path.name!r}; give another path, and"
                " open what an earlier version wrote by kit.robustness.Sweep.from_parquet"
            )
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        if (path / ABOUT).exists():
            _refuse_another(identity, _json(path / ABOUT).get("identity"), path)
        else:
            self.write_json(ABOUT, {"format": FORMAT, "identity": identity, **description})

    def write_json(self, name: str, content: Any) -> None:
        """Write a JSON file in one step."""
        with replacing(self.path / name) as stream:
            stream.write(json.dumps(content).encode())

    def write(self, start: int, columns: Mapping[str, Array]) -> None:
        """Write the rows of a block, from this row on, in one step."""
        import pyarrow as pa  # noqa: PLC0415 (heavy)

        arrays = {
            name: pa.array(each.tolist(), pa.string()) if each.dtype == object else pa.array(each)
            for name, each in columns.items()
        }
        with replacing(self._file(start)) as stream:
            _parquet().write_table(pa.table(arrays), stream)

    def rows(self, rows: slice) -> dict[str, Array] | None:
        """Return the columns of a block; None where it is not there, not whole, or not readable."""
        file = self._file(rows.start)
        try:
            columns = _columns(file) if file.exists() else None
        except ValueError:
            return None
        return columns if columns and len(columns["top"]) == rows.stop - rows.start else None

    def flips(self) -> list[list[Any]] | None:
        """Return the flips, each a list of its fields; None where they are not known yet."""
        return list(_json(self.path / FLIPS)["flips"]) if (self.path / FLIPS).exists() else None

    def _file(self, start: int) -> Path:
        return self.path / f"rows-{start:010}.parquet"


def read(path: Path) -> tuple[dict[str, Array], dict[str, Any]]:
    """Return columns and description of a finished sweep: a folder, or the one file of an earlier version.

    Raises a FileNotFoundError or a ValueError where there is none.
    """
    if path.is_file():
        # An earlier version wrote one file, and in its metadata what the columns do not say.
        return _columns(path), dict(
            json.loads((_parquet().read_schema(path).metadata or {}).get(_EARLIER, "{}"))
        )
    if not (path / ABOUT).is_file():
        raise FileNotFoundError(f"Expected the folder of a sweep, received {path.name!r}, which is none")
    about = _json(path / ABOUT)
    if about.get("format") != FORMAT:
        raise ValueError(
            f"Expected a sweep in format {FORMAT}, received {about.get('format')!r} in {path.name!r};"
            " update the kit"
        )
    blocks = [_columns(file) for file in sorted(path.glob("rows-*.parquet"))]
    names = blocks[0] if blocks else {}
    flips = _json(path / FLIPS)["flips"] if (path / FLIPS).exists() else []
    return {name: np.concatenate([block[name] for block in blocks]) for name in names}, {
        **about,
        "flips": flips,
    }


def texts(column: Array) -> dict[int, str]:
    """Return the places of a column that have a text."""
    return {place: str(text) for place, text in enumerate(column) if text is not None}


def _columns(path: Path) -> dict[str, Array]:
    """Return the columns of a Parquet file that a sweep needs to come back."""
    try:
        # A file of one value repeated is small, and its rows are not.
        if (count := _parquet().read_metadata(path).num_rows) > MOST_ROWS:
            raise ValueError(f"{count} rows")  # noqa: TRY301 (one line tells of everything that is wrong)
        table = _parquet().read_table(path, columns=["label", "top", "confidence", "probability", "error"])
        return {name: table[name].to_numpy() for name in table.column_names}
    # Arrow's own exceptions are of these kinds.
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(
            f"Expected a Parquet file of a sweep, received {path.name!r}, which holds none"
        ) from error


def _parquet() -> Any:
    from pyarrow import parquet  # noqa: PLC0415 (heavy)

    return parquet


def _json(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_bytes()))
    except (OSError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(
            f"Expected {path.name!r} of {path.parent.name!r} as kit.sweep wrote it, received another; delete"
            " the folder to start again"
        ) from error


def _refuse_another(received: Mapping[str, str], stored: Any, path: Path) -> None:
    known = stored if isinstance(stored, dict) else {}
    different = [name for name, digest in received.items() if known.get(name) != digest]
    if different:
        raise ValueError(
            f"Expected the sweep that {path.name!r} belongs to, received one with other"
            f" {', '.join(different)}; give another path, or delete the folder to start again"
        )
