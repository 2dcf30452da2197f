"""Which mistakes the tests would notice: ``mutation.py [--each 5] [--seed 0] [--jobs 2] [--only WORD]``.

Makes one small mistake at a time in a copy of the project (another comparison or operation, a constant off by
one, a condition turned round, an argument or a call left out, nothing returned) and runs the tests of the room
that call the function, those named after the module first. Each runs in a fork of a process that has already
imported what is slow, on Linux and Python 3.12 or later. Prints the mistakes that no test noticed.
"""

import argparse
import ast
import importlib
import json
import os
import random
import runpy
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TESTS = {
    "kit/perturbation/**/*.py": "tests/perturbation",
    "kit/preprocessing/**/*.py": "tests/preprocessing",
    "kit/validation/calibration/binning.py": "tests/validation/calibration",
    "kit/validation/calibration/metrics.py": "tests/validation/calibration",
    "kit/diagnosis/search/verdict.py": "tests/diagnosis/search",
    "kit/regression/**/*.py": "tests/regression",
}
SLOW = "keras nbval.plugin PIL.Image PIL.JpegImagePlugin PIL.PngImagePlugin PIL.ImageFilter scipy.ndimage scipy.optimize scipy.special scipy.stats sklearn.linear_model sklearn.metrics sklearn.model_selection xdist.plugin skimage.filters matplotlib.figure h5py ai_edge_litert.interpreter anywidget".split()
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
PAIRS = "Lt LtE, Gt GtE, Eq NotEq, In NotIn, Is IsNot, Add Sub, Mult Div, BitAnd BitOr, LShift RShift, And Or"
OTHER = {getattr(ast, one): getattr(ast, two) for one, two in (pair.split() for pair in PAIRS.split(", "))}
OTHER |= {two: one for one, two in OTHER.items()} | dict.fromkeys((ast.FloorDiv, ast.Mod, ast.Pow), ast.Mult)
NAMES = {"min": "max", "max": "min", "any": "all", "all": "any"}
SLOW_SUITE = 80
LEAST, TIMES = 60, 5
"""Seconds after which a test run counts as hung, and how often its usual time."""


def number(node):
    """Another number than a constant's."""
    if isinstance(node.value, int):
        return node.value + (1 if (node.lineno + node.col_offset) % 2 else -1)
    return node.value * 2 or 1.0


def changes(node):
    """What can be changed in a node: pairs of a field and its new value."""
    match node:
        case ast.Compare(ops=[op]) if type(op) in OTHER:
            yield "ops", [OTHER[type(op)]()]
        case ast.BinOp(op=op) | ast.AugAssign(op=op) | ast.BoolOp(op=op) if type(op) in OTHER:
            yield "op", OTHER[type(op)]()
        case ast.Constant(value=bool()):
            yield "value", not node.value
        case ast.Constant(value=int() | float()):
            yield "value", number(node)
        case ast.UnaryOp(op=ast.USub()):
            yield "op", ast.UAdd()
        case ast.Return(value=value) if value and not (isinstance(value, ast.Constant) and value.value is None):
            yield "value", ast.Constant(None)
        case ast.If() | ast.While() | ast.IfExp():
            yield "test", ast.UnaryOp(ast.Not(), node.test)
        case ast.comprehension(ifs=[one, *rest]):
            yield "ifs", [ast.UnaryOp(ast.Not(), one), *rest]
        case ast.Expr(value=ast.Call()):
            yield "value", ast.Constant(None)
        case ast.Call(func=ast.Name(id=name)) if name in NAMES:
            yield "func", ast.Name(NAMES[name])
    for place, keyword in enumerate(getattr(node, "keywords", ())):
        if keyword.arg and isinstance(node, ast.Call):
            yield "keywords", node.keywords[:place] + node.keywords[place + 1 :]


def sites(node, function=""):
    """All changes in a syntax tree: the function they lie in, the node, a field and its new value."""
    for field, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and field not in {"annotation", "returns", "decorator_list"}:
                inside = child.name if isinstance(child, FUNCTIONS) else function
                yield from ((inside, child, *change) for change in changes(child))
                yield from sites(child, inside)


def mutated(text, place):
    """The source with one change, and what it is."""
    tree = ast.parse(text)
    function, node, field, value = list(sites(tree))[place]
    line = node.lineno if hasattr(node, "lineno") else node.target.lineno
    before = ast.unparse(node).splitlines()[0]
    setattr(node, field, value)
    after = ast.unparse(ast.fix_missing_locations(node)).splitlines()[0]
    return ast.unparse(tree), function, f"{line}: {before}  ->  {after}"


