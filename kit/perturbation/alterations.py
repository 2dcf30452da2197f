"""What images may have gone through, as functions of a strength, and the columns of `conditions`."""

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Literal

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

from kit._arrays import Float64, Pixels
from kit.images.photo import Photo, encoded, load_image
from kit.images.properties import Sample
from kit.perturbation import PARAMETERS, Perturbation
from kit.perturbation.physics import to_pixels

Apply = Callable[[Photo, float], Photo]


@dataclass(frozen=True)
class Alteration:
    """One way to alter images.

    Attributes
    ----------
    name, strengths
        Such as ``"darker"``; three, from weak to strong.
    apply
        From a photo and a strength to a new photo.
    unit, neutral
        In words what the strengths are; and the strength that changes nothing.
    opposite
        Name of what would undo it and cannot be done to an image; empty where another alteration does that.
    quantity
        Key of `kit.perturbation.conditions.QUANTITIES` that it is about, in whose row it stands.
    """

    name: str
    strengths: tuple[float, ...]
    apply: Apply
    unit: str = "factor"
    neutral: float = 1
    opposite: str = ""
    quantity: str = ""


Group = Literal["light", "clipping", "colour", "texture", "noise", "shape", "file"]


@dataclass(frozen=True)
class Condition:
    """A property of an image, measured as one number.

    Attributes
    ----------
    name, measure
        Of the number, and what takes it from a `Sample`; NaN where there is nothing to measure.
    group, title
        What it is about; the name in words, where that is another one.
    unit
        In words, where a diagnosis names it.
    resolution
        Smallest difference worth speaking of between two sets of images; 0 where they are not compared.
    logarithmic, binary
        Whether ratios count (by their logarithm, base 2), and not differences; whether it is either 1 or 0.
    little, much
        What images with little or much of it are called, where mistakes may go with it.
    rank
        Among those with such a word: what changes another property as well comes before it.
    alterations
        What moves it, where sets of images are compared by it.
    """

    name: str
    _: KW_ONLY
    measure: Callable[[Sample], float]
    group: Group
    title: str = ""
    unit: str = ""
    resolution: float = 0
    logarithmic: bool = False
    binary: bool = False
    little: str = ""
    much: str = ""
    rank: int = 100
    alterations: tuple[Alteration, ...] = ()

    @property
    def label(self) -> str:
        """The name in words."""
        return self.title or self.name.replace("_", " ")

    @property
    def stated(self) -> bool:
        """Whether the image states it, so that nothing is estimated."""
        return self.group in {"shape", "file"}

    @property
    def invertible(self) -> bool:
        """Whether undoing it brings back all but the rounding, since it is done by a factor."""
        return self.group in {"light", "colour"}

    @property
    def textural(self) -> bool:
        """Whether it is measured in fine detail."""
        return self.group in {"texture", "noise"}

    def scaled(self, values: Float64) -> Float64:
        """Return values on the scale on which differences count."""
        if not self.logarithmic:
            return values
        return np.asarray(np.log2(np.maximum(values, 1e-3)))


@dataclass(frozen=True, kw_only=True)
class ImageCause(Condition):
    """A property that, out of the ordinary, may have changed a prediction.

    Attributes
    ----------
    cause, adjective, advice
        Name of the cause, such as ``"dark"``; what such images are; and what to do, as the first half of a
        sentence.
    ordinary, below
        Measure beyond which an image is out of the ordinary, and whether that is below it, and not above.
    parameter
        Of a `kit.Perturbation`, which does it.
    amounts
        Pairs of a measure and the setting of `parameter` that brings photos to it.
    read
        In place of `amounts`, takes the setting from the pixels.
    undo
        Takes it out of an image, given the setting, in several ways.
    call
        Python that takes this amount out of ``photo``.
    brings
        Causes that come with it and are none of their own beside it.
    """

    cause: str
    adjective: str
    advice: str
    ordinary: float
    below: bool = False
    parameter: str
    amounts: tuple[tuple[float, float], ...] = ()
    read: Callable[[Pixels], float] | None = None
    undo: Callable[[Pixels, float], list[Pixels]]
    call: str
    brings: tuple[str, ...] = ()

    def measured(self, pixels: Pixels) -> float:
        """Measure uint8 pixels (H, W, 3), every one of them."""
        return self.measure(Sample(Photo(pixels), window=None))

    def unusual(self, measure: float) -> bool:
        """Return whether a measure is out of the ordinary."""
        return measure < self.ordinary if self.below else measure > self.ordinary

    def amount(self, measure: float, pixels: Pixels) -> float:
        """Return the setting that brings photos to a measure; that of the pixels where they tell it."""
        if self.read is not None:
            return self.read(pixels)
        table_measures, settings = np.array(self.amounts).T
        return float(np.interp(measure, table_measures, settings))

    def done(self, photo: Photo, amount: float) -> Photo:
        """Return a photo to which this amount is done."""
        return perturbed(self.parameter)(photo, amount)


