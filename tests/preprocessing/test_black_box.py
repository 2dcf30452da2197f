"""Functions as people write them, with one thing changed at a time."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from kit.images import Photo, load_image
from kit.preprocessing import Preprocessing
from kit.preprocessing.scaling import Scaling

PHOTOGRAPHS = Path(__file__).parents[2] / "data" / "photographs"
PHOTOS = [None, *map(load_image, PHOTOGRAPHS.glob("cat.jpg"))]
MEAN, STD = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
HERE = Preprocessing(scaling="imagenet", layout="channels_first")
VALUE = "the value here"
KERAS = Preprocessing(scaling="-1..1")
MINUS, TIMES = "\N{MINUS SIGN}", "\N{MULTIPLICATION SIGN}"


def resized(x, resampling=Image.Resampling.BILINEAR, size=(224, 224), **options):
    return np.asarray(Image.fromarray(x).resize(size, resampling, **options))


def normalised(x):
    return (x / np.float32(255) - MEAN) / STD


def first(x):
    return x.transpose(2, 0, 1)[None]


def centre(x):
    height, width, _ = x.shape
    side = min(height, width)
    left, top = (width - side) // 2, (height - side) // 2
    return resized(x, box=(left, top, left + side, top + side))


def grey(x):
    return np.stack([np.asarray(Image.fromarray(resized(x)).convert("L"))] * 3, axis=-1)


# name, function, the only difference begins with, the first step
CHANGES = {
    "size": (
        lambda x: first(normalised(resized(x, size=(256, 192)))),
        f"size: 224{TIMES}224 here, 192{TIMES}256",
        "resize",
    ),
    "nearest": (lambda x: first(normalised(resized(x, 0))), "filter: bilinear here, nearest there", "resize"),
    "lanczos": (lambda x: first(normalised(resized(x, 1))), "filter: bilinear here, lanczos there", "resize"),
    "crop": (lambda x: first(normalised(centre(x))), "fit: squash here, crop of 100 % there", "resize"),
    "bgr": (lambda x: first(normalised(resized(x)[..., ::-1])), "channels: rgb here, bgr there", "channels"),
    "grey": (lambda x: first(normalised(grey(x))), "channels: rgb here, gray_rgb there", "channels"),
    "inverted": (
        lambda x: first(normalised(255 - resized(x))),
        "polarity: as it is here, inverted there",
        "invert",
    ),
    "no mean and std": (lambda x: first(resized(x) / 255), "scaling: imagenet", "scale"),
    "no scaling": (lambda x: first(resized(x)), "scaling: imagenet", "scale"),
    "scaled twice": (lambda x: first(normalised(resized(x) / 255)), "scaling: imagenet", "scale"),
    "cast": (lambda x: first(normalised(resized(x)).astype(np.int8)), "cast: none here", "cast"),
    "last": (
        lambda x: normalised(resized(x))[None],
        "layout: channels_first here, channels_last there",
        "layout",
    ),
    "reshaped": (
        lambda x: normalised(resized(x)).reshape(1, 3, 224, 224),
        "layout: channels_first here, channels_first by reshape",
        "layout",
    ),
    "swapped": (
        lambda x: normalised(resized(x)).transpose(2, 1, 0)[None],
        "layout: channels_first here, channels_first with height and width swapped",
        "layout",
    ),
}


@pytest.mark.parametrize("photo", PHOTOS, ids=lambda photo: photo.name if photo else "made up")
@pytest.mark.parametrize("name", CHANGES)
def test_one_change_is_named_and_nothing_else(name, photo):
    function, words, step = CHANGES[name]
    comparison = HERE.compare(function, photo)
    assert len(comparison.differences) == 1, comparison
    assert comparison.differences[0].startswith(words)
    assert comparison.first_step == step
    assert not comparison.equal


@pytest.mark.parametrize("photo", PHOTOS, ids=lambda photo: photo.name if photo else "made up")
@pytest.mark.parametrize(
    "function",
    [
        lambda x: first(normalised(resized(x))),
        lambda x: first(normalised(resized(x)))[0],
        lambda x: first(normalised(resized(x))).astype(np.float64),
        lambda x: first(normalised(resized(x))).tolist(),
        lambda x: first(normalised(resized(x))).astype(np.float16),
    ],
    ids=["same", "no batch axis", "float64", "lists", "float16"],
)
def test_equal_functions_are_called_equal(function, photo):
    comparison = HERE.compare(function, photo)
    assert comparison.equal, comparison
    assert re.search("the tensors (are equal|agree up to rounding)", str(comparison))


@pytest.mark.parametrize(
    ("function", "relation"),
    [
        (lambda x: resized(x) / 127.5 - 1, None),
        (lambda x: resized(x) / 255, f"{MINUS}1..1 here, 0..1 there"),
        (resized, f"{MINUS}1..1 here, 0..255 there"),
        (lambda x: (resized(x) / 127.5 - 1) / 255, f"x / 127.5 {MINUS} 1, then x / 255 there"),
        (lambda x: 2 * (resized(x) / 127.5 - 1), "there 2 × the value here"),
        (lambda x: resized(x) / 127.5 - 0.7, "there the value here + 0.3"),
        (
            lambda x: (resized(x) / 127.5 - 1) / 127.5 - 1,
            f"x / 127.5 {MINUS} 1, then x / 127.5",
        ),
    ],
)
def test_scaling_is_put_into_words(function, relation):
    comparison = KERAS.compare(lambda x: function(x)[None])
    if relation is None:
        assert comparison.equal
    else:
        assert len(comparison.differences) == 1
        assert relation in comparison.differences[0]


def test_several_changes_come_in_the_order_of_their_effect():
    comparison = KERAS.compare(lambda x: first(resized(x, 0)[..., ::-1] / 255))
    names = [text.split(":")[0] for text in comparison.differences]
    # Another shape is fed to no network; the filter moves the tensor least.
    assert names == ["layout", "scaling", "channels", "filter"]
    assert [step for step, _ in comparison.effects] == ["layout", "scale", "channels", "resize"]
    assert comparison.effects[0][1] == 1
    assert (comparison.first_step, comparison.main_step) == ("resize", "layout")
    assert "the tensors part at: resize, most by: layout." in str(comparison)


def test_tensorflows_bilinear_is_told_from_pillows():
    function = Preprocessing(filter="tf_bilinear", scaling="-1..1").apply
    comparison = KERAS.compare(lambda x: function(Photo.from_array(x)))
    assert comparison.differences[0].startswith("filter: bilinear here, tf_bilinear there")


def test_a_picture_without_colour_accuses_no_channel_order():
    columns = np.arange(240, dtype=np.uint8)[None, :, None].repeat(160, axis=0).repeat(3, axis=2)
    for order in ("rgb", "bgr"):
        here = Preprocessing(scaling=Scaling(127.5, (1.0, 1.0, 1.1)), channels=order)
        comparison = here.compare(lambda x: (resized(x) / 127.5 - [1, 1, 1.2])[None], columns)
        assert [text.split(":")[0] for text in comparison.differences] == ["scaling"]


def test_what_no_step_explains_is_said_to_be_unexplained():
    curved = KERAS.compare(lambda x: (2 * (resized(x) / 255.0) ** 2.2 - 1)[None])
    assert not curved.equal
    assert "left over" in curved.differences[-1] or "nothing tried explains it" in curved.differences[-1]
    noise = np.random.default_rng(0).normal(size=(1, 224, 224, 3))
    assert "nothing tried explains it" in KERAS.compare(lambda _: noise).differences[-1]


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (
            lambda x: x.missing,
            "function: raised AttributeError: 'numpy.ndarray' object has no attribute 'missing'",
        ),
        (lambda x: 1 / 0, "function: raised ZeroDivisionError: division by zero"),
        (lambda x: None, "function: returned object values instead of numbers"),
        (lambda x: "text", "function: returned <U4 values instead of numbers"),
        (
            lambda x: np.zeros((2, 224, 224, 3)),
            "function: returned shape (2, 224, 224, 3), which is no picture",
        ),
        (lambda x: np.zeros((224, 224, 4)), "function: returned shape (224, 224, 4), which is no picture"),
        (lambda x: 5.0, "function: returned shape (), which is no picture"),
        (lambda x: np.full((224, 224, 3), np.nan), "function: returned 150528 values that are not finite"),
        (lambda x: np.zeros((1, 224, 224, 3)), "values: a picture here, 0 everywhere there"),
    ],
)
def test_a_function_that_fails_is_a_finding_in_one_line(function, words):
    comparison = KERAS.compare(function)
    assert comparison.differences[0].startswith(words)
    assert not comparison.equal
    assert "\n" not in comparison.differences[0]


def test_the_function_gets_a_copy_of_the_decoded_pixels():
    photo = Photo.from_array(np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8))
    received = []

    def spoil(x):
        received.append(x.copy())
        x[:] = 0
        return x

    assert "raised" not in str(KERAS.compare(spoil, photo))
    np.testing.assert_array_equal(received[0], photo.pixels)
    assert received[0].dtype == np.uint8
    assert photo.pixels.any()


def test_grey_networks_and_missing_resizing_are_compared_too():
    small = Preprocessing((28, 28), channels="gray", scaling="0..1")
    shade = lambda x: np.asarray(Image.fromarray(resized(x, size=(28, 28))).convert("L"))  # noqa: E731
    assert small.compare(lambda x: shade(x) / 255.0).equal
    assert small.compare(lambda x: (255 - shade(x))[None, ..., None] / 255.0).first_step == "invert"
    whole = Preprocessing(size=None, scaling="0..1")
    assert whole.compare(lambda x: x[None] / 255.0).equal
    assert whole.compare(lambda x: resized(x)[None] / 255.0).first_step == "resize"


def test_a_grey_network_is_compared_with_a_function_that_scales_by_channel():
    grey = Preprocessing(size=(64, 64), channels="gray", scaling="0..1")
    found = grey.compare(lambda x: normalised(resized(x, size=(64, 64)))).differences
    assert found[0] == "channels: gray here, rgb there"
    assert found[1].startswith("scaling: 0..1 here, there by channel (")


def test_the_result_is_the_same_every_time():
    function = CHANGES["bgr"][0]
    assert HERE.compare(function) == HERE.compare(function)


@pytest.mark.parametrize(("levels", "told"), [(0.4, False), (-0.4, False), (0.6, True), (-0.6, True)])
def test_a_line_that_is_off_by_half_a_level_is_another_scaling(levels, told):
    comparison = KERAS.compare(lambda x: ((resized(x) + levels) / 127.5 - 1)[None])
    assert bool(comparison.differences) == told
    if told:
        sign = "+" if levels > 0 else MINUS
        assert comparison.differences[0].endswith(f"there the value here {sign} 0.004706")
    else:
        assert comparison.notes[-1].startswith("this preprocessing rebuilds their result to 0.")


@pytest.mark.parametrize(
    ("cast", "few"),
    [
        (lambda x: x.astype(np.int64).astype(np.uint8), "0, 1, 2, 254, 255"),
        (lambda x: x.astype(np.int8), f"{MINUS}2, {MINUS}1, 0, 1, 2"),
    ],
)
def test_a_cast_that_wraps_around_and_one_that_keeps_the_sign_are_both_told(cast, few):
    comparison = HERE.compare(lambda x: cast(first(normalised(resized(x)))))
    assert comparison.differences == (
        f"cast: none here, to whole numbers after scaling there; only {few} are left",
    )
    # After another scaling that is told as well.
    other = KERAS.compare(lambda x: cast(resized(x) / np.float32(255))[None])
    assert other.first_step == "scale"
    assert other.differences[0] == f"scaling: {MINUS}1..1 here, 0..1 there"
    assert other.differences[1].endswith("only 0, 1 are left")
    # Where the cast is known, it is no difference.
    known = Preprocessing(scaling="0..1", cast="uint8")
    assert known.compare(lambda x: (resized(x) / np.float32(255)).astype(np.uint8)[None]).equal


@pytest.mark.parametrize(
    ("function", "relation"),
    [
        (lambda x: x / 255 * [1, 2, 4], f"there by channel ({VALUE}, 2 × {VALUE}, 4 × {VALUE})"),
        (
            lambda x: x / 255 + [0, 0.25, -0.5],
            f"there by channel ({VALUE}, {VALUE} + 0.25, {VALUE} {MINUS} 0.5)",
        ),
        (lambda x: x / 255 / 3, f"there {VALUE} / 3"),
        (lambda x: x / 255 * 1.003, f"there 1.003 × {VALUE}"),
        (lambda x: x / 255 * 0.995, f"there 0.995 × {VALUE}"),
        (lambda x: x / 255 * 2.5, f"there 2.5 × {VALUE}"),
        (lambda x: x / 255 / 2.5, f"there 0.4 × {VALUE}"),
        (lambda x: x / 255 * -3, f"there {MINUS}3 × {VALUE}"),
    ],
)
def test_a_line_is_put_into_the_plainest_words(function, relation):
    told = Preprocessing(scaling="0..1").compare(lambda x: function(resized(x))[None]).differences
    assert len(told) == 1
    assert told[0].endswith(relation)


def test_a_resize_that_is_only_nearest_to_another_is_told_as_such():
    # Blurred before it is resized: nearer to a filter that blurs more, and not the same.
    blurred = lambda x: resized(np.asarray(Image.fromarray(x).filter(ImageFilter.GaussianBlur(1))))  # noqa: E731
    told = KERAS.compare(lambda x: (blurred(x) / 127.5 - 1)[None], PHOTOS[1]).differences
    left = "levels (root mean square) are left over, so something else happens there too"
    assert [line.endswith(left) for line in told].count(True) == 1
    exact = KERAS.compare(
        lambda x: (resized(x, Image.Resampling.BOX) / 127.5 - 1)[None], PHOTOS[1]
    ).differences
    own, best = (
        float(number) for number in re.findall(r"off by ([\d.]+) levels, this one by ([\d.]+)", exact[0])[0]
    )
    assert (best, own > 0.6, "something nearest" in exact[0]) == (0, True, False)


@pytest.mark.parametrize("shape", [(224, 224), (1, 224, 224), (224, 224, 1), (3, 224, 224), (1, 224, 224, 3)])
def test_pictures_of_one_or_three_channels_are_taken_with_or_without_a_leading_axis(shape):
    assert "no picture" not in str(KERAS.compare(lambda _: np.ones(shape)))


@pytest.mark.parametrize(
    "shape", [(0, 224), (224, 0), (224, 224, 2), (2, 224, 224), (0, 224, 3), (1, 1, 224, 224, 3)]
)
def test_other_shapes_are_no_pictures(shape):
    assert "which is no picture of 1 or 3 channels" in KERAS.compare(lambda _: np.ones(shape)).differences[0]
