import json
import pickle
from dataclasses import FrozenInstanceError, fields

import numpy as np
import PIL
import pytest
from PIL import Image

import kit
from kit.images.opening import Decoding
from kit.images.photo import Photo
from kit.preprocessing import Preprocessing
from kit.preprocessing.scaling import SCALINGS, Scaling
from tests.pictures import picture

PIXELS = picture((90, 120))
PHOTO = Photo.from_array(PIXELS)
GEOMETRY = {
    "size": (31, 57),
    "filter": "lanczos",
    "fit": "letterbox",
    "crop_fraction": 0.9,
    "fill": (1, 2, 3),
    "thumbnail": (25, 20),
    "layout": "channels_first",
}
OTHERS = {
    "channels": "bgr",
    "invert": True,
    "cast": "uint8",
    "decoding": Decoding(exif=False, matte=None, depth="clip"),
}
FANCY = Preprocessing(
    **GEOMETRY, **OTHERS, scaling=(*SCALINGS["imagenet"], Scaling(3, 0.1, None))
)


# Steps -----------------------------------------------------------------------------------------------------


def test_steps_run_in_their_order_and_end_in_the_tensor():
    steps = FANCY.steps(PHOTO)
    assert f"Their order: {', '.join(steps)}." in Preprocessing.__doc__
    shapes = {name: array.shape for name, array in steps.items()}
    assert (shapes["decode"], shapes["thumbnail"]) == ((90, 120, 3), (15, 20, 3))
    image = Image.fromarray(PIXELS)
    image.thumbnail((20, 25), reducing_gap=None)
    np.testing.assert_array_equal(steps["thumbnail"], image)
    assert (shapes["resize"], shapes["layout"]) == ((31, 57, 3), (1, 3, 31, 57))
    np.testing.assert_array_equal(steps["layout"], FANCY.apply(PHOTO))
    with pytest.raises(ValueError, match="read-only"):
        steps["decode"][0] = 0


def test_channels_come_before_scaling_so_that_means_are_in_their_order():
    black = Photo.from_array(np.zeros((1, 1, 3), np.uint8))
    result = Preprocessing(
        size=None, channels="bgr", scaling=Scaling(mean=(1, 2, 3))
    ).apply(black)
    np.testing.assert_array_equal(result.ravel(), [-1, -2, -3])
    red = Photo.from_array(np.uint8([[[255, 0, 0]]]))
    result = Preprocessing(
        size=None, channels="bgr", invert=True, scaling="0..1"
    ).apply(red)
    np.testing.assert_array_equal(result.ravel(), [1, 1, 0])


def test_every_step_can_be_left_out_and_the_tensor_is_new_memory():
    bare = Preprocessing(size=None)
    result = bare.apply(PHOTO)
    np.testing.assert_array_equal(result, PIXELS[None].astype(np.float32))
    assert bare.input_shape is None
    result += 1
    np.testing.assert_array_equal(PHOTO.pixels, PIXELS)


@pytest.mark.parametrize(
    ("layout", "shape"),
    [
        ("channels_last", (1, 20, 30, 3)),
        ("channels_first", (1, 3, 20, 30)),
        ("transposed", (1, 30, 20, 3)),
    ],
)
def test_the_tensor_has_the_shape_that_is_promised(layout, shape):
    preprocessing = Preprocessing((20, 30), layout=layout)
    assert preprocessing.input_shape == (20, 30, 3)
    result = preprocessing.apply(PHOTO)
    assert (result.shape, result.dtype) == (shape, np.float32)


# The picture in a tensor -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "layout", ["channels_last", "channels_first", "transposed", "reshaped"]
)
def test_a_picture_undoes_everything_but_resizing(layout):
    for scaling in (*SCALINGS, ("0..1", Scaling(mean=0.5, std=2))):
        for channels, invert in (("rgb", False), ("bgr", True)):
            p = Preprocessing(
                None, scaling=scaling, layout=layout, channels=channels, invert=invert
            )
            np.testing.assert_array_equal(p.image(p.apply(PHOTO)), PIXELS)
            np.testing.assert_array_equal(p.image(p.apply(PHOTO)[0]), PIXELS)
    luma = np.asarray(Image.fromarray(PIXELS).convert("L"))
    p = Preprocessing(None, scaling="0..1", layout=layout, channels="gray")
    np.testing.assert_array_equal(p.image(p.apply(PHOTO)), np.dstack([luma] * 3))


def test_a_missing_scaling_is_seen_as_white():
    tensor = Preprocessing(size=None).apply(
        Photo.from_array(np.uint8([[[0, 1, 2]], [[3, 128, 255]]]))
    )
    seen = Preprocessing(scaling="-1..1").image(tensor)
    assert seen.tolist() == [[[128, 255, 255]], [[255, 255, 255]]]
    assert Preprocessing(scaling="-1..1").image(
        np.full((1, 1, 3), np.nan)
    ).tolist() == [[[0, 0, 0]]]


def test_a_tensor_of_another_layout_has_no_picture():
    with pytest.raises(
        ValueError,
        match=r"a tensor \(1, H, W, C\) with C = 3, received \(1, 3, 8, 8\)",
    ):
        Preprocessing().image(np.zeros((1, 3, 8, 8)))
    with pytest.raises(
        ValueError,
        match=r"a tensor \(1, C, H, W\) with C = 3, received \(2, 3, 8, 8\)",
    ):
        Preprocessing(layout="channels_first").image(np.zeros((2, 3, 8, 8)))


# The value -------------------------------------------------------------------------------------------------


