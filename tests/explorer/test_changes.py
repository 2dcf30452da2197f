"""What each change does to the answer."""

import pytest

from kit import samples
from kit.explorer.view import Bench, changed_settings, neutral
from kit.explorer.why import changes, headline, told

ALL_AT_ONCE = {"noise": 80, "brightness": 0.1, "blur": 8, "fog": 5, "contrast": 0.1}


@pytest.fixture(scope="module")
def explain(look):
    """Return view, changes, lines and headline of a photograph with what is changed about it."""

    def explain(name, **changed):
        shown = look(name, **changed)
        found = changes(shown, look.at)
        return shown, found, told(found, shown, look.names), headline(found, shown, look.names)

    return explain


def test_noise_that_changes_the_answer_is_told_with_what_it_is_without(explain, look):
    shown, _, lines, sentence = explain("volleyball.jpg", noise=60)
    assert look.names[shown.top] != "volleyball"
    assert len(lines) == 1
    assert lines[0]["text"] == "Noise 60 levels: without it volleyball, 87.6 %"
    assert changed_settings(shown.settings | lines[0]["settings"]) == {}
    assert lines[0]["matters"]
    assert sentence == "", "the only line says it"


def test_a_harmless_change_comes_second_and_stays_when_the_other_is_taken_back(explain):
    shown, found, lines, sentence = explain("volleyball.jpg", brightness=0.9, noise=60)
    assert [line["text"].split(":")[0] for line in lines] == ["Noise 60 levels", "Brightness 0.9 ×"]
    assert [line["matters"] for line in lines] == [True, False]
    assert "without it still puck, " in lines[1]["text"]
    assert changed_settings(shown.settings | lines[0]["settings"]) == {"brightness": 0.9}
    assert changed_settings(shown.settings | lines[1]["settings"]) == {"noise": 60.0}
    assert sentence.startswith("Noise 60 levels: this makes the answer. Without it: volleyball, ")
    assert found[0].gain > found[1].gain


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("meerkats.jpg", {"noise": 20, "brightness": 0.5}),
        ("polar_bear.jpg", {"noise": 20, "brightness": 2.0}),
        ("panda.jpg", {"noise": 60, "brightness": 0.1, "flip_horizontal": True}),
    ],
)
def test_changes_are_said_to_work_together_only_where_each_alone_leaves_the_answer(
    explain, look, name, changed
):
    _, found, lines, sentence = explain(name, **changed)
    enough = [one for one in found if one.regains]
    if sentence.startswith("The changes work together"):
        was = look.names[look(name).top]
        assert f"with any of these {len(enough)} taken back it is {was} again" in sentence
        assert len(enough) > 1
    assert {one.keys for one in found if len(one.keys) == 1} == {(key,) for key in changed}
    for one, line in zip(found, lines, strict=True):
        without = look(name, **{key: value for key, value in changed.items() if key not in one.keys})
        assert line["matters"] == (without.top == look(name).top)


def test_one_of_two_that_work_together_is_enough_to_take_back(explain, look):
    for alone in ({"noise": 20}, {"brightness": 0.5}):
        assert look("meerkats.jpg", **alone).top == look("meerkats.jpg").top
    _, found, lines, sentence = explain("meerkats.jpg", noise=20, brightness=0.5)
    assert sentence == "The changes work together: with any of these 2 taken back it is meerkat again."
    assert [line["matters"] for line in lines] == [True, True]
    assert found[0].gain >= found[1].gain


def test_two_that_each_spoil_the_answer_are_taken_back_only_together(explain, look):
    for alone in ({"noise": 60}, {"brightness": 0.1}):
        assert look("volleyball.jpg", **alone).top != look("volleyball.jpg").top
    shown, found, lines, sentence = explain("volleyball.jpg", noise=60, brightness=0.1)
    assert lines[0]["text"] == (
        "Only together: Noise 60 levels and Brightness 0.1 ×: without them volleyball, 87.6 %"
    )
    assert changed_settings(shown.settings | lines[0]["settings"]) == {}
    assert [line["matters"] for line in lines] == [True, False, False]
    assert [len(one.keys) for one in found] == [2, 1, 1]
    assert sentence.startswith("Noise 60 levels and Brightness 0.1 ×: this makes the answer. Without them: ")


def test_of_three_the_two_are_found_that_have_to_go(explain):
    shown, found, lines, _ = explain("espresso.jpg", noise=60, brightness=0.1, scaling="missing_scaling")
    assert set(found[0].keys) == {"brightness", "scaling"}
    assert changed_settings(shown.settings | lines[0]["settings"]) == {"noise": 60.0}


