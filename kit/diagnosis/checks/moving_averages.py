"""Whether the moving averages of batch normalization still hold much of the 0 and 1 that they start at."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from kit._arrays import Array, Float32, Int64
from kit.classifier.activations.first_layers import FirstLayers
from kit.diagnosis.checks.architecture import Layer
from kit.diagnosis.finding import Evidence, Finding, Verdict, conclude

LEFT = 0.05
"""Share of the initial values in the moving averages from which on they are far from converged: with Keras's
momentum of 0.99 it is reached after 300 training steps."""

LIKELY_LEFT = 0.5
"""The same, where the file does not tell the number of steps and the smallest moving variance has to do."""

CHANNELS = 64
"""Batch-normalized channels that are needed for that: among as many, a trained network has a quiet one."""

AGREEING = 0.15
"""How far an estimate of that share may lie from the smallest moving variance. After 20 and 60 steps on
clothes none of two was more than 0.1 away; in trained networks one was, by 0.5, however they were fed."""


def check_moving_averages(
    layers: Sequence[Layer],
    weights: Mapping[str, tuple[Array, ...]],
    estimates: Callable[[], tuple[float, float] | None] = lambda: None,
) -> Finding | None:
    """Tell from moving averages, and from the number of steps, whether they have converged.

    Parameters
    ----------
    layers, weights
        As from `kit.diagnosis.checks.architecture`.
    estimates
        Asks the pictures at hand, where the weights leave it open; see `estimates`.

    Returns
    -------
    Finding or None
        Cause ``"batchnorm_mode"``.
    """
    # A frozen layer is used in training as it is afterwards.
    norms = [
        layer
        for layer in layers
        if layer.kind == "BatchNormalization"
        and layer.settings.get("trainable", True)
        and len(weights.get(layer.name, ())) >= 2
    ]
    if not norms:
        return None
    means, variances = (
        np.concatenate([weights[layer.name][place].reshape(-1) for layer in norms]) for place in (-2, -1)
    )
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
    if steps is None:
        return _by_floor(smallest, variances.size, estimates, evidence)
    left = float(norms[0].settings.get("momentum", 0.99)) ** steps
    # Variances are averages of 1, with that weight, and of numbers that are not negative: a smaller one
    # proves that the layer was trained before. Where all are above 1, nothing shows what they began with.
    if not (left > LEFT and left * (1 - 1e-4) <= smallest <= 1):
        return None
    text = f"share of the initial values left after {steps} training steps"
    evidence.append(Evidence(text, left, LEFT, supports=True))
    return _not_converged("named", f"had only {steps} training steps", evidence)


def _by_floor(
    smallest: float,
    channels: int,
    estimates: Callable[[], tuple[float, float] | None],
    evidence: Sequence[Evidence],
) -> Finding | None:
    """Whether no variance lies below what a few steps leave of the 1, and the pictures bear that out."""
    if not LIKELY_LEFT < smallest <= 1:
        return None
    few = "look as after a few training steps"
    found = estimates()
    if found is not None and max(abs(each - smallest) for each in found) <= AGREEING:
        text = "share of the initial values in the moving {}, if pictures like these were trained on"
        further = [
            Evidence(text.format(name), each, smallest - AGREEING, supports=True)
            for name, each in zip(("means", "variances"), found, strict=True)
        ]
        return _not_converged("named", few, [*evidence, *further])
    return _not_converged("possible", few, evidence) if channels >= CHANNELS else None


def estimates(first_layers: FirstLayers | None, tensors: Float32) -> tuple[float, float] | None:
    """Estimate what is left of the initial 0 and 1, by what the first batch normalization receives.

    Parameters
    ----------
    first_layers
        Of the network.
    tensors
        float32, shape (N, H, W, C).

    Returns
    -------
    by_means, by_variances
        Shares, by least squares over the channels: a moving mean is (1 - share) times the mean, a moving
        variance lies as far between the variance and 1. None where there is no batch normalization that can
        be measured.
    """
    if first_layers is None or first_layers.means is None or first_layers.variances is None:
        return None
    width, channels = first_layers.widths[0], sum(first_layers.widths)
    measured = first_layers.measure(tensors).mean(axis=0)
    means = measured[:width]
    variances = measured[channels : channels + width] - means**2
    below = 1 - variances
    if not means.any() or not below.any():
        return None
    of_means = float(first_layers.means[:width] @ means / (means @ means))
    of_variances = float((1 - first_layers.variances[:width]) @ below / (below @ below))
    return 1 - of_means, 1 - of_variances


def _not_converged(verdict: Verdict, what: str, evidence: Sequence[Evidence]) -> Finding:
    return conclude(
        "batchnorm_mode",
        verdict,
        f"The moving averages of batch normalization {what}: the network does well in training, with the "
        "statistics of each batch, and badly afterwards.",
        *evidence,
        advice="Measure the averages anew on some dozens of pictures as in training (the code takes those at "
        "hand), or train for more steps or with BatchNormalization(momentum=0.9).",
        code="classifier = kit.adapt(classifier, photos)",
    )


def _steps(weights: Mapping[str, tuple[Array, ...]]) -> int | None:
    """Training steps, which Keras keeps as the optimizer's first variable."""
    first: Int64 | None = next(iter(weights.get("optimizer", ())), None)
    if first is None or first.ndim or first.dtype.kind not in "iu":
        return None
    return int(first)
