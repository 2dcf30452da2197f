"""Certain checks of head, weights, running averages and determinism."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from kit._arrays import Array, Float32, Int64
from kit.classifier import Classifier
from kit.classifier.architecture import Layer, Weights, mapping
from kit.classifier.labels import Trial, Truth, known
from kit.classifier.predictions import Predictor
from kit.classifier.training import adapt
from kit.diagnosis.candidates import FEW, QUIET
from kit.diagnosis.finding import Evidence, Finding, Photos, Verdict, conclude

LEFT, MOSTLY = 0.05, 0.5
"""Share of the initial values in the moving averages from which on they have not settled: with Keras's
momentum of 0.99 it is reached after 300 training steps; and from which on no image is needed to name it."""

SMALLEST_KERNEL, WITHOUT_BIAS = 64, 2_000
"""Weights that a kernel must have to be told from a trained one, with a bias of 0 and without one."""

OVERFLOWING = np.float32(1e19)
"""The square of a larger weight is infinite in float32."""

_SCALE = {"Glorot": 1.0, "He": 2.0, "Lecun": 1.0}


def check_norms(layers: Sequence[Layer], weights: Weights) -> Finding | None:
    """Look for moving averages that training has hardly touched; the cause is ``"batchnorm_mode"``."""
    # A frozen layer is used in training as it is afterwards.
    learning = [
        layer
        for layer in layers
        if layer.settings.get("trainable", True) and layer.name in weights
    ]
    norms = [layer for layer in learning if layer.kind == "BatchNormalization"]
    kept = [weights[layer.name] for layer in norms]
    if not kept or min(map(len, kept)) < 2:
        return None
    means, variances = (
        np.hstack([each[place].ravel() for each in kept]) for place in (-2, -1)
    )
    smallest, steps = float(variances.min()), _steps(weights)
    untouched = not means.any() and bool((variances == 1).all())
    momentum = float(norms[0].settings.get("momentum", 0.99))
    left = 1.0 if untouched else 0.0 if steps is None else momentum**steps
    # Variances are averages of 1, with that weight, and of numbers that are not negative: a smaller one
    # proves that the layer was trained before. Where all are above 1, nothing shows what they began with.
    if left <= LEFT or not left * (1 - 1e-4) <= smallest <= 1:
        return None
    what = "were never updated" if untouched else f"had only {steps} training steps"
    return conclude(
        "batchnorm_mode",
        f"The moving averages of batch normalization {what}.",
        Evidence("share left of the initial values", left, LEFT, True),
        advice="Measure them again on images as in training, or train for more steps.",
        sure=left > MOSTLY,
        code="classifier = kit.adapt(classifier, photos)",
    )


def check_mode(
    finding: Finding, classifier: Classifier, photos: Photos, labels: Truth
) -> Finding:
    """Let predictions with the images' own statistics decide about averages that have not settled."""
    given = len(known(labels)[0])
    count = given or len(photos)
    if finding.cause != "batchnorm_mode" or not finding.fix.code or count < FEW:
        return finding
    try:
        after = adapt(classifier, photos).probabilities(photos)
    except (TypeError, ValueError):
        return finding
    trial = Trial(classifier.probabilities(photos), after, labels)
    (gained, lost), least = trial.turned, QUIET * count
    better, least = (
        (gained - lost, least) if given else (int(trial.changed.sum()), 2 * least)
    )
    text = f"of {count} predictions that own statistics {'put right' if given else 'change'}"
    evidence = Evidence(text, better, least, better >= least)
    verdict: Verdict = "named" if evidence.supports else "possible"
    return replace(finding, verdict=verdict, evidence=(*finding.evidence, evidence))


def _steps(weights: Weights) -> int | None:
    """Return the training steps, which Keras keeps as the optimizer's first variable."""
    first: Int64 | None = next(iter(weights.get("optimizer", ())), None)
    return (
        None
        if first is None or first.ndim or first.dtype.kind not in "iu"
        else int(first)
    )


