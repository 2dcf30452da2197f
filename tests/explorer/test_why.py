"""The explorer's "why?": what each change does, what is told of the cause, and what puts it right."""

import threading
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

import kit
from kit.diagnosis import Diagnosis, Finding, Fix
from kit.explorer import texts, why
from kit.explorer.explorer import Explorer
from kit.explorer.settings import effective_changes
from tests.explorer.page import ask as deliver_and_take, deliver, listen, searched


def test_a_probability_that_falls_by_a_fifth_or_to_its_half_is_spoilt():
    for *shares, is_spoilt in (
        (0.9, 0.69, True),
        (0.3, 0.15, True),
        (0.3, 0.16, False),
    ):
        untouched, view = (
            SimpleNamespace(
                probabilities=[share], top=0, predicted_class=0, wrong=False
            )
            for share in shares
        )
        view.untouched = untouched
        assert why.is_spoilt_by_changes(view) == is_spoilt


# -- the cause


@pytest.fixture
def explorer(classifier, photos, labels):
    return listen(Explorer(classifier, photos, labels=labels))


@pytest.fixture
def wrong(classifier, photos, labels):
    """An explorer of a classifier that is used with another preprocessing than it was trained with."""
    code = classifier.preprocessing.replace(channels="bgr", scaling="0..1")
    return listen(Explorer(classifier.using(code), photos, labels=labels))


def ask(explorer, **settings):
    explorer.settings = settings
    explorer.sent.clear()
    deliver(explorer, kind="why", request="a.1", settings=explorer.settings)
    searched(explorer)
    return [content for content, _ in explorer.sent]


def test_names_and_units_of_the_kits_own_are_left_out():
    assert (
        why.in_plain_words("lead over wrong_mean_std, in nats")
        == "lead over wrong mean std"
    )
    assert (
        why.in_plain_words("gnats and (x − 127) / 128 stay")
        == "gnats and (x − 127) / 128 stay"
    )


def concluded(explorer, right):
    """Return what is said where a diagnosis named the preprocessing `right`."""
    view = explorer.view
    named = Finding("wrong_range", "named", "Seen.", fix=Fix("", "", right))
    diagnosis = Diagnosis((named,), "n", 1, preprocessing=view.preprocessing)
    own = why.explain_changes(view, explorer._view_of)
    return why.final_answer(diagnosis, view, own)[0]


def test_what_an_image_suffers_from_is_said_and_what_it_may_only_if_it_is_wrong(
    explorer,
):
    def said(name, verdict, **label):
        explorer.settings = {"photo": name}
        finding = Finding("dark", verdict, "Seen.", fix=Fix("Use more_light"))
        diagnosis = Diagnosis((finding,), "n", 1, clean=True)
        view = replace(explorer.view, **label)
        own = why.explain_changes(view, explorer._view_of)
        because, _ = why.final_answer(diagnosis, view, own)
        return because["headline"], because["advice"]

    assert said("espresso.jpg", "named")[1] == "Use more light"
    right = ("Nothing wrong found.", "Ask about a photo whose prediction is wrong.")
    assert said("espresso.jpg", "ruled_out") == right
    headline, advice = said("cat.jpg", "ruled_out")
    top, label = (
        f"{100 * explorer.probabilities[index]:.1f} %"
        for index in (explorer.view.top, explorer.view.label)
    )
    assert (
        headline
        == f"A hard image: Egyptian cat, {top}, rather than tiger cat, {label}."
    )
    assert advice.startswith("Check its label. If many photos are predicted")
    assert said("espresso.jpg", "possible", label=None)[1].endswith(
        ", and others, too."
    )
    assert said("cat.jpg", "possible") == ("Perhaps: Seen.", "Use more light")


@pytest.mark.parametrize(
    ("cause", "noise", "said"),
    [
        ("noisy", 1, "Seen. With your changes: "),
        ("untrained_weights", 60, "Seen. Without noise 60: "),
        ("noisy", 60, "Without noise 60: "),
    ],
)
def test_a_cause_is_named_beside_changes_unless_these_spoilt_the_image(
    explorer, cause, noise, said
):
    explorer.settings = {"photo": "volleyball.jpg", "noise": noise, "seed": 1}
    own = why.explain_changes(explorer.view, explorer._view_of)
    assert own[0]["lines"] == [], "another seed is no other change"
    diagnosis = Diagnosis((Finding(cause, "named", "Seen."),), "n", 1)
    because, _ = why.final_answer(diagnosis, explorer.view, own)
    assert because["headline"].startswith(said)


