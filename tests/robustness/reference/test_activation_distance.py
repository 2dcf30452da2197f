"""The divergence is the textbook's."""

from dataclasses import replace

import numpy as np
import pytest

import kit
from kit.classifier.first_layers import FirstLayers
from kit.diagnosis.candidates import Evaluator
from kit.robustness.profile import distances

KNOWN = FirstLayers(b"", (2,), np.array([1.0, 0.0]), np.array([4.0, 1.0]), epsilon=0.0)


def test_statistics_of_training_have_no_distance():
    moments = np.array([1.0, 0.0, 5.0, 1.0])  # means, then mean squares: variance plus squared mean
    np.testing.assert_allclose(distances(moments, KNOWN), [0.0], atol=1e-12)


def test_distance_is_the_divergence_of_normal_distributions_averaged_over_channels():
    # First: mean 3 instead of 1, variance 4: (3 - 1)**2 / 4 / 2 = 0.5. Second: variance e instead of 1.
    moments = np.array([3.0, 0.0, 13.0, np.e])
    np.testing.assert_allclose(distances(moments, KNOWN), [(0.5 + (np.e - 2) / 2) / 2])


def test_a_profile_takes_the_place_of_moving_averages():
    profile = np.array([[1.0, 0.0, 5.0, 1.0], [1.0, 0.0, 5.0, 1.0]])
    layers = replace(KNOWN, means=None, variances=None, profile=profile)
    np.testing.assert_allclose(distances(profile[0], layers), [0.0], atol=1e-12)
    with pytest.raises(ValueError, match="statistics of training pictures"):
        distances(profile[0], replace(layers, profile=None))


def test_the_evaluator_prepares_pictures_exactly_as_the_preprocessing_does():
    classifier = kit.samples.classifier("efficientnet_lite0")
    photos = kit.samples.photos("imagenet")[:2]
    evaluator = Evaluator(classifier, None)
    for fault in kit.faults.CATALOGUE.values():
        changed = fault.apply(classifier.preprocessing)
        expected = np.concatenate([changed.apply(photo) for photo in photos])
        np.testing.assert_array_equal(evaluator.tensors(photos, changed), expected, err_msg=fault.name)
