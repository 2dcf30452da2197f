"""What a pipeline is judged by: probes, a profile, pictures or labels."""

import pytest

from kit.diagnosis.search.evaluator import Evaluator
from kit.diagnosis.search.evidence import Grounds


def grounds_of(no_batchnorm, evaluator, photos, labels=()):
    return Grounds.of(evaluator, no_batchnorm.preprocessing, photos, labels)


def test_without_first_layers_only_labels_are_known(no_batchnorm, sixteen, truth):
    grounds = grounds_of(no_batchnorm, Evaluator(no_batchnorm), sixteen[:4], (*truth[:3], None))
    assert (grounds.evaluator.statistics, grounds.photographic, grounds.ordinary) == (False, False, None)
    assert grounds.known_labels == 3
    assert grounds.needed == pytest.approx(3 / 3**0.5)


def test_a_network_for_small_pictures_is_judged_by_its_profile_and_the_users_pictures(
    no_batchnorm, evaluator, sixteen
):
    grounds = grounds_of(no_batchnorm, evaluator, sixteen)
    assert (grounds.evaluator.statistics, grounds.photographic) == (True, False)
    assert grounds.ordinary is not None
    assert grounds.usual(no_batchnorm.preprocessing)
    assert not grounds.usual(no_batchnorm.preprocessing.replace(scaling="0..255"))


def test_labels_convince_where_guessing_would_hardly_meet_as_many(no_batchnorm, sixteen):
    answers = no_batchnorm.probabilities(sixteen[:3]).argmax(axis=1).tolist()
    wrong = [(answer + 1) % 10 for answer in answers]
    bare = Evaluator(no_batchnorm)

    def convincing(count, labels):
        grounds = grounds_of(no_batchnorm, bare, sixteen[:count], labels[:count])
        return grounds.convincing(no_batchnorm.preprocessing)

    # One of ten classes is met by guessing in 10 %, two in 1 % of cases; two of three in 2.8 %.
    assert not convincing(1, answers)
    assert convincing(2, answers)
    assert convincing(3, [*answers[:2], wrong[2]])
    assert not convincing(3, [answers[0], *wrong[1:]])


def test_what_is_tried_makes_a_difference_and_can_be_told(no_batchnorm, evaluator, sixteen):
    tried = grounds_of(no_batchnorm, evaluator, sixteen).tried(no_batchnorm.preprocessing)
    assert {candidate.step for candidate in tried} == {"polarity", "scaling", "layout"}


def test_two_preprocessings_are_equal_where_neither_statistics_nor_answers_tell_them_apart(
    no_batchnorm, evaluator, sixteen
):
    used = no_batchnorm.preprocessing
    grounds = grounds_of(no_batchnorm, evaluator, sixteen)
    assert grounds.equivalence(used, used) == 0
    assert grounds.equivalence(used, used.replace(invert=not used.invert)) is None
    assert grounds_of(no_batchnorm, evaluator, sixteen[:3]).equivalence(used, used) is None  # too few to tell


def test_the_right_scaling_comes_first_where_another_is_in_use(no_batchnorm, evaluator, sixteen):
    wrong = no_batchnorm.preprocessing.replace(scaling="0..255")
    best, *others = grounds_of(no_batchnorm, evaluator, sixteen).scores(wrong)
    assert best.candidate.preprocessing.scaling == no_batchnorm.preprocessing.scaling
    assert all(best.gain >= other.gain for other in others)
