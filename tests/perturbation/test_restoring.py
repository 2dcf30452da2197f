"""What is put into an image is taken out again as far as it can be, and a plain image stays."""

import numpy as np
import pytest
from PIL import Image, ImageFilter

from kit import Perturbation, Photo, samples
from kit.images.properties import blur_radius, end_levels, noise_deviation
from kit.perturbation.restoring import (
    balanced,
    brightened,
    cleaned,
    contrasted,
    deblurred,
    smoothed,
)
from kit.robustness import denoised, relevelled, restored

PHOTO = samples.photos("imagenet")[5]
FLAT = Photo.from_array(np.full((50, 70, 3), 120, np.uint8), "flat")


def error(photo):
    """Root mean square of what is left, in levels."""
    return float(np.sqrt(np.mean(np.square(photo.pixels.astype(float) - PHOTO.pixels))))


SPOILT = (
    ({"noise": 60}, 0.4),
    ({"blur": 5}, 0.95),
    ({"jpeg_quality": 10}, 0.96),
)


@pytest.mark.parametrize(("settings", "share"), SPOILT)
def test_the_picture_comes_nearer_to_what_it_was(settings, share):
    spoilt = Perturbation(**settings).apply(PHOTO)
    result = restored(spoilt, **settings)
    assert error(result) < share * error(spoilt)
    assert (result.name, result.notes) == (PHOTO.name, (*spoilt.notes, "restored"))


def test_several_are_undone_one_after_the_other_from_the_file_back_to_the_lens():
    settings = {"jpeg_quality": 30, "noise": 20, "blur": 3}
    spoilt = Perturbation(**settings).apply(PHOTO)
    one_by_one = spoilt
    for name, value in settings.items():
        one_by_one = restored(one_by_one, **{name: value})
    assert np.array_equal(restored(spoilt, **settings).pixels, one_by_one.pixels)


@pytest.mark.parametrize(
    "settings", [{}, {"noise": 20}, {"blur": 4}, {"jpeg_quality": 30}]
)
def test_a_plain_picture_of_any_size_stays(settings):
    # JPEG stores a level of 120 as 121; noise is larger than all that black has.
    small, uneven = np.full((3, 5, 3), 3, np.uint8), np.full((47, 7, 3), 120, np.uint8)
    for plain in (FLAT, Photo.from_array(small), Photo.from_array(uneven)):
        np.testing.assert_allclose(
            restored(plain, **settings).pixels, plain.pixels, atol=1
        )


def test_noise_on_a_plain_picture_goes_nearly_whole():
    noisy = Perturbation(noise=20).apply(FLAT)
    left = restored(noisy, noise=20).pixels.astype(float) - 120
    # One coefficient of 140 in a block of 64 is beyond 2.7 standard deviations.
    assert left.std() < 20 / 5


@pytest.mark.parametrize("deviation", [20, 40, 90])
def test_the_deviation_of_noise_is_read_where_much_is_cut_off_as_well(deviation):
    for columns, level in ((0, 0), (400, 255), (400, 0)):
        pixels = PHOTO.pixels.copy()
        pixels[:, :columns] = level
        noisy = Perturbation(noise=deviation).apply(Photo.from_array(pixels))
        assert noise_deviation(noisy.pixels) == pytest.approx(deviation, rel=0.15)


@pytest.mark.parametrize("radius", [2, 4, 6])
@pytest.mark.parametrize("contrast", [1, 0.3])
def test_the_radius_of_a_blur_is_read_whatever_the_contrast(radius, contrast):
    soft = Perturbation(blur=radius, contrast=contrast).apply(PHOTO)
    assert blur_radius(soft.pixels) == pytest.approx(radius, rel=0.15)


def test_a_flat_picture_has_neither_noise_nor_edges():
    assert noise_deviation(FLAT.pixels) == 0
    assert 0 < blur_radius(FLAT.pixels) <= 10


RAMP = np.tile(np.arange(101, dtype=np.uint8), (4, 1))


