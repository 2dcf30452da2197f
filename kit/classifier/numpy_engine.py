"""Networks in numpy."""

import struct
from collections.abc import Callable, Iterator, Mapping
from functools import reduce
from typing import Any

import numpy as np

from kit._arrays import Array, Float32
from kit.classifier.engines import schema

# Memory that these touch is decided by shapes and the number of pictures, never by pixels, so that a trial
# tells it: no control flow, tables, or code of others.
_ALLOWED = """
ABS ADD AVERAGE_POOL_2D BATCH_MATMUL CONCATENATION CONV_2D DEPTHWISE_CONV_2D DIV ELU EXP FULLY_CONNECTED
GELU HARD_SWISH LEAKY_RELU LOG LOGISTIC LOG_SOFTMAX MAXIMUM MAX_POOL_2D MEAN MINIMUM MUL NEG PACK PAD
PADV2 POW PRELU REDUCE_MAX RELU RELU6 RELU_0_TO_1 RELU_N1_TO_1 RESHAPE RSQRT SHAPE SOFTMAX SQRT SQUARE
SQUARED_DIFFERENCE STRIDED_SLICE SUB SUM TANH TRANSPOSE
"""


def foreign_operations(compiled: bytes) -> tuple[str, ...]:
    """Return the operations of a compiled network that go beyond arithmetic on fixed shapes.

    Parameters
    ----------
    compiled
        In the ``.tflite`` format.

    Raises
    ------
    ValueError
        Another format, or more than one graph.
    """
    litert = schema()
    names = {value: name for name, value in vars(litert.BuiltinOperator).items() if isinstance(value, int)}
    try:
        model = litert.Model.GetRootAs(compiled, 0)
        graphs, count = model.SubgraphsLength(), model.OperatorCodesLength()
        if graphs != 1 or count > len(names):
            raise ValueError(f"{graphs} graphs, {count} operations")  # noqa: TRY301 (one line tells of all)
        codes = [model.OperatorCodes(index) for index in range(count)]
        kinds = {names.get(max(code.BuiltinCode(), code.DeprecatedBuiltinCode()), "?") for code in codes}
    except (IndexError, ValueError, TypeError, AttributeError, struct.error, OverflowError) as error:
        raise ValueError(f"Expected a compiled network, received other bytes ({error})") from error
    return tuple(sorted(kinds.difference(_ALLOWED.split())))


Watch = Callable[[str, Array, Array], None]
"""Is told the name of a layer, what it receives and what it returns."""

_IDENTITY = {"InputLayer", "Dropout", "SpatialDropout2D", "GaussianNoise", "GaussianDropout", "Identity"}
_IDENTITY |= {"RandomFlip", "RandomRotation", "RandomZoom", "RandomTranslation", "RandomContrast"}
_MAX_VALUES = 1 << 26


class UnknownNetworkError(ValueError):
    """A network with layers or settings that are not known here; Keras may well run it."""


