"""How much of the kit users reach: statements inside functions, refusals (``raise``) left out, by room.

Run are all notebooks with their answers, every kind of message of the explorer's page, the Python and the
commands of README and docs/, in processes of their own, whose lines are counted by Python 3.12 and later. An
argument, as in ``reached notebooks/00_explore.ipynb docs/own_model.md messages``, runs only that.
"""

import ast
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.benchmarks import report

ROOT = Path(__file__).resolve().parents[2]
PHOTOGRAPHS = ROOT / "data" / "photographs"
TARGET = 0.85
SECONDS = 1800
UNCOUNTED = (ast.Raise, ast.Pass, ast.Break, ast.Continue, ast.Global, ast.Nonlocal)

# Each process appends what it reaches at once, so that one that is killed has told it, too.
WATCH = """
import os, sys
lines = open(os.path.join(os.environ["KIT_REACHED"], str(os.getpid())), "a", buffering=1)
def line(code, number):
    if code.co_filename.startswith(os.environ["KIT_WATCHED"]):
        lines.write(f"{code.co_filename}:{number}\\n")
    return sys.monitoring.DISABLE
sys.monitoring.use_tool_id(4, "reached")
sys.monitoring.register_callback(4, sys.monitoring.events.LINE, line)
sys.monitoring.set_events(4, sys.monitoring.events.LINE)
"""
NOTEBOOK = """
import sys, nbformat
from nbclient import NotebookClient
book = nbformat.read(sys.argv[1], 4)
NotebookClient(book, timeout=1800, resources={"metadata": {"path": sys.argv[2]}}).execute()
"""
PAGE = "import sys, runpy, matplotlib as m; m.use('agg'); runpy.run_path(sys.argv[1])"
PLAIN = """
import keras
from keras import layers
steps = [keras.Input((224, 224, 3)), layers.Conv2D(8, 3, strides=4), layers.BatchNormalization()]
last = [layers.ReLU(), layers.GlobalAveragePooling2D(), layers.Dense(10, activation="softmax")]
model = keras.Sequential([*steps, *last])
model.save("my_model.keras")
model.save("old.h5")
model.save("keras_model.h5")
"""
INLINE = """
import kit
classifier = kit.samples.classifier("fashion_mnist")
photos, labels = kit.samples.photos("fashion_mnist")[:200], kit.samples.labels("fashion_mnist")[:200]
print(kit.diagnose(classifier, photos[:4], labels[:4]), kit.calibrate(classifier, photos, labels))
print(kit.find_duplicates(photos), kit.sweep(classifier, photos[:4], {"noise": [0, 30]}))
"""
MESSAGES = """
import sys
import kit
from kit.explorer.explorer import FIELDS
from kit.perturbation import PARAMETERS
from kit.preprocessing.faults import CATALOGUE
from tests.explorer.page import deliver
photos, labels = kit.samples.photos("imagenet"), kit.samples.labels("imagenet")
explorer = kit.Explorer(kit.samples.classifier("efficientnet_lite0"), photos, labels)
explorer._ipython_display_()
content = open(sys.argv[1], "rb").read()
file = {"kind": "upload", "number": "v.1", "name": "my.jpg"}
said = [
    {"kind": "hello"},
    *({"kind": "settings", "settings": {name: item.high}} for name, item in PARAMETERS.items()),
    *({"kind": "settings", "settings": {fault.step: fault.name}} for fault in CATALOGUE.values()),
    {"kind": "noise", "seed": 1, "count": 300},
    {"kind": "ahead", "settings": {}, "key": "noise", "places": [1, 2]},
    {"kind": "frame", "settings": {}, "height": 2, "width": 2, "buffer": bytes(12)},
    {"kind": "snap"},
    file | {"last": False, "buffer": content[:9000]},
    file | {"last": True, "buffer": content[9000:]},
    {"kind": "remove", "name": "my.jpg"},
    {"kind": "label", "photo": "cat.jpg", "label": "tabby"},
    {"kind": "judge", "settings": {"noise": 20}, "photos": ["cat.jpg", "otter.jpg"]},
    *(
        {"kind": "why", "settings": {"photo": photo, **changed}}
        for photo, changed in (
            ("cat.jpg", {}),
            ("espresso.jpg", {"scaling": "missing_scaling"}),
            ("espresso.jpg", {"noise": 60, "brightness": 0.1, "scaling": "range_0_1"}),
            ("volleyball.jpg", {"noise": 60, "brightness": 0.9}),
            ("wall_clock.jpg", {"brightness": 0.1}),
        )
    ),
    {"kind": "stop"},
    {"kind": "pin", "settings": {"photo": "cat.jpg"}},
    {"kind": "keep"},
    {"kind": "settings", "settings": {"where": -1}},
    {"kind": "where"},
]
assert {each["kind"] for each in said} == set(FIELDS)
for number, each in enumerate(said):
    buffers = [each.pop("buffer")] if "buffer" in each else []
    deliver(explorer, buffers, request=f"a.{number}", **each)
    explorer.wait()
    assert not explorer.error, (each, explorer.error)
"""


