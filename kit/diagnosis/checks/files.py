"""What a file says and the preprocessing in use does not heed: orientation, transparency, depth, size."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from kit.classifier import Classifier
from kit.classifier.trial import Trial, Truth
from kit.diagnosis.finding import Evidence, Finding, Fix
from kit.images import Photo
from kit.images.decoding import Decoding
from kit.preprocessing import Preprocessing

GAIN = 0.1
"""Nats by which heeding the file must help, on average: log-likelihood of the label, or else entropy lost."""

SMALL = 0.5
"""Share of the network's side below which a picture is enlarged so much that detail is missing."""

_WHITE = (255, 255, 255)


@dataclass(frozen=True)
class _Request:
    """What a file may ask for: what ignoring it is called, how it is heeded, and how in the user's code."""

    cause: str
    heeded: Callable[[Decoding], Decoding]
    summary: str
    code: str


_REQUESTS = (
    _Request(
        "exif_orientation",
        lambda decoding: replace(decoding, exif=True),
        "The EXIF orientation tag is ignored",
        "image = PIL.ImageOps.exif_transpose(image)",
    ),
    _Request(
        "alpha_matte",
        lambda decoding: replace(decoding, matte=_WHITE),
        "Transparent pixels show another colour than white",
        'white = PIL.Image.new("RGBA", image.size, "white")\nimage = PIL.Image.alpha_composite(white, image)',
    ),
    _Request(
        "bit_depth",
        lambda decoding: replace(decoding, depth="scale"),
        "Levels above 255 of 16-bit files are cut",
        "pixels = np.asarray(image) / 257",
    ),
)


def check_files(classifier: Classifier, photos: Sequence[Photo], labels: Truth = ()) -> tuple[Finding, ...]:
    """Decode the pictures as their files ask for, and see what that changes.

    Parameters
    ----------
    classifier
        With the preprocessing in use.
    photos
        Pictures with their sources; an array has nothing to decode.
    labels
        Index of the right class of each, None where it is not known; empty where none is.
    """
    used = classifier.preprocessing
    if used is None:
        return ()
    found = [_unheeded(classifier, used, photos, labels, request) for request in _REQUESTS]
    return tuple(finding for finding in (*found, _small(used, photos)) if finding is not None)


def _unheeded(
    classifier: Classifier, used: Preprocessing, photos: Sequence[Photo], labels: Truth, request: _Request
) -> Finding | None:
    wanted = request.heeded(used.decoding)
    affected = [
        place
        for place, photo in enumerate(photos)
        if wanted != used.decoding
        and not np.array_equal(photo.decoded(used.decoding).pixels, photo.decoded(wanted).pixels)
    ]
    if not affected:
        return None
    fixed = used.replace(decoding=wanted)
    touched = [photos[place] for place in affected]
    before, after = (classifier.probabilities(touched, preprocessing=each) for each in (used, fixed))
    trial = Trial(before, after, [labels[place] for place in affected] if labels else ())
    changed = float(trial.changed.mean())
    helps = trial.gain > GAIN
    gain = "mean gain in nats if it is heeded (log-likelihood of the label, else entropy lost)"
    return Finding(
        request.cause,
        "named" if helps else "possible",
        f"{request.summary} in {len(affected)} of {len(photos)} pictures.",
        (
            Evidence("pictures whose file asks for something else", len(affected), 1, supports=True),
            Evidence(gain, trial.gain, GAIN, supports=helps),
            Evidence("share of these pictures whose answer changes", changed),
        ),
        cost=changed * len(affected) / len(photos),
        fix=Fix("Decode as the file asks for.", request.code, fixed),
    )


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
