"""Arrays out of a file that is not trusted: no more memory is taken than its own size allows."""

import io
import zipfile
from collections import Counter
from collections.abc import Mapping
from math import prod
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from kit._arrays import Array
from kit._checking import first_line, told
from kit._interrupts import held
from kit.classifier.archive.reading import opened

# Weights hardly shrink; more than this many times the size of the file is no network.
_MAX_EXPANSION = 8
_SPARE = 1 << 24


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
        A ``.keras`` file that `kit.classifier.archive.read` has checked.

    Returns
    -------
    mapping
        Empty where the weights are not in HDF5.

    Raises
    ------
    ValueError
        Weights that are no HDF5, damaged, or declared larger than their file can hold.
    """
    with held():
        import h5py  # noqa: PLC0415 (not needed to predict)

    with opened(path) as archive:
        if "model.weights.h5" not in archive.namelist():
            return {}
        content = archive.read("model.weights.h5")
    groups: dict[str, dict[str, Array]] = {}
    names: dict[str, str] = {}
    left = _MAX_EXPANSION * len(content) + _SPARE

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
