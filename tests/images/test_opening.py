"""Image files become RGB as an independent model says, or are refused in one line."""

import io
import re

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from PIL import ExifTags, Image, ImageCms

from kit.images.opening import FORMATS, MAX_PIXELS, Decoding, PhotoError
from kit.images.photo import load_image
from tests.pictures import file_of, png, smooth
from tests.project import python

OPENING = "import sys, kit; print(kit.load_image(sys.argv[1]).pixels.shape)"


@pytest.mark.parametrize("image_format", FORMATS)
def test_a_file_of_every_format_opens_in_a_fresh_process(tmp_path, image_format):
    """Whose Pillow knows no plugin but those that the kit asked for."""
    Image.fromarray(smooth()).save(tmp_path / "photo", image_format)
    result = python(OPENING, tmp_path / "photo")
    assert result.stdout == f"{smooth().shape}\n", result.stderr


@pytest.mark.parametrize("image_format", FORMATS)
def test_a_truncated_file_is_refused_by_name(image_format):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = file_of(Image.fromarray(noise), image_format)
    data = data[: len(data) // 2]
    kind = r"truncated, damaged or of an unknown kind \(.*\); save it as PNG or JPEG$"
    message = rf"a complete image, received 'cat\.jpg', which is {kind}"
    with pytest.raises(PhotoError, match=f"^Expected {message}"):
        load_image(data, name="cat.jpg")


def test_what_the_memory_cannot_hold_is_not_called_damaged(monkeypatch):
    def fail(*_):
        raise MemoryError

    monkeypatch.setattr(Image.Image, "convert", fail)
    with pytest.raises(MemoryError):
        load_image(Image.fromarray(CORNERS))


def test_a_damaged_tiff_is_refused_in_one_line_and_libtiff_prints_none(capfd):
    data = bytearray(
        file_of(Image.fromarray(smooth()), "TIFF", compression="tiff_adobe_deflate")
    )
    data[20:60] = bytes(40)  # compressed pixels
    with pytest.raises(
        PhotoError, match=r"^Expected a complete image, received [^\n]*$"
    ):
        load_image(bytes(data))
    assert capfd.readouterr().err == ""


def test_a_16_bit_tiff_is_turned_by_a_quarter():
    deep = np.arange(12, dtype=np.uint16).reshape(3, 4) * 257
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6  # a quarter clockwise makes it upright
    photo = load_image(file_of(Image.fromarray(deep), "TIFF", exif=exif))
    np.testing.assert_array_equal(photo.pixels[:, :, 0], np.rot90(deep // 257, -1))


NO_IMAGES = [
    (
        b"\x00" * 20,
        "20 bytes of unknown data; copy it again, or save it as PNG or JPEG",
    ),
    (b"\0\0\0\x18ftypheic........", "a HEIC photo; save it as PNG or JPEG"),
    (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "a HEIC photo; save it as PNG or JPEG"),
    (
        b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf",
        "an AVIF photo; save it as PNG or JPEG",
    ),
    (
        b"\n" * 99 + b"<!DOCTYPE html><html>",
        "a web page; download the image itself",
    ),
    (
        b"version https://git-lfs.github.com/spec/v1\n",
        "a Git LFS pointer; run git lfs pull",
    ),
]


@pytest.mark.parametrize(("data", "contents"), NO_IMAGES)
def test_what_is_no_image_is_named(data, contents):
    message = (
        rf"an image file \(JPEG, .*\), received 'x', which is {re.escape(contents)}"
    )
    with pytest.raises(PhotoError, match=f"^Expected {message}"):
        load_image(data, name="x")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("width", "height"),
    [
        (MAX_PIXELS + 1, 1),
        (10_000, 9_000),
        (20_000, 20_000),
    ],  # Pillow: silent, warns, refuses
)
def test_a_gigantic_picture_is_refused_from_its_header(width, height):
    data = png(width, height, 8, 2, [b"\0\0\0"])  # with next to no pixels in it
    sides = rf"{width * height} \(height {height}, width {width}\)"
    message = (
        f"1 to 50000000 pixels and sides of at most 65500, received 'x' with {sides};"
    )
    with pytest.raises(PhotoError, match=f"^Expected {message}"):
        load_image(data, name="x")


def test_an_animation_that_ends_within_a_later_picture_is_refused_as_truncated():
    frames = [Image.fromarray(smooth()).rotate(90 * turn) for turn in range(3)]
    data = file_of(frames[0], "GIF", save_all=True, append_images=frames[1:])
    second = data.index(b"\x2c", data.index(b"\x2c", 800) + 1)
    with pytest.raises(PhotoError, match="truncated, damaged"):
        load_image(data[: second + 5])
    assert load_image(data).notes[0] == "several images in the file, number 1 used"


def test_a_picture_longer_than_a_jpeg_can_be_is_refused():
    image = Image.new("L", (65_501, 1))
    assert load_image(np.zeros((65_500, 1, 3), np.uint8)).size == (65_500, 1)
    for source in (file_of(image, "PNG"), image, np.zeros((65_501, 1, 3), np.uint8)):
        with pytest.raises(
            PhotoError, match=r"^Expected .* sides of at most 65500, received "
        ):
            load_image(source)


CORNERS = [
    [[255, 0, 0], [0, 255, 0], [0, 0, 255]],
    [[9, 9, 9], [90, 90, 90], [250, 250, 250]],
]
CORNERS = np.array(CORNERS, np.uint8)
# What the first stored row and column are in the upright image, of orientation 1 to 8 (CIPA DC-008, tag 274).
SIDES = "top left, top right, bottom right, bottom left, left top, right top, right bottom, left bottom"


def stored_for(upright, orientation):
    """Return what a camera stores, from the wording of the standard alone."""
    row, column = SIDES.split(", ")[orientation - 1].split()
    stored = upright if row in ("top", "bottom") else upright.swapaxes(0, 1)
    if row in ("bottom", "right"):
        stored = stored[::-1]
    if column in ("bottom", "right"):
        stored = stored[:, ::-1]
    return np.ascontiguousarray(stored)


@pytest.mark.parametrize("image_format", ["PNG", "TIFF"])  # of a TIFF, Pillow turns it
@pytest.mark.parametrize("orientation", range(1, 9))
def test_each_exif_orientation_comes_out_upright_or_as_stored(
    orientation, image_format
):
    upright = smooth()
    stored = stored_for(upright, orientation)
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = file_of(Image.fromarray(stored), image_format, exif=exif)
    photo = load_image(data)
    np.testing.assert_array_equal(photo.pixels, upright)
    assert photo.notes == (
        (f"EXIF orientation {orientation} applied",) if orientation > 1 else ()
    )
    np.testing.assert_array_equal(
        load_image(Image.open(io.BytesIO(data))).pixels, upright
    )
    as_stored = photo.decoded(Decoding(exif=False))
    np.testing.assert_array_equal(as_stored.pixels, stored)
    assert as_stored.notes == (
        (f"EXIF orientation {orientation} ignored",) if orientation > 1 else ()
    )


@pytest.mark.filterwarnings("ignore:(Corrupt EXIF data|Truncated File Read)")
def test_an_orientation_outside_1_to_8_or_a_damaged_exif_block_changes_nothing():
    exif = Image.Exif()
    exif[0x0112] = 9
    assert load_image(file_of(Image.fromarray(CORNERS), exif=exif)).notes == ()
    for block in (b"MM\0*\xff\xff\xff\xff", b"nothing of TIFF"):
        damaged = file_of(Image.fromarray(CORNERS), exif=b"Exif\0\0" + block)
        np.testing.assert_array_equal(load_image(damaged).pixels, CORNERS)
    # A quarter turn beside a value that lies beyond the end.
    entries = b"\1\x12\0\3\0\0\0\1\0\6\0\0", b"\1\x3e\0\x0a\0\0\0\2\0\0\0\xc8"
    block = b"Exif\0\0MM\0*\0\0\0\x08\0\2" + b"".join(entries) + bytes(4)
    turned = load_image(file_of(Image.fromarray(CORNERS), exif=block))
    assert turned.size == (3, 2)


def test_alpha_is_laid_on_the_matte_rounded_to_nearest():
    colors, alphas = np.meshgrid(np.arange(256), np.arange(256))
    rgba = np.stack([colors, 255 - colors, colors, alphas], axis=-1).astype(np.uint8)
    data = file_of(Image.fromarray(rgba))
    for matte in [(255, 255, 255), (0, 0, 0), (10, 200, 77)]:
        photo = load_image(data, decoding=Decoding(matte=list(matte)))
        assert photo.decoding.matte == matte
        weight = rgba[..., 3:].astype(np.float64) / 255
        exact = rgba[..., :3] * weight + np.array(matte) * (1 - weight)
        np.testing.assert_array_equal(photo.pixels, np.floor(exact + 0.5 + 1e-9))
        assert photo.notes == (f"alpha laid on {matte}",)


def test_a_transparent_palette_entry_becomes_the_matte():
    image = Image.fromarray(np.array([[0, 1, 2]], np.uint8), "P")
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    data = file_of(image, transparency=bytes([255, 0, 51]))
    photo = load_image(data)
    assert photo.pixels.tolist() == [[[255, 0, 0], [255, 255, 255], [204, 204, 255]]]
    alpha = "alpha laid on (255, 255, 255)"
    assert photo.notes == ("palette converted to RGB", alpha)
    dropped = photo.decoded(Decoding(matte=None))
    assert dropped.pixels.tolist() == [[[255, 0, 0], [0, 255, 0], [0, 0, 255]]]
    assert dropped.notes[1] == "alpha dropped"


SIXTEEN_BITS = np.array([[0, 128, 129, 255, 256, 4095, 32896, 65535]], np.uint16)


@pytest.mark.parametrize("mode", ["I;16", "I;16B", "I"])
def test_16_bit_grey_is_scaled_or_cut(mode):
    kind = {"I;16": "<u2", "I;16B": ">u2", "I": "<i4"}[mode]
    image = Image.frombytes(mode, (8, 1), SIXTEEN_BITS.astype(kind).tobytes())
    photo = load_image(image)
    assert photo.pixels[..., 0].tolist() == [[0, 0, 1, 1, 1, 16, 128, 255]]
    assert photo.notes == ("16-bit greyscale divided by 257",)
    cut = photo.decoded(Decoding(depth="clip"))
    assert cut.pixels[..., 1].tolist() == [[0, 128, 129, 255, 255, 255, 255, 255]]
    assert cut.notes == ("16-bit greyscale clipped at 255",)


def test_whole_numbers_outside_16_bits_are_refused():
    image = Image.fromarray(np.array([[-5, 70000]], np.int32))
    message = r"^Expected whole numbers 0\.\.65535 .* received 'x' with -5\.\.70000; save it as 8 or 16 bit$"
    with pytest.raises(PhotoError, match=message):
        load_image(image, name="x")


def test_a_mode_without_levels_is_refused():
    message = "^Expected a known colour mode, received 'image' in 'F'; save it as PNG$"
    with pytest.raises(PhotoError, match=message):
        load_image(Image.new("F", (2, 2)))


@pytest.mark.parametrize(
    "mode", ["1", "L", "RGBX", "LA", "PA", "YCbCr", "HSV", "CMYK", "LAB"]
)
def test_every_other_mode_of_pillow_is_converted_and_said(mode):
    source = Image.new("LAB", (3, 2))
    if mode != "LAB":  # to which Pillow converts by profiles alone
        source = Image.fromarray(smooth()).convert(mode)
    photo = load_image(source)
    assert photo.file is None
    grey = dict.fromkeys(("1", "L", "LA"), "greyscale")
    words = {"RGBX": None, "PA": "palette", **grey}.get(mode, mode)
    assert photo.notes[:1] == ((f"{words} converted to RGB",) if words else ())


def test_a_colour_profile_is_reported_and_not_applied():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    opaque = Image.fromarray(CORNERS[1]).convert("LA")
    photo = load_image(file_of(opaque, icc_profile=profile))
    assert photo.notes == (
        "greyscale converted to RGB",
        "alpha laid on (255, 255, 255)",
        "ICC profile not applied",
    )
    np.testing.assert_array_equal(photo.pixels[..., 0], CORNERS[1])


# MPO as phones write it.
@pytest.mark.parametrize(
    "image_format", sorted({"MPO", *FORMATS} & Image.SAVE_ALL.keys())
)
def test_of_several_frames_the_first_is_used(image_format):
    first, *others = (Image.new("RGB", (8, 8), color) for color in ("red", "lime"))
    photo = load_image(
        file_of(first, image_format, save_all=True, append_images=others)
    )
    assert (photo.pixels.argmax(axis=-1) == 0).all()
    assert photo.notes[0] == "several images in the file, number 1 used"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"exif": 1}, TypeError),
        ({"depth": "scaled"}, ValueError),
        ({"matte": (0, 0)}, TypeError),
        ({"matte": (0, 0, 256)}, ValueError),
    ],
)
def test_a_decoding_refuses_other_values(arguments, error):
    (name,) = arguments
    with pytest.raises(error, match=rf"^Expected .*{name} .*[,;] received "):
        Decoding(**arguments)


SMOOTH = Image.fromarray(smooth())
FILES = [
    file_of(SMOOTH, "JPEG"),
    file_of(SMOOTH, "JPEG", progressive=True),
    file_of(SMOOTH.convert("RGBA"), "PNG"),
    file_of(SMOOTH, "WEBP"),
]


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    data=st.sampled_from(FILES),
    changes=st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.binary(max_size=4)), max_size=6
    ),
    kept=st.just(1.0) | st.floats(0, 1),
)
def test_any_damaged_file_is_opened_or_refused_in_one_line(data, changes, kept):
    for place, inserted in changes:
        start = int(place * len(data))
        data = data[:start] + inserted + data[start + 2 :]
    try:
        photo = load_image(data[: int(kept * len(data))], name="x")
    except PhotoError as error:
        assert str(error).startswith("Expected ")  # noqa: PT017
        assert "\n" not in str(error)  # noqa: PT017
    else:
        assert photo.pixels.dtype == np.uint8
