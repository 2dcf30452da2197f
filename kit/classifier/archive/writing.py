"""Writing an archive in one step, so that whoever reads it sees the old file or the new one."""

import hashlib
import json
import os
import secrets
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

from kit.classifier.archive.layout import CONTRACT, FORMAT, PREFIX, blocks, digest_of, split
from kit.classifier.archive.reading import opened

Members = Mapping[str, bytes | None]

# Fixed, so that the same network makes the same file.
_DATE = (1980, 1, 1, 0, 0, 0)


def write(source: Path, target: str | PathLike[str], contract: Mapping[str, Any], members: Members) -> None:
    """Copy the network in ``source`` to ``target`` with a contract and members beside it.

    The file is replaced in one step: whoever reads ``target`` sees the old or the new one, and an
    interruption leaves the old one. ``source`` may be ``target``.

    Parameters
    ----------
    source
        A ``.keras`` file; its own members under ``kit/`` are not copied.
    target
        File to write.
    contract
        Values for ``kit/contract.json``; ``format``, ``weights_sha256`` and ``members`` are filled in here.
    members
        Name (``kit/…``) to content; None for one that is left out.
    """
    with opened(source) as old, replacing(target) as stream, zipfile.ZipFile(stream, "w") as new:
        digest = digest_of(old)
        for info in old.infolist():
            if not info.filename.startswith(PREFIX) and not info.is_dir():
                _copy(old, info, new)
        _write_members(new, digest, contract, members)


def write_members(target: Path, digest: str, contract: Mapping[str, Any], members: Members) -> None:
    """Write a contract and members alone, for a cache: the network stays in its own file."""
    with replacing(target) as stream, zipfile.ZipFile(stream, "w") as new:
        _write_members(new, digest, contract, members)


@contextmanager
def replacing(target: str | PathLike[str]) -> Iterator[Any]:
    """Write a binary file beside ``target`` that takes its place when the block ends without an exception."""
    # A link stays a link: what it points to is replaced.
    file = Path(target).resolve()
    draft = file.with_name(f".{file.name}.{secrets.token_hex(4)}.tmp")
    try:
        with draft.open("xb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)


def _copy(old: zipfile.ZipFile, info: zipfile.ZipInfo, new: zipfile.ZipFile) -> None:
    entry = zipfile.ZipInfo(info.filename, _DATE)
    entry.compress_type = info.compress_type
    with old.open(info) as source, new.open(entry, "w", force_zip64=info.file_size >= 1 << 31) as target:
        for block in blocks(source):
            target.write(block)


def _write_members(new: zipfile.ZipFile, digest: str, contract: Mapping[str, Any], members: Members) -> None:
    there = {name: data for name, data in members.items() if data is not None}
    entries = {
        name: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in there.items()
    }
    complete = {"format": FORMAT, "weights_sha256": digest, **contract, "members": entries}
    text = json.dumps(complete, indent=1, ensure_ascii=False)
    new.writestr(zipfile.ZipInfo(CONTRACT, _DATE), text.encode(), zipfile.ZIP_DEFLATED, 9)
    for name, data in there.items():
        for index, plane in enumerate(split(data)):
            # Deflating what is random costs time at every load and saves nothing.
            packs = len(zlib.compress(plane, 1)) < 0.9 * len(plane)
            method = zipfile.ZIP_DEFLATED if packs else zipfile.ZIP_STORED
            new.writestr(zipfile.ZipInfo(f"{name}.plane{index}", _DATE), plane, method, 9)
