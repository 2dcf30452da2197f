"""Taps: what the first layers of a network receive, channel by channel, compiled for LiteRT.

A batch-normalized network carries free statistics of its training pictures: the moving mean and variance of
each BatchNorm layer's input. A tap measures the same on new tensors. The part of the network up to the last
tap is compiled beside the network itself, so that no TensorFlow is needed later.
"""

import io
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from kit.classifier.activations.tensor_features import tensor_features

COUNT = 3
"""Layers that are tapped; later ones were found to add nothing."""

# Layers that do nothing when a network predicts.
_IDLE = ("Dropout", "GaussianNoise", "Identity", "ActivityRegularization")
_OPTIONAL = ("means", "variances", "profile", "features")
Vector = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Stem:
    """The first convolution of a network, where nothing but scaling and padding comes before it.

    Attributes
    ----------
    kernel
        float64 (h, w, C, F).
    bias
        float64 (F,).
    stride
        (down, across).
    padding
        ((top, bottom), (left, right)), filled with zeros *after* `slope` and `offset`.
    slope, offset
        What the network does to its input beforehand, float64 (C,).
    """

    kernel: Vector
    bias: Vector
    stride: tuple[int, int]
    padding: tuple[tuple[int, int], tuple[int, int]]
    slope: Vector
    offset: Vector


