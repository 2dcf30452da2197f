"""A person's own function against the bundled classifier's preprocessing."""

import re
from base64 import b64decode
from io import BytesIO

import cv2
import numpy as np
import pytest
from PIL import Image

import kit
from kit import samples
from kit.diagnosis.own_function import Checkup, nearest_preprocessing
from kit.images.photo import Photo
from kit.preprocessing.calling import call
from kit.preprocessing.comparison import Comparison, Difference
from kit.preprocessing.resizing import PILLOW
from tests import networks

CLASSIFIER = samples.classifier("efficientnet_lite0")
PHOTOS = samples.photos("imagenet")[:3]
RIGHT = CLASSIFIER.preprocessing


def same(pixels):
    return RIGHT.apply(kit.Photo.from_array(pixels))


def test_a_function_that_does_the_same_agrees():
    found = kit.check(CLASSIFIER, PHOTOS, same)
    assert (found.agrees, found.main_step, found.changed) == (True, None, 0)
    first, *notes = str(found).splitlines()
    assert (
        first
        == "Your code agrees with the classifier's preprocessing on 3 of 3 photos."
    )
    assert "decoding is not compared" in notes[0]
    elsewhere = "Where predictions differ all the same: kit.compare(classifier, outputs, photos)."
    assert notes[-1] == elsewhere
    assert repr(found) == "Checkup(agrees, 3 photos)"


def test_a_function_gets_pixels_that_are_decoded_as_the_model_has_them():
    used = RIGHT.replace(decoding=kit.Decoding(exif=False))
    classifier, photo = CLASSIFIER.using(used), samples.photo("exif.jpg")
    assert kit.check(classifier, photo, same).agrees
    assert nearest_preprocessing(classifier, [photo], same) == (used, "")
    assert used.compare(same, photo).equal


def test_a_model_of_another_pillow_says_so_where_a_function_makes_other_pixels():
    other = 12.3 if PILLOW >= 13 else 13.0
    saved = CLASSIFIER.using(RIGHT.replace(pillow=other))
    tall, wide = PHOTOS[0].pixels[:, :150], PHOTOS[0].pixels[:150]
    found = kit.check(saved, [tall, wide], same)
    named = [one.differences for one in found.comparisons]
    assert named == [(f"resize: Pillow {other} here, {PILLOW} there",), ()]
    swapped = CLASSIFIER.using(RIGHT.replace(channels="bgr"))
    compared = kit.compare(saved, swapped, tall, progress=False)
    words = f"resize: Pillow {other} here, {PILLOW} there"
    bgr = "channels: bgr (blue, green, red (OpenCV, caffe))"
    assert compared.prepared == f"{bgr}; {words}"


def test_the_headline_is_the_step_that_changes_the_answers_not_the_first_one():
    # Another window of resizing, as most code has it, is harmless beside what comes after it.
    squashed = RIGHT.replace(fit="squash", crop_fraction=1.0, filter="bilinear")

    def careless(pixels):
        return squashed.apply(kit.Photo.from_array(pixels)) * 128 + 127

    found = kit.check(CLASSIFIER, PHOTOS, careless)
    assert list(found.effects)[:2] == ["scaling", "resize"]
    assert found.effects["scaling"] > 0.5 > found.effects["resize"] > 0
    assert str(found).startswith("Your code differs at 'scaling' on 3 of 3: scaling: ")
    assert found.to_dict()["comparisons"][0]["effects"][0][0] == "scaling"


def test_what_one_step_is_blamed_for_is_what_it_changes_by_itself():
    swapped = RIGHT.replace(channels="bgr")
    photos = PHOTOS[:2]
    found = kit.check(
        CLASSIFIER, photos, lambda pixels: swapped.apply(kit.Photo.from_array(pixels))
    )
    right, wrong = (
        CLASSIFIER.probabilities(photos, preprocessing=one) for one in (RIGHT, swapped)
    )
    # Total variation distance, half the sum of the absolute differences; of two, the median is the mean.
    distance = np.abs(right - wrong).sum(axis=1).mean() / 2
    assert found.effects == pytest.approx({"channels": distance}, abs=1e-3)


def as_stored(path):
    """What tutorials write: Pillow leaves images on their side."""
    with Image.open(path) as opened:
        return RIGHT.replace(filter="bilinear").apply(np.asarray(opened))


