from dataclasses import replace

import numpy as np
import pytest

from kit.images.photo import Photo
from kit.preprocessing import Preprocessing
from kit.preprocessing.comparison import (
    TURNS,
    Comparison,
    StepDifference,
    relative_distance,
)
from kit.preprocessing.resizing import PILLOW
from kit.preprocessing.scaling import Scaling
from tests.pictures import picture

PHOTO = Photo.from_array(picture((60, 80)), "noise")
HERE = Preprocessing((32, 32), scaling="-1..1")
MINUS, TIMES = "\N{MINUS SIGN}", "\N{MULTIPLICATION SIGN}"
# What no fault of the catalogue changes: change, what is said, the first step that parts on a photo.
CASES = [
    ({"size": (32, 48)}, f"size: 32{TIMES}32 here, 32{TIMES}48 there", "resize"),
    (
        {"size": None, "filter": "box"},
        f"size: 32{TIMES}32 here, as it comes there",
        "resize",
    ),
]


@pytest.mark.parametrize(("changes", "words", "step"), CASES)
def test_each_difference_is_named_in_words_and_found_on_a_photo(changes, words, step):
    comparison = HERE.compare(HERE.replace(**changes), PHOTO)
    assert comparison.differences == (words,)
    assert comparison.first_step == step
    assert not comparison.equal


def test_versions_of_pillow_are_named_where_they_make_other_pixels_of_the_photo():
    older, newer = Preprocessing(pillow=12.3), Preprocessing(pillow=13.0)
    tall, wide = (Photo.from_array(picture(size)) for size in ((900, 300), (300, 900)))
    found = older.compare(newer, tall)
    assert found.differences == ("resize: Pillow 12.3 here, 13.0 there",)
    assert found.first_step == "resize"
    assert older.compare(newer, wide).equal
    # Without a version it is the installed one.
    (words,) = (
        Preprocessing().compare(older if PILLOW >= 13 else newer, tall).differences
    )
    assert words.startswith(f"resize: Pillow {PILLOW} here, ")
    others = newer.replace(filter="bicubic"), newer.replace(filter="cv2_area")
    for other in others:
        (words,) = older.compare(other, tall).differences
        assert words.startswith("filter: bilinear here")


def test_every_step_that_one_of_them_has_has_its_figures():
    grey = Photo.from_array(np.full((8, 8, 3), 51, np.uint8), "grey")
    comparison = HERE.compare(HERE.replace(scaling="0..1"), grey)
    steps = {step.name: step for step in comparison.steps}
    assert list(steps) == ["decode", "resize", "channels", "scaling", "layout"]
    other = HERE.replace(filter="box", channels="bgr", invert=True)
    inverting = HERE.compare(other, grey)
    assert "polarity" in [step.name for step in inverting.steps]
    # Those without an effect come in the order of steps.
    ordered = [step for step, _ in inverting.effects]
    assert ordered == ["polarity", "resize", "channels"]
    assert steps["resize"].difference == 0
    assert steps["scaling"].difference == pytest.approx(0.8)
    rows = [line.split("  ") for line in str(comparison.table()).splitlines()]
    told = {row[0]: [each.strip() for each in row[1:] if each] for row in rows}
    assert told["decode"] == ["equal", "uint8 (8, 8, 3), 51..51"]
    here, there = (
        f"float32 (32, 32, 3), {MINUS}0.6..{MINUS}0.6",
        "float32 (32, 32, 3), 0.2..0.2",
    )
    assert told["scaling"] == ["0.8", here, there]
    _, outcome, *_, note = str(replace(comparison, notes=("few",))).splitlines()
    assert (outcome, note) == ("On grey, first difference: scaling.", "Note: few.")


