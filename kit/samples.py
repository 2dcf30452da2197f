"""The bundled networks and images; FileNotFoundError where they were left out."""

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from kit._arrays import Float64, Int64, JSONObject, Pixels
from kit._bundled import DATA
from kit._checking import known
from kit.classifier.classifier import Classifier
from kit.images.photo import Photo, load_image
from kit.images.properties import in_blocks

CLASSIFIERS = ("efficientnet_lite0", "fashion_mnist", "fashion_mnist_no_batchnorm")
"""Names for `classifier`."""
CHECKPOINTS = {count: f"fashion_mnist_{count}" for count in (500, 2_000, 5_000, 10_000)}
"""Names for `classifier`, too: one network trained on so many images of Fashion-MNIST."""
PHOTOS = ("photographs", "imagenet", "special", "fashion_mnist")
"""Names for `photos` and `labels`."""
# By how many classes a network has: labelled images, and which output stands for their first class.
LABELLED = {10: ("fashion_mnist", 0), 1000: ("imagenet", 0), 1001: ("imagenet", 1)}
# Of them a network is asked about.
_FEW_LABELLED = 40
# Shorter side of reduced photos, or a little more: so small, many of them are just recognised.
_REDUCED_SIDE = 40

# Non-negative least squares with a small ridge over the coloured photos, the twelve largest once more.
_TYPICAL = {
    "pavilion": 0.06,
    "espresso": 0.09,
    "gorilla": 0.09,
    "panda": 0.11,
    "rocket": 0.06,
    "volleyball": 0.11,
    "koala": 0.12,
    "lake": 0.05,
    "storm": 0.06,
    "chameleon": 0.06,
    "astronaut": 0.11,
    "alp": 0.08,
}
_TILE = 28


@cache
def classifier(name: str) -> Classifier:
    """Load a bundled network with its preprocessing and class names; the same object on every call.

    Parameters
    ----------
    name
        ``"efficientnet_lite0"``: 1000 classes of ImageNet, (224, 224, 3).
        ``"fashion_mnist"``: 10 classes of clothing, (28, 28, 1); ``"fashion_mnist_no_batchnorm"``, too.
        ``"fashion_mnist_500"``, ``_2000``, ``_5000``, ``_10000``: trained on so many images, unvaried.
    """
    known("name of a bundled classifier", name, (*CLASSIFIERS, *CHECKPOINTS.values()))
    return Classifier.load(_path("models", f"{name}.keras"))


def photos(name: str) -> tuple[Photo, ...]:
    """Load bundled images; the same read-only objects on every call.

    Parameters
    ----------
    name
        ``"photographs"``: ordinary, varied photos.
        ``"imagenet"``: those of them that show a known class of ImageNet.
        ``"special"``: files that are easily read wrongly: transparent, turned by EXIF, CMYK, 16 bits, wide.
        ``"fashion_mnist"``: the 2,000 held-back test images, 28 x 28, grey in RGB.
    """
    return _photos(known("name of bundled photos", name, PHOTOS))


def photo(name: str) -> Photo:
    """Load one bundled photograph by the name of its file, such as ``"espresso.jpg"``; see `photos`."""
    entries = (*_entries("photographs"), *_entries("special"))
    files = [entry["file"] for entry in entries]
    return _photograph(known("name of a bundled photo", name, files))


def labels(name: str) -> tuple[int | None, ...]:
    """Return the class index of each of `photos`, or None where an image shows none of the classes."""
    if known("name of bundled photos", name, PHOTOS) == "fashion_mnist":
        return tuple(fashion_mnist_arrays("test")[1].tolist())
    return tuple(entry["imagenet_class"] for entry in _entries(name))


