"""Reading and writing ``.keras`` files, which are zip archives."""

import hashlib
import io
import json
import os
import secrets
import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from shlex import quote
from shutil import copyfileobj
from typing import Any

import numpy as np

from kit._arrays import Array
from kit._checking import first_line, told
from kit.classifier.statistics import STATISTICS, packed, statistics_in

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
    """Raise a CodeError for layers of some kinds, and for functions that do more than compute on tensors.

    Keras itself would call each function that an architecture names, with the arguments that stand there.
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
FORMAT = 2
"""Version of the layout; files of the first are read, those of a later one are refused."""

_CHUNK = 1 << 20
# JSON of a large network is one or two megabytes, and parsed it takes some 25 times as much memory.
_MAX_JSON = 1 << 23
# Zip bombs: real weights are stored or hardly compressible.
_MAX_MEMBERS = 10_000
_MAX_EXPANSION = 50
_SPARE = 1 << 26
# Keras writes no others; what unpacks another kind raises what it likes, and takes what memory it likes.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 0x1
# Fixed, so that the same network makes the same file.
_DATE = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, repr=False, eq=False)
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
    statistics
        Arrays of ``kit/statistics.npz``: what is known of the training images.
    flaw
        Why these are not used, in words; empty where nothing is wrong.
    """

    path: Path
    digest: str
    contract: Mapping[str, Any] | None = None
    statistics: Mapping[str, Array] = field(default_factory=dict)
    flaw: str = ""

    def config(self) -> dict[str, Any]:
        """Architecture of the network, from ``config.json``."""
        with opened(self.path) as archive:
            return _json(archive, "config.json", self.path.name)

    def __repr__(self) -> str:
        return f"Archive({self.path.name!r}, digest={self.digest[:12]!r}, contract={bool(self.contract)})"


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
                f"Expected config.json and model.weights.h5 in a Keras archive, received {file.name!r} with"
                f" {told(', '.join(sorted(names)))[:100] or 'nothing'}; make it with model.save('….keras')"
            )
        digest = _digest_of(archive)
        if CONTRACT not in names:
            return Archive(file, digest)
        contract = _json(archive, CONTRACT, file.name)
        _check_contract(contract, file.name)
        if contract.get("weights_sha256") != digest:
            return Archive(file, digest, contract, flaw="belongs to other weights")
        try:
            return Archive(file, digest, contract, statistics_in(archive, contract))
        except ValueError as error:
            return Archive(file, digest, contract, flaw=first_line(error))


def unchanged(given: Archive) -> Archive:
    """Return a file that was opened before; FileNotFoundError or ValueError if its network is another."""
    if read(given.path).digest != given.digest:
        raise ValueError(
            f"Expected the network in {given.path.name!r} as it was loaded, received another; load it again"
        )
    return given


def _local_file(path: str | PathLike[str]) -> Path:
    file = Path(path)
    if not file.exists():
        raise FileNotFoundError(
            f"Expected an existing local .keras file, received {os.fspath(path)!r}; check the path"
        )
    hdf5 = file.suffix.lower() in {".h5", ".hdf5"}
    if file.is_file() and not hdf5:
        with file.open("rb") as stream:
            hdf5 = stream.read(8) == b"\x89HDF\r\n\x1a\n"
        if file.suffix == ".keras" and not hdf5:
            return file
    received, advice = repr(file.name), "make it with model.save('….keras')"
    if file.is_dir():
        received, advice = f"the folder {file.name!r}", f"name a file in it, or {advice} of a SavedModel"
    elif file.name.endswith(".weights.h5"):
        received, advice = f"weights alone in {file.name!r}", f"build the network, load them, and {advice}"
    elif hdf5:
        received += " in HDF5, the format of older versions of Keras"
        advice = f"convert it: python -m kit import {quote(told(file.name))} NEW.keras"
    raise ValueError(f"Expected a .keras file, received {received}; {advice}")


def _digest_of(archive: zipfile.ZipFile) -> str:
    """Return the same for a plain copy and for one with the kit's members."""
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
    value: Any = None
    if archive.getinfo(name).file_size <= _MAX_JSON:
        with suppress(ValueError, RecursionError):
            value = json.loads(archive.read(name))
    if not isinstance(value, dict):
        raise ValueError(  # noqa: TRY004 (the content is wrong, not an argument's type)
            f"Expected an object of at most {_MAX_JSON} bytes in {name} of {file!r}, received something else;"
            " save the file anew"
        )
    return value


def _check_contract(contract: Mapping[str, Any], file: str) -> None:
    """Refuse what no version of the kit wrote."""
    names, temperature = contract.get("class_names"), contract.get("temperature", 1.0)
    number = isinstance(temperature, int | float) and not isinstance(temperature, bool)
    sound = {
        "format": contract.get("format") in (1, FORMAT),
        "name": isinstance(contract.get("name"), str),
        "class_names": isinstance(names, list) and all(isinstance(name, str) for name in names),
        "temperature": number and 1e-6 < temperature < 1e6,
        "preprocessing": isinstance(contract.get("preprocessing"), dict | None),
    }
    for key in [key for key, met in sound.items() if not met]:
        raise ValueError(
            f"Expected {key!r} in {CONTRACT} of {file!r} as this version of the kit writes it, received"
            f" {told(repr(contract.get(key)))[:60]}; save the classifier anew"
        )


