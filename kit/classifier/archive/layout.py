"""How an archive is laid out: its members and their byte planes, the digest that ties them, the contract."""

import hashlib
import json
import re
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

PREFIX = "kit/"
CONTRACT = "kit/contract.json"
COMPILED = "kit/model.tflite"
FIRST_LAYERS = "kit/taps.npz"
PROPERTIES = "kit/statistics.json"
NOVELTY = "kit/novelty.npz"
GOLDEN = "kit/golden.json"
FORMAT = 1
"""Version of the contract's layout; a reader refuses a newer one."""

CHUNK = 1 << 20
"""Bytes that are read at a time."""

_PLANES = 4
# JSON of a large network is one or two megabytes, and parsed it takes some 25 times as much memory.
_MAX_JSON = 1 << 23


def digest_of(archive: zipfile.ZipFile) -> str:
    """SHA-256 over what makes up the network; the same for a plain copy and for one with members."""
    total = hashlib.sha256()
    for info in sorted(archive.infolist(), key=lambda info: info.filename):
        if info.is_dir() or info.filename == "metadata.json" or info.filename.startswith(PREFIX):
            continue
        total.update(f"{info.filename}\0{info.file_size}\0".encode())
        with archive.open(info) as stream:
            while block := stream.read(CHUNK):
                total.update(block)
    return total.hexdigest()


def split(data: bytes) -> list[bytes]:
    """Return the byte planes of a member."""
    padded = np.zeros((-(-len(data) // _PLANES), _PLANES), np.uint8)
    padded.reshape(-1)[: len(data)] = np.frombuffer(data, np.uint8)
    return [padded[:, index].tobytes() for index in range(_PLANES)]


def joined(archive: zipfile.ZipFile, name: str, size: int) -> bytes:
    """Read a member from its byte planes.

    Raises
    ------
    KeyError, zipfile.BadZipFile
        One is missing, or of another size, or JSON is larger than anybody writes.
    """
    words = -(-size // _PLANES)
    # The contract is not trusted with memory: what is there decides.
    if any(archive.getinfo(f"{name}.plane{index}").file_size != words for index in range(_PLANES)):
        raise zipfile.BadZipFile(name)
    if name.endswith(".json") and size > _MAX_JSON:
        raise zipfile.BadZipFile(name)
    padded = np.empty((words, _PLANES), np.uint8)
    for index in range(_PLANES):
        padded[:, index] = np.frombuffer(archive.read(f"{name}.plane{index}"), np.uint8)
    return padded.reshape(-1)[:size].tobytes()


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
        "temperature": ("a number from 1e-6 to 1e6", _is_temperature(contract.get("temperature", 1.0))),
        "members": (
            "sizes and digests",
            isinstance(members, dict) and all(_is_entry(entry) for entry in members.values()),
        ),
    }
    check_fields(contract, checks, file)


def check_fields(contract: Mapping[str, Any], checks: Mapping[str, tuple[str, bool]], file: str) -> None:
    """Refuse a contract by its first key that is not as expected, in words and whether it is met."""
    for key, (expected, met) in checks.items():
        if not met:
            received = repr(contract.get(key))
            shown = received if len(received) <= 60 else received[:57] + "…"
            raise ValueError(
                f"Expected {key!r} as {expected} in {CONTRACT} of {file!r}, received {shown};"
                " save the classifier anew"
            )


def _is_entry(entry: object) -> bool:
    size, digest = map(entry.get, ("size", "sha256")) if isinstance(entry, dict) else (None, None)
    return type(size) is int and size >= 0 and _is_digest(digest)


def _is_temperature(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 1e-6 < value < 1e6


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None
