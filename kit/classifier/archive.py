"""Extra members of a ``.keras`` archive: what travels with the weights and is tied to them by digest.

A ``.keras`` file is a zip that Keras reads by name, so members under ``kit/`` do not disturb it. Here they
are read and written without TensorFlow. ``kit/contract.json`` is plain JSON. Every other member is kept as
its four *byte planes*, ``kit/model.tflite.plane0`` to ``.plane3``: plane *k* holds byte *k* of every 4-byte
word. Of float32 weights only the plane with sign and exponent can be compressed; three planes are stored as
they are, which makes the member smaller than deflating the whole (84 against 92 %) and quicker to read.
"""

import hashlib
import json
import math
import os
import re
import secrets
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

PREFIX = "kit/"
CONTRACT = "kit/contract.json"
COMPILED = "kit/model.tflite"
TAPS = "kit/taps.npz"
STATISTICS = "kit/statistics.json"
NOVELTY = "kit/novelty.npz"
CARRIED = (STATISTICS, NOVELTY)
"""Members that other modules make from training or validation pictures."""
FORMAT = 1
"""Version of the contract's layout; a reader refuses a newer one."""

_PLANES = 4
_CHUNK = 1 << 20
# Fixed, so that the same network makes the same file.
_DATE = (1980, 1, 1, 0, 0, 0)
# Zip bombs: real weights are stored or hardly compressible, and JSON of a large network is a few megabytes.
_MAX_MEMBERS = 10_000
_MAX_JSON = 1 << 26
_MAX_EXPANSION = 50
_SPARE = 1 << 26


@dataclass(frozen=True, repr=False)
class Archive:
    """A ``.keras`` file that was opened and checked; nothing of it is executed.

    Parameters
    ----------
    path
        The file.
    digest
        SHA-256 over the names and contents of the members that make up the network (architecture, weights,
        assets; the date of saving is left out), 64 hexadecimal digits.
    contract
        The parsed ``kit/contract.json``, or ``None`` where there is none.
    """

    path: Path
    digest: str
    contract: Mapping[str, Any] | None = None

    @property
    def tied(self) -> bool:
        """Whether the contract was written for exactly these weights."""
        return self.contract is not None and self.contract.get("weights_sha256") == self.digest

    def config(self) -> dict[str, Any]:
        """Architecture of the network, from ``config.json``."""
        with _opened(self.path) as archive:
            return _json(archive, "config.json", self.path.name)

    def member(self, name: str) -> bytes | None:
        """Bytes of an extra member, or ``None`` where it is missing, damaged or not tied to these weights."""
        entry = self.contract["members"].get(name) if self.contract is not None and self.tied else None
        if entry is None:
            return None
        with _opened(self.path) as archive:
            try:
                data = _joined(archive, name, entry["size"])
            except (KeyError, zipfile.BadZipFile, zlib.error, EOFError):
                return None
        return data if hashlib.sha256(data).hexdigest() == entry["sha256"] else None

    def __repr__(self) -> str:
        return (
            f"Archive({self.path.name!r}, digest={self.digest[:12]!r}, contract={self.contract is not None})"
        )


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


def read(path: str | PathLike[str], *, sha256: str | None = None) -> Archive:
    """Open and check a ``.keras`` file.

    Parameters
    ----------
    path
        An existing local file.
    sha256
        SHA-256 of the whole file in hexadecimal digits, compared if given.

    Returns
    -------
    Archive
        Its ``contract`` is ``None`` for a file that plain Keras wrote.

    Raises
    ------
    FileNotFoundError, ValueError
        No ``.keras`` file, another SHA-256, a damaged archive, sizes that no network needs, or a contract
        that is not understood.
    """
    file = local_file(path)
    if sha256 is not None:
        with file.open("rb") as stream:
            received = hashlib.file_digest(stream, "sha256").hexdigest()
        if received != sha256.strip().lower():
            raise ValueError(
                f"Expected {file.name!r} with SHA-256 {sha256}, received {received}; get the file anew"
            )
    with _opened(file) as archive:
        names = set(archive.namelist())
        if "config.json" not in names or not names & {"model.weights.h5", "model.weights.npz"}:
            raise ValueError(
                f"Expected a Keras archive with config.json and model.weights.h5, received {file.name!r} with"
                f" {', '.join(sorted(names)[:4]) or 'nothing in it'}; make it with model.save('….keras')"
            )
        contract = _json(archive, CONTRACT, file.name) if CONTRACT in names else None
        if contract is not None:
            _check_contract(contract, file.name)
        return Archive(file, _digest(archive), contract)


def write(
    source: Path, target: str | PathLike[str], contract: Mapping[str, Any], members: Mapping[str, bytes]
) -> str:
    """Copy the network in ``source`` to ``target`` with a contract and members beside it.

    The file is replaced in one step: whoever reads ``target`` sees the old or the new one, and an
    interruption leaves the old one. ``source`` may be ``target``.

    Parameters
    ----------
    source
        A ``.keras`` file; its own members under ``kit/`` are not copied.
    target
        File to write.
    contract
        Values for ``kit/contract.json``; ``format``, ``weights_sha256`` and ``members`` are filled in here.
    members
        Name (``kit/…``) to content.

    Returns
    -------
    str
        The digest of the weights.
    """
    with _opened(source) as old, replacing(target) as stream, zipfile.ZipFile(stream, "w") as new:
        digest = _digest(old)
        for info in old.infolist():
            if not info.filename.startswith(PREFIX) and not info.is_dir():
                _copy(old, info, new)
        _write_members(new, digest, contract, members)
    return digest


