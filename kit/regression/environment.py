"""How a test run tells the kernels of notebooks what to do with cases that moved."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

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
    return sorted(folder.glob(f"{_PREFIX}*.json"))


def report(folder: Path, cases: Path, result: dict[str, Any]) -> Path:
    """Write what came of a folder of cases, and return the folder beside it for its pictures.

    A folder of cases has one report; the pictures of an earlier one are removed.
    """
    name = f"{_PREFIX}{cases.name}-{hashlib.sha256(str(cases.resolve()).encode()).hexdigest()[:8]}"
    folder.mkdir(parents=True, exist_ok=True)
    for old in (folder / name).glob("*.png"):
        old.unlink()
    text = json.dumps(result, indent=1, ensure_ascii=False)
    (folder / f"{name}.json").write_text(text, encoding="utf-8")
    return folder / name
