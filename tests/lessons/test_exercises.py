"""Self-checks pass the right answer only, and say why another does not hold."""

import re
import subprocess
import sys

import numpy as np
import pytest

import kit
from exercises import (
    Delivery,
    Mystery,
    check_brightness,
    check_noise,
    check_temperature,
    needs,
)
from kit.preprocessing.faults import CATALOGUE
from tests.project import ROOT

TEACHING = ROOT / "notebooks" / "solutions" / "teaching.md"
# Sure of a class to 0.9 (odds of 9) and right three times in four (odds of 3, the root of 9).
ROWS, LABELS = np.array([[0.9, 0.1]] * 4, np.float32), [0, 0, 0, 1]


def test_a_lesson_finds_its_exercises_in_whatever_folder_it_lies(tmp_path):
    subprocess.run([sys.executable, "-c", "import exercises"], cwd=tmp_path, check=True)


def test_a_lesson_says_first_what_it_needs_and_how_that_is_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(
        ModuleNotFoundError, match=r"^Expected tensorflow.* pip install"
    ):
        needs("keras", "tensorflow")


ANSWERS = [
    (check_brightness, 0.6, "Passed: Egyptian cat at 0.6, tiger cat at 0.5."),
    (
        check_brightness,
        None,
        "Not answered yet: set answer to one decimal from 0.1 to 1.0, such as 0.7.",
    ),
    (check_brightness, "0,2", "no longer Egyptian cat; change less"),
    (
        check_brightness,
        0.45,
        "use one decimal from 0.1 to 1.0, such as 0.7, instead of 0.45",
    ),
    (check_brightness, "dark", "instead of 'dark'"),
    (check_brightness, 0.9, "Egyptian cat survives 0.8, too; change more"),
    (check_noise, 17, "Passed: Egyptian cat at 17, tiger cat at 18."),
    (check_noise, 18, "no longer Egyptian cat; change less"),
    (check_noise, 16, "Egyptian cat survives 17, too; change more"),
    (check_noise, None, "Not answered yet"),
]


@pytest.mark.parametrize(("check", "answer", "reply"), ANSWERS)
def test_the_last_step_before_a_flip_passes_and_others_get_a_reason(
    classifier, cat, check, answer, reply
):
    assert reply in check(classifier, cat, answer)


TEMPERATURES = [
    (
        None,
        "Not answered yet: set answer to one decimal from 0.1 to 10.0, such as 1.1.",
    ),
    (0, "Not yet: use one decimal from 0.1 to 10.0, such as 1.1, instead of 0."),
    (1.5, "Not yet: a higher temperature than 1.5 fits better."),
    (2.6, "Not yet: a lower temperature than 2.6 fits better."),
    ("2,0", "Passed: the least negative log-likelihood is at 2.0."),
]


@pytest.mark.parametrize(("answer", "reply"), TEMPERATURES)
def test_the_temperature_is_the_one_that_fits_best(answer, reply):
    assert check_temperature(ROWS, LABELS, answer) == reply


class Hostile:
    """Something that a learner might have put there by mistake."""

    def __repr__(self):
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    "answer", ["", True, float("nan"), [0.4], np.zeros(3), 1j, Hostile(), 100, 1.5]
)
def test_whatever_is_answered_the_reply_is_one_line_and_no_error(
    classifier, fashion, cat, answer
):
    replies = [
        check(classifier, cat, answer) for check in (check_brightness, check_noise)
    ]
    replies += [
        check_temperature(ROWS, LABELS, answer),
        Mystery(classifier, 1).check(answer),
    ]
    replies += [Delivery(fashion, (0, 213), 1).check(answer)]
    assert all(re.fullmatch("Not yet.*", reply) for reply in replies)


@pytest.mark.parametrize("which", [1, 2, 3])
def test_each_mystery_has_one_answer_and_every_other_gets_a_reason_of_its_own(
    classifier, cat, which
):
    mystery = Mystery(classifier, which)
    replies = {name: mystery.check(name) for name in CATALOGUE}
    [passed] = [name for name, reply in replies.items() if reply.startswith("Passed")]
    assert (
        mystery.tensor(cat)
        == CATALOGUE[passed].apply(classifier.preprocessing).apply(cat)
    ).all()
    assert len(set(replies.values())) == len(CATALOGUE)
    for name, reply in replies.items():
        assert CATALOGUE[name].title in reply
        assert ("espresso.jpg would be" in reply) == (name != passed)


def test_a_mystery_takes_names_and_titles(classifier):
    mystery = Mystery(classifier, 1)
    for answer in ("done twice", "Scaling: done twice", " Double Scaling "):
        assert mystery.check(answer) == 'Passed: "Scaling: done twice".'
    assert mystery.check("Scaling: dona twice").endswith("mean 'Scaling: done twice'?")
    assert mystery.check("scaling").endswith("; write the whole row, step and fault.")
    assert mystery.check(None).startswith("Not answered yet")
    assert "'dark' is no row of the table of costs" in mystery.check("dark")
    assert "the step is right" in mystery.check("missing_scaling")
    with pytest.raises(ValueError, match=r"whole number 1\.\.3, received 4"):
        Mystery(classifier, 4)


def test_a_remedy_passes_where_it_gets_most_right(fashion, monkeypatch):
    delivery = Delivery(fashion, (0, 213), 1)
    adapted = kit.adapt(fashion, delivery.photos)
    monkeypatch.setattr(kit, "adapt", lambda *_: adapted)  # takes a while
    assert (
        delivery.check(None)
        == "Not answered yet: set answer to one of 'leave', 'levels', 'adapt'."
    )
    assert delivery.check("retrain").startswith("Not yet: 'retrain' is none of")
    assert delivery.check("leave").startswith("Not yet: leave gets ")
    assert delivery.check("adapt").startswith("Passed: leave ")


@pytest.mark.parametrize("kind", [Mystery, Delivery])
def test_what_teachers_are_given_as_answers_passes(classifier, fashion, kind):
    text = TEACHING.read_text("utf-8")
    [answers] = re.findall(
        rf"\*{kind.__name__}\* 1, 2, 3:([^.(]+)", text.replace("\n", " ")
    )
    names = re.findall(r"\*(.+?)\*", answers)
    assert len(names) == 3
    given = (classifier,) if kind is Mystery else (fashion, (0, 213))
    for which, name in enumerate(names, 1):
        assert kind(*given, which).check(name).startswith("Passed")


def test_a_delivery_tells_neither_labels_nor_origin(fashion):
    delivery = Delivery(fashion, (0, 213), 3)
    assert len(delivery.photos) == 64
    assert {photo.notes for photo in delivery.photos} == {()}
    with pytest.raises(
        ValueError, match=r"number of a delivery as a whole number 1\.\.3, received 4"
    ):
        Delivery(fashion, (0, 213), 4)
