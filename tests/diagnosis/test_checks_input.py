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


ORDINARY = samples.photos("imagenet")[:4]


def files_checked(preprocessing, photos):
    return check_files(LITE.using(preprocessing), photos, indices((), len(photos)))


def test_a_small_picture_is_possible_trouble():
    # Of its sides, one alone is less than half of the network's.
    small = Photo.from_array(ORDINARY[0].pixels[:60])
    (finding,) = files_checked(RIGHT, [small, ORDINARY[0]])
    assert finding.evidence[0].value == 60 / 224
    # What fits into a thumbnail loses nothing in it; a long picture does not fit by its short side alone.
    thumbnail = RIGHT.replace(thumbnail=(60, 90))
    tiny = Photo.from_array(ORDINARY[0].pixels[:60, :90])
    verdicts = [
        files_checked(thumbnail, [tiny, photo, ORDINARY[0]])[0].verdict
        for photo in (tiny, small, ORDINARY[0])
    ]
    assert verdicts == ["possible", "named", "named"]


SCALED = Preprocessing(scaling="0..1", fit="crop")


@pytest.mark.parametrize("scaling", SCALINGS)
@pytest.mark.parametrize("channels", ["rgb", "gray"])
def test_no_usual_range_is_accused(scaling, channels):
    if channels == "gray" and not fits(SCALINGS[scaling], 1):
        pytest.skip("made for three channels")
    assert check_tensors(Preprocessing(scaling=scaling, channels=channels)) is None


@pytest.mark.parametrize("scaling", ["0..1", "-1..1", "imagenet", "lite"])
@pytest.mark.parametrize("fault", ["cast_to_uint8", "double_scaling", "reshaped"])
def test_a_cast_after_scaling_a_second_scaling_and_a_reshape_are_named(fault, scaling):
    right = SCALED.replace(scaling=scaling)
    finding = check_tensors(CATALOGUE[fault].apply(right))
    assert (finding.cause, finding.verdict) == (CATALOGUE[fault].cause, "named")
    assert finding.fix.preprocessing == right


def test_a_cast_of_0_to_255_and_a_reshape_of_grey_are_harmless():
    assert check_tensors(SCALED.replace(scaling=(), cast="uint8")) is None
    assert check_tensors(SCALED.replace(scaling=Scaling(-255.0))) is None
    reshaped = SCALED.replace(layout="reshaped")
    assert check_tensors(reshaped.replace(channels="gray")) is None
    # What is scaled twice is lost in a cast, which is named first.
    both = SCALED.replace(scaling=("lite", "0..1"), cast="uint8")
    assert check_tensors(both).cause == "dtype_cast"
    # Which of two different ones training had, no tensor tells.
    fix = check_tensors(both.replace(cast=None)).fix
    assert fix.text.startswith(
        "Scale once, as in training: lite, (x − 127) / 128 or 0..1."
    )
    assert not fix.code
    # −1 becomes 255: a difference of 256 in a range of 2.
    cast = check_tensors(SCALED.replace(scaling="-1..1", cast="uint8"))
    assert cast.evidence[0].value == 128
    # A mean and a standard deviation of 0..1 say what was left out before them.
    mean, std = (0.5, 0.4, 0.3), (0.25, 0.2, 0.3)
    finding = check_tensors(SCALED.replace(scaling=Scaling(1, mean, std)))
    assert finding.fix.preprocessing == SCALED.replace(scaling=Scaling(255, mean, std))


def test_a_picture_of_one_colour_says_nothing():
    flat = Photo.from_array(np.full((300, 300, 3), (255, 0, 0), np.uint8))
    notes = ("images without edges show nothing",)
    found = diagnose(LITE, [flat])
    assert (found.verdict, found.notes) == ("cannot_tell", notes)
    assert diagnose(LITE, [flat, ORDINARY[0]]).notes != notes


@pytest.mark.parametrize("levels", [4, 20])
def test_a_gradient_without_an_edge_is_called_neither_blurred_nor_low_in_contrast(
    levels,
):
    ramp = np.linspace(128 - levels, 128 + levels, 300)[:, None, None] * np.ones(
        (1, 300, 3)
    )
    found = diagnose(LITE, [Photo.from_array(ramp.astype(np.uint8))])
    assert found.verdict == "cannot_tell"
