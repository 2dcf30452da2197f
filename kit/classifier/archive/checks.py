"""What must hold before anything of a ``.keras`` file is used: a local file, and a contract that is sound."""

import json
import math
import os
import re
import zipfile
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from kit.classifier.archive.layout import CONTRACT, FORMAT

# JSON of a large network is a few megabytes.
_MAX_JSON = 1 << 26


def local_file(path: str | PathLike[str]) -> Path:
    """Return ``path`` if it names an existing local ``.keras`` file.

    Raises
    ------
    FileNotFoundError
        Nothing is there.
    ValueError
        Something else is there; the message says how to convert it.
    """
    file = Path(path)
    if file.is_dir() and not (file / "saved_model.pb").exists():
        raise ValueError(f"Expected a .keras file, received the folder {file.name!r}; name a file in it")
    if file.is_dir():
        raise ValueError(
            f"Expected a .keras file, received the folder {file.name!r}; a SavedModel has no Keras layers any"
            " more: build the network in code, load its weights and use model.save('….keras')"
        )
    if not file.is_file():
        raise FileNotFoundError(
            f"Expected an existing local .keras file, received {os.fspath(path)!r}; check the path"
        )
    with file.open("rb") as stream:
        start = stream.read(8)
    if file.name.endswith(".weights.h5"):
        raise ValueError(
            f"Expected a .keras file, received {file.name!r}, which holds weights without a network; build"
            " the network in code, call load_weights and then save('….keras')"
        )
    if file.suffix.lower() in {".h5", ".hdf5"} or start == b"\x89HDF\r\n\x1a\n":
        raise ValueError(
            f"Expected a .keras file, received {file.name!r} in HDF5, a format that can run code when opened;"
            " only if you trust it, convert it:"
            f" keras.models.load_model({file.name!r}, compile=False).save('….keras')"
        )
    if file.suffix != ".keras":
        raise ValueError(
            f"Expected a file named ….keras, received {file.name!r}; make it with model.save('….keras')"
        )
    return file


def json_of(archive: zipfile.ZipFile, name: str, file: str) -> dict[str, Any]:
    """Return a JSON object from an archive; `file` is named in errors."""
    size = archive.getinfo(name).file_size
    if size > _MAX_JSON:
        raise ValueError(
            f"Expected at most {_MAX_JSON} bytes of {name} in {file!r}, received {size}; save it anew"
        )
    try:
        value = json.loads(archive.read(name))
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"Expected JSON in {name} of {file!r}, received something else; save the file anew"
        ) from error
    if not isinstance(value, dict):
        raise ValueError(  # noqa: TRY004 (the content is wrong, not an argument's type)
            f"Expected an object in {name} of {file!r}, received {type(value).__name__}; save the file anew"
        )
    return value


def check_contract(contract: Mapping[str, Any], file: str) -> None:
    """Check the types of what every reader of a contract relies on."""
    names, members = contract.get("class_names"), contract.get("members")
    checks = {
        "format": (f"{FORMAT}", contract.get("format") == FORMAT),
        "name": ("a text", isinstance(contract.get("name"), str)),
        "weights_sha256": ("a digest", _is_digest(contract.get("weights_sha256"))),
        "class_names": ("texts", isinstance(names, list) and all(isinstance(name, str) for name in names)),
        "preprocessing": ("an object or null", isinstance(contract.get("preprocessing"), dict | None)),
        "temperature": ("a number above 0", _is_temperature(contract.get("temperature", 1.0))),
        "members": (
            "sizes and digests",
            isinstance(members, dict) and all(_is_entry(entry) for entry in members.values()),
        ),
    }
    for key, (expected, met) in checks.items():
        if not met:
            received = json.dumps(contract.get(key))
            shown = received if len(received) <= 60 else received[:57] + "…"
            raise ValueError(
                f"Expected {key!r} as {expected} in {CONTRACT} of {file!r}, received {shown};"
                " save the classifier anew"
            )


def _is_entry(entry: object) -> bool:
    return (
        isinstance(entry, dict)
        and type(entry.get("size")) is int
        and entry["size"] >= 0
        and _is_digest(entry.get("sha256"))
    )


def _is_temperature(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < math.inf


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None
