"""Counting against scipy, and shares of values against what they say."""

import math

import numpy as np
from scipy import stats

from kit import samples
from kit.perturbation import physics
from kit.perturbation.physics import steps

CAT = samples.photos("photographs")[0].pixels


def grey(level, side=300):
    return np.full((side, side, 3), level, np.uint8)


def test_white_balance_moves_red_and_blue_apart():
    pixels = np.array([[[100, 100, 100], [200, 10, 3]]], np.uint8)
    assert physics.white_balance(pixels, 0.5).tolist() == [[[141, 100, 71], [255, 10, 2]]]
    assert physics.white_balance(pixels, -1.0).tolist() == [[[50, 100, 200], [100, 10, 6]]]


def test_counts_are_poisson_quantiles():
    field = steps(0, "test", 40_000)
    rank = stats.norm.cdf(field / 4096)
    # Exact below 30, an expansion above, which may be off by one where a quantile falls between two counts.
    for mean, wrong in [(0.0, 0), (0.02, 0), (1.0, 0), (7.3, 0), (29.9, 0), (30.1, 0.01), (400.0, 0.01)]:
        counts = physics.poisson(np.zeros(field.size, np.uint8), np.full(256, mean), field)
        expected = stats.poisson.ppf(rank, mean) if mean else np.zeros(field.size)
        assert (counts != expected).mean() <= wrong, mean
        assert np.abs(counts - expected).max() <= 1


def test_each_value_is_counted_at_its_own_level():
    pixels = np.arange(256, dtype=np.uint8).repeat(3 * 400).reshape(-1, 400, 3)
    noisy = physics.shot_noise(pixels, 30.0, 1).reshape(256, -1).astype(float)
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
    assert set(np.unique(physics.shot_noise(CAT, 255 / math.sqrt(3)))) == {0, 85, 170, 255}


def test_impulses_are_the_stated_share_half_black_half_white_and_nested():
    lost = {}
    for share in (0.03, 0.27, 1):
        noisy = physics.impulse_noise(grey(100), share, 3)
        lost[share] = noisy != 100
        count = noisy.size
        for level in (0, 255):
            allowed = 5 * math.sqrt(share / 2 * (1 - share / 2) / count) + 1e-4
            assert abs((noisy == level).mean() - share / 2) < allowed
    assert (lost[0.27] >= lost[0.03]).all()
    assert lost[1].all()


def test_a_step_of_a_noise_slider_is_small():
    weak, strong = (physics.shot_noise(CAT, deviation, 1).astype(float) for deviation in (20.0, 20.2))
    assert np.abs(strong - weak).mean() < 1  # less than a count, which is 1.6 levels
    one, two = (physics.impulse_noise(CAT, share, 1) for share in (0.10, 0.11))
    assert abs((one != two).mean() - 0.01) < 0.002