def test_a_function_that_takes_a_path_is_called_with_a_file_and_its_decoding_seen():
    found = kit.check(CLASSIFIER, samples.photo("exif.jpg"), as_stored)
    assert "your code decoded the file itself, so decoding is compared" in str(found)
    assert (
        found.comparisons[0].differences[0]
        == "EXIF orientation: applied here, ignored there"
    )
    assert 0 < found.effects["resize"] < found.effects["decode"]


CHECKERED = np.indices((224, 224)).sum(axis=0)[..., None] % 2 * 2 - 1


def decoded_otherwise(path):
    """1.5 levels of 255 off at every pixel, as programs decode a JPEG."""
    with Image.open(path) as opened:
        return RIGHT.apply(np.asarray(opened)) + 1.5 / 128 * CHECKERED


def test_a_function_that_differs_by_no_more_than_its_decoder_is_given_its_preprocessing():
    found = kit.check(CLASSIFIER, PHOTOS[:2], decoded_otherwise)
    assert (found.agrees, found.preprocessing) == (True, RIGHT)
    assert "reproduces the result to within 1.50 levels" in str(found)
    swapped = RIGHT.replace(channels="bgr")
    found = kit.check(
        CLASSIFIER, PHOTOS[:2], lambda path: decoded_otherwise(path)[..., ::-1]
    )
    assert (found.main_step, found.preprocessing) == ("channels", swapped)
    # Pixels that it is given leave nothing to decode.
    found = kit.check(
        CLASSIFIER, PHOTOS[:1], lambda pixels: same(pixels) + 1.5 / 128 * CHECKERED
    )
    assert (found.main_step, found.preprocessing) == ("tensor", None)


SQUASHED = RIGHT.replace(fit="squash", crop_fraction=1.0, filter="cv2_linear")


def scaled(pixels):
    return (cv2.resize(pixels, (224, 224)).astype(np.float32) - 127) / 128


RANDOM = np.random.default_rng(0)
WAYS = {
    "a path": lambda path: (scaled(np.asarray(Image.open(path))), "and more"),
    "bytes": lambda data: scaled(np.asarray(Image.open(BytesIO(data)))),
    "an open file": lambda file: scaled(np.asarray(Image.open(BytesIO(file.read())))),
    "a Pillow image": lambda image: scaled(np.asarray(image.convert("RGB"))),
    "an RGB array": scaled,
    "a BGR array": lambda frame: scaled(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)),
    "base64 text": lambda text: scaled(
        np.asarray(Image.open(BytesIO(b64decode(text, validate=True))))
    ),
    "a list of paths": lambda paths: [
        scaled(np.asarray(Image.open(path))) for path in list(paths)
    ],
    "a Path": lambda path: scaled(np.asarray(Image.open(path.open("rb")))),
    "a batch": lambda batch: {"pixel_values": scaled(batch[0, :, :, :])[None]},
}


@pytest.mark.parametrize("way", WAYS)
def test_a_function_is_given_what_it_takes_and_its_preprocessing_given_back(way):
    found = kit.check(CLASSIFIER.using(SQUASHED), PHOTOS[:1], WAYS[way])
    assert found.agrees, found
    assert found.preprocessing == SQUASHED
    assert call(WAYS[way], PHOTOS[0]).given_as == way


def test_every_photo_counts():
    square = lambda photo: min(photo.size) / max(photo.size)
    photos = sorted(samples.photos("imagenet")[:5], key=square)
    last = photos[-1].pixels
    found = kit.check(
        CLASSIFIER, photos, lambda x: same(x[::-1] if np.array_equal(x, last) else x)
    )
    assert [one.equal for one in found.comparisons] == [True] * 4 + [False]
    assert (found.agrees, found.main_step, found.preprocessing) == (
        False,
        "tensor",
        None,
    )


def test_a_function_that_resizes_nothing_is_compared_on_photos_of_any_size():
    sizes = [PHOTOS[0].pixels, PHOTOS[0].pixels[:90]]
    found = kit.check(CLASSIFIER, sizes, lambda x: x / 255)
    assert (found.agrees, found.main_step) == (False, "resize")


def test_a_resize_counts_by_what_it_changes_where_a_network_takes_any_size():
    pooling = networks.imported_keras().layers.GlobalAveragePooling2D()
    model = networks.stacked((None, None, 3), pooling)
    mean_levels = kit.Classifier(model, kit.Preprocessing(size=None, scaling="0..1"))
    # Means stay nearly as they are in a smaller image.
    found = kit.check(
        mean_levels, PHOTOS[:1], lambda x: cv2.resize(x, (64, 64)) / np.float32(255)
    )
    assert 0 < found.effects["resize"] < 0.01
    assert (found.main_step, found.changed) == ("resize", 0)


