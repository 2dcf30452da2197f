"""What is measured in an image."""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property, partial

import numpy as np
from PIL import Image, ImageFilter, JpegImagePlugin

from kit._arrays import Array, Float32, Float64, Int64, Pixels
from kit.images import Photo, Pictures, as_photos
from kit.images.opening import FORMATS, file_format
from kit.images.photo import encoded

# Levels of the faintest edge.
_EDGE = 3

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def luma(pixels: Pixels) -> Float32:
    """Return the ITU-R 601 luma, float32 (H, W), 0..255."""
    return pixels.astype(np.float32) @ _LUMA


def bright_level(pixels: Pixels) -> float:
    """Level below which 95 % of the image lies, 0..255: low in a dark image, whatever its subject."""
    return float(np.percentile(luma(pixels), 95))


def light_level(pixels: Pixels) -> float:
    """Return `bright_level`, or 3.5 times the median where that is less: of an image dark but for lamps."""
    return min(bright_level(pixels), 3.5 * float(np.median(luma(pixels))))


def clipping(pixels: Pixels) -> float:
    """Share of the image in which a channel is clipped at white, 0..1, a white ground left out.

    In means of 4 x 4 pixels, which noise alone does not bring to white. Of those that are white in all
    channels, the share that the border has of them is left out.
    """
    cut = _means(pixels) >= 250
    white = np.asarray(cut.all(axis=-1))
    border = np.concatenate([white[0], white[-1], white[:, 0], white[:, -1]])
    ground = float(border.mean() * white.sum())
    return (float(cut.any(axis=-1).sum()) - ground) / max(white.size - ground, 1.0)


def relative_contrast(pixels: Pixels) -> float:
    """Range of levels over the sum of its ends (Michelson), 0..1, which less light alone does not lower.

    The dark end is the dark channel (He, Sun and Tang, Single image haze removal using dark channel prior,
    2009), which fog lifts: the level below which a fifth of the least channel in 9 x 9 pixels lies, a white
    ground left out.
    """
    from scipy.ndimage import minimum_filter

    least = minimum_filter(pixels.min(axis=-1), 9)
    seen = least[least < 250]
    low, high = (
        float(np.percentile(seen, 20)) if seen.size else 0.0,
        bright_level(pixels),
    )
    return max(high - low, 0) / max(high + low, 1.0)


def noise_level(pixels: Pixels) -> float:
    """Noise as a standard deviation in levels, from the flattest tenth of the image.

    The mask of Immerkaer (Fast noise variance estimation, 1996) in blocks of 8 x 8, whose tenth percentile
    leaves texture out.
    """
    # Luma has 0.67 of it where the channels have noise of their own.
    return _flattest(luma(pixels)) / float(np.linalg.norm(_LUMA))


def colour_noise(pixels: Pixels) -> float:
    """As `noise_level`, in the difference of red and blue, in which the edges of most things cancel."""
    x = pixels[..., 0].astype(np.float32) - pixels[..., 2]
    return _flattest(x) / float(np.sqrt(2))


def _flattest(x: Float32) -> float:
    if min(x.shape) < 10:
        return 0.0
    flattest = float(
        np.percentile(np.sqrt((in_blocks(noise_mask(x)) ** 2).mean(axis=(1, 3))), 10)
    )
    # The mask makes 6 of one standard deviation; 0.78 is the tenth percentile of the root mean square in a
    # block of correlated noise, over that of all blocks.
    return flattest / 0.78 / 6


def noise_mask(x: Float32) -> Float32:
    """Return the mask of Immerkaer (1996), which edges hardly answer: float32 (H - 2, W - 2) of (H, W)."""
    rows = x[:-2] - 2 * x[1:-1] + x[2:]
    return np.asarray(rows[:, :-2] - 2 * rows[:, 1:-1] + rows[:, 2:])


