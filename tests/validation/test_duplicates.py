"""Near-duplicates are found, on images that Pillow changed; different images are not."""

import os
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from kit import samples
from kit.validation.duplicates import Duplicate, Duplicates, find_duplicates
from tests.pictures import file_of

CLOTHES = samples.fashion_mnist_arrays("train")[0][:300]
PHOTOGRAPHS = samples.photos("photographs")


def jpeg(image):
    return Image.open(BytesIO(file_of(image, "JPEG", quality=30)))


def margin_cut(image):
    width, height = image.size
    return image.crop(
        (width // 100, height // 100, width - width // 100, height - height // 100)
    )


CHANGES = {
    "re-encoded": jpeg,
    "darker": lambda image: ImageEnhance.Brightness(image).enhance(0.5),
    "mirrored": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "half as large": lambda image: image.reduce(2),
    "grey": lambda image: image.convert("L"),
    "margin cut": margin_cut,
}


def changed(pixels, change):
    return np.asarray(CHANGES[change](Image.fromarray(pixels)))


found = find_duplicates


@pytest.mark.parametrize("change", CHANGES)
def test_changed_copies_of_photographs_are_found(change):
    pairs = found(
        PHOTOGRAPHS[:20], [changed(photo.pixels, change) for photo in PHOTOGRAPHS[:20]]
    ).pairs
    assert [(pair.first, pair.second) for pair in pairs] == [
        (place, place) for place in range(20)
    ]
    assert {pair.mirrored for pair in pairs} == {change == "mirrored"}


def test_different_images_are_no_duplicates():
    assert found(PHOTOGRAPHS).pairs == ()
    assert found(CLOTHES).pairs == ()
    with pytest.raises(ValueError, match="Expected at least one image, received none"):
        found(CLOTHES, CLOTHES[:0])


def test_every_leaked_validation_image_is_marked_and_what_lies_within_one_collection_is_not(
    monkeypatch,
):
    monkeypatch.setattr("kit.validation.duplicates._BLOCK_ROWS", 50)
    monkeypatch.setattr("kit.validation.duplicates.MOST_DIFFERING_BITS", 0)
    # A copy of what is its own mirror image is a copy.
    even = np.maximum(CLOTHES[3], CLOTHES[3, :, ::-1])
    training = np.stack([*CLOTHES[:100], CLOTHES[3], even])
    # The last of a block has one, too.
    validation = np.stack([CLOTHES[200], CLOTHES[3], CLOTHES[49, :, ::-1], even])
    result = found(training, validation)
    assert result.leaked.tolist() == [False, True, True, True]
    assert repr(result) == "Pairs of near-duplicates: 4 among 102 and 4 images"
    pairs = [
        (pair.first, pair.second, pair.distance, pair.mirrored) for pair in result.pairs
    ]
    assert pairs == [
        (3, 1, 0, False),
        (49, 2, 0, True),
        (100, 1, 0, False),
        (101, 3, 0, False),
    ]


def test_groups_are_chained_by_pairs():
    chain = ((0, 2), (2, 4), (3, 5))
    pairs = tuple(Duplicate(one, two, "", "", 9, mirrored=False) for one, two in chain)
    assert Duplicates(pairs, (7,)).groups.tolist() == [0, 1, 0, 2, 0, 2, 3]
    for sizes, name in (((5000, 7), "groups"), ((7,), "leaked")):
        with pytest.raises(ValueError, match=r"^Expected the duplicates "):
            getattr(Duplicates(pairs, sizes), name)
    assert " among 5,000 and 7 " in repr(Duplicates(pairs, (5000, 7)))
    assert len(Duplicates(pairs * 9, (7,)).table().text().splitlines()) == 1 + 20


def test_folders_are_read_by_path_and_what_cannot_be_read_or_told_is_listed(tmp_path):
    (tmp_path / "b").mkdir()
    Image.fromarray(PHOTOGRAPHS[0].pixels).save(tmp_path / "b" / "copy.PNG")
    Image.fromarray(PHOTOGRAPHS[0].pixels).save(tmp_path / "a.png")
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    for name in ("plain_1.png", "plain_2.png"):
        Image.new("RGB", (40, 30), (90, 90, 90)).save(tmp_path / name)
    result = found(tmp_path)
    assert [(pair.first_name, pair.second_name) for pair in result.pairs] == [
        ("a.png", "b/copy.PNG")
    ]
    (broken, reason), *plain = result.left_out
    assert (broken, reason[:22]) == ("broken.jpg", "Expected an image file")
    assert plain == [
        (f"plain_{place}.png", "too little contrast to be compared") for place in (1, 2)
    ]
    assert repr(result) == "Pairs of near-duplicates: 1 among 5 images; 3 left out"
    across = found(PHOTOGRAPHS[:1], os.fspath(tmp_path))
    assert np.flatnonzero(across.leaked).tolist() == [0, 1]


def test_the_first_pairs_are_shown():
    result = found(np.concatenate([CLOTHES[:40], CLOTHES[:2], CLOTHES[5:6, :, ::-1]]))
    assert str(result.table()) == (
        "first    second    bits that differ  mirrored\n"
        "array 0  array 40                 0  no\n"
        "array 1  array 41                 0  no\n"
        "array 5  array 42                 0  yes"
    )
