"""Reading and writing ``.keras`` files, which are zip archives."""

import glob
import hashlib
import io
import json
import os
import re
import secrets
import stat
import sys
import zipfile
import zlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from math import prod
from os import PathLike
from pathlib import Path
from shlex import quote
from shutil import copyfileobj
from types import MappingProxyType
from typing import Any

import numpy as np

from kit._arrays import Array
from kit._checking import first_line, told

_FUNCTIONS = ("activations", "constraints", "initializers", "losses", "metrics", "ops", "regularizers")
"""Modules of Keras whose functions compute on tensors alone; others set options, or read files."""


class CodeError(ValueError):
    """An architecture that would have more run than its layers."""


def serialized(config: Any) -> Iterator[Mapping[str, Any]]:
    """Yield each part of a configuration that Keras makes an object or a function of.

    What the whole was trained with, a loss for one, is left out, since nothing is opened for training.
    """
    pending: list[Any] = [config]
    if isinstance(config, Mapping):
        pending = [{key: part for key, part in config.items() if key != "compile_config"}]
    while pending:
        value = pending.pop()
        if isinstance(value, Mapping):
            if "class_name" in value:
                yield value
            pending.extend(value.values())
        elif isinstance(value, list):
            pending.extend(value)


def refuse_code(config: Any, name: str, kinds: Collection[str] = ()) -> None:
    """Refuse layers of some kinds, and functions of Keras that do more than compute on tensors.

    Keras itself would call each function that an architecture names, with the arguments that stand there.

    Raises
    ------
    CodeError
        There is one.
    """
    for part in serialized(config):
        kind, home = told(str(part["class_name"]))[:60], told(str(part.get("module")))[:60]
        if kind in kinds:
            raise CodeError(
                f"Expected a network without code in its file, received {name!r} with a {kind} layer; build"
                " the network in Python, use load_weights, and save it as .keras"
            )
        root = home.removeprefix("keras.").removeprefix("src.").partition(".")[0]
        # Keras takes a function where it is named like a class, too; those of applications look like classes.
        called = told(str(part.get("config")))[:60] if kind == "function" else kind
        is_class = called[:1].isupper() and kind != "function" and root != "applications"
        if home.partition(".")[0] == "keras" and not is_class and root not in _FUNCTIONS:
            raise CodeError(
                f"Expected a network without code in its file, received {name!r} with the function"
                f" {called!r} of {home}; build the network without it, and save that"
            )


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


# Zip bombs: real weights are stored or hardly compressible.
_MAX_MEMBERS = 10_000
_MAX_EXPANSION = 50
_SPARE = 1 << 26
# `zipfile` reads the table of contents in one piece, and takes ten times its size; all else in small ones.
_MAX_READ = 1 << 22
# Keras writes no others; what unpacks another kind raises what it likes, and takes what memory it likes.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 0x1


