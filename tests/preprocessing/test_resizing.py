"""Resizing against Pillow and by hand; against Keras and TensorFlow in test_keras.py."""

import cv2
import numpy as np
import pytest
from PIL import Image

from kit.preprocessing.resizing import FILTERS, FITS, SAMPLERS, resize
from tests.pictures import picture

PILLOW = [name for name in FILTERS if "_" not in name]
SIZES = [((150, 200), (64, 64)), ((37, 53), (90, 101)), ((301, 99), (57, 31))]


CROPS = [
    ((480, 640), "resize_crop", 0.875, (256, 341)),
    ((300, 301), "resize_crop", 0.95, (235, 235)),
    ((100, 450), "resize_crop", 1.0, (224, 1008)),
    ((300, 600), "resize_crop", 224 / 354, (354, 708)),
    ((300, 400), "squash_crop", 0.875, (256, 256)),
]


@pytest.mark.parametrize(("source", "fit", "fraction", "whole"), CROPS)
def test_these_crops_are_resizing_and_then_cutting_out_the_centre(
    source, fit, fraction, whole
):
    image = Image.fromarray(picture(source)).resize(
        whole[::-1], Image.Resampling.BICUBIC
    )
    top, left = (round((side - 224) / 2) for side in whole)
    expected = np.asarray(image).astype(int)[top : top + 224, left : left + 224]
    apart = np.abs(
        expected - resize(picture(source), (224, 224), "bicubic", fit, fraction)
    )
    assert apart.max() <= 1
    assert np.mean(apart > 0) < 0.002
    # Where Pillow does not resize, to the bit.
    for name in SAMPLERS:
        np.testing.assert_array_equal(
            resize(picture(source), (224, 224), name, fit, fraction),
            resize(picture(source), whole, name)[top : top + 224, left : left + 224],
        )


def test_crop_keeps_the_centre_in_proportion_and_by_fraction():
    columns = np.tile(np.arange(200, dtype=np.uint8)[:, None], (100, 1, 3))
    # 0.29 of 100 is a little less than 29.
    ends = [
        resize(columns, (100, 100), "nearest", "crop", fraction)[0, [0, -1], 0].tolist()
        for fraction in (1, 0.5, 0.29)
    ]
    assert ends == [[50, 149], [75, 124], [85, 113]]


@pytest.mark.parametrize("fit", FITS)
def test_every_filter_goes_with_every_fit_and_leaves_the_source_alone(fit):
    for name in FILTERS:
        flat = np.full((31, 17, 3), 77, np.uint8)
        result = resize(flat, (8, 12), name, fit, 0.9, fill=(77, 77, 77))
        assert result.shape == (8, 12, 3)
        assert result.dtype == (np.float32 if name.startswith("tf_") else np.uint8)
        np.testing.assert_allclose(result, 77, atol=1e-4)
        assert (flat == 77).all()


@pytest.mark.parametrize("size", [(1, 5000), (5000, 1), (1, 1)])
def test_long_and_thin_pictures_are_resized_too(size):
    for fit in FITS.keys() - {"pad"}:
        for name in ("bilinear", "nearest", "tf_bilinear", "tf_bicubic_antialias"):
            assert resize(picture(size), (32, 16), name, fit).shape == (32, 16, 3)
    with pytest.raises(
        ValueError,
        match="at most 100000000 pixels after padding, received 59999 x 60000",
    ):
        resize(np.zeros((1, 60000, 3), np.uint8), (8, 8), "bilinear", "pad")


ROUNDED = {"cv2_cubic": 0.001, "cv2_area": 0.06}
"""Of filters that are not bit for bit OpenCV's: the share of values that are rounded the other way."""


@pytest.mark.parametrize("name", [name for name in SAMPLERS if "tf_" not in name])
def test_opencvs_filters_are_opencvs(name):
    interpolation = getattr(cv2, name.replace("cv2", "INTER").upper())
    rounded = ROUNDED.get(name, 0)
    # Both sides are halved, or one.
    halved = (
        ((448, 224), (224, 112)),
        ((448, 640), (224, 224)),
        ((896, 448), (224, 224)),
    )
    for source, target in [*SIZES, *halved]:
        expected = cv2.resize(
            picture(source), target[::-1], interpolation=interpolation
        )
        apart = np.abs(expected.astype(int) - resize(picture(source), target, name))
        assert apart.max() <= (rounded > 0)
        assert np.mean(apart > 0) <= rounded


@pytest.mark.parametrize("target", [(90, 21), (21, 90), (90, 60), (60, 21), (61, 90)])
def test_opencvs_area_where_a_side_grows_is_opencvs_bit_for_bit(target):
    pixels = picture((60, 60))
    expected = cv2.resize(pixels, target[::-1], interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(resize(pixels, target, "cv2_area"), expected)


@pytest.mark.parametrize("name", PILLOW)
def test_tall_images_are_resized_as_the_asked_version_of_pillow_does_it(name):
    method = Image.Resampling[name.upper()]
    tall = picture((301, 99))
    image = Image.fromarray(tall)
    across = image.resize((57, 301), method).resize((57, 31), method)
    down = image.resize((99, 31), method).resize((57, 31), method)
    older = resize(tall, (31, 57), name, pillow=12.3)
    newer = resize(tall, (31, 57), name, pillow=13.0)
    np.testing.assert_array_equal(older, np.asarray(across))
    np.testing.assert_array_equal(newer, np.asarray(down))


def test_other_images_and_windows_are_the_same_in_both_versions_of_pillow():
    # The height shrinks by 180, the width by 90: not by more than twice as much.
    for source in ((211, 121), (121, 211), (31, 31), (20, 20)):
        for fit in FITS:
            older, newer = (
                resize(picture(source), (31, 31), "bicubic", fit, pillow=version)
                for version in (12.3, 13.0)
            )
            np.testing.assert_array_equal(older, newer)


def test_letterboxes_differ_in_where_the_rest_is():
    # 20 rows become 13 of 20; of the rest of 7, Pillow puts 4 above.
    white = np.full((20, 31, 3), 255, np.uint8)
    for fit, above in {
        "letterbox": 4,
        "letterbox_floor": 3,
        "letterbox_corner": 0,
    }.items():
        boxed = resize(white, (20, 20), "bilinear", fit, fill=(114, 114, 114))[:, 0, 0]
        assert boxed.tolist() == [114] * above + [255] * 13 + [114] * (7 - above)
