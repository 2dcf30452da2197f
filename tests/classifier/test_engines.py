import logging
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from kit.classifier.conversion import compile_lite
from kit.classifier.engines import (
    KerasEngine,
    Lanes,
    LiteEngine,
    captured_errors,
    check_preprocessing,
    head_of,
    measured_head,
    only_errors,
    probabilities,
    tempered,
)
from kit.preprocessing import Preprocessing
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
    for height, width in ((5, 8), (9, 4)):
        batch = np.random.default_rng(2).random((2, height, width, 3), dtype=np.float32)
        assert each.predict(batch) == pytest.approx(batch.mean(axis=(1, 2)), abs=1e-6)
    assert capfd.readouterr().err == ""


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


# Heads


def dense(activation, units=10, name="out"):
    return {"class_name": "Dense", "config": {"name": name, "units": units, "activation": activation}}


def test_softmax_outputs_pass_unchanged():
    outputs = np.array([[0.25, 0.75]], np.float32)
    assert probabilities(outputs, "softmax") is outputs


def test_logits_get_a_softmax():
    # exp(0) : exp(ln 3) = 1 : 3
    assert probabilities(np.array([[0, np.log(3)]], np.float32), "logits")[0] == pytest.approx([0.25, 0.75])


def test_huge_logits_do_not_overflow():
    assert probabilities(np.array([[1000, 0]], np.float32), "logits").tolist() == [[1, 0]]


def test_one_sigmoid_output_becomes_two_columns():
    assert probabilities(np.array([[0.25], [1]], np.float32), "sigmoid").tolist() == [[0.75, 0.25], [0, 1]]


def test_one_logit_gets_a_sigmoid():
    outputs = np.array([[np.log(3)], [-200]], np.float32)
    assert probabilities(outputs, "binary_logit") == pytest.approx(np.array([[0.25, 0.75], [1, 0]]))


def test_several_sigmoids_are_divided_by_their_sum():
    outputs = np.array([[0.5, 0.5, 1], [0, 0, 0]], np.float32)
    assert probabilities(outputs, "sigmoid")[0] == pytest.approx([0.25, 0.25, 0.5])


def test_logarithms_are_turned_back():
    assert probabilities(np.log(np.array([[0.2, 0.8]], np.float32)), "log_softmax")[0] == pytest.approx(
        [0.2, 0.8]
    )


@pytest.mark.parametrize(
    ("config", "head"),
    [
        (dense("softmax"), "softmax"),
        (dense("linear"), "logits"),
        (dense("linear", units=1), "binary_logit"),
        (dense("sigmoid", units=1), "sigmoid"),
        (dense({"class_name": "function", "config": "softmax"}), "softmax"),
        (dense("relu"), None),
        ({"class_name": "Softmax", "config": {"name": "s"}}, "softmax"),
        ({"class_name": "Activation", "config": {"activation": "softmax"}}, "softmax"),
        # May follow a softmax, as in mixed precision: the values have to tell.
        ({"class_name": "Activation", "config": {"activation": "linear"}}, None),
        ({"class_name": "MyLayer", "config": {}}, None),
        ({"class_name": "MyLayer"}, None),
    ],
)
def test_the_last_layer_tells_the_head(config, head):
    sequential = {"class_name": "Sequential", "config": {"layers": [dense("relu", name="first"), config]}}
    assert head_of(config) == head
    assert head_of(sequential) == head


def test_the_output_layer_counts_and_not_the_last_in_the_list():
    layers = [dense("softmax", name="scores"), dense("linear", name="other")]
    for outputs in (["scores", 0, 0], [["scores", 0, 0]]):
        config = {"class_name": "Functional", "config": {"layers": layers, "output_layers": outputs}}
        assert head_of(config) == "softmax"


def test_a_nested_network_is_followed():
    inner = {"class_name": "Functional", "name": "inner", "config": {"layers": [dense("softmax")]}}
    assert head_of({"class_name": "Sequential", "config": {"layers": [inner]}}) == "softmax"


@pytest.mark.parametrize(
    ("outputs", "head"),
    [
        ([[0.2, 0.8], [0.5, 0.5]], "softmax"),
        ([[0.2, 0.7], [0.5, 0.5]], "logits"),
        ([[-1.5, 3.0]], "logits"),
        ([[0.3], [0.9]], "sigmoid"),
        ([[0.3], [1.9]], "binary_logit"),
        (np.log([[0.2, 0.8], [0.5, 0.5]]), "log_softmax"),
    ],
)
def test_values_tell_where_the_architecture_does_not(outputs, head):
    assert measured_head(np.array(outputs, np.float32)) == head


def test_a_temperature_divides_the_logits():
    logits = np.array([[2.0, 0.0, -2.0], [0.0, 0.0, 4.0]], np.float32)
    rows = probabilities(logits, "logits")
    expected = probabilities(logits / 2, "logits")
    np.testing.assert_allclose(tempered(rows, 2.0), expected, atol=1e-6)
    np.testing.assert_array_equal(tempered(rows, 1.0), rows)


def test_a_certain_answer_stays_finite_at_any_temperature():
    rows = np.array([[1.0, 0.0]], np.float32)
    for temperature in (0.05, 1.0, 20.0):
        softened = tempered(rows, temperature)
        assert np.isfinite(softened).all()
        assert softened.sum() == pytest.approx(1)
        assert softened.argmax() == 0


# Shapes

FIRST = "channels_first"


@pytest.mark.parametrize(
    ("preprocessing", "expected", "advice"),
    [
        (Preprocessing(size=(32, 48)), (3, 32, 48), "set layout='channels_first' in"),
        (Preprocessing(size=(32, 32)), (3, 32, 32), "set layout='channels_first' in"),
        (Preprocessing(size=(20, 20), layout=FIRST), (3, 32, 48), r"set size=\(32, 48\) in"),
        (Preprocessing(size=(32, 32), layout=FIRST), (32, 32, 3), "set layout='channels_last' in"),
        (Preprocessing(size=(20, 20)), (32, 48, 3), r"set size=\(32, 48\) in"),
    ],
)
def test_the_advice_names_the_setting_that_helps(preprocessing, expected, advice):
    with pytest.raises(ValueError, match=advice):
        check_preprocessing(preprocessing, expected)


def test_what_helps_is_accepted():
    check_preprocessing(Preprocessing(size=(32, 48), layout=FIRST), (3, 32, 48))
    check_preprocessing(Preprocessing(size=(32, 48)), (None, None, 3))
    check_preprocessing(None, (32, 48, 3))


# What libraries write


def test_what_is_written_below_python_is_kept(capfd):
    with captured_errors() as written:
        os.write(2, b"from C++")
        assert written() == "from C++"
    os.write(2, b"afterwards")
    assert capfd.readouterr().err == "afterwards"


def test_blocks_within_each_other_give_back_in_order(capfd):
    with captured_errors() as outer:
        with captured_errors() as inner:
            os.write(2, b"inner")
            assert inner() == "inner"
        os.write(2, b"outer")
        assert outer() == "outer"
    os.write(2, b"out")
    assert capfd.readouterr().err == "out"


def test_a_logger_reports_errors_alone_within_the_block(caplog):
    logger = logging.getLogger("somebody")
    with only_errors("somebody"):
        logger.warning("deprecated")
        logger.error("no such file")
    logger.warning("afterwards")
    assert [record.message for record in caplog.records] == ["no such file", "afterwards"]
