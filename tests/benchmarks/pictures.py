"""How often `kit.diagnose` blames the image, and rightly: ``[--folder FOLDER]... [--every N]``.

Each corruption of a fixed list is done to each labelled bundled photo that EfficientNet-Lite0 predicts
correctly, and the one image that comes of it is diagnosed.

Counted
    Of those that turn the correct prediction into a wrong one, without and with the label: ``right``: the
    first cause that is named is one of the corruption's; ``wrong``: another is; ``possible``: none is named,
    and one of them is possible; ``ruled_out``: they are ruled out or not even looked at; ``clean``: nothing
    is wrong, the report says. Of those that stay correct, and of the untouched photos: the same.
    ``own list``: what the properties were made for; ``all``: everything, each corruption counting as much.
Images
    None of the limits was chosen on the bundled photos. With ``--folder``, also those in folders, whose right
    class is taken to be the prediction for the untouched image, from ``--sure`` on.
"""

import sys
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import islice, product
from typing import Any, NamedTuple

import numpy as np

import kit
from kit.images.photo import Photo, as_photos
from kit.perturbation.parameters import CORRUPTIONS as CONSTANTS, PARAMETERS
from kit.perturbation.physics import jpeg_quality
from tests.benchmarks import report

Change = Callable[[Photo], Photo]


class Corruption(NamedTuple):
    """What it stands for, and what does it; no causes where no property of an image shows it."""

    causes: tuple[str, ...]
    changes: tuple[Change, ...]
    own: bool = False


def _parameter(name, *values):
    return tuple(kit.Perturbation(**{name: value}).apply for value in values)


def _severe(name, *severities):
    parameter, _ = CONSTANTS[name]

    def corrupted(photo, severity):
        made = kit.Perturbation.corruption(name, severity, seed=len(photo.name))
        if PARAMETERS[parameter].unit == "px":  # the paper's lengths are for 224
            made = replace(
                made,
                **{parameter: getattr(made, parameter) * min(672, *photo.size) / 224},
            )
        return made.apply(photo)

    return tuple(partial(corrupted, severity=severity) for severity in severities)


def _times(*factors):
    def change(photo):
        return Photo(
            np.clip(np.rint(photo.pixels * np.array(factors)), 0, 255).astype(np.uint8),
            photo.name,
        )

    return change


def _gamma(power):
    table = np.rint(255 * (np.arange(256) / 255) ** power).astype(np.uint8)
    return lambda photo: Photo(table[photo.pixels], photo.name)


