"""Making a ``.keras`` file of an ``.h5`` file, which older versions of Keras and Teachable Machine write."""

import json
import shutil
import sys
from collections.abc import Iterator, Mapping
from inspect import signature
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from kit._checking import told
from kit.classifier.child import answer, ask
from kit.classifier.keras_models import import_keras, opened_safely, refuse_code

SECONDS = 600
"""Longest time that it may take."""
_NEW = "new.keras"
_CODE = ("Lambda", "__lambda__", "TFOpLambda", "SlicingOpLambda", "TFSMLayer")
"""Layers whose code is in the file, or elsewhere on the disk."""
_HARMLESS = ("fused", "implementation")
"""Arguments of Keras 2 that changed how fast a layer ran, and not what it did."""
_OFF = ("null", "false", "1", "[1, 1]")
"""Values that leave an argument without effect, as JSON, since in Python True is 1."""


def import_h5(old: str | PathLike[str], new: str | PathLike[str]) -> tuple[str, ...]:
    """Convert an ``.h5`` file with architecture and weights to ``.keras``.

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
        raise FileNotFoundError(f"Expected an existing local .h5 file, received {str(old)!r}; check the path")
    if target.suffix != ".keras" or target.exists() or not target.resolve().parent.is_dir():
        raise ValueError(f"Expected a new file ….keras in a folder that is there, received {str(new)!r}")
    with TemporaryDirectory(dir=target.resolve().parent) as name:
        folder = Path(name)
        copy = folder / told(source.name)
        shutil.copyfile(source, copy)
        keras = sys.modules.get("keras")
        if keras is not None and keras.saving.get_custom_objects():  # whose code is here and nowhere else
            found = _import(copy, folder)
        else:
            words = f"Importing {source.name!r}"
            found = ask("kit.classifier.importing", copy, folder, words, seconds=SECONDS)
        (folder / _NEW).replace(target)
    return tuple(found["left_out"])


def _import(file: Path, folder: Path) -> Mapping[str, Any]:
    """Repair a copy and save what Keras makes of it; in the process that `import_h5` starts."""
    import h5py

    try:
        with h5py.File(file) as opened:
            config = json.loads(opened.attrs["model_config"])
        left_out = tuple(dict.fromkeys(_repaired(config, import_keras().layers)))
    except (OSError, KeyError, ValueError, TypeError, RecursionError) as error:
        received = f"{file.name!r} without an architecture; build the network and load its weights"
        raise ValueError(f"Expected an .h5 file that model.save wrote, received {received}") from error
    refuse_code(config, file.name, _CODE)
    with h5py.File(file, "r+") as opened:
        opened.attrs["model_config"] = json.dumps(config)
    opened_safely(file, file.name).save(folder / _NEW)
    return {"left_out": left_out}


def _repaired(config: Any, layers: Any) -> Iterator[str]:
    """Repair a configuration in place, and yield what is left out."""
    for part in config.values() if isinstance(config, dict) else config if isinstance(config, list) else ():
        yield from _repaired(part, layers)
    settings = config.get("config") if isinstance(config, dict) else None
    if not isinstance(settings, dict):
        return
    for name in ("input_layers", "output_layers"):
        # One tensor in a list is handed on as a list, which the layer behind a nested network does not take.
        if isinstance(ends := settings.get(name), list) and len(ends) == 1 and isinstance(ends[0], list):
            settings[name] = ends[0]
    known = getattr(layers, kind := str(config.get("class_name")), None)
    kinds = known.__mro__ if isinstance(known, type) else ()
    taken = {name for base in kinds for name in signature(base.__init__).parameters}  # type: ignore[misc]
    for name in [name for name in settings if kinds and name not in taken]:
        if name in _HARMLESS or json.dumps(settings[name]) in _OFF:
            yield f"{name}={settings.pop(name)!r} of {kind}"


if __name__ == "__main__":
    answer(_import)
