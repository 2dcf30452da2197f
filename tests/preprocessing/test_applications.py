"""Keras itself is the ground truth, and a family that Keras adds fails here until the table knows it."""

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from kit.images import Photo, load_image
from kit.preprocessing import Preprocessing
from kit.preprocessing.configs import FAMILIES

PHOTOGRAPHS = sorted((Path(__file__).parents[2] / "data" / "photographs").glob("*.jpg"))[::8]
# One more name for the module resnet, and helpers that belong to no family.
NO_FAMILIES = {"resnet50", "imagenet_utils"}


@pytest.fixture(scope="module")
def applications():
    import keras  # noqa: PLC0415  only the tests of this file need it

    return keras.applications


def modules(applications):
    found = {name: getattr(applications, name) for name in dir(applications)}
    return {name: module for name, module in found.items() if isinstance(module, ModuleType)}


def models(applications):
    return {name for name in dir(applications) if callable(getattr(applications, name))}


def pictures():
    random = np.random.default_rng(0).integers(0, 256, (61, 47, 3), dtype=np.uint8)
    every_level = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    return [Photo.from_array(random), Photo.from_array(every_level), *map(load_image, PHOTOGRAPHS)]


def test_the_table_has_every_family_and_every_model(applications):
    assert set(modules(applications)) - NO_FAMILIES == set(FAMILIES)
    assert models(applications) == {model for family in FAMILIES.values() for model in family.sides}


def test_every_family_equals_its_preprocess_input_bit_for_bit(applications):
    photos = pictures()
    for name in FAMILIES:
        preprocessing = Preprocessing.for_application(name).replace(size=None)
        for photo in photos:
            # A copy, because preprocess_input changes float arrays in place.
            expected = modules(applications)[name].preprocess_input(photo.pixels[None].astype(np.float32))
            np.testing.assert_array_equal(preprocessing.apply(photo), expected, err_msg=name)
            from_levels = modules(applications)[name].preprocess_input(photo.pixels[None].copy())
            np.testing.assert_array_equal(preprocessing.apply(photo), from_levels, err_msg=name)


def test_every_size_is_the_default_of_the_model(applications, monkeypatch):
    from keras.src.applications import imagenet_utils  # noqa: PLC0415

    class Asked(Exception):  # noqa: N818  no error
        pass

    def note(input_shape, default_size, **_):
        raise Asked(default_size)

    monkeypatch.setattr(imagenet_utils, "obtain_input_shape", note)
    for module in modules(applications).values():
        for name in vars(module):
            if name in models(applications):
                with pytest.raises(Asked) as asked:
                    getattr(module, name)(weights=None)
                assert Preprocessing.for_application(name).size == (asked.value.args[0],) * 2, name


def test_networks_that_scale_inside_get_0_to_255_and_say_so():
    for name in ("efficientnet", "efficientnet_v2", "mobilenet_v3", "convnext"):
        preprocessing = Preprocessing.for_application(name)
        assert preprocessing.scaling == ()
        assert "preprocess_input does nothing" in preprocessing.notes[0]
    assert not any("does nothing" in note for note in Preprocessing.for_application("resnet").notes)


@pytest.mark.parametrize(
    ("name", "side", "channels"),
    [
        ("ResNet50", 224, "bgr"),
        ("resnet", 224, "bgr"),
        ("mobilenet_v2", 224, "rgb"),
        ("EfficientNetB3", 300, "rgb"),
        ("efficientnet-b3", 300, "rgb"),
        ("NASNetLarge", 331, "rgb"),
        ("inception v3", 299, "rgb"),
    ],
)
def test_families_and_models_are_found_whatever_the_spelling(name, side, channels):
    preprocessing = Preprocessing.for_application(name)
    assert preprocessing.size == (side, side)
    assert preprocessing.channels == channels


def test_another_name_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match=r"received 'resnet51'; did you mean 'ResNet50'\?"):
        Preprocessing.for_application("resnet51")
    with pytest.raises(ValueError, match="received None"):
        Preprocessing.for_application(None)