def _fewer_levels(photo):
    return Photo(photo.pixels // 86 * 127, photo.name)


def _resaved(photo, factor, quality):
    """Save a smaller copy as a poor JPEG, and enlarge it: the blocks are then off the grid."""
    from PIL import Image

    height, width = photo.size
    small = Image.fromarray(photo.pixels).resize(
        (round(width / factor), round(height / factor))
    )
    saved = Image.fromarray(jpeg_quality(np.asarray(small), quality))
    return Photo(
        np.asarray(saved.resize((width, height), Image.Resampling.BICUBIC)), photo.name
    )


CORRUPTIONS = {
    "dark": Corruption(
        ("dark",), _parameter("brightness", 0.15, 0.2, 0.3, 0.4), own=True
    ),
    "bright": Corruption(("bright",), _parameter("brightness", 2, 2.5, 3), own=True),
    "noisy": Corruption(("noisy",), _parameter("noise", 30, 60, 100), own=True),
    "blurred": Corruption(("blurred",), _parameter("blur", 3, 5, 8), own=True),
    "jpeg": Corruption(("jpeg",), _parameter("jpeg_quality", 5, 10), own=True),
    "low_contrast": Corruption(
        ("low_contrast",), _parameter("contrast", 0.2), own=True
    ),
    "gamma, darker": Corruption(("dark",), (_gamma(4), _gamma(6))),
    "gamma, brighter": Corruption(
        ("bright", "low_contrast"), (_gamma(0.25), _gamma(0.15))
    ),
    "lift": Corruption(("bright", "low_contrast"), _severe("brightness", 4, 5)),
    "fade": Corruption(("low_contrast",), _severe("contrast", 4, 5)),
    "fog": Corruption(("low_contrast", "bright"), _severe("fog", 3, 5)),
    "frost": Corruption(("low_contrast", "bright"), _severe("frost", 3, 5)),
    "snow": Corruption(("low_contrast", "bright"), _severe("snow", 3, 5)),
    "shot noise": Corruption(("noisy",), _severe("shot_noise", 3, 5)),
    "salt and pepper": Corruption(("noisy",), _severe("impulse_noise", 3, 5)),
    "defocus blur": Corruption(("blurred",), _severe("defocus_blur", 3, 5)),
    "glass blur": Corruption(("blurred",), _severe("glass_blur", 3, 5)),
    "motion blur": Corruption(("blurred",), _severe("motion_blur", 3, 5)),
    "zoom blur": Corruption(("blurred",), _severe("zoom_blur", 3, 5)),
    "small file": Corruption(
        ("blurred", "target_size"), _parameter("downscale", 8, 12)
    ),
    "pixelate": Corruption(("jpeg", "blurred"), _severe("pixelate", 3, 5)),
    "JPEG, enlarged": Corruption(
        ("jpeg",),
        (lambda photo: _resaved(photo, 1.3, 6), lambda photo: _resaved(photo, 1.7, 9)),
    ),
    "warm or cold light": Corruption(
        ("tinted",), (_times(1.5, 0.6, 0.12), _times(0.12, 0.6, 1.5))
    ),
    "green or magenta": Corruption(
        ("tinted",), (_times(0.25, 1.1, 0.25), _times(1.1, 0.2, 1.1))
    ),
    "no colour": Corruption(
        (), (lambda photo: Photo(np.repeat(photo.pixels[..., 1:2], 3, 2), photo.name),)
    ),
    "few levels": Corruption((), (_fewer_levels,)),
    "elastic": Corruption((), _severe("elastic_transform", 5)),
    "occlusion": Corruption((), _parameter("occlusion", 0.35)),
    "rotation": Corruption((), _parameter("rotation", 35)),
}
"""By name; the first six are the project's own list."""

OUTCOMES = ("right", "wrong", "possible", "ruled_out", "clean")


def images(folders, sure, classifier):
    """Yield photos, each with its right class."""
    bundled = zip(
        kit.samples.photos("imagenet"), kit.samples.labels("imagenet"), strict=True
    )
    yield from ((photo, label) for photo, label in bundled if label is not None)
    for photo in (photo for folder in folders for photo in as_photos(folder)):
        prediction = classifier.probabilities([photo])[0]
        if prediction.max() >= sure:
            yield photo, int(prediction.argmax())


def outcome(photo, causes=(), label=None):
    """Diagnose one image; which of `OUTCOMES` hold, and what the verdict is about."""
    classifier = kit.samples.classifier("efficientnet_lite0")
    started = time.perf_counter()
    found = kit.diagnose(classifier, photo, None if label is None else [label])
    seconds = time.perf_counter() - started
    verdicts = {finding.cause: finding.verdict for finding in found.findings}
    named = None if found.best is None else found.best.cause
    possible = named is None and any(
        verdicts.get(cause) == "possible" for cause in causes
    )
    wrong, ruled_out = (
        named is not None and named not in causes,
        named is None and not possible,
    )
    held = dict(
        zip(
            OUTCOMES,
            (named in causes, wrong, possible, ruled_out, found.clean),
            strict=True,
        )
    )
    return {
        "photo": photo.name,
        "named": named,
        "verdicts": verdicts,
        "seconds": seconds,
        **held,
    }


Rows = dict[str, list[dict[str, Any]]]


def run(folders, sure, every):
    """Diagnose every so many of the images, untouched and corrupted; rows by what they are."""
    classifier = kit.samples.classifier("efficientnet_lite0")
    rows = defaultdict(list)
    changes = [("untouched", lambda photo: photo)]
    changes += [
        (name, change) for name, one in CORRUPTIONS.items() for change in one.changes
    ]
    cases = product(images(folders, sure, classifier), changes)
    for (photo, label), (name, change) in islice(cases, every - 1, None, every):
        before, changed = classifier.probabilities([photo])[0].argmax(), change(photo)
        if name == "untouched":
            rows[name].append(outcome(photo))
        elif before == label:
            causes = CORRUPTIONS[name].causes
            flipped = classifier.probabilities([changed])[0].argmax() != label
            rows["flipped" if flipped else "still right"].append(
                {"corruption": name, **outcome(changed, causes)}
            )
            if flipped:
                rows["flipped, labelled"].append(
                    {"corruption": name, **outcome(changed, causes, label)}
                )
        print(
            photo.name,
            {kind: len(found) for kind, found in rows.items()},
            file=sys.stderr,
            flush=True,
        )
    return rows


def shares(rows):
    """Share of each outcome with Wilson's interval."""
    counts = {name: sum(row[name] for row in rows) for name in OUTCOMES}
    found = {
        name: kit.accuracy_interval(count, len(rows)) for name, count in counts.items()
    }
    return {"count": len(rows)} | {
        name: {"share": one.accuracy, "low": one.low, "high": one.high}
        for name, one in found.items()
    }


def table(rows):
    """Shares of untouched images, of the own list, of all, and of each corruption."""
    parts = {"untouched": shares(rows["untouched"])} if rows["untouched"] else {}
    for name in ("flipped", "flipped, labelled", "still right"):
        own = [row for row in rows[name] if CORRUPTIONS[row["corruption"]].own]
        each = {
            kind: [row for row in rows[name] if row["corruption"] == kind]
            for kind in CORRUPTIONS
        }
        groups = {"own list": own, "all": rows[name], **each}
        parts |= {
            f"{name}: {group}": shares(some) for group, some in groups.items() if some
        }
        if rows[
            name
        ]:  # Each corruption counts as much, however often it changes a prediction.
            even = [
                np.mean([row["right"] for row in some])
                for some in each.values()
                if some
            ]
            parts[f"{name}: all"]["even"] = float(np.mean(even))
    return parts


def main():
    """Run, print and write."""
    parser = report.parser(__doc__)
    parser.add_argument("--folder", action="append", default=[], help="of other images")
    parser.add_argument(
        "--sure", type=float, default=0.5, help="least probability, with --folder"
    )
    parser.add_argument(
        "--every", type=int, default=1, help="diagnose only every so many"
    )
    given = parser.parse_args()
    rows = run(given.folder, given.sure, given.every)
    found = table(rows)
    report.write(given.json, {"shares": found, "rows": rows})

    def cell(one):
        return f"{one['share']:.0%} ({one['low']:.0%} to {one['high']:.0%})"

    report.table(
        {"images": name, "count": row["count"]}
        | {column: cell(row[column]) for column in OUTCOMES}
        | {"even": f"{row['even']:.0%}" if "even" in row else ""}
        for name, row in found.items()
    )
    seconds = [row["seconds"] for some in rows.values() for row in some]
    middle, most = np.percentile(seconds, (50, 95))
    print(f"seconds for one image: median {middle:.2f}, 95 % below {most:.2f}")


if __name__ == "__main__":
    main()
