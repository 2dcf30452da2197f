"""Weights rounded in known ways, and weights that are not."""

import numpy as np
import pytest

import kit
from kit.regression.rounding import only_rounded
from tests.networks import GREY, NAMES, small


@pytest.fixture(scope="module")
def first():
    return kit.Classifier(small(), GREY, NAMES)


def changed(change):
    """`small` with its kernels changed: (3, 3, 1, 8), which is too small to tell, and (1352, 3)."""
    model = small()
    for layer in model.layers:
        if hasattr(layer, "kernel"):
            layer.kernel.assign(change(np.asarray(layer.kernel)))
    return kit.Classifier(model, GREY, NAMES)


def by_channel(kernel):
    """Eight bits, with a step of its own for each channel."""
    steps = np.abs(kernel).max(axis=tuple(range(kernel.ndim - 1))) * np.linspace(1, 3, kernel.shape[-1]) / 127
    return np.round(kernel / steps) * steps


@pytest.mark.parametrize("change", [by_channel, lambda kernel: kernel.astype(np.float16).astype(np.float32)])
def test_rounded_weights_are_told_whichever_comes_first(first, change):
    second = changed(change)
    assert only_rounded(first, second)
    assert only_rounded(second, first)
    assert not only_rounded(first, first)


@pytest.mark.parametrize(
    "change",
    [
        # Moved by a tenth of their spread, and rounded besides.
        lambda kernel: by_channel(kernel + np.random.default_rng(1).normal(0, 0.003, kernel.shape)),
        lambda kernel: by_channel(kernel)[..., ::-1],
    ],
)
def test_weights_that_are_changed_otherwise_are_not(first, change):
    second = changed(change)
    assert not only_rounded(first, second)
    assert not only_rounded(second, first)
