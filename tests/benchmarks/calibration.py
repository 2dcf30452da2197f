"""How overconfident networks are: ``[--full] [--zoo FOLDER]``.

The bundled networks for Fashion-MNIST, those that were trained on 500, 2,000, 5,000 and 10,000 pictures of it
first, answer the 2,000 held-back ones. A temperature is fitted on half of these and judged on the other half,
for ten ways of halving them; the table shows the mean over the ten, with the lowest and the highest. ``sure``
is the share of wrong answers with a confidence above 0.9.

``--zoo FOLDER`` adds the networks of ``zoo.py`` that lie there.

``--full`` fits on the 2,000 and judges on the other 8,000 of Fashion-MNIST's test set, which no part of the
kit has seen. They come from Debian's package ``dataset-fashion-mnist``, which is fetched.

``chance`` is the ECE that a perfectly calibrated network with these confidences would show on so many
pictures: no temperature can be seen to do better.
"""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from data.build.sources import read
from kit import samples
from kit.classifier.engines import tempered
from kit.images import Photo
from kit.validation.calibration import fit_temperature, fitting_part, measure
from tests.benchmarks import report
from tests.benchmarks.zoo import ROWS, subject

HALVINGS = 10
COLUMNS = (
    "accuracy",
    "ece_before",
    "ece_after",
    "chance",
    "sure_before",
    "sure_after",
    "temperature",
)
Rows = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]


def judged(fit: tuple[Rows, Labels], rest: tuple[Rows, Labels]) -> dict[str, float]:
    """Measure what a temperature fitted on one part does to the other."""
    temperature = fit_temperature(*fit)
    before = measure(*rest, resamples=200)
    after = measure(tempered(rest[0], temperature), rest[1], resamples=200)
    return {
        "accuracy": before.accuracy.value,
        "ece_before": before.ece.value,
        "ece_after": after.ece.value,
        "chance": after.ece_by_chance,
        "sure_before": before.sure_errors.value,
        "sure_after": after.sure_errors.value,
        "temperature": temperature,
    }


def unseen() -> tuple[list[Photo], Labels]:
    """Return the 8,000 pictures of Fashion-MNIST's test set that are not bundled."""
    stem = "usr/share/datasets/fashion-mnist/t10k"
    pixels, digits = (
        gzip.decompress(read("apt:dataset-fashion-mnist", f"{stem}-{part}-ubyte.gz"))
        for part in ("images-idx3", "labels-idx1")
    )
    # An idx file begins with its magic number and sizes: 16 bytes for pictures, 8 for labels.
    pictures = np.frombuffer(pixels, np.uint8, offset=16).reshape(-1, 28, 28)[2_000:]
    return [Photo.from_array(tile) for tile in pictures], np.frombuffer(digits, np.uint8, offset=8)[
        2_000:
    ].astype(np.int64)


def main() -> None:
    """Measure every network, print the table and write JSON."""
    parser = report.parser(__doc__)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--zoo", type=Path, metavar="FOLDER")
    options = parser.parse_args()
    photos, labels = samples.photos("fashion_mnist"), np.array(samples.labels("fashion_mnist"))
    others = unseen() if options.full else None
    names = {f"{count:,}": name for count, name in samples.CHECKPOINTS.items()}
    names |= {name: name for name in samples.CLASSIFIERS if name.startswith("fashion_mnist")}
    networks = [(told, samples.classifier(name), photos, labels) for told, name in names.items()]
    for row in ROWS if options.zoo else ():
        if (options.zoo / f"{row.name}.keras").is_file():
            one = subject(row, options.zoo)
            networks.append((row.name, one.classifier, one.photos, np.array(one.labels)))
    results: dict[str, Any] = {}
    for told, classifier, photos, labels in tqdm(networks, desc="Networks"):
        rows = classifier.probabilities(photos)
        if others is not None and told in names:
            runs = [judged((rows, labels), (classifier.probabilities(others[0]), others[1]))]
        else:
            halves = [fitting_part(labels, 0.5, seed) for seed in range(HALVINGS)]
            runs = [judged((rows[half], labels[half]), (rows[~half], labels[~half])) for half in halves]
        results[told] = {
            column: {
                "mean": float(np.mean([run[column] for run in runs])),
                "lowest": min(run[column] for run in runs),
                "highest": max(run[column] for run in runs),
            }
            for column in COLUMNS
        }
    report.table(
        {"network": told}
        | {
            name: f"{one['mean']:.3f} ({one['lowest']:.3f}-{one['highest']:.3f})"
            for name, one in found.items()
        }
        for told, found in results.items()
    )
    judges = "8,000 unseen test pictures" if options.full else f"halves, {HALVINGS} times"
    report.write(options.json, {"judged_on": judges, "networks": results})


if __name__ == "__main__":
    main()
