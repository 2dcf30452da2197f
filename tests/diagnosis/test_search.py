"""Two faults that hide each other are found together, and given answers say what was changed."""

import numpy as np
import pytest

import kit
from kit.diagnosis.candidates import Evaluator, matching
from kit.diagnosis.evidence import Grounds
from kit.diagnosis.search import together
from kit.preprocessing.faults import CATALOGUE


@pytest.fixture(scope="module")
def in_use(no_batchnorm):
    """Not scaled, and inverted besides."""
    faults = kit.faults.CATALOGUE
    return faults["inverted"].apply(faults["missing_scaling"].apply(no_batchnorm.preprocessing))


def test_what_hides_each_other_is_named_together_with_one_fix(no_batchnorm, evaluator, sixteen, in_use):
    grounds = Grounds.of(evaluator, in_use, sixteen)
    findings, right = together(grounds)
    assert {one.cause for one in findings} == {"missing_scaling", "inverted_polarity"}
    assert right == no_batchnorm.preprocessing
    gain, alone = findings[0].evidence
    assert gain.value >= gain.threshold == pytest.approx(0.9)
    assert alone.value == max(grounds.scores()[0].gain, 0)
    assert gain.value - alone.value >= 0.4
    for one in findings:
        assert (one.verdict, one.fix.preprocessing, one.cost) == ("named", right, findings[0].cost)


def test_a_healthy_pipeline_has_no_pair(no_batchnorm, evaluator, sixteen):
    grounds = Grounds.of(evaluator, no_batchnorm.preprocessing, sixteen)
    assert together(grounds) is None


def test_labels_alone_are_too_little_for_a_pair(no_batchnorm, sixteen, truth, in_use):
    grounds = Grounds.of(Evaluator(no_batchnorm), in_use, sixteen, truth)
    assert together(grounds) is None


@pytest.mark.parametrize("names", [("inverted",), ("double_scaling",), ("inverted", "missing_scaling")])
def test_what_was_changed_explains_the_whole_difference(no_batchnorm, sixteen, names):
    right = in_use = no_batchnorm.preprocessing
    for name in names:
        in_use = CATALOGUE[name].apply(in_use)
    best, *others = matching(no_batchnorm, sixteen, no_batchnorm.probabilities(sixteen), in_use)
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
    used = no_batchnorm.preprocessing
    assert matching(no_batchnorm, sixteen, no_batchnorm.probabilities(sixteen), used) == ()
