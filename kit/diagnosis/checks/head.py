"""The head of a network: whether its outputs are the probabilities they are taken for."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kit._arrays import Float32
from kit.classifier.architecture import Layer, mapping
from kit.diagnosis.finding import Evidence, Finding, conclude

SUM_TOLERANCE = 0.02
"""How far the sum of the outputs may lie from 1; float32 rounding over 1000 classes stays below 0.001."""

_LOSSES = ("crossentropy", "cross_entropy")
_REGRESSION = re.compile("mse|mae|msle|mape|squared|absolute|huber|log_?cosh|iou|poisson", re.IGNORECASE)
"""Losses of numbers, by parts of their names."""
_IN_KERAS = re.compile("(SparseCategorical|Categorical|Binary)(Focal)?Crossentropy")

_OTHER_ACTIVATION = """import keras
trained = classifier.model
def changed(layer):
    if layer.name == {name!r}:
        return {other}
    return type(layer).from_config(layer.get_config())
model = keras.models.clone_model(trained, clone_function=changed, recursive=True)
model.set_weights(trained.get_weights())
classifier = kit.Classifier(model, classifier.preprocessing{names})"""
_OTHER_LOSS = """import keras
model = classifier.model
model.compile(loss=keras.losses.{loss}(from_logits={from_logits}))
classifier = kit.Classifier(model, classifier.preprocessing, classifier.class_names)"""


def check_head(
    layers: Sequence[Layer], outputs: Float32, compiled: Mapping[str, Any] | None = None
) -> Finding | None:
    """Check the last layers and what they put out.

    Parameters
    ----------
    layers
        As from `kit.classifier.architecture.layers_of`.
    outputs
        float32, shape (N, outputs): what the last layer puts out, before any softmax of the kit's.
    compiled
        ``compile_config`` of the Keras architecture, if there is one: it tells the loss of the training.

    Returns
    -------
    Finding or None
        Cause ``"softmax_head"``.
    """
    ends = [(name, layer) for layer in layers if (name := _activation(layer)) is not None]
    if not ends:
        return None
    last, layer = ends[-1]
    name, _ = _loss(mapping(compiled).get("loss"))
    several = last == "sigmoid" and outputs.shape[1] > 1
    if name is not None and _REGRESSION.search(name) and (several or last in {"linear", "relu"}):
        return _regression(name, last, outputs)
    if last == "softmax" and outputs.shape[1] == 1:
        return _of_one(layer, outputs)
    # A second softmax after weights of its own is not bound to the flat answers of one right behind another.
    if [name for name, _ in ends[-2:]] == ["softmax", "softmax"] and layer.kind in {"Softmax", "Activation"}:
        return _twice(layer, outputs)
    if last == "sigmoid" and outputs.shape[1] > 1:
        return _sigmoids(layer, outputs)
    return _trained_otherwise(last, outputs, compiled or {})


def _ending_in(activation: str, layer: Layer, names: str = ", classifier.class_names") -> str:
    """Return code for the same network and weights with another activation at its end."""
    other = f'type(layer).from_config({{**layer.get_config(), "activation": {activation!r}}})'
    if "activation" not in layer.settings:
        other = f"keras.layers.Activation({activation!r})"
    return _OTHER_ACTIVATION.format(name=layer.name, other=other, names=names)


def _regression(loss: str, last: str, outputs: Float32) -> Finding:
    count = outputs.shape[1]
    return conclude(
        "softmax_head",
        # Classes told apart by squares of their sigmoids are rare, but there are some.
        "possible" if last == "sigmoid" else "named",
        f"The network was trained by {loss} and ends in a {last} layer: its {count} outputs are numbers, "
        "such as the coordinates of a box, and no classes.",
        Evidence("smallest output on these pictures", float(outputs.min())),
        Evidence("largest output on these pictures", float(outputs.max())),
        advice="Read the outputs of classifier.model by themselves; what is told of classes means nothing.",
    )


def _of_one(layer: Layer, outputs: Float32) -> Finding:
    return conclude(
        "softmax_head",
        "named",
        "The last layer is a softmax over one output, which is 1 for every picture whatever the weights are.",
        Evidence("number of outputs that the softmax shares 100 % among", 1, 2, supports=True),
        Evidence("smallest output on these pictures", float(outputs.min()), 1.0, supports=True),
        advice="End in a sigmoid, and train the network again: its loss had no slope before.",
        code=_ending_in("sigmoid", layer, names=""),
    )


def _twice(layer: Layer, outputs: Float32) -> Finding:
    count = outputs.shape[1]
    most = float(np.e / (np.e + count - 1))
    limit = f"largest output on these pictures; e / (e + {count - 1}) is the most there can be"
    return conclude(
        "softmax_head",
        "named",
        f"Two softmax layers follow each other: no class can get more than {most:.1%}.",
        Evidence("softmax layers at the end", 2, 2, supports=True),
        Evidence(limit, float(outputs.max()), most, supports=bool(outputs.max() <= most + 1e-4)),
        advice="Take one of them out; the order of the classes stays, the probabilities become right.",
        code=_ending_in("linear", layer),
    )


def _sigmoids(layer: Layer, outputs: Float32) -> Finding | None:
    away = float(np.abs(outputs.sum(axis=1) - 1).max())
    if away <= SUM_TOLERANCE:
        return None
    count = outputs.shape[1]
    return conclude(
        "softmax_head",
        "named" if count == 2 else "possible",
        f"The head has one sigmoid for each of {count} outputs: they answer separate questions, "
        "and are no shares of 100 %.",
        Evidence("largest distance of a picture's sum of outputs from 1", away, SUM_TOLERANCE, supports=True),
        advice="If exactly one class is right for each picture, end in a softmax and train the head again; "
        "else read each output by itself.",
        code=_ending_in("softmax", layer),
    )


def _trained_otherwise(last: str, outputs: Float32, compiled: Mapping[str, Any]) -> Finding | None:
    """Whether the loss of the training took the outputs for something else than they are."""
    name, from_logits = _loss(compiled.get("loss"))
    if name is None or not any(part in name for part in _LOSSES):
        return None
    probable = last in {"softmax", "sigmoid"}
    if from_logits != probable or not (probable or last == "linear"):
        return None
    loss = "".join(part.title() if part.islower() else part for part in name.split("_"))
    code = _OTHER_LOSS.format(loss=loss, from_logits=not from_logits) if _IN_KERAS.fullmatch(loss) else ""
    taken, are = ("logits", f"{last} probabilities") if probable else ("probabilities", "logits")
    return conclude(
        "softmax_head",
        "named",
        f"The loss of the training ({name}) takes the outputs for {taken}, but they are {are}.",
        Evidence("from_logits of the loss (1 is true)", float(from_logits), None, supports=True),
        Evidence("smallest output on these pictures", float(outputs.min())),
        Evidence("largest output on these pictures", float(outputs.max())),
        advice="Let the loss and the last layer agree, and train again.",
        code=code,
    )


def _activation(layer: Layer) -> str | None:
    if layer.kind in {"Softmax", "Sigmoid"}:
        return layer.kind.lower()
    activation = layer.settings.get("activation")
    if isinstance(activation, Mapping):
        activation = activation.get("config", activation.get("class_name"))
    return activation if isinstance(activation, str) else None


def _loss(loss: Any) -> tuple[str | None, bool]:
    if isinstance(loss, Mapping):
        settings = mapping(loss.get("config"))
        name = settings.get("name") or loss.get("class_name")
        return (str(name) if name else None), settings.get("from_logits") is True
    return loss if isinstance(loss, str) else None, False