class NumpyEngine:
    """A network in numpy; see `kit.classifier.engines.Engine`.

    Parameters
    ----------
    config
        As in ``config.json``.
    weights
        Arrays of each layer by its name, in Keras's order, as `kit.classifier.store.weights_in`
        returns them.
    watch
        Told of every layer in the order in which they run.

    Raises
    ------
    UnknownNetworkError
        Not one input (N, H, W, C).
    """

    description = "numpy"

    def __init__(
        self,
        config: Mapping[str, Any],
        weights: Mapping[str, tuple[Array, ...]],
        watch: Watch | None = None,
    ) -> None:
        self._config, self._weights, self._watch = config, weights, watch
        try:
            entry = next(layer for layer in config["config"]["layers"] if layer["class_name"] == "InputLayer")
            height, width, channels = entry["config"]["batch_shape"][1:]
        except (KeyError, TypeError, ValueError, StopIteration) as error:
            raise UnknownNetworkError("its input is not stated") from error
        self.input_shape = (height, width, channels)
        self.output_count = 0

    def predict(self, tensors: Float32) -> Float32:
        """Run the network on float32 tensors (N, H, W, C); returns float32 (N, outputs).

        Raises
        ------
        UnknownNetworkError
            A layer that is not known, weights that do not fit, or larger tensors than such networks have.
        """
        try:
            with np.errstate(all="ignore"):
                return self._model(self._config, tensors)
        except UnknownNetworkError:
            raise
        except (KeyError, TypeError, ValueError, IndexError, AttributeError, ArithmeticError) as error:
            raise UnknownNetworkError(f"{type(error).__name__} in its architecture") from error

    def _model(self, config: Mapping[str, Any], tensors: Float32) -> Float32:
        settings = config["config"]
        if config["class_name"] == "Sequential":
            return reduce(lambda value, layer: self._layer(layer, [value]), settings["layers"], tensors)
        if config["class_name"] not in {"Functional", "Model"}:
            raise UnknownNetworkError(f"a network of the kind {config['class_name']!r}")
        (entry,), (result,) = (list(_references(settings[f"{end}_layers"])) for end in ("input", "output"))
        values = {entry: tensors}
        waiting = [
            ((layer["name"], index), layer, node)
            for layer in settings["layers"]
            for index, node in enumerate(layer["inbound_nodes"])
        ]
        # Those behind the output, too: Keras builds them all.
        while waiting:
            ready = [each for each in waiting if all(key in values for key in _tensors(each[2]["args"]))]
            if not ready:
                raise UnknownNetworkError("layers that nothing leads to")
            for key, layer, node in ready:
                if any(value not in (None, False) for value in node["kwargs"].values()):
                    raise UnknownNetworkError(f"arguments of {layer['class_name']!r}")
                values[key] = self._layer(layer, [_operand(part, values) for part in _flat(node["args"])])
            waiting = [each for each in waiting if each[0] not in values]
        return values[result]

    def _layer(self, layer: Mapping[str, Any], operands: list[Any]) -> Float32:
        kind, settings = layer["class_name"], layer["config"]
        received = operands[0]
        if isinstance(settings.get("layers"), list):
            return self._model(layer, received)
        name = str(settings.get("name", layer.get("name")))
        kept = [np.asarray(array, np.float32) for array in self._weights.get(name, ())]
        policy = settings.get("dtype", "float32")
        policy = policy["config"]["name"] if isinstance(policy, Mapping) else policy
        home = str(layer.get("module")).partition(".")[0]
        plain = home == "keras" and settings.get("data_format", "channels_last") in (None, "channels_last")
        if not plain or policy != "float32" or (kind not in _LAYERS and kind not in _IDENTITY):
            raise UnknownNetworkError(f"a layer {str(kind)[:40]!r} of {str(policy)[:40]}")
        returned = received if kind in _IDENTITY else _LAYERS[kind](settings, kept, operands)
        # Keras makes room for what is declared before it looks at the weights.
        width, window = settings.get("units", settings.get("filters")), settings.get("kernel_size")
        fits = width in (None, returned.shape[-1]) and (not window or list(kept[0].shape[:2]) == list(window))
        if not fits or returned.size > _MAX_VALUES * len(received):
            raise UnknownNetworkError(f"a layer {name[:40]!r} of another size than its weights")
        returned = np.asarray(returned, np.float32)
        if self._watch is not None:
            self._watch(name, received, returned)
        return returned


def _references(value: Any) -> Iterator[tuple[str, int]]:
    """Yield layer and node out of ``["name", 0, 0]``, or of a list of these."""
    if value and isinstance(value[0], str):
        yield value[0], value[1]
    else:
        for part in value:
            yield from _references(part)


def _flat(value: Any) -> list[Any]:
    return [leaf for part in value for leaf in _flat(part)] if isinstance(value, list) else [value]


def _tensors(arguments: Any) -> list[tuple[str, int]]:
    parts = [part for part in _flat(arguments) if isinstance(part, Mapping)]
    return [(name, node) for name, node, _ in (part["config"]["keras_history"] for part in parts)]


def _operand(part: Any, values: Mapping[tuple[str, int], Float32]) -> Any:
    if isinstance(part, Mapping):
        name, node, _ = part["config"]["keras_history"]
        return values[name, node]
    return np.float32(part)


def _sigmoid(x: Array) -> Array:
    return (1 + np.tanh(x / 2)) / 2


def _softmax(x: Array) -> Array:
    exponentials: Array = np.exp(x - x.max(-1, keepdims=True))
    exponentials /= exponentials.sum(-1, keepdims=True)
    return exponentials


