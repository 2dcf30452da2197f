"""Closed-form statistics equal the real forward pass, and the divergence is the textbook's."""

from dataclasses import replace

import numpy as np
import pytest

import kit
from kit.classifier.activations.first_layers import Taps
from kit.diagnosis.search.evaluator import Evaluator
from kit.preprocessing.scaling import SCALINGS, affine
from kit.robustness.reference.activation_distance import distances, patches, stem_moments

TAPS = Taps(b"", (2,), np.array([1.0, 0.0]), np.array([4.0, 1.0]), epsilon=0.0)


def test_statistics_of_training_have_no_distance():
    moments = np.array([1.0, 0.0, 5.0, 1.0])  # means, then mean squares: variance plus squared mean
    np.testing.assert_allclose(distances(moments, TAPS), [0.0], atol=1e-12)


def test_distance_is_the_divergence_of_normal_distributions_averaged_over_channels():
    # First: mean 3 instead of 1, variance 4: (3 - 1)**2 / 4 / 2 = 0.5. Second: variance e instead of 1.
    moments = np.array([3.0, 0.0, 13.0, np.e])
    np.testing.assert_allclose(distances(moments, TAPS), [(0.5 + (np.e - 2) / 2) / 2])


def test_a_profile_takes_the_place_of_moving_averages():
    profile = np.array([[1.0, 0.0, 5.0, 1.0], [1.0, 0.0, 5.0, 1.0]])
    taps = replace(TAPS, means=None, variances=None, profile=profile)
    np.testing.assert_allclose(distances(profile[0], taps), [0.0], atol=1e-12)
    with pytest.raises(ValueError, match="statistics of training pictures"):
        distances(profile[0], replace(taps, profile=None))


@pytest.mark.parametrize("name", ["efficientnet_lite0", "fashion_mnist"])
def test_closed_form_equals_the_forward_pass_for_every_scaling_swap_and_inversion(name):
    classifier = kit.samples.classifier(name)
    taps = classifier.taps
    photos = kit.samples.photos("imagenet")[:2]
    evaluator = Evaluator(classifier, taps)
    plain = classifier.preprocessing.replace(scaling=())
    measured = patches(evaluator.tensors(photos, plain), taps.stem)
    gray = plain.channels == "gray"
    count = 1 if gray else 3
    for scaling in SCALINGS.values():
        if gray and any(part.channels for part in scaling):
            continue
        slope, offset = (np.broadcast_to(value, count) for value in affine(scaling))
        for channels in (plain.channels,) if gray else ("rgb", "bgr"):
            order = np.eye(count)[:: -1 if channels == "bgr" else 1]
            for invert in (False, True):
                changed = plain.replace(channels=channels, invert=invert, scaling=scaling)
                expected = evaluator.moments(photos, changed)[:, : 2 * taps.widths[0]]

                received = (
                    stem_moments(measured, taps.stem, -order * slope, 255 * slope + offset)
                    if invert
                    else stem_moments(measured, taps.stem, order * slope, offset)
                )

                np.testing.assert_allclose(received, expected, rtol=0, atol=2e-5 * np.abs(expected).max())


def test_the_evaluator_prepares_pictures_exactly_as_the_preprocessing_does():
    classifier = kit.samples.classifier("efficientnet_lite0")
    photos = kit.samples.photos("imagenet")[:2]
    evaluator = Evaluator(classifier, None)
    for fault in kit.faults.CATALOGUE.values():
        changed = fault.apply(classifier.preprocessing)
        expected = np.concatenate([changed.apply(photo) for photo in photos])
        np.testing.assert_array_equal(evaluator.tensors(photos, changed), expected, err_msg=fault.name)
