"""Taking noise, blur and the blocks of JPEG out of an image, where their amount is known.

Detail that is lost stays lost: the result is nearer to what was there, and no more. But for `restored`, each
function takes uint8 pixels (H, W, 3) and the amount, and returns new pixels of the same shape.
"""

import numpy as np

from kit._arrays import Float32, Pixels
from kit.images import Photo
from kit.images.properties import in_blocks, luma, noise_mask
from kit.perturbation.physics import jpeg_quality, to_pixels

# Standard deviations below which a cosine coefficient is taken for noise.
_LIMIT = 2.7
# Pixels between one grid of blocks and the next.
_STEP = 3
# Power of what is not the image over that of the image, at all frequencies.
_SHARE = 4e-3
# Where the grids of JPEG begin that are laid over a compressed image, row and column.
_GRIDS = ((0, 0), (2, 3), (4, 4), (5, 2), (1, 6), (6, 6), (3, 1), (4, 0), (0, 4))
# What the mask of `noise_deviation` makes of a standard deviation of one in each channel; what it measures
# where much is added, since much is cut off nearly everywhere.
_MASKED = 6 * 0.669
_MEASURED, _ADDED = (0, 10, 20, 29.5, 55, 76.7), (0, 10, 20, 30, 60, 100)
_ONCE_MORE = 3.0


def restored(
    photo: Photo,
    *,
    noise: float = 0,
    blur: float = 0,
    jpeg_quality: float | None = None,
) -> Photo:
    """Undo what a `kit.Perturbation` with the same words does, roughly, from the file back to the lens.

    Parameters
    ----------
    noise, blur
        Standard deviations of Gaussian noise, in levels, and of a Gaussian blur, in pixels.
    jpeg_quality
        Of the file that the image comes from, 1..100; None where its blocks are left alone.
    """
    pixels = photo.pixels
    if jpeg_quality is not None:
        pixels = without_blocks(pixels, jpeg_quality)
    for undo, amount in ((without_noise, noise), (without_blur, blur)):
        if amount > 0:
            pixels = undo(pixels, amount)
    return photo.altered(pixels, "restored")


def without_noise(pixels: Pixels, deviation: float) -> Pixels:
    """Leave out what is no larger than noise, a deviation in levels, in cosine transforms of 8 x 8 blocks.

    The mean over shifted grids (Coifman and Donoho, Translation-invariant de-noising, 1995), in which blocks
    that few coefficients describe weigh more.
    """
    height, width = pixels.shape[:2]
    edges = ((0, 0), (8, 8 + -height % 8), (8, 8 + -width % 8))
    noisy = np.pad(pixels.transpose(2, 0, 1).astype(np.float32), edges, "symmetric")
    total, weights = np.zeros_like(noisy), np.zeros_like(noisy[0])
    for top in range(0, 8, _STEP):
        for left in range(0, 8, _STEP):
            # The edges leave room for grids that begin later and end a block earlier.
            part = np.s_[..., top : top - 8, left : left - 8]
            values, weight = _large(noisy[part], _LIMIT * deviation)
            total[part] += values
            weights[part] += weight
    inside = np.s_[..., 8 : 8 + height, 8 : 8 + width]
    return to_pixels((total[inside] / weights[inside]).transpose(1, 2, 0))


def _large(planes: Float32, limit: float) -> tuple[Float32, Float32]:
    """Return three planes (3, H, W) without small coefficients, times a weight, and the weights (H, W)."""
    from scipy import fft

    _, height, width = planes.shape
    cells = planes.reshape(3, height // 8, 8, width // 8, 8)
    blocks = fft.dctn(cells, axes=(2, 4), norm="ortho")
    kept = np.abs(blocks) > limit
    kept[:, :, 0, :, 0] = True
    weight = np.float32(1) / kept.sum(axis=(0, 2, 4), keepdims=True, dtype=np.float32)
    values = fft.idctn(blocks * kept * weight, axes=(2, 4), norm="ortho")
    return values.reshape(planes.shape), np.kron(
        weight[0, :, 0, :, 0], np.ones((8, 8), np.float32)
    )


def without_blur(pixels: Pixels, radius: float) -> Pixels:
    """Turn a Gaussian blur, a deviation in pixels, back as far as the rounding of levels lets it (Wiener)."""
    from scipy import fft

    height, width = pixels.shape[:2]
    edge = int(4 * radius) + 1
    # A length that splits into small factors is transformed fast.
    shape = [fft.next_fast_len(side + 2 * edge, real=True) for side in (height, width)]
    edges = [
        (edge, length - side - edge)
        for length, side in zip(shape, (height, width), strict=True)
    ]
    soft = np.pad(pixels.astype(np.float32), (*edges, (0, 0)), "symmetric")
    squares = fft.fftfreq(shape[0])[:, None] ** 2 + fft.rfftfreq(shape[1]) ** 2
    passed = np.exp(-2 * (np.pi * radius) ** 2 * squares).astype(np.float32)[..., None]
    spectrum = fft.rfft2(soft, axes=(0, 1)) * (
        passed / (passed**2 + np.float32(_SHARE))
    )
    sharp = fft.irfft2(spectrum, shape, axes=(0, 1))[
        edge : edge + height, edge : edge + width
    ]
    return to_pixels(np.ascontiguousarray(sharp))


def without_blocks(pixels: Pixels, quality: float) -> Pixels:
    """Smooth the grid of a JPEG of a quality 1..100: the mean of versions compressed again on other grids.

    Nosratinia, Enhancement of JPEG-compressed images by re-application of JPEG, 2001.
    """
    total = np.zeros(pixels.shape, np.float32)
    for top, left in _GRIDS:
        moved = np.pad(pixels, ((top, 0), (left, 0), (0, 0)), "edge")
        total += jpeg_quality(moved, round(quality))[top:, left:]
    return to_pixels(total / len(_GRIDS))


def noise_deviation(pixels: Pixels) -> float:
    """Read the standard deviation of Gaussian noise, in levels, in an image that is known to be noisy.

    The mask of Immerkaer, as `kit.images.properties.noise_level`, but on the tenth of the blocks in which the
    fewest values are cut off at black and white, where there is less noise than was added.
    """
    cut = ((pixels == 0) | (pixels == 255)).mean(axis=-1)[1:-1, 1:-1]
    squares, shares = (
        in_blocks(each).mean(axis=(1, 3))
        for each in (noise_mask(luma(pixels)) ** 2, cut)
    )
    measured = np.sqrt(np.median(squares[shares <= np.quantile(shares, 0.1)])) / _MASKED
    return float(np.interp(measured, _MEASURED, _ADDED))


def blur_radius(pixels: Pixels) -> float:
    """Read the standard deviation, in pixels, of the Gaussian blur that the sharpest edges show.

    By how much an edge loses when it is blurred once more (Zhuo and Sim, Defocus map estimation from a single
    image, 2011), which does not depend on its contrast.
    """
    from scipy import ndimage

    light = luma(pixels)
    before, after = (
        np.hypot(*np.gradient(each))
        for each in (light, ndimage.gaussian_filter(light, _ONCE_MORE))
    )
    edges = before >= np.percentile(before, 99.5)
    ratio = float(np.median(before[edges] / np.maximum(after[edges], 1e-3)))
    return _ONCE_MORE / float(np.sqrt(max(ratio**2 - 1, 0.09)))
