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
from kit.preprocessing.pipeline import arrange_back

GAIN = 0.1
"""Nats by which heeding the file must help, on average: log-likelihood of the label, or else entropy lost."""

SMALL = 0.5
"""Share of the network's side below which an image is enlarged so much that detail is missing."""


_REQUESTS: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("exif_orientation", {"exif": True}, "The EXIF orientation is ignored"),
    ("alpha_matte", {"matte": (255, 255, 255)}, "Transparent pixels are not white"),
    ("bit_depth", {"depth": "scale"}, "Levels above 255 are clipped"),
)

BY_PREDICTIONS = frozenset(cause for cause, *_ in _REQUESTS)
"""Causes that are judged by predictions."""


def check_files(
    classifier: Classifier, photos: Photos, labels: Truth = ()
) -> tuple[Finding, ...]:
    """Decode the images as their files ask for, and see what that changes.

    `labels` are indices of the right classes, None where one is not known; empty where none is.
    """
    found = (_unheeded(classifier, photos, labels, *request) for request in _REQUESTS)
    return tuple(
        filter(None, (*found, _small(known_preprocessing(classifier), photos)))
    )


def _unheeded(
    classifier: Classifier,
    photos: Photos,
    labels: Truth,
    cause: str,
    heeded: dict[str, Any],
    told: str,
) -> Finding | None:
    used = known_preprocessing(classifier)
    fixed = used.replace(decoding=replace(used.decoding, **heeded))
    pairs = [
        (photo.decoded(used.decoding), photo.decoded(fixed.decoding))
        for photo in photos
    ]
    affected = [
        i
        for i, (one, other) in enumerate(pairs)
        if not np.array_equal(one.pixels, other.pixels)
    ]
    if not affected:
        return None
    touched = [photos[place] for place in affected]
    before, after = (
        classifier.probabilities(touched, preprocessing=each) for each in (used, fixed)
    )
    trial = Trial(
        before, after, [labels[place] for place in affected] if labels else ()
    )
    changed, helps = float(trial.changed.mean()), trial.gain > GAIN
    return conclude(
        cause,
        f"{told} in {len(affected)} of {len(photos)} images.",
        Evidence(
            "mean gain in likelihood or certainty, in nats", trial.gain, GAIN, helps
        ),
        Evidence("share of these predictions that change", changed),
        advice="Decode as the file asks for.",
        sure=helps,
        right=fixed,
        cost=changed * len(affected) / len(photos),
    )


