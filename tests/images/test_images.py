"""A photo's promises: frozen pixels, a file name and no path, another decoding on demand, one-line errors."""

import io
import os
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from IPython.core.formatters import PNGFormatter
from PIL import Image

from kit.images import Decoding, Photo, PhotoError, as_photos, load_image

RAMP = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3) * 14


def png_of(array, **options):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG", **options)
    return buffer.getvalue()


def sideways(array):
    exif = Image.Exif()
    exif[0x0112] = 6
    return png_of(array, exif=exif)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "cat.png"
    path.write_bytes(png_of(RAMP))
    return path


@pytest.mark.parametrize(
    "source_of",
    [
        lambda path: path,
        str,
        lambda path: path.read_bytes(),
        lambda path: bytearray(path.read_bytes()),
        lambda path: memoryview(path.read_bytes()),
        lambda path: io.BytesIO(path.read_bytes()),
        Image.open,
        lambda _: RAMP,
        lambda _: RAMP[:, ::-1][:, ::-1],
        lambda _: Photo.from_array(RAMP),
    ],
)
def test_every_kind_of_source_gives_the_same_frozen_pixels(path, source_of):
    photo = load_image(source_of(path))
    np.testing.assert_array_equal(photo.pixels, RAMP)
    assert photo.pixels.dtype == np.uint8
    assert photo.pixels.flags.c_contiguous
    assert photo.size == (2, 3)
    with pytest.raises(ValueError, match="read-only"):
        photo.pixels[0, 0, 0] = 1


def test_a_photo_keeps_the_file_name_and_no_path(path):
    with path.open("rb") as stream, Image.open(path) as image:
        for source in (path, str(path), stream, image):
            photo = load_image(source)
            assert photo.name == "cat.png"
            assert str(path.parent) not in repr(photo)
            assert str(path.parent).encode() not in pickle.dumps(photo)


@pytest.mark.parametrize(
    ("name", "kept"),
    [("a/b/c.png", "c.png"), ("C:\\fakepath\\c.png", "c.png"), ("a/", "a"), ("/", "picture")],
)
def test_a_given_name_loses_its_folders(name, kept):
    assert load_image(png_of(RAMP), name=name).name == kept


def test_sources_without_a_file_name_are_named_by_their_kind(path):
    names = [load_image(source).name for source in (path.read_bytes(), io.BytesIO(path.read_bytes()), RAMP)]
    assert names == ["bytes", "file object", "array"]
    assert load_image(Image.fromarray(RAMP)).name == "Pillow image"


def test_the_repr_tells_size_and_what_was_done():
    assert (
        repr(load_image(sideways(RAMP), name="cat.png"))
        == "Photo('cat.png', 3\N{MULTIPLICATION SIGN}2, 'EXIF orientation 6 applied')"
    )
    assert repr(Photo.from_array(RAMP)) == "Photo('array', 2\N{MULTIPLICATION SIGN}3)"


def test_a_file_is_read_once(path):
    path.write_bytes(sideways(RAMP))
    photo = load_image(path)
    path.unlink()
    np.testing.assert_array_equal(photo.decoded(Decoding(exif=False)).pixels, RAMP)


def test_decoding_in_the_same_way_or_without_a_source_gives_the_photo_itself():
    photo = load_image(sideways(RAMP))
    assert photo.decoded(Decoding()) is photo
    drawn = Photo.from_array(RAMP)
    assert drawn.decoded(Decoding(exif=False)) is drawn


def test_decoding_there_and_back_gives_the_same_pixels():
    photo = load_image(sideways(RAMP))
    stored = photo.decoded(Decoding(exif=False))
    assert stored.decoding == Decoding(exif=False)
    np.testing.assert_array_equal(stored.decoded(Decoding()).pixels, photo.pixels)


def test_a_photo_given_again_keeps_its_decoding_unless_told_otherwise():
    stored = load_image(sideways(RAMP), decoding=Decoding(exif=False))
    assert load_image(stored) is stored
    assert load_image(stored, decoding=Decoding()).size == (3, 2)


