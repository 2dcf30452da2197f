"""Functions as people write them, with one thing changed at a time."""

import re
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageFilter
from scipy.ndimage import gaussian_filter, map_coordinates

from kit import samples
from kit.images.opening import Decoding
from kit.images.photo import Photo, load_image
from kit.preprocessing import Preprocessing, black_box, matching
from kit.preprocessing.buffers import each_order
from kit.preprocessing.calling import call
from kit.preprocessing.colours import few_levels_words
from kit.preprocessing.comparison import relative_distance
from kit.preprocessing.fitting import Probe
from kit.preprocessing.matching import largest_levels_off
from kit.preprocessing.scaling import Scaling
from tests.pictures import picture, scene

CAT = samples.photo("cat.jpg")
MEAN, STD = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
HERE = Preprocessing(scaling="imagenet", layout="channels_first")
KERAS = Preprocessing(scaling="-1..1")
WINDOW = Preprocessing((96, 96), scaling="-1..1", fit="crop", crop_fraction=0.875)
FAILED = "code: could not be called:"
MINUS, TIMES = "\N{MINUS SIGN}", "\N{MULTIPLICATION SIGN}"


def resized(x, resampling=Image.Resampling.BILINEAR, size=(224, 224), **options):
    return np.asarray(Image.fromarray(x).resize(size, resampling, **options))


def normalised(x):
    return (x / np.float32(255) - MEAN) / STD


def first(x):
    return x.transpose(2, 0, 1)[None]


def usual(x):
    return first(normalised(x))


def centre(x):
    height, width, _ = x.shape
    side = min(height, width)
    left, top = (width - side) // 2, (height - side) // 2
    return resized(x, box=(left, top, left + side, top + side))


def grey(x):
    return np.stack([np.asarray(Image.fromarray(resized(x)).convert("L"))] * 3, axis=-1)


def only_difference(here, code, photo=CAT):
    (words,) = here.compare(code, photo).differences
    return words


# What is done to the photo, how the only difference begins, the first step.
CHANGES = {
    "size": (
        lambda x: usual(resized(x, size=(256, 192))),
        f"size: 224{TIMES}224 here",
        "resize",
    ),
    "crop": (
        lambda x: usual(centre(x)),
        "fit: squash here, crop of 100 % there",
        "resize",
    ),
    "bgr": (
        lambda x: usual(resized(x)[..., ::-1]),
        "channels: rgb here, bgr",
        "channels",
    ),
    "grey": (
        lambda x: usual(grey(x)),
        "channels: rgb here, gray_rgb there",
        "channels",
    ),
    "inverted": (
        lambda x: usual(255 - resized(x)),
        "polarity: as it is here",
        "polarity",
    ),
    "no mean and std": (
        lambda x: first(resized(x) / 255),
        "scaling: imagenet",
        "scaling",
    ),
    "scaled twice": (
        lambda x: usual(resized(x) / 255),
        "scaling: imagenet",
        "scaling",
    ),
    "cast": (
        lambda x: first(normalised(resized(x)).astype(np.int8)),
        "cast: none here",
        "cast",
    ),
    "last": (
        lambda x: normalised(resized(x))[None],
        "layout: channels_first here, channels_last there",
        "layout",
    ),
}


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("is_tensor", [False, True])
def test_one_change_is_named_and_nothing_else(name, is_tensor):
    function, words, step = CHANGES[name]
    # A tensor is read without the code that made it.
    code = function(CAT.pixels) if is_tensor else function
    comparison = HERE.compare(code, CAT)
    (difference,) = comparison.differences
    assert difference.startswith(words)
    assert comparison.first_step == step


@pytest.mark.parametrize(
    "form",
    [
        lambda x: x.tolist(),
        # What runs in parallel may vary, here by less than a thousandth of the range of 4.
        lambda x: x + np.random.default_rng().random() / 300,
        np.float16,
    ],
)
def test_equal_functions_are_called_equal_in_any_form(form):
    comparison = HERE.compare(lambda x: form(usual(resized(x))), CAT)
    assert comparison.equal, comparison


RELATIONS = [
    (lambda x: x / 255, f"{MINUS}1..1 here, 0..1 there"),
    (
        lambda x: (x / 127.5 - 1) / 127.5 - 1,
        f"x / 127.5 {MINUS} 1, then x / 127.5 {MINUS} 1 there",
    ),
    (lambda x: (x - 30.0) / [1, 2, 4], f"(x {MINUS} 30) / (1, 2, 4) there"),
    # Half a level counts.
    (lambda x: (x + 0.6) / 127.5 - 1, f"(x {MINUS} 126.9) / 127.5 there"),
    (lambda x: (x + 0.4) / 127.5 - 1, None),
]


@pytest.mark.parametrize(("function", "relation"), RELATIONS)
def test_scaling_is_put_into_words(function, relation):
    comparison = KERAS.compare(lambda x: function(resized(x))[None], CAT)
    if relation is None:
        assert comparison.equal
        assert comparison.notes[-1].startswith(
            "this preprocessing reproduces the result to within 0."
        )
    else:
        assert len(comparison.differences) == 1
        assert comparison.differences[0].endswith(relation)


