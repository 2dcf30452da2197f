"""Reads the project itself: its files, its modules, what they import, and how large they are."""

import ast
import io
import json
import re
import subprocess
import sys
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# What TensorFlow reads when it is first imported; make exports it.
_MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
LAYOUT = {"COMMENT", "NL", "NEWLINE", "INDENT", "DEDENT", "ENDMARKER"}
VARIABLES = dict(re.findall(r"^export (\w+) \?= (\w+)$", _MAKEFILE, re.MULTILINE))


def python(script, *arguments, cwd=ROOT, **settings):
    """What a fresh Python makes of a script: its exit code, standard output and error."""
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, check=False, **settings
    )


def tracked():
    """Paths that git knows."""
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listing.returncode:
        pytest.skip("needs a clone made by git")
    return [
        path for path in listing.stdout.split("\0") if path and (ROOT / path).exists()
    ]


def modules():
    """Every module of the package by its dotted name, which of a package's own file ends in ``__init__``."""
    paths = sorted((ROOT / "kit").rglob("*.py"))
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in paths
    }


def code(path):
    """The Python of a module, or of the code cells of a notebook without its magics."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".ipynb":
        return text
    cells = (
        "".join(cell["source"])
        for cell in json.loads(text)["cells"]
        if cell["cell_type"] == "code"
    )
    return re.sub(r"^(\s*)[%!].*$", r"\1pass", "\n".join(cells), flags=re.MULTILINE)


def imported(source):
    """What a source imports, late and for types too; ``from a import b`` is ``a.b``."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, (
                f"Expected absolute imports, received {ast.unparse(node)}"
            )
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def hidden_imports(source):
    """Calls that import a module of the package by a text, or by one that is only known when they run."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        function = ast.unparse(node.func).rpartition(".")[2]
        name = ast.unparse(node.args[0])
        if function in {"import_module", "__import__"} and not re.fullmatch(
            r"'(?!kit\b)\w[\w.]*'", name
        ):
            yield ast.unparse(node)


UNCOUNTED = (ast.expr_context, ast.operator, ast.cmpop, ast.boolop, ast.unaryop)
"""Nodes that Python adds to others: the same operation is always written with them."""


def nodes_of(tree):
    """The syntax nodes of a module without its docstrings: what it does, however it is laid out."""
    written = [node for node in ast.walk(tree) if is_documentation(node)]
    left_out = {id(part) for node in written for part in (node, node.value)}
    return sum(
        id(node) not in left_out
        for node in ast.walk(tree)
        if not isinstance(node, UNCOUNTED)
    )


def is_documentation(node):
    """Whether a statement is a docstring, or the text below an assignment."""
    return isinstance(node, ast.Expr) and isinstance(
        getattr(node.value, "value", None), str
    )


def lines_of(source):
    """The numbers of the lines of code, which are neither blank nor comment, and of those of docstrings."""
    written = filter(is_documentation, ast.walk(ast.parse(source)))
    docstrings = {
        line for node in written for line in range(node.lineno, node.end_lineno + 1)
    }
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    written = (token for token in tokens if tokenize.tok_name[token.type] not in LAYOUT)
    lines = {line for each in written for line in range(each.start[0], each.end[0] + 1)}
    return lines - docstrings, docstrings
