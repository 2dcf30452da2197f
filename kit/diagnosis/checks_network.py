"""Certain checks of head, weights, running averages and determinism."""

import math
import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from kit._arrays import Array, Float32, Int64
from kit.classifier.architecture import Layer, Weights, mapping
from kit.classifier.predictions import Predictor
from kit.diagnosis.finding import Evidence, Finding, conclude
from kit.images.photo import names_of
from kit.robustness.adaptation import FEW

UNSETTLED_SHARE = 0.05
"""Share of the initial values in the moving averages from which on they have not settled: with Keras's
momentum of 0.99 it is reached after 300 training steps."""

UNSETTLED_NAMED_SHARE = 0.5
"""Likewise, from which on it is named."""

SMALLEST_KERNEL = 64
"""Weights that a kernel must have to be seen as trained or not, with a bias of 0."""

SMALLEST_KERNEL_WITHOUT_BIAS = 2_000
"""Likewise, without a bias."""

OVERFLOWING = np.float32(1e19)
"""The square of a larger weight is infinite in float32."""

_VARIANCE_TIMES_FAN = {"Glorot": 1.0, "He": 2.0, "Lecun": 1.0}
# The largest of an initializer in its deviations, and which part of that so many numbers come near to.
# Normal ones are truncated at two deviations, and widened to have it: 0.88 is what is left of theirs.
_BOUND_AND_LEAST_SHARE = {
    "Uniform": (math.sqrt(3), 1.0),
    "Normal": (2 / 0.87962566, 0.0),
}


def check_norms(
    layers: Sequence[Layer], weights: Weights, labels: Int64, class_count: int
) -> Finding | None:
    """Look for moving averages that training has hardly touched; the cause is ``"batchnorm_mode"``.

    Labels, one for each image and -1 where it is not known, tell whether averages can be measured on these.
    """
    # The last array of such a layer is its variances.
    variances = [
        weights[layer.name][-1].ravel()
        for layer in layers
        if _updates_averages(layer) and len(weights.get(layer.name, ())) >= 2
    ]
    if not variances:
        return None
    share_left = initial_share(np.hstack(variances), layers, weights)
    if share_left <= UNSETTLED_SHARE:
        return None
    text = "were never updated"
    if share_left < 1:
        text = f"had only {_training_steps(weights):.0f} training steps to settle"
    enough = max(FEW, class_count)
    # Averages of few images, or of one class, may do more harm than those that are there.
    is_one_class = labels.min() == labels.max() >= 0
    return conclude(
        "batchnorm_mode",
        f"Batch normalization keeps averages of the training images; these {text}.",
        Evidence(
            "share left of the initial values",
            share_left,
            UNSETTLED_SHARE,
            supports=True,
        ),
        advice=f"Measure them again with kit.adapt on {enough} or more images as in training, of all classes,"
        " or train for more steps.",
        sure=share_left > UNSETTLED_NAMED_SHARE,
        code=""
        if is_one_class or len(labels) < enough
        else "classifier = kit.adapt(classifier, photos)",
    )


def initial_share(variances: Array, layers: Sequence[Layer], weights: Weights) -> float:
    """Return the share of the initial 1 in moving variances; 0 where they did not begin with it."""
    if (variances == 1).all():
        return 1.0
    # The first layer that updates its averages stands for all.
    momenta = (
        layer.settings.get("momentum", 0.99)
        for layer in layers
        if _updates_averages(layer)
    )
    # 0 where the file does not tell the training steps: they count as infinite.
    share = float(next(momenta, 0.0) ** _training_steps(weights))
    # Variances are averages of 1, with that weight, and of numbers that are not negative: a smaller one
    # proves that the layer was trained before. Where all are above 1, nothing shows what they began with.
    return share if share * (1 - 1e-4) <= variances.min() <= 1 else 0.0


def _updates_averages(layer: Layer) -> bool:
    """Whether it is a batch normalization that updates its averages in training, as a frozen one does not."""
    trainable = layer.settings.get("trainable", True)
    return layer.kind == "BatchNormalization" and bool(trainable)


def _training_steps(weights: Weights) -> float:
    """Return the training steps, which Keras keeps as the optimizer's first variable; infinity without it."""
    # The first variable of an optimizer of Keras counts them; infinity stands for not known.
    steps = np.asarray([*weights.get("optimizer", ()), np.inf][0])
    return math.inf if steps.ndim or steps.dtype.kind not in "iu" else int(steps)


