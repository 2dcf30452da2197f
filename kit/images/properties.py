"""What is measured in an image, as functions of its pixels or its file."""

import io
from functools import cache, cached_property

import numpy as np
from PIL import JpegImagePlugin

from kit._arrays import Array, Float32, Float64, Int64, Pixels
from kit.images.photo import Photo, Pictures, as_photos, encoded

_FAINTEST_EDGE = 3
"""Levels."""
# What the mask of `noise_deviation` makes of a standard deviation of one in each channel; what it measures
# where much is added, since much is cut off nearly everywhere.
_MASKED_DEVIATION = 6 * 0.669
_MEASURED_DEVIATIONS = (0, 10, 20, 29.5, 55, 76.7)
_ADDED_DEVIATIONS = (0, 10, 20, 30, 60, 100)
_SECOND_BLUR = 3.0
"""Standard deviation in pixels, of the blur that shows how sharp the edges were."""

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def luma(pixels: Pixels) -> Float32:
    """Return the ITU-R 601 luma, float32 (H, W), 0..255."""
    return pixels.astype(np.float32) @ _LUMA


def largest_channel(pixels: Pixels) -> Pixels:
    """Return the largest channel of each pixel, uint8 (H, W)."""
    # A channel at a time: along an axis as short as this, numpy takes far longer.
    red, green, blue = np.moveaxis(pixels, -1, 0)
    largest: Pixels = np.maximum(np.maximum(red, green), blue)
    return largest


def smallest_channel(pixels: Pixels) -> Pixels:
    """Return the smallest one."""
    # As 255 less the levels, the largest is the smallest.
    return 255 - largest_channel(255 - pixels)


def bright_level(pixels: Pixels) -> float:
    """Level below which 95 % of the image lies, 0..255: low in a dark image, whatever its subject."""
    return end_levels(pixels)[1]


def light_level(pixels: Pixels) -> float:
    """Return `bright_level`, or 3.5 times the median where that is less: of an image dark but for lamps."""
    return min(bright_level(pixels), 3.5 * float(np.median(luma(pixels))))


def clipping(pixels: Pixels) -> float:
    """Share of the image in which a channel is clipped at white, 0..1, a white ground left out.

    In means of 4 x 4 pixels, which noise alone does not bring to white. Of those that are white in all
    channels, the share that the border has of them is left out.
    """
    is_clipped = _cell_means(pixels) >= 250
    is_white = np.asarray(is_clipped.all(axis=-1))
    sides = is_white[0], is_white[-1], is_white[:, 0], is_white[:, -1]
    white_ground = float(np.concatenate(sides).mean() * is_white.sum())
    clipped_cells = float(is_clipped.any(axis=-1).sum())
    return (clipped_cells - white_ground) / max(is_white.size - white_ground, 1.0)


def relative_contrast(pixels: Pixels) -> float:
    """Range of levels over the sum of its ends (Michelson), 0..1, which less light alone does not lower.

    The dark end is the dark channel (He, Sun and Tang, Single image haze removal using dark channel prior,
    2009), which fog lifts: the level below which a fifth of the least channel in 9 x 9 pixels lies, a white
    ground left out.
    """
    from scipy.ndimage import minimum_filter

    dark_channel = minimum_filter(smallest_channel(pixels), 9)
    subject = dark_channel[dark_channel < 250]
    low = float(np.percentile(subject, 20)) if subject.size else 0.0
    high = bright_level(pixels)
    return (high - low) / max(high + low, 1.0)


def noise_level(pixels: Pixels) -> float:
    """Noise as a standard deviation in levels, from the flattest tenth of the image.

    The mask of Immerkaer (Fast noise variance estimation, 1996) in blocks of 8 x 8, whose tenth percentile
    leaves texture out.
    """
    # Luma has 0.67 of it where the channels have noise of their own.
    return _deviation_in_flattest(luma(pixels)) / float(np.linalg.norm(_LUMA))


def colour_noise(pixels: Pixels) -> float:
    """As `noise_level`, in the difference of red and blue, in which the edges of most things cancel."""
    difference = pixels[..., 0].astype(np.float32) - pixels[..., 2]
    return _deviation_in_flattest(difference) / float(np.sqrt(2))


def _deviation_in_flattest(plane: Float32) -> float:
    """Return the standard deviation of noise in the flattest tenth of the blocks of (H, W)."""
    if min(plane.shape) < 10:
        return 0.0
    squares = in_blocks(noise_mask(plane)) ** 2
    deviations = np.sqrt(squares.mean(axis=(1, 3)))
    # The mask makes 6 of one standard deviation; 0.78 is the tenth percentile of the root mean square in a
    # block of correlated noise, over that of all blocks.
    return float(np.percentile(deviations, 10)) / 0.78 / 6


