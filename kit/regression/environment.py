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


def report(folder: Path, cases: Path, result: dict[str, Any]) -> None:
    """Write what came of a folder of cases; a folder has one report."""
    number = hashlib.sha256(str(cases.resolve()).encode()).hexdigest()[:8]
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(result, indent=1, ensure_ascii=False)
    (folder / f"{_PREFIX}{cases.name}-{number}.json").write_text(text, encoding="utf-8")
