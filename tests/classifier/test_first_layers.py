"""The first layers give what BatchNorm layers receive, on any nesting of a network."""

import keras
import numpy as np
import pytest
from keras import layers

from kit.classifier.first_layers import first_layers_of, tensor_features
from tests.networks import norms, stacked


def moments(tensor):
    return np.concatenate(
        [tensor.mean(axis=(1, 2)), (tensor**2).mean(axis=(1, 2))], axis=1
    )


def made():
    keras.utils.set_random_seed(3)
    first = (
        layers.Conv2D(5, 3, strides=2, padding="same"),
        layers.BatchNormalization(),
        layers.ReLU(),
    )
    second = (
        layers.Conv2D(4, 3, padding="same", use_bias=False),
        layers.BatchNormalization(axis=3, epsilon=2e-3),
    )
    inside = stacked((12, 10, 3), *first, *second)
    head = layers.GlobalAveragePooling2D(), layers.Dense(2, activation="softmax")
    model = stacked((12, 10, 3), layers.Rescaling(1 / 255), inside, *head)
    random = np.random.default_rng(4)
    for norm in norms(inside):
        size = norm.moving_mean.shape
        norm.moving_mean.assign(random.normal(size=size))
        norm.moving_variance.assign(random.uniform(1, 2, size=size))
    return model


@pytest.fixture(scope="module")
def network():
    return made()


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(5).integers(0, 256, (3, 12, 10, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def first_layers(network):
    return first_layers_of(network)


def test_they_measure_what_batch_normalization_receives_in_a_nested_network(
    network, pictures, first_layers
):
    rescaling, inside = network.layers[0], network.layers[1]
    first = inside.layers[0](rescaling(pictures))
    second = inside.layers[3](inside.layers[2](inside.layers[1](first, training=False)))
    expected = np.concatenate(
        [moments(np.asarray(first)), moments(np.asarray(second))], axis=1
    )

    received = first_layers.measure(pictures)

    assert first_layers.widths == (5, 4)
    assert not any(
        "call" in vars(layer) for layer in network.layers[1].layers
    )  # as it was
    np.testing.assert_allclose(received, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_a_network_of_half_precision_is_measured_in_float32(
    network, pictures, first_layers, policy
):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        half = made()
    finally:
        keras.config.set_dtype_policy(before)
    half.set_weights(network.get_weights())
    assert half.layers[1].layers[1].compute_dtype in policy
    found = first_layers_of(half)
    np.testing.assert_allclose(
        found.measure(pictures), first_layers.measure(pictures), rtol=1e-5, atol=1e-5
    )
    assert np.array_equal(found.means, first_layers.means)


def test_they_carry_the_moving_averages_of_training(network, first_layers):
    first, second = norms(network.layers[1])
    means = np.concatenate([first.moving_mean, second.moving_mean])
    variances = np.concatenate([first.moving_variance, second.moving_variance])
    np.testing.assert_array_equal(first_layers.means, means)
    np.testing.assert_array_equal(first_layers.variances, variances)
    # The larger one of the two.
    assert first_layers.epsilon == pytest.approx(2e-3)


def test_a_network_without_batch_normalization_is_measured_behind_its_first_layers(
    pictures,
):
    body = (
        layers.Conv2D(4, 3, activation="relu"),
        layers.Flatten(),
        layers.Dense(3, activation="relu"),
    )
    model = stacked((12, 10, 3), *body, layers.Dense(2), layers.Dense(2))
    first_layers = first_layers_of(model)
    first = np.asarray(model.layers[0](pictures))

    received = first_layers.measure(pictures)

    assert (first_layers.widths, first_layers.means) == ((4, 3, 2), None)
    np.testing.assert_allclose(received[:, :8], moments(first), rtol=1e-4)


# Features of tensors

GREYEST = np.log(1e-4) / 2


def test_cells_are_means_row_by_row_and_channel_by_channel():
    tensor = np.arange(8 * 8 * 2, dtype=np.float32).reshape(1, 8, 8, 2)
    found = tensor_features(tensor)
    assert found.shape == (1, 4 * 4 * 2)
    # The first cell holds the values 0, 2, 16, 18 of the first channel, and one more of the second.
    np.testing.assert_array_equal(found[0, :4], [9, 10, 13, 14])
    assert found[0, 8] == tensor[0, 2:4, :2, 0].mean()


@pytest.mark.parametrize(
    ("size", "cells"), [((3, 5), 3 * 4), ((1, 1), 1), ((7, 9), 16)]
)
def test_sides_need_not_be_multiples_of_four(size, cells):
    found = tensor_features(np.full((2, *size, 1), 5, np.float32))
    np.testing.assert_array_equal(found, np.full((2, cells), 5.0))


def test_colour_tells_how_far_two_channels_differ():
    red = np.random.default_rng(0).normal(size=(1, 6, 6)).astype(np.float32)
    tensor = np.stack([red, red, -red], axis=-1)
    between = tensor_features(tensor)[0, -3:]
    # var(2 r) / (2 var(r)) is 2; red and green do not differ.
    np.testing.assert_allclose(
        between, [GREYEST, np.log(2 + 1e-4) / 2, np.log(2 + 1e-4) / 2], rtol=1e-5
    )
    assert np.isfinite(tensor_features(0 * tensor)).all()
