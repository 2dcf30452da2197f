"""Self-checks pass the right answer only, and say why another does not hold."""

import re

import numpy as np
import pytest

from kit import samples
from kit.perturbation import Perturbation
from kit.preprocessing.faults import CATALOGUE
from kit.workshop.answers import number
from kit.workshop.exercises import Delivery, Mystery, check_brightness, check_noise, check_temperature


def answers(classifier, photo):
    """Class index at each brightness of 0.1, 0.2 … 1."""
    factors = [k / 10 for k in range(1, 11)]
    rows = {factor: classifier.probabilities(photo, Perturbation(brightness=factor))[0] for factor in factors}
    return {factor: row.argmax() for factor, row in rows.items()}


def test_the_lowest_brightness_passes(classifier, cat):
    found = answers(classifier, cat)
    darker = {factor: found.get(round(factor - 0.1, 1)) for factor in found}
    flips = [factor for factor in found if factor > 0.1 and found[factor] == found[1.0] != darker[factor]]
    assert flips
    for factor in flips:
        assert check_brightness(classifier, cat, factor).startswith("Passed")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (None, "Open"),
        (0.2, "no longer Egyptian cat; try brighter"),
        (0.45, "0.45 is none"),
        ("dark", "is a number such as 0.7"),
        (0.9, "survives a darker picture"),
        (3, "a factor of 0.1, 0.2 … or 1, and 3 is none"),
    ],
)
def test_other_brightnesses_get_a_reason(classifier, cat, answer, reason):
    assert reason in check_brightness(classifier, cat, answer)


def test_the_noise_before_a_flip_passes(classifier, cat):
    noises = range(12, 22)
    rows = [classifier.probabilities(cat, Perturbation(noise=noise))[0] for noise in noises]
    tops = dict(zip(noises, (int(row.argmax()) for row in rows), strict=True))
    untouched = int(classifier.probabilities(cat)[0].argmax())
    [last] = [noise for noise in noises[:-1] if tops[noise] == untouched != tops[noise + 1]]
    assert check_noise(classifier, cat, last).startswith("Passed: Egyptian cat at")
    assert "try less" in check_noise(classifier, cat, last + 1)
    assert "survives" in check_noise(classifier, cat, last - 1)


@pytest.mark.parametrize(("answer", "reason"), [(None, "Open"), (100, "0 to 99"), (1.5, "0 to 99")])
def test_other_noises_get_a_reason(classifier, cat, answer, reason):
    assert reason in check_noise(classifier, cat, answer)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_each_mystery_has_exactly_one_answer(classifier, cat, number):
    mystery = Mystery(classifier, number)
    passed = [name for name in CATALOGUE if mystery.check(name).startswith("Passed")]
    assert len(passed) == 1
    assert (mystery.tensor(cat) == CATALOGUE[passed[0]].apply(classifier.preprocessing).apply(cat)).all()


@pytest.mark.parametrize("number", [1, 2, 3])
def test_every_wrong_answer_to_a_mystery_gets_a_sentence_of_its_own(classifier, number):
    mystery = Mystery(classifier, number)
    replies = [mystery.check(name) for name in CATALOGUE]
    assert len(set(replies)) == len(CATALOGUE)
    for name, reply in zip(CATALOGUE, replies, strict=True):
        assert CATALOGUE[name].title in reply
        if "would be" in reply:
            theirs, here = re.search(r"would be (.*) with it, and here it is (.*)\.", reply).groups()
            assert theirs != here
        if not reply.startswith("Passed"):
            assert "exchanged" not in reply.replace(CATALOGUE[name].title, ""), "another title would be told"


def test_a_mystery_takes_titles_and_tells_open_and_unknown_answers_apart(classifier):
    mystery = Mystery(classifier, 1)
    assert mystery.check(None).startswith("Open")
    for answer in ("double_scaling", "done twice", "Scaling: done twice", " Double Scaling "):
        assert mystery.check(answer) == "Passed: scaling done twice."
    assert "'dark' is no fault of the catalogue" in mystery.check("dark")
    assert "the step is right" in mystery.check("missing_scaling")
    assert "the step is right" not in mystery.check("channels_swapped")
    assert "it changes nothing about an ordinary picture" in mystery.check("alpha_black")


