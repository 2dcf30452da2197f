"""Heads, weights, averages and behaviour of networks that Keras builds."""

import json
import zipfile
from functools import partial
from types import SimpleNamespace

import h5py
import keras
import numpy as np
import pytest
from keras import layers

import kit
from kit import Classifier, Preprocessing, samples
from kit.classifier import store
from kit.classifier.architecture import (
    architecture_and_weights,
    layers_of,
    weights_in,
)
from kit.diagnosis import _first_layers_to_compare, diagnose
from kit.diagnosis.checks_network import (
    check_calls,
    check_head,
    check_nan,
    check_norms,
    check_trained,
)
from tests import networks
from tests.diagnosis import certain, named


def network():
    keras.utils.set_random_seed(3)
    first = (
        layers.Conv2D(64, 3, use_bias=False),
        layers.BatchNormalization(),
        layers.ReLU(),
    )
    last = layers.GlobalAveragePooling2D(), layers.Dense(3, activation="softmax")
    model = networks.stacked((12, 12, 3), *first, layers.Conv2D(64, 3), *last)
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def weights_checked(model, folder):
    model.save(folder / "model.keras")
    weights = weights_in(store.read_model(folder / "model.keras").path)
    layers = layers_of(json.loads(model.to_json()))
    finding = (
        check_nan(weights)
        or check_trained(layers, weights)
        or check_norms(layers, weights, np.full(16, -1), 10)
    )
    return () if finding is None else (finding,)


def test_a_network_that_was_never_trained_is_named(tmp_path):
    model = network()
    (finding,) = weights_checked(model, tmp_path)
    assert (finding.cause, finding.verdict) == ("untrained_weights", "named")
    # The first has too few weights to tell.
    assert finding.summary.startswith("2 of 3 layers with kernels are for certain as")
    twice = 2 * layers_of(json.loads(model.to_json()))
    finding = check_trained(twice, weights_in(tmp_path / "model.keras"))
    assert finding.summary.endswith(" and 1 more."), "of four"


def test_predictions_that_are_no_numbers_are_said_with_and_without_labels():
    entry = keras.Input((16, 16, 3))
    inner = keras.ops.log(layers.Flatten()(entry)[:, :3] - 9)
    classifier = Classifier(
        keras.Model(entry, layers.Softmax()(inner)), Preprocessing(size=(16, 16))
    )
    photos = [np.full((16, 16, 3), level, np.uint8) for level in (10, 0)]
    for labels in (None, [0, 1]):
        (finding,) = diagnose(classifier, photos, labels).findings
        assert (finding.cause, finding.verdict) == ("diverged_training", "possible")


def test_weights_that_overflow_are_named_with_and_without_labels():
    model = networks.stacked((16, 16, 3), layers.Flatten(), layers.Dense(3, "softmax"))
    model.set_weights([each.astype(float) * 1e39 for each in model.get_weights()])
    assert np.isfinite(model.get_weights()[0]).all()
    classifier = Classifier(
        model, Preprocessing(size=(16, 16), scaling="0..1"), ["a", "b", "c"]
    )
    for labels in (None, [0, 1]):
        found = diagnose(classifier, samples.photos("imagenet")[:2], labels)
        assert found.best.cause == "diverged_training"


CLOTHES = samples.classifier("fashion_mnist")
PHOTOGRAPH = samples.photos("imagenet")[:1]


def test_moving_averages_after_three_steps_are_named(tmp_path):
    model = networks.barely_averaged(CLOTHES.model, steps=3)
    (finding,) = weights_checked(model, tmp_path)
    assert (finding.cause, finding.verdict) == ("batchnorm_mode", "named")
    # After 20, 0.9 ** 20 = 0.12 is left: then no preprocessing is judged either, not even by labels.
    known = Classifier(
        networks.barely_averaged(CLOTHES.model, steps=20),
        CLOTHES.preprocessing,
        CLOTHES.class_names,
    )
    (finding,) = diagnose(known, samples.photos("fashion_mnist")[:2], [0, 1]).findings
    assert (finding.cause, finding.verdict) == ("batchnorm_mode", "possible")


def test_initial_values_that_are_left_in_moving_averages_are_taken_out():
    # 0.9 ** 32 = 0.034 is left of the 1 that each variance began with; some are as small.
    model = networks.barely_averaged(CLOTHES.model, steps=32)
    classifier = Classifier(model, CLOTHES.preprocessing)
    assert classifier.first_layers.variances.min() > 0.05
    case = SimpleNamespace(classifier=classifier, reference=None)
    found, settled = (
        _first_layers_to_compare(case, *architecture_and_weights(classifier)),
        CLOTHES.first_layers,
    )
    np.testing.assert_allclose(found.variances, settled.variances, rtol=1e-3)
    np.testing.assert_allclose(found.means, settled.means, rtol=1e-3, atol=1e-5)


