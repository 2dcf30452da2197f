"""Opening an archive safely: nothing of it is executed, and no size that it states is believed."""

import hashlib
import io
import os
import sys
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from shlex import quote
from typing import Any

from kit._checking import told
from kit.classifier.archive.layout import CONTRACT, check_contract, digest_of, joined, json_of

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
