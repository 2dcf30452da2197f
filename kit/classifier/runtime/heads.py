"""The head of a network: what its last layer puts out, and how that becomes softmax probabilities."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from kit._arrays import Float32

HEADS = ("softmax", "logits", "sigmoid", "binary_logit", "log_softmax")
"""What the last layer puts out: probabilities, logits, a probability a class, one logit, logarithms."""


def head_of(config: Mapping[str, Any]) -> str | None:
    """Read from a Keras ``config.json`` what the last layer puts out; ``None`` where it does not say.

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
    if kind == "Dense" and activation in {None, "linear"}:
        return "binary_logit" if inner.get("units") == 1 else "logits"
    return activation if activation in HEADS else None


def measured_head(outputs: Float32) -> str:
    """Judge by its values what the last layer puts out, for networks whose architecture does not tell.

    Parameters
    ----------
    outputs
        float32, shape (N, outputs).
    """
    inside = bool((outputs >= 0).all() and (outputs <= 1).all())
    if outputs.shape[1] == 1:
        return "sigmoid" if inside else "binary_logit"
    if inside and np.allclose(outputs.sum(axis=1), 1, atol=1e-3):
        return "softmax"
    if (outputs <= 0).all() and np.allclose(np.exp(outputs).sum(axis=1), 1, atol=1e-3):
        return "log_softmax"
    return "logits"


def probabilities(outputs: Float32, head: str) -> Float32:
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
        # The sigmoid in the form that cannot overflow.
        second = outputs if head == "sigmoid" else np.asarray((1 + np.tanh(outputs / 2)) / 2, np.float32)
        return np.concatenate([1 - second, second], axis=1)
    if head == "sigmoid":
        total = np.maximum(outputs.sum(axis=1, keepdims=True), np.finfo(np.float32).tiny)
        return np.asarray(outputs / total, np.float32)
    exponentials = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True), np.float32)


def tempered(rows: Float32, temperature: float) -> Float32:
    """Divide the logits behind softmax probabilities by a temperature (Guo et al. 2017, arXiv 1706.04599).

    The logits are known up to a constant for each row, which a softmax does not see: the logarithms.

    Parameters
    ----------
    rows
        float32, shape (N, classes), rows summing to 1. Not changed.
    temperature
        Above 0; above 1 makes every row less sure.

    Returns
    -------
    float32, shape (N, classes)
        A new array; rows sum to 1. A probability of 0 counts as the smallest float32.
    """
    if temperature == 1:
        return rows.copy()
    logarithms = np.log(np.maximum(rows, np.finfo(np.float32).tiny)) / np.float32(temperature)
    return probabilities(logarithms.astype(np.float32), "logits")


def _flat(value: object) -> list[str]:
    """Names in Keras's nested way of writing output layers, ``["name", 0, 0]`` or ``[["name", 0, 0]]``."""
    if isinstance(value, str):
        return [value]
    return [name for part in value for name in _flat(part)] if isinstance(value, list) else []


def _name(layer: Mapping[str, Any]) -> object:
    return layer.get("name") or layer.get("config", {}).get("name")