def test_the_headline_is_what_most_images_say_and_all_that_weighs_half_as_much():
    comparisons = [
        Comparison.on(
            [
                Difference("resize", "r", size),
                Difference("cast", "s", 0.3),
                Difference("scaling", "t", 0.2),
                Difference("scaling", "v", 0.1),
            ]
        )
        for size in (0.9, 0.1, 0.1)
    ]
    grey = Comparison.on([Difference("scaling", "u", 0.2)])
    found = Checkup((grey, *comparisons), None)
    assert found.effects == {"cast": 0.3, "scaling": 0.2, "resize": 0.1}
    assert repr(found) == "Checkup(differs at 'cast', 4 photos)"
    headline = "Your code differs at 'cast' and 'scaling' on 4 of 4: s; t; v."
    assert str(found).startswith(headline)
    # What changes no prediction is a difference all the same.
    none = Checkup((Comparison.on([Difference("cast", "s", 0.0)]),), None)
    assert str(none).startswith("Your code differs at 'cast' on 1 of 1: s.")


OTHERWISE = [
    (
        "layout",
        "image: as it is here, mirrored left to right there",
        lambda x: scaled(x)[:, ::-1],
    ),
    (
        "function",
        "is random, two calls on one image return different tensors",
        lambda x: scaled(x)[:, :: RANDOM.choice([-1, 1])],
    ),
    (
        "channels",
        "another colour space or contrast, such as HSV, LAB, equalised or pixel by pixel, there",
        lambda x: scaled(cv2.cvtColor(x, cv2.COLOR_RGB2HSV)),
    ),
]


@pytest.mark.parametrize(("step", "words", "function"), OTHERWISE)
def test_what_no_preprocessing_does_is_said_as_well(step, words, function):
    found = kit.check(CLASSIFIER.using(SQUASHED), PHOTOS[:1], function)
    assert (found.main_step, found.preprocessing) == (step, None), found
    assert found.comparisons[0].differences[0].endswith(words)


def test_code_that_does_not_look_at_the_photo_is_told():
    classifier = CLASSIFIER.using(SQUASHED)
    fixed = SQUASHED.apply(PHOTOS[1])
    results = []

    def keeps_the_first(image):
        results.append(scaled(image))
        return results[0]

    for photos, function in (
        (PHOTOS[:1], lambda _: fixed),
        (PHOTOS, keeps_the_first),
    ):
        found = kit.check(classifier, photos, function)
        assert found.main_step == "function"
        (words,) = found.comparisons[0].differences
        same = "code: returns the same for another image"
        assert words == f"{same}, as with a fixed path or a result that is kept"


def test_two_photos_or_a_function_tell_a_scaling_from_one_by_each_image():
    def fitted(image):
        return scaled(image) * [0.5, 0.6, 0.7]

    tensors = [fitted(photo.pixels) for photo in PHOTOS[:2]]
    named = SQUASHED.replace(scaling="0..1").apply(PHOTOS[0])
    for count, code, is_unsure in (
        (1, tensors[:1], True),
        (2, tensors, False),
        (1, fitted, False),
        (1, named, False),
    ):
        found = kit.check(CLASSIFIER.using(SQUASHED), PHOTOS[:count], code)
        notes = " ".join(found.comparisons[0].notes)
        assert ("one photo cannot tell this scaling" in notes) == is_unsure


def test_tensors_in_another_order_than_the_photos_are_told(fashion, clothes):
    tensors = [fashion.preprocessing.apply(photo) for photo in clothes[:3]]
    found = kit.check(fashion, clothes[:3], tensors[::-1])
    first, middle, last = (comparison.differences for comparison in found.comparisons)
    assert first == last
    assert middle == ()
    swapped = f"{clothes[2].name} in place of {clothes[0].name}"
    assert first == (f"content: {swapped} there, as of files in another order",)


def blurred(pixels):
    return scaled(cv2.blur(pixels, (9, 9)))


def test_a_diagnosis_says_what_its_preprocessing_leaves_of_a_function():
    classifier, photos = CLASSIFIER.using(SQUASHED), PHOTOS[:1]
    same, near, other = (
        kit.diagnose(classifier, photos, preprocess=function)
        for function in (scaled, blurred, lambda x: scaled(x)[:, :, ::-1])
    )
    changed = kit.check(classifier, photos, blurred).changed * len(photos)
    assert same.difference == ""
    assert (near.best, near.clean) == (None, False)
    assert f"{changed:.0f} of 1 predictions change" in near.headline
    assert re.search(r" [1-9]\S* levels .* are unexplained$", near.headline)
    # Beside what is named, it is a detail.
    assert other.best.cause == "channel_order"
    assert "Your code differs at 'channels' on 1 of 1" in str(other.details())


