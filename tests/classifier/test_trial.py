"""A before-and-after, worked out by hand."""

import numpy as np
import pytest

from kit.classifier.labels import Trial, entropies, hits

BEFORE = np.array([[0.8, 0.2], [0.5, 0.5], [0.1, 0.9], [0.6, 0.4]])
AFTER = np.array([[0.4, 0.6], [1.0, 0.0], [0.1, 0.9], [0.3, 0.7]])


def test_an_answer_changes_where_another_class_is_likeliest():
    assert Trial(BEFORE, AFTER).changed.tolist() == [True, False, False, True]
    assert Trial(BEFORE, AFTER).largest == pytest.approx(0.5)


def test_right_answers_are_counted_before_and_after_among_the_labels_that_are_known():
    trial = Trial(BEFORE, AFTER, (1, None, 1, 1))
    # 0.2, 0.9 and 0.4 become 0.6, 0.9 and 0.7.
    assert trial.right == (1, 3)
    assert trial.regained == 2
    assert Trial(AFTER, BEFORE, (1, None, 1, 1)).regained == -2
    assert Trial(BEFORE, AFTER).right == (0, 0)
    assert hits(BEFORE, (1, None, 1, 1)).tolist() == [False, False, True, False]


def test_a_known_label_gains_by_its_likelihood_and_another_picture_by_its_entropy():
    # ln(0.6 / 0.2) where the label is known, ln 2 - 0 where it is not.
    assert Trial(BEFORE[:1], AFTER[:1], (1,)).gain == pytest.approx(np.log(3))
    assert Trial(BEFORE[1:2], AFTER[1:2]).gain == pytest.approx(np.log(2))
    assert Trial(BEFORE[:2], AFTER[:2], (1, None)).gain == pytest.approx((np.log(3) + np.log(2)) / 2)


def test_one_impossible_answer_does_not_outweigh_all_others():
    trial = Trial(np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]]), [1])
    assert trial.gain == pytest.approx(-np.log(1e-7))
    assert trial.likelihoods(0.05) == pytest.approx((np.log(0.05), 0))


def test_likelihoods_are_means_over_what_is_known():
    before, after = Trial(BEFORE, AFTER, [1, None, 1, None]).likelihoods()
    assert before == pytest.approx((np.log(0.2) + np.log(0.9)) / 2)
    assert after == pytest.approx((np.log(0.6) + np.log(0.9)) / 2)
    assert Trial(BEFORE, AFTER, [None] * 4).likelihoods() is None
    assert Trial(BEFORE, AFTER).likelihoods() is None


def test_entropy_is_that_of_the_textbook():
    # ln 2 for a coin, 0 for certainty, ln 4 for four equal chances.
    rows = np.array([[0.5, 0.5, 0, 0], [1, 0, 0, 0], [0.25, 0.25, 0.25, 0.25]])
    np.testing.assert_allclose(entropies(rows), [np.log(2), 0, np.log(4)], atol=1e-9)
