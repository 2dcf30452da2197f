"""The table of steps: every field belongs to a step, and many images run as one by one."""

from dataclasses import fields

import numpy as np
import pytest

from kit.images.photo import Photo
from kit.preprocessing import Preprocessing, pipeline
from kit.preprocessing.pipeline import PIPELINE
from kit.preprocessing.scaling import SCALINGS, fits
from tests.pictures import picture

PHOTOS = [Photo.from_array(picture((30 + seed, 40), seed=seed)) for seed in range(3)]


def test_every_field_is_read_by_one_step():
    read = [name for operation in PIPELINE for name in operation.fields]
    assert sorted(read) == sorted(part.name for part in fields(Preprocessing))
    causes = [cause for choice in pipeline.CHOICES for cause in choice.causes]
    assert len(set(causes)) == len(causes)


SETTINGS = [
    {},
    {"channels": "gray", "filter": "tf_nearest"},
    {"channels": "bgr", "scaling": "caffe", "invert": True},
    {"layout": "channels_first", "scaling": "imagenet", "thumbnail": (10, 10)},
    {"layout": "transposed", "filter": "tf_bilinear", "scaling": "0..1"},
]


@pytest.mark.parametrize("changes", SETTINGS)
def test_after_resizing_many_pictures_run_as_one_by_one_and_are_not_changed(changes):
    preprocessing = Preprocessing((12, 18), **changes)
    resized = np.stack(
        [pipeline.run(pipeline.TO_SIZE, preprocessing, photo) for photo in PHOTOS]
    )
    before = resized.copy()
    expected = np.concatenate([preprocessing.apply(photo) for photo in PHOTOS])
    np.testing.assert_array_equal(
        pipeline.run(pipeline.TO_TENSOR, preprocessing, resized), expected
    )
    np.testing.assert_array_equal(resized, before)


def tried(name, **settings):
    """What a diagnosis tries in place of the choice of this name, where settings are in use."""
    (choice,) = (choice for choice in pipeline.CHOICES if choice.name == name)
    return [dict(changes) for changes in choice.tried(Preprocessing(**settings))]


def test_a_scaling_that_is_done_twice_may_have_been_meant_once():
    once = SCALINGS["lite"]
    assert tried("scaling", scaling=once + once)[0] == {"scaling": once}
    assert tried("scaling", scaling=("0..1", "lite"))[0] == {"scaling": ()}
    # A grey network takes none that is made for three channels.
    gray = [change["scaling"] for change in tried("scaling", channels="gray")]
    assert gray == [scaling for scaling in SCALINGS.values() if fits(scaling, 1)]
    assert SCALINGS["imagenet"] not in gray


def test_only_what_the_network_could_take_is_tried():
    axes = [{"layout": "channels_last"}, {"layout": "transposed"}]
    assert tried("layout") == axes
    for settings in ({"size": (8, 9)}, {"size": None}, {"layout": "transposed"}):
        assert tried("layout", **settings) == axes[:1]
    assert tried("channels", channels="gray") == []
    assert tried("channels") == [
        {"channels": name} for name in ("rgb", "bgr", "gray_rgb")
    ]


def test_a_letterbox_is_tried_or_what_has_no_bars_but_no_filter_and_no_other_crop():
    assert tried("filter") == tried("fit", size=None) == []
    for fit in ("squash", "crop", "resize_crop"):
        assert tried("fit", fit=fit) == [{"fit": "letterbox", "crop_fraction": 1.0}]
    for fit in ("letterbox", "letterbox_floor", "letterbox_corner", "pad"):
        windows = [tuple(changes.values()) for changes in tried("fit", fit=fit)]
        assert windows == [("squash", 1), ("crop", 1), ("crop", 0.875)]


def test_every_step_that_does_something_says_what_in_words():
    assert len(Preprocessing(size=None).describe()) == 4
    told = Preprocessing(
        (8, 9), fit="crop", crop_fraction=0.8906, channels="bgr", invert=True
    ).describe()
    decoding = (
        "decode: EXIF applied; alpha laid over (255, 255, 255); 16 bit divided by 257"
    )
    assert told[0] == decoding
    assert told[1].startswith(
        "resize: to 8\N{MULTIPLICATION SIGN}9, filter bilinear, crop of 89.06 %: "
    )
    assert told[2:4] == (
        "channels: bgr (blue, green, red (OpenCV, caffe))",
        "polarity: inverted",
    )
    assert told[4:] == ("scaling: 0..255", "layout: channels_last (1, H, W, C)")


def test_grey_of_decimals_is_not_rounded():
    luma = pipeline.order_channels(np.float32([[[10, 20, 30]]]), "gray")
    assert luma.dtype == np.float32
    np.testing.assert_allclose(
        luma, [[[0.299 * 10 + 0.587 * 20 + 0.114 * 30]]], rtol=1e-4
    )


def test_an_inversion_keeps_the_type():
    assert pipeline.invert(np.float32([0.5])).dtype == np.float32


def test_layouts_are_what_they_are_called_and_can_be_undone():
    pixels = picture((6, 9))
    np.testing.assert_array_equal(
        pipeline.arrange(pixels, "channels_first"), np.moveaxis(pixels, -1, 0)
    )
    np.testing.assert_array_equal(
        pipeline.arrange(pixels, "transposed"), np.swapaxes(pixels, 0, 1)
    )
    scrambled = pipeline.arrange(pixels, "reshaped")
    np.testing.assert_array_equal(
        np.moveaxis(scrambled, -1, 0), pixels.reshape(3, 6, 9)
    )
    for layout in pipeline.LAYOUTS:
        assert pipeline.arrange(pixels, layout).flags.c_contiguous
        np.testing.assert_array_equal(
            pipeline.arrange_back(pipeline.arrange(pixels, layout), layout), pixels
        )
