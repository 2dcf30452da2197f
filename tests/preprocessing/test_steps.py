import numpy as np
import pytest
from PIL import Image

from kit.preprocessing.pipeline import (
    CHANNELS,
    LAYOUTS,
    arrange,
    arrange_back,
    cast_uint8,
    invert,
    order_channels,
    shrink,
)

PICTURE = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)


def test_grey_is_pillows_luma_for_every_shade():
    shades = np.random.default_rng(1).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    expected = np.asarray(Image.fromarray(shades).convert("L"))
    np.testing.assert_array_equal(order_channels(shades, "gray")[..., 0], expected)
    np.testing.assert_array_equal(order_channels(shades, "gray_rgb"), np.stack([expected] * 3, axis=-1))


def test_grey_of_decimals_is_not_rounded():
    luma = order_channels(np.float32([[[10, 20, 30]]]), "gray")
    assert luma.dtype == np.float32
    np.testing.assert_allclose(luma, [[[0.299 * 10 + 0.587 * 20 + 0.114 * 30]]], rtol=1e-4)


def test_bgr_swaps_red_and_blue():
    np.testing.assert_array_equal(order_channels(PICTURE, "bgr"), PICTURE[:, :, [2, 1, 0]])
    assert order_channels(PICTURE, "rgb") is PICTURE


def test_inverting_keeps_the_data_type():
    np.testing.assert_array_equal(invert(np.uint8([0, 1, 255])), np.uint8([255, 254, 0]))
    assert invert(np.float32([0.5])).dtype == np.float32


def test_a_cast_cuts_decimals_and_wraps_around():
    np.testing.assert_array_equal(
        cast_uint8(np.float32([0.99, 1.5, -1.2, 256.7])), np.float32([0, 1, 255, 0])
    )


def test_a_thumbnail_keeps_proportions_and_never_enlarges():
    photo = np.zeros((100, 50, 3), np.uint8)
    assert shrink(photo, (20, 20)).shape == (20, 10, 3)
    assert shrink(photo, (500, 500)).shape == (100, 50, 3)


def test_layouts_are_what_they_are_called():
    np.testing.assert_array_equal(arrange(PICTURE, "channels_first"), np.moveaxis(PICTURE, -1, 0))
    np.testing.assert_array_equal(arrange(PICTURE, "transposed"), np.swapaxes(PICTURE, 0, 1))
    scrambled = arrange(PICTURE, "reshaped")
    np.testing.assert_array_equal(np.moveaxis(scrambled, -1, 0), PICTURE.reshape(3, 6, 9))
    assert not np.array_equal(scrambled, PICTURE)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_can_be_undone_and_is_contiguous(layout):
    arranged = arrange(PICTURE, layout)
    assert arranged.flags.c_contiguous
    np.testing.assert_array_equal(arrange_back(arranged, layout), PICTURE)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("channels", CHANNELS)
def test_many_pictures_at_once_come_out_as_one_by_one(channels, layout):
    many = np.stack([PICTURE, PICTURE[::-1], 255 - PICTURE])
    together = arrange(order_channels(many, channels), layout)
    np.testing.assert_array_equal(together, [arrange(order_channels(one, channels), layout) for one in many])
    np.testing.assert_array_equal(arrange_back(together, layout), order_channels(many, channels))
