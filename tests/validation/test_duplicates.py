"""Near-duplicates are found and named, on pictures that Pillow changed; different pictures are not."""

import os
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from kit import samples
from kit.validation.duplicates import Duplicate, Duplicates, find_duplicates

CLOTHES = samples.fashion_mnist_arrays("train")[0][:300]
PHOTOGRAPHS = samples.photos("photographs")


def crop(image):
    """A part of 85 % of each side, not in the middle, in the size of the whole."""
    (width, height), kept = image.size, 0.85
    left, top = 0.1 * width, 0.05 * height
    part = (left, top, left + kept * width, top + kept * height)
    return image.resize(image.size, Image.Resampling.BICUBIC, box=part)


def jpeg(image):
    file = BytesIO()
    image.save(file, "JPEG", quality=50)
    return Image.open(file)


CHANGES = {
    "none": lambda image: image,
    "re-encoded": jpeg,
    "brightness": lambda image: ImageEnhance.Brightness(image).enhance(0.7),
    "flip": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "crop": crop,
    "crop and brightness": lambda image: ImageEnhance.Brightness(crop(image)).enhance(0.7),
}


def changed(pixels, change):
    return np.asarray(CHANGES[change](Image.fromarray(pixels)))


def found(*collections):
    return find_duplicates(*collections, progress=False)


@pytest.fixture(scope="module")
def copies():
    """Every 15th picture once more under each change, held against all: places 20 c + n and 15 n + c."""
    copies = [changed(CLOTHES[15 * n + c], change) for c, change in enumerate(CHANGES) for n in range(20)]
    return found(CLOTHES, np.stack(copies))


