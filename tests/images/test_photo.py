"""Photos: frozen pixels, names and no paths; and the ways to name images, in every public function."""

import io
import os
import pickle
import re
import shutil
from contextlib import nullcontext, suppress
from functools import cache
from pathlib import Path
from weakref import WeakKeyDictionary

import numpy as np
import pytest
from IPython.core.formatters import PNGFormatter
from PIL import Image

import kit
from kit import samples
from kit.__main__ import main
from kit.classifier.reference import InputStatistics
from kit.images import photo as module
from kit.images.opening import Decoding, PhotoError
from kit.images.photo import (
    Photo,
    Picture,
    as_photos,
    at_least_one,
    each_picture,
    load_image,
    names_of,
)
from kit.robustness import flip
from tests.pictures import file_of

RAMP = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3) * 14


def png_of(array, **options):
    return file_of(Image.fromarray(array), **options)


def sideways(array):
    exif = Image.Exif()
    exif[0x0112] = 6
    return png_of(array, exif=exif)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "cat.png"
    path.write_bytes(png_of(RAMP))
    return path


def test_every_kind_of_source_gives_the_same_frozen_pixels(path):
    data = path.read_bytes()
    files = (
        path,
        str(path),
        data,
        bytearray(data),
        memoryview(data),
        io.BytesIO(data),
        Image.open(path),
    )
    for source in (*files, RAMP, Photo(Photo(RAMP[:, ::-1]).pixels[:, ::-1])):
        load_image(source)  # which leaves a file at its end
        photo = load_image(source)
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
    with os.fdopen(os.open(path, os.O_RDONLY), "rb") as numbered:
        assert load_image(numbered).name == "image"


def test_a_given_name_loses_its_folders():
    for name, kept in {
        "a/b/c.png": "c.png",
        "C:\\fakepath\\c.png": "c.png",
        "a\\b\\": "b",
        "/": "image",
    }.items():
        for photo in (
            Photo.from_array(RAMP, name),
            load_image(png_of(RAMP), name=name),
        ):
            assert photo.name == kept


def test_a_photo_is_decoded_anew_only_where_it_has_a_source_and_another_way_is_asked_for():
    stored = load_image(sideways(RAMP), decoding=Decoding(exif=False))
    assert load_image(stored) is stored.decoded(Decoding(exif=False)) is stored
    assert load_image(stored, decoding=Decoding()).size == (3, 2)
    (waiting,) = each_picture(sideways(RAMP))
    assert waiting.open(Decoding(exif=False)).size == (2, 3)
    assert waiting.open().size == (3, 2)
    drawn = Photo.from_array(RAMP)
    assert drawn.decoded(Decoding(exif=False)) is drawn


def test_a_photo_survives_pickling_and_the_loss_of_its_file_frozen_and_decodable(path):
    path.write_bytes(sideways(RAMP))
    photo = pickle.loads(pickle.dumps(load_image(path)))  # noqa: S301  # our own
    path.unlink()
    assert (
        repr(photo)
        == "Photo('cat.png', 3\N{MULTIPLICATION SIGN}2, 'EXIF orientation 6 applied')"
    )
    assert not photo.pixels.flags.writeable
    np.testing.assert_array_equal(photo.decoded(Decoding(exif=False)).pixels, RAMP)


@pytest.fixture
def four(tmp_path, monkeypatch):
    """Four files of 18 bytes of pixels each, where two photos may keep theirs."""
    monkeypatch.setattr(module, "PIXEL_BYTES", 2 * RAMP.nbytes)
    monkeypatch.setattr(module, "_recent", WeakKeyDictionary())
    for place in range(4):
        (tmp_path / f"{place}.png").write_bytes(png_of(RAMP + place))
    return tmp_path


def test_of_many_files_only_those_decoded_last_keep_their_pixels(four, monkeypatch):
    for place in range(4):
        (four / f"{place}.png").write_bytes(sideways(RAMP + place))
    monkeypatch.chdir(four)
    photos = [picture.open(Decoding(exif=False)) for picture in each_picture(".")]
    monkeypatch.chdir(four.parent)
    assert ["pixels" in vars(photo) for photo in photos] == [False, False, True, True]
    assert [photo.size for photo in photos] == [(2, 3)] * 4
    for place, photo in enumerate(photos):
        np.testing.assert_array_equal(photo.pixels, RAMP + place)
        assert photo.file == (four / f"{place}.png").read_bytes()
    monkeypatch.setattr(module, "PIXEL_BYTES", RAMP.nbytes)
    _ = photos[0].pixels
    assert ["pixels" in vars(photo) for photo in photos] == [True, False, False, False]
    explorer = kit.Explorer(samples.classifier("efficientnet_lite0"), four)
    assert [explorer.settings["photo"], len(explorer.photos)] == ["0.png", 4]
    assert sum("pixels" in vars(photo) for photo in explorer.photos) <= 1


