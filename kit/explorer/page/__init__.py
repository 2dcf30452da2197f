"""The page of the explorer: ES modules that run as they are, joined into the one that a widget takes."""

import re
from pathlib import Path

MODULES: tuple[str, ...] = (
    "dom",
    "pixels",
    "exchange",
    "picture",
    "preview",
    "files",
    "controls",
)
MODULES += (
    "camera",
    "labels",
    "flip",
    "answer",
    "path",
    "photos",
    "because",
    "where",
    "table",
    "explorer",
)
"""In the order in which they need each other; their names at the top level are all different."""
_HERE = Path(__file__).parent
_IMPORT = re.compile(r"^import .*? from \"\./\w+\.js\";\n", re.MULTILINE | re.DOTALL)
_EXPORT = re.compile(r"^export (?!default)", re.MULTILINE)


def joined(*more: str) -> str:
    """Return all modules, and `more` after them, as one, without what ties them to each other."""
    parts = [page_file(f"{name}.js") for name in (*MODULES, *more)]
    return "\n".join(_EXPORT.sub("", _IMPORT.sub("", part)) for part in parts)


def page_file(name: str) -> str:
    """Return a file of the page."""
    return (_HERE / name).read_text(encoding="utf-8")
