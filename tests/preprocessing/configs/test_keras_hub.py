import numpy as np
import pytest

from kit.images import Photo
from kit.preprocessing import Preprocessing
from kit.preprocessing.scaling import Scaling

PHOTO = Photo.from_array(np.random.default_rng(0).integers(0, 256, (90, 130, 3), dtype=np.uint8))
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
CONVERTER = {
    "name": "converter",
    "trainable": True,
    "dtype": {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "float32"}},
    "image_size": [48, 64],
    "scale": (1 / 255 / STD).tolist(),
    "offset": (-MEAN / STD).tolist(),
    "interpolation": "bicubic",
    "antialias": False,
    "crop_to_aspect_ratio": True,
    "pad_to_aspect_ratio": False,
    "bounding_box_format": "yxyx",
    "data_format": "channels_last",
}


def preprocessor(**changes):
    """Build the file as ``keras.layers.serialize`` lays it out."""
    converter = {"class_name": "ResNetImageConverter", "config": {**CONVERTER, **changes}}
    config = {"name": "preprocessor", "image_converter": converter, "config_file": "preprocessor.json"}
    return {"module": "keras_hub", "class_name": "ResNetImageClassifierPreprocessor", "config": config}


def kerashub(config):
    """Do what KerasHub's converter does with a float picture, by the layer that it uses itself."""
    import keras  # noqa: PLC0415  only this file's tests need it

    options = ("interpolation", "antialias", "crop_to_aspect_ratio", "pad_to_aspect_ratio")
    layer = keras.layers.Resizing(*config["image_size"], **{key: config[key] for key in options})
    resized = np.asarray(layer(PHOTO.pixels[None].astype(np.float32)))
    return resized * np.float32(config["scale"]) + np.float32(config["offset"])


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"antialias": True},
        {"crop_to_aspect_ratio": False},
        {"crop_to_aspect_ratio": False, "pad_to_aspect_ratio": True},
        {"scale": 1 / 127.5, "offset": -1.0},
    ],
)
def test_equals_what_kerashub_does(interpolation, changes):
    config = {**CONVERTER, "interpolation": interpolation, **changes}
    result = Preprocessing.from_config(preprocessor(**config)).apply(PHOTO)
    np.testing.assert_allclose(result, kerashub(config), atol=2e-5)


def test_a_known_scaling_is_recognised_and_rounding_noted():
    preprocessing = Preprocessing.from_config(preprocessor())
    assert preprocessing == Preprocessing(size=(48, 64), filter="tf_bicubic", fit="crop", scaling="imagenet")
    assert any("equal up to float32 rounding" in note for note in preprocessing.notes)
    assert any("rounds after resizing a uint8 picture" in note for note in preprocessing.notes)


def test_a_bare_converter_and_missing_steps():
    bare = {"class_name": "ImageConverter", "config": {"image_size": None, "scale": None, "offset": None}}
    assert Preprocessing.from_config(bare) == Preprocessing(size=None)
    sized = {"class_name": "ImageConverter", "config": {"image_size": [8, 8]}}
    assert Preprocessing.from_config(sized) == Preprocessing((8, 8), "tf_bilinear", "crop")
    empty = {"class_name": "ImageClassifierPreprocessor", "config": {"config_file": "preprocessor.json"}}
    assert "no image converter" in Preprocessing.from_config(empty).notes[0]


def test_older_files_with_mean_and_variance():
    older = {"scale": 1 / 255, "offset": None, "mean": MEAN.tolist(), "variance": (STD**2).tolist()}
    assert (
        Preprocessing.from_config(preprocessor(**older)).scaling == Preprocessing(scaling="imagenet").scaling
    )


def test_layout_and_data_type_are_kept_or_noted():
    preprocessing = Preprocessing.from_config(preprocessor(data_format="channels_first", dtype="bfloat16"))
    assert preprocessing.layout == "channels_first"
    assert any("in bfloat16" in note for note in preprocessing.notes)


def test_a_size_or_a_precision_of_another_form_is_no_error_of_python():
    with pytest.raises(TypeError, match="whole numbers"):
        Preprocessing.from_config({"class_name": "X", "config": {"height": 3}})
    for config in ([1], None, "x"):
        Preprocessing.from_config(preprocessor(dtype={"config": config}))


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        (
            {"interpolation": "lanczos3"},
            ValueError,
            "interpolation nearest, bilinear or bicubic, received 'lanczos3'",
        ),
        ({"pad_to_aspect_ratio": True}, ValueError, "received both as true"),
        ({"patch_size": 14}, TypeError, "received 'patch_size'"),
        ({"scale": 0.0}, ValueError, "scale other than 0"),
        ({"scale": "1/255"}, TypeError, "as a number"),
        ({"image_size": [224]}, TypeError, "whole numbers"),
        ({"scale": 1e-320}, ValueError, "scale other than 0"),
        ({"mean": 1.0, "variance": -1.0}, ValueError, "a variance above 0, received -1"),
        ({"antialias": "yes"}, TypeError, "antialias as true or false"),
    ],
)
def test_what_cannot_be_expressed_raises(changes, error, message):
    with pytest.raises(error, match=message):
        Preprocessing.from_config(preprocessor(**changes))


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"height": 8, "width": 9}, {"size": (8, 9), "filter": "tf_bilinear", "fit": "crop"}),
        ({"image_size": [None, None]}, {"size": None}),
        ({"scale": 0.5}, {"size": None, "scaling": Scaling(1, 0.0, 2.0)}),
        ({"offset": -3.0}, {"size": None, "scaling": Scaling(1, 3.0, 1.0)}),
        ({"scale": 0.5, "offset": [1, 2, 3]}, {"size": None, "scaling": Scaling(1, (-2, -4, -6), (2, 2, 2))}),
        ({"mean": [2, 4, 6], "variance": 4}, {"size": None, "scaling": Scaling(1, (2, 4, 6), (2, 2, 2))}),
        ({"scale": 0.5, "mean": 3, "variance": 16}, {"size": None, "scaling": Scaling(1, 6.0, 8.0)}),
        ({"scale": 0.5, "mean": 3}, {"size": None, "scaling": Scaling(1, 0.0, 2.0)}),
    ],
)
def test_what_a_converter_leaves_out_is_as_keras_has_it(config, expected):
    read = Preprocessing.from_config({"class_name": "ImageConverter", "config": config})
    assert read == Preprocessing(**expected)
    assert ("divides" in str(read.notes)) == ("scaling" in expected)


@pytest.mark.parametrize("dtype", [None, "float32", {"config": {"name": "float32"}}])
def test_float32_needs_no_note(dtype):
    assert "computes this in" not in str(Preprocessing.from_config(preprocessor(dtype=dtype)).notes)
    mixed = Preprocessing.from_config(preprocessor(dtype={"config": {"name": "mixed_float16"}}))
    assert "computes this in mixed_float16" in str(mixed.notes)