def test_a_file_that_changes_after_it_was_opened_is_noticed(four):
    first, second, *_ = as_photos(four)
    (four / "0.png").write_bytes(png_of(RAMP[::-1]))
    (four / "1.png").unlink()
    with pytest.raises(
        PhotoError,
        match=r"^Expected '0.png' as it was, received a file that has changed; open it again$",
    ):
        _ = first.pixels
    with pytest.raises(
        FileNotFoundError, match=r"existing image file, received .*1\.png"
    ):
        _ = second.file


def test_a_single_file_is_not_needed_any_more_nor_is_any_in_another_process(four):
    photos = [load_image(four / f"{place}.png") for place in range(4)]
    copies = pickle.loads(pickle.dumps(as_photos(four)))  # noqa: S301  # our own
    shutil.rmtree(four)
    np.testing.assert_array_equal([photos[0].pixels, copies[0].pixels], [RAMP, RAMP])
    assert copies[0].file == photos[0].file


class Tensor:
    """As those of TensorFlow and PyTorch."""

    def __init__(self, array):
        self.array, self.shape = array, array.shape

    def __array__(self, dtype=None, copy=None):
        return self.array


@pytest.mark.parametrize("kind", [np.float32, np.int16])
def test_whole_numbers_of_other_types_are_levels(kind):
    np.testing.assert_array_equal(load_image(RAMP.astype(kind)).pixels, RAMP)
    tensor = load_image(Tensor(RAMP.astype(kind)))
    np.testing.assert_array_equal(tensor.pixels, RAMP)
    assert tensor.name == "array"
    # Of a black picture alone nobody can tell which value is white.
    batch = np.stack([RAMP, 0 * RAMP]).astype(kind)
    for given in (batch, Tensor(batch)):
        photos = as_photos(given)
        assert [photo.name for photo in photos] == ["array 0", "array 1"]
        np.testing.assert_array_equal([photo.pixels for photo in photos], batch)


def test_a_name_in_another_encoding_is_one_that_any_text_can_hold(tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9.png")
    path.write_bytes(png_of(RAMP))
    assert [photo.name for photo in (load_image(path), *as_photos(tmp_path))] == [
        "caf?.png"
    ] * 2


NO_IMAGES = [
    *(
        (array, TypeError, rf"{array.dtype} of shape \(2, 3, 3\) with values .*")
        for array in (
            RAMP // 200 * 1.0,
            RAMP + 0.5,
            RAMP * 2.0,
            -RAMP.astype(int),
            RAMP * np.nan,
        )
    ),
    (RAMP > 0, TypeError, r"bool of shape \(2, 3, 3\)"),
    (np.zeros((0, 3)), TypeError, r"float64 of shape \(0, 3, 3\)"),
    (
        RAMP.astype(np.uint16),
        TypeError,
        r"uint16 of shape \(2, 3, 3\) with values 0\.\.238",
    ),
    (RAMP.transpose(2, 0, 1)[:, :, :2], ValueError, r"\(3, 2, 2\)"),
    (
        np.zeros((0, 3, 3), np.uint8),
        PhotoError,
        r"'array' with 0 \(height 0, width 3\)",
    ),
]


EXPECTED = {
    TypeError: (
        "a uint8 array with values 0..255",
        "scale it to 0..255, round and cast it to uint8, or call predict_tensors",
    ),
    ValueError: (
        "shape (H, W, 3), or in from_array (H, W)",
        "move channels last, and pass alpha as PIL.Image.fromarray(array)",
    ),
    PhotoError: (
        "1 to 50000000 pixels and sides of at most 65500",
        "resize or cut it first",
    ),
}


@pytest.mark.parametrize(("array", "error", "received"), NO_IMAGES)
def test_an_array_of_another_kind_is_refused(array, error, received):
    expected, advice = map(re.escape, EXPECTED[error])
    with pytest.raises(
        error, match=f"^Expected {expected}, received {received}; {advice}$"
    ):
        Photo.from_array(array)


def test_what_is_no_file_is_refused_in_one_line(tmp_path):
    # The second is a variable of a shell that was not set.
    for path in (tmp_path / "cat.png", ""):
        missing = re.escape(f"existing image file, received '{path}'; check the path")
        with pytest.raises(FileNotFoundError, match=f"^Expected an {missing}$"):
            load_image(path)
    with pytest.raises(
        IsADirectoryError,
        match=r"^Expected an image file, received the folder '[^\n]+; pass a file in it$",
    ):
        load_image(tmp_path)
    for url in ("https://example.org/cat.png", f"data:image/png;base64,{'A' * 999}"):
        with pytest.raises(
            ValueError,
            match=f"^Expected a local file, received the URL '{url[:200]}'; save the image first$",
        ):
            load_image(url)
    for source in (None, {"cat": 1}, io.StringIO("cat")):
        with pytest.raises(
            TypeError,
            match=r"^Expected a path, bytes, a binary file, a Pillow image, an array or a Photo"
            ", received (NoneType|dict|str); pass one of these$",
        ):
            load_image(source)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_and_a_huge_file_are_refused_instead_of_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "huge").open("wb") as file:
        file.truncate((1 << 30) + 1)
    for path in tmp_path.iterdir():
        with pytest.raises(
            ValueError,
            match=r"^Expected an image file of at most 1073741824 bytes, received .*(pipe|huge)'$",
        ):
            load_image(path)


