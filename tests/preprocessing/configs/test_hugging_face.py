import numpy as np
import pytest
from PIL import Image

from kit.images import Photo
from kit.preprocessing import Preprocessing
from kit.preprocessing.scaling import SCALINGS, Scaling

PHOTO = Photo.from_array(np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8))
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
VIT = {
    "image_processor_type": "ViTImageProcessor",
    "do_resize": True,
    "size": {"height": 224, "width": 224},
    "resample": 2,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
}
CLIP = {
    **VIT,
    "image_processor_type": "CLIPImageProcessor",
    "size": {"shortest_edge": 256},
    "resample": 3,
    "do_center_crop": True,
    "crop_size": {"height": 224, "width": 224},
    "image_mean": MEAN,
    "image_std": STD,
}
CONVNEXT = {
    **VIT,
    "image_processor_type": "ConvNextImageProcessor",
    "size": {"shortest_edge": 224},
    "resample": 3,
}


def by_hand(size, resample, crop, mean, std):
    """Resize, crop, rescale, normalise as the slow processors do: Pillow, then numpy, channels first."""
    image = Image.fromarray(PHOTO.pixels).resize(size, resample)
    pixels = np.asarray(image)
    top, left = (pixels.shape[0] - crop) // 2, (pixels.shape[1] - crop) // 2
    pixels = pixels[top : top + crop, left : left + crop] * (1 / 255)
    return ((pixels - mean) / std).transpose(2, 0, 1)[None]


def test_vit_squashes():
    expected = by_hand((224, 224), Image.Resampling.BILINEAR, 224, 0.5, 0.5)
    np.testing.assert_allclose(Preprocessing.from_config(VIT).apply(PHOTO), expected, atol=1e-6)


def test_clip_resizes_the_shortest_edge_and_crops():
    expected = by_hand((341, 256), Image.Resampling.BICUBIC, 224, MEAN, STD)
    preprocessing = Preprocessing.from_config(CLIP)
    assert (preprocessing.fit, preprocessing.crop_fraction) == ("resize_crop", 0.875)
    assert any(
        "shortest edge 256 and crop 224 became crop_fraction 0.875" in note for note in preprocessing.notes
    )
    apart = np.abs(preprocessing.apply(PHOTO) - expected)
    # One 8-bit level, where one resampling rounds otherwise than two.
    assert apart.max() <= 1.01 / 255 / min(STD)
    assert np.mean(apart > 1e-5) < 0.002


def test_deit_squashes_and_crops():
    deit = {**CLIP, "image_processor_type": "DeiTImageProcessor", "size": {"height": 256, "width": 256}}
    preprocessing = Preprocessing.from_config(deit)
    assert (preprocessing.fit, preprocessing.size) == ("squash_crop", (224, 224))
    apart = np.abs(preprocessing.apply(PHOTO) - by_hand((256, 256), Image.Resampling.BICUBIC, 224, MEAN, STD))
    assert np.mean(apart > 1e-5) < 0.002


def test_convnext_crops_below_384_and_squashes_from_there_on():
    small = Preprocessing.from_config({**CONVNEXT, "crop_pct": 0.9})
    assert (small.size, small.fit, small.crop_fraction) == ((224, 224), "resize_crop", 0.9)
    default = Preprocessing.from_config(CONVNEXT)
    assert default.crop_fraction == 0.875
    assert any("default of 0.875 is assumed" in note for note in default.notes)
    large = Preprocessing.from_config({**CONVNEXT, "size": 384, "crop_pct": 0.9})
    assert (large.size, large.fit) == ((384, 384), "squash")


@pytest.mark.parametrize(
    ("code", "name"),
    [(0, "nearest"), (1, "lanczos"), (2, "bilinear"), (3, "bicubic"), (4, "box"), (5, "hamming")],
)
def test_resample_codes_are_pillows(code, name):
    assert Image.Resampling(code).name == name.upper()
    assert Preprocessing.from_config({**VIT, "resample": code}).filter == name


