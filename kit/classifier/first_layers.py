"""Statistics of what a network's first layers receive, from its running averages."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, Self

import numpy as np

from kit._arrays import Array, Float32, Float64, Indices
from kit._interrupts import uninterrupted
from kit.classifier.engines import LiteEngine, traced
from kit.classifier.keras_models import ConversionError, lite_of

GRID = 4
"""Cells to a side. Fewer tell less on images of digits and clothes; 8 are too many for 50 images."""

_LEAST = 1e-4
_TINY = float(np.finfo(np.float32).tiny)


def tensor_features(tensors: Float32) -> Float64:
    """Return the features of each tensor.

    Parameters
    ----------
    tensors
        float32 (N, H, W, C), as they are fed to a network, in any range. Not changed.

    Returns
    -------
    float64, shape (N, K)
        The mean of each channel in `GRID` x `GRID` cells (fewer where a side is smaller), in the tensors' own
        unit, row by row; then, for each pair of three channels, how far they differ: half the logarithm of
        ``var(a - b) / (var(a) + var(b))`` over the image, about -4.6 where they do not.
    """
    count, height, width, channels = tensors.shape
    values = tensors.astype(np.float64)
    rows, columns = _starts(height), _starts(width)
    sums = np.add.reduceat(np.add.reduceat(values, rows, axis=1), columns, axis=2)
    sizes = np.outer(np.diff(rows, append=height), np.diff(columns, append=width))
    cells = np.reshape(sums / sizes[..., None], (count, -1))
    if channels != 3:
        return cells
    one = values.reshape(count, -1, channels)
    other = np.roll(one, -1, axis=2)
    ratio = (one - other).var(axis=1) / np.maximum(
        one.var(axis=1) + other.var(axis=1), _TINY
    )
    return np.concatenate([cells, np.log(ratio + _LEAST) / 2], axis=1)


def _starts(side: int) -> Indices:
    cells = min(GRID, side)
    return np.arange(cells) * side // cells


@dataclass(frozen=True, eq=False, repr=False)
class FirstLayers:
    """Compiled statistics of the first layers, with what training left there.

    Attributes
    ----------
    compiled
        LiteRT: from tensors (N, H, W, C) to (N, 2 * sum(widths)): for each layer the mean of every channel
        over the image, then the mean of its squares.
    widths
        Channels of each layer.
    means, variances
        float64 (sum(widths),): the moving averages of BatchNorm layers; None in a network without them.
    epsilon
        Added to a variance before it counts, as in the BatchNorm layers.
    profile, features
        float64 (images, …): what `measure` and `tensor_features` give for some training images; None if
        none were given.
    """

    compiled: bytes
    widths: tuple[int, ...]
    means: Float64 | None = None
    variances: Float64 | None = None
    epsilon: float = 1e-3
    profile: Float64 | None = None
    features: Float64 | None = None

    @property
    def source(self) -> str:
        """Where statistics of the training images come from: "batchnorm", "profile" or ""."""
        return (
            "batchnorm"
            if self.means is not None
            else "profile"
            if self.profile is not None
            else ""
        )

    @cached_property
    def _engine(self) -> LiteEngine:
        return LiteEngine(self.compiled)

    def measure(self, tensors: Float32) -> Float64:
        """Run the first layers on float32 (N, H, W, C): float64 (N, 2 * sum(widths)), see `compiled`."""
        return self._engine.predict(tensors).astype(np.float64)

    def with_profile(self, tensors: Float32) -> Self:
        """Return the same with the statistics of training images, float32 (N, H, W, C)."""
        return replace(
            self, profile=self.measure(tensors), features=tensor_features(tensors)
        )

    def arrays(self) -> dict[str, Array]:
        """Return what belongs to the network, and nothing of the training images, as arrays."""
        names = "widths", "means", "variances", "epsilon"
        kept = {
            name: np.array(value)
            for name in names
            if (value := getattr(self, name)) is not None
        }
        return kept | {"compiled": np.frombuffer(self.compiled, np.uint8)}

    @classmethod
    def of(cls, arrays: Mapping[str, Array]) -> Self:
        """Return what `arrays` gave; KeyError or ValueError where something is missing."""
        compiled, widths = (
            arrays["compiled"].tobytes(),
            tuple(arrays["widths"].tolist()),
        )
        averages = arrays.get("means"), arrays.get("variances")
        return cls(compiled, widths, *averages, epsilon=float(arrays["epsilon"]))

    def __repr__(self) -> str:
        return f"FirstLayers(widths={self.widths}, source={self.source!r})"


COUNT = 3
"""Layers that are measured; later ones were found to add nothing."""
_Met = tuple[Any, Any]
"""A layer, and what is measured there, with its channels last."""


@uninterrupted()
def first_layers_of(model: Any) -> FirstLayers | None:
    """Compile the first layers of a Keras model, from images (N, H, W, C), which is not changed.

    They are measured at the inputs of the first `COUNT` BatchNorm layers, or, in a network without them, at
    the outputs of the first `COUNT` layers with a kernel, with the channels last. Half precision becomes
    float32, which LiteRT runs and squares do not overflow. None for a network that has neither, or cannot be
    compiled.
    """
    found: list[_Met] = []
    try:
        copy = _in_float32(model)
        graph = traced(
            copy,
            lambda tensors: _moments(copy, tensors, found),
            tuple(copy.inputs[0].shape[1:]),
        )
        if not found:
            return None
        compiled = lite_of(graph)
        LiteEngine(compiled, threads=1)  # which refuses what it does not run
    # A class of its own that its configuration does not make, or operations that LiteRT does not have.
    except (TypeError, ValueError, NotImplementedError, ConversionError):
        return None
    widths = tuple(int(values.shape[-1]) for _, values in found)
    layers = [layer for layer, _ in found if hasattr(layer, "moving_mean")]
    if not layers:
        return FirstLayers(compiled, widths)
    means, variances = (
        np.concatenate(
            [np.asarray(getattr(layer, name), np.float64) for layer in layers]
        )
        for name in ("moving_mean", "moving_variance")
    )
    return FirstLayers(
        compiled,
        widths,
        means,
        variances,
        max(float(layer.epsilon) for layer in layers),
    )


def _moments(model: Any, tensors: Any, found: list[_Met]) -> Any:
    """Return means and mean squares at the first layers, and put these into a list."""
    from keras import ops

    norms: dict[int, _Met] = {}
    kernels: dict[int, _Met] = {}

    def noted(
        layer: Any, call: Call, received: Any, *others: Any, **options: Any
    ) -> Any:
        returned = call(received, *others, **options)
        given, made = (len(getattr(each, "shape", ())) for each in (received, returned))
        turned = getattr(layer, "data_format", "") == "channels_first"
        if type(layer).__name__ == "BatchNormalization":
            if given == 4 and layer.axis % 4 == 3:
                norms.setdefault(id(layer), (layer, received))
        elif hasattr(layer, "kernel") and made in {2, 4} and not turned:
            kernels.setdefault(id(layer), (layer, returned))
        return returned

    with called_through(list(leaves(model)), noted):
        model(tensors, training=False)
    found[:] = list((norms or kernels).values())[:COUNT]
    parts = []
    for _, values in found:
        axes = tuple(range(1, len(values.shape) - 1))
        parts += [
            ops.mean(each, axes) if axes else each
            for each in (values, ops.square(values))
        ]
    return ops.concatenate(parts, axis=-1) if parts else tensors


def _in_float32(model: Any) -> Any:
    """Return a model of which no layer computes in half precision: a copy if one does."""
    if not any("float16" in str(layer.compute_dtype) for layer in leaves(model)):
        return model
    import keras

    copy = keras.models.model_from_json(
        re.sub('"(mixed_)?b?float16"', '"float32"', model.to_json())
    )
    copy.set_weights(model.get_weights())
    return copy


def leaves(layer: Any) -> Iterator[Any]:
    """Yield the layers of a model and of the models within it."""
    for inner in layer.layers:
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
