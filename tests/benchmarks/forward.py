"""One picture through the network, beside bare LiteRT: ``forward.py --json FILE``.

Variants
    ``litert``: set_tensor, invoke, get_tensor of an interpreter with the thread count that the engine chose.
    ``engine``: `LiteEngine.predict`. ``tensors``: `Classifier.predict_tensors`, which the explorer calls.
    ``photo``: `Classifier.probabilities` with brightness and noise, from the decoded photo on.
    All of them run in one process and take turns call by call. ``ratio``: p50 over that of ``litert``.
"""

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))  # a script starts with its own folder in place of the project's

from kit import Perturbation, samples  # noqa: E402

ROUNDS = {"efficientnet_lite0": 400, "fashion_mnist": 4000}
TARGET = 1.15


def variants(name: str) -> tuple[dict[str, Callable[[], Any]], str]:
    """Calls to be timed, and what the engine says of itself."""
    classifier = samples.classifier(name)
    photo = samples.photos("fashion_mnist" if name == "fashion_mnist" else "imagenet")[0]
    tensor = classifier.tensor(photo)
    engine = classifier.engine
    bare = Interpreter(model_content=classifier.compiled, num_threads=engine.threads)
    bare.allocate_tensors()
    entry, result = bare.get_input_details()[0]["index"], bare.get_output_details()[0]["index"]

    def litert() -> Any:
        bare.set_tensor(entry, tensor)
        bare.invoke()
        return bare.get_tensor(result)

    perturbation = Perturbation(brightness=1.2, noise=20)
    return {
        "litert": litert,
        "engine": lambda: engine.predict(tensor),
        "tensors": lambda: classifier.predict_tensors(tensor),
        "photo": lambda: classifier.probabilities(photo, perturbation),
    }, engine.description


def measure(name: str) -> list[dict[str, Any]]:
    """Time all variants in turn."""
    calls, description = variants(name)
    times: dict[str, list[float]] = {variant: [] for variant in calls}
    for number in range(ROUNDS[name] + 20):
        for variant, call in calls.items():
            before = time.perf_counter()
            call()
            elapsed = time.perf_counter() - before
            if number >= 20:
                times[variant].append(1000 * elapsed)
    bare = float(np.percentile(times["litert"], 50))
    return [
        {
            "model": name,
            "variant": variant,
            "engine": description,
            "p50_ms": float(np.percentile(each, 50)),
            "p95_ms": float(np.percentile(each, 95)),
            "ratio": float(np.percentile(each, 50)) / bare,
        }
        for variant, each in times.items()
    ]


def main() -> None:
    """Measure, print the table, write the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the report is written")
    options = parser.parse_args()
    rows = [row for name in ROUNDS for row in measure(name)]
    print(f"{'model':20} {'variant':8} {'p50':>9} {'p95':>9} {'ratio':>6}  (target for engine: {TARGET})")
    for row in rows:
        print(
            f"{row['model']:20} {row['variant']:8} {row['p50_ms']:6.3f} ms {row['p95_ms']:6.3f} ms"
            f" {row['ratio']:6.3f}  {row['engine']}"
        )
    if options.json:
        machine = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
        text = json.dumps({"machine": machine, "rows": rows}, indent=1)
        options.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
