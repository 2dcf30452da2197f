"""What a file says and the preprocessing in use does not heed: orientation, transparency, depth, size."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from kit.classifier import Classifier
from kit.classifier.trial import Trial, Truth
from kit.diagnosis.finding import Evidence, Finding, conclude
from kit.images import Photo
from kit.preprocessing import Preprocessing

GAIN = 0.1
"""Nats by which heeding the file must help, on average: log-likelihood of the label, or else entropy lost."""

SMALL = 0.5
"""Share of the network's side below which a picture is enlarged so much that detail is missing."""


class _Request(NamedTuple):
    """What a file may ask for: what ignoring it is called, how it is heeded, and what comes of it."""

    cause: str
    heeded: Mapping[str, Any]
    summary: str


_REQUESTS = (
    _Request("exif_orientation", {"exif": True}, "The EXIF orientation tag is ignored"),
    _Request("alpha_matte", {"matte": (255, 255, 255)}, "Transparent pixels show another colour than white"),
    _Request("bit_depth", {"depth": "scale"}, "Levels above 255 of 16-bit files are cut"),
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
    wanted = replace(used.decoding, **request.heeded)
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
    changed, helps = float(trial.changed.mean()), trial.gain > GAIN
    gain = "mean gain in nats if it is heeded (log-likelihood of the label, else entropy lost)"
    return conclude(
        request.cause,
        "named" if helps else "possible",
        f"{request.summary} in {len(affected)} of {len(photos)} pictures.",
        Evidence("pictures whose file asks for something else", len(affected), 1, supports=True),
        Evidence(gain, trial.gain, GAIN, supports=helps),
        Evidence("share of these pictures whose answer changes", changed),
        advice="Decode as the file asks for.",
        right=fixed,
        cost=changed * len(affected) / len(photos),
    )


def _small(used: Preprocessing, photos: Sequence[Photo]) -> Finding | None:
    if used.size is None:
        return None
    sides = [min(photo.size[0] / used.size[0], photo.size[1] / used.size[1]) for photo in photos]
    smallest, typical = min(sides), float(np.median(sides))
    thumbnail = used.thumbnail or used.size
    step = min(thumbnail[0] / used.size[0], thumbnail[1] / used.size[1])
    if step < SMALL and typical > step:
        return conclude(
            "target_size",
            "named",
            f"Every picture is made small first ({step:.2g} of the network's side) and enlarged again.",
            Evidence("side of the thumbnail as a share of the network's", step, SMALL, supports=True),
            Evidence("side of a typical picture as a share of the network's", typical),
            advice="Resize once, from the original.",
            right=used.replace(thumbnail=None),
        )
    if smallest >= SMALL:
        return None
    count = sum(side < SMALL for side in sides)
    return conclude(
        "target_size",
        "possible",
        f"{count} of {len(photos)} pictures are far smaller than the network's input and lack its detail.",
        Evidence("smallest side of a picture as a share of the network's", smallest, SMALL, supports=True),
        advice="Use the original picture instead of a thumbnail of it.",
    )