def test_several_changes_come_in_the_order_of_their_effect():
    comparison = KERAS.compare(lambda x: first(resized(x, 0)[..., ::-1] / 255), CAT)
    assert [step for step, _ in comparison.effects] == [
        "layout",
        "scaling",
        "channels",
        "resize",
    ]
    assert (comparison.first_step, comparison.main_step) == ("resize", "layout")
    assert "first difference: resize, biggest: layout." in str(comparison)


CASTS = [
    (lambda x: x.astype(np.int64).astype(np.uint8), "to uint8 after scaling"),
    (lambda x: x.astype(np.int8), f"only 5 levels: {MINUS}2, {MINUS}1, 0, 1, 2,"),
]


@pytest.mark.parametrize(("cast", "words"), CASTS)
def test_a_cast_that_wraps_around_and_one_that_keeps_the_sign_are_both_told(
    cast, words
):
    told = only_difference(HERE, lambda x: cast(usual(resized(x))), scene())
    assert told == f"cast: none here, {words} there"
    # Of levels in −1..1, black alone wraps around, to 255: then the result rises as the image falls.
    told = only_difference(KERAS, lambda x: cast(resized(x) / 127.5 - 1))
    assert told.startswith("cast: none here, ")
    # Where the cast is known, it is no difference.
    known = Preprocessing(scaling="0..1", cast="uint8")
    shares = resized(CAT.pixels) / np.float32(255)
    assert known.compare(shares.astype(np.uint8), CAT).equal
    words = "cast: to uint8 after scaling here, none there"
    assert only_difference(known, shares) == words


def test_another_decoding_is_looked_for_only_where_the_function_decodes(tmp_path):
    alpha = np.tile(np.linspace(0, 255, CAT.pixels.shape[1]), (CAT.pixels.shape[0], 1))
    Image.fromarray(np.dstack([CAT.pixels, alpha]).astype(np.uint8)).save(
        tmp_path / "faded.png"
    )
    photo = load_image(tmp_path / "faded.png")
    there = WINDOW.replace(decoding=Decoding(matte=(0, 0, 0)), channels="bgr")

    def read(path):
        return there.apply(Path(path))

    by_path = WINDOW.compare(read, photo)
    assert "camera" not in str(by_path)
    assert set(by_path.differences) == {
        "Transparency: laid over (255, 255, 255) here, laid over (0, 0, 0) there",
        "channels: rgb here, bgr there",
    }
    words = "channels: rgb here, bgr there"
    assert only_difference(WINDOW, there.apply, photo) == words

    def rounded_once_more(path):
        faded = np.asarray(Image.open(path).resize((96, 96), 2), np.float32)
        return faded[..., :3] * faded[..., 3:] / 255

    words = only_difference(Preprocessing((96, 96)), rounded_once_more, photo)
    assert words.startswith("Transparency")


def test_a_picture_without_colour_accuses_no_channel_order():
    columns = np.tile(np.arange(240, dtype=np.uint8)[:, None], (160, 1, 3))
    for order in ("rgb", "bgr"):
        here = Preprocessing(scaling=Scaling(127.5, (1.0, 1.0, 1.1)), channels=order)
        comparison = here.compare(
            lambda x: (resized(x) / 127.5 - [1, 1, 1.2])[None], columns
        )
        assert [text.split(":")[0] for text in comparison.differences] == ["scaling"]


def test_of_many_photos_those_of_the_most_unequal_sides_are_read():
    here = Preprocessing((32, 32), scaling="0..1")
    there = here.replace(fit="crop")
    # What is square is whole in a crop, too.
    photos = [Photo.from_array(picture((64, 64), seed=seed)) for seed in range(5)]
    photos.append(Photo.from_array(picture((64, 120), seed=5)))
    tensors = [there.apply(photo) for photo in photos]
    flat = lambda x: there.apply(x).ravel()
    assert black_box.read(here, flat, photos).pipeline == there
    assert black_box.read(here, tensors[:5], photos[:5]).pipeline == here


