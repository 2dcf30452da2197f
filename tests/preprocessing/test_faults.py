"""The catalogue: every fault is an edit of a preprocessing and makes the difference that it names."""

import numpy as np
import pytest
from PIL import Image

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


def test_faults_of_the_numbers_feed_what_their_titles_say():
    assert fed("missing_scaling")[0, 0].tolist() == [255, 0, 0]
    assert fed("double_scaling")[1, 1].tolist() == pytest.approx([1 / 255] * 3)
    # A network that scales inside is scaled once outside.
    raw = Preprocessing(size=None, scaling="0..255")
    assert CATALOGUE["double_scaling"].apply(raw).scaling == SCALINGS["0..1"]
    assert fed("channels_swapped")[0, 0].tolist() == [0, 0, 1]
    assert fed("channels_swapped", TINY.replace(channels="bgr"))[0, 0].tolist() == [1, 0, 0]
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
    with pytest.raises(ValueError, match=r"scaling.*received 'scale'"):
        alternatives(LITE, "scale")


def columns_fed(fault: str, size=(8, 16), picture=(80, 160)) -> list[int]:
    """First and last column of a picture whose levels count its columns, as a fault feeds them unscaled."""
    levels = np.broadcast_to(np.arange(picture[1], dtype=np.uint8)[None, :, None], (*picture, 3))
    inside = Preprocessing(
        size=size, filter="nearest", fit="resize_crop", crop_fraction=0.5, scaling="0..255"
    )
    row = CATALOGUE[fault].apply(inside).apply(Photo.from_array(levels.copy()))[0, size[0] // 2, :, 0]
    return row[[0, -1]].tolist()


def test_faults_of_the_fit_show_the_part_of_the_picture_that_their_titles_say():
    # Sixteen columns of 160: each shows the middle of ten, or of so many hundredths of ten.
    assert columns_fed("fit_squash") == [5, 155]
    assert columns_fed("fit_crop_all") == [5, 155]
    assert columns_fed("fit_crop_margin") == [14, 145]  # 140 in the middle, of which each shows 8.75
    assert columns_fed("fit_crop_all", size=(8, 8)) == [45, 115]
    assert columns_fed("fit_letterbox", size=(16, 16)) == [5, 155]
    boxed = CATALOGUE["fit_letterbox"].apply(Preprocessing((16, 16), fit="crop", crop_fraction=0.5))
    white = boxed.apply(Photo.from_array(np.full((80, 160, 3), 255, np.uint8)))[0, :, 0, 0]
    assert white.tolist() == [0] * 4 + [255] * 8 + [0] * 4


def test_a_thumbnail_and_exchanged_axes_depend_on_the_networks_size():
    small, transposed = CATALOGUE["small_before"], CATALOGUE["transposed"]
    assert small.apply(Preprocessing((224, 160))).thumbnail == (56, 40)
    assert small.apply(Preprocessing((7, 3))).thumbnail == (1, 1)
    assert transposed.apply(LITE).layout == "transposed"
    assert not transposed.changes(Preprocessing((20, 30)))
    assert not any(fault.changes(TINY) for fault in (small, transposed))


def test_what_evidence_cannot_single_out_is_quiet():
    quiet = {fault.name for fault in CATALOGUE.values() if fault.quiet}
    filters = {fault.name for fault in CATALOGUE.values() if fault.name.startswith("filter_")}
    assert quiet == {*filters, "fit_squash", "fit_crop_all", "fit_crop_margin"}
    assert len(filters) == 4


def test_faults_of_decoding_feed_what_the_file_holds(tmp_path):
    whole = Preprocessing(size=None)
    Image.fromarray(np.uint8([[[200, 100, 50, 0]]]), "RGBA").save(tmp_path / "a.png")
    for fault, level in (("alpha_dropped", [200, 100, 50]), ("alpha_black", [0, 0, 0])):
        assert CATALOGUE[fault].apply(whole).apply(tmp_path / "a.png").ravel().tolist() == level
    Image.fromarray(np.uint16([[255 * 64, 100]])).save(tmp_path / "deep.png")
    assert whole.apply(tmp_path / "deep.png")[0, 0, :, 0].tolist() == [64, 0]
    clipped = CATALOGUE["depth_clipped"].apply(whole).apply(tmp_path / "deep.png")
    assert clipped[0, 0, :, 0].tolist() == [255, 100]
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.zeros((2, 5, 3), np.uint8)).save(tmp_path / "side.jpg", exif=exif)
    assert whole.apply(tmp_path / "side.jpg").shape == (1, 5, 2, 3)
    assert CATALOGUE["exif_ignored"].apply(whole).apply(tmp_path / "side.jpg").shape == (1, 2, 5, 3)
