"""Certain checks of files and tensors."""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from kit._arrays import Float32, Int64
from kit.classifier.classifier import Classifier, known_preprocessing
from kit.classifier.labels import surprises
from kit.diagnosis.candidates import Evaluator
from kit.diagnosis.evidence import CONVINCING_CHANCE
from kit.diagnosis.finding import (
    Evidence,
    Finding,
    Photos,
    chance_of_at_least,
    conclude,
)
from kit.diagnosis.sources import Labelled
from kit.preprocessing import Preprocessing
from kit.preprocessing.pipeline import TO_TENSOR, decoding_changes, run
from kit.preprocessing.scaling import affine, scaling_words

HELPING_NATS = 0.1
"""Nats by which heeding the file must help, on average: log-likelihood of the label, or else entropy lost."""

SMALL_SHARE = 0.5
"""Share of the network's side below which an image is enlarged so much that detail is missing."""


class _DecodingRequest(NamedTuple):
    """What a file asks for: the cause where it is ignored, values of a field of `Decoding`, a summary.

    Of several values, no file says which one training had: labels alone tell.
    """

    cause: str
    decoding_field: str
    values: tuple[Any, ...]
    summary: str


_DECODING_REQUESTS = (
    _DecodingRequest(
        "exif_orientation", "exif", (True,), "The EXIF orientation is ignored"
    ),
    _DecodingRequest(
        "alpha_matte",
        "matte",
        ((255, 255, 255), (0, 0, 0), None),
        "Transparency may have to be read otherwise",
    ),
    _DecodingRequest("bit_depth", "depth", ("scale",), "Levels above 255 are clipped"),
)

BY_PREDICTIONS = frozenset(request.cause for request in _DECODING_REQUESTS)
"""Causes that are judged by predictions."""


def check_files(
    classifier: Classifier, photos: Photos, labels: Int64
) -> tuple[Finding, ...]:
    """Decode the images as their files ask for, and see what that changes; a label is -1 if unknown."""
    findings = [
        _unheeded_request_finding(classifier, photos, labels, request)
        for request in _DECODING_REQUESTS
    ]
    findings.append(_small_images_finding(known_preprocessing(classifier), photos))
    return tuple(filter(None, findings))


def _unheeded_request_finding(
    classifier: Classifier,
    photos: Photos,
    labels: Int64,
    request: _DecodingRequest,
) -> Finding | None:
    in_use = known_preprocessing(classifier)
    heeding_ways = [
        in_use.replace(**decoding_changes(in_use, **{request.decoding_field: value}))
        for value in request.values
    ]

    # Nothing is predicted where no file asks for anything.
    if not any(
        _indices_decoded_differently(photos, in_use, way) for way in heeding_ways
    ):
        return None
    labelled = Labelled(Evaluator(classifier), photos, labels)
    # Where labels are known, they choose among the decodings that heed the file; else the first is taken.
    fixed = max(heeding_ways, key=lambda way: labelled.correct(way).sum())
    affected_indices = _indices_decoded_differently(photos, in_use, fixed)
    if not affected_indices:
        return None
    affected = [photos[index] for index in affected_indices]
    affected_labels = labels[affected_indices]
    predictions_before = classifier.predict(affected, preprocessing=in_use)
    predictions_after = classifier.predict(affected, preprocessing=fixed)
    # Of each image -log p of the label, or where that is not known (-1), the entropy; in nats.
    surprise_falls = surprises(
        predictions_before.probabilities, affected_labels
    ) - surprises(predictions_after.probabilities, affected_labels)
    gain_nats = float(surprise_falls.mean())
    helps = gain_nats > HELPING_NATS
    # Of several ways, no file says that training had one: labels have to tell the best from that in use.
    gained, lost = labelled.gained_and_lost(in_use, fixed)
    chance_of_as_many_gained = chance_of_at_least(gained, gained + lost, 0.5)
    has_several_ways = len(heeding_ways) > 1
    changed_share = float(predictions_before.changed(predictions_after).mean())
    return conclude(
        request.cause,
        f"{request.summary} in {len(affected)} of {len(photos)} images.",
        Evidence(
            "mean gain in likelihood or certainty, in nats",
            gain_nats,
            HELPING_NATS,
            supports=helps,
        ),
        Evidence("share of these predictions that change", changed_share),
        advice=(
            "Decode so, if training did."
            if has_several_ways
            else "Decode as the file asks for."
        ),
        sure=helps
        and (not has_several_ways or chance_of_as_many_gained <= CONVINCING_CHANCE),
        fixed=fixed,
    )


def _indices_decoded_differently(
    photos: Photos, first: Preprocessing, second: Preprocessing
) -> list[int]:
    """Return the indices of the photos that two preprocessings decode otherwise."""
    return [
        index
        for index, photo in enumerate(photos)
        # Notes tell what decoding had to convert: where there are none, all decodings do the same.
        if photo.notes
        and not np.array_equal(
            photo.decoded(first.decoding).pixels, photo.decoded(second.decoding).pixels
        )
    ]


