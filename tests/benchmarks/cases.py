"""A thousand cases beside the network alone: ``cases.py --json FILE [--cases 1000]``.

Cases are pinned on EfficientNet-Lite0 from the bundled photographs, so that no two ask the same:
``brightness``, each with another one; ``noise``, each with another seed besides. Drawing noise for every
pixel of a photograph takes a third of a forward pass, which no case can save.

Timed
    ``checked``: `kit.check_cases`. ``bare``: decoding the picture files with Pillow, and a forward pass with
    a tensor that is ready, once for each case. They take turns, twenty cases each, in one process.
Memory
    Largest resident memory of a process of its own that checks 100 cases, and all.
"""

import argparse
import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
from io import BytesIO
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))  # a script starts with its own folder in place of the project's

import kit  # noqa: E402
from kit import samples  # noqa: E402
from kit.regression import cases as folders  # noqa: E402

NETWORK = "efficientnet_lite0"
TARGET, FLAT = 1.5, 1.1
FEW, PART = 100, 20
"""Cases of the smaller folder, and those between two runs of the network alone."""


def pinned(folder: Path, count: int, *, noise: bool) -> None:
    """Pin so many cases."""
    classifier, photos = samples.classifier(NETWORK), samples.photos("photographs")
    random = np.random.default_rng(5)
    for number in range(count):
        brightness = round(float(random.uniform(0.6, 1.4)), 3)
        level = float(1 + number % 12) if noise else 0.0
        perturbation = kit.Perturbation(brightness=brightness, noise=level, seed=number)
        photo = photos[number % len(photos)]
        kit.pin(folder, classifier, photo, perturbation=perturbation, name=f"case-{number:04d}")


def timed(folder: Path) -> dict[str, Any]:
    """Check the cases, with the network alone in between: after every part, on the same pictures."""
    classifier = samples.classifier(NETWORK)
    tensors = {path.name: classifier.tensor(path) for path in (folder / folders.PICTURES).iterdir()}
    names = [Path(folders.read(path).picture).name for path in folders.paths(folder)]
    pairs: list[tuple[float, float]] = []
    done, since = 0, time.perf_counter()

    def after(_line: str) -> None:
        nonlocal done, since
        done += 1
        if done % PART == 0:
            checked = time.perf_counter() - since
            pairs.append((checked, bare(folder, names[done - PART : done], tensors)))
            since = time.perf_counter()

    check(folder, after)
    checked, alone = (sum(each) for each in zip(*pairs, strict=True))
    ratios = [one / two for one, two in pairs]
    return {
        "checked_s": checked,
        "bare_s": alone,
        "ratio": checked / alone,
        "median": median(ratios),
        "spread": [round(float(each), 3) for each in np.percentile(ratios, (10, 90))],
    }


def bare(folder: Path, names: list[str], tensors: dict[str, Any]) -> float:
    """Decode pictures and run the network on tensors that are ready; return the seconds."""
    engine = samples.classifier(NETWORK).engine
    start = time.perf_counter()
    for name in names:
        with Image.open(BytesIO((folder / folders.PICTURES / name).read_bytes())) as image:
            np.asarray(image.convert("RGB"))
        engine.predict(tensors[name])
    return time.perf_counter() - start


def check(folder: Path, progress: Any = False) -> None:
    """Check the cases, which all hold."""
    result = kit.check_cases(folder, samples.classifier(NETWORK), progress=progress)
    if not result.holds:
        raise AssertionError(result.paragraph())


def memory(folder: Path) -> float:
    """Return the largest resident memory of a process that checks the cases, in MB."""
    command = [sys.executable, __file__, "--folder", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout) / 1024


def main() -> None:
    """Measure, print the table, write the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the report is written")
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.folder:
        check(options.folder)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
        return
    with tempfile.TemporaryDirectory() as place:
        sets = {name: Path(place, name) for name in ("brightness", "noise")}
        start = time.perf_counter()
        for name, folder in sets.items():
            pinned(folder, options.cases, noise=name == "noise")
        pinned(Path(place, "few"), FEW, noise=True)
        pins = 2 * options.cases + FEW
        print(f"pinned {pins} cases, {1000 * (time.perf_counter() - start) / pins:.0f} ms each", flush=True)
        rows = [{"cases": name, **timed(folder)} for name, folder in sets.items()]
        few, many = memory(Path(place, "few")), memory(sets["noise"])
    print(f"{options.cases} cases, {samples.classifier(NETWORK).engine.description}")
    for row in rows:
        print(
            f"{row['cases']:12} {row['checked_s']:6.1f} s, bare {row['bare_s']:6.1f} s, ratio"
            f" {row['ratio']:.2f} (target: at most {TARGET}); of parts {row['median']:.2f}, {row['spread']}"
        )
    print(
        f"memory {few:.0f} MB with {FEW}, {many:.0f} MB with all: {many / few:.3f} x (target: at most {FLAT})"
    )
    if options.json:
        machine = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
        report = {"machine": machine, "count": options.cases, "rows": rows, "memory_mb": [few, many]}
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
