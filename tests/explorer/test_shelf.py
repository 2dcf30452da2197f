"""The photographs of an explorer, and the files on their way to it."""

import gc
import weakref
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kit import load_image, samples
from kit.explorer import replies
from kit.explorer.explorer import Explorer
from kit.explorer.replies import THUMBNAIL, THUMBNAILS, UPLOADS, Shelf, Uploads
from tests.explorer.page import ask, deliver, listen, panel

GOLDFISH = (Path(__file__).parents[2] / "data" / "photographs" / "goldfish.jpg").read_bytes()


@pytest.fixture
def explorer(classifier, photos):
    return listen(Explorer(classifier, photos[:2]))


def names(explorer):
    return [row["name"] for row in panel(explorer)["photos"]]


def test_names_are_unique_whatever_comes(cat):
    kept = Shelf()
    given = [cat.name] * 3 + ["cat.jpg (2)", "cat.jpg"]
    received = [kept.add(load_image(cat.pixels, name=name)) for name in given]
    assert received == ["cat.jpg", "cat.jpg (2)", "cat.jpg (3)", "cat.jpg (2) (2)", "cat.jpg (4)"]
    assert list(kept) == received


def test_a_name_that_is_free_again_is_taken_and_shows_the_new_picture(explorer):
    black, white = (np.full((8, 8, 3), value, np.uint8) for value in (0, 255))
    explorer.add(black, name="mine")
    explorer.remove("mine")
    explorer.add(white, name="mine")
    assert names(explorer) == ["cat.jpg", "espresso.jpg", "mine"]
    _, buffers = explorer.sent[-1]
    assert bytes(buffers[1]) == white.tobytes()


def test_only_pictures_that_were_added_can_be_removed(explorer):
    explorer.add(GOLDFISH, name="mine.jpg")
    assert [(row["name"], row["added"]) for row in panel(explorer)["photos"]] == [
        ("cat.jpg", False),
        ("espresso.jpg", False),
        ("mine.jpg", True),
    ]
    with pytest.raises(ValueError, match=r"received 'espresso\.jpg', which came with the explorer"):
        explorer.remove("espresso.jpg")
    with pytest.raises(ValueError, match=r"received 'mine\.jgp'; did you mean 'mine\.jpg'"):
        explorer.remove("mine.jgp")
    explorer.remove("mine.jpg")
    assert names(explorer) == ["cat.jpg", "espresso.jpg"]


def test_the_first_photograph_is_shown_in_place_of_a_removed_one(explorer, classifier, photos):
    explorer.add(GOLDFISH, name="mine.jpg")
    explorer.settings = explorer.settings | {"noise": 7}
    message, _ = ask(explorer, kind="remove", request="a.1", name="mine.jpg")
    assert (message["kind"], message["request"]) == ("view", "a.1")
    assert (message["settings"]["photo"], message["settings"]["noise"]) == ("cat.jpg", 7)
    expected = classifier.probabilities(photos[0], explorer.perturbation)[0]
    np.testing.assert_array_equal(explorer.probabilities, expected)


def test_removing_what_is_not_shown_leaves_what_is(explorer):
    explorer.add(GOLDFISH, name="mine.jpg")
    explorer.settings = {"photo": "espresso.jpg", "noise": 5}
    before = explorer.settings
    explorer.remove("mine.jpg")
    assert explorer.settings == before


def test_nothing_is_kept_of_a_removed_photograph(explorer):
    explorer.add(GOLDFISH, name="mine.jpg")
    for changed in ({"noise": 20}, {"exif": "exif_ignored", "blur": 2}, {}):
        deliver(explorer, kind="settings", settings={"photo": "mine.jpg", **changed})
    deliver(explorer, kind="why", settings=explorer.settings)
    explorer.wait()
    kept = [weakref.ref(explorer.photos[-1]), weakref.ref(explorer.photos[-1].pixels)]
    kept += [weakref.ref(explorer.view)]
    explorer.remove("mine.jpg")
    explorer.sent.clear()
    gc.collect()
    assert [one() for one in kept] == [None] * 3


def test_thumbnails_are_small_jpegs_of_the_whole_picture(explorer):
    left_white = np.zeros((300, 600, 3), np.uint8)
    left_white[:, :300] = 255
    explorer.add(left_white, name="halves")
    for row, photo in zip(panel(explorer)["photos"], explorer.photos, strict=True):
        image = Image.open(BytesIO(row["thumbnail"]))
        image.load()
        assert image.format == "JPEG"
        assert max(image.size) == THUMBNAIL
        assert len(row["thumbnail"]) < 4_000
        height, width = photo.size
        assert image.width / image.height == pytest.approx(width / height, rel=0.05)
    pixels = np.asarray(image)
    assert pixels[:, : THUMBNAIL // 2 - 3].min() > 230
    assert pixels[:, THUMBNAIL // 2 + 3 :].max() < 25


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 2), (28, 28)])
def test_any_size_has_a_thumbnail(size):
    kept = Shelf()
    kept.add(load_image(np.zeros(size, np.uint8), name="any"))
    with Image.open(BytesIO(kept.told()[0]["thumbnail"])) as image:
        assert max(image.size) <= THUMBNAIL