def test_added_levels_and_factors_are_undone():
    photo = Photo.from_array(RAMP)
    changed = Photo.from_array(2 * RAMP + np.uint8(20))
    back = relevelled(changed, end_levels(photo.pixels))
    assert np.abs(back.pixels.astype(int) - photo.pixels).max() <= 2
    assert back.notes[-1] == "levels corrected"


def test_a_picture_of_hardly_more_than_one_value_is_moved_alone():
    pixels = np.full((10, 10), 50, np.uint8)
    pixels[0, 0] = 60
    moved = relevelled(Photo.from_array(pixels), (10, 200)).pixels
    assert set(moved.ravel().tolist()) == {10, 20}


def test_where_the_middle_alone_is_dark_a_power_lifts_it_and_leaves_white():
    pixels = np.full((20, 20, 3), 30, np.uint8)
    pixels[:2] = 255
    for version, level in zip(brightened(pixels, 0), (80, 105), strict=True):
        assert (version[:2] == 255).all()
        assert (version[2:] == level).all()
    black = pixels // 255 * 255
    np.testing.assert_array_equal(brightened(black, 0), [black] * 2)
    # Where all is dark, there are three other versions.
    versions = [each[[0, -1], 0, 0].tolist() for each in brightened(pixels // 3, 0)]
    # 10 and 85 levels, in proportion or from 31 on.
    assert versions == [[204, 24], [160, 19], [204, 31]]
    assert len(brightened(0 * pixels, 0)) == 3
    spread = [end_levels(each) for each in contrasted(RAMP[..., None].repeat(3, 2), 0)]
    np.testing.assert_allclose(spread, [(31, 204), (31, 170), (60, 190)], atol=1)


def test_of_noise_and_blur_a_smaller_and_a_larger_part_is_taken_out():
    less, more, *_ = cleaned(PHOTO.pixels, 20)
    twice, sharp, shrunk = deblurred(PHOTO.pixels, 5)
    mask = ImageFilter.UnsharpMask(radius=3, percent=200, threshold=0)
    once = Image.fromarray(PHOTO.pixels).filter(mask)
    np.testing.assert_array_equal(twice, once.filter(mask))
    *_, small = smoothed(restored(PHOTO, blur=4).pixels, 30)
    np.testing.assert_array_equal(shrunk, small)
    for version, amount in (
        (less, {"noise": 8}),
        (more[:, ::-1], {"noise": 14}),
        (sharp, {"blur": 5}),
    ):
        np.testing.assert_array_equal(version, restored(PHOTO, **amount).pixels)


def test_a_cast_is_undone_by_edges_by_means_and_half_way():
    # Edges of 40, 80 and 80 levels, whose geometric mean is 63.5; means of 20, 40 and 80.
    halves = np.zeros((32, 32, 3), np.uint8)
    halves[:, 16:] = 40, 80, 80
    halves[..., 2] += 40
    gains = np.array([[1.587, 0.794, 0.794], [2, 1, 0.5], [1.26, 0.891, 0.891]])
    for version, gain in zip(balanced(halves, 0), gains, strict=True):
        np.testing.assert_allclose(version[0, -1], gain * [40, 80, 120], atol=0.6)


def test_noise_is_taken_out_and_a_plain_picture_stays():
    plain = np.full((9, 9, 3), 120, np.uint8)
    speck = plain.copy()
    speck[4, 4] = 255
    for pixels in (plain, speck):
        result = denoised(Photo(pixels, "one"))
        assert np.array_equal(result.pixels, plain)
        assert (result.name, result.notes[-1]) == ("one", "noise taken out")
    # What has three pixels a side is no noise.
    speck[3:6, 3:6] = 255
    assert denoised(Photo(speck)).pixels.max() > 200


def test_a_shrunk_image_lies_amid_its_mirror_images():
    pixels = np.random.default_rng(0).integers(0, 256, (10, 20, 3), dtype=np.uint8)
    *_, shrunk = smoothed(pixels, 30)
    small = Image.fromarray(pixels).resize((14, 7), Image.Resampling.BICUBIC)
    mirrored = np.pad(small, ((1, 2), (3, 3), (0, 0)), "symmetric")
    np.testing.assert_array_equal(shrunk, mirrored)