class Hostile:
    """Something that a learner might have put there by mistake."""

    def __repr__(self):
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    "answer", ["", "?", True, float("nan"), 1e400, [0.4], (), {}, np.zeros(3), 1j, b"0.4", Hostile(), print]
)
def test_whatever_is_answered_the_reply_is_one_line_and_no_error(classifier, cat, answer):
    rows = np.array([[0.9, 0.1]] * 4, np.float32)
    replies = [
        check_brightness(classifier, cat, answer),
        check_noise(classifier, cat, answer),
        check_temperature(rows, [0, 0, 0, 1], answer),
        Mystery(classifier, 1).check(answer),
        Delivery(samples.classifier("fashion_mnist"), (0, 213), 1).check(answer),
    ]
    for reply in replies:
        assert reply.startswith("Not yet")
        assert "\n" not in reply


@pytest.mark.parametrize(
    ("text", "value"),
    [("×0.5", 0.5), ("50 %", 0.5), ("T = 2.1", 2.1), ("22 levels of noise", 22), (".5", 0.5), ("-3", -3)],
)
def test_numbers_are_read_with_what_people_write_around_them(text, value):
    assert number(text) == value


@pytest.mark.parametrize(
    "answer", ["22 % %", "1 2", "1,2,3", np.complex64(0.5), np.ma.masked, np.True_, "half"]
)
def test_what_is_no_number_is_none(answer):
    assert number(answer) is None


def test_percent_are_no_levels(classifier, cat):
    assert "'22 %' is not" in check_noise(classifier, cat, "22 %")
    assert check_brightness(classifier, cat, "50 %") == check_brightness(classifier, cat, 0.5)


def test_a_fault_itself_is_an_answer_and_one_that_changes_nothing_no_mystery(classifier):
    assert Mystery(classifier, 1).check(CATALOGUE["double_scaling"]).startswith("Passed")
    with pytest.raises(ValueError, match="on which mystery 3 changes something"):
        Mystery(samples.classifier("fashion_mnist"), 3)


@pytest.mark.parametrize("answer", ["0.4", "0,4", " 0.4 ", np.float32(0.4), np.array([0.4])])
def test_numbers_are_read_as_people_write_them(classifier, cat, answer):
    assert check_brightness(classifier, cat, answer) == check_brightness(classifier, cat, 0.4)
    rows = np.array([[0.9, 0.1]] * 4, np.float32)
    assert check_temperature(rows, [0, 0, 0, 1], "2,0").startswith("Passed")
    assert check_noise(classifier, cat, "50 levels") == check_noise(classifier, cat, 50)


def test_a_mystery_does_not_tell_its_fault_by_itself(classifier):
    mystery = Mystery(classifier, 1)
    assert repr(mystery) == "Mystery(1)"
    with pytest.raises(ValueError, match="from 1 to 3, received 4"):
        Mystery(classifier, 4)


@pytest.mark.parametrize(
    ("answer", "reply"),
    [
        (None, "Open: set answer to a temperature with one decimal, such as 1.1."),
        (0, "Not yet: a temperature is above 0, and 0 is not."),
        (1.5, "Not yet: the right answers become more probable at a higher temperature than 1.5."),
        (2.6, "Not yet: the right answers become more probable at a lower temperature than 2.6."),
        (2.0, "Passed: the least negative log-likelihood is at 2.0."),
    ],
)
def test_the_temperature_is_the_one_that_fits_best(answer, reply):
    # Sure of a class to 0.9 (odds of 9) and right three times in four (odds of 3, the root of 9).
    rows = np.array([[0.9, 0.1]] * 4, np.float32)
    assert check_temperature(rows, [0, 0, 0, 1], answer) == reply


@pytest.mark.parametrize(("number", "wrong", "passing"), [(1, "leave", "adapt"), (2, "adapt", "correct")])
def test_a_remedy_passes_where_it_gets_most_right(number, wrong, passing):
    delivery = Delivery(samples.classifier("fashion_mnist"), (0, 213), number)
    assert delivery.check(None).startswith("Open: set answer to one of leave, correct, adapt")
    assert delivery.check("retrain").startswith("Not yet: 'retrain' is none of")
    assert delivery.check(wrong).startswith(f"Not yet: {wrong} gets ")
    assert delivery.check(passing).startswith("Passed: leave ")
    for other in {1: ("adapt (AdaBN)", "ADA-BN", "remedy 2"), 2: ("correct (levels)", "levels")}[number]:
        assert delivery.check(other) == delivery.check(passing)


def test_a_delivery_tells_neither_labels_nor_origin():
    delivery = Delivery(samples.classifier("fashion_mnist"), (0, 213), 3)
    assert len(delivery.photos) == 64
    assert {photo.notes for photo in delivery.photos} == {()}
    assert repr(delivery) == "Delivery(3)"
    with pytest.raises(ValueError, match="Expected a delivery from 1 to 3, received 4"):
        Delivery(samples.classifier("fashion_mnist"), (0, 213), 4)
