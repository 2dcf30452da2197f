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
from kit.preprocessing.scaling import affine

HELPING_NATS = 0.1
"""Nats by which heeding the file must help, on average: log-likelihood of the label, or else entropy lost."""

SMALL_SHARE = 0.5
"""Share of the network's side below which an image is enlarged so much that detail is missing."""


class _Request(NamedTuple):
    """What a file asks for: the cause where it is ignored, values of a field of `Decoding`, in words.

    Of several values, no file says which one training had: labels alone tell.
    """

    cause: str
    field: str
    values: tuple[Any, ...]
    words: str


_REQUESTS = (
    _Request("exif_orientation", "exif", (True,), "The EXIF orientation is ignored"),
    _Request(
        "alpha_matte",
        "matte",
        ((255, 255, 255), (0, 0, 0), None),
        "Transparency may have to be read otherwise",
    ),
    _Request("bit_depth", "depth", ("scale",), "Levels above 255 are clipped"),
)

BY_PREDICTIONS = frozenset(request.cause for request in _REQUESTS)
"""Causes that are judged by predictions."""


def check_files(
    classifier: Classifier, photos: Photos, labels: Int64
) -> tuple[Finding, ...]:
    """Decode the images as their files ask for, and see what that changes; a label is -1 if unknown."""
    findings = [
        _unheeded_finding(classifier, photos, labels, request) for request in _REQUESTS
    ]
    findings.append(_small_images_finding(known_preprocessing(classifier), photos))
    return tuple(filter(None, findings))


def _unheeded_finding(
    classifier: Classifier, photos: Photos, labels: Int64, request: _Request
) -> Finding | None:
    used = known_preprocessing(classifier)
    heeding = [
        used.replace(**decoding_changes(used, **{request.field: value}))
        for value in request.values
    ]

    if not any(_places_decoded_otherwise(photos, used, tried) for tried in heeding):
        return None
    labelled = Labelled(Evaluator(classifier), tuple(photos), labels)
    # The one that meets most labels; of equals, as without labels, the first.
    fixed = max(heeding, key=lambda tried: labelled.correct(tried).sum())
    places = _places_decoded_otherwise(photos, used, fixed)
    if not places:
        return None
    affected = [photos[place] for place in places]
    affected_labels = labels[places]
    before = classifier.predict(affected, preprocessing=used)
    after = classifier.predict(affected, preprocessing=fixed)
    # Of each image -log p of the label, or where that is not known (-1), the entropy; in nats.
    lost_surprise = surprises(before.probabilities, affected_labels) - surprises(
        after.probabilities, affected_labels
    )
    gain_nats = float(lost_surprise.mean())
    helps = gain_nats > HELPING_NATS
    # Of several ways, labels have to tell the best from every other one.
    rivals = [used, *heeding] if heeding[1:] else []
    changed_share = float(before.changed(after).mean())
    return conclude(
        request.cause,
        f"{request.words} in {len(affected)} of {len(photos)} images.",
        Evidence(
            "mean gain in likelihood or certainty, in nats",
            gain_nats,
            HELPING_NATS,
            supports=helps,
        ),
        Evidence("share of these predictions that change", changed_share),
        advice=(
            "Decode so, if training did." if rivals else "Decode as the file asks for."
        ),
        sure=helps and _is_told_apart(labelled, rivals, fixed),
        fixed=fixed,
        cost=changed_share * len(affected) / len(photos),
    )


def _is_told_apart(
    labelled: Labelled, rivals: list[Preprocessing], fixed: Preprocessing
) -> bool:
    """Whether labels tell a preprocessing from each rival that decodes these images otherwise."""
    outcomes = (
        labelled.gained_and_lost(rival, fixed)
        for rival in rivals
        if _places_decoded_otherwise(labelled.photos, rival, fixed)
    )
    return all(
        chance_of_at_least(gained, gained + lost, 0.5) <= CONVINCING_CHANCE
        for gained, lost in outcomes
    )


def _places_decoded_otherwise(
    photos: Photos, first: Preprocessing, second: Preprocessing
) -> list[int]:
    """Return the places of the photos that two preprocessings decode otherwise."""
    return [
        place
        for place, photo in enumerate(photos)
        # A photo without notes is decoded alike in every way.
        if photo.notes
        and not np.array_equal(
            photo.decoded(first.decoding).pixels, photo.decoded(second.decoding).pixels
        )
    ]


