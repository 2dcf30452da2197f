"""The first layers give what BatchNorm layers receive, on any nesting of a network."""

import keras
import numpy as np
import pytest
from keras import layers

from kit.classifier.first_layers import FirstLayers, first_layers_of, tensor_features


def moments(tensor):
    return np.concatenate([tensor.mean(axis=(1, 2)), (tensor**2).mean(axis=(1, 2))], axis=1)


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(3)
    inside = keras.Sequential(
        [
            keras.Input((12, 10, 3)),
            layers.Conv2D(5, 3, strides=2, padding="same"),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Conv2D(4, 3, padding="same", use_bias=False),
            layers.BatchNormalization(),
        ]
    )
    model = keras.Sequential(
        [
            keras.Input((12, 10, 3)),
            layers.Rescaling(1 / 255),
            inside,
            layers.GlobalAveragePooling2D(),
            layers.Dense(2, activation="softmax"),
        ]
    )
    random = np.random.default_rng(4)
    for layer in inside.layers:
        if isinstance(layer, layers.BatchNormalization):
            size = layer.moving_mean.shape
            layer.moving_mean.assign(random.normal(size=size))
            layer.moving_variance.assign(random.uniform(1, 2, size=size))
    return model


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(5).integers(0, 256, (3, 12, 10, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def first_layers(network):
    return first_layers_of(network)


def test_they_measure_what_batch_normalization_receives_in_a_nested_network(network, pictures, first_layers):
    rescaling, inside = network.layers[0], network.layers[1]
    first = inside.layers[0](rescaling(pictures))
    second = inside.layers[3](inside.layers[2](inside.layers[1](first, training=False)))
    expected = np.concatenate([moments(np.asarray(first)), moments(np.asarray(second))], axis=1)

    received = first_layers.measure(pictures)

    assert first_layers.widths == (5, 4)
    np.testing.assert_allclose(received, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_a_network_of_half_precision_is_measured_in_float32(network, pictures, first_layers, policy):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        rebuilt = [layers.deserialize(without_policy(layers.serialize(layer))) for layer in network.layers]
        half = keras.Sequential([keras.Input((12, 10, 3)), *rebuilt])
    finally:
        keras.config.set_dtype_policy(before)
    half.set_weights(network.get_weights())
    assert half.layers[1].layers[1].compute_dtype in policy
    found = first_layers_of(half)
    np.testing.assert_allclose(found.measure(pictures), first_layers.measure(pictures), rtol=1e-5, atol=1e-5)
    assert np.array_equal(found.means, first_layers.means)


def without_policy(config):
    """The configuration without data types, so that layers take the policy that is set."""
    if isinstance(config, dict):
        return {key: without_policy(value) for key, value in config.items() if key != "dtype"}
    return [without_policy(value) for value in config] if isinstance(config, list) else config


@pytest.mark.parametrize("with_norm", [True, False])
def test_channels_may_come_first(pictures, with_norm):
    keras.utils.set_random_seed(6)
    convolution = layers.Conv2D(4, 3, data_format="channels_first")
    norm = [layers.BatchNormalization(axis=1)] if with_norm else []
    pool = layers.GlobalAveragePooling2D(data_format="channels_first")
    model = keras.Sequential([keras.Input((3, 12, 10)), convolution, *norm, pool, layers.Dense(2)])
    turned = pictures.transpose(0, 3, 1, 2)
    received = np.asarray(convolution(turned)).transpose(0, 2, 3, 1)
    found = first_layers_of(model)
    assert found.widths == ((4,) if with_norm else (4, 2))
    np.testing.assert_allclose(found.measure(turned)[:, :8], moments(received), rtol=1e-4)


def test_they_carry_the_moving_averages_of_training(network, first_layers):
    norms = [layer for layer in network.layers[1].layers if isinstance(layer, layers.BatchNormalization)]
    assert first_layers.source == "batchnorm"
    np.testing.assert_array_equal(
        first_layers.means, np.concatenate([np.asarray(n.moving_mean) for n in norms])
    )
    np.testing.assert_array_equal(
        first_layers.variances, np.concatenate([np.asarray(n.moving_variance) for n in norms])
    )
    assert first_layers.epsilon == pytest.approx(1e-3)


def test_compiling_leaves_the_network_as_it_was(network, pictures, first_layers):
    assert not any("call" in vars(layer) for layer in network.layers[1].layers)
    assert network(pictures).shape == (3, 2)


def test_they_come_back_from_bytes_as_they_were(first_layers, pictures):
    profiled = first_layers.with_profile(pictures)

    again = FirstLayers.from_bytes(profiled.to_bytes())

    assert (again.compiled, again.widths, again.source) == (
        first_layers.compiled,
        first_layers.widths,
        "batchnorm",
    )
    np.testing.assert_array_equal(again.profile, profiled.profile)
    np.testing.assert_array_equal(again.features, tensor_features(pictures))


def test_other_bytes_are_refused():
    with pytest.raises(ValueError, match=r"Expected first layers as FirstLayers\.to_bytes writes them"):
        FirstLayers.from_bytes(b"PK but no archive")


def test_a_network_without_batch_normalization_is_measured_behind_its_first_layers(
    pictures,
):
    model = keras.Sequential(
        [
            keras.Input((12, 10, 3)),
            layers.Conv2D(4, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(3, activation="relu"),
            layers.Dense(2),
        ]
    )
    first_layers = first_layers_of(model)
    first = np.asarray(model.layers[0](pictures))

    received = first_layers.measure(pictures)

    assert (first_layers.widths, first_layers.source) == ((4, 3, 2), "")
    np.testing.assert_allclose(received[:, :8], moments(first), rtol=1e-4)
    assert first_layers.with_profile(pictures).source == "profile"
