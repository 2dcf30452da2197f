"""Whether the network behaves as in training: chance in its answers, or answers that depend on the batch."""

from collections.abc import Sequence

import numpy as np

from kit._arrays import Float32
from kit.classifier import Classifier
from kit.classifier.architecture import Layer
from kit.diagnosis.finding import Evidence, Finding, Fix

SAME = 1e-3
"""Largest difference in a probability that rounding may make; batches of other sizes differ by 1e-6."""

_RANDOM = ("Dropout", "SpatialDropout2D", "GaussianNoise", "GaussianDropout", "AlphaDropout")
# Parts of the names of layers that training=True changes. Those that augment or resize pictures are called
# with it by default, which Keras records, and a network hands it on to layers that ignore it.
_FORCED = ("BatchNorm", "Dropout", "Noise")
_FIX = "Call the network for inference: training=False, and no layer that was built with training=True."
_CALLED_FOR_INFERENCE = """import numpy as np
tensors = np.concatenate([classifier.tensor(photo) for photo in photos])
probabilities = classifier.model(tensors, training=False)"""


def check_determinism(
    classifier: Classifier, tensors: Float32, layers: Sequence[Layer] = ()
) -> tuple[Finding, ...]:
    """Ask twice, and with other pictures beside.

    Parameters
    ----------
    classifier
        The network in use.
    tensors
        float32, shape (N, H, W, C); one is enough.
    layers
        As from `kit.classifier.architecture.layers_of`, to say which layer it is.

    Returns
    -------
    tuple of Finding
        ``"training_mode"`` where the same tensor gets different answers, ``"batchnorm_mode"`` where the
        answer depends on the pictures in the same batch; empty where neither is so.
    """
    one = tensors[:1]
    first = classifier.predict_tensors(one)
    repeats = np.concatenate([classifier.predict_tensors(one) for _ in range(3)])
    twice = float(np.abs(repeats - first).max())
    if twice > SAME:
        kinds = [layer.kind for layer in layers if layer.kind in _RANDOM or layer.kind.startswith("Random")]
        names = f" ({', '.join(dict.fromkeys(kinds))})" if kinds else ""
        told = "The same tensor gets different answers: a layer with chance in it is active, as in training"
        return (_named("training_mode", f"{told}{names}.", "between four calls with one tensor", twice),)
    # A mate that is as unlike as can be: a batch norm in training mode shifts every answer.
    mates = np.concatenate([one, one * np.float32(-3), one + np.float32(np.ptp(one) + 1)])
    beside = float(np.abs(classifier.predict_tensors(mates)[:1] - first).max())
    if not beside > SAME:
        return ()
    told = (
        "The answer to a picture depends on the pictures beside it: the statistics of the batch are used, as "
        "batch normalization does in training."
    )
    return (_named("batchnorm_mode", told, "between a picture alone and beside two others", beside),)


def check_forced_training(layers: Sequence[Layer]) -> Finding | None:
    """Tell of layers that were called with ``training=True`` when the network was built; possible at most.

    ``model.predict`` and the kit overrule that, a bare ``model(x)`` does not.

    Parameters
    ----------
    layers
        As from `kit.classifier.architecture.layers_of`.
    """
    # A frozen normalization is used in training as it is afterwards.
    forced = [
        layer
        for layer in layers
        if layer.training
        and any(part in layer.kind for part in _FORCED)
        and ("Norm" not in layer.kind or layer.settings.get("trainable", True))
    ]
    if not forced:
        return None
    norms = any("Norm" in layer.kind for layer in forced)
    names = ", ".join(dict.fromkeys(layer.kind for layer in forced))
    return Finding(
        "batchnorm_mode" if norms else "training_mode",
        "possible",
        f"The network was built with training=True at {names}: called as model(x) it behaves as in training.",
        (Evidence("layers that are called with training=True", len(forced)),),
        fix=Fix(_FIX, _CALLED_FOR_INFERENCE),
    )


def _named(cause: str, summary: str, between: str, difference: float) -> Finding:
    text = f"largest difference in a probability {between}"
    evidence = (Evidence(text, difference, SAME, supports=True),)
    return Finding(cause, "named", summary, evidence, fix=Fix(_FIX))
