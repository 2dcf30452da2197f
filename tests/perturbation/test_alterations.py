"""Alterations of whole folders, beside what is worked out by hand."""

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageFilter

import kit
from kit.classifier.reference import measured_rows, middle, responses, scaled_rows
from kit.images.properties import file_quality
from kit.perturbation.conditions import ALTERATIONS, IMAGE_CAUSES, QUANTITIES

PHOTO = kit.samples.photos("photographs")[0]

# Which way each moves the quantity that it is about.
UP = (
    "brighter, harder, warmer, greener, more colourful, sharpened, noisy, grainy, "
    "compressed, enlarged, stretched, wider"
)


def flat(red, green, blue, size=(40, 60)):
    return kit.Photo.from_array(np.full((*size, 3), (red, green, blue), np.uint8))


def test_every_alteration_moves_what_it_is_about_its_way_and_the_stronger_the_farther():
    response = responses([middle(PHOTO)])
    rising = set()
    for row, item in enumerate(ALTERATIONS.values()):
        moved = response[row, :, list(QUANTITIES).index(item.quantity)]
        if moved[-1] > 0:
            rising.add(item.name)
        distance = np.abs(moved)
        assert distance[-1] > QUANTITIES[item.quantity].resolution, item.name
        assert (np.diff(distance) > 0).all(), item.name
    assert rising >= {*UP.split(", ")}


def test_responses_are_means_of_differences_over_the_pictures():
    photos = [middle(PHOTO, 64), flat(120, 90, 60)]
    dark = [kit.Perturbation(brightness=0.6).apply(photo) for photo in photos]
    before, after = (scaled_rows(measured_rows(each)) for each in (photos, dark))
    known = np.isfinite(after - before)
    summed = np.where(known, after - before, 0).sum(axis=0)
    expected = (summed / known.sum(axis=0).clip(1))[known.any(axis=0)]
    received = responses(photos)[list(ALTERATIONS).index("darker"), 1]
    np.testing.assert_allclose(received[known.any(axis=0)], expected, atol=1e-9)


def test_colours_by_hand():
    for name, strength, expected in [
        ("warmer", 1.21, (110, 100, 91)),
        ("cooler", 0.64, (80, 100, 125)),
        ("greener", 1.15, (100, 115, 100)),
        ("more magenta", 0.71, (100, 71, 100)),
    ]:
        altered = ALTERATIONS[name].apply(flat(100, 100, 100), strength)
        assert altered.pixels[0, 0].tolist() == list(expected), name
    assert ALTERATIONS["greener"].apply(flat(100, 250, 100), 1.4).pixels[0, 0, 1] == 255


def test_what_pillow_does_is_pillows():
    image = Image.fromarray(PHOTO.pixels)
    size = [round(side * 0.7) for side in image.size]
    for name, strength, expected in (
        ("sharpened", 119.6, image.filter(ImageFilter.UnsharpMask(2, 120, 0))),
        ("paler", 0.4, ImageEnhance.Color(image).enhance(0.4)),
        ("reduced", 0.7, image.resize(size, Image.Resampling.BICUBIC)),
    ):
        altered = ALTERATIONS[name].apply(PHOTO, strength)
        np.testing.assert_array_equal(altered.pixels, expected)


SIZES = """\
reduced 0.01 1 1
enlarged 2 80 120
cropped 0.5 20 30
squeezed 0.64 50 48
stretched 1.5625 32 75
narrower 0.5 40 30
wider 0.5 20 60"""


def test_sizes_by_hand():
    for line in SIZES.splitlines():
        name, strength, *size = line.split()
        altered = ALTERATIONS[name].apply(flat(1, 2, 3), float(strength))
        assert [*altered.size] == [*map(int, size)], name
    columns = kit.Photo.from_array(np.tile(np.arange(60, dtype=np.uint8), (40, 1)))
    assert ALTERATIONS["narrower"].apply(columns, 0.5).pixels[0, :, 0].tolist() == list(
        range(15, 45)
    )


def test_noise_is_each_pictures_own_and_grain_the_same_in_all_channels():
    for name in ("noisy", "grainy"):
        make, levels = ALTERATIONS[name].apply, (100, 100, 120)
        fields = [
            make(flat(*[level] * 3), 8).pixels.astype(float) - level for level in levels
        ]
        assert fields[0].std() == pytest.approx(8, rel=0.05)
        np.testing.assert_array_equal(fields[0], fields[1])
        assert abs(np.corrcoef(fields[0].ravel(), fields[2].ravel())[0, 1]) < 0.1
        same = (fields[0] == fields[0][..., :1]).all()
        assert same == (name == "grainy")


def test_compressing_goes_through_a_file_whose_quality_can_be_read():
    compressed = ALTERATIONS["compressed"].apply(middle(PHOTO, 64), 60.6)
    assert file_quality(compressed.file) == 61
    assert compressed.name == PHOTO.name
    done = IMAGE_CAUSES["jpeg"].done(PHOTO, 60.6)
    assert done.notes == ("perturbed: jpeg_quality=61",)
