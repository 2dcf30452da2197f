"""Making a ``.keras`` file of one that an older version of Keras, or Teachable Machine, wrote."""

import json
import shutil
import sys
import zipfile
from collections.abc import Iterator, Mapping
from inspect import signature
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from kit._checking import told
from kit.classifier import store
from kit.classifier.child import run_apart, work_apart
from kit.classifier.keras_models import (
    import_keras,
    opened_safely,
    refuse_code,
    serialized,
)
from kit.classifier.metadata import names_beside

SECONDS = 600
"""Longest time that it may take."""
_NEW, _REPAIRED = "new.keras", "repaired.keras"
_CODE = ("Lambda", "__lambda__", "TFOpLambda", "SlicingOpLambda", "TFSMLayer")
"""Layers whose code is in the file, or elsewhere on the disk."""
_MODULES = {
    "Functional": "keras.src.models.functional",
    "Sequential": "keras",
    "Model": "keras",
}
"""Where Keras 3 has what was in a private module of Keras 2."""
_HARMLESS = ("fused", "implementation")
"""Arguments of Keras 2 that changed how fast a layer ran, and not what it did."""
_OFF = ("null", "false", "1", "[1, 1]")
"""Values that leave an argument without effect, as JSON, since in Python True is 1."""


def import_h5(old: str | PathLike[str], new: str | PathLike[str]) -> tuple[str, ...]:
    """Convert an ``.h5`` file with architecture and weights, or a ``.keras`` file of Keras 2.

    Where Teachable Machine's ``labels.txt`` lies beside it, class names and preprocessing are written too.

    Arguments of layers that Keras 3 does not know are left out where they have no effect, such as
    ``groups=1`` of a DepthwiseConv2D.

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
    """
    source, target = Path(old), Path(new)
    if not source.is_file():
        raise FileNotFoundError(
            f"Expected an existing local .h5 file, received {str(old)!r}"
        )
    if (
        target.suffix != ".keras"
        or target.exists()
        or not target.resolve().parent.is_dir()
    ):
        raise ValueError(
            f"Expected a new file ….keras in a folder that is there, received {str(new)!r}"
        )
    with TemporaryDirectory(dir=target.resolve().parent) as name:
        folder = Path(name)
        copy = folder / told(source.name)
        shutil.copyfile(source, copy)
        keras = sys.modules.get("keras")
        if (
            keras is not None and keras.saving.get_custom_objects()
        ):  # whose code is here and nowhere else
            found = _import(copy, folder)
        else:
            words = f"Importing {source.name!r}"
            found = run_apart(
                "kit.classifier.importing", copy, folder, words, seconds=SECONDS
            )
        names, numbered = names_beside(source)
        if names and numbered:
            steps = store.TEACHABLE.replace(size=(224, 224)).to_dict()
            stated = {
                "name": source.stem,
                "class_names": list(names),
                "preprocessing": steps,
            }
            store.write_model(folder / _NEW, folder / _NEW, stated)
        (folder / _NEW).replace(target)
    return tuple(found["left_out"])


def _import(file: Path, folder: Path) -> Mapping[str, Any]:
    """Repair a copy and save what Keras makes of it; in the process that `import_h5` starts."""
    import h5py

    zipped = zipfile.is_zipfile(file)
    try:
        if zipped:
            config = store.Archive(file, "").config()
        else:
            with h5py.File(file) as opened:
                config = json.loads(opened.attrs["model_config"])
        left_out = sorted({*_repaired(config, import_keras().layers)})
    except (OSError, KeyError, ValueError, TypeError, RecursionError) as error:
        received = f"{file.name!r} without an architecture; build the network and load its weights"
        raise ValueError(
            f"Expected an .h5 file that model.save wrote, received {received}"
        ) from error
    refuse_code(config, file.name, _CODE)
    if zipped:
        store.write_config(file, folder / _REPAIRED, config)
        file = folder / _REPAIRED
    else:
        with h5py.File(file, "r+") as opened:
            opened.attrs["model_config"] = json.dumps(config)
    opened_safely(file).save(folder / _NEW)
    return {"left_out": left_out}


def _repaired(config: Any, layers: Any) -> Iterator[str]:
    """Repair a configuration in place, and yield what is left out."""
    for part in serialized(config):
        settings = part.get("config")
        if not isinstance(settings, dict):
            continue
        kind, (_, old, home) = (
            str(part["class_name"]),
            str(part.get("module")).partition("keras.src."),
        )
        if old:
            public = "layers" if home.startswith("engine") else home.partition(".")[0]
            part["module"] = _MODULES.get(kind, f"keras.{public}")
        if isinstance(inner := settings.get("layers"), list):
            _recount(
                inner,
                [
                    settings.get("output_layers"),
                    *(each.get("inbound_nodes") for each in inner),
                ],
            )
        for name in ("input_layers", "output_layers"):
            # One tensor in a list stays a list, which the layer behind a nested network does not take.
            if (
                isinstance(ends := settings.get(name), list)
                and len(ends) == 1
                and isinstance(ends[0], list)
            ):
                settings[name] = ends[0]
        known = getattr(layers, kind, None)
        kinds = known.__mro__ if isinstance(known, type) else ()
        taken = {name for base in kinds for name in signature(base.__init__).parameters}  # type: ignore[misc]
        for name in [name for name in settings if kinds and name not in taken]:
            if name in _HARMLESS or json.dumps(settings[name]) in _OFF:
                yield f"{name}={settings.pop(name)!r} of {kind}"


def _recount(inner: list[Any], nodes: list[Any]) -> None:
    # In Keras 2 a network was called once when it was built.
    networks = {
        part["config"].get("name") for part in inner if "layers" in part["config"]
    }
    calls = [call for call in _calls(nodes) if call[0] in networks]
    first = {
        name: min(call[1] for call in calls if call[0] == name) for name, *_ in calls
    }
    for call in calls:
        call[1] -= first[call[0]]


def _calls(nodes: Any) -> Iterator[list[Any]]:
    """Yield ``[layer, number of its call, …]`` wherever it stands."""
    if isinstance(nodes, list) and len(nodes) > 1 and isinstance(nodes[0], str):
        yield nodes
    elif isinstance(nodes, list):
        for node in nodes:
            yield from _calls(node)


if __name__ == "__main__":
    work_apart(_import)
