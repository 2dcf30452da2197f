"""Cases as values, and as the JSON that they are kept in."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import kit
from kit.preprocessing.trace import Trace
from kit.regression import cases as folders
from kit.regression.cases import Observed

NAMES = ("cat", "dog", "fox")
EARLIER = Path(__file__).parents[1] / "data" / "earlier_cases"


def row(*shares):
    return np.array(shares, np.float32)


def test_what_is_expected_holds_or_is_told_in_words():
    answer = row(0.6, 0.3, 0.1)
    holding = (
        kit.Expected(classes=("cat", "fox")),
        kit.Expected(never="dog"),
        kit.Expected(order=("cat", "dog")),
        kit.Expected(least={"dog": 0.3 - 1e-6}, most={"fox": 0.2}),
    )
    assert [one.broken(answer, NAMES) for one in holding] == [()] * 4
    broken = kit.Expected(
        classes="dog", never="cat", order=("fox", "dog"), least={"fox": 0.5}, most={"cat": 0.5}
    )
    assert broken.broken(answer, NAMES) == (
        "it is cat, expected dog",
        "it is cat, which it must not be",
        "fox is not more probable than dog",
        "fox has less than 0.5",
        "cat has more than 0.5",
    )


def test_none_of_these_can_be_expected_of_a_classifier_that_can_tell():
    expected = kit.Expected(novel=True)
    answer = row(1, 0, 0)
    assert expected.broken(answer, NAMES, novel=True) == ()
    assert expected.broken(answer, NAMES, novel=False) == ("it is told as one of the classes",)
    assert expected.broken(answer, NAMES) == ("the classifier cannot tell what is none of its classes",)


def test_a_class_that_the_classifier_does_not_have_is_named_with_the_nearest():
    (told,) = kit.Expected(classes="catt").broken(row(1, 0, 0), NAMES)
    assert "no class 'catt'" in told
    assert "did you mean 'cat'" in told


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "nothing"),
        ({"order": ("cat",)}, "two classes"),
        ({"classes": 3}, "names of classes"),
        ({"least": {"cat": 2}}, "least of cat"),
        ({"novel": 1}, "True or False"),
    ],
)
def test_expectations_that_make_no_sense_are_refused(given, message):
    with pytest.raises((TypeError, ValueError), match=message):
        kit.Expected(**given)


def test_a_probability_moves_by_the_largest_difference():
    observed = Observed.of(row(0.6, 0.3995, 0.0005), NAMES, Trace())
    assert [name for _, name, _ in observed.probabilities] == ["cat", "dog"]
    assert observed.moved(row(0.6, 0.3995, 0.0005)) == pytest.approx(0, abs=1e-6)
    assert observed.moved(row(0.55, 0.4495, 0.0005)) == pytest.approx(0.05, abs=1e-5)
    # What was below a thousandth may become a thousandth and no more.
    assert observed.moved(row(0.6, 0.3, 0.1)) == pytest.approx(0.0995, abs=1e-5)
    assert observed.moved(row(np.nan, 0.4, 0.6)) == 1
    assert observed.moved(row(0.6)) == 1


def test_json_gives_back_an_equal_case(classifier, cases):
    for path in folders.paths(cases):
        case = folders.read(path)
        assert kit.Case.from_json(case.to_json()) == case
        assert len(case.to_json()) < 20_000


def test_everything_of_a_case_is_kept(tmp_path, classifier, four):
    right = classifier.preprocessing
    expected = kit.Expected(classes=("espresso",), never=("cup",), least={"espresso": 0.5}, most={"cup": 0.2})
    path = kit.pin(
        tmp_path,
        classifier,
        four[0],
        expected,
        perturbation=kit.Perturbation(brightness=1.2, seed=3),
        preprocessing=right.replace(fit="squash", crop_fraction=1.0),
        fault=right.replace(channels="bgr"),
        tolerance=0.05,
        cause="channel_order",
        note="seen in the field",
        owner="the shop",
        platforms=("linux", "darwin"),
    )
    case = folders.read(path)
    assert path.name.endswith("-espresso-channel-order.json")
    assert case.expected == expected
    assert case.perturbation == kit.Perturbation(brightness=1.2, seed=3)
    assert case.preprocessing == right.replace(fit="squash", crop_fraction=1.0)
    assert case.fault == right.replace(channels="bgr")
    assert (case.tolerance, case.cause, case.note, case.owner) == (
        0.05,
        "channel_order",
        "seen in the field",
        "the shop",
    )
    assert case.platforms == ("linux", "darwin")
    assert case.weights == classifier.source.digest
    np.testing.assert_array_equal(folders.photo_of(tmp_path, case).pixels, four[0].pixels)


def test_the_classifiers_own_preprocessing_is_whatever_it_will_be(tmp_path, classifier, four):
    path = kit.pin(tmp_path, classifier, four[0], preprocessing=classifier.preprocessing)
    assert folders.read(path).preprocessing is None


@pytest.mark.parametrize(
    "changed",
    [
        {"picture": "/etc/passwd"},
        {"picture": "../../secret.png"},
        {"picture": "C:/x.png"},
        {"tolerance": 2},
        {"format": "kit.case/9"},
        {"extra": 1},
        {"expected": {"classes": []}},
        {"observed": {"probabilities": [["0", "cat", 1]], "trace": [], "engine": "", "novel": None}},
        {"perturbation": {"brightnes": 1}},
        {"name": None},
    ],
)
def test_what_is_no_case_is_refused(cases, changed):
    data = json.loads(folders.paths(cases)[0].read_text(encoding="utf-8"))
    with pytest.raises((TypeError, ValueError)):
        kit.Case.from_dict(data | changed)


def test_a_case_that_failed_when_it_was_made_is_known_to_fail(tmp_path, classifier, photos):
    (cat,) = [photo for photo in photos if photo.name == "cat.jpg"]
    case = folders.read(kit.pin(tmp_path, classifier, cat, "tiger cat"))
    assert case.known_to_fail
    assert not folders.read(kit.pin(tmp_path, classifier, cat)).known_to_fail
    rare = replace(case, expected=kit.Expected(classes=("goldfish",)))
    assert rare.known_to_fail, "a class whose probability was not kept"


def test_a_case_from_another_machine_holds_here(classifier):
    result = kit.check_cases(EARLIER, classifier, progress=False)
    assert result.cases
    assert result.holds, result.text()
    assert {one.state for one in result.cases} == {"holds"}


def test_bounds_hold_where_they_are_met_and_an_order_needs_more():
    even = row(0.5, 0.5, 0)
    assert kit.Expected(least={"cat": 0.5}, most={"dog": 0.5}).broken(even, NAMES) == ()
    assert kit.Expected(order=("cat", "dog")).broken(even, NAMES) == ("cat is not more probable than dog",)
    assert kit.Expected(novel=False).broken(even, NAMES, novel=True) == ("it is told as none of the classes",)
    assert kit.Expected(novel=False).broken(even, NAMES, novel=False) == ()
    # Of two classes of one name the more probable counts.
    assert kit.Expected(least={"cat": 0.5}).broken(row(0.1, 0.3, 0.6), ("cat", "dog", "cat")) == ()


def test_probabilities_are_kept_from_a_thousandth_on_the_most_probable_first():
    kept = Observed.of(
        row(0.001, 0.4990001, 0.4990001, 0.0009999), (*NAMES, "owl"), Trace(), engine="e", novel=True
    )
    assert kept.probabilities == ((1, "dog", 0.499), (2, "fox", 0.499), (0, "cat", 0.001))
    assert (kept.top, kept.engine, kept.novel) == (("dog", 0.499), "e", True)
    assert Observed.of(row(0, 0), NAMES, Trace()).top == ("no class", 0)
    assert Observed((), Trace()).moved(row(0.0005, 0.3)) == pytest.approx(0.299)
    assert Observed(((2, "fox", 1.0),), Trace()).moved(row(0, 1)) == 1


def given(**changes):
    whole = {
        "name": "one", "picture": "pictures/x.png", "sha256": "", "classifier": "net", "weights": "",
        "expected": kit.Expected("cat"), "observed": Observed(((0, "cat", 1.0),), Trace()),
    }  # fmt: skip
    return kit.Case(**whole | changes)


@pytest.mark.parametrize("picture", ["/x.png", "~/x.png", "a/../../x.png", "..", "C:/x.png"])
def test_a_picture_lies_below_the_folder_of_its_case(picture):
    with pytest.raises(ValueError, match="a picture below the folder of cases"):
        given(picture=picture)
    assert given(picture="a..b/x~.png").platforms == ()


def test_it_is_known_to_fail_by_what_was_observed_alone():
    assert not given().known_to_fail
    assert given(expected=kit.Expected("dog")).known_to_fail
    assert not given(expected=kit.Expected(order=("cat", "dog"))).known_to_fail
    assert given(expected=kit.Expected(order=("dog", "cat"))).known_to_fail
    assert given(observed=Observed((), Trace())).known_to_fail, "no class was probable enough to be kept"
    late = Observed(((7, "dog", 0.6), (2, "cat", 0.4)), Trace(), novel=True)
    assert not given(observed=late, expected=kit.Expected("dog", novel=True)).known_to_fail
    assert given(observed=late, expected=kit.Expected("dog", novel=False)).known_to_fail


def test_a_case_with_everything_that_may_be_left_out_is_read_from_its_json():
    whole = given(
        preprocessing=kit.Preprocessing(scaling="imagenet"),
        fault=kit.Preprocessing(scaling=()),
        perturbation=kit.Perturbation(noise=3, seed=9),
        platforms="linux",
        tolerance=1,
    )
    assert kit.Case.from_json(whole.to_json()) == whole
    assert whole.platforms == ("linux",)
    assert kit.Case.from_dict(given().to_dict()) == given()
    assert given(name="näher").to_json().splitlines()[2] == ' "name": "näher",'
    assert (given().tolerance, given().to_json()[-1]) == (0.02, "\n")
    for key in ("expected", "observed", "perturbation"):
        with pytest.raises(ValueError, match=f"a whole case, received one without '{key}'"):
            kit.Case.from_dict({name: value for name, value in given().to_dict().items() if name != key})
    for place in (True, -1):
        data = given().to_dict()
        data["observed"]["probabilities"] = [[place, "cat", 1.0]]
        with pytest.raises(TypeError, match=f"index of a class, received {place}"):
            kit.Case.from_dict(data)