@contextmanager
def opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a zip that is whole and unpacks to a sensible size; also tell of damage that the block meets."""
    damaged = ValueError(
        f"Expected a Keras archive, received {path.name!r}, which is damaged or no zip; copy it anew"
    )
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise damaged from error
    with archive:
        try:
            _check_members(archive.infolist(), path)
            yield archive
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
            raise damaged from error


def _check_members(members: Sequence[zipfile.ZipInfo], path: Path) -> None:
    declared = sum(member.file_size for member in members)
    allowed = _MAX_EXPANSION * path.stat().st_size + _SPARE
    if len(members) > _MAX_MEMBERS or declared > allowed:
        raise ValueError(
            f"Expected at most {_MAX_MEMBERS} members of {allowed} bytes, received {path.name!r} with"
            f" {len(members)} of {declared}; such a file fills the memory and is not opened"
        )
    if any(member.compress_type not in _METHODS or member.flag_bits & _ENCRYPTED for member in members):
        raise zipfile.BadZipFile


# Weights hardly shrink; more than this many times the size of the file is no network.
_MOST_TIMES = 8
_SPARE_WEIGHTS = 1 << 24


def weights_in(path: Path) -> Mapping[str, tuple[Array, ...]]:
    """Return the arrays of every layer of a checked ``.keras`` file, by the layer's name, in Keras's order.

    The optimizer's are under ``"optimizer"``; empty where the weights are not in HDF5. Links out of the file
    and data kept elsewhere are not followed.

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
    found: dict[str, dict[tuple[str, str], Array]] = {}
    left = _MOST_TIMES * len(content) + _SPARE_WEIGHTS

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
        # The group of the optimizer bears the name of its kind.
        name = layer if layer == "optimizer" else str(data.parent.attrs.get("name", layer))
        left -= data.nbytes + len(name)
        if left < 0:
            raise ValueError("it declares more values than it holds")
        found.setdefault(name, {})[data.parent.name, key] = np.asarray(data)

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
    return {
        name: tuple(arrays[place] for place in sorted(arrays, key=lambda place: (len(place[1]), place[1])))
        for name, arrays in found.items()
        if len({group for group, _ in arrays}) == 1  # which of two layers of one name is meant, nobody knows
    }


def write(
    source: Path,
    target: str | PathLike[str],
    contract: Mapping[str, Any],
    statistics: Mapping[str, Array] | None = None,
) -> Archive:
    """Copy the network in ``source`` to ``target`` with a contract and statistics beside it, in one step.

    Parameters
    ----------
    source
        A ``.keras`` file, also ``target`` itself; its own members under ``kit/`` are not copied.
    target
        File to write.
    contract
        Values for ``kit/contract.json``; format and digests are filled in here.
    statistics
        Arrays of numbers for ``kit/statistics.npz``.
    """
    data = packed(statistics) if statistics else b""
    with opened(source) as old, replacing(target) as stream, zipfile.ZipFile(stream, "w") as new:
        digest = _digest_of(old)
        for info in old.infolist():
            if not info.filename.startswith(PREFIX) and not info.is_dir():
                _copy(old, info, new)
        complete = {"format": FORMAT, "weights_sha256": digest, **contract}
        if data:
            complete["statistics_sha256"] = hashlib.sha256(data).hexdigest()
            new.writestr(zipfile.ZipInfo(STATISTICS, _DATE), data, zipfile.ZIP_DEFLATED)
        text = json.dumps(complete, indent=1, ensure_ascii=False)
        new.writestr(zipfile.ZipInfo(CONTRACT, _DATE), text.encode(), zipfile.ZIP_DEFLATED)
    return Archive(Path(target), digest, complete, statistics or {})


def _copy(old: zipfile.ZipFile, info: zipfile.ZipInfo, new: zipfile.ZipFile) -> None:
    entry = zipfile.ZipInfo(info.filename, _DATE)
    entry.compress_type = info.compress_type
    with old.open(info) as source, new.open(entry, "w", force_zip64=info.file_size >= 1 << 31) as target:
        copyfileobj(source, target, _CHUNK)


@contextmanager
def replacing(target: str | PathLike[str]) -> Iterator[Any]:
    """Write a binary file beside ``target`` that takes its place when the block ends without an exception.

    A link stays, and what it points to is replaced. OSError in one line where the system refuses.
    """
    file = Path(target).resolve()
    draft = file.with_name(f".{file.name}.{secrets.token_hex(4)}.tmp")
    try:
        with draft.open("xb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(file)
    except OSError as error:
        reason = error.strerror or str(error).partition("\n")[0]
        shown = type(error)(
            f"Expected to write {file.name!r}, received: {reason}; nothing was changed, so free space or"
            " choose another folder"
        )
        shown.errno = error.errno
        raise shown from error
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
