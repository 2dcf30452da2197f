"""Calibration: by hand, beside scikit-learn, and with known temperatures."""

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import log_loss

import kit
from kit import samples
from kit.validation import accuracy_interval
from kit.validation.calibration import (
    _temperature_and_notes,
    fit_temperature,
    measure,
    stratified_half,
)


@pytest.fixture(scope="module")
def answers():
    rng = np.random.default_rng(2024)
    scores = rng.normal(size=(600, 5)) * 2
    rows = np.exp(scores)
    rows /= rows.sum(axis=1, keepdims=True)
    # On the edge of two bins.
    rows[0] = 0.6, 0.4, 0, 0, 0
    labels = np.where(
        rng.random(600) < 0.55, rows.argmax(axis=1), rng.integers(0, 5, 600)
    )
    return rows, labels


def test_bins_are_those_of_scikit_learn_with_wilsons_interval(answers):
    rows, labels = answers
    confidences, hits = rows.max(axis=1), rows.argmax(axis=1) == labels
    _, means = calibration_curve(hits, confidences, n_bins=15)
    found = measure(rows, labels, resamples=1).bins
    np.testing.assert_allclose([one.confidence for one in found], means, atol=1e-12)
    for one in found:
        inside = (one.low < confidences) & (confidences <= one.high)
        assert one.share == accuracy_interval(hits[inside])


def test_four_answers_by_hand():
    # Confidences 0.6, 0.9, 0.95, 0.95; the second and the last are wrong.
    rows = np.array([[0.6, 0.4], [0.9, 0.1], [0.95, 0.05], [0.05, 0.95]])
    found = measure(rows, np.array([0, 1, 0, 0]), resamples=10)
    # The last two share a bin, of which one is right; the others have one each.
    assert found.ece.value == pytest.approx(
        (abs(1 - 0.6) + 0.9 + 2 * abs(0.5 - 0.95)) / 4
    )
    assert found.confidence.value == pytest.approx((0.6 + 0.9 + 2 * 0.95) / 4)
    assert found.brier.value == pytest.approx(
        2 * (0.4**2 + 0.9**2 + 0.05**2 + 0.95**2) / 4
    )
    assert found.nll.value == pytest.approx(-np.log([0.6, 0.1, 0.95, 0.05]).mean())
    # 0.9 is not above 0.9.
    assert found.sure_errors.value == 0.5
    assert (found.accuracy.value, found.pictures) == (0.5, 4)
    with pytest.raises(ValueError, match="Expected resamples as a whole"):
        measure(rows, np.zeros(4, int), resamples=0)


@pytest.mark.parametrize("function", [measure, fit_temperature])
def test_what_is_no_probability_and_no_class_is_refused(answers, function):
    rows, labels = answers
    unfit = [rows * np.nan, rows[0], rows[:0], rows * 100, np.log(rows), rows - 0.02]
    unfit.append(np.append(rows, 2 * rows[:1], axis=0)[1:])
    for wrong in unfit:
        with pytest.raises(
            ValueError,
            match=r"^Expected rows of probabilities that sum to 1, received .*; apply a softmax$",
        ):
            function(wrong, labels[: len(wrong)])
    assert function(rows.round(3), labels)
    with pytest.raises(
        ValueError, match=r"Expected a label as a whole number 0\.\.4, received -1"
    ):
        function(rows, labels - labels.min() - 1)


def test_shares_have_wilsons_interval_and_are_never_certain():
    rows = np.array([[0.95, 0.05]] * 20)
    found = measure(rows, np.zeros(20, np.int64), resamples=10)
    # The lower end is 20 / (20 + 1.96^2); of no error at all none is known to be sure.
    assert str(found.accuracy) == "1.000 (0.839–1.000)"
    assert str(found.sure_errors) == "0.000 (0.000–1.000)"


def calibrated(count, seed):
    """Draw answers whose classes come up exactly as often as their probabilities say."""
    rng = np.random.default_rng(seed)
    rows = rng.dirichlet(np.full(10, 0.3), count)
    return rows, (rows.cumsum(axis=1) < rng.random((count, 1))).sum(axis=1).clip(0, 9)


def test_chance_alone_is_told_from_overconfidence():
    found = [measure(*calibrated(300, seed), resamples=200) for seed in range(20)]
    # A calibrated network shows an error: on average that of chance, and 0 is in its interval.
    by_chance = np.mean([one.ece_by_chance for one in found])
    assert np.mean([one.ece.value for one in found]) == pytest.approx(
        by_chance, rel=0.1
    )
    assert sum(one.ece.low > 0 for one in found) <= 3
    assert all(one.ece.high >= one.ece.value for one in found)
    for seed in range(5):
        rows, labels = calibrated(300, seed)
        sharper = rows**3 / (rows**3).sum(axis=1, keepdims=True)
        assert measure(sharper, labels, resamples=200).ece.low > 0.05