def test_an_unreadable_pillow_image_is_refused():
    data = png_of(
        np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    )
    with pytest.raises(PhotoError, match="Expected a complete image, received 'image'"):
        load_image(Image.open(io.BytesIO(data[:5000])))


def test_a_notebook_shows_a_small_picture():
    with Image.open(
        io.BytesIO(PNGFormatter()(Photo.from_array(np.zeros((30, 2000, 3), np.uint8))))
    ) as shown:
        assert shown.format == "PNG"
        assert max(shown.size) == 512
    with Image.open(io.BytesIO(PNGFormatter()(Photo.from_array(RAMP)))) as shown:
        np.testing.assert_array_equal(np.asarray(shown), RAMP)


CLOTHES, LABELS = (
    given("fashion_mnist")[:20] for given in (samples.photos, samples.labels)
)
BATCH = np.stack([photo.pixels for photo in CLOTHES])


@pytest.fixture
def folder(tmp_path):
    """Images a/1.png, a.png, a/b/2.JPG and c.png, and what is none of them."""
    place = tmp_path / "photos"
    names = ("c.png", "a/1.png", "a/b/2.JPG", "a.png")
    for name, photo in zip(
        (*names, ".hidden.png", ".trash/x.png"), CLOTHES, strict=False
    ):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(photo.pixels).save(place / name)
    (place / "notes.txt").write_text("no image")
    (place / "d.png").mkdir()
    return place


IN_FOLDER = ["a/1.png", "a/b/2.JPG", "a.png", "c.png"]


def names(pictures):
    return [picture.name for picture in each_picture(pictures)]


def test_a_folder_is_all_pictures_below_it_by_path_without_hidden_ones(
    folder, monkeypatch
):
    assert names(folder) == IN_FOLDER
    monkeypatch.chdir(folder)
    assert names(".") == IN_FOLDER
    assert names("a") == ["1.png", "b/2.JPG"]


def test_a_pattern_is_the_pictures_that_fit_it_by_path(folder, monkeypatch):
    monkeypatch.chdir(folder)
    for pattern, found in {
        "*": ["a.png", "c.png"],
        "**/*.png": ["a/1.png", "a.png", "c.png"],
        "a/**/?.*": ["1.png", "b/2.JPG"],
    }.items():
        assert (
            names(folder / pattern)
            == names(f"{folder}/{pattern}")
            == names(pattern)
            == found
        )


WITH_IMAGES = (
    r"a folder or pattern with images in it \(JPEG, PNG, WEBP, BMP, GIF, TIFF\)"
)


def test_a_file_whose_name_looks_like_a_pattern_is_a_file(folder):
    odd = folder / "c[1].png"
    shutil.copy(folder / "c.png", odd)
    assert names(odd) == names([odd]) == ["c[1].png"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("a/b/none", "an existing image file, received 'a/b/none'; check the path"),
        ("none.png", "an existing image file, received 'none.png'; check the path"),
        (
            "https://a.org/*.png",
            "a local file, received the URL .*; save the image first",
        ),
        ("*.gif", rf"{WITH_IMAGES}, received '\*.gif'; look there"),
        ("empty", f"{WITH_IMAGES}, received 'empty'; look there"),
    ],
)
def test_what_holds_no_pictures_is_refused(folder, given, message, monkeypatch):
    monkeypatch.chdir(folder)
    Path("empty").mkdir()
    error = FileNotFoundError if "none" in given else ValueError
    with pytest.raises(error, match=f"^Expected {message}$"):
        names(given)


