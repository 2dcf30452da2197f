"""Intervals and sample sizes, held to formulas written out and to simulated experiments."""

import numpy as np
import pytest
from scipy import stats

from kit.validation import (
    accuracy_interval,
    class_balance,
    compare_accuracies,
    pictures_for_width,
    pictures_to_compare,
)
from kit.validation.balance import balanced_accuracy


def test_nine_of_ten_may_be_anything_from_60_to_98_percent():
    interval = accuracy_interval(9, 10)
    # Wilson's formula by hand, with z = 1.96 and so z^2 = 3.8416.
    centre, half = (9 + 1.9208) / 13.8416, 1.96 / 13.8416 * np.sqrt(0.9 + 0.9604)
    assert (interval.low, interval.high) == pytest.approx((centre - half, centre + half), abs=1e-4)
    assert repr(interval) == ("AccuracyInterval(90.0% of 10 pictures; 95% confidence 59.6% to 98.2%, wilson)")


def test_ten_of_ten_does_not_prove_a_perfect_classifier():
    assert accuracy_interval(10, 10).low == pytest.approx(10 / (10 + 1.96**2), abs=1e-4)
    assert accuracy_interval(10, 10).high == 1


def test_answers_count_as_their_number_does():
    answers = np.arange(200) % 10 != 0
    assert accuracy_interval(answers) == accuracy_interval(180, 200)


def test_the_bootstrap_agrees_with_the_normal_approximation_at_many_pictures():
    interval = accuracy_interval(1800, 2000, method="bootstrap")
    half = 1.96 * np.sqrt(0.9 * 0.1 / 2000)
    assert (interval.low, interval.high) == pytest.approx((0.9 - half, 0.9 + half), abs=0.002)
    assert interval == accuracy_interval(1800, 2000, method="bootstrap")


def test_groups_answered_alike_widen_the_interval_as_if_each_were_one_picture():
    groups = np.repeat(np.arange(100), 9)
    answers = groups % 5 != 0
    alone = accuracy_interval(answers, method="bootstrap")
    together = accuracy_interval(answers, method="bootstrap", groups=groups)
    assert together.half_width / alone.half_width == pytest.approx(3, rel=0.1)  # the root of 9


@pytest.mark.parametrize(("accuracy", "half_width"), [(0.9, 0.01), (0.5, 0.05), (0.99, 0.02), (1.0, 0.1)])
def test_the_width_is_kept_at_the_number_named_and_not_at_one_less(accuracy, half_width):
    def half(count):
        p, z = accuracy, 1.959964
        return z * np.sqrt(p * (1 - p) / count + z * z / (4 * count**2)) / (1 + z * z / count)

    count = pictures_for_width(accuracy, half_width)
    assert half(count) <= half_width < half(count - 1)


def test_a_point_each_way_at_90_percent_takes_some_3500_pictures():
    assert pictures_for_width(0.9, 0.01) == pytest.approx(0.09 * 1.96**2 / 0.01**2, rel=0.01)


def test_two_proportions_by_a_textbook_example():
    # Fleiss: 60 % and 70 % at 5 % and 80 % need 356 in each group, before the correction for continuity.
    assert pictures_to_compare(0.6, 0.7) == 356


def test_own_pictures_notice_the_difference_in_four_of_five_experiments():
    rng = np.random.default_rng(0)
    count = pictures_to_compare(0.88, 0.91)
    one, two = rng.binomial(count, 0.88, 4000) / count, rng.binomial(count, 0.91, 4000) / count
    mean = (one + two) / 2
    z = (two - one) / np.sqrt(2 * mean * (1 - mean) / count)
    assert np.mean(np.abs(z) > 1.96) == pytest.approx(0.8, abs=0.02)


