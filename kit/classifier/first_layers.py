"""Statistics of what a network's first layers receive, from its running averages."""

import io
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, wraps
from typing import Any, Self

import numpy as np

from kit._arrays import Float32, Float64, Indices
from kit._interrupts import held
from kit.classifier.conversion import ConversionError, compile_lite
from kit.classifier.engines import LiteEngine, Shape
from kit.classifier.store import arrays_in

GRID = 4
"""Cells to a side. Fewer tell less on pictures of digits and clothes; 8 are too many for 50 pictures."""

_LEAST_COLOUR = 1e-4
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
        ``var(a - b) / (var(a) + var(b))`` over the picture, about -4.6 where they do not.
    """
    count, height, width, channels = tensors.shape
    values = tensors.astype(np.float64)
    rows, columns = _starts(height), _starts(width)
    sums = np.add.reduceat(np.add.reduceat(values, rows, axis=1), columns, axis=2)
    sizes = np.outer(np.diff(rows, append=height), np.diff(columns, append=width))
    cells = np.reshape(sums / sizes[..., None], (count, -1))
    if channels != 3:
        return cells
    flat = values.reshape(count, -1, channels)
    variance = flat.var(axis=1)
    colours = [
        (flat[..., one] - flat[..., other]).var(axis=1)
        / np.maximum(variance[:, one] + variance[:, other], _TINY)
        for one, other in ((0, 1), (1, 2), (0, 2))
    ]
    return np.concatenate([cells, np.log(np.stack(colours, axis=1) + _LEAST_COLOUR) / 2], axis=1)


def _starts(side: int) -> Indices:
    cells = min(GRID, side)
    return np.arange(cells) * side // cells


_OPTIONAL = ("means", "variances", "profile", "features")


@dataclass(frozen=True, eq=False, repr=False)
class FirstLayers:
    """Compiled statistics of the first layers, with what training left there.

    Attributes
    ----------
    compiled
        LiteRT: from tensors (N, H, W, C) to (N, 2 * sum(widths)): for each layer the mean of every channel
        over the picture, then the mean of its squares.
    widths
        Channels of each layer.
    means, variances
        float64 (sum(widths),): the moving averages of BatchNorm layers; None in a network without them.
    epsilon
        Added to a variance before it counts, as in the BatchNorm layers.
    profile
        float64 (pictures, 2 * sum(widths)): what `measure` gives for some training pictures; None if none
        were given.
    features
        float64 (pictures, K): what `tensor_features` gives for the same; None in files of
        an earlier version.
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
        """Where statistics of the training pictures come from: "batchnorm", "profile" or ""."""
        return "batchnorm" if self.means is not None else "profile" if self.profile is not None else ""

    @property
    def input_shape(self) -> Shape:
        """(H, W, C) of the tensors that `compiled` takes."""
        return self._engine.input_shape

    @cached_property
    def _engine(self) -> LiteEngine:
        return LiteEngine(self.compiled)

    def measure(self, tensors: Float32) -> Float64:
        """Run the first layers on tensors.

        Parameters
        ----------
        tensors
            float32 (N, H, W, C), prepared for the network. Not changed.

        Returns
        -------
        float64, shape (N, 2 * sum(widths))
            One row for each picture, as `compiled` gives it.
        """
        return self._engine.predict(tensors).astype(np.float64)

    def with_profile(self, tensors: Float32) -> Self:
        """Return the same with the statistics of training pictures.

        Parameters
        ----------
        tensors
            float32 (N, H, W, C), prepared as in training.
        """
        return replace(self, profile=self.measure(tensors), features=tensor_features(tensors))

    def to_bytes(self) -> bytes:
        """Return this value as an ``.npz`` file."""
        optional = {name: value for name in _OPTIONAL if (value := getattr(self, name)) is not None}
        compiled, buffer = np.frombuffer(self.compiled, np.uint8), io.BytesIO()
        np.savez(buffer, compiled=compiled, widths=self.widths, epsilon=self.epsilon, **optional)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Return the value that `to_bytes` wrote.

        Raises
        ------
        ValueError
            For anything else.
        """
        try:
            arrays = arrays_in(data)
            # Earlier versions wrote more, which nothing needed.
            optional = {name: arrays[name] for name in _OPTIONAL if name in arrays}
            widths = tuple(arrays["widths"].tolist())
            kinds = {each.dtype.kind for each in optional.values()} | {arrays["epsilon"].dtype.kind}
            spread = np.append(optional.get("variances", ()), arrays["epsilon"])
            if kinds != {"f"} or not (np.isfinite(spread).all() and (spread >= 0).all()):
                raise ValueError("no statistics")  # noqa: TRY301 (told as any other damage)
            return cls(arrays["compiled"].tobytes(), widths, epsilon=float(arrays["epsilon"]), **optional)
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(
                f"Expected first layers as FirstLayers.to_bytes writes them, received other bytes ({error});"
                " save anew"
            ) from error

    def __repr__(self) -> str:
        return f"FirstLayers(widths={self.widths}, source={self.source!r})"


COUNT = 3
"""Layers that are measured; later ones were found to add nothing."""


@held()
def first_layers_of(model: Any, size: tuple[int, int] | None = None) -> FirstLayers | None:
    """Compile the first layers of a Keras model.

    Parameters
    ----------
    model
        From pictures (N, H, W, C). Not changed.
        Layers of half precision are measured in float32, which LiteRT runs and squares do not overflow.
    size
        Height and width to fix where the model leaves them open.

    Returns
    -------
    FirstLayers
        At the inputs of the first `COUNT` BatchNorm layers, or, in a network without them, at the outputs of
        the first `COUNT` layers with a kernel. None for a network that has neither, or cannot be compiled.
    """
    shape = _sized(tuple(model.inputs[0].shape[1:]), size or (96, 96))
    if shape is None:
        return None
    try:
        model = _in_float32(model)
    except (TypeError, ValueError, NotImplementedError):
        # A class of its own that its configuration does not make.
        return None
    calls = _calls(model, shape)
    norms = [layer for layer, received, _ in calls if _is_norm(layer, received)][:COUNT]
    kernels = [layer for layer, _, returned in calls if hasattr(layer, "kernel") and len(returned) in {2, 4}]
    chosen = norms or kernels[:COUNT]
    if not chosen:
        return None
    try:
        compiled = compile_lite(_measuring(model, chosen, shape, before=bool(norms)))
        # Refuse what LiteRT does not run.
        LiteEngine(compiled, threads=1).predict(np.zeros((1, *shape), np.float32))
    except (ConversionError, ValueError):
        return None
    if not norms:
        widths = tuple(returned[_axis(layer)] for layer, _, returned in calls if layer in chosen)
        return FirstLayers(compiled, widths)
    return FirstLayers(
        compiled,
        tuple(int(layer.moving_mean.shape[0]) for layer in norms),
        np.concatenate([np.asarray(layer.moving_mean, np.float64) for layer in norms]),
        np.concatenate([np.asarray(layer.moving_variance, np.float64) for layer in norms]),
        epsilon=max(float(layer.epsilon) for layer in norms),
    )


def _is_norm(layer: Any, received: tuple[int, ...]) -> bool:
    return type(layer).__name__ == "BatchNormalization" and len(received) == 4 and layer.axis % 4 in {1, 3}


def _axis(layer: Any) -> int:
    """Return the axis of the channels: that of a normalization, or 1 of a kernel with channels first."""
    return int(getattr(layer, "axis", 1 if getattr(layer, "data_format", "") == "channels_first" else -1))


def _sized(shape: tuple[int | None, ...], size: tuple[int, int]) -> tuple[int, ...] | None:
    """Return the shape of one tensor with open sides set; None where no axis is one of channels."""
    place = next((axis for axis in (2, 0) if shape[axis] in {1, 3}), None)
    if place is None:
        return None
    given = (*size, 0) if place == 2 else (0, *size)
    return tuple(side or other for side, other in zip(shape, given, strict=True))


def _in_float32(model: Any) -> Any:
    """Return a model of which no layer computes in half precision: a copy if one does."""
    if not any("float16" in str(layer.compute_dtype) for layer in leaves(model)):
        return model
    copy = type(model).from_config(_raised(model.get_config()))
    copy.set_weights(model.get_weights())
    return copy


def _raised(config: Any) -> Any:
    if isinstance(config, Mapping):
        if config.get("class_name") == "DTypePolicy" and "float16" in str(config.get("config")):
            return {**config, "config": {"name": "float32"}}
        return {key: _raised(value) for key, value in config.items()}
    return type(config)(map(_raised, config)) if isinstance(config, (list, tuple)) else config


def leaves(layer: Any) -> Iterator[Any]:
    """Yield the layers of a model and of the models within it."""
    for inner in layer.layers:
        if hasattr(inner, "layers"):
            yield from leaves(inner)
        elif type(inner).__name__ != "InputLayer":
            yield inner


@contextmanager
def _watched(layers: Sequence[Any], told: Callable[[Any, Any, Any], None]) -> Iterator[None]:
    """Tell what each layer receives and returns while it is called; Keras has no hooks of its own."""

    def watch(layer: Any) -> Callable[..., Any]:
        call = layer.call

        @wraps(call)
        def watched(inputs: Any, *args: Any, **options: Any) -> Any:
            returned = call(inputs, *args, **options)
            told(layer, inputs, returned)
            return returned

        return watched

    try:
        for layer in layers:
            object.__setattr__(layer, "call", watch(layer))
        yield
    finally:
        for layer in layers:
            if "call" in vars(layer):
                object.__delattr__(layer, "call")


def _calls(model: Any, shape: tuple[int, ...]) -> list[tuple[Any, tuple[int, ...], tuple[int, ...]]]:
    """Layers in the order in which they are called, with the shapes that they receive and return."""
    found: list[tuple[Any, tuple[int, ...], tuple[int, ...]]] = []

    def told(layer: Any, received: Any, returned: Any) -> None:
        if hasattr(received, "shape") and hasattr(returned, "shape"):
            found.append((layer, tuple(received.shape), tuple(returned.shape)))

    with _watched(list(leaves(model)), told):
        model(np.zeros((1, *shape), np.float32), training=False)
    return found


def _measuring(model: Any, chosen: Sequence[Any], shape: tuple[int, ...], *, before: bool) -> Any:
    """Return a Keras model from pictures to the means and mean squares at the `chosen` layers."""
    import keras  # noqa: PLC0415 (heavy)

    def moments(tensor: Any, channels: int) -> list[Any]:
        count = len(tensor.shape)
        axes = tuple(axis for axis in range(1, count) if axis != channels % count)
        squares = keras.ops.square(tensor)
        return [keras.ops.mean(tensor, axes), keras.ops.mean(squares, axes)] if axes else [tensor, squares]

    class Measuring(keras.layers.Layer):  # type: ignore[misc]
        def call(self, tensors: Any) -> Any:
            parts: dict[int, list[Any]] = {}

            def told(layer: Any, received: Any, returned: Any) -> None:
                parts.setdefault(id(layer), moments(received if before else returned, _axis(layer)))

            with _watched(chosen, told):
                model(tensors, training=False)
            return keras.ops.concatenate([part for layer in chosen for part in parts[id(layer)]], axis=-1)

    entry = keras.Input(shape, dtype=model.inputs[0].dtype)
    return keras.Model(entry, Measuring()(entry))
