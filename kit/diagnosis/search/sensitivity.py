"""How far the answers move under quiet changes, and which preprocessings come to the same on this network.

Resize filter, fit, crop and decoder cost about a point of accuracy on average, and now and then a whole
picture. No evidence singles one of them out, so none is named as the cause: what they do to these pictures is
told instead.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
from PIL import Image

from kit.diagnosis.search.evaluator import Laboratory
from kit.images import Photo
from kit.preprocessing import Preprocessing
from kit.robustness.reference.activation_distance import Vector

Pixels = npt.NDArray[np.uint8]

PICTURES = 4
"""Pictures that are tried, the first ones: a question of seconds."""

SAME = 0.02
"""Largest difference in a probability up to which two preprocessings come to the same."""

ENOUGH = 4
"""Pictures on which they must."""


@dataclass(frozen=True)
class Sensitivity:
    """What one kind of quiet change does to the answers.

    Attributes
    ----------
    name
        Such as ``"resize_filter"``.
    variants
        What was tried in place of what is in use, in words.
    photos
        How many pictures were tried.
    changed
        How many of them get another answer under at least one variant.
    typical, largest
        Mean over the pictures, and the largest, of the spread of the probability of the present answer over
        the variants and what is in use: largest minus smallest, 0..1.
    worst
        The variant that moves this probability most, on average.
    """

    name: str
    variants: tuple[str, ...]
    photos: int
    changed: int
    typical: float
    largest: float
    worst: str


@dataclass(frozen=True)
class Equivalent:
    """A preprocessing that no evidence tells from the one that explains the pictures best.

    Attributes
    ----------
    change
        What differs, in words.
    cause
        What it would be called.
    difference
        Largest difference of a probability on the pictures, 0..1.
    """

    change: str
    cause: str
    difference: float


def sensitivities(
    laboratory: Laboratory, preprocessing: Preprocessing, photos: Sequence[Photo]
) -> tuple[Sensitivity, ...]:
    """Try every quiet change on the first `PICTURES` pictures.

    Parameters
    ----------
    laboratory
        Of the network.
    preprocessing
        Around which is varied: the right one, as far as it is known.
    photos
        At least one.

    Returns
    -------
    tuple of Sensitivity
        One for each kind of change that changes any tensor at all.
    """
    chosen = tuple(photos[:PICTURES])
    base = laboratory.tensors(chosen, preprocessing)
    before = laboratory.answers(chosen, preprocessing)
    found = []
    for name, variants in _variants(laboratory, preprocessing, chosen).items():
        answers: dict[str, Vector] = {}
        for words, prepared in variants:
            tensors = prepared()
            if not np.array_equal(tensors, base):
                answers[words] = laboratory.classifier.predict_tensors(tensors).astype(np.float64)
        if answers:
            found.append(_spread(name, before, answers))
    return tuple(found)


def same_answers(
    laboratory: Laboratory, one: Preprocessing, other: Preprocessing, photos: Sequence[Photo]
) -> float | None:
    """Return the largest difference of a probability; None where the two do not come to the same."""
    if len(photos) < ENOUGH:
        return None
    first, second = laboratory.answers(photos, one), laboratory.answers(photos, other)
    difference = float(np.abs(first - second).max())
    return difference if difference <= SAME else None


def _spread(name: str, before: Vector, answers: Mapping[str, Vector]) -> Sensitivity:
    top = before.argmax(axis=1)
    rows = np.arange(len(top))
    present = np.stack([before[rows, top], *(answer[rows, top] for answer in answers.values())])
    spread = present.max(axis=0) - present.min(axis=0)
    moved = np.abs(present[1:] - present[0]).mean(axis=1)
    other = np.any([answer.argmax(axis=1) != top for answer in answers.values()], axis=0)
    names = tuple(answers)
    return Sensitivity(
        name,
        names,
        len(top),
        int(other.sum()),
        float(spread.mean()),
        float(spread.max()),
        names[int(moved.argmax())],
    )


_Prepared = Callable[[], npt.NDArray[np.float32]]


def _variants(
    laboratory: Laboratory, p: Preprocessing, photos: tuple[Photo, ...]
) -> dict[str, list[tuple[str, _Prepared]]]:
    def edited(**changes: object) -> _Prepared:
        return lambda: laboratory.tensors(photos, p.replace(**changes))

    def redone(function: Callable[[Pixels], Pixels]) -> _Prepared:
        return lambda: np.concatenate(
            [
                p.apply(Photo(function(photo.decoded(p.decoding).pixels), photo.name, p.decoding))
                for photo in photos
            ]
        )

    listed: dict[str, list[tuple[str, _Prepared]]] = {}
    if p.size is not None:
        for name, words, changes in _edits(p):
            listed.setdefault(name, []).append((words, edited(**changes)))
    listed["decoder"] = [(words, redone(function)) for words, function in _DECODERS.items()]
    return listed


def _edits(p: Preprocessing) -> Iterator[tuple[str, str, dict[str, object]]]:
    for name in ("nearest", "bilinear", "bicubic", "lanczos"):
        if name != p.filter:
            yield "resize_filter", name, {"filter": name}
    plain = "tf_bicubic" if "bicubic" in p.filter else "tf_bilinear"
    other = f"{plain}_antialias" if p.filter == plain else plain
    yield "antialias", other, {"filter": other}
    yield "resize_fit", "squashed", {"fit": "squash", "crop_fraction": 1.0}
    yield "resize_fit", "largest central crop", {"fit": "crop", "crop_fraction": 1.0}
    for fraction in (0.8, 0.875, 0.95):
        cropping = p.fit if "crop" in p.fit else "crop"
        yield "crop_fraction", f"central crop of {fraction:.1%}", {"fit": cropping, "crop_fraction": fraction}


def _one_level(pixels: Pixels) -> Pixels:
    """Move every value by at most one level, as a quicker inverse cosine transform does; seeded."""
    steps = np.random.default_rng(0).integers(-1, 2, pixels.shape[:2], dtype=np.int16)
    moved: npt.NDArray[np.int16] = np.clip(pixels + steps[..., None], 0, 255)
    return moved.astype(np.uint8)


def _plain_chroma(pixels: Pixels) -> Pixels:
    """Halve the colour planes and repeat their values, as a decoder without smooth upsampling does."""
    if not np.ptp(pixels, axis=2).any():
        return pixels
    luma, *chroma = Image.fromarray(pixels).convert("YCbCr").split()
    half = ((luma.width + 1) // 2, (luma.height + 1) // 2)
    small = [plane.resize(half, Image.Resampling.BOX) for plane in chroma]
    blocky = [plane.resize(luma.size, Image.Resampling.NEAREST) for plane in small]
    return np.asarray(Image.merge("YCbCr", (luma, *blocky)).convert("RGB"))


def _saved_again(pixels: Pixels) -> Pixels:
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=90, subsampling=2)
    return np.asarray(Image.open(buffer))


_DECODERS: Mapping[str, Callable[[Pixels], Pixels]] = MappingProxyType(
    {
        "every value up to one level off": _one_level,
        "colour halved and repeated": _plain_chroma,
        "saved again as JPEG, quality 90, 4:2:0": _saved_again,
    }
)
