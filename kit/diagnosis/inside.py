"""Preprocessing layers inside a network, and what they tell of the preprocessing before it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kit._arrays import Array, Float64
from kit.classifier.architecture import (
    Layer,
    Weights,
    architecture_and_weights,
    flat_numbers,
    layers_of,
)
from kit.classifier.classifier import Classifier
from kit.classifier.engines import USUAL_SIDE, fitted
from kit.diagnosis.candidates import candidate_with_causes
from kit.diagnosis.finding import Evidence, Finding, using
from kit.preprocessing import Preprocessing
from kit.preprocessing.scaling import SCALINGS, affine, scaling_words

RANGES: Mapping[str, tuple[float, float]] = {
    "0..255": (0, 255),
    "0..1": (0, 1),
    "-1..1": (-1, 1),
}
"""Ranges that a network with its scaling inside may be fed with."""

LANDING_SPAN = (0.8, 6.0)
"""Span of the numbers after the scaling inside. The contracts of keras.applications lie between 1 (0..1) and
4.5 (ImageNet's mean and standard deviation); read 255 times too wide or too narrow they lie far outside."""

LANDING_MAGNITUDE = 4.0
"""Largest absolute number after the scaling inside; 2.7 with ImageNet's mean and standard deviation."""

SAME_RANGE_SHARE = 0.03
"""Share of the span by which two ranges may differ; (x - 127) / 128 differs from x / 127.5 - 1 by 0.004."""

EXACT_DISTANCE = 2 * SAME_RANGE_SHARE
"""Distance from 0..1 or -1..1 after the scaling inside up to which numbers are meant to be these."""

NARROW_SHARE = 0.3
"""Share of the expected span below which the input was scaled outside as well; 0.02 for ImageNet's mean and
standard deviation where 0..255 is expected, 0.004 for 0..1."""

_BLACK_AND_WHITE = np.array([[0], [255]])
_MOMENTS = ("mean", "variance")
# Parts of the names of layers that leave the range as it is.
_RANGE_KEEPING = re.compile(
    "Input|Padding|Identity|Activation|Dropout|Noise|Crop|Resizing|Random"
)


@dataclass(frozen=True)
class Inside:
    """Layers that scale before the first one with weights, in words, and the range expected before them.

    The range is a name of `RANGES`, None where the architecture does not tell.
    """

    steps: str
    expected: str | None


def read_inside(layers: Sequence[Layer], weights: Weights) -> Inside:
    """Follow the input up to the first layer with weights.

    ``Normalization`` layers that were adapted to data keep their numbers in the weights.
    """
    # What the layers so far make of the numbers 0 and 1, by channel.
    zero_and_one = np.array([[0.0], [1.0]])
    layer_kinds: list[str] = []
    for layer in layers:
        # Such as padding or dropout.
        if _RANGE_KEEPING.search(layer.kind):
            continue
        scaled = _scaled_by_layer(layer, weights.get(layer.name, ()), zero_and_one)
        if scaled is None:
            # Layers with weights, and a normalisation whose numbers are not known.
            break
        zero_and_one = scaled
        layer_kinds.append(layer.kind)
    return Inside(
        ", ".join(layer_kinds), _expected_range(zero_and_one) if layer_kinds else None
    )


def check_scaling_inside(inside: Inside, in_use: Preprocessing) -> Finding | None:
    """Compare the range in use with that which the architecture implies; None where that does not tell."""
    if inside.expected is None:
        return None
    slope, offset = affine(in_use.scaling)
    # A negative factor puts black above white.
    ends_in_use = np.sort(_BLACK_AND_WHITE * slope + offset, axis=0)
    ends_expected = np.reshape(RANGES[inside.expected], (2, 1))
    expected_span = float(np.ptp(ends_expected))
    distance_share = float(np.abs(ends_in_use - ends_expected).max() / expected_span)
    differs = distance_share > SAME_RANGE_SHARE
    text = "distance of the range in use, as a share of the other"
    evidence = (Evidence(text, distance_share, SAME_RANGE_SHARE, supports=differs),)
    summary = f"The model scales inside ({inside.steps}) and expects {inside.expected}"
    if not differs:
        return Finding(
            "double_scaling", "ruled_out", f"{summary}, which it gets.", evidence
        )
    fixed = in_use.replace(scaling=SCALINGS[inside.expected], cast=None)
    # `candidate_with_causes` takes two that differ in one step, so the cast is left out of both.
    candidate = candidate_with_causes("scaling", fixed, in_use.replace(cast=None))
    cause = candidate.cause
    # As narrow as this is only what was scaled before the scaling inside, too.
    if np.ptp(ends_in_use, axis=0).max() < NARROW_SHARE * expected_span:
        cause = "double_scaling"
    return Finding(
        cause,
        "named",
        f"{summary}, but gets {scaling_words(in_use.scaling)}.",
        evidence,
        fix=using(f"Feed {inside.expected}, and leave the rest to the model.", fixed),
        equivalent=tuple(
            name for name in (candidate.cause, *candidate.equivalent) if name != cause
        ),
    )


def _scaled_by_layer(
    layer: Layer, weights: tuple[Array, ...], values: Float64
) -> Float64 | None:
    """Return what a layer makes of values, float64 (2, C); None for one that does not scale."""
    # A branch for each kind of layer that people scale with.
    if layer.kind == "Rescaling":
        # Keras always writes a scale: a damaged file without one gets 0, after which no range is found.
        slope = flat_numbers(layer.settings.get("scale", 0.0))
        offset = flat_numbers(layer.settings.get("offset", 0.0))
        return None if slope is None or offset is None else values * slope + offset
    if layer.kind == "Normalization":
        # Moments that were learned from data are weights, others settings.
        moments = weights if len(weights) >= 2 else map(layer.settings.get, _MOMENTS)
        mean, variance, *_ = map(flat_numbers, moments)
        if mean is None or variance is None or layer.settings.get("invert"):
            return None
        # As Keras does it: no deviation below its epsilon.
        return (values - mean) / np.maximum(np.sqrt(np.maximum(variance, 0)), 1e-7)
    # Else an operation on tensors, with one constant beside the image.
    if len(layer.constants) != 1:
        return None
    (constant,) = layer.constants
    operations = {
        "Multiply": values * constant,
        "Add": values + constant,
        "Subtract": values - constant,
        "Divide": values / (constant or np.inf),
    }
    # A division may be called TrueDivide; a layer after which all values are the same does not scale.
    scaled = operations.get(layer.kind.removeprefix("True"))
    return scaled if scaled is not None and np.ptp(scaled) else None


def _expected_range(zero_and_one: Float64) -> str | None:
    """Return the range after which numbers lie as networks have them; None where several would do.

    `zero_and_one`, float64 (2, C), are what the layers make of 0 and 1.
    """
    zero, one = zero_and_one
    distances: dict[str, float] = {}
    for name, limits in RANGES.items():
        # What the layers, a straight line, make of both ends of this range.
        ends = np.reshape(limits, (2, 1)) * (one - zero) + zero
        span = np.ptp(ends, axis=0).max()
        is_usual_span = LANDING_SPAN[0] <= span <= LANDING_SPAN[1]
        # Of ranges that may be expected, the distance of what comes out from 0..1 or -1..1, the nearer one.
        if is_usual_span and np.abs(ends).max() <= LANDING_MAGNITUDE:
            distances[name] = min(
                float(np.abs(ends - [[bottom], [1.0]]).max()) for bottom in (0.0, -1.0)
            )
    names_that_fit_exactly = [
        name for name, distance in distances.items() if distance <= EXACT_DISTANCE
    ]
    # The first that fits exactly, else the only one that may be.
    names = names_that_fit_exactly or list(distances)
    return names[0] if names_that_fit_exactly or len(names) == 1 else None


def assumed_preprocessing(classifier: Classifier) -> Preprocessing:
    """Return the classifier's own preprocessing, or the commonest guess where it is unknown.

    What the network itself tells counts: the sides and channels of its input, channels that come first, and
    the range that it expects where it scales inside. Open sides are taken to be `USUAL_SIDE`.
    """
    if classifier.preprocessing:
        return classifier.preprocessing
    config, weights = architecture_and_weights(classifier)
    # What most networks expect that do not scale inside, or do not tell.
    scaling = read_inside(layers_of(config), weights).expected or "0..1"
    # With the size, channels and layout of the input.
    return fitted(Preprocessing(scaling=scaling), classifier.input_shape, USUAL_SIDE)
