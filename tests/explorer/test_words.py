"""The words and numbers that the page paints."""

import re
from dataclasses import replace

import numpy as np
import pytest

import kit
from kit import fit_novelty, load_image, samples
from kit.explorer import view
from kit.explorer.explorer import Explorer
from kit.explorer.view import Bench, neutral
from tests.outliers import outliers

ESPRESSO = 967


@pytest.fixture(scope="module")
def shirt(clothes):
    return clothes[0]


@pytest.mark.parametrize(
    ("probability", "text"),
    [
        (0.0, "0.0 %"),
        (1e-9, "<0.1 %"),
        (0.000499, "<0.1 %"),
        (0.0005, "0.1 %"),
        (0.5, "50.0 %"),
        (0.9994, "99.9 %"),
        (0.9995, ">99.9 %"),
        (0.9999999, ">99.9 %"),
        (1.0, "100.0 %"),
        (np.float32(0.25), "25.0 %"),
        (np.float32("nan"), "nan %"),
    ],
)
def test_nearly_none_and_nearly_all_are_told_from_none_and_all(probability, text):
    # 0.0005 in binary lies a little above 0.05 %, which is rounded up.
    assert view.percent(probability) == text


def test_bars_show_the_most_probable_classes_with_their_untouched_values(look):
    rows = view.bars(look(brightness=0.3), look.names)
    assert len(rows) == view.BARS
    values = [row["value"] for row in rows]
    assert values == sorted(values, reverse=True)
    assert sum(row["top"] for row in rows) == 1
    named = next(row for row in rows if row["expected"])
    assert (named["index"], named["name"]) == (ESPRESSO, look.names[ESPRESSO])
    assert named["ghost"] == pytest.approx(look().probabilities[ESPRESSO], abs=1e-6)


def test_the_known_class_keeps_its_bar_when_it_falls_behind(look):
    shown = look(scaling="missing_scaling")
    assert ESPRESSO not in np.argsort(-shown.probabilities)[: view.BARS]
    rows = view.bars(shown, look.names)
    assert len(rows) == view.BARS
    assert [row["name"] for row in rows if row["expected"]] == [look.names[ESPRESSO]]


def test_the_untouched_answer_keeps_its_bar_beside_the_known_class(look):
    shown = look("cat.jpg", scaling="missing_scaling")
    rows = view.bars(shown, look.names)
    assert {"Egyptian cat", "tiger cat"} <= {row["name"] for row in rows}
    assert len(rows) == view.BARS


def test_ten_classes_keep_their_places(fashion, shirt):
    shown = Bench(fashion, fashion.preprocessing).view(shirt, neutral(shirt.name))
    assert [row["name"] for row in view.bars(shown, fashion.class_names)] == list(fashion.class_names)


def test_a_temperature_gives_every_bar_a_calibrated_one(fashion, shirt):
    tempered = fashion.tempered(2.5)
    shown = Bench(tempered, fashion.preprocessing).view(shirt, neutral(shirt.name))
    rows = view.bars(shown, fashion.class_names)
    expected = tempered.calibrated(fashion.probabilities(shirt))[0]
    np.testing.assert_allclose([row["calibrated"] for row in rows], expected, atol=1e-6)
    top = rows[shown.top]
    assert top["calibrated"] < top["value"]
    assert top["calibratedText"] == f"{100 * expected[shown.top]:.1f} %"
    assert view.caption(tempered).endswith("thin bar: calibrated with temperature 2.50")


def test_without_a_temperature_there_is_nothing_calibrated(fashion, shirt):
    shown = Bench(fashion, fashion.preprocessing).view(shirt, neutral(shirt.name))
    row = view.bars(shown, fashion.class_names)[0]
    assert (row["calibrated"], row["calibratedText"]) == (None, "")
    assert "calibrated" not in view.caption(fashion)


def test_the_verdict_tells_answer_truth_and_what_it_was(look):
    before = view.percent(look().probabilities[ESPRESSO])
    assert view.verdict(look(), look.names) == f"espresso, {before} (right)."
    wrong = view.verdict(look(scaling="missing_scaling"), look.names)
    assert "(wrong: it is espresso)" in wrong
    assert wrong.endswith(f"Untouched: espresso, {before}")
    same = view.verdict(look(brightness=0.9), look.names)
    assert same.endswith(f"(right). Untouched: the same class, {before}")


