"""Two faults of which neither explains anything alone are found together, and nothing is made up of none."""

import pytest

import kit
from kit.diagnosis.search.evaluator import Evaluator
from kit.diagnosis.search.evidence import Grounds
from kit.diagnosis.search.pairs import together
from kit.diagnosis.search.verdict import verdict


@pytest.fixture(scope="module")
def in_use(classifier):
    """Not scaled, and inverted besides."""
    faults = kit.faults.CATALOGUE
    return faults["inverted"].apply(faults["missing_scaling"].apply(classifier.preprocessing))


def test_what_hides_each_other_is_named_together_with_one_fix(classifier, evaluator, clothes, in_use):
    grounds = Grounds.of(evaluator, in_use, clothes)
    ranked = grounds.scores(in_use)
    assert verdict(grounds, ranked, in_use) == "possible"  # alone, it leaves the pictures outside the profile
    findings, right = together(grounds, in_use, ranked)
    assert {one.cause for one in findings} == {"missing_scaling", "inverted_polarity"}
    assert right == classifier.preprocessing
    gain, alone = findings[0].evidence
    assert gain.value >= gain.threshold == 2 * grounds.needed
    assert alone.value == ranked[0].gain
    for one in findings:
        assert (one.verdict, one.fix.preprocessing, one.cost) == ("named", right, findings[0].cost)


def test_a_healthy_pipeline_has_no_pair(classifier, evaluator, clothes):
    grounds = Grounds.of(evaluator, classifier.preprocessing, clothes)
    assert together(grounds, classifier.preprocessing, grounds.scores(classifier.preprocessing)) is None


def test_labels_alone_are_too_little_for_a_pair(classifier, clothes, truth, in_use):
    grounds = Grounds.of(Evaluator(classifier), in_use, clothes, truth)
    assert together(grounds, in_use, grounds.scores(in_use)) is None
