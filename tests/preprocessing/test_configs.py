"""Files and names that describe a preprocessing. What Keras itself computes is compared in test_keras.py."""

import json

import numpy as np
import pytest
from PIL import Image

from kit.preprocessing import Preprocessing
from kit.preprocessing.scaling import SCALINGS, Scaling

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
FLOATS = {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "float32"}}
CONVERTER = {
    "name": "converter",
    "trainable": True,
    "dtype": FLOATS,
    "image_size": [48, 64],
    "scale": (1 / 255 / np.array(STD)).tolist(),
    "offset": (-np.array(MEAN) / STD).tolist(),
    "interpolation": "bicubic",
    "antialias": False,
    "data_format": "channels_last",
    "crop_to_aspect_ratio": True,
    "pad_to_aspect_ratio": False,
    "bounding_box_format": "yxyx",
}
VIT = {
    "image_processor_type": "ViTImageProcessor",
    "size": {"height": 224, "width": 224},
    "resample": 2,
    "do_resize": True,
    "do_rescale": True,
    "do_normalize": True,
    "rescale_factor": 1 / 255,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
}
CLIP = VIT | {
    "image_processor_type": "CLIPImageProcessor",
    "size": {"shortest_edge": 256},
    "resample": 3,
    "do_center_crop": True,
    "crop_size": {"height": 224, "width": 224},
    "image_mean": MEAN,
    "image_std": STD,
    "do_convert_rgb": True,
}
TIMM = {
    "input_size": [3, 224, 224],
    "interpolation": "bicubic",
    "crop_pct": 0.95,
    "mean": MEAN,
    "std": STD,
}
SQUARE = {"height": 256, "width": 256}


def converter(**changes):
    """A KerasHub file as ``keras.layers.serialize`` lays it out."""
    inner = {"class_name": "ResNetImageConverter", "config": {**CONVERTER, **changes}}
    config = {
        "name": "preprocessor",
        "image_converter": inner,
        "config_file": "preprocessor.json",
    }
    return {
        "module": "keras_hub",
        "class_name": "ResNetImageClassifierPreprocessor",
        "config": config,
    }


def read(content):
    return Preprocessing.from_config(content)


# keras.applications


def test_families_and_models_are_found_whatever_the_spelling():
    sides = {
        "ResNet50": 224,
        "resnet": 224,
        "efficientnet-b3": 300,
        "NASNetLarge": 331,
        "inception v3": 299,
    }
    for name, side in sides.items():
        preprocessing = Preprocessing.for_application(name)
        assert preprocessing.size == (side, side)
        assert preprocessing.channels == (
            "bgr" if name.lower().startswith("resnet") else "rgb"
        )
        assert (preprocessing.scaling == ()) == name.startswith("efficientnet")
    with pytest.raises(
        ValueError,
        match=r"^Expected a model of keras.applications or one of convnext, .*, xception"
        r"; received 'resnet51'; did you mean 'ResNet50'\?$",
    ):
        Preprocessing.for_application("resnet51")
    with pytest.raises(ValueError, match="received None"):
        Preprocessing.for_application(None)


# KerasHub


def test_a_converter_is_read_with_its_scaling_and_layout():
    expected = Preprocessing(
        size=(48, 64), filter="tf_bicubic", fit="crop", scaling="imagenet"
    )
    assert read(converter()) == expected
    assert read(converter(antialias=True)).filter == "tf_bicubic_antialias"
    plain = converter(interpolation="nearest", antialias=True)
    assert read(plain).filter == "tf_nearest"
    assert read(converter(data_format="channels_first")) == expected.replace(
        layout="channels_first"
    )


LEFT_OUT = [
    ({"image_size": [8, 9]}, {"size": (8, 9), "filter": "tf_bilinear", "fit": "crop"}),
    ({"image_size": None, "scale": None, "offset": None}, {"size": None}),
    ({"scale": 0.005}, {"size": None, "scaling": Scaling(std=200)}),
    (
        {"scale": 0.5, "offset": [1, 2, 3]},
        {"size": None, "scaling": Scaling(1, (-2, -4, -6), (2, 2, 2))},
    ),
]


