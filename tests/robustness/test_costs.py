"""What faults cost: counted by hand from the classifier's own answers."""

import pytest

from kit.preprocessing.faults import CATALOGUE
from kit.robustness.costs import fault_costs

@pytest.fixture(scope="module")
def pictures(photos, labels):
    return photos[:8], labels[:8]


@pytest.fixture(scope="module")
def costs(classifier, pictures):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kit.preprocessing.faults.CATALOGUE", CHOSEN)
        return fault_costs(classifier, *pictures)


def test_faults_with_as_many_right_are_in_the_order_of_the_probability_of_the_label(
    fashion, clothes
):
    never_right = fault_costs(fashion, clothes[:8], ["Bag"] * 8)[1:]
    assert {cost.right for cost in never_right} == {0}
    probabilities = [cost.probability for cost in never_right]
    assert probabilities == sorted(probabilities)


def test_shares_are_those_of_the_probabilities(classifier, pictures, costs):
    photos, labels = pictures
    faulty = CATALOGUE["caffe_means"].apply(classifier.preprocessing)
    shifted = classifier.probabilities(photos, preprocessing=faulty)
    top = shifted.argmax(axis=1)
    cost = costs[2]
    assert cost.right == (top == labels).mean()
    assert cost.changed == (top != classifier.probabilities(photos).argmax(1)).mean()
    assert cost.probability == pytest.approx(shifted[range(8), labels].mean())
    assert cost.confidence == pytest.approx(shifted.max(axis=1).mean())
    sure = shifted.max(axis=1) > 0.5
    assert cost.wrong_and_sure == (sure & (top != labels)).mean() > 0
