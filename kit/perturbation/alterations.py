"""What a whole folder of images may have gone through, as functions of a strength."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

from kit.images import Photo, load_image
from kit.images.photo import encoded
from kit.perturbation import PARAMETERS, Perturbation
from kit.perturbation.physics import to_pixels

Apply = Callable[[Photo, float], Photo]


@dataclass(frozen=True)
class Alteration:
    """One way to alter images.

    Attributes
    ----------
    name
        Such as ``"darker"``.
    strengths
        Three, from weak to strong.
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


def _seed(photo: Photo) -> int:
    # Each image has a field of its own: in a small one, a single field is not like noise on average.
    return int(photo.pixels.sum(dtype=np.int64))


def noised(photo: Photo, deviation: float) -> Photo:
    """Add Gaussian noise."""
    return Perturbation(noise=deviation, seed=_seed(photo)).apply(photo)


def grained(photo: Photo, deviation: float) -> Photo:
    """Add noise that is the same in all channels, as in an image that was made grey."""
    noise = np.random.default_rng(_seed(photo)).normal(0, deviation, (*photo.size, 1))
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


def cropped(*, width: bool, height: bool) -> Apply:
    """Return what leaves the middle of these sides: the strength is its share."""

    def apply(photo: Photo, share: float) -> Photo:
        rows, columns = photo.size
        top = rows * (1 - share) / 2 if height else 0
        left = columns * (1 - share) / 2 if width else 0
        inside = np.s_[
            round(top) : round(rows - top), round(left) : round(columns - left)
        ]
        return photo.altered(np.ascontiguousarray(photo.pixels[inside]))

    return apply
