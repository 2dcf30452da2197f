"""The profile of training images, by hand; the distances themselves are in `test_said.py`."""

from dataclasses import replace

import numpy as np
import pytest

from kit.classifier.first_layers import FirstLayers
from kit.robustness.profile import Gaussian, Profile, layer_divergences, split_moments

KNOWN = FirstLayers(b"", (2,), np.array([1.0, 0.0]), np.array([4.0, 1.0]), epsilon=0.0)


def test_layers_that_were_constant_in_training_count_by_what_is_added():
    constant = replace(KNOWN, variances=np.zeros(2), epsilon=1.0)
    assert layer_divergences(np.array([3.0, 0, 9, 0]), constant, 0.1) == [1]
    # Of the three that varied, one has a mean of 2 instead of 0, and a variance of 1 + 1: 2**2 / 2 / 2.
    few = FirstLayers(b"", (4,), np.zeros(4), np.array([0.0, 1, 1, 9]), epsilon=1.0)
    moments = np.array([5.0, 2, 0, 0, 25, 5, 1, 9])
    assert layer_divergences(moments, few, 0.5) == pytest.approx(1 / 3)


def test_a_profile_takes_the_place_of_moving_averages():
    profile = np.array([[0.0, 0, 5, 1], [0, 0, 5, 1], [3, 0, 5, 1]])
    layers = replace(KNOWN, means=None, variances=None, profile=profile)
    mean = np.array([1.0, 0, 5, 1])
    np.testing.assert_allclose(layer_divergences(mean, layers), [0.0], atol=1e-12)


def test_a_value_without_places_has_no_contrast_to_judge():
    # As of a dense layer, measured in float32: what is left of the variance is rounding.
    values = np.random.default_rng(3).normal(500, 100, 50).astype(np.float32)
    rows = np.stack([values, values**2], axis=1).astype(np.float64)
    known = Profile.of(rows, rows[:, :0], (1,))
    assert known.gaussian.scale.shape == (1,)
    assert known.distances(np.array([[500.0, 500.0**2]]), rows[:1, :0])[0] < 0.1
    # Rounding leaves less than nothing of a variance.
    assert split_moments(np.array([3.0, 8.9]), (1,))[2] == 0


def test_values_that_vary_by_rounding_alone_take_no_part():
    random = np.random.default_rng(1)
    rows = np.stack([random.normal(0, 9, 400), random.normal(1, 5e-9, 400)], axis=1)
    assert Gaussian.of_rows(rows).columns.tolist() == [True, False]
