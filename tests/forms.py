"""Other forms of a network: some that are wrong in a known way, and some that are sound."""

import numpy as np

from kit import samples
from kit.preprocessing.scaling import SCALINGS, scale, unscale

FLOOR = 1e-12
RANGES = {"missing_scaling", "double_scaling", "wrong_range", "wrong_mean_std"}


def faults(classifier):
    """Return by its kind the causes that are right, and a form that is wrong in that way."""
    predict, own, names = classifier.predict_tensors, classifier.preprocessing.scaling, classifier.class_names
    count, colours = len(names), classifier.input_shape[-1] == 3
    orders = {
        "classes rotated": [*range(1, count), 0],
        "classes sorted": sorted(range(count), key=names.__getitem__),
        "two classes exchanged": [1, 0, *range(2, count)],
        "classes permuted": np.random.default_rng(count).permutation(count),
    }
    found = {
        "height and width": ({"channel_layout"}, lambda x: predict(x.transpose(0, 2, 1, 3).copy())),
        "black and white": ({"inverted_polarity"}, lambda x: predict(scale(255 - unscale(x, own), own))),
        "expects 0..255": (RANGES, lambda x: predict(scale(unscale(x, SCALINGS["0..255"]), own))),
        "softmax twice": ({"softmax_head"}, lambda x: softmax(predict(x))),
        "logits": ({"softmax_head"}, lambda x: np.log(predict(x) + FLOOR)),
    }
    for kind, order in orders.items():
        found[kind] = {"class_order"}, lambda x, order=order: predict(x)[:, order].copy()
    if colours:
        found["red and blue"] = {"channel_order"}, lambda x: predict(x[..., ::-1].copy())
    return found


def unknown(classifier):
    """Return by its kind a form that is wrong in a way that has no name."""
    predict = classifier.predict_tensors
    rest = np.random.default_rng(10).dirichlet(np.ones(len(classifier.class_names)))
    return {
        "mixed with noise": lambda x: (0.75 * predict(x) + 0.25 * rest).astype(np.float32),
        "another training": samples.classifier("fashion_mnist_5000").predict_tensors,
    }


def sound(classifier):
    """Return by its kind a form that does the same."""
    predict = classifier.predict_tensors
    return {
        "one by one": lambda x: np.concatenate([predict(each[None]) for each in x]),
        "renormalised": lambda x: renormalised(predict(x)),
        "noise of 1e-5": lambda x: noisy(predict(x)),
        "float16 answers": lambda x: predict(x).astype(np.float16).astype(np.float32),
    }


def softmax(rows):
    powers = np.exp(rows - rows.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def renormalised(rows):
    rows = np.clip(rows, 1e-7, 1 - 1e-7)
    return rows / rows.sum(axis=1, keepdims=True)


def noisy(rows):
    return (rows + np.random.default_rng(3).uniform(-1e-5, 1e-5, rows.shape)).astype(np.float32)
