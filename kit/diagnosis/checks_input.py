"""Certain checks of files and tensors."""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from kit._arrays import Float32, Int64
from kit.classifier import Classifier, known_preprocessing
from kit.classifier.labels import surprises
from kit.diagnosis.finding import Evidence, Finding, Photos, conclude
from kit.images import Photo
from kit.preprocessing import Preprocessing
from kit.preprocessing.pipeline import arrange_back

HELPING_NATS = 0.1
"""Nats by which heeding the file must help, on average: log-likelihood of the label, or else entropy lost."""

SMALL_SHARE = 0.5
"""Share of the network's side below which an image is enlarged so much that detail is missing."""


class _Request(NamedTuple):
    """What a file asks for: the cause where it is ignored, fields of `Decoding` that heed it, in words."""

    cause: str
    decoding_fields: dict[str, Any]
    words: str


_REQUESTS = (
    _Request("exif_orientation", {"exif": True}, "The EXIF orientation is ignored"),
    _Request(
        "alpha_matte", {"matte": (255, 255, 255)}, "Transparent pixels are not white"
    ),
    _Request("bit_depth", {"depth": "scale"}, "Levels above 255 are clipped"),
)

BY_PREDICTIONS = frozenset(request.cause for request in _REQUESTS)
"""Causes that are judged by predictions."""


def check_files(
    classifier: Classifier, photos: Photos, labels: Int64
) -> tuple[Finding, ...]:
    """Decode the images as their files ask for, and see what that changes.

    `labels`, int64 (photos,), are indices of the right classes, -1 where one is not known.
    """
    findings = (
        *(
            _unheeded_finding(classifier, photos, labels, request)
            for request in _REQUESTS
        ),
        _small_images_finding(known_preprocessing(classifier), photos),
    )
    return tuple(filter(None, findings))


def _unheeded_finding(
    classifier: Classifier, photos: Photos, labels: Int64, request: _Request
) -> Finding | None:
    used = known_preprocessing(classifier)
    fixed = used.replace(decoding=replace(used.decoding, **request.decoding_fields))

    def differs(photo: Photo) -> bool:
        before = photo.decoded(used.decoding).pixels
        return not np.array_equal(before, photo.decoded(fixed.decoding).pixels)

    places = [place for place, photo in enumerate(photos) if differs(photo)]
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
    changed_share = float(before.changed(after).mean())
    return conclude(
        request.cause,
        f"{request.words} in {len(affected)} of {len(photos)} images.",
        Evidence(
            "mean gain in likelihood or certainty, in nats",
            gain_nats,
            HELPING_NATS,
            helps,
        ),
        Evidence("share of these predictions that change", changed_share),
        advice="Decode as the file asks for.",
        sure=helps,
        fixed=fixed,
        cost=changed_share * len(affected) / len(photos),
    )


