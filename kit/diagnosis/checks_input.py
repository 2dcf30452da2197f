"""Certain checks of files and tensors."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from kit._arrays import Float32
from kit.classifier import Classifier, known_preprocessing
from kit.classifier.labels import Trial, Truth
from kit.diagnosis.finding import Evidence, Finding, Photos, conclude
from kit.preprocessing import Preprocessing

GAIN = 0.1
"""Nats by which heeding the file must help, on average: log-likelihood of the label, or else entropy lost."""

SMALL = 0.5
"""Share of the network's side below which an image is enlarged so much that detail is missing."""


Request = tuple[str, dict[str, Any], str]
"""What a file may ask for: what ignoring it is called, how it is heeded, and what comes of it."""

_REQUESTS: tuple[Request, ...] = (
    ("exif_orientation", {"exif": True}, "The EXIF orientation tag is ignored"),
    ("alpha_matte", {"matte": (255, 255, 255)}, "Transparent pixels show another colour than white"),
    ("bit_depth", {"depth": "scale"}, "Levels above 255 of 16-bit files are clipped"),
)


def check_files(classifier: Classifier, photos: Photos, labels: Truth = ()) -> tuple[Finding, ...]:
    """Decode the images as their files ask for, and see what that changes.

    `labels` are indices of the right classes, None where one is not known; empty where none is.
    """
    found = [_unheeded(classifier, photos, labels, request) for request in _REQUESTS]
    found.append(_small(known_preprocessing(classifier), photos))
    return tuple(finding for finding in found if finding is not None)


def _unheeded(classifier: Classifier, photos: Photos, labels: Truth, request: Request) -> Finding | None:
    cause, heeded, told = request
    used = known_preprocessing(classifier)
    fixed = used.replace(decoding=replace(used.decoding, **heeded))
    pairs = [(photo.decoded(used.decoding), photo.decoded(fixed.decoding)) for photo in photos]
    affected = [i for i, (one, other) in enumerate(pairs) if not np.array_equal(one.pixels, other.pixels)]
    if not affected:
        return None
    touched = [photos[place] for place in affected]
    before, after = (classifier.probabilities(touched, preprocessing=each) for each in (used, fixed))
    trial = Trial(before, after, [labels[place] for place in affected] if labels else ())
    changed, helps = float(trial.changed.mean()), trial.gain > GAIN
    gain = "mean gain in nats if it is followed (log-likelihood of the label, else lost entropy)"
    return conclude(
        cause,
        "named" if helps else "possible",
        f"{told} in {len(affected)} of {len(photos)} images.",
        Evidence(gain, trial.gain, GAIN, supports=helps),
        Evidence("share of these predictions that change", changed),
        advice="Decode as the file asks for.",
        right=fixed,
        cost=changed * len(affected) / len(photos),
    )


def _small(used: Preprocessing, photos: Photos) -> Finding | None:
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
            f"Every image is made small first ({step:.2g} of the network's side) and enlarged again.",
            Evidence("side of the thumbnail as a share of the network's", step, SMALL, supports=True),
            advice="Resize once, from the original.",
            right=used.replace(thumbnail=None),
        )
    if smallest >= SMALL:
        return None
    count = sum(side < SMALL for side in sides)
    return conclude(
        "target_size",
        "possible",
        f"{count} of {len(photos)} images are far smaller than the network's input and lack its detail.",
        Evidence("smallest side of an image as a share of the network's", smallest, SMALL, supports=True),
        advice="Use the original image instead of a thumbnail of it.",
    )


SQUEEZED = 0.2
"""Step of the tensor for 255 levels below which an image was scaled twice; the smallest of all contracts of
keras.applications, KerasHub and timm is 1, for 0..1, and 0..1 divided by 255 once more gives 0.004."""

LARGEST = 300.0
"""Largest absolute value that any contract makes of 0..255 is 255."""

LEVELS_LEFT = 8
"""Different values up to which a cast is the cause; from 0..1 it leaves 2, from others up to 6."""

LEVELS_BEFORE = 32
"""Different levels in an image of which so few may not be left."""

FLAT = 2.0
"""Standard deviation in levels of a resized channel up to which an image is constant, and says nothing:
noise and rounding make what little range it has."""

ROUGH = 1.5
"""Differences between a row and the next, over those to the third next, from which on a tensor is scrambled:
np.reshape lays one row of an RGB image into three. The bundled photos have 0.33 to 0.89 as they are,
noise has 1, and scrambled they have 2.35 and more at 28 x 28 and larger."""

SMALLEST_SIDE = 16
"""Rows that are needed for that."""