def test_a_scaling_by_each_image_is_named_though_the_photo_that_is_read_hides_it():
    here = Preprocessing((32, 32), scaling="0..1", filter="nearest")
    wide = picture((32, 64), seed=1)
    wide[0, 0], wide[1, 1] = 0, 255
    photos = [Photo.from_array(wide), Photo.from_array(80 + picture((32, 40)) // 4)]

    def by_each_image(pixels):
        low, high = float(pixels.min()), float(pixels.max())
        return np.asarray(Image.fromarray(pixels).resize((32, 32), 0)) - low, high - low

    reading = black_box.read(
        here, lambda x: np.divide(*by_each_image(x), dtype=np.float32), photos
    )
    assert list(reading.unexplained) == ["scaling"]
    assert "by the values of each image" in reading.unexplained["scaling"]


def test_levels_are_those_of_the_mean_scaling_of_the_channels():
    pipeline = Preprocessing(None, scaling=Scaling(1, (0, 0, 0), (1, 2, 4)))
    photo = Photo.from_array(picture((16, 16)))
    # Of 1, 1 / 2 and 1 / 4.
    probe = Probe(photo, pipeline.apply(photo)[0] + 7)
    assert largest_levels_off(pipeline, [probe]) == pytest.approx(12)


def test_a_channel_of_a_grey_photo_is_not_taken_for_a_scaling_by_each_image():
    small = Preprocessing((28, 28), channels="gray", scaling="0..1")
    photo = Photo.from_array(np.repeat(picture((28, 28))[..., :1], 3, axis=-1))
    words = only_difference(small, lambda x: x[None, ..., :1] / 255 / 255, photo)
    assert words == "scaling: 0..1 here, x / 255, then x / 255 there"


def test_channels_that_a_reshape_moves_are_not_taken_for_a_scaling_by_each_image():
    reshaped = lambda x: normalised(resized(x)).reshape(3, 224, 224)
    assert only_difference(HERE, reshaped) == "image: as it is here, reshaped there"
    by_image = lambda x: (reshaped(x) - reshaped(x).min()) / np.ptp(reshaped(x))
    _, scaling = HERE.compare(by_image, CAT).differences
    assert scaling.endswith("by the values of each image there")


def test_what_a_file_of_16_bits_keeps_is_not_taken_for_a_scaling_by_each_image():
    here = Preprocessing((32, 32), scaling="0..1", filter="nearest")

    def keep_all_bits(path):
        levels = np.asarray(Image.open(path).resize((32, 32), 0), float)
        return np.repeat(levels.reshape(32, 32, -1), 3, axis=-1)[..., :3] / 255

    words = only_difference(here, keep_all_bits, samples.photo("depth16.png"))
    assert "each image" not in words


def low_contrast():
    """Eight levels from 200 on."""
    return Photo.from_array(200 + CAT.pixels // 32)


def test_other_rounding_of_an_image_of_few_levels_agrees():
    here = Preprocessing((64, 64), scaling="0..1", filter="cv2_linear")
    unrounded = lambda x: cv2.resize(x.astype(np.float32) / 255, (64, 64))
    for photo in (low_contrast(), Photo.from_array(picture((7, 5)))):
        comparison = here.compare(unrounded, photo)
        assert not comparison.differences
        assert "levels (root mean square)" in str(comparison)


def test_a_scaling_that_is_off_by_less_than_a_level_is_named_all_the_same():
    here = Preprocessing((64, 64), scaling="0..1")
    # 255 / 256 is one level at white.
    function = lambda x: resized(x, size=(64, 64)) / 256
    words = only_difference(here, function, low_contrast())
    assert words == "scaling: 0..1 here, x / 256 there"


def test_a_scaling_without_its_divisor_keeps_its_mean():
    words = only_difference(HERE, lambda x: first((resized(x) - MEAN) / STD))
    assert words.endswith(
        f" here, (x {MINUS} (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225) there"
    )
    halves = first((resized(CAT.pixels) / 255 - 0.4) / 0.2)
    words = only_difference(HERE, halves)
    assert words.endswith(f" here, (x / 255 {MINUS} 0.4) / 0.2 there")


def test_an_image_that_is_mirrored_and_turned_is_recognised():
    # The eighth of the orientations that a file may have.
    function = lambda x: np.rot90(resized(x)[:, ::-1], -1) / np.float32(127.5) - 1
    words = "image: as it is here, mirrored and turned to the right there"
    assert only_difference(KERAS, function) == words


def test_what_is_no_part_of_a_photo_is_said_to_be_another_image(monkeypatch):
    shown = []
    monkeypatch.setattr(
        matching, "Steps", lambda parts, what, progress: shown.append(what) or parts
    )
    noise = np.random.default_rng(0).normal(size=(1, 96, 96, 3))
    words = only_difference(WINDOW, noise)
    assert shown == ["Trying orders of values", "Searching the photo"]
    assert re.match(
        "content: no part, order or colours of this image that were tried explain the result "
        r"\(correlation 0\.0\d of fine detail\), as with another image, "
        "or this one turned by some degrees$",
        words,
    )


def in_between(x, image_filter):
    return np.asarray(Image.fromarray(x).filter(image_filter))


ROWS, COLUMNS = np.mgrid[-1:1:224j, -1:1:224j][..., None]
GRAIN = np.random.default_rng(0).normal(scale=12, size=(224, 224, 3))
# What happens to the resized image, and what kind of difference that is.
DEPARTURES = [
    (
        lambda x: x * (1 - 0.3 * (ROWS**2 + COLUMNS**2)),
        "so something else happens there, too",
    ),
    (
        lambda x: in_between(x, ImageFilter.GaussianBlur(1)),
        "of less fine detail, as after a blur, a small turn, a smaller size, JPEG or another filter",
    ),
    (
        lambda x: in_between(x, ImageFilter.SHARPEN),
        "of more fine detail, as after sharpening, more local contrast or another filter",
    ),
    (
        lambda x: x + GRAIN / 2,
        "of fine grain, as from added noise, dithering or JPEG compression",
    ),
]


@pytest.mark.parametrize(("change", "words"), DEPARTURES)
def test_what_no_step_explains_is_said_by_how_it_departs_from_the_image(change, words):
    difference = only_difference(KERAS, change(resized(CAT.pixels)) / 127.5 - 1)
    assert difference.endswith(f" levels (root mean square) are unexplained, {words}")


def test_a_weak_smooth_difference_is_no_grain_however_contrasty_the_image_is():
    rows, columns = np.mgrid[:64, :64]
    image = np.where(columns < 32, 0.0, 255.0)
    words = black_box.departure_words(image, image + 20 * rows / 63)
    assert words == "so something else happens there, too"


def test_an_image_is_followed_where_its_brightness_is_another_in_each_place():
    dark = resized(CAT.pixels) * np.exp(-1.5 * (ROWS**2 + COLUMNS**2))
    words = only_difference(KERAS, dark / 127.5 - 1)
    assert re.match(
        r"content: .* \(correlation 0\.\d\d of fine detail\), as with local contrast, "
        "a vignette, something over it or a buffer that is not filled$",
        words,
    )


def test_a_filter_of_no_table_is_named_by_the_nearest():
    here = KERAS.replace(filter="tf_bilinear")
    linear, cubic = (
        cv2.resize(CAT.pixels, (224, 224), interpolation=way)
        for way in (cv2.INTER_LINEAR, cv2.INTER_CUBIC)
    )
    softer = 0.8 * cubic + 0.2 * linear
    words = only_difference(here, softer / 127.5 - 1)
    assert words == "filter: tf_bilinear here, cv2_cubic there"


def wrapped(x):
    return x.astype(np.int8)


# What no pipeline does: from the levels of a photo, in any scaling.
COLOURS = [
    (lambda x: x[..., [0, 0, 0]], "channels: rgb here, rrr there"),
    (
        lambda x: x @ np.float32([[1, 0.2, 0.1], [0, 0.3, 0.7], [0, 0.5, 0.2]]),
        "channels: rgb here, mixtures of them, as in YCrCb, YUV or at another saturation, there",
    ),
    (
        lambda x: x @ np.tile([[0.2], [0.3], [0.5]], 3),
        "channels: rgb here, one mixture of them, such as their mean, there",
    ),
    (
        lambda x: x**1.2,
        "scaling: a line here, a curve, such as gamma, contrast or equalisation, there",
    ),
    (wrapped, "scaling: a line here, a jump, as where bytes wrap around, there"),
    (
        lambda x: x.clip(51, 153),
        f"cast: none here, cut off at {MINUS}0.6 and 0.2 there",
    ),
    (lambda x: x // 16 * 17, "cast: none here, only 14 levels there"),
]


@pytest.mark.parametrize(("colours", "words"), COLOURS)
def test_other_colours_are_named_by_how_they_come_from_red_green_and_blue(
    colours, words
):
    function = lambda x: colours(resized(x)) / np.float32(127.5) - 1
    assert words in KERAS.compare(function, CAT).differences


def test_the_end_that_is_cut_off_is_named_where_few_pixels_reach_it():
    levels = np.add.outer(np.arange(20, 84), np.arange(64))
    levels[10:12, 10:12] = 255
    pixels = levels[..., None].repeat(3, axis=-1).astype(np.uint8)
    here = Preprocessing(size=(64, 64))
    # Of the other end, half a level of one pixel.
    told = only_difference(here, lambda x: np.clip(np.float32(x), 20.5, 150), pixels)
    assert told == "cast: none here, cut off at 150 there"


def test_another_order_of_channels_hides_no_scaling_and_no_scaling_hides_it():
    comparison = KERAS.compare(resized(CAT.pixels)[..., [1, 2, 0]] / 255, CAT)
    assert set(comparison.differences) == {
        f"scaling: {MINUS}1..1 here, 0..1 there",
        "channels: rgb here, gbr there",
    }
    assert comparison.first_step == "channels"
    # Nor that images are inverted, as they should be.
    tensor = ((255 - resized(CAT.pixels))[..., ::-1] / 255) ** 2.2
    inverted = KERAS.replace(invert=True)
    assert set(inverted.compare(tensor, CAT).differences) == {
        "scaling: a line here, a curve, such as gamma, contrast or equalisation, there",
        "channels: rgb here, bgr there",
    }


def test_pixels_that_are_cut_out_and_not_resized_are_named():
    # In the centre, where a crop of a share of the photo shows the same.
    cut = CAT.pixels[38:262, 113:337] / np.float32(127.5) - 1
    size, words = KERAS.replace(size=192).compare(cut, CAT).differences
    assert size == f"size: 192{TIMES}192 here, 224{TIMES}224 there"
    rows = "rows 38 to 262 of 300 and columns 113 to 337 of 451"
    assert words == f"window: squash here, {rows}, not resized, there"


RELATIVE = [
    (lambda x: (x - x.min()) / np.ptp(x), ()),
    (
        lambda x: ((x - x.mean()) / x.std())[..., ::-1],
        ("channels: rgb here, bgr there",),
    ),
    (lambda x: (x.max() - x) / np.ptp(x), ("polarity: as it is here, inverted there",)),
]


@pytest.mark.parametrize(("scaled", "words"), RELATIVE)
def test_scaling_by_the_values_of_each_image_hides_nothing_beside_it(scaled, words):
    function = lambda x: scaled(resized(x).astype(float))
    assert set(KERAS.compare(function, CAT).differences) == {
        "scaling: the same for all images here, by the values of each image there",
        *words,
    }


def test_black_and_white_that_is_scaled_by_its_largest_value_is_no_kept_result():
    white = CAT.pixels[..., :1].repeat(3, axis=2) > 127
    plain = Preprocessing((300, 451), scaling="0..1")
    assert plain.compare(lambda x: x / x.max(), Photo(white * np.uint8(255))).equal


def test_grey_networks_and_missing_resizing_are_compared_too():
    small = Preprocessing((28, 28), channels="gray", scaling="0..1")
    shade = lambda x: np.asarray(
        Image.fromarray(resized(x, size=(28, 28))).convert("L")
    )
    inverted, scaling = small.compare(
        lambda x: (255.0 - shade(x))[None, ..., None] / 200 - 0.3, CAT
    ).differences
    assert inverted == "polarity: as it is here, inverted there"
    # 60 of 255 levels, and 200.
    assert re.search(r"0\.\.1 here, \(x / 255 − 0\.23\d*\) / 0\.78", scaling)
    dark = (255.0 - shade(CAT.pixels))[..., None] / 200 - 0.3
    assert small.replace(invert=True).compare(dark, CAT).differences == (scaling,)
    channels, scaling = small.compare(
        lambda x: normalised(resized(x, size=(28, 28))), CAT
    ).differences
    assert channels == "channels: gray here, rgb there"
    assert scaling.startswith("scaling: 0..1 here, imagenet, (x / 255 ")
    curved = (shade(CAT.pixels)[..., None] / 255) ** 2.2
    channels, _, curve, _ = HERE.replace(size=28).compare(curved, CAT).differences
    assert channels == "channels: rgb here, gray there"
    assert curve.startswith("scaling: a line here, a curve")
    whole = Preprocessing(size=None, scaling="0..1")
    assert whole.compare(lambda x: x[None] / 255.0, CAT).equal
    assert whole.compare(lambda x: resized(x)[None] / 255.0, CAT).first_step == "resize"
    # Of fewer rows than a buffer has that is filled up behind each of them.
    words = only_difference(small.replace(size=8), np.eye(8) / 3)
    assert words.startswith("content: no part, order or colours of this image")
    words = only_difference(whole, cv2.blur(CAT.pixels, (9, 9)) / 255)
    assert "of less fine detail" in words


FAILING = [
    (
        lambda x: None,
        "code: returned None, as without a return, instead of numbers",
    ),
    (lambda x: sys.exit("stop"), f"{FAILED} raised SystemExit in line "),
    (
        lambda x: np.zeros((1, 224, 224, 3)),
        (
            "values: an image here, 0 alone there, as in a buffer that is not filled, "
            "or after a cast to whole numbers"
        ),
    ),
    (
        lambda x: 0 * resized(x)[None] - [1.0, 2.0, 4.0],
        "values: an image here, −4, −2, −1 alone there",
    ),
    (
        lambda x: first(0 * resized(x) - [1.0, 2.0, 4.0]),
        "values: an image here, −4, −2, −1 alone there",
    ),
]


@pytest.mark.parametrize(("function", "words"), FAILING)
def test_a_function_that_fails_is_a_finding_in_one_line(function, words):
    comparison = KERAS.compare(function, CAT)
    assert comparison.differences[0].startswith(words)
    assert not comparison.equal


def test_a_black_tensor_with_its_channels_first_is_read():
    black = first(0 * resized(CAT.pixels) - [1.0, 2.0, 4.0])
    rows = np.random.default_rng(0).normal(black, 1e-3)
    assert not HERE.compare(rows, CAT).equal


def test_a_function_gets_a_copy_of_the_pixels_or_else_the_path_of_a_file_that_is_gone_afterwards():
    pixels, seen = CAT.pixels.copy(), []

    def spoil(x):
        x[:] = 0
        return x

    def function(path):
        image = np.asarray(Image.open(path))
        seen.append((Path(path), Path(path).read_bytes()))
        return image

    assert (call(spoil, CAT).problem, call(spoil, CAT).given_as) == ("", "an RGB array")
    np.testing.assert_array_equal(CAT.pixels, pixels)
    called = call(function, CAT)
    assert called.given_as == "a path"
    np.testing.assert_array_equal(called.tensor, CAT.pixels)
    ((path, contents),) = seen
    assert (path.suffix, contents, path.exists()) == (".jpg", CAT.file, False)
    # Without a file the pixels are written as they are.
    photo = Photo.from_array(CAT.pixels[:9, :7].copy(), "../a name.jpg")
    np.testing.assert_array_equal(call(function, photo).tensor, photo.pixels)
    assert seen[-1][0].suffix == ".png"


def test_what_goes_wrong_with_pixels_and_with_a_path_is_told_in_one_line():
    def wrong_both_ways(given):
        raise ValueError(f"{type(given).__name__}\nis not wanted")

    kinds = {
        "ndarray": "an RGB array",
        "str": "a path",
        "JpegImageFile": "a Pillow image",
    }
    line = wrong_both_ways.__code__.co_firstlineno + 1
    told = (
        f"raised ValueError in line {line}: {kind} is not wanted (given {way})"
        for kind, way in kinds.items()
    )
    assert (
        call(wrong_both_ways, CAT).problem == f"could not be called: {'; '.join(told)}"
    )
    assert call(lambda given: 1 / 0, CAT).problem.count("raised") == 1

    def with_a_mistake(path):
        image = Image.open(path)
        return np.reshape(image, (3, 3))

    # First the form with which it came furthest, and where.
    line = with_a_mistake.__code__.co_firstlineno + 2
    furthest, *others = call(with_a_mistake, CAT).problem.split("; ")
    assert f"called: raised ValueError in line {line}: cannot reshape" in furthest
    assert "(given a path)" in furthest
    assert f"in line {line - 1}: " in others[0]
    # The folder is the kit's own.
    problem = call(lambda given: open(f"{given}.txt"), CAT).problem  # noqa: SIM115, PTH123
    assert "No such file or directory: 'picture.jpg.txt' (given a path)" in problem


# What fewer people do, in tensors.
YOLO = KERAS.replace(fit="letterbox_floor", fill=(114, 114, 114))
TENSORS = [
    ({"fit": "letterbox", "fill": (9, 114, 250), "channels": "bgr"}, "resize"),
    ({"layout": "transposed"}, "layout"),
]


@pytest.mark.parametrize(("changes", "step"), TENSORS)
def test_a_rare_step_is_read_from_a_tensor(changes, step):
    rare = KERAS.replace(**changes)
    for here, there in ((KERAS, rare), (rare, KERAS)):
        comparison = here.compare(there.apply(CAT), CAT)
        assert comparison.first_step == step
        assert comparison.differences == here.compare(there, CAT).differences


def test_borders_of_several_colours_are_named():
    boxed = KERAS.replace(fit="letterbox")
    small = resized(CAT.pixels, size=(224, 149))
    mirrored = cv2.copyMakeBorder(small, 38, 37, 0, 0, cv2.BORDER_REFLECT)
    words = only_difference(boxed, mirrored / 127.5 - 1)
    fills = "one colour here, several there, as from mirrored or repeated edges"
    assert words == f"fill: {fills}"
    # No fill is darker than black.
    darker = cv2.copyMakeBorder(small / 127.5 - 1, 38, 37, 0, 0, 0, value=[-2] * 3)
    assert "letterbox on (0, 0, 0) there" in str(YOLO.compare(darker, CAT))


def test_a_file_that_turned_white_when_it_was_decoded_says_so():
    photo = samples.photo("depth16.png")
    clipped = KERAS.replace(decoding=Decoding(depth="clip"))
    for code in (clipped.apply(photo), lambda path: clipped.apply(Path(path))):
        words = only_difference(KERAS, code, photo)
        assert words == "16-bit image: divided by 257 here, clipped at 255 there"


def test_a_file_that_turned_all_white_says_so(tmp_path):
    bright = np.linspace(256, 65535, 92_100, dtype=np.uint16).reshape(300, 307)
    Image.fromarray(bright).save(tmp_path / "bright.png")
    photo = load_image(tmp_path / "bright.png")
    grey_network = Preprocessing(28, scaling="0..1", channels="gray")
    words = only_difference(grey_network, np.ones((28, 28)), photo)
    assert words == "16-bit image: divided by 257 here, clipped at 255 there"


def test_a_buffer_has_the_shape_that_the_network_takes():
    assert YOLO.compare(YOLO.apply(CAT).ravel(), CAT).equal
    for flat in (np.ravel, lambda tensor: tensor.reshape(1, -1)):
        assert YOLO.compare(lambda path, flat=flat: flat(YOLO.apply(path)), CAT).equal
    note = "it is a tensor, made of the file, so decoding is compared"
    assert YOLO.compare(YOLO.apply(CAT), CAT).notes[0] == note
    words = only_difference(YOLO, np.zeros(224 * 224 * 4, np.float32))
    assert "returned shape (200704,), which is not one image" in words
    # What is there for each pixel was written for each channel.
    scrambled = HERE.replace(layout="channels_last").apply(CAT).ravel()
    assert HERE.compare(scrambled, CAT).main_step == "layout"


def test_a_tensor_shows_how_its_file_was_decoded():
    photo = samples.photo("exif.jpg")
    ignored = KERAS.replace(decoding=Decoding(exif=False))
    words = "EXIF orientation: applied here, ignored there"
    assert only_difference(KERAS, ignored.apply(photo), photo) == words
    assert ignored.compare(KERAS.apply, photo).equal
    # Code that is given pixels decodes nothing.
    turned = lambda x: resized(np.rot90(x, -1)) / 127.5 - 1
    words = "image: as it is here, turned to the right there"
    assert only_difference(KERAS, turned, photo) == words


def in_rows(pixels, count):
    """Lay rows of pixels out in longer ones, as a camera does, and read as many values as there should be."""
    rows = np.zeros((224, count, pixels.shape[2]), np.float32)
    rows[:, :224] = pixels
    return rows.ravel()[: 224 * 224 * 3].reshape(224, 224, 3)


RGBA = np.dstack([resized(CAT.pixels), np.full((224, 224), 255)])
RGB = RGBA[..., :3]
SCRAMBLED = [
    (
        in_rows(RGBA[:, ::-1], 232),
        "image: as it is here, rows of 232 RGBA pixels and mirrored left to right there",
    ),
    (
        CAT.pixels.ravel()[: RGB.size].reshape(RGB.shape),
        "image: resized here, cut off after as many values there",
    ),
    (
        np.moveaxis(RGB[:, ::-1].reshape(3, 224, 224), 0, -1),
        "image: as it is here, reshaped and mirrored left to right there",
    ),
    (
        np.dstack([RGBA[..., 3:0:-2], RGB.mean(axis=-1)]),
        "channels: rgb here, a constant, g, a mixture there",
    ),
]


@pytest.mark.parametrize(("levels", "words"), SCRAMBLED)
def test_the_order_of_values_in_memory_is_named(levels, words):
    assert only_difference(KERAS, levels / 127.5 - 1) == words


@pytest.mark.parametrize(
    ("pixels", "columns", "kind", "rows"),
    [(RGB, 240, "RGB", 209), (RGBA, 232, "RGBA", 162)],
)
def test_of_longer_rows_whole_ones_are_cut_and_nothing_is_known_of_the_rest(
    pixels, columns, kind, rows
):
    images = {each.orders: each.image for each in each_order(in_rows(pixels, columns))}
    image = images[f"rows of {columns} {kind} pixels",]
    np.testing.assert_array_equal(image[:rows], RGB[:rows])
    assert np.isnan(image[rows:]).all()
    assert len(image) == 224


def test_levels_as_16_bits_are_numbers_as_they_are():
    raw = KERAS.replace(scaling=(), invert=True)
    levels = raw.replace(cast="uint8").apply(CAT).astype(np.uint16)
    comparison = raw.compare(levels.ravel(), CAT)
    assert comparison.equal
    assert comparison.steps[0].there.startswith("uint16 (224, 224, 3), ")


def test_channels_are_named_beside_noise_and_a_blur():
    photo = samples.photo("gibbon.jpg")
    for change in (
        lambda x: x + GRAIN,
        lambda x: gaussian_filter(x, (2, 2, 0)),
    ):
        swapped = change(resized(photo.pixels)[..., ::-1].astype(float))
        differences = KERAS.compare(swapped / 127.5 - 1, photo).differences
        assert differences[0] == "channels: rgb here, bgr there"
        assert differences[1].startswith("values: ")


def test_what_is_unexplained_beside_another_order_or_scaling_is_told():
    blurred = lambda x: gaussian_filter(resized(x).astype(float), (3, 3, 0))
    for code, words in (
        (blurred(CAT.pixels)[:, ::-1] / 127.5 - 1, "as it is here, mirrored"),
        (lambda x: blurred(x) / x.max(), "by the values of each image"),
    ):
        found = KERAS.compare(code, CAT)
        assert words in found.differences[0]
        remainder = r"^what is listed above leaves \d+\.\d\d levels \(root mean square\) unexplained$"
        assert re.search(remainder, found.notes[-1])


def test_what_one_photo_hides_is_read_from_another():
    # Of a wide photo the upper square is the centre.
    wide, tall = Photo.from_array(CAT.pixels), Photo.from_array(CAT.pixels[:, :200])
    upper = [resized(CAT.pixels[:, 75:375]), resized(CAT.pixels[:200, :200])]
    tensors = [levels / np.float32(127.5) - 1 for levels in upper]
    reading = black_box.read(KERAS, tensors, [wide, tall])
    assert "to 200 of 300 " in reading.unexplained["resize"]


def test_a_file_that_is_read_as_if_it_were_rgb_is_named(tmp_path):
    path = tmp_path / "photo.png"
    Image.fromarray(CAT.pixels).quantize(64).save(path)
    levels = np.dstack([np.asarray(Image.open(path))] * 3)
    tensor = resized(levels, 0) / 127.5 - 1
    differences = KERAS.compare(tensor, load_image(path)).differences
    words = "file: its {} values converted to RGB here, not there"
    assert words.format("P") in differences
    # Pillow makes cyan of red by taking it from 255.
    path = tmp_path / "photo.tif"
    Image.fromarray(CAT.pixels).convert("CMYK").save(path)
    photo = load_image(path)
    three = lambda path: resized(np.asarray(Image.open(path))[..., :3]) / 127.5 - 1
    for code in (three, three(path)):
        assert only_difference(KERAS, code, photo) == words.format("CMYK")
    tensors = [three(path), KERAS.apply(CAT) + 1e-3]
    reading = black_box.read(KERAS, tensors, [photo, CAT])
    of_rgb = reading, reading.called[1], CAT, relative_distance
    assert black_box.comparison_with_code(KERAS, *of_rgb).equal
    negative = lambda path: 1 - resized(load_image(path).pixels) / 127.5
    polarity = "polarity: as it is here, inverted there"
    assert only_difference(KERAS, negative, photo) == polarity
    unlike = KERAS.compare(lambda path: three(path) ** 3, photo)
    note = "they may differ where the file is read; here: CMYK converted to RGB"
    assert unlike.notes[1] == note


def test_corners_that_are_aligned_are_named():
    # The centres of the first and the last pixel are those of the photo.
    photo = samples.photo("castle.jpg")
    height, width, _ = photo.pixels.shape
    rows, columns = np.linspace(0, height - 1, 224), np.linspace(0, width - 1, 224)
    grid = np.meshgrid(rows, columns, indexing="ij")
    channels = np.moveaxis(photo.pixels.astype(float), -1, 0)
    aligned = [map_coordinates(channel, grid, order=1) for channel in channels]
    here = KERAS.replace(filter="tf_bilinear")
    words = only_difference(here, np.stack(aligned, -1) / 127.5 - 1, photo)
    assert words.endswith(
        ", as with align_corners or without half-pixel centres, there"
    )


def test_whole_numbers_that_leave_hardly_anything_of_a_photo_are_told():
    photo = samples.photo("polar_bear.jpg")
    white = resized(photo.pixels, Image.Resampling.NEAREST) // 255
    assert 0 < white.mean() < 0.01
    words = "cast: none here, only 2 levels: 0, 1, there"
    assert only_difference(KERAS, white, photo) == words
    # Six values of three channels are not those of one.
    assert few_levels_words(2, np.arange(6)) == "only 2 levels"


def test_few_whole_values_in_the_order_of_levels_are_a_cast_and_no_other_part():
    photo = samples.photo("dandelions.jpg")
    expected = KERAS.replace(filter="cv2_linear", scaling="0..1")
    small = cv2.resize(photo.pixels, (224, 224))
    words = "cast: none here, only 2 levels: 0, 1, there"
    assert only_difference(expected, small // 200, photo) == words
    inverted = "polarity: as it is here, inverted there"
    assert {*expected.compare(small <= 99, photo).differences} == {words, inverted}


def test_a_drawing_of_few_greys_is_cast_only_where_the_result_rises_with_it():
    # Two greys on the left, two on the right, in squares of 10 pixels.
    squares = np.random.default_rng(0).integers(0, 2, (30, 30))
    greys = np.where(np.arange(30) < 15, 80 * squares, 160 + 80 * squares)
    drawing = Photo.from_array(np.uint8(greys).repeat(10, 0).repeat(10, 1))
    nearest = resized(drawing.pixels, Image.Resampling.NEAREST)
    words = "filter: bilinear here, nearest there"
    assert only_difference(Preprocessing((224, 224)), nearest, drawing) == words


@pytest.mark.parametrize(
    ("factor", "shift", "agrees"), [(1, 1.4, True), (1, 4, False), (1.02, 0, False)]
)
def test_an_offset_as_of_another_decoder_is_no_finding(factor, shift, agrees):
    decoded_by_function = lambda path: factor * KERAS.apply(Path(path)) - shift / 127.5
    comparison = KERAS.compare(decoded_by_function, CAT)
    assert comparison.equal is agrees
    reproduces = "this preprocessing reproduces the result to within 1.40 levels"
    assert any(note.startswith(reproduces) for note in comparison.notes) is agrees


def test_a_border_is_told_in_pixels_of_the_tensor():
    # In 192 rows and 224 columns, of which 180 and 200 show the photo.
    expected = KERAS.replace(size=(192, 224))
    small = resized(CAT.pixels, size=(200, 180))
    bordered = np.pad(small, [(4, 8), (10, 14), (0, 0)]) / 127.5 - 1
    words = only_difference(expected, bordered)
    border = "with a border of 4, 8, 10, 14 pixels above, below, left and right,"
    rows = "rows 0 to 300 of 300 and columns 0 to 451 of 451"
    assert words == f"window: squash here, {rows}, drawn smaller, {border} there"


def test_few_values_hide_no_crop():
    black_and_white = centre(CAT.pixels) > 127
    assert "fit: squash here, crop of 100 % there" in (
        KERAS.compare(black_and_white, CAT).differences
    )


def test_sides_that_are_rounded_in_another_way_are_no_difference():
    # 257 rows and 386 columns, of which (257 - 224) / 2 = 16.5 and 81 are cut off: torchvision cuts 16.
    large = resized(CAT.pixels, size=(386, 257))
    here = KERAS.replace(fit="resize_crop", crop_fraction=224 / 257)
    assert here.compare(large[17:241, 81:305] / 127.5 - 1, CAT).equal
    words = only_difference(KERAS, large[17:241, 81:305] / 127.5 - 1)
    assert words == "fit: squash here, crop of 87.5 % there"
    (words,) = here.compare(here.replace(crop_fraction=0.5)).differences
    assert words == "fit: resize_crop of 87.16 % here, resize_crop of 50 % there"
    assert not here.compare(large[20:244, 81:305] / 127.5 - 1, CAT).equal
    # Of 149 rows one is left out, between borders of grey.
    small = resized(CAT.pixels, size=(224, 148))
    boxed = np.pad(small, [(38, 38), (0, 0), (0, 0)], constant_values=114)
    assert YOLO.compare(boxed / 127.5 - 1, CAT).equal
