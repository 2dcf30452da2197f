"""What `kit.mistakes` finds of what was planted, and the memory that it takes.

Labels
    Of the 2,000 test images of Fashion-MNIST 2 and 5 % get another label, 20 times. Recall is the share of
    these that are in `doubtful`, precision the share of these among them, first that among as many of the
    first as were planted.
Slices
    Of 500 images one in five is altered and saved, in the least strength that makes 35 % more of them
    wrong than of the others; where none does, nothing is planted. It is right where the first slice is named
    by one of the words. A false alarm is any slice after the mistakes are shuffled among the images.
    ``--zoo FOLDER`` does so on networks of `zoo.py`: no limit was chosen on those of `REPORTED`.
Memory
    Peak memory of a fresh process that is given 500, 5,000 and 50,000 files in a folder for each class.
"""

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import kit
from kit import Perturbation, samples
from kit._arrays import Pixels
from kit.images.photo import Photo
from kit.validation.mistakes import label_errors
from kit.validation.slices import measured, slices
from tests.benchmarks import report, zoo

REPORTED = ("crops_bn", "crops_caffe", "tinted_plain", "emoji_plain", "crops_layernorm")
IMAGES, SHARE, HARM = 500, 0.2, 0.35
"""Images of a trial, the share that is altered, and by how much more of these have to be wrong."""
EXIF_ORIENTATION = 274

Alteration = Callable[[Pixels], Pixels]


@dataclass(frozen=True)
class Kind:
    """An alteration in rising strengths, how the altered images are saved, and right words for them."""

    words: tuple[str, ...]
    strengths: tuple[Alteration, ...]
    saved: tuple[dict[str, Any], ...] = ({},)


def perturbed(**settings):
    """One parameter of a `Perturbation` in several strengths."""
    ((name, values),) = settings.items()

    def of(value):
        perturbation = Perturbation(**{name: value})
        return lambda pixels: perturbation.apply(Photo.from_array(pixels)).pixels

    return tuple(map(of, values))


def levels(function, values):
    """A change of the levels in several strengths."""

    def of(value):
        return lambda pixels: np.clip(function(pixels * 1.0, value), 0, 255).astype(
            np.uint8
        )

    return tuple(map(of, values))


def shrunk(factor):
    """Fewer pixels."""
    return lambda pixels: np.asarray(
        Image.fromarray(pixels).resize(
            [max(round(side / factor), 4) for side in pixels.shape[1::-1]]
        )
    )


def narrowed(share):
    """The middle part of the width."""

    def cut(pixels):
        width = round(pixels.shape[1] * share)
        left = (pixels.shape[1] - width) // 2
        return pixels[:, left : left + width]

    return cut


def untouched(pixels):
    """The same."""
    return pixels


def turned(pixels):
    """Upside down."""
    return pixels[::-1]


def oriented(orientation):
    """A file whose EXIF turns an upright image."""
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = orientation
    return {"exif": exif.tobytes()}


KINDS = {
    "blur": Kind(("blurred",), perturbed(blur=(0.8, 1.2, 1.8, 2.6, 4, 6))),
    "motion blur": Kind(("blurred",), perturbed(motion_blur=(3, 5, 7, 11, 17))),
    "noise": Kind(("noisy",), perturbed(noise=(15, 25, 40, 60, 90))),
    "dark": Kind(("dark",), perturbed(brightness=(0.5, 0.35, 0.2, 0.1, 0.05))),
    "bright": Kind(
        ("bright", "overexposed"), levels(lambda x, gain: x * gain, (1.5, 2, 3, 5, 8))
    ),
    "low contrast": Kind(
        ("low-contrast",), perturbed(contrast=(0.5, 0.35, 0.25, 0.15, 0.08))
    ),
    "high contrast": Kind(
        ("high-contrast", "overexposed"),
        levels(lambda x, gain: (x - x.mean()) * gain + x.mean(), (1.8, 2.5, 4, 8, 16)),
    ),
    "JPEG": Kind(
        ("compressed", "blocky", "JPEG", "low-quality JPEG"),
        (untouched,),
        tuple({"format": "JPEG", "quality": quality} for quality in (20, 10, 5, 2, 1)),
    ),
    "few pixels": Kind(("small",), tuple(map(shrunk, (1.5, 2, 3, 4, 6)))),
    "colour cast": Kind(
        ("bluish", "yellowish", "pinkish", "greenish"),
        levels(
            lambda x, gains: x * np.array(gains),
            ((1, 0.7, 0.5), (1.2, 0.5, 0.3), (0.2, 0.7, 1.3), (0, 0.6, 1.5)),
        ),
    ),
    "portrait format": Kind(("tall",), tuple(map(narrowed, (0.7, 0.55, 0.4, 0.25)))),
    "turned by EXIF": Kind(("turned",), (untouched,), tuple(map(oriented, (8, 6, 3)))),
    "another format": Kind(("BMP",), (turned,), ({"format": "BMP"},)),
    "pixelate": Kind(("blocky", "blurred"), perturbed(pixelate=(2, 3, 4, 6))),
    "fog": Kind(("low-contrast",), perturbed(fog=(1, 2, 3))),
}
MISTAKES = """
result = kit.mistakes(classifier, sys.argv[1], progress=False)
assert not result.notes
count = len(result.predicted)
"""


