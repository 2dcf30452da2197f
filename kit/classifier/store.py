"""Reading and writing model files: ``.keras``, which are zip archives, ``.tflite`` and ``.onnx``."""

import hashlib
import io
import json
import os
import re
import secrets
import shutil
import time
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from kit._arrays import AnyPath, Arrays, JSONObject
from kit._checking import first_line
from kit.classifier.engines import is_lite
from kit.classifier.metadata import names_in
from kit.preprocessing import Preprocessing

PREFIX = "kit/"
CONTRACT = "kit/contract.json"
FORMAT = 2
"""Version of the layout; of files of the first the statistics are not read, later ones are refused."""

STATISTICS = "kit/statistics.npz"
Parts = dict[str, Arrays]
"""Arrays by part and name; in the file, by ``part/name``."""
FIRST_LAYERS = "first_layers"
"""The part of the statistics that is compiled, as the network of its file is."""
_WEIGHTS = {"model.weights.h5", "model.weights.npz"}

SHIPPED = (".tflite", ".onnx")
"""Formats of networks that are run as they are."""
_SAVED_MODEL = "saved_model.pb"
_POINTER = b"version https://git-lfs"
_HDF5 = b"\x89HDF"
_CHUNK = 1 << 20
_MAX_SHIPPED = 1 << 31
# JSON of a large network is one or two megabytes, and parsed it takes some 25 times as much memory.
_MAX_JSON = {CONTRACT: 1 << 20, "config.json": 1 << 23}
MOST_BYTES = 1 << 27
# Zip bombs: real weights are stored or hardly compressible.
_MAX_MEMBERS = 10_000
_MOST_TIMES = 50
_SPARE = 1 << 24
# Keras writes no others; what unpacks another kind raises what it likes, and takes what memory it likes.
# The lowest of the bits of a member is set where it is encrypted.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
WEIGHTS_ALONE = (
    "it has weights alone: where the network is built, model.load_weights('OLD.weights.h5'); "
    "model.save('model.keras')"
)
_ADVICE = "make it with model.save('….keras')"
_EXPORT = (
    "nothing here runs it: export where the model is built, model.eval(); "
    "torch.onnx.export(model, torch.zeros(1, 3, height, width), 'model.onnx', external_data=False)"
)
_CONVERSIONS = {
    ".weights.h5": WEIGHTS_ALONE,
    **dict.fromkeys((".pt", ".pth", ".safetensors", ".ckpt", ".bin"), _EXPORT),
    **dict.fromkeys(
        (".h5", ".hdf5"), "make one: python -m kit import OLD.h5 NEW.keras"
    ),
    **dict.fromkeys(SHIPPED, "it is opened as it is"),
    ".zip": "unpack it first",
    _SAVED_MODEL: (
        "of its folder make a .tflite file: open('model.tflite', 'wb').write("
        "tensorflow.lite.TFLiteConverter.from_saved_model('FOLDER').convert())"
    ),
    ".pb": (
        "if it is a frozen graph, make a .tflite file with the names of its ends, which netron.app shows: "
        "open('model.tflite', 'wb').write(tensorflow.compat.v1.lite.TFLiteConverter.from_frozen_graph("
        "'FILE', ['INPUT'], ['OUTPUT'], {'INPUT': [1, height, width, 3]}).convert())"
    ),
    ".json": (
        "of TensorFlow.js make one: tensorflowjs_converter --input_format=tfjs_layers_model"
        " --output_format=keras model.json model.h5; python -m kit import model.h5 model.keras"
    ),
    ".mlmodel": "nothing makes one of Core ML's: export to .onnx, .tflite or .keras where it was built",
    "": _ADVICE,
}
"""What makes a file that is opened, by how the name of one that is not ends."""
TEACHABLE = Preprocessing(fit="crop", filter="lanczos", scaling="-1..1")
"""How Teachable Machine prepares images."""
# Fixed, so that the same network makes the same file.
_DATE = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, eq=False)
class Archive:
    """A model file that was opened and checked; nothing of it is executed.

    Parameters
    ----------
    digest
        SHA-256 over names and contents of what makes up a Keras network (architecture, weights, assets;
        without the date of saving), or over another file, 64 hexadecimal digits.
    contract
        The parsed ``kit/contract.json``, empty where there is none.
    statistics, flaw
        Arrays of ``kit/statistics.npz``: what is known of the training images. Or why they are not used.
    network
        What runs, of a ``.tflite`` or ``.onnx`` file; None of a ``.keras`` file.
    """

    path: Path
    digest: str
    contract: JSONObject = field(default_factory=dict, repr=False)
    statistics: Parts = field(default_factory=dict, repr=False)
    flaw: str = ""
    network: bytes | None = field(default=None, repr=False)

    def config(self) -> JSONObject:
        """Architecture of the network, from ``config.json``; empty of another format."""
        if self.network is not None:
            return {}
        with open_archive(self.path) as archive:
            return _object_in(archive, "config.json", self.path.name)

    @cached_property
    def preprocessing(self) -> Preprocessing | None:
        """Preprocessing that the file states, None without one; raises as `Preprocessing.from_dict`."""
        stated = self.contract.get("preprocessing")
        return None if stated is None else Preprocessing.from_dict(stated)


