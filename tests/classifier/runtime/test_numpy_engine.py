import json

import numpy as np
import pytest

from kit import samples
from kit.classifier import store
from kit.classifier.conversion import largest_difference, trial_tensors
from kit.classifier.engines import LiteEngine
from kit.classifier.first_layers import leaves
from kit.classifier.numpy_engine import NumpyEngine, UnknownNetworkError
from kit.classifier.store import weights_in
from tests import networks


@pytest.fixture(scope="module")
def keras():
    return networks.imported_keras()


def in_numpy(model, watch=None):
    weights = {layer.name: tuple(map(np.asarray, layer.get_weights())) for layer in leaves(model)}
    return NumpyEngine(json.loads(model.to_json()), weights, watch)


def scattered(model, seed=5):
    """Weights that leave nothing at its neutral value; variances above 0."""
    random = np.random.default_rng(seed)
    shapes = [weight.shape for weight in model.get_weights()]
    model.set_weights([random.uniform(0.1, 0.6, shape).astype(np.float32) - 0.05 for shape in shapes])
    return model


def functional(keras):
    """Every kind of wiring: branches, a shared layer, a nested network, arithmetic, uneven strides."""
    layers = keras.layers
    entry = keras.Input((23, 18, 3))
    x = layers.Rescaling([0.5, 1.0, 2.0], offset=-0.1)(entry / 2.0 - 0.25)
    x = layers.ZeroPadding2D(((0, 1), (1, 2)))(x)
    x = layers.Conv2D(8, (3, 5), strides=2, padding="same", activation="elu")(x)
    left = layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same", use_bias=False)(x)
    right = layers.Conv2D(16, 3, groups=4, dilation_rate=2, padding="same", activation="hard_swish")(x)
    x = layers.Concatenate()([layers.Add()([left, right]), layers.Subtract()([left, right])])
    x = layers.BatchNormalization(scale=False)(x)
    x = layers.SeparableConv2D(12, 3, activation="swish")(x)
    x = layers.LeakyReLU(0.1)(layers.ReLU(2.0, negative_slope=0.2, threshold=0.1)(x - 1.0))
    shared = layers.Conv2D(12, 1, activation="tanh")
    x = layers.Multiply()([shared(shared(x)), layers.Maximum()([x, shared(x)])])
    x = layers.AveragePooling2D(3, 2, padding="same")(layers.MaxPooling2D(2, 1, padding="same")(x))
    nested = keras.Sequential(
        [keras.Input((5, 5, 12)), layers.Cropping2D(((1, 0), (0, 1))), layers.Softmax()]
    )
    x = layers.Average()([nested(x), nested(layers.Dropout(0.5)(x))])
    gate = layers.Dense(12, activation="hard_sigmoid")(layers.GlobalAveragePooling2D(keepdims=True)(x))
    x = layers.Permute((2, 1, 3))(layers.Reshape((2, 8, 12))(x * gate))
    return keras.Model(entry, layers.Dense(4, activation="softmax")(layers.Flatten()(x)))


def test_it_gives_what_keras_gives(keras):
    model = scattered(functional(keras))
    tensors = np.random.default_rng(1).random((3, 23, 18, 3), dtype=np.float32)
    expected = np.asarray(model(tensors, training=False))
    assert expected.std() > 1e-2
    assert in_numpy(model).predict(tensors) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", ["MobileNetV3Small", "DenseNet121", "EfficientNetV2B0"])
def test_networks_of_keras_applications_are_known(keras, name):
    model = getattr(keras.applications, name)(weights=None, input_shape=(64, 64, 3), classes=5)
    tensors = np.random.default_rng(1).random((1, 64, 64, 3), dtype=np.float32) * 255
    expected = np.asarray(model(tensors, training=False))
    assert in_numpy(model).predict(tensors) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("name", samples.CLASSIFIERS)
def test_bundled_networks_equal_their_compiled_forms(name):
    classifier = samples.classifier(name)
    engine = NumpyEngine(classifier.source.config(), weights_in(classifier.source.path))
    lite = LiteEngine(classifier.source.member(store.COMPILED), threads=1)
    batches = [batch[:1] for batch in trial_tensors(classifier.input_shape, classifier.preprocessing)]
    assert largest_difference(engine, lite, classifier.head, batches) < 1e-5


def test_what_runs_is_told_in_order(keras):
    seen = []
    in_numpy(networks.small(), lambda name, received, returned: seen.append((name, returned.shape))).predict(
        networks.tensors(2)
    )
    assert [shape for _, shape in seen][-5:] == [(2, 13, 13, 8)] * 3 + [(2, 1352), (2, 3)]


def test_what_is_not_known_is_refused_and_not_guessed(keras):
    layers = keras.layers
    entry = keras.Input((8, 8, 3))
    flat = layers.Flatten()
    models = {
        "'Resizing'": keras.Sequential([entry, layers.Resizing(4, 4), flat]),
        "float16": keras.Sequential([entry, layers.Conv2D(2, 3, dtype="mixed_float16"), flat]),
        "arguments of 'BatchNormalization'": keras.Model(
            entry, flat(layers.BatchNormalization()(entry, training=True))
        ),
        "KeyError": keras.Sequential([entry, layers.Conv2D(2, 3, activation="mish"), flat]),
    }
    for reason, model in models.items():
        with pytest.raises(UnknownNetworkError, match=reason):
            in_numpy(model).predict(np.zeros((1, 8, 8, 3), np.float32))


def test_layers_that_declare_another_size_than_their_weights_are_refused():
    model = networks.small()
    config = json.loads(model.to_json())
    weights = {layer.name: tuple(layer.get_weights()) for layer in model.layers}
    config["config"]["layers"][-1]["config"]["units"] = 500_000_000
    with pytest.raises(UnknownNetworkError, match="of another size than its weights"):
        NumpyEngine(config, weights).predict(networks.tensors(1))
    with pytest.raises(UnknownNetworkError, match="its input is not stated"):
        NumpyEngine({"class_name": "Functional", "config": {"layers": []}}, weights)


def test_layers_behind_the_output_are_computed_too():
    """Keras builds them all, so one of which no weights are there is not vouched for."""
    keras = networks.imported_keras()
    entry = keras.Input((8, 8, 1))
    model = keras.Model(entry, keras.layers.Flatten(name="flat")(entry))
    config = json.loads(model.to_json())
    wide = json.loads(keras.Model(x := keras.Input((64,)), keras.layers.Dense(7, name="wide")(x)).to_json())
    behind = wide["config"]["layers"][1]
    behind["inbound_nodes"] = json.loads(
        json.dumps(config["config"]["layers"][1]["inbound_nodes"]).replace(
            config["config"]["layers"][0]["name"], "flat"
        )
    )
    assert NumpyEngine(config, {}).predict(np.ones((1, 8, 8, 1), np.float32)).shape == (1, 64)
    config["config"]["layers"].append(behind)
    with pytest.raises(UnknownNetworkError):
        NumpyEngine(config, {}).predict(np.ones((1, 8, 8, 1), np.float32))
    sixteen = {"wide": (np.ones((64, 7), np.float32), np.zeros(7, np.float32))}
    assert NumpyEngine(config, sixteen).predict(np.ones((1, 8, 8, 1), np.float32)).shape == (1, 64)
