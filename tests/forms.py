"""Other forms of a network: some that are wrong in a known way, and some that are sound."""

from functools import reduce

import numpy as np

from kit import samples
from kit.preprocessing.pipeline import arrange, arrange_back
from kit.preprocessing.scaling import SCALINGS, Scaling, scale, unscale

RANGES = {"missing_scaling", "double_scaling", "wrong_range", "wrong_mean_std"}
TURNED = {"exif_orientation", "channel_layout"}
RAW = Scaling(1.0, (103.939, 116.779, 123.68))


def faults(classifier):
    """Return by its kind the causes that are right, and a form that is wrong in that way."""
    predict = classifier.predict_tensors
    own = classifier.preprocessing.scaling

    def expecting(scaling):
        return RANGES, lambda x: scale(unscale(x, SCALINGS[scaling]), own)

    inputs = {
        "height and width": ({"channel_layout"}, lambda x: x.transpose(0, 2, 1, 3)),
        "mirrored": (TURNED, lambda x: x[:, :, ::-1]),
        "upside down": (TURNED, lambda x: x[:, ::-1]),
        "turned by 180": (TURNED, lambda x: x[:, ::-1, ::-1]),
        "turned left": (TURNED, lambda x: np.rot90(x, 1, (1, 2))),
        "black and white": (
            {"inverted_polarity"},
            lambda x: scale(255 - unscale(x, own), own),
        ),
        "expects 0..255": expecting("0..255"),
        "expects 0..1": expecting("0..1"),
        "expects -1..1": expecting("-1..1"),
        "divides again": (RANGES, lambda x: x / 255),
        "subtracts again": (RANGES, lambda x: x / 127.5 - 1),
        "cast": ({"dtype_cast"}, np.trunc),
    }
    if classifier.input_shape[-1] == 3:
        inputs |= {
            "red and blue": ({"channel_order"}, lambda x: x[..., ::-1]),
            "caffe": (
                RANGES | {"channel_order"},
                lambda x: scale(unscale(x, (RAW,))[..., ::-1], own),
            ),
            "expects imagenet": expecting("imagenet"),
            "grey": (
                {"grayscale"},
                lambda x: np.repeat(x @ [[0.299], [0.587], [0.114]], 3, -1),
            ),
            "reshaped": ({"channel_layout"}, lambda x: arrange(x, "reshaped")),
            "channels first in another shape": (
                {"channel_layout"},
                lambda x: arrange_back(x, "reshaped"),
            ),
            "reversed and bgr": (
                TURNED | {"channel_order"},
                lambda x: x[:, ::-1, ::-1, ::-1],
            ),
        }
    outputs = {
        "softmax twice": softmax,
        "logits": logits,
        "sigmoids": lambda rows: 1 / (1 + np.exp(-(logits(rows) + 5))),
        "temperature of 2": lambda rows: softmax(logits(rows) / 2),
        "temperature of a half": lambda rows: softmax(logits(rows) * 2),
        "per cent": lambda rows: rows * 100,
    }
    ordered = orders(classifier.class_names)
    # These change nothing there.
    if own == SCALINGS["0..1"]:
        del inputs["expects 0..1"], ordered["classes as text"]
    else:
        del inputs["expects -1..1"]
    mirrored, rotated = inputs["mirrored"][1], ordered["classes rotated"]
    found = {}
    for kind, (causes, change) in inputs.items():
        found[kind] = causes, through(change, float32, predict)
    for kind, change in outputs.items():
        found[kind] = {"softmax_head"}, through(predict, change, float32)
    for kind, order in ordered.items():
        found[kind] = {"class_order"}, through(predict, order)
    found["logits, classes rotated"] = (
        {"softmax_head", "class_order"},
        through(predict, logits, rotated),
    )
    found["logits, mirrored"] = (
        {"softmax_head", *TURNED},
        through(mirrored, float32, predict, logits),
    )
    return found


def orders(names):
    """Return by its kind what puts the classes in another order."""
    places = np.arange(len(names))
    exchanged = places.copy()
    one, other = (0, 1) if len(names) == 10 else (301, 388)
    exchanged[[one, other]] = other, one
    found = {
        "classes rotated": np.roll(places, -1),
        "classes sorted": np.argsort(names),
        "classes as text": np.argsort(places.astype(str)),
        "classes reversed": places[::-1],
        "two classes exchanged": exchanged,
        "classes permuted": np.random.default_rng(len(names)).permutation(len(names)),
    }
    return {kind: lambda rows, o=order: rows[:, o] for kind, order in found.items()}


def unknown(classifier):
    """Return by its kind a form that is wrong in a way that has no name."""
    predict = classifier.predict_tensors
    rest = np.random.default_rng(10).dirichlet(np.ones(len(classifier.class_names)))
    found = {
        "mixed with noise": lambda x: float32(0.75 * predict(x) + 0.25 * rest),
        "noisy inputs": lambda x: predict(x + noise(x.shape, 0.25)),
        "blurred inputs": lambda x: predict(
            (x + np.roll(x, 3, 1) + np.roll(x, 3, 2)) / 3
        ),
    }
    if classifier.name == "fashion_mnist":
        another = samples.classifier("fashion_mnist_5000")
        found["another training"] = another.predict_tensors
    return found


def sound(classifier):
    """Return by its kind a form that does the same."""
    predict = classifier.predict_tensors
    return {
        "one by one": lambda x: np.concatenate([predict(each[None]) for each in x]),
        "renormalised": lambda x: renormalised(predict(x)),
        "noise of 1e-5": lambda x: predict(x) + noise((len(x), 1), 1e-5),
        "float16 answers": lambda x: float32(predict(x).astype(np.float16)),
        "float16 inputs": lambda x: predict(float32(x.astype(np.float16))),
        "whole 256ths": lambda x: np.rint(predict(x) * 256) / 256,
        "three digits": lambda x: predict(x).round(3),
        "noisy inputs": lambda x: predict(x + noise(x.shape, 1e-4)),
        "a little sharper": lambda x: softmax(1.005 * logits(predict(x))),
    }


def through(*steps):
    """What does one step after the other."""
    return lambda x: reduce(lambda made, step: step(made), steps, x)


def float32(x):
    return np.ascontiguousarray(x, np.float32)


def noise(shape, size):
    return float32(np.random.default_rng(3).uniform(-size, size, shape))


def logits(rows):
    return np.log(rows + 1e-12)


def softmax(rows):
    powers = np.exp(rows - rows.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def renormalised(rows):
    rows = np.clip(rows, 1e-7, 1 - 1e-7)
    return rows / rows.sum(axis=1, keepdims=True)
