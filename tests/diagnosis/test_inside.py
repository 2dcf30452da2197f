"""Preprocessing inside real Keras architectures, against the preprocessing in use or in place of it."""

import json

import keras
import numpy as np
import pytest
from keras import layers

from kit import Classifier, Preprocessing, Scaling
from kit.classifier.architecture import layers_of, weights_in
from kit.diagnosis.inside import (
    assumed_preprocessing,
    check_scaling_inside,
    read_inside,
)
from kit.preprocessing.scaling import SCALINGS
from tests import networks
from tests.networks import imported_keras

SIDE = (16, 16)


def network(*first):
    body = [
        layers.Conv2D(4, 3),
        layers.GlobalAveragePooling2D(),
        layers.Dense(3, activation="softmax"),
    ]
    return networks.stacked((*SIDE, 3), *first, *body)


def inside(model, weights=()):
    return read_inside(layers_of(json.loads(model.to_json())), dict(weights))


def check(model, scaling):
    return check_scaling_inside(
        inside(model), Preprocessing(size=SIDE, scaling=scaling)
    )


# What is fed to them: 0..255, or 0..1.
OF_LEVELS = layers.Rescaling(1 / 255)
OF_SHARES = layers.Rescaling(2.0, offset=-1.0)
IMAGENET = {"mean": [0.485, 0.456, 0.406], "variance": [0.0524, 0.0502, 0.0506]}

EXPECTED = [
    ([layers.Rescaling(1 / 127.5, offset=-1)], "0..255"),
    ([OF_SHARES], "0..1"),
    ([layers.Normalization(**IMAGENET)], "0..1"),
    ([layers.Normalization(**IMAGENET, invert=True)], None),
    ([OF_LEVELS, layers.Normalization(**IMAGENET)], "0..255"),
    (
        [
            layers.Normalization(
                mean=[120.0, 110, 100], variance=[4000.0, 4100, 160_000]
            )
        ],
        "0..255",
    ),
    (
        [layers.RandomFlip(), OF_LEVELS, layers.ZeroPadding2D(1)],
        "0..255",
    ),
    ([layers.Rescaling(1.5)], None),  # of 0..1 as well as of -1..1
    ([layers.CenterCrop(12, 12)], None),
]


@pytest.mark.parametrize(("first", "expected"), EXPECTED)
def test_the_range_to_feed_is_read_from_the_first_layers(first, expected):
    assert inside(network(*first)).expected == expected


@pytest.mark.parametrize("name", ["MobileNetV3Small", "EfficientNetB0"])
def test_families_of_keras_applications_with_their_scaling_inside_take_0_to_255(name):
    model = getattr(keras.applications, name)(weights=None)
    assert inside(model).expected == "0..255"
    assert (
        check_scaling_inside(inside(model), Preprocessing.for_application(name)).verdict
        == "ruled_out"
    )


def test_arithmetic_in_a_functional_network_counts_as_scaling():
    entry = keras.Input((*SIDE, 3))
    of_levels, of_shares = (entry / 255.0 - 0.5) * 2.0, entry * 2.0 + -1.0
    for scaled, expected in ((of_levels, "0..255"), (of_shares, "0..1")):
        outputs = layers.Dense(2)(layers.Flatten()(layers.Conv2D(4, 3)(scaled)))
        assert inside(keras.Model(entry, outputs)).expected == expected


def test_numbers_that_a_normalisation_was_adapted_to_come_from_the_weights(tmp_path):
    layer = layers.Normalization()
    layer.adapt(
        np.random.default_rng(0).uniform(0, 255, (8, *SIDE, 3)).astype(np.float32)
    )
    model = network(layer)
    model.save(tmp_path / "adapted.keras")
    weights = weights_in(tmp_path / "adapted.keras")
    assert inside(model).expected is None
    assert inside(model, weights).expected == "0..255"
    kernel = model.layers[1].kernel
    np.testing.assert_array_equal(weights[model.layers[1].name][0], kernel)


CAUSES = [
    (OF_LEVELS, "0..255", "ruled_out", "double_scaling"),
    (OF_LEVELS, Scaling(-1, -255), "ruled_out", "double_scaling"),
    (OF_LEVELS, "imagenet", "named", "double_scaling"),
    (OF_LEVELS, "caffe", "named", "wrong_mean_std"),
    (OF_SHARES, "0..255", "named", "missing_scaling"),
    (OF_SHARES, "-1..1", "named", "wrong_range"),
    (OF_SHARES, "imagenet", "named", "wrong_mean_std"),
    (OF_SHARES, ("0..1", "0..1"), "named", "double_scaling"),
    (
        OF_SHARES,
        Scaling(255, (0.5, 0.4, 0.3)),
        "named",
        "wrong_mean_std",
    ),
]


@pytest.mark.parametrize(("first", "scaling", "verdict", "cause"), CAUSES)
def test_the_scaling_in_use_is_judged_by_the_one_inside(first, scaling, verdict, cause):
    finding = check(network(first), scaling)
    assert (finding.verdict, finding.cause) == (verdict, cause)


def test_what_is_assumed_follows_from_the_network():
    keras = imported_keras()

    def assumed(shape, *first):
        last = [
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(2, activation="softmax"),
        ]
        return assumed_preprocessing(Classifier(networks.stacked(shape, *first, *last)))

    inside = assumed((32, 48, 3), keras.layers.Rescaling(1 / 127.5, offset=-1))
    assert inside.scaling == SCALINGS["0..255"]
    assert inside.size == (32, 48)
    assert assumed((None, None, 3)).size == (224, 224)
    commonest = assumed((28, 28, 1))
    assert (commonest.input_shape, commonest.scaling) == ((28, 28, 1), SCALINGS["0..1"])
    first = assumed((3, 32, 48), keras.layers.Permute((2, 3, 1)))
    assert (first.layout, first.size, first.channels) == (
        "channels_first",
        (32, 48),
        "rgb",
    )
