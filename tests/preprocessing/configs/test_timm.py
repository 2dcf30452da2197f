import numpy as np
import pytest
from PIL import Image

from kit.images import Photo
from kit.preprocessing import Preprocessing
from kit.preprocessing.scaling import SCALINGS, Scaling

PHOTO = Photo.from_array(np.random.default_rng(0).integers(0, 256, (300, 401, 3), dtype=np.uint8))
CONFIG = {
    "input_size": [3, 224, 224],
    "interpolation": "bicubic",
    "crop_pct": 0.95,
    "crop_mode": "center",
    "mean": [0.485, 0.456, 0.406],
    "std": [0.229, 0.224, 0.225],
}


def test_center_resizes_by_torchvisions_rule_and_crops():
    preprocessing = Preprocessing.from_config(CONFIG)
    # 224 by 0.95 is 235 rounded down, 235 by 300 times 401 is 314, and (314 - 224) by 2 is 45.
    image = np.asarray(Image.fromarray(PHOTO.pixels).resize((314, 235), Image.Resampling.BICUBIC))[
        6:230, 45:269
    ]
    expected = ((image / 255 - CONFIG["mean"]) / CONFIG["std"]).transpose(2, 0, 1)[None]
    assert np.mean(np.abs(preprocessing.apply(PHOTO) - expected) > 1e-5) < 0.002


def test_it_is_found_alone_and_inside_a_config():
    inside = {"architecture": "resnet50", "num_classes": 1000, "pretrained_cfg": CONFIG}
    assert Preprocessing.from_config(inside) == Preprocessing.from_config(CONFIG)
    assert Preprocessing.from_config(CONFIG).scaling == SCALINGS["imagenet"]


def test_squash_and_border():
    assert Preprocessing.from_config({**CONFIG, "crop_mode": "squash", "crop_pct": 1.0}).fit == "squash"
    assert Preprocessing.from_config({**CONFIG, "crop_mode": "squash"}).fit == "squash_crop"
    border = Preprocessing.from_config({**CONFIG, "crop_mode": "border", "crop_pct": 1.0})
    assert (border.fit, border.fill) == ("letterbox", (124, 116, 104))


def test_defaults_and_larger_test_sizes_are_noted():
    few = {"input_size": [3, 64, 64], "test_input_size": [3, 288, 288]}
    preprocessing = Preprocessing.from_config(few)
    notes = " | ".join(preprocessing.notes)
    assert "leaves out interpolation, crop_pct, mean, std" in notes
    assert "test_input_size not used" in notes
    assert (preprocessing.filter, preprocessing.crop_fraction) == ("bicubic", 0.875)
    assert preprocessing.scaling == SCALINGS["imagenet"]


def test_one_channel_is_grey():
    grey = Preprocessing.from_config({**CONFIG, "input_size": [1, 28, 28], "mean": [0.5], "std": [0.25]})
    assert grey.input_shape == (28, 28, 1)
    assert grey.scaling == (Scaling(255, (0.5,), (0.25,)),)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"input_size": [4, 224, 224]}, r"input_size as \[3, height, width\]"),
        ({"input_size": 224}, r"input_size as \[3, height, width\]"),
        ({"input_size": [3, 224, 192]}, "a square input_size"),
        ({"interpolation": "random"}, "received 'random'"),
        ({"crop_mode": "border"}, "received 'border' with 0.95"),
        ({"crop_mode": "corner"}, "received 'corner'"),
        ({"crop_pct": 1.2}, "crop_fraction above 0 and up to 1"),
    ],
)
def test_what_cannot_be_expressed_raises(changes, message):
    with pytest.raises(ValueError, match=message):
        Preprocessing.from_config({**CONFIG, **changes})


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"crop_mode": "squash"}, {"fit": "squash_crop", "crop_fraction": 0.95}),
        ({"crop_mode": None}, {"fit": "resize_crop", "crop_fraction": 0.95}),
        (
            {"crop_mode": "squash", "crop_pct": 1, "input_size": [3, 20, 30]},
            {"fit": "squash", "size": (20, 30)},
        ),
    ],
)
def test_each_mode_of_cropping_has_its_fit(changes, expected):
    wanted = {
        "size": (224, 224),
        "filter": "bicubic",
        "scaling": "imagenet",
        "layout": "channels_first",
    } | expected
    assert Preprocessing.from_config({**CONFIG, **changes}) == Preprocessing(**wanted)


def test_a_border_is_as_grey_as_the_mean_of_one_channel():
    grey = {"input_size": [1, 28, 28], "mean": [0.2], "std": [0.25], "crop_mode": "border", "crop_pct": 1.0}
    assert Preprocessing.from_config({**CONFIG, **grey}).fill == (51, 51, 51)


def test_what_is_not_used_or_left_out_is_noted_and_nothing_else():
    assert len(Preprocessing.from_config(CONFIG).notes) == 1
    larger = Preprocessing.from_config({**CONFIG, "test_input_size": [3, 288, 288], "test_crop_pct": 1.0})
    assert "test_input_size and test_crop_pct not used" in larger.notes[1]
    assert len(Preprocessing.from_config({**CONFIG, "mean": None}).notes) == 2
