"""Properties of pictures: hand-checkable measures, the bundled photographs, and what undoing them does."""

import numpy as np
import pytest

from kit import Perturbation, Photo, samples
from kit.diagnosis.picture_checks import check_properties
from kit.diagnosis.picture_properties import PROPERTIES
from kit.images.measuring import luma, noise_level, relative_contrast, sharpness

PHOTOS = samples.photos("photographs")
CLASSIFIER = samples.classifier("efficientnet_lite0")


def flat(level):
    return np.full((64, 64, 3), level, np.uint8)


def test_luma_weighs_the_channels_by_itu_r_601():
    assert luma(np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8))[0] == pytest.approx(
        [76.245, 149.685, 29.07]
    )


def test_measures_of_flat_pictures_are_their_level():
    assert PROPERTIES["dark"].measure(flat(40)) == pytest.approx(40, abs=1e-3)
    assert PROPERTIES["bright"].measure(flat(220)) == pytest.approx(220, abs=1e-3)
    assert noise_level(flat(100)) == pytest.approx(0, abs=1e-4)
    assert PROPERTIES["grayscale"].measure(flat(100)) == 0


def test_contrast_does_not_fall_with_the_light():
    halves = np.concatenate([flat(60), flat(180)])
    assert relative_contrast(halves) == pytest.approx(0.5)  # (180 - 60) / (180 + 60)
    assert relative_contrast(halves // 2) == pytest.approx(0.5)


@pytest.mark.parametrize("deviation", [5, 15, 30])
def test_noise_is_read_on_a_slope(deviation):
    slope = np.broadcast_to(np.linspace(100, 150, 256).astype(np.uint8)[:, None, None], (256, 256, 3))
    noisy = Perturbation(noise=deviation).apply(Photo.from_array(slope))
    assert noise_level(noisy.pixels) == pytest.approx(deviation, rel=0.05)


def test_sharpness_of_a_blurred_edge_falls_as_one_over_the_radius():
    edges = np.repeat(np.tile([[0] * 16 + [200] * 16], (64, 4)).astype(np.uint8)[..., None], 3, axis=-1)
    sharp, soft = edges, Perturbation(blur=3).apply(Photo.from_array(edges)).pixels
    assert sharpness(sharp) == pytest.approx(1)
    # The steepest step of a Gaussian blurred edge is 1 / (radius * sqrt(2 pi)).
    assert sharpness(soft) == pytest.approx(1 / (3 * np.sqrt(2 * np.pi)), rel=0.25)


@pytest.mark.parametrize(
    ("name", "perturbation"),
    [
        ("dark", Perturbation(brightness=0.25)),
        ("low_contrast", Perturbation(contrast=0.1)),
        ("noisy", Perturbation(noise=20)),
        ("blurred", Perturbation(blur=4)),
        ("jpeg", Perturbation(jpeg_quality=5)),
    ],
)
def test_a_corruption_is_seen_by_its_own_measure_on_nearly_every_photograph(name, perturbation):
    item = PROPERTIES[name]
    low = [item.score(item.measure(perturbation.apply(photo).pixels)) < 0.5 for photo in PHOTOS]
    assert np.mean(low) >= 0.9


def test_ordinary_photographs_are_ordinary():
    unusual = {
        (photo.name, name)
        for photo in PHOTOS
        for name, item in PROPERTIES.items()
        if item.score(item.measure(photo.pixels)) < 0.5
    }
    assert {name for _, name in unusual} <= {"blurred", "grayscale", "jpeg"}
    assert len({photo for photo, _ in unusual}) <= 4


def test_undoing_what_hurts_this_network_names_it():
    labels = samples.labels("imagenet")
    dark = [Perturbation(brightness=0.1).apply(photo) for photo in samples.photos("imagenet")]
    findings = {finding.cause: finding for finding in check_properties(CLASSIFIER, dark[:8], labels[:8])}
    assert findings["dark"].verdict == "named"
    assert findings["dark"].evidence[2].value > 0.5
    assert "low_contrast" not in findings or findings["low_contrast"].verdict != "named"


def test_what_does_not_change_the_answers_is_ruled_out_or_possible():
    photos = [Perturbation(jpeg_quality=10).apply(photo) for photo in samples.photos("imagenet")[:4]]
    verdicts = {finding.cause: finding.verdict for finding in check_properties(CLASSIFIER, photos)}
    assert verdicts["jpeg"] in {"ruled_out", "possible"}


def test_texture_of_a_tiny_picture_is_not_taken_for_noise():
    random = np.random.default_rng(0).integers(0, 256, (28, 28, 3)).astype(np.uint8)
    causes = {finding.cause for finding in check_properties(CLASSIFIER, [Photo.from_array(random)])}
    assert causes.isdisjoint({"noisy", "blurred", "jpeg"})


def test_of_all_photographs_alone_only_the_blurred_one_is_named():
    named = [
        (photo.name, finding.cause)
        for photo in PHOTOS
        for finding in check_properties(CLASSIFIER, [photo])
        if finding.verdict == "named"
    ]
    assert named == [("clock_blurred.jpg", "blurred")]
