"""What `kit.mistakes` finds of what was planted, and the memory that it takes.

Labels
    Of the 2,000 test images of Fashion-MNIST 2 and 5 % get another label, 20 times. Recall is the share of
    these that are in `doubtful`, precision the share of these among them.
Slices
    Each alteration is done to 150 of 1,000 of them, at random. It is found where the first slice is named by
    one of its words. A false alarm is any slice after the mistakes are shuffled among the images, 200 times.
Memory
    Peak memory of a fresh process that is given 500, 5,000 and 50,000 files in a folder for each class.
"""

from typing import Any

import numpy as np

from kit import Perturbation, samples
from kit.validation.mistakes import label_errors
from kit.validation.slices import measured, slices
from tests.benchmarks import report

KINDS = {
    "brightness 0.2": (Perturbation(brightness=0.2), {"dark"}),
    "lift 90": (Perturbation(lift=90), {"bright", "flat"}),
    "contrast 0.25": (Perturbation(contrast=0.25), {"flat"}),
    "fog 3": (Perturbation(fog=3), {"flat"}),
    "noise 40": (Perturbation(noise=40), {"noisy"}),
    "impulse noise 10 %": (Perturbation(impulse_noise=0.1), {"noisy"}),
    "blur 1.5": (Perturbation(blur=1.5), {"blurred"}),
    "motion blur 7": (Perturbation(motion_blur=7), {"blurred"}),
    "downscale 3": (Perturbation(downscale=3), {"blurred"}),
    "pixelate 3": (Perturbation(pixelate=3), {"blocky", "blurred"}),
    "JPEG quality 4": (Perturbation(jpeg_quality=4), {"compressed", "blocky"}),
}
MISTAKES = """
result = kit.mistakes(classifier, sys.argv[1], progress=False)
assert not result.notes
count = len(result.predicted)
"""


def planted(rows: Any, labels: Any, share: float, seed: int) -> tuple[float, float]:
    """Recall and precision of labels that look wrong."""
    rng, given = np.random.default_rng(seed), labels.copy()
    places = rng.choice(len(labels), round(share * len(labels)), replace=False)
    given[places] = (
        given[places] + rng.integers(1, rows.shape[1], len(places))
    ) % rows.shape[1]
    best = np.argsort(-rows, axis=1, kind="stable")
    own = rows[np.arange(len(rows)), given]
    found = label_errors(given, own, np.take_along_axis(rows, best, 1), best)
    right = len(np.intersect1d(found, places))
    return right / len(places), right / len(found)


def memory(count: int) -> dict[str, Any]:
    """Peak memory for so many files."""
    names = [
        name.replace("/", "")
        for name in samples.classifier("fashion_mnist").class_names
    ]
    labels = np.resize(samples.labels("fashion_mnist"), count)
    files = (f"{names[label]}/{number:05}.png" for number, label in enumerate(labels))
    images, peak = report.memory(MISTAKES, files)
    return {"images": images, "peak_mib": peak // 1024}


def main() -> None:
    """Measure, print the tables, write the report."""
    parser = report.parser(__doc__)
    options = parser.parse_args()
    classifier, photos = (
        samples.classifier("fashion_mnist"),
        samples.photos("fashion_mnist"),
    )
    labels = np.array(samples.labels("fashion_mnist"))
    rows = classifier.probabilities(photos)
    found = []
    for share in (0.02, 0.05):
        recall, precision = np.mean(
            [planted(rows, labels, share, seed) for seed in range(20)], axis=0
        )
        found.append({"planted": share, "recall": recall, "precision": precision})
    report.table(found)
    targets = [
        report.target(f"recall of {one['planted']:.0%}", one["recall"], 0.8)
        for one in found
    ]

    chosen, truth = photos[:1000], labels[:1000]
    top, measures = (
        rows[:1000].argmax(axis=1),
        np.array([measured(photo) for photo in chosen]),
    )
    rng, kinds = np.random.default_rng(0), []
    for kind, (perturbation, words) in KINDS.items():
        places = rng.choice(1000, 150, replace=False)
        altered = [perturbation.apply(chosen[place]) for place in places]
        changed, predicted = measures.copy(), top.copy()
        changed[places] = [measured(photo) for photo in altered]
        predicted[places] = classifier.probabilities(altered).argmax(axis=1)
        wrong = predicted != truth
        first = next(iter(slices(changed, wrong, truth)), None)
        said = "" if first is None else first.summary
        kinds.append(
            {
                "kind": kind,
                "wrong": wrong[places].mean(),
                "found": first is not None,
                "first": said,
            }
        )
        kinds[-1]["found"] = first is not None and first.words in words
    report.table(kinds)
    alarms = sum(
        bool(slices(measures, rng.permutation(top != truth), truth)) for _ in range(200)
    )
    targets.append(
        report.target(
            "share of kinds found", np.mean([one["found"] for one in kinds]), 0.9
        )
    )
    targets.append(report.target("false alarms in 200", alarms, 3, most=True))
    peaks = [memory(count) for count in (500, 5_000, 50_000)]
    report.table(peaks)
    told = {
        "labels": found,
        "slices": kinds,
        "false_alarms": alarms,
        "memory": peaks,
        "targets": targets,
    }
    report.write(options.json, told)


if __name__ == "__main__":
    main()
