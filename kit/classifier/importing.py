"""Making a ``.keras`` file of one that another version of Keras, or Teachable Machine, wrote."""

import json
import re
import shutil
import sys
import zipfile
from collections.abc import Iterator
from inspect import signature
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from warnings import catch_warnings

from kit._arrays import AnyPath, JSONObject
from kit._checking import KERAS, printable, require
from kit.classifier import store
from kit.classifier.architecture import is_weight
from kit.classifier.child import run_apart, work_apart
from kit.classifier.keras_models import (
    CONVERT,
    import_keras,
    opened_safely,
    refuse_code,
    serialized_objects,
)

SECONDS = 600
"""Longest time that it may take."""
_NEW = "new.keras"
_WEIGHTS = "model.weights.h5"
_CODE = ("Lambda", "__lambda__", "TFOpLambda", "SlicingOpLambda", "TFSMLayer")
"""Layers whose code is in the file, or elsewhere on the disk."""
_MODULES = {
    "Functional": "keras.src.models.functional",
    "Sequential": "keras",
    "Model": "keras",
}
"""Where Keras 3 has what was in a private module of Keras 2."""
_NUMBER = re.compile(r"_(\d+)/")
"""Of a layer among those of its kind, in a path of weights."""
_HARMLESS = ("fused", "implementation", "renorm_momentum")
"""Arguments of another Keras that change how fast a layer runs, or nothing without another argument."""
_OFF = ("null", "false", "1", "[1, 1]")
"""Values that leave an argument without effect, as JSON, since in Python True is 1."""


def import_h5(old: AnyPath, new: AnyPath) -> tuple[str, ...]:
    """Convert an ``.h5`` file with architecture and weights, or a ``.keras`` file of another Keras.

    Where Teachable Machine's ``labels.txt`` lies beside it, class names and preprocessing are written too.
    Arguments of layers that Keras 3 does not know are left out where they have no effect.

    Parameters
    ----------
    old
        An existing local file; not changed. Open files only from sources that you trust.
    new
        File to write, named ``….keras``; there must be none of this name yet.

    Returns
    -------
    tuple of str
        What was left out, such as ``"groups=1 of DepthwiseConv2D"``; each once.

    Raises
    ------
    FileNotFoundError, ValueError
        No such file, a new one that exists, weights alone, code in a layer, or what Keras cannot build.
    ModuleNotFoundError
        Keras or TensorFlow is not installed.
    """
    require(*KERAS)
    source = store.model_file(old, ".h5, .hdf5 or .keras")
    target = Path(new)
    parent = target.resolve().parent
    if target.suffix != ".keras" or target.exists() or not parent.is_dir():
        existing = "the existing " if target.exists() else ""
        raise ValueError(
            f"Expected a new file ….keras in a folder that is there, received {existing}{str(new)!r};"
            " name another"
        )
    with TemporaryDirectory(dir=parent) as name:
        folder = Path(name)
        # Keras goes by the name, which may be that of the other format.
        suffix = ".keras" if zipfile.is_zipfile(source) else source.suffix
        suffix = ".h5" if store.is_hdf5(source) else suffix
        copy = folder / printable(source.with_suffix(suffix).name)
        shutil.copyfile(source, copy)
        keras = sys.modules.get("keras")
        # The code of custom objects is here and nowhere else.
        if keras is not None and keras.saving.get_custom_objects():
            result = _import(copy, folder)
        else:
            result = run_apart(
                "kit.classifier.importing",
                copy,
                folder,
                seconds=SECONDS,
                what=f"Importing {source.name!r}",
            )
        stated = store.as_stated(store.Archive(source, ""), {})
        if stated.preprocessing:
            store.write_model(folder / _NEW, folder / _NEW, stated.contract)
        (folder / _NEW).replace(target)
    return tuple(result["left_out"])


def _import(file: Path, folder: Path) -> JSONObject:
    """Repair a copy and save what Keras makes of it; in the process that `import_h5` starts."""
    import h5py

    zipped = zipfile.is_zipfile(file)
    try:
        if zipped:
            config = store.Archive(file, "").config()
            weights = _renamed_weights(file)
        else:
            with h5py.File(file) as opened:
                config = json.loads(opened.attrs["model_config"])
        keras = import_keras()
        makers = {**vars(keras.initializers), **vars(keras.layers)}
        left_out = sorted({*_repair(config, makers)})
    except OSError as error:
        raise ValueError(
            f"Expected an .h5 file that model.save wrote, received {file.name!r},"
            " which is none or damaged; copy it again"
        ) from error
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        raise ValueError(
            "Expected an .h5 file that model.save wrote, received "
            f"{file.name!r} without an architecture; {store.WEIGHTS_ALONE}"
        ) from error
    refuse_code(config, file.name, _CODE)
    if zipped:
        # Of two members of one name, the later counts.
        with catch_warnings(action="ignore"), zipfile.ZipFile(file, "a") as archive:
            archive.writestr("config.json", json.dumps(config))
            archive.writestr(_WEIGHTS, weights)
    else:
        with h5py.File(file, "r+") as opened:
            opened.attrs["model_config"] = json.dumps(config)
    opened_safely(file, CONVERT).save(folder / _NEW)
    return {"left_out": left_out}


