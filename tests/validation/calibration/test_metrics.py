"""Calibration metrics: by hand, beside scikit-learn, netcal and torchmetrics, and their intervals."""

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.calibration import calibration_curve
from sklearn.metrics import accuracy_score, brier_score_loss, log_loss

from kit.validation import calibration
from kit.validation.calibration import ERRORS, TITLES, measure, reliability

# 600 answers to 5 classes. netcal 1.4.0 (ECE(15).measure, for the classwise one of each class in turn) and
# torchmetrics 1.9.0 (multiclass_calibration_error and binary_calibration_error with n_bins=15, norm="l1")
# gave these for them; they need a framework that the tests should not.
NETCAL = {"ece": 0.17551277250921254, "classwise_ece": 0.08484386771046716}
TORCHMETRICS = {"ece": 0.17551277577877045, "classwise_ece": 0.08484386771046716}


@pytest.fixture(scope="module")
def answers():
    rng = np.random.default_rng(2024)
    scores = rng.normal(size=(600, 5)) * 2
    rows = np.exp(scores)
    rows /= rows.sum(axis=1, keepdims=True)
    labels = np.where(rng.random(600) < 0.55, rows.argmax(axis=1), rng.integers(0, 5, 600))
    return rows, labels


@pytest.fixture(scope="module")
def measured(answers):
    return measure(*answers, resamples=200)


@pytest.mark.parametrize("reference", [NETCAL, TORCHMETRICS], ids=["netcal", "torchmetrics"])
def test_calibration_errors_are_those_of_other_libraries(measured, reference):
    for name, value in reference.items():
        assert getattr(measured, name).value == pytest.approx(value, abs=1e-6)


def test_scores_are_those_of_scikit_learn(answers, measured):
    rows, labels = answers
    assert measured.nll.value == pytest.approx(log_loss(labels, rows), abs=1e-12)
    assert measured.brier.value == pytest.approx(
        brier_score_loss(labels, rows, labels=range(5), scale_by_half=False), abs=1e-12
    )
    assert measured.accuracy.value == accuracy_score(labels, rows.argmax(axis=1))


def test_an_impossible_answer_costs_what_scikit_learn_says():
    rows = np.array([[1.0, 0.0], [0.5, 0.5]])
    assert measure(rows, np.array([1, 0]), resamples=2).nll.value == pytest.approx(log_loss([1, 0], rows))


@pytest.mark.parametrize(("strategy", "kind"), [("uniform", "equal_width"), ("quantile", "equal_mass")])
@pytest.mark.parametrize("bins", [5, 15])
def test_bins_are_those_of_scikit_learn(answers, strategy, kind, bins):
    rows, labels = answers
    hits = rows.argmax(axis=1) == labels
    accuracy, confidence = calibration_curve(hits, rows.max(axis=1), n_bins=bins, strategy=strategy)
    found = getattr(reliability(rows, labels, bins), kind)
    np.testing.assert_allclose([one.accuracy for one in found], accuracy, atol=1e-12)
    np.testing.assert_allclose([one.confidence for one in found], confidence, atol=1e-12)
    assert sum(one.count for one in found) == 600


def test_both_errors_follow_from_their_bins(answers, measured):
    found = reliability(*answers)
    for name, bins in (("ece", found.equal_width), ("ece_equal_mass", found.equal_mass)):
        gaps = [one.count / 600 * abs(one.accuracy - one.confidence) for one in bins]
        assert getattr(measured, name).value == pytest.approx(sum(gaps), abs=1e-12)


def test_four_answers_by_hand():
    # Confidences 0.6, 0.9, 0.95, 0.95; the second and the last are wrong.
    rows = np.array([[0.6, 0.4], [0.9, 0.1], [0.95, 0.05], [0.05, 0.95]])
    found = measure(rows, np.array([0, 1, 0, 0]), bins=2, resamples=10)
    # All four lie in the upper bin: right half the time at a mean confidence of 0.85.
    assert found.ece.value == pytest.approx(0.35)
    # Class 0: 0.05 alone in the lower bin shows it; 0.6, 0.9, 0.95 in the upper one show it twice.
    # Class 1 mirrors it.
    assert found.classwise_ece.value == pytest.approx((0.95 + 0.45) / 4)
    assert found.brier.value == pytest.approx(2 * (0.4**2 + 0.9**2 + 0.05**2 + 0.95**2) / 4)
    assert found.nll.value == pytest.approx(-np.log([0.6, 0.1, 0.95, 0.05]).mean())
    # 0.9 is not above 0.9.
    assert found.sure_errors.value == 0.5
    assert (found.accuracy.value, found.pictures) == (0.5, 4)


def test_a_confidence_on_an_edge_belongs_to_the_lower_bin():
    edges = calibration.equal_width(4)
    assert calibration.places(np.array([0, 0.25, 0.26, 0.5, 1]), edges).tolist() == [0, 0, 1, 1, 3]


def test_bins_of_equal_mass_hold_equally_many_pictures(answers):
    assert {one.count for one in reliability(*answers, 15).equal_mass} == {40}


