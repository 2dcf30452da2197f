"""The catalogue: every fault is an edit of a preprocessing and makes the difference that it names."""

from dataclasses import replace

import numpy as np
import pytest

from kit import Photo, Preprocessing
from kit.preprocessing.faults import CATALOGUE, STEPS, alternatives
from kit.preprocessing.pipeline import contrasts
from kit.preprocessing.scaling import SCALINGS

LITE = Preprocessing(filter="lanczos", fit="crop", crop_fraction=0.9, scaling="lite")
GRAY = Preprocessing(size=(28, 28), channels="gray", scaling="0..1")
# One pixel of each corner colour, so that tensors can be checked by hand.
PHOTO = Photo.from_array(
    np.array(
        [[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]], dtype=np.uint8
    )
)
TINY = Preprocessing(size=None, scaling="0..1")


def fed(fault: str, preprocessing: Preprocessing = TINY) -> np.ndarray:
    return CATALOGUE[fault].apply(preprocessing).apply(PHOTO)[0]


def test_every_fault_is_said_in_one_sentence_by_both_pipelines():
    for fault in CATALOGUE.values():
        sentences = contrasts(fault.apply(LITE), LITE)
        assert list(sentences) == [fault.step], fault.name
        assert "training" in sentences[fault.step] or "trained" in sentences[fault.step]
        assert sentences[fault.step].startswith(("Your code ", "In your code, "))
    assert contrasts(LITE, LITE) == {}
    assert contrasts(CATALOGUE["range_0_1"].apply(LITE), LITE) == {
        "scaling": "Your code scales pixels to 0..1; this model was trained on −1..1."
    }


def test_every_fault_changes_a_colour_preprocessing():
    assert [fault.name for fault in CATALOGUE.values() if not fault.changes(LITE)] == []


def test_faults_of_colour_leave_a_grey_network_alone():
    unchanged = {
        fault.name for fault in CATALOGUE.values() if fault.apply(GRAY) == GRAY
    }
    assert {
        "channels_swapped",
        "gray_input",
        "caffe_means",
        "imagenet_mean_std",
        "reshaped",
    } <= unchanged
    assert not {"missing_scaling", "inverted", "transposed"} & unchanged


def test_faults_of_the_numbers_feed_what_their_titles_say():
    assert fed("missing_scaling")[0, 0].tolist() == [255, 0, 0]
    assert fed("double_scaling")[1, 1].tolist() == pytest.approx([1 / 255] * 3)
    # A network that scales inside is scaled once outside.
    raw = Preprocessing(size=None, scaling="0..255")
    assert CATALOGUE["double_scaling"].apply(raw).scaling == SCALINGS["0..1"]
    assert fed("channels_swapped")[0, 0].tolist() == [0, 0, 1]
    assert fed("channels_swapped", TINY.replace(channels="bgr"))[0, 0].tolist() == [
        1,
        0,
        0,
    ]
    inverted = CATALOGUE["inverted"]
    assert fed("inverted")[1, 1].tolist() == [0, 0, 0]
    assert inverted.apply(inverted.apply(LITE)) == LITE
    assert np.unique(fed("cast_to_uint8")).tolist() == [0, 1]


def test_without_mean_and_deviation_only_divisions_are_left():
    without = CATALOGUE["missing_mean_std"]
    assert without.apply(Preprocessing(scaling="imagenet")).scaling == SCALINGS["0..1"]
    assert without.apply(Preprocessing(scaling="caffe")).scaling == ()


def test_alternatives_are_distinct_and_differ_from_training():
    for step in STEPS:
        results = [fault.apply(LITE) for fault in alternatives(LITE, step)]
        assert LITE not in results
        assert len(set(results)) == len(results)
    assert alternatives(GRAY, "channels") == ()


def test_faults_of_the_fit_keep_the_part_of_the_image_that_their_titles_say():
    inside = Preprocessing(fit="resize_crop", crop_fraction=0.5)
    windows = {
        "fit_squash": ("squash", 1),
        "fit_crop_all": ("crop", 1),
        "fit_crop_margin": ("crop", 0.875),
        "fit_letterbox": ("letterbox", 1),
    }
    for fault, window in windows.items():
        wrong = CATALOGUE[fault].apply(inside)
        assert (wrong.fit, wrong.crop_fraction, wrong.fill) == (*window, (0, 0, 0))


def test_a_thumbnail_and_exchanged_axes_depend_on_the_networks_size():
    small, transposed = CATALOGUE["small_before"], CATALOGUE["transposed"]
    assert small.apply(Preprocessing((224, 160))).thumbnail == (56, 40)
    assert small.apply(Preprocessing((7, 3))).thumbnail == (1, 1)
    assert transposed.apply(LITE).layout == "transposed"
    assert not transposed.changes(Preprocessing((20, 30)))
    assert not any(fault.changes(TINY) for fault in (small, transposed))
    first = LITE.replace(layout="channels_first")
    assert not alternatives(first, "layout"), "a network from channels first refuses it"


def test_faults_of_decoding_change_one_setting_of_it():
    for fault, setting, value in (
        ("alpha_dropped", "matte", None),
        ("alpha_black", "matte", (0, 0, 0)),
        ("depth_clipped", "depth", "clip"),
        ("exif_ignored", "exif", False),
    ):
        changed = replace(LITE.decoding, **{setting: value})
        assert CATALOGUE[fault].apply(LITE) == LITE.replace(decoding=changed)
