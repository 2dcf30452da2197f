"""The explorer's "why?": what each change does, what is told of the cause, and what puts it right."""

import re
import threading

import numpy as np
import pytest

from kit.diagnosis import STAGES, Diagnosis, Finding, Fix
from kit.explorer import why
from kit.explorer.explorer import Explorer
from kit.explorer.settings import (
    change_words,
    changed_settings,
    neutral,
)
from tests.explorer.page import ask as deliver_and_take, deliver, listen, searched

ALL_AT_ONCE = {"noise": 80, "brightness": 0.1, "blur": 8, "fog": 5, "contrast": 0.1}


@pytest.fixture(scope="module")
def explain(look):
    """Return the view of a photo with what is changed about it, the changes, and what is said of them."""

    def explain(name, **changed):
        shown = look(name, **changed)
        answer, _ = why.because(shown, look.at)
        return shown, why.changes(shown, look.at), answer

    return explain


def undone(shown, answer):
    """Return what is still changed once the button is pressed."""
    return changed_settings(shown.settings | answer["apply"])


def test_noise_that_changes_the_prediction_is_undone_with_one_button(explain):
    shown, _, answer = explain("volleyball.jpg", noise=60)
    assert answer["headline"] == "Without noise 60: volleyball, 87.6 %."
    assert answer["button"] == "Undo noise 60"
    assert undone(shown, answer) == {}
    assert answer["fixed"]["mark"] == "Now volleyball, 87.6 %"
    assert answer["guilty"] == ["perturbation"]
    assert answer["lines"] == [], "the sentence says it"


def test_a_prediction_that_stays_with_a_fraction_of_its_probability_is_no_success(
    explain,
):
    shown, found, answer = explain("panda.jpg", brightness=0.4, noise=60)
    assert shown.top == shown.untouched.top
    assert answer["headline"] == (
        "Without brightness 0.4: giant panda, 98.0 %; without noise 60: giant panda, 97.9 %."
    )
    assert all(change.restores for change in found)
    assert answer["fixed"]["mark"] == "Now giant panda, 98.0 %"
    assert answer["guilty"] == ["perturbation"]


def test_a_harmless_change_comes_second_and_stays_when_the_other_is_undone(explain):
    shown, found, answer = explain("volleyball.jpg", brightness=0.9, noise=60)
    assert answer["headline"].startswith("Without noise 60: volleyball, ")
    assert answer["lines"][1].startswith("Without brightness 0.9: puck, ")
    assert undone(shown, answer) == {"brightness": 0.9}
    assert found[0].gain > found[1].gain


def test_one_of_two_that_work_together_is_enough_to_undo(explain):
    shown, _, answer = explain("meerkats.jpg", noise=20, brightness=0.5)
    assert answer["headline"].count("ithout ") == 2
    assert len(undone(shown, answer)) == 1


def test_two_that_each_spoil_the_prediction_are_undone_only_together(explain):
    shown, found, answer = explain("volleyball.jpg", noise=60, brightness=0.1)
    assert answer["headline"] == (
        "Without noise 60 and brightness 0.1: volleyball, 87.6 %."
    )
    assert undone(shown, answer) == {}
    assert [len(one.keys) for one in found] == [2, 1, 1]


def test_what_need_not_be_undone_is_left_out(explain):
    shown, found, answer = explain(
        "espresso.jpg", noise=60, brightness=0.4, scaling="missing_scaling"
    )
    assert set(found[0].keys) == {"noise", "scaling"}
    assert undone(shown, answer) == {"brightness": 0.4}
    _, found, _ = explain("volleyball.jpg", **ALL_AT_ONCE, flip_horizontal=True)
    assert set(found[0].keys) == set(ALL_AT_ONCE)


def test_changes_that_leave_the_prediction_have_nothing_to_undo(explain):
    shown, _, answer = explain("espresso.jpg", brightness=0.9, flip_horizontal=True)
    assert answer["headline"] == (
        f"With your changes: {why.prediction_text(shown)}; without them: espresso, 92.5 %."
    )
    assert answer["advice"] == why.WORDS["harmless"]
    assert (answer["apply"], answer["guilty"]) == (None, [])
    assert all(": espresso, " in line for line in answer["lines"])


def test_nothing_is_said_of_an_original_photo(explain):
    for changed in ({}, {"seed": 5}):
        _, found, answer = explain("cat.jpg", **changed)
        assert (found, answer["lines"], answer["headline"]) == ((), [], "")


def test_what_only_steers_a_change_goes_with_it(explain):
    shown, _, answer = explain("panda.jpg", occlusion=0.5, occlusion_x=0.2)
    assert answer["headline"].startswith("Without occlusion 0.5: giant panda")
    assert undone(shown, answer) == {}
    assert answer["lines"][1].startswith("Without occlusion x 0.2: ")


