"""How often `kit.diagnose` blames the image, and rightly: ``[--folder FOLDER]...``.

Each corruption of a fixed list is done to each labelled bundled photo that EfficientNet-Lite0 predicts
correctly, and the one image that comes of it is diagnosed.

Counted
    Of those that turn the correct prediction into a wrong one, without and with the label: ``right``: the
    first cause that is named is one of the corruption's; ``wrong``: another is. Of those that stay correct,
    and of the untouched photos: the same. ``own list``: what the properties were made for.
Images
    None of the limits was chosen on the bundled photos. With ``--folder``, also those in folders, whose right
    class is taken to be the prediction for the untouched image, where its probability is at least 0.5.
"""

from collections import defaultdict
from dataclasses import replace
from functools import partial
from itertools import product

import numpy as np

import kit
from kit import samples
from kit.images.photo import as_photos
from kit.perturbation.parameters import CORRUPTIONS as CONSTANTS, PARAMETERS
from tests.benchmarks import report
from tests.benchmarks.zoo_pictures import resaved

SURE = 0.5


def parameter(name, *values):
    """One parameter of a `Perturbation` in several strengths."""
    return [kit.Perturbation(**{name: value}).apply for value in values]


def levels(function, *values):
    """A change of the levels in several strengths."""

    def change(photo, value):
        changed = np.rint(function(photo.pixels * 1.0, value))
        return photo.altered(np.clip(changed, 0, 255).astype(np.uint8))

    return [partial(change, value=value) for value in values]


def times(*factors):
    """All levels, or those of each channel, times something."""
    return levels(lambda pixels, factor: pixels * factor, *factors)


def gamma(*powers):
    """A curve of the levels."""
    return levels(lambda pixels, power: 255 * (pixels / 255) ** power, *powers)


def severe(name, *severities):
    """A corruption of ImageNet-C."""
    changed, _ = CONSTANTS[name]

    def corrupted(photo, severity):
        made = kit.Perturbation.corruption(name, severity, seed=len(photo.name))
        if PARAMETERS[changed].unit == "px":  # the paper's lengths are for 224
            length = getattr(made, changed) * min(672, *photo.size) / 224
            made = replace(made, **{changed: length})
        return made.apply(photo)

    return [partial(corrupted, severity=severity) for severity in severities]


def enlarged(*strengths):
    """A smaller copy as a poor JPEG, enlarged: the blocks are then off the grid."""

    def change(photo, factor, quality):
        height, width = photo.size
        return resaved(photo, (round(width / factor), round(height / factor)), quality)

    return [
        partial(change, factor=factor, quality=quality) for factor, quality in strengths
    ]


OWN = {
    "dark": (["dark"], parameter("brightness", 0.15, 0.2, 0.3, 0.4)),
    "bright": (["bright"], parameter("brightness", 2, 2.5, 3)),
    "noisy": (["noisy"], parameter("noise", 30, 60, 100)),
    "blurred": (["blurred"], parameter("blur", 3, 5, 8)),
    "jpeg": (["jpeg"], parameter("jpeg_quality", 5, 10)),
    "low_contrast": (["low_contrast"], parameter("contrast", 0.2)),
}
"""The project's own list: which causes it is, and what does it."""
CORRUPTIONS = OWN | {
    "gamma, darker": (["dark"], gamma(4, 6)),
    "gamma, brighter": (["bright", "low_contrast"], gamma(0.25, 0.15)),
    "lift": (["bright", "low_contrast"], severe("brightness", 4, 5)),
    "fade": (["low_contrast"], severe("contrast", 4, 5)),
    "fog": (["low_contrast", "bright"], severe("fog", 3, 5)),
    "frost": (["low_contrast", "bright"], severe("frost", 3, 5)),
    "snow": (["low_contrast", "bright"], severe("snow", 3, 5)),
    "shot noise": (["noisy"], severe("shot_noise", 3, 5)),
    "salt and pepper": (["noisy"], severe("impulse_noise", 3, 5)),
    "defocus blur": (["blurred"], severe("defocus_blur", 3, 5)),
    "glass blur": (["blurred"], severe("glass_blur", 3, 5)),
    "motion blur": (["blurred"], severe("motion_blur", 3, 5)),
    "zoom blur": (["blurred"], severe("zoom_blur", 3, 5)),
    "small file": (["blurred", "target_size"], parameter("downscale", 8, 12)),
    "pixelate": (["jpeg", "blurred"], severe("pixelate", 3, 5)),
    "JPEG, enlarged": (["jpeg"], enlarged((1.3, 6), (1.7, 9))),
    "warm or cold light": (["tinted"], times((1.5, 0.6, 0.12), (0.12, 0.6, 1.5))),
    "green or magenta": (["tinted"], times((0.25, 1.1, 0.25), (1.1, 0.2, 1.1))),
    "no colour": ([], levels(lambda pixels, channel: pixels[..., [channel] * 3], 1)),
    "few levels": ([], levels(lambda pixels, step: pixels // step * 127, 86)),
    "elastic": ([], severe("elastic_transform", 5)),
    "occlusion": ([], parameter("occlusion", 0.35)),
    "rotation": ([], parameter("rotation", 35)),
}
"""The same of all; no causes where no property of an image shows it."""


def images(folders, classifier):
    """Yield photos, each with its right class."""
    yield from zip(samples.photos("imagenet"), samples.labels("imagenet"), strict=True)
    for photo in (photo for folder in folders for photo in as_photos(folder)):
        prediction = classifier.probabilities(photo)[0]
        if prediction.max() >= SURE:
            yield photo, int(prediction.argmax())


def outcome(classifier, name, photo, labels=None):
    """Diagnose one image; whether it names one of the causes, or another."""
    found = kit.diagnose(classifier, photo, labels)
    named = None if found.best is None else found.best.cause
    causes, _ = CORRUPTIONS.get(name, ((), ()))
    return {
        "photo": photo.name,
        "corruption": name,
        "named": named,
        "right": named in causes,
        "wrong": named is not None and named not in causes,
    }


def run(folders):
    """Diagnose the images, untouched and corrupted; rows by what they are."""
    classifier = samples.classifier("efficientnet_lite0")
    rows = defaultdict(list)
    changes = [("untouched", kit.Perturbation().apply)]
    changes += [
        (name, each) for name, (_, some) in CORRUPTIONS.items() for each in some
    ]
    cases = product(images(folders, classifier), changes)
    for (photo, label), (name, change) in cases:
        changed = change(photo)
        before, after = classifier.probabilities([photo, changed]).argmax(axis=1)
        if name == "untouched":
            rows[name].append(outcome(classifier, name, changed))
        elif before == label == after:
            rows["still right"].append(outcome(classifier, name, changed))
        elif before == label:
            rows["flipped"].append(outcome(classifier, name, changed))
            known = outcome(classifier, name, changed, [label])
            rows["flipped, labelled"].append(known)
    return rows


def main():
    """Run, print and write."""
    parser = report.parser(__doc__)
    parser.add_argument("--folder", action="append", default=[], help="of other images")
    given = parser.parse_args()
    rows = run(given.folder)
    groups = dict(rows)
    for kind, some in rows.items():
        groups[f"{kind}: own list"] = [row for row in some if row["corruption"] in OWN]
    report.table(
        {"images": name, "count": len(some)}
        | {
            how: f"{np.mean([row[how] for row in some]):.0%}"
            for how in ("right", "wrong")
        }
        for name, some in groups.items()
        if some
    )
    report.write(given.json, {"rows": rows})


if __name__ == "__main__":
    main()
