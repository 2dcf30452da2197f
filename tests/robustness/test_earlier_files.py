"""Files that an earlier version wrote, with other names inside, open with the results that it gave."""

import json
from pathlib import Path

import numpy as np
import pytest

import kit
from kit.classifier.first_layers import tensor_features
from kit.images.properties import QUANTITIES
from kit.robustness.profile import Profile, distances

DATA = Path(__file__).parents[1] / "data"
EXPECTED = json.loads((DATA / "earlier.json").read_text())
PHOTOS = kit.samples.photos("fashion_mnist")[:3]


@pytest.fixture(scope="module", params=list(EXPECTED))
def name(request):
    return request.param


@pytest.fixture(scope="module")
def classifier(name):
    return kit.Classifier.load(DATA / f"{name}.keras")


def same(received, expected):
    np.testing.assert_allclose(np.ravel(received), np.ravel(expected), rtol=1e-4, atol=1e-6)


def test_the_network_answers_as_it_did(name, classifier):
    assert classifier.notes == ()
    assert classifier.temperature == EXPECTED[name]["temperature"]
    same(classifier.probabilities(PHOTOS), EXPECTED[name]["probabilities"])


def test_training_is_as_far_away_as_it_was(name, classifier):
    tensors = np.concatenate([classifier.tensor(photo) for photo in PHOTOS])
    moments = classifier.first_layers.measure(tensors)
    same(distances(moments, classifier.first_layers), EXPECTED[name]["distances"])
    profile = Profile.of(classifier.first_layers)
    same(profile.distances(moments, tensor_features(tensors)), EXPECTED[name]["profile"])
    same(profile.limit, EXPECTED[name]["limit"])


def test_properties_of_the_training_pictures_are_those_that_were_measured(name, classifier):
    known = classifier.reference.properties
    assert known.count == EXPECTED[name]["pictures"]
    means = dict(zip(QUANTITIES, np.nan_to_num(known.rows.mean(axis=0), nan=-1), strict=True))
    assert list(means) == list(EXPECTED[name]["properties"])
    same(list(means.values()), list(EXPECTED[name]["properties"].values()))


def test_what_they_know_travels_on(classifier, tmp_path):
    classifier.save(tmp_path / "again.keras")
    again = kit.Classifier.load(tmp_path / "again.keras")
    assert again.reference.contents.keys() == classifier.reference.contents.keys()
    assert again.temperature == classifier.temperature
