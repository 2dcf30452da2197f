"""Where a compiled network has its last feature map; what is in it, test_heatmap.py compares with Keras."""

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from kit.classifier.engines import LiteEngine
from kit.classifier.intermediate import with_feature_map
from tests import networks, zoo
from tests.refusals import refused


def test_threads_get_the_features_of_their_own_images(monkeypatch):
    engine = LiteEngine(
        with_feature_map(networks.compile_lite(networks.of_any_size()))[0], threads=1
    )
    images = [np.full((1, 12, 12, 3), level, np.float32) for level in range(4)]
    expected = [engine.inside(image)[1] for image in images]
    predict = engine.predict

    def predict_and_wait(tensors):
        rows = predict(tensors)
        time.sleep(0.05)  # for another thread to come between, if it may
        return rows

    monkeypatch.setattr(engine, "predict", predict_and_wait)
    with ThreadPoolExecutor(4) as pool:
        received = [features for _, features in pool.map(engine.inside, images)]
    assert all(map(np.array_equal, received, expected))


@pytest.mark.parametrize("content", [b"", b"TFL3 and no network", "dense"])
def test_what_has_no_feature_map_is_refused(content):
    if content == "dense":
        layers = networks.imported_keras().layers
        model = networks.stacked(
            (4, 4, 1), layers.Flatten(), layers.Dense(2, "softmax")
        )
        content = networks.compile_lite(model)
    with refused("Expected a compiled network with a feature map"):
        with_feature_map(content)


@pytest.mark.parametrize("kind", ["int8", "uint8"])
def test_the_features_of_a_network_of_whole_numbers_are_those_of_its_floats(kind):
    features, expected = (
        LiteEngine(with_feature_map(zoo.lite(each))[0], threads=1).inside(zoo.SAMPLE)[1]
        for each in (kind, "float32")
    )
    # Levels of 8 bits, of which a few add up.
    np.testing.assert_allclose(features, expected, atol=0.03 * np.ptp(expected))


def test_of_an_activation_behind_pooling_there_are_features_and_no_layers():
    layers = networks.imported_keras().layers
    model = networks.stacked(
        (6, 6, 3),
        layers.Conv2D(4, 3),
        layers.GlobalAveragePooling2D(),
        layers.ReLU(),
        layers.Dense(2, "softmax"),
    )
    with_map, behind = with_feature_map(networks.compile_lite(model))
    features = LiteEngine(with_map, threads=1).inside(
        np.ones((1, 6, 6, 3), np.float32)
    )[1]
    assert (features.shape, behind) == ((1, 4, 4, 4), ())
