"""What distance, entropy and labels weigh, and how the number of pictures moves the threshold."""

from dataclasses import replace

import numpy as np
import pytest

import kit
from kit.diagnosis.search.candidates import candidates
from kit.diagnosis.search.evaluator import Evaluator
from kit.diagnosis.search.evidence import Grounds
from kit.diagnosis.search.scoring import by_answers, by_pictures, by_statistics


@pytest.fixture(scope="module")
def known(no_batchnorm):
    """A picture, and the label that the network gives to it with certainty."""
    photo = kit.samples.photos("fashion_mnist")[0]
    label = int(no_batchnorm.probabilities([photo])[0].argmax())
    assert no_batchnorm.probabilities([photo])[0, label] > 0.95
    return photo, label


def test_distance_falls_by_the_logarithm_and_what_no_fault_explains_pays_for_it(
    evaluator, no_batchnorm, sixteen
):
    used = no_batchnorm.preprocessing.replace(scaling="0..255")
    tried = [candidate for candidate in candidates(used) if candidate.step == "scaling"]
    scores = by_statistics(evaluator, used, tried, sixteen)
    assert [score.gain for score in scores] == sorted((score.gain for score in scores), reverse=True)
    for score in scores:
        right = score.candidate.preprocessing
        fall = evaluator.log_distance(sixteen, used) - evaluator.log_distance(sixteen, right)
        assert score.gain == score.distance == pytest.approx(fall)
    unexplained = [replace(candidate, faults=()) for candidate in tried]
    for score, other in zip(by_statistics(evaluator, used, unexplained, sixteen), scores, strict=True):
        assert score.distance == other.distance
        assert score.gain == pytest.approx(other.gain - 0.15)


def test_answers_alone_are_scored_by_their_entropy_and_its_error(evaluator, no_batchnorm, sixteen):
    used = no_batchnorm.preprocessing
    tried = [candidate for candidate in candidates(used) if candidate.step == "layout"]
    (score,) = by_answers(evaluator, used, tried, sixteen)
    before, after = (
        -(rows * np.log(np.maximum(rows, 1e-12))).sum(axis=1)
        for rows in (
            no_batchnorm.probabilities(sixteen, preprocessing=each).astype(float)
            for each in (used, score.candidate.preprocessing)
        )
    )
    assert score.gain == score.entropy == pytest.approx((before - after).mean())
    assert score.spread == pytest.approx((before - after).std(ddof=1) / 4)  # sixteen pictures
    (alone,) = by_answers(evaluator, used, tried, sixteen[:1])
    assert alone.spread == np.inf


def test_pictures_are_scored_by_distance_and_half_of_entropy_and_of_likelihood(
    evaluator, no_batchnorm, sixteen, truth
):
    used = no_batchnorm.preprocessing.replace(scaling="0..255")
    for score in by_pictures(evaluator, used, candidates(used), sixteen, truth):
        paid = 0 if score.candidate.faults else 0.15
        expected = score.distance + 0.5 * score.entropy + 0.5 * score.likelihood - paid
        assert score.gain == pytest.approx(expected)
    bare = Evaluator(no_batchnorm)
    for score in by_pictures(bare, used, candidates(used), sixteen, truth):
        assert (score.distance, score.entropy) == (None, None)
        assert score.gain == pytest.approx(score.likelihood - (0 if score.candidate.faults else 0.15))


def test_without_first_layers_there_is_no_distance(no_batchnorm, sixteen):
    with pytest.raises(ValueError, match="received another"):
        Evaluator(no_batchnorm).log_distance(sixteen, no_batchnorm.preprocessing)


def likelihoods(no_batchnorm, layers, known):
    photo, label = known
    used = no_batchnorm.preprocessing
    scores = by_pictures(Evaluator(no_batchnorm, layers), used, candidates(used), [photo], [label])
    return [score.likelihood for score in scores]


def test_one_label_says_no_more_than_that_it_was_missed_where_statistics_speak(no_batchnorm, known):
    assert min(likelihoods(no_batchnorm, no_batchnorm.first_layers, known)) == pytest.approx(
        np.log(0.05), abs=0.05
    )
    # Alone, the label is all there is, and how far it was missed counts in full.
    bare = replace(no_batchnorm.first_layers, profile=None, features=None)
    assert min(likelihoods(no_batchnorm, bare, known)) < -10


def test_sixteen_pictures_need_a_quarter_of_the_gain_of_one_down_to_a_least(no_batchnorm):
    photos = kit.samples.photos("fashion_mnist")[:400]
    evaluator = Evaluator(no_batchnorm, no_batchnorm.first_layers)
    needed = {
        count: Grounds.of(evaluator, no_batchnorm.preprocessing, photos[:count]).needed
        for count in (1, 4, 400)
    }
    assert needed[1] == pytest.approx(1.2 * evaluator.ordinary.scatter)
    assert needed[4] == pytest.approx(needed[1] / 2)
    assert needed[400] == 0.15
