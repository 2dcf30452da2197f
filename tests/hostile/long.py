"""The long form: every corpus in child processes that may die, and a table of what came of it.

python -m tests.hostile.long --json FILE             everything; hours
python -m tests.hostile.long pictures journals       some corpora
python -m tests.hostile.long --share 0.01            a hundredth of each
python -m tests.hostile.long --remake pictures:1003:000017-many FILE
"""

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from importlib import import_module
from itertools import islice
from pathlib import Path

COUNTS = {
    "pictures": 100_000,
    "large": 11,
    "arrays": 5_000,
    "journals": 3_000,
    "cases": 5_000,
    "preprocessing": 20_000,
    "messages": 5_000,
    "models": 2_000,
    "models.compiled_corpus": 3_000,
}
"""How many of each; what stands behind a point is another corpus of the same module."""
CHUNK = 5_000
"""Inputs of one child process, each with a seed of its own."""
SECONDS, SMALL = 1.0, 20_000_000
SILENT = 900
"""A child that says nothing for so many seconds is ended."""
ROOT = Path(__file__).resolve().parents[2]


def corpus_of(name):
    """The generator of a corpus, what opens one of it, and the kinds of errors that are documented."""
    module_name, _, function = name.partition(".")
    module = import_module(f"tests.hostile.{module_name}")
    documented = getattr(module, "DOCUMENTED", (ValueError, TypeError, OSError))
    return getattr(module, function or "corpus"), module.open_one, documented


