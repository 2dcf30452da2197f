"""Files that ask for something that the preprocessing in use does not heed, with the bundled network."""

import pytest

from kit import samples
from kit.diagnosis.checks_input import check_files
from kit.preprocessing.faults import CATALOGUE

LITE = samples.classifier("efficientnet_lite0")
RIGHT = LITE.preprocessing
SPECIAL = samples.photos("special")
ORDINARY = samples.photos("imagenet")[:4]


def check(preprocessing, photos, labels=None):
    return check_files(LITE.using(preprocessing), photos, labels)


CASES = [
    ("exif_ignored", "exif_orientation", "exif.jpg"),
    ("alpha_dropped", "alpha_matte", "alpha.webp"),
    ("depth_clipped", "bit_depth", "depth16.png"),
]


@pytest.mark.parametrize(("fault", "cause", "name"), CASES)
def test_a_file_that_is_not_heeded_is_named_from_one_picture(fault, cause, name):
    photo = next(photo for photo in SPECIAL if photo.name == name)
    (finding,) = check(CATALOGUE[fault].apply(RIGHT), [photo])
    assert (finding.cause, finding.verdict) == (cause, "named")
    assert finding.fix.preprocessing == RIGHT
    assert finding.evidence[0].value == 1


@pytest.mark.parametrize(("fault", "cause", "name"), CASES)
def test_files_that_ask_for_nothing_are_not_accused(fault, cause, name):
    assert check(CATALOGUE[fault].apply(RIGHT), ORDINARY) == ()


def test_a_thumbnail_before_the_network_is_named():
    (finding,) = check(CATALOGUE["small_before"].apply(RIGHT), ORDINARY)
    assert (finding.cause, finding.verdict) == ("target_size", "named")
    assert finding.fix.preprocessing == RIGHT


def test_a_small_picture_is_possible_trouble():
    small = ORDINARY[0].pixels[::4, ::4][:60, :60]
    (finding,) = check(RIGHT, [samples.photos("imagenet")[0].from_array(small)])
    assert (finding.cause, finding.verdict) == ("target_size", "possible")


def test_nothing_is_said_of_the_right_preprocessing():
    assert check(RIGHT, ORDINARY + SPECIAL) == ()
