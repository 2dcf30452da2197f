"""Which mistakes the tests would notice: ``mutation.py [--each 5] [--seed 0] [--only WORD]``.

Makes one small mistake at a time in a copy of the project (another comparison or operation, a constant off by
one, a condition turned round, an argument or a call left out, nothing returned) and runs the tests of its
room, the module's own first, in a fork of a process that has imported what is slow; not on Windows.
"""

import argparse
import ast
import os
import random
import shutil
import sys
import tempfile
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tests.project import ROOT, VARIABLES

ROOMS = {
    "kit/perturbation/**/*.py": "tests/perturbation",
    "kit/preprocessing/**/*.py": "tests/preprocessing",
    "kit/validation/calibration.py": "tests/validation/test_calibration.py",
    "kit/diagnosis/search/verdict.py": "tests/diagnosis/search",
    "kit/regression/**/*.py": "tests/regression",
}
SLOW = (
    "keras nbval.plugin scipy.ndimage scipy.optimize scipy.special scipy.stats sklearn.metrics xdist.plugin"
)
PAIRS = "Lt LtE, Gt GtE, Eq NotEq, In NotIn, Is IsNot, Add Sub, Mult Div, BitAnd BitOr, LShift RShift, And Or"
OTHER = {getattr(ast, one): getattr(ast, two) for one, two in (pair.split() for pair in PAIRS.split(", "))}
OTHER |= {two: one for one, two in OTHER.items()} | dict.fromkeys((ast.FloorDiv, ast.Mod, ast.Pow), ast.Mult)
NAMES = {"min": "max", "max": "min", "any": "all", "all": "any"}
HUNG = 900  # seconds after which a test run counts as one that fails


def changes(node):  # noqa: C901 (a table)
    """What can be changed in a node: pairs of a field and its new value."""
    match node:
        case ast.Compare(ops=[op]) if type(op) in OTHER:
            yield "ops", [OTHER[type(op)]()]
        case ast.BinOp(op=op) | ast.AugAssign(op=op) | ast.BoolOp(op=op) if type(op) in OTHER:
            yield "op", OTHER[type(op)]()
        case ast.Constant(value=bool(value)):
            yield "value", not value
        case ast.Constant(value=int(value)):
            yield "value", value + (1 if (node.lineno + node.col_offset) % 2 else -1)
        case ast.Constant(value=float(value)):
            yield "value", value * 2 or 1.0
        case ast.UnaryOp(op=ast.USub()):
            yield "op", ast.UAdd()
        case ast.Return(value=value) if value and not (
            isinstance(value, ast.Constant) and value.value is None
        ):
            yield "value", ast.Constant(None)
        case ast.If() | ast.While() | ast.IfExp():
            yield "test", ast.UnaryOp(ast.Not(), node.test)
        case ast.comprehension(ifs=[one, *rest]):
            yield "ifs", [ast.UnaryOp(ast.Not(), one), *rest]
        case ast.Expr(value=ast.Call()):
            yield "value", ast.Constant(None)
        case ast.Call(func=ast.Name(id=name)) if name in NAMES:
            yield "func", ast.Name(NAMES[name])
    for keyword in node.keywords if isinstance(node, ast.Call) else ():
        yield "keywords", [each for each in node.keywords if each is not keyword]


def sites(node):
    """All changes in a syntax tree: the node, a field and its new value."""
    for field, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and field not in {"annotation", "returns", "decorator_list"}:
                yield from ((child, *change) for change in changes(child))
                yield from sites(child)


def mutated(text, place):
    """The source with one change, and what it is."""
    tree = ast.parse(text)
    node, field, value = list(sites(tree))[place]
    line, before = getattr(node, "lineno", 0) or node.target.lineno, ast.unparse(node).splitlines()[0]
    setattr(node, field, value)
    return ast.unparse(tree), f"{line}: {before}  ->  {ast.unparse(node).splitlines()[0]}"


def run(tree, tests):
    """Run tests in a copy of the project, quietly, and end the process with pytest's exit code."""
    os.chdir(tree)
    os.environ |= {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    sys.path[0], sys.dont_write_bytecode = str(tree), True
    for stream in (1, 2):
        os.dup2(os.open(tree / "log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
    sys.exit(int(pytest.main(["-x", "-q", "-o", "addopts=", "-p", "no:cacheprovider", *tests])))


def killed(tree, tests):
    """Whether tests fail, or take too long, in a fork of this process."""
    process = get_context("fork").Process(target=run, args=(tree, tests))
    process.start()
    process.join(HUNG)
    process.kill()
    process.join()
    return process.exitcode != 0


def copied(folder):
    """A copy of the package and its tests, beside links to all else."""
    for path in ROOT.iterdir():
        if path.name in {"kit", "tests"}:
            shutil.copytree(path, folder / path.name, ignore=shutil.ignore_patterns("__pycache__"))
        elif path.name != ".git":
            (folder / path.name).symlink_to(path)
    return folder


def main(given):
    """Print what no test noticed, and how much was."""
    chance, noticed, count = random.Random(given.seed), 0, 0  # noqa: S311 (a sample)
    paths = [(path, room) for pattern, room in ROOMS.items() for path in sorted(ROOT.glob(pattern))]
    with tempfile.TemporaryDirectory() as name:
        tree = copied(Path(name))
        for path, room in paths:
            file, text = path.relative_to(ROOT), path.read_text()
            every = range(len(list(sites(ast.parse(text)))))
            tests = [test.relative_to(ROOT).as_posix() for test in (ROOT / room).rglob("test_*.py")]
            tests.sort(key=lambda test, own=f"/test_{path.stem}.py": not test.endswith(own))
            places = chance.sample(every, min(given.each, len(every)))
            for place in places if given.only in str(file) else ():
                changed, told = mutated(text, place)
                (tree / file).write_text(changed)
                found = killed(tree, tests)
                (tree / file).write_text(text)
                noticed, count = noticed + found, count + 1
                print(f"{'noticed ' if found else 'SURVIVES'}  {file}:{told}", flush=True)
    print(f"{noticed} of {count} noticed")


if __name__ == "__main__":
    os.environ |= VARIABLES
    for slow in SLOW.split():
        import_module(slow)
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name, default in (("--each", 5), ("--seed", 0), ("--only", "")):
        parser.add_argument(name, type=type(default), default=default)
    main(parser.parse_args())