def test_of_mistakes_that_a_person_chose_the_changes_say_more_than_the_search(explorer):
    explorer.settings = {"photo": "espresso.jpg", "scaling": "range_0_1"}
    # A search cannot tell this from what the network was trained on.
    right = explorer.preprocessing.replace(scaling="-1..1")
    assert concluded(explorer, right)["apply"] == {"scaling": ""}
    assert concluded(explorer, right.replace(channels="bgr"))["apply"]["fix"]


def test_a_fix_that_makes_a_correct_prediction_wrong_is_not_offered(explorer):
    explorer.settings = {"photo": "espresso.jpg"}
    because = concluded(explorer, explorer.preprocessing.replace(scaling="0..255"))
    assert (because["apply"], because["advice"]) == (None, why.WORDS["keep"])


def test_a_fix_is_put_in_use_without_faults_unless_it_is_to_undo_a_chosen_one(
    wrong, classifier
):
    wrong.settings = {
        "photo": "espresso.jpg",
        "filter": "filter_nearest",
        "noise": 4,
    }
    undone = wrong.preprocessing.replace(filter="bicubic")
    assert concluded(wrong, undone)["apply"] == {"filter": ""}
    because = concluded(wrong, classifier.preprocessing)
    share = classifier.probabilities(wrong.photo)[0].max()
    assert because["fixed"]["after"] == f"espresso, {100 * share:.1f} %"
    assert effective_changes(wrong.settings | because["apply"]) == {
        "noise": 4,
        "fix": True,
    }
    # The same class is only three quarters as probable without it.
    wrong.settings = {"photo": "panda.jpg"}
    assert concluded(wrong, classifier.preprocessing)["advice"] == ""


def test_a_mistake_on_top_of_a_wrong_preprocessing_is_undone_where_that_is_the_fix(
    wrong,
):
    in_use = wrong.preprocessing
    wrong.settings = {"photo": "espresso.jpg", "filter": "filter_nearest"}
    own, _ = why.explain_changes(wrong.view, wrong._view_of)
    assert "trained" not in own["headline"], "nobody knows that yet"
    because = concluded(wrong, in_use)
    assert because["headline"] == (
        "Your code resizes with the filter nearest; this model was trained with bicubic."
    )
    assert because["apply"] == {"filter": ""}
    # Without a label, a step that is done otherwise may be right, as these channels are.
    wrong.settings = {"photo": "toucan.jpg", "channels": "channels_swapped"}
    for label, guilty in ((None, []), (wrong.view.untouched.top, ["channels"])):
        own, _ = why.explain_changes(replace(wrong.view, label=label), wrong._view_of)
        assert (own["apply"], own["guilty"]) == ({"channels": ""}, guilty)


def test_a_wrong_preprocessing_is_put_right_by_a_fix_that_can_be_taken_back(
    wrong, classifier, espresso
):
    in_use = wrong.preprocessing
    assert in_use == classifier.preprocessing.replace(channels="bgr", scaling="0..1")
    because = ask(wrong, photo="espresso.jpg")[-1]
    right = wrong.diagnosis.fix()
    assert (right.channels, right.size) == ("rgb", in_use.size)
    sizes = zip(wrong.sent[-1][1], because["pictures"], strict=True)
    gets, sees = (
        np.frombuffer(part, np.uint8).reshape(*size, 3) for part, size in sizes
    )
    np.testing.assert_array_equal(gets, right.image(in_use.apply(espresso)))
    np.testing.assert_array_equal(sees, right.steps(espresso)["resize"])
    assert because["headline"].startswith(
        "Your code passes blue, green, red (OpenCV, caffe); this model was trained on red, green, blue."
        " Your code scales pixels to 0..1; this model was trained on about −1..1: lite, (x − 127) / 128."
    )
    assert because["fixed"]["after"].startswith("espresso, ")
    before = wrong.settings
    applied = before | because["apply"]
    assert applied == before | {"fix": True}
    message, _ = deliver_and_take(
        wrong, kind="settings", request="a.2", settings=applied
    )
    assert (message["kind"], message["source"]["live"]) == ("view", True)
    assert wrong.preprocessing == right
    rebuilt = {"kit": kit, "classifier": wrong.classifier, "explorer": wrong}
    exec(texts.as_code(wrong.view), rebuilt)  # noqa: S102
    assert (
        rebuilt["explorer"].classifier.preprocessing
        == right
        == rebuilt["preprocessing"]
    )
    assert rebuilt["explorer"].labels == wrong.labels != (None, None)
    expected = classifier.probabilities(wrong.photo, preprocessing=right)[0]
    np.testing.assert_array_equal(wrong.probabilities, expected)
    own, _ = why.explain_changes(wrong.view, wrong._view_of)
    assert own["headline"].startswith("With your changes: ")
    another = right.replace(filter="nearest")
    assert concluded(wrong, another)["apply"] is None, "one is in use"
    wrong.settings = before
    assert wrong.preprocessing == in_use