def by_255(pixels):
    return cv2.resize(pixels, (224, 224)) / np.float32(255)


def test_the_fix_of_a_function_holds_all_that_differs_from_a_known_preprocessing():
    found = kit.diagnose(CLASSIFIER, PHOTOS[:1], preprocess=by_255)
    assert (found.best.cause, found.fix()) == ("wrong_range", RIGHT)
    assert found.headline.startswith("Your code scales pixels to 0..1")
    assert "a crop of 87.5 %" in found.headline
    # Of a bundled model, whose file says it, without code, too.
    settings = kit.Preprocessing((224, 224), filter="cv2_linear", scaling="0..1")
    assert kit.diagnose(CLASSIFIER.using(settings), PHOTOS[:1]).fix() == RIGHT
    # Where no cause is named, too.
    found = kit.diagnose(CLASSIFIER, PHOTOS[0], preprocess=scaled)
    code = f"classifier = classifier.using({RIGHT.to_code()})"
    assert (found.best, found.fix_code) == (None, code)
    # Not what evidence speaks against.
    wrong = CLASSIFIER.using(RIGHT.replace(channels="bgr"))
    found = kit.diagnose(wrong, PHOTOS[:1], preprocess=by_255)
    assert found.fix().channels == "rgb"


def test_a_function_that_fails_on_some_images_or_on_later_calls_is_said_to_fail():
    def upright(x):
        if x.shape[0] > x.shape[1]:
            raise ValueError("too high")
        return scaled(x)

    photos = [PHOTOS[0], Photo.from_array(PHOTOS[0].pixels.swapaxes(0, 1).copy())]
    high = sum(photo.size[0] > photo.size[1] for photo in photos)
    line = upright.__code__.co_firstlineno + 2
    expected = f"could not be called: raised ValueError in line {line}: too high (given an RGB array)"
    found = kit.check(CLASSIFIER.using(SQUASHED), photos, upright)
    assert (found.agrees, found.main_step, high) == (False, "function", 1)
    assert str(found).startswith(f"Your code {expected}")
    first_line, *others = str(found).splitlines()
    assert first_line.endswith(f", on 1 of 2 images, as on {photos[1].name}.")
    # The other photo agrees.
    assert others == []
    assert found.changed is None
    found = kit.check(CLASSIFIER.using(SQUASHED), photos, lambda x: 2 * upright(x))
    assert "\nYour code differs at 'scaling' on 1 of 2: scaling: " in str(found)
    with pytest.raises(
        ValueError,
        match=re.escape(
            f"Expected a function or tensor with steps of a Preprocessing, received another: {expected}"
        ),
    ):
        kit.diagnose(CLASSIFIER, photos, preprocess=upright)
    # The high one is asked about once, and then again and again.
    calls = iter(range(3))
    found = kit.check(
        CLASSIFIER.using(SQUASHED),
        photos,
        lambda x: scaled(x) + 0 * (x.shape[0] > x.shape[1] and next(calls)),
    )
    assert "raised StopIteration" in str(found)
    assert "when it was called again, on 2 of 2 images, " in str(found)


def test_a_tensor_takes_the_place_of_a_function():
    classifier, photos = CLASSIFIER.using(SQUASHED), PHOTOS[:2]
    tensors = [scaled(photo.pixels[..., ::-1]) for photo in photos]
    found = kit.check(classifier, photos, tensors)
    assert str(found).startswith("Your code differs at 'channels' on 2 of 2: ")
    assert found.preprocessing == SQUASHED.replace(channels="bgr")
    for numbers in (tensors[0][None].tolist(), tensors[0].ravel().tolist()):
        assert kit.check(classifier, photos[0], numbers).main_step == "channels"
    # What is told of a layout that the network cannot take does not hide the rest.
    planes = np.moveaxis(tensors, -1, 1)
    diagnosis = kit.diagnose(classifier, photos, tensor=planes)
    assert diagnosis.best.cause == "channel_order"
    assert "channels_first there" in diagnosis.difference
    with pytest.raises(
        ValueError, match=r"^Expected a tensor for each of 2 images, received 1$"
    ):
        kit.check(classifier, photos, tensors[:1])