def children_seconds():
    """Processor time of the processes in which files were inspected and compiled, with what they imported."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def child(name, seed, start, count):
    """Open one after the other, and print a line before and after each."""
    corpus, open_one, documented = corpus_of(name)
    told = os.dup(1)
    spoken, own = tempfile.TemporaryFile(), os.dup(2)  # noqa: SIM115 (as long as this process)
    sys.excepthook = lambda *what: os.write(own, "".join(traceback.format_exception(*what)).encode())
    os.dup2(spoken.fileno(), 1)
    os.dup2(spoken.fileno(), 2)  # what a library prints would stand in the notebook

    def tell(**line):
        os.write(told, (json.dumps(line) + "\n").encode())

    with tempfile.TemporaryDirectory() as folder:
        for number, (label, data) in enumerate(islice(corpus(count, seed), start, None), start):
            path = Path(folder) / label
            path.write_bytes(data)
            tell(begun=number, label=label)
            before, begun = os.fstat(spoken.fileno()).st_size, time.process_time()
            children_before = children_seconds()
            outcome = {"error": None}
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                try:
                    open_one(path)
                except Exception as error:  # noqa: BLE001 (what it is, is what is asked)
                    kind, text = type(error).__name__, str(error)
                    known = isinstance(error, documented)
                    outcome = {
                        "error": kind,
                        "known": known,
                        "text": text[:300],
                        "lines": text.count("\n") + 1,
                    }
            seconds = time.process_time() - begun
            path.unlink()
            tell(
                done=number,
                seconds=round(seconds, 3),
                child_seconds=round(children_seconds() - children_before, 3),
                bytes=len(data),
                warned=[str(each.message)[:200] for each in caught],
                printed=os.fstat(spoken.fileno()).st_size - before,
                peak=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 // 10**6,
                # The processes in which files of others are inspected and compiled, the largest until now.
                child_peak=resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 // 10**6,
                **outcome,
            )


def chunk(name, seed, count):
    """Results of one chunk, by children that go on where the last one died."""
    start = 0
    while start < count:
        command = [
            sys.executable,
            "-m",
            "tests.hostile.long",
            "--child",
            name,
            str(seed),
            str(start),
            str(count),
        ]
        with tempfile.TemporaryFile("w+") as out:
            # The bar of a compilation is meant to be seen.
            env = {**os.environ, "TQDM_DISABLE": "1"}
            process = subprocess.Popen(
                command, cwd=ROOT, env=env, stdout=out, stderr=subprocess.PIPE, text=True
            )
            size, heard = 0, time.monotonic()
            while process.poll() is None:
                time.sleep(0.05)
                if (now := os.fstat(out.fileno()).st_size) != size:
                    size, heard = now, time.monotonic()
                if time.monotonic() - heard > SILENT:
                    process.kill()
            said = process.stderr.read()
            out.seek(0)
            lines = [json.loads(line) for line in out]
        labels = {line["begun"]: line["label"] for line in lines if "begun" in line}
        done = [line for line in lines if "done" in line]
        yield from ({**line, "id": f"{name}:{seed}:{labels[line['done']]}"} for line in done)
        if process.returncode == 0:
            return
        if len(labels) == len(done):  # it died between two, or before the first
            raise RuntimeError(f"{name}, seed {seed}: {said[-2000:]}")
        last = max(labels)
        yield {"id": f"{name}:{seed}:{labels[last]}", "died": process.returncode}
        start = last + 1


def summed(name, results):
    """One row of the table, with the offenders by name."""
    row = {
        "corpus": name,
        "inputs": len(results),
        "opened": 0,
        "refused": 0,
        "slowest": 0.0,
        "slowest_child": 0.0,
        "peak_mb": 0,
        "child_peak_mb": 0,
    }
    found = {"crashes": [], "hangs": [], "other": [], "lines": [], "warned": [], "printed": []}
    reasons = Counter()
    for each in results:
        if "died" in each:
            found["hangs" if each["died"] == -9 else "crashes"].append(f"{each['id']} {each['died']}")
            continue
        row["opened" if each["error"] is None else "refused"] += 1
        if each["error"] is not None:
            reasons[re.sub(r"'.*?'|[\d.,]+", "…", each["text"])[:80]] += 1
        row["slowest"] = max(row["slowest"], each["seconds"])
        row["slowest_child"] = max(row["slowest_child"], each["child_seconds"])
        row["peak_mb"] = max(row["peak_mb"], each["peak"])
        row["child_peak_mb"] = max(row["child_peak_mb"], each["child_peak"])
        checks = {
            "hangs": each["seconds"] > SECONDS and each["bytes"] < SMALL,
            "other": each["error"] is not None and not each["known"],
            "lines": each.get("lines", 1) > 1,
            "warned": bool(each["warned"]),
            "printed": each["printed"] > 0,
        }
        for key in (key for key, is_so in checks.items() if is_so):
            told = {"hangs": each["seconds"], "warned": each["warned"]}.get(key, each.get("text", ""))
            found[key].append(f"{each['id']} {each['error'] or ''} {told}")
    # A corpus that is refused at the door for one and the same reason has tried nothing.
    row |= {"reasons": len(reasons)} | {key: len(ids) for key, ids in found.items()}
    return row | {
        "refusals": dict(reasons.most_common(12)),
        "offenders": {key: ids[:20] for key, ids in found.items() if ids},
    }


def remake(which, path):
    """Write one input again that a table names."""
    name, seed, label = which.split(":", 2)
    corpus, _, _ = corpus_of(name)
    number = int(re.match(r"\d+", label)[0])
    path.write_bytes(
        next(data for each, data in islice(corpus(number + CHUNK, int(seed)), 10**6) if each == label)
    )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpora", nargs="*", help=", ".join(COUNTS))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--child", nargs=4)
    parser.add_argument("--remake", nargs=2)
    given = parser.parse_args()
    if given.child:
        name, *numbers = given.child
        child(name, *map(int, numbers))
        return
    if given.remake:
        remake(given.remake[0], Path(given.remake[1]))
        return
    rows = []
    for name in given.corpora or COUNTS:
        if not (ROOT / "tests" / "hostile" / f"{name.partition('.')[0]}.py").exists():
            print(f"{name}: not here", flush=True)
            rows.append({"corpus": name, "inputs": 0, "missing": True})
            continue
        count, results = max(1, round(COUNTS[name] * given.share)), []
        for number, start in enumerate(range(0, count, CHUNK)):
            results += chunk(name, 1000 * given.seed + number, min(count - start, CHUNK))
            if given.json:  # so that a run that is stopped has told something
                given.json.write_text(json.dumps([*rows, summed(name, results)], indent=1))
        rows.append(summed(name, results))
        told = {key: value for key, value in rows[-1].items() if key not in {"refusals", "offenders"}}
        print(*(f"{key}={value}" for key, value in told.items()), flush=True)
        for key, ids in rows[-1]["offenders"].items():
            print(f"  {key}: " + "\n    ".join(ids[:5]), flush=True)


if __name__ == "__main__":
    main()