def _small_images_finding(in_use: Preprocessing, photos: Photos) -> Finding | None:
    # Nothing is enlarged where images keep their sizes.
    if in_use.size is None:
        return None
    # Sizes are (height, width): of each image the side that is the smaller share of the network's.
    sizes = np.array([photo.size for photo in photos])
    image_shares = np.divide(sizes, in_use.size).min(axis=1)
    thumbnail_share = float(
        np.divide(in_use.thumbnail or in_use.size, in_use.size).min()
    )
    # A thumbnail takes no detail from images that fit into it.
    is_shrunk = (sizes > (in_use.thumbnail or in_use.size)).any(axis=1)
    if thumbnail_share < SMALL_SHARE and is_shrunk.mean() >= 0.5:
        return conclude(
            "target_size",
            "Every image is made small first.",
            Evidence(
                "side of the thumbnail as a share of the model's",
                thumbnail_share,
                SMALL_SHARE,
                supports=True,
            ),
            advice="Resize once, from the original.",
            fixed=in_use.replace(thumbnail=None),
        )
    small_count = int((image_shares < SMALL_SHARE).sum())
    if not small_count:
        return None
    return conclude(
        "target_size",
        f"{small_count} of {len(photos)} images are far smaller than the input.",
        Evidence(
            "smallest side as a share of the model's",
            float(image_shares.min()),
            SMALL_SHARE,
            supports=True,
        ),
        advice="Use the original images instead of thumbnails.",
        sure=False,
    )


SQUEEZED_RANGE = 0.2
"""Step of the tensor for 255 levels below which an image was scaled twice; the smallest of all contracts of
keras.applications, KerasHub and timm is 1, for 0..1, and 0..1 divided by 255 once more gives 0.004."""

LARGEST_VALUE = 300.0
"""Largest absolute value that any contract makes of 0..255 is 255."""

LOST_SHARE = 0.05
"""Share of the range of the numbers by which a cast may change one of them and be harmless."""

_IMAGE_OF_ALL_LEVELS = (
    np.arange(256, dtype=np.float32).reshape(1, 16, 16, 1).repeat(3, axis=-1)
)
"""Of an image (1, 16, 16, 3) that has them all, from black to white."""


def check_tensors(in_use: Preprocessing) -> Finding | None:
    """Check the numbers that the preprocessing in use makes of all levels from black to white."""
    tensor_of_all_levels: Float32 = run(TO_TENSOR, in_use, _IMAGE_OF_ALL_LEVELS)
    # The first that finds something: what a cast does to the numbers shows in their range, too.
    return (
        _cast_finding(tensor_of_all_levels, in_use)
        or _range_finding(tensor_of_all_levels, in_use)
        or _layout_finding(tensor_of_all_levels, in_use)
    )


def _cast_finding(
    tensor_of_all_levels: Float32, in_use: Preprocessing
) -> Finding | None:
    without_cast = in_use.replace(cast=None)
    tensor_without_cast = run(TO_TENSOR, without_cast, _IMAGE_OF_ALL_LEVELS)
    # A cast cuts off less than 1: little of 0..255, nearly all of 0..1. Negative numbers wrap around.
    span = max(float(np.ptp(tensor_without_cast)), 1e-6)
    lost_share = float(np.abs(tensor_without_cast - tensor_of_all_levels).max()) / span
    if lost_share <= LOST_SHARE:
        return None
    return conclude(
        "dtype_cast",
        "The scaled numbers were cast to whole numbers.",
        Evidence(
            "most that it changes, of their range",
            lost_share,
            LOST_SHARE,
            supports=True,
        ),
        advice="Keep float32 after scaling.",
        fixed=without_cast,
    )


def _range_finding(
    tensor_of_all_levels: Float32, in_use: Preprocessing
) -> Finding | None:
    largest = float(np.abs(tensor_of_all_levels).max())
    slope, _ = affine(in_use.scaling)
    span = float(255 * np.abs(slope).max())
    fixed = None
    advice = "Scale once, as in training: in the loader or yourself."
    if largest > LARGEST_VALUE:
        cause = "wrong_range"
        summary = f"The tensor goes up to {largest:g}; no model takes more than 255."
        evidence = Evidence(
            "largest absolute value", largest, LARGEST_VALUE, supports=True
        )
        # There is a last one: without any, 255 is the largest. Such a std was measured on 0..1, so that only
        # the division by 255 before it is missing.
        last_scaling = in_use.scaling[-1]
        is_for_0_to_1 = last_scaling.std is not None and np.max(last_scaling.std) <= 1
        right_scaling = [replace(last_scaling, divisor=255.0)] if is_for_0_to_1 else []
        fixed = in_use.replace(scaling=right_scaling)
    elif span < SQUEEZED_RANGE:
        cause = "double_scaling"
        summary = f"The tensor's range is only {span:.2g}: scaled twice."
        evidence = Evidence(
            "range of the tensor from black to white",
            span,
            SQUEEZED_RANGE,
            supports=True,
        )
        # Each scaling once: the same may be there twice. No tensor tells which of several training had. One
        # alone that is too narrow has no known fix.
        first, *others = dict.fromkeys(in_use.scaling)
        if others:
            words = " or ".join(scaling_words((each,)) for each in (first, *others))
            advice = f"Scale once, as in training: {words}. Try each: the share of right labels decides."
        elif len(in_use.scaling) > 1:
            fixed = in_use.replace(scaling=first)
    else:
        return None
    return conclude(
        cause,
        summary,
        evidence,
        advice=advice,
        fixed=fixed,
    )


def _layout_finding(
    tensor_of_all_levels: Float32, in_use: Preprocessing
) -> Finding | None:
    if in_use.layout != "reshaped":
        return None
    # A reshape reads numbers in the order (H, W, C) as if it were (C, H, W), which puts them elsewhere; with
    # a transpose the tensor would be that of "channels_last".
    fixed = in_use.replace(layout="channels_last")
    elsewhere_share = float(
        (tensor_of_all_levels != run(TO_TENSOR, fixed, _IMAGE_OF_ALL_LEVELS)).mean()
    )
    if not elsewhere_share:
        # One channel lies the same after both.
        return None
    return conclude(
        "channel_layout",
        "The tensor was reshaped, not transposed.",
        Evidence(
            "share of values that lie elsewhere",
            elsewhere_share,
            threshold=0.0,
            supports=True,
        ),
        advice="Transpose the axes instead of reshaping.",
        fixed=fixed,
    )
