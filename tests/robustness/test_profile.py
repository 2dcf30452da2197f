"""Distances from the profile of training images: the textbook's, and images that must lie far off."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.distance import mahalanobis

import kit
from kit.classifier.first_layers import FirstLayers
from kit.robustness.profile import Gaussian, Profile, layer_divergences, split_moments

KNOWN = FirstLayers(b"", (2,), np.array([1.0, 0.0]), np.array([4.0, 1.0]), epsilon=0.0)


@pytest.fixture(scope="module")
def hundred(clothes):
    return clothes[:100]


def away(evaluator, photos, **changes):
    preprocessing = evaluator.predictor.preprocessing.replace(**changes)
    moments = evaluator.moments(photos, preprocessing)
    return evaluator.training_profile.distances(
        moments, evaluator.features(photos, preprocessing)
    )


def learned(rows):
    """A profile of moments of one layer alone."""
    return Profile.of(rows, rows[:, :0], (rows.shape[1] // 2,))


def far(known, rows):
    return known.distances(rows, rows[:, :0])


def moments(mean, deviation):
    """One layer of one channel, as `FirstLayers.measure` gives it."""
    mean, deviation = np.asarray(mean, float), np.asarray(deviation, float)
    return np.stack([mean, mean**2 + deviation**2], axis=1)


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


def test_distance_is_mahalanobis_over_the_values_that_vary():
    random = np.random.default_rng(1)
    one = 6.0 * (random.random(400) < 0.4)
    # The second is three times the first, the third varies by rounding alone.
    second = 3 * one + random.normal(0, 0.3, 400)
    rows = np.stack([one, second, random.normal(1, 5e-9, 400)], axis=1)
    found = Gaussian.of_rows(rows)
    assert found.columns.tolist() == [True, True, False]
    along, across = np.array([[5.0, 15.0, 1.0], [5.0, 3.0, 1.0]])
    expected = (
        mahalanobis(
            along[:2], rows[:, :2].mean(axis=0), np.linalg.inv(np.cov(rows[:, :2].T))
        )
        ** 2
    )
    # Shrinking is slight with 400 images: 0.9 standard deviations along, 28 of the difference across.
    assert found.distances(along[None])[0] == pytest.approx(expected / 2, rel=0.1)
    assert found.distances(across[None])[0] > 100 * found.distances(along[None])[0]


def test_a_value_without_places_has_no_contrast_to_judge():
    # As of a dense layer, measured in float32: what is left of the variance is rounding.
    values = np.random.default_rng(3).normal(500, 100, 50).astype(np.float32)
    known = learned(np.stack([values, values**2], axis=1).astype(np.float64))
    assert known.gaussian.scale.shape == (1,)
    assert far(known, moments([500], [0]))[0] < 0.1
    # Rounding leaves less than nothing of a variance.
    assert split_moments(np.array([3.0, 8.9]), (1,))[2] == 0


def test_pictures_that_were_left_out_lie_as_far_off_as_others_of_their_kind(
    evaluator, hundred
):
    assert (
        0.8
        < (away(evaluator, hundred) <= evaluator.training_profile.limit).mean()
        < 0.98
    )


def test_a_picture_that_is_scaled_to_nothing_lies_far_off(evaluator, hundred):
    scaled_twice = kit.Preprocessing().replace(scaling="0..1").scaling * 2
    assert (
        away(evaluator, hundred, scaling=scaled_twice).min()
        > 4 * evaluator.training_profile.limit
    )
