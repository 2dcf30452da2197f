"""Other forms of a network: some that are wrong in a known way, and some that are sound."""

import numpy as np

from kit import samples
from kit.preprocessing.pipeline import arrange, arrange_back
from kit.preprocessing.scaling import SCALINGS, Scaling, scale, unscale

FLOOR = 1e-12
RANGES = {"missing_scaling", "double_scaling", "wrong_range", "wrong_mean_std"}
TURNED = {"exif_orientation", "channel_layout"}


def faults(classifier):
    """Return by its kind the causes that are right, and a form that is wrong in that way."""
    predict, own, names = (
        classifier.predict_tensors,
        classifier.preprocessing.scaling,
        classifier.class_names,
    )
    count, colours = len(names), classifier.input_shape[-1] == 3
    orders = {
        "classes rotated": [*range(1, count), 0],
        "classes sorted": sorted(range(count), key=names.__getitem__),
        "classes as text": sorted(range(count), key=str),
        "classes reversed": [*range(count)][::-1],
        "two classes exchanged": exchanged(
            count, *((0, 1) if count == 10 else (301, 388))
        ),
        "classes permuted": np.random.default_rng(count).permutation(count),
    }
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
        "expects 0..255": (
            RANGES,
            lambda x: scale(unscale(x, SCALINGS["0..255"]), own),
        ),
        "expects 0..1": (RANGES, lambda x: scale(unscale(x, SCALINGS["0..1"]), own)),
        "expects -1..1": (RANGES, lambda x: scale(unscale(x, SCALINGS["-1..1"]), own)),
        "divides again": (RANGES, lambda x: x / 255),
        "subtracts again": (RANGES, lambda x: x / 127.5 - 1),
        "cast": ({"dtype_cast"}, np.trunc),
    }
    outputs = {
        "softmax twice": softmax,
        "logits": lambda rows: np.log(rows + FLOOR),
        "sigmoids": lambda rows: 1 / (1 + np.exp(-(np.log(rows + FLOOR) + 5))),
        "temperature of 2": lambda rows: softmax(np.log(rows + FLOOR) / 2),
        "temperature of a half": lambda rows: softmax(np.log(rows + FLOOR) * 2),
        "per cent": lambda rows: rows * 100,
    }
    if colours:
        raw = Scaling(1.0, (103.939, 116.779, 123.68))
        inputs |= {
            "red and blue": ({"channel_order"}, lambda x: x[..., ::-1]),
            "caffe": (
                RANGES | {"channel_order"},
                lambda x: scale(unscale(x, (raw,))[..., ::-1], own),
            ),
            "expects imagenet": (
                RANGES,
                lambda x: scale(unscale(x, SCALINGS["imagenet"]), own),
            ),
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
    found = {}
    # These change nothing there.
    if own == SCALINGS["0..1"]:
        del inputs["expects 0..1"], orders["classes as text"]
    else:
        del inputs["expects -1..1"]
    for kind, (causes, change) in inputs.items():
        found[kind] = (
            causes,
            lambda x, change=change: predict(
                np.ascontiguousarray(change(x), np.float32)
            ),
        )
    for kind, change in outputs.items():
        found[kind] = (
            {"softmax_head"},
            lambda x, change=change: change(predict(x)).astype(np.float32),
        )
    for kind, order in orders.items():
        found[kind] = (
            {"class_order"},
            lambda x, order=order: predict(x)[:, order].copy(),
        )
    both = {"softmax_head", "class_order"}
    found["logits, classes rotated"] = (
        both,
        lambda x: np.log(predict(x) + FLOOR)[:, orders["classes rotated"]],
    )
    lying = inputs["mirrored"][1]
    found["logits, mirrored"] = (
        {"softmax_head", *TURNED},
        lambda x: np.log(predict(np.ascontiguousarray(lying(x))) + FLOOR),
    )
    return found


def unknown(classifier):
    """Return by its kind a form that is wrong in a way that has no name."""
    predict = classifier.predict_tensors
    rest = np.random.default_rng(10).dirichlet(np.ones(len(classifier.class_names)))
    found = {
        "mixed with noise": lambda x: (0.75 * predict(x) + 0.25 * rest).astype(
            np.float32
        ),
        "noisy inputs": lambda x: predict(x + noise(x.shape, 0.25)),
        "blurred inputs": lambda x: predict(
            (x + np.roll(x, 3, 1) + np.roll(x, 3, 2)) / 3
        ),
    }
    if classifier.name == "fashion_mnist":
        found["another training"] = samples.classifier(
            "fashion_mnist_5000"
        ).predict_tensors
    return found


def sound(classifier):
    """Return by its kind a form that does the same."""
    predict = classifier.predict_tensors
    return {
        "one by one": lambda x: np.concatenate([predict(each[None]) for each in x]),
        "renormalised": lambda x: renormalised(predict(x)),
        "noise of 1e-5": lambda x: (predict(x) + noise((len(x), 1), 1e-5)).astype(np.float32),
        "float16 answers": lambda x: predict(x).astype(np.float16).astype(np.float32),
        "float16 inputs": lambda x: predict(x.astype(np.float16).astype(np.float32)),
        "whole 256ths": lambda x: np.rint(predict(x) * 256).astype(np.float32) / 256,
        "three digits": lambda x: predict(x).round(3),
        "noisy inputs": lambda x: predict(x + noise(x.shape, 1e-4)),
        "a little sharper": lambda x: softmax(1.005 * np.log(predict(x) + FLOOR)),
        "in halves": lambda x: np.concatenate([predict(x[: len(x) // 2 + 1]), predict(x[len(x) // 2 + 1 :])])
        if len(x) > 1
        else predict(x),
    }  # fmt: skip


def exchanged(count, one, other):
    order = [*range(count)]
    order[one], order[other] = other, one
    return order


def noise(shape, size):
    return np.random.default_rng(3).uniform(-size, size, shape).astype(np.float32)


def softmax(rows):
    powers = np.exp(rows - rows.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def renormalised(rows):
    rows = np.clip(rows, 1e-7, 1 - 1e-7)
    return rows / rows.sum(axis=1, keepdims=True)