def read_model(path: AnyPath, *, sha256: str | None = None) -> Archive:
    """Open and check a local ``.keras``, ``.tflite`` or ``.onnx`` file.

    FileNotFoundError or ValueError for no such file, another SHA-256, damage, sizes that no network needs, or
    a contract that is not understood.
    """
    file = model_file(path)
    if sha256 is not None:
        with file.open("rb") as stream:
            received = hashlib.file_digest(stream, "sha256").hexdigest()
        if received != sha256.strip().lower():
            raise ValueError(
                f"Expected {file.name!r} with SHA-256 {sha256}, received {received}"
            )
    if file.suffix in SHIPPED:
        return _read_shipped(file)
    with open_archive(file) as archive:
        names = set(archive.namelist())
        if "config.json" not in names or not names & _WEIGHTS:
            raise ValueError(
                f"Expected a Keras archive, received {file.name!r}, which is none; {_ADVICE}"
            )
        return _with_contract(Archive(file, _digest_of(archive)), archive)


def _with_contract(model: Archive, archive: zipfile.ZipFile) -> Archive:
    """Return a model file with what the kit wrote into it."""
    if CONTRACT not in archive.namelist():
        return model
    contract = _object_in(archive, CONTRACT, model.path.name)
    _check_contract(contract, model.path.name)
    model = replace(model, contract=contract)
    try:
        statistics = _read_statistics(archive, contract, model.digest)
    except ValueError as error:
        return replace(model, flaw=first_line(error))
    # What is compiled comes with a network that is, and was tried: never out of a Keras file.
    if model.network is None:
        statistics.pop(FIRST_LAYERS, None)
    return replace(model, statistics=statistics)


def _read_shipped(file: Path) -> Archive:
    """Read a network, with what the kit put behind it."""
    size = file.stat().st_size
    if size > _MAX_SHIPPED:
        raise ValueError(
            f"Expected at most {_MAX_SHIPPED} bytes, received {file.name!r} of {size}"
        )
    content = file.read_bytes()
    # What it is says itself, before what is said of it counts.
    if is_lite(content) != (file.suffix == ".tflite"):
        raise ValueError(
            f"Expected a {file.suffix} network, received "
            f"{file.name!r}, which is none or damaged; copy it again"
        )
    digest = hashlib.sha256(content).hexdigest()
    model = Archive(file, digest, network=content)
    if file.suffix == ".onnx" or not zipfile.is_zipfile(file):
        return model
    with open_archive(file) as archive:
        starts = (member.header_offset for member in archive.infolist())
        network = content[: min(starts, default=size)]
        network_digest = hashlib.sha256(network).hexdigest()
        model = _with_contract(Archive(file, network_digest, network=network), archive)
    return replace(model, digest=digest)


def as_stated(model: Archive, said: JSONObject) -> Archive:
    """Return a file with what its maker says in it, or in Teachable Machine's list beside it."""
    contract = {"name": model.path.stem, **said}
    if contract.get("class_names") is None:
        labels = model.path.with_name("labels.txt")
        contract["class_names"], numbered = names_in(labels)
        if numbered:
            as_teachable = TEACHABLE.to_dict()
            contract["preprocessing"] = said.get("preprocessing") or as_teachable
    return replace(model, contract=contract)


def checked_unchanged(model: Archive) -> Archive:
    """Return a file that was opened before; FileNotFoundError or ValueError if its network is another."""
    if read_model(model.path).digest != model.digest:
        file = model.path.name
        raise ValueError(
            f"Expected the network in {file!r} as it was loaded, received another; load it"
        )
    return model


def local_file(path: AnyPath) -> Path:
    """Return a model file that is there; FileNotFoundError for none, ValueError for what Git left of one."""
    file = Path(path)
    if (file / _SAVED_MODEL).is_file():
        file = file / _SAVED_MODEL
    if not file.is_file():
        kind = "the folder " if file.is_dir() else ""
        raise FileNotFoundError(
            f"Expected an existing local model file, received {kind}{str(path)!r}; check it"
        )
    check_fetched("a model file", file)
    return file


