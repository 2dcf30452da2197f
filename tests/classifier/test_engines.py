import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from kit._reporting import hidden_errors
from kit.classifier import engines
from kit.classifier.engines import (
    KerasEngine,
    LiteEngine,
    measured_head,
    part_size,
    probabilities,
)
from kit.preprocessing import Preprocessing
from tests import networks
from tests.refusals import refused


@pytest.fixture(scope="module")
def lite():
    return LiteEngine(networks.small_compiled(), threads=1)


@pytest.fixture(scope="module")
def reference():
    return KerasEngine(networks.small())


@pytest.mark.parametrize("count", [1, 64, 65, 150])
def test_both_engines_equal_a_plain_call_of_keras_for_any_batch(lite, reference, count):
    batch = networks.tensors(count)
    expected = np.asarray(networks.small()(batch, training=False))
    for each in (lite, reference):
        assert (each.input_shape, each.output_count) == ((28, 28, 1), 3)
        np.testing.assert_allclose(each.predict(batch), expected, atol=1e-6)
        assert each.predict(batch[:0]).shape == (0, 3)


def test_the_larger_the_images_the_fewer_run_at_once():
    assert [part_size((9, side, side, 3)) for side in (8, 128, 600)] == [64, 21, 1]


def test_results_are_new_arrays_and_inputs_of_any_layout_stay(lite):
    batch = networks.tensors(2)
    kept, first = batch.copy(), lite.predict(batch)
    before = first.copy()
    lite.predict(1 - batch)
    assert np.array_equal(first, before)
    assert np.array_equal(batch, kept)
    assert np.array_equal(lite.predict(np.asfortranarray(batch)), before)
    assert lite.predict(batch.astype(np.float64)) == pytest.approx(before, abs=1e-6)


@pytest.mark.parametrize("shape", [(1, 28, 28, 3), (2, 27, 28, 1), (28, 28, 1)])
def test_other_shapes_are_refused(lite, reference, shape):
    for each in (lite, reference):
        with refused(r"Expected tensors of 28x28x1, received the shape \("):
            each.predict(np.zeros(shape, np.float32))


@pytest.mark.parametrize("kind", ["lite", "keras"])
def test_threads_do_not_mix_their_results(kind, lite, reference):
    chosen = {"lite": lite, "keras": reference}[kind]
    inputs = [networks.tensors(1 + index % 3, seed=index) for index in range(8)] * 20
    expected = [lite.predict(each) for each in inputs]
    with ThreadPoolExecutor(8) as pool:
        for received, right in zip(
            pool.map(chosen.predict, inputs), expected, strict=True
        ):
            np.testing.assert_allclose(received, right, atol=1e-6)


def test_after_a_batch_for_which_memory_was_short_the_one_before_is_predicted_again(
    lite, monkeypatch
):
    batch = networks.tensors(1)
    expected = lite.predict(batch)

    def short():
        raise RuntimeError("no memory")

    with monkeypatch.context() as patch:
        patch.setattr(lite._lite, "allocate_tensors", short)
        with refused(
            r"^Expected other tensors than \(3, 28, 28, 1\): no memory$",
        ):
            lite.predict(networks.tensors(3))
    assert np.array_equal(lite.predict(batch), expected)


def test_a_lane_is_free_again_after_an_error(fashion):
    predict, count = fashion.network.side_by_side("fashion_mnist")
    for _ in range(count + 1):
        with refused("Expected tensors"):
            predict(networks.tensors(1, side=5))
    assert predict(networks.tensors(2)).shape == (2, 10)


# Heads


HEADS = [
    # exp(0) : exp(ln 3) = 1 : 3
    ("logits", [0, np.log(3)], [0.25, 0.75]),
    ("logits", [1000, 0], [1, 0]),
    ("sigmoid", [0.25], [0.75, 0.25]),
    ("sigmoid", [0.5, 0.5, 1], [0.25, 0.25, 0.5]),
    ("sigmoid", [0, 0, 0, 0], [0.25, 0.25, 0.25, 0.25]),
    ("binary_logit", [np.log(3)], [0.25, 0.75]),
    ("binary_logit", [-200], [1, 0]),
    ("softmax", [0.25, 0.75], [0.25, 0.75]),
]


@pytest.mark.parametrize(("head", "outputs", "expected"), HEADS)
def test_every_head_gives_probabilities(head, outputs, expected):
    found = probabilities(np.array([outputs], np.float32), head)
    assert found.dtype == np.float32
    assert found[0] == pytest.approx(expected)


MEASURED = [
    ("softmax", 0, [0.25, 0.75]),
    ("sigmoid", 0, [0.25, 0.752]),
    # Each may be off by half a step of eight bits.
    ("softmax", 1 / 128, [0.25, 0.25, 0.25, 0.2656]),
    ("sigmoid", 1 / 128, [0.25, 0.762]),
    ("softmax", 0, [1]),
    ("sigmoid", 0, [0.9995]),
    ("logits", 0, [0.25, 1.5]),
    ("logits", 0, [-0.25, 0.75]),
    ("binary_logit", 0, [1.5]),
]