def test_what_need_not_be_taken_back_is_left_out_of_many_that_work_only_together(explain, look):
    _, found, lines, _ = explain("volleyball.jpg", **ALL_AT_ONCE, flip_horizontal=True)
    assert set(found[0].keys) == set(ALL_AT_ONCE)
    assert lines[0]["matters"]
    for kept in found[0].keys:
        some = {kept: ALL_AT_ONCE[kept], "flip_horizontal": True}
        assert look("volleyball.jpg", **some).top != look("volleyball.jpg").top


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("volleyball.jpg", {"noise": 60, "brightness": 0.9, "flip_horizontal": True}),
        ("tripod.jpg", {"noise": 40, "brightness": 0.3, "contrast": 1.1}),
        ("espresso.jpg", {"brightness": 0.9, "contrast": 1.1, "flip_horizontal": True}),
        ("cat.jpg", {"noise": 60, "channels": "channels_swapped", "rotation": 20}),
    ],
)
def test_the_order_is_by_effect(explain, look, name, changed):
    shown, found, _, _ = explain(name, **changed)
    single = [one for one in found if len(one.keys) == 1]
    assert len(single) == len(changed)
    weights = [(one.regains, one.gain) for one in single]
    assert weights == sorted(weights, reverse=True)
    for one in single:
        without = look(name, **{key: value for key, value in changed.items() if key not in one.keys})
        wanted = shown.untouched.top if shown.top == shown.label else shown.label
        difference = without.probabilities[wanted] - shown.probabilities[wanted]
        assert one.gain == pytest.approx(float(difference))


def test_changes_that_leave_the_answer_are_said_to_leave_it(explain):
    _, _, lines, sentence = explain("espresso.jpg", brightness=0.9, flip_horizontal=True)
    assert sentence == "All changes together leave the answer: untouched it is espresso, 92.5 %."
    assert not [line for line in lines if line["matters"]]
    assert all("without it still espresso, " in line["text"] for line in lines)


def test_nothing_is_told_of_an_untouched_photograph(explain):
    _, found, lines, sentence = explain("cat.jpg")
    assert (found, lines, sentence) == ((), [], "")
    _, found, _, _ = explain("cat.jpg", seed=5)
    assert found == ()


def test_the_class_is_named_that_comes_without_each(explain):
    # The untouched cat is answered Egyptian cat, and tiger cat is right.
    _, _, lines, sentence = explain("cat.jpg", brightness=0.3, jpeg_quality=10)
    assert "JPEG quality 10: without it tiger cat, " in lines[0]["text"]
    assert "Brightness 0.3 ×: without it Egyptian cat, " in lines[1]["text"]
    assert sentence.endswith("with any of these 2 taken back it is tiger cat or Egyptian cat.")


def test_no_change_regains_an_answer_that_is_there(explain, look):
    shown, _, lines, _ = explain("cat.jpg", contrast=0.4, blur=1.5)
    assert look.names[shown.top] == "tiger cat"
    assert lines[0]["text"].startswith("Contrast 0.4 ×: without it Egyptian cat, ")
    assert [("still" in line["text"], line["matters"]) for line in lines] == [(False, True), (True, False)]


def test_what_only_steers_a_change_goes_with_it(explain):
    shown, _, lines, _ = explain("panda.jpg", occlusion=0.5, occlusion_x=0.2)
    assert lines[0]["text"].startswith("Occlusion 0.5: without it giant panda")
    assert changed_settings(shown.settings | lines[0]["settings"]) == {}
    assert lines[1]["text"].startswith("Occlusion x 0.2: without it still ")


def test_a_chosen_fault_is_told_by_its_step_and_title(explain):
    _, _, lines, _ = explain("espresso.jpg", scaling="missing_scaling")
    assert lines[0]["text"].startswith("Scaling: left out: without it espresso, ")
    _, _, lines, _ = explain("espresso.jpg", flip_horizontal=True)
    assert lines[0]["text"].startswith("Mirrored: without it still espresso, ")


def test_a_change_that_needs_the_others_is_not_said_to_make_the_answer():
    network, clothes = samples.classifier("fashion_mnist"), samples.photos("fashion_mnist")
    settings = neutral(clothes[7].name) | {
        "noise": 12.0,
        "cast": "cast_to_uint8",
        "scaling": "missing_scaling",
    }
    bench = Bench(network, network.preprocessing)
    untouched = bench.view(clothes[7], neutral(clothes[7].name))

    def compute(settings):
        return bench.view(clothes[7], settings, untouched)

    shown = compute(settings)
    found = changes(shown, compute)
    alone = compute(neutral(clothes[7].name) | {"noise": 12.0})
    assert alone.top != shown.top
    sentence = headline(found, shown, network.class_names)
    assert sentence.startswith(
        "Noise 12 levels is needed for this answer, with the others: without it Shirt, "
    )


def test_changes_that_matter_one_by_one_are_told_where_all_together_leave_the_answer(explain, look):
    changed = {"impulse_noise": 0.06, "flip_horizontal": True, "rotation": 123, "layout": "transposed"}
    shown, found, lines, sentence = explain("tripod.jpg", **changed)
    if shown.top != shown.untouched.top:
        pytest.fail("choose other changes: these no longer leave the answer")
    others = [one for one in found if one.without.top != shown.top]
    assert others
    assert found[: len(others)] == tuple(others), "they come first"
    assert f"Yet without {others[0].words} it is {look.names[others[0].without.top]}, " in sentence
    assert [line["matters"] for line in lines] == [one in others for one in found]
