"""How much of the kit users reach: lines inside functions, refusals (``raise``) left out, by room.

The tests of what users see are run: all notebooks with their answers, the Python of README and docs/, the
commands, the formats, and the explorer's page in a browser. Python 3.12 and later counts the lines, in every
process that these start. Arguments, as in ``reached notebooks/solutions/00_explore.ipynb``, are run instead.
"""

import ast
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from inspect import CO_OPTIMIZED
from pathlib import Path
from types import CodeType
from typing import Any

from tests.benchmarks import report

KIT = report.ROOT / "kit"
TARGET = 0.85
SEEN = (
    "notebooks/solutions",
    "notebooks/regression",
    "tests/test_docs.py",
    "tests/browser",
)
COMMANDS = (
    "tests/test_command_line.py",
    "tests/regression/test_commands.py",
    "tests/validation/test_mistakes.py",
)
FORMATS = ("tests/classifier/test_importing.py", "tests/classifier/test_zoo.py")
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


def main() -> None:
    """Run everything, print the table and write the JSON file."""
    parser = report.parser(__doc__)
    parser.add_argument(
        "only",
        nargs="*",
        default=[*SEEN, *COMMANDS, *FORMATS],
        help="what pytest runs in their place",
    )
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as site,
        tempfile.TemporaryDirectory() as reached,
    ):
        Path(site, "sitecustomize.py").write_text(WATCH, encoding="utf-8")
        watched = {"KIT_REACHED": reached, "KIT_WATCHED": f"{KIT}{os.sep}"}
        watched["PYTHONPATH"] = os.pathsep.join([site, str(report.ROOT)])
        command = [sys.executable, "-m", "pytest", "-q", "-n0", *options.only]
        code = subprocess.run(
            command, cwd=report.ROOT, env=os.environ | watched, check=False
        ).returncode
        found = {
            line
            for file in Path(reached).iterdir()
            for line in file.read_text("utf-8").splitlines()
        }
    report.write(options.json, printable(found) | {"passed": code == 0})


def printable(found: set[str]) -> dict[str, Any]:
    """Print the share that is reached of each room, and return it with the functions that never run."""
    rooms: dict[str, list[bool]] = defaultdict(list)
    silent = []
    for path in sorted(KIT.rglob("*.py")):
        for function, numbers in functions(path):
            hit = [f"{path}:{number}" in found for number in numbers]
            rooms[path.relative_to(KIT).parts[0]] += hit
            if hit and not any(hit):
                silent.append(
                    f"{path.relative_to(KIT)}:{function.co_firstlineno} {function.co_name}"
                )
    rooms["all"] = [each for room in rooms.values() for each in room]
    rows = [
        {"room": room, "lines": len(hit), "reached": f"{sum(hit) / len(hit):.0%}"}
        for room, hit in rooms.items()
    ]
    report.table(rows)
    share = sum(rooms["all"]) / len(rooms["all"])
    targets = [report.target("share of lines that are reached", share, TARGET)]
    return {"rooms": rows, "targets": targets, "never_entered": silent}


def functions(path: Path) -> Iterator[tuple[CodeType, set[int]]]:
    """Yield the functions of a module, each with the lines that are counted."""
    text = path.read_text(encoding="utf-8")
    raised = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Raise)]
    refusals = {
        line
        for node in raised
        for line in range(node.lineno, (node.end_lineno or 0) + 1)
    }
    waiting = [compile(text, path, "exec")]
    while waiting:
        code = waiting.pop()
        waiting += [each for each in code.co_consts if isinstance(each, CodeType)]
        if code.co_flags & CO_OPTIMIZED:
            lines = {line for *_, line in code.co_lines() if line} - {
                code.co_firstlineno
            }
            yield code, lines - refusals


if __name__ == "__main__":
    main()
