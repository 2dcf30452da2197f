"""Whether heat maps point at what matters: deletion and insertion (Petsiuk et al., RISE, 2018).

Of each bundled photo that EfficientNet-Lite0 gets right, the hottest pixels of the model input become the
mean colour, or they alone keep theirs. The maps of random places are as smooth as those of class activation.
"""

from collections import defaultdict
from dataclasses import replace

import numpy as np

from kit import heatmap, samples
from kit.robustness.heatmap import GRID, occlusion_rows
from tests.benchmarks import report

SHARES = (0.1, 0.2, 0.4)
TARGETS = (0.19, 0.32, 0.69)
"""By how much deleting these shares lowers the probability of the right class, at least."""
DRAWS = 5


def main():
    options = report.parser(__doc__).parse_args()
    classifier, random = (
        samples.classifier("efficientnet_lite0"),
        np.random.default_rng(0),
    )
    found = defaultdict(list)
    for photo, label in zip(
        samples.photos("imagenet"), samples.labels("imagenet"), strict=True
    ):
        tensor = classifier.tensor(photo)
        whole = classifier.predict_tensors(tensor)[0]
        if label is None or whole.argmax() != label:
            continue
        hot = heatmap(classifier, photo, label)
        *_, covered = occlusion_rows(classifier, tensor, label)
        draws = [
            replace(hot, cells=random.random((7, 7), np.float32)) for _ in range(DRAWS)
        ]
        maps = {"class activation": [hot], "random places": draws}
        maps["occlusion"] = [replace(hot, cells=covered)]
        for name, some in maps.items():
            found[name].append(
                np.mean(
                    [falls(classifier, tensor, label, each.values) for each in some],
                    axis=0,
                )
            )
    columns = [
        f"{what} {share:.0%}" for what in ("deleted", "kept") for share in SHARES
    ]
    rows = [
        {
            "map": name,
            **dict(
                zip(columns, np.mean(values, axis=0).round(3).tolist(), strict=True)
            ),
        }
        for name, values in found.items()
    ]
    print(f"{len(found['occlusion'])} photos; occlusion on a grid of {GRID} x {GRID}")
    report.table(rows)
    goals = zip(columns, TARGETS, strict=False)
    targets = [
        report.target(f"{column}, by class activation", rows[0][column], goal)
        for column, goal in goals
    ]
    report.write(options.json, {"rows": rows, "targets": targets})


def falls(classifier, tensor, label, values):
    """Return by how much the class falls without the hottest shares, and its probability with them alone."""
    order = (
        np.argsort(np.argsort(-values.ravel(), kind="stable")).reshape(values.shape)
        / values.size
    )
    grey = tensor.mean(axis=(1, 2), keepdims=True)
    without = [np.where((order < share)[..., None], grey, tensor) for share in SHARES]
    alone = [np.where((order < share)[..., None], tensor, grey) for share in SHARES]
    rows = classifier.predict_tensors(np.concatenate([tensor, *without, *alone]))[
        :, label
    ]
    return np.concatenate([rows[0] - rows[1:4], rows[4:]])


if __name__ == "__main__":
    main()