@dataclass(frozen=True, eq=False, repr=False)
class Taps:
    """Compiled statistics of the first layers, with what training left there.

    Attributes
    ----------
    compiled
        LiteRT: from tensors (N, H, W, C) to (N, 2 * sum(widths)): for each tap the mean of every channel over
        the picture, then the mean of its squares.
    widths
        Channels of each tap.
    means, variances
        float64 (sum(widths),): the moving averages of BatchNorm layers; None in a network without them.
    epsilon
        Added to a variance before it counts, as in the BatchNorm layers.
    profile
        float64 (pictures, 2 * sum(widths)): what `compiled` gives for some training pictures; None if none
        were given.
    features
        float64 (pictures, K): what `tensor_features` gives for the same; None in files of
        an earlier version.
    stem
        The first convolution, where its output is the first tap and statistics follow in closed form.
    """

    compiled: bytes
    widths: tuple[int, ...]
    means: Vector | None = None
    variances: Vector | None = None
    epsilon: float = 1e-3
    profile: Vector | None = None
    features: Vector | None = None
    stem: Stem | None = None

    @property
    def source(self) -> str:
        """Where statistics of the training pictures come from: "batchnorm", "profile" or ""."""
        return "batchnorm" if self.means is not None else "profile" if self.profile is not None else ""

    def with_profile(self, tensors: npt.NDArray[np.float32]) -> Self:
        """Return these taps with the statistics of training pictures.

        Parameters
        ----------
        tensors
            float32 (N, H, W, C), prepared as in training.
        """
        from kit.classifier.runtime.engine import LiteEngine  # noqa: PLC0415 (kept out of reading the value)

        measured = LiteEngine(self.compiled, threads=1).predict(tensors)
        return replace(self, profile=measured.astype(np.float64), features=tensor_features(tensors))

    def to_bytes(self) -> bytes:
        """Return this value as an ``.npz`` file."""
        arrays: dict[str, Any] = {
            "compiled": np.frombuffer(self.compiled, np.uint8),
            "widths": np.array(self.widths),
            "epsilon": np.array(self.epsilon),
        }
        arrays |= {name: value for name in _OPTIONAL if (value := getattr(self, name)) is not None}
        if self.stem is not None:
            arrays |= {f"stem_{name}": np.asarray(value) for name, value in vars(self.stem).items()}
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
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
            with np.load(io.BytesIO(data), allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            stem = None
            if "stem_kernel" in arrays:
                down, across = arrays["stem_stride"].tolist()
                (top, bottom), (left, right) = arrays["stem_padding"].tolist()
                stem = Stem(
                    arrays["stem_kernel"],
                    arrays["stem_bias"],
                    (down, across),
                    ((top, bottom), (left, right)),
                    arrays["stem_slope"],
                    arrays["stem_offset"],
                )
            return cls(
                arrays["compiled"].tobytes(),
                tuple(arrays["widths"].tolist()),
                epsilon=float(arrays["epsilon"]),
                stem=stem,
                **{name: arrays[name] for name in _OPTIONAL if name in arrays},
            )
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(
                f"Expected taps as kit.taps writes them, received other bytes ({error}); save anew"
            ) from error

    def __repr__(self) -> str:
        return f"Taps(widths={self.widths}, source={self.source!r})"


def tap(model: Any, size: tuple[int, int] | None = None) -> Taps | None:
    """Compile the taps of a Keras model; imports TensorFlow.

    Parameters
    ----------
    model
        From pictures (N, H, W, C). Not changed.
    size
        Height and width to fix where the model leaves them open.

    Returns
    -------
    Taps
        At the inputs of the first `COUNT` BatchNorm layers, or, in a network without them, at the outputs of
        the first `COUNT` layers with a kernel. None for a network that has neither, or cannot be compiled.
    """
    from kit.classifier.runtime import conversion  # noqa: PLC0415 (heavy)

    shape = tuple(model.inputs[0].shape[1:])
    if shape[2] not in {1, 3}:
        return None
    filled = (shape[0] or (size or (96, 96))[0], shape[1] or (size or (96, 96))[1], shape[2])
    calls = _calls(model, filled)
    norms = [layer for layer, received, _ in calls if _is_norm(layer, received)][:COUNT]
    kernels = [layer for layer, _, returned in calls if hasattr(layer, "kernel") and len(returned) in {2, 4}]
    chosen = norms or kernels[:COUNT]
    if not chosen:
        return None
    try:
        compiled = conversion.compile_lite(_measuring(model, chosen, filled, before=bool(norms)))
        _check(compiled, filled)
    except (conversion.ConversionError, ValueError, ImportError):
        return None
    if not norms:
        return Taps(compiled, tuple(returned[-1] for layer, _, returned in calls if layer in chosen))
    taps = Taps(
        compiled,
        tuple(int(layer.moving_mean.shape[0]) for layer in norms),
        np.concatenate([np.asarray(layer.moving_mean, np.float64) for layer in norms]),
        np.concatenate([np.asarray(layer.moving_variance, np.float64) for layer in norms]),
        epsilon=max(float(layer.epsilon) for layer in norms),
    )
    names = [layer for layer, _, _ in calls]
    return replace(taps, stem=_stem(names[: names.index(norms[0])], filled))


def _check(compiled: bytes, shape: tuple[int, ...]) -> None:
    """Refuse what LiteRT does not run."""
    from kit.classifier.runtime.engine import LiteEngine  # noqa: PLC0415 (kept out of reading the value)

    LiteEngine(compiled, threads=1).predict(np.zeros((1, *shape), np.float32))


def _is_norm(layer: Any, received: tuple[int, ...]) -> bool:
    return type(layer).__name__ == "BatchNormalization" and len(received) == 4 and layer.axis in {-1, 3}


def _leaves(layer: Any) -> Iterator[Any]:
    for inner in layer.layers:
        if hasattr(inner, "layers"):
            yield from _leaves(inner)
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

    with _watched(list(_leaves(model)), told):
        model(np.zeros((1, *shape), np.float32), training=False)
    return found


def _measuring(model: Any, chosen: Sequence[Any], shape: tuple[int, ...], *, before: bool) -> Any:
    """Return a Keras model from pictures to the means and mean squares at the `chosen` layers."""
    import keras  # noqa: PLC0415 (heavy)

    def moments(tensor: Any) -> list[Any]:
        axes = tuple(range(1, len(tensor.shape) - 1))
        squares = keras.ops.square(tensor)
        return [keras.ops.mean(tensor, axes), keras.ops.mean(squares, axes)] if axes else [tensor, squares]

    class Measuring(keras.layers.Layer):  # type: ignore[misc]
        def call(self, tensors: Any) -> Any:
            parts: dict[int, list[Any]] = {}

            def told(layer: Any, received: Any, returned: Any) -> None:
                parts.setdefault(id(layer), moments(received if before else returned))

            with _watched(chosen, told):
                model(tensors, training=False)
            return keras.ops.concatenate([part for layer in chosen for part in parts[id(layer)]], axis=-1)

    entry = keras.Input(shape, dtype=model.inputs[0].dtype)
    return keras.Model(entry, Measuring()(entry))


def _stem(layers: Sequence[Any], shape: tuple[int, ...]) -> Stem | None:
    """Return the first convolution if the `layers` before the first tap are scaling, padding and that."""
    slope, offset = np.ones(shape[2]), np.zeros(shape[2])
    padding, convolution = ((0, 0), (0, 0)), None
    for layer in layers:
        kind = type(layer).__name__
        if convolution is not None or kind in _IDLE:
            if convolution is not None and kind not in _IDLE:
                return None
        elif kind == "Rescaling" and padding == ((0, 0), (0, 0)):
            slope, offset = slope * np.asarray(layer.scale), offset * layer.scale + np.asarray(layer.offset)
        elif kind == "ZeroPadding2D":
            padding = layer.padding
        elif kind == "Conv2D" and layer.groups == 1 and layer.dilation_rate == (1, 1):
            convolution = layer
        else:
            return None
    if convolution is None or getattr(convolution.activation, "__name__", "") != "linear":
        return None
    kernel = np.asarray(convolution.kernel, np.float64)
    if convolution.padding == "same":
        if padding != ((0, 0), (0, 0)):
            return None
        padding = _same(shape, kernel.shape, convolution.strides)
    bias = np.zeros(kernel.shape[3]) if convolution.bias is None else np.asarray(convolution.bias, np.float64)
    return Stem(kernel, bias, tuple(convolution.strides), padding, slope, offset)


def _same(
    shape: tuple[int, ...], kernel: tuple[int, ...], stride: tuple[int, int]
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the zeros that TensorFlow's padding "same" adds before and after."""
    totals = [
        max((-(-side // step) - 1) * step + width - side, 0)
        for side, width, step in zip(shape[:2], kernel[:2], stride, strict=True)
    ]
    down, across = totals
    return (down // 2, down - down // 2), (across // 2, across - across // 2)
