"""Training images: what is kept of them, and what is said of those that an image is nearest to."""

import numpy as np

from kit import Classifier, Preprocessing
from kit.classifier.neighbours import Nearest, Neighbour, Neighbours, projected
from kit.images.photo import Photo
from tests import networks
from tests.pictures import picture
from tests.refusals import refused


def test_along_the_directions_that_are_kept_and_beside_them_a_feature_is_as_long():
    random = np.random.default_rng(0)
    basis, _ = np.linalg.qr(random.normal(size=(6, 2)))
    features = random.normal(size=(4, 6))
    features[0] = basis[:, 0]  # nothing lies beside
    kept = projected(features, basis)
    np.testing.assert_allclose(kept[:, :2], features @ basis)
    lengths = np.linalg.norm(features, axis=1)
    np.testing.assert_allclose(np.linalg.norm(kept, axis=1), lengths)


def test_as_many_images_are_kept_as_may_be(monkeypatch):
    monkeypatch.setattr("kit.classifier.neighbours.MOST_KEPT", 3)

    def kept(count):
        arrays = {
            "features": np.ones((count, 2)),
            "predicted": np.zeros(count),
            "names": np.frombuffer(b"\0".join([b"a"] * count), np.uint8),
        }
        return Neighbours(arrays, channels=2, classes=1)

    assert len(kept(3).names) == 3
    with refused("Expected what is kept of training images"):
        kept(4)


def test_a_network_of_one_output_knows_its_training_images():
    keras = networks.imported_keras()
    body = keras.layers.Conv2D(4, 3), keras.layers.GlobalAveragePooling2D()
    # Of any image the sigmoid of 1, which is the second class.
    last = keras.layers.Dense(
        1, "sigmoid", kernel_initializer="zeros", bias_initializer="ones"
    )
    model = networks.stacked((8, 8, 3), *body, last)
    photos = [
        Photo.from_array(picture((8, 8), seed=place), name)
        for place, name in enumerate("abc")
    ]
    classifier = Classifier(model, Preprocessing((8, 8))).with_reference(photos)
    for photo in photos:
        assert classifier.nearest(photo, 1).neighbours[0].name == photo.name


def test_what_is_nearest_is_told_in_a_sentence_and_a_table():
    few = tuple(
        Neighbour(f"{place}.png", name, place / 4) for place, name in enumerate("abbab")
    )
    nearest = Nearest("x.png", "a", few, np.zeros((0, 48, 48, 3), np.uint8))
    words = "the same is predicted for 2 of the 5 nearest training images"
    assert nearest.text().splitlines() == [
        f"x.png is predicted as a; {words}: doubt this prediction.",
        "training image  predicted as  distance",
        "0.png           a                  0.0",
        "1.png           b                  0.2",
        "2.png           b                  0.5",
        "3.png           a                  0.8",
        "4.png           b                  1.0",
    ]
    assert "doubt" not in repr(Nearest("x.png", "b", few, nearest.thumbnails))
