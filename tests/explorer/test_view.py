"""What the explorer computes for one photograph: settings, preprocessing and probabilities."""

from dataclasses import replace

import numpy as np
import pytest

from kit import faults, load_image
from kit.explorer import view
from kit.explorer.view import Bench
from kit.perturbation import PARAMETERS
from tests.outliers import outliers

NAMES = ("cat.jpg", "espresso.jpg")


def test_neutral_settings_hold_every_parameter_every_step_and_the_fix():
    neutral = view.neutral("cat.jpg")
    assert set(neutral) == {"photo", "seed", "fix", *PARAMETERS, *faults.STEPS}
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
        ({"fix": 1}, "Expected fix as True or False, received 1"),
    ],
)
def test_settings_that_do_not_exist_are_refused_with_the_nearest(settings, message):
    with pytest.raises((TypeError, ValueError), match=message):
        view.checked(settings, NAMES, "cat.jpg")


@pytest.mark.parametrize(
    ("changed", "counts"),
    [
        ({}, {}),
        ({"noise": 5.0}, {"noise": 5.0}),
        ({"seed": 3}, {}),
        ({"noise": 5.0, "seed": 3}, {"noise": 5.0, "seed": 3}),
        ({"channels": "channels_swapped", "seed": 3}, {"channels": "channels_swapped"}),
        ({"occlusion_x": 0.1}, {}),
        ({"occlusion": 0.2, "occlusion_x": 0.1}, {"occlusion": 0.2, "occlusion_x": 0.1}),
        ({"occlusion_x": 0.1, "seed": 3}, {}),
        ({"jpeg_quality": 100, "fix": True}, {"jpeg_quality": 100, "fix": True}),
    ],
)
def test_only_what_changes_something_by_itself_counts_as_changed(changed, counts):
    assert view.changed_settings(view.neutral("cat.jpg") | changed) == counts


def test_the_path_is_the_classifiers_own(look, classifier, espresso):
    shown = look(brightness=1.5, noise=20, scaling="range_0_1", channels="channels_swapped")
    trained = classifier.preprocessing
    by_hand = trained.replace(channels="bgr", scaling="0..1")
    assert shown.preprocessing == by_hand
    expected = classifier.probabilities(espresso, view.perturbation_of(shown.settings), by_hand)
    np.testing.assert_array_equal(shown.probabilities, expected[0])


def test_the_fix_takes_the_place_of_the_preprocessing_and_faults_come_on_top(classifier):
    right = classifier.preprocessing
    wrong = right.replace(scaling="0..1")
    bench = Bench(classifier, wrong).fixing(right)
    neutral = view.neutral("cat.jpg")
    assert bench.preprocessing(neutral) == wrong
    assert bench.preprocessing(neutral | {"fix": True}) == right
    swapped = neutral | {"fix": True, "channels": "channels_swapped"}
    assert bench.preprocessing(swapped) == right.replace(channels="bgr")


def test_the_network_sees_its_input_again_where_nothing_is_wrong(look, classifier, espresso):
    steps = {step.name: step.array for step in classifier.preprocessing.steps(espresso)}
    np.testing.assert_array_equal(look().seen, steps["resize"])


def test_the_network_sees_white_where_scaling_is_left_out(look):
    # A level x counts as 128 x + 127 for a network that expects (x - 127) / 128: all but black is white.
    assert (look(scaling="missing_scaling").seen == 255).mean() > 0.9


def test_the_untouched_view_is_its_own_reference(look):
    assert look().untouched is look()
    assert look(noise=3).untouched is look()


def test_without_a_temperature_there_is_nothing_calibrated(look, classifier):
    assert look(noise=3).calibrated is None
    tempered = replace(look.bench, classifier=classifier.tempered(2.0))
    shown = tempered.view(look().source, look().settings)
    np.testing.assert_array_equal(shown.probabilities, look().probabilities)
    by_hand = np.sqrt(look().probabilities)  # a temperature of 2 halves the logits
    np.testing.assert_allclose(shown.calibrated, by_hand / by_hand.sum(), atol=1e-6)


def test_novelty_is_told_where_the_classifier_knows_ordinary_pictures(fashion, clothes, novelty):
    photo = clothes[1000]
    neutral = view.neutral(photo.name)
    knowing = Bench(fashion, fashion.preprocessing, novelty).view(photo, neutral)
    assert knowing.novel is False
    assert Bench(fashion, fashion.preprocessing).view(photo, neutral).novel is None
    noise = load_image(outliers("noise")[0], name="noise")
    foreign = Bench(fashion, fashion.preprocessing, novelty).view(noise, view.neutral("noise"))
    assert foreign.novel is True
