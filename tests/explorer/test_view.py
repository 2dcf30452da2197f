"""What the explorer shows: settings, probabilities, words and numbers, without a widget."""

from dataclasses import replace

import numpy as np
import pytest

from kit import faults, fit_novelty, load_image, samples
from kit.explorer import view
from kit.perturbation import PARAMETERS
from kit.samples import outliers

NAMES = ("cat.jpg", "espresso.jpg")
ESPRESSO = 967


@pytest.fixture(scope="module")
def espresso(photos):
    return next(photo for photo in photos if photo.name == "espresso.jpg")


@pytest.fixture(scope="module")
def seen(classifier, espresso):
    """Views of the espresso under some settings, beside the untouched one."""
    trained = classifier.preprocessing
    reference = view.compute(classifier, espresso, trained, view.neutral("espresso.jpg"), label=ESPRESSO)

    def compute(**settings):
        complete = view.checked(settings, NAMES, "espresso.jpg")
        return view.compute(classifier, espresso, trained, complete, reference, ESPRESSO)

    compute.reference = reference
    return compute


def test_neutral_settings_hold_every_parameter_and_every_step():
    neutral = view.neutral("cat.jpg")
    assert set(neutral) == {"photo", "seed", *PARAMETERS, *faults.STEPS}
    assert view.perturbation_of(neutral).is_identity


def test_missing_settings_are_neutral_and_the_photo_stays():
    assert view.checked({"noise": 5}, NAMES, "cat.jpg") == view.neutral("cat.jpg") | {"noise": 5.0}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"brightnes": 1}, r"the setting out of.*'brightnes'; did you mean 'brightness'"),
        ({"photo": "cat.png"}, r"the photo out of.*'cat.png'; did you mean 'cat.jpg'"),
        ({"scaling": "missing_scale"}, r"step 'scaling'.*'missing_scale'; did you mean 'missing_scaling'"),
        ({"channels": "missing_scaling"}, r"step 'channels'.*received 'missing_scaling'"),
        ({"brightness": -1}, "brightness"),
    ],
)
def test_settings_that_do_not_exist_are_refused_with_the_nearest(settings, message):
    with pytest.raises(ValueError, match=message):
        view.checked(settings, NAMES, "cat.jpg")


def test_the_path_is_the_classifiers_own(seen, classifier, espresso):
    shown = seen(brightness=1.5, noise=20, scaling="range_0_1", channels="channels_swapped")
    trained = classifier.preprocessing
    by_hand = trained.replace(channels="bgr", scaling="0..1")
    expected = classifier.probabilities(espresso, view.perturbation_of(shown.settings), by_hand)
    np.testing.assert_array_equal(shown.probabilities, expected[0])


def test_the_network_sees_its_input_again_where_nothing_is_wrong(seen, classifier, espresso):
    steps = {step.name: step.array for step in classifier.preprocessing.steps(espresso)}
    np.testing.assert_array_equal(view.seen(seen.reference), steps["resize"])


def test_the_network_sees_white_where_scaling_is_left_out(seen):
    # A level x counts as 128 x + 127 for a network that expects (x - 127) / 128: all but black is white.
    pixels = view.seen(seen(scaling="missing_scaling"))
    assert (pixels == 255).mean() > 0.9


def test_bars_show_the_most_probable_classes_with_their_untouched_values(seen, classifier):
    rows = view.bars(seen(brightness=0.3), classifier.class_names)
    assert len(rows) == view.BARS
    values = [row["value"] for row in rows]
    assert values == sorted(values, reverse=True)
    assert sum(row["top"] for row in rows) == 1
    named = next(row for row in rows if row["expected"])
    assert named["name"] == classifier.class_names[ESPRESSO]
    assert named["ghost"] == pytest.approx(seen.reference.probabilities[ESPRESSO], abs=1e-6)


def test_the_known_class_keeps_its_bar_when_it_falls_behind(seen, classifier):
    shown = seen(scaling="missing_scaling")
    assert ESPRESSO not in np.argsort(-shown.probabilities)[: view.BARS]
    rows = view.bars(shown, classifier.class_names)
    assert [row["name"] for row in rows if row["expected"]] == [classifier.class_names[ESPRESSO]]