def test_it_is_frozen_comparable_hashable_and_can_be_pickled():
    for field, value in (("size", (1, 1)), ("scaling", ())):
        with pytest.raises(FrozenInstanceError):
            setattr(FANCY, field, value)
    assert pickle.loads(pickle.dumps(FANCY)) == FANCY  # noqa: S301  our own
    assert len({FANCY, FANCY.replace(), FANCY.replace(invert=False)}) == 2


@pytest.mark.parametrize(
    "value",
    [
        FANCY,
        Preprocessing(size=None),
        Preprocessing(scaling=Scaling(1 / 3, 0.1)),
    ],
)
def test_its_repr_its_code_and_its_json_give_back_the_same_value_and_the_same_bits(
    value,
):
    names = {"Preprocessing": Preprocessing, "Scaling": Scaling, "Decoding": Decoding}
    assert eval(repr(value), names) == value  # noqa: S307  that is the point
    assert eval(value.to_code(), {"kit": kit}) == value  # noqa: S307
    back = Preprocessing.from_json(value.to_json())
    assert back == value
    np.testing.assert_array_equal(back.apply(PHOTO), value.apply(PHOTO))
    assert repr(Preprocessing(scaling="-1..1")) == "Preprocessing(scaling='-1..1')"


def test_json_names_every_field_and_its_version_and_may_leave_fields_out():
    data = json.loads(Preprocessing().to_json())
    assert set(data) == {part.name for part in fields(Preprocessing)} | {
        "format",
        "version",
    }
    few = {
        "format": "kit.preprocessing",
        "version": 1,
        "scaling": "-1..1",
        "size": [8, 9],
    }
    expected = Preprocessing((8, 9), scaling=SCALINGS["-1..1"][0])
    assert Preprocessing.from_dict(few) == expected
    assert (
        Preprocessing.from_dict(few | {"notes": ["of an earlier version"]}) == expected
    )


def test_json_names_the_pillow_that_resizes_and_none_where_pillow_does_not():
    installed = float(".".join(PIL.__version__.split(".")[:2]))
    assert Preprocessing().to_dict()["pillow"] == installed
    older = Preprocessing(pillow=9.5)
    assert Preprocessing.from_json(older.to_json()) == older != Preprocessing()
    for own in ("cv2_area", "tf_bilinear"):
        assert older.replace(filter=own).to_dict()["pillow"] == 0
        assert older.replace(filter=own) == Preprocessing(filter=own)
    saved = Preprocessing().to_dict()
    del saved["pillow"]
    assert Preprocessing.from_dict(saved) == Preprocessing(pillow=installed)


WRONG = [
    (
        {"version": 2},
        ValueError,
        (
            r"^Expected format 'kit.preprocessing' in version 1"
            r", received \('kit.preprocessing', 2\); or use Preprocessing.from_config$"
        ),
    ),
    ({"format": None}, ValueError, "Preprocessing.from_config"),
    ({"fitt": "crop"}, TypeError, r"received 'fitt'; did you mean 'fit'\?"),
    ({"invert": 1}, TypeError, "invert as True or False"),
    ({"pillow": "12.3"}, TypeError, "pillow as a number"),
    ({"scaling": [255]}, TypeError, "scaling as a JSON object"),
    (
        {"scaling": [{"divisor": 255, "men": 1}]},
        TypeError,
        r"received 'men'; did you mean 'mean'\?",
    ),
]


@pytest.mark.parametrize(("changes", "error", "message"), WRONG)
def test_json_that_does_not_fit_is_refused_in_one_line(changes, error, message):
    data = {**Preprocessing().to_dict(), **changes}
    with pytest.raises(error, match=message) as refused:
        Preprocessing.from_json(json.dumps(data))
    assert "\n" not in str(refused.value)
    with pytest.raises(ValueError, match="a preprocessing as JSON"):
        Preprocessing.from_json("{")


UNFIT = [
    ({"filter": "bilinaer"}, ValueError, r"did you mean 'bilinear'\?"),
    ({"scaling": "0..l"}, ValueError, r"did you mean '0..1'\?"),
    ({"scaling": 255.0}, TypeError, "a name, 1/255, a Scaling .* received 255.0"),
    (
        {"scaling": (0, 1)},
        TypeError,
        "a name, 1/255, a Scaling or a tuple of them, received 0",
    ),
    ({"channels": 3}, ValueError, "channel order out of rgb, .* received 3"),
    ({"channels": ["rgb", "bgr"]}, ValueError, r"received \['rgb', 'bgr'\]"),
    ({"filter": "area"}, ValueError, "did you mean 'box' or 'cv2_area'"),
    (
        {"size": (-1, 224)},
        ValueError,
        "height of the size as a whole number 1..4096, received -1",
    ),
    ({"fill": (0, 0, 256)}, ValueError, "of the fill as a whole number 0..255"),
    ({"crop_fraction": 0}, ValueError, "crop_fraction within 1e-08..1, received 0"),
    (
        {"scaling": ("imagenet", Scaling(1, (1, 2, 3, 4)))},
        ValueError,
        r"Expected as many means and stds as channels \(3, rgb\), received 4$",
    ),
    (
        {"channels": "gray", "scaling": "imagenet"},
        ValueError,
        r"channels \(1, gray\), received 3",
    ),
]


@pytest.mark.parametrize(("changes", "error", "message"), UNFIT)
def test_what_cannot_be_applied_is_refused_in_one_line(changes, error, message):
    with pytest.raises(error, match=message) as refused:
        Preprocessing().replace(**changes)
    assert "\n" not in str(refused.value)
