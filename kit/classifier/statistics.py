"""What a file says of the training images: arrays of numbers, never run."""

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from contextlib import suppress
from math import prod
from typing import Any

import numpy as np

from kit._arrays import Array
from kit._checking import first_line

STATISTICS = "kit/statistics.npz"
_MOST = 1 << 27


def statistics_in(archive: zipfile.ZipFile, contract: Mapping[str, Any]) -> Mapping[str, Array]:
    """Return arrays by ``part/name``, of the first layout too; ValueError if not as they were written."""
    if contract["format"] == 1:
        return _earlier(archive, contract)
    if STATISTICS not in archive.namelist():
        return {}
    if archive.getinfo(STATISTICS).file_size > _MOST:
        raise ValueError(f"takes more than {_MOST} bytes")
    data = archive.read(STATISTICS)
    if hashlib.sha256(data).hexdigest() != contract.get("statistics_sha256"):
        raise ValueError("was changed")
    return arrays_in(data)


def packed(arrays: Mapping[str, Array]) -> bytes:
    """Return arrays as an ``.npz`` file, in which they are stored as they are."""
    buffer = io.BytesIO()
    options: dict[str, Any] = dict(arrays)
    np.savez(buffer, **options)
    return buffer.getvalue()


def arrays_in(data: bytes) -> dict[str, Array]:
    """Return the arrays of numbers that `packed` wrote, by name; ValueError for anything else."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as file:
            infos = file.infolist()
            stored = all(info.compress_type == zipfile.ZIP_STORED for info in infos)
            # Sizes that are declared are read only where they are there.
            if stored and all(info.file_size <= len(data) for info in infos):
                return {info.filename.removesuffix(".npy"): _array(file.read(info)) for info in infos}
    except (OSError, ValueError, RuntimeError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise ValueError(f"cannot be read ({first_line(error)})") from error
    raise ValueError("is not stored as it is")


def _array(content: bytes) -> Array:
    head = io.BytesIO(content)
    if np.lib.format.read_magic(head) != (1, 0):
        raise ValueError("an array of another version")
    shape, _, kind = np.lib.format.read_array_header_1_0(head)
    if kind.kind not in "biuf" or prod(shape) * kind.itemsize > len(content):
        raise ValueError("an array that declares more than it holds")
    array: Array = np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
    return array


# The first layout, of which compiled forms are not used

_PLANES = 4
"""Parts that a member was cut into, by the place of a byte in its number of 32 bits."""


def _earlier(archive: zipfile.ZipFile, contract: Mapping[str, Any]) -> Mapping[str, Array]:
    found: dict[str, Array] = {}
    for member, read in (("kit/taps.npz", _profile), ("kit/statistics.json", _properties)):
        with suppress(ValueError, TypeError, LookupError, ArithmeticError, zipfile.BadZipFile, zlib.error):
            size = int(contract["members"][member]["size"])
            shape = [0 if side is None else int(side) for side in contract["input_shape"]]
            found |= read(_joined(archive, member, size), shape)
    return found


def _joined(archive: zipfile.ZipFile, name: str, size: int) -> bytes:
    words = -(-size // _PLANES)
    names = [f"{name}.plane{index}" for index in range(_PLANES)]
    if size > _MOST or any(archive.getinfo(each).file_size != words for each in names):
        raise ValueError("another size than the file says")
    planes = [np.frombuffer(archive.read(each), np.uint8) for each in names]
    return np.stack(planes, axis=1).tobytes()[:size]


def _profile(data: bytes, shape: list[int]) -> dict[str, Array]:
    arrays = arrays_in(data)
    kept = {"moments": arrays["profile"], "features": arrays["features"], "shape": np.array(shape)}
    return {f"profile/{name}": array for name, array in kept.items()}


def _properties(data: bytes, _shape: list[int]) -> dict[str, Array]:
    content = json.loads(data)
    strengths = [strength for each in content["alterations"].values() for strength in each]
    rows, response = (np.array(content[name], np.float64) for name in ("rows", "response"))
    kept = {"rows": rows, "response": response, "count": content["count"], "strengths": strengths}
    return {f"properties/{name}": np.asarray(value) for name, value in kept.items()}
