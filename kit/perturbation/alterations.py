"""What a whole folder of images may have gone through, as functions of a strength."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

from kit._arrays import Float64
from kit.images import Photo, load_image
from kit.images.photo import encoded
from kit.images.properties import QUANTITIES, Sample, measure
from kit.perturbation import Perturbation
from kit.perturbation.physics import to_pixels

Apply = Callable[[Photo, float], Photo]
_SIGNS: Mapping[str, tuple[str, ...]] = {
    "brightness": ("highlights", "shadows"),
    "contrast": ("highlights", "shadows"),
    "noise": ("colour_noise",),
    "blocking": ("jpeg_quality",),
}


@dataclass(frozen=True)
class Alteration:
    """One way to alter images.

    Attributes
    ----------
    name, quantity
        Such as ``"darker"``, and the key of `kit.images.properties.QUANTITIES` that it is about.
    strengths, unit, neutral
        Three, from weak to strong; in words what they are; and the strength that changes nothing.
    apply
        From a photo and a strength to a new photo.
    opposite
        Name of what would undo it and cannot be done to an image; empty where another alteration does that.
    """

    name: str
    quantity: str
    strengths: tuple[float, ...]
    apply: Apply
    unit: str = "factor"
    neutral: float = 1
    opposite: str = ""

    @property
    def about(self) -> frozenset[str]:
        """`quantity`, and those that may speak for the alteration where that one hardly moves."""
        return frozenset({self.quantity, *_SIGNS.get(self.quantity, ())})


def _perturbed(field: str) -> Apply:
    return lambda photo, strength: Perturbation(**{field: strength}).apply(photo)  # type: ignore[arg-type]


def _pillow(function: Callable[[Image.Image, float], Image.Image]) -> Apply:
    return lambda photo, strength: photo.altered(
        np.asarray(function(Image.fromarray(photo.pixels), strength))
    )


def _warmed(photo: Photo, ratio: float) -> Photo:
    return Perturbation(white_balance=np.log2(ratio) / 2).apply(photo)


def _greened(photo: Photo, gain: float) -> Photo:
    gains = np.array([1, gain, 1], np.float32)
    return photo.altered(to_pixels(photo.pixels * gains))


def _saved(photo: Photo, quality: float) -> Photo:
    # Through a file, so that the quality can be read from it again.
    return load_image(
        encoded(photo.pixels, "JPEG", quality=round(quality)), name=photo.name
    )


def _seed(photo: Photo) -> int:
    # Each image has a field of its own: in a small one, a single field is not like noise on average.
    return int(photo.pixels.sum(dtype=np.int64))


def _noised(photo: Photo, deviation: float) -> Photo:
    return Perturbation(noise=deviation, seed=_seed(photo)).apply(photo)


def _grained(photo: Photo, deviation: float) -> Photo:
    # The same in all channels, as in an image that was made grey.
    noise = np.random.default_rng(_seed(photo)).normal(0, deviation, (*photo.size, 1))
    return photo.altered(to_pixels(photo.pixels + noise))


def _resized(across: float, down: float) -> Apply:
    # Each side times the strength to this power.
    def resize(image: Image.Image, factor: float) -> Image.Image:
        width = max(round(image.width * factor**across), 1)
        height = max(round(image.height * factor**down), 1)
        return image.resize((width, height), Image.Resampling.BICUBIC)

    return _pillow(resize)


def _cropped(across: int, down: int) -> Apply:
    def cut(image: Image.Image, share: float) -> Image.Image:
        left = image.width * (1 - share) / 2 * across
        top = image.height * (1 - share) / 2 * down
        right = image.width - left
        bottom = image.height - top
        return image.crop((round(left), round(top), round(right), round(bottom)))

    return _pillow(cut)


_COLOUR = _pillow(lambda image, factor: ImageEnhance.Color(image).enhance(factor))
_SHARPEN = _pillow(
    lambda image, percent: image.filter(ImageFilter.UnsharpMask(2, round(percent), 0))
)
_RATIO = "red over blue"
_REST = "green over the rest"
_LESS = (0.85, 0.6, 0.3)
_MORE = (1.15, 1.5, 2.2)
_GAINS = (1.05, 1.15, 1.4)
_LOSSES = (0.95, 0.87, 0.71)

_ALTERATIONS = (
    Alteration("darker", "brightness", _LESS, _perturbed("brightness")),
    Alteration("brighter", "brightness", _MORE, _perturbed("brightness")),
    Alteration("flatter", "contrast", _LESS, _perturbed("contrast")),
    Alteration("harder", "contrast", _MORE, _perturbed("contrast")),
    Alteration("warmer", "warmth", _GAINS, _warmed, _RATIO),
    Alteration("cooler", "warmth", _LOSSES, _warmed, _RATIO),
    Alteration("greener", "tint", _GAINS, _greened, _REST),
    Alteration("more magenta", "tint", _LOSSES, _greened, _REST),
    Alteration("paler", "saturation", (0.8, 0.4, 0), _COLOUR),
    Alteration("more colourful", "saturation", (1.2, 1.6, 2.5), _COLOUR),
    Alteration(
        "blurred",
        "sharpness",
        (0.5, 1, 2.5),
        _perturbed("blur"),
        unit="px",
        neutral=0,
        opposite="sharper",
    ),
    Alteration(
        "sharpened",
        "sharpness",
        (50, 120, 300),
        _SHARPEN,
        unit="% of an unsharp mask",
        neutral=0,
    ),
    Alteration(
        "noisy",
        "noise",
        (2, 8, 25),
        _noised,
        unit="levels",
        neutral=0,
        opposite="cleaner",
    ),
    Alteration(
        "grainy",
        "noise",
        (2, 8, 25),
        _grained,
        unit="levels of grey noise",
        neutral=0,
        opposite="less grainy",
    ),
    Alteration(
        "compressed",
        "blocking",
        (90, 60, 15),
        _saved,
        unit="JPEG quality",
        neutral=100,
        opposite="less compressed",
    ),
    Alteration("reduced", "size", (0.8, 0.5, 0.25), _resized(1, 1)),
    Alteration("enlarged", "size", (1.25, 2, 4), _resized(1, 1)),
    Alteration("cropped", "size", (0.9, 0.7, 0.5), _cropped(1, 1)),
    Alteration("squeezed", "aspect", (0.85, 0.65, 0.4), _resized(0.5, -0.5)),
    Alteration("stretched", "aspect", (1.2, 1.6, 2.5), _resized(0.5, -0.5)),
    Alteration("narrower", "aspect", (0.9, 0.75, 0.5), _cropped(1, 0)),
    Alteration("wider", "aspect", (0.9, 0.75, 0.5), _cropped(0, 1)),
)
ALTERATIONS: Mapping[str, Alteration] = {
    alteration.name: alteration for alteration in _ALTERATIONS
}
"""Every alteration by its name."""


def responses(photos: Sequence[Photo]) -> Float64:
    """Measure how far each alteration moves each quantity on some images, on average.

    Returns
    -------
    float64, shape (alterations, strengths, quantities)
        Mean differences on the scale of `Quantity.scaled`; NaN where a quantity is not measured.
    """
    before = scaled_rows(measured_rows(photos))
    differences = []
    for alteration in ALTERATIONS.values():
        for strength in alteration.strengths:
            altered = (alteration.apply(photo, strength) for photo in photos)
            after = scaled_rows(measured_rows(altered))
            differences.append(mean_known(after - before))
    return np.stack(differences).reshape(len(ALTERATIONS), -1, len(QUANTITIES))


def middle(photo: Photo, side: int = 256) -> Photo:
    """Return the middle of a photo, `side` pixels at most in height and width; itself where it is smaller."""
    pixels = Sample(photo, side).middle
    return photo if pixels.shape == photo.pixels.shape else photo.altered(pixels)


def measured_rows(photos: Iterable[Photo]) -> Float64:
    """Measure images: float64 (images, quantities)."""
    rows = [tuple(measure(photo).values()) for photo in photos]
    return np.array(rows, np.float64).reshape(-1, len(QUANTITIES))


def scaled_rows(rows: Float64) -> Float64:
    """Return measures, (images, quantities), on the scale on which differences count."""
    columns = zip(QUANTITIES.values(), rows.T, strict=True)
    return np.stack([quantity.scaled(column) for quantity, column in columns], axis=1)


def mean_known(table: Float64) -> Float64:
    """Return the mean of each column over what is known; NaN for a column of which nothing is."""
    # Not nanmean, which warns of a column of which nothing is known.
    mean: Float64 = np.ma.masked_invalid(table).mean(axis=0).filled(np.nan)
    return mean
