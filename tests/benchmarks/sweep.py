"""A sweep beside its bare forward passes and beside the usual loop.

Grid
    EfficientNet-Lite0, one photograph of 512 x 512 pixels, 21 x 21 values of brightness and noise: 441 cells.
    ``sweep``: `kit.sweep` from the path of the file to the rows, everything counted.
    ``forward``: the same 441 forward passes alone, by the same engine, in batches of the same size, on
    tensors that are there. Both take turns; ``ratio`` is the median over the rounds of one over the other.
    ``usual``: a loop over cells that perturbs with Pillow and numpy, prepares the picture and calls Keras's
    `model.predict`. Its time for a cell, measured on every eleventh cell, stands for all of them.
Memory
    Peak memory of a fresh process that sweeps 100, 1,000 and 10,000 small picture files under five values.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image, ImageEnhance

import kit
from kit.classifier.engines import part_size
from tests.benchmarks import report

PHOTO = report.ROOT / "data" / "photographs" / "astronaut.jpg"
GRID = {"brightness": np.linspace(0.2, 2, 21), "noise": np.linspace(0, 50, 21)}
COUNTS = (100, 1_000, 10_000)
SWEPT = """
result = kit.sweep(classifier, sys.argv[1], {"noise": (0, 10, 20, 30, 40)}, progress=False)
assert not result.errors
count = len(result)
"""


def seconds(call: Callable[[], Any]) -> float:
    """Time of one call."""
    before = time.perf_counter()
    call()
    return time.perf_counter() - before


def swept(classifier: Any) -> Any:
    """The grid."""
    return kit.sweep(classifier, PHOTO, GRID, progress=False)


def forward_alone(classifier: Any) -> Callable[[], Any]:
    """All forward passes of the grid, without anything else."""
    tensor = classifier.tensor(PHOTO)
    size = part_size(tensor.shape)
    whole, rest = divmod(441, size)
    batch = np.repeat(tensor, size, axis=0)

    def call() -> None:
        for _ in range(whole):
            classifier.network.engine.predict(batch)
        classifier.network.engine.predict(batch[:rest])

    return call


def usual_cell(classifier: Any) -> Callable[[float, float], Any]:
    """One cell as notebooks have it."""
    model = classifier.model
    image = Image.open(PHOTO).convert("RGB")
    generator = np.random.default_rng(0)

    def call(brightness: float, noise: float) -> Any:
        bright = np.asarray(ImageEnhance.Brightness(image).enhance(brightness), np.float32)
        noisy = np.clip(bright + generator.normal(0, noise, bright.shape), 0, 255).astype(np.uint8)
        return model.predict(classifier.preprocessing.apply(noisy), verbose=0)

    return call


def grid(classifier: Any, rounds: int) -> dict[str, Any]:
    """Sweep, bare forward passes and the usual loop, in turns."""
    bare, usual = forward_alone(classifier), usual_cell(classifier)
    cells = [(float(b), float(n)) for b in GRID["brightness"] for n in GRID["noise"]][::11]
    swept(classifier)
    bare()
    usual(1, 0)
    times: dict[str, list[float]] = {"sweep": [], "forward": [], "usual": []}
    for _ in range(rounds):
        times["forward"].append(seconds(bare))
        times["sweep"].append(seconds(lambda: swept(classifier)))
        times["usual"].append(seconds(lambda: [usual(*cell) for cell in cells]) / len(cells) * 441)
    ratio = [one / two for one, two in zip(times["sweep"], times["forward"], strict=True)]
    faster = [one / two for one, two in zip(times["usual"], times["sweep"], strict=True)]
    told = {
        "engine": type(classifier.network.engine).__name__,
        "batch": part_size((1, *classifier.input_shape)),
    }
    told |= {"seconds": times, "ratios": ratio, "ratio": statistics.median(ratio)}
    return told | {"times_faster": statistics.median(faster)}


def memory(count: int) -> dict[str, int]:
    """Peak memory of a process that sweeps so many small pictures."""
    rows, peak = report.memory(SWEPT, (f"{number:05}.png" for number in range(count)))
    return {"pictures": count, "rows": rows, "peak_kib": peak}


def main() -> None:
    """Measure, print the tables, write the report."""
    parser = report.parser(__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    classifier = kit.samples.classifier("efficientnet_lite0")
    measured = grid(classifier, options.rounds)
    times = measured["seconds"].items()
    report.table({"way": name, "median": statistics.median(some), "best": min(some)} for name, some in times)
    targets = [
        report.target("sweep over forward", measured["ratio"], 1.3, most=True),
        report.target("usual over sweep", measured["times_faster"], 8),
    ]
    told = {"grid": measured, "targets": targets, "memory": [memory(count) for count in COUNTS]}
    report.table(told["memory"])
    report.write(options.json, told)


if __name__ == "__main__":
    main()
