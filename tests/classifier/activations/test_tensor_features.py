"""Features of a tensor: where it is light, and how far its channels differ."""

import numpy as np
import pytest
from PIL import Image

import kit
from kit.classifier.first_layers import tensor_features

GREYEST = np.log(1e-4) / 2


def test_cells_are_means_row_by_row_and_channel_by_channel():
    tensor = np.arange(8 * 8 * 2, dtype=np.float32).reshape(1, 8, 8, 2)
    found = tensor_features(tensor)
    assert found.shape == (1, 4 * 4 * 2)
    # The first cell holds the values 0, 2, 16, 18 of the first channel, and one more of the second.
    np.testing.assert_array_equal(found[0, :4], [9, 10, 13, 14])
    assert found[0, 8] == tensor[0, 2:4, :2, 0].mean()


def test_cells_are_those_of_a_box_filter_where_the_side_is_a_multiple_of_four():
    photo = kit.samples.photos("imagenet")[0]
    red = Image.fromarray(np.asarray(photo.pixels[:64, :96, 0], np.float32))
    expected = np.asarray(red.resize((4, 4), Image.Resampling.BOX))
    found = tensor_features(np.asarray(red)[None, ..., None])
    np.testing.assert_allclose(found[0].reshape(4, 4), expected, rtol=1e-6)


@pytest.mark.parametrize(("size", "cells"), [((3, 5), 3 * 4), ((1, 1), 1), ((7, 9), 16)])
def test_sides_need_not_be_multiples_of_four(size, cells):
    found = tensor_features(np.full((2, *size, 1), 5, np.float32))
    np.testing.assert_array_equal(found, np.full((2, cells), 5.0))


def test_colour_tells_how_far_two_channels_differ():
    red = np.random.default_rng(0).normal(size=(1, 6, 6)).astype(np.float32)
    tensor = np.stack([red, red, -red], axis=-1)
    between = tensor_features(tensor)[0, -3:]
    # var(2 r) / (2 var(r)) is 2; red and green do not differ.
    np.testing.assert_allclose(between, [GREYEST, np.log(2 + 1e-4) / 2, np.log(2 + 1e-4) / 2], rtol=1e-5)


def test_a_grey_photograph_is_greyer_than_any_in_colour():
    colourful = [photo for photo in kit.samples.photos("imagenet") if np.ptp(photo.pixels, axis=-1).max()]
    tensors = np.stack([photo.pixels[:200, :200] for photo in colourful]).astype(np.float32)
    grey = np.repeat(tensors.mean(axis=-1, keepdims=True), 3, axis=-1)
    np.testing.assert_allclose(tensor_features(grey)[:, -3:], GREYEST)
    assert tensor_features(tensors)[:, -3:].max(axis=1).min() > GREYEST + 1


def test_a_tensor_without_contrast_has_no_colour():
    assert np.isfinite(tensor_features(np.zeros((1, 4, 4, 3), np.float32))).all()


def test_a_picture_on_its_side_has_the_same_cells_in_another_order():
    tensor = np.random.default_rng(0).normal(size=(1, 8, 8, 1)).astype(np.float32)
    upright, aside = (tensor_features(each)[0].reshape(4, 4) for each in (tensor, tensor.swapaxes(1, 2)))
    np.testing.assert_allclose(aside, upright.T)
    assert not np.allclose(aside, upright)