def check_nan(weights: Weights) -> Finding | None:
    """Look for weights that are NaN, infinite or at `OVERFLOWING`; the cause is ``"diverged_training"``."""
    # Each array counts alike, whatever its size. A comparison with NaN is False.
    useless_shares = [
        1 - (np.abs(array) < OVERFLOWING).mean()
        for name, arrays in weights.items()
        for array in arrays
        if name != "optimizer" and array.dtype.kind == "f" and array.size
    ]
    if not any(useless_shares):
        return None
    return conclude(
        "diverged_training",
        "Some weights are NaN, infinite or overflow: the training diverged.",
        Evidence(
            "share of such weights", float(np.mean(useless_shares)), 0.0, supports=True
        ),
        advice="Train with a lower learning rate, and look for NaN in the training images.",
    )


def nonfinite_outputs_finding(outputs: Float32, weights: Weights) -> Finding:
    """Say that outputs, float32 (N, outputs), are NaN or infinite, but no weights that are known."""
    # Where weights were read, `check_nan` found nothing in them.
    return conclude(
        "diverged_training",
        f"Predictions are NaN or infinite, the weights {'are not' if weights else 'were not read'}.",
        Evidence(
            "share of such outputs",
            float(1 - np.isfinite(outputs).mean()),
            0.0,
            supports=True,
        ),
        advice="Look for a logarithm, root or division in its layers.",
        sure=False,
    )


def check_trained(layers: Sequence[Layer], weights: Weights) -> Finding | None:
    """Look for kernels within the bounds of their initializer, with a bias of 0: ``"untrained_weights"``."""
    kernel_layers = [
        layer
        for layer in layers
        if any(array.ndim > 1 for array in weights.get(layer.name, ()))
    ]
    # A frozen layer may be meant to keep its first weights, but not the last one.
    untrained_layers = [
        layer
        for layer in kernel_layers
        if layer.settings.get("trainable", True) or layer is kernel_layers[-1]
        if _is_as_initialized(layer, weights[layer.name])
    ]
    if not untrained_layers:
        return None
    names = names_of([(repr(layer.name), layer) for layer in untrained_layers])
    return conclude(
        "untrained_weights",
        f"{len(untrained_layers)} of {len(kernel_layers)} layers with kernels are for certain as their"
        f" initializers left them: {names}.",
        Evidence("such layers", len(untrained_layers), threshold=1, supports=True),
        advice="Train these layers, or load their weights before you save the model.",
    )


def _is_as_initialized(layer: Layer, arrays_of_layer: tuple[Array, ...]) -> bool:
    """Whether a kernel can be as its initializer made it, and nothing shows a training."""
    kernel = arrays_of_layer[0]
    # A bias, where there is one, is the last array.
    biases = arrays_of_layer[1:][-1:] if layer.settings.get("use_bias") else ()
    smallest_kernel = SMALLEST_KERNEL if biases else SMALLEST_KERNEL_WITHOUT_BIAS
    if (
        kernel.ndim < 2
        or kernel.size < smallest_kernel
        or any(bias.any() for bias in biases)
    ):
        return False
    settings = mapping(layer.settings.get("kernel_initializer"))
    initializer = re.match(
        "(Glorot|He|Lecun)(Normal|Uniform)", str(settings.get("class_name"))
    )
    if not initializer or layer.kind.startswith(("Depthwise", "Separable")):
        return False
    family, distribution = initializer.groups()
    # The shape ends in (inputs, outputs). Size over inputs is the fan out, size over outputs the fan in.
    fan_out, fan_in = kernel.size / np.array(kernel.shape[-2:])
    fan = (fan_in + fan_out) / 2 if family == "Glorot" else fan_in
    # Uniform and truncated normal initializers of Keras have the same variance.
    initial_deviation = math.sqrt(_VARIANCE_TIMES_FAN[family] / fan)
    bound, least_share_of_bound = _BOUND_AND_LEAST_SHARE[distribution]
    largest_share_of_bound = np.abs(kernel).max() / initial_deviation / bound
    # By chance the deviation of n weights is off by some 1 / sqrt(2 n) of itself: about 3 times that may be.
    deviation_misfit = abs(np.std(kernel) / initial_deviation - 1)
    # Of n uniform numbers, with a chance of exp(-12) none comes nearer to the bound than 12 / n of it.
    # Of normal ones that is not certain: their least share is 0.
    within_bound = (
        least_share_of_bound - 12 / kernel.size <= largest_share_of_bound <= 1 + 1e-5
    )
    return bool(within_bound and deviation_misfit <= 2 / math.sqrt(kernel.size))