def test_the_same_pictures_notice_the_difference_in_four_of_five_experiments():
    rng = np.random.default_rng(1)
    count = pictures_to_compare(0.88, 0.91, disagreement=0.08)
    only_one, only_two, _ = rng.multinomial(count, [0.025, 0.055, 0.92], 4000).T
    z = (only_two - only_one) / np.sqrt(only_two + only_one)  # McNemar's statistic
    assert np.mean(np.abs(z) > 1.96) == pytest.approx(0.8, abs=0.02)
    assert count < pictures_to_compare(0.88, 0.91) / 2


def test_a_disagreement_that_cannot_be_is_refused():
    with pytest.raises(ValueError, match=r"Expected a disagreement within 0.03..0.21 for these accuracies"):
        pictures_to_compare(0.88, 0.91, disagreement=0.01)
    with pytest.raises(ValueError, match="Expected two accuracies that differ"):
        pictures_to_compare(0.9, 0.9)


def test_mcnemar_counts_only_pictures_on_which_the_two_disagree():
    first = np.array([True] * 90 + [False] * 10)
    second = first.copy()
    second[:8], second[90:92] = False, True
    result = compare_accuracies(first, second)
    assert (result.only_first, result.only_second) == (8, 2)
    # 2 or fewer of 10 coins, on either side: 2 (1 + 10 + 45) / 1024.
    assert result.p_value == pytest.approx(112 / 1024)
    assert result.pictures_needed == pictures_to_compare(0.9, 0.84, disagreement=0.1)


def test_unpaired_answers_are_compared_as_two_proportions():
    first, second = np.arange(100) < 90, np.arange(200) < 160
    z = 0.1 / np.sqrt(250 / 300 * 50 / 300 * (1 / 100 + 1 / 200))
    assert compare_accuracies(first, second, paired=False).p_value == pytest.approx(2 * stats.norm.sf(z))


def test_equal_answers_are_no_difference():
    answers = np.arange(10) < 8
    assert repr(compare_accuracies(answers, answers)) == "Comparison(80.0% and 80.0%; p = 1)"
    assert compare_accuracies(answers, answers, paired=False).p_value == 1


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((11, 10), ValueError, "Expected 0 to count right answers of at least 1, received 11 of 10"),
        (([1, 0],), TypeError, "Expected right or wrong as bool, received int64"),
        (([],), ValueError, "Expected an answer for each of at least one picture"),
        ((0.9, 10), TypeError, "Expected the number of right answers with count=, received float"),
    ],
)
def test_what_is_no_count_of_answers_is_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        accuracy_interval(*arguments)


def test_the_method_is_named_or_the_nearest_is():
    with pytest.raises(ValueError, match="did you mean 'wilson'"):
        accuracy_interval(9, 10, method="wilsn")
    with pytest.raises(ValueError, match="below 1"):
        accuracy_interval(9, 10, confidence=1)


def test_nine_cats_in_ten_pictures_make_a_baseline_of_90_percent():
    balance = class_balance([0] * 9 + [1], ("cat", "dog"))
    assert balance.majority_baseline == 0.9
    assert balance.imbalance == 9
    assert balance.effective_classes == pytest.approx(np.exp(stats.entropy([0.9, 0.1])))
    assert balance.table().text().splitlines() == [
        "class  pictures   share",
        "cat           9   90.0%",
        "dog           1   10.0%",
    ]
    assert repr(balance) == (
        "ClassBalance(10 pictures in 2 classes, as varied as 1.4 equal ones; majority baseline 90.0%)"
    )


def test_always_answering_cat_has_half_the_balanced_accuracy():
    assert balanced_accuracy([0] * 9 + [1], [0] * 10) == 0.5


def test_equal_classes_count_fully_and_a_missing_one_makes_the_imbalance_infinite():
    assert class_balance([0, 1, 2], "abc").effective_classes == pytest.approx(3)
    assert class_balance([0, 1, 1], "abc").imbalance == float("inf")
    with pytest.raises(ValueError, match=r"Expected labels within 0..1, received 0..2"):
        class_balance([0, 2], "ab")