def planted_labels(rows, labels, share, seed):
    """Recall and precision of labels that look wrong, and precision among the first."""
    rng, given = np.random.default_rng(seed), labels.copy()
    places = rng.choice(len(labels), round(share * len(labels)), replace=False)
    given[places] = (
        given[places] + rng.integers(1, rows.shape[1], len(places))
    ) % rows.shape[1]
    best = np.argsort(-rows, axis=1, kind="stable")
    own = rows[np.arange(len(rows)), given]
    found = label_errors(given, own, np.take_along_axis(rows, best, 1), best)
    right = len(np.intersect1d(found, places))
    first = len(np.intersect1d(found[: len(places)], places))
    return right / len(places), right / len(found), first / len(places)


def saved(pixels, **options):
    """A photo of a file with these pixels."""
    file = BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(
        file, **{"format": "PNG"} | options
    )
    return kit.load_image(file.getvalue())


def planted_slices(name, classifier, photos, labels):
    """What is said of each kind that does harm; last, of mistakes without a cause."""
    rng = np.random.default_rng(len(name))
    files = [saved(photo.pixels) for photo in photos]
    wrong = classifier.probabilities(files).argmax(axis=1) != labels
    rows = np.array([measured(photo) for photo in files])
    for kind, planted in KINDS.items():
        places = rng.choice(len(files), round(SHARE * len(files)), replace=False)
        others = np.delete(wrong, places).mean()
        for alter, options in (
            (alter, options) for alter in planted.strengths for options in planted.saved
        ):
            altered = [
                saved(alter(photos[place].pixels), **options) for place in places
            ]
            failing = classifier.probabilities(altered).argmax(axis=1) != labels[places]
            if failing.mean() >= others + HARM:
                break
        else:
            continue
        changed, mistakes = rows.copy(), wrong.copy()
        changed[places] = [measured(photo) for photo in altered]
        mistakes[places] = failing
        first = next(iter(slices(changed, mistakes, labels)), None)
        yield {
            "network": name,
            "kind": kind,
            "wrong": failing.mean(),
            "right": first is not None and first.words in planted.words,
            "first": "" if first is None else first.summary,
        }
    alarms = [bool(slices(rows, rng.permutation(wrong), labels)) for _ in range(100)]
    yield {"network": name, "kind": "shuffled", "alarms": sum(alarms)}


def of_the_zoo(folder, names):
    """Networks with their pictures, those first that they were not trained on."""
    for row in zoo.ROWS:
        if row.name in names:
            subject = zoo.subject(row, folder)
            more = zoo.trained(row)[: max(IMAGES - len(subject.photos), 0)]
            photos = [*subject.photos, *(photo for photo, _ in more)]
            labels = [*subject.labels, *(label for _, label in more)]
            yield (
                row.name,
                subject.classifier,
                photos[:IMAGES],
                np.array(labels[:IMAGES]),
            )


def memory(count):
    """Peak memory for so many files."""
    names = [
        name.replace("/", "")
        for name in samples.classifier("fashion_mnist").class_names
    ]
    labels = np.resize(samples.labels("fashion_mnist"), count)
    files = (f"{names[label]}/{number:05}.png" for number, label in enumerate(labels))
    images, peak = report.memory(MISTAKES, files)
    return {"images": images, "peak_mib": peak // 1024}


def main():
    """Measure, print the tables, write the report."""
    parser = report.parser(__doc__)
    parser.add_argument("--zoo", type=Path, metavar="FOLDER", help="networks of zoo.py")
    parser.add_argument("--only", nargs="+", default=REPORTED, help="of these")
    options = parser.parse_args()
    classifier = samples.classifier("fashion_mnist")
    photos = samples.photos("fashion_mnist")
    labels = np.array(samples.labels("fashion_mnist"))
    rows = classifier.probabilities(photos)
    doubtful = []
    for share in (0.02, 0.05):
        trials = [planted_labels(rows, labels, share, seed) for seed in range(20)]
        recall, precision, first = np.mean(trials, axis=0)
        doubtful.append(
            {"planted": share, "recall": recall, "precision": precision, "first": first}
        )
    report.table(doubtful)
    targets = [
        report.target(f"recall of {one['planted']:.0%}", one["recall"], 0.8)
        for one in doubtful
    ]
    subjects = [("fashion_mnist", classifier, photos[:IMAGES], labels[:IMAGES])]
    if options.zoo:
        subjects = list(of_the_zoo(options.zoo, options.only))
    trials = [trial for subject in subjects for trial in planted_slices(*subject)]
    found = [trial for trial in trials if "right" in trial]
    report.table(found)
    right = np.mean([trial["right"] for trial in found])
    targets.append(report.target(f"share of {len(found)} slices", right, 0.85))
    alarms = [trial["alarms"] for trial in trials if "alarms" in trial]
    targets.append(
        report.target("false alarms in 100", float(np.mean(alarms)), 1, most=True)
    )
    peaks = []
    if not options.zoo:
        peaks = [memory(count) for count in (500, 5_000, 50_000)]
        report.table(peaks)
    measures = {"labels": doubtful, "slices": trials, "memory": peaks}
    report.write(options.json, measures | {"targets": targets})


if __name__ == "__main__":
    main()
