"""What each step of a picture's way leaves behind, and where two ways part."""

import json

import numpy as np
import pytest

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


DIFFERENT = {
    "thumbnail": {"thumbnail": (100, 100)},
    "resize": {"filter": "nearest"},
    "channels": {"channels": "bgr"},
    "invert": {"invert": True},
    "scale": {"scaling": "0..1"},
    "cast": {"cast": "uint8"},
    "layout": {"layout": "transposed"},
}


@pytest.mark.parametrize("step", DIFFERENT)
def test_the_first_step_that_differs_is_named(cat, classifier, step):
    right = of(cat, classifier.preprocessing)
    other = classifier.preprocessing.replace(**DIFFERENT[step])
    assert of(cat, other).parts_at(right) == step
    later = "scale" if step in {"cast", "layout"} else step
    assert of(cat, other.replace(scaling="imagenet")).parts_at(right) == later
    assert of(cat, classifier.preprocessing).parts_at(right) == ""
    assert of(cat, other, kit.Perturbation(brightness=0.9)).parts_at(right) == "perturb"
    assert of(kit.Photo(cat.pixels[::-1]), other).parts_at(right) == "decode"


def test_what_rounding_leaves_of_floats_is_the_same_and_one_level_of_uint8_is_not(cat, classifier):
    tensor = classifier.tensor(cat)
    random = np.random.default_rng(3)
    rounded = (tensor + random.uniform(-1e-6, 1e-6, tensor.shape)).astype(np.float32)
    kept, now = Left.of("scale", tensor), Left.of("scale", rounded)
    assert kept.digest != now.digest
    assert now.same(kept)
    assert not Left.of("scale", tensor + np.float32(0.01)).same(kept)
    pixels = cat.pixels.copy()
    pixels[5, 5, 0] ^= 1
    assert not Left.of("decode", pixels).same(Left.of("decode", cat.pixels))
    assert Left.of("decode", cat.pixels.copy()).same(Left.of("decode", cat.pixels))


@pytest.mark.parametrize(
    "wrong", [None, [1], [{}], [{"step": "x", "kind": "x", "digest": "x", "means": "1 two"}]]
)
def test_what_is_no_trace_is_refused(wrong):
    with pytest.raises((TypeError, ValueError)):
        Trace.from_list(wrong)


def left(*means, kind="float32 (1, 1, 1, 2)", digest="", step="scale"):
    return Left(step, kind, digest, means)


def test_floats_are_the_same_within_a_ten_thousandth_of_the_largest_mean():
    assert left(-2.0, 1.0).same(left(-1.9998, 1.0, digest="other"))
    assert not left(-2.0, 1.0).same(left(-1.9997, 1.0, digest="other"))
    # The bytes say so whatever the means.
    assert left(0.0, 0.0).same(left(9.0, 9.0))
    assert not left(1.0, 1.0, kind="uint8 (1, 2)").same(left(1.0, 1.0, kind="uint8 (1, 2)", digest="other"))
