"""Candidates undo every fault of the catalogue; small changes that change predictions are counted."""

import numpy as np
import pytest

import kit
from kit.diagnosis.candidates import (
    Evaluator,
    Trial,
    _undecidable_resize_changes,
    candidates,
    sensitivities,
)
from kit.preprocessing.scaling import SCALINGS, same_scaling

RIGHT = kit.Preprocessing(
    size=(224, 224), filter="bicubic", fit="crop", crop_fraction=0.875, scaling="lite"
)


def undone(fault, right):
    """Candidates for the pipeline with the fault that come to the right preprocessing again."""
    return [
        candidate
        for candidate in candidates(fault.apply(right))
        if same_scaling(candidate.preprocessing.scaling, right.scaling)
        and candidate.preprocessing.replace(scaling=right.scaling) == right
    ]


@pytest.mark.parametrize(
    "fault", kit.faults.CATALOGUE.values(), ids=lambda fault: fault.name
)
def test_each_fault_that_evidence_singles_out_is_undone_by_one_candidate_that_names_its_cause(
    fault,
):
    by_files = fault.step in {"exif", "alpha", "depth", "filter"}
    cropped = fault.step == "fit" and "letterbox" not in fault.name
    is_seen = fault.changes(RIGHT) and not by_files and not cropped
    undoing = undone(fault, RIGHT)
    assert len(undoing) == is_seen
    assert all(candidate.catalogued for candidate in undoing)
    assert all(fault.cause in candidate.causes for candidate in undoing)


@pytest.mark.parametrize("scaling", SCALINGS)
def test_scaling_twice_is_undone_whatever_the_scaling(scaling):
    right = RIGHT.replace(scaling=scaling)
    (candidate,) = undone(kit.faults.CATALOGUE["double_scaling"], right)
    assert "double_scaling" in candidate.causes


def test_grey_networks_are_offered_no_colour():
    found = candidates(
        kit.Preprocessing(size=(28, 28), channels="gray", scaling="0..1")
    )
    assert {candidate.preprocessing.channels for candidate in found} == {"gray"}
    assert all(part.channels is None for c in found for part in c.preprocessing.scaling)


LITE = kit.samples.classifier("efficientnet_lite0")

# Each of the last three gets another prediction under other crops.
PHOTOS = [kit.samples.photos("imagenet")[place] for place in (4, 0, 3, 18)]


def test_as_many_other_photos_are_prepared_themselves():
    evaluator = Evaluator(LITE)
    for photo in PHOTOS[:2]:
        tensors = evaluator.tensors([photo], LITE.preprocessing)
        np.testing.assert_array_equal(tensors, LITE.tensor(photo))


def test_a_photo_counts_as_much_as_its_weight():
    evaluator = Evaluator(LITE, LITE.first_layers)
    weighted = evaluator.distance_from_training(
        PHOTOS, LITE.preprocessing, np.array([0.0, 1, 0, 0])
    )
    alone = evaluator.distance_from_training(PHOTOS[1:2], LITE.preprocessing)
    assert weighted == pytest.approx(alone)


@pytest.fixture(scope="module")
def table():
    return {
        row.name: row
        for row in sensitivities(Evaluator(LITE), LITE.preprocessing, PHOTOS)
    }


def test_a_change_counts_where_any_variant_changes_the_prediction(table):
    used = LITE.preprocessing
    in_use, *cropped = (
        LITE.predict(PHOTOS, preprocessing=used.replace(crop_fraction=fraction)).index
        for fraction in (0.875, 0.8, 0.95, 1.0)
    )
    assert used.crop_fraction == 0.875
    assert table["crop"].changed == (np.array(cropped) != in_use).any(axis=0).sum()


def test_where_training_crops_other_crops_are_cut_likewise():
    for fit, expected in (("squash_crop", "squash_crop"), ("pad", "crop")):
        changes = _undecidable_resize_changes(RIGHT.replace(fit=fit))
        fits = [each["fit"] for kind, each in changes if kind == "crop"]
        assert fits == [expected] * 4


def test_what_changes_no_tensor_is_no_row():
    sixteen = kit.samples.classifier("fashion_mnist")
    rows = sensitivities(
        Evaluator(sixteen),
        sixteen.preprocessing,
        kit.samples.photos("fashion_mnist")[:2],
    )
    # 28 x 28 into 28 x 28: no filter and no fit matters.
    assert [row.name for row in rows] == ["crop"]
    assert {row.photos for row in rows} == {2}


def test_a_prediction_changes_where_another_class_is_likeliest_and_moves_by_half_the_difference():
    before = np.array([[0.8, 0.2], [0.5, 0.5], [0.1, 0.9]])
    after = np.array([[0.4, 0.6], [1.0, 0.0], [0.1, 0.9]])
    trial = Trial(before, after)
    assert trial.changed.tolist() == [True, False, False]
    assert trial.moved_share == pytest.approx([0.4, 0.5, 0])
