"""Which step changed a prediction: many ways to break one, each found and named."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import kit
from kit import samples
from kit.regression import cases as folders
from kit.regression.cases import Observed
from kit.regression.checking import CasesMovedError, Checked, CheckedCases
from tests.regression.conftest import edited

moved = kit.check_cases


def steps(result):
    return {one.step for one in result.moved}


@pytest.fixture
def boot(tmp_path, fashion, clothes):
    """A folder with one case of a boot."""
    return kit.pin(tmp_path / "cases", fashion, clothes[0], name="one").parent


@pytest.fixture(scope="module")
def inverted(fashion):
    """The same network with black and white swapped: it takes the boot for something else."""
    return fashion.using(fashion.preprocessing.replace(invert=True))


def test_what_did_not_change_holds(pinned, classifier):
    result = moved(pinned, classifier)
    assert "4 cases of efficientnet_lite0: 4 passed." in result.text()
    assert moved(pinned) == result, "the bundled classifier that they name"


@pytest.mark.parametrize(("tolerance", "state"), [(0.5, "holds"), (0, "moved")])
def test_a_case_of_another_pillow_says_so_where_its_pixels_are_others(
    tmp_path, classifier, photos, tolerance, state
):
    older = classifier.using(classifier.preprocessing.replace(pillow=12.3))
    newer = classifier.using(classifier.preprocessing.replace(pillow=13.0))
    tall = photos[0].pixels[:, :150]
    kit.pin(tmp_path, older, tall, name="tall", tolerance=tolerance)
    kit.pin(tmp_path, older, photos[0].pixels[:150], name="wide", tolerance=tolerance)
    by_name = {one.name: one for one in moved(tmp_path, newer).cases}
    assert by_name["tall"].state == state
    assert "resize: Pillow 12.3 before, 13.0 now" in by_name["tall"].words
    assert "Pillow" not in by_name["wide"].words
    assert "Pillow" not in moved(tmp_path, older).text()


CHANGES = [
    ("filter", "nearest", "resize"),
    ("cast", "uint8", "cast"),
    ("layout", "transposed", "layout"),
    ("thumbnail", 56, "thumbnail"),
]


@pytest.mark.parametrize(("field", "value", "step"), CHANGES)
def test_a_preprocessing_that_changes_is_red_and_named(
    pinned, classifier, field, value, step
):
    steps_now = classifier.preprocessing.replace(**{field: value})
    result = moved(pinned, classifier.using(steps_now))
    assert steps(result) == {step}
    assert all(
        " before, " in one.message and one.message.endswith(" now)")
        for one in result.moved
    ), "what changed"


def test_which_settings_changed_is_told_where_the_case_knows_them(cases, classifier):
    other = classifier.using(classifier.preprocessing.replace(scaling="0..1"))
    told = (
        "the step 'scaling' differs (scaling: lite, (x − 127) / 128 before, 0..1 now)"
    )
    assert {one.message for one in moved(cases, other).moved} == {told}
    # The first step that differs need not be to blame, so that all are told.
    two = other.using(other.preprocessing.replace(channels="bgr"))
    first = "the step 'channels' differs (channels: rgb before, bgr now), and scaling: "
    (both,) = {one.message for one in moved(cases, two).moved}
    assert both.startswith(first)
    for path in folders.case_files(cases):
        case = folders.read_case(path)
        folders.write_case(
            path, replace(case, observed=replace(case.observed, preprocessing=None))
        )
    assert {one.message for one in moved(cases, other).moved} == {
        "the step 'scaling' differs"
    }


def test_a_setting_is_told_where_what_is_kept_of_the_steps_is_too_coarse(
    tmp_path, fashion
):
    # In one block, whose mean stays, whichever way they go.
    stripes = np.zeros((28, 28, 3), np.uint8)
    stripes[:7:2, :7] = 255
    kit.pin(tmp_path, fashion, stripes, tolerance=1e-6, name="one")
    other = fashion.using(fashion.preprocessing.replace(layout="transposed"))
    (one,) = moved(tmp_path, other).moved
    assert (
        one.message
        == "the step 'layout' differs (layout: channels_last before, transposed now)"
    )


def test_class_names_that_are_rotated_are_named_and_hide_no_other_step(
    pinned, classifier
):
    names = list(classifier.class_names)
    rotated = kit.Classifier.load(
        classifier.source.path, class_names=names[1:] + names[:1]
    )
    assert steps(moved(pinned, rotated)) == {"class_names"}
    both = rotated.using(rotated.preprocessing.replace(scaling="0..1"))
    assert "scaling" in steps(moved(pinned, both))


def test_a_resize_of_pillow_that_changes_is_named(pinned, classifier, monkeypatch):
    resize = Image.Image.resize

    def box(self, size, *_rest, **named):
        return resize(self, size, Image.Resampling.BOX, box=named.get("box"))

    monkeypatch.setattr(Image.Image, "resize", box)
    assert steps(moved(pinned, classifier)) == {"resize"}


def test_a_decoder_that_changes_is_named(boot, fashion, monkeypatch):
    monkeypatch.setattr(
        kit.Photo, "decoded", lambda self, _: replace(self, pixels=self.pixels // 2)
    )
    assert steps(moved(boot, fashion)) == {"decode"}


def test_the_same_tensor_with_another_prediction_is_the_engine(
    pinned, classifier, monkeypatch
):
    predict = type(classifier).predict_tensors

    def blurred(self, tensors):
        rows = predict(self, tensors)
        return (0.8 * rows + 0.2 / rows.shape[1]).astype(np.float32)

    monkeypatch.setattr(type(classifier), "predict_tensors", blurred)
    (told,) = {(one.step, one.message) for one in moved(pinned, classifier).moved}
    assert told == ("engine", "the engine, or code of a custom layer, differs")


def test_a_perturbation_that_does_something_else_is_named(
    pinned, classifier, monkeypatch
):
    def apply(self, photo):
        return replace(photo, pixels=255 - photo.pixels) if self.noise else photo

    monkeypatch.setattr(kit.Perturbation, "apply", apply)
    assert [(one.name, one.step) for one in moved(pinned, classifier).moved] == [
        ("dim", "perturb")
    ]


def test_another_network_is_told_by_its_weights_where_they_come_from_files(
    tmp_path, fashion, clothes
):
    other = samples.classifier("fashion_mnist_5000")
    rows = [each.probabilities(clothes[:50]) for each in (fashion, other)]
    photo = clothes[int(np.abs(rows[0] - rows[1]).max(axis=1).argmax())]
    kit.pin(tmp_path / "files", fashion, photo)
    (one,) = moved(tmp_path / "files", other).moved
    assert (one.step, one.message) == ("weights", "the model differs")
    scaled = other.using(other.preprocessing.replace(scaling="-1..1"))
    (one,) = moved(tmp_path / "files", scaled).moved
    assert (one.step, one.message.endswith("the model or its file differs, too")) == (
        "scaling",
        True,
    )
    # An earlier case of a network in memory does not know.
    edited(tmp_path / "files", weights="")
    (one,) = moved(tmp_path / "files", scaled).moved
    assert not one.message.endswith("the model or its file differs, too")
    # An accepted case is one of the network that it was accepted for.
    edited(tmp_path / "files", expected=fashion.class_names)
    assert moved(tmp_path / "files", other, update=True).cases[0].state == "accepted"
    case = folders.read_case(folders.case_files(tmp_path / "files")[0])
    assert (case.classifier, case.weights) == (other.name, other.source.digest)


def test_a_small_change_within_the_tolerance_holds(boot, fashion):
    darker = fashion.using(fashion.preprocessing.replace(scaling="lite"))
    change = moved(boot, darker).cases[0].change
    assert change > 0
    for tolerance, state in ((change * 0.9, "moved"), (change, "holds")):
        edited(boot, tolerance=tolerance, expected=fashion.class_names)
        assert moved(boot, darker).cases[0].state == state


def test_a_fault_that_is_kept_is_told_and_not_red(tmp_path, classifier):
    ladybird = samples.photo("ladybird.jpg")
    right = classifier.preprocessing
    wrong = right.replace(channels="bgr", scaling="0..1")
    kit.pin(tmp_path, classifier, ladybird, "ladybug", fault=wrong, name="ladybird")
    told = "  ladybird passed: ladybug; with the stored wrong preprocessing it is "
    assert moved(tmp_path, classifier).text().splitlines()[1] == f"{told}pinwheel"
    edited(tmp_path, fault=right.replace(filter="bilinear"))
    assert (
        moved(tmp_path, classifier).text().splitlines()[1]
        == f"{told}ladybug: no longer wrong"
    )
    # Until the fix is in use it is red, though this image is predicted alike.
    edited(tmp_path, tolerance=1.0)
    careless = classifier.using(right.replace(filter="bilinear"))
    for update in (False, True):
        result = moved(tmp_path, careless, update=update)
        (one,) = result.cases
        assert (one.state, one.step) == ("moved", "resize")
        assert "filter: bicubic before, bilinear now; " in one.message
        in_use = "the stored wrong preprocessing is in use"
        assert one.message.endswith(f"{in_use}; not accepted" if update else in_use)
    assert not result, "a test may assert the result itself"
    edited(tmp_path, fault=right.replace(size=(20, 20)))
    (one,) = moved(tmp_path, classifier).cases
    assert (one.state, one.message) == ("holds", ""), (
        "this network cannot be given that"
    )


def test_what_is_known_to_fail_is_green_and_so_is_what_holds_by_now(
    boot, fashion, inverted
):
    photo = folders.photo_of(boot, folders.read_case(boot / "one.json"))
    right, wrong = (
        each.class_names[each.probabilities(photo)[0].argmax()]
        for each in (fashion, inverted)
    )
    kit.pin(boot, inverted, photo, right, name="two")
    (boot / "one.json").unlink()
    (boot / "cases.txt").write_text("two\n")
    assert moved(boot, inverted).cases[0].state == "failing"
    brighter = inverted.using(inverted.preprocessing.replace(scaling=1 / 254.9))
    assert "; scaling: " in moved(boot, brighter).cases[0].words
    result = moved(boot, fashion)
    assert result.holds, "however far its probabilities moved"
    words = result.cases[0].words
    assert words.startswith(f"now passing: was {wrong} ")
    assert words.endswith("; accept it with update=True, or --update")
    (one,) = moved(boot, fashion, update=True).cases
    assert one.words.startswith(f"accepted: was {wrong} ")
    assert one.message == "", "nothing is left to do"
    assert moved(boot, fashion).cases[0].state == "holds"


def test_what_moved_can_be_accepted(cases, classifier):
    other = classifier.using(classifier.preprocessing.replace(filter="nearest"))
    result = moved(cases, other, update=True)
    assert result.holds
    assert moved(cases, other).holds
    assert not moved(cases, classifier).holds
    (one,) = [each for each in result.cases if each.name.endswith("espresso-espresso")]
    case = folders.read_case(cases / f"{one.name}.json")
    assert case.observed.preprocessing == other.preprocessing


def test_an_expectation_that_held_is_never_given_up(boot, fashion, inverted):
    for _ in range(2):
        (one,) = moved(boot, inverted, update=True).moved
        assert one.words.startswith("CHANGED: it is ")
        assert one.words.endswith(
            "; not accepted, as the expected class does not hold;"
            " delete the case and its line in cases.txt, then pin its image"
        )
    assert one.advice == (
        "Correct what is named, or, if the other class is right,"
        " delete the case and its line in cases.txt, then pin its image."
    )
    edited(boot, expected=("Ankle bot",))
    (one,) = moved(boot, fashion, update=True).moved
    assert (
        one.broken
        == "the classifier has no class 'Ankle bot'; did you mean 'Ankle boot'?"
    )
    assert one.step == "class_names"
    edited(boot, expected=("Bag",))
    other = kit.Classifier.load(
        fashion.source.path, class_names=[f"new {each}" for each in range(10)]
    )
    (one,) = moved(boot, other, update=True).moved
    assert one.broken == "the classifier has no class 'Bag'", (
        "no class is left that could be right"
    )


def test_a_case_that_cannot_be_run_on_this_classifier_is_red_in_one_line(
    cases, fashion, small
):
    result = moved(cases, fashion, update=True)
    assert [one.state for one in result.cases] == ["moved"] * 4
    bare = moved(cases, kit.Classifier(small.model), update=True)
    assert bare.headline().endswith(": 4 cannot be run.")
    assert all("Expected the preprocessing of" in one.words for one in bare.moved)
    assert not any("\n" in one.words for one in (*result.cases, *bare.cases))


def test_then_now_and_four_times_the_difference_lie_side_by_side(
    boot, fashion, inverted, tmp_path
):
    target = tmp_path / "kept"
    assert moved(boot, fashion, artefacts=target).holds
    assert not target.exists(), "where nothing moved there is nothing to see"
    moved(boot, inverted, artefacts=target)
    picture = kit.load_image(target / "one.changed.png").pixels.astype(int)
    then, now, difference = np.hsplit(picture, 3)
    photo = folders.photo_of(boot, folders.read_case(boot / "one.json"))
    np.testing.assert_array_equal(
        then, fashion.preprocessing.image(fashion.tensor(photo))
    )
    np.testing.assert_array_equal(difference, np.minimum(4 * abs(then - now), 255))
    assert np.abs(now - (255 - then)).mean() < 1, (
        "black and white are exchanged for all to see"
    )
    # Neither a case that holds nor one that cannot be run leaves that of an earlier run; nothing else goes.
    (target / "one.png").touch()
    for spoil in (lambda: None, (boot / "one.json").unlink):
        (target / "one.changed.png").touch()
        spoil()
        moved(boot, fashion, artefacts=target)
        assert [path.name for path in target.iterdir()] == ["one.png"]


def test_what_changed_is_told_though_its_artefact_cannot_be_written(
    boot, fashion, inverted, tmp_path
):
    (tmp_path / "file").touch()
    (one,) = moved(boot, inverted, artefacts=tmp_path / "file").moved
    assert one.words.startswith("CHANGED: it is ")
    assert "step 'polarity' differs" in one.message
    assert "; Expected to write " in one.message
    assert (moved(boot, fashion, artefacts=tmp_path / "file")).holds


def test_a_case_with_a_preprocessing_of_its_own_says_that_the_classifiers_is_not_used(
    tmp_path, fashion, clothes, inverted
):
    own = fashion.preprocessing.replace(filter="nearest")
    kit.pin(tmp_path, fashion, clothes[0], preprocessing=own)
    (one,) = moved(tmp_path, inverted).cases
    assert one.words.endswith(
        "; prepared with its own preprocessing, not the classifier's"
    )
    assert moved(tmp_path, fashion.using(own)).cases[0].message == ""


def test_what_cannot_lie_side_by_side_leaves_no_artefact(boot, classifier, tmp_path):
    case = folders.read_case(boot / "one.json")
    folders.write_case(
        boot / "two.json", replace(case, picture=f"pictures/{'a' * 300}")
    )
    (boot / "cases.txt").write_text("one\ntwo\n")
    result = moved(boot, classifier, artefacts=tmp_path / "kept")
    assert [one.state for one in result.cases] == ["moved", "unusable"]
    assert not (tmp_path / "kept").exists()


# Words and reports, on results that are made by hand


def case(*shares):
    observed = Observed(
        tuple((place, f"class {place}", share) for place, share in enumerate(shares))
    )
    return kit.Case(
        "one", "pictures/x.png", "", "net", "", ("class 0",), observed, tolerance=0.1
    )


def red(name="one", state="moved", **changes):
    told = {
        "answer": ("class 1", 0.5678),
        "change": 0.3,
        "message": "the step",
        **changes,
    }
    return Checked(name, state, case(0.9, 0.1), **told)


HELD = red("a", "holds", message="")


def test_a_line_says_what_was_and_what_is_and_why():
    was = "was class 0 0.900, is class 1 0.568"
    assert (
        red(broken="it is wrong", change=0.1).words
        == f"CHANGED: it is wrong; {was}; the step"
    )
    # It may fail by another class than it did.
    failing = red(state="failing", broken="it is class 1, expected class 2")
    assert failing.words == "still failing: it is class 1, expected class 2; the step"
    assert HELD.words == "passed: class 1"


CHANGED = (
    "was class 0 0.900, is class 1 0.568; a probability changed by 0.300; the step"
)
REPORT = f"""\
4 cases of net: 1 changed, 1 cannot be run, 1 accepted, 1 passed.
  b CHANGED: {CHANGED}
  c CANNOT BE RUN: torn
  a passed: class 1
  d accepted: {CHANGED}"""
ROWS = f"""\
name,state,expected,answer,probability,change,step,message
a,holds,class 0,class 1,0.5678,0.3,,passed: class 1
b,moved,class 0,class 1,0.5678,0.3,,"CHANGED: {CHANGED}"
c,unusable,,,0.0,0.0,,CANNOT BE RUN: torn
d,accepted,class 0,class 1,0.5678,0.3,,"accepted: {CHANGED}"
"""


def test_a_report_has_each_case_and_counts_each_state_once(tmp_path):
    torn = Checked("c", "unusable", message="torn")
    one = HELD, red("b"), torn, red("d", "accepted")
    found = CheckedCases("net", one)
    assert found.text() == REPORT
    found.to_csv(tmp_path / "cases.csv")
    assert (tmp_path / "cases.csv").read_text() == ROWS
    assert [each.name for each in found.moved] == ["b", "c"]
    assert found.to_dict()["holds"] is found.holds is False
    assert CheckedCases("net", one[:1]).headline() == "1 case of net: 1 passed."


def test_red_is_one_paragraph_of_five_cases_at_most(boot, inverted, clothes):
    data = (boot / "one.json").read_bytes()
    for number in range(6):
        (boot / f"more{number}.json").write_bytes(data)
    kit.pin(boot, inverted, clothes[0], name="holds")
    with pytest.raises(CasesMovedError) as raised:
        moved(boot, inverted, raise_on_moved=True)
    assert "\n" not in str(raised.value)
    assert str(raised.value).startswith(
        "8 cases of fashion_mnist: 7 changed, 1 passed. more0 CHANGED: "
    )
    assert str(raised.value).count("the step 'polarity' differs") == 5
    assert all(len(line) <= 100 for line in raised.value._render_traceback_())


XML = """\
<testsuite name="a&quot;&lt;b&gt;?&amp;" tests="3" failures="2">\
<testcase classname="cases" name="a&quot;&lt;b&gt;?&amp;">\
<failure message="CHANGED: was class 0 0.900, is class 1 0.568; a probability changed by 0.300;\
 a&quot;&lt;b&gt;?&amp;">\
Correct what is named, or accept a change that is meant: update=True, or --update.</failure>\
</testcase><testcase classname="cases" name="c">\
<system-out>passed: class 1; a"&lt;b&gt;?&amp;</system-out></testcase>\
<testcase classname="cases" name="d"><failure message="CANNOT BE RUN: torn" />\
</testcase></testsuite>
"""


def test_a_server_gets_xml_that_can_be_read_whatever_names_hold():
    strange = 'a"<b>\x07&'
    torn = Checked("d", "unusable", message="torn")
    result = CheckedCases(
        strange,
        (
            red(strange, message=strange),
            red("c", "holds", message=strange),
            torn,
        ),
    )
    assert result.junit() == XML
    assert "<b>" not in result._repr_html_()
    assert "\x07" not in CheckedCases("net", result.cases).text()
