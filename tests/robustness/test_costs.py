"""What faults cost: counted by hand from the classifier's own answers."""

import numpy as np
import pytest

from kit.preprocessing.faults import CATALOGUE
from kit.robustness.costs import fault_costs

CHOSEN = {
    name: CATALOGUE[name]
    for name in ("channels_swapped", "missing_scaling", "missing_mean_std")
}


@pytest.fixture(scope="module")
def pictures(photos, labels):
    return photos[:8], labels[:8]


@pytest.fixture(scope="module")
def costs(classifier, pictures):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kit.robustness.costs.CATALOGUE", CHOSEN)
        return fault_costs(classifier, *pictures, progress=False)


def test_training_comes_first_and_the_worst_fault_next(costs):
    assert [cost.fault for cost in costs] == ["", "missing_scaling", "channels_swapped"]
    assert costs[0].changed == 0


def test_two_faults_that_come_to_the_same_are_measured_once(costs):
    # Without a divisor, a scaling without its mean and standard deviation is none at all.
    assert "missing_mean_std" not in {cost.fault for cost in costs}


def test_shares_are_those_of_the_answers(classifier, pictures, costs):
    photos, labels = pictures
    faulty = CATALOGUE["channels_swapped"].apply(classifier.preprocessing)
    swapped = classifier.probabilities(photos, preprocessing=faulty)
    untouched = classifier.probabilities(photos)
    right = np.mean(
        [row.argmax() == label for row, label in zip(swapped, labels, strict=True)]
    )
    changed = np.mean(
        [a.argmax() != b.argmax() for a, b in zip(swapped, untouched, strict=True)]
    )
    cost = costs[2]
    assert (cost.right, cost.changed) == (right, changed)
    of_the_right_class = [
        row[label] for row, label in zip(swapped, labels, strict=True)
    ]
    assert cost.probability == pytest.approx(np.mean(of_the_right_class))
    assert cost.confidence == pytest.approx(swapped.max(axis=1).mean())
    wrong = [
        row.max() > 0.5
        for row, label in zip(swapped, labels, strict=True)
        if row.argmax() != label
    ]
    assert cost.wrong_and_sure == sum(wrong) / len(photos)


def test_the_table_has_a_line_for_each_and_whole_percentages(costs):
    lines = costs.text().splitlines()
    assert len(lines) == 1 + len(costs)
    assert lines[1].split()[:4] == ["as", "in", "training", f"{costs[0].right:.0%}"]
