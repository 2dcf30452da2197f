"""A sweep beside its bare forward passes; live_latency.py has the usual way.

Grid
    EfficientNet-Lite0, one photograph of 512 x 512 pixels, 21 x 21 values of brightness and noise: 441 cells.
    ``sweep``: `kit.sweep` from the path of the file to the rows, everything counted.
    ``forward``: the same 441 forward passes alone, by the same engine, in batches of the same size, on
    tensors that are there. Both take turns; ``ratio`` is the median over the rounds of one over the other.
Memory
    Peak memory of a fresh process that sweeps 100, 1,000 and 10,000 small picture files under five values.
"""

import statistics
import time

import numpy as np

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


def seconds(call):
    """Time of one call."""
    before = time.perf_counter()
    call()
    return time.perf_counter() - before


def swept(classifier):
    """The grid."""
    return kit.sweep(classifier, PHOTO, GRID, progress=False)


def forward_alone(classifier):
    """All forward passes of the grid, without anything else."""
    tensor = classifier.tensor(PHOTO)
    size = part_size(tensor.shape)
    whole, rest = divmod(441, size)
    batch = np.repeat(tensor, size, axis=0)

    def call():
        for _ in range(whole):
            classifier.network.engine.predict(batch)
        classifier.network.engine.predict(batch[:rest])

    return call


def grid(classifier, rounds):
    """Sweep and bare forward passes, in turns."""
    bare = forward_alone(classifier)
    swept(classifier)
    bare()
    times = {"sweep": [], "forward": []}
    for _ in range(rounds):
        times["forward"].append(seconds(bare))
        times["sweep"].append(seconds(lambda: swept(classifier)))
    ratio = [
        one / two for one, two in zip(times["sweep"], times["forward"], strict=True)
    ]
    told = {
        "engine": type(classifier.network.engine).__name__,
        "batch": part_size((1, *classifier.input_shape)),
    }
    return told | {"seconds": times, "ratios": ratio, "ratio": statistics.median(ratio)}


def memory(count):
    """Peak memory of a process that sweeps so many small pictures."""
    rows, peak = report.memory(SWEPT, (f"{number:05}.png" for number in range(count)))
    return {"pictures": count, "rows": rows, "peak_kib": peak}


def main():
    """Measure, print the tables, write the report."""
    parser = report.parser(__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    classifier = kit.samples.classifier("efficientnet_lite0")
    measured = grid(classifier, options.rounds)
    times = measured["seconds"].items()
    report.table(
        {"way": name, "median": statistics.median(some), "best": min(some)}
        for name, some in times
    )
    targets = [report.target("sweep over forward", measured["ratio"], 1.3, most=True)]
    told = {
        "grid": measured,
        "targets": targets,
        "memory": [memory(count) for count in COUNTS],
    }
    report.table(told["memory"])
    report.write(options.json, told)


if __name__ == "__main__":
    main()
