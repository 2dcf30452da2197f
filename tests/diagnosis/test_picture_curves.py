"""Curves: how many answers to good pictures are kept as more of a property is done to them."""

import numpy as np
import pytest

from kit import Photo, samples
from kit.diagnosis.image_causes import COUNT, PROPERTIES, Curve, Good

CLASSIFIER = samples.classifier("efficientnet_lite0")
GOOD = Good.of(CLASSIFIER, (), 288)


def test_the_surest_pictures_are_chosen_among_probes_and_ones_own():
    assert len(GOOD.photos) == COUNT
    assert {min(photo.size) for photo in GOOD.photos} == {288}
    answers = CLASSIFIER.probabilities(samples.probes()).max(axis=1)
    surest = {photo.name for photo, sure in zip(samples.probes(), answers, strict=True) if sure > 0.35}
    assert {photo.name for photo in GOOD.photos} >= surest
    own = samples.photos("imagenet")[0]
    assert own.name in {photo.name for photo in Good.of(CLASSIFIER, [own], 288).photos}


@pytest.mark.parametrize("name", ["dark", "noisy", "blurred", "jpeg", "low_contrast"])
def test_more_of_a_property_keeps_fewer_answers(name):
    item = PROPERTIES[name]
    mild, severe = {
        "dark": (0.8, 0.1),
        "noisy": (2, 100),
        "blurred": (0.5, 8),
        "jpeg": (90, 3),
        "low_contrast": (0.9, 0.05),
    }[name]
    kept = [GOOD.kept(CLASSIFIER, item, amount) for amount in (mild, severe)]
    assert kept[0] > 0.75
    assert kept[1] < 0.5


def test_where_a_network_starts_to_fail_lies_between_the_amounts_that_were_tried():
    curve = Curve((8, 30, 60), (1, 0.9, 0.5))
    # 0.75 lies 3/8 of the way from 0.9 to 0.5.
    assert curve.limit == pytest.approx(30 + 30 * 0.15 / 0.4)
    assert Curve((8, 30, 60), (1, 0.9, 0.8)).limit is None
    assert Curve((105, 70, 35), (1, 0.5, 0.2)).limit == pytest.approx(105 - 35 * 0.25 / 0.5)


def test_half_of_the_answers_lost_is_even():
    assert Curve((8, 60), (1, 0.5)).fallen == 0
    # Each way one picture more is counted, so that a few pictures never make certain.
    assert Curve((8, 60), (1, 0)).fallen == pytest.approx(np.log(COUNT + 1))
    assert Curve((8, 60), (1, 1)).fallen == pytest.approx(-np.log(COUNT + 1))


def test_a_curve_goes_from_the_ordinary_to_the_amount_of_the_picture():
    curve = Curve.of(CLASSIFIER, GOOD, PROPERTIES["noisy"], 60)
    # A measure of 8 is that of noise of 8 levels.
    assert curve.amounts == (8, 34, 60)
    assert curve.kept[0] == 1 > curve.kept[1] > curve.kept[2]


def test_without_any_picture_nothing_is_known():
    none = Good((), np.zeros((0, 1000), np.float32))
    assert none.kept(CLASSIFIER, PROPERTIES["noisy"], 60) == 0.5


def test_pictures_are_brought_to_the_scale_at_which_a_property_is_measured():
    own = Photo.from_array(np.zeros((100, 50, 3), np.uint8), "tall")
    sizes = {photo.size for photo in Good.of(CLASSIFIER, [own], 25).photos}
    assert all(min(size) == 25 for size in sizes)
