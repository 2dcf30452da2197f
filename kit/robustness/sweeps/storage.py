"""The Parquet file of a finished sweep, and by what a sweep is known that is asked for again."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from kit._interrupts import held
from kit.classifier import Classifier
from kit.classifier.archive.writing import replacing
from kit.images import Photo, Picture
from kit.robustness.sweeps.plan import Plan

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
    with held():
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
    with held():
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
    with held():
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
