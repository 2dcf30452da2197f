"""Running averages of the first BatchNorm layer, from the weights that a network was exported from."""

import json
from collections.abc import Mapping
from operator import eq
from pathlib import Path

import numpy as np

from kit._arrays import AnyPath, Float32
from kit._checking import first_line
from kit.classifier.first_layers import FirstLayers
from kit.classifier.store import local_file

_SAVE = (
    "of a .pt file make one: safetensors.torch.save_file("
    "torch.load('model.pt', weights_only=True), 'model.safetensors')"
)
_EPSILON = 1e-5
"""That of PyTorch, where the file does not say it."""
_VARIANCE = ".running_var"


def exported_from(path: AnyPath, network: bytes, channels: int | None) -> FirstLayers:
    """Return the first layer of an exported network, from the ``.safetensors`` file of its weights.

    Exporters fold BatchNorm into the convolution before it, and drop its averages. The first convolution is
    that of images with so many channels, and its averages are those for as many of its own whose name is most
    like its name. The file belongs to a network that holds some of its weights as they are, as all do that
    nothing was folded into. FileNotFoundError; ValueError for another format, damage, no such layers, or
    weights of another network.
    """
    file = local_file(path)
    if file.suffix != ".safetensors":
        raise ValueError(
            f"Expected a .safetensors file, received {file.name!r}; {_SAVE}"
        )
    try:
        arrays = _arrays_in(file)
        kernels = [
            name
            for name, array in arrays.items()
            if array.ndim == 4 and array.shape[1] == channels
        ]
        first = min(kernels, key=len)
        kernel = arrays[first]
        norm = _following(first, len(kernel), arrays)
        # Which a convolution before BatchNorm seldom has.
        bias = arrays.get(first.removesuffix("weight") + "bias", 0)
        means = arrays[f"{norm}.running_mean"].astype(np.float64) - bias
        variances = arrays[norm + _VARIANCE].astype(np.float64)
        belongs = any(
            array.tobytes() in network
            for array in arrays.values()
            if array.ndim > 1 and np.ptp(array)
        )
    # What numpy and JSON meet in hostile bytes has many names.
    except Exception as error:
        raise ValueError(
            f"Expected a convolution of images with running averages in {file.name!r}: {first_line(error)}"
        ) from error
    if not belongs:
        raise ValueError(
            f"Expected the weights that the network was exported from, received those in {file.name!r}"
        )
    return FirstLayers(
        compiled=b"",
        widths=(len(kernel),),
        means=means,
        variances=variances,
        epsilon=_EPSILON,
        kernel=kernel,
    )


def _arrays_in(file: Path) -> Mapping[str, Float32]:
    """Return the arrays of float32 by name."""
    content = file.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    arrays = {}
    for name, entry in json.loads(content[8:start]).items():
        if entry.get("dtype") == "F32":
            first, end = entry["data_offsets"]
            values = np.frombuffer(content[start + first : start + end], "<f4")
            arrays[name] = values.reshape(entry["shape"])
    return arrays


def _following(name: str, width: int, arrays: Mapping[str, Float32]) -> str:
    """Return the BatchNorm layer of a width whose name is most like that of a layer before it."""
    parts = name.split(".")
    norms = (
        key.removesuffix(_VARIANCE)
        for key, array in arrays.items()
        if key.endswith(_VARIANCE) and len(array) == width
    )
    return min(
        norms, key=lambda norm: (-sum(map(eq, parts, norm.split("."))), len(norm), norm)
    )
