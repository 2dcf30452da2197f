"""Light, counting and resolution against scipy, colorsys and Pillow."""

import colorsys
import math

import numpy as np
from PIL import Image
from scipy import stats

from kit import samples
from kit.perturbation import sensor
from kit.perturbation.random_fields import steps

CAT = samples.photos("photographs")[0].pixels


def grey(level, side=300):
    return np.full((side, side, 3), level, np.uint8)


def test_lift_adds_to_the_value_of_hsv():
    colours = np.random.default_rng(0).integers(0, 256, (1, 500, 3)).astype(np.uint8)
    colours[0, :4] = [[0, 0, 0], [255, 255, 255], [9, 0, 0], [255, 0, 1]]
    for levels in (-60.0, 25.5, 127.5):
        expected = []
        for red, green, blue in colours[0] / 255:
            hue, saturation, value = colorsys.rgb_to_hsv(red, green, blue)
            value = min(1, max(0, value + levels / 255))
            expected.append(np.multiply(colorsys.hsv_to_rgb(hue, saturation, value), 255))
        np.testing.assert_allclose(sensor.lift(colours, levels)[0], expected, atol=0.501)


def test_white_balance_moves_red_and_blue_apart():
    pixels = np.array([[[100, 100, 100], [200, 10, 3]]], np.uint8)
    assert sensor.white_balance(pixels, 0.5).tolist() == [[[141, 100, 71], [255, 10, 2]]]
    assert sensor.white_balance(pixels, -1.0).tolist() == [[[50, 100, 200], [100, 10, 6]]]


def test_fade_draws_each_channel_to_its_own_mean():
    pixels = np.array([[[0, 100, 50], [200, 100, 150]]], np.uint8)
    assert sensor.fade(pixels, 0.9).tolist() == [[[90, 100, 95], [110, 100, 105]]]
    assert sensor.fade(pixels, 1.0).tolist() == [[[100, 100, 100], [100, 100, 100]]]


def test_counts_are_poisson_quantiles():
    field = steps(0, "test", 40_000)
    rank = stats.norm.cdf(field / 4096)
    # Exact below 30, an expansion above, which may be off by one where a quantile falls between two counts.
    for mean, wrong in [(0.0, 0), (0.02, 0), (1.0, 0), (7.3, 0), (29.9, 0), (30.1, 0.01), (400.0, 0.01)]:
        counts = sensor.poisson(np.zeros(field.size, np.uint8), np.full(256, mean), field)
        expected = stats.poisson.ppf(rank, mean) if mean else np.zeros(field.size)
        assert (counts != expected).mean() <= wrong, mean
        assert np.abs(counts - expected).max() <= 1


def test_each_value_is_counted_at_its_own_level():
    pixels = np.arange(256, dtype=np.uint8).repeat(3 * 400).reshape(-1, 400, 3)
    noisy = sensor.shot_noise(pixels, 30.0, 1).reshape(256, -1).astype(float)
    levels = np.arange(256)
    middle = slice(20, 180)  # not clipped
    assert np.abs(noisy.mean(axis=1) - levels)[middle].max() < 5 * 30 / math.sqrt(1200)
    # The variance is proportional to the light: 30**2 at 255.
    share = noisy.var(axis=1)[middle] / (900 * levels[middle] / 255)
    assert abs(share.mean() - 1) < 0.02
    assert np.abs(share - 1).max() < 0.25
    assert (noisy[0] == 0).all()


def test_few_photons_leave_few_levels():
    # 3 photons at white: 0, 85, 170 and 255.
    assert set(np.unique(sensor.shot_noise(CAT, 255 / math.sqrt(3)))) == {0, 85, 170, 255}


def test_impulses_are_the_stated_share_half_black_half_white_and_nested():
    lost = {}
    for share in (0.03, 0.27, 1):
        noisy = sensor.impulse_noise(grey(100), share, 3)
        lost[share] = noisy != 100
        count = noisy.size
        for level in (0, 255):
            allowed = 5 * math.sqrt(share / 2 * (1 - share / 2) / count) + 1e-4
            assert abs((noisy == level).mean() - share / 2) < allowed
    assert (lost[0.27] >= lost[0.03]).all()
    assert lost[1].all()


def test_a_step_of_a_noise_slider_is_small():
    weak, strong = (sensor.shot_noise(CAT, deviation, 1).astype(float) for deviation in (20.0, 20.2))
    assert np.abs(strong - weak).mean() < 1  # less than a count, which is 1.6 levels
    one, two = (sensor.impulse_noise(CAT, share, 1) for share in (0.10, 0.11))
    assert abs((one != two).mean() - 0.01) < 0.002


def test_resolution_is_lost_as_pillow_resizes():
    image = Image.fromarray(CAT)
    width, height = image.size
    small = image.resize((width // 4, height // 4), Image.Resampling.BICUBIC)
    expected = np.asarray(small.resize((width, height), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(sensor.downscale(CAT, 4.0), expected)
    blocks = sensor.pixelate(CAT[:200, :300], 10.0)
    means = CAT[:200, :300].reshape(20, 10, 30, 10, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(blocks[::10, ::10], means, atol=1)  # rounded once across and once down
    np.testing.assert_array_equal(blocks, blocks[::10, ::10].repeat(10, 0).repeat(10, 1))


def test_a_picture_smaller_than_a_block_becomes_one():
    pixels = CAT[:5, :7]
    assert (sensor.pixelate(pixels, 32.0) == sensor.pixelate(pixels, 32.0)[0, 0]).all()
    assert sensor.downscale(pixels, 16.0).shape == pixels.shape
