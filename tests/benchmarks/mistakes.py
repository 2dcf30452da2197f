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

from functools import partial
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

import kit
from kit import samples
from kit.images.photo import encoded
from kit.validation.mistakes import label_errors
from kit.validation.slices import find_failing_slices, measured
from tests.benchmarks import report, zoo
from tests.benchmarks.pictures import levels, parameter, times

REPORTED = ("crops_bn", "crops_caffe", "tinted_plain", "emoji_plain", "crops_layernorm")
IMAGES, SHARE, HARM = 500, 0.2, 0.35
"""Images of a trial, the share that is altered, and by how much more of these have to be wrong."""
EXIF_ORIENTATION = 274


def contrast(pixels, gain):
    """Levels farther from their mean."""
    return (pixels - pixels.mean()) * gain + pixels.mean()


def shrunk(photo, factor):
    """Fewer pixels."""
    size = [max(round(side / factor), 4) for side in photo.size[::-1]]
    return photo.altered(np.asarray(Image.fromarray(photo.pixels).resize(size)))


def narrowed(photo, share):
    """The middle part of the width."""
    width = round(photo.size[1] * share)
    left = (photo.size[1] - width) // 2
    return photo.altered(photo.pixels[:, left : left + width])


def saved(photo, **options):
    """The photo of a file, a PNG by default."""
    return kit.load_image(encoded(photo.pixels, **options))


def oriented(photo, orientation):
    """A file whose EXIF turns an upright image."""
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = orientation
    return saved(photo, exif=exif)


def turned(photo):
    """Upside down, in a file of another format."""
    return saved(photo.altered(photo.pixels[::-1]), kind="BMP")


def each(function, name, values):
    """A function in several strengths."""
    return [partial(function, **{name: value}) for value in values]


KINDS = {
    "blur": (["blurred"], parameter("blur", 0.8, 1.2, 1.8, 2.6, 4, 6)),
    "motion blur": (["blurred"], parameter("motion_blur", 3, 5, 7, 11, 17)),
    "noise": (["noisy"], parameter("noise", 15, 25, 40, 60, 90)),
    "dark": (["dark"], parameter("brightness", 0.5, 0.35, 0.2, 0.1, 0.05)),
    "bright": (["bright", "overexposed"], times(1.5, 2, 3, 5, 8)),
    "low contrast": (
        ["low-contrast"],
        parameter("contrast", 0.5, 0.35, 0.25, 0.15, 0.08),
    ),
    "high contrast": (
        ["high-contrast", "overexposed"],
        levels(contrast, 1.8, 2.5, 4, 8, 16),
    ),
    "JPEG": (
        ["compressed", "blocky", "JPEG", "low-quality JPEG"],
        each(partial(saved, kind="JPEG"), "quality", (20, 10, 5, 2, 1)),
    ),
    "few pixels": (["small"], each(shrunk, "factor", (1.5, 2, 3, 4, 6))),
    "colour cast": (
        ["bluish", "yellowish", "pinkish", "greenish"],
        times((1, 0.7, 0.5), (1.2, 0.5, 0.3), (0.2, 0.7, 1.3), (0, 0.6, 1.5)),
    ),
    "portrait format": (["tall"], each(narrowed, "share", (0.7, 0.55, 0.4, 0.25))),
    "turned by EXIF": (["turned"], each(oriented, "orientation", (8, 6, 3))),
    "another format": (["BMP"], [turned]),
    "pixelate": (["blocky", "blurred"], parameter("pixelate", 2, 3, 4, 6)),
    "fog": (["low-contrast"], parameter("fog", 1, 2, 3)),
}
"""Right words, and an alteration in rising strengths."""
MEMORY = """
import sys, kit
from pathlib import Path
classifier = kit.samples.classifier("fashion_mnist")
result = kit.mistakes(classifier, sys.argv[1], progress=False)
assert not result.swept.errors
# Peak of this program alone; getrusage counts what the parent had before this one was started in it.
status = Path("/proc/self/status").read_text()
print(len(result.predicted), status.split("VmHWM:")[1].split()[0])
"""
"""On Linux."""


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


def planted_slices(name, classifier, photos, labels):
    """What is said of each kind that does harm; last, of mistakes without a cause."""
    rng = np.random.default_rng(len(name))
    files = [saved(photo) for photo in photos]
    wrong = classifier.probabilities(files).argmax(axis=1) != labels
    rows = np.array([measured(photo) for photo in files])
    for kind, (words, alterations) in KINDS.items():
        places = rng.choice(len(files), round(SHARE * len(files)), replace=False)
        others = np.delete(wrong, places).mean()
        for alter in alterations:
            made = [alter(photos[place]) for place in places]
            altered = [photo if photo.file else saved(photo) for photo in made]
            failing = classifier.probabilities(altered).argmax(axis=1) != labels[places]
            if failing.mean() >= others + HARM:
                break
        else:
            continue
        changed, mistakes = rows.copy(), wrong.copy()
        changed[places] = [measured(photo) for photo in altered]
        mistakes[places] = failing
        first = next(iter(find_failing_slices(changed, mistakes, labels)), None)
        yield {
            "network": name,
            "kind": kind,
            "wrong": failing.mean(),
            "right": first is not None and first.words in words,
            "first": "" if first is None else first.summary,
        }
    alarms = [
        bool(find_failing_slices(rows, rng.permutation(wrong), labels))
        for _ in range(100)
    ]
    yield {"network": name, "kind": "shuffled", "alarms": sum(alarms)}


def subjects(folder, only):
    """Networks with their pictures, those first that they were not trained on."""
    for row in zoo.there(only):
        held_back, training = zoo.split(row)
        photos, labels = zip(*(held_back + training)[:IMAGES], strict=True)
        classifier = kit.Classifier.load(folder / f"{row.name}.keras")
        yield row.name, classifier, photos, np.array(labels)


def memory(count):
    """Peak memory for so many files."""
    classifier = samples.classifier("fashion_mnist")
    names = [name.replace("/", "") for name in classifier.class_names]
    pairs = zip(*samples.fashion_mnist_arrays("test"), strict=True)
    with TemporaryDirectory() as folder:
        for number, (image, label) in enumerate(islice(cycle(pairs), count)):
            path = Path(folder, names[label], f"{number:05}.png")
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(image).save(path, compress_level=1)
        images, peak = map(int, report.python(MEMORY, folder).split())
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
    tested = [("fashion_mnist", classifier, photos[:IMAGES], labels[:IMAGES])]
    doubtful, peaks = [], []
    if options.zoo:
        tested = subjects(options.zoo, options.only)
    else:
        rows = classifier.probabilities(photos)
        for share in (0.02, 0.05):
            trials = [planted_labels(rows, labels, share, seed) for seed in range(20)]
            means = np.mean(trials, axis=0)
            named = zip(("recall", "precision", "first"), means, strict=True)
            doubtful.append({"planted": share, **dict(named)})
        peaks = [memory(count) for count in (500, 5_000, 50_000)]
        report.table(doubtful)
        report.table(peaks)
    trials = [trial for subject in tested for trial in planted_slices(*subject)]
    report.table(trials)
    found = [trial["right"] for trial in trials if "right" in trial]
    print(f"right: {sum(found)} of {len(found)}")
    report.write(options.json, {"labels": doubtful, "slices": trials, "memory": peaks})


if __name__ == "__main__":
    main()