def test_scaling_follows_the_switches():
    assert Preprocessing.from_config(VIT).scaling == SCALINGS["-1..1"]
    assert Preprocessing.from_config({**VIT, "do_normalize": False}).scaling == SCALINGS["0..1"]
    assert Preprocessing.from_config({**VIT, "do_normalize": False, "do_rescale": False}).scaling == ()
    assert Preprocessing.from_config({**VIT, "rescale_factor": 2.0}).scaling == (
        Scaling(0.5, (0.5,) * 3, (0.5,) * 3),
    )


def test_efficientnet_divides_twice_in_front_of_a_classifier():
    net = {**VIT, "image_processor_type": "EfficientNetImageProcessor", "image_mean": MEAN, "image_std": STD}
    assert Preprocessing.from_config(net).scaling == (Scaling(255, MEAN, STD), Scaling(1, None, STD))
    assert Preprocessing.from_config({**net, "include_top": False}).scaling == SCALINGS["imagenet"]
    offset = {
        **net,
        "include_top": False,
        "rescale_offset": True,
        "rescale_factor": 1 / 127.5,
        "do_normalize": False,
    }
    assert Preprocessing.from_config(offset).scaling == (Scaling(127.5, 1.0),)


def test_layout_and_channel_order_are_theirs():
    preprocessing = Preprocessing.from_config({**VIT, "do_flip_channel_order": True})
    assert (preprocessing.layout, preprocessing.channels) == ("channels_first", "bgr")
    assert "replace(layout='channels_last')" in preprocessing.notes[0]


def test_what_a_file_leaves_open_is_noted():
    older = {
        key: value for key, value in VIT.items() if key not in {"resample", "do_rescale", "rescale_factor"}
    }
    notes = " | ".join(Preprocessing.from_config(older).notes)
    assert "bilinear is assumed" in notes
    assert "1/255 is assumed" in notes
    assert "torchvision" in " ".join(
        Preprocessing.from_config({**VIT, "image_processor_type": "ViTFast"}).notes
    )


def test_a_bare_size_is_read_as_the_processor_means_it():
    assert Preprocessing.from_config({**VIT, "size": 224}).fit == "squash"
    assert Preprocessing.from_config({**CLIP, "size": 224}).fit == "resize_crop"
    with pytest.raises(
        ValueError, match="received 224, which a file without image_processor_type leaves open"
    ):
        Preprocessing.from_config({**CLIP, "size": 224, "image_processor_type": None})


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"do_pad": True}, ValueError, "received do_pad: true"),
        ({"resample": 9}, ValueError, "Pillow code 0..5, received 9"),
        ({"size": {"shortest_edge": 256}, "do_center_crop": False}, ValueError, "the photo decides the size"),
        ({"size": {"longest_edge": 256}}, ValueError, "received longest_edge"),
        ({"size": {"shortest_edge": "256"}}, TypeError, "shortest_edge as whole numbers"),
        ({"size": "224"}, TypeError, "size as a number or an object"),
        ({"crop_size": {"height": 300, "width": 300}}, ValueError, "which would be padded"),
        ({"crop_size": {"height": 224, "width": 200}}, ValueError, "a square crop"),
        ({"crop_size": [1, 2, 3]}, TypeError, "crop_size as whole numbers"),
        ({"crop_size": 0}, ValueError, "crop_size within 1..4096"),
        ({"do_resize": False}, ValueError, "a crop alone"),
        ({"image_mean": None}, ValueError, "image_mean and image_std"),
        ({"image_mean": [0.5, 0.5]}, ValueError, "received 2 and 3 values"),
        ({"rescale_factor": 0}, ValueError, "rescale_factor other than 0"),
        ({"image_processor_type": "ConvNextImageProcessor"}, ValueError, "received both"),
    ],
)
def test_what_cannot_be_expressed_raises(changes, error, message):
    with pytest.raises(error, match=message):
        Preprocessing.from_config({**CLIP, **changes})