def fork(tree, tests, called=None):
    """Run tests in a copy of the project in a forked process, and return its number."""
    if process := os.fork():
        return process
    os.setsid()
    os.chdir(tree)
    os.environ |= {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    sys.path[0], sys.dont_write_bytecode, names = str(tree), True, set()
    for stream in (1, 2):
        os.dup2(os.open(tree / "log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
    if called:

        def note(code, _):
            names.add(f"{code.co_filename.removeprefix(f'{tree}/')} {code.co_name}")
            return sys.monitoring.DISABLE

        sys.monitoring.use_tool_id(1, "calls")
        sys.monitoring.register_callback(1, sys.monitoring.events.PY_START, note)
        sys.monitoring.set_events(1, sys.monitoring.events.PY_START)
    result = sys.modules["pytest"].main(["-x", "-q", "-o", "addopts=", "-p", "no:cacheprovider", *tests])
    if called:
        called.write_text(json.dumps(sorted(names)))
    os._exit(bool(result))


def outcomes(work, trees):
    """Run rows of (key, file, text, tests, called, seconds), and yield key, status and seconds of each."""
    work, free, running = iter(work), list(trees), {}
    while True:
        while free and (row := next(work, None)):
            key, file, text, tests, called, limit = row
            tree = free.pop()
            before = (tree / file).read_text()
            (tree / file).write_text(text or before)
            running[fork(tree, tests, called)] = key, tree, file, before, time.monotonic(), limit
        if not running:
            return
        time.sleep(0.02)
        for late in [process for process, (*_, start, limit) in running.items() if time.monotonic() - start > limit]:
            os.killpg(late, signal.SIGKILL)
        process, status = os.waitpid(-1, os.WNOHANG)
        if process:
            key, tree, file, before, start, _ = running.pop(process)
            (tree / file).write_text(before)
            free.append(tree)
            yield key, status, time.monotonic() - start


def copies(folder, count):
    """Copies of the package and its tests, beside links to all else."""
    for each in range(count):
        tree = folder / str(each)
        tree.mkdir()
        for path in ROOT.iterdir():
            if path.name in {"kit", "tests"}:
                shutil.copytree(path, tree / path.name, ignore=shutil.ignore_patterns("__pycache__"))
            elif path.name != ".git":
                (tree / path.name).symlink_to(path)
        yield tree


def sample(each, seed, only):
    """Up to so many changes of every module: file, number, its room's tests."""
    chance = random.Random(seed)
    for pattern, room in TESTS.items():
        for path in sorted(ROOT.glob(pattern)):
            count = len(list(sites(ast.parse(path.read_text()))))
            file = path.relative_to(ROOT).as_posix()
            if only in file:
                yield from ((file, place, room) for place in chance.sample(range(count), min(each, count)))


def main(given):
    """Print what no test noticed, and how much was."""
    chosen = list(sample(given.each, given.seed, given.only))
    files = {room: sorted((ROOT / room).rglob("test_*.py")) for *_, room in chosen}
    suites = [str(path.relative_to(ROOT)) for paths in files.values() for path in paths]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        trees, calls, took = list(copies(folder, given.jobs)), {}, {}
        import hashlib
        kept = Path("/tmp/calls.json"); cache = json.loads(kept.read_text()) if kept.exists() else {}
        dig = {suite: hashlib.sha256((ROOT/suite).read_bytes()).hexdigest() for suite in suites}
        whole = [(suite, suite, "", [suite], folder / f"{place}.json", 600) for place, suite in enumerate(suites) if cache.get(suite, [0])[0] != dig[suite]]
        for suite, status, seconds in outcomes(whole, trees):
            print(f"{suite}: {seconds:.0f} s{' FAILS' * bool(status)}", flush=True)
            cache[suite] = dig[suite], json.loads((folder / f"{suites.index(suite)}.json").read_text()), seconds
            kept.write_text(json.dumps(cache))
        for suite in suites:
            calls[suite], took[suite] = set(cache[suite][1]), cache[suite][2]

        def rows():
            for file, place, room in chosen:
                text, function, told = mutated((ROOT / file).read_text(), place)
                all_of_room = [suite for suite in suites if suite.startswith(f"{room}/")]
                tests = [suite for suite in all_of_room if f"{file} {function}" in calls[suite]] or all_of_room
                tests = [suite for suite in tests if took[suite] < SLOW_SUITE or Path(suite).stem == f"test_{Path(file).stem}"] or tests
                tests.sort(key=lambda suite: (Path(file).stem not in suite, took[suite]))
                yield (file, told), file, text, tests, None, LEAST + TIMES * sum(took[suite] for suite in tests)

        noticed = {}
        for (file, told), status, seconds in outcomes(rows(), trees):
            noticed.setdefault(file, []).append(bool(status))
            print(f"{'noticed ' if status else 'SURVIVES'} {seconds:5.1f} s  {file}:{told}", flush=True)
    for file, each in noticed.items():
        print(f"{file}: {sum(each)} of {len(each)}")
    every = [one for each in noticed.values() for one in each]
    print(f"{sum(every)} of {len(every)} noticed")


if __name__ == "__main__":
    os.environ |= runpy.run_path(str(ROOT / "kit" / "_launch.py"))["VARIABLES"]
    for slow in SLOW:
        importlib.import_module(slow)
    parser = argparse.ArgumentParser()
    parser.add_argument("--each", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", default="")
    main(parser.parse_args())
