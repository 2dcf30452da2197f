"""Weights that training has hardly touched, in files that Keras itself wrote."""

import json
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from keras import layers

from kit.classifier import archive
from kit.diagnosis.checks.architecture import layers_of, weights_in
from kit.diagnosis.checks.weights import check_weights

DATA = Path(__file__).parents[3] / "data"


def network(momentum=0.99):
    keras.utils.set_random_seed(3)
    body = [
        layers.Conv2D(64, 3, use_bias=False),
        layers.BatchNormalization(momentum=momentum),
        layers.ReLU(),
        layers.Conv2D(64, 3),
        layers.GlobalAveragePooling2D(),
        layers.Dense(3, activation="softmax"),
    ]
    model = keras.Sequential([keras.Input((12, 12, 3)), *body])
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def train(model, steps):
    random = np.random.default_rng(0)
    pictures, classes = random.random((8, 12, 12, 3), np.float32), random.integers(0, 3, 8)
    for _ in range(steps):
        model.train_on_batch(pictures, classes)
    return model


def check(model, folder):
    model.save(folder / "model.keras")
    weights = weights_in(archive.read(folder / "model.keras").path)
    return check_weights(layers_of(json.loads(model.to_json())), weights)


def test_a_network_that_was_never_trained_is_named(tmp_path):
    (finding,) = check(network(), tmp_path)
    assert (finding.cause, finding.verdict) == ("untrained_weights", "named")
    assert finding.evidence[0].value < 0.03
    assert finding.evidence[1].value == 0


def test_weights_that_are_no_numbers_are_named_before_anything_else(tmp_path):
    model = network()
    kernel, bias = model.layers[-1].get_weights()
    kernel[0, 0] = np.nan
    model.layers[-1].set_weights([kernel, bias])
    (finding,) = check(model, tmp_path)
    assert (finding.cause, finding.verdict) == ("diverged_training", "named")
    # One of 64 x 3 values in one of nine arrays.
    assert finding.evidence[0].value == pytest.approx(1 / 192 / 9)


def test_arrays_without_values_or_of_other_kinds_are_no_divergence():
    odd = {"empty": (np.zeros((0, 3), np.float32),), "words": (np.array([b"cat", b"dog"]),)}
    assert check_weights((), odd) == ()


def test_moving_averages_after_three_steps_are_named(tmp_path):
    (finding,) = check(train(network(), 3), tmp_path)
    assert (finding.cause, finding.verdict) == ("batchnorm_mode", "named")
    assert finding.evidence[-1].value == pytest.approx(0.99**3)
    assert "3 training steps" in finding.summary


def test_moving_averages_after_many_steps_are_not_accused(tmp_path):
    # 0.9 ** 40 leaves 1.5 % of the initial values.
    assert check(train(network(momentum=0.9), 40), tmp_path) == ()


def test_a_few_more_steps_on_a_trained_network_are_not_accused(tmp_path):
    model = train(network(momentum=0.5), 30)
    model.layers[1].momentum = 0.99
    model.compile("adam", "sparse_categorical_crossentropy")
    assert check(train(model, 3), tmp_path) == ()


def test_moving_averages_that_training_left_out_are_named(tmp_path):
    model = train(network(), 3)
    *scale, mean, variance = model.layers[1].get_weights()
    model.layers[1].set_weights([*scale, np.zeros_like(mean), np.ones_like(variance)])
    (finding,) = check(model, tmp_path)
    assert (finding.cause, finding.verdict) == ("batchnorm_mode", "named")
    assert "never updated" in finding.summary


def test_without_the_number_of_steps_a_high_floor_is_possible_trouble(tmp_path):
    model = train(network(), 3)
    bare = keras.Sequential([keras.Input((12, 12, 3)), *model.layers])
    (finding,) = check(bare, tmp_path)
    assert (finding.cause, finding.verdict) == ("batchnorm_mode", "possible")


def test_links_out_of_a_file_and_within_are_not_followed(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["secret"] = np.ones(3)
    with h5py.File(tmp_path / "model.weights.h5", "w") as file:
        layer = file.create_group("layers/dense/vars")
        layer["0"] = np.zeros(2)
        layer["1"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "secret")
        layer["2"] = h5py.SoftLink("/layers/dense/vars/0")
        file["layers/elsewhere"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "/")
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as written:
        written.write(tmp_path / "model.weights.h5", "model.weights.h5")
    found = weights_in(tmp_path / "model.keras")
    assert {name: [array.tolist() for array in arrays] for name, arrays in found.items()} == {
        "dense": [[0, 0]]
    }


def test_the_bundled_network_is_trained():
    opened = archive.read(DATA / "models" / "efficientnet_lite0.keras")
    assert check_weights(layers_of(opened.config()), weights_in(opened.path)) == ()