def test_a_pillow_image_is_copied():
    image = Image.fromarray(np.dstack([RAMP, RAMP[..., 0]]))
    photo = load_image(image)
    before = photo.pixels.copy()
    image.paste((0, 0, 0, 0), (0, 0, 3, 2))
    np.testing.assert_array_equal(photo.decoded(Decoding(matte=None)).decoded(Decoding()).pixels, before)


def test_an_array_is_copied():
    array = RAMP.copy()
    photo = Photo.from_array(array)
    array[:] = 0
    np.testing.assert_array_equal(photo.pixels, RAMP)
    assert array.flags.writeable


def test_a_photo_survives_pickling_frozen_and_decodable():
    photo = pickle.loads(pickle.dumps(load_image(sideways(RAMP), name="cat.png")))  # noqa: S301  # our own
    assert repr(photo) == "Photo('cat.png', 3\N{MULTIPLICATION SIGN}2, 'EXIF orientation 6 applied')"
    assert not photo.pixels.flags.writeable
    np.testing.assert_array_equal(photo.decoded(Decoding(exif=False)).pixels, RAMP)


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 1)])
def test_a_grey_array_is_repeated_to_rgb(shape):
    photo = Photo.from_array(np.arange(6, dtype=np.uint8).reshape(shape))
    assert photo.pixels.tolist() == [[[0] * 3, [1] * 3, [2] * 3], [[3] * 3, [4] * 3, [5] * 3]]
    assert photo.notes == ("greyscale converted to RGB",)


class Tensor:
    """As those of TensorFlow and PyTorch."""

    def __init__(self, array):
        self.array, self.shape = array, array.shape

    def __array__(self, dtype=None, copy=None):
        return self.array


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int64, np.int16])
def test_whole_numbers_of_other_types_are_levels(kind):
    np.testing.assert_array_equal(load_image(RAMP.astype(kind)).pixels, RAMP)
    np.testing.assert_array_equal(load_image(Tensor(RAMP.astype(kind))).pixels, RAMP)
    batch = np.stack([RAMP, 0 * RAMP]).astype(
        kind
    )  # of a black picture alone nobody can tell which value is white
    for given in (batch, Tensor(batch), (batch, np.array([3, 4])), (Tensor(batch), np.eye(2))):
        photos = as_photos(given)
        assert [photo.name for photo in photos] == ["array 0", "array 1"]
        np.testing.assert_array_equal([photo.pixels for photo in photos], batch)


