"""What each step of an image's way leaves behind, and where two ways part."""

import numpy as np
import pytest

import kit
from kit.preprocessing.trace import StepRecord, first_difference, trace_of


def test_the_means_of_sixteen_blocks_are_kept_to_six_digits():
    pixels = np.arange(8 * 12 * 3, dtype=np.uint8).reshape(8, 12, 3)
    kept = StepRecord.of("decode", pixels)
    by_hand = pixels.reshape(4, 2, 4, 3, 3).mean(axis=(1, 3)).ravel()
    np.testing.assert_allclose(kept.numbers(), by_hand, rtol=1e-5)
    assert (kept.kind, len(kept.digest)) == ("uint8 (8, 12, 3)", 16)
    odd = np.arange(5 * 3, dtype=np.float32).reshape(5, 3, 1)
    # Rows 0 and 1 together, then one each; three columns.
    assert StepRecord.of("x", odd).means == "1.5 2.5 3.5 6 7 8 9 10 11 12 13 14"
    assert StepRecord.of("x", odd[None]).means == StepRecord.of("x", odd).means
    assert set(StepRecord.of("x", np.full((4, 4, 1), 1 / 3)).numbers()) == {0.333333}


def test_every_step_is_kept_in_the_order_in_which_it_runs(cat, classifier):
    dim = kit.Perturbation(brightness=0.5)
    kept = trace_of(cat, dim, classifier.preprocessing)
    ran = classifier.preprocessing.steps(dim.apply(cat))
    assert [left.step for left in kept] == ["decode", "perturb", *list(ran)[1:]]
    assert kept[0] == StepRecord.of("decode", cat.pixels)
    assert kept[1] == StepRecord.of("perturb", ran["decode"])
    assert kept[-1] == StepRecord.of("layout", ran["layout"])
    lying, ignored = kit.samples.photo("exif.jpg"), kit.Decoding(exif=False)
    sides = *lying.size[::-1], 3
    decoded, perturbed, *_ = trace_of(
        lying, dim, classifier.preprocessing.replace(decoding=ignored)
    )
    assert decoded.kind == perturbed.kind == f"uint8 {sides}"


def test_the_first_step_that_differs_is_found_where_one_is_new_or_gone():
    kept = [left("1 1", step=name) for name in ("resize", "polarity", "layout")]
    moved = [left("9 9", digest="other", step=name) for name in ("polarity", "layout")]
    for traced, recorded in ((kept, kept[::2]), (kept[::2], kept)):
        assert first_difference(traced, recorded) == ""
        assert first_difference([*traced[:-1], moved[1]], recorded) == "layout"
    assert first_difference([kept[0], *moved], kept) == "polarity"
    rounded = left("1 1.00001", digest="other", step="resize")
    assert first_difference([rounded, *kept[1:]], kept) == ""


def left(means, kind="float32 (1, 1, 1, 2)", digest="", step="scaling"):
    return StepRecord(step, kind, digest, means)


def test_floats_are_the_same_within_a_ten_thousandth_of_the_largest_mean():
    assert left("-2 1").same(left("-1.9998 1", digest="other"))
    assert not left("-2 1").same(left("-1.99979 1", digest="other"))
    assert not left("-2 1").same(left("-2 1 1", digest="other"))
    # The bytes say so whatever the means.
    assert left("0 0").same(left("9 9"))
    assert not left("1 1").same(left("1 1", kind="float32 (1, 2, 1, 1)"))
    assert not left("1 1", kind="uint8 (1, 2)").same(
        left("1 1", kind="uint8 (1, 2)", digest="other")
    )


@pytest.mark.parametrize("part", ["step", "kind", "digest", "means"])
def test_a_record_of_something_else_than_text_is_refused(part):
    texts = {"step": "x", "kind": "uint8 (1, 1, 3)", "digest": "0", "means": "1"}
    with pytest.raises(TypeError, match="Expected a step as text, received 7"):
        StepRecord(**texts | {part: 7})
