"""Compiled forms of networks from elsewhere, in the user's cache folder under the digest of their weights.

Nothing depends on the folder: an entry that is missing, damaged or for other weights is made anew, and a
folder that cannot be written to is left alone.
"""

from contextlib import suppress
from pathlib import Path

from kit.classifier import archive
from kit.classifier.runtime.compiled import Compiled

LIMIT = 50
"""Entries that are kept; the oldest make room."""


def folder() -> Path:
    """Return the cache folder, which need not exist."""
    from platformdirs import user_cache_path  # noqa: PLC0415 (only networks from elsewhere need it)

    return user_cache_path("classifier-investigation-kit", appauthor=False) / f"compiled-{archive.FORMAT}"


def get(digest: str) -> Compiled | None:
    """Return the entry for these weights, or ``None``."""
    entry = archive.read_members(folder() / f"{digest}.zip", digest)
    if entry is None or entry.contract is None:
        return None
    try:
        found = Compiled.from_contract(entry.contract, entry.member(archive.COMPILED))
    except ValueError:
        return None
    return None if found.data is None and found.reason is None else found


def put(digest: str, compiled: Compiled) -> None:
    """Keep an entry, if the folder can be written to."""
    contract = {"name": "", "class_names": [], "preprocessing": None, **compiled.to_contract()}
    members = {} if compiled.data is None else {archive.COMPILED: compiled.data}
    with suppress(OSError):
        place = folder()
        place.mkdir(parents=True, exist_ok=True)
        archive.write_members(place / f"{digest}.zip", digest, contract, members)
        oldest_first = sorted(place.glob("*.zip"), key=lambda entry: entry.stat().st_mtime)
        for entry in oldest_first[:-LIMIT]:
            entry.unlink()


def member(digest: str, name: str) -> bytes | None:
    """Return what `put_member` added to the entry for these weights, or ``None``."""
    entry = archive.read_members(folder() / f"{digest}.zip", digest)
    return None if entry is None else entry.member(name)


def put_member(digest: str, name: str, data: bytes) -> None:
    """Add to the entry for these weights, if there is one and the folder can be written to."""
    place = folder() / f"{digest}.zip"
    entry = archive.read_members(place, digest)
    if entry is None or entry.contract is None:
        return
    kept = {other: entry.member(other) for other in entry.contract["members"]}
    members = {other: content for other, content in kept.items() if content is not None}
    with suppress(OSError):
        archive.write_members(place, digest, entry.contract, {**members, name: data})
