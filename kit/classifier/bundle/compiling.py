"""From a ``.keras`` file to its compiled form, by TensorFlow in a process of its own.

So the half gigabyte of memory that TensorFlow takes is given back, its messages do not reach the notebook,
and a hostile file ends that process and not this one.
"""

import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kit.classifier.activations.from_keras import first_layers_of
from kit.classifier.archive import Archive
from kit.classifier.archive.arrays import weights_in
from kit.classifier.bundle.inspection import snapshot
from kit.classifier.runtime.child import answer, ask, at_most, waiting
from kit.classifier.runtime.compiled import Compiled
from kit.classifier.runtime.conversion import describe
from kit.classifier.runtime.keras_models import load_keras
from kit.preprocessing import Preprocessing

SECONDS = 1800.0
"""Longest time that TensorFlow may take, on a slow machine with a large network."""

_SECONDS_TO_READ = 60
_COMPILED, _FIRST_LAYERS, _PREPROCESSING = "model.tflite", "taps.npz", "preprocessing.json"


def convert(
    opened: Archive, preprocessing: Preprocessing | None = None, *, custom: Sequence[Mapping[str, Any]] = ()
) -> tuple[Compiled, bytes | None]:
    """Compile a ``.keras`` file.

    In this process only where there are custom layers, whose code is known here and nowhere else.

    Parameters
    ----------
    opened
        A checked file.
    preprocessing
        What its network expects, if known: the range in which it is compared with Keras.
    custom
        Those parts of its architecture that need code from outside Keras.

    Returns
    -------
    compiled
        What was found; an input size that the network leaves open stays open.
    first_layers
        As `FirstLayers.to_bytes` gives them; empty where there are none to read, None where it was not tried.

    Raises
    ------
    FileNotFoundError, ValueError
        The file cannot be opened, is no classifier of pictures, or was replaced meanwhile.
    """
    with tempfile.TemporaryDirectory() as name, waiting(f"Compiling {opened.path.name!r}"):
        folder = Path(name)
        copy = snapshot(opened, folder)
        if custom and all(map(_is_known_here, custom)):
            return describe(load_keras(copy), preprocessing, sized=False), None
        if preprocessing is not None:
            (folder / _PREPROCESSING).write_text(preprocessing.to_json(), encoding="utf-8")
        found = ask("kit.classifier.bundle.compiling", copy, folder, seconds=SECONDS)
        if "error" in found:
            raise ValueError(_refusal(opened.path.name, found["error"]))
        data, layers = (
            path.read_bytes() if (path := folder / part).exists() else None
            for part in (_COMPILED, _FIRST_LAYERS)
        )
        return Compiled.from_contract(found, data), layers


def _refusal(name: str, error: str) -> str:
    if error.startswith("Expected"):
        return error
    return (
        f"Expected TensorFlow to compile {name!r} in limited memory and time, received: {error}; if you trust"
        " the file, give kit.Classifier the model that keras.models.load_model makes of it"
    )


def _is_known_here(part: Mapping[str, Any]) -> bool:
    """Whether the code of a part is a layer that the user registered or imported; saying so is not enough."""
    keras = sys.modules.get("keras")
    if keras is None:
        return False
    registered = keras.saving.get_custom_objects()
    found = getattr(sys.modules.get(str(part.get("module"))), str(part.get("class_name")), None)
    name = part.get("config" if part.get("class_name") == "function" else "registered_name")
    return str(name) in registered or (
        isinstance(found, type)
        and issubclass(found, keras.layers.Layer)
        # Keras's own need no code from elsewhere, whatever the file says of them.
        and found.__module__.partition(".")[0] != "keras"
    )


def compile_file(file: Path, folder: Path) -> Mapping[str, Any]:
    """Compile a file; in the process that `convert` starts."""
    stated = folder / _PREPROCESSING
    preprocessing = Preprocessing.from_json(stated.read_text(encoding="utf-8")) if stated.exists() else None
    # What checks read later in the kernel reaches HDF5 here first.
    with at_most(_SECONDS_TO_READ):
        weights_in(file)
    model = load_keras(file)
    compiled = describe(model, preprocessing, sized=False)
    if compiled.data is not None:
        (folder / _COMPILED).write_bytes(compiled.data)
    if None not in compiled.input_shape:
        # While TensorFlow is there: a diagnosis would start it again.
        layers = first_layers_of(model)
        (folder / _FIRST_LAYERS).write_bytes(b"" if layers is None else layers.to_bytes())
    return compiled.to_contract()


if __name__ == "__main__":
    answer(compile_file)
