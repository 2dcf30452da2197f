"""What each remedy gains and costs on Fashion-MNIST: ``remedies.py --json FILE``; five minutes.

The bundled network, on the second half of the 2,000 held-back pictures; whatever is adapted to comes from the
first half. Shares of right answers.

Remedies
    ``before``: nothing. ``corrected``: the levels of each picture, `kit.images.properties.relevelled`.
    ``adabn16``, ``adabn64``: median of ten draws of 16 and 64 unlabelled pictures, with lowest and highest.
    ``one_class``: AdaBN on up to 64 pictures of one class, median of the ten classes.
    ``augmented``: four passes over 4,000 augmented training pictures. ``retrained``: three passes over 2,000
    training pictures with the very change, and what that costs on ordinary pictures (``forgets``).
"""

import argparse
import json
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))  # a script starts with its own folder in place of the project's

from tqdm import tqdm  # noqa: E402

from kit import Perturbation, Photo, adapt, samples  # noqa: E402
from kit.classifier import Classifier  # noqa: E402
from kit.classifier.training import train  # noqa: E402
from kit.images.properties import relevelled, usual_levels  # noqa: E402
from kit.perturbation.augmentation import Augmentation  # noqa: E402

DRAWS = 10
COLUMNS = ("before", "corrected", "adabn16", "adabn64", "one_class", "augmented", "retrained", "forgets")
CHANGES = (
    "none",
    "80 levels added",
    "80 levels taken",
    "brightness 3",
    "brightness 0.15",
    "noise 80",
    "inverted",
)


def changed(change: str, photos: Sequence[Photo]) -> list[Photo]:
    """Photos after one of `CHANGES`."""
    settings = {"brightness 3": {"brightness": 3}, "brightness 0.15": {"brightness": 0.15}}
    if change == "noise 80":
        return [Perturbation(noise=80, seed=number).apply(photo) for number, photo in enumerate(photos)]
    if change in settings or change == "none":
        return [Perturbation(**settings.get(change, {})).apply(photo) for photo in photos]
    if change == "inverted":
        return [Photo(255 - photo.pixels) for photo in photos]
    added = 80 if change == "80 levels added" else -80
    return [Photo(np.clip(photo.pixels.astype(int) + added, 0, 255).astype(np.uint8)) for photo in photos]


def main() -> None:
    """Measure, print a table, and write JSON if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    file = parser.parse_args().json
    started = time.perf_counter()
    classifier = samples.classifier("fashion_mnist")
    photos, labels = samples.photos("fashion_mnist"), np.array(samples.labels("fashion_mnist"))
    pictures, truth = samples.fashion_mnist_arrays("train")
    training = [Photo.from_array(picture) for picture in pictures[:4000]]
    levels = usual_levels(training[:500])
    ordinary = {"preprocessing": classifier.preprocessing, "class_names": classifier.class_names}
    ordinary |= {"model": classifier.model, "learning_rate": 2e-3, "seed": 1, "progress": False}
    augmentation = Augmentation(brightness=(0.1, 3), added=(-100, 100), noise=80)
    sturdy = train(training, truth[:4000], epochs=4, augment=augmentation, **ordinary)

    def right(network: Classifier, shown: Sequence[Photo]) -> float:
        return float((network.probabilities(shown).argmax(axis=1) == labels[1000:]).mean())

    rows: dict[str, dict[str, Any]] = {}
    for change in tqdm(CHANGES, desc="Changes"):
        first, second = changed(change, photos[:1000]), changed(change, photos[1000:])
        row: dict[str, Any] = {
            "before": right(classifier, second),
            "corrected": right(classifier, [relevelled(photo, levels) for photo in second]),
            "augmented": right(sturdy, second),
        }
        for count in (16, 64):
            draws = [np.random.default_rng(seed).permutation(1000)[:count] for seed in range(DRAWS)]
            found = [right(adapt(classifier, [first[place] for place in draw]), second) for draw in draws]
            row[f"adabn{count}"] = float(np.median(found))
            row[f"adabn{count}_range"] = [min(found), max(found)]
        classes = [np.flatnonzero(labels[:1000] == number)[:64] for number in range(10)]
        found = [right(adapt(classifier, [first[place] for place in chosen]), second) for chosen in classes]
        row["one_class"] = float(np.median(found))
        retrained = train(changed(change, training[:2000]), truth[:2000], epochs=3, **ordinary)
        row["retrained"], row["forgets"] = right(retrained, second), right(retrained, photos[1000:])
        rows[change] = row
    print(f"{'':16}" + "".join(f"{column:>11}" for column in COLUMNS))
    for change, row in rows.items():
        print(f"{change:16}" + "".join(f"{row[column]:>11.3f}" for column in COLUMNS))
    seconds = time.perf_counter() - started
    print(f"{seconds:.0f} s")
    if file:
        found = {"machine": platform.platform(), "seconds": seconds, "changes": rows}
        file.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
