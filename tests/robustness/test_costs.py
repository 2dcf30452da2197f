"""What faults cost: counted by hand from the classifier's own answers."""

import numpy as np
import pytest

from kit.preprocessing.faults import CATALOGUE
from kit.robustness.costs import fault_costs


def test_shares_are_those_of_the_probabilities_and_the_most_expensive_fault_is_first(
    fashion, clothes, clothes_labels
):
    photos, labels = clothes[:8], np.array(clothes_labels[:8])
    costs = fault_costs(fashion, photos, labels)
    (cost,) = [each for each in costs if each.fault == "missing_scaling"]
    faulty = CATALOGUE["missing_scaling"].apply(fashion.preprocessing)
    shifted = fashion.probabilities(photos, preprocessing=faulty)
    top = shifted.argmax(axis=1)
    assert cost.right == (top == labels).mean()
    assert cost.changed == (top != fashion.probabilities(photos).argmax(1)).mean()
    assert cost.probability == pytest.approx(shifted[range(8), labels].mean())
    assert cost.confidence == pytest.approx(shifted.max(axis=1).mean())
    sure = shifted.max(axis=1) > 0.5
    assert cost.wrong_and_sure == (sure & (top != labels)).mean() > 0
    # Of those with as many right, the one with the lowest probability of the label.
    order = [(each.right, each.probability) for each in costs[1:]]
    assert order == sorted(order)
    assert len({right for right, _ in order}) < len(set(order))