@pytest.mark.parametrize(("config", "expected"), LEFT_OUT)
def test_what_a_converter_leaves_out_is_as_keras_has_it(config, expected):
    assert read({"class_name": "ImageConverter", "config": config}) == Preprocessing(
        **expected
    )


NOT_OF_KERASHUB = [
    (
        {"interpolation": "sinc"},
        ValueError,
        "filter out of nearest.*received 'tf_sinc'",
    ),
    ({"patch_size": 14}, ValueError, "received 'patch_size'"),
    ({"scale": 0.0}, ValueError, "within 1e-12.*, received 0"),
    ({"scale": "1/255"}, TypeError, "as a number"),
]


@pytest.mark.parametrize(("changes", "error", "message"), NOT_OF_KERASHUB)
def test_what_kerashub_says_and_cannot_be_expressed_is_refused(changes, error, message):
    with pytest.raises(error, match=message):
        read(converter(**changes))


# Hugging Face


FITS = [
    ({"size": SQUARE, "crop_size": 256}, 256, "squash", 1),
    ({"size": SQUARE, "crop_size": 224}, 224, "squash_crop", 0.875),
    ({"size": {"shortest_edge": 224}}, 224, "resize_crop", 1),
    ({"size": 256}, 224, "resize_crop", 0.875),
    (
        {"image_processor_type": "EfficientNetImageProcessor", "include_top": False},
        224,
        "resize_crop",
        0.875,
    ),
    (
        {"size": 224, "do_center_crop": False, "image_processor_type": "Other"},
        224,
        "squash",
        1,
    ),
    (
        {
            "size": 384,
            "crop_pct": 0.875,
            "do_center_crop": False,
            "image_processor_type": "ConvNextImageProcessor",
        },
        384,
        "squash",
        1,
    ),
]


@pytest.mark.parametrize(("changes", "size", "fit", "fraction"), FITS)
def test_size_and_crop_together_make_a_fit(changes, size, fit, fraction):
    found = read({**CLIP, **changes})
    assert (found.size, found.fit, found.crop_fraction) == ((size, size), fit, fraction)
    assert found.scaling == SCALINGS["imagenet"]


def test_files_of_earlier_versions_name_a_feature_extractor():
    named = {"feature_extractor_type": "CLIPFeatureExtractor", "size": 256}
    plain = Preprocessing(256, scaling="0..1", layout="channels_first")
    assert read(named | {"crop_size": 256, "do_center_crop": True}).fit == "resize_crop"
    assert read({**named, "feature_extractor_type": "ViTFeatureExtractor"}) == plain


SWITCHES = [
    ({}, "-1..1"),
    ({"do_normalize": False}, "0..1"),
    ({"do_normalize": False, "do_rescale": False}, ()),
    ({"do_normalize": False, "do_rescale": None}, "0..1"),
    ({"do_rescale": False}, Scaling(1, (0.5,) * 3, (0.5,) * 3)),
    ({"rescale_factor": 1 / 256}, Scaling(256, (0.5,) * 3, (0.5,) * 3)),
    ({"do_normalize": None, "do_rescale": None}, "-1..1"),
]


@pytest.mark.parametrize(("changes", "scaling"), SWITCHES)
def test_scaling_follows_the_switches(changes, scaling):
    given = {
        key: value for key, value in {**VIT, **changes}.items() if value is not None
    }
    assert read(given).scaling == Preprocessing(scaling=scaling).scaling


def test_resample_codes_are_pillows_and_the_layout_is_pytorchs():
    for code in range(6):
        assert (
            read({**VIT, "resample": code}).filter
            == Image.Resampling(code).name.lower()
        )
    assert read(VIT).layout == "channels_first"
    older = {
        key: value
        for key, value in VIT.items()
        if key not in {"resample", "do_rescale"}
    }
    assert read(older) == read(VIT), "bilinear, and 1 / 255"
    del older["do_resize"]
    assert read(older) == read(VIT)
    del older["size"]
    assert (
        read(older) == read(VIT | {"do_resize": False}) == read(VIT).replace(size=None)
    )


