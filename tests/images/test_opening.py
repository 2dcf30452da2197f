"""Files that are no usable picture are refused in one line, from the header where that is possible."""

import re
import struct

import numpy as np
import pytest
from PIL import Image, ImageFile

from kit.images import PhotoError, load_image
from kit.images.opening import MAX_PIXELS, READS, SCANS
from tests.pictures import file_of, png, smooth


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF"])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.95])
def test_a_truncated_file_is_refused_by_name(image_format, kept):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = file_of(Image.fromarray(noise), image_format)
    data = data[: int(len(data) * kept)]
    message = (
        rf"^Expected a complete image file, received 'cat\.jpg' \({len(data)} bytes\), which is truncated.*$"
    )
    with pytest.raises(PhotoError, match=message):
        load_image(data, name="cat.jpg")


@pytest.mark.parametrize("image_format", ["JPEG", "PNG"])
def test_a_truncated_file_is_refused_even_where_pillow_was_told_to_accept_it(image_format, monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    exif = Image.Exif()
    exif[0x0201] = 0
    thumbnail = file_of(Image.new("RGB", (8, 8)), "JPEG")
    options = {"exif": b"Exif\0\0" + thumbnail} if image_format == "JPEG" else {}
    data = file_of(Image.fromarray(smooth(200, 200)), image_format, **options)
    assert load_image(data).size == (200, 200)
    with pytest.raises(PhotoError, match="its end is missing"):
        load_image(data[: len(data) * 3 // 4])


def test_data_after_the_end_of_a_jpeg_is_no_truncation():
    data = file_of(Image.fromarray(smooth()), "JPEG")
    assert load_image(data + b"\xff\xda a film").size == (24, 32)


@pytest.mark.parametrize(
    ("data", "contents"),
    [
        (b"%PDF-1.7 ...", "a PDF document"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "a PostScript document"),
        (b"PK\x03\x04............", "a ZIP archive"),
        (b"\0\0\0\x18ftypheic........", "a HEIC photograph (save or send it as JPEG; "),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b'<?xml version="1.0"?><svg xmlns="x">', "an SVG drawing"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
        (b"name,label\ncat,281\n", "plain text"),
        (b"hi", "plain text"),
        (b"\x00\x01\x02\x03" * 5, "20 bytes of unknown data"),
    ],
)
def test_what_is_no_image_is_named(data, contents):
    with pytest.raises(
        PhotoError,
        match=rf"^Expected an image file \(JPEG, .*\), received 'x', which is {re.escape(contents)}",
    ):
        load_image(data, name="x")


def test_an_empty_file_is_refused():
    with pytest.raises(PhotoError, match="received 'x' with 0 bytes"):
        load_image(b"", name="x")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("width", "height"),
    [(MAX_PIXELS + 1, 1), (10_000, 9_000), (20_000, 20_000)],  # Pillow: silent, warns, refuses
)
def test_a_gigantic_picture_is_refused_from_its_header(width, height):
    data = png(width, height, 8, 2, [b"\0\0\0"])  # with next to no pixels in it
    with pytest.raises(
        PhotoError, match=rf"^Expected 1 to 50000000 pixels, received 'x' with {width * height} "
    ):
        load_image(data, name="x")


def test_a_gigantic_gif_frame_on_a_small_screen_is_refused():
    data = bytearray(file_of(Image.new("P", (4, 4)), "GIF"))
    descriptor = data.index(b"\x2c\0\0\0\0\x04\0\x04\0")
    data[descriptor + 5 : descriptor + 9] = b"\xff\xff\xff\xff"
    with pytest.raises(PhotoError):
        load_image(bytes(data))


def test_an_animation_that_ends_within_a_later_picture_is_refused_as_truncated():
    frames = [Image.fromarray(smooth()).rotate(90 * turn) for turn in range(3)]
    data = file_of(frames[0], "GIF", save_all=True, append_images=frames[1:])
    second = data.index(b"\x2c", data.index(b"\x2c", 800) + 1)
    with pytest.raises(PhotoError, match="truncated, damaged"):
        load_image(data[: second + 5])
    assert load_image(data).notes[0] == "animation, number 1 used"


def test_fill_bytes_before_a_marker_are_passed_over_and_half_a_million_parts_refused():
    data = file_of(Image.fromarray(smooth()), "JPEG")
    assert load_image(data[:2] + b"\xff" * 1000 + data[2:]).size == (24, 32)
    for many in (b"\xff" * READS, b"\xff\xfe\0\2" * (READS // 3 + 1)):
        with pytest.raises(PhotoError, match="in more than 500000 pieces"):
            load_image(data[:2] + many + data[2:])


def test_a_progressive_jpeg_of_a_hundred_scans_is_opened_and_one_of_more_refused():
    data = file_of(Image.fromarray(smooth()).convert("L"), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    scans = data.count(b"\xff\xda")
    assert load_image(data[:-2] + data[last:-2] * (SCANS - scans) + data[-2:]).size == (24, 32)
    with pytest.raises(PhotoError, match="more than 100 scans"):
        load_image(data[:-2] + data[last:-2] * (SCANS - scans + 1) + data[-2:])


def test_a_large_jpeg_may_have_fewer_scans():
    data = file_of(Image.new("L", (7000, 7000), 90), "JPEG", progressive=True)
    last = data[data.rindex(b"\xff\xda") : -2]
    twenty = data[:-2] + last * (20 - data.count(b"\xff\xda")) + data[-2:]
    assert load_image(twenty).size == (7000, 7000)
    with pytest.raises(PhotoError, match="more than 20 scans"):
        load_image(twenty[:-2] + last + twenty[-2:])


@pytest.mark.parametrize("size", [(1, 65_501), (65_501, 1)])
def test_a_picture_longer_than_a_jpeg_can_be_is_refused(size):
    image = Image.new("L", size)
    for source in (file_of(image, "PNG"), image, np.zeros((*size, 3), np.uint8)):
        with pytest.raises(PhotoError, match=r"^Expected sides of at most 65500 pixels, received "):
            load_image(source)


def test_a_bitmap_in_runs_is_opened_up_to_eight_million_pixels():
    def bitmap(width, height):
        head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, 0, 0, 0, 256, 0)
        body = bytes(range(256)) * 4 + b"\x04\x07\0\0" * 8
        return b"BM" + struct.pack("<IHHI", 0, 0, 0, 54 + 1024) + head + body

    assert load_image(bitmap(4, 8)).size == (8, 4)
    with pytest.raises(PhotoError, match="more than 8000000 pixels in runs"):
        load_image(bitmap(4000, 2001))
