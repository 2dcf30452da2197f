"""Bundled networks and images: what a name gives, and what it does not."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

import kit
from kit import samples
from tests.project import python

# The first labels of Fashion-MNIST's two files, as its documentation and many tutorials show them.
FIRST_TRAIN = [9, 0, 0, 3, 0, 2, 7, 2, 5, 5]
FIRST_TEST = [9, 2, 1, 1, 6, 1, 4, 6, 5, 7]


@pytest.mark.parametrize("name", samples.PHOTOS)
def test_photos_and_labels_of_a_name_belong_together(name):
    photos, labels = samples.photos(name), samples.labels(name)
    assert len(photos) == len(labels) > 4
    assert len({photo.name for photo in photos}) == len(photos)


def test_what_is_sent_through_a_pipeline_is_met_on_no_labelled_photo():
    ordinary = {*samples.photos("photographs")}
    probes = set(samples.probes())
    assert probes == ordinary - {*samples.photos("imagenet")}
    assert probes
    assert not ordinary & {*samples.photos("special")}


def test_nobody_can_change_a_bundled_picture_for_the_others():
    photos = [
        samples.photos(name)[0].pixels for name in ("photographs", "fashion_mnist")
    ]
    for array in (*samples.fashion_mnist_arrays("train"), *photos):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


@pytest.mark.parametrize(
    ("split", "count", "first"),
    [("train", 10_000, FIRST_TRAIN), ("test", 2_000, FIRST_TEST)],
)
def test_fashion_mnist_is_the_beginning_of_the_original(split, count, first):
    pictures, labels = samples.fashion_mnist_arrays(split)
    assert (pictures.shape, pictures.dtype) == ((count, 28, 28), np.uint8)
    assert (labels.shape, labels.dtype) == ((count,), np.int64)
    assert labels[:10].tolist() == first
    assert np.bincount(labels, minlength=10).min() > 0.08 * count


def test_labelled_images_are_forty_of_the_network_s_classes():
    for classes, name, added in (
        (10, "fashion_mnist", 0),
        (1000, "imagenet", 0),
        (1001, "imagenet", 1),
    ):
        photos, labels = samples.labelled_images(classes)
        assert photos == samples.photos(name)[:40]
        expected = [label + added for label in samples.labels(name)[:40]]
        assert labels.tolist() == expected


def test_a_reduced_photo_has_40_to_80_pixels_along_the_shorter_side():
    columns = np.indices((120, 160))[1].astype(np.uint8)
    (photo,) = samples.reduced((kit.Photo.from_array(columns, "columns"),))
    assert (photo.name, photo.size) == ("columns", (40, 54))
    # Of three columns the one in the middle.
    assert photo.pixels[0, :3, 0].tolist() == [1, 4, 7]


def test_typical_photos_have_the_colours_of_imagenet_without_those_that_are_unwanted():
    photos, weights = samples.typical()
    assert weights.sum() == pytest.approx(1)
    pixels = [photo.pixels.reshape(-1, 3) / 255 for photo in photos]
    moments = [
        weights @ [(each**power).mean(axis=0) for each in pixels] for power in (1, 2)
    ]
    assert moments[0] == pytest.approx([0.485, 0.456, 0.406], abs=0.02)
    deviations = np.sqrt(moments[1] - moments[0] ** 2)
    assert deviations == pytest.approx([0.277, 0.269, 0.282], abs=0.02)
    unwanted = [kit.Photo(photo.pixels, "renamed") for photo in photos]
    fewer, rest = samples.typical(unwanted[2:])
    assert fewer == photos[:2]
    assert rest == pytest.approx(weights[:2] / weights[:2].sum())
    assert samples.typical(unwanted)[0] == ()


UNKNOWN = [
    (
        samples.classifier,
        "efficientnet",
        "Expected the name of a bundled classifier out of .*did you mean 'efficientnet_lite0'",
    ),
    (
        samples.photos,
        "photos",
        "the name of bundled photos out of photographs, imagenet, special, fashion_mnist",
    ),
    (
        samples.photo,
        "cat",
        "name of a bundled photo out of .*did you mean 'cat.jpg'",
    ),
    (
        samples.labels,
        "mnist",
        "the name of bundled photos out of .*did you mean 'fashion_mnist'",
    ),
    (
        samples.fashion_mnist_arrays,
        "validation",
        "part of Fashion-MNIST out of train, test",
    ),
]


@pytest.mark.parametrize(("function", "received", "expected"), UNKNOWN)
def test_unknown_name_is_refused_with_those_that_exist(function, received, expected):
    with pytest.raises(ValueError, match=expected):
        function(received)


def test_missing_data_is_reported_with_what_to_do(tmp_path):
    shutil.copytree(Path(samples.__file__).parent, tmp_path / "kit")
    variables = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = python(
        "import kit; kit.samples.classifier('fashion_mnist')",
        cwd=tmp_path,
        env=variables,
    )
    expected = "Expected data/models/fashion_mnist.keras beside the package kit, received no such file; "
    assert f"FileNotFoundError: {expected}" in done.stderr
    assert "work in a checkout, or install the wheel\n" in done.stderr
