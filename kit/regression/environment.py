"""How a test run tells the kernels of notebooks what to do with cases that moved."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from kit._reporting import plain
from kit.regression.cases import write

ARTEFACTS, UPDATE = "KIT_ARTEFACTS", "KIT_UPDATE"
"""Environment variables: a folder for what moved, and whether it is accepted ("1")."""
_PREFIX = "cases-"


def artefacts() -> str | None:
    """Return the folder that the environment names; None without one."""
    return os.environ.get(ARTEFACTS) or None


def updating() -> bool:
    """Whether the environment says that what moved is accepted."""
    return os.environ.get(UPDATE) == "1"


def reports(folder: Path) -> list[Path]:
    """Return the reports in a folder of artefacts."""
    return sorted(folder.glob(f"{_PREFIX}*-{'[0-9a-f]' * 8}.json"))


def check_folder(folder: Path, cases: Path) -> None:
    """Make a folder of artefacts before anything is run; refuse that of the cases, where it would be read."""
    folder.mkdir(parents=True, exist_ok=True)
    if folder.resolve() == cases.resolve():
        raise ValueError(
            f"Expected another folder for artefacts than that of the cases, received {folder.name!r}"
        )


def clear(folder: Path) -> None:
    """Remove the reports of an earlier run, and their pictures."""
    for old in reports(folder):
        _clear_pictures(folder / old.name.removesuffix(".json"))
        old.unlink(missing_ok=True)


def _clear_pictures(folder: Path) -> None:
    for old in folder.glob("*.png"):
        old.unlink(missing_ok=True)


def report(folder: Path, cases: Path, result: dict[str, Any]) -> Path:
    """Write what came of a folder of cases, and return the folder beside it for its pictures.

    A folder of cases has one report for each classifier; the pictures of an earlier one are removed.
    """
    whose = f"{cases.resolve()} {result.get('classifier', '')}"
    name = f"{_PREFIX}{cases.name}-{hashlib.sha256(whose.encode()).hexdigest()[:8]}"
    _clear_pictures(folder / name)
    write(folder / f"{name}.json", json.dumps(plain(result), indent=1, ensure_ascii=False).encode())
    return folder / name
