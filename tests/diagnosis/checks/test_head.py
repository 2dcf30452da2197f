"""Heads that do not put out what they are taken for, on networks that Keras builds."""

import json

import keras
import numpy as np
import pytest
from keras import layers

from kit.classifier.architecture import layers_of
from kit.diagnosis.checks_network import check_head


def check(*last, loss=None):
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), *last])
    if loss is not None:
        model.compile("sgd", loss)
    outputs = np.asarray(model(np.random.default_rng(0).normal(0, 3, (6, 8, 8, 1)).astype(np.float32)))
    compiled = keras.saving.serialize_keras_object(model).get("compile_config")
    return check_head(layers_of(json.loads(model.to_json())), outputs, compiled)


def test_softmax_over_one_output_is_named():
    finding = check(layers.Dense(1, activation="softmax"))
    assert (finding.cause, finding.verdict) == ("softmax_head", "named")
    assert finding.evidence[1].value == 1.0


def test_two_softmax_layers_are_named_with_the_most_that_a_class_can_get():
    finding = check(layers.Dense(10, activation="softmax"), layers.Softmax())
    assert finding.verdict == "named"
    # e / (e + 9) = 2.71828 / 11.71828
    assert finding.evidence[1].threshold == pytest.approx(0.23197, abs=1e-5)
    assert finding.evidence[1].value <= 0.23197


@pytest.mark.parametrize(("count", "verdict"), [(2, "named"), (10, "possible")])
def test_sigmoids_that_are_no_shares_are_told(count, verdict):
    finding = check(layers.Dense(count, activation="sigmoid"))
    assert (finding.cause, finding.verdict) == ("softmax_head", verdict)


@pytest.mark.parametrize(
    ("activation", "from_logits", "wrong"),
    [("softmax", True, True), ("softmax", False, False), (None, False, True), (None, True, False)],
)
def test_the_loss_of_the_training_is_held_against_the_last_layer(activation, from_logits, wrong):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=from_logits)
    finding = check(layers.Dense(10, activation=activation), loss=loss)
    assert (finding is not None) == wrong


@pytest.mark.parametrize(
    "last",
    [
        [layers.Dense(10, activation="softmax")],
        [layers.Dense(10), layers.Softmax()],
        [layers.Dense(1, activation="sigmoid")],
        [layers.Dense(10)],
    ],
)
def test_usual_heads_are_not_accused(last):
    assert check(*last) is None


@pytest.mark.parametrize(
    ("activation", "count", "loss", "verdict"),
    [
        (None, 4, "mse", "named"),
        (None, 4, keras.losses.Huber(), "named"),
        (None, 1, "mean_absolute_error", "named"),
        ("sigmoid", 4, keras.losses.MeanSquaredError(), "possible"),
        ("sigmoid", 1, "mse", None),
        ("softmax", 4, "mse", None),
    ],
)
def test_a_network_of_numbers_such_as_coordinates_is_told_from_a_classifier(activation, count, loss, verdict):
    finding = check(layers.Dense(count, activation=activation), loss=loss)
    assert (None if finding is None else finding.verdict) == verdict
    assert finding is None or f"its {count} outputs are numbers" in finding.summary
