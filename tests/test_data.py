"""What lies in data/ is what its README says, is free to ship, and does what it is there for."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.build import document
from kit import samples
from kit._bundled import DATA

PHOTOGRAPHS = DATA / "photographs"
INDEX = json.loads((PHOTOGRAPHS / "index.json").read_text(encoding="utf-8"))
ORDINARY = [entry for entry in INDEX if entry["kind"] == "photograph"]
LABELLED = [entry for entry in ORDINARY if entry["imagenet_class"] is not None]
FREE = r"CC0-1\.0|CC-BY(-SA)?-[1-4]\.0|GPL-2\.0-or-later|Public-Domain"


def record(name):
    return json.loads((DATA / "models" / name).read_text(encoding="utf-8"))


def test_all_of_data_is_below_45_mb():
    files = [
        path
        for path in DATA.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    ]
    assert sum(path.stat().st_size for path in files) < 45_000_000


def test_checksums_and_readme_list_every_file_as_it_is():
    sums, readme = (
        (DATA / "SHA256SUMS").read_text("utf-8"),
        (DATA / "README.md").read_text("utf-8"),
    )
    assert sums == document.checksums(), "run python -m data.build.document"
    assert readme == document.filled(readme)
    for line in sums.splitlines():
        checksum, file = line.split("  ")
        assert checksum in readme
        assert Path(file).name in readme
    for path in (DATA.parent / "kit" / "explorer" / "page" / "vendor").iterdir():
        assert f"| `{path.name}` | `{document.sha256(path)}` |" in readme


def test_every_photograph_is_listed_with_its_author_its_source_and_a_free_licence():
    files = {path.name for path in PHOTOGRAPHS.iterdir()} - {"index.json"}
    assert {entry["file"] for entry in INDEX} == files
    for entry in INDEX:
        assert re.fullmatch(FREE, entry["licence"]), entry
        assert entry["author"], entry
        assert entry["title"], entry
        assert re.fullmatch(r"https://\S+", entry["source"]), entry
    for file in (
        "GPL-2.0.txt",
        "Apache-2.0.txt",
        "fashion-mnist-MIT.txt",
        "torchvision-BSD-3-Clause.txt",
    ):
        assert len((DATA / "licences" / file).read_text(encoding="utf-8")) > 1000


def test_ordinary_photographs_are_plain_small_jpegs_without_metadata():
    for entry in ORDINARY:
        with Image.open(PHOTOGRAPHS / entry["file"]) as image:
            assert (image.format, image.mode in {"RGB", "L"}) == ("JPEG", True), entry
            assert 300 <= max(image.size) <= 640, entry
            assert not image.getexif(), entry
            assert "icc_profile" not in image.info, entry


def test_class_names_are_the_thousand_of_imagenet_in_the_usual_order(classifier):
    names = (DATA / "imagenet_classes.txt").read_text(encoding="utf-8").splitlines()
    assert len(names) == len(set(names)) == 1000
    # Known from the literature.
    known = {
        0: "tench",
        207: "golden retriever",
        281: "tabby",
        388: "giant panda",
        999: "toilet tissue",
    }
    assert {index: names[index] for index in known} == known
    assert classifier.class_names == tuple(names)


def test_one_photograph_is_found_by_its_name():
    for name in ("photographs", "special"):
        for photo in samples.photos(name):
            assert samples.photo(photo.name) is photo


def test_the_network_recognizes_nearly_all_photographs(classifier, photos):
    assert len({entry["imagenet_class"] for entry in LABELLED}) >= 20
    predicted = classifier.probabilities(photos).argmax(axis=1)
    pairs = zip(LABELLED, predicted, strict=True)
    wrong = {entry["file"] for entry, each in pairs if each != entry["imagenet_class"]}
    assert wrong <= {"cat.jpg", "clock_blurred.jpg", "toucan.jpg"}
    special = classifier.probabilities(samples.photos("special")).argmax(axis=1)
    assert tuple(special) == samples.labels("special")


def accuracy(name):
    probabilities = samples.classifier(name).probabilities(
        samples.photos("fashion_mnist")
    )
    return (
        probabilities.argmax(axis=1) == np.array(samples.labels("fashion_mnist"))
    ).mean()


def test_small_networks_are_as_good_on_held_back_images_as_recorded():
    networks = record("fashion_mnist_check.json")["networks"]
    recorded = {name: each["accuracy"] for name, each in networks.items()}
    assert recorded.keys() == {"fashion_mnist", "fashion_mnist_no_batchnorm"}
    assert min(recorded.values()) >= 0.85
    checkpoints = record("fashion_mnist_checkpoints.json")["accuracy"]
    assert list(checkpoints.values()) == sorted(checkpoints.values())
    recorded |= {
        name: checkpoints[str(count)] for count, name in samples.CHECKPOINTS.items()
    }
    # Another processor may decide a close image otherwise.
    assert {name: accuracy(name) for name in recorded} == pytest.approx(
        recorded, abs=0.002
    )
