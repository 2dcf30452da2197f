"""What a photo's file says beside its pixels is taken out, and the pixels stay as they are."""

import io
import struct
from itertools import product

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from kit.images.metadata import without_metadata
from kit.images.opening import FORMATS, Decoding
from kit.images.photo import Photo, load_image
from tests.pictures import file_of, picture, png, smooth

OWNER, CAMERA, NOTE = "Erika Mustermann", "Kamerawerk", "SECRET"
ORIENTATION, MAKE, ARTIST, EXIF_IFD, MAKER_NOTE, GPS_IFD = (
    274,
    271,
    315,
    0x8769,
    0x927C,
    0x8825,
)
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/">SECRET</x:xmpmeta>'
# With the bytes in it that end a JPEG.
PROFILE = (
    ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes() + b"\xff\xd9"
)
DECODINGS = [
    Decoding(exif=exif, matte=matte, depth=depth)
    for exif, matte, depth in product(
        (True, False), ((255, 255, 255), None), ("scale", "clip")
    )
]


def personal(orientation):
    """EXIF as phones write it."""
    exif = Image.Exif()
    exif[ORIENTATION], exif[MAKE], exif[ARTIST] = orientation, CAMERA, OWNER
    exif.get_ifd(EXIF_IFD)[MAKER_NOTE] = b"SECRET of the maker"
    exif.get_ifd(GPS_IFD).update({1: "N", 2: (47.0, 22.0, 33.5)})
    return exif


def checked(file):
    """Take metadata out of a file, compare all else with the original, and return the file that is left."""
    photo = load_image(file)
    cleaned = without_metadata(photo)
    for decoding in DECODINGS:
        np.testing.assert_array_equal(
            cleaned.decoded(decoding).pixels, photo.decoded(decoding).pixels
        )
    assert cleaned.name == photo.name
    for secret in (OWNER, CAMERA, NOTE):
        assert secret.encode() not in cleaned.file
    with Image.open(io.BytesIO(file)) as before, Image.open(io.BytesIO(cleaned.file)) as after:  # fmt: skip
        tags = dict(after.getexif())
        assert tags.pop(ORIENTATION, 1) == before.getexif().get(ORIENTATION, 1)
        assert tags == {}
        assert after.info.get("icc_profile") == before.info.get("icc_profile")
    return cleaned.file


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_a_jpeg_keeps_its_compressed_pixels(mode, orientation, progressive):
    image = Image.fromarray(picture((40, 56))).convert(mode)
    options = {"progressive": progressive, "icc_profile": PROFILE}
    own = {"exif": personal(orientation), "xmp": XMP, "comment": b"SECRET"}
    file = file_of(image, "JPEG", **own, **options)
    iptc = b"Photoshop 3.0\0SECRET"
    file = file[:2] + b"\xff\xed" + struct.pack(">H", len(iptc) + 2) + iptc + file[2:]
    kept = checked(file + b"SECRET video of a motion photo")
    scans = file[file.index(b"\xff\xda") :]
    assert kept.endswith(scans)
    # As long as if there had never been any; the tag that turns an image takes 36 bytes.
    plain = file_of(image, "JPEG", **options)
    assert len(kept) - len(plain) == (0 if orientation == 1 else 36)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
@pytest.mark.parametrize("image_format", ["PNG", "TIFF", "WEBP", "GIF"])
@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_files_of_other_formats_become_png(image_format, mode, orientation):
    image = Image.fromarray(picture((40, 56), channels=4)).convert(
        "L" if mode == "I;16" else mode
    )
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image).astype(np.uint16) * 200)
    text = PngImagePlugin.PngInfo()
    text.add_text("Author", OWNER)
    text.add_itxt("XML:com.adobe.xmp", XMP.decode())
    own = {"pnginfo": text, "exif": personal(orientation), "icc_profile": PROFILE}
    file = file_of(image, image_format, **own, xmp=XMP, comment=b"SECRET")
    assert checked(file).startswith(b"\x89PNG")


@pytest.mark.parametrize("image_format", ["MPO", *FORMATS])
def test_of_every_format_the_first_image_stays_and_nothing_else(image_format):
    first, second = (Image.fromarray(picture((24, 32), seed=seed)) for seed in (0, 1))
    options = {"exif": personal(1), "xmp": XMP, "comment": b"SECRET"}
    Image.init()  # before which Pillow knows only its commonest formats, and not MPO
    if image_format in Image.SAVE_ALL:
        options |= {"save_all": True, "append_images": [second]}
    file = checked(file_of(first, image_format, **options))
    with Image.open(io.BytesIO(file)) as image:
        assert getattr(image, "n_frames", 1) == 1


def test_a_jpeg_without_metadata_stays_as_it_is():
    file = file_of(Image.fromarray(smooth()), "JPEG")
    assert without_metadata(load_image(file)).file == file


def test_pixels_that_no_file_holds_and_colours_that_png_has_not_become_png():
    pixels = picture((4, 4))
    cleaned = without_metadata(Photo.from_array(pixels, "drawn"))
    assert (cleaned.name, cleaned.file[1:4]) == ("drawn", b"PNG")
    np.testing.assert_array_equal(cleaned.pixels, pixels)
    inks = file_of(
        Image.fromarray(picture((4, 6), channels=4), "CMYK"), "TIFF", exif=personal(6)
    )
    turned = without_metadata(load_image(inks))
    assert turned.size == (6, 4)
    np.testing.assert_array_equal(turned.pixels, load_image(inks).pixels)
    deep = png(2, 1, 16, 2, [bytes(range(12))])
    # A longer segment of Adobe in place of that of JFIF says that these are red, green and blue.
    jpeg = file_of(Image.fromarray(pixels), "JPEG")
    adobe = jpeg[:2] + b"\xff\xee\0\x0fAdobe\0d\0\0\0\0\0\0" + jpeg[20:]
    for file in (deep, adobe):
        np.testing.assert_array_equal(
            without_metadata(load_image(file)).pixels, load_image(file).pixels
        )