def in_blocks(x: Array, n: int = 8) -> Array:
    """Return the whole blocks of n x n of (H, W, …), from the upper left: (H // n, n, W // n, n, …)."""
    height, width = (side // n for side in x.shape[:2])
    return x[: n * height, : n * width].reshape(height, n, width, n, *x.shape[2:])


def sharpness(pixels: Pixels) -> float:
    """Share of a step that the sharpest edges make between two neighbouring pixels, 0..1.

    The 99.5th percentile over the range of levels; about 1 / (2.5 r) after a Gaussian blur of radius r.
    """
    x = luma(pixels)
    steps = np.concatenate(
        [np.abs(np.diff(x, axis=axis)).reshape(-1) for axis in (0, 1)]
    )
    if not steps.size:
        return 0.0  # a single pixel has no edges
    low, high = np.percentile(x, (5, 95))
    return float(np.percentile(steps, 99.5)) / max(float(high - low), 8.0)


def edge_share(pixels: Pixels) -> float:
    """Share of a step over 8 pixels that the sharpest edges make between two, 0..1, in the softest direction.

    The ratio of the 99.5th percentiles, the least of rows, columns and both diagonals, so that a camera that
    moved is seen as well. Contrast cancels: 1 at a sharp edge, 1/8 where blur is wider than the 8 pixels.
    """
    if min(pixels.shape[:2]) <= 8 or edgeless(pixels):
        return 1.0  # nothing says how sharp it is
    return float((_steps(pixels, 1) / np.maximum(_steps(pixels, 8), _EDGE)).min())


def edgeless(pixels: Pixels) -> bool:
    """Whether no step over 8 pixels is an edge, so that nothing says how sharp or how lit an image is."""
    return min(pixels.shape[:2]) > 8 and bool(_steps(pixels, 8).max() <= _EDGE)


def _steps(pixels: Pixels, n: int) -> Float64:
    x = luma(pixels)
    steps = (
        x[n:] - x[:-n],
        x[:, n:] - x[:, :-n],
        x[n:, n:] - x[:-n, :-n],
        x[n:, :-n] - x[:-n, n:],
    )
    return np.array([np.percentile(np.abs(each), 99.5) for each in steps])


def grid(pixels: Pixels) -> float:
    """Strongest regular pattern of the steps between columns and between rows, over those around.

    The lesser of both, at any period up to 16 pixels: blocks of JPEG, also of a copy that was resized
    afterwards, and large pixels. About 0.05 without a grid, up to 2 with blocks of one colour.
    """
    from scipy.ndimage import uniform_filter1d

    x = luma(pixels)
    if min(x.shape) < 2:
        return 0.0  # a single row or column has no steps
    found = []
    for plane in (x, x.T):
        steps = np.abs(np.diff(plane, axis=1)).mean(axis=0)
        around = steps / np.maximum(uniform_filter1d(steps, 9), 0.05)
        waves = (
            np.abs(np.fft.rfft((around - around.mean()) * np.hanning(len(around))))
            * 4
            / len(around)
        )
        found.append(float(waves[len(around) // 16 + 1 :].max(initial=0)))
    return min(found)


def saturation(pixels: Pixels) -> float:
    """Mean distance of the largest and smallest channel over the mean of the largest, 0..1."""
    return float(np.ptp(pixels, axis=-1).mean()) / max(
        float(pixels.max(axis=-1).mean()), 1.0
    )


def edge_colour(pixels: Pixels) -> tuple[float, float, float]:
    """Strength of the edges in red, green and blue, in levels: the colour of the light.

    By the grey-edge hypothesis (van de Weijer, Gevers and Gijsenij, Edge-based color constancy, 2007). Root
    mean square of differences between means of 4 x 4 pixels, since JPEG does not keep the colour of pixels.
    """
    means = _means(pixels)
    squares = [np.square(np.diff(means, axis=axis)).reshape(-1, 3) for axis in (0, 1)]
    strength = np.sqrt(np.concatenate(squares).sum(axis=0) / max(means[..., 0].size, 1))
    red, green, blue = np.maximum(strength, 0.5).tolist()
    return red, green, blue


def _means(pixels: Pixels) -> Float32:
    # In an image of less than 16 pixels a side, the pixels.
    side = 4 if min(pixels.shape[:2]) >= 16 else 1
    return np.asarray(in_blocks(pixels, side).astype(np.float32).mean(axis=(1, 3)))


def grid_zeros(pixels: Pixels) -> float:
    """Cosine coefficients that are nearly zero on the 8 x 8 grid of JPEG, beyond those off the grid.

    Quantization makes zeros on the grid alone (Fan and de Queiroz, Identification of bitmap compression
    history, 2003). -1..1, about 0 for an image without a trace of JPEG.
    """
    x = luma(pixels)
    if min(x.shape) < 16:
        return 0.0
    return _near_zero(x) - _near_zero(x[4:, 4:])


def jpeg_quality(file: bytes | None) -> float:
    """Quality 1..100 whose luminance table, scaled by libjpeg, has the sum nearest to a JPEG's; or NaN."""
    if file is None or file[:3] != b"\xff\xd8\xff":
        return float("nan")
    return 1.0 + float(np.abs(_sums() - _sum(file)).argmin())


@cache
def _sums() -> Int64:
    black = np.zeros((8, 8, 3), np.uint8)
    return np.array(
        [_sum(encoded(black, "JPEG", quality=each)) for each in range(1, 101)]
    )


def _sum(file: bytes) -> int:
    with JpegImagePlugin.JpegImageFile(io.BytesIO(file)) as image:
        return sum(image.quantization[0])


def _near_zero(plane: Float32) -> float:
    # Without the first row and column of each block.
    from scipy.fft import dctn

    parts = dctn(in_blocks(plane), axes=(1, 3), norm="ortho")
    return float((np.abs(parts[:, 1:, :, 1:]) < 0.5).mean())


Levels = tuple[float, float]
"""Levels below which 5 % and 95 % of an image's luma lie, 0..255."""


def end_levels(pixels: Pixels) -> Levels:
    """Measure the dark and the bright level."""
    low, high = np.percentile(luma(pixels), (5, 95)).tolist()
    return low, high


def usual_levels(photos: Pictures) -> Levels:
    """Measure the dark and the bright level of images: the median of each over all of them."""
    found = [end_levels(photo.pixels) for photo in as_photos(photos)]
    low, high = np.median(found, axis=0).tolist()
    return low, high


def relevelled(photo: Photo, levels: Levels) -> Photo:
    """Stretch and move all values so that dark and bright levels become these, as of `usual_levels`.

    That undoes added levels, a factor, or both, except where values had been clipped.
    """
    low, high = end_levels(photo.pixels)
    slope = (levels[1] - levels[0]) / (high - low) if high > low else 1.0
    table = np.clip(np.rint((np.arange(256) - low) * slope + levels[0]), 0, 255).astype(
        np.uint8
    )
    return photo.altered(table[photo.pixels], "levels corrected")


def denoised(photo: Photo) -> Photo:
    """Take noise out: the median of 3 x 3 pixels, then a Gaussian of 0.8 pixels; fine detail goes with it."""
    image = Image.fromarray(photo.pixels).filter(ImageFilter.MedianFilter(3))
    return photo.altered(
        np.asarray(image.filter(ImageFilter.GaussianBlur(0.8))), "noise taken out"
    )


WINDOW = 512
"""Pixels a side of the middle part of a larger image where texture is measured, and of the grid for light
and colour."""


class Sample:
    """An image as it is measured, with what several measures share.

    Parameters
    ----------
    window
        As `WINDOW`; None for every pixel.
    """

    def __init__(self, photo: Photo, window: int | None = WINDOW) -> None:
        self.photo = photo
        self._window = window or max(photo.size)

    @cached_property
    def thin(self) -> Pixels:
        """A grid of pixels, uint8 (H, W, 3)."""
        height, width = self.photo.size
        step = max(1, int(np.sqrt(height * width) // self._window))
        return self.photo.pixels[::step, ::step]

    @cached_property
    def middle(self) -> Pixels:
        """The middle part, uint8 (H, W, 3)."""
        # Whole blocks are left out at the top and left, so that the grid of JPEG stays where it is.
        top, left = (
            max(side - self._window, 0) // 2 // 8 * 8 for side in self.photo.size
        )
        return self.photo.pixels[top : top + self._window, left : left + self._window]

    @cached_property
    def luma(self) -> Float32:
        """Luma of the grid of pixels, float32 (H, W), 0..255."""
        return luma(self.thin)

    @cached_property
    def light(self) -> tuple[float, float, float]:
        """Red, green and blue of the light."""
        return edge_colour(self.thin)


@dataclass(frozen=True)
class Quantity:
    """One number that can be measured on an image.

    Attributes
    ----------
    name
        Of the number.
    measure
        Takes it from a `Sample`; NaN where there is nothing to measure.
    resolution
        Smallest difference worth speaking of between two sets of images; 0 where they are not compared.
    logarithmic
        Whether ratios count (by their logarithm, base 2), and not differences.
    title
        The name in words, where that is another one.
    unit
        In words, where a diagnosis names it.
    """

    name: str
    measure: Callable[[Sample], float]
    resolution: float = 0
    logarithmic: bool = False
    title: str = ""
    unit: str = ""

    @property
    def label(self) -> str:
        """The name in words."""
        return self.title or self.name.replace("_", " ")

    def scaled(self, values: Float64) -> Float64:
        """Return values on the scale on which differences count."""
        return (
            np.asarray(np.log2(np.maximum(values, 1e-3)))
            if self.logarithmic
            else values
        )


def _is_of_format(name: str, sample: Sample) -> float:
    return float(file_format(sample.photo.file or b"") == name)


_TABLE = (
    Quantity("brightness", lambda s: float(s.luma.mean()), 0.05, True),
    # Root mean square (Peli, Contrast in complex images, 1990), which less light alone leaves as it is.
    Quantity(
        "contrast",
        lambda s: float(s.luma.std()) / max(float(s.luma.mean()), 1.0),
        0.05,
        True,
    ),
    Quantity(
        "highlights",
        lambda s: float((s.luma >= 254).mean()),
        0.005,
        title="white pixels",
    ),
    Quantity(
        "shadows", lambda s: float((s.luma <= 1).mean()), 0.005, title="black pixels"
    ),
    Quantity("warmth", lambda s: s.light[0] / s.light[2], 0.02, True),
    Quantity(
        "tint", lambda s: s.light[1] / (s.light[0] * s.light[2]) ** 0.5, 0.02, True
    ),
    Quantity("saturation", lambda s: saturation(s.thin), 0.01),
    Quantity("sharpness", lambda s: sharpness(s.middle), 0.02),
    Quantity(
        "noise",
        lambda s: noise_level(s.middle),
        0.25,
        unit="levels, standard deviation",
    ),
    Quantity("colour_noise", lambda s: colour_noise(s.middle), 0.25),
    Quantity("blocking", lambda s: grid_zeros(s.middle), 0.01, title="JPEG blocks"),
    Quantity(
        "jpeg_quality", lambda s: jpeg_quality(s.photo.file), 2, title="JPEG quality"
    ),
    Quantity("size", lambda s: float(np.sqrt(np.prod(s.photo.size))), 0.05, True),
    Quantity("aspect", lambda s: s.photo.size[1] / s.photo.size[0], 0.05, True),
    Quantity(
        "turned",
        lambda s: float("EXIF orientation" in " ".join(s.photo.notes)),
        0.1,
        title="EXIF turn",
    ),
    Quantity(
        "light",
        lambda s: light_level(s.thin),
        unit="level of the brightest 5 %, or 3.5 of the median, 0..255",
    ),
    Quantity("clipping", lambda s: clipping(s.thin), unit="share clipped at white"),
    Quantity(
        "range",
        lambda s: relative_contrast(s.thin),
        unit="range of levels over the sum of its ends",
    ),
    Quantity(
        "edge_share",
        lambda s: edge_share(s.middle),
        unit="share of a step over 8 pixels between two",
    ),
    Quantity(
        "grid",
        lambda s: grid(s.middle),
        unit="regular part of the steps between pixels, as a share",
    ),
    Quantity(
        "cast",
        lambda s: float(np.ptp(np.log2(s.light))),
        unit="stops between the channels",
    ),
    *(Quantity(name, partial(_is_of_format, name)) for name in FORMATS),
)
PROPERTIES: Mapping[str, Quantity] = {item.name: item for item in _TABLE}
"""Everything that is measured, by its name."""

QUANTITIES: Mapping[str, Quantity] = {
    item.name: item for item in _TABLE if item.resolution
}
"""What two sets of images are compared by, in the order of the statistics that a file carries."""


def measure(photo: Photo) -> dict[str, float]:
    """Measure an image by all of `QUANTITIES`, in their order, as a `Sample`."""
    sample = Sample(photo)
    return {name: item.measure(sample) for name, item in QUANTITIES.items()}