def main() -> None:
    """Run everything, print the table and write the JSON file."""
    parser = report.parser(__doc__)
    parser.add_argument("only", nargs="*", help="notebooks, pages or messages; all by default")
    options = parser.parse_args()
    failed: list[str] = []
    with tempfile.TemporaryDirectory() as place:
        for name in ("site", "reached", "cache"):
            Path(place, name).mkdir()
        Path(place, "site", "sitecustomize.py").write_text(WATCH, encoding="utf-8")
        watched = {"KIT_REACHED": f"{place}/reached", "KIT_WATCHED": f"{ROOT / 'kit'}{os.sep}"}
        path = os.pathsep.join([f"{place}/site", str(ROOT)])
        environment = os.environ | watched | {"PYTHONPATH": path, "XDG_CACHE_HOME": f"{place}/cache"}
        for what, folder, command in runs(Path(place), options.only):
            how: dict[str, Any] = {"capture_output": True, "text": True, "cwd": folder}
            done = subprocess.run(command, env=environment, check=False, **how)
            # 1 and 2 say what a command has found; what is only part of a command is refused with --help.
            fine = done.returncode == 0 or (command[1] == "-m" and done.returncode < 3)
            if not fine and not done.stderr.strip().endswith("--help"):
                failed.append(f"{what}: {(done.stderr.strip().splitlines() or ['silent'])[-1]}")
                print("FAILED", failed[-1], flush=True)
            else:
                print("ran", what, flush=True)
        reached = defaultdict(set)
        for file in Path(place, "reached").iterdir():
            for line in set(file.read_text(encoding="utf-8").splitlines()):
                name, _, number = line.rpartition(":")
                reached[name].add(int(number))
    report.write(options.json, told(reached) | {"failed": failed})


def runs(place: Path, only: list[str]) -> Iterator[tuple[str, Path, list[str]]]:
    """Yield what is run: its name, the folder it runs in, and the command."""
    python = sys.executable
    notebooks, regression = ROOT / "notebooks", ROOT / "notebooks" / "regression"
    found = *notebooks.glob("0*.ipynb"), *notebooks.glob("solutions/0*.ipynb")
    books = {path.name: path for path in (*found, regression / "check_cases.ipynb")}
    for path in books.values():
        name = str(path.relative_to(ROOT))
        if not only or name in only:
            at = regression if path.parent == regression else notebooks
            yield name, ROOT, [python, "-c", NOTEBOOK, str(path), str(at)]
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        if not only or str(page.relative_to(ROOT)) in only:
            folder = files(place / page.stem)
            for number, command in enumerate(commands(page, folder)):
                yield f"{page.name} {number}", folder, [python, *command]
    if not only or "messages" in only:
        folder = files(place / "messages")
        yield "messages", folder, [python, "-c", MESSAGES, "photo.jpg"]
        yield "calls", folder, [python, "-c", INLINE]


def files(folder: Path) -> Path:
    """Lay out the files that the pages speak of."""
    for name, photos in {"photos": ("cat", "koala"), "camera": ("panda", "ibex", "hens")}.items():
        (folder / name).mkdir(parents=True)
        for photo in photos:
            shutil.copy(PHOTOGRAPHS / f"{photo}.jpg", folder / name)
    shutil.copy(PHOTOGRAPHS / "panda.jpg", folder / "photo.jpg")
    for name, model in (("my_model", "efficientnet_lite0"), ("first", "fashion_mnist_500")):
        shutil.copy(ROOT / "data" / "models" / f"{model}.keras", folder / f"{name}.keras")
    shutil.copy(ROOT / "data" / "models" / "fashion_mnist.keras", folder / "second.keras")
    return folder


def commands(page: Path, folder: Path) -> Iterator[list[str]]:
    """Yield the arguments of Python for a page: a plain network of one's own, its Python, its commands."""
    text = page.read_text(encoding="utf-8")
    if page.stem == "own_model":
        yield ["-c", PLAIN]
    found = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    if found:
        script = folder / "page.py"
        script.write_text("\n".join(found), encoding="utf-8")
        yield ["-c", PAGE, str(script)]
    for line in re.findall(r"(?:^|`)python (-m kit [^`\n]*)", text, re.MULTILINE):
        if "MODEL" not in line and "COMMAND" not in line:
            yield shlex.split(line, comments=True)


def told(reached: dict[str, set[int]]) -> dict[str, Any]:
    """Print the share that is reached of each room, and return it with the functions that never run."""
    rooms: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    silent = []
    for path in sorted((ROOT / "kit").rglob("*.py")):
        room = path.relative_to(ROOT / "kit").parts[0]
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(function, ast.FunctionDef):
                hit = [bool(lines(each) & reached[str(path)]) for each in statements(function.body)]
                rooms[room][0] += sum(hit)
                rooms[room][1] += len(hit)
                if hit and not any(hit):
                    silent.append(f"{path.relative_to(ROOT)}:{function.lineno} {function.name}")
    rooms["all"] = [sum(each) for each in zip(*rooms.values(), strict=True)]
    counted = {room: each for room, each in rooms.items() if each[1]}
    rows = [
        {"room": room, "statements": n, "reached": f"{hit / n:.0%}"} for room, (hit, n) in counted.items()
    ]
    report.table(rows)
    hit, count = rooms["all"]
    targets = [report.target("share of statements that are reached", hit / count, TARGET)]
    return {"rooms": rows, "targets": targets, "never_entered": silent}


def statements(body: list[Any]) -> Iterator[ast.stmt]:
    """Yield statements that make code, and those within them, but not those of functions within."""
    for node in body:
        constant = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        declared = isinstance(node, ast.AnnAssign) and node.value is None
        if isinstance(node, ast.stmt) and not isinstance(node, UNCOUNTED) and not constant and not declared:
            yield node
        if not isinstance(node, ast.FunctionDef | ast.ClassDef):
            for part in ("body", "orelse", "finalbody", "handlers", "cases"):
                yield from statements(getattr(node, part, []))


def lines(node: Any) -> set[int]:
    """Return the lines of a statement, without those of a block that it heads."""
    body = getattr(node, "body", None)
    last = node.end_lineno if not body else max(node.lineno, body[0].lineno - 1)
    return set(range(node.lineno, last + 1))


if __name__ == "__main__":
    main()
