"""Compiled forms of networks from elsewhere, kept in the user's cache folder under the digest of their weights.

Nothing depends on the folder: an entry that is missing, damaged or for other weights is made anew, and a folder that
cannot be written to is left alone.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from kit import archive

_LARGEST = 50
"""Entries that are kept; the oldest make room."""


def folder() -> Path:
    """Return the cache folder, which need not exist."""
    from platformdirs import user_cache_path  # noqa: PLC0415 (only networks from elsewhere need it)

    return user_cache_path("classifier-investigation-kit", appauthor=False) / f"compiled-{archive.FORMAT}"


def get(digest: str) -> archive.Archive | None:
    """Entry for these weights, or ``None``."""
    return archive.read_members(folder() / f"{digest}.zip", digest)


def put(digest: str, contract: Mapping[str, Any], members: Mapping[str, bytes]) -> None:
    """Keep an entry if the folder can be written to."""
    with suppress(OSError):
        place = folder()
        place.mkdir(parents=True, exist_ok=True)
        archive.write_members(place / f"{digest}.zip", digest, contract, members)
        entries = [entry for entry in place.iterdir() if re.fullmatch("[0-9a-f]{64}[.]zip", entry.name)]
        for entry in sorted(entries, key=lambda entry: entry.stat().st_mtime)[:-_LARGEST]:
            entry.unlink()
