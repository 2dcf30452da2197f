"""A heat map is what a class makes of the last feature map, or what covering a place costs it."""

from types import SimpleNamespace

import numpy as np
import pytest

import kit
from kit.classifier.classifier import Classifier
from kit.classifier.intermediate import Dense
from kit.classifier.network import Compiled
from kit.robustness.heatmap import _scaled, class_activation, occlusion_rows
from tests import networks


def gradients(classifier, photo, index):
    """Grad-CAM in Keras (Selvaraju et al. 2017) behind the first layer, of the logit less the mean of all."""
    networks.imported_keras()
    import tensorflow as tf

    _, feature_map = classifier.inside(classifier.tensor(photo))
    features = tf.convert_to_tensor(feature_map)
    _, *layers, last = classifier.model.layers
    with tf.GradientTape() as tape:
        tape.watch(features)
        rows = features
        for layer in layers:
            rows = layer(rows)
        logits = (rows @ last.kernel + last.bias)[0]
        logit = logits[index] - tf.reduce_mean(logits)
    slopes = tf.reduce_sum(tape.gradient(logit, features), axis=(1, 2))
    cells = np.maximum((feature_map[0] * slopes.numpy()).sum(axis=-1), 0)
    return cells / (cells.max() or 1)


def model(head):
    """Class 1 is sure where any place is bright, class 0 never."""
    keras = networks.imported_keras()
    layers = keras.layers
    made = networks.stacked(
        (28, 28, 1),
        layers.Conv2D(2, 1, strides=(1, 2)),
        *head(layers),
        layers.Softmax(),
    )
    made.set_weights(
        [
            np.broadcast_to((0, float(each.ndim > 1)), each.shape)
            for each in made.get_weights()
        ]
    )
    return made


HEADS = {
    "pooling": lambda layers: [
        layers.GlobalAveragePooling2D(),
        layers.Dropout(0.5),
        layers.Dense(2),
    ],
    "convolution": lambda layers: [
        layers.GlobalAveragePooling2D(keepdims=True),
        layers.Conv2D(2, 1),
        layers.Flatten(),
    ],
    "flatten": lambda layers: [layers.Flatten(), layers.Dense(2)],
    "largest": lambda layers: [layers.GlobalMaxPooling2D(), layers.Dense(2)],
    "whole": lambda layers: [
        layers.AveragePooling2D((28, 14)),
        layers.Flatten(),
        layers.Dense(2),
    ],
    "part": lambda layers: [
        layers.AveragePooling2D((28, 13)),
        layers.Flatten(),
        layers.Dense(2),
    ],
}
OCCLUDED = {"largest", "part"}


@pytest.mark.parametrize("head", HEADS)
def test_the_bright_place_is_hot_whatever_the_head(head):
    classifier = Classifier(model(HEADS[head]), networks.GREY, ("dark", "bright"))
    pixels = np.zeros((28, 28), np.uint8)
    pixels[4:7, 20:23] = 255
    told = []
    found = kit.heatmap(classifier, pixels, "bright", progress=told.append)
    assert told[13:] == ["Covering: 14 of 14"] * (head in OCCLUDED)
    assert found.method == ("occlusion" if head in OCCLUDED else "class activation")
    assert (found.values.shape, found.values.dtype, found.cells.max()) == (
        (28, 28),
        np.float32,
        1,
    )
    hot = found.values > 0.5
    assert hot[5, 21]
    assert not hot[12:].any()
    assert not hot[:, :16].any()
    nothing = repr(kit.heatmap(classifier, pixels, "dark"))
    assert head in OCCLUDED or nothing == "Heatmap('dark' by class activation: none)"
    assert found.overlay[5, 21, 0] > 200 > found.overlay[5, 21, 2]
    # Of the hottest place the colour, and that it covers a half.
    assert found.rgba[found.cells == 1].tolist()[0] == [255, 240, 0, 128]


BRIGHT = np.ones((1, 2, 3, 1), np.float32)


@pytest.mark.parametrize(
    ("head", "weights", "hot"),
    [
        # Less than the mean of both.
        ("softmax", [1, 2], [False, True]),
        ("sigmoid", [1, 2], [True, True]),
        # Of the second class.
        ("sigmoid", [1], [False, True]),
        ("sigmoid", [-1], [True, False]),
        ("binary_logit", [-1], [True, False]),
    ],
)
def test_a_class_is_compared_with_others_where_its_head_does_so(head, weights, hot):
    dense = Dense(np.array([weights], np.float32).T, 0.0, lambda sums: sums)
    compiled = Compiled(head, (2, 3, 1), len(weights))
    network = SimpleNamespace(
        engine_and_dense_layers=(None, [dense]), compiled=compiled
    )
    classifier = SimpleNamespace(network=network)
    maps = [class_activation(classifier, BRIGHT, index) for index in (0, 1)]
    assert [cells.any() for cells in maps] == hot
    # Where there is no number, nothing is seen.
    assert _scaled(np.float32([np.nan, -1, np.inf, 2, 4])).tolist() == [0, 0, 0, 0.5, 1]


@pytest.mark.parametrize("axis", [1, 3])
def test_what_covers_the_one_place_that_counts_is_hot_wherever_channels_lie(axis):
    tensor = -np.random.default_rng(0).random((1, 6, 9, 3), np.float32)
    tensor[0, 2, 7] = 2

    def share(tensors):
        # Of less than 0 nothing, whose logarithm is no number.
        return np.moveaxis(tensors, axis, 3)[:, 2, 7, 2:].clip(0) / 2

    arranged = np.moveaxis(tensor, 3, axis).copy()
    *_, cells = occlusion_rows(SimpleNamespace(predict_tensors=share), arranged, 0)
    # Patches are two pixels wide here, and begin at even ones.
    hot = np.zeros((6, 9))
    hot[2:4, 6:8] = 1
    np.testing.assert_array_equal(cells, hot)
    # What covers is the mean of each channel: of one colour, nothing changes.
    arranged = np.moveaxis(np.full_like(tensor, (0.125, 0.25, 0.875)), 3, axis).copy()
    *_, cells = occlusion_rows(SimpleNamespace(predict_tensors=share), arranged, 0)
    assert not cells.any()


def test_what_it_shows_is_in_its_text(fashion, clothes):
    html = kit.heatmap(fashion, clothes[0]).html()
    assert html.startswith("<div><img alt=")
    about = "Hot areas support this class; they do not explain why, nor prove that it is correct."
    assert html.endswith(f"<p>{about}</p>")


@pytest.mark.parametrize("activation", ["relu6", "tanh", "hard_silu"])
def test_several_dense_layers_count_by_their_gradient_as_in_keras(activation):
    keras = networks.imported_keras()
    keras.utils.set_random_seed(3)
    layers = keras.layers
    made = networks.stacked(
        (28, 28, 1),
        layers.Conv2D(6, 5, strides=3, activation="relu"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(16, activation),
        layers.Dense(8, "relu", bias_initializer="random_normal"),
        layers.Dense(3, "softmax"),
    )
    classifier = Classifier(made, networks.GREY)
    photo = np.random.default_rng(1).integers(0, 256, (28, 28), np.uint8)
    found = kit.heatmap(classifier, photo)
    index = classifier.probabilities(photo)[0].argmax()
    assert found.method == "class activation"
    expected = gradients(classifier, photo, index)
    np.testing.assert_allclose(found.cells, expected, atol=1e-4)
