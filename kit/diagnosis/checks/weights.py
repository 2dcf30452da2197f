"""Whether the weights are those of a trained network: no numbers, or as their initializer left them."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from kit._arrays import Array
from kit.classifier.architecture import Layer, mapping
from kit.diagnosis.checks.moving_averages import Shares, check_moving_averages
from kit.diagnosis.finding import Evidence, Finding, conclude

SMALLEST_HEAD = 64
"""Weights that the kernel of the last layer must have to be told from a trained one by its bounds."""

INITIAL_SPREAD = 0.03
"""How far the spread of a kernel may lie from its initializer's, as a share of it, to count as untouched.
Chance alone gives a standard deviation of 1 % for the smallest kernel that is looked at."""

SMALLEST_KERNEL = 2_000
"""Weights that a kernel must have for its spread to say something."""

_SCALE = {"Glorot": 1.0, "He": 2.0, "Lecun": 1.0}


def check_weights(
    layers: Sequence[Layer],
    weights: Mapping[str, tuple[Array, ...]],
    shares: Shares = lambda: np.empty(0),
) -> tuple[Finding, ...]:
    """Look for weights that training has hardly touched.

    Parameters
    ----------
    layers, weights
        As from `kit.classifier.architecture`.
    shares
        Asks the pictures at hand; see `kit.diagnosis.checks.moving_averages.initial_shares`.

    Returns
    -------
    tuple of Finding
        ``"diverged_training"``, ``"untrained_weights"`` or ``"batchnorm_mode"``; empty where nothing is
        found.
    """
    found = _diverged(weights) or _untrained(layers, weights)
    if found is not None:
        return (found,)
    both = (_untrained_head(layers, weights), check_moving_averages(layers, weights, shares))
    return tuple(finding for finding in both if finding is not None)


def _diverged(weights: Mapping[str, tuple[Array, ...]]) -> Finding | None:
    arrays = [
        array
        for name, kept in weights.items()
        if name != "optimizer"
        for array in kept
        if array.dtype.kind == "f" and array.size
    ]
    share = float(np.mean([1 - np.isfinite(array).mean() for array in arrays])) if arrays else 0.0
    if not share:
        return None
    return conclude(
        "diverged_training",
        "named",
        "Some of the weights are no numbers, and so are the answers: the training went astray.",
        Evidence("share of nan and infinite values, mean over the arrays of weights", share, 0.0, True),
        advice="Train anew with a smaller learning rate, and look for nan in the training pictures.",
    )


def _untrained(layers: Sequence[Layer], weights: Mapping[str, tuple[Array, ...]]) -> Finding | None:
    away, moved = [], [0.0]
    for layer in layers:
        kept = weights.get(layer.name, ())
        if (expected := _initial_spread(layer, kept)) is not None and kept[0].size >= SMALLEST_KERNEL:
            away.append(abs(float(np.std(kept[0])) / expected - 1))
        if (shift := _shift(layer, kept)) is not None:
            moved.append(float(np.abs(shift).max()))
    if not away or max(away) > INITIAL_SPREAD or max(moved) > 0:
        return None
    distance = "largest distance of a kernel's spread from its initializer's, as a share of it"
    return conclude(
        "untrained_weights",
        "named",
        f"All {len(away)} large kernels still have the spread of their initializer and every bias is 0: "
        "the weights were never trained, or were not loaded.",
        Evidence(distance, max(away), INITIAL_SPREAD, supports=True),
        Evidence("largest absolute bias", max(moved), 0.0, supports=True),
        advice="Load the trained weights into the network before it is saved.",
    )


def _untrained_head(layers: Sequence[Layer], weights: Mapping[str, tuple[Array, ...]]) -> Finding | None:
    """Whether the last kernel still keeps to the bounds of its initializer, and its bias to 0."""
    with_kernel = [layer for layer in layers if any(array.ndim > 1 for array in weights.get(layer.name, ()))]
    if not with_kernel:
        return None
    layer, kept = with_kernel[-1], weights[with_kernel[-1].name]
    bias, spread = _shift(layer, kept), _initial_spread(layer, kept)
    fewest = SMALLEST_KERNEL if bias is None else SMALLEST_HEAD
    if spread is None or kept[0].size < fewest or (bias is not None and bias.any()):
        return None
    uniform = str(mapping(layer.settings["kernel_initializer"])["class_name"]).endswith("Uniform")
    # Truncated at two deviations, the others are widened to have the same variance.
    bound = spread * (math.sqrt(3) if uniform else 2 / 0.87962566)
    largest, away = float(np.abs(kept[0]).max()) / bound, abs(float(np.std(kept[0])) / spread - 1)
    rest = 1 / kept[0].size
    if largest > 1 + 1e-5 or away > 2 * math.sqrt(rest) or (uniform and largest < 1 - 12 * rest):
        return None
    return conclude(
        "untrained_weights",
        "named",
        f"The last layer with weights, {layer.name!r}, is as its initializer left it: the head was never "
        "trained, or not loaded.",
        Evidence("largest weight as a share of the most that the initializer gives", largest, 1.0, True),
        Evidence("distance of their spread from the initializer's", away, 2 * math.sqrt(rest), True),
        Evidence("largest absolute bias", 0.0, 0.0, None if bias is None else True),
        advice="Train the head, or load its trained weights into the network before it is saved.",
    )


def _initial_spread(layer: Layer, kept: tuple[Array, ...]) -> float | None:
    """Return the standard deviation that the initializer gives a kernel; None where that is not known."""
    kind = mapping(layer.settings.get("kernel_initializer")).get("class_name")
    if not kept or not isinstance(kind, str) or kept[0].ndim < 2:
        return None
    scale = next((value for name, value in _SCALE.items() if kind.startswith(name)), None)
    if scale is None or layer.kind.startswith(("Depthwise", "Separable")):
        return None
    field = int(np.prod(kept[0].shape[:-2]))
    fan_in, fan_out = field * kept[0].shape[-2], field * kept[0].shape[-1]
    # Uniform and truncated normal initializers of Keras have this same variance.
    return math.sqrt(scale / ((fan_in + fan_out) / 2 if kind.startswith("Glorot") else fan_in))


def _shift(layer: Layer, kept: tuple[Array, ...]) -> Array | None:
    """Return a layer's bias, or the beta of a normalization: both start at 0."""
    if layer.kind == "BatchNormalization":
        place = 1 if layer.settings.get("scale", True) else 0
        return kept[place] if layer.settings.get("center", True) and len(kept) > place + 2 else None
    return kept[-1] if layer.settings.get("use_bias") and len(kept) > 1 else None