SUM_TOLERANCE = 0.02
"""How far the sum of the outputs may lie from 1; float32 rounding over 1000 classes stays below 0.001."""

# A Softmax layer may be called with a mask, which a network takes, too, but Activation and Identity do not;
# a layer of a network within may have the same name. A Normalization layer, for one, makes what it computes
# with of its weights only when it is finalized.
_CODE_WITHOUT_SOFTMAX = """import keras
def changed(layer):
    if layer.name == {name!r} and "softmax" in str([layer, layer.get_config()]).lower():
        return keras.Sequential([keras.layers.Identity()], name=layer.name)
    return type(layer).from_config(layer.get_config())
model = keras.models.clone_model(classifier.model, clone_function=changed, recursive=True)
model.set_weights(classifier.model.get_weights())
for layer in model._flatten_layers():
    if hasattr(layer, "finalize_state"):
        layer.finalize_state()
classifier = kit.Classifier(model, classifier.preprocessing, classifier.class_names)"""
_head_finding = partial(conclude, "softmax_head")


def check_head(
    layers: Sequence[Layer],
    outputs: Float32,
    compile_config: Mapping[str, Any] | None = None,
) -> Finding | None:
    """Check the last layers and what they put out; the cause is ``"softmax_head"``.

    ``outputs``, float32, shape (N, outputs), are those before any softmax of the kit's; ``compile_config``
    is that of the Keras architecture, if there is one, which tells the loss of the training.
    """
    activations = [
        (layer, name) for layer in layers if (name := _activation_name(layer))
    ]
    if not activations:
        return None
    layer, last_activation = activations[-1]
    if last_activation == "softmax" and outputs.shape[1] == 1:
        return _head_finding(
            "A softmax over one output is 1 for every image.",
            Evidence("smallest output", float(outputs.min()), 1.0, supports=True),
            advice="End in a sigmoid and train again: such a softmax has no gradient.",
        )
    # A layer with weights of its own can make answers sharp again before its softmax: these two kinds cannot.
    is_double = [name for _, name in activations[-2:]] == ["softmax", "softmax"]
    if is_double and layer.kind in {"Softmax", "Activation"}:
        return _double_softmax_finding(layer, outputs)
    if last_activation == "sigmoid" and outputs.shape[1] > 1:
        return _sigmoids_finding(outputs)
    loss, from_logits = _loss_and_from_logits(mapping(compile_config).get("loss"))
    return _loss_mismatch_finding(last_activation, loss, from_logits)


def _double_softmax_finding(second_softmax: Layer, outputs: Float32) -> Finding:
    largest = float(outputs.max())
    # What a softmax makes of the answer of the first one that is surest: 1 for one class, 0 for all others.
    largest_possible = math.e / (math.e + outputs.shape[1] - 1)
    return _head_finding(
        f"Two softmax layers: no class can get more than {largest_possible:.1%}.",
        Evidence(
            "largest output",
            largest,
            largest_possible,
            supports=largest <= largest_possible + 1e-4,
        ),
        advice="Remove one of them: the ranking of the classes stays.",
        code=_CODE_WITHOUT_SOFTMAX.format(name=second_softmax.name),
    )


def _sigmoids_finding(outputs: Float32) -> Finding | None:
    distance = float(np.abs(outputs.sum(axis=1) - 1).max())
    count = outputs.shape[1]
    # Then they are probabilities whatever made them.
    if distance <= SUM_TOLERANCE:
        return None
    return _head_finding(
        f"The {count} outputs are sigmoids, which do not sum to 100 %.",
        Evidence(
            "largest distance of their sum from 1",
            distance,
            SUM_TOLERANCE,
            supports=True,
        ),
        advice="For one class per image, end in a softmax and train again; else read each output alone.",
        # They may be meant so, and which of them is the largest is the same after a softmax.
        sure=False,
    )