def check_nan(weights: Weights) -> Finding | None:
    """Look for weights that are NaN, infinite or at `OVERFLOWING`; the cause is ``"diverged_training"``."""
    arrays = [
        array for name, kept in weights.items() if name != "optimizer" for array in kept
    ]
    floats = [array for array in arrays if array.dtype.kind == "f" and array.size]
    shares = [1 - (abs(array) < OVERFLOWING).mean() for array in floats]
    if not any(shares):
        return None
    return conclude(
        "diverged_training",
        "Some weights are NaN, infinite or overflow: the training diverged.",
        Evidence("share of such weights", float(np.mean(shares)), 0.0, True),
        advice="Train with a lower learning rate, and look for NaN in the training images.",
    )


def no_numbers(outputs: Float32) -> Finding:
    """Say that a model of finite weights puts out NaN or infinite numbers, float32 (N, outputs)."""
    return conclude(
        "diverged_training",
        "Predictions are NaN or infinite, the weights are not.",
        Evidence(
            "share of such outputs", float(1 - np.isfinite(outputs).mean()), 0.0, True
        ),
        advice="Look for a logarithm, root or division in its layers.",
        sure=False,
    )


def check_trained(layers: Sequence[Layer], weights: Weights) -> Finding | None:
    """Look for kernels within the bounds of their initializer, with a bias of 0: ``"untrained_weights"``."""
    kernels = [
        layer
        for layer in layers
        if any(array.ndim > 1 for array in weights.get(layer.name, ()))
    ]
    left = {
        layer.name: found
        for layer in kernels
        if (found := _initial(layer, weights[layer.name]))
    }
    # A frozen one may be meant to be as it is, but not the last.
    wrong = [
        layer
        for layer in kernels
        if layer.settings.get("trainable", True) or layer is kernels[-1]
    ]
    if not any(layer.name in left for layer in wrong):
        return None
    names = ", ".join(map(repr, left))
    return conclude(
        "untrained_weights",
        f"{len(left)} of {len(kernels)} layers with weights are as their initializers left them: {names}.",
        Evidence(
            "largest weight as a share of the initializer's largest",
            [*left.values()][-1],
            1.0,
            True,
        ),
        advice="Train these layers, or load their weights before you save the model.",
    )


def _initial(layer: Layer, kept: tuple[Array, ...]) -> float:
    """Return a kernel's largest weight over its initializer's; 0 if it is not as its initializer left it."""
    initializer = str(
        mapping(layer.settings.get("kernel_initializer")).get("class_name")
    )
    scale = next(
        (value for name, value in _SCALE.items() if initializer.startswith(name)), 0.0
    )
    bias = kept[-1] if layer.settings.get("use_bias") and len(kept) > 1 else np.zeros(0)
    kernel, fewest = kept[0], SMALLEST_KERNEL if bias.size else WITHOUT_BIAS
    usual = (
        scale
        and kernel.ndim > 1
        and not layer.kind.startswith(("Depthwise", "Separable"))
    )
    if not usual or kernel.size < fewest or bias.any():
        return 0.0
    fan_in, fan_out = kernel.size / kernel.shape[-1], kernel.size / kernel.shape[-2]
    # Uniform and truncated normal initializers of Keras have the same variance.
    spread = math.sqrt(
        scale / ((fan_in + fan_out) / 2 if initializer.startswith("Glorot") else fan_in)
    )
    uniform = initializer.endswith("Uniform")
    # Truncated at two deviations, the others are widened to have it.
    bound = spread * (math.sqrt(3) if uniform else 2 / 0.87962566)
    largest, away = (
        float(np.abs(kernel).max()) / bound,
        abs(float(np.std(kernel)) / spread - 1),
    )
    rest = 1 / kernel.size
    trained = (
        largest > 1 + 1e-5
        or away > 2 * math.sqrt(rest)
        or (uniform and largest < 1 - 12 * rest)
    )
    return 0.0 if trained else largest