SQUARE = {"height": 256, "width": 256}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"size": SQUARE, "crop_size": 256}, {"size": (256, 256), "fit": "squash"}),
        ({"size": SQUARE, "crop_size": 224},
         {"size": (224, 224), "fit": "squash_crop", "crop_fraction": 0.875}),
        ({"size": {"height": 128, "width": 256}, "crop_size": [64, 128]},
         {"size": (64, 128), "fit": "squash_crop", "crop_fraction": 0.5}),
        ({"size": {"shortest_edge": 224}}, {"size": (224, 224), "fit": "resize_crop", "crop_fraction": 1.0}),
        ({"size": 224, "do_center_crop": False, "image_processor_type": "ViTImageProcessor"},
         {"size": (224, 224), "fit": "squash"}),
        ({"size": 224, "do_center_crop": False, "image_processor_type": "Other"},
         {"size": (224, 224), "fit": "squash"}),
        ({"size": 256, "image_processor_type": "BeitImageProcessor"},
         {"size": (224, 224), "fit": "squash_crop", "crop_fraction": 0.875}),
    ],
)  # fmt: skip
def test_size_and_crop_together_make_a_fit(changes, expected):
    wanted = {"filter": "bicubic", "scaling": "imagenet", "layout": "channels_first"} | expected
    assert Preprocessing.from_config({**CLIP, **changes}) == Preprocessing(**wanted)


@pytest.mark.parametrize(
    "changes",
    [
        {"size": SQUARE, "crop_size": {"height": 257, "width": 100}},
        {"size": SQUARE, "crop_size": {"height": 100, "width": 257}},
        {"size": SQUARE, "crop_size": {"height": 224, "width": 200}},
        {"size": {"shortest_edge": 223}},
        {"resample": -1},
        {"resample": 6},
        {"resample": True},
        {"size": {"shortest_edge": 0}},
    ],
)
def test_a_crop_or_a_code_that_makes_no_sense_is_refused(changes):
    with pytest.raises(ValueError, match=r"^Expected"):
        Preprocessing.from_config({**CLIP, **changes})


def test_convnext_below_384_cuts_by_its_own_fraction():
    almost = Preprocessing.from_config({**CONVNEXT, "size": {"shortest_edge": 383}, "crop_pct": 0.5})
    assert (almost.size, almost.fit, almost.crop_fraction) == ((383, 383), "resize_crop", 0.5)
    assert not any("is assumed" in note for note in almost.notes)


@pytest.mark.parametrize(
    ("changes", "scaling"),
    [
        ({"rescale_factor": 1 / 256}, Scaling(256, (0.5,) * 3, (0.5,) * 3)),
        ({"rescale_factor": 0.3, "do_normalize": False}, Scaling(1 / 0.3)),
        ({"rescale_factor": -1.0, "do_normalize": False}, Scaling(-1.0)),
        ({"do_rescale": False}, Scaling(1, (0.5,) * 3, (0.5,) * 3)),
        (
            {"rescale_offset": True, "image_mean": MEAN, "image_std": STD},
            (Scaling(255, 1.0), Scaling(1, MEAN, STD)),
        ),
        ({"do_normalize": None, "do_rescale": None}, "-1..1"),
        ({"do_normalize": None, "do_rescale": None, "image_mean": None}, ()),
    ],
)
def test_every_switch_of_the_scaling_by_hand(changes, scaling):
    given = {key: value for key, value in {**VIT, **changes}.items() if value is not None}
    assert Preprocessing.from_config(given).scaling == Preprocessing(scaling=scaling).scaling


def test_a_file_that_says_all_has_no_note_of_what_is_assumed():
    assert "assumed" not in " ".join(Preprocessing.from_config(VIT).notes)
    assert (
        Preprocessing.from_config({"do_normalize": True, "image_mean": MEAN, "image_std": STD}).size is None
    )
