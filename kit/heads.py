"""The head of a network: what its last layer puts out, and how that becomes softmax probabilities."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

HEADS = ("softmax", "logits", "sigmoid", "binary_logit", "log_softmax")
"""What the last layer puts out: probabilities, logits, one probability per class, one logit of two classes, logarithms."""


def head_of(config: Mapping[str, Any]) -> str | None:
    """What the last layer puts out, read from a Keras ``config.json``; ``None`` where it does not say.

    Parameters
    ----------
    config
        Serialised architecture, as in ``config.json`` or ``json.loads(model.to_json())``.
    """
    kind, inner = config.get("class_name"), config.get("config", {})
    if not isinstance(inner, Mapping):
        return None
    layers = inner.get("layers")
    if layers:
        last = layers[-1]
        outputs = _flat(inner.get("output_layers", []))
        named = [layer for layer in layers if outputs and _name(layer) == outputs[0]]
        return head_of(named[0] if named else last)
    activation = {"Softmax": "softmax", "LogSoftmax": "log_softmax", "Sigmoid": "sigmoid"}.get(
        str(kind), inner.get("activation")
    )
    if isinstance(activation, Mapping):
        activation = activation.get("config", activation.get("class_name"))
    if activation == "linear" or (activation is None and kind in {"Dense", "Conv2D"}):
        return "binary_logit" if kind == "Dense" and inner.get("units") == 1 else "logits"
    return activation if activation in HEADS else None


def measured_head(outputs: npt.NDArray[np.float32]) -> str:
    """What the last layer puts out, judged by its values, for networks whose architecture does not tell.

    Parameters
    ----------
    outputs
        float32, shape (N, outputs).
    """
    inside = bool((outputs >= 0).all() and (outputs <= 1).all())
    if outputs.shape[1] == 1:
        return "sigmoid" if inside else "binary_logit"
    return "softmax" if inside and np.allclose(outputs.sum(axis=1), 1, atol=1e-3) else "logits"


def probabilities(outputs: npt.NDArray[np.float32], head: str) -> npt.NDArray[np.float32]:
    """Softmax probabilities from what the last layer puts out.

    Parameters
    ----------
    outputs
        float32, shape (N, outputs).
    head
        One of `HEADS`.

    Returns
    -------
    float32, shape (N, classes)
        Rows sum to 1. One output becomes two columns: the first class, the second.
    """
    if head == "softmax":
        return outputs
    if head in {"sigmoid", "binary_logit"} and outputs.shape[1] == 1:
        second = outputs if head == "sigmoid" else _sigmoid(outputs)
        return np.concatenate([1 - second, second], axis=1)
    if head == "sigmoid":
        return outputs / np.maximum(outputs.sum(axis=1, keepdims=True), np.finfo(np.float32).tiny)
    exponentials = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    shares: npt.NDArray[np.float32] = exponentials / exponentials.sum(axis=1, keepdims=True)
    return shares


def _flat(value: object) -> list[str]:
    """Names in Keras's nested way of writing output layers, ``["name", 0, 0]`` or ``[["name", 0, 0]]``."""
    if isinstance(value, str):
        return [value]
    return [name for part in value for name in _flat(part)] if isinstance(value, list) else []


def _name(layer: Mapping[str, Any]) -> object:
    return layer.get("name") or layer.get("config", {}).get("name")


def _sigmoid(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    # In the form that cannot overflow.
    return np.float32(0.5) * (np.float32(1) + np.tanh(np.float32(0.5) * values))