def test_equal_confidences_share_a_bin():
    rows = np.array([[0.6, 0.4]] * 5 + [[1.0, 0.0]] * 5)
    found = reliability(rows, np.zeros(10, np.int64), 4).equal_mass
    assert [(one.confidence, one.count) for one in found] == [(pytest.approx(0.6), 5), (1.0, 5)]
    same = reliability(rows[5:], np.zeros(5, np.int64), 4).equal_mass
    assert [(one.count, one.accuracy) for one in same] == [(5, 1.0)]


def test_the_band_of_a_bin_is_wilsons_interval(answers):
    for one in reliability(*answers).equal_width:
        interval = binomtest(round(one.accuracy * one.count), one.count).proportion_ci(method="wilson")
        assert one.interval == pytest.approx((interval.low, interval.high))


def test_intervals_are_those_of_a_plain_bootstrap(answers):
    """Every metric computed anew on 50 samples with replacement, without sums or counts."""
    rows, labels = answers
    found = measure(rows, labels, resamples=50, seed=3).estimates()
    rng = np.random.default_rng(3)
    samples = [rng.integers(0, 600, 600) for _ in range(50)]
    confidences, hits = rows.max(axis=1), rows.argmax(axis=1) == labels
    edges = {"ece": np.linspace(0, 1, 16), "ece_equal_mass": np.quantile(confidences, np.linspace(0, 1, 16))}

    def error(probability, truth, cuts):
        place = np.searchsorted(cuts[1:-1], probability)
        return sum(abs((truth - probability)[place == each].sum()) for each in range(15)) / len(truth)

    def metric(name, rows, labels):
        confidence, right = rows.max(axis=1), rows.argmax(axis=1) == labels
        return {
            "accuracy": right.mean,
            "confidence": confidence.mean,
            "ece": lambda: error(confidence, right, edges["ece"]),
            "ece_equal_mass": lambda: error(confidence, right, edges["ece_equal_mass"]),
            "classwise_ece": lambda: np.mean(
                [error(rows[:, each], labels == each, edges["ece"]) for each in range(5)]
            ),
            "brier": lambda: ((rows - np.eye(5)[labels]) ** 2).sum(axis=1).mean(),
            "nll": lambda: -np.log(rows[range(600), labels]).mean(),
            "sure_errors": (confidence[~right] > 0.9).mean,
        }[name]()

    assert hits.mean() < 0.9
    for name in TITLES:
        drawn = [metric(name, rows[sample], labels[sample]) for sample in samples]
        low, high = np.quantile(drawn, [0.025, 0.975])
        value = metric(name, rows, labels)
        expected = (2 * value - high, 2 * value - low) if name in ERRORS else (low, high)
        one = found[name]
        assert (one.low, one.high) == pytest.approx(
            (max(0, min(value, expected[0])), max(value, expected[1]))
        ), name


def calibrated(count, seed):
    """Draw answers whose classes come up exactly as often as their probabilities say."""
    rng = np.random.default_rng(seed)
    rows = rng.dirichlet(np.full(10, 0.3), count)
    return rows, (rows.cumsum(axis=1) < rng.random((count, 1))).sum(axis=1).clip(0, 9)


def test_chance_alone_is_told_from_overconfidence():
    found = [measure(*calibrated(300, seed), resamples=200) for seed in range(40)]
    # A calibrated network shows an error: on average that of chance, and 0 is in its interval.
    by_chance = np.mean([one.ece_by_chance for one in found])
    assert np.mean([one.ece.value for one in found]) == pytest.approx(by_chance, rel=0.1)
    assert sum(one.ece.low > 0 for one in found) <= 5
    sharper = [measure(rows**3 / (rows**3).sum(axis=1, keepdims=True), labels, resamples=200)
               for rows, labels in (calibrated(300, seed) for seed in range(5))]  # fmt: skip
    assert all(one.ece.low > 0.05 for one in sharper)


def test_the_interval_of_an_error_holds_its_value_and_nothing_below_zero():
    # Certain and right every time but once in 40: resamples without that one show an error of 0.
    rows = np.array([[1.0, 0.0]] * 40)
    labels = np.array([1] + [0] * 39)
    error = measure(rows, labels, resamples=200).ece
    assert error.value == pytest.approx(1 / 40)
    assert error.low == 0
    # Resamples of a calibrated network mostly show more than it does itself.
    found = measure(*calibrated(300, 1), resamples=200).classwise_ece
    assert found.low <= found.value == found.high


def test_a_thousand_classes_are_measured_in_parts():
    rng = np.random.default_rng(0)
    rows = rng.dirichlet(np.full(1000, 0.01), 30)
    labels = rng.integers(0, 1000, 30)
    edges = np.linspace(0, 1, 16)
    errors = []
    for each in range(1000):
        place = np.searchsorted(edges[1:-1], rows[:, each])
        gaps = (labels == each) - rows[:, each]
        errors.append(sum(abs(gaps[place == one].sum()) for one in range(15)) / 30)
    assert measure(rows, labels, resamples=20).classwise_ece.value == pytest.approx(np.mean(errors))


def test_the_same_seed_gives_the_same_numbers(answers):
    assert repr(measure(*answers, resamples=50)) == repr(measure(*answers, resamples=50))
    assert measure(*answers, resamples=50, seed=1).nll != measure(*answers, resamples=50).nll