def _small_images_finding(used: Preprocessing, photos: Photos) -> Finding | None:
    if used.size is None:
        return None
    # Sizes are (height, width): of each image the side that is the smaller share of the network's.
    sizes = np.array([photo.size for photo in photos])
    image_shares = np.divide(sizes, used.size).min(axis=1)
    thumbnail_share = float(np.divide(used.thumbnail or used.size, used.size).min())
    # A thumbnail takes no detail from images that fit into it.
    is_shrunk = (sizes > (used.thumbnail or used.size)).any(axis=1)
    if thumbnail_share < SMALL_SHARE and np.median(is_shrunk):
        text = "side of the thumbnail as a share of the model's"
        return conclude(
            "target_size",
            "Every image is made small first.",
            Evidence(text, thumbnail_share, SMALL_SHARE, supports=True),
            advice="Resize once, from the original.",
            fixed=used.replace(thumbnail=None),
        )
    small = int((image_shares < SMALL_SHARE).sum())
    if not small:
        return None
    text = "smallest side as a share of the model's"
    return conclude(
        "target_size",
        f"{small} of {len(photos)} images are far smaller than the input.",
        Evidence(text, float(image_shares.min()), SMALL_SHARE, supports=True),
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

_ALL_LEVELS = np.arange(256, dtype=np.float32).reshape(1, 16, 16, 1).repeat(3, axis=-1)
"""Of an image (1, 16, 16, 3) that has them all, from black to white."""


def check_tensors(used: Preprocessing) -> Finding | None:
    """Check the numbers that the preprocessing in use makes of all levels from black to white."""
    of_all_levels: Float32 = run(TO_TENSOR, used, _ALL_LEVELS)
    return (
        _cast_finding(of_all_levels, used)
        or _range_finding(of_all_levels, used)
        or _layout_finding(of_all_levels, used)
    )


def _cast_finding(of_all_levels: Float32, used: Preprocessing) -> Finding | None:
    without_cast = used.replace(cast=None)
    uncast = run(TO_TENSOR, without_cast, _ALL_LEVELS)
    # Of numbers up to 255 a cast cuts off less than 1; negative ones wrap around.
    span = max(float(np.ptp(uncast)), 1e-6)
    lost_share = float(np.abs(uncast - of_all_levels).max()) / span
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


def _range_finding(of_all_levels: Float32, used: Preprocessing) -> Finding | None:
    largest = float(np.abs(of_all_levels).max())
    slope, _ = affine(used.scaling)
    span = float(255 * np.abs(slope).max())
    fixed = None
    if largest > LARGEST_VALUE:
        cause = "wrong_range"
        summary = f"The tensor goes up to {largest:g}; no model takes more than 255."
        evidence = Evidence(
            "largest absolute value", largest, LARGEST_VALUE, supports=True
        )
        # A standard deviation of levels 0..1 was never meant for 0..255.
        last_scaling = used.scaling[-1]
        is_of_shares = last_scaling.std is not None and np.max(last_scaling.std) <= 1
        right = [replace(last_scaling, divisor=255.0)] if is_of_shares else []
        fixed = used.replace(scaling=right)
    elif span < SQUEEZED_RANGE:
        cause = "double_scaling"
        summary = f"The tensor's range is only {span:.2g}: scaled twice."
        text = "range of the tensor from black to white"
        evidence = Evidence(text, span, SQUEEZED_RANGE, supports=True)
        # Of several scalings the last is one too many. One alone that is too narrow has no known fix.
        if len(used.scaling) > 1:
            fixed = used.replace(scaling=used.scaling[:-1])
    else:
        return None
    return conclude(
        cause,
        summary,
        evidence,
        advice="Scale once, as in training: in the loader or yourself.",
        fixed=fixed,
    )


def _layout_finding(of_all_levels: Float32, used: Preprocessing) -> Finding | None:
    if used.layout != "reshaped":
        return None
    # A reshaped tensor has its channels last as well, with other numbers in their places.
    right = used.replace(layout="channels_last")
    elsewhere_share = float(
        (of_all_levels != run(TO_TENSOR, right, _ALL_LEVELS)).mean()
    )
    if not elsewhere_share:
        # One channel lies the same after both.
        return None
    return conclude(
        "channel_layout",
        "The tensor was reshaped, not transposed.",
        Evidence(
            "share of values that lie elsewhere", elsewhere_share, 0.0, supports=True
        ),
        advice="Transpose the axes instead of reshaping.",
        fixed=right,
    )
