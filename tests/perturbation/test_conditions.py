"""Image causes: each is seen by its own measure, done to other images and undone."""

import numpy as np
import pytest
from PIL import Image

from kit import Perturbation, Photo, samples
from kit.perturbation.conditions import CONDITIONS, IMAGE_CAUSES

PHOTOS = samples.photos("photographs")
AMOUNTS = {
    "dark": 0.25,
    "bright": 2.5,
    "low_contrast": 0.15,
    "tinted": 0.9,
    "noisy": 20,
    "blurred": 4,
    "jpeg": 5,
}
EACH = pytest.mark.parametrize("cause", IMAGE_CAUSES.values(), ids=IMAGE_CAUSES)


def spoiling(cause):
    """An amount that is clearly out of the ordinary."""
    if cause.cause in AMOUNTS:
        return AMOUNTS[cause.cause]
    return cause.amounts[len(cause.amounts) // 2][1]


def unusual(cause, photo):
    return cause.unusual(cause.measured(photo.pixels))


@EACH
def test_a_corruption_is_seen_by_its_own_measure_on_nearly_every_photograph(cause):
    photos = [
        photo
        for photo in PHOTOS
        if cause.group != "colour" or np.ptp(photo.pixels, -1).mean() > 2
    ]
    amount = spoiling(cause)
    assert np.mean([unusual(cause, cause.done(one, amount)) for one in photos]) >= 0.9


def test_what_a_gamma_a_moving_camera_fog_and_a_later_resize_do_is_seen():
    photo = PHOTOS[0]
    small = Image.fromarray(Perturbation(jpeg_quality=5).apply(photo).pixels)
    larger = (small.width * 5 // 4, small.height * 5 // 4)
    for name, changed in {
        "dark": Photo((255 * (photo.pixels / 255) ** 5).astype(np.uint8)),
        "blurred": Perturbation(motion_blur=15, motion_angle=30).apply(photo),
        "low_contrast": Perturbation(fog=5).apply(photo),
        "jpeg": Photo(np.asarray(small.resize(larger))),
    }.items():
        assert unusual(IMAGE_CAUSES[name], changed), name
        assert not unusual(IMAGE_CAUSES[name], photo), name


def test_of_a_large_image_every_pixel_counts_for_a_cause():
    stripes = np.zeros((1100, 1100, 3), np.uint8)
    stripes[:, 1::2] = 255
    assert IMAGE_CAUSES["dark"].measured(stripes) == pytest.approx(255)


@EACH
def test_the_amounts_of_the_table_bring_probes_to_its_measures(cause):
    # Within a step of the table, but at its ends, which only bound it.
    for (before, _), (_, amount), (after, _) in zip(
        cause.amounts, cause.amounts[1:], cause.amounts[2:], strict=False
    ):
        done = [cause.done(photo, amount).pixels for photo in samples.probes()]
        assert before <= np.median(list(map(cause.measured, done))) <= after, amount
    for measure, amount in cause.amounts:
        assert cause.amount(measure, PHOTOS[0].pixels) == pytest.approx(amount)


def test_ratios_count_by_their_logarithm_and_nothing_by_that_of_a_thousandth():
    scaled = CONDITIONS["contrast"].scaled(np.array([0, 4]))
    np.testing.assert_allclose(scaled, [np.log2(0.001), 2])


@EACH
def test_undoing_brings_the_measure_back_towards_the_ordinary(cause):
    amount = spoiling(cause)
    spoilt = cause.done(PHOTOS[5], amount).pixels
    measures = list(map(cause.measured, cause.undo(spoilt, amount)))
    before = cause.measured(spoilt)
    if cause.read:
        assert cause.amount(np.nan, spoilt) == pytest.approx(amount, rel=0.2)
    # Some only show the picture in another way, so that one of them is enough.
    assert max(measures) > before if cause.below else min(measures) < before