def test_an_array_is_one_picture_or_a_batch():
    assert (
        names(BATCH)
        == names(BATCH[..., :1])
        == names(BATCH[..., 0])
        == [f"array {n}" for n in range(20)]
    )
    assert (
        names(BATCH[0])
        == names(BATCH[0, :, :, :1])
        == names(BATCH[0, :, :, 0])
        == ["array"]
    )
    grey = as_photos(BATCH[..., 0])
    assert [photo.pixels.tolist() for photo in grey] == BATCH.tolist()
    assert grey[0].notes == ("greyscale converted to RGB",)
    either = np.zeros((3, 99, 99), np.uint8)
    with pytest.raises(ValueError, match=r"received \(3, 99, 99\), one image with ch"):
        as_photos(either)
    assert as_photos(either.transpose(1, 2, 0))[0].size == (99, 99)
    assert len(as_photos(either[..., None])) == len(as_photos(either[:, :28])) == 3
    see_through = np.full((5, 6, 4), 255, np.uint8)
    for wrong in (
        BATCH[0, :, :, :2],
        np.zeros((2, 3, 28, 28), np.uint8),
        BATCH[None],
        see_through,
    ):
        with pytest.raises(ValueError, match=r"received .*move channels last"):
            as_photos(wrong)


def test_pictures_without_a_name_are_called_by_their_place(folder):
    data = (folder / "c.png").read_bytes()
    photo = Photo.from_array(BATCH[0], "mine")
    given = [
        folder / "c.png",
        data,
        BATCH[0],
        Image.open(folder / "c.png"),
        Image.open(io.BytesIO(data)),
    ]
    given += [io.BytesIO(data), bytearray(data), memoryview(data), photo]
    called = "c.png, image 1, array 2, c.png, image 4, image 5, image 6, image 7, mine"
    assert ", ".join(names(given)) == called
    assert names(as_photos(given)) == names(given)
    assert as_photos(given)[-1] is photo
    alone = ", ".join(names(each)[0] for each in given)
    assert alone == re.sub(r" \d", "", called)


def test_folders_and_patterns_in_an_iterable_are_their_pictures_in_its_order(folder):
    given = [folder / "c.png", BATCH[0], folder / "a", str(folder / "a*.png"), BATCH[0]]
    found = "c.png, array 1, 1.png, b/2.JPG, a.png, array 5"
    assert ", ".join(names(given)) == found
    for kind in (str, object):  # a column of a table
        assert names(np.array([folder / "c.png"]).astype(kind)) == ["c.png"]


def test_a_mapping_a_number_and_nothing_are_no_pictures():
    for wrong in ({"a.png": 1}, 3, None, [["a.png"]]):
        with pytest.raises(TypeError, match="Expected a path, bytes"):
            as_photos(wrong)
    assert names_of([("a.png", "")] * 3) == "a.png, a.png, a.png"
    for refuse in (at_least_one, as_photos):
        with pytest.raises(
            ValueError, match="Expected at least one image, received none"
        ):
            refuse(iter(()))


def same(pixels):
    return classifier().preprocessing.apply(Photo.from_array(pixels))


def classifier():
    return samples.classifier("fashion_mnist")


@cache
def novelty():
    return kit.fit_novelty(classifier(), CLOTHES, CLOTHES, progress=False)


@cache
def statistics():
    return InputStatistics.of(CLOTHES)


CALLS = {
    "Explorer": lambda photos: kit.Explorer(classifier(), photos),
    "diagnose": lambda photos: kit.diagnose(classifier(), photos),
    "check": lambda photos: kit.check(classifier(), photos, same),
    "calibrate": lambda photos: kit.calibrate(
        classifier(), photos, LABELS, progress=False
    ),
    # What comes after the pictures takes long.
    "adapt": lambda photos: kit.adapt(classifier(), photos, prior=-1),
    "sweep": lambda photos: kit.sweep(
        classifier(), photos, kit.Perturbation(), progress=False
    ),
    "shift": lambda photos: kit.shift(statistics(), photos, progress=False),
    "find_duplicates": lambda photos: kit.find_duplicates(photos, progress=False),
    "find_duplicates(others)": lambda photos: kit.find_duplicates(
        CLOTHES[:1], photos, progress=False
    ),
    "fit_novelty": lambda photos: kit.fit_novelty(
        classifier(), photos, CLOTHES, progress=False
    ),
    "fit_novelty(held_back)": lambda photos: kit.fit_novelty(
        classifier(), CLOTHES, photos, progress=False
    ),
    "novelty_of": lambda photos: kit.novelty_of(novelty().attached()).scores(photos),
    "fault_costs": lambda photos: kit.fault_costs(
        classifier(), photos, LABELS, progress=False
    ),
    "probabilities": lambda photos: classifier().probabilities(photos),
}