def check_tensors(photos: Photos, used: Preprocessing) -> tuple[Finding, ...]:
    """Check what the preprocessing in use makes of the photos, of which constant ones are left out.

    Returns the first thing that is wrong with the numbers, then what is wrong with their places.
    """
    plain = used.replace(scaling=(), cast=None)
    pictures = [photo.decoded(used.decoding) for photo in photos]
    # Channels may lie at different places.
    axes = (0, 2, 3) if used.layout == "channels_first" else (0, 1, 2)
    # Resizing evens out noise, and a colour differs between channels only.
    seen = [photo for photo in pictures if plain.apply(photo).std(axis=axes).max() > FLAT]
    if not seen:
        return ()
    tensors = [used.apply(photo) for photo in seen]
    share = float(np.mean([1 - np.isfinite(tensor).mean() for tensor in tensors]))
    if share:
        summary = "The tensor has values that are not numbers."
        evidence = Evidence("share of values that are not finite", share, 0.0, supports=True)
        advice = "Find the division by zero before the network."
        return (conclude("wrong_range", "named", summary, evidence, advice=advice),)
    values = _cast(seen, tensors, used) or _range(tensors, [*map(plain.apply, seen)], axes, used)
    places = _scrambled(tensors, used)
    return tuple(finding for finding in (values, places) if finding is not None)


def _cast(photos: Photos, tensors: Sequence[Float32], used: Preprocessing) -> Finding | None:
    without = used.replace(cast=None)
    whole = all(bool((tensor == np.rint(tensor)).all()) for tensor in tensors)
    before = min(np.unique(photo.pixels).size for photo in photos)
    after = max(np.unique(tensor).size for tensor in tensors)
    # A cast of 0..255 is harmless; one of negative numbers wraps around, and leaves many values.
    pairs = zip(map(without.apply, photos), tensors, strict=True)
    wrapped = used.cast is not None and any(np.abs(one - other).max() > 2 for one, other in pairs)
    # One value alone comes from other faults as well, unless a cast is known to be there.
    fewest = 1 if used.cast is not None else 2
    collapsed = whole and before >= LEVELS_BEFORE and fewest <= after <= LEVELS_LEFT
    if not (collapsed or wrapped):
        return None
    lost = "nearly all levels are gone" if collapsed else "negative ones wrapped around at 256"
    return conclude(
        "dtype_cast",
        "named",
        f"The scaled numbers were cast to whole numbers: {lost}.",
        Evidence("fewest different levels in an image", before, LEVELS_BEFORE, supports=True),
        Evidence("most different values in its tensor", after, LEVELS_LEFT, supports=collapsed),
        advice="Keep the tensor in float32 after scaling.",
        right=without if used.cast is not None else None,
    )


def _range(
    tensors: Sequence[Float32], levels: Sequence[Float32], axes: tuple[int, ...], used: Preprocessing
) -> Finding | None:
    after, before = (max(float(np.ptp(one, axis=axes).max()) for one in each) for each in (tensors, levels))
    gain = after * 255 / before
    largest = float(max(np.abs(tensor).max() for tensor in tensors))
    constant = max(np.unique(tensor).size for tensor in tensors) == 1
    cause, without = "wrong_range", ()
    if largest > LARGEST:
        told = f"The tensor goes up to {largest:g}; no network is fed with more than 255."
    elif constant:
        told = f"The tensor has the value {tensors[0].flat[0]:g} everywhere, whatever the image shows."
        without = used.scaling[:-1]
    elif gain < SQUEEZED:
        told = f"A whole image takes up only {gain:.2g} from darkest to brightest: scaled twice."
        cause, without = "double_scaling", used.scaling[:-1]
    else:
        return None
    return conclude(
        cause,
        "named",
        told,
        Evidence("values between black and white in the tensor", gain, SQUEEZED, supports=gain < SQUEEZED),
        Evidence("largest absolute value in the tensor", largest, LARGEST, supports=largest > LARGEST),
        advice="Scale once, as in training: use the loader's scaling or your own, not both.",
        right=used.replace(scaling=without) if without or (used.scaling and largest > LARGEST) else None,
    )


def _scrambled(tensors: Sequence[Float32], used: Preprocessing) -> Finding | None:
    first = used.layout == "channels_first"
    rows = [tensor[0].transpose(1, 2, 0) if first else tensor[0] for tensor in tensors]
    if used.channel_count != 3 or min(len(tensor) for tensor in rows) < SMALLEST_SIDE:
        return None
    ratio = float(np.median([_beyond(tensor, 1) / max(_beyond(tensor, 3), 1e-12) for tensor in rows]))
    if not ratio > ROUGH:
        return None
    differences = "differences between a row and the next, over those to the third next"
    return conclude(
        "channel_layout",
        "named",
        "A row of the tensor is less like the next than like the third next: reshaped, not transposed.",
        Evidence(differences, ratio, ROUGH, supports=True),
        advice="Transpose the axes instead of reshaping.",
        right=used.replace(layout="channels_last") if used.layout == "reshaped" else None,
    )


def _beyond(picture: Float32, step: int) -> float:
    return float(np.abs(picture[step:] - picture[:-step]).mean())