def checked(model):
    found = certain(
        Classifier(model, CLOTHES.preprocessing, CLOTHES.class_names),
        samples.photos("fashion_mnist")[:1],
        np.array([-1]),
    )
    return [one for one in found if one.verdict in {"named", "possible"}]


def with_head(**settings):
    """The body of the bundled network under a new head."""
    keras.utils.set_random_seed(4)
    body = networks.copied(CLOTHES.model)  # which other tests rely on
    outputs = layers.Dense(10, activation="softmax", name="new", **settings)(
        body.layers[-2].output
    )
    return keras.Model(body.inputs, outputs)


@pytest.mark.parametrize(
    "initializer", ["glorot_uniform", "he_normal", "lecun_uniform"]
)
def test_a_new_head_on_a_trained_body_is_named_from_one_picture(initializer):
    model = with_head(kernel_initializer=initializer)
    (finding,) = checked(model)
    assert (finding.cause, finding.verdict) == ("untrained_weights", "named")
    assert finding.summary.endswith(": 'new'.")


@pytest.mark.filterwarnings("ignore:You are using a softmax over axis -1")
def test_what_was_never_trained_is_named_first_and_unsettled_averages_last():
    body = layers.Rescaling(1 / 255), *network().layers[:-1]
    model = networks.stacked((12, 12, 3), *body, layers.Dense(1, activation="softmax"))
    # A step that changes nothing but the averages.
    model.compile(keras.optimizers.SGD(0.0), "binary_crossentropy")
    model.train_on_batch(np.ones((8, 12, 12, 3), np.float32), np.arange(8) % 2)
    found = certain(
        Classifier(model, Preprocessing(size=(12, 12), scaling="0..1")),
        PHOTOGRAPH,
        np.array([-1]),
    )
    causes = ["untrained_weights", "double_scaling", "softmax_head", "batchnorm_mode"]
    assert [one.cause for one in named(found)] == causes


def test_a_head_is_trained_after_one_step():
    model = with_head()
    for layer in model.layers[:-1]:
        layer.trainable = False
    model.compile("adam", "sparse_categorical_crossentropy")
    pictures, classes = samples.fashion_mnist_arrays("train")
    model.train_on_batch(pictures[:64, ..., None] / np.float32(255), classes[:64])
    assert checked(model) == []


def test_a_head_without_bias_is_told_by_its_bounds_if_it_is_large(tmp_path):
    def made(width):
        keras.utils.set_random_seed(width)
        body = [
            # Frozen, it may be meant to keep its first weights.
            layers.Conv2D(8, 3, trainable=False),
            layers.Conv2D(width, 3),
            layers.GlobalAveragePooling2D(),
            layers.Dense(10, use_bias=False, trainable=False, name="head"),
            layers.Softmax(),
        ]
        model = networks.stacked((12, 12, 3), *body)
        kernel, bias = model.layers[1].get_weights()
        model.layers[1].set_weights([kernel * 2, bias + 1])
        return model

    # 200 x 10 and 100 x 10 weights.
    (finding,) = weights_checked(made(200), tmp_path)
    assert finding.cause == "untrained_weights"
    assert finding.summary.startswith("1 of 3 layers with kernels are for certain as")
    assert finding.summary.endswith(": 'head'.")
    assert weights_checked(made(100), tmp_path) == ()


def packed_weights(folder):
    """Read the weights in a folder from a .keras file."""
    with zipfile.ZipFile(folder / "model.keras", "w") as written:
        written.write(folder / "model.weights.h5", "model.weights.h5")
    return weights_in(folder / "model.keras")


def test_links_out_of_a_file_and_within_are_not_followed(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["secret"] = np.ones(3)
    with h5py.File(tmp_path / "model.weights.h5", "w") as file:
        layer = file.create_group("layers/dense/vars")
        layer["0"] = np.zeros(2)
        layer["1"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "secret")
        layer["2"] = h5py.SoftLink("/layers/dense/vars/0")
        layout = h5py.VirtualLayout((3,), float)
        layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "secret", (3,))
        layer.create_virtual_dataset("3", layout)
        file["layers/elsewhere"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "/")
    found = packed_weights(tmp_path)
    assert {
        name: [array.tolist() for array in arrays] for name, arrays in found.items()
    } == {"dense": [[0, 0]]}


