"""Temperature and vector scaling: against the minimum found otherwise, and temperatures put in by hand."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from kit.classifier.runtime.heads import tempered
from kit.validation.calibration.temperature import (
    HIGHEST,
    LOWEST,
    VectorScaling,
    fit_temperature,
    fit_vector,
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
    rows = np.array([[0.5, 0.25, 0.25]], np.float32)
    # Logits −ln 2, −ln 4, −ln 4: doubling the first makes it another −ln 4, a bias of ln 2 doubles the last.
    scaled = VectorScaling((2.0, 1.0, 1.0), (0.0, 0.0, np.log(2.0))).apply(rows)
    np.testing.assert_allclose(scaled, [[0.25, 0.25, 0.5]], atol=1e-6)


def test_vector_scaling_undoes_known_factors_and_biases(calibrated):
    rows, labels = calibrated
    distorted = VectorScaling((2.0, 1.0, 0.5, 1.0), (0.5, -0.5, 0.0, 0.0)).apply(rows)
    found = fit_vector(distorted, labels)
    assert found.factors == pytest.approx((0.5, 1.0, 2.0, 1.0), rel=0.1)
    # Biases count up to a constant, which a softmax does not see.
    biases = np.array(found.biases) - found.biases[3]
    assert biases == pytest.approx(np.array([-0.25, 0.5, 0.0, 0.0]), abs=0.1)


def test_vector_scaling_for_two_classes_is_scikit_learns_logistic_regression(calibrated):
    """With two classes the difference of the logits is a linear function of the two old logits."""
    rows, labels = calibrated
    some = labels < 2
    rows = rows[some][:, :2] + np.float32(1e-3)
    rows /= rows.sum(axis=1, keepdims=True)
    expected = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(logits(rows), labels[some])
    found = fit_vector(rows, labels[some])
    np.testing.assert_allclose(found.apply(rows), expected.predict_proba(logits(rows)), atol=1e-4)