def test_the_answer_is_marked_where_the_class_is_known(look, classifier, espresso):
    right = view.answer(look(), look.names)
    assert (right["name"], right["mark"], right["state"]) == ("espresso", "✓ right", "right")
    wrong = view.answer(look(scaling="missing_scaling"), look.names)
    assert (wrong["mark"], wrong["state"]) == ("✕ it is espresso", "wrong")
    unknown = view.answer(look.bench.view(espresso, neutral("espresso.jpg")), look.names)
    assert (unknown["mark"], unknown["state"]) == ("", "")


def test_the_tensor_table_marks_what_differs(look):
    rows = {row[0]: row[1:] for row in view.tensor_table(look(scaling="missing_scaling"))}
    assert rows["shape"] == ["(1, 224, 224, 3)", "(1, 224, 224, 3)", "same"]
    assert rows["maximum"][0] == "255"
    assert rows["maximum"][2] == "differs"


def test_outputs_that_are_no_numbers_are_told(look):
    nothing = replace(look(), probabilities=np.full(1000, np.nan, np.float32))
    told = view.verdict(nothing, look.names)
    assert told.startswith("No answer: the network's outputs are no numbers")
    row = view.bars(nothing, look.names)[0]
    assert (row["value"], row["text"]) == (0.0, "nan %")


def test_the_answer_can_be_none_of_these(fashion, clothes):
    novelty = fit_novelty(fashion, list(samples.fashion_mnist_arrays("train")[0][:300]), clothes[:100])
    names = fashion.class_names

    def told(photo, novelty):
        shown = Bench(fashion, fashion.preprocessing, novelty).view(photo, neutral(photo.name))
        return shown.novel, view.verdict(shown, names), names[shown.top]

    digit = load_image(outliers("digits")[0], name="digit")
    novel, sentence, top = told(digit, novelty)
    assert novel
    assert sentence.startswith(f"None of these: unlike the training pictures. Likeliest: {top}, ")
    novel, sentence, top = told(clothes[100], novelty)
    assert not novel
    assert sentence.startswith(f"{top}, ")
    assert "None of these" not in sentence
    assert told(digit, None)[0] is None


def test_only_a_preprocessing_that_the_file_states_is_called_as_in_training(classifier):
    assert view.usual(classifier) == "as in training"
    wrong = classifier.using(classifier.preprocessing.replace(channels="bgr", scaling="0..1"))
    assert view.usual(wrong) == "as your code does it"
    assert view.usual(wrong.using(classifier.preprocessing)) == "as in training"
    assert view.caption(wrong) == "Pale bar: the untouched photograph, prepared as your code does it"


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"photo": "cat.jpg", "brightness": 0.4},
        {"noise": 30.0, "seed": 7, "jpeg_quality": 20, "flip_horizontal": True},
        {"occlusion": 0.3, "occlusion_x": 0.1},
        {"channels": "channels_swapped", "scaling": "caffe_means", "exif": "exif_ignored"},
        {"scaling": "double_scaling", "alpha": "alpha_black", "fit": "fit_letterbox", "blur": 1.5},
    ],
)
def test_the_code_gives_the_same_settings_perturbation_and_preprocessing(classifier, photos, changed):
    shown = Explorer(classifier, photos[:2])
    shown.settings = changed
    code = view.as_code(shown.view)
    other = Explorer(classifier, photos[:2])
    other.settings = {"noise": 99}
    found = {"explorer": other, "kit": kit}
    exec(code, found)  # noqa: S102
    assert other.settings == shown.settings
    assert found["preprocessing"] == shown.preprocessing
    assert found.get("perturbation", kit.Perturbation()) == shown.perturbation
    np.testing.assert_array_equal(found["preprocessing"].apply(other.photo), shown.tensor)


def test_the_code_has_only_what_was_changed(look):
    assert re.findall(r"^\w+(?:\.\w+)? = ", view.as_code(look()), re.MULTILINE) == [
        "explorer.settings = ",
        "preprocessing = ",
    ]
    assert "kit.Perturbation(noise=4.0)" in view.as_code(look(noise=4))