@pytest.mark.parametrize(("head", "step", "outputs"), MEASURED)
def test_outputs_that_are_no_shares_are_logits_and_a_softmax_sums_to_1(
    head, step, outputs
):
    assert measured_head(np.float32([outputs]), step) == head


LAST = [
    (lambda layers: layers.Dense(3, "softmax"), "softmax"),
    (lambda layers: layers.Dense(3), "logits"),
    (lambda layers: layers.Dense(1), "binary_logit"),
    (lambda layers: layers.Dense(1, "sigmoid"), "sigmoid"),
    (lambda layers: layers.Dense(3, "relu"), None),
    (lambda layers: layers.Softmax(), "softmax"),
    (lambda layers: layers.Activation("softmax"), "softmax"),
    # May follow a softmax, as in mixed precision: the values have to tell.
    (lambda layers: layers.Activation("linear"), None),
]


@pytest.mark.parametrize(("last", "head"), LAST)
def test_the_last_layer_tells_the_head_of_a_nested_network_too(last, head):
    keras = networks.imported_keras()
    flat = networks.stacked((2, 2, 1), keras.layers.Flatten(), last(keras.layers))
    for each in (flat, keras.Sequential([keras.Input((2, 2, 1)), flat])):
        assert engines.head_of(each) == head


def test_a_temperature_divides_the_logits_also_of_a_certain_answer():
    logits = np.array([[2.0, 0.0, -2.0], [1000.0, 1000.0, 1004.0]], np.float32)
    rows = probabilities(logits, "logits")
    expected = probabilities(logits / 2, "logits")
    np.testing.assert_allclose(engines.tempered(rows, 2.0), expected, atol=1e-6)
    np.testing.assert_array_equal(engines.tempered(rows, 1.0), rows)
    assert engines.tempered(rows, 1.0) is not rows
    certain = np.float32([[1, 0]])
    np.testing.assert_array_equal(engines.tempered(certain, 1.0), certain)
    for temperature in (0.05, 20):
        # Beside 1, the smallest float32 to the power of one over the temperature.
        weight = np.finfo(np.float32).tiny ** (1 / temperature)
        ((most, least),) = engines.tempered(certain, temperature)
        assert most == pytest.approx(1 / (1 + weight))
        assert least == pytest.approx(weight / (1 + weight), rel=1e-3)


def test_rows_that_are_no_numbers_are_counted():
    rows = np.float32([[0, 1], [np.nan, np.nan], [np.inf, 0]])
    with refused("infinite values in 2 of 3 rows"):
        engines.finite(rows, "small")


# Shapes


SHAPES = {
    "channels_last": (32, 48, 3),
    "transposed": (48, 32, 3),
    "channels_first": (3, 32, 48),
}


@pytest.mark.parametrize("layout", SHAPES)
def test_a_preprocessing_sets_the_sides_that_a_network_leaves_open(layout):
    shape = SHAPES[layout]
    steps = Preprocessing(size=(32, 48), layout=layout)
    for expected in (shape, tuple(side if side == 3 else None for side in shape)):
        assert engines.checked_for_network(steps, expected)[1] == shape
    assert engines.checked_for_network(None, shape) == (None, shape)
    # The usual size stands for that of the network.
    usual = Preprocessing(layout="channels_last")
    if layout != "transposed":
        assert engines.checked_for_network(usual, shape)[1] == shape


ADVICE = [
    (
        {},
        (3, 32, 48),
        (
            "3x32x48, received the shape (1, 32, 48, 3);"
            " set size=(32, 48), channels='rgb', layout='channels_first'"
        ),
    ),
    (
        {},
        (1, 32, 48),
        (
            "1x32x48, received the shape (1, 32, 48, 3);"
            " set size=(32, 48), channels='gray', layout='channels_first'"
        ),
    ),
    (
        {"layout": "channels_first"},
        (None, 48, 1),
        (
            "?x48x1, received the shape (1, 3, 32, 48);"
            " set channels='gray', layout='channels_last'"
        ),
    ),
]


@pytest.mark.parametrize(("settings", "expected", "words"), ADVICE)
def test_the_advice_names_the_settings_that_help(settings, expected, words):
    with refused("Expected") as caught:
        engines.checked_for_network(Preprocessing(size=(32, 48), **settings), expected)
    assert str(caught.value) == f"Expected tensors of {words} in the preprocessing"


# What libraries write


def test_what_is_written_below_python_is_hidden(capfd):
    with hidden_errors():
        os.write(2, b"from C++")
    os.write(2, b"afterwards")
    assert capfd.readouterr().err == "afterwards"
    open_files = len([*Path("/dev/fd").iterdir()])
    with hidden_errors():
        pass
    assert len([*Path("/dev/fd").iterdir()]) == open_files
