"""What each step of an image's way leaves behind, and where two ways part."""

import json

import numpy as np

import kit
from kit.preprocessing.trace import Left, Trace

NONE = kit.Perturbation()


def of(photo, preprocessing, perturbation=NONE):
    return Trace.of(photo, perturbation, preprocessing)


def test_the_means_of_sixteen_blocks_are_kept_to_six_digits():
    picture = np.arange(8 * 12 * 3, dtype=np.uint8).reshape(8, 12, 3)
    kept = Left.of("decode", picture)
    by_hand = picture.reshape(4, 2, 4, 3, 3).mean(axis=(1, 3)).ravel()
    np.testing.assert_allclose(kept.means, by_hand, rtol=1e-5)
    assert (kept.kind, len(kept.digest)) == ("uint8 (8, 12, 3)", 16)
    odd = np.arange(5 * 3, dtype=np.float32).reshape(5, 3, 1)
    # Rows 0 and 1 together, then one each; three columns.
    assert Left.of("x", odd).means == (1.5, 2.5, 3.5, 6, 7, 8, 9, 10, 11, 12, 13, 14)
    assert Left.of("x", odd[None]).means == Left.of("x", odd).means
    assert set(Left.of("x", np.full((4, 4, 1), 1 / 3)).means) == {0.333333}


def test_every_step_is_kept_in_the_order_in_which_it_runs_also_as_json(cat, classifier):
    kept = of(cat, classifier.preprocessing)
    ran = [step.name for step in classifier.preprocessing.steps(cat)][1:]
    assert [left.step for left in kept.steps] == ["decode", "perturb", *ran]
    assert kept.steps[-1].kind == "float32 (1, 224, 224, 3)"
    assert Trace.from_list(json.loads(json.dumps(kept.to_list()))) == kept
    assert Trace(kept.steps[:-1]).parts_at(kept) == kept.parts_at(Trace(kept.steps[:-1])) == "steps"


def left(*means, kind="float32 (1, 1, 1, 2)", digest="", step="scale"):
    return Left(step, kind, digest, means)


def test_floats_are_the_same_within_a_ten_thousandth_of_the_largest_mean():
    assert left(-2.0, 1.0).same(left(-1.9998, 1.0, digest="other"))
    assert not left(-2.0, 1.0).same(left(-1.9997, 1.0, digest="other"))
    # The bytes say so whatever the means.
    assert left(0.0, 0.0).same(left(9.0, 9.0))
    assert not left(1.0, 1.0, kind="uint8 (1, 2)").same(left(1.0, 1.0, kind="uint8 (1, 2)", digest="other"))
