"""Files and tensors that no network is trained on, made from the bundled photos."""

import numpy as np
import pytest

from kit import Photo, Preprocessing, Scaling, samples
from kit.diagnosis import diagnose
from kit.diagnosis.checks_input import check_files, check_tensors
from kit.preprocessing.faults import CATALOGUE
from kit.preprocessing.scaling import SCALINGS, fits
from tests.diagnosis import indices

LITE = samples.classifier("efficientnet_lite0")

RIGHT = LITE.preprocessing

SPECIAL = samples.photos("special")

ORDINARY = samples.photos("imagenet")[:4]


def files_checked(preprocessing, photos):
    return check_files(LITE.using(preprocessing), photos, indices((), len(photos)))


def test_a_small_picture_is_possible_trouble():
    # Of its sides, one alone is less than half of the network's.
    small = ORDINARY[0].pixels[:60]
    (finding,) = files_checked(RIGHT, [samples.photos("imagenet")[0].from_array(small)])
    assert (finding.cause, finding.verdict) == ("target_size", "possible")


def test_a_file_that_is_read_otherwise_costs_its_share_of_all_images():
    photos = [*SPECIAL, *ORDINARY]
    (finding,) = files_checked(CATALOGUE["depth_clipped"].apply(RIGHT), photos)
    assert finding.summary.endswith(f"in 1 of {len(photos)} images.")
    assert finding.cost == 1 / len(photos)


def test_nothing_is_said_of_the_right_preprocessing():
    assert files_checked(RIGHT, ORDINARY + SPECIAL) == ()


EVERY = samples.photos("photographs") + samples.photos("special")

SCALED = Preprocessing(scaling="0..1", fit="crop")


def causes(preprocessing, photos=EVERY[:4]):
    return [
        (finding.cause, finding.verdict)
        for finding in check_tensors(photos, preprocessing)
    ]


@pytest.mark.parametrize("scaling", SCALINGS)
@pytest.mark.parametrize("channels", ["rgb", "gray"])
def test_no_bundled_photograph_is_accused_in_a_usual_range(scaling, channels):
    if channels == "gray" and not fits(SCALINGS[scaling], 1):
        pytest.skip("made for three channels")
    right = Preprocessing(size=(64, 64), scaling=scaling, channels=channels)
    assert [photo.name for photo in EVERY if causes(right, [photo])] == []


@pytest.mark.parametrize("size", [(28, 28), (96, 64)])
def test_a_reshaped_image_is_named_on_every_photograph(size):
    scrambled = SCALED.replace(size=size, layout="reshaped")
    assert {tuple(causes(scrambled, [photo])) for photo in EVERY} == {
        (("channel_layout", "named"),)
    }
    assert causes(SCALED.replace(size=size, layout="transposed"), EVERY) == []


def stripes(period, width=0.5):
    """Rows of two colours, grey below and beside, at a period in rows of a network of 96."""
    rows = np.arange(960) / 10 % period < width * period
    return np.where(rows[:, None, None], 235, (30, 60, 90)).astype(np.uint8) + np.zeros(
        (1, 960, 1), np.uint8
    )


PERIODS = [2.0, 2.5, 2.7, 2.9, 3.0, 3.1, 3.4, 4.0, 6.0]


@pytest.mark.parametrize("period", PERIODS)
def test_stripes_blinds_and_grids_of_three_rows_are_not_taken_for_a_reshaped_image(
    period,
):
    right = SCALED.replace(size=(96, 96))
    blinds, fence = stripes(period, width=0.8), stripes(period).swapaxes(0, 1)
    grid = np.minimum(stripes(period), fence)
    for pixels in (stripes(period), blinds, fence, grid):
        assert causes(right, [Photo.from_array(pixels.copy())]) == []


@pytest.mark.parametrize("scaling", ["0..1", "-1..1", "imagenet", "lite"])
@pytest.mark.parametrize("fault", ["cast_to_uint8", "double_scaling"])
def test_a_cast_after_scaling_and_a_second_scaling_are_named(fault, scaling):
    right = SCALED.replace(scaling=scaling)
    (finding,) = check_tensors(EVERY[:2], CATALOGUE[fault].apply(right))
    assert (finding.cause, finding.verdict) == (CATALOGUE[fault].cause, "named")
    assert finding.fix.preprocessing == right


def test_a_cast_of_0_to_255_is_harmless():
    assert causes(SCALED.replace(scaling=(), cast="uint8")) == []


def test_a_tensor_with_one_value_is_a_wrong_range():
    # What a loader makes of a picture that it did not turn into an array: 0 everywhere, scaled to -1.
    used = SCALED.replace(scaling=Scaling(1e12, mean=1.0))
    (finding,) = check_tensors(EVERY[:2], used)
    assert (finding.cause, finding.verdict) == ("wrong_range", "named")
    assert "-1" in finding.summary


def test_numbers_beyond_every_contract_are_a_wrong_range():
    (finding,) = check_tensors(EVERY[:2], SCALED.replace(scaling=Scaling(1 / 257)))
    assert (finding.cause, finding.verdict) == ("wrong_range", "named")
    assert all(evidence.supports for evidence in finding.evidence)


@pytest.mark.parametrize("colour", [(10, 20, 30), (250, 248, 245), (255, 0, 0)])
@pytest.mark.parametrize("deviation", [0, 4])
def test_a_picture_of_one_colour_says_nothing(colour, deviation):
    noise = np.random.default_rng(0).normal(0, deviation, (900, 900, 3))
    flat = Photo.from_array(np.clip(colour + noise, 0, 255).astype(np.uint8))
    twice = CATALOGUE["double_scaling"].apply(RIGHT)
    for used in (RIGHT, twice, twice.replace(layout="channels_first")):
        assert causes(used, [flat]) == []
    assert deviation or diagnose(LITE, [flat]).verdict == "cannot_tell"


@pytest.mark.parametrize("levels", [4, 20])
def test_a_gradient_without_an_edge_is_called_neither_blurred_nor_low_in_contrast(
    levels,
):
    ramp = np.linspace(128 - levels, 128 + levels, 300)[:, None, None] * np.ones(
        (1, 300, 3)
    )
    found = diagnose(LITE, [Photo.from_array(ramp.astype(np.uint8))])
    assert found.verdict == "cannot_tell"