SUM_TOLERANCE = 0.02
"""How far the sum of the outputs may lie from 1; float32 rounding over 1000 classes stays below 0.001."""

_REGRESSION = re.compile(
    "mse|mae|msle|mape|squared|absolute|huber|log_?cosh|iou|poisson", re.IGNORECASE
)
"""Losses of numbers, by parts of their names."""

_WITHOUT = """import keras
def changed(layer):
    if layer.name == {name!r}:
        return keras.layers.Activation("linear", name=layer.name)
    return type(layer).from_config(layer.get_config())
model = keras.models.clone_model(classifier.model, clone_function=changed, recursive=True)
model.set_weights(classifier.model.get_weights())
classifier = kit.Classifier(model, classifier.preprocessing, classifier.class_names)"""
_head = partial(conclude, "softmax_head")


def check_head(
    layers: Sequence[Layer], outputs: Float32, compiled: Mapping[str, Any] | None = None
) -> Finding | None:
    """Check the last layers and what they put out; the cause is ``"softmax_head"``.

    Parameters
    ----------
    layers
        As from `kit.classifier.architecture.layers_of`.
    outputs
        float32, shape (N, outputs): what the last layer puts out, before any softmax of the kit's.
    compiled
        ``compile_config`` of the Keras architecture, if there is one: it tells the loss of the training.
    """
    ends = [
        (name, layer) for layer in layers if (name := _activation(layer)) is not None
    ]
    if not ends:
        return None
    last, layer = ends[-1]
    loss, from_logits = _loss(mapping(compiled).get("loss"))
    several = last == "sigmoid" and outputs.shape[1] > 1
    if _REGRESSION.search(loss) and (several or last in {"linear", "relu"}):
        return _numbers(loss, last, outputs)
    if last == "softmax" and outputs.shape[1] == 1:
        return _head(
            "A softmax over one output is 1 for every image.",
            Evidence("smallest output", float(outputs.min()), 1.0, True),
            advice="End in a sigmoid and train again: such a softmax has no gradient.",
        )
    # A second softmax after weights of its own is not bound to the flat answers of one right behind another.
    twice = [name for name, _ in ends[-2:]] == ["softmax", "softmax"]
    if twice and layer.kind in {"Softmax", "Activation"}:
        return _flat(layer, outputs)
    return (
        _sigmoids(outputs) if several else _trained_otherwise(last, loss, from_logits)
    )


def _numbers(loss: str, last: str, outputs: Float32) -> Finding:
    return _head(
        f"The model was trained by {loss}: its {outputs.shape[1]} outputs are numbers, not classes.",
        Evidence("largest output", float(outputs.max())),
        advice="Use the outputs of classifier.model: they are no probabilities.",
        # Classes told apart by squares of their sigmoids are rare, but there are some.
        sure=last != "sigmoid",
    )


def _flat(layer: Layer, outputs: Float32) -> Finding:
    largest, most = float(outputs.max()), float(np.e / (np.e + outputs.shape[1] - 1))
    return _head(
        f"Two softmax layers: no class can get more than {most:.1%}.",
        Evidence("largest output", largest, most, largest <= most + 1e-4),
        advice="Remove one of them: the ranking of the classes stays.",
        code=_WITHOUT.format(name=layer.name),
    )


def _sigmoids(outputs: Float32) -> Finding | None:
    away, count = float(np.abs(outputs.sum(axis=1) - 1).max()), outputs.shape[1]
    if away <= SUM_TOLERANCE:
        return None
    return _head(
        f"The {count} outputs are sigmoids, which do not sum to 100 %.",
        Evidence("largest distance of their sum from 1", away, SUM_TOLERANCE, True),
        advice="For one class per image, end in a softmax and train again; else read each output alone.",
        sure=count == 2,
    )