def _renamed_weights(file: Path) -> bytes:
    """Return the weights of a ``.keras`` file under the paths that Keras 3 reads.

    Where Windows wrote them, groups have a whole path for a name; Keras 2.13 counts layers of a kind by twos.
    """
    import h5py

    arrays: JSONObject = {}

    def note(path: str, entry: Any) -> None:
        if is_weight(entry):
            arrays[path.replace("\\", "/")] = entry[()]

    with store.open_archive(file) as archive:
        content = archive.read(_WEIGHTS)
    renamed = BytesIO()
    with h5py.File(BytesIO(content)) as old, h5py.File(renamed, "w") as new:
        old.visititems(note)
        by_twos = not any("_1/" in path for path in arrays)
        for path, array in arrays.items():
            new[_NUMBER.sub(_halved_number, path) if by_twos else path] = array
    return renamed.getvalue()


def _halved_number(number: re.Match[str]) -> str:
    return f"_{int(number[1]) // 2}/"


def _repair(config: Any, classes: JSONObject) -> Iterator[str]:
    """Repair a configuration in place, and yield what is left out."""
    # What code such as ``x / 127.5 - 1`` becomes.
    from keras.src.ops import numpy as operations

    for part in serialized_objects(config):
        settings = part.get("config")
        if not isinstance(settings, dict):
            continue
        kind = str(part["class_name"])
        _, private, home = str(part.get("module")).partition("keras.src.")
        if private:
            public = "layers" if home.startswith("engine") else home.partition(".")[0]
            part["module"] = _MODULES.get(kind, f"keras.{public}")
        # An .h5 file calls arithmetic on tensors as it calls layers, which have more to say of themselves.
        if "trainable" not in settings and hasattr(operations, kind):
            part["module"] = operations.__name__
        if isinstance(inner := settings.get("layers"), list):
            nodes = [layer.get("inbound_nodes") for layer in inner]
            _recount(inner, [*nodes, settings.get("output_layers")])
        for name in ("input_layers", "output_layers", "axis"):
            # One tensor in a list stays a list, which the layer behind a nested network does not take.
            match settings.get(name):
                case [alone]:
                    settings[name] = alone
        if kind != "InputLayer" and "batch_input_shape" in settings:
            _, *settings["input_shape"] = settings.pop("batch_input_shape")
        layer_class = classes.get(kind)
        if isinstance(layer_class, type):
            yield from _take_out_idle_arguments(layer_class, settings)


def _take_out_idle_arguments(layer_class: type, settings: JSONObject) -> Iterator[str]:
    """Take out the arguments that are not known here, where they have no effect, and yield them."""
    initializers = [base.__init__ for base in layer_class.__mro__]  # type: ignore[misc]
    arguments = {name for call in initializers for name in signature(call).parameters}
    for name in settings.keys() - arguments:
        if name in _HARMLESS or json.dumps(settings[name]) in _OFF:
            yield f"{name}={settings.pop(name)!r} of {layer_class.__name__}"


def _recount(inner: list[Any], nested_calls: list[Any]) -> None:
    """Count the calls of nested networks from 0; in Keras 2 building a network was a call of it."""
    settings = [layer["config"] for layer in inner]
    networks = {each.get("name") for each in settings if "layers" in each}
    calls = [call for call in _calls(nested_calls) if call[0] in networks]
    first_number: dict[str, int] = {}
    for name, number, *_ in calls:
        first_number[name] = min(number, first_number.get(name, number))
    for call in calls:
        call[1] -= first_number[call[0]]


def _calls(nodes: Any) -> Iterator[list[Any]]:
    """Yield ``[layer, number of its call, …]`` wherever it stands."""
    if isinstance(nodes, list) and len(nodes) > 1 and isinstance(nodes[0], str):
        yield nodes
    elif isinstance(nodes, list):
        for node in nodes:
            yield from _calls(node)


if __name__ == "__main__":
    work_apart(_import)