NOT_OF_HUGGING_FACE = [
    ({"do_flip_channel_order": True}, "received do_flip_channel_order"),
    ({"rescale_offset": True}, "received rescale_offset"),
    (
        {"image_processor_type": "EfficientNetImageProcessor"},
        (
            "^Expected what a Preprocessing has, received include_top, which divides by image_std twice"
            "; write the fields out$"
        ),
    ),
    ({"crop_pct": 0.9}, "received crop_pct, by which it resizes to more than size"),
    ({"image_processor_type": "LevitImageProcessor"}, "received crop_pct"),
    (
        {"do_center_crop": False},
        "shortest_edge alone: the photo decides the size",
    ),
    (
        {"size": {"longest_edge": 256}},
        "received size {'longest_edge': 256}",
    ),
    ({"size": 224, "image_processor_type": None}, "received size 224"),
    (
        {"crop_size": {"height": 224, "width": 200}},
        r"received crop_size \(224, 200\) of \(256, 256\); write the fields out$",
    ),
    (
        {"crop_size": 512},
        r"received crop_size \(512, 512\) of \(256, 256\); write the fields out$",
    ),
    ({"do_resize": False}, "a crop alone, which depends on the photo"),
    ({"image_mean": None}, "do_normalize without image_mean or image_std"),
    ({"rescale_factor": 0}, r"cannot be read \(.*division"),
]


@pytest.mark.parametrize(("changes", "message"), NOT_OF_HUGGING_FACE)
def test_what_hugging_face_says_and_cannot_be_expressed_is_refused_by_name(
    changes, message
):
    with pytest.raises(ValueError, match=message) as refused:
        read({**CLIP, **changes})
    assert "\n" not in str(refused.value)


# timm


def test_timm_is_found_alone_and_inside_a_config_and_has_defaults():
    assert read({"architecture": "resnet50", "pretrained_cfg": TIMM}) == read(TIMM)
    assert read(TIMM) == IMAGENET.replace(crop_fraction=0.95)
    assert read(TIMM | {"crop_mode": "squash"}).fit == "squash_crop"
    plain = {**TIMM, "mean": [0, 0, 0], "std": [1, 1, 1]}
    assert read(plain).scaling == SCALINGS["0..1"]
    squashed = {"crop_mode": "squash", "crop_pct": 1.0, "input_size": [3, 64, 48]}
    assert read(TIMM | squashed) == Preprocessing(
        (64, 48), "bicubic", scaling="imagenet", layout="channels_first"
    )
    grey = read({**TIMM, "input_size": [1, 28, 28], "mean": [0.5], "std": [0.25]})
    assert (grey.input_shape, grey.scaling) == (
        (28, 28, 1),
        (Scaling(255, (0.5,), (0.25,)),),
    )
    few = read({"input_size": [3, 64, 64], "mean": None})
    assert (few.filter, few.crop_fraction, few.scaling) == (
        "bicubic",
        0.875,
        SCALINGS["imagenet"],
    )


NOT_OF_TIMM = [
    ({"input_size": [4, 224, 224]}, r"cannot be read \(4\)"),
    (
        {"input_size": [3, 224, 192]},
        r"received input_size \(224, 192\) with crop_mode center",
    ),
    ({"crop_mode": "border"}, "crop_mode out of center, squash; received 'border'"),
]


@pytest.mark.parametrize(("changes", "message"), NOT_OF_TIMM)
def test_what_timm_says_and_cannot_be_expressed_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        read({**TIMM, **changes})


# What is printed of transforms, and arguments of Keras


def compose(*lines):
    return "\n    ".join(("Compose(", *lines)) + "\n)"


