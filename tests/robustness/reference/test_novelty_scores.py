"""Scores of how unlike the training pictures a picture is, beside scipy and by hand."""

import numpy as np
import pytest
from scipy.spatial.distance import mahalanobis
from scipy.special import logsumexp

import kit
from kit.classifier.activations.intermediate import IntermediateOutputs
from kit.classifier.runtime.engine import LiteEngine
from kit.robustness.reference.activation_distance import distances
from kit.robustness.reference.gaussian import Gaussian
from kit.robustness.reference.novelty_scores import combined, energy, statistics


def test_energy_is_minus_the_logarithm_of_summed_exponentials():
    logits = np.array([[0.0, 0.0], [1000.0, 0.0], [-3.0, 2.0]])
    np.testing.assert_allclose(energy(logits), -logsumexp(logits, axis=1))
    assert energy(logits)[0] == pytest.approx(-np.log(2))


def test_probability_and_batchnorm_are_those_of_the_classifier(fashion, novelty, others):
    few = others[:5]
    tensors = np.concatenate([fashion.tensor(photo) for photo in few])
    moments = LiteEngine(fashion.first_layers.compiled, threads=1).predict(tensors).astype(np.float64)
    scores = novelty.scores(few)
    np.testing.assert_allclose(scores["probability"], 1 - fashion.probabilities(few).max(axis=1), atol=1e-6)
    np.testing.assert_allclose(scores["batchnorm"], distances(moments, fashion.first_layers).mean(axis=1))


def test_statistics_are_signed_square_roots_of_means_and_deviations():
    rows = [np.array([row], np.float32) for row in ([4, -9], [1, 16])]
    found = IntermediateOutputs(np.zeros((1, 2), np.float32), None, *rows)
    np.testing.assert_array_equal(statistics(found), [[2, -3, 1, 4]])


def test_features_are_the_mahalanobis_distance_to_the_nearest_class():
    random = np.random.default_rng(2)
    classes = np.repeat([0, 1], 200)
    values = random.normal(size=(400, 3)) @ random.normal(size=(3, 3)) + 5 * classes[:, None]
    means = [values[classes == each].mean(axis=0) for each in (0, 1)]
    around = values - np.array(means)[classes]
    covariance = around.T @ around / 400
    # A thousandth of the mean variance is added to every variance.
    inverse = np.linalg.inv(covariance + 1e-3 * np.trace(covariance) / 3 * np.eye(3))
    places = random.normal(size=(6, 3))

    received = Gaussian.of_classes(values, classes).distances(places)

    expected = [min(mahalanobis(place, mean, inverse) for mean in means) ** 2 for place in places]
    np.testing.assert_allclose(received, expected, rtol=1e-5)


def test_with_few_pictures_each_statistic_is_weighed_by_itself():
    values = np.array([[0.0, 0.0], [2.0, 20.0]]).repeat(9, axis=0)
    features = Gaussian.of_classes(values, np.arange(18) % 2)
    # Variances 1 and 100; a thousandth of their mean is added to both.
    expected = 4 / (1 + 0.0505) + 400 / (100 + 0.0505)
    np.testing.assert_allclose(features.distances(np.array([[3.0, 30.0]])), [expected], rtol=1e-6)
    assert features.packed()["whitening"].shape == (2,)
    assert features.means.shape == (1, 2)


def test_a_covariance_needs_ten_pictures_a_statistic_and_a_class_ten_of_its_own():
    values = np.random.default_rng(0).normal(size=(40, 2))
    for count, second, whitening, means in [(19, 9, 2, 1), (20, 10, 3, 2), (40, 9, 3, 1), (40, 10, 3, 2)]:
        features = Gaussian.of_classes(values[:count], (np.arange(count) < second).astype(int))
        assert (features.packed()["whitening"].size, len(features.means)) == (whitening, means)


def test_each_class_has_a_mean_of_its_own(novelty):
    assert novelty.features.means.shape == (10, 160)
    assert len(np.unique(novelty.features.means, axis=0)) == 10
    for values in novelty.held_back.values():
        assert (np.diff(values) >= 0).all()


def test_the_first_score_that_a_network_allows_decides(fashion):
    some = np.arange(3, dtype=np.float32)
    names = ["probability", "batchnorm", "energy", "features", "combined"]
    for count, name in enumerate(names, start=1):
        assert kit.Novelty(fashion, dict.fromkeys(names[:count], some)).method == name


def test_a_distance_needs_twenty_training_pictures(fashion, held_back, others):
    few, enough = (kit.fit_novelty(fashion, held_back[:count], others[:19]) for count in (19, 20))
    assert (few.method, few.features) == ("energy", None)
    assert enough.method == "combined"


def test_combined_adds_exponentials_of_standardized_scores():
    held = {"energy": np.array([1.0, 5.0]), "features": np.exp([0.0, 6.0])}
    # Means 3 and 3, deviations 2 and 3: the standardized scores are 3 and 4.
    received = combined({"energy": np.array([9.0]), "features": np.exp([15.0])}, held)
    np.testing.assert_allclose(received, [np.log(np.exp(3) + np.exp(4))])
