"""Where things lie in an archive: names of members, byte planes, and the digest that ties them to weights."""

import hashlib
import zipfile
from collections.abc import Iterator
from typing import IO

import numpy as np

PREFIX = "kit/"
CONTRACT = "kit/contract.json"
COMPILED = "kit/model.tflite"
FIRST_LAYERS = "kit/taps.npz"
PROPERTIES = "kit/statistics.json"
NOVELTY = "kit/novelty.npz"
FORMAT = 1
"""Version of the contract's layout; a reader refuses a newer one."""

_PLANES = 4
_CHUNK = 1 << 20


def digest_of(archive: zipfile.ZipFile) -> str:
    """SHA-256 over what makes up the network; the same for a plain copy and for one with members."""
    total = hashlib.sha256()
    for info in sorted(archive.infolist(), key=lambda info: info.filename):
        if info.is_dir() or info.filename == "metadata.json" or info.filename.startswith(PREFIX):
            continue
        total.update(f"{info.filename}\0{info.file_size}\0".encode())
        with archive.open(info) as stream:
            for block in blocks(stream):
                total.update(block)
    return total.hexdigest()


def blocks(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield what is left of a stream, a megabyte at a time."""
    while block := stream.read(_CHUNK):
        yield block


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
        One is missing, or of another size.
    """
    words = -(-size // _PLANES)
    # The contract is not trusted with memory: what is there decides.
    if any(archive.getinfo(f"{name}.plane{index}").file_size != words for index in range(_PLANES)):
        raise zipfile.BadZipFile(name)
    padded = np.empty((words, _PLANES), np.uint8)
    for index in range(_PLANES):
        padded[:, index] = np.frombuffer(archive.read(f"{name}.plane{index}"), np.uint8)
    return padded.reshape(-1)[:size].tobytes()
