"""A sweep beside its bare forward passes; live_latency.py has the usual way.

Grid
    EfficientNet-Lite0, one photograph of 512 x 512 pixels, 21 x 21 values of brightness and noise: 441 cells.
    ``sweep``: `kit.sweep` from the path of the file to the rows, everything counted.
    ``forward``: the same 441 forward passes alone, by the same engine, in batches of the same size, on
    tensors that are there. Both take turns; ``ratio`` is one over the other.
"""

import time

import numpy as np

import kit
from kit.classifier.engines import part_size
from tests.benchmarks import report

PHOTO = report.ROOT / "data" / "photographs" / "astronaut.jpg"
GRID = {"brightness": np.linspace(0.2, 2, 21), "noise": np.linspace(0, 50, 21)}


def forward_alone(classifier):
    """All forward passes of the grid, without anything else."""
    tensor = classifier.tensor(PHOTO)
    batch = np.repeat(tensor, part_size(tensor.shape), axis=0)
    for start in range(0, 441, len(batch)):
        classifier.network.engine.predict(batch[: 441 - start])


def main():
    """Measure, print the table, write the report."""
    options = report.parser(__doc__).parse_args()
    classifier = kit.samples.classifier("efficientnet_lite0")
    rounds = []
    # The first round, which is not counted, brings everything into memory.
    for _ in range(8):
        started = time.perf_counter()
        forward_alone(classifier)
        middle = time.perf_counter()
        kit.sweep(classifier, PHOTO, GRID, progress=False)
        forward, sweep = middle - started, time.perf_counter() - middle
        rounds.append({"forward": forward, "sweep": sweep, "ratio": sweep / forward})
    report.table(rounds[1:])
    report.write(options.json, {"grid": rounds[1:]})


if __name__ == "__main__":
    main()
