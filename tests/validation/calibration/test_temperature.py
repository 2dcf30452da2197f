"""Temperature and vector scaling: against the minimum found otherwise, and temperatures put in by hand."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from sklearn.metrics import log_loss

from kit import samples
from kit.classifier.engines import tempered
from kit.validation.calibration import (
    HIGHEST,
    LOWEST,
    VectorScaling,
    fit_temperature,
    fit_vector,
    fitting_part,
    logits,
)


@pytest.fixture(scope="module")
def calibrated():
    """20,000 answers to 4 classes that come up as often as the probabilities say."""
    rng = np.random.default_rng(5)
    rows = rng.dirichlet(np.full(4, 0.5), 20_000)
    labels = (rows.cumsum(axis=1) < rng.random((20_000, 1))).sum(axis=1).clip(0, 3)
    return rows.astype(np.float32), labels


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 2.5])
def test_the_temperature_undoes_a_known_sharpening(calibrated, sharpness):
    rows, labels = calibrated
    sharper = tempered(rows, 1 / sharpness)
    assert fit_temperature(sharper, labels) == pytest.approx(sharpness, rel=0.03)


def test_the_temperature_is_where_scikit_learns_log_loss_is_least(calibrated):
    rows, labels = calibrated
    rows, labels = rows[:500] ** 2 / (rows[:500] ** 2).sum(axis=1, keepdims=True), labels[:500]

    def loss(inverse):
        scores = rows.astype(np.float64).clip(1e-38) ** inverse
        return log_loss(labels, scores / scores.sum(axis=1, keepdims=True))

    least = minimize_scalar(loss, bracket=(0.2, 1.0), tol=1e-10)
    assert fit_temperature(rows, labels) == pytest.approx(1 / least.x, rel=1e-5)


def test_answers_that_are_all_right_ask_for_the_lowest_temperature():
    rows = np.array([[0.7, 0.3]] * 20, np.float32)
    assert fit_temperature(rows, np.zeros(20, np.int64)) == pytest.approx(LOWEST, rel=1e-3)
    assert fit_temperature(rows, np.ones(20, np.int64)) == pytest.approx(HIGHEST, rel=1e-3)


def test_logits_have_a_softmax_that_gives_the_rows_back(calibrated):
    rows, _ = calibrated
    exponentials = np.exp(logits(rows))
    np.testing.assert_allclose(
        exponentials / exponentials.sum(axis=1, keepdims=True),
        rows / rows.sum(axis=1, keepdims=True),
        atol=1e-6,
    )


def test_vector_scaling_scales_and_shifts_each_logit():
    rows = np.array([[4, 2, 1]], np.float32) / 7
    # Logits ln 2, 0, -ln 2, whose sum is 0: doubling makes the first ln 4, a bias of ln 2 makes the last 0.
    scaled = VectorScaling((2.0, 1.0, 1.0), (0.0, 0.0, np.log(2.0))).apply(rows)
    np.testing.assert_allclose(scaled, np.array([[4, 1, 1]]) / 6, atol=1e-6)


def loss(rows, labels):
    return log_loss(labels, rows / rows.sum(axis=1, keepdims=True), labels=range(rows.shape[1]))


def test_vector_scaling_mends_classes_that_are_answered_too_often(calibrated):
    rows, labels = calibrated
    distorted = VectorScaling((2.0, 1.0, 0.5, 1.0), (0.5, -0.5, 0.0, 0.0)).apply(rows)
    half = 10_000
    found = fit_vector(distorted[:half], labels[:half])
    assert found.factors[2] > found.factors[1] > found.factors[0]
    assert found.biases[1] > found.biases[0]
    right, mended = loss(rows[half:], labels[half:]), loss(found.apply(distorted[half:]), labels[half:])
    one = tempered(distorted[half:], fit_temperature(distorted[:half], labels[:half]))
    assert mended - right < 0.1 * (loss(one, labels[half:]) - right)


def test_vector_scaling_is_left_out_where_one_temperature_does_as_well(calibrated):
    rows, labels = calibrated
    for start in range(0, 4000, 500):
        part = slice(start, start + 500)
        assert fit_vector(tempered(rows[part], 0.5), labels[part]) is None
    # All right, all wrong, one class alone, and rows of 0 and 1.
    sure = np.eye(4, dtype=np.float32)[labels[:100]]
    for answers, truth in (
        (sure, labels[:100]),
        (np.roll(sure, 1, axis=1), np.zeros(100, np.int64)),
        (rows[:100], np.zeros(100, np.int64)),
    ):
        found = fit_vector(answers, truth)
        assert found is None or np.isfinite([*found.factors, *found.biases]).all()
    assert fit_vector(sure, labels[:100]) is None


def test_vector_scaling_does_not_run_away_on_a_real_network(clothes, clothes_labels):
    rows = samples.classifier("fashion_mnist_500").probabilities(clothes)
    labels = np.array(clothes_labels)
    for seed in range(3):
        fitting = fitting_part(labels, 0.5, seed)
        found = fit_vector(rows[fitting], labels[fitting])
        temperature = fit_temperature(rows[fitting], labels[fitting])
        assert 0 < min(found.factors) < max(found.factors) < 4 / temperature
        one = loss(tempered(rows[~fitting], temperature), labels[~fitting])
        assert loss(found.apply(rows[~fitting]), labels[~fitting]) < one - 0.005