def noise_mask(x: Float32) -> Float32:
    """Return the mask of Immerkaer (1996), which edges hardly answer: float32 (H - 2, W - 2) of (H, W)."""
    return np.diff(np.diff(x, 2, axis=0), 2, axis=1)


def in_blocks(x: Array, n: int = 8) -> Array:
    """Return the whole blocks of n x n of (H, W, …), from the upper left: (H // n, n, W // n, n, …)."""
    height, width = (side // n for side in x.shape[:2])
    return x[: n * height, : n * width].reshape(height, n, width, n, *x.shape[2:])


def sharpness(pixels: Pixels) -> float:
    """Share of a step that the sharpest edges make between two neighbouring pixels, 0..1.

    The 99.5th percentile over the range of levels; about 1 / (2.5 r) after a Gaussian blur of radius r.
    """
    plane = luma(pixels)
    differences = [np.diff(plane, axis=axis).reshape(-1) for axis in (0, 1)]
    steps = np.abs(np.concatenate(differences))
    if not steps.size:
        return 0.0  # a single pixel has no edges
    low, high = end_levels(pixels)
    return float(np.percentile(steps, 99.5)) / max(high - low, 8.0)


def edge_share(pixels: Pixels) -> float:
    """Share of a step over 8 pixels that the sharpest edges make between two, 0..1, in the softest direction.

    The ratio of the 99.5th percentiles, the least of rows, columns and both diagonals, so that a camera that
    moved is seen as well. Contrast cancels: 1 at a sharp edge, 1/8 where blur is wider than the 8 pixels.
    """
    if min(pixels.shape[:2]) <= 8 or edgeless(pixels):
        return 1.0  # nothing says how sharp it is
    near, far = (_sharpest_steps(pixels, distance) for distance in (1, 8))
    return float((near / np.maximum(far, _FAINTEST_EDGE)).min())


def edgeless(pixels: Pixels) -> bool:
    """Whether no step over 8 pixels is an edge, so that nothing says how sharp or how lit an image is."""
    return min(pixels.shape[:2]) > 8 and bool(
        _sharpest_steps(pixels, 8).max() <= _FAINTEST_EDGE
    )


def _sharpest_steps(pixels: Pixels, n: int) -> Float64:
    """Return the sharpest steps over n pixels: by rows, by columns and by both diagonals."""
    x = luma(pixels)
    steps = (
        x[n:] - x[:-n],
        x[:, n:] - x[:, :-n],
        x[n:, n:] - x[:-n, :-n],
        x[n:, :-n] - x[:-n, n:],
    )
    return np.array([np.percentile(np.abs(differences), 99.5) for differences in steps])


def grid(pixels: Pixels) -> float:
    """Strongest regular pattern of the steps between columns and between rows, over those around.

    The lesser of both, at any period up to 16 pixels: blocks of JPEG, also of a copy that was resized
    afterwards, and large pixels. About 0.05 without a grid, up to 2 with blocks of one colour.
    """
    from scipy.ndimage import uniform_filter1d

    luma_plane = luma(pixels)
    if min(luma_plane.shape) < 2:
        return 0.0  # a single row or column has no steps
    strongest_waves = []
    for plane in (luma_plane, luma_plane.T):
        steps = np.abs(np.diff(plane, axis=1)).mean(axis=0)
        count = len(steps)
        relative = steps / np.maximum(uniform_filter1d(steps, 9), 0.05)
        windowed = (relative - relative.mean()) * np.hanning(count)
        waves = np.abs(np.fft.rfft(windowed)) * 4 / count
        strongest_waves.append(float(waves[count // 16 + 1 :].max(initial=0)))
    return min(strongest_waves)


def saturation(pixels: Pixels) -> float:
    """Mean distance of the largest and smallest channel over the mean of the largest, 0..1."""
    largest = largest_channel(pixels)
    distance = float((largest - smallest_channel(pixels)).mean())
    return distance / max(float(largest.mean()), 1.0)


def edge_colour(pixels: Pixels) -> tuple[float, float, float]:
    """Strength of the edges in red, green and blue, in levels: the colour of the light.

    By the grey-edge hypothesis (van de Weijer, Gevers and Gijsenij, Edge-based color constancy, 2007). Root
    mean square of differences between means of 4 x 4 pixels, since JPEG does not keep the colour of pixels.
    """
    means = _cell_means(pixels)
    squares = [np.square(np.diff(means, axis=axis)).reshape(-1, 3) for axis in (0, 1)]
    strength = np.sqrt(np.concatenate(squares).sum(axis=0) / max(means[..., 0].size, 1))
    red, green, blue = np.maximum(strength, 0.5).tolist()
    return red, green, blue


def _cell_means(pixels: Pixels) -> Float32:
    # In an image of less than 16 pixels a side, the pixels.
    side = 4 if min(pixels.shape[:2]) >= 16 else 1
    return np.asarray(in_blocks(pixels, side).astype(np.float32).mean(axis=(1, 3)))


def grid_zeros(pixels: Pixels) -> float:
    """Cosine coefficients that are nearly zero on the 8 x 8 grid of JPEG, beyond those off the grid.

    Quantization makes zeros on the grid alone (Fan and de Queiroz, Identification of bitmap compression
    history, 2003). -1..1, about 0 for an image without a trace of JPEG.
    """
    plane = luma(pixels)
    if min(plane.shape) < 16:
        return 0.0
    return _near_zero_share(plane) - _near_zero_share(plane[4:, 4:])


def file_quality(file: bytes | None) -> float:
    """Quality 1..100 whose luminance table, scaled by libjpeg, has the sum nearest to a JPEG's; or NaN."""
    if file is None or file[:3] != b"\xff\xd8\xff":
        return float("nan")
    return 1.0 + float(np.abs(_table_sums() - _table_sum(file)).argmin())


@cache
def _table_sums() -> Int64:
    """Return the sums of the tables of qualities 1 to 100."""
    black = np.zeros((8, 8, 3), np.uint8)
    files = [encoded(black, "JPEG", quality=quality) for quality in range(1, 101)]
    return np.array([_table_sum(file) for file in files])


def _table_sum(file: bytes) -> int:
    with JpegImagePlugin.JpegImageFile(io.BytesIO(file)) as image:
        return sum(image.quantization[0])


def _near_zero_share(plane: Float32) -> float:
    # Without the first row and column of each block.
    from scipy.fft import dctn

    coefficients = dctn(in_blocks(plane), axes=(1, 3), norm="ortho")
    return float((np.abs(coefficients[:, 1:, :, 1:]) < 0.5).mean())


Levels = tuple[float, float]
"""Levels below which 5 % and 95 % of an image's luma lie, 0..255."""


def end_levels(pixels: Pixels) -> Levels:
    """Measure the dark and the bright level."""
    low, high = np.percentile(luma(pixels), (5, 95)).tolist()
    return low, high


def usual_levels(photos: Pictures) -> Levels:
    """Measure the dark and the bright level of images: the median of each over all of them."""
    levels = [end_levels(photo.pixels) for photo in as_photos(photos)]
    low, high = np.median(levels, axis=0).tolist()
    return low, high


def noise_deviation(pixels: Pixels) -> float:
    """Read the standard deviation of Gaussian noise, in levels, in an image that is known to be noisy.

    The mask of Immerkaer, as `noise_level`, but on the tenth of the blocks in which the
    fewest values are cut off at black and white, where there is less noise than was added.
    """
    clipped = ((pixels == 0) | (pixels == 255)).mean(axis=-1)[1:-1, 1:-1]
    clipped_shares = in_blocks(clipped).mean(axis=(1, 3))
    squares = in_blocks(noise_mask(luma(pixels)) ** 2).mean(axis=(1, 3))
    square = np.median(squares[clipped_shares <= np.quantile(clipped_shares, 0.1)])
    deviation = np.sqrt(square) / _MASKED_DEVIATION
    return float(np.interp(deviation, _MEASURED_DEVIATIONS, _ADDED_DEVIATIONS))


def blur_radius(pixels: Pixels) -> float:
    """Read the standard deviation, in pixels, of the Gaussian blur that the sharpest edges show.

    By how much an edge loses when it is blurred once more (Zhuo and Sim, Defocus map estimation from a single
    image, 2011), which does not depend on its contrast.
    """
    from scipy import ndimage

    luma_plane = luma(pixels)
    slopes = np.hypot(*np.gradient(luma_plane))
    blurred = ndimage.gaussian_filter(luma_plane, _SECOND_BLUR)
    blurred_slopes = np.hypot(*np.gradient(blurred))
    edges = slopes >= np.percentile(slopes, 99.5)
    ratio = float(np.median(slopes[edges] / np.maximum(blurred_slopes[edges], 1e-3)))
    return _SECOND_BLUR / float(np.sqrt(max(ratio**2 - 1, 0.09)))


WINDOW = 512
"""Pixels a side of the middle part of a larger image where texture is measured, and of the grid for light
and colour."""


class Sample:
    """An image and what its measures share; `window` is as `WINDOW`, None for every pixel."""

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