class _Bounded(io.FileIO):
    """A file of which not more than `most` bytes are read at once, else a ValueError is raised."""

    most = _MAX_READ

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > self.most:
            raise ValueError(f"Expected at most {self.most} bytes at once, received {size}")
        return super().read(size)


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
    refused
        Extra members that are not to be used, by name, with the reason in a few words.
    """

    path: Path
    digest: str
    contract: Mapping[str, Any] | None = None
    refused: Mapping[str, str] = field(default_factory=dict)

    @property
    def tied(self) -> bool:
        """Whether the contract was written for exactly these weights."""
        return self.contract is not None and self.contract.get("weights_sha256") == self.digest

    def config(self) -> dict[str, Any]:
        """Architecture of the network, from ``config.json``."""
        with opened(self.path) as archive:
            return json_of(archive, "config.json", self.path.name)

    def member(self, name: str) -> bytes | None:
        """Bytes of an extra member, or ``None`` where it is missing, damaged, refused or of other weights."""
        entry = self.contract["members"].get(name) if self.contract is not None and self.tied else None
        if entry is None or name in self.refused:
            return None
        with opened(self.path) as archive:
            try:
                data = joined(archive, name, entry["size"])
            except (KeyError, zipfile.BadZipFile, zlib.error, EOFError):
                return None
        return data if hashlib.sha256(data).hexdigest() == entry["sha256"] else None

    def __repr__(self) -> str:
        name, digest, stated = self.path.name, self.digest[:12], self.contract is not None
        return f"Archive({name!r}, {digest=!r}, contract={stated})"


def _local_file(path: str | PathLike[str]) -> Path:
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
            f"Expected a .keras file, received {file.name!r} in HDF5, the format of older versions of Keras;"
            f" convert it: python -m kit import {quote(told(file.name))} NEW.keras"
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
    file = _local_file(path)
    if sha256 is not None:
        with file.open("rb") as stream:
            received = hashlib.file_digest(stream, "sha256").hexdigest()
        if received != sha256.strip().lower():
            raise ValueError(
                f"Expected {file.name!r} with SHA-256 {sha256}, received {received}; get the file anew"
            )
    with opened(file) as archive:
        names = set(archive.namelist())
        if "config.json" not in names or not names & {"model.weights.h5", "model.weights.npz"}:
            raise ValueError(
                f"Expected a Keras archive with config.json and model.weights.h5, received {file.name!r} with"
                f" {told(', '.join(sorted(names)[:4]))[:100] or 'nothing in it'}; make it with"
                " model.save('….keras')"
            )
        contract = json_of(archive, CONTRACT, file.name) if CONTRACT in names else None
        if contract is not None:
            check_contract(contract, file.name)
        return Archive(file, digest_of(archive), contract)


def read_members(path: Path, digest: str) -> Archive | None:
    """Open what `write_members` wrote; ``None`` where it is missing, damaged or for other weights."""
    try:
        with opened(path) as archive:
            contract = json_of(archive, CONTRACT, path.name)
        check_contract(contract, path.name)
    except (OSError, ValueError, KeyError):
        return None
    found = Archive(path, digest, contract)
    return found if found.tied else None


@contextmanager
def opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a zip that is whole and unpacks to a sensible size; also tell of damage that the block meets."""
    with _Bounded(path) as stream:
        try:
            archive = zipfile.ZipFile(stream)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise ValueError(
                f"Expected a Keras archive, received {path.name!r}, which is damaged or no zip; copy it anew"
            ) from error
        stream.most = sys.maxsize
        with archive:
            _check_members(archive.infolist(), path)
            try:
                yield archive
            except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
                raise ValueError(
                    f"Expected a whole Keras archive, received {path.name!r} with damaged content;"
                    " copy it anew"
                ) from error


def _check_members(members: Sequence[zipfile.ZipInfo], path: Path) -> None:
    declared = sum(member.file_size for member in members)
    allowed = _MAX_EXPANSION * path.stat().st_size + _SPARE
    if len(members) > _MAX_MEMBERS or declared > allowed:
        raise ValueError(
            f"Expected at most {_MAX_MEMBERS} members of {allowed} bytes, received {path.name!r} with"
            f" {len(members)} of {declared}; such a file fills the memory and is not opened"
        )
    flaws, seen = [], set()
    for member in members:
        name = f"{told(member.filename)[:60]!r}"
        if member.flag_bits & _ENCRYPTED:
            flaws.append(f"{name} encrypted")
        elif member.compress_type not in _METHODS:
            flaws.append(f"{name} compressed in another way")
        elif member.filename.rstrip("/") in seen:
            flaws.append(f"{name} twice")
        seen.add(member.filename.rstrip("/"))
    if flaws:
        raise ValueError(
            f"Expected members of different names that are stored or deflated, received {path.name!r} with"
            f" {flaws[0]}; make it with model.save('….keras')"
        )


# Weights hardly shrink; more than this many times the size of the file is no network.
_MAX_EXPANSION_arrays = 8
_SPARE_arrays = 1 << 24


