"""What the benchmarks share: their options, the machine, tables, targets and the file they write.

Each is started from the root of the project, as ``python -m tests.benchmarks.NAME``.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from itertools import cycle
from pathlib import Path

import nbformat
import numpy as np
from PIL import Image

from kit import Table, samples

ROOT = Path(__file__).resolve().parents[2]
MEMORY = (
    "import resource, sys, kit; classifier = kit.samples.classifier('fashion_mnist')",
    """
from pathlib import Path
status = Path("/proc/self/status")
if status.exists():
    # Peak of this program alone; getrusage counts what the parent had before this one was started in it.
    [peak] = [line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM")]
else:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(count, peak)
""",
)
"""What comes before a call and after it."""


def parser(about):
    """Return the options that all have: ``--json FILE``."""
    made = argparse.ArgumentParser(description=about.splitlines()[0])
    made.add_argument(
        "--json", type=Path, metavar="FILE", help="where the report is written"
    )
    return made


def machine():
    """Say where this runs."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    names = [line.split(":")[1].strip() for line in lines if "model name" in line]
    cpu = names[0] if names else platform.processor() or platform.machine()
    found = {
        "system": platform.platform(),
        "python": platform.python_version(),
        "cpu": cpu,
    }
    return found | {"cores": os.cpu_count(), "load_average": os.getloadavg()}


def python(script, *arguments, cwd=ROOT):
    """What a fresh Python prints of a script; it has to end well."""
    return subprocess.check_output(
        [sys.executable, "-c", script, *map(str, arguments)], cwd=cwd, text=True
    )


def memory(call, names):
    """What a call in a fresh process counts in a folder of images of these names, and its peak in KiB."""
    images = cycle(samples.fashion_mnist_arrays("test")[0])
    with tempfile.TemporaryDirectory() as folder:
        for name, image in zip(names, images, strict=False):
            Path(folder, name).parent.mkdir(exist_ok=True)
            Image.fromarray(image).save(Path(folder, name), compress_level=1)
        count, peak = map(int, python(MEMORY[0] + call + MEMORY[1], folder).split())
    # Linux counts in KiB, macOS in bytes.
    return count, peak // (1024 if sys.platform == "darwin" else 1)


def percentiles(values, *names):
    """``p50_ms`` and the like, of milliseconds."""
    return {
        f"p{name}_ms": round(float(np.percentile(values, name)), 1) for name in names
    }


def cells(notebook):
    """Return the code of the cells of a notebook."""
    book = nbformat.read(notebook, as_version=4)
    return [cell.source for cell in book.cells if cell.cell_type == "code"]


def table(rows, names=()):
    """Print rows under the names of their values, those of the first row by default."""
    listed = list(rows)
    names = names or list(listed[0])
    print(
        Table(names, [[_shown(row.get(name)) for name in names] for row in listed]),
        flush=True,
    )


def _shown(value):
    return (
        ""
        if value is None
        else f"{value:.4g}"
        if isinstance(value, float)
        else str(value)
    )


def target(text, found, bound, *, most=False):
    """Print and return whether something that was measured is within its bound."""
    met = found <= bound if most else found >= bound
    told = f"{text}: {'at most' if most else 'at least'} {bound:g}"
    print(f"{'met ' if met else 'OPEN'} {told}, found {found:.3g}", flush=True)
    return {"target": told, "found": round(found, 3), "met": met}


def write(path, report):
    """Write the report with the machine, if there is a path."""
    if path is not None:
        content = {"machine": machine(), **report}
        path.write_text(
            json.dumps(content, indent=1, default=str) + "\n", encoding="utf-8"
        )
