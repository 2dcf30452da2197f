"""Other forms of real networks: some that are wrong in a known way, and some that are sound."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np

import kit
from kit import samples
from kit.classifier.engines import KerasEngine
from kit.preprocessing.scaling import SCALINGS, scale, unscale
from tests.networks import imported_keras

GREY = ("fashion_mnist", "fashion_mnist_500", "fashion_mnist_2000", "fashion_mnist_5000")
NETWORKS = ("efficientnet_lite0", *GREY)
PHOTOS = 24
FLOOR = 1e-12


Function = Callable[[np.ndarray], np.ndarray]
RANGES = {"missing_scaling", "double_scaling", "wrong_range", "wrong_mean_std"}
UNKNOWN = {""}
"""Nothing that is named is right, and the form is not sound."""


@dataclass(frozen=True)
class Form:
    """A form of a network, what was done to it, and the causes that are right; none where it is sound."""

    network: str
    kind: str
    causes: set[str]
    make: Callable[[], Function]


@dataclass(frozen=True)
class Subject:
    """A network with the images that its forms are asked about."""

    classifier: kit.Classifier
    photos: tuple[kit.Photo, ...]


@cache
def subject(name: str) -> Subject:
    """Return a network and its pictures."""
    classifier = samples.classifier(name)
    if name == "efficientnet_lite0":
        return Subject(classifier, samples.photos("imagenet")[:PHOTOS])
    start = 100 * GREY.index(name)
    return Subject(classifier, samples.photos("fashion_mnist")[start : start + PHOTOS])


def faults(name: str) -> Iterator[Form]:
    """Yield forms of a network that are wrong."""
    one = subject(name).classifier
    predict, colours = one.predict_tensors, one.input_shape[-1] == 3
    kinds: list[tuple[str, set[str], Function]] = [
        ("height and width", {"channel_layout"}, lambda x: predict(x.transpose(0, 2, 1, 3).copy())),
        ("another temperature", UNKNOWN, lambda x: softmax(np.log(predict(x) + FLOOR) / 3)),
        ("softmax twice", {"softmax_head"}, lambda x: softmax(predict(x))),
        ("logits", {"softmax_head"}, lambda x: np.log(predict(x) + FLOOR)),
        ("mixed with noise", UNKNOWN, lambda x: mixed(predict(x))),
    ]
    for other in ("0..1", "0..255", *["imagenet", "caffe"] * colours):
        causes = RANGES | ({"channel_order"} if other == "caffe" else set())
        if SCALINGS[other] != one.preprocessing.scaling:
            kinds += [(f"expects {other}", causes, expecting(one, other))]
    if colours:
        both = expecting(one, "0..1")
        kinds.append(("red and blue", {"channel_order"}, lambda x: predict(x[..., ::-1].copy())))
        kinds.append(
            ("range and colours", {"channel_order", "wrong_range"}, lambda x: both(x[..., ::-1].copy()))
        )
    inverse = inverted(one)
    kinds.append(("black and white", {"inverted_polarity"}, inverse))
    for kind, order in orders(one.class_names).items():
        kinds.append((kind, {"class_order"}, lambda x, order=order: predict(x)[:, order].copy()))
    for kind, causes, function in kinds:
        yield Form(name, kind, causes, lambda function=function: function)
    yield Form(name, "in training mode", {"training_mode", "batchnorm_mode"}, lambda: training(one))
    yield Form(name, "rounded too far", UNKNOWN, lambda: KerasEngine(rounded(one, 3)).predict)
    yield Form(name, "weights with noise", UNKNOWN, lambda: KerasEngine(jittered(one)).predict)
    if name in GREY:
        other = samples.classifier(GREY[GREY.index(name) - 1])
        yield Form(name, "another training", UNKNOWN, lambda: other.predict_tensors)


def softmax(rows: np.ndarray) -> np.ndarray:
    powers = np.exp(rows - rows.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def mixed(rows: np.ndarray) -> np.ndarray:
    """Return three quarters of the probabilities, and a quarter that depends on nothing but the class."""
    rest = np.random.default_rng(rows.shape[1]).dirichlet(np.ones(rows.shape[1]))
    return (0.75 * rows + 0.25 * rest).astype(np.float32)


def inverted(classifier: kit.Classifier) -> Function:
    """Return a form that expects black and white exchanged."""
    own = classifier.preprocessing.scaling
    return lambda tensors: classifier.predict_tensors(scale(255 - unscale(tensors, own), own))


def jittered(classifier: kit.Classifier) -> object:
    """Return the Keras model with noise of a fifth of their spread on its kernels."""
    model, random = copy_of(classifier), np.random.default_rng(1)
    for layer in model.layers:
        arrays = layer.get_weights()
        if arrays and arrays[0].ndim > 1:
            noise = random.normal(0, 0.2 * arrays[0].std(), arrays[0].shape)
            layer.set_weights([arrays[0] + noise, *arrays[1:]])
    return model


def orders(names: tuple[str, ...]) -> dict[str, list[int]]:
    """Return orders in which classes may come: three for ten or fewer, two for many."""
    count = len(names)
    found = {
        "classes reversed": list(range(count))[::-1],
        "classes rotated": [*range(1, count), 0],
        "classes sorted": sorted(range(count), key=names.__getitem__),
        "two classes exchanged": [1, 0, *range(2, count)],
        "classes permuted": np.random.default_rng(count).permutation(count).tolist(),
    }
    return found if count < 100 else {kind: found[kind] for kind in ("classes sorted", "classes permuted")}


def expecting(classifier: kit.Classifier, other: str) -> Function:
    """Return a form that takes what it is fed for tensors in another range."""
    own = classifier.preprocessing.scaling
    return lambda tensors: classifier.predict_tensors(scale(unscale(tensors, SCALINGS[other]), own))


def training(classifier: kit.Classifier) -> Function:
    """Return the network as it answers while it is trained."""
    model = copy_of(classifier)
    return lambda tensors: np.asarray(model(tensors, training=True), np.float32)


def sound(name: str) -> Iterator[Form]:
    """Yield ten conversions of a network that leave it as it is."""
    one = subject(name).classifier
    makers: dict[str, Callable[[], Function]] = {
        "Keras": lambda: KerasEngine(copy_of(one)).predict,
        "float16 weights": lambda: KerasEngine(halved(one)).predict,
        "8 bits a channel": lambda: KerasEngine(rounded(one, 8, by_channel=True)).predict,
        "one by one": lambda: lambda tensors: np.concatenate([one.predict_tensors(x[None]) for x in tensors]),
        "tf.function": lambda: graph(one),
        "renormalised": lambda: lambda tensors: renormalised(one.predict_tensors(tensors)),
        "noise of 1e-5": lambda: noisy(one),
        "float16 answers": lambda: (
            lambda tensors: one.predict_tensors(tensors).astype(np.float16).astype(np.float32)
        ),
    }
    for kind, make in makers.items():
        yield Form(name, kind, set(), make)


def copy_of(classifier: kit.Classifier) -> object:
    """Return a Keras model of one's own with the same weights."""
    model = imported_keras().models.clone_model(classifier.model)
    model.set_weights(classifier.model.get_weights())
    return model