def perturbed(parameter: str) -> Apply:
    """Return what sets this parameter of a `kit.Perturbation` to the strength."""

    def apply(photo: Photo, strength: float) -> Photo:
        whole = PARAMETERS[parameter].kind == "whole"
        setting = round(strength) if whole else strength
        return Perturbation(**{parameter: setting}).apply(photo)  # type: ignore[arg-type]

    return apply


def warmed(photo: Photo, ratio: float) -> Photo:
    """Multiply red over blue."""
    return Perturbation(white_balance=np.log2(ratio) / 2).apply(photo)


def greened(photo: Photo, gain: float) -> Photo:
    """Multiply green."""
    gains = np.array([1, gain, 1], np.float32)
    return photo.altered(to_pixels(photo.pixels * gains))


def coloured(photo: Photo, factor: float) -> Photo:
    """Multiply the saturation."""
    colour = ImageEnhance.Color(Image.fromarray(photo.pixels))
    return photo.altered(np.asarray(colour.enhance(factor)))


def sharpened(photo: Photo, percent: float) -> Photo:
    """Add an unsharp mask."""
    mask = ImageFilter.UnsharpMask(radius=2, percent=round(percent), threshold=0)
    return photo.altered(np.asarray(Image.fromarray(photo.pixels).filter(mask)))


def compressed(photo: Photo, quality: float) -> Photo:
    """Save as a JPEG file and open it, so that the quality can be read from it again."""
    file = encoded(photo.pixels, "JPEG", quality=round(quality))
    return load_image(file, name=photo.name)


def _seed_of(photo: Photo) -> int:
    # Each image has a field of its own: in a small one, a single field is not like noise on average.
    return int(photo.pixels.sum(dtype=np.int64))


def noised(photo: Photo, deviation: float) -> Photo:
    """Add Gaussian noise."""
    return Perturbation(noise=deviation, seed=_seed_of(photo)).apply(photo)


def grained(photo: Photo, deviation: float) -> Photo:
    """Add noise that is the same in all channels, as in an image that was made grey."""
    noise = np.random.default_rng(_seed_of(photo)).normal(
        0, deviation, (*photo.size, 1)
    )
    return photo.altered(to_pixels(photo.pixels + noise))


def resized(*, width: float, height: float) -> Apply:
    """Return what multiplies each side by the strength to this power."""

    def apply(photo: Photo, factor: float) -> Photo:
        rows, columns = photo.size
        sides = (columns * factor**width, rows * factor**height)
        size = [max(round(side), 1) for side in sides]
        image = Image.fromarray(photo.pixels)
        return photo.altered(np.asarray(image.resize(size, Image.Resampling.BICUBIC)))

    return apply


def cropped(*, width: float, height: float) -> Apply:
    """Return what leaves the middle: of each side the strength, a share, to this power."""

    def apply(photo: Photo, share: float) -> Photo:
        rows, columns = photo.size
        top = rows * (1 - share**height) / 2
        left = columns * (1 - share**width) / 2
        inside = np.s_[
            round(top) : round(rows - top), round(left) : round(columns - left)
        ]
        return photo.altered(np.ascontiguousarray(photo.pixels[inside]))

    return apply
