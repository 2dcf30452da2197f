"""Augmentation, beside what is worked out by hand."""

import numpy as np
import pytest

from kit.robustness.adaptation import Augmentation

PICTURES = np.random.default_rng(0).integers(0, 256, (200, 6, 7, 3), dtype=np.uint8)


def changed(pictures=PICTURES, seed=1, **settings):
    return Augmentation(**settings)(pictures, np.random.default_rng(seed))


def test_nothing_asked_for_changes_nothing_and_copies():
    result = changed()
    assert np.array_equal(result, PICTURES)
    assert not np.shares_memory(result, PICTURES)


def test_fixed_bounds_give_a_factor_and_levels_in_that_order():
    grey = np.array([0, 100, 200], np.uint8).reshape(1, 1, 3, 1)
    assert changed(grey, brightness=(0.5, 0.5), added=(80, 80)).ravel().tolist() == [
        80,
        130,
        180,
    ]
    assert changed(grey, added=(80, 80)).ravel().tolist() == [80, 180, 255]
    # Clipped once, at the end: 400 - 200 is 200.
    assert changed(grey, brightness=(2, 2), added=(-200, -200)).ravel().tolist() == [
        0,
        0,
        200,
    ]


def test_factors_are_as_often_below_one_as_above():
    grey = np.full((2000, 1, 1, 1), 20, np.uint8)
    result = changed(grey, brightness=(0.1, 10)).ravel()
    assert (result.min(), result.max()) == (2, 200)
    assert (result > 20).mean() == pytest.approx(0.5, abs=0.05)


def test_levels_are_drawn_evenly_and_for_each_picture_by_itself():
    grey = np.full((2000, 1, 1, 1), 100, np.uint8)
    result = changed(grey, added=(-50, 50)).ravel()
    assert np.histogram(result, 10, (50, 150))[0] == pytest.approx(
        200, abs=5 * np.sqrt(200)
    )
    assert (result.min(), result.max()) == (50, 150)


def test_noise_is_drawn_up_to_its_highest_deviation_and_for_each_channel_by_itself():
    grey = np.full((400, 20, 20, 3), 128, np.uint8)
    noisy = changed(grey, noise=30).astype(float)
    deviations = noisy.std(axis=(1, 2, 3))
    # Evenly from 0 to 30: mean 15.
    assert deviations.mean() == pytest.approx(15, abs=1)
    assert deviations.max() < 33
    channels = noisy.reshape(-1, 3)
    correlations = np.corrcoef(channels.T)[np.triu_indices(3, 1)]
    assert np.abs(correlations).max() < 5 / np.sqrt(len(channels))