@pytest.fixture
def search(monkeypatch):
    """The search of a question begins, and goes on once this is set."""
    may_go_on = threading.Event()

    def searched_slowly(_view, progress):
        progress("checks")
        may_go_on.wait()
        progress("candidates")
        return Diagnosis((), "n", 1)

    monkeypatch.setattr(why, "diagnose_view", searched_slowly)
    return may_go_on


def test_moving_while_a_question_runs_is_answered_at_once(explorer, search):
    explorer.settings = {"photo": "espresso.jpg"}
    explorer.sent.clear()
    deliver(explorer, kind="why", request="a.1", settings=explorer.settings)
    for number in range(1, 6):
        settings = {"photo": "espresso.jpg", "noise": number}
        deliver(explorer, kind="settings", request=f"a.{number + 1}", settings=settings)
        assert f"a.{number + 1}" in [message["request"] for message, _ in explorer.sent]
        assert not [message for message, _ in explorer.sent if "headline" in message], (
            "it still runs"
        )
    search.set()
    searched(explorer)
    kinds = [(message["kind"], message["request"]) for message, _ in explorer.sent]
    assert [request for kind, request in kinds if kind == "view"] == [
        f"a.{number}" for number in range(2, 7)
    ]
    assert kinds[-1] == ("because", "a.1")
    assert explorer.sent[-1][0]["changes"]["settings"]["noise"] == 0


def test_stop_ends_a_question_and_keeps_what_the_changes_do(explorer):
    explorer.settings = {"photo": "volleyball.jpg", "noise": 60}
    explorer.sent.clear()
    deliver(explorer, kind="stop", request="a.0")
    assert explorer.sent == []
    deliver(explorer, kind="why", request="a.1", settings=explorer.settings)
    deliver(explorer, kind="stop", request="a.2")
    searched(explorer)
    last, _ = explorer.sent[-1]
    assert (last["kind"], last["request"], last["stopped"]) == (
        "because",
        "a.1",
        "Stopped.",
    )
    assert last["changes"] == explorer.sent[0][0]["changes"]
    assert "headline" not in last
    assert explorer.diagnosis is None
    assert explorer.error == ""


def test_many_questions_have_one_thread_and_each_gets_its_end(explorer, search):
    explorer.settings = {"photo": "espresso.jpg"}
    before = set(threading.enumerate())
    for number in range(8):
        deliver(explorer, kind="why", request=f"a.{number}", settings=explorer.settings)
    search.set()
    searched(explorer)
    assert len(set(threading.enumerate()) - before) == 1
    ends = [
        message
        for message, _ in explorer.sent
        if message.keys() & {"stopped", "headline"}
    ]
    assert sorted(message["request"] for message in ends) == [
        f"a.{number}" for number in range(8)
    ]
    assert [message["request"] for message in ends if not message.get("stopped")] == [
        "a.7"
    ]


def test_a_question_that_fails_is_told_in_one_line(classifier, monkeypatch):
    explorer = listen(Explorer(classifier, np.zeros((8, 8, 3), np.uint8)))
    is_delivered = threading.Event()

    def failing(*_):
        is_delivered.wait()
        raise MemoryError

    monkeypatch.setattr(why, "diagnose_view", failing)
    deliver(explorer, kind="why", request="a.1", settings=explorer.settings)
    is_delivered.set()
    searched(explorer)
    last, _ = explorer.sent[-1]
    assert last == {"kind": "error", "request": "a.1", "text": "MemoryError"}
