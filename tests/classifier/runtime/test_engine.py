import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest

from kit.classifier.conversion import compile_lite
from kit.classifier.engines import KerasEngine, Lanes, LiteEngine
from tests import networks


@pytest.fixture(scope="module")
def lite():
    return LiteEngine(networks.small_compiled(), threads=1)


@pytest.fixture(scope="module")
def reference():
    return KerasEngine(networks.small())


def test_both_engines_tell_the_same_shapes(lite, reference):
    for each in (lite, reference):
        assert (each.input_shape, each.output_count) == ((28, 28, 1), 3)


@pytest.mark.parametrize("count", [1, 2, 5, 64, 65, 150])
def test_the_compiled_form_equals_keras_for_any_batch(lite, reference, count):
    batch = networks.tensors(count)
    expected = reference.predict(batch)
    assert expected.shape == (count, 3)
    assert np.abs(lite.predict(batch) - expected).max() < 1e-6


def test_both_engines_equal_a_plain_call_of_keras(lite):
    batch = networks.tensors(4)
    expected = np.asarray(networks.small()(batch, training=False))
    assert np.ptp(expected, axis=0).min() > 1e-3  # the pictures do make a difference
    assert np.abs(lite.predict(batch) - expected).max() < 1e-6


def test_order_is_kept_when_a_batch_is_cut(lite):
    batch = networks.tensors(130)
    rows = np.concatenate([lite.predict(batch[index : index + 1]) for index in range(130)])
    assert np.abs(lite.predict(batch) - rows).max() < 1e-6


def test_no_picture_gives_no_row(lite, reference):
    for each in (lite, reference):
        assert each.predict(networks.tensors(0)).shape == (0, 3)


def test_results_are_new_arrays_and_inputs_stay(lite):
    batch = networks.tensors(1)
    kept, first = batch.copy(), lite.predict(batch)
    before = first.copy()
    lite.predict(1 - batch)
    assert np.array_equal(first, before)
    assert np.array_equal(batch, kept)


def test_other_memory_layouts_and_dtypes_are_taken(lite):
    batch = networks.tensors(2)
    expected = lite.predict(batch)
    mirrored = np.ascontiguousarray(batch[:, :, ::-1])[:, :, ::-1]
    assert np.array_equal(lite.predict(mirrored), expected)
    assert lite.predict(batch.astype(np.float64)) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("shape", [(1, 28, 28, 3), (2, 27, 28, 1), (28, 28, 1), (1, 1, 28, 28)])
def test_other_shapes_are_refused_and_the_engine_goes_on(lite, reference, shape):
    expected = lite.predict(networks.tensors(1))
    for each in (lite, reference):
        with pytest.raises(ValueError, match=r"Expected a tensor \(\w+, 28, 28, 1\), received \("):
            each.predict(np.zeros(shape, np.float32))
    assert np.array_equal(lite.predict(networks.tensors(1)), expected)


