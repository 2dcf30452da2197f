"""What is beside the pixels of a picture goes, and the pixels stay."""

from io import BytesIO

import numpy as np
import pytest
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo

from kit import samples
from kit.images import load_image
from kit.workshop.stripping import stripped

SECRET = b"Anna"


@pytest.fixture(scope="module")
def picture():
    """64 by 40 pixels, in colour."""
    photo = next(photo for photo in samples.photos("imagenet") if photo.name == "espresso.jpg")
    return Image.fromarray(photo.pixels).resize((64, 40))


def exif():
    """A picture that lies on its side, made by Anna at 48 degrees north."""
    data = Image.Exif()
    data[ExifTags.Base.Orientation] = 6
    data[ExifTags.Base.Make] = "Anna's camera"
    data.get_ifd(ExifTags.IFD.GPSInfo).update({1: "N", 2: (48.0, 1.0, 2.0)})
    return data


def written(picture, kind, **options):
    """The file of a picture with all that a camera or a program writes beside it."""
    file = BytesIO()
    picture.save(file, kind, exif=exif(), **options)
    return file.getvalue()


JPEGS = {
    "plain": {},
    "progressive": {"progressive": True},
    "with restarts": {"restart_marker_blocks": 2},
    "with a colour profile": {"icc_profile": b"Anna's screen" * 9000},
}


@pytest.mark.parametrize("options", JPEGS.values(), ids=JPEGS)
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_jpeg_keeps_its_compressed_pixels_and_how_it_is_turned(picture, options, mode):
    data = written(picture.convert(mode), "JPEG", comment=SECRET, **options) + b"a film of Anna \xff\xd9"
    photo = load_image(data, name="a.jpg")
    file, ending = stripped(photo)
    assert ending == "jpg"
    assert SECRET not in file
    scan = data[data.index(b"\xff\xda") : data.index(b"a film")]
    assert file.endswith(scan)
    with Image.open(BytesIO(file)) as image:
        assert dict(image.getexif()) == {ExifTags.Base.Orientation: 6}
        assert image.size == (64, 40)
    assert np.array_equal(load_image(file).pixels, photo.pixels)
    assert photo.pixels.shape == (64, 40, 3)


@pytest.mark.parametrize(
    ("kind", "mode"), [("PNG", "RGBA"), ("PNG", "I;16"), ("WEBP", "RGB"), ("TIFF", "RGB")]
)
def test_any_other_file_becomes_a_png_of_the_same_pixels(picture, kind, mode):
    author = PngInfo()
    author.add_text("Author", "Anna")
    options = {"pnginfo": author} if kind == "PNG" else {}
    image = picture.convert("L").convert("I;16") if mode == "I;16" else picture.convert(mode)
    photo = load_image(written(image, kind, **options), name="a")
    file, ending = stripped(photo)
    assert ending == "png"
    assert SECRET not in file
    assert np.array_equal(load_image(file).pixels, photo.pixels)


def test_a_photo_without_a_file_becomes_a_png(picture):
    photo = load_image(np.asarray(picture))
    file, ending = stripped(photo)
    assert ending == "png"
    assert np.array_equal(load_image(file).pixels, photo.pixels)
