"""Whether the moving averages of batch normalization still hold much of the 0 and 1 that they start at."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from kit._arrays import Array, Float32, Float64, Int64
from kit.classifier.activations.first_layers import FirstLayers
from kit.classifier.architecture import Layer
from kit.diagnosis.finding import Evidence, Finding, Verdict, conclude

LEFT = 0.05
"""Share of the initial values in the moving averages from which on they are far from converged: with Keras's
momentum of 0.99 it is reached after 300 training steps."""

LIKELY_LEFT = 0.5
"""The same, where the file does not tell the number of steps and the smallest moving variance has to do."""

CHANNELS = 64
"""Batch-normalized channels that are needed for that: among as many, a trained network has a quiet one."""

SHOWN = 0.2
"""Such a share, where pictures show it channel by channel: after 160 steps. In networks of clothes that were
trained to the end it was up to 0.16, and then not the same in all channels."""

AGREEING = 0.15
"""How far a channel may lie from the others in that. After 20 to 150 steps on clothes it was up to 0.11."""

QUIET = 0.5
"""Variance of the channels that show it; a larger one hides the 1."""

FEWEST = 8
"""Channels that must agree."""

Shares = Callable[[], Float64]
"""Asks the pictures at hand, when the weights leave it open; see `initial_shares`."""


def check_moving_averages(
    layers: Sequence[Layer],
    weights: Mapping[str, tuple[Array, ...]],
    shares: Shares = lambda: np.empty(0),
) -> Finding | None:
    """Tell from moving averages, and from the number of steps, whether they have converged.

    Parameters
    ----------
    layers, weights
        As from `kit.classifier.architecture`.
    shares
        Asks the pictures at hand; see `initial_shares`.

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
    floor = f"smallest moving variance of {variances.size} channels; it starts at 1"
    evidence = (
        Evidence(floor, float(variances.min()), LIKELY_LEFT),
        Evidence("largest absolute moving mean; it starts at 0", float(np.abs(means).max())),
    )
    if not means.any() and bool((variances == 1).all()):
        return _not_converged("named", "were never updated", evidence)
    momentum = float(norms[0].settings.get("momentum", 0.99))
    return _after(_steps(weights), momentum, variances, shares, evidence)


def _after(
    steps: int | None, momentum: float, variances: Array, shares: Shares, evidence: Sequence[Evidence]
) -> Finding | None:
    smallest = float(variances.min())
    left = 1.0 if steps is None else momentum**steps
    if left <= LEFT:
        return None
    # Variances are averages of 1, with that weight, and of numbers that are not negative: a smaller one
    # proves that the layer was trained before. Where all are above 1, nothing shows what they began with.
    if steps is not None and left * (1 - 1e-4) <= smallest <= 1:
        told = Evidence(f"share of the initial values left after {steps} training steps", left, LEFT, True)
        return _not_converged("named", f"had only {steps} training steps", [*evidence, told])
    found = _by_pictures(smallest, shares, evidence)
    if found is None and steps is None and variances.size >= CHANNELS and LIKELY_LEFT < smallest <= 1:
        return _not_converged("possible", "look as after a few training steps", evidence)
    return found


def _by_pictures(smallest: float, shares: Shares, evidence: Sequence[Evidence]) -> Finding | None:
    """Whether the same share of 1 is left in every channel, and no variance lies below it."""
    if smallest < SHOWN:
        return None
    found = shares()
    if len(found) < FEWEST:
        return None
    share = float(np.median(found))
    spread = float(np.abs(found - share).max())
    if share < SHOWN or spread > AGREEING or smallest < share - AGREEING / 2:
        return None
    text = (
        f"share of the initial 1 left in moving variances, by these pictures; median of {len(found)} channels"
    )
    told = Evidence(text, share, SHOWN, supports=True)
    alike = Evidence("largest distance of a channel from it", spread, AGREEING, supports=True)
    return _not_converged("named", "saw only a few training steps", [*evidence, told, alike])


def initial_shares(first_layers: FirstLayers | None, tensors: Float32) -> Float64:
    """Measure how much of the initial 1 is left in moving variances, by what the layer receives.

    Parameters
    ----------
    first_layers
        Of the network.
    tensors
        float32, shape (N, H, W, C).

    Returns
    -------
    float64, shape (channels,)
        Of the quiet channels of the first batch normalization: how far the moving variance lies from the one
        of these pictures towards 1. Empty where there is no batch normalization that can be measured.
    """
    if first_layers is None or first_layers.variances is None:
        return np.empty(0)
    width = first_layers.widths[0]
    means, squares = first_layers.measure(tensors)[:, : 2 * width].mean(axis=0).reshape(2, width)
    variances = squares - means**2
    quiet = variances < QUIET
    moving = first_layers.variances[:width]
    shares: Float64 = (moving[quiet] - variances[quiet]) / (1 - variances[quiet])
    return shares


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
