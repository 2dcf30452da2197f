"""Which compiled forms are run as they are: those that the kit brings, and those that this user's kit made.

A digest guards against accidents, not against people: whoever makes a file can compute it anew. So the kit
keeps a record of every file that it saved, compiled or inspected, in the user's cache folder: an empty file
whose name is an HMAC, with a key of the user's, over the weights and the whole contract, in which the digest
of every member stands. Any change of either makes another name. What has no record is inspected first; see
`kit.classifier.bundle.inspection`. Where the folder cannot be written to, nothing is remembered and all the
rest is the same, a second slower.
"""

import hashlib
import hmac
import json
import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from kit.classifier.archive import Archive

KEPT = 2000
"""Records that are kept; the oldest make room."""

# The files in data/models, and a test keeps it true.
_BUNDLED = frozenset(
    {
        "0d0e1d16b597774f3bcd4e7971d087405ea65937ff9bb062199e81978539b7ae",
        "0d87343d54cfdf5d25f0eb2929e0f86fa2576c43dab2acbe8c5fa348ad3ee5fe",
        "15cecfbeffed5acadb51d6efd8c28046ff0a7fee8da97f8a7d9b9f9f2a7e1c5c",
        "35c7bee19c8dce8729af6d0be1a44b3636f3004713bcf5b46006bdb1de9af49f",
        "9af51e909b3d9fb88c7c1e013a3ab21614fc685ad92b77f1f505586907fefa79",
        "c73c2792f3ae398435549866d73f2da59edc2fc68a009eff92bb0c46d201be16",
        "d0b519186f9e73157b54c3304a8412e62e724ab3a7a7483ff62f1f1eafe3d2e5",
    }
)
_KEY_BYTES = 32
# What an earlier one let pass is inspected again.
_INSPECTION = 2


def known(opened: Archive, folder: Path) -> bool:
    """Return whether the members of a file are the kit's own, or recorded in this cache folder."""
    if _identity(opened) in _BUNDLED:
        return True
    with suppress(OSError):
        record = _record(opened, private(folder))
        return record is not None and stat.S_ISREG(record.lstat().st_mode)
    return False


def remember(opened: Archive, folder: Path) -> None:
    """Record a file whose compiled forms this process made or inspected, if the folder can be written to."""
    with suppress(OSError):
        key = private(folder) / "key"
        if _key(folder) is None:
            key.unlink(missing_ok=True)
            with open(key, "xb", opener=_own) as stream:
                stream.write(secrets.token_bytes(_KEY_BYTES))
        if (record := _record(opened, folder)) is not None:
            os.close(_own(os.fspath(record), os.O_CREAT | os.O_WRONLY))
            prune(folder, "*.known", KEPT)


def private(folder: Path) -> Path:
    """Return the folder, made if need be, after others were shut out of it.

    Raises
    ------
    OSError
        It cannot be made, is a link or somebody else's.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != getattr(os, "getuid", lambda: found.st_uid)():
        raise NotADirectoryError(f"Expected a cache folder of one's own, received {folder.name!r}")
    if stat.S_IMODE(found.st_mode) & 0o077:
        folder.chmod(0o700)
    return folder


def prune(folder: Path, pattern: str, count: int) -> None:
    """Remove the oldest files of a kind until so many are left; links are removed, not followed."""
    entries = sorted(folder.glob(pattern), key=lambda entry: entry.lstat().st_mtime)
    for entry in entries[:-count]:
        with suppress(OSError):
            entry.unlink()


def _identity(opened: Archive) -> str:
    stated = json.dumps([opened.digest, opened.contract], sort_keys=True)
    return hashlib.sha256(stated.encode()).hexdigest()


def _record(opened: Archive, folder: Path) -> Path | None:
    key = _key(folder)
    if key is None:
        return None
    identity = f"{_INSPECTION} {_identity(opened)}"
    return folder / f"{hmac.new(key, identity.encode(), hashlib.sha256).hexdigest()}.known"


def _key(folder: Path) -> bytes | None:
    """Return the user's key; None where there is none, or a link or another number of bytes in its place."""
    place = folder / "key"
    if not os.path.lexists(place) or not stat.S_ISREG(place.lstat().st_mode):
        return None
    key = place.read_bytes()
    return key if len(key) == _KEY_BYTES else None


def _own(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
