"""What lies in data/ is what its README says, is free to ship, and does what it is there for."""

import json
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import kit
from data.build import document, sources
from kit import samples

DATA = Path(__file__).resolve().parents[1] / "data"
PHOTOGRAPHS = DATA / "photographs"
INDEX = json.loads((PHOTOGRAPHS / "index.json").read_text(encoding="utf-8"))
ORDINARY = [entry for entry in INDEX if entry["kind"] == "photograph"]
LABELLED = [entry for entry in ORDINARY if entry["imagenet_class"] is not None]
SPECIAL = {entry["file"]: entry for entry in INDEX if entry["kind"] == "special"}
FREE_LICENCES = {
    "CC0-1.0",
    "CC-BY-1.0",
    "CC-BY-2.0",
    "CC-BY-3.0",
    "CC-BY-4.0",
    "CC-BY-SA-3.0",
    "CC-BY-SA-4.0",
    "GPL-2.0-or-later",
    "Public-Domain",
}


def record(name):
    return json.loads((DATA / "models" / name).read_text(encoding="utf-8"))


def test_all_of_data_is_below_40_mb():
    files = [path for path in DATA.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert sum(path.stat().st_size for path in files) < 40_000_000


def test_checksums_are_those_of_the_files_and_name_every_file():
    assert (DATA / "SHA256SUMS").read_text(encoding="utf-8") == document.checksums()


def test_readme_lists_every_file_with_its_checksum():
    readme = (DATA / "README.md").read_text(encoding="utf-8")
    assert readme == document.filled(readme)
    for line in document.checksums().splitlines():
        checksum, file = line.split("  ")
        assert checksum in readme
        assert Path(file).name in readme


def test_nothing_in_data_names_a_path_of_the_machine_that_made_it():
    for path in DATA.rglob("*"):
        if path.suffix in {".py", ".md", ".json", ".txt", ".csv"} and "licences" not in path.parts:
            assert not re.search(r"/(home|root|work|opt|Users)/", path.read_text(encoding="utf-8")), path.name


def test_index_and_folder_hold_the_same_pictures():
    files = {path.name for path in PHOTOGRAPHS.iterdir()} - {"index.json"}
    assert [entry["file"] for entry in INDEX] == sorted(files, key=[entry["file"] for entry in INDEX].index)


def test_there_are_enough_ordinary_photographs_and_enough_with_a_class():
    assert len(ORDINARY) >= 18
    assert len(LABELLED) >= 8
    assert len({entry["imagenet_class"] for entry in LABELLED}) >= 20


@pytest.mark.parametrize("entry", INDEX, ids=lambda entry: entry["file"])
def test_every_picture_has_an_author_a_source_and_a_free_licence(entry):
    assert entry["licence"] in FREE_LICENCES
    assert entry["author"]
    assert entry["title"]
    assert re.fullmatch(r"https://\S+", entry["source"])


def test_licences_that_ask_for_their_text_have_it():
    for file in ("GPL-2.0.txt", "Apache-2.0.txt", "fashion-mnist-MIT.txt", "torchvision-BSD-3-Clause.txt"):
        assert len((DATA / "licences" / file).read_text(encoding="utf-8")) > 1000


@pytest.mark.parametrize("entry", ORDINARY, ids=lambda entry: entry["file"])
def test_ordinary_photographs_are_plain_small_jpegs_without_metadata(entry):
    with Image.open(PHOTOGRAPHS / entry["file"]) as image:
        assert (image.format, image.mode in {"RGB", "L"}) == ("JPEG", True)
        assert 300 <= max(image.size) <= 640
        assert not image.getexif()
        assert "icc_profile" not in image.info


def test_class_names_are_the_thousand_of_imagenet_in_the_usual_order():
    names = (DATA / "imagenet_classes.txt").read_text(encoding="utf-8").splitlines()
    assert len(names) == len(set(names)) == 1000
    # Known from the literature.
    known = {0: "tench", 207: "golden retriever", 281: "tabby", 388: "giant panda", 999: "toilet tissue"}
    assert {index: names[index] for index in known} == known
    assert samples.classifier("efficientnet_lite0").class_names == tuple(names)


def test_conversion_agrees_with_its_reference_to_a_ten_thousandth_of_a_logit():
    check = record("efficientnet_lite0_check.json")
    assert len(check["photographs"]) >= 8
    assert {entry["file"] for entry in LABELLED} <= set(check["photographs"])
    assert max(check["photographs"].values()) == check["largest"] <= 1e-4


def test_network_recognizes_nearly_all_labelled_photographs():
    classifier = samples.classifier("efficientnet_lite0")
    probabilities = classifier.probabilities(samples.photos("imagenet"))
    wrong = {
        entry["file"]
        for entry, row in zip(LABELLED, probabilities, strict=True)
        if row.argmax() != entry["imagenet_class"]
    }
    assert wrong <= {"cat.jpg", "clock_blurred.jpg", "toucan.jpg"}


def test_network_recognizes_every_special_photograph_that_is_read_rightly():
    probabilities = samples.classifier("efficientnet_lite0").probabilities(samples.photos("special"))
    assert tuple(probabilities.argmax(axis=1)) == samples.labels("special")


def test_networks_carry_the_preprocessing_they_were_trained_with():
    large = samples.classifier("efficientnet_lite0").preprocessing
    assert large.size == (224, 224)
    assert (large.filter, large.fit, large.crop_fraction, large.channels) == ("bicubic", "crop", 0.875, "rgb")
    white = kit.Photo.from_array(np.full((9, 9, 3), 255, np.uint8))
    assert large.apply(white)[0, 0, 0].tolist() == [1.0, 1.0, 1.0]  # (255 - 127) / 128
    small = samples.classifier("fashion_mnist").preprocessing
    assert (small.size, small.channels) == ((28, 28), "gray")
    assert small.apply(white)[0, 0, 0].tolist() == [1.0]  # 255 / 255
    assert samples.classifier("fashion_mnist_no_batchnorm").preprocessing == small


@pytest.mark.parametrize(("name", "count"), [("fashion_mnist", 6), ("fashion_mnist_no_batchnorm", 0)])
def test_small_networks_differ_in_batch_normalization_alone(name, count):
    assert layer_classes(name).count("BatchNormalization") == count
    without = [kind for kind in layer_classes(name) if kind != "BatchNormalization"]
    assert without == layer_classes("fashion_mnist_no_batchnorm")


def test_batch_normalization_of_the_large_network_is_kept_as_layers():
    assert layer_classes("efficientnet_lite0").count("BatchNormalization") == 49


def layer_classes(name):
    with zipfile.ZipFile(DATA / "models" / f"{name}.keras") as archive:
        config = json.loads(archive.read("config.json"))
    return [layer["class_name"] for layer in config["config"]["layers"]]


@pytest.mark.parametrize(("name", "least"), [("fashion_mnist", 0.88), ("fashion_mnist_no_batchnorm", 0.85)])
def test_small_networks_are_as_good_on_held_back_pictures_as_recorded(name, least):
    probabilities = samples.classifier(name).probabilities(samples.photos("fashion_mnist"))
    accuracy = (probabilities.argmax(axis=1) == np.array(samples.labels("fashion_mnist"))).mean()
    assert accuracy >= least
    # Another processor may decide a close picture otherwise.
    assert accuracy == pytest.approx(
        record("fashion_mnist_check.json")["networks"][name]["accuracy"], abs=0.002
    )


@pytest.mark.parametrize("count", samples.CHECKPOINTS)
def test_checkpoints_are_as_good_on_held_back_pictures_as_recorded(count):
    classifier = samples.classifier(samples.CHECKPOINTS[count])
    assert classifier.preprocessing == samples.classifier("fashion_mnist").preprocessing
    answers = classifier.probabilities(samples.photos("fashion_mnist")).argmax(axis=1)
    accuracy = (answers == np.array(samples.labels("fashion_mnist"))).mean()
    # Another processor may decide a close picture otherwise.
    recorded = record("fashion_mnist_checkpoints.json")["accuracy"]
    assert accuracy == pytest.approx(recorded[str(count)], abs=0.002)
    assert list(recorded) == [str(each) for each in samples.CHECKPOINTS]
    assert list(recorded.values()) == sorted(recorded.values())


def test_alpha_picture_has_a_strong_colour_under_its_transparent_pixels():
    with Image.open(PHOTOGRAPHS / "alpha.webp") as image:
        pixels = np.asarray(image)
    assert pixels.shape[2] == 4
    hidden = pixels[..., 3] == 0
    assert 0.1 < hidden.mean() < 0.5
    assert (pixels[hidden][:, :3] == (0, 128, 0)).all()


def test_exif_picture_is_upright_only_once_its_orientation_is_applied():
    path = PHOTOGRAPHS / "exif.jpg"
    upright = kit.load_image(PHOTOGRAPHS / "koala.jpg").pixels.astype(np.int16)
    turned = kit.load_image(path).pixels
    sideways = np.asarray(Image.open(path))
    assert sideways.shape[:2] == upright.shape[1::-1]
    # Two JPEG files of one picture.
    assert np.abs(turned - upright).mean() < 3


def test_cmyk_picture_has_four_channels_and_looks_like_the_picture_it_was_made_from():
    with Image.open(PHOTOGRAPHS / "cmyk.jpg") as image:
        assert image.mode == "CMYK"
    received = kit.load_image(PHOTOGRAPHS / "cmyk.jpg").pixels.astype(np.int16)
    expected = kit.load_image(PHOTOGRAPHS / "ladybird.jpg").pixels
    assert np.abs(received - expected).mean() < 3


def test_sixteen_bit_picture_is_dark_when_scaled_and_white_when_cut():
    with Image.open(PHOTOGRAPHS / "depth16.png") as image:
        levels = np.asarray(image)
    assert levels.dtype == np.uint16
    assert 128 * 256 - 255 < levels.max() < 130 * 256
    assert (levels // 257).mean() < 80
    assert (levels.clip(0, 255) == 255).mean() > 0.95


def test_wide_picture_is_three_times_as_wide_as_high():
    with Image.open(PHOTOGRAPHS / "wide.jpg") as image:
        assert image.width == 3 * image.height


def test_special_pictures_have_the_class_of_the_picture_they_were_made_from():
    classes = {entry["file"]: entry["imagenet_class"] for entry in ORDINARY}
    assert set(SPECIAL) == {"alpha.webp", "exif.jpg", "cmyk.jpg", "depth16.png", "wide.jpg"}
    for entry in SPECIAL.values():
        assert entry["imagenet_class"] == classes[entry["made_from"]]


def test_a_compiled_qt_resource_file_is_read_by_path():
    # rcc version 1 by hand: a root folder with one child, whose name is "a.txt" and whose contents are "hi".
    tree = bytes(4) + b"\0\2" + b"\0\0\0\1" + b"\0\0\0\1"  # root: name 0, folder, one child, first child 1
    tree += bytes(4) + b"\0\0" + bytes(4) + bytes(4)  # child: name 0, plain file, no language, data at 0
    data = b"\0\0\0\2hi"
    names = b"\0\5" + bytes(4) + "a.txt".encode("utf-16-be")
    start = 20
    header = b"qres" + b"".join(
        number.to_bytes(4, "big") for number in (1, start, start + len(tree), start + len(tree) + len(data))
    )
    assert dict(sources.qt_resources(header + tree + data + names)) == {"/a.txt": b"hi"}