def _relu(x: Array, most: float | None = None, slope: float = 0, threshold: float = 0) -> Array:
    if slope or threshold:
        x = np.where(x >= threshold, x, np.float32(slope) * (x - np.float32(threshold)))
        return x if most is None else np.minimum(x, np.float32(most))
    return np.clip(x, np.float32(0), None if most is None else np.float32(most))


_ACTIVATIONS: dict[Any, Callable[[Array], Array]] = {
    None: lambda x: x,
    "linear": lambda x: x,
    "relu": _relu,
    "relu6": lambda x: _relu(x, 6),
    "leaky_relu": lambda x: _relu(x, slope=0.2),
    "sigmoid": _sigmoid,
    "softmax": _softmax,
    "log_softmax": lambda x: np.log(_softmax(x)),
    "tanh": np.tanh,
    "elu": lambda x: np.where(x > 0, x, np.expm1(x)),
    "softplus": lambda x: np.logaddexp(x, np.float32(0)),
    "swish": lambda x: x * _sigmoid(x),
    "silu": lambda x: x * _sigmoid(x),
    "hard_sigmoid": lambda x: _relu(x + 3, 6) / 6,
    "hard_swish": lambda x: x * _relu(x + 3, 6) / 6,
    "hard_silu": lambda x: x * _relu(x + 3, 6) / 6,
}


