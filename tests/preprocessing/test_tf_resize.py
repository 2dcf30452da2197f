"""TensorFlow itself is the ground truth."""

import numpy as np
import pytest

from kit.preprocessing.resizing import resize
from tests.pictures import picture

SIZES = [
    ((150, 200), (64, 64)),
    ((37, 53), (90, 101)),
    ((301, 99), (57, 31)),
    ((64, 64), (64, 64)),
    ((1, 9), (4, 4)),
]


@pytest.fixture(scope="module")
def tensorflow():
    import tensorflow  # noqa: ICN001, PLC0415  only the tests of this file need it

    return tensorflow


@pytest.mark.parametrize(("source", "target"), [*SIZES, ((512, 512), (224, 224))])
@pytest.mark.parametrize("method", ["nearest", "bilinear", "bicubic"])
def test_equals_tensorflow_bit_for_bit(tensorflow, method, source, target):
    expected = tensorflow.image.resize(picture(source), target, method=method).numpy()
    result = resize(picture(source), target, f"tf_{method}")
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize(("source", "target"), SIZES)
@pytest.mark.parametrize("method", ["bilinear", "bicubic"])
def test_equals_antialiasing_tensorflow(tensorflow, method, source, target):
    expected = tensorflow.image.resize(picture(source), target, method=method, antialias=True).numpy()
    np.testing.assert_allclose(resize(picture(source), target, f"tf_{method}_antialias"), expected, atol=1e-3)


@pytest.mark.parametrize(("source", "target"), SIZES)
@pytest.mark.parametrize("option", [{}, {"crop_to_aspect_ratio": True}, {"pad_to_aspect_ratio": True}])
def test_equals_the_resizing_layer_of_keras_bit_for_bit(option, source, target):
    import keras  # noqa: PLC0415  only the tests of this file need it

    fit = {"crop_to_aspect_ratio": "crop", "pad_to_aspect_ratio": "pad"}.get(next(iter(option), ""), "squash")
    for method in ("nearest", "bilinear", "bicubic"):
        layer = keras.layers.Resizing(*target, interpolation=method, **option)
        expected = np.asarray(layer(picture(source).astype(np.float32)))
        np.testing.assert_array_equal(resize(picture(source), target, f"tf_{method}", fit), expected)


def test_nearest_takes_tensorflows_pixel_where_pillow_takes_another(tensorflow):
    column = np.arange(512, dtype=np.int64).astype(np.uint8)[:, None, None]
    expected = tensorflow.image.resize(column, (224, 1), method="nearest").numpy()
    np.testing.assert_array_equal(resize(column, (224, 1), "tf_nearest"), expected)
    assert not np.array_equal(resize(column, (224, 1), "nearest"), expected)


def test_without_antialiasing_pixels_are_skipped():
    stripes = np.zeros((1, 8, 1), np.uint8)
    stripes[:, 3] = 255
    assert resize(stripes, (1, 2), "tf_bilinear").ravel().tolist() == [0, 0]
    assert resize(stripes, (1, 2), "tf_bilinear_antialias").ravel().min() > 0
