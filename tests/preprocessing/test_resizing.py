import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from kit.preprocessing.resizing import FILTERS, FITS, resize
from tests.pictures import picture

PILLOW = [name for name in FILTERS if not name.startswith("tf_")]
SIZES = [((150, 200), (64, 64)), ((37, 53), (90, 101)), ((301, 99), (57, 31)), ((480, 640), (224, 224))]


@pytest.mark.parametrize(("source", "target"), SIZES)
@pytest.mark.parametrize("name", PILLOW)
def test_equals_keras_load_img_for_each_of_its_interpolations(name, source, target):
    import keras  # noqa: PLC0415  only this test needs it

    file = io.BytesIO()
    Image.fromarray(picture(source)).save(file, "PNG")
    for fit, keep in (("squash", False), ("crop", True)):
        file.seek(0)
        loaded = keras.utils.load_img(file, target_size=target, interpolation=name, keep_aspect_ratio=keep)
        np.testing.assert_array_equal(resize(picture(source), target, name, fit), np.asarray(loaded))


def test_the_default_of_load_img_is_nearest():
    import keras  # noqa: PLC0415  only this test needs it

    file = io.BytesIO()
    Image.fromarray(picture((50, 70))).save(file, "PNG")
    file.seek(0)
    loaded = np.asarray(keras.utils.load_img(file, target_size=(20, 30)))
    np.testing.assert_array_equal(resize(picture((50, 70)), (20, 30), "nearest"), loaded)


@pytest.mark.parametrize(("source", "target"), SIZES)
@pytest.mark.parametrize("name", PILLOW)
def test_letterbox_equals_pillows_pad(name, source, target):
    method = Image.Resampling[name.upper()]
    padded = ImageOps.pad(Image.fromarray(picture(source)), target[::-1], method, color=(9, 8, 7))
    np.testing.assert_array_equal(
        resize(picture(source), target, name, "letterbox", fill=(9, 8, 7)), np.asarray(padded)
    )


@pytest.mark.parametrize("source", [(480, 640), (640, 480), (300, 301), (100, 450)])
@pytest.mark.parametrize("fraction", [1.0, 0.875, 0.95])
def test_resize_crop_is_resizing_the_shorter_side_and_cutting_out_the_centre(source, fraction):
    side = int(224 / fraction + 1e-6)
    height, width = source
    size = (side, int(side * height / width)) if width <= height else (int(side * width / height), side)
    whole = np.asarray(Image.fromarray(picture(source)).resize(size, Image.Resampling.BICUBIC)).astype(int)
    top, left = round((size[1] - 224) / 2), round((size[0] - 224) / 2)
    result = resize(picture(source), (224, 224), "bicubic", "resize_crop", fraction)
    apart = np.abs(whole[top : top + 224, left : left + 224] - result)
    assert apart.max() <= 1
    assert np.mean(apart > 0) < 0.002


def test_squash_crop_is_squashing_and_cutting_out_the_centre():
    whole = np.asarray(
        Image.fromarray(picture((300, 400))).resize((256, 256), Image.Resampling.BICUBIC)
    ).astype(int)
    result = resize(picture((300, 400)), (224, 224), "bicubic", "squash_crop", 0.875)
    assert np.abs(whole[16:240, 16:240] - result).max() <= 1


def test_crop_keeps_the_centre_in_proportion_and_by_fraction():
    columns = np.arange(200, dtype=np.uint8)[None, :, None].repeat(100, axis=0)
    assert resize(columns, (100, 100), "nearest", "crop")[0, [0, -1], 0].tolist() == [50, 149]
    assert resize(columns, (100, 100), "nearest", "crop", 0.5)[0, [0, -1], 0].tolist() == [75, 124]


def test_pad_fills_before_it_resizes_and_letterbox_after():
    white = np.full((10, 40, 3), 255, np.uint8)
    padded = resize(white, (20, 20), "bilinear", "pad", fill=(0, 0, 0))[:, 10, 0]
    boxed = resize(white, (20, 20), "bilinear", "letterbox", fill=(0, 0, 0))[:, 10, 0]
    assert set(boxed.tolist()) == {0, 255}
    assert set(padded.tolist()) > {0, 255}


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("name", FILTERS)
def test_every_filter_goes_with_every_fit_and_number_of_channels(name, fit):
    for channels in (1, 3):
        flat = np.full((31, 17, channels), 77, np.uint8)
        result = resize(flat, (8, 12), name, fit, 0.9, fill=(77, 77, 77))
        assert result.shape == (8, 12, channels)
        assert result.dtype == (np.float32 if name.startswith("tf_") else np.uint8)
        np.testing.assert_allclose(result, 77, atol=1e-4)


@pytest.mark.parametrize("size", [(1, 5000), (5000, 1), (1, 1)])
@pytest.mark.parametrize("fit", [fit for fit in FITS if fit != "pad"])
def test_long_and_thin_pictures_are_resized_too(size, fit):
    for name in ("bilinear", "nearest", "tf_bilinear", "tf_bicubic_antialias"):
        assert resize(picture(size), (32, 16), name, fit).shape == (32, 16, 3)


def test_padding_refuses_what_would_fill_the_memory():
    with pytest.raises(ValueError, match="at most 100000000 pixels after padding, received 59999 x 60000"):
        resize(np.zeros((1, 60000, 3), np.uint8), (8, 8), "bilinear", "pad")


def test_the_source_is_left_alone():
    pixels = picture((40, 30))
    before = pixels.copy()
    for name in FILTERS:
        resize(pixels, (10, 10), name, "pad")
    np.testing.assert_array_equal(pixels, before)


def test_unknown_names_are_refused_with_the_nearest():
    with pytest.raises(
        ValueError, match=r"the filter out of .*; received 'bilinaer'; did you mean 'bilinear'\?"
    ):
        resize(picture((4, 4)), (2, 2), "bilinaer")
    with pytest.raises(ValueError, match=r"did you mean 'letterbox'\?"):
        resize(picture((4, 4)), (2, 2), "box", "leterbox")
