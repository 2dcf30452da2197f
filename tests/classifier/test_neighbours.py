"""What is kept of training images keeps them as far apart as they are."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from kit import Photo
from kit.classifier.neighbours import Nearest, Neighbour, Neighbours, described
from tests.pictures import picture

PHOTOS = [
    Photo.from_array(picture((30, 20), seed=seed), f"{seed}.png") for seed in range(6)
]
ROWS = np.eye(3, dtype=np.float32)[[0, 1, 2, 2, 1, 0]]


def test_of_many_channels_the_strongest_directions_and_what_is_beside_them_are_kept():
    random = np.random.default_rng(0)
    # All but noise lies in 39 of 60 directions, which are no axes.
    axes, _ = np.linalg.qr(random.normal(size=(60, 60)))
    features = random.normal(size=(6, 39)) @ axes[:39] + 0.01 * random.normal(
        size=(6, 60)
    )
    kept = described(PHOTOS, ROWS, features.astype(np.float32), thumbnails=True)
    assert kept["features"].shape == (6, 40)
    np.testing.assert_allclose(
        np.linalg.norm(kept["features"], axis=1),
        np.linalg.norm(features, axis=1),
        rtol=2e-3,
    )
    neighbours = Neighbours(kept, 60, 3)
    apart = neighbours.distances(features.astype(np.float32))
    expected = cdist(features, features)
    np.testing.assert_allclose(apart, expected, atol=0.05)
    nearest = np.sort(expected, axis=1)[:, :5].mean(axis=1)
    assert neighbours.scores(features.astype(np.float32)) == pytest.approx(
        nearest, abs=0.05
    )
    assert neighbours.names == [photo.name for photo in PHOTOS]
    assert neighbours.predicted.tolist() == [0, 1, 2, 2, 1, 0]
    # The middle of an image, in 48 pixels a side.
    whole = PHOTOS[0].pixels[5:25].mean(axis=(0, 1))
    assert neighbours.thumbnails.shape == (6, 48, 48, 3)
    assert neighbours.thumbnails[0].mean(axis=(0, 1)) == pytest.approx(whole, abs=3)


def test_what_is_nearest_is_told_in_a_sentence_and_a_table():
    few = tuple(
        Neighbour(f"{place}.png", name, place / 4) for place, name in enumerate("abbab")
    )
    nearest = Nearest("x.png", "a", few, np.zeros((0, 48, 48, 3), np.uint8))
    words = "2 of the 5 nearest training images are predicted as this class"
    assert nearest.text().splitlines() == [
        f"Nearest('x.png', predicted 'a'; {words}: doubt this prediction)",
        "training image  predicted as  distance",
        "0.png           a                  0.0",
        "1.png           b                  0.2",
        "2.png           b                  0.5",
        "3.png           a                  0.8",
        "4.png           b                  1.0",
    ]
    assert "doubt" not in repr(Nearest("x.png", "b", few, nearest.thumbnails))
    foreign = Nearest("x.png", "a", few, nearest.thumbnails, foreign=True)
    assert "with another preprocessing: call with_reference again)" in repr(foreign)
