"""Candidates undo every fault of the catalogue, and name it."""

import pytest

import kit
from kit.diagnosis.candidates import candidates
from kit.preprocessing.scaling import SCALINGS, same_scaling

RIGHT = kit.Preprocessing(size=(224, 224), filter="bicubic", fit="crop", crop_fraction=0.875, scaling="lite")


def undone(fault, right):
    """Candidates for the pipeline with the fault that come to the right preprocessing again."""
    return [
        candidate
        for candidate in candidates(fault.apply(right))
        if same_scaling(candidate.preprocessing.scaling, right.scaling)
        and candidate.preprocessing.replace(scaling=right.scaling) == right
    ]


@pytest.mark.parametrize("fault", kit.faults.CATALOGUE.values(), ids=lambda fault: fault.name)
def test_every_fault_is_undone_by_one_candidate_that_names_its_cause(fault):
    if not fault.changes(RIGHT) or fault.name == "range_minus1_1":
        pytest.skip("changes nothing here")
    (candidate,) = undone(fault, RIGHT)
    assert fault.name in candidate.faults
    assert fault.cause in (candidate.cause, *candidate.equivalent)


@pytest.mark.parametrize("scaling", SCALINGS)
def test_scaling_twice_is_undone_whatever_the_scaling(scaling):
    right = RIGHT.replace(scaling=scaling)
    (candidate,) = undone(kit.faults.CATALOGUE["double_scaling"], right)
    assert "double_scaling" in (candidate.cause, *candidate.equivalent)


def test_no_candidate_equals_the_preprocessing_in_use_or_another_candidate():
    found = [candidate.preprocessing for candidate in candidates(RIGHT)]
    assert RIGHT not in found
    assert len(set(found)) == len(found)


def test_grey_networks_are_offered_no_colour():
    found = candidates(kit.Preprocessing(size=(28, 28), channels="gray", scaling="0..1"))
    assert {candidate.preprocessing.channels for candidate in found} == {"gray"}
    assert all(part.channels is None for c in found for part in c.preprocessing.scaling)


def test_filters_and_crops_are_quiet_and_a_letterbox_is_not():
    quiet = {(c.step, c.preprocessing.fit): c.quiet for c in candidates(RIGHT) if c.step in {"filter", "fit"}}
    assert quiet == {
        ("filter", "crop"): True,
        ("fit", "squash"): True,
        ("fit", "crop"): True,
        ("fit", "letterbox"): False,
    }
