"""Weights that training has hardly touched, in files that Keras itself wrote."""

import json
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from keras import layers

from kit import Classifier, samples
from kit.classifier import store
from kit.classifier.architecture import layers_of, weights_in
from kit.diagnosis.checks import certain_checks
from kit.diagnosis.checks_network import check_weights
from kit.preprocessing.faults import CATALOGUE

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
    weights = weights_in(store.read(folder / "model.keras").path)
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


CLOTHES = samples.classifier("fashion_mnist")
PICTURES = list(samples.photos("fashion_mnist")[:16])


def clothes(steps, momentum=0.99):
    """A network of clothes after so many steps; without its optimizer it does not tell how many."""
    keras.utils.set_random_seed(11)
    pictures, classes = samples.fashion_mnist_arrays("train")
    blocks = [
        layer
        for width in (12, 24)
        for layer in (
            layers.Conv2D(width, 3, use_bias=False),
            layers.BatchNormalization(momentum=momentum),
            layers.ReLU(),
            layers.MaxPooling2D(),
        )
    ]
    last = layers.Dense(10, activation="softmax", name="last")
    model = keras.Sequential([keras.Input((28, 28, 1)), *blocks, layers.Flatten(), last])
    model.compile("adam", "sparse_categorical_crossentropy")
    for step in range(steps):
        part = slice(64 * step, 64 * step + 64)
        model.train_on_batch(pictures[part, ..., None] / np.float32(255), classes[part])
    return keras.Sequential([keras.Input((28, 28, 1)), *model.layers])


def diagnosed(model, photos=PICTURES, fault=None):
    used = CLOTHES.preprocessing if fault is None else CATALOGUE[fault].apply(CLOTHES.preprocessing)
    found = certain_checks(Classifier(model, used, CLOTHES.class_names), photos)
    return [one for one in found if one.verdict in {"named", "possible"}]


def test_sixty_steps_are_told_by_the_pictures_where_the_file_does_not_tell_them():
    model = clothes(60)
    for photos in (PICTURES, PICTURES[:1]):
        (finding,) = diagnosed(model, photos)
        assert (finding.cause, finding.verdict) == ("batchnorm_mode", "named")
        assert finding.evidence[2].value == pytest.approx(0.99**60, abs=0.03)


def test_converged_averages_are_not_accused_however_the_pictures_are_prepared():
    # 0.9 ** 60 leaves 0.2 % of the initial values.
    model = clothes(60, momentum=0.9)
    for fault in (None, "inverted", "range_minus1_1", "transposed"):
        assert diagnosed(model, fault=fault) == []


def test_frozen_normalization_is_the_same_in_training(tmp_path):
    model = network()
    model.layers[1].trainable = False
    model.compile("adam", "sparse_categorical_crossentropy")
    assert check(train(model, 3), tmp_path) == ()


def with_head(**settings):
    """The body of the bundled network under a new head."""
    keras.utils.set_random_seed(4)
    body = keras.models.clone_model(CLOTHES.model)  # which other tests rely on
    body.set_weights(CLOTHES.model.get_weights())
    outputs = layers.Dense(10, activation="softmax", name="new", **settings)(body.layers[-2].output)
    return keras.Model(body.inputs, outputs)


@pytest.mark.parametrize("initializer", ["glorot_uniform", "he_normal", "lecun_uniform"])
def test_a_new_head_on_a_trained_body_is_named_from_one_picture(initializer):
    model = with_head(kernel_initializer=initializer)
    (finding,) = diagnosed(model, PICTURES[:1])
    assert (finding.cause, finding.verdict) == ("untrained_weights", "named")
    assert "'new'" in finding.summary


def test_a_head_is_trained_after_one_step():
    model = with_head()
    for layer in model.layers[:-1]:
        layer.trainable = False
    model.compile("adam", "sparse_categorical_crossentropy")
    pictures, classes = samples.fashion_mnist_arrays("train")
    model.train_on_batch(pictures[:64, ..., None] / np.float32(255), classes[:64])
    assert diagnosed(model) == []


def test_a_head_without_bias_is_told_by_its_bounds_if_it_is_large(tmp_path):
    def made(width):
        keras.utils.set_random_seed(width)
        body = [layers.Conv2D(width, 3), layers.GlobalAveragePooling2D(), layers.Dense(10, use_bias=False)]
        model = keras.Sequential([keras.Input((12, 12, 3)), *body])
        kernel, bias = model.layers[0].get_weights()
        model.layers[0].set_weights([kernel * 2, bias + 1])
        return model

    # 200 x 10 and 100 x 10 weights.
    assert [one.cause for one in check(made(200), tmp_path)] == ["untrained_weights"]
    assert check(made(100), tmp_path) == ()


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


def test_weights_that_can_be_read_in_two_places_are_refused(tmp_path):
    """Keras reads by place: of an object with two names, or two layers of one name, nobody knows which."""
    with h5py.File(tmp_path / "model.weights.h5", "w") as file:
        file["layers/dense/vars/0"] = np.zeros(2)
        file["a"] = file["layers/dense/vars"]
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as written:
        written.write(tmp_path / "model.weights.h5", "model.weights.h5")
    with pytest.raises(ValueError, match="'a' under several names"):
        weights_in(tmp_path / "model.keras")
    with h5py.File(tmp_path / "model.weights.h5", "w") as file:
        for place, name in {"layers/dense": "head", "layers/zz": "head", "layers/conv2d": "stem"}.items():
            file[f"{place}/vars/0"] = np.zeros(2)
            file[f"{place}/vars"].attrs["name"] = name
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as written:
        written.write(tmp_path / "model.weights.h5", "model.weights.h5")
    assert list(weights_in(tmp_path / "model.keras")) == ["stem"]


def test_the_bundled_network_is_trained():
    opened = store.read(DATA / "models" / "efficientnet_lite0.keras")
    assert check_weights(layers_of(opened.config()), weights_in(opened.path)) == ()