def test_a_chosen_mistake_is_said_by_the_two_pipelines_and_a_switch_by_its_name(
    explain,
):
    shown, _, answer = explain("espresso.jpg", scaling="caffe_means")
    assert answer["headline"] == (
        "Your code scales pixels to −124..151; this model was trained on −1..1."
    )
    assert answer["fixed"]["after"] == why.prediction_text(shown.untouched)
    assert answer["advice"] == ""
    assert (answer["button"], answer["apply"]) == ("Fix it", {"scaling": ""})
    assert answer["fixed"]["title"] == why.WORDS["title_trained"]
    assert change_words("flip_horizontal", shown.settings) == "“Mirrored”"


def test_a_mistake_that_does_no_harm_here_is_said_and_fixed_all_the_same(explain):
    _, _, answer = explain("panda.jpg", fit="fit_letterbox")
    assert answer["headline"] == (
        "Your code uses a letterbox on black; this model was trained on a crop of 87.5 %."
    )
    assert answer["advice"] == why.WORDS["same_class"]
    assert answer["apply"] == {"fit": ""}


def test_a_mistake_that_does_nothing_to_this_photo_is_not_blamed(explain):
    clipped = {"depth": "depth_clipped"}
    _, _, alone = explain("espresso.jpg", **clipped)
    assert alone["headline"].startswith("With your changes: ")
    _, _, answer = explain("espresso.jpg", scaling="caffe_means", **clipped)
    assert answer["headline"].startswith("Your code scales pixels to −124..151;")
    assert answer["apply"] == {"scaling": ""}


def test_changes_that_make_a_prediction_correct_are_said_with_the_class_without_them(
    explain,
):
    shown, _, answer = explain("cat.jpg", contrast=0.6)
    assert answer["headline"] == (
        f"With your changes: {why.prediction_text(shown)};"
        f" without them: {why.prediction_text(shown.untouched)}."
    )
    assert answer["apply"] is None


def test_a_mistake_is_said_before_a_perturbation_where_fixing_it_is_enough(explain):
    shown, _, answer = explain("espresso.jpg", brightness=0.8, scaling="caffe_means")
    assert answer["button"] == "Fix it"
    assert undone(shown, answer) == {"brightness": 0.8}


def test_a_photo_that_is_predicted_wrongly_without_the_changes_is_said_to_be(explain):
    _, _, answer = explain("cat.jpg", snow=2.4)
    assert answer["advice"] == why.WORDS["wrong_too"]


# -- the cause

CHOSEN = {
    "channels": "channels_swapped",
    "scaling": "range_0_1",
    "photo": "espresso.jpg",
}

WRONG = [
    ("cat.jpg", {"contrast": 0.1}),
    ("clock_blurred.jpg", {}),
    ("volleyball.jpg", {"occlusion": 0.5}),
    ("espresso.jpg", {"scaling": "missing_scaling", "noise": 20}),
]
"""Photos and settings whose answer is wrong, or another one than without the settings."""

CLEARING = re.compile(
    r"nothing (is )?wrong|ruled out|no (loud )?fault|is fine|in order", re.IGNORECASE
)
INTERNAL = re.compile(r"\bnats\b|\(named\)|[^\W_]_[^\W_]")


@pytest.fixture
def explorer(classifier, photos, labels):
    return listen(Explorer(classifier, photos, labels=labels))


@pytest.fixture
def wrong(classifier, photos, labels):
    """An explorer of a classifier that is used with another preprocessing than it was trained with."""
    code = classifier.preprocessing.replace(channels="bgr", scaling="0..1")
    return listen(Explorer(classifier.using(code), photos, labels=labels))


@pytest.fixture(scope="module")
def explained(look, classifier):
    """Return view and answer for a photo with what is changed about it."""

    def explained(name, **changed):
        shown = look(name, **changed)
        diagnosis = why.diagnose_view(classifier, shown, lambda text: None)
        own = why.because(shown, look.at)
        return shown, why.explanation(diagnosis, shown, own)[0]

    return explained


def ask(explorer, **settings):
    explorer.settings = settings
    explorer.sent.clear()
    deliver(explorer, kind="why", request="a.1", settings=explorer.settings)
    searched(explorer)
    return [content for content, _ in explorer.sent]


def texts(answer):
    """Return everything that people read of an answer, but its code."""
    if isinstance(answer, str):
        return [answer]
    if isinstance(answer, dict):
        kept = (
            value
            for key, value in answer.items()
            if key not in {"code", "apply", "settings", "changes"}
        )
        return [text for value in kept for text in texts(value)]
    return (
        [text for value in answer for text in texts(value)]
        if isinstance(answer, list)
        else []
    )


def test_what_each_change_does_comes_first_and_the_cause_last(explorer):
    first, *progress, last = ask(explorer, photo="volleyball.jpg", noise=60)
    assert {message["request"] for message in (first, *progress, last)} == {"a.1"}
    assert set(first) == {"kind", "request", "changes"}
    assert first["changes"]["headline"] == "Without noise 60: volleyball, 87.6 %."
    assert first["changes"]["settings"] == explorer.settings
    assert [message["kind"] for message in progress] == ["asking"] * len(progress)
    assert [message["text"] for message in progress] == [*STAGES, ""]
    assert last["changes"] == first["changes"]
    assert last["headline"] == first["changes"]["headline"], "one thing is said once"
    assert "noisy: named" in last["details"]
    assert last["apply"] == {"noise": 0}
    assert explorer.diagnosis.best.cause == "noisy"


