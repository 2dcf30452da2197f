"""How a picture is measured: light, colour, texture, traces of JPEG; a function for each measure."""

import io
from functools import cache

import numpy as np
from PIL import JpegImagePlugin

from kit._arrays import Bools, Float32, Int64, Pixels

# The tenth percentile of the root mean square in a block of correlated noise, over that of all blocks.
_FLATTEST = 0.78

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)

# Luminance table of the JPEG standard (ITU-T T.81, table K.1), in rows of 16.
_STANDARD = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99],
    ]
)


def luma(pixels: Pixels) -> Float32:
    """Return the ITU-R 601 luma, float32 (H, W), 0..255."""
    plane: Float32 = pixels.astype(np.float32) @ _LUMA
    return plane


def bright_level(pixels: Pixels) -> float:
    """Level below which 95 % of the picture lies, 0..255: low in a dark picture, whatever its subject."""
    return float(np.percentile(luma(pixels), 95))


def dark_level(pixels: Pixels) -> float:
    """Level below which 5 % of the picture lies, 0..255: high in a picture that is too bright."""
    return float(np.percentile(luma(pixels), 5))


def clipping(pixels: Pixels) -> float:
    """Share of the picture in which a channel is cut off at white, 0..1, a white ground left out.

    In means of 4 x 4 pixels, which noise alone does not bring to white. Of those that are white in all
    channels, the share that the border has of them is left out: all in a picture of something on white, none
    where a part of the scene is too bright.
    """
    cut = _means(pixels) >= 250
    white: Bools = np.asarray(cut.all(axis=-1))
    border = np.concatenate([white[0], white[-1], white[:, 0], white[:, -1]])
    ground = float(border.mean() * white.sum())
    return (float(cut.any(axis=-1).sum()) - ground) / max(white.size - ground, 1.0)


def level_range(pixels: Pixels) -> float:
    """Levels between the 5th and the 95th percentile, 0..255."""
    low, high = np.percentile(luma(pixels), (5, 95))
    return float(high - low)


def relative_contrast(pixels: Pixels) -> float:
    """Range of levels over the sum of its ends (Michelson), 0..1, which less light alone does not lower."""
    low, high = dark_level(pixels), bright_level(pixels)
    return (high - low) / max(high + low, 1.0)


def noise_level(pixels: Pixels) -> float:
    """Noise as a standard deviation in levels, from the flattest tenth of the picture.

    The mask of Immerkaer (Fast noise variance estimation, 1996), which a slope passes without a trace, in
    blocks of 8 x 8; the tenth percentile over the blocks leaves texture out.
    """
    # Luma has 0.67 of it where the channels have noise of their own.
    return _flattest_noise(luma(pixels)) / float(np.linalg.norm(_LUMA))


def colour_noise(pixels: Pixels) -> float:
    """Noise as a standard deviation in levels, where each channel has noise of its own.

    As `noise_level`, in the difference of red and blue, in which the edges of most things cancel.
    """
    difference = pixels[..., 0].astype(np.float32) - pixels[..., 2]
    return _flattest_noise(difference) / float(np.sqrt(2))


