"""What the checks read of a network without TensorFlow: its layers, and its weights by layer."""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kit._arrays import Array, Float64, JSONObject
from kit._checking import first_line
from kit.classifier.classifier import Classifier
from kit.classifier.first_layers import leaves
from kit.classifier.store import checked_unchanged, open_archive

Weights = Mapping[str, tuple[Array, ...]]
"""The arrays of every layer, by its name."""


@dataclass(frozen=True)
class Layer:
    """One layer of an architecture.

    Attributes
    ----------
    kind, settings
        Keras class, such as ``"Rescaling"``, and its part of ``config.json``.
    constants
        Numbers among the arguments it is called with, for operations such as ``x / 255``.
    training
        The argument ``training`` of its call, which an enclosing network's overrules; None without one.
    """

    name: str
    kind: str
    settings: JSONObject
    constants: tuple[float, ...] = ()
    training: bool | None = None


def layers_of(config: JSONObject, training: bool | None = None) -> tuple[Layer, ...]:
    """Return the layers of a ``config.json``, nested ones in place; `training` is that of the whole call."""
    if not config:
        return ()
    kind, settings = str(config.get("class_name")), mapping(config.get("config"))
    calls = [mapping(node) for node in _listed(config.get("inbound_nodes"))]
    if training is None:
        modes = [mapping(call.get("kwargs")).get("training") for call in calls]
        # Of a layer that is called several times, a call in training mode counts.
        training = True in modes or next(iter(modes), None)
    if isinstance(inner := settings.get("layers"), list):
        return tuple(
            layer for part in inner for layer in layers_of(mapping(part), training)
        )
    name = str(settings.get("name") or config.get("name") or kind)
    arguments = [each for call in calls for each in _listed(call.get("args"))]
    constants = tuple(float(each) for each in arguments if type(each) in {int, float})
    return (Layer(name, kind, settings, constants, training),)


def mapping(value: Any) -> JSONObject:
    """Return a part of a configuration; an empty one in place of anything else."""
    return value if isinstance(value, dict) else {}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def flat_numbers(value: Any) -> Float64 | None:
    """Return numbers as Keras writes them down (a number, nested lists, a wrapped array), flat; else None."""
    if isinstance(value, dict):
        value = mapping(value.get("config", value)).get("value")
    try:
        values = np.asarray(value, dtype=np.float64).reshape(-1)
    except (TypeError, ValueError):
        return None
    return values if values.size and bool(np.isfinite(values).all()) else None


# Weights hardly shrink; more than this many times the size of the file is no network.
_MOST_TIMES = 8


def weights_in(path: Path) -> Weights:
    """Return the arrays of every layer of a checked ``.keras`` file, by the layer's name, in Keras's order.

    The optimizer's are under ``"optimizer"``; empty where the weights are not in HDF5. Links out of the file
    and data kept elsewhere are not followed. ValueError for weights that are damaged, or declared larger than
    their file can hold.
    """
    import h5py

    with open_archive(path) as archive:
        if "model.weights.h5" not in archive.namelist():
            return {}
        content = archive.read("model.weights.h5")
    arrays_by_group: dict[str, dict[int, Array]] = {}
    groups_by_layer: dict[str, list[str]] = {}
    entries: list[Any] = []
    bytes_left = _MOST_TIMES * len(content)
    try:
        with h5py.File(io.BytesIO(content), "r") as file:
            # Which visits no links.
            file.visititems(lambda _, entry: entries.append(entry))
            for entry in filter(is_weight, entries):
                bytes_left -= entry.nbytes
                if bytes_left < 0 or entry.dtype.kind not in "biuf":
                    raise ValueError(f"{entry.size} values of {entry.dtype.name}")  # noqa: TRY301 (reported below)
                group, _, key = entry.name.rpartition("/")
                arrays_by_group.setdefault(group, {})[int(key)] = np.asarray(entry)
            for group in arrays_by_group:
                *_, layer, _ = group.split("/")
                # The group of the optimizer bears the name of its kind.
                if layer != "optimizer":
                    layer = str(file[group].attrs.get("name", layer))
                groups_by_layer.setdefault(layer, []).append(group)
    # What HDF5 meets in a damaged file reaches Python under many names.
    except Exception as error:
        raise ValueError(
            f"Expected weights of Keras in {path.name!r}: {first_line(error)}"
        ) from error
    # Which of two layers of one name is meant, nobody knows.
    return {
        layer: tuple(array for _, array in sorted(arrays_by_group[groups[0]].items()))
        for layer, groups in groups_by_layer.items()
        if len(groups) == 1
    }


def is_weight(entry: Any) -> bool:
    """Whether an entry of HDF5 is an array in its own file, such as ``…/layer/vars/0``."""
    import h5py

    if not isinstance(entry, h5py.Dataset) or entry.external or entry.is_virtual:
        return False
    group, _, _ = entry.name.rpartition("/")
    return entry.size is not None and group.endswith("/vars")


def architecture(classifier: Classifier) -> JSONObject:
    """Return what `layers_of` takes, of a file without TensorFlow, or of a model; empty of another format."""
    source = classifier.source
    if source is None:
        return mapping(json.loads(classifier.model.to_json()))
    return {} if source.network else checked_unchanged(source).config()


def architecture_and_weights(
    classifier: Classifier,
) -> tuple[JSONObject, Weights]:
    """Return what `architecture` and `weights_in` return, also of a model in memory."""
    config, source = architecture(classifier), classifier.source
    if source is not None:
        return config, weights_in(source.path) if config else {}
    model = classifier.model
    weights = {layer.name: tuple(layer.get_weights()) for layer in leaves(model)}
    if optimizer := getattr(model, "optimizer", None):
        weights["optimizer"] = (np.asarray(optimizer.iterations),)
    return config, weights