def _padded(x: Array, settings: Any, sizes: Any, steps: Any, spread: Any, fill: float = 0) -> Array:
    if settings["padding"] == "valid":
        return x
    sides = []
    for side, size, step, apart in zip(x.shape[1:3], sizes, steps, spread, strict=True):
        total = max((-(-side // step) - 1) * step + (size - 1) * apart + 1 - side, 0)
        sides.append((total // 2, total - total // 2))
    return np.pad(x, ((0, 0), *sides, (0, 0)), constant_values=fill)


def _windows(x: Array, sizes: Any, steps: Any, spread: Any = (1, 1)) -> Array:
    """View of (N, H, W, C) as (N, rows, columns, C, height, width) of every window."""
    spans = tuple((size - 1) * apart + 1 for size, apart in zip(sizes, spread, strict=True))
    view = np.lib.stride_tricks.sliding_window_view(x, spans, axis=(1, 2))
    return view[:, :: steps[0], :: steps[1], :, :: spread[0], :: spread[1]]


def _convolved(s: Any, kernel: Array, x: Array) -> Array:
    sizes, steps, spread = kernel.shape[:2], s["strides"], s["dilation_rate"]
    view = _windows(_padded(x, s, sizes, steps, spread), sizes, steps, spread)
    groups = s.get("groups", 1)
    if sizes == (1, 1) and groups == 1:
        mixed: Array = np.ascontiguousarray(view[..., 0, 0]) @ kernel[0, 0]
        return mixed
    parts = zip(np.split(view, groups, axis=3), np.split(kernel, groups, axis=3), strict=True)
    made: list[Array] = [np.tensordot(one, part, ((4, 5, 3), (0, 1, 2))) for one, part in parts]
    return np.concatenate(made, axis=-1)


def _depthwise(s: Any, kernel: Array, x: Array) -> Array:
    sizes, steps, spread = kernel.shape[:2], s["strides"], s["dilation_rate"]
    view = _windows(_padded(x, s, sizes, steps, spread), sizes, steps, spread)[..., None, :, :]
    total = np.zeros((*view.shape[:4], kernel.shape[3]), np.float32)
    for row, column in np.ndindex(*sizes):
        total += view[..., row, column] * kernel[row, column]
    return total.reshape(*total.shape[:3], -1)


def _finished(s: Any, x: Array, kept: list[Array]) -> Array:
    """Bias, if there is one left, and activation."""
    return _ACTIVATIONS[s.get("activation")](x + kept[0] if s["use_bias"] else x)


def _separable(s: Any, w: list[Array], v: list[Any]) -> Array:
    return _finished(s, _depthwise(s, w[0], v[0]) @ w[1][0, 0], w[2:])


def _batch_norm(s: Any, w: list[Array], v: list[Any]) -> Array:
    if s["axis"] not in (-1, v[0].ndim - 1, [v[0].ndim - 1]):
        raise UnknownNetworkError("statistics of another axis")
    mean, variance = w[-2:]
    factor = (w[0] if s["scale"] else 1) / np.sqrt(variance + np.float32(s["epsilon"]))
    scaled: Array = v[0] * factor
    scaled += (w[1 if s["scale"] else 0] if s["center"] else np.float32(0)) - mean * factor
    return scaled


def _pooled(s: Any, x: Array, *, largest: bool) -> Array:
    sizes, steps = s["pool_size"], s["strides"]
    fill = -np.inf if largest else 0
    view = _windows(_padded(x, s, sizes, steps, (1, 1), fill), sizes, steps)
    ones = _padded(np.ones_like(x[:1, ..., :1]), s, sizes, steps, (1, 1))
    counts = 1 if largest else _windows(ones, sizes, steps).sum((4, 5))
    pooled: Array = (view.max if largest else view.sum)((4, 5)) / counts
    return pooled


def _cropped(x: Array, sides: Any) -> Array:
    (top, bottom), (left, right) = sides
    return x[:, top : x.shape[1] - bottom, left : x.shape[2] - right]


def _rescaled(s: Any, _: Any, v: list[Any]) -> Any:
    return v[0] * np.asarray(s["scale"], np.float32) + np.asarray(s["offset"], np.float32)


def _normalized(s: Any, w: list[Array], v: list[Any]) -> Any:
    if s["axis"] not in (None, -1, [-1], 3, [3]) or s.get("invert"):
        raise UnknownNetworkError("a normalization along another axis")
    mean, variance = w[:2] if w else (np.asarray(s[name], np.float32) for name in ("mean", "variance"))
    return (v[0] - mean) / np.maximum(np.sqrt(variance), np.float32(1e-7))


def _folded(combine: Any) -> Any:
    return lambda _s, _, v: reduce(combine, v)


_LAYERS: dict[str, Callable[[Any, list[Array], list[Any]], Any]] = {
    "Conv2D": lambda s, w, v: _finished(s, _convolved(s, w[0], v[0]), w[1:]),
    "DepthwiseConv2D": lambda s, w, v: _finished(s, _depthwise(s, w[0], v[0]), w[1:]),
    "SeparableConv2D": _separable,
    "Dense": lambda s, w, v: _finished(s, v[0] @ w[0], w[1:]),
    "BatchNormalization": _batch_norm,
    "Activation": lambda s, _, v: _ACTIVATIONS[s["activation"]](v[0]),
    "ReLU": lambda s, _, v: _relu(v[0], s["max_value"], s["negative_slope"], s["threshold"]),
    "LeakyReLU": lambda s, _, v: _relu(v[0], slope=s["negative_slope"]),
    "Softmax": lambda _s, _, v: _softmax(v[0]),
    "Rescaling": _rescaled,
    "Normalization": _normalized,
    "MaxPooling2D": lambda s, _, v: _pooled(s, v[0], largest=True),
    "AveragePooling2D": lambda s, _, v: _pooled(s, v[0], largest=False),
    "GlobalAveragePooling2D": lambda s, _, v: v[0].mean((1, 2), keepdims=s["keepdims"]),
    "GlobalMaxPooling2D": lambda s, _, v: v[0].max((1, 2), keepdims=s["keepdims"]),
    "ZeroPadding2D": lambda s, _, v: np.pad(v[0], ((0, 0), *map(tuple, s["padding"]), (0, 0))),
    "Cropping2D": lambda s, _, v: _cropped(v[0], s["cropping"]),
    "Flatten": lambda _s, _, v: v[0].reshape(len(v[0]), -1),
    "Reshape": lambda s, _, v: v[0].reshape(len(v[0]), *s["target_shape"]),
    "Permute": lambda s, _, v: v[0].transpose(0, *s["dims"]),
    "Concatenate": lambda s, _, v: np.concatenate(v, axis=s["axis"]),
    "Add": _folded(np.add),
    "Subtract": _folded(np.subtract),
    "Multiply": _folded(np.multiply),
    "TrueDivide": _folded(np.divide),
    "Divide": _folded(np.divide),
    "Maximum": _folded(np.maximum),
    "Average": lambda _s, _, v: reduce(np.add, v) / np.float32(len(v)),
}
