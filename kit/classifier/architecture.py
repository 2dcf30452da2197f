"""What the checks read of a network without TensorFlow: its layers, and its weights by layer."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from kit._arrays import Array, Float64
from kit.classifier import Classifier
from kit.classifier.first_layers import leaves
from kit.classifier.store import unchanged, weights_in

_NESTED = ("Functional", "Sequential", "Model")


@dataclass(frozen=True)
class Layer:
    """One layer of an architecture.

    Attributes
    ----------
    name
        As its author named it.
    kind
        Keras class, such as ``"Rescaling"``.
    settings
        Its part of ``config.json``.
    constants
        Numbers among the arguments it is called with, for operations such as ``x / 255``.
    training
        True where it, or a network that it belongs to, is called with ``training=True``, so that it behaves
        as in training for ever.
    """

    name: str
    kind: str
    settings: Mapping[str, Any]
    constants: tuple[float, ...] = ()
    training: bool = False


def layers_of(config: Mapping[str, Any], *, training: bool = False) -> tuple[Layer, ...]:
    """Return the layers of a Keras ``config.json`` in order, those of nested networks in place of these.

    Parameters
    ----------
    config
        Serialised architecture, as in ``config.json`` or ``json.loads(model.to_json())``.
    training
        Whether it is called with ``training=True``, which overrules what is recorded of its layers.
    """
    kind, settings = str(config.get("class_name")), mapping(config.get("config"))
    nodes = [mapping(node) for node in _listed(config.get("inbound_nodes"))]
    training = training or any(mapping(node.get("kwargs")).get("training") is True for node in nodes)
    inner = settings.get("layers")
    if isinstance(inner, list) and (kind in _NESTED or "input_layers" in settings):
        parts = (part for part in inner if isinstance(part, Mapping))
        return tuple(layer for part in parts for layer in layers_of(part, training=training))
    name = str(settings.get("name") or config.get("name") or kind)
    constants = tuple(
        float(value)
        for node in nodes
        for value in _listed(node.get("args"))
        if isinstance(value, int | float) and not isinstance(value, bool)
    )
    return (Layer(name, kind, MappingProxyType(dict(settings)), constants, training),)


def mapping(value: Any) -> Mapping[str, Any]:
    """Return a part of a configuration; an empty one in place of anything else."""
    return value if isinstance(value, Mapping) else {}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def channel_values(value: Any) -> Float64 | None:
    """Return numbers as Keras writes them down (a number, nested lists, a wrapped array), flat; else None."""
    if isinstance(value, Mapping):
        value = mapping(value.get("config", value)).get("value")
    try:
        values = np.asarray(value, dtype=np.float64).reshape(-1)
    except (TypeError, ValueError):
        return None
    return values if values.size and bool(np.isfinite(values).all()) else None


def architecture_and_weights(
    classifier: Classifier,
) -> tuple[Mapping[str, Any], Mapping[str, tuple[Array, ...]]]:
    """Return architecture and weights: from the file without TensorFlow, or from the model in memory.

    Returns
    -------
    config, weights
        As `layers_of` takes the one, and as `weights_in` returns the other.
    """
    opened = classifier.source
    if opened is not None:
        return unchanged(opened).config(), weights_in(opened.path)
    model = classifier.model
    kept = {layer.name: tuple(layer.get_weights()) for layer in leaves(model)}
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None:
        kept["optimizer"] = (np.asarray(optimizer.iterations),)
    return json.loads(model.to_json()), kept
