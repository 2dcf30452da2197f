"""The page of the explorer: ES modules that run as they are, joined into the one that a widget takes."""

import gzip
import json
import re
from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path
from typing import Any

MODULES = (
    "dom",
    "pixels",
    "noise",
    "network",
    "exchange",
    "picture",
    "preview",
    "files",
    "controls",
    "camera",
    "labels",
    "flip",
    "answer",
    "path",
    "photos",
    "because",
    "where",
    "stage",
    "prepare",
    "decode",
    "bench",
    "texts",
    "reasons",
    "live",
    "explorer",
)
"""In the order in which they need each other; their names at the top level are all different."""
WORKER = ("pixels", "noise", "prepare", "decode", "network", "bench", "worker")
"""Those of the worker of a page that runs the network itself."""
FILTERS = ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos", "tf_bilinear")
"""Filters of `kit.preprocessing.resizing` that prepare.js has."""
_HERE = Path(__file__).parent
_IMPORT = re.compile(r"^import .*? from \"\./\w+\.js\";\n", re.MULTILINE | re.DOTALL)
_EXPORT = re.compile(r"^export (?!default)", re.MULTILINE)


def joined(modules: Sequence[str] = MODULES) -> str:
    """Return modules as one, without what ties them to each other."""
    # A widget takes one module: imports go, and the word `export` but for that of `export default`.
    module_texts = [page_file(f"{name}.js") for name in modules]
    return "\n".join(
        _EXPORT.sub("", _IMPORT.sub("", module_text)) for module_text in module_texts
    )


def page_file(name: str) -> str:
    """Return a file of the page."""
    return (_HERE / name).read_text(encoding="utf-8")


def vendored(name: str) -> bytes:
    """Return a file of others, as it lies there: gzip."""
    return (_HERE / "vendor" / f"{name}.gz").read_bytes()


def packed_json(value: Any) -> str:
    """Return JSON, gzip and in base 64, which holds nothing that HTML would read."""
    # JSON has no bytes, such as those of a thumbnail; they become texts in base 64.
    text = json.dumps(
        value,
        separators=(",", ":"),
        default=lambda content: b64encode(content).decode(),
    )
    # Without a date in the gzip, equal values give equal texts.
    return b64encode(gzip.compress(text.encode(), mtime=0)).decode()
