"""Preprocessing layers inside a network, and what they tell of the preprocessing before it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kit._arrays import Array, Float64
from kit.classifier import Classifier
from kit.classifier.architecture import (
    Layer,
    Weights,
    architecture_and_weights,
    channel_values,
    layers_of,
)
from kit.classifier.engines import fitted
from kit.diagnosis.candidates import explained
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

LANDING_SIZE = 4.0
"""Largest absolute number after the scaling inside; 2.7 with ImageNet's mean and standard deviation."""

SAME_RANGE = 0.03
"""Share of the span by which two ranges may differ; (x - 127) / 128 differs from x / 127.5 - 1 by 0.004."""

NARROW = 0.3
"""Share of the expected span below which the input was scaled outside as well; 0.02 for ImageNet's mean and
standard deviation where 0..255 is expected, 0.004 for 0..1."""

# Parts of the names of layers that leave the range as it is.
_PASSING = re.compile(
    "Input|Padding|Identity|Activation|Dropout|Noise|Crop|Resizing|Random"
)


@dataclass(frozen=True)
class Inside:
    """Layers that scale before the first one with weights, in words, and the range expected before them.

    The range is a name of `RANGES`, None where the architecture does not tell.
    """

    steps: str
    expected: str | None


def read_inside(layers: Sequence[Layer], weights: Weights | None = None) -> Inside:
    """Follow the input up to the first layer with weights.

    ``Normalization`` layers that were adapted to data keep their numbers in the weights.
    """
    slope, offset = np.ones(1), np.zeros(1)
    steps: list[str] = []
    for layer in layers:
        if _PASSING.search(layer.kind):
            continue
        line = _line(layer, weights or {})
        if line is None:
            # Layers with weights, and a normalisation whose numbers are not known.
            break
        slope, offset = slope * line[0], offset * line[0] + line[1]
        steps.append(layer.kind)
    return Inside(", ".join(steps), _expected(slope, offset) if steps else None)


def check_graph(inside: Inside, p: Preprocessing) -> Finding | None:
    """Hold the range that the architecture implies against the range in use.

    Named where they differ, ruled out where they agree, None where the architecture does not tell.
    """
    if inside.expected is None:
        return None
    slope, offset = affine(p.scaling)
    ends = np.sort(
        np.broadcast_arrays(*np.atleast_1d(offset, slope * 255 + offset)), axis=0
    )
    wanted = np.array(RANGES[inside.expected])
    span = float(np.ptp(wanted))
    away = float(np.abs(ends - wanted[:, None]).max() / span)
    distance = "distance of the range in use, as a share of the other"
    evidence = (Evidence(distance, away, SAME_RANGE, away > SAME_RANGE),)
    told = f"The model scales inside ({inside.steps}) and expects {inside.expected}"
    if away <= SAME_RANGE:
        return Finding(
            "double_scaling", "ruled_out", f"{told}, which it gets.", evidence
        )
    fixed = p.replace(scaling=SCALINGS[inside.expected], cast=None)
    found = explained("scaling", fixed, p.replace(cast=None))
    narrow = p.scaling and np.ptp(ends, axis=0).max() < NARROW * span
    cause = "double_scaling" if narrow else found.cause
    equivalent = tuple(
        name for name in (found.cause, *found.equivalent) if name != cause
    )
    remedy = using(f"Feed {inside.expected}, and leave the rest to the model.", fixed)
    told += f", but gets {scaling_words(p.scaling)}."
    return Finding(cause, "named", told, evidence, fix=remedy, equivalent=equivalent)


def _line(layer: Layer, weights: Weights) -> tuple[Float64, Float64] | None:
    """Slope and offset of a layer that scales; None for any other layer."""
    if layer.kind == "Rescaling":
        scale, shift = (
            channel_values(layer.settings.get(key, 0.0)) for key in ("scale", "offset")
        )
        return None if scale is None or shift is None else (scale, shift)
    if layer.kind == "Normalization":
        return _normalisation(layer, weights.get(layer.name, ()))
    if len(layer.constants) != 1:
        return None
    (constant,) = layer.constants
    lines = {
        "Multiply": (constant, 0.0),
        "Add": (1.0, constant),
        "Subtract": (1.0, -constant),
        "Divide": (1 / (constant or np.inf), 0.0),
    }
    slope, offset = np.array(lines.get(layer.kind.removeprefix("True"), (0.0, 0.0)))
    return None if slope == 0 else (slope[None], offset[None])


def _normalisation(
    layer: Layer, kept: tuple[Array, ...]
) -> tuple[Float64, Float64] | None:
    given = (
        kept[:2]
        if len(kept) >= 2
        else (layer.settings.get(each) for each in ("mean", "variance"))
    )
    mean, variance = map(channel_values, given)
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
    return next(iter(exact or [*landed] * (len(landed) == 1)), None)


OPEN_SIDE = 224
"""Height and width assumed where a network leaves them open, in pixels: the size of most that are in use."""


def assumed_preprocessing(classifier: Classifier) -> Preprocessing:
    """Return the classifier's own preprocessing, or the commonest guess where it is unknown.

    What the network itself tells counts: the sides and channels of its input, channels that come first, and
    the range that it expects where it scales inside. Open sides are taken to be `OPEN_SIDE`.
    """
    if classifier.preprocessing is not None:
        return classifier.preprocessing
    config, weights = architecture_and_weights(classifier)
    scaling = read_inside(layers_of(config), weights).expected or "0..1"
    return fitted(Preprocessing(scaling=scaling), classifier.input_shape, OPEN_SIDE)