def check_fetched(what: str, file: Path) -> None:
    """Raise a ValueError for what Git leaves of a large file that it has not fetched."""
    if _begins_with(file, _POINTER):
        raise ValueError(
            f"Expected {what}, received {file.name!r}, a Git LFS pointer; run git lfs pull"
        )


def is_hdf5(file: Path) -> bool:
    """Whether a file is one of Keras 2, whatever its name."""
    return _begins_with(file, _HDF5)


def _begins_with(file: Path, mark: bytes) -> bool:
    with file.open("rb") as stream:
        return stream.read(len(mark)) == mark


def model_file(path: AnyPath, formats: str = ".keras, .tflite or .onnx") -> Path:
    """Return a file in one of the formats, by its name."""
    file = local_file(path)
    suffix = ".h5" if is_hdf5(file) else file.suffix
    name = file.stem + suffix
    advice = next(_CONVERSIONS[end] for end in _CONVERSIONS if name.endswith(end))
    if suffix in re.findall(r"\.\w+", formats) and advice != WEIGHTS_ALONE:
        return file
    kind = f", an {suffix} file" if suffix != file.suffix else ""
    raise ValueError(
        f"Expected a {formats} file, received {file.name!r}{kind}; {advice}"
    )


def _digest_of(archive: zipfile.ZipFile) -> str:
    """Return the same for a plain copy and for one with the kit's members."""
    total = hashlib.sha256()
    for info in sorted(archive.infolist(), key=lambda info: info.filename):
        # The metadata have the date of saving.
        if not _is_of_network(info) or info.filename == "metadata.json":
            continue
        total.update(f"{info.filename}\0{info.file_size}\0".encode())
        with archive.open(info) as stream:
            while block := stream.read(_CHUNK):
                total.update(block)
    return total.hexdigest()


def _is_of_network(info: zipfile.ZipInfo) -> bool:
    return not info.is_dir() and not info.filename.startswith(PREFIX)


def _object_in(archive: zipfile.ZipFile, name: str, file: str) -> JSONObject:
    value: Any = None
    if archive.getinfo(name).file_size <= _MAX_JSON[name]:
        with suppress(ValueError, RecursionError):
            value = json.loads(archive.read(name))
    if isinstance(value, dict):
        return value
    raise ValueError(
        f"Expected an object in {name} of {file!r}, received something else; save it again"
    )


def _check_contract(contract: JSONObject, file: str) -> None:
    """Refuse what no version of the kit wrote."""
    names = contract.get("class_names")
    temperature = contract.get("temperature", 1.0)
    sound = (
        contract.get("format") in (1, FORMAT)
        and isinstance(contract.get("name"), str)
        and isinstance(names, list)
        and all(isinstance(name, str) for name in names)
        and isinstance(temperature, int | float)
        and 1e-6 <= temperature <= 1e6
        and isinstance(contract.get("preprocessing"), dict | None)
    )
    if not sound:
        raise ValueError(
            f"Expected sound values in {CONTRACT} of {file!r}, received others; save it again"
        )