def test_ten_classes_keep_their_places(seen):
    few = samples.classifier("fashion_mnist")
    photo = samples.photos("fashion_mnist")[0]
    shown = view.compute(few, photo, few.preprocessing, view.neutral(photo.name))
    assert [row["name"] for row in view.bars(shown, few.class_names)] == list(few.class_names)


def test_a_temperature_gives_every_bar_a_calibrated_one():
    few = samples.classifier("fashion_mnist")
    photo = samples.photos("fashion_mnist")[0]
    tempered = few.tempered(2.5)
    shown = view.compute(tempered, photo, few.preprocessing, view.neutral(photo.name))
    rows = view.bars(shown, few.class_names)
    expected = tempered.calibrated(few.probabilities(photo))[0]
    np.testing.assert_allclose([row["calibrated"] for row in rows], expected, atol=1e-6)
    top = rows[shown.top]
    assert top["calibrated"] < top["value"]
    assert top["calibratedText"] == f"{100 * expected[shown.top]:.1f} %"
    assert view.caption(tempered).endswith("the thin bar is the probability calibrated with temperature 2.50")


def test_without_a_temperature_there_is_nothing_calibrated():
    few = samples.classifier("fashion_mnist")
    photo = samples.photos("fashion_mnist")[0]
    shown = view.compute(few, photo, few.preprocessing, view.neutral(photo.name))
    assert shown.calibrated is None
    row = view.bars(shown, few.class_names)[0]
    assert (row["calibrated"], row["calibratedText"]) == (None, "")
    assert "calibrated" not in view.caption(few)


def test_the_verdict_tells_answer_truth_and_what_it_was(seen, classifier):
    names = classifier.class_names
    assert view.verdict(seen.reference, names).startswith("espresso, ")
    assert "(right)" in view.verdict(seen.reference, names)
    wrong = view.verdict(seen(scaling="missing_scaling"), names)
    assert "wrong: it is espresso" in wrong
    assert "Untouched: espresso at" in wrong


def test_the_tensor_table_marks_what_differs(seen):
    rows = {row[0]: row[1:] for row in view.tensor_table(seen(scaling="missing_scaling"))}
    assert rows["shape"] == ["(1, 224, 224, 3)", "(1, 224, 224, 3)", "same"]
    assert rows["maximum"][0] == "255"
    assert rows["maximum"][2] == "differs"


def test_controls_offer_every_parameter_and_only_steps_with_an_alternative():
    few = samples.classifier("fashion_mnist")
    controls = view.controls(few.preprocessing)
    assert [control["key"] for control in controls if control["kind"] != "choice"] == list(PARAMETERS)
    folded = [control["section"] for control in controls if control["group"] == "more"]
    groups = ["Scene", "Weather", "Lens", "Light", "Sensor", "File"]
    assert sorted(folded, key=groups.index) == folded  # groups stay together
    assert {control["key"] for control in controls if control["group"] == "main"} == set(view.MAIN)
    steps = {control["key"]: control for control in controls if control["kind"] == "choice"}
    assert "channels" not in steps
    assert steps["scaling"]["options"][0] == ["", "as in training"]


def test_outputs_that_are_no_numbers_are_told(seen, classifier):
    nothing = replace(seen.reference, probabilities=np.full(1000, np.nan, np.float32))
    told = view.verdict(nothing, classifier.class_names)
    assert told.startswith("No answer: the network's outputs are no numbers")
    row = view.bars(nothing, classifier.class_names)[0]
    assert (row["value"], row["text"]) == (0.0, "nan %")


def test_the_verdict_can_be_none_of_these():
    classifier = samples.classifier("fashion_mnist")
    photos = samples.photos("fashion_mnist")
    novelty = fit_novelty(classifier, list(samples.fashion_mnist_arrays("train")[0][:300]), photos[:100])
    names = classifier.class_names

    def sentence(photo, novelty):
        settings = view.neutral(photo.name)
        shown = view.compute(classifier, photo, classifier.preprocessing, settings, novelty=novelty)
        return shown.novel, view.verdict(shown, names), names[shown.top]

    digit = load_image(outliers("digits")[0], name="digit")
    novel, told, top = sentence(digit, novelty)
    assert novel
    assert told.startswith(f"None of these: unlike the training pictures. Likeliest: {top}, ")
    novel, told, top = sentence(photos[100], novelty)
    assert not novel
    assert told.startswith(f"{top}, ")
    assert sentence(digit, None)[0] is None
