"""Intervals and McNemar's test, held to formulas written out."""

import numpy as np
import pytest

from kit.validation.accuracy import accuracy_interval, compare_accuracies


def test_nine_of_ten_may_be_anything_from_60_to_98_percent():
    interval = accuracy_interval(9, 10)
    # Wilson's formula by hand, with z = 1.96 and so z^2 = 3.8416.
    centre, half = (9 + 1.9208) / 13.8416, 1.96 / 13.8416 * np.sqrt(0.9 + 0.9604)
    assert (interval.low, interval.high) == pytest.approx(
        (centre - half, centre + half), abs=1e-4
    )
    assert (
        repr(interval)
        == "9 of 10 images are predicted correctly: 90.0% (95% interval 59.6% to 98.2%)."
    )
    many = repr(accuracy_interval(np.arange(2000) % 10 != 0))
    assert many.startswith("1,800 of 2,000 images are predicted correctly: 90.0% (")


def test_mcnemar_counts_only_images_on_which_the_two_disagree():
    first = np.array([True] * 90 + [False] * 10)
    second = first.copy()
    second[:8], second[90:92] = False, True
    result = compare_accuracies(first, second)
    # 2 or fewer of 10 coins, on either side: 2 (1 + 10 + 45) / 1024.
    assert list(vars(result).values()) == [0.9, 0.84, 8, 2, pytest.approx(112 / 1024)]
    assert compare_accuracies(first, first).p_value == 1


NO_COUNTS = [
    ((11, 10), r"Expected right as a whole number 0\.\.10, received 11"),
    (([1, 0],), r"Expected a bool for .*, received int64 of shape \(2,\)$"),
    ((np.ones(0, bool),), "Expected a bool for each of at least one image"),
]


@pytest.mark.parametrize(("arguments", "message"), NO_COUNTS)
def test_what_is_no_count_of_answers_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        accuracy_interval(*arguments)
