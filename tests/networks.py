"""Small networks for tests. TensorFlow is imported at the first call, once for the whole process."""

import zipfile
from dataclasses import replace
from functools import cache

import numpy as np

from kit.classifier import loading, store
from kit.classifier.engines import KerasEngine
from kit.classifier.keras_models import compiled_lite, import_keras
from kit.classifier.network import compile_model
from kit.preprocessing import Preprocessing

NAMES = ("cat", "dog", "horse")
GREY = Preprocessing(size=(28, 28), channels="gray", scaling="0..1")
"""What `small` is made for."""


def imported_keras():
    """Keras, without what TensorFlow writes when it is imported."""
    return import_keras()


def stacked(shape, *layers, name=None):
    """Layers on an input of this shape."""
    keras = imported_keras()
    return keras.Sequential([keras.Input(shape), *layers], name=name)


def small(last="softmax", units=3, seed=7):
    """Convolution, batch normalization with uneven statistics and a dense head, on seeded weights."""
    layers, random = imported_keras().layers, np.random.default_rng(seed)
    body = [
        layers.Conv2D(8, 3, strides=2),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.Flatten(),
    ]
    model = stacked(
        (28, 28, 1),
        *body,
        layers.Dense(units, activation=last),
        name="small",
    )
    shapes = [weight.shape for weight in model.get_weights()]
    # Small, so that a softmax is not saturated.
    model.set_weights(
        [random.uniform(-0.05, 0.05, shape).astype(np.float32) for shape in shapes]
    )
    model.layers[1].set_weights(
        [random.uniform(0.5, 1.5, 8).astype(np.float32) for _ in range(4)]
    )
    return model


def unconvertible():
    """Resizing with the bicubic filter, for which LiteRT has no operation."""
    layers = imported_keras().layers
    body = layers.Resizing(8, 8, interpolation="bicubic"), layers.Flatten()
    return stacked(
        (28, 28, 1), *body, layers.Dense(3, activation="softmax"), name="bicubic"
    )


def of_any_size():
    """One convolution and the mean of what it finds, on images of any size."""
    layers = imported_keras().layers
    body = layers.Conv2D(4, 3), layers.GlobalAveragePooling2D(), layers.Dense(3)
    return stacked((None, None, 3), *body)


def norms(model):
    """The layers of batch normalization."""
    kind = imported_keras().layers.BatchNormalization
    return [layer for layer in model.layers if isinstance(layer, kind)]


def copied(model):
    """A network of its own, with the same weights."""
    copy = imported_keras().models.clone_model(model)
    copy.set_weights(model.get_weights())
    return copy


def barely_averaged(model, steps):
    """A compiled copy of a network whose moving averages began at their initial values these steps ago."""
    copy = copied(model)
    copy.compile("adam", "sparse_categorical_crossentropy")
    copy.optimizer.build(copy.trainable_variables)
    copy.optimizer.iterations.assign(steps)
    for norm in norms(copy):
        left = norm.momentum**steps
        *scale, mean, variance = norm.get_weights()
        norm.set_weights([*scale, (1 - left) * mean, left + (1 - left) * variance])
    return copy


def rewritten(source, target, change):
    """Copy a file with ``change(name, content)`` in place of each of its members; return where it is."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return target


def compile_lite(model):
    """A Keras model in the ``.tflite`` format."""
    return compiled_lite(KerasEngine(model).graph)


def opened_before(path, model):
    """Return a file as if it had been opened here before, which takes a process of its own some seconds."""
    loading.keep(store.read_model(path), compile_model(model))
    return path


def saved_plain(model, path):
    """Save a network as Keras alone does."""
    model.save(path)
    return opened_before(path, model)


def with_first_layers(classifier, first_layers):
    """The same classifier, as if training had left other statistics in its first layers."""
    reference = replace(classifier.reference)
    vars(reference)["first_layers"] = first_layers
    return classifier.with_reference(reference)


@cache
def small_compiled():
    """`small` in the ``.tflite`` format."""
    return compile_lite(small())


def tensors(count, side=28, seed=3):
    """Pseudo-random float32 tensors in 0..1."""
    return np.random.default_rng(seed).random((count, side, side, 1), dtype=np.float32)


class MoreClasses:
    """Predicts as another does, and a class more that never is; the kit has no labelled images for these."""

    def __init__(self, predictor):
        self.predictor = predictor

    def predict_tensors(self, tensors):
        rows = self.predictor.predict_tensors(tensors)
        return np.pad(rows, ((0, 0), (0, 1)))
