"""The catalogue: every fault is an edit of a preprocessing and makes the difference that it names."""

import numpy as np
import pytest

from kit import Photo, Preprocessing
from kit.preprocessing.faults import CATALOGUE, STEPS, alternatives
from kit.preprocessing.scaling import SCALINGS

LITE = Preprocessing(filter="lanczos", fit="crop", crop_fraction=0.9, scaling="lite")
GRAY = Preprocessing(size=(28, 28), channels="gray", scaling="0..1")
# One pixel of each corner colour, so that tensors can be checked by hand.
PHOTO = Photo.from_array(
    np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]], dtype=np.uint8)
)
TINY = Preprocessing(size=None, scaling="0..1")


def fed(fault: str, preprocessing: Preprocessing = TINY) -> np.ndarray:
    return CATALOGUE[fault].apply(preprocessing).apply(PHOTO)[0]


def test_every_fault_changes_a_colour_preprocessing():
    assert [fault.name for fault in CATALOGUE.values() if not fault.changes(LITE)] == []


def test_faults_of_colour_leave_a_grey_network_alone():
    unchanged = {fault.name for fault in CATALOGUE.values() if fault.apply(GRAY) == GRAY}
    assert {"channels_swapped", "gray_input", "caffe_means", "imagenet_mean_std", "reshaped"} <= unchanged
    assert not {"missing_scaling", "inverted", "transposed"} & unchanged


def test_steps_are_listed_in_the_order_of_the_catalogue():
    assert list(dict.fromkeys(fault.step for fault in CATALOGUE.values())) == list(STEPS)


def test_missing_scaling_feeds_the_raw_levels():
    assert fed("missing_scaling")[0, 0].tolist() == [255, 0, 0]


def test_double_scaling_divides_twice():
    assert fed("double_scaling")[1, 1].tolist() == pytest.approx([1 / 255] * 3)


def test_double_scaling_of_a_network_that_scales_inside_divides_once_outside():
    raw = Preprocessing(size=None, scaling="0..255")
    assert CATALOGUE["double_scaling"].apply(raw).scaling == SCALINGS["0..1"]


def test_swapped_channels_feed_blue_for_red():
    assert fed("channels_swapped")[0, 0].tolist() == [0, 0, 1]
    assert fed("channels_swapped", TINY.replace(channels="bgr"))[0, 0].tolist() == [1, 0, 0]


def test_inverted_feeds_black_for_white_and_undoes_itself():
    assert fed("inverted")[1, 1].tolist() == [0, 0, 0]
    inverted = CATALOGUE["inverted"]
    assert inverted.apply(inverted.apply(LITE)) == LITE


def test_a_cast_to_uint8_keeps_only_white():
    assert np.unique(fed("cast_to_uint8")).tolist() == [0, 1]
    assert fed("cast_to_uint8", TINY.replace(scaling="lite")).min() >= 0


def test_missing_mean_std_keeps_the_division():
    without = CATALOGUE["missing_mean_std"].apply(Preprocessing(scaling="imagenet"))
    assert without.scaling == SCALINGS["0..1"]


def test_faults_compose():
    both = CATALOGUE["missing_scaling"].apply(CATALOGUE["channels_swapped"].apply(TINY))
    assert both.apply(PHOTO)[0, 0, 0].tolist() == [0, 0, 255]


def test_alternatives_are_distinct_and_differ_from_training():
    for step in STEPS:
        results = [fault.apply(LITE) for fault in alternatives(LITE, step)]
        assert LITE not in results
        assert len(set(results)) == len(results)
    assert alternatives(GRAY, "channels") == ()


def test_an_unknown_step_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"scaling.*received 'scale'"):
        alternatives(LITE, "scale")