@pytest.mark.parametrize("kind", ["lite", "keras"])
def test_threads_do_not_mix_their_results(kind, lite, reference):
    chosen = lite if kind == "lite" else reference
    inputs = [networks.tensors(1 + index % 3, seed=index) for index in range(8)]
    expected = [chosen.predict(each) for each in inputs]
    wrong = []

    def work(index):
        results = [chosen.predict(inputs[index]) for _ in range(40)]
        wrong.extend(index for each in results if not np.allclose(each, expected[index], atol=1e-6))

    threads = [threading.Thread(target=work, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize("compiled", [b"", b"nonsense" * 100, None])
def test_what_is_no_network_is_refused(compiled):
    if compiled is None:
        compiled = networks.small_compiled()[:4000]
    with pytest.raises(ValueError, match="Expected a network that LiteRT can run"):
        LiteEngine(compiled)


class Interpreter:
    """Stands in for LiteRT: a pass moves the clock on by the time given for its thread count."""

    seconds: dict[int, float]
    passes: list[int]
    now = 0.0

    def __init__(self, model_content, num_threads):
        self.threads = num_threads

    def get_input_details(self):
        return [self.entry([1, 2, 2, 1])]

    def get_output_details(self):
        return [self.entry([1, 3])]

    def allocate_tensors(self):
        pass

    def set_tensor(self, index, values):
        pass

    def invoke(self):
        self.passes.append(self.threads)
        Interpreter.now += self.seconds[self.threads]

    @staticmethod
    def entry(shape):
        return {"index": 0, "dtype": np.float32, "shape": np.array(shape), "shape_signature": np.array(shape)}


def stand_in(monkeypatch, seconds):
    """Put `Interpreter` in LiteRT's place, on a machine with two cores and a clock that it alone moves."""
    monkeypatch.setattr(Interpreter, "seconds", seconds, raising=False)
    monkeypatch.setattr(Interpreter, "passes", [], raising=False)
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", SimpleNamespace(Interpreter=Interpreter))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: {0, 1}, raising=False)
    monkeypatch.setattr(time, "perf_counter", lambda: Interpreter.now)


def test_a_network_of_numbers_that_stand_for_words_is_tried_on_numbers_that_do():
    """What memory holds before there is an input would be beyond the table."""
    keras = networks.imported_keras()
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1), dtype="int32"),
            keras.layers.Reshape((64,)),
            keras.layers.Embedding(256, 4),
            keras.layers.GlobalAveragePooling1D(),
            keras.layers.Softmax(),
        ]
    )
    batch = np.arange(64, dtype=np.int32).reshape(1, 8, 8, 1)
    compiled = LiteEngine(compile_lite(model))
    assert compiled.predict(batch) == pytest.approx(np.asarray(model(batch)), abs=1e-6)


def test_whole_number_inputs_get_their_dtype():
    keras = networks.imported_keras()
    model = keras.Sequential(
        [
            keras.Input((4, 4, 3), dtype="uint8"),
            keras.layers.Rescaling(1 / 255),
            keras.layers.GlobalAveragePooling2D(),
        ]
    )
    levels = np.random.default_rng(1).integers(0, 256, (2, 4, 4, 3)).astype(np.float32)
    expected = levels.mean(axis=(1, 2)) / 255
    for each in (LiteEngine(compile_lite(model), threads=1), KerasEngine(model)):
        assert each.predict(levels) == pytest.approx(expected, abs=1e-6)


def test_open_sides_are_taken_as_they_come(capfd):
    keras = networks.imported_keras()
    model = keras.Sequential([keras.Input((None, None, 3)), keras.layers.GlobalAveragePooling2D()])
    each = LiteEngine(compile_lite(model))
    capfd.readouterr()
    assert each.input_shape == (None, None, 3)
    assert repr(each) == "LiteEngine(?x?x3 -> 3)"
    for height, width in ((5, 8), (9, 4)):
        batch = np.random.default_rng(2).random((2, height, width, 3), dtype=np.float32)
        assert each.predict(batch) == pytest.approx(batch.mean(axis=(1, 2)), abs=1e-6)
    assert capfd.readouterr().err == ""


def test_repr_is_the_same_on_every_machine(lite, reference):
    assert repr(lite) == "LiteEngine(28x28x1 -> 3)"
    assert repr(reference) == "KerasEngine(28x28x1 -> 3)"


def test_lanes_give_the_same_bits_from_several_threads():
    compiled = networks.small_compiled()
    batches = [networks.tensors(count, seed=count) for count in (1, 5, 2, 7, 3, 1)]
    expected = [LiteEngine(compiled).predict(batch) for batch in batches]
    lanes = Lanes(compiled)
    with ThreadPoolExecutor(lanes.count + 2) as pool:
        received = list(pool.map(lanes.predict, batches))
    for one, other in zip(received, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_lane_is_free_again_after_an_error():
    lanes = Lanes(networks.small_compiled())
    for _ in range(2 * lanes.count):
        with pytest.raises(ValueError, match="Expected a tensor"):
            lanes.predict(networks.tensors(1, side=5))
    assert lanes.predict(networks.tensors(2)).shape == (2, 3)
