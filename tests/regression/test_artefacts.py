"""Pictures of what moved, pixel by pixel."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import kit
from kit.regression import cases as folders
from kit.regression.artefacts import keep_picture_of, seen_now
from kit.regression.result import Checked


@pytest.fixture
def pinned(tmp_path, fashion, clothes):
    """A folder with one case, and what came of it."""
    path = kit.pin(tmp_path / "cases", fashion, clothes[0], name="one")
    return path.parent, Checked("one", "moved", folders.read(path))


def parts(path):
    """Pictures of 28 rows and columns, each pixel shown four by four; what is between and below them."""
    whole = np.asarray(Image.open(path)).astype(int)
    pixels, words = whole[:112], whole[112:]
    places = range(0, pixels.shape[1], 120)
    pictures = [pixels[:, place : place + 112] for place in places]
    for each in pictures:
        np.testing.assert_array_equal(each, each[::4, ::4].repeat(4, 0).repeat(4, 1))
    gaps = [pixels[:, place + 112 : place + 120] for place in places]
    return [each[::4, ::4] for each in pictures], gaps, [words[:, place : place + 112] for place in places]


def test_then_now_and_four_times_the_difference_lie_side_by_side(pinned, fashion, tmp_path):
    cases, one = pinned
    inverted = fashion.using(fashion.preprocessing.replace(invert=True))
    (then, now, difference), gaps, words = parts(keep_picture_of(one, cases, inverted, tmp_path / "kept"))
    np.testing.assert_array_equal(now, seen_now(one.case, cases, inverted))
    np.testing.assert_array_equal(then, seen_now(one.case, cases, fashion))
    np.testing.assert_array_equal(difference, np.clip(4 * np.abs(then - now), 0, 255))
    assert np.abs(now - (255 - then)).mean() < 1, "black and white are exchanged for all to see"
    assert [gap.shape[1] for gap in gaps] == [8, 8, 0]
    assert (gaps[0] == 255).all()
    assert (gaps[1] == 255).all()
    widths = [np.flatnonzero((each < 128).any(axis=(0, 2))).max() for each in words]
    assert widths[1] <= widths[0] < widths[2] < 100, "now, then, 4 x difference"


def test_a_tensor_with_other_axes_is_read_as_it_is_now(pinned, classifier, photos, tmp_path):
    path = kit.pin(tmp_path / "photographs", classifier, photos[0], name="one")
    first = classifier.preprocessing.replace(layout="channels_first")
    case = folders.read(path)
    other = replace(case, observed=replace(case.observed, preprocessing=first))
    np.testing.assert_array_equal(
        seen_now(other, path.parent, classifier), seen_now(case, path.parent, classifier)
    )


def test_without_the_picture_of_then_there_is_only_that_of_now(pinned, fashion, tmp_path):
    cases, one = pinned
    (cases / "seen" / "one.png").unlink()
    path = keep_picture_of(one, cases, fashion, tmp_path / "kept")
    assert path == tmp_path / "kept" / "one.png"
    (now,), _, _ = parts(path)
    np.testing.assert_array_equal(now, seen_now(one.case, cases, fashion))


@pytest.mark.parametrize("kind", ["EPS", "PCX", ""])
def test_what_is_no_picture_of_then_is_not_opened(pinned, fashion, tmp_path, kind):
    """Pillow would start Ghostscript for the first."""
    cases, one = pinned
    seen = cases / "seen" / "one.png"
    Image.new("RGB", (28, 28)).save(seen, kind) if kind else seen.write_bytes(b"no picture")
    shown, _, _ = parts(keep_picture_of(one, cases, fashion, tmp_path / "kept"))
    assert len(shown) == 1


def test_what_then_was_another_size_is_made_as_large_as_now(pinned, fashion, tmp_path):
    cases, one = pinned
    Image.new("RGB", (7, 14), (200,) * 3).save(cases / "seen" / "one.png")
    (then, now, _), _, _ = parts(keep_picture_of(one, cases, fashion, tmp_path / "kept"))
    assert then.shape == now.shape == (28, 28, 3)
    assert np.abs(then - 200).max() <= 2


def test_a_case_that_cannot_be_read_or_has_lost_its_picture_has_none(pinned, fashion, tmp_path):
    cases, one = pinned
    assert keep_picture_of(replace(one, case=None), cases, fashion, tmp_path / "kept") is None
    (cases / one.case.picture).unlink()
    assert keep_picture_of(one, cases, fashion, tmp_path / "kept") is None
    assert not (tmp_path / "kept").exists()


def test_a_case_is_seen_with_its_own_preprocessing_and_perturbation(pinned, fashion):
    cases, one = pinned
    plain = seen_now(one.case, cases, fashion)
    inverted = replace(
        one.case, preprocessing=fashion.preprocessing.replace(channels="gray", filter="nearest")
    )
    np.testing.assert_array_equal(seen_now(inverted, cases, fashion), plain)
    dark = replace(one.case, perturbation=kit.Perturbation(brightness=0))
    assert np.ptp(seen_now(dark, cases, fashion)) == 0
