"""Reads the project itself: its files, its modules and what they import."""

import ast
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# What TensorFlow reads when it is first imported; make exports it.
_MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
VARIABLES = dict(re.findall(r"^export (\w+) \?= (\w+)$", _MAKEFILE, re.MULTILINE))


def tracked() -> list[str]:
    """Paths that git knows."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listing.returncode:
        pytest.skip("needs a clone made by git")
    return [path for path in listing.stdout.split("\0") if path and (ROOT / path).exists()]


def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name, which of a package's own file ends in ``__init__``."""
    paths = sorted((ROOT / "kit").rglob("*.py"))
    return {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in paths}


def code(path: Path) -> str:
    """The Python of a module, or of the code cells of a notebook without its magics."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".ipynb":
        return text
    cells = ("".join(cell["source"]) for cell in json.loads(text)["cells"] if cell["cell_type"] == "code")
    return re.sub(r"^(\s*)[%!].*$", r"\1pass", "\n".join(cells), flags=re.MULTILINE)


def imported(source: str) -> Iterator[str]:
    """What a source imports, late and for types too; ``from a import b`` is ``a.b``."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"Expected absolute imports, received {ast.unparse(node)}"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
