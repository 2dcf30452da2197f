"""What the explorer computes for one photo, and the words and numbers that the page paints."""

from dataclasses import replace

import numpy as np
import pytest

from kit import load_image
from kit.explorer import texts
from kit.explorer.bench import Bench, Entry
from kit.explorer.replies import chips_by_step
from kit.explorer.settings import (
    change_words,
    effective_changes,
    neutral,
)
from tests.outliers import outliers

NAMES = ("cat.jpg", "espresso.jpg")


def said_of(shown):
    return texts.verdict(texts.answer_of(shown))


@pytest.mark.parametrize(
    ("changed", "counts"),
    [
        ({}, {}),
        ({"noise": 5.0, "seed": 3}, {"noise": 5.0, "seed": 3}),
        ({"channels": "channels_swapped", "seed": 3}, {"channels": "channels_swapped"}),
        (
            {"occlusion": 0.2, "occlusion_x": 0.1},
            {"occlusion": 0.2, "occlusion_x": 0.1},
        ),
        ({"occlusion_x": 0.1, "seed": 3}, {}),
        ({"jpeg_quality": 100, "fix": True}, {"jpeg_quality": 100, "fix": True}),
    ],
)
def test_only_what_changes_something_by_itself_counts_as_changed(changed, counts):
    assert effective_changes(neutral("cat.jpg") | changed) == counts


def test_changes_are_said_as_in_the_middle_of_a_sentence():
    settings = neutral("cat.jpg") | {"jpeg_quality": 30, "scaling": "missing_scaling"}
    settings |= {"flip_horizontal": True, "brightness": 1.25}
    assert {change_words(key, settings) for key in effective_changes(settings)} == {
        "JPEG quality 30",
        "“Mirrored”",
        "brightness 1.25",
        "“Scaling: left out”",
    }


def test_the_fix_takes_the_place_of_the_preprocessing_and_faults_come_on_top(
    look, classifier
):
    right = classifier.preprocessing
    wrong = right.replace(scaling="0..1")
    bench = Bench(classifier, wrong, fixed_preprocessing=right)
    settings = neutral("cat.jpg")
    assert bench.preprocessing(settings) == wrong
    assert bench.preprocessing(settings | {"fix": True}) == right
    swapped = settings | {"fix": True, "channels": "channels_swapped"}
    assert bench.preprocessing(swapped) == right.replace(channels="bgr")
    fixed = bench.compute_view(Entry(look().source), swapped)
    chips = chips_by_step(fixed)
    assert (chips["tensor"]["value"], chips["scaling"]["changed"]) == ("−1..1", True)


def test_what_the_network_sees_is_its_input_as_a_picture(look, classifier, espresso):
    steps = classifier.preprocessing.steps(espresso)
    np.testing.assert_array_equal(look().input_image, steps["resize"])
    mapped = look(where=-1)
    dark = mapped.input_image // 2
    over = replace(mapped.heat, picture=dark).overlay
    np.testing.assert_array_equal(mapped.with_heat_map(dark), over)
    # A level x counts as 128 x + 127 for a network that expects (x - 127) / 128: all but black is white.
    assert (look(scaling="missing_scaling").input_image == 255).mean() > 0.9


def test_a_share_that_rounds_to_none_or_to_all_of_it_is_marked(look):
    said = [texts.percent(share) for share in (0, 0.0004, 0.0625, 0.9995, 1)]
    assert said == ["0.0 %", "<0.1 %", "6.3 %", ">99.9 %", "100.0 %"]
    # Beside a sum that rounds to more than 1, others have no share.
    rows = np.float32([0.6, 0.4 + 1e-6, *[0] * 998])
    assert texts.bars(replace(look(), probabilities=rows))[-1]["text"] == "0.0 %"


def test_a_temperature_gives_every_bar_a_calibrated_one(look, classifier):
    assert texts.bars(look())[0]["calibratedText"] == texts.bars(look())[0]["text"]
    tempered = classifier.tempered(2.0)
    shown = replace(look.bench, classifier=tempered).compute_view(
        Entry(look().source), look().settings
    )
    by_hand = np.sqrt(look().probabilities)  # a temperature of 2 halves the logits
    calibrated = float(by_hand.max() / by_hand.sum())
    top = next(row for row in texts.bars(shown) if row["top"])
    assert top["calibrated"] == pytest.approx(calibrated, abs=1e-6)
    assert top["calibratedText"] == texts.percent(calibrated)
    assert texts.caption(tempered).endswith(
        "thin bar: calibrated with temperature 2.00"
    )


def test_the_answer_can_be_none_of_these(fashion, clothes, novelty):
    digit = load_image(outliers("digits")[0], name="digit")
    knowing = novelty.attached()
    views = [
        Bench.of(classifier).compute_view(Entry(photo), neutral(photo.name))
        for photo, classifier in (
            (digit, knowing),
            (clothes[1038], knowing),
            (digit, fashion),
        )
    ]
    assert [view.novel for view in views] == [True, False, None]
    assert len(texts.bars(views[2])) == 10, "up to ten classes have a row each"
    foreign, shirt, _ = views
    likeliest = fashion.class_names[foreign.top]
    unlike = "None of these. Unlike the training images. Likeliest: "
    assert said_of(foreign).startswith(f"{unlike}{likeliest}, ")
    assert said_of(shirt).startswith("T-shirt/top, ")
    names = [texts.answer_name(view) for view in (foreign, shirt)]
    assert names == ["none of these", "T-shirt/top"]
    # The probability is of the likeliest class.
    assert texts.prediction_text(foreign) == "none of these"
    # A label is one of the classes, so it is not what was predicted.
    assert replace(foreign, label=foreign.top).wrong


def test_only_a_preprocessing_that_the_file_states_is_called_as_in_training(
    classifier, small
):
    assert texts.usual_preparation(small) == "as in training", "no file says otherwise"
    assert texts.usual_preparation(classifier) == "as in training"
    wrong = classifier.using(
        classifier.preprocessing.replace(channels="bgr", scaling="0..1")
    )
    assert texts.usual_preparation(wrong) == "as your code does it"
    assert (
        texts.usual_preparation(wrong.using(classifier.preprocessing))
        == "as in training"
    )
    assert (
        texts.caption(wrong)
        == "Pale bar: the original photo, prepared as your code does it"
    )
