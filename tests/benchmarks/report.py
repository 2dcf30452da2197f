"""What the benchmarks share: their options, tables, fresh processes and the file that they write.

Each is started from the root of the project, as ``python -m tests.benchmarks.NAME``.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np

from kit import Table

ROOT = Path(__file__).resolve().parents[2]


def parser(about):
    """Return the options that all have: ``--json FILE``."""
    made = argparse.ArgumentParser(description=about.splitlines()[0])
    made.add_argument("--json", type=Path, help="where the report is written")
    return made


def python(script, *arguments):
    """What a fresh Python prints of a script; it has to end well."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.check_output(command, cwd=ROOT, text=True)


def percentiles(values):
    """``p50_ms`` and ``p95_ms``, of milliseconds."""
    middle, high = np.percentile(values, (50, 95)).round(1)
    return {"p50_ms": middle, "p95_ms": high}


def table(rows):
    """Print rows under the names of their values."""
    rows = list(rows)
    names = list(dict.fromkeys(name for row in rows for name in row))
    texts = [[_shown(row.get(name, "")) for name in names] for row in rows]
    print(Table(names, texts), flush=True)


def _shown(value):
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def write(path, report):
    """Write the report and where it was measured, if there is a path."""
    if path is not None:
        machine = platform.platform(), platform.python_version(), os.cpu_count()
        content = {"machine": machine, **report}
        path.write_text(json.dumps(content, default=str) + "\n", encoding="utf-8")
