"""What Keras and TensorFlow compute; all in one file, so that one process starts them."""

import inspect
import io

import numpy as np
import pytest
from PIL import Image

from kit._bundled import DATA
from kit.images.photo import Photo, load_image
from kit.preprocessing import Preprocessing
from kit.preprocessing.configs import FAMILIES
from kit.preprocessing.resizing import FILTERS, SAMPLERS, resize
from tests.pictures import picture
from tests.preprocessing.test_configs import CONVERTER, converter
from tests.preprocessing.test_resizing import SIZES as RESIZED

PHOTOGRAPHS = sorted((DATA / "photographs").glob("*.jpg"))[::8]
# One more name for the module resnet, and helpers that belong to no family.
NO_FAMILIES = {"resnet50", "imagenet_utils"}
SIZES = [*RESIZED, ((64, 64), (64, 64)), ((1, 8), (4, 4)), ((512, 512), (224, 224))]


@pytest.fixture(scope="module")
def modules(keras):
    return dict(inspect.getmembers(keras.applications, inspect.ismodule))


def models(keras):
    return {
        name
        for name in dir(keras.applications)
        if callable(getattr(keras.applications, name))
    }


def test_the_table_has_every_family_and_every_model(keras, modules):
    assert set(modules) - NO_FAMILIES == set(FAMILIES)
    assert models(keras) == {
        model for family in FAMILIES.values() for model in family.sides
    }


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_equals_its_preprocess_input_bit_for_bit(modules, name):
    every_level = Photo.from_array(
        np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    )
    preprocessing = Preprocessing.for_application(name).replace(size=None)
    for photo in (
        Photo.from_array(picture((61, 47))),
        every_level,
        *map(load_image, PHOTOGRAPHS),
    ):
        # Copies, because preprocess_input changes float arrays in place.
        for pixels in (
            photo.pixels[None].astype(np.float32),
            photo.pixels[None].copy(),
        ):
            expected = modules[name].preprocess_input(pixels)
            np.testing.assert_array_equal(preprocessing.apply(photo), expected)


def test_every_size_is_the_default_of_the_model(keras, modules, monkeypatch):
    from keras.src.applications import imagenet_utils

    class Asked(Exception):  # noqa: N818  no error
        pass

    def note(input_shape, default_size, **_):
        raise Asked(default_size)

    monkeypatch.setattr(imagenet_utils, "obtain_input_shape", note)
    for module in modules.values():
        for name in models(keras) & set(vars(module)):
            with pytest.raises(Asked) as asked:
                getattr(module, name)(weights=None)
            assert (
                Preprocessing.for_application(name).size == (asked.value.args[0],) * 2
            ), name


OPTIONS = (
    {"interpolation": "nearest"},
    {"interpolation": "bilinear", "antialias": True},
    {"crop_to_aspect_ratio": False},
    {"scale": 1 / 127.5, "offset": -1.0},
    {
        "interpolation": "bilinear",
        "crop_to_aspect_ratio": False,
        "pad_to_aspect_ratio": True,
    },
)


@pytest.mark.parametrize("changes", OPTIONS)
def test_a_converter_of_kerashub_does_to_floats_what_its_layers_do(keras, changes):
    config = {**CONVERTER, **changes}
    photo = Photo.from_array(picture((90, 130)))
    options = (
        "interpolation",
        "antialias",
        "crop_to_aspect_ratio",
        "pad_to_aspect_ratio",
    )
    layer = keras.layers.Resizing(
        *config["image_size"], **{key: config[key] for key in options}
    )
    resized = np.asarray(layer(photo.pixels[None].astype(np.float32)))
    expected = resized * np.float32(config["scale"]) + np.float32(config["offset"])
    np.testing.assert_allclose(
        Preprocessing.from_config(converter(**changes)).apply(photo),
        expected,
        atol=2e-5,
    )


@pytest.mark.parametrize("name", [name for name in FILTERS if "_" not in name])
def test_pillows_filters_equal_load_img(keras, name):
    for source, target in SIZES:
        file = io.BytesIO()
        Image.fromarray(picture(source)).save(file, "PNG")
        for fit, keep in (("squash", False), ("crop", True)):
            options = (
                {} if name == "nearest" else {"interpolation": name}
            )  # it is the default
            loaded = keras.utils.load_img(
                file, target_size=target, keep_aspect_ratio=keep, **options
            )
            np.testing.assert_array_equal(
                resize(picture(source), target, name, fit), np.asarray(loaded)
            )


@pytest.mark.parametrize("name", [name for name in SAMPLERS if "tf_" in name])
def test_filters_of_tensorflow_are_tensorflows(name):
    import tensorflow  # noqa: ICN001  only the tests of this file need it

    method, smooth, _ = name.removeprefix("tf_").partition("_antialias")
    for source, target in SIZES:
        expected = tensorflow.image.resize(
            picture(source), target, method=method, antialias=bool(smooth)
        ).numpy()
        result = resize(picture(source), target, name)
        assert result.dtype == np.float32
        # Bit for bit, but where TensorFlow's own sum of many weights is rounded on the way.
        np.testing.assert_allclose(result, expected, rtol=0, atol=1e-3 if smooth else 0)


@pytest.mark.parametrize("method", ["nearest", "bilinear", "bicubic"])
def test_resizing_equals_the_layer_of_keras_bit_for_bit(keras, method):
    fits = {
        "squash": {},
        "crop": {"crop_to_aspect_ratio": True},
        "pad": {"pad_to_aspect_ratio": True},
    }
    for source, target in SIZES:
        for fit, option in fits.items():
            layer = keras.layers.Resizing(*target, interpolation=method, **option)
            expected = np.asarray(layer(picture(source).astype(np.float32)))
            np.testing.assert_array_equal(
                resize(picture(source), target, f"tf_{method}", fit), expected
            )