SCALED = f"Normalize(mean=tensor({MEAN}), std=tensor({STD}))"
HALF = "Normalize(mean=[0.5, 0.5, 0.5], std=[0.5, 0.5, 0.5], inplace=False)"
PRESET = """ImageClassification(
    crop_size=[224]
    resize_size=[256]
    mean=[0.485, 0.456, 0.406]
    std=[0.229, 0.224, 0.225]
    interpolation=InterpolationMode.BICUBIC
)"""
SHORTER = "Resize(size=256, interpolation=bicubic, max_size=None, antialias=None)"
BOTH = "Resize(size=[64, 48], interpolation=InterpolationMode.BILINEAR, antialias=True)"
CENTRE = "CenterCrop(size=(224, 224))"
IMAGENET = Preprocessing(
    filter="bicubic",
    fit="resize_crop",
    crop_fraction=0.875,
    scaling="imagenet",
    layout="channels_first",
)
SMALL = Preprocessing((64, 48), layout="channels_first")
DECLARED = [
    (PRESET, IMAGENET),
    (compose(SHORTER, CENTRE, "timm.data.MaybeToTensor()", SCALED), IMAGENET),
    (
        compose(SHORTER, CENTRE, "<utils.ToRGB object at 0x7f>", "ToTensor()", SCALED),
        IMAGENET,
    ),
    (
        compose(
            BOTH,
            "CenterCrop(size=(32, 24))",
            "Compose([ToImage(), ToDtype(), ToDtype(scale=True)])",
            HALF,
        ),
        SMALL.replace(
            size=(32, 24), fit="squash_crop", crop_fraction=0.5, scaling="-1..1"
        ),
    ),
    (
        compose("Grayscale(num_output_channels=1)", BOTH, "ConvertImageDtype()"),
        SMALL.replace(channels="gray", scaling="0..1"),
    ),
    (
        compose(
            BOTH,
            "PILToTensor()",
            "Normalize(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])",
        ),
        SMALL.replace(scaling="imagenet"),
    ),
    (
        compose("Grayscale(num_output_channels=3)", "PILToTensor()", BOTH, "ToDtype()"),
        SMALL.replace(channels="gray_rgb"),
    ),
    ("tf", Preprocessing(None, scaling="-1..1")),
    ("torch", Preprocessing(None, scaling="imagenet")),
    ("caffe", Preprocessing(None, channels="bgr", scaling="caffe")),
]


@pytest.mark.parametrize(("declared", "expected"), DECLARED)
def test_what_is_declared_elsewhere_is_read(declared, expected):
    assert read(declared) == expected


def test_an_object_is_read_by_what_it_prints_or_by_its_own_settings():
    class Printed:
        def __repr__(self):
            return PRESET

    class Processor:
        def to_dict(self):
            return VIT

    assert read(Printed()) == IMAGENET
    assert read(Processor()) == read(VIT)


NOT_DECLARED = [
    (
        compose("RandomHorizontalFlip(p=0.5)"),
        "received RandomHorizontalFlip; give the transforms of an evaluation; write the fields out$",
    ),
    (compose(SHORTER, "ToTensor()"), "the photo decides the size"),
    (compose(SHORTER.replace("None", "300", 1), CENTRE), "received max_size: the"),
    (compose("CenterCrop(size=(32, 24))", BOTH), "received a crop before Resize"),
    (compose("<utils.Pad object at 0x7f>"), r"that cannot be read \(invalid syntax"),
    (compose(BOTH.replace("BILINEAR", "other")), r"that cannot be read \('OTHER'\)"),
]


@pytest.mark.parametrize(("declared", "message"), NOT_DECLARED)
def test_what_is_declared_and_cannot_be_expressed_is_refused(declared, message):
    with pytest.raises(ValueError, match=message):
        read(declared)


# Files


def test_a_file_is_recognized_by_its_content(tmp_path):
    path = tmp_path / "any_name.json"
    path.write_text(json.dumps(TIMM), encoding="utf-8")
    assert read(path) == read(str(path)) == read(TIMM)


OTHER_FILES = [
    ("{", ValueError, "the file x.json as JSON, received text that is not"),
    ("[1]", TypeError, r"the file x.json as a JSON object, received \[1\]"),
    ('{"a": 1}', ValueError, r"received an object with \['a'\]"),
    ('{"pretrained_cfg": "a"}', ValueError, "received one that cannot be read"),
    ('{"class_name": "a"}', ValueError, r"cannot be read \('config'\)"),
]


@pytest.mark.parametrize(("text", "error", "message"), OTHER_FILES)
def test_other_files_are_refused_in_one_line(text, error, message, tmp_path):
    path = tmp_path / "x.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(error, match=message) as refused:
        read(path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["mobilenet_v2", [("Resize", 256)]])
def test_what_is_neither_a_file_nor_a_format_names_the_door_for_keras(name):
    words = (
        r"^Expected what KerasHub, Hugging Face, timm, torchvision or Keras has "
        r"\(see Preprocessing.from_config\)"
        ", received .*; Preprocessing.for_application knows the models of keras.applications$"
    )
    with pytest.raises((FileNotFoundError, TypeError), match=words):
        read(name)
