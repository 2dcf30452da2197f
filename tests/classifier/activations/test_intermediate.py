"""A compiled network with more outputs gives what Keras computes at the same places."""

import numpy as np
import pytest

from kit import samples
from kit.classifier.conversion import compile_lite
from kit.classifier.engines import LiteEngine
from kit.classifier.intermediate import reveal
from tests import networks

TOLERANCE = 1e-5


def at(model, name):
    """A Keras model that ends after the layer of this name."""
    keras = networks.imported_keras()
    return keras.Model(model.inputs, model.get_layer(name).output)


def softmax(logits):
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


@pytest.fixture(scope="module")
def tensors(fashion, clothes):
    return np.concatenate([fashion.tensor(photo) for photo in clothes[:16]])


@pytest.fixture(scope="module")
def inside(tensors):
    layers = reveal(samples.classifier("fashion_mnist").compiled)
    assert layers.widths == (16, 24, 40)
    return layers.parts(LiteEngine(layers.compiled, threads=1).predict(tensors))


def test_outputs_are_those_of_the_network_as_it_was(inside, tensors):
    classifier = samples.classifier("fashion_mnist")
    np.testing.assert_array_equal(inside.outputs, classifier.predict_tensors(tensors))


def test_logits_are_those_of_keras(inside, tensors):
    model = samples.classifier("fashion_mnist").model
    kernel, bias = model.get_layer("classes").get_weights()
    expected = np.asarray(at(model, "average")(tensors)) @ kernel + bias
    assert expected.max() > 5
    np.testing.assert_allclose(inside.logits, expected, rtol=0, atol=TOLERANCE)


def test_means_and_deviations_are_those_of_the_last_layer_of_each_stage(inside, tensors):
    model = samples.classifier("fashion_mnist").model
    stages = [np.asarray(at(model, name)(tensors)) for name in ("relu0b", "relu1b", "relu2b")]
    means = np.concatenate([stage.mean(axis=(1, 2)) for stage in stages], axis=1)
    deviations = np.concatenate([stage.std(axis=(1, 2)) for stage in stages], axis=1)
    np.testing.assert_allclose(inside.means, means, rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(inside.deviations, deviations, rtol=0, atol=TOLERANCE)


def test_photographs_of_any_number_give_the_logits_behind_the_probabilities():
    classifier = samples.classifier("efficientnet_lite0")
    tensors = np.concatenate([classifier.tensor(photo) for photo in samples.photos("imagenet")[:3]])
    layers = reveal(classifier.compiled)
    engine = LiteEngine(layers.compiled, threads=1)

    together = layers.parts(engine.predict(tensors))
    alone = layers.parts(engine.predict(tensors[2:]))

    # Sizes 112, 56, 28, 14 and 7; the last layer before a smaller one is an expansion.
    assert layers.widths == (96, 144, 240, 672, 1280)
    np.testing.assert_allclose(softmax(together.logits), classifier.predict_tensors(tensors), atol=TOLERANCE)
    np.testing.assert_allclose(alone.logits, together.logits[2:], atol=TOLERANCE)
    # The average of the last stage is what the dense layer receives.
    kernel, bias = classifier.model.get_layer("fc").get_weights()
    np.testing.assert_allclose(together.means[:, -1280:] @ kernel + bias, together.logits, atol=1e-4)


def test_the_file_grows_by_some_kilobytes():
    compiled = samples.classifier("efficientnet_lite0").compiled
    assert 0 < len(reveal(compiled).compiled) - len(compiled) < 10_000


@pytest.mark.parametrize(("last", "units", "count"), [(None, 3, 3), ("sigmoid", 1, 1)])
def test_a_network_without_softmax_has_no_logits_of_its_own_and_keeps_its_outputs(last, units, count):
    model = networks.small(last, units)
    layers = reveal(compile_lite(model))
    parts = layers.parts(LiteEngine(layers.compiled, threads=1).predict(networks.tensors(4)))
    assert (layers.has_logits, layers.output_count, layers.widths) == (False, count, (8,))
    assert parts.logits is None
    np.testing.assert_allclose(parts.outputs, np.asarray(model(networks.tensors(4))), atol=TOLERANCE)


def test_a_constant_picture_has_deviations_of_zero_where_nothing_is_padded():
    layers = reveal(networks.small_compiled())
    rows = LiteEngine(layers.compiled, threads=1).predict(np.full((1, 28, 28, 1), 0.7, np.float32))
    np.testing.assert_allclose(layers.parts(rows).deviations, 0, atol=TOLERANCE)


@pytest.mark.parametrize("data", [b"", b"no network", bytes(200)])
def test_what_is_no_network_is_not_revealed(data):
    assert reveal(data) is None


def test_a_damaged_network_is_not_revealed_or_refused_by_the_engine():
    whole = networks.small_compiled()
    assert reveal(whole[:40]) is None
    assert reveal(whole) is not None


def test_it_says_what_it_puts_out():
    layers = reveal(networks.small_compiled())
    assert repr(layers) == "IntermediateLayers(3 outputs, logits=True, widths=(8,))"