@pytest.mark.parametrize(
    "array", [RAMP // 200 * 1.0, RAMP + 0.5, RAMP * 2.0, -RAMP.astype(int), RAMP * np.nan]
)
def test_what_may_mean_something_else_is_refused(array):
    with pytest.raises(TypeError, match="Expected a uint8 array"):
        Photo.from_array(array)


def test_a_name_in_another_encoding_is_one_that_any_text_can_hold(tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9.png")
    path.write_bytes(png_of(RAMP))
    assert [photo.name for photo in (load_image(path), *as_photos(tmp_path), Photo(RAMP, path.name))] == [
        "caf?.png"
    ] * 3


@pytest.mark.parametrize(
    ("array", "error", "received"),
    [
        (RAMP / 255, TypeError, r"float64 of shape \(2, 3, 3\) with values 0\.\.0\.933333"),
        (RAMP.astype(np.uint16), TypeError, r"uint16 of shape \(2, 3, 3\) with values 0\.\.238"),
        (RAMP > 9, TypeError, r"bool of shape \(2, 3, 3\)"),
        (RAMP.tolist(), TypeError, "list"),
        (RAMP.transpose(2, 0, 1)[:, :, :2], ValueError, r"\(3, 2, 2\)"),
        (np.zeros((2, 3, 4), np.uint8), ValueError, r"\(2, 3, 4\)"),
        (np.zeros((1, 2, 3, 3), np.uint8), ValueError, r"\(1, 2, 3, 3\)"),
        (np.zeros((0, 3, 3), np.uint8), PhotoError, r"'array' with 0 \(height 0, width 3\)"),
    ],
)
def test_an_array_of_another_kind_is_refused(array, error, received):
    with pytest.raises(error, match=rf"^Expected .*, received {received}; [^\n]+$"):
        Photo.from_array(array)


def test_the_constructor_refuses_what_is_not_rgb_and_freezes_a_copy():
    with pytest.raises(TypeError, match="Expected pixels as a uint8 array, received float64"):
        Photo(RAMP / 255)
    with pytest.raises(ValueError, match=r"Expected pixels of shape \(H, W, 3\), received \(2, 3\)"):
        Photo(RAMP[..., 0])
    array = RAMP.copy()
    photo = Photo(array)
    array[:] = 0
    np.testing.assert_array_equal(photo.pixels, RAMP)


def test_what_is_no_file_is_refused_in_one_line(tmp_path):
    missing = tmp_path / "cat.png"
    with pytest.raises(
        FileNotFoundError, match=r"^Expected an existing image file, received '.*cat\.png', [^\n]+$"
    ):
        load_image(missing)
    with pytest.raises(IsADirectoryError, match=r"^Expected an image file, received the folder '[^\n]+$"):
        load_image(tmp_path)
    for url in ("https://example.org/cat.png", "data:image/png;base64,AAAA", "s3://bucket/cat.png"):
        with pytest.raises(
            ValueError, match=rf"^Expected a local file, received the URL '{url}'; nothing is down"
        ):
            load_image(url)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_refused_instead_of_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="which is a device or pipe"):
        load_image(tmp_path / "pipe")


@pytest.mark.parametrize(
    "source", [None, 3, {"cat": 1}, io.StringIO("cat"), os.fsencode("cat.png").split(b".")]
)
def test_another_kind_of_object_is_refused(source):
    with pytest.raises(TypeError, match=r"^Expected .*, received [^\n]+$"):
        load_image(source)


def test_an_unreadable_pillow_image_is_refused():
    data = png_of(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    with pytest.raises(PhotoError, match="Expected a complete Pillow image, received 'Pillow image'"):
        load_image(Image.open(io.BytesIO(data[:5000])))


def test_a_file_name_cannot_break_the_line_of_an_error():
    with pytest.raises(PhotoError, match=r"^[^\n]+$"):
        load_image(b"", name="cat\n.png")


def test_one_picture_or_many(path):
    one = load_image(path)
    for single in (
        path,
        str(path),
        path.read_bytes(),
        RAMP,
        one,
        Image.open(path),
        io.BytesIO(path.read_bytes()),
    ):
        assert len(as_photos(single)) == 1
    photos = as_photos([path, RAMP, one])
    assert [photo.name for photo in photos] == ["cat.png", "array 1", "cat.png"]
    assert photos[2] is one
    assert [photo.name for photo in as_photos(str(path) for _ in range(2))] == ["cat.png", "cat.png"]
    assert as_photos([]) == ()


def test_a_batch_is_a_collection():
    photos = as_photos(np.stack([RAMP, 255 - RAMP]))
    assert [photo.name for photo in photos] == ["array 0", "array 1"]
    np.testing.assert_array_equal(photos[1].pixels, 255 - RAMP)


def test_a_mapping_is_no_collection_of_pictures(path):
    with pytest.raises(TypeError, match="received dict"):
        as_photos({path: "cat"})


def test_a_notebook_shows_a_small_picture():
    with Image.open(io.BytesIO(PNGFormatter()(Photo.from_array(np.zeros((30, 2000, 3), np.uint8))))) as shown:
        assert shown.format == "PNG"
        assert max(shown.size) == 512
    with Image.open(io.BytesIO(PNGFormatter()(Photo.from_array(RAMP)))) as shown:
        np.testing.assert_array_equal(np.asarray(shown), RAMP)


def test_threads_decode_the_same_source_alike():
    photo = load_image(sideways(np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)))
    with ThreadPoolExecutor(4) as pool:
        stored = list(pool.map(photo.decoded, [Decoding(exif=False)] * 16))
    assert len({each.pixels.tobytes() for each in stored}) == 1