def test_of_very_many_pictures_only_the_first_have_thumbnails(clothes):
    kept = Shelf()
    for photo in clothes[: THUMBNAILS + 2]:
        kept.add(photo)
    rows = kept.told()
    assert [bool(row["thumbnail"]) for row in rows] == [True] * THUMBNAILS + [False] * 2
    assert [row["name"] for row in rows] == [photo.name for photo in clothes[: THUMBNAILS + 2]]


def test_steps_of_reading_are_told_of_each_photograph_by_its_name(classifier):
    kept = Shelf()
    turned = kept.add(next(photo for photo in samples.photos("special") if photo.name == "exif.jpg"))
    plain = kept.add(load_image(GOLDFISH, name="plain.jpg"))
    assert kept.idle(turned, classifier.preprocessing) == ("alpha", "depth")
    assert kept.idle(plain, classifier.preprocessing) == ("exif", "alpha", "depth")
    assert kept.idle(plain, classifier.preprocessing) is kept.idle(plain, classifier.preprocessing)


def test_pieces_of_several_files_are_kept_apart():
    uploads = Uploads()
    assert uploads.take("a", "a.jpg", b"1", last=False) is None
    assert uploads.take("b", "b.jpg", b"x", last=False) is None
    assert uploads.take("a", "a.jpg", b"2", last=True) == b"12"
    assert uploads.take("b", "b.jpg", b"y", last=True) == b"xy"
    assert (uploads.pieces, uploads.heard) == ({}, {})


def test_uploads_are_bounded_in_number():
    uploads = Uploads()
    for number in range(UPLOADS):
        uploads.take(str(number), f"{number}.jpg", b"x", last=False)
    with pytest.raises(ValueError, match=f"Expected at most {UPLOADS} pictures at a time.*: more.jpg"):
        uploads.take("more", "more.jpg", b"x", last=False)
    assert len(uploads.pieces) == len(uploads.heard) == UPLOADS
    assert uploads.take("0", "0.jpg", b"y", last=True) == b"xy"
    assert uploads.take("more", "more.jpg", b"z", last=True) == b"z"


def test_uploads_are_bounded_in_bytes_and_nothing_is_kept_of_one_that_is_too_large(monkeypatch):
    monkeypatch.setattr(replies, "UPLOAD_BYTES", 10)
    uploads = Uploads()
    assert uploads.take("a", "a.jpg", b"x" * 10, last=False) is None
    with pytest.raises(ValueError, match=r"Expected a picture of at most 0 MB, received more: a\.jpg"):
        uploads.take("a", "a.jpg", b"x", last=True)
    assert (uploads.pieces, uploads.heard) == ({}, {})
    assert uploads.take("a", "a.jpg", b"x" * 10, last=True) == b"x" * 10


def test_an_upload_that_falls_silent_is_given_up(monkeypatch):
    uploads = Uploads()
    for number in range(UPLOADS):
        uploads.take(str(number), f"{number}.jpg", b"x", last=False)
    monkeypatch.setattr(replies, "UPLOAD_SECONDS", -1.0)
    assert uploads.take("more", "more.jpg", b"z", last=True) == b"z"
    assert (uploads.pieces, uploads.heard) == ({}, {})


def test_an_upload_that_replieson_is_not_given_up(monkeypatch):
    monkeypatch.setattr(replies, "UPLOAD_SECONDS", 60.0)
    uploads = Uploads()
    for piece in range(50):
        assert uploads.take("slow", "slow.jpg", bytes([piece]), last=False) is None
    assert uploads.take("slow", "slow.jpg", b"", last=True) == bytes(range(50))


def test_too_many_uploads_are_told_and_those_under_way_go_on(explorer):
    half = len(GOLDFISH) // 2
    for number in range(UPLOADS):
        upload = {"number": f"v.{number}", "name": f"{number}.jpg"}
        deliver(explorer, [GOLDFISH[:half]], kind="upload", **upload, last=False)
    assert explorer.sent == []
    message, _ = ask(explorer, [GOLDFISH], kind="upload", number="v.9", name="more.jpg", last=True)
    assert message["kind"] == "error"
    assert message["text"] == f"Expected at most {UPLOADS} pictures at a time, received one more: more.jpg"
    message, _ = ask(explorer, [GOLDFISH[half:]], kind="upload", number="v.2", name="2.jpg", last=True)
    assert message["settings"]["photo"] == "2.jpg"
    np.testing.assert_array_equal(explorer.photo.pixels, load_image(GOLDFISH).pixels)