@pytest.mark.parametrize(("number", "change"), list(enumerate(CHANGES)))
def test_copies_of_small_pictures_are_found_and_their_change_is_named(copies, number, change):
    pairs = [(pair.first, pair.second, pair.change) for pair in copies.pairs]
    copies = {(15 * n + number, 20 * number + n, change) for n in range(20)}
    missing = copies - set(pairs)
    # JPEG's squares of 8 x 8 leave little of one among twenty pictures of 28 x 28.
    assert len(missing) <= (change == "re-encoded")
    assert {pair for pair in pairs if pair[1] // 20 == number} <= copies


@pytest.mark.parametrize("change", CHANGES)
def test_copies_of_photographs_are_found_and_their_change_is_named(change):
    copies = [changed(photo.pixels, change) for photo in PHOTOGRAPHS[:8]]
    pairs = found(PHOTOGRAPHS, copies).pairs
    assert [(pair.first, pair.second) for pair in pairs] == [(place, place) for place in range(8)]
    assert {pair.change for pair in pairs} == {change}


def test_different_pictures_are_no_duplicates():
    assert found(CLOTHES).pairs == ()
    assert found(PHOTOGRAPHS).pairs == ()


@pytest.mark.parametrize(("factor", "least"), [(0.5, 40), (1.2, 39)])
def test_photographs_are_found_in_another_light_while_little_of_them_burns_out(factor, least):
    lit = [ImageEnhance.Brightness(Image.fromarray(photo.pixels)).enhance(factor) for photo in PHOTOGRAPHS]
    pairs = found(PHOTOGRAPHS, lit).pairs
    assert all(pair.first == pair.second for pair in pairs)
    assert len(pairs) >= least


def test_it_does_not_matter_which_of_two_collections_is_the_brighter():
    originals = CLOTHES[:100]
    bright = [ImageEnhance.Brightness(Image.fromarray(pixels)).enhance(1.5) for pixels in originals]
    assert found(originals, bright).leaked.sum() >= 99
    assert found(bright, originals).leaked.sum() >= 99


def test_different_pictures_of_low_contrast_are_no_duplicates():
    assert found(CLOTHES[:200] // 8 + 60).pairs == ()


def test_a_copy_in_another_size_is_found():
    half = [np.asarray(Image.fromarray(photo.pixels).reduce(2)) for photo in PHOTOGRAPHS[:5]]
    assert [(pair.first, pair.second) for pair in found(PHOTOGRAPHS[:5], half).pairs] == [
        (place, place) for place in range(5)
    ]


def test_equal_pictures_are_all_paired_with_the_first():
    crowd = np.concatenate([CLOTHES[:50], np.repeat(CLOTHES[7:8], 20, axis=0)])
    pairs = found(crowd).pairs
    assert [(pair.first, pair.second) for pair in pairs] == [(7, 50 + copy) for copy in range(20)]
    assert {(pair.similarity, pair.difference, pair.change) for pair in pairs} == {(1.0, 0.0, "none")}


def test_every_leaked_validation_picture_is_marked_and_what_lies_within_one_collection_is_not():
    training = np.concatenate([CLOTHES[:100], CLOTHES[3:4]])
    validation = np.stack([CLOTHES[200], CLOTHES[3], changed(CLOTHES[9], "flip"), CLOTHES[200], CLOTHES[3]])
    result = found(training, validation)
    assert result.leaked.tolist() == [False, True, True, False, True]
    assert result.share == 3 / 5
    assert {(pair.first, pair.second) for pair in result.pairs} == {(3, 1), (9, 2), (3, 4)}


def test_the_share_counts_pictures_and_not_pairs():
    assert found(np.concatenate([CLOTHES[:17], CLOTHES[:1], CLOTHES[:1], CLOTHES[1:2]])).share == 5 / 20


def test_groups_are_chained_by_pairs():
    chain = ((0, 2), (2, 4), (3, 5))
    pairs = tuple(Duplicate(one, two, "", "", 0.9, 1.0, "none") for one, two in chain)
    assert Duplicates(pairs, (7,)).groups.tolist() == [0, 1, 0, 2, 0, 2, 3]
    assert found(np.stack([CLOTHES[0], CLOTHES[1], changed(CLOTHES[0], "flip")])).groups.tolist() == [0, 1, 0]


def test_folders_are_read_by_path_and_what_cannot_be_read_or_told_is_listed(tmp_path):
    (tmp_path / "b").mkdir()
    Image.fromarray(PHOTOGRAPHS[0].pixels).save(tmp_path / "b" / "copy.PNG")
    Image.fromarray(PHOTOGRAPHS[0].pixels).save(tmp_path / "a.png")
    Image.fromarray(PHOTOGRAPHS[1].pixels).save(tmp_path / "other.png")
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    (tmp_path / "notes.txt").write_text("no picture either", encoding="utf-8")
    for name in ("plain_1.png", "plain_2.png"):
        Image.new("RGB", (40, 30), (90, 90, 90)).save(tmp_path / name)
    result = found(tmp_path)
    assert result.sizes == (6,)
    assert [(pair.first_name, pair.second_name) for pair in result.pairs] == [("a.png", "b/copy.PNG")]
    ((name, reason),) = result.unreadable
    assert name == "broken.jpg"
    assert reason.startswith("Expected an image file")
    assert "\n" not in reason
    assert result.plain == ("plain_1.png", "plain_2.png")
    assert repr(result) == (
        "Duplicates(1 pair among 6 pictures: 1 none; 1 unreadable; 2 too plain to compare)"
    )
    across = found(PHOTOGRAPHS[:1], os.fspath(tmp_path))
    assert across.leaked.tolist() == [True, True, False, False, False, False]
    assert across.unreadable == result.unreadable


def test_two_collections_that_leave_nothing_to_compare_have_no_pairs():
    black = np.zeros((3, 28, 28), np.uint8)
    assert repr(found(black)) == "Duplicates(0 pairs among 3 pictures; 3 too plain to compare)"
    assert not found(CLOTHES[:2], black).leaked.any()


def test_an_interruption_keeps_the_pairs_that_were_found():
    def interrupt(step):
        if step.startswith("Comparing: 1 of"):
            raise KeyboardInterrupt

    doubled = np.concatenate([CLOTHES[:160], CLOTHES[:160, :, ::-1]])
    whole = found(doubled)
    part = find_duplicates(doubled, progress=interrupt)
    assert (whole.complete, part.complete) == (True, False)
    assert 0 < len(part.pairs) < len(whole.pairs)
    assert set(part.pairs) < set(whole.pairs)
    assert repr(part).endswith("; interrupted)")


@pytest.mark.parametrize(
    ("pictures", "error", "message"),
    [
        ("no such folder", FileNotFoundError, "Expected an existing image file, received 'no such f"),
        (CLOTHES[:0], ValueError, "Expected at least one picture, received none"),
        (5, TypeError, "received int"),
        ([3.5], TypeError, "Expected"),
    ],
)
def test_what_names_no_pictures_is_refused_in_one_line(pictures, error, message):
    with pytest.raises(error, match=message) as refusal:
        found(pictures)
    assert "\n" not in str(refusal.value)
    with pytest.raises(error, match=message):
        found(CLOTHES[:3], pictures)


def test_groups_are_of_one_collection_and_leaks_of_two():
    with pytest.raises(ValueError, match="Expected one collection to group, received two"):
        _ = Duplicates((), (2, 2)).groups
    with pytest.raises(ValueError, match="Expected two collections, received one"):
        _ = Duplicates((), (2,)).leaked


def test_report_and_table_are_repeatable():
    pictures = np.concatenate([CLOTHES[:40], CLOTHES[:2], CLOTHES[5:6, :, ::-1]])
    one, two = found(pictures), found(pictures)
    assert one == two
    assert repr(one) == "Duplicates(3 pairs among 43 pictures: 2 none, 1 flip)"
    assert str(one.table()) == (
        "first    second    similarity  difference  change\n"
        "array 0  array 40        1.00         0.0  none\n"
        "array 1  array 41        1.00         0.0  none\n"
        "array 5  array 42        1.00         0.0  flip"
    )
    assert one.table(rows=1).splitlines()[1:] == [
        "array 0  array 40        1.00         0.0  none",
        "and 2 more",
    ]


def test_colour_does_not_count_nor_does_the_form_of_the_pictures():
    images = [Image.fromarray(photo.pixels) for photo in PHOTOGRAPHS[:5]]
    for copies in (images, [np.asarray(image.convert("L")) for image in images]):
        pairs = found(PHOTOGRAPHS[:5], copies).pairs
        assert [(pair.first, pair.second, pair.change) for pair in pairs] == [
            (n, n, "none") for n in range(5)
        ]