def test_equal_is_said_plainly_and_rounding_as_such():
    comparison = HERE.compare(HERE.replace(), PHOTO)
    assert comparison.equal
    said = ["No difference in the steps.", "On noise, the tensors are equal."]
    assert str(comparison).splitlines()[:2] == said
    rewritten = HERE.compare(HERE.replace(scaling=Scaling(255, 0.5, 0.5)), PHOTO)
    assert str(rewritten).splitlines()[0] == said[0]
    centred = HERE.replace(scaling=Scaling(255, 0.485, 0.229))
    rounded = centred.compare(
        HERE.replace(scaling=Scaling(255 * 0.229, 0.485 / 0.229)), PHOTO
    )
    assert "On noise, the tensors are equal up to rounding." in str(rounded)
    assert rounded.steps[-1].words == "equal up to rounding"
    assert str(rounded.table()).splitlines()[-1].count("float32") == 2
    assert HERE.compare(HERE.replace(crop_fraction=0.5), PHOTO).equal
    # Pixels may differ where no setting does.
    assert not Comparison((), first_step="resize").equal
    # Without a photo, no pixels are compared.
    assert not Comparison(("scaling",)).equal


def test_what_no_pipeline_can_have_alone_has_the_largest_effect():
    found = HERE.replace(scaling="imagenet").compare(
        HERE.replace(channels="gray"), PHOTO
    )
    assert found.main_step == "channels"


def test_other_shapes_and_values_that_are_no_numbers_part_the_tensors():
    step = StepDifference.of(
        "resize", np.zeros((2, 2, 3)), np.arange(18, dtype=np.uint8).reshape(3, 2, 3)
    )
    assert (step.difference, step.differs, step.words) == (None, True, "shapes differ")
    assert step.there == "uint8 (3, 2, 3), 0..17"
    assert StepDifference.of(
        "scale", np.zeros(3, np.float32), np.float32([0, np.nan, 0])
    ).differs
    assert StepDifference.of("scale", np.array([np.inf]), np.ones(1)).differs
    assert StepDifference.of("scale", np.ones(1), np.array([np.nan])).words == "nan"
    # Two millionths of the largest value are rounding.
    hundred = np.float32([100, 0])
    rounded = StepDifference.of("scale", hundred, hundred + np.float32([0, 1.9e-4]))
    assert (rounded.differs, rounded.words) == (False, "equal up to rounding")
    assert StepDifference.of(
        "scale", hundred, hundred + np.float32([0, 2.1e-4])
    ).differs
    # Of small values, likewise of 1.
    assert not StepDifference.of("scale", np.float32([0]), np.array([1.9e-6])).differs


TURNED = {
    "": "12 34",
    "transposed": "13 24",
    "mirrored left to right": "21 43",
    "upside down": "34 12",
    "turned by 180 degrees": "43 21",
    "turned to the left": "24 13",
    "turned to the right": "31 42",
    "mirrored and turned to the right": "42 31",
}


def test_each_turn_is_called_what_it_was_and_is_undone():
    assert [*TURNED] == [*TURNS]
    for name, rows in TURNED.items():
        undone = TURNS[name](np.array([[*row] for row in rows.split()]))
        assert " ".join(map("".join, undone)) == TURNED[""], name


def test_only_preprocessings_and_functions_are_compared():
    with pytest.raises(
        TypeError,
        match="a function or tensor and a photo, received 'imagenet'",
    ):
        HERE.compare("imagenet", PHOTO)
    with pytest.raises(
        TypeError, match="a function or tensor and a photo, received <function"
    ):
        HERE.compare(lambda pixels: pixels)


def test_without_a_photo_the_settings_are_compared_in_words():
    assert str(HERE.compare(HERE.replace(channels="bgr"))).splitlines() == [
        "channels: rgb here, bgr there"
    ]


def test_a_distance_is_a_share_of_how_far_the_first_varies():
    # Moved by 1 and 3, which is the root of 5 in the mean; they vary by 1.
    tensor = np.array([1.0, 3.0])
    assert relative_distance(tensor, 2 * tensor) == pytest.approx(5**0.5 / (5**0.5 + 1))