def _small(used: Preprocessing, photos: Photos) -> Finding | None:
    if used.size is None:
        return None
    sizes = [photo.size for photo in photos]
    *sides, step = np.divide([*sizes, used.thumbnail or used.size], used.size).min(
        axis=1
    )
    if step < SMALL and np.median(sides) > step:
        return conclude(
            "target_size",
            "Every image is made small first.",
            Evidence(
                "side of the thumbnail as a share of the model's",
                float(step),
                SMALL,
                True,
            ),
            advice="Resize once, from the original.",
            right=used.replace(thumbnail=None),
        )
    if min(sides) >= SMALL:
        return None
    count = sum(side < SMALL for side in sides)
    return conclude(
        "target_size",
        f"{count} of {len(photos)} images are far smaller than the input.",
        Evidence(
            "smallest side as a share of the model's", float(min(sides)), SMALL, True
        ),
        advice="Use the original images instead of thumbnails.",
        sure=False,
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

SMOOTHER, ALIKE = 1.5, 0.7
"""How many times smoother a scrambled tensor becomes once it is undone, and the correlation of its channels
that it stays below: they are three parts of the image. Stripes of three rows become smoother, too, but all
channels have the same ones; of stripes, grids and text at many periods none is below 0.8."""

SMALLEST_SIDE = 16
"""Rows and columns that are needed for that."""


def check_tensors(photos: Photos, used: Preprocessing) -> tuple[Finding, ...]:
    """Check what the preprocessing in use makes of the photos, of which constant ones are left out.

    Returns the first thing that is wrong with the numbers, then what is wrong with their places.
    """
    plain = used.replace(scaling=(), cast=None)
    pictures = [photo.decoded(used.decoding) for photo in photos]
    # Channels may lie at different places.
    axes = (0, 2, 3) if used.layout == "channels_first" else (0, 1, 2)
    # Resizing evens out noise, and a colour differs between channels only.
    seen = [
        photo for photo in pictures if plain.apply(photo).std(axis=axes).max() > FLAT
    ]
    if not seen:
        return ()
    tensors = [used.apply(photo) for photo in seen]
    share = 1 - np.isfinite(tensors).mean()
    if share:
        evidence = Evidence("share of such values", float(share), 0.0, True)
        advice = "Find the division by zero before the model."
        return (
            conclude(
                "wrong_range", "Values are NaN or infinite.", evidence, advice=advice
            ),
        )
    values = _cast(seen, tensors, used) or _range(
        tensors, [*map(plain.apply, seen)], axes, used
    )
    return tuple(filter(None, (values, _scrambled(tensors, used))))


def _cast(
    photos: Photos, tensors: Sequence[Float32], used: Preprocessing
) -> Finding | None:
    without = used.replace(cast=None)
    whole = all((tensor == np.rint(tensor)).all() for tensor in tensors)
    before = min(np.unique(photo.pixels).size for photo in photos)
    after = max(np.unique(tensor).size for tensor in tensors)
    # A cast of 0..255 is harmless; one of negative numbers wraps around, and leaves many values.
    pairs = zip(map(without.apply, photos), tensors, strict=True)
    wrapped = used.cast is not None and any(
        np.abs(one - other).max() > 2 for one, other in pairs
    )
    # One value alone comes from other faults as well, unless a cast is known to be there.
    fewest = 1 if used.cast is not None else 2
    collapsed = whole and before >= LEVELS_BEFORE and fewest <= after <= LEVELS_LEFT
    if not (collapsed or wrapped):
        return None
    return conclude(
        "dtype_cast",
        "The scaled numbers were cast to whole numbers.",
        Evidence("fewest levels in an image", before, LEVELS_BEFORE, True),
        Evidence("most values in its tensor", after, LEVELS_LEFT, collapsed),
        advice="Keep float32 after scaling.",
        right=without if used.cast is not None else None,
    )


def _range(
    tensors: Sequence[Float32],
    levels: Sequence[Float32],
    axes: tuple[int, ...],
    used: Preprocessing,
) -> Finding | None:
    after, before = (
        max(float(np.ptp(one, axis=axes).max()) for one in each)
        for each in (tensors, levels)
    )
    gain = after * 255 / before
    largest = float(max(np.abs(tensor).max() for tensor in tensors))
    constant = all(np.ptp(tensor) == 0 for tensor in tensors)
    cause, without = "wrong_range", used.scaling[:-1]
    if largest > LARGEST:
        told, without = (
            f"The tensor goes up to {largest:g}; no model takes more than 255.",
            (),
        )
    elif constant:
        told = f"The tensor is {tensors[0].flat[0]:g} everywhere."
    elif gain < SQUEEZED:
        cause, told = (
            "double_scaling",
            f"The tensor's range is only {gain:.2g}: scaled twice.",
        )
    else:
        return None
    return conclude(
        cause,
        told,
        Evidence(
            "range of the tensor from black to white", gain, SQUEEZED, gain < SQUEEZED
        ),
        Evidence("largest absolute value", largest, LARGEST, largest > LARGEST),
        advice="Scale once, as in training: in the loader or yourself.",
        right=used.replace(scaling=without)
        if without or (used.scaling and largest > LARGEST)
        else None,
    )


def _scrambled(tensors: Sequence[Float32], used: Preprocessing) -> Finding | None:
    images = np.concatenate(tensors)
    if used.layout == "channels_first":
        images = arrange_back(images, used.layout)
    if used.channel_count != 3 or min(images.shape[1:3]) < SMALLEST_SIDE:
        return None
    undone = arrange_back(images, "reshaped")
    smoother = float(np.median(_roughness(images) / (_roughness(undone) + 1e-12)))
    alike = float(np.median([_likeness(image) for image in images]))
    if smoother <= SMOOTHER or alike >= ALIKE:
        return None
    return conclude(
        "channel_layout",
        "The tensor was reshaped, not transposed.",
        Evidence(
            "times that undoing it makes the tensor smoother", smoother, SMOOTHER, True
        ),
        Evidence("correlation of the channels", alike, ALIKE, True),
        advice="Transpose the axes instead of reshaping.",
        right=used.replace(layout="channels_last")
        if used.layout == "reshaped"
        else None,
    )


def _roughness(images: Float32) -> Float32:
    """Return the mean difference between neighbours, below and beside, of each image (N, H, W, C)."""
    differences = (np.abs(np.diff(images, axis=axis)) for axis in (1, 2))
    return np.asarray(sum(each.mean(axis=(1, 2, 3)) for each in differences))


def _likeness(image: Float32) -> float:
    """Return the mean correlation of the channels, of any sign, weighted by their contrast."""
    covariances = np.cov(image.reshape(-1, image.shape[-1]).T)
    deviations = np.sqrt(np.diag(covariances))
    pairs = np.triu_indices(len(deviations), 1)
    products = np.outer(deviations, deviations)[pairs]
    return float(np.abs(covariances[pairs]).sum() / (products.sum() + 1e-12))