def test_weights_of_two_layers_of_one_name_are_left_out(tmp_path):
    """Keras reads by place: nobody knows which is meant."""
    with h5py.File(tmp_path / "model.weights.h5", "w") as file:
        for place, name in {
            "layers/dense": "head",
            "layers/zz": "head",
            "layers/conv2d": "stem",
        }.items():
            file[f"{place}/vars/0"] = np.zeros(2)
            file[f"{place}/vars"].attrs["name"] = name
    assert list(packed_weights(tmp_path)) == ["stem"]


def head_of(*last, loss=None):
    keras.utils.set_random_seed(1)
    model = networks.stacked((8, 8, 1), layers.Flatten(), *last)
    if loss is not None:
        model.compile("sgd", loss)
    outputs = np.asarray(
        model(np.random.default_rng(0).normal(0, 3, (6, 8, 8, 1)).astype(np.float32))
    )
    compiled = keras.saving.serialize_keras_object(model).get("compile_config")
    return check_head(layers_of(json.loads(model.to_json())), outputs, compiled)


@pytest.mark.parametrize(
    ("activation", "from_logits", "wrong"),
    [
        ("softmax", True, True),
        ("softmax", False, False),
        (None, False, True),
        (None, True, False),
    ],
)
def test_the_loss_of_the_training_is_held_against_the_last_layer(
    activation, from_logits, wrong
):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=from_logits)
    finding = head_of(layers.Dense(10, activation=activation), loss=loss)
    assert (finding is not None) == wrong


USUAL = [
    [layers.Dense(10), layers.Softmax()],
    [layers.Dense(10, activation="softmax"), layers.Dense(3, activation="softmax")],
]


SUM_OF_1 = layers.Dense(2, activation="sigmoid", kernel_initializer="zeros")


@pytest.mark.parametrize(
    "last", [*USUAL, [layers.Dense(1, activation="sigmoid")], [SUM_OF_1]]
)
def test_usual_heads_are_not_accused(last):
    assert head_of(*last) is None


TENSORS = np.random.default_rng(5).random((2, 12, 12, 3), np.float32)


def calling(layer, training, around=None):
    """A network whose graph calls a layer in a mode, within another that is called in the mode `around`."""
    entry = keras.Input((12, 12, 3))
    inner = keras.Model(entry, layer(entry, training=training))
    outer = keras.Input((12, 12, 3))
    flat = layers.Flatten()(inner(outer, training=around))
    return keras.Model(outer, layers.Dense(3, activation="softmax")(flat))


DROPOUT, NORM = partial(layers.Dropout, 0.5), layers.BatchNormalization
CALLS = [
    (DROPOUT(name="chance"), True, None, True),
    (DROPOUT(name="chance"), None, True, True),
    (NORM(name="chance"), True, None, True),
    (DROPOUT(), None, None, False),
    (DROPOUT(), True, False, False),
    (layers.Dropout(0), True, None, False),
    (NORM(trainable=False), True, None, False),
    (layers.ReLU(), None, True, False),
]


@pytest.mark.parametrize(("layer", "training", "around", "differs"), CALLS)
def test_a_graph_that_runs_layers_in_training_mode_is_named(
    layer, training, around, differs
):
    model = calling(layer, training, around)
    # Far from the averages 0 and 1 that batch normalization begins with.
    tensors = TENSORS * 5
    by_call, by_predict = np.asarray(model(tensors)), model.predict_on_batch(tensors)
    assert (np.abs(by_call - by_predict).max() > 1e-3) == differs
    finding = check_calls(layers_of(json.loads(model.to_json())))
    assert (finding is not None) == differs


def test_training_mode_that_the_kit_overrules_is_possible_and_its_code_ends_it():
    fashion = samples.classifier("fashion_mnist")
    entry = keras.Input(fashion.input_shape)
    model = keras.Model(entry, fashion.model(entry, training=True))
    photos = samples.photos("fashion_mnist")[1000:1016]
    used = fashion.preprocessing.replace(invert=True)
    classifier = Classifier(model, used, fashion.class_names)
    findings = diagnose(classifier, photos).findings
    (inverted,) = named(findings)
    mode = next(one for one in findings if one.verdict == "possible")
    assert (inverted.cause, mode.cause) == ("inverted_polarity", "training_mode")
    scope = {"kit": kit, "classifier": classifier}
    exec(mode.fix.code, scope)  # noqa: S102
    fixed = scope["classifier"].model
    tensors = classifier.tensor(photos[0])
    assert np.array_equal(np.asarray(fixed(tensors)), np.asarray(fixed(tensors)))
    assert np.allclose(fixed(tensors), classifier.predict_tensors(tensors), atol=1e-5)
