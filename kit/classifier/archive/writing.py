"""Writing an archive in one step, so that whoever reads it sees the old file or the new one."""

import glob
import hashlib
import json
import os
import secrets
import stat
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from os import PathLike
from pathlib import Path
from shutil import copyfileobj
from typing import Any

from kit.classifier.archive.layout import CHUNK, CONTRACT, FORMAT, PREFIX, digest_of, split
from kit.classifier.archive.reading import Archive, opened

Members = Mapping[str, bytes | None]

# Fixed, so that the same network makes the same file.
_DATE = (1980, 1, 1, 0, 0, 0)


def write(
    source: Path, target: str | PathLike[str], contract: Mapping[str, Any], members: Members
) -> Archive:
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

    Returns
    -------
    Archive
        What was written, as `kit.classifier.archive.read` finds it if nobody replaces it.
    """
    with opened(source) as old, replacing(target) as stream, zipfile.ZipFile(stream, "w") as new:
        digest = digest_of(old)
        for info in old.infolist():
            if not info.filename.startswith(PREFIX) and not info.is_dir():
                _copy(old, info, new)
        complete = _write_members(new, digest, contract, members)
    return Archive(Path(target), digest, complete)


def write_members(target: Path, digest: str, contract: Mapping[str, Any], members: Members) -> Archive:
    """Write a contract and members alone, for a cache of one user: the network stays in its own file."""
    with replacing(target, private=True) as stream, zipfile.ZipFile(stream, "w") as new:
        complete = _write_members(new, digest, contract, members)
    return Archive(target, digest, complete)


@contextmanager
def replacing(target: str | PathLike[str], *, private: bool = False) -> Iterator[Any]:
    """Write a binary file beside ``target`` that takes its place when the block ends without an exception.

    Drafts of the same file that killed processes left behind are removed.

    Parameters
    ----------
    target
        File to write; of a link, what it points to.
    private
        Whether only its owner may read it. A link is then replaced itself.

    Raises
    ------
    OSError
        In one line, of the kind that the system raised: a full disk, a folder that cannot be written to.
    """
    file = Path(target) if private else Path(target).resolve()
    draft = file.with_name(f".{file.name}.{secrets.token_hex(4)}.tmp")
    mode = 0o600 if private else 0o666
    try:
        _clear_drafts(file)
        with open(draft, "xb", opener=lambda path, flags: os.open(path, flags, mode)) as stream:
            with suppress(OSError):  # not every network folder has locks
                _lock(stream)
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(file)
        flush_folder(file.parent)
    except OSError as error:
        reason = error.strerror or str(error).partition("\n")[0]
        told = type(error)(
            f"Expected to write {file.name!r}, received: {reason}; nothing was changed, so free space or"
            " choose another folder"
        )
        told.errno = error.errno
        raise told from error
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


def flush_folder(folder: Path) -> None:
    """See to it that the new name outlives a loss of power; not every system has it."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _clear_drafts(file: Path) -> None:
    """Remove drafts that nobody writes any more: their locks went with the processes."""
    for draft in file.parent.glob(f".{glob.escape(file.name)}.{'[0-9a-f]' * 8}.tmp"):
        with suppress(OSError):
            if stat.S_ISREG(draft.lstat().st_mode):
                with draft.open("rb") as stream:
                    _lock(stream)
                draft.unlink()


def _lock(stream: Any) -> None:
    """Hold a file until it is closed; BlockingIOError where another process does.

    Where there is no such lock, as on Windows, the system lets nobody remove an open file.
    """
    with suppress(ImportError):
        import fcntl  # noqa: PLC0415 (not on every system)

        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _copy(old: zipfile.ZipFile, info: zipfile.ZipInfo, new: zipfile.ZipFile) -> None:
    entry = zipfile.ZipInfo(info.filename, _DATE)
    entry.compress_type = info.compress_type
    with old.open(info) as source, new.open(entry, "w", force_zip64=info.file_size >= 1 << 31) as target:
        copyfileobj(source, target, CHUNK)


def _write_members(
    new: zipfile.ZipFile, digest: str, contract: Mapping[str, Any], members: Members
) -> dict[str, Any]:
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
    return complete
