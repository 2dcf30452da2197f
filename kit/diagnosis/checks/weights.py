"""Whether the weights are those of a trained network: untouched values, moving averages not converged."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from kit._arrays import Array, Int64
from kit.diagnosis.checks.architecture import Layer, mapping
from kit.diagnosis.finding import Evidence, Finding, Verdict, conclude

LEFT = 0.05
"""Share of the initial values in the moving averages from which on they are far from converged: with Keras's
momentum of 0.99 it is reached after 300 training steps."""

LIKELY_LEFT = 0.5
"""The same, where the file does not tell the number of steps and the smallest moving variance has to do."""

CHANNELS = 64
"""Batch-normalized channels that are needed for that: among as many, a trained network has a quiet one."""

INITIAL_SPREAD = 0.03
"""How far the spread of a kernel may lie from its initializer's, as a share of it, to count as untouched.
Chance alone gives a standard deviation of 1 % for the smallest kernel that is looked at."""

SMALLEST_KERNEL = 2_000
"""Weights that a kernel must have for its spread to say something."""

_UNIFORM = {"GlorotUniform": "avg", "HeUniform": "in", "LecunUniform": "in"}
_SCALE = {"Glorot": 1.0, "He": 2.0, "Lecun": 1.0}


def check_weights(layers: Sequence[Layer], weights: Mapping[str, tuple[Array, ...]]) -> tuple[Finding, ...]:
    """Look for weights that training has hardly touched.

    Parameters
    ----------
    layers, weights
        As from `kit.diagnosis.checks.architecture`.

    Returns
    -------
    tuple of Finding
        ``"diverged_training"``, ``"untrained_weights"`` or ``"batchnorm_mode"``; empty where nothing is
        found.
    """
    found = _diverged(weights) or _untrained(layers, weights) or _averages(layers, weights)
    return () if found is None else (found,)


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
        code="assert all(np.isfinite(weight).all() for weight in model.get_weights())",
    )


def _untrained(layers: Sequence[Layer], weights: Mapping[str, tuple[Array, ...]]) -> Finding | None:
    away, moved = [], [0.0]
    for layer in layers:
        kept = weights.get(layer.name, ())
        if (expected := _initial_spread(layer, kept)) is not None:
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
        code='model.load_weights("trained.weights.h5"); model.save("model.keras")',
    )


def _initial_spread(layer: Layer, kept: tuple[Array, ...]) -> float | None:
    """Return the standard deviation that the initializer gives a kernel; None where that is not known."""
    kind = mapping(layer.settings.get("kernel_initializer")).get("class_name")
    if not kept or not isinstance(kind, str) or kept[0].size < SMALLEST_KERNEL or kept[0].ndim < 2:
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


def _averages(layers: Sequence[Layer], weights: Mapping[str, tuple[Array, ...]]) -> Finding | None:
    norms = [
        (layer, kept)
        for layer in layers
        if layer.kind == "BatchNormalization" and len(kept := weights.get(layer.name, ())) >= 2
    ]
    if not norms:
        return None
    variances = np.concatenate([kept[-1].reshape(-1) for _, kept in norms])
    means = np.concatenate([kept[-2].reshape(-1) for _, kept in norms])
    momentum = float(norms[0][0].settings.get("momentum", 0.99))
    smallest = float(variances.min())
    floor = f"smallest moving variance of {variances.size} channels; it starts at 1"
    largest = float(np.abs(means).max())
    evidence = [
        Evidence(floor, smallest, LIKELY_LEFT),
        Evidence("largest absolute moving mean; it starts at 0", largest),
    ]
    if not means.any() and bool((variances == 1).all()):
        return _not_converged("named", "were never updated", evidence)
    steps = _steps(weights)
    if steps is not None:
        left = momentum**steps
        # Variances are averages of 1, with that weight, and of numbers that are not negative: a smaller one
        # proves that the layer was trained before.
        supports = left > LEFT and smallest >= left * (1 - 1e-4)
        text = f"share of the initial values left after {steps} training steps"
        evidence.append(Evidence(text, left, LEFT, supports=supports))
        return _not_converged("named", f"had only {steps} training steps", evidence) if supports else None
    if variances.size >= CHANNELS and LIKELY_LEFT < smallest <= 1:
        return _not_converged("possible", "look as after a few training steps", evidence)
    return None


def _not_converged(verdict: Verdict, what: str, evidence: Sequence[Evidence]) -> Finding:
    return conclude(
        "batchnorm_mode",
        verdict,
        f"The moving averages of batch normalization {what}: the network does well in training, with the "
        "statistics of each batch, and badly afterwards.",
        *evidence,
        advice="Train for more steps, or with a lower momentum, so that the moving averages converge.",
        code="keras.layers.BatchNormalization(momentum=0.9)",
    )


def _steps(weights: Mapping[str, tuple[Array, ...]]) -> int | None:
    """Training steps, which Keras keeps as the optimizer's first variable."""
    first: Int64 | None = next(iter(weights.get("optimizer", ())), None)
    if first is None or first.ndim or first.dtype.kind not in "iu":
        return None
    return int(first)
