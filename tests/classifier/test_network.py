import logging
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest

from kit.classifier.engines import KerasEngine
from kit.classifier.network import (
    _Once,
    compile_model,
    largest_difference,
    trial_tensors,
)
from kit.preprocessing import Preprocessing
from tests import networks


def test_compiling_writes_nothing_to_the_notebook(capfd, caplog, monkeypatch):
    logger = logging.getLogger("absl")
    monkeypatch.setattr(logger, "level", 7)
    networks.compile_lite(networks.small())
    written = capfd.readouterr()
    assert (written.out, written.err, caplog.text) == ("", "", "")
    assert logger.level == 7, "what others log is seen"


def test_a_head_that_the_architecture_hides_is_measured(keras):
    inputs = keras.Input((28, 28, 1))
    hidden = networks.small(last=None)(inputs)
    model = keras.Model(
        inputs, keras.layers.Reshape((3,))(keras.layers.Softmax()(hidden))
    )
    assert compile_model(model).head == "softmax"


def test_a_layer_that_has_to_know_the_sizes_is_run_by_keras(keras):
    inputs = keras.Input((None, None, 3))
    larger = keras.layers.UpSampling2D(interpolation="bilinear")(inputs)
    pooled = keras.layers.GlobalAveragePooling2D()(larger)
    model = keras.Model(inputs, keras.layers.Softmax()(pooled))
    described = compile_model(model)
    reason = "TensorFlow cannot draw one graph of it, which is what is compiled"
    assert (described.data, described.reason) == (None, reason)
    batch = np.random.default_rng(1).random((2, 9, 7, 3), np.float32)
    assert KerasEngine(model).predict(batch) == pytest.approx(
        np.asarray(model(batch)), abs=1e-6
    )


def test_channels_first_is_taken(keras):
    layers = keras.layers
    model = networks.stacked(
        (3, 8, 8), layers.Permute((2, 3, 1)), layers.GlobalAveragePooling2D()
    )
    steps = Preprocessing(size=(8, 8), scaling="0..1", layout="channels_first")
    found = compile_model(model, steps)
    assert found.input_shape == (3, 8, 8)
    assert found.data is not None


def test_what_another_thread_made_while_this_one_waited_is_not_made_again():
    @contextmanager
    def waiting():
        network.part = "theirs"
        yield

    def part(_network):
        return "ours"

    once = _Once(part)
    once.__set_name__(SimpleNamespace, "part")
    network = SimpleNamespace(lock=waiting())
    assert once.__get__(network) == "theirs"


# Comparing


BATCHES = (np.zeros((2, 2, 2, 1), np.float32), np.ones((1, 2, 2, 1), np.float32))


def test_the_largest_difference_is_that_of_the_probabilities():
    # Where it is not the last one that differs.
    rising = SimpleNamespace(
        predict=lambda tensors: np.float32([[1, -1]]) * tensors.max() / 4 + 0.5
    )
    fixed = lambda *row: SimpleNamespace(
        predict=lambda tensors: np.float32([row] * len(tensors))
    )
    even = fixed(0.5, 0.5)
    assert largest_difference(even, rising, "softmax", BATCHES[::-1]) == 0.25
    # A constant added to all logits changes no probability.
    assert largest_difference(
        fixed(1, 2), fixed(3, 4), "logits", BATCHES
    ) == pytest.approx(0, abs=1e-7)
    last = SimpleNamespace(
        predict=lambda tensors: np.float32([[np.nan if tensors.any() else 0.5]])
    )
    unusable = largest_difference(even, last, "softmax", BATCHES)
    assert np.isnan(unusable)


def test_without_a_preprocessing_the_usual_ranges_are_covered():
    unit, signed, levels = trial_tensors((64, 64, 3))
    assert 0 <= unit.min() < 0.01
    assert 0.99 < unit.max() <= 1
    assert (signed.min() < -0.98, signed.max() > 0.98) == (True, True)
    assert (levels.min() < 2.6, levels.max() > 252) == (True, True)


def test_with_a_preprocessing_its_range_is_covered():
    (batch,) = trial_tensors((32, 32, 3), Preprocessing(size=(32, 32), scaling="caffe"))
    assert batch.shape == (2, 32, 32, 3)
    # From -124 to 152.
    assert -124 <= batch.min() < -118.5
    assert 146.5 < batch.max() <= 152
    # Pictures have smooth areas, noise has none.
    noise, pictures = (np.abs(np.diff(part, axis=0)).mean() for part in batch)
    assert pictures < noise / 3