def _loss_mismatch_finding(
    last_activation: str, loss: str, from_logits: bool
) -> Finding | None:
    output_kinds = {
        "softmax": "probabilities",
        "sigmoid": "probabilities",
        "linear": "logits",
    }
    expected = "logits" if from_logits else "probabilities"
    # Of another activation nothing is known, so that it counts as expected; an empty loss is unknown, too.
    actual = output_kinds.get(last_activation, expected)
    if "crossentropy" not in loss.replace("_", "") or actual == expected:
        return None
    return _head_finding(
        f"The loss ({loss}) takes the outputs for {expected}, but they are {actual}.",
        Evidence(
            "from_logits of the loss (1 is true)",
            float(from_logits),
            None,
            supports=True,
        ),
        advice=f"Train again with from_logits={not from_logits}, or with another last layer.",
    )


def _activation_name(layer: Layer) -> str | None:
    if layer.kind in {"Softmax", "Sigmoid"}:
        return layer.kind.lower()
    activation = layer.settings.get("activation")
    # Keras writes a function down as a mapping, whose config is its name, and a layer as one of its class.
    if isinstance(activation, Mapping):
        activation = activation.get("config", activation.get("class_name"))
    return activation if isinstance(activation, str) else None


def _loss_and_from_logits(loss: Any) -> tuple[str, bool]:
    """Return its name, empty where it is not known, and whether it takes logits."""
    # By its name alone, Keras makes a loss of probabilities.
    if isinstance(loss, str):
        return loss, False
    settings = mapping(mapping(loss).get("config"))
    return str(settings.get("name", "")), settings.get("from_logits") is True


SAME_PROBABILITY = 1e-3
"""Largest difference in a probability that rounding may make; batches of other sizes differ by 1e-6."""


def check_determinism(predictor: Predictor, tensors: Float32) -> Finding | None:
    """Ask again, and with other images beside.

    Tensors are float32 (N, H, W, C); one is enough. The cause is ``"training_mode"`` where the same one gets
    different predictions, ``"batchnorm_mode"`` where the prediction depends on the images in the same batch.
    """
    tensor = tensors[:1]
    first_answer = predictor.predict_tensors(tensor)[0]

    def largest_difference(batch: Float32) -> float:
        # Of the first tensor of a batch.
        return float(np.abs(predictor.predict_tensors(batch)[0] - first_answer).max())

    cause = "training_mode"
    summary = "The same tensor gets different predictions: a random layer is active."
    largest = max(largest_difference(tensor) for _ in range(3))
    if largest <= SAME_PROBABILITY:
        cause = "batchnorm_mode"
        summary = "The prediction depends on the other images in the batch."
        # Mates that are as unlike as can be: a batch norm in training mode shifts every prediction.
        mates = (tensor * np.float32(-3), tensor + np.float32(np.ptp(tensor) + 1))
        largest = largest_difference(np.concatenate([tensor, *mates]))
    if largest <= SAME_PROBABILITY:
        return None
    return conclude(
        cause,
        summary,
        Evidence(
            "largest difference in a probability",
            largest,
            SAME_PROBABILITY,
            supports=True,
        ),
        advice="Run the model, and build its layers, with training=False.",
    )


_RANDOM_SETTINGS = ("rate", "dropout", "stddev")
"""Settings that make a layer random in training, where they are not 0."""

_CODE_IN_INFERENCE = """import keras
text = classifier.model.to_json().replace('"training": true', '"training": false')
model = keras.models.model_from_json(text)
model.set_weights(classifier.model.get_weights())
for layer in model._flatten_layers():
    if hasattr(layer, "finalize_state"):
        layer.finalize_state()
classifier = kit.Classifier(model, classifier.preprocessing, classifier.class_names)"""


def check_calls(layers: Sequence[Layer]) -> Finding | None:
    """Look for layers that the graph itself runs in training mode; the cause is ``"training_mode"``.

    ``model(x)`` of Keras does so; ``model.predict(x)`` and the kit overrule it. Layers that augment images
    are left out: Keras notes ``training=True`` for each of them, asked or not.
    """
    names = [
        layer.name
        for layer in layers
        if layer.training and _differs_in_training_mode(layer)
    ]
    if not names:
        return None
    return conclude(
        "training_mode",
        f"model(x), not model.predict(x) or the kit, runs {names[0]!r} with training=True.",
        Evidence("layers that are called so", len(names), 1, supports=True),
        advice="If your code calls model(x), build the layers without it.",
        # It is not behind the predictions of the kit.
        sure=False,
        code=_CODE_IN_INFERENCE,
    )


def _differs_in_training_mode(layer: Layer) -> bool:
    """Whether a layer with chance or averages computes something else in training mode."""
    return _updates_averages(layer) or any(map(layer.settings.get, _RANDOM_SETTINGS))
