"""How far the answers move under quiet changes, and which preprocessings come to the same on this network.

Resize filter, fit, crop and decoder cost about a point of accuracy on average, and now and then a whole
picture. No evidence singles one of them out, so none is named as the cause: what they do to these pictures is
told instead.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from PIL import Image

from kit._arrays import Float32, Int16, Pixels
from kit.classifier.trial import Trial
from kit.diagnosis.search.evaluator import Evaluator
from kit.images import Photo
from kit.perturbation.file import jpeg_quality
from kit.preprocessing import Preprocessing

PICTURES = 16
"""Pictures that are tried, the first ones: a question of seconds."""

QUIET = 1 / 8
"""Share of the pictures whose answer may change under a quiet change before nothing is called clean; half of
the quarter from which on a change does harm."""


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
    evaluator: Evaluator, preprocessing: Preprocessing, photos: Sequence[Photo]
) -> tuple[Sensitivity, ...]:
    """Try every quiet change on the first `PICTURES` pictures.

    Parameters
    ----------
    evaluator
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
    base = evaluator.tensors(chosen, preprocessing)
    before = evaluator.answers(chosen, preprocessing)
    trials: dict[str, dict[str, Trial]] = {}
    for name, words, tensors in _varied(evaluator, preprocessing, chosen):
        if not np.array_equal(tensors, base):
            after = evaluator.classifier.predict_tensors(tensors).astype(np.float64)
            trials.setdefault(name, {})[words] = Trial(before, after)
    return tuple(_spread(name, variants) for name, variants in trials.items())


def _spread(name: str, trials: Mapping[str, Trial]) -> Sensitivity:
    before = next(iter(trials.values())).before
    top, rows = before.argmax(axis=1), np.arange(len(before))
    present = np.stack([before[rows, top], *(trial.after[rows, top] for trial in trials.values())])
    spread = present.max(axis=0) - present.min(axis=0)
    moved = np.abs(present[1:] - present[0]).mean(axis=1)
    changed = np.any([trial.changed for trial in trials.values()], axis=0)
    return Sensitivity(
        name,
        tuple(trials),
        len(top),
        int(changed.sum()),
        float(spread.mean()),
        float(spread.max()),
        tuple(trials)[int(moved.argmax())],
    )


def _varied(
    evaluator: Evaluator, p: Preprocessing, photos: tuple[Photo, ...]
) -> Iterator[tuple[str, str, Float32]]:
    """Yield the kind of each change, the variant in words, and the tensors that it makes of the photos."""
    for name, words, changes in _edits(p) if p.size is not None else ():
        yield name, words, evaluator.tensors(photos, p.replace(**changes))
    for words, function in _DECODERS.items():
        pixels = (function(photo.decoded(p.decoding).pixels) for photo in photos)
        redone = [Photo(changed, decoding=p.decoding) for changed in pixels]
        yield "decoder", words, np.concatenate([p.apply(photo) for photo in redone])


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
    moved: Int16 = np.clip(pixels + steps[..., None], 0, 255)
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


_DECODERS: Mapping[str, Callable[[Pixels], Pixels]] = {
    "every value up to one level off": _one_level,
    "colour halved and repeated": _plain_chroma,
    "saved again as JPEG, quality 90, 4:2:0": partial(jpeg_quality, quality=90),
}