def write_members(
    target: Path, digest: str, contract: Mapping[str, Any], members: Mapping[str, bytes]
) -> None:
    """Write a contract and members alone, for a cache: the network stays in its own file."""
    with replacing(target) as stream, zipfile.ZipFile(stream, "w") as new:
        _write_members(new, digest, contract, members)


def read_members(path: Path, digest: str) -> Archive | None:
    """Open what `write_members` wrote; ``None`` where it is missing, damaged or for other weights."""
    try:
        with _opened(path) as archive:
            contract = _json(archive, CONTRACT, path.name)
        _check_contract(contract, path.name)
    except (OSError, ValueError, KeyError):
        return None
    found = Archive(path, digest, contract)
    return found if found.tied else None


@contextmanager
def replacing(target: str | PathLike[str]) -> Iterator[Any]:
    """Write a binary file beside ``target`` that takes its place when the block ends without an exception."""
    # A link stays a link: what it points to is replaced.
    file = Path(target).resolve()
    draft = file.with_name(f".{file.name}.{secrets.token_hex(4)}.tmp")
    try:
        with draft.open("xb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        if isinstance(error, FileNotFoundError | PermissionError):
            raise
        raise ValueError(
            f"Expected a Keras archive, received {path.name!r}, which is damaged or no zip; copy it anew"
        ) from error
    with archive:
        members = archive.infolist()
        declared = sum(member.file_size for member in members)
        allowed = _MAX_EXPANSION * path.stat().st_size + _SPARE
        if len(members) > _MAX_MEMBERS or declared > allowed:
            raise ValueError(
                f"Expected at most {_MAX_MEMBERS} members of {allowed} bytes, received {path.name!r} with"
                f" {len(members)} of {declared}; such a file fills the memory and is not opened"
            )
        try:
            yield archive
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
            raise ValueError(
                f"Expected a whole Keras archive, received {path.name!r} with damaged content; copy it anew"
            ) from error


def _digest(archive: zipfile.ZipFile) -> str:
    """SHA-256 over what makes up the network; the same for a plain copy and for one with members."""
    total = hashlib.sha256()
    for info in sorted(archive.infolist(), key=lambda info: info.filename):
        if info.is_dir() or info.filename == "metadata.json" or info.filename.startswith(PREFIX):
            continue
        total.update(f"{info.filename}\0{info.file_size}\0".encode())
        with archive.open(info) as stream:
            while block := stream.read(_CHUNK):
                total.update(block)
    return total.hexdigest()


def _json(archive: zipfile.ZipFile, name: str, file: str) -> dict[str, Any]:
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


def _check_contract(contract: Mapping[str, Any], file: str) -> None:
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


def _copy(old: zipfile.ZipFile, info: zipfile.ZipInfo, new: zipfile.ZipFile) -> None:
    entry = zipfile.ZipInfo(info.filename, _DATE)
    entry.compress_type = info.compress_type
    with old.open(info) as source, new.open(entry, "w", force_zip64=info.file_size >= 1 << 31) as target:
        while block := source.read(_CHUNK):
            target.write(block)


def _write_members(
    new: zipfile.ZipFile, digest: str, contract: Mapping[str, Any], members: Mapping[str, bytes]
) -> None:
    entries = {
        name: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for name, data in members.items()
    }
    complete = {"format": FORMAT, "weights_sha256": digest, **contract, "members": entries}
    text = json.dumps(complete, indent=1, ensure_ascii=False)
    new.writestr(zipfile.ZipInfo(CONTRACT, _DATE), text.encode(), zipfile.ZIP_DEFLATED, 9)
    for name, data in members.items():
        for index, plane in enumerate(_split(data)):
            # Deflating what is random costs time at every load and saves nothing.
            packs = len(zlib.compress(plane, 1)) < 0.9 * len(plane)
            method = zipfile.ZIP_DEFLATED if packs else zipfile.ZIP_STORED
            new.writestr(zipfile.ZipInfo(f"{name}.plane{index}", _DATE), plane, method, 9)


def _split(data: bytes) -> list[bytes]:
    padded = np.zeros((-(-len(data) // _PLANES), _PLANES), np.uint8)
    padded.reshape(-1)[: len(data)] = np.frombuffer(data, np.uint8)
    return [padded[:, index].tobytes() for index in range(_PLANES)]


def _joined(archive: zipfile.ZipFile, name: str, size: int) -> bytes:
    words = -(-size // _PLANES)
    # The contract is not trusted with memory: what is there decides.
    if any(archive.getinfo(f"{name}.plane{index}").file_size != words for index in range(_PLANES)):
        raise zipfile.BadZipFile(name)
    padded = np.empty((words, _PLANES), np.uint8)
    for index in range(_PLANES):
        padded[:, index] = np.frombuffer(archive.read(f"{name}.plane{index}"), np.uint8)
    return padded.reshape(-1)[:size].tobytes()
