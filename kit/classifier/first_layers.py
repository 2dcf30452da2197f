"""What a network's first layers receive, beside its running averages or those of an exporter's weights."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property, partial
from operator import eq
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from kit._arrays import AnyPath, Arrays, Float32, Float64, Indices
from kit._checking import first_line
from kit.classifier.engines import LiteEngine, channels_first, traced, uninterrupted
from kit.classifier.keras_models import compiled_lite
from kit.classifier.store import local_file

GRID = 4
"""Cells to a side. Fewer tell less on images of digits and clothes; 8 are too many for 50 images."""

_LEAST = 1e-4
_TINY = float(np.finfo(np.float32).tiny)
_SAVE = (
    "of a .pt file make one: safetensors.torch.save_file("
    "torch.load('model.pt', weights_only=True), 'model.safetensors')"
)
_PYTORCH_EPSILON = 1e-5
"""What a file of weights does not say."""
_VARIANCE = ".running_var"


def tensor_features(tensors: Float32) -> Float64:
    """Return the features of each tensor: float64 (N, K), of float32 (N, H, W, C) in any range.

    The mean of each channel in `GRID` x `GRID` cells (fewer where a side is smaller), in the tensors' own
    unit, row by row; then, for each pair of three channels, how far they differ: half the logarithm of
    ``var(a - b) / (var(a) + var(b))`` over the image, about -4.6 where they do not.
    """
    count, height, width, channels = tensors.shape
    values = tensors.astype(np.float64)
    rows = _cell_starts(height)
    columns = _cell_starts(width)
    sums = np.add.reduceat(np.add.reduceat(values, rows, axis=1), columns, axis=2)
    sizes = np.outer(np.diff(rows, append=height), np.diff(columns, append=width))
    cells = np.reshape(sums / sizes[..., None], (count, -1))
    if channels != 3:
        return cells
    pixels = values.reshape(count, -1, channels)
    neighbours = np.roll(pixels, -1, axis=2)
    spread = pixels.var(axis=1) + neighbours.var(axis=1)
    ratio = (pixels - neighbours).var(axis=1) / np.maximum(spread, _TINY)
    return np.concatenate([cells, np.log(ratio + _LEAST) / 2], axis=1)


def _cell_starts(side: int) -> Indices:
    cells = min(GRID, side)
    return np.arange(cells) * side // cells


@dataclass(frozen=True, eq=False)
class FirstLayers:
    """Compiled statistics of the first layers, with what training left there.

    Attributes
    ----------
    compiled
        LiteRT: from tensors (N, H, W, C) to (N, 2 * sum(widths)): for each layer the mean of every channel
        over the image, then the mean of its squares. Empty where there is a ``kernel``.
    widths
        Channels of each layer; none where only the tensors themselves are measured, as `features`.
    means, variances
        float64 (sum(widths),): the moving averages of BatchNorm layers; None in a network without them.
    epsilon
        Added to a variance before it counts, as in the BatchNorm layers.
    profile, features
        float64 (images, …): what `measure` and `tensor_features` give for some training images; both None
        if none were given.
    kernel
        float32 (widths, C, h, w): of a first convolution, which is measured in its place.
    """

    compiled: bytes
    widths: tuple[int, ...]
    means: Float64 | None = None
    variances: Float64 | None = None
    epsilon: float = 1e-3
    profile: Float64 | None = None
    features: Float64 | None = None
    kernel: Float32 | None = None

    @cached_property
    def _engine(self) -> LiteEngine:
        return LiteEngine(self.compiled)

    def measure(self, tensors: Float32) -> Float64:
        """Run the first layers on float32 (N, H, W, C): float64 (N, 2 * sum(widths)), see `compiled`."""
        if self.kernel is not None:
            return np.stack(
                [_moments_of_convolution(tensor, self.kernel) for tensor in tensors]
            )
        if not self.widths:
            return np.empty((len(tensors), 0))
        return self._engine.predict(tensors).astype(np.float64)

    def with_profile(self, tensors: Float32) -> Self:
        """Return the same with the statistics of training images, float32 (N, H, W, C)."""
        return replace(
            self, profile=self.measure(tensors), features=tensor_features(tensors)
        )

    def arrays(self) -> Arrays:
        """Return what belongs to the network, and nothing of the training images, as arrays."""
        values = {
            "widths": self.widths,
            "means": self.means,
            "variances": self.variances,
            "epsilon": self.epsilon,
            "compiled": np.frombuffer(self.compiled, np.uint8),
            "kernel": self.kernel,
        }
        return {
            name: np.array(value) for name, value in values.items() if value is not None
        }

    @classmethod
    def of(cls, arrays: Arrays) -> Self:
        """Return what `arrays` gave; KeyError or ValueError where something is missing."""
        return cls(
            compiled=arrays["compiled"].tobytes(),
            widths=tuple(arrays["widths"].tolist()),
            means=arrays.get("means"),
            variances=arrays.get("variances"),
            epsilon=float(arrays["epsilon"]),
            kernel=arrays.get("kernel"),
        )

    def __repr__(self) -> str:
        return f"FirstLayers(widths={self.widths})"


def _moments_of_convolution(tensor: Float32, kernel: Float32) -> Float64:
    """Return means and mean squares (2 * widths,) of a convolution of one tensor, at every second place.

    Padding and another stride would change next to nothing in them.
    """
    if not channels_first(tensor.shape):
        tensor = np.moveaxis(tensor, -1, 0)
    windows = sliding_window_view(tensor, kernel.shape[2:], axis=(1, 2))
    values = np.tensordot(windows[:, ::2, ::2], kernel, ((0, 3, 4), (1, 2, 3)))
    moments = [power.mean(axis=(0, 1)) for power in (values, np.square(values))]
    return np.concatenate(moments).astype(np.float64)


COUNT = 3
"""Layers that are measured; later ones were found to add nothing."""


class _EnoughError(Exception):
    """All layers that are measured were called; what follows them need not be."""


_Measured = tuple[Any, Any]
"""A layer, and the tensor that is measured there, with its channels last."""


@uninterrupted()
def first_layers_of(model: Any) -> FirstLayers | None:
    """Compile the first layers of a Keras model, from images (N, H, W, C), which is not changed.

    They are measured at the inputs of the first `COUNT` BatchNorm layers, or, in a network without them, at
    the outputs of the first `COUNT` layers with a kernel, with the channels last. Half precision becomes
    float32, which LiteRT runs and squares do not overflow. None for a network that has neither, or cannot be
    compiled.
    """
    measured: list[_Measured] = []
    try:
        copy = _in_float32(model)
        graph = traced(
            copy, lambda tensors: _moments_noting_layers(copy, tensors, measured)
        )
        if not measured:
            return None
        compiled = compiled_lite(graph)
        LiteEngine(compiled, threads=1)  # which refuses what it does not run
    # A class of its own that its configuration does not make, or operations that LiteRT does not have.
    except (TypeError, ValueError, NotImplementedError):
        return None
    widths = tuple(int(values.shape[-1]) for _, values in measured)
    layers = [layer for layer, _ in measured if hasattr(layer, "moving_mean")]
    if not layers:
        return FirstLayers(compiled, widths)
    return FirstLayers(
        compiled,
        widths,
        means=_joined(layer.moving_mean for layer in layers),
        variances=_joined(layer.moving_variance for layer in layers),
        epsilon=max(float(layer.epsilon) for layer in layers),
    )


def _joined(weights: Iterable[Any]) -> Float64:
    return np.concatenate([np.asarray(values, np.float64) for values in weights])


def _moments_noting_layers(model: Any, tensors: Any, measured: list[_Measured]) -> Any:
    """Return means and mean squares at the first layers, and put these into a list."""
    from keras import ops

    norms: dict[int, _Measured] = {}
    kernels: dict[int, _Measured] = {}

    def call_and_note(
        layer: Any, call: Call, received: Any, *others: Any, **options: Any
    ) -> Any:
        returned = call(received, *others, **options)
        is_channels_first = getattr(layer, "data_format", "") == "channels_first"
        has_kernel = hasattr(layer, "kernel") and not is_channels_first
        if type(layer).__name__ == "BatchNormalization":
            if _dimension_count(received) == 4 and layer.axis % 4 == 3:
                norms.setdefault(id(layer), (layer, received))
                if len(norms) == COUNT:
                    raise _EnoughError
        elif has_kernel and _dimension_count(returned) in {2, 4}:
            kernels.setdefault(id(layer), (layer, returned))
        return returned

    with called_through(list(leaves(model)), call_and_note), suppress(_EnoughError):
        model(tensors, training=False)
    measured[:] = list((norms or kernels).values())[:COUNT]
    moments = []
    for _, values in measured:
        powers = [values, ops.square(values)]
        if _dimension_count(values) == 4:
            powers = [ops.mean(power, axis=(1, 2)) for power in powers]
        moments += powers
    return ops.concatenate(moments, axis=-1) if moments else tensors


def _dimension_count(tensor: Any) -> int:
    return len(getattr(tensor, "shape", ()))


def _in_float32(model: Any) -> Any:
    """Return a model of which no layer computes in half precision: a copy if one does."""
    if not any("float16" in str(layer.compute_dtype) for layer in leaves(model)):
        return model
    import keras

    config = re.sub('"(mixed_)?b?float16"', '"float32"', model.to_json())
    copy = keras.models.model_from_json(config)
    copy.set_weights(model.get_weights())
    return copy


def leaves(model: Any) -> Iterator[Any]:
    """Yield the layers of a model and of the models within it."""
    for inner in model.layers:
        if hasattr(inner, "layers"):
            yield from leaves(inner)
        elif type(inner).__name__ != "InputLayer":
            yield inner


Call = Callable[..., Any]


@contextmanager
def called_through(layers: Sequence[Any], function: Call) -> Iterator[None]:
    """Call ``function(layer, call, inputs, …)`` in place of each layer's `call`; Keras has no hooks."""
    try:
        for layer in layers:
            vars(layer)["call"] = partial(function, layer, layer.call)
        yield
    finally:
        for layer in layers:
            vars(layer).pop("call", None)


def first_layers_of_export(
    path: AnyPath, network: bytes, channels: int | None
) -> FirstLayers:
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
        arrays = _float32_arrays_in(file)
        kernel_names = [
            name
            for name, array in arrays.items()
            if array.ndim == 4 and array.shape[1] == channels
        ]
        first_name = min(kernel_names, key=len)
        kernel = arrays[first_name]
        norm_name = _norm_named_most_like(first_name, len(kernel), arrays)
        # Which a convolution before BatchNorm seldom has.
        bias = arrays.get(first_name.removesuffix("weight") + "bias", 0)
        means = arrays[f"{norm_name}.running_mean"].astype(np.float64) - bias
        variances = arrays[norm_name + _VARIANCE].astype(np.float64)
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
        epsilon=_PYTORCH_EPSILON,
        kernel=kernel,
    )


def _float32_arrays_in(file: Path) -> Mapping[str, Float32]:
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


def _norm_named_most_like(name: str, width: int, arrays: Mapping[str, Float32]) -> str:
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
