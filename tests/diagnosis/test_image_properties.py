"""Properties of images: hand-checkable measures, how they are done and undone."""

import numpy as np
import pytest
from PIL import Image

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
    assert (
        clipping(Perturbation(noise=60).apply(Photo.from_array(on_white)).pixels) < 0.05
    )


AMOUNTS = (
    ("dark", 0.25),
    ("bright", 2.5),
    ("low_contrast", 0.15),
    ("tinted", 0.9),
    ("noisy", 20),
)
AMOUNTS = (*AMOUNTS, ("blurred", 4), ("jpeg", 5))


@pytest.mark.parametrize(("name", "amount"), AMOUNTS)
def test_a_corruption_is_seen_by_its_own_measure_on_nearly_every_photograph(
    name, amount
):
    item = PROPERTIES[name]
    coloured = [
        photo
        for photo in PHOTOS
        if name != "tinted" or np.ptp(photo.pixels, -1).mean() > 2
    ]
    assert (
        np.mean(
            [
                item.unusual(item.measure(item.done(photo, amount).pixels))
                for photo in coloured
            ]
        )
        >= 0.9
    )


def test_what_a_gamma_a_moving_camera_fog_and_a_later_resize_do_is_seen():
    photo = PHOTOS[0]
    dark = Photo((255 * (photo.pixels / 255) ** 5).astype(np.uint8))
    small = Image.fromarray(Perturbation(jpeg_quality=5).apply(photo).pixels)
    resized = Photo(
        np.asarray(small.resize((small.width * 5 // 4, small.height * 5 // 4)))
    )
    moved, fog = (
        Perturbation(motion_blur=15, motion_angle=30).apply(photo),
        Perturbation(fog=5).apply(photo),
    )
    for name, changed in {
        "dark": dark,
        "blurred": moved,
        "low_contrast": fog,
        "jpeg": resized,
    }.items():
        item = PROPERTIES[name]
        assert item.unusual(item.measure(changed.pixels)), name
        assert not item.unusual(item.measure(photo.pixels)), name


DONE = PROPERTIES.values()


@pytest.mark.parametrize(
    "item", [item for item in DONE if not item.read], ids=lambda item: item.name
)
def test_the_amounts_of_the_table_bring_probes_to_its_measures(item):
    # Within a step of the table, but at its ends, which only bound it.
    for (before, _), (measure, amount), (after, _) in zip(
        item.amounts, item.amounts[1:], item.amounts[2:], strict=False
    ):
        found = np.median(
            [
                item.measure(item.done(photo, amount).pixels)
                for photo in samples.probes()
            ]
        )
        assert before <= found <= after, (measure, amount)
        assert item.amount(measure, PHOTOS[0].pixels) == pytest.approx(amount)


@pytest.mark.parametrize("item", DONE, ids=lambda item: item.name)
def test_undoing_brings_the_measure_back_towards_the_ordinary(item):
    photo = PHOTOS[5]
    amount = dict(AMOUNTS)[item.name]
    spoilt = item.done(photo, amount)
    measures = [item.measure(better) for better in item.undo(spoilt.pixels, amount)]
    before = item.measure(spoilt.pixels)
    # Some only show the picture in another way, so that one of them is enough.
    assert max(measures) > before if item.below else min(measures) < before


@pytest.mark.parametrize("item", PROPERTIES.values(), ids=PROPERTIES)
def test_the_printed_code_runs_with_the_arguments_of_a_diagnosis(item, capsys):
    fix = item.remedy(12.0)
    scope = {
        "kit": kit,
        "classifier": samples.classifier("efficientnet_lite0"),
        "photos": PHOTOS[:2],
    }
    exec(fix.code, scope)  # noqa: S102 (it is printed to be run)
    assert fix.text
    assert len(capsys.readouterr().out.splitlines()) == 1 + 2