def rounded(classifier: kit.Classifier, bits: int, *, by_channel: bool = False) -> object:
    """Return the Keras model with kernels of so many bits, symmetric around 0."""
    model = copy_of(classifier)
    for layer in model.layers:
        arrays = layer.get_weights()
        last = 2 if "Depthwise" in type(layer).__name__ else -1
        if arrays and arrays[0].ndim > 1:
            axes = tuple(np.delete(np.arange(arrays[0].ndim), last)) if by_channel else None
            step = np.maximum(np.abs(arrays[0]).max(axis=axes, keepdims=True), 1e-9) / (2 ** (bits - 1) - 1)
            layer.set_weights([np.rint(arrays[0] / step) * step, *arrays[1:]])
    return model


def halved(classifier: kit.Classifier) -> object:
    """Return the Keras model with weights as float16 holds them."""
    model = copy_of(classifier)
    model.set_weights([array.astype(np.float16).astype(np.float32) for array in model.get_weights()])
    return model


def graph(classifier: kit.Classifier) -> Function:
    """Return the Keras model in a tf.function, as a SavedModel serves it."""
    import tensorflow as tf  # noqa: PLC0415

    model = copy_of(classifier)
    call = tf.function(lambda tensors: model(tensors, training=False), reduce_retracing=True)
    return lambda tensors: call(tf.constant(tensors)).numpy()


def renormalised(rows: np.ndarray) -> np.ndarray:
    rows = np.clip(rows, 1e-7, 1 - 1e-7)
    return rows / rows.sum(axis=1, keepdims=True)


def noisy(classifier: kit.Classifier) -> Function:
    random = np.random.default_rng(3)

    def answer(tensors: np.ndarray) -> np.ndarray:
        rows = classifier.predict_tensors(tensors)
        return (rows + random.uniform(-1e-5, 1e-5, rows.shape)).astype(np.float32)

    return answer
