"""Networks that behave as in training, run by the engine that the classifier chooses itself."""

import json

import keras
import numpy as np
import pytest
from keras import layers

from kit import Classifier, Preprocessing
from kit.classifier.architecture import layers_of
from kit.diagnosis.checks_network import check_determinism, check_forced_training
from tests import networks

RandomShift, BatchStatistics = networks.careless_layers()
TENSORS = np.random.default_rng(5).random((2, 12, 12, 3), np.float32)


def model_with(layer, **arguments):
    keras.utils.set_random_seed(2)
    entry = keras.Input((12, 12, 3))
    inner = layers.GlobalAveragePooling2D()(layers.Conv2D(8, 3)(layer(entry, **arguments)))
    return keras.Model(entry, layers.Dense(4, activation="softmax")(inner))


def check(model):
    classifier = Classifier(model, Preprocessing(size=(12, 12), scaling="0..1"))
    return check_determinism(classifier, TENSORS, layers_of(json.loads(model.to_json())))


def test_chance_in_the_answers_is_named():
    (finding,) = check(model_with(RandomShift()))
    assert (finding.cause, finding.verdict) == ("training_mode", "named")
    assert "RandomShift" in finding.summary
    assert finding.evidence[0].value > finding.evidence[0].threshold


def test_answers_that_depend_on_the_batch_are_named():
    (finding,) = check(model_with(BatchStatistics()))
    assert (finding.cause, finding.verdict) == ("batchnorm_mode", "named")


@pytest.mark.parametrize("layer", [layers.Dropout(0.5), layers.BatchNormalization()])
def test_layers_in_inference_mode_are_not_accused(layer):
    model = model_with(layer)
    assert check(model) == ()
    assert check_forced_training(layers_of(json.loads(model.to_json()))) is None


@pytest.mark.parametrize(
    ("layer", "cause"),
    [(layers.Dropout(0.5), "training_mode"), (layers.BatchNormalization(), "batchnorm_mode")],
)
def test_a_network_built_for_training_is_possible_trouble(layer, cause):
    model = model_with(layer, training=True)
    finding = check_forced_training(layers_of(json.loads(model.to_json())))
    assert (finding.cause, finding.verdict) == (cause, "possible")
    # Keras overrules it where it is told what is wanted, as model.predict does.
    assert check(model) == ()


def nested(**called):
    """A network inside another, called as given, behind layers that Keras itself calls as in training."""
    entry = keras.Input((8, 8, 3))
    base = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(4, 3), layers.BatchNormalization()])
    x = layers.RandomFlip()(layers.Resizing(8, 8)(entry))
    x = layers.GlobalAveragePooling2D()(base(x, **called))
    return base, keras.Model(entry, layers.Dense(3, activation="softmax")(layers.Dropout(0.1)(x)))


def test_a_network_inside_that_is_called_as_in_training_is_possible_trouble():
    base, model = nested(training=True)
    finding = check_forced_training(layers_of(json.loads(model.to_json())))
    assert (finding.cause, finding.verdict) == ("batchnorm_mode", "possible")
    assert finding.evidence[0].value == 1
    # That is what a bare call does: the answer changes with the pictures beside.
    pictures = np.random.default_rng(0).random((4, 8, 8, 3), np.float32)
    assert (
        np.abs(np.asarray(base(pictures, training=True))[:1] - base(pictures[:1], training=True)).max() > 0.01
    )
    base.trainable = False
    assert check_forced_training(layers_of(json.loads(model.to_json()))) is None


def test_what_keras_records_of_layers_that_augment_or_resize_is_no_trouble():
    _, model = nested()
    assert '"training": true' in model.to_json()
    assert check_forced_training(layers_of(json.loads(model.to_json()))) is None