def _flattest_noise(x: Float32) -> float:
    if min(x.shape) < 10:
        return 0.0
    rows = x[:-2] - 2 * x[1:-1] + x[2:]
    mask = rows[:, :-2] - 2 * rows[:, 1:-1] + rows[:, 2:]
    height, width = (side // 8 * 8 for side in mask.shape)
    blocks = mask[:height, :width].reshape(height // 8, 8, width // 8, 8)
    flattest = float(np.percentile(np.sqrt((blocks**2).mean(axis=(1, 3))), 10))
    # The mask makes 6 of one standard deviation.
    return flattest / _FLATTEST / 6


def sharpness(pixels: Pixels) -> float:
    """Share of a step that the sharpest edges make between two neighbouring pixels, 0..1.

    The 99.5th percentile of neighbour differences over the range of levels; about 1 / (2.5 r) after a
    Gaussian blur of radius r.
    """
    x = luma(pixels)
    steps = np.concatenate([np.abs(np.diff(x, axis=axis)).reshape(-1) for axis in (0, 1)])
    if not steps.size:
        return 0.0  # a single pixel has no edges
    return float(np.percentile(steps, 99.5)) / max(level_range(pixels), 8.0)


def block_edges(pixels: Pixels) -> float:
    """Differences across the 8 x 8 grid of JPEG over those beside it; 1 where no grid is to be seen."""
    x = luma(pixels)
    ratios = []
    for plane in (x, x.T):
        steps = np.abs(np.diff(plane, axis=1)).mean(axis=0)
        across = steps[7::8]
        if across.size < 2:
            return 1.0
        beside = np.delete(steps, np.s_[7::8])
        ratios.append(float(np.median(across)) / max(float(np.median(beside)), 0.05))
    return float(np.mean(ratios))


def colourfulness(pixels: Pixels) -> float:
    """Mean distance between the largest and the smallest channel, in levels."""
    spread: float = (pixels.max(axis=-1).astype(np.int16) - pixels.min(axis=-1)).mean()
    return float(spread)


def saturation(pixels: Pixels) -> float:
    """Mean distance of the largest and smallest channel over the mean of the largest, 0..1."""
    return colourfulness(pixels) / max(float(pixels.max(axis=-1).mean()), 1.0)


def edge_colour(pixels: Pixels) -> tuple[float, float, float]:
    """Strength of the edges in red, green and blue, in levels: the colour of the light.

    The grey-edge hypothesis (van de Weijer, Gevers and Gijsenij, Edge-based color constancy, 2007): edges are
    neutral on average, and vary far less from picture to picture than mean colours do. Root mean square of
    the differences between means of 4 x 4 pixels, since JPEG does not keep the colour of single pixels.
    """
    means = _means(pixels)
    squares = [np.square(np.diff(means, axis=axis)).reshape(-1, 3) for axis in (0, 1)]
    strength = np.sqrt(np.concatenate(squares).sum(axis=0) / max(means[..., 0].size, 1))
    red, green, blue = np.maximum(strength, 0.5).tolist()
    return red, green, blue


def _means(pixels: Pixels) -> Float32:
    """Means of 4 x 4 pixels, float32 (H / 4, W / 4, 3); in a picture of less than 16 a side the pixels."""
    side = 4 if min(pixels.shape[:2]) >= 16 else 1
    height, width = (length // side for length in pixels.shape[:2])
    whole = pixels[: height * side, : width * side].astype(np.float32)
    means: Float32 = whole.reshape(height, side, width, side, 3).mean(axis=(1, 3))
    return means


def grid_zeros(pixels: Pixels) -> float:
    """Cosine coefficients that are nearly zero on the 8 x 8 grid of JPEG, beyond those off the grid.

    Quantization sets coefficients of the blocks of the grid to zero; blocks that straddle the grid, and any
    blocks of a picture that only is smooth, show no such surplus (the idea of Fan and de Queiroz,
    Identification of bitmap compression history, 2003). -1..1, about 0 for a picture without a trace of
    JPEG.
    """
    x = luma(pixels)
    if min(x.shape) < 16:
        return 0.0
    return _near_zero(x) - _near_zero(x[4:, 4:])


def jpeg_quality(file: bytes | None) -> float:
    """Quality 1..100 whose scaled standard table comes nearest to the luminance table of a JPEG file.

    Scaled as by libjpeg's ``jpeg_quality_scaling`` and ``jpeg_add_quant_table``, compared by the sum. NaN for
    no JPEG.
    """
    if file is None or file[:3] != b"\xff\xd8\xff":
        return float("nan")
    with JpegImagePlugin.JpegImageFile(io.BytesIO(file)) as image:
        total = sum(image.quantization[0])
    return 1.0 + float(np.abs(_table_sums() - total).argmin())


@cache
def _table_sums() -> Int64:
    """Return the sum of the luminance table at each quality 1..100."""
    qualities = np.arange(1, 101)
    percent = np.where(qualities < 50, 5000 // qualities, 200 - 2 * qualities)
    tables = np.clip((_STANDARD.reshape(-1) * percent[:, None] + 50) // 100, 1, 255)
    sums: Int64 = tables.sum(axis=1)
    return sums


def _near_zero(plane: Float32) -> float:
    """Share of the cosine coefficients below half a level, but for the first row and column of a block."""
    height, width = (side // 8 * 8 for side in plane.shape)
    blocks = plane[:height, :width].reshape(height // 8, 8, width // 8, 8).swapaxes(1, 2)
    cosine = cosine_transform()
    coefficients = cosine @ blocks @ cosine.T
    return float((np.abs(coefficients[..., 1:, 1:]) < 0.5).mean())


@cache
def cosine_transform() -> Float32:
    """Return the orthonormal discrete cosine transform of 8 values, as a matrix."""
    place = np.arange(8)
    matrix = np.sqrt(2 / 8) * np.cos(np.pi * (2 * place[None] + 1) * place[:, None] / 16)
    matrix[0] /= np.sqrt(2)
    transform: Float32 = matrix.astype(np.float32)
    return transform