def _zip(file: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(file)
    except ValueError as error:
        raise zipfile.BadZipFile from error


@contextmanager
def open_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a zip that is whole and unpacks to a sensible size; also tell of damage that the block meets."""
    try:
        with _zip(path) as archive:
            members = archive.infolist()
            declared = sum(member.file_size for member in members)
            # Of members in one place, Python itself only warns.
            offsets = {member.header_offset for member in members}
            most = _MOST_TIMES * path.stat().st_size + _SPARE
            is_odd = any(
                member.header_offset < 0
                or member.compress_type not in _METHODS
                or member.flag_bits & 1
                for member in members
            )
            is_odd |= len(offsets) < len(members)
            if is_odd or len(members) > _MAX_MEMBERS or declared > most:
                raise zipfile.BadZipFile  # noqa: TRY301 (reported below)
            yield archive
    # Names of members may be in no encoding.
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        NotImplementedError,
        UnicodeDecodeError,
    ) as error:
        raise ValueError(
            f"Expected a Keras archive, received {path.name!r}, which is damaged, would fill the memory,"
            " or is no zip; copy it again"
        ) from error


def write_model(
    source: Path | None,
    target: AnyPath,
    contract: JSONObject,
    statistics: Parts | None = None,
    network: bytes | None = None,
) -> Archive:
    """Copy the network in ``source`` to ``target`` with a contract and statistics beside it, in one step.

    Both may be one file; members of the source under ``kit/`` are not copied. Format and digests of the
    contract are filled in here. A ``network`` in the ``.tflite`` format is written with the rest behind it,
    as in TFLite Metadata.
    """
    digest = hashlib.sha256(network or b"").hexdigest()
    with replacing(target) as stream:
        stream.write(network or b"")
        with zipfile.ZipFile(stream, "w") as new:
            # A .tflite or .onnx file need not have an archive behind its network.
            if source is not None and (network is None or zipfile.is_zipfile(source)):
                with open_archive(source) as old:
                    _copy(old, new)
                    digest = _digest_of(old) if network is None else digest
            contract = {"format": FORMAT, "weights_sha256": digest, **contract}
            if statistics:
                arrays = {
                    f"{part}/{name}": array
                    for part, named in statistics.items()
                    for name, array in named.items()
                }
                _add(new, STATISTICS, npz_of(arrays))
            _add(new, CONTRACT, json.dumps(contract, indent=1, ensure_ascii=False))
    return Archive(Path(target), digest, contract, statistics or {}, network=network)


def _add(archive: zipfile.ZipFile, name: str, content: str | bytes) -> None:
    archive.writestr(zipfile.ZipInfo(name, _DATE), content, zipfile.ZIP_DEFLATED)


def _copy(old: zipfile.ZipFile, new: zipfile.ZipFile) -> None:
    """Copy the members of a network."""
    for info in old.infolist():
        if _is_of_network(info):
            entry = zipfile.ZipInfo(info.filename, _DATE)
            entry.compress_type = info.compress_type
            new.writestr(entry, old.read(info))


@contextmanager
def replacing(target: AnyPath) -> Iterator[Any]:
    """Write a binary file beside ``target`` that takes its place when the block ends without an exception.

    A link stays; what it points to is replaced, with the same permissions. OSError where that is refused.
    """
    file = Path(target).resolve()
    draft = file.with_name(f".kit-draft-{secrets.token_hex(4)}")
    # Of processes that were killed; what is less than a day old may still be written.
    for left in file.parent.glob(".kit-draft-*"):
        with suppress(OSError):
            if left.lstat().st_mtime < time.time() - 86400:
                left.unlink()
    with one_line_errors(file):
        stream = draft.open("xb")
        try:
            with stream:
                with suppress(FileNotFoundError):
                    shutil.copymode(file, draft)
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            draft.replace(file)
        finally:
            with suppress(OSError):
                draft.unlink(missing_ok=True)


@contextmanager
def one_line_errors(file: Path) -> Iterator[None]:
    """Say in one line why the system refuses to write a file."""
    try:
        yield
    except OSError as error:
        if error.strerror is None:  # it is said
            raise
        raise type(error)(
            f"Expected to write {str(file)!r}, received: "
            f"{error.strerror}; free space, or choose another name or folder"
        ) from error


# Statistics


def _read_statistics(
    archive: zipfile.ZipFile, contract: JSONObject, digest: str
) -> Parts:
    """Return arrays by part and name; ValueError if not as they were written, for these weights."""
    if contract.get("weights_sha256") != digest:
        raise ValueError("belongs to other weights")
    if contract["format"] != FORMAT:
        raise ValueError("is of an earlier version: save the file again with training=")
    if STATISTICS not in archive.namelist():
        return {}
    if archive.getinfo(STATISTICS).file_size > MOST_BYTES:
        raise ValueError(f"takes more than {MOST_BYTES} bytes")
    statistics: Parts = {}
    for path, array in arrays_in(archive.read(STATISTICS)).items():
        part, _, name = path.partition("/")
        # Where an image has nothing to measure, its properties are NaN.
        is_known = part == "properties" or bool(np.isfinite(array).all())
        is_profile = path in {"profile/moments", "profile/features"}
        is_no_profile = is_profile and (array.ndim != 2 or not array.size)
        if is_no_profile or not is_known:
            raise ValueError(
                f"has no usable {path}: save the file again with training="
            )
        statistics.setdefault(part, {})[name] = array
    return statistics


def npz_of(arrays: Arrays) -> bytes:
    """Return arrays as an ``.npz`` file, in which they are stored as they are."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def arrays_in(data: bytes) -> Arrays:
    """Return the arrays of numbers that `npz_of` wrote, by name; ValueError for anything else."""
    try:
        with np.load(io.BytesIO(data)) as file:
            # Sizes that are declared are read only where they are there.
            declared = sum(info.file_size for info in file.zip.infolist())
            arrays = dict(file) if declared <= len(data) else {}
    except Exception as error:  # what numpy meets in hostile bytes has many names
        raise ValueError(f"cannot be read ({first_line(error)})") from error
    numbers = all(array.dtype.kind in "biuf" for array in arrays.values())
    if declared > len(data) or not numbers:
        raise ValueError("is not stored as it is")
    return arrays
