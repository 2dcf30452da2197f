"""Undoing a property of the pictures, and whether that changes this network's answer."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from kit.classifier import Classifier
from kit.diagnosis.finding import Evidence, Finding, Fix, Verdict
from kit.diagnosis.picture_properties import PROPERTIES, Property
from kit.images import Photo
from kit.images.levels import denoised
from kit.images.properties import bright_level, dark_level

Pixels = npt.NDArray[np.uint8]
Float32 = npt.NDArray[np.float32]

DARKEST, BRIGHTEST = 31, 204
"""Levels below which 5 % and 95 % of a typical bundled photograph lie; light is brought back to these."""

SEVERE = 0.5
"""Mean score of the affected pictures up to which a property may be named."""

GAIN = 0.5
"""Nats by which undoing it must help on average: log-likelihood of the label, or else entropy lost."""

SMALLEST_SIDE = 64
"""Pixels below which a picture is little but texture, so that noise, blur and JPEG blocks cannot be told."""

MOST = 0.5
"""Share of the pictures, those known to be answered rightly left out, that a named property must affect."""

CHANGED = 0.5
"""Share of the affected pictures whose answer must change, where no label says that it becomes right."""


_TEXTURE = ("noisy", "blurred", "jpeg")


def _stretched(pixels: Pixels) -> Pixels:
    low, high = dark_level(pixels), bright_level(pixels)
    slope = (BRIGHTEST - DARKEST) / max(high - low, 1.0)
    table = np.clip(np.rint((np.arange(256) - low) * slope + DARKEST), 0, 255).astype(np.uint8)
    result: Pixels = table[pixels]
    return result


def _brightened(pixels: Pixels) -> Pixels:
    factor = BRIGHTEST / max(bright_level(pixels), 1.0)
    result: Pixels = np.clip(np.rint(np.arange(256) * factor), 0, 255).astype(np.uint8)[pixels]
    return result


def _filtered(pixels: Pixels, *filters: ImageFilter.Filter) -> Pixels:
    image = Image.fromarray(pixels)
    for item in filters:
        image = image.filter(item)
    return np.asarray(image)


REMEDIES: Mapping[str, tuple[Callable[[Pixels], Pixels], str, str]] = MappingProxyType(
    {
        "dark": (
            _brightened,
            "Brighten the pictures, or add dark ones to the training pictures.",
            "image = PIL.ImageEnhance.Brightness(image).enhance(2.0)",
        ),
        "bright": (
            _stretched,
            "Spread the levels, or expose less.",
            "image = PIL.ImageOps.autocontrast(image, cutoff=1)",
        ),
        "low_contrast": (
            _stretched,
            "Spread the levels.",
            "image = PIL.ImageOps.autocontrast(image, cutoff=1)",
        ),
        "noisy": (
            lambda pixels: denoised(Photo(pixels)).pixels,
            "Remove the noise, or add noise to the training pictures.",
            "image = image.filter(PIL.ImageFilter.MedianFilter(3))",
        ),
        "blurred": (
            lambda pixels: _filtered(pixels, ImageFilter.UnsharpMask(radius=3, percent=200, threshold=0)),
            "Sharpen, or focus better; detail that is lost stays lost.",
            "image = image.filter(PIL.ImageFilter.UnsharpMask(radius=3, percent=200))",
        ),
        "jpeg": (
            lambda pixels: _filtered(pixels, ImageFilter.GaussianBlur(1.5)),
            "Save with a higher quality, or add compressed pictures to the training.",
            'image.save("picture.jpg", quality=95)',
        ),
    }
)
"""How a property is undone, roughly; greyscale cannot be."""


def check_properties(
    classifier: Classifier, photos: Sequence[Photo], labels: Sequence[int | None] | None = None
) -> tuple[Finding, ...]:
    """Measure the pictures, undo what is out of the ordinary, and ask the network again.

    Parameters
    ----------
    classifier
        With the preprocessing in use, which should be right: these causes are asked for last.
    photos
        At least one.
    labels
        Index of the right class of each, None where it is not known.

    Returns
    -------
    tuple of Finding
        One for each property that is out of the ordinary in some picture that is not known to be answered
        rightly: named where undoing it helps this network, ruled out where it does not, possible in between.
        Greyscale is possible at most.
    """
    truth = tuple(labels) if labels is not None else (None,) * len(photos)
    used = classifier.preprocessing
    pictures = [photo if used is None else photo.decoded(used.decoding) for photo in photos]
    right = _right(classifier, pictures, truth)
    found = []
    for name, item in PROPERTIES.items():
        measures = [item.measure(photo.pixels) for photo in pictures]
        scores = [item.score(value) for value in measures]
        affected = [
            place
            for place, score in enumerate(scores)
            if score < 1
            and not right[place]
            and (name not in _TEXTURE or min(pictures[place].size) >= SMALLEST_SIDE)
        ]
        if not affected or (name == "grayscale" and used is not None and used.channels.startswith("gray")):
            continue
        typical = (
            float(np.median([measures[place] for place in affected])),
            float(np.mean([scores[place] for place in affected])),
        )
        if name in REMEDIES:
            found.append(_undone(classifier, item, pictures, truth, affected, typical, right.count(False)))
        else:
            found.append(_grey(len(affected), len(photos), typical[0]))
    return tuple(found)


def _right(classifier: Classifier, photos: Sequence[Photo], truth: Sequence[int | None]) -> list[bool]:
    """Return for each picture whether it is known to be answered rightly."""
    if all(label is None for label in truth):
        return [False] * len(photos)
    answers = classifier.probabilities(photos).argmax(axis=1)
    return [label is not None and bool(answer == label) for answer, label in zip(answers, truth, strict=True)]


def _undone(
    classifier: Classifier,
    item: Property,
    photos: Sequence[Photo],
    truth: Sequence[int | None],
    affected: Sequence[int],
    typical: tuple[float, float],
    open_count: int,
) -> Finding:
    remedy, text, code = REMEDIES[item.name]
    chosen = [photos[place] for place in affected]
    before = classifier.probabilities(chosen)
    after = classifier.probabilities(
        [Photo(remedy(photo.pixels), photo.name, photo.decoding) for photo in chosen]
    )
    changed = float((before.argmax(axis=1) != after.argmax(axis=1)).mean())
    known = [truth[place] for place in affected]
    gain = _gain(before, after, known)
    labelled = all(label is not None for label in known)
    common = len(affected) >= MOST * open_count
    helps = gain > GAIN and common and (labelled or changed >= CHANGED)
    severe = typical[1] <= SEVERE
    verdict: Verdict = "named" if helps and severe else "possible" if helps or changed > 0 else "ruled_out"
    word = item.name.replace("_", " ").replace("jpeg", "compressed")
    outcome = {
        "named": "and undoing it helps this network.",
        "possible": "and undoing it changes some answers.",
        "ruled_out": "but undoing it changes no answer.",
    }[verdict]
    return Finding(
        item.name,
        verdict,
        f"{len(affected)} of {len(photos)} pictures are unusually {word}, {outcome}",
        (
            Evidence(f"{item.unit}, median of these pictures", typical[0], item.ordinary, supports=True),
            Evidence("mean score, 1 ordinary to 0 extreme", typical[1], SEVERE, supports=severe),
            Evidence(
                "mean gain in nats if it is undone (log-likelihood of the label, else entropy lost)",
                gain,
                GAIN,
                supports=gain > GAIN,
            ),
            Evidence(
                "share of these pictures whose answer changes", changed, CHANGED, supports=changed >= CHANGED
            ),
        ),
        cost=changed * len(affected) / len(photos),
        fix=Fix(text, code),
    )


def _gain(before: Float32, after: Float32, labels: Sequence[int | None]) -> float:
    def surprise(row: Float32, label: int | None) -> float:
        if label is not None:
            return float(-np.log(max(float(row[label]), 1e-7)))
        return float(-(row * np.log(np.maximum(row, 1e-12))).sum())

    return float(
        np.mean(
            [
                surprise(old, label) - surprise(new, label)
                for old, new, label in zip(before, after, labels, strict=True)
            ]
        )
    )


def _grey(count: int, total: int, level: float) -> Finding:
    return Finding(
        "grayscale",
        "possible",
        f"{count} of {total} pictures are grey, where the network takes colour; that cannot be undone.",
        (Evidence("levels between the channels, median of these pictures", level, 2.0, supports=True),),
        fix=Fix("Use the colour originals, or train on grey pictures as well."),
    )