def _small_images_finding(used: Preprocessing, photos: Photos) -> Finding | None:
    if used.size is None:
        return None
    # Height or width, whichever is the smaller share of the network's.
    image_shares = np.divide([photo.size for photo in photos], used.size).min(axis=1)
    thumbnail_share = float(np.divide(used.thumbnail or used.size, used.size).min())
    # A thumbnail takes no detail from images that are as small themselves.
    if thumbnail_share < SMALL_SHARE and np.median(image_shares) > thumbnail_share:
        text = "side of the thumbnail as a share of the model's"
        return conclude(
            "target_size",
            "Every image is made small first.",
            Evidence(text, thumbnail_share, SMALL_SHARE, True),
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
        Evidence(text, float(image_shares.min()), SMALL_SHARE, True),
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

FLAT_STD = 2.0
"""Standard deviation in levels of a resized channel up to which an image is constant, and says nothing:
noise and rounding make what little range it has."""

SMOOTHER_TIMES = 1.5
"""How many times smoother a scrambled tensor becomes once it is undone."""

ALIKE_CORRELATION = 0.7
"""Correlation of its channels that it stays below: they are three parts of the image. Stripes of three rows
become smoother, too, but all channels have the same ones; of stripes, grids and text at many periods none is
below 0.8."""

SMALLEST_SIDE = 16
"""Rows and columns that are needed for that."""


def check_tensors(photos: Photos, used: Preprocessing) -> tuple[Finding, ...]:
    """Check what the preprocessing in use makes of the photos, of which constant ones are left out.

    Returns the first thing that is wrong with the numbers, then what is wrong with their places.
    """
    # Gives levels, 0..255.
    unscaled = used.replace(scaling=(), cast=None)
    # Height and width: channels may lie at different places.
    sides = (2, 3) if used.layout == "channels_first" else (1, 2)
    # Resizing evens out noise, and a colour differs between channels only.
    varied = [
        photo
        for photo in (photo.decoded(used.decoding) for photo in photos)
        if unscaled.apply(photo).std(axis=sides).max() > FLAT_STD
    ]
    if not varied:
        return ()
    tensors = np.concatenate([used.apply(photo) for photo in varied])
    number_finding = _cast_finding(varied, tensors, used)
    if number_finding is None:
        levels = np.concatenate([unscaled.apply(photo) for photo in varied])
        range_of_255_levels = (
            np.ptp(tensors, axis=sides).max() * 255 / np.ptp(levels, axis=sides).max()
        )
        number_finding = _range_finding(tensors, float(range_of_255_levels), used)
    return tuple(filter(None, (number_finding, _scrambled_finding(tensors, used))))


def _cast_finding(
    photos: Photos, tensors: Float32, used: Preprocessing
) -> Finding | None:
    without_cast = used.replace(cast=None)
    uncast = np.concatenate([without_cast.apply(photo) for photo in photos])
    # Of numbers up to 255 a cast cuts off less than 1; negative ones wrap around.
    span = max(float(np.ptp(uncast)), 1e-6)
    lost_share = float(np.abs(uncast - tensors).max()) / span
    if lost_share <= LOST_SHARE:
        return None
    return conclude(
        "dtype_cast",
        "The scaled numbers were cast to whole numbers.",
        Evidence("most that it changes, of their range", lost_share, LOST_SHARE, True),
        advice="Keep float32 after scaling.",
        fixed=without_cast,
    )


def _range_finding(
    tensors: Float32, range_of_255_levels: float, used: Preprocessing
) -> Finding | None:
    largest = float(np.abs(tensors).max())
    too_large = largest > LARGEST_VALUE
    cause = "wrong_range"
    if too_large:
        summary = f"The tensor goes up to {largest:g}; no model takes more than 255."
    elif not np.ptp(tensors, axis=(1, 2, 3)).any():
        summary = f"The tensor is {tensors.flat[0]:g} everywhere."
    elif range_of_255_levels < SQUEEZED_RANGE:
        cause = "double_scaling"
        summary = f"The tensor's range is only {range_of_255_levels:.2g}: scaled twice."
    else:
        return None
    # Without any scaling in use, or with a single one that is too narrow, the fault lies elsewhere; of
    # several scalings the last is one too many.
    fixable = used.scaling if too_large else used.scaling[1:]
    scaling = () if too_large else used.scaling[:-1]
    evidence = Evidence(
        "range of the tensor from black to white",
        range_of_255_levels,
        SQUEEZED_RANGE,
        range_of_255_levels < SQUEEZED_RANGE,
    )
    if too_large:
        evidence = Evidence("largest absolute value", largest, LARGEST_VALUE, True)
    return conclude(
        cause,
        summary,
        evidence,
        advice="Scale once, as in training: in the loader or yourself.",
        fixed=used.replace(scaling=scaling) if fixable else None,
    )


def _scrambled_finding(tensors: Float32, used: Preprocessing) -> Finding | None:
    # All layouts but this one have the shape (N, H, W, C).
    if used.layout == "channels_first":
        tensors = arrange_back(tensors, used.layout)
    if used.channel_count != 3 or min(tensors.shape[1:3]) < SMALLEST_SIDE:
        return None
    # Undoes a reshape to channels first that should have moved the axis of the channels.
    restored = arrange_back(tensors, "reshaped")
    smoother_times = float(
        np.median(_roughness(tensors) / (_roughness(restored) + 1e-12))
    )
    correlation = float(np.median([_channel_correlation(tensor) for tensor in tensors]))
    if smoother_times <= SMOOTHER_TIMES or correlation >= ALIKE_CORRELATION:
        return None
    text = "times that undoing it makes the tensor smoother"
    # Else other code has reshaped the images, which no field of the preprocessing undoes.
    fixable = used.layout == "reshaped"
    return conclude(
        "channel_layout",
        "The tensor was reshaped, not transposed.",
        Evidence(text, smoother_times, SMOOTHER_TIMES, True),
        Evidence("correlation of the channels", correlation, ALIKE_CORRELATION, True),
        advice="Transpose the axes instead of reshaping.",
        fixed=used.replace(layout="channels_last") if fixable else None,
    )


def _roughness(tensors: Float32) -> Float32:
    """Return the mean difference between neighbours, below and beside, of each image (N, H, W, C)."""
    # Below each other, and beside each other; a reshape puts pixels from elsewhere there, so that it grows.
    differences = (np.abs(np.diff(tensors, axis=axis)) for axis in (1, 2))
    return np.asarray(
        sum(along_axis.mean(axis=(1, 2, 3)) for along_axis in differences)
    )


def _channel_correlation(image: Float32) -> float:
    """Return the mean correlation of the channels, of any sign, weighted by their contrast."""
    covariances = np.abs(np.cov(image.reshape(-1, image.shape[-1]).T))
    variances = covariances.diagonal()
    # Sums over all pairs of channels: of their covariances, of any sign, and of the most that these can be.
    pair_covariances = covariances.sum() - variances.sum()
    pair_deviations = np.sqrt(variances).sum() ** 2 - variances.sum()
    return float(pair_covariances / (pair_deviations + 1e-12))
