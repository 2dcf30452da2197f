"""Properties of pictures: hand-checkable measures, how they are done and undone."""

import numpy as np
import pytest

import kit
from kit import Perturbation, Photo, samples
from kit.diagnosis.image_properties import PROPERTIES
from kit.images.properties import clipping

PHOTOS = samples.photos("photographs")


def flat(level):
    return np.full((64, 64, 3), level, np.uint8)


def test_what_is_cut_off_at_white_is_told_from_a_white_ground():
    half = flat(100)
    half[:32] = 255
    # Half is cut off, and so is half of the border, which takes a quarter of all for a ground.
    assert clipping(half) == pytest.approx((0.5 - 0.25) / (1 - 0.25))
    on_white = flat(255)
    on_white[16:48, 16:48] = (255, 120, 80)
    assert clipping(on_white) == 1
    on_white[16:48, 16:48] = (200, 120, 80)
    assert clipping(on_white) == 0
    assert clipping(Perturbation(noise=60).apply(Photo.from_array(on_white)).pixels) < 0.05


@pytest.mark.parametrize(
    ("name", "perturbation"),
    [
        ("dark", Perturbation(brightness=0.25)),
        ("bright", Perturbation(brightness=2.5)),
        ("low_contrast", Perturbation(contrast=0.15)),
        ("noisy", Perturbation(noise=20)),
        ("blurred", Perturbation(blur=4)),
        ("jpeg", Perturbation(jpeg_quality=5)),
    ],
)
def test_a_corruption_is_seen_by_its_own_measure_on_nearly_every_photograph(name, perturbation):
    item = PROPERTIES[name]
    assert np.mean([item.unusual(item.measure(perturbation.apply(photo).pixels)) for photo in PHOTOS]) >= 0.9


DONE = [item for item in PROPERTIES.values() if item.parameter]


@pytest.mark.parametrize("item", DONE, ids=lambda item: item.name)
def test_the_amounts_of_the_table_bring_probes_to_its_measures(item):
    # Within a step of the table, but at its ends, which only bound it.
    for (before, _), (measure, amount), (after, _) in zip(
        item.amounts, item.amounts[1:], item.amounts[2:], strict=False
    ):
        found = np.median([item.measure(item.done(photo, amount).pixels) for photo in samples.probes()])
        assert before <= found <= after, (measure, amount)
        assert item.amount(measure) == pytest.approx(amount)


@pytest.mark.parametrize("item", DONE, ids=lambda item: item.name)
def test_undoing_brings_the_measure_back_towards_the_ordinary(item):
    photo = PHOTOS[5]
    amount = {"dark": 0.3, "bright": 2.5, "low_contrast": 0.2, "noisy": 40, "blurred": 4, "jpeg": 8}[
        item.name
    ]
    spoilt = item.done(photo, amount)
    measures = [item.measure(better.pixels) for better in item.undone(spoilt.pixels, amount)]
    assert len(measures) == 3
    before = item.measure(spoilt.pixels)
    # Some only show the picture in another way, so that one of them is enough.
    assert max(measures) > before if item.below else min(measures) < before


def test_grey_is_done_by_taking_colour_away_and_is_not_undone():
    item = PROPERTIES["grayscale"]
    grey = item.done(PHOTOS[5], 0)
    assert item.measure(grey.pixels) == 0
    assert item.undone(grey.pixels, 0) == []


@pytest.mark.parametrize("item", PROPERTIES.values(), ids=PROPERTIES)
def test_the_printed_code_runs_with_the_arguments_of_a_diagnosis(item, capsys):
    fix = item.remedy(12.0)
    scope = {"kit": kit, "classifier": samples.classifier("efficientnet_lite0"), "photos": PHOTOS[:2]}
    exec(fix.code, scope)  # noqa: S102 (it is printed to be run)
    assert fix.text
    assert bool(fix.code) == (item.undo is not None)
    assert len(capsys.readouterr().out.splitlines()) == (2 if item.undo else 0)