@cache
def fashion_mnist_arrays(split: str) -> tuple[Pixels, Int64]:
    """Return read-only images of Fashion-MNIST, uint8 (N, 28, 28), and labels, int64 (N,), 0..9.

    Parameters
    ----------
    split
        ``"train"``: 10,000 images; ``"test"``: the 2,000 held-back ones, none of them among the former.
    """
    known("part of Fashion-MNIST", split, ("train", "test"))
    mosaic = load_image(_path("fashion_mnist", f"{split}.webp")).pixels[..., 0]
    digits = _path("fashion_mnist", f"{split}_labels.txt").read_bytes().strip()
    tiles = in_blocks(mosaic, _TILE).swapaxes(1, 2).reshape(-1, _TILE, _TILE)
    indices = np.frombuffer(digits, np.uint8).astype(np.int64) - ord("0")
    tiles.flags.writeable = indices.flags.writeable = False
    return tiles, indices


def probes() -> tuple[Photo, ...]:
    """Load the photos that are sent through a pipeline in place of the user's; a wheel has them too.

    These are the bundled ones without a known class: what is reported on labelled ones never meets them.
    """
    return _photos("probes")


def labelled_images(classes: int) -> tuple[tuple[Photo, ...], Int64]:
    """Load labelled images for a network with so many classes, in the usual order of its outputs.

    ``classes`` is a key of `LABELLED`: 10 for Fashion-MNIST, 1000 for ImageNet, 1001 with the background
    first. Returns photos, read-only, 40 at most, and labels, int64 (photos,).
    """
    name, first_class = LABELLED[classes]
    indices = np.array(labels(name)[:_FEW_LABELLED]) + first_class
    return photos(name)[:_FEW_LABELLED], indices


@cache
def reduced(photos: tuple[Photo, ...]) -> tuple[Photo, ...]:
    """Return photos whose shorter side has 40 to 80 pixels: what is prepared wrongly costs predictions."""
    smaller = []
    for photo in photos:
        factor = max(1, min(photo.size) // _REDUCED_SIDE)
        image = Image.fromarray(photo.pixels).reduce(factor)
        smaller.append(Photo(np.asarray(image), photo.name))
    return tuple(smaller)


def typical(without: Sequence[Photo] = ()) -> tuple[tuple[Photo, ...], Float64]:
    """Load photos that together have the colours of ImageNet's, as networks of photos expect them.

    None of those in `without` is among them. Returns photos, read-only, and weights, float64 (photos,), whose
    sum is 1: weighted, mean and standard deviation of all pixels are those of ImageNet, (0.485, 0.456, 0.406)
    and (0.277, 0.269, 0.282), up to 0.02.
    """
    unwanted = {photo.pixels.tobytes() for photo in without}
    weight_of = {_photograph(f"{name}.jpg"): _TYPICAL[name] for name in _TYPICAL}
    photos = [photo for photo in weight_of if photo.pixels.tobytes() not in unwanted]
    weights = np.array([weight_of[photo] for photo in photos])
    return tuple(photos), weights / weights.sum()


@cache
def _photos(name: str) -> tuple[Photo, ...]:
    if name == "fashion_mnist":
        tiles, _ = fashion_mnist_arrays("test")
        return tuple(
            Photo.from_array(tile, f"test_{index:04d}")
            for index, tile in enumerate(tiles)
        )
    return tuple(_photograph(entry["file"]) for entry in _entries(name))


@cache
def _photograph(file: str) -> Photo:
    return load_image(_path("photographs", file))


@cache
def _entries(name: str) -> tuple[JSONObject, ...]:
    index = json.loads(_path("photographs", "index.json").read_text(encoding="utf-8"))
    kind = "special" if name == "special" else "photograph"
    unwanted = {"imagenet": [True], "probes": [False]}.get(name, [])
    return tuple(
        entry
        for entry in index
        if entry["kind"] == kind and (entry["imagenet_class"] is None) not in unwanted
    )


def _path(*parts: str) -> Path:
    path = DATA.joinpath(*parts)
    if not path.is_file():
        name = "/".join(("data", *parts))
        raise FileNotFoundError(
            f"Expected {name} beside the package kit, received no such file; "
            "work in a checkout, or install the wheel"
        )
    return path