def arrays_in(data: bytes) -> dict[str, Array]:
    """Return the arrays of an ``.npz`` file, as ``numpy.savez`` writes it, by name.

    Raises
    ------
    ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile
        Something else, compressed arrays, or one that declares more values than are there.
    """
    found = {}
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        for info in file.infolist():
            if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1 or info.file_size > len(data):
                raise ValueError(f"{info.filename[:60]} is not stored as it is")
            content = file.read(info)
            head = io.BytesIO(content)
            version = np.lib.format.read_magic(head)
            if version != (1, 0):
                raise ValueError(f"{info.filename[:60]} is of another version")
            shape, _, kind = np.lib.format.read_array_header_1_0(head)
            if kind.hasobject or prod(shape) * kind.itemsize > len(content):
                raise ValueError(f"{info.filename[:60]} declares more than it holds")
            array = np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
            found[info.filename.removesuffix(".npy")] = array
    return found


def weights_in(path: Path) -> Mapping[str, tuple[Array, ...]]:
    """Return the arrays of every layer of a ``.keras`` file, by the layer's name, in Keras's order.

    The optimizer's are under ``"optimizer"``. Links out of the file and data kept elsewhere are not followed.

    Parameters
    ----------
    path
        A ``.keras`` file that `kit.classifier.store.read` has checked.

    Returns
    -------
    mapping
        Empty where the weights are not in HDF5.

    Raises
    ------
    ValueError
        Weights that are no HDF5, damaged, or declared larger than their file can hold.
    """
    import h5py  # noqa: PLC0415 (not needed to predict)

    with opened(path) as archive:
        if "model.weights.h5" not in archive.namelist():
            return {}
        content = archive.read("model.weights.h5")
    groups: dict[str, dict[str, Array]] = {}
    names: dict[str, str] = {}
    left = _MAX_EXPANSION_arrays * len(content) + _SPARE_arrays

    def keep(place: str, data: Any) -> None:
        nonlocal left
        if h5py.h5o.get_info(data.id).rc > 1:
            raise ValueError(f"{told(place)[:60]!r} under several names, of which Keras may read another")
        layer, kind, key = f"//{place}".rsplit("/", 3)[-3:]
        usable = isinstance(data, h5py.Dataset) and not data.external and not data.is_virtual
        if kind != "vars" or not usable or data.size is None:
            return
        if data.dtype.kind not in "biuf":
            raise ValueError(f"values of the kind {data.dtype.name}, which have no fixed size")
        name = data.parent.attrs.get("name", layer)
        left -= data.nbytes + len(str(name))
        if left < 0:
            raise ValueError("it declares more values than it holds")
        # The group of the optimizer bears the name of its kind.
        names[data.parent.name] = name if isinstance(name, str) and layer != "optimizer" else layer
        groups.setdefault(data.parent.name, {})[key] = np.asarray(data)

    try:
        with h5py.File(io.BytesIO(content), "r") as file:
            # Links are not visited.
            file.visititems(keep)
    # What HDF5 meets in a damaged file reaches Python under many names.
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, MemoryError, OverflowError) as error:
        raise ValueError(
            f"Expected the weights in {path.name!r} as Keras writes them, received others:"
            f" {first_line(error)[:200]}; copy the file anew"
        ) from error
    return MappingProxyType(_by_layer(names, groups))


def _by_layer(
    names: Mapping[str, str], groups: Mapping[str, Mapping[str, Array]]
) -> dict[str, tuple[Array, ...]]:
    given = Counter(names.values())  # which of two layers of one name is meant, is not to be told
    return {
        names[group]: tuple(arrays[key] for key in sorted(arrays, key=lambda text: (len(text), text)))
        for group, arrays in groups.items()
        if given[names[group]] == 1
    }


Members = Mapping[str, bytes | None]

# Fixed, so that the same network makes the same file.
_DATE = (1980, 1, 1, 0, 0, 0)


