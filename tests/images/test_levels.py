"""Correcting levels, beside what is worked out by hand."""

import numpy as np
import pytest

from kit.images import Photo
from kit.images.properties import denoised, relevelled, usual_levels

RAMP = np.tile(np.linspace(0, 100, 101).round().astype(np.uint8), (4, 1))


def levels(photo):
    return tuple(np.percentile(photo.pixels[..., 0], (5, 95)))


def test_levels_are_the_median_of_the_percentiles():
    photos = [Photo.from_array(RAMP + np.uint8(added)) for added in (0, 10, 100)]
    assert usual_levels(photos) == pytest.approx((15, 105), abs=0.01)


@pytest.mark.parametrize("change", [lambda x: x + 80, lambda x: x // 2, lambda x: 2 * x + 20])
def test_added_levels_and_factors_are_undone(change):
    photo = Photo.from_array(RAMP)
    changed = Photo.from_array(change(RAMP.astype(int)).astype(np.uint8))
    back = relevelled(changed, levels(photo))
    assert np.abs(back.pixels.astype(int) - photo.pixels).max() <= 2
    assert back.notes[-1] == "levels corrected"


def test_a_picture_that_is_right_stays():
    photo = Photo.from_array(RAMP)
    assert np.array_equal(relevelled(photo, levels(photo)).pixels, photo.pixels)


def test_a_picture_of_one_value_is_moved_alone():
    flat = Photo.from_array(np.full((3, 3), 50, np.uint8))
    assert set(relevelled(flat, (10, 200)).pixels.ravel().tolist()) == {10}


def test_levels_that_coincide_are_moved_and_what_passes_an_end_is_clipped():
    mostly = np.full((10, 10), 50, np.uint8)
    mostly[0, :3] = (0, 60, 250)
    photo = Photo.from_array(mostly, "mostly grey")
    moved = relevelled(photo, (80, 200))
    assert moved.pixels[0, :4, 0].tolist() == [30, 90, 255, 80]
    assert relevelled(photo, (10, 200)).pixels[0, 0, 0] == 0
    assert (moved.name, moved.decoding) == ("mostly grey", photo.decoding)
    assert relevelled(moved, (80, 200)).notes == (*photo.notes, "levels corrected", "levels corrected")


def test_no_pictures_are_refused():
    with pytest.raises(ValueError, match="Expected at least one picture, received none"):
        usual_levels([])


def test_noise_is_taken_out_and_a_plain_picture_stays():
    plain = np.full((9, 9, 3), 120, np.uint8)
    speck = plain.copy()
    speck[4, 4] = 255
    for pixels in (plain, speck):
        result = denoised(Photo(pixels, "one"))
        assert np.array_equal(result.pixels, plain)
        assert (result.name, result.notes[-1]) == ("one", "noise taken out")