def _trained_otherwise(last: str, loss: str, from_logits: bool) -> Finding | None:
    probable = last in {"softmax", "sigmoid"}
    agree = from_logits != probable
    if (
        "crossentropy" not in loss.replace("_", "")
        or agree
        or not (probable or last == "linear")
    ):
        return None
    taken, are = (
        ("logits", "probabilities") if probable else ("probabilities", "logits")
    )
    return _head(
        f"The loss ({loss}) takes the outputs for {taken}, but they are {are}.",
        Evidence("from_logits of the loss (1 is true)", float(from_logits), None, True),
        advice=f"Train again with from_logits={not from_logits}, or with another last layer.",
    )


def _activation(layer: Layer) -> str | None:
    if layer.kind in {"Softmax", "Sigmoid"}:
        return layer.kind.lower()
    activation = layer.settings.get("activation")
    if isinstance(activation, Mapping):
        activation = activation.get("config", activation.get("class_name"))
    return activation if isinstance(activation, str) else None


def _loss(loss: Any) -> tuple[str, bool]:
    """Return its name, empty where it is not known, and whether it takes logits."""
    if isinstance(loss, Mapping):
        settings = mapping(loss.get("config"))
        return str(settings.get("name") or loss.get("class_name") or ""), settings.get(
            "from_logits"
        ) is True
    return loss if isinstance(loss, str) else "", False


SAME = 1e-3
"""Largest difference in a probability that rounding may make; batches of other sizes differ by 1e-6."""

_FIX = "Run the model, and build its layers, with training=False."


def check_determinism(classifier: Predictor, tensors: Float32) -> Finding | None:
    """Ask twice, and with other images beside.

    Tensors are float32 (N, H, W, C); one is enough. The cause is ``"training_mode"`` where the same one gets
    different predictions, ``"batchnorm_mode"`` where the answer depends on the images in the same batch.
    """
    one = tensors[:1]
    first = classifier.predict_tensors(one)
    repeats = np.concatenate([classifier.predict_tensors(one) for _ in range(3)])
    twice = float(np.abs(repeats - first).max())
    if twice > SAME:
        told = "The same tensor gets different predictions: a random layer is active."
        return _differing("training_mode", told, twice)
    # A mate that is as unlike as can be: a batch norm in training mode shifts every answer.
    mates = np.concatenate(
        [one, one * np.float32(-3), one + np.float32(np.ptp(one) + 1)]
    )
    beside = float(np.abs(classifier.predict_tensors(mates)[:1] - first).max())
    told = "The prediction depends on the other images in the batch."
    return _differing("batchnorm_mode", told, beside) if beside > SAME else None


_IN_INFERENCE = """import keras
text = classifier.model.to_json().replace('"training": true', '"training": false')
model = keras.models.model_from_json(text)
model.set_weights(classifier.model.get_weights())
classifier = kit.Classifier(model, classifier.preprocessing, classifier.class_names)"""


def check_calls(layers: Sequence[Layer]) -> Finding | None:
    """Look for layers that the graph itself runs in training mode; the cause is ``"training_mode"``.

    ``model(x)`` of Keras does so; ``model.predict(x)`` and the kit overrule it. Layers that augment images
    are left out: Keras notes ``training=True`` for each of them, asked or not.
    """
    names = [layer.name for layer in layers if layer.training and _differs(layer)]
    if not names:
        return None
    return conclude(
        "training_mode",
        f"model(x) differs from model.predict(x): {names[0]!r} is called with training=True.",
        Evidence("layers that are called so", len(names), 1, True),
        advice="Build the layers without it; the kit, as model.predict, overrules it.",
        code=_IN_INFERENCE,
    )


def _differs(layer: Layer) -> bool:
    """Whether a layer with averages or chance computes something else in training mode."""
    chance = any(layer.settings.get(name) for name in ("rate", "dropout", "stddev"))
    # Keras runs a frozen one as in inference.
    frozen = layer.settings.get("trainable") is False
    return chance or (layer.kind == "BatchNormalization" and not frozen)


def _differing(cause: str, summary: str, difference: float) -> Finding:
    evidence = Evidence("largest difference in a probability", difference, SAME, True)
    return conclude(cause, summary, evidence, advice=_FIX)