def write(
    source: Path, target: str | PathLike[str], contract: Mapping[str, Any], members: Members
) -> Archive:
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
        Name (``kit/…``) to content; None for one that is left out.

    Returns
    -------
    Archive
        What was written, as `kit.classifier.store.read` finds it if nobody replaces it.
    """
    with opened(source) as old, replacing(target) as stream, zipfile.ZipFile(stream, "w") as new:
        digest = digest_of(old)
        for info in old.infolist():
            if not info.filename.startswith(PREFIX) and not info.is_dir():
                _copy(old, info, new)
        complete = _write_members(new, digest, contract, members)
    return Archive(Path(target), digest, complete)


def write_members(target: Path, digest: str, contract: Mapping[str, Any], members: Members) -> Archive:
    """Write a contract and members alone, for a cache of one user: the network stays in its own file."""
    with replacing(target, private=True) as stream, zipfile.ZipFile(stream, "w") as new:
        complete = _write_members(new, digest, contract, members)
    return Archive(target, digest, complete)


@contextmanager
def replacing(target: str | PathLike[str], *, private: bool = False) -> Iterator[Any]:
    """Write a binary file beside ``target`` that takes its place when the block ends without an exception.

    Drafts of the same file that killed processes left behind are removed.

    Parameters
    ----------
    target
        File to write; of a link, what it points to.
    private
        Whether only its owner may read it. A link is then replaced itself.

    Raises
    ------
    OSError
        In one line, of the kind that the system raised: a full disk, a folder that cannot be written to.
    """
    file = Path(target) if private else Path(target).resolve()
    draft = file.with_name(f".{file.name}.{secrets.token_hex(4)}.tmp")
    mode = 0o600 if private else 0o666
    try:
        _clear_drafts(file)
        with open(draft, "xb", opener=lambda path, flags: os.open(path, flags, mode)) as stream:
            with suppress(OSError):  # not every network folder has locks
                _lock(stream)
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(file)
        flush_folder(file.parent)
    except OSError as error:
        reason = error.strerror or str(error).partition("\n")[0]
        told = type(error)(
            f"Expected to write {file.name!r}, received: {reason}; nothing was changed, so free space or"
            " choose another folder"
        )
        told.errno = error.errno
        raise told from error
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


def flush_folder(folder: Path) -> None:
    """See to it that the new name outlives a loss of power; not every system has it."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _clear_drafts(file: Path) -> None:
    """Remove drafts that nobody writes any more: their locks went with the processes."""
    for draft in file.parent.glob(f".{glob.escape(file.name)}.{'[0-9a-f]' * 8}.tmp"):
        with suppress(OSError):
            if stat.S_ISREG(draft.lstat().st_mode):
                with draft.open("rb") as stream:
                    _lock(stream)
                draft.unlink()


def _lock(stream: Any) -> None:
    """Hold a file until it is closed; BlockingIOError where another process does.

    Where there is no such lock, as on Windows, the system lets nobody remove an open file.
    """
    with suppress(ImportError):
        import fcntl  # noqa: PLC0415 (not on every system)

        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _copy(old: zipfile.ZipFile, info: zipfile.ZipInfo, new: zipfile.ZipFile) -> None:
    entry = zipfile.ZipInfo(info.filename, _DATE)
    entry.compress_type = info.compress_type
    with old.open(info) as source, new.open(entry, "w", force_zip64=info.file_size >= 1 << 31) as target:
        copyfileobj(source, target, CHUNK)


def _write_members(
    new: zipfile.ZipFile, digest: str, contract: Mapping[str, Any], members: Members
) -> dict[str, Any]:
    there = {name: data for name, data in members.items() if data is not None}
    entries = {
        name: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in there.items()
    }
    complete = {"format": FORMAT, "weights_sha256": digest, **contract, "members": entries}
    text = json.dumps(complete, indent=1, ensure_ascii=False)
    new.writestr(zipfile.ZipInfo(CONTRACT, _DATE), text.encode(), zipfile.ZIP_DEFLATED, 9)
    for name, data in there.items():
        for index, plane in enumerate(split(data)):
            # Deflating what is random costs time at every load and saves nothing.
            packs = len(zlib.compress(plane, 1)) < 0.9 * len(plane)
            method = zipfile.ZIP_DEFLATED if packs else zipfile.ZIP_STORED
            new.writestr(zipfile.ZipInfo(f"{name}.plane{index}", _DATE), plane, method, 9)
    return complete