FILES = [f"{place // 10}/{place:02}.png" for place in range(20)]


@pytest.fixture(scope="module")
def twenty(tmp_path_factory):
    place = tmp_path_factory.mktemp("twenty")
    for name, photo in zip(FILES, CLOTHES, strict=True):
        (place / name).parent.mkdir(exist_ok=True)
        Image.fromarray(photo.pixels).save(place / name)
    return place


@pytest.fixture
def opened(monkeypatch):
    """Names of the images that were opened, in order, without those that are compared with them."""
    found = {}
    original = Picture.open

    def watched(picture, *settings):
        if not picture.name.startswith("test_"):
            found[picture.name] = None
        return original(picture, *settings)

    monkeypatch.setattr(Picture, "open", watched)
    return found


@pytest.mark.parametrize("function", CALLS)
def test_every_public_function_takes_a_folder_under_the_names_of_its_files(
    function, twenty, opened
):
    with suppress(ValueError) if function == "adapt" else nullcontext():  # of the prior
        CALLS[function](twenty)
    # There it is random, lest an interruption leaves a part that is special.
    order = sorted if function == "shift" else list
    assert order(opened) == FILES


def test_the_command_line_takes_files_folders_and_patterns_under_the_same_names(
    twenty, opened, capsys
):
    model = str(samples._path("models", "fashion_mnist.keras"))
    for given, called in [
        ([twenty], FILES),
        ([f"{twenty}/**/*.png"], FILES),
        (
            [twenty / FILES[3], twenty / "1"],
            ["03.png", *(Path(name).name for name in FILES[10:])],
        ),
    ]:
        opened.clear()
        assert main(["diagnose", model, *map(str, given)]) in {0, 1, 2}
        assert list(opened) == called


def test_what_cannot_be_read_has_the_same_name_and_reason_everywhere(folder):
    (folder / "a" / "b" / "2.JPG").write_bytes(b"no image")
    name = "a/b/2.JPG"
    swept = kit.sweep(classifier(), folder, kit.Perturbation(), progress=False)
    assert (list(swept.errors), swept.photos[1]) == ([1], name)
    assert f"received {name!r}, which is 8 bytes of unknown" in swept.errors[1]
    assert kit.find_duplicates(folder, progress=False).left_out == (
        (name, swept.errors[1]),
    )
    functions = "Explorer diagnose check calibrate adapt fit_novelty probabilities"
    for function in functions.split():
        with pytest.raises(PhotoError) as refusal:
            CALLS[function](folder)
        assert str(refusal.value) == swept.errors[1]


def test_what_is_no_classifier_is_refused_with_how_to_get_one(folder):
    def function(pixels):
        return pixels

    photos, load = CLOTHES[:2], "see kit.Classifier.load"
    wrong = [
        (kit.Explorer, (photos, classifier()), load),
        (kit.diagnose, (photos, classifier()), load),
        (kit.check, (function, classifier(), photos), load),
        (
            kit.check,
            (classifier(), function, photos),
            "call kit.check(classifier, photos, function), or np.load a file",
        ),
        (kit.calibrate, (photos, LABELS, classifier()), load),
        (kit.adapt, (photos, classifier()), load),
        (kit.sweep, (photos, classifier(), None), load),
        (kit.fit_novelty, (photos, photos, classifier()), load),
        (kit.fault_costs, (photos, LABELS, classifier()), load),
        (kit.heatmap, (photos[0], classifier()), load),
        (kit.shift, (photos, classifier()), "pass one of these"),
        (flip, (photos[0], classifier(), "noise", 0, 9), load),
    ]
    for called, arguments, advice in wrong:
        with pytest.raises(
            TypeError, match=rf"^Expected [^\n<]*; {re.escape(advice)}$"
        ):
            called(*arguments)
