"""What a pipeline is judged by: probes, a profile, pictures or labels."""

import pytest

from kit.diagnosis.search.evaluator import Evaluator
from kit.diagnosis.search.evidence import Grounds


def grounds_of(classifier, evaluator, photos, labels=()):
    return Grounds.of(evaluator, classifier.preprocessing, photos, labels)


def test_without_first_layers_only_labels_are_known(classifier, clothes, truth):
    grounds = grounds_of(classifier, Evaluator(classifier), clothes[:4], (*truth[:3], None))
    assert (grounds.statistics, grounds.photographic, grounds.ordinary) == (False, False, None)
    assert grounds.known_labels == 3
    assert grounds.needed == pytest.approx(3 / 3**0.5)


def test_a_network_for_small_pictures_is_judged_by_its_profile_and_the_users_pictures(
    classifier, evaluator, clothes
):
    grounds = grounds_of(classifier, evaluator, clothes)
    assert (grounds.statistics, grounds.photographic) == (True, False)
    assert grounds.ordinary is not None
    assert grounds.usual(classifier.preprocessing)
    assert not grounds.usual(classifier.preprocessing.replace(scaling="0..255"))


def test_labels_convince_where_guessing_would_hardly_meet_as_many(classifier, clothes):
    answers = classifier.probabilities(clothes[:3]).argmax(axis=1).tolist()
    wrong = [(answer + 1) % 10 for answer in answers]
    bare = Evaluator(classifier)

    def convincing(count, labels):
        grounds = grounds_of(classifier, bare, clothes[:count], labels[:count])
        return grounds.convincing(classifier.preprocessing)

    # One of ten classes is met by guessing in 10 %, two in 1 % of cases; two of three in 2.8 %.
    assert not convincing(1, answers)
    assert convincing(2, answers)
    assert convincing(3, [*answers[:2], wrong[2]])
    assert not convincing(3, [answers[0], *wrong[1:]])


def test_what_is_tried_makes_a_difference_and_can_be_told(classifier, evaluator, clothes):
    tried = grounds_of(classifier, evaluator, clothes).tried(classifier.preprocessing)
    assert {candidate.step for candidate in tried} == {"polarity", "scaling", "layout"}


def test_two_preprocessings_are_equal_where_neither_statistics_nor_answers_tell_them_apart(
    classifier, evaluator, clothes
):
    used = classifier.preprocessing
    grounds = grounds_of(classifier, evaluator, clothes)
    assert grounds.equivalence(used, used) == 0
    assert grounds.equivalence(used, used.replace(invert=not used.invert)) is None
    assert grounds_of(classifier, evaluator, clothes[:3]).equivalence(used, used) is None  # too few to tell


def test_the_right_scaling_comes_first_where_another_is_in_use(classifier, evaluator, clothes):
    wrong = classifier.preprocessing.replace(scaling="0..255")
    best, *others = grounds_of(classifier, evaluator, clothes).scores(wrong)
    assert best.candidate.preprocessing.scaling == classifier.preprocessing.scaling
    assert all(best.gain >= other.gain for other in others)