def test_the_interval_of_an_error_holds_its_value_and_nothing_below_zero():
    # Certain and right every time but once in 40: resamples without that one show an error of 0.
    rows = np.array([[1.0, 0.0]] * 40)
    labels = np.array([1] + [0] * 39)
    found = measure(rows, labels, resamples=200)
    assert found.ece.value == pytest.approx(1 / 40)
    assert found.ece.low == 0
    assert found.nll.value == pytest.approx(log_loss(labels, rows))


@pytest.fixture(scope="module")
def pictures(clothes, clothes_labels):
    return clothes[:600], clothes_labels[:600]


@pytest.fixture(scope="module")
def overconfident():
    return samples.classifier("fashion_mnist_500")


@pytest.fixture(scope="module")
def calibration(overconfident, pictures):
    return kit.calibrate(overconfident, *pictures)


def test_a_temperature_that_is_there_does_not_count(
    overconfident, pictures, calibration
):
    again = kit.calibrate(overconfident.tempered(3), *pictures)
    assert again.temperature == calibration.temperature
    assert again.classifier.temperature == again.temperature
    assert again.ece == again.measured.ece.value
    # The network is overconfident, and no chance explains that.
    assert not any("chance" in note for note in calibration.notes)


def test_images_of_the_training_are_told_where_the_file_remembers_those(
    overconfident, clothes, clothes_labels
):
    knowing = overconfident.with_reference(clothes[:300])
    for start in (0, 298, 299):
        shown, copies = slice(start, start + 50), min(300 - start, 50)
        words = f"{copies} of 50 images are nearly training images; leave them out"
        notes = kit.calibrate(knowing, clothes[shown], clothes_labels[shown]).notes
        assert (words in notes) == (copies > 1), "one may be so by chance"


KEPT = "the images determine no temperature, so 1 is kept"
MORE = "give more images that are new to the model"
CHECK = "check the labels, the order of the classes and the preprocessing"
SURER = "more images are correct than the model is sure of"
TRAINED = "was it trained on these images, or with wrong or smoothed labels?"
# Of so many images, all predicted with one confidence, the errors; the temperature brings the odds of the
# confidence to those of being right: 9 to 3 or 3 to 9.
ASKED = [
    # Nearly all are correct, and still it was too sure: 99 to 1 for 49 to 1.
    (0.99, 100, 2, 1.1807, []),
    # Of 95 % that are correct, chance may make less than 90 %: 57 to 3 for 9 to 3.
    (0.75, 100, 5, 0.3731, []),
    # Wilson's interval for 99 % of 500 begins at 97.7 %: chance explains a confidence of 98 %, not of 97 %.
    (0.98, 500, 5, 0.8469, []),
    (
        0.97,
        500,
        5,
        0.7565,
        [f"{SURER}: 5 errors in 500 images ask for 0.76; {TRAINED}"],
    ),
    (0.75, 40, 4, 1, [f"{KEPT}: 4 errors in 40 images ask for 0.5; {MORE}"]),
    (0.9, 20, 20, 1, [f"{KEPT}: 20 errors in 20 images ask for 20; {CHECK}"]),
    (
        0.7,
        100,
        0,
        1,
        [
            f"{SURER}: 0 errors in 100 images ask for 0.05; {TRAINED}",
            f"{KEPT}: 0 errors in 100 images ask for 0.05; {MORE}",
        ],
    ),
]


@pytest.mark.parametrize(
    ("confidence", "count", "errors", "temperature", "notes"), ASKED
)
def test_a_temperature_is_taken_where_the_images_ask_for_one(
    confidence, count, errors, temperature, notes
):
    rows = np.array([[confidence, 1 - confidence]] * count, np.float32)
    labels = (np.arange(count) < errors).astype(np.int64)
    found, said = _temperature_and_notes(rows, labels)
    assert (found, said) == (pytest.approx(temperature, rel=1e-3), notes)


def test_half_of_each_class_is_taken():
    labels = np.repeat(np.arange(4), (10, 50, 1, 139))
    fitting = stratified_half(labels)
    assert np.bincount(labels[fitting]).tolist() == [5, 25, 0, 70]
    assert np.diff(np.flatnonzero(fitting)).max() > 2, "at random, not every second"


def test_too_few_images_are_refused(overconfident, pictures):
    photos, labels = (each[:19] for each in pictures)
    with pytest.raises(
        ValueError, match="Expected at least 20 images, received 19; give more"
    ):
        kit.calibrate(overconfident, photos, labels)
