"""A sweep in a folder: a Parquet file for each block of rows, and what they belong to in a JSON file."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kit._arrays import Array
from kit.classifier.store import replacing

FORMAT = 2
ABOUT = "_sweep.json"
"""Readers of Parquet leave out names that begin so."""
_COLUMNS = ["label", "top", "confidence", "probability", "error"]
_EARLIER = b"kit.sweep"


def begin(path: Path, identity: Mapping[str, str], description: Mapping[str, Any]) -> None:
    """Make the folder of a sweep, or open it again.

    Takes digests of what the rows depend on, and what the columns do not say. Raises a ValueError for the
    folder of another sweep, or a file.
    """
    if path.is_file():
        raise ValueError(
            f"Expected a folder for the sweep, received the file {path.name!r}; give another path, and"
            " open what an earlier version wrote by kit.robustness.Sweep.from_parquet"
        )
    about = path / ABOUT
    if not about.exists():
        path.mkdir(parents=True, exist_ok=True)
        with replacing(about) as stream:
            stream.write(json.dumps({"format": FORMAT, "identity": identity, **description}).encode())
        return
    stored = _description(about).get("identity")
    known = stored if isinstance(stored, dict) else {}
    different = [name for name, digest in identity.items() if known.get(name) != digest]
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


def written(path: Path, rows: slice) -> dict[str, Array] | None:
    """Return the columns of a block; None where it is not there, not whole, or not readable."""
    file = _file(path, rows.start)
    try:
        columns = _columns(file) if file.exists() else None
    except ValueError:
        return None
    return columns if columns and len(columns["top"]) == rows.stop - rows.start else None


def read(path: Path) -> tuple[dict[str, Array], dict[str, Any]]:
    """Return columns and description of a finished sweep: a folder, or the one file of an earlier version.

    Raises a FileNotFoundError or a ValueError where there is none.
    """
    if path.is_file():
        # An earlier version wrote one file, and in its metadata what the columns do not say.
        columns = _columns(path)
        metadata = _parquet().read_schema(path).metadata or {}
        return columns, dict(json.loads(metadata.get(_EARLIER, "{}")))
    if not (path / ABOUT).is_file():
        raise FileNotFoundError(f"Expected the folder of a sweep, received {path.name!r}, which is none")
    about = _description(path / ABOUT)
    if about.get("format") != FORMAT:
        raise ValueError(
            f"Expected a sweep in format {FORMAT}, received {about.get('format')!r} in {path.name!r};"
            " update the kit"
        )
    blocks = [_columns(file) for file in sorted(path.glob("rows-*.parquet"))]
    names = _COLUMNS if blocks else ()
    return {name: np.concatenate([block[name] for block in blocks]) for name in names}, about


def texts(column: Array) -> dict[int, str]:
    """Return the places of a column that have a text."""
    return {place: str(text) for place, text in enumerate(column) if text is not None}


def _file(path: Path, start: int) -> Path:
    return path / f"rows-{start:010}.parquet"


def _columns(path: Path) -> dict[str, Array]:
    try:
        table = _parquet().read_table(path, columns=_COLUMNS)
        return {name: table[name].to_numpy() for name in _COLUMNS}
    # Arrow's own exceptions are of these kinds.
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(
            f"Expected a Parquet file of a sweep, received {path.name!r}, which holds none"
        ) from error


def _parquet() -> Any:
    from pyarrow import parquet

    return parquet


def _description(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_bytes()))
    except (OSError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(
            f"Expected {path.name!r} of {path.parent.name!r} as kit.sweep wrote it, received another; delete"
            " the folder to start again"
        ) from error
