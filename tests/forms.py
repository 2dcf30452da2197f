"""Other forms of a network: some that are wrong in a known way, and some that are sound."""

from functools import reduce

import numpy as np
from scipy.special import expit, softmax as softmax_of

from kit.preprocessing.scaling import SCALINGS, Scaling, scale, unscale

RANGES = {"missing_scaling", "double_scaling", "wrong_range", "wrong_mean_std"}
TURNED = {"exif_orientation", "channel_layout"}
RAW = Scaling(1.0, (103.939, 116.779, 123.68))


def faults(classifier):
    """Return by its kind the causes that are right, and a form that is wrong in that way."""
    predict, own = classifier.predict_tensors, classifier.preprocessing.scaling
    inputs = {
        "height and width": ({"channel_layout"}, lambda x: x.transpose(0, 2, 1, 3)),
        "expects -1..1": (RANGES, lambda x: scale(unscale(x, SCALINGS["-1..1"]), own)),
        "divides again": (RANGES, lambda x: x / 255),
        "cast": ({"dtype_cast"}, np.trunc),
        "caffe": (
            RANGES | {"channel_order"},
            lambda x: scale(unscale(x, (RAW,))[..., ::-1], own),
        ),
        "grey": (
            {"grayscale"},
            lambda x: np.repeat(x @ [[0.299], [0.587], [0.114]], 3, -1),
        ),
    }
    outputs = {
        "softmax twice": softmax,
        "logits": logits,
        "sigmoids": lambda rows: expit(logits(rows) + 5),
        "temperature of 2": lambda rows: softmax(logits(rows) / 2),
        "per cent": lambda rows: rows * 100,
    }
    found = {
        "logits, mirrored": (
            {"softmax_head", *TURNED},
            through(mirrored, float32, predict, logits),
        )
    }
    for kind, (causes, change) in inputs.items():
        found[kind] = causes, through(change, float32, predict)
    for kind, change in outputs.items():
        found[kind] = {"softmax_head"}, through(predict, change, float32)
    for kind, order in orders(classifier.class_names).items():
        found[kind] = (
            {"class_order"},
            lambda x, order=order: predict(x)[:, order],
        )
    return found


def orders(names):
    """Return by its kind another order of the classes."""
    places = np.arange(len(names))
    return {
        "classes sorted": np.argsort(names),
        "classes reversed": places[::-1],
        "classes permuted": np.random.default_rng(len(names)).permutation(len(names)),
    }


def mirrored(x):
    return x[:, :, ::-1]


def through(*steps):
    """What does one step after the other."""
    return lambda x: reduce(lambda made, step: step(made), steps, x)


def float32(x):
    return np.ascontiguousarray(x, np.float32)


def logits(rows):
    return np.log(rows + 1e-12)


def softmax(rows):
    return softmax_of(rows, axis=1)
