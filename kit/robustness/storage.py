"""A sweep in a folder: a Parquet file for each block of rows, and what they belong to in a JSON file."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kit._arrays import Array
from kit.classifier.store import replacing

FORMAT = 3
ABOUT = "_sweep.json"
"""Readers of Parquet leave out names that begin so."""
_COLUMNS = ["label", "top", "confidence", "probability", "error"]


def begin(path: Path, about: Mapping[str, Any]) -> None:
    """Make the folder of a sweep, or open it again, given what its rows depend on.

    Raises a ValueError for another sweep or a file.
    """
    if path.is_file():
        raise ValueError(f"Expected a folder, received the file {path.name!r}; give another path")
    text, file = json.dumps({"format": FORMAT, **about}), path / ABOUT
    if not file.exists():
        path.mkdir(parents=True, exist_ok=True)
        with replacing(file) as stream:
            stream.write(text.encode())
        return
    stored = _description(path)
    different = [name for name, value in json.loads(text).items() if stored.get(name) != value]
    if different:
        raise ValueError(
            f"Expected the sweep that {path.name!r} belongs to, received one with other"
            f" {', '.join(different)}; give another path, or delete the folder to start again"
        )


def write(path: Path, start: int, columns: Mapping[str, Array]) -> None:
    """Write the rows of a block, from this row on, in one step: a file that is there is done."""
    import pyarrow as pa

    arrays = {
        name: pa.array(each.tolist(), pa.string()) if each.dtype == object else pa.array(each)
        for name, each in columns.items()
    }
    with replacing(_file(path, start)) as stream:
        _parquet().write_table(pa.table(arrays), stream)


def written(path: Path, rows: slice) -> bool:
    """Return whether a block is there, whole and readable."""
    try:
        return bool(_parquet().read_metadata(_file(path, rows.start)).num_rows == rows.stop - rows.start)
    # Arrow's own exceptions are of these kinds.
    except (OSError, ValueError):
        return False


def read(path: Path) -> tuple[dict[str, Array], dict[str, Any]]:
    """Return columns and description of a sweep; OSError, KeyError or ValueError for none."""
    table = _parquet().read_table(path, columns=_COLUMNS)
    return {name: table[name].to_numpy() for name in _COLUMNS}, _description(path)


def _file(path: Path, start: int) -> Path:
    return path / f"rows-{start:010}.parquet"


def _parquet() -> Any:
    from pyarrow import parquet

    return parquet


def _description(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((path / ABOUT).read_bytes()))
    except (OSError, TypeError, ValueError, RecursionError):
        return {}
