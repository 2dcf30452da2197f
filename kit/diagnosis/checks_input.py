"""Certain checks of files, tensors and preprocessing layers inside the model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from kit._arrays import Array, Float32, Float64
from kit.classifier import Classifier
from kit.classifier.architecture import Layer, architecture_and_weights, channel_values, layers_of
from kit.classifier.labels import Trial, Truth
from kit.diagnosis.finding import Evidence, Finding, conclude, using
from kit.images import Photo
from kit.preprocessing import Preprocessing
from kit.preprocessing.faults import CATALOGUE
from kit.preprocessing.scaling import SCALINGS, affine, same_scaling, scaling_words

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


SQUEEZED = 0.2
"""Step of the tensor for 255 levels below which a picture was scaled twice; the smallest of all contracts of
keras.applications, KerasHub and timm is 1, for 0..1, and 0..1 divided by 255 once more gives 0.004."""

LARGEST = 300.0
"""Largest absolute value that any contract makes of 0..255 is 255."""

LEVELS_LEFT = 8
"""Different values up to which a cast is the cause; from 0..1 it leaves 2, from others up to 6."""

LEVELS_BEFORE = 32
"""Different levels in a picture of which so few may not be left."""

FLAT = 2.0
"""Standard deviation in levels below which a picture is itself constant, and says nothing."""

ROUGH = 1.5
"""Differences between a row and the next, over those to the third next, from which on a tensor is scrambled:
np.reshape lays one row of an RGB picture into three. The bundled photographs have 0.33 to 0.89 as they are,
noise has 1, and scrambled they have 2.35 and more at 28 x 28 and larger."""

SMALLEST_SIDE = 16
"""Rows that are needed for that."""


def check_tensors(photos: Sequence[Photo], preprocessing: Preprocessing) -> tuple[Finding, ...]:
    """Check what the preprocessing in use makes of the photographs.

    Parameters
    ----------
    photos
        At least one.
    preprocessing
        In use; one with a size, unless the photographs have one size.

    Returns
    -------
    tuple of Finding
        The first thing that is wrong with the numbers, then what is wrong with their places; empty where
        nothing is. A picture that is constant itself is left out.
    """
    pictures = [photo.decoded(preprocessing.decoding) for photo in photos]
    seen = [photo for photo in pictures if photo.pixels.std() > FLAT]
    if not seen:
        return ()
    tensors = [preprocessing.apply(photo) for photo in seen]
    if (finding := _not_finite(tensors)) is not None:
        return (finding,)
    values = (
        _cast(seen, tensors, preprocessing)
        or _squeezed(seen, tensors, preprocessing)
        or _too_large(tensors, preprocessing)
    )
    places = _scrambled(tensors, preprocessing)
    return tuple(finding for finding in (values, places) if finding is not None)


def _not_finite(tensors: Sequence[Float32]) -> Finding | None:
    share = float(np.mean([1 - np.isfinite(tensor).mean() for tensor in tensors]))
    if share == 0:
        return None
    return conclude(
        "wrong_range",
        "named",
        "The tensor holds values that are no numbers.",
        Evidence("share of values that are not finite", share, 0.0, supports=True),
        advice="Find the division by zero before the network.",
    )


def _cast(photos: Sequence[Photo], tensors: Sequence[Float32], used: Preprocessing) -> Finding | None:
    without = used.replace(cast=None)
    whole = all(bool((tensor == np.rint(tensor)).all()) for tensor in tensors)
    before = min(np.unique(photo.pixels).size for photo in photos)
    after = max(np.unique(tensor).size for tensor in tensors)
    # A cast of 0..255 is harmless; one of negative numbers wraps around, and leaves many values.
    wrapped = used.cast is not None and any(
        float(np.abs(without.apply(photo) - tensor).max()) > 2
        for photo, tensor in zip(photos, tensors, strict=True)
    )
    # One value alone comes from other faults as well, unless a cast is known to be there.
    fewest = 1 if used.cast is not None else 2
    collapsed = whole and before >= LEVELS_BEFORE and fewest <= after <= LEVELS_LEFT
    if not (collapsed or wrapped):
        return None
    lost = "nearly all levels are gone" if collapsed else "negative ones wrapped around at 256"
    return conclude(
        "dtype_cast",
        "named",
        f"The scaled numbers were cast to whole ones: {lost}.",
        Evidence("fewest different levels in a picture", before, LEVELS_BEFORE, supports=True),
        Evidence("most different values in its tensor", after, LEVELS_LEFT, supports=collapsed),
        Evidence("tensors hold whole numbers only (1 is true)", float(whole), None, supports=True),
        advice="Keep the tensor in float32 after scaling.",
        right=without if used.cast is not None else None,
    )


def _squeezed(photos: Sequence[Photo], tensors: Sequence[Float32], used: Preprocessing) -> Finding | None:
    span = float(np.mean([np.ptp(photo.pixels) for photo in photos]))
    # Channels may lie at different places.
    axes = (0, 2, 3) if used.layout == "channels_first" else (0, 1, 2)
    gain = max(float(np.ptp(tensor, axis=axes).max()) for tensor in tensors) * 255 / span
    if gain >= SQUEEZED:
        return None
    constant = max(np.unique(tensor).size for tensor in tensors) == 1
    told = f"A whole picture takes up only {gain:.2g} from darkest to brightest: scaled twice."
    if constant:
        value = float(tensors[0].flat[0])
        told = f"The tensor has the one value {value:g} everywhere, whatever the picture shows."
    return conclude(
        "wrong_range" if constant else "double_scaling",
        "named",
        told,
        Evidence("values between black and white in the tensor", gain, SQUEEZED, supports=True),
        Evidence("levels between the darkest and the brightest of the picture", span),
        advice="Scale once: use the loader's scaling or your own, not both.",
        right=used.replace(scaling=used.scaling[:-1]) if len(used.scaling) > 1 else None,
    )


def _too_large(tensors: Sequence[Float32], used: Preprocessing) -> Finding | None:
    largest = float(max(np.abs(tensor).max() for tensor in tensors))
    if largest <= LARGEST:
        return None
    return conclude(
        "wrong_range",
        "named",
        f"The tensor goes up to {largest:g}; no network is fed with more than 255.",
        Evidence("largest absolute value in the tensor", largest, LARGEST, supports=True),
        advice="Scale to what the network was trained on.",
        right=used.replace(scaling=()) if used.scaling else None,
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
        "A row of the tensor is less like the next than like the third next: the picture was reshaped where "
        "its axes should have been moved.",
        Evidence(differences, ratio, ROUGH, supports=True),
        advice="Move the axis instead of reshaping.",
        right=used.replace(layout="channels_last") if used.layout == "reshaped" else None,
    )


def _beyond(picture: Float32, step: int) -> float:
    return float(np.abs(picture[step:] - picture[:-step]).mean())


RANGES: Mapping[str, tuple[float, float]] = {"0..255": (0, 255), "0..1": (0, 1), "-1..1": (-1, 1)}
"""Ranges that a network with its scaling inside may be fed with."""

LANDING_SPAN = (0.8, 6.0)
"""Span of the numbers after the scaling inside. The contracts of keras.applications lie between 1 (0..1) and
4.5 (ImageNet's mean and standard deviation); read 255 times too wide or too narrow they lie far outside."""

LANDING_SIZE = 4.0
"""Largest absolute number after the scaling inside; 2.7 with ImageNet's mean and standard deviation."""

SAME_RANGE = 0.03
"""Share of the span by which two ranges may differ; (x - 127) / 128 differs from x / 127.5 - 1 by 0.004."""

NARROW = 0.3
"""Share of the expected span below which the input was scaled outside as well; 0.02 for ImageNet's mean and
standard deviation where 0..255 is expected, 0.004 for 0..1."""

_PASSING = ("InputLayer", "ZeroPadding2D", "Identity", "Activation", "Dropout", "GaussianNoise")
_CROPS = ("CenterCrop", "Resizing")


@dataclass(frozen=True)
class Inside:
    """What a network does to its input before the first layer with weights.

    Attributes
    ----------
    slope, offset
        The straight line that a value goes through, one number for each channel or one for all.
    steps
        The layers that make it up, in words.
    crops
        Layers that crop or resize, in words.
    expected
        A name of `RANGES`: what the network is to be fed with; None where the architecture does not tell.
    """

    slope: Float64
    offset: Float64
    steps: tuple[str, ...]
    crops: tuple[str, ...]
    expected: str | None


def read_inside(layers: Sequence[Layer], weights: Mapping[str, tuple[Array, ...]] | None = None) -> Inside:
    """Follow the input up to the first layer with weights.

    Parameters
    ----------
    layers
        As from `kit.classifier.architecture.layers_of`.
    weights
        As from `weights_in`; ``Normalization`` layers that were adapted to data keep
        their numbers there.
    """
    slope, offset = np.ones(1), np.zeros(1)
    steps: list[str] = []
    crops: list[str] = []
    for layer in layers:
        if layer.kind in _CROPS:
            crops.append(f"{layer.kind}({layer.settings.get('height')}, {layer.settings.get('width')})")
        elif layer.kind in _PASSING or layer.kind.startswith("Random"):
            continue
        else:
            line = _line(layer, weights or {})
            if line is None:
                # Layers with weights, and a normalisation whose numbers are not known.
                break
            slope, offset = slope * line[0], offset * line[0] + line[1]
            steps.append(_words(layer))
    expected = _expected(slope, offset) if steps else None
    return Inside(slope, offset, tuple(steps), tuple(crops), expected)


def check_graph(inside: Inside, preprocessing: Preprocessing) -> Finding | None:
    """Hold the range that the architecture implies against the range in use.

    Returns
    -------
    Finding or None
        Named where they differ, ruled out where they agree, None where the architecture does not tell.
    """
    if inside.expected is None:
        return None
    low, high = _range(preprocessing)
    wanted_low, wanted_high = RANGES[inside.expected]
    span = wanted_high - wanted_low
    away = float(max(np.abs(low - wanted_low).max(), np.abs(high - wanted_high).max()) / span)
    chain = ", then ".join(inside.steps)
    lowest = f"lowest value in use; the network begins with {chain} and expects {wanted_low:g}"
    distance = "distance of the two ranges, as a share of the expected span"
    evidence = (
        Evidence(lowest, _at(low)),
        Evidence(f"highest value in use; expected is {wanted_high:g}", _at(high)),
        Evidence(distance, away, SAME_RANGE, away > SAME_RANGE),
    )
    if away <= SAME_RANGE:
        told = f"The network scales inside ({chain}) and is fed with {inside.expected}, as it expects."
        return Finding("double_scaling", "ruled_out", told, evidence)
    fixed = preprocessing.replace(scaling=SCALINGS[inside.expected], cast=None)
    cause, equivalent = _cause(preprocessing, fixed, float((high - low).max()) / span)
    return Finding(
        cause,
        "named",
        f"The network scales inside ({chain}) and expects {inside.expected}, but is fed with "
        f"{scaling_words(preprocessing.scaling)}.",
        evidence,
        fix=using(f"Feed {inside.expected}, and leave the rest to the network.", fixed),
        equivalent=equivalent,
    )


def check_crop_inside(inside: Inside, preprocessing: Preprocessing) -> Finding | None:
    """Tell of a network that crops or resizes inside while the preprocessing crops, too; possible at most."""
    cropped = "crop" in preprocessing.fit and preprocessing.crop_fraction < 1
    if not cropped or not any(step.startswith("CenterCrop") for step in inside.crops):
        return None
    return conclude(
        "resize_fit",
        "possible",
        f"The network crops inside ({', '.join(inside.crops)}) and the preprocessing crops before it.",
        Evidence("part of each side that the crop outside keeps", preprocessing.crop_fraction),
        advice="Leave the crop to the network.",
        right=preprocessing.replace(crop_fraction=1.0),
    )


def _line(layer: Layer, weights: Mapping[str, tuple[Array, ...]]) -> tuple[Float64, Float64] | None:
    """Slope and offset of a layer that scales; None for any other layer."""
    if layer.kind == "Rescaling":
        scale, shift = (channel_values(layer.settings.get(key, 0.0)) for key in ("scale", "offset"))
        return None if scale is None or shift is None else (scale, shift)
    if layer.kind == "Normalization":
        return _normalisation(layer, weights.get(layer.name, ()))
    if len(layer.constants) != 1:
        return None
    (constant,) = layer.constants
    slope, offset = {
        "Multiply": (constant, 0.0),
        "Add": (1.0, constant),
        "Subtract": (1.0, -constant),
        "TrueDivide": (1 / (constant or np.inf), 0.0),
        "Divide": (1 / (constant or np.inf), 0.0),
    }.get(layer.kind, (0.0, 0.0))
    return None if slope == 0 else (np.array([slope]), np.array([offset]))


def _normalisation(layer: Layer, kept: tuple[Array, ...]) -> tuple[Float64, Float64] | None:
    adapted = len(kept) >= 2
    mean = channel_values(kept[0] if adapted else layer.settings.get("mean"))
    variance = channel_values(kept[1] if adapted else layer.settings.get("variance"))
    if mean is None or variance is None or layer.settings.get("invert"):
        return None
    # As Keras does it: no deviation below its epsilon.
    deviation = np.maximum(np.sqrt(np.maximum(variance, 0)), 1e-7)
    return 1 / deviation, -mean / deviation


def _expected(slope: Float64, offset: Float64) -> str | None:
    landed = {}
    for name, (low, high) in RANGES.items():
        ends = np.stack([slope * low + offset, slope * high + offset])
        span, size = float(np.ptp(ends, axis=0).max()), float(np.abs(ends).max())
        if LANDING_SPAN[0] <= span <= LANDING_SPAN[1] and size <= LANDING_SIZE:
            usual = (np.array([[bottom], [1.0]]) for bottom in (0.0, -1.0))
            landed[name] = min(float(np.abs(ends - each).max()) for each in usual)
    exact = [name for name, distance in landed.items() if distance <= 2 * SAME_RANGE]
    # Of several that would do, none is known.
    found = exact or (list(landed) if len(landed) == 1 else [])
    return found[0] if found else None


def _range(preprocessing: Preprocessing) -> tuple[Float64, Float64]:
    slope, offset = affine(preprocessing.scaling)
    ends = np.stack(np.broadcast_arrays(*np.atleast_1d(offset, slope * 255 + offset)))
    return ends.min(axis=0), ends.max(axis=0)


def _cause(used: Preprocessing, fixed: Preprocessing, ratio: float) -> tuple[str, tuple[str, ...]]:
    """Name of the cause, and of others in the catalogue that come to the same."""
    same = [
        fault.cause
        for fault in CATALOGUE.values()
        if fault.step == "scaling" and same_scaling(fault.apply(fixed).scaling, used.scaling)
    ]
    cause = "double_scaling" if ratio < NARROW else next(iter(same), "wrong_range")
    if not used.scaling:
        cause = "missing_scaling"
    return cause, tuple(dict.fromkeys(name for name in same if name != cause))


def _words(layer: Layer) -> str:
    if layer.kind == "Rescaling":
        scale, offset = layer.settings.get("scale"), layer.settings.get("offset", 0.0)
        if isinstance(scale, int | float) and isinstance(offset, int | float):
            shown = f"1/{1 / scale:g}" if 0 < scale < 1 else f"{scale:g}"
            return f"Rescaling({shown}{f', offset={offset:g}' if offset else ''})"
    return layer.kind if not layer.constants else f"{layer.kind}({layer.constants[0]:g})"


def _at(values: Float64) -> float:
    return float(values[int(np.abs(values).argmax())])


OPEN_SIDE = 224
"""Height and width assumed where a network leaves them open, in pixels: the size of most that are in use."""


def assumed_preprocessing(classifier: Classifier) -> Preprocessing:
    """Return the classifier's own preprocessing, or the commonest guess where it is unknown.

    What the network itself tells counts: the sides and channels of its input, channels that come first, and
    the range that it expects where it scales inside. Open sides are taken to be `OPEN_SIDE`.
    """
    if classifier.preprocessing is not None:
        return classifier.preprocessing
    sides, layout = classifier.input_shape, "channels_last"
    if sides[2] not in {1, 3} and sides[0] in {1, 3}:
        sides, layout = (sides[1], sides[2], sides[0]), "channels_first"
    height, width, channels = sides
    config, weights = architecture_and_weights(classifier)
    return Preprocessing(
        size=(height or OPEN_SIDE, width or OPEN_SIDE),
        channels="gray" if channels == 1 else "rgb",
        scaling=read_inside(layers_of(config), weights).expected or "0..1",
        layout=layout,
    )