def test_two_faults_are_named_and_one_click_puts_both_right(explorer):
    *progress, because = ask(explorer, **CHOSEN)
    assert because["kind"] == "because"
    assert len(progress) > 1
    for sentence in (
        "Your code scales pixels to 0..1; this model was trained on −1..1.",
        "Your code passes blue, green, red (OpenCV, caffe); this model was trained on red, green, blue.",
    ):
        assert sentence in because["headline"]
    assert explorer.settings | because["apply"] == neutral("espresso.jpg")


def test_a_right_pipeline_is_not_accused(explorer):
    because = ask(explorer, photo="otter.jpg")[-1]
    assert because["headline"] == "Nothing wrong found."
    assert because["advice"] in {why.CLEAN, explorer.diagnosis.limits}
    assert explorer.diagnosis.best is None
    assert "inverted polarity: ruled out" in because["details"]
    assert because["apply"] is None


@pytest.mark.parametrize(("name", "changed"), WRONG)
def test_a_wrong_or_changed_answer_is_never_cleared_and_told_in_plain_words(
    explained, name, changed
):
    shown, because = explained(name, **changed)
    assert shown.top != shown.label or shown.answer != shown.untouched.answer
    assert because["headline"]
    assert because["apply"] or because["advice"]
    assert not CLEARING.search(because["headline"])
    assert not [text for text in texts(because) if INTERNAL.search(text)]


def test_an_untouched_photograph_between_two_classes_is_called_hard_with_both(
    explained,
):
    shown, because = explained("cat.jpg")
    top, right = (
        f"{100 * shown.probabilities[index]:.1f} %"
        for index in (shown.top, shown.label)
    )
    said = f"A hard image: Egyptian cat, {top}, rather than tiger cat, {right}."
    assert because["headline"] == said


def test_names_and_units_of_the_kits_own_are_left_out():
    assert why.plain("lead over wrong_mean_std, in nats") == "lead over wrong mean std"
    assert (
        why.plain("gnats and (x − 127) / 128 stay") == "gnats and (x − 127) / 128 stay"
    )


def concluded(explorer, right):
    """Return what is said where a diagnosis named the preprocessing `right`."""
    view = explorer.view
    named = Finding("wrong_range", "named", "Seen.", fix=Fix("", "", right))
    diagnosis = Diagnosis((named,), "n", 1, preprocessing=view.preprocessing)
    own = why.because(view, explorer._compute)
    return why.explanation(diagnosis, view, own)[0]


def test_of_mistakes_that_a_person_chose_the_changes_say_more_than_the_search(explorer):
    explorer.settings = {"photo": "espresso.jpg", "scaling": "range_0_1"}
    # A search cannot tell this from what the network was trained on.
    right = explorer.preprocessing.replace(scaling="-1..1")
    assert concluded(explorer, right)["apply"] == {"scaling": ""}


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
    assert changed_settings(wrong.settings | because["apply"]) == {
        "noise": 4,
        "fix": True,
    }


def test_a_mistake_on_top_of_a_wrong_preprocessing_is_undone_where_that_is_the_fix(
    wrong,
):
    in_use = wrong.preprocessing
    wrong.settings = {"photo": "espresso.jpg", "filter": "filter_nearest"}
    own, _ = why.because(wrong.view, wrong._compute)
    assert "trained" not in own["headline"], "nobody knows that yet"
    because = concluded(wrong, in_use)
    assert because["headline"] == (
        "Your code resizes with the filter nearest; this model was trained with bicubic."
    )
    assert because["apply"] == {"filter": ""}


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
        " Your code scales pixels to 0..1; this model was trained on −1..1."
    )
    assert because["fixed"]["after"].startswith("espresso, ")
    before = wrong.settings
    applied = before | because["apply"]
    assert applied == before | {"fix": True}
    message, _ = deliver_and_take(
        wrong, kind="settings", request="a.2", settings=applied
    )
    assert message["kind"] == "view"
    assert wrong.preprocessing == right
    expected = classifier.probabilities(wrong.photo, preprocessing=right)[0]
    np.testing.assert_array_equal(wrong.probabilities, expected)
    first, *_, last = ask(wrong, **applied)
    assert first["changes"]["headline"].startswith("With your changes: ")
    assert last["apply"] is None
    wrong.settings = before
    assert wrong.preprocessing == in_use


def test_moving_while_a_question_runs_is_answered_at_once(explorer):
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


def test_many_questions_have_one_thread_and_each_gets_its_end(explorer):
    explorer.settings = {"photo": "espresso.jpg"}
    before = set(threading.enumerate())
    for number in range(8):
        deliver(explorer, kind="why", request=f"a.{number}", settings=explorer.settings)
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
    monkeypatch.setattr(why, "diagnose_view", lambda *_: 1 / 0)
    deliver(explorer, kind="why", request="a.1", settings=explorer.settings)
    searched(explorer)
    last, _ = explorer.sent[-1]
    assert (last["kind"], last["request"]) == ("error", "a.1")
    assert "\n" not in last["text"]
