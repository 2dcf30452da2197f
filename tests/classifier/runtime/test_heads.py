import numpy as np
import pytest

from kit.classifier.engines import head_of, measured_head, probabilities, tempered


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


@pytest.mark.parametrize("head", ["logits", "sigmoid", "binary_logit", "log_softmax"])
def test_results_are_float32(head):
    assert probabilities(np.array([[0.5]], np.float32), head).dtype == np.float32


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
