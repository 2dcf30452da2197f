"""Whether heat maps point at what matters: deletion and insertion (Petsiuk et al., RISE, 2018).

Of each bundled photo that EfficientNet-Lite0 gets right, the hottest pixels of the model input become the
mean colour, or they alone keep theirs. The maps of random places are as smooth as those of class activation.
"""

from collections import defaultdict
from dataclasses import replace

import numpy as np

from kit import heatmap, samples
from kit.robustness.heatmap import occlusion_rows
from tests.benchmarks import report

SHARES = (0.1, 0.2, 0.4)
DRAWS = 5


def main():
    options = report.parser(__doc__).parse_args()
    classifier = samples.classifier("efficientnet_lite0")
    random = np.random.default_rng(0)
    found = defaultdict(list)
    photos = zip(samples.photos("imagenet"), samples.labels("imagenet"), strict=True)
    for photo, label in photos:
        tensor = classifier.tensor(photo)
        if classifier.predict_tensors(tensor).argmax() != label:
            continue
        hot = heatmap(classifier, photo, label)
        *_, covered = occlusion_rows(classifier, tensor, label)
        cells = {
            "class activation": [hot.cells],
            "random places": random.random((DRAWS, 7, 7), np.float32),
            "occlusion": [covered],
        }
        for name, some in cells.items():
            maps = [replace(hot, cells=each).values for each in some]
            lost = [falls(classifier, tensor, label, values) for values in maps]
            found[name].append(np.mean(lost, axis=0))
    columns = [
        f"{what} {share:.0%}" for what in ("deleted", "kept") for share in SHARES
    ]
    rows = []
    for name, values in found.items():
        means = np.mean(values, axis=0).round(3).tolist()
        rows.append({"map": name, **dict(zip(columns, means, strict=True))})
    print(f"{len(found['occlusion'])} photos")
    report.table(rows)
    report.write(options.json, {"rows": rows})


def falls(classifier, tensor, label, values):
    """Return by how much the class falls without the hottest shares, and its probability with them alone."""
    places = np.argsort(np.argsort(-values.ravel(), kind="stable"))
    order = places.reshape(values.shape)[..., None] / values.size
    grey = tensor.mean(axis=(1, 2), keepdims=True)
    without = [np.where(order < share, grey, tensor) for share in SHARES]
    alone = [np.where(order < share, tensor, grey) for share in SHARES]
    tensors = np.concatenate([tensor, *without, *alone])
    whole, *rows = classifier.predict_tensors(tensors)[:, label]
    return [whole - row for row in rows[:3]] + rows[3:]


if __name__ == "__main__":
    main()
