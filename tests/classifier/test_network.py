"""A network is opened once for all who share it, and what is known of it is never set anew."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from kit.classifier import Classifier, store
from kit.classifier.conversion import Compiled, compile_lite, load_keras
from kit.classifier.engines import KerasEngine, LiteEngine
from kit.classifier.loading import restore
from kit.classifier.network import Network
from tests import networks

SHAPE = (28, 28, 1)


def opened(small_file, **settings):
    found = restore(store.read(small_file))
    return Network(found.compiled, found.engine, source=found.source, **settings)


def keras_rows(tensors, seed=7):
    return np.asarray(networks.small(seed=seed)(tensors, training=False))


def test_in_memory_and_from_a_file_it_predicts_as_keras_does(small_file):
    tensors = networks.tensors(5)
    for network in (Network.of(networks.small(), networks.GREY), opened(small_file)):
        assert isinstance(network.engine, LiteEngine)
        assert network.predict(tensors) == pytest.approx(keras_rows(tensors), abs=1e-6)


def test_what_cannot_be_compiled_runs_in_keras_through_one_engine():
    model = networks.unconvertible()
    network = Network.of(model, networks.GREY)
    assert (network.lite, network.lanes) == (None, None)
    assert isinstance(network.engine, KerasEngine)
    assert network.engine is network.engine
    tensors = networks.tensors(2)
    assert network.predict(tensors) == pytest.approx(np.asarray(model(tensors)), abs=1e-6)


def test_threads_and_variants_share_one_model(small_file):
    classifier = Classifier.load(small_file)
    variants = [classifier, classifier.tempered(2), classifier.using(networks.GREY), classifier] * 2
    with ThreadPoolExecutor(8) as pool:
        models = list(pool.map(lambda each: each.model, variants))
    assert len({id(model) for model in models}) == 1


def test_lanes_are_made_once_and_give_the_same_rows(small_file):
    network = opened(small_file)
    assert network.lanes is network.lanes
    tensors = networks.tensors(3)
    assert network.lanes.predict(tensors) == pytest.approx(network.predict(tensors), abs=1e-6)


def test_a_model_that_was_trained_since_makes_another_network():
    model = networks.small()
    network = Network.of(model, networks.GREY)
    assert network.up_to_date(SHAPE, networks.GREY) is network
    model.set_weights(networks.small(seed=8).get_weights())
    renewed = network.up_to_date(SHAPE, networks.GREY)
    tensors = networks.tensors(2)
    assert network.predict(tensors) == pytest.approx(keras_rows(tensors), abs=1e-6)
    assert renewed.predict(tensors) == pytest.approx(keras_rows(tensors, seed=8), abs=1e-6)
    assert renewed.up_to_date(SHAPE, networks.GREY) is renewed


def test_a_file_is_compared_once_in_the_range_of_a_preprocessing(small_file):
    network = opened(small_file, compared=networks.GREY)
    assert network.up_to_date(SHAPE, networks.GREY) is network
    signed = networks.GREY.replace(scaling="-1..1")
    compared = network.up_to_date(SHAPE, signed)
    assert compared.compiled.data == network.compiled.data
    assert 0 <= compared.compiled.max_difference < 1e-5
    assert compared.up_to_date(SHAPE, signed) is compared


def test_a_compiled_form_that_differs_is_left_out_with_the_difference(small_file):
    source, other = store.read(small_file), compile_lite(networks.small(seed=8))
    compiled = Compiled.from_contract(source.contract, other)
    found = Network(compiled, LiteEngine(other), source=source).up_to_date(SHAPE, networks.GREY)
    assert found.compiled.data is None
    assert found.compiled.max_difference > 1e-3
    assert isinstance(found.engine, KerasEngine)


def test_a_network_in_memory_is_written_and_one_from_a_file_stays_there(small_file, tmp_path):
    assert opened(small_file).keras_file(tmp_path) == small_file
    model = networks.small()
    path = Network.of(model, networks.GREY).keras_file(tmp_path)
    assert path.parent == tmp_path
    for written, made in zip(load_keras(path).get_weights(), model.get_weights(), strict=True):
        assert np.array_equal(written, made)
