"""What labels tell of accuracy and confidence is mentioned and never named; leakage is."""

import numpy as np
import pytest

from kit.diagnosis.investigation import check_trust, mostly_wrong


def answers(right, count, confidence):
    """Rows that put `confidence` on class 0, and labels of which the first `right` are 0."""
    rows = np.tile(np.array([confidence, 1 - confidence], np.float32), (count, 1))
    return rows, [0] * right + [1] * (count - right)


def test_few_labelled_pictures_say_little_of_the_accuracy():
    (finding,) = check_trust(*answers(8, 12, 0.9))
    assert (finding.cause, finding.verdict) == ("small_validation", "possible")
    # Wilson, z = 1.96: centre (8 + 1.92) / (12 + 3.84) = 0.626, half of the interval 0.235.
    assert finding.summary.startswith("12 labelled pictures: 67% are answered rightly")
    assert "from 39% to 86%" in finding.summary
    assert finding.evidence[0].value == pytest.approx(0.235, abs=0.001)


def test_many_labelled_pictures_are_enough():
    finding, _ = check_trust(*answers(360, 400, 0.9))
    assert finding.verdict == "ruled_out"
    assert finding.evidence[0].value < 0.04


@pytest.mark.parametrize(("confidence", "verdict"), [(0.95, "possible"), (0.7, "ruled_out")])
def test_confidence_above_the_interval_of_the_accuracy_is_mentioned(confidence, verdict):
    _, finding = check_trust(*answers(70, 100, confidence))
    assert (finding.cause, finding.verdict) == ("overconfident", verdict)
    # Wilson: 70 of 100 lie between 60.4 and 78.1 %.
    assert finding.evidence[0].threshold == pytest.approx(0.781, abs=0.001)
    assert finding.evidence[0].supports == (confidence > 0.781)


def test_pictures_without_a_label_do_not_count():
    rows, labels = answers(8, 12, 0.9)
    assert check_trust(rows[:3], [0, None, None]) == ()
    with_none = check_trust(np.concatenate([rows, rows[:1]]), [*labels, None])
    assert with_none == check_trust(rows, labels)


@pytest.mark.parametrize(
    ("right", "count", "wrong"),
    [(0, 1, True), (1, 1, False), (1, 2, True), (2, 3, False), (4, 8, True), (5, 8, False)],
)
def test_something_is_wrong_where_no_more_than_half_of_the_answers_are_right(right, count, wrong):
    assert mostly_wrong(*answers(right, count, 0.9)) == wrong
