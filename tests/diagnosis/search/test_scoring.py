"""What a label may weigh beside statistics, and how the number of pictures moves the threshold."""

from dataclasses import replace

import numpy as np
import pytest

import kit
from kit.diagnosis.search.candidates import candidates
from kit.diagnosis.search.evaluator import Laboratory
from kit.diagnosis.search.evidence import Basis
from kit.diagnosis.search.scoring import by_pictures, entropies

NAME = "fashion_mnist_no_batchnorm"


@pytest.fixture(scope="module")
def classifier():
    return kit.samples.classifier(NAME)


@pytest.fixture(scope="module")
def known(classifier):
    """A picture, and the label that the network gives to it with certainty."""
    photo = kit.samples.photos("fashion_mnist")[0]
    label = int(classifier.probabilities([photo])[0].argmax())
    assert classifier.probabilities([photo])[0, label] > 0.95
    return photo, label


def test_entropy_is_that_of_the_textbook():
    # ln 2 for a coin, 0 for certainty, ln 4 for four equal chances.
    rows = np.array([[0.5, 0.5, 0, 0], [1, 0, 0, 0], [0.25, 0.25, 0.25, 0.25]])
    np.testing.assert_allclose(entropies(rows), [np.log(2), 0, np.log(4)], atol=1e-9)


def likelihoods(classifier, layers, known):
    photo, label = known
    used = classifier.preprocessing
    scores = by_pictures(Laboratory(classifier, layers), used, candidates(used), [photo], [label])
    return [score.likelihood for score in scores]


def test_one_label_says_no_more_than_that_it_was_missed_where_statistics_speak(classifier, known):
    assert min(likelihoods(classifier, classifier.first_layers, known)) == pytest.approx(
        np.log(0.05), abs=0.05
    )
    # Alone, the label is all there is, and how far it was missed counts in full.
    bare = replace(classifier.first_layers, profile=None, features=None)
    assert min(likelihoods(classifier, bare, known)) < -10


def test_sixteen_pictures_need_a_quarter_of_the_gain_of_one_down_to_a_least(classifier):
    photos = kit.samples.photos("fashion_mnist")[:400]
    laboratory = Laboratory(classifier, classifier.first_layers)
    needed = {
        count: Basis.of(laboratory, classifier.preprocessing, photos[:count], None).needed
        for count in (1, 4, 400)
    }
    assert needed[1] == pytest.approx(1.2 * laboratory.ordinary.scatter)
    assert needed[4] == pytest.approx(needed[1] / 2)
    assert needed[400] == 0.15
