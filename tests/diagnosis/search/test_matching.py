"""What was changed explains the difference from given answers."""

import numpy as np
import pytest

from kit.diagnosis.search import matching
from kit.preprocessing.faults import CATALOGUE


@pytest.mark.parametrize("names", [("inverted",), ("double_scaling",), ("inverted", "missing_scaling")])
def test_what_was_changed_explains_the_whole_difference(no_batchnorm, sixteen, names):
    right = in_use = no_batchnorm.preprocessing
    for name in names:
        in_use = CATALOGUE[name].apply(in_use)
    best, *others = matching(no_batchnorm.using(in_use), sixteen, no_batchnorm.probabilities(sixteen))
    assert {change.cause for change in best.changes} == {CATALOGUE[name].cause for name in names}
    assert (best.preprocessing, best.explained) == (right, pytest.approx(1))
    assert all(each.explained <= best.explained for each in others)


def test_labels_serve_as_answers_and_equal_answers_leave_nothing_to_explain(no_batchnorm, sixteen, truth):
    in_use = CATALOGUE["transposed"].apply(no_batchnorm.preprocessing)
    given = np.eye(10)[list(truth)]
    found = matching(no_batchnorm, sixteen, given, in_use)
    before, after = (
        1 - no_batchnorm.probabilities(sixteen, preprocessing=each)[np.arange(16), list(truth)].mean()
        for each in (in_use, no_batchnorm.preprocessing)
    )
    [whole] = [one for one in found if one.preprocessing == no_batchnorm.preprocessing]
    assert whole.changes[0].cause == "channel_layout"
    assert whole.explained == pytest.approx(1 - after / before)
    assert matching(no_batchnorm, sixteen, no_batchnorm.probabilities(sixteen)) == ()
