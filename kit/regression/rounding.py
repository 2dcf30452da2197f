"""Whether the weights of one network are those of another, rounded: two trainings answer much alike, too."""

from collections.abc import Iterator, Sequence

import numpy as np

from kit._arrays import Array
from kit.classifier import Classifier
from kit.classifier.architecture import architecture_and_weights, layers_of

LARGE, SLICE = 100, 4
"""Kernels of fewer weights, and channels of fewer, fall into the same order by chance."""
FEW = 0.9
"""Share of the different values that rounding leaves, at most."""
HALF = 1e-3
"""Relative error of a weight in float16, at most."""
OUT_OF_ORDER = 0.01
"""Share of the weights that may be out of order."""


def only_rounded(first: Classifier, second: Classifier) -> bool:
    """Whether either of two networks has the weights of the other, rounded: by tensor or by channel.

    Rounded weights keep their order: where one is larger than another it is never smaller afterwards. Those
    of another training do not, even of one that began with the same weights.
    """
    ours, theirs = (list(_kernels(each)) for each in (first, second))
    if not ours or [each.shape for each in ours] != [each.shape for each in theirs]:
        return False
    apart = [(one, two) for one, two in zip(ours, theirs, strict=True) if not np.array_equal(one, two)]
    return bool(apart) and (_rounded(apart) or _rounded([(two, one) for one, two in apart]))


def _kernels(classifier: Classifier) -> Iterator[Array]:
    config, weights = architecture_and_weights(classifier)
    for layer in layers_of(config):
        for array in weights.get(layer.name, ()):
            if array.ndim > 1 and array.size >= LARGE:
                yield np.asarray(array, np.float32)


def _rounded(kernels: Sequence[tuple[Array, Array]]) -> bool:
    """Whether the second of each two kernels is the first, rounded."""
    before = after = 0
    near = True
    for one, two in kernels:
        view = next((pair for pair in _views(one, two) if _in_order(*pair)), None)
        if view is None:
            return False
        before, after = before + _values(view[0]), after + _values(view[1])
        near = near and _is_half(one, two)
    return near or after <= FEW * before


def _views(one: Array, two: Array) -> Iterator[tuple[Array, Array]]:
    """Yield two kernels as (channels, weights): whole, and by the channels that may be rounded apart."""
    yield one.reshape(1, -1), two.reshape(1, -1)
    for axis in (-1, -2):
        if one.size >= SLICE * one.shape[axis]:
            yield _channels(one, axis), _channels(two, axis)


def _values(view: Array) -> int:
    """Count the different values in each channel."""
    return int((np.diff(np.sort(view, axis=-1), axis=-1) != 0).sum()) + len(view)


def _is_half(one: Array, two: Array) -> bool:
    with np.errstate(over="ignore"):
        half = np.array_equal(two, two.astype(np.float16).astype(np.float32))
    return half and np.allclose(one, two, rtol=HALF, atol=HALF * float(np.abs(one).max()))


def _channels(kernel: Array, axis: int) -> Array:
    """Return a row for each channel."""
    return np.reshape(np.moveaxis(kernel, axis, 0), (kernel.shape[axis], -1))


def _in_order(one: Array, two: Array) -> bool:
    """Whether the second of two arrays (channels, weights) never falls where the first rises."""
    order = np.lexsort((two, one), axis=-1)
    ordered = np.take_along_axis(two, order, axis=-1)
    below = ordered < np.maximum.accumulate(ordered, axis=-1)
    return bool(below.mean() <= OUT_OF_ORDER)
