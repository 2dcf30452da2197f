"""What a file says and the preprocessing in use does not heed: orientation, transparency, depth, size."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from kit.classifier import Classifier
from kit.diagnosis.finding import Evidence, Finding, Fix, Verdict
from kit.images import Photo
from kit.images.decoding import Decoding
from kit.preprocessing import Preprocessing

Float32 = npt.NDArray[np.float32]

GAIN = 0.1
"""Nats by which heeding the file must help, on average: log-likelihood of the label, or else entropy lost."""

SMALL = 0.5
"""Share of the network's side below which a picture is enlarged so much that detail is missing."""

_WHITE = (255, 255, 255)


def check_files(
    classifier: Classifier, photos: Sequence[Photo], labels: Sequence[int | None] | None = None
) -> tuple[Finding, ...]:
    """Decode the pictures as their files ask for, and see what that changes.

    Parameters
    ----------
    classifier
        With the preprocessing in use.
    photos
        Pictures with their sources; an array has nothing to decode.
    labels
        Index of the right class of each, where known.
    """
    used = classifier.preprocessing
    if used is None:
        return ()
    truth = tuple(labels) if labels is not None else (None,) * len(photos)
    found = []
    for cause, better, summary, code in _CHECKS:
        wanted = better(used.decoding)
        if wanted != used.decoding:
            found.append(_check(classifier, used, photos, truth, cause, wanted, summary, code))
    found.append(_small(used, photos))
    return tuple(finding for finding in found if finding is not None)


def _check(
    classifier: Classifier,
    used: Preprocessing,
    photos: Sequence[Photo],
    truth: Sequence[int | None],
    cause: str,
    wanted: Decoding,
    summary: str,
    code: str,
) -> Finding | None:
    affected = [
        (photo, label)
        for photo, label in zip(photos, truth, strict=True)
        if not np.array_equal(photo.decoded(used.decoding).pixels, photo.decoded(wanted).pixels)
    ]
    if not affected:
        return None
    fixed = used.replace(decoding=wanted)
    touched = [photo for photo, _ in affected]
    before = classifier.probabilities(touched, preprocessing=used)
    after = classifier.probabilities(touched, preprocessing=fixed)
    changed = float((before.argmax(axis=1) != after.argmax(axis=1)).mean())
    gain = _gain(before, after, [label for _, label in affected])
    verdict: Verdict = "named" if gain > GAIN else "possible"
    return Finding(
        cause,
        verdict,
        f"{summary} in {len(affected)} of {len(photos)} pictures.",
        (
            Evidence("pictures whose file asks for something else", len(affected), 1, supports=True),
            Evidence(
                "mean gain in nats if it is heeded (log-likelihood of the label, else entropy lost)",
                gain,
                GAIN,
                supports=gain > GAIN,
            ),
            Evidence("share of these pictures whose answer changes", changed),
        ),
        cost=changed * len(affected) / len(photos),
        fix=Fix("Decode as the file asks for.", code, fixed),
    )


def _gain(before: Float32, after: Float32, labels: Sequence[int | None]) -> float:
    gains = [
        _log(new[label]) - _log(old[label]) if label is not None else _entropy(old) - _entropy(new)
        for old, new, label in zip(before, after, labels, strict=True)
    ]
    return float(np.mean(gains))


def _log(probability: float) -> float:
    return float(np.log(max(float(probability), 1e-7)))


def _entropy(row: Float32) -> float:
    return float(-(row * np.log(np.maximum(row, 1e-12))).sum())


def _small(used: Preprocessing, photos: Sequence[Photo]) -> Finding | None:
    if used.size is None:
        return None
    sides = [min(photo.size[0] / used.size[0], photo.size[1] / used.size[1]) for photo in photos]
    thumbnail = used.thumbnail
    step = min(thumbnail[0] / used.size[0], thumbnail[1] / used.size[1]) if thumbnail is not None else 1.0
    if step < SMALL and float(np.median(sides)) > step:
        return Finding(
            "target_size",
            "named",
            f"Every picture is made small first ({step:.2g} of the network's side) and enlarged again.",
            (
                Evidence("side of the thumbnail as a share of the network's", step, SMALL, supports=True),
                Evidence("side of a typical picture as a share of the network's", float(np.median(sides))),
            ),
            fix=Fix(
                "Resize once, from the original.",
                f"image = image.resize({used.size[::-1]})  # no thumbnail before",
                used.replace(thumbnail=None),
            ),
        )
    if min(sides) >= SMALL:
        return None
    count = sum(side < SMALL for side in sides)
    return Finding(
        "target_size",
        "possible",
        f"{count} of {len(photos)} pictures are far smaller than the network's input and lack its detail.",
        (
            Evidence(
                "smallest side of a picture as a share of the network's", min(sides), SMALL, supports=True
            ),
        ),
        fix=Fix("Use the original picture instead of a thumbnail of it."),
    )


_CHECKS: tuple[tuple[str, Callable[[Decoding], Decoding], str, str], ...] = (
    (
        "exif_orientation",
        lambda decoding: replace(decoding, exif=True),
        "The EXIF orientation tag is ignored",
        "image = PIL.ImageOps.exif_transpose(image)",
    ),
    (
        "alpha_matte",
        lambda decoding: replace(decoding, matte=_WHITE),
        "Transparent pixels show another colour than white",
        'white = PIL.Image.new("RGBA", image.size, "white")\nimage = PIL.Image.alpha_composite(white, image)',
    ),
    (
        "bit_depth",
        lambda decoding: replace(decoding, depth="scale"),
        "Levels above 255 of 16-bit files are cut",
        "pixels = np.asarray(image) / 257",
    ),
)
