"""Undoing what happened to an image: light, colour, noise, blur and the blocks of JPEG.

Detail that is lost stays lost: the result is nearer to what was there, and no more. What is named `without_…`
takes uint8 pixels (H, W, 3) and the amount, and returns new pixels of the same shape. What stands in a row of
`kit.perturbation.conditions` takes the same and returns several versions, since a network may take one of
them amiss.
"""

import numpy as np
from PIL import Image, ImageFilter, ImageOps

from kit._arrays import Float32, Pixels
from kit.images.photo import Photo
from kit.images.properties import Levels, bright_level, edge_colour, end_levels, luma
from kit.perturbation.physics import jpeg_quality as compressed, to_pixels

_NOISE_DEVIATIONS = 2.7
"""Standard deviations below which a cosine coefficient is taken for noise."""
_GRID_STEP = 3
"""Pixels between one grid of blocks and the next."""
_POWER_RATIO = 4e-3
"""Power of what is not the image over that of the image, at all frequencies."""
_JPEG_GRIDS = ((0, 0), (2, 3), (4, 4), (5, 2), (1, 6), (6, 6), (3, 1), (4, 0), (0, 4))
"""Where the grids of JPEG begin that are laid over a compressed image, row and column."""
_DIMMING = 0.65
_ORDINARY_LEVELS = (31, 204)
"""Dark and bright level of an ordinary photo."""


def restored(
    photo: Photo,
    *,
    noise: float = 0,
    blur: float = 0,
    jpeg_quality: float | None = None,
) -> Photo:
    """Undo what a `kit.Perturbation` with the same words does, roughly, from the file back to the lens.

    ``noise`` and ``blur`` are standard deviations, of Gaussian noise in levels and of a Gaussian blur in
    pixels; ``jpeg_quality``, 1..100, is that of the image's file, None where its blocks are left alone.
    """
    pixels = photo.pixels
    if jpeg_quality is not None:
        pixels = without_blocks(pixels, jpeg_quality)
    if noise > 0:
        pixels = without_noise(pixels, noise)
    if blur > 0:
        pixels = without_blur(pixels, blur)
    return photo.altered(pixels, "restored")


def relevelled(photo: Photo, levels: Levels) -> Photo:
    """Stretch and move all values so that dark and bright levels become these, as of `usual_levels`.

    That undoes added levels, a factor, or both, except where values had been clipped.
    """
    low, high = end_levels(photo.pixels)
    slope = (levels[1] - levels[0]) / (high - low) if high > low else 1.0
    table = to_pixels((np.arange(256) - low) * slope + levels[0])
    return photo.altered(table[photo.pixels], "levels corrected")


def denoised(photo: Photo) -> Photo:
    """Take noise out: the median of 3 x 3 pixels, then a Gaussian of 0.8 pixels; fine detail goes with it."""
    image = Image.fromarray(photo.pixels).filter(ImageFilter.MedianFilter(3))
    smooth = image.filter(ImageFilter.GaussianBlur(0.8))
    return photo.altered(np.asarray(smooth), "noise taken out")


def without_noise(pixels: Pixels, deviation: float) -> Pixels:
    """Leave out what is no larger than noise, a deviation in levels, in cosine transforms of 8 x 8 blocks.

    The mean over shifted grids (Coifman and Donoho, Translation-invariant de-noising, 1995), in which blocks
    that few coefficients describe weigh more.
    """
    height, width = pixels.shape[:2]
    edges = ((0, 0), (8, 8 + -height % 8), (8, 8 + -width % 8))
    noisy = np.pad(pixels.transpose(2, 0, 1).astype(np.float32), edges, "symmetric")
    total = np.zeros_like(noisy)
    weights = np.zeros_like(noisy[0])
    for top in range(0, 8, _GRID_STEP):
        for left in range(0, 8, _GRID_STEP):
            # The edges leave room for grids that begin later and end a block earlier.
            grid = np.s_[..., top : top - 8, left : left - 8]
            weighted, weight = _without_small_coefficients(
                noisy[grid], _NOISE_DEVIATIONS * deviation
            )
            total[grid] += weighted
            weights[grid] += weight
    inside = np.s_[..., 8 : 8 + height, 8 : 8 + width]
    return to_pixels((total[inside] / weights[inside]).transpose(1, 2, 0))


def _without_small_coefficients(
    planes: Float32, limit: float
) -> tuple[Float32, Float32]:
    """Return three planes (3, H, W) without small coefficients, times a weight, and the weights (H, W)."""
    from scipy import fft

    _, height, width = planes.shape
    cells = planes.reshape(3, height // 8, 8, width // 8, 8)
    blocks = fft.dctn(cells, axes=(2, 4), norm="ortho")
    large = np.abs(blocks) > limit
    large[:, :, 0, :, 0] = True
    weight = 1 / large.sum(axis=(0, 2, 4), keepdims=True, dtype=np.float32)
    weighted = fft.idctn(blocks * large * weight, axes=(2, 4), norm="ortho")
    weights = np.kron(weight[0, :, 0, :, 0], np.ones((8, 8), np.float32))
    return weighted.reshape(planes.shape), weights


def without_blur(pixels: Pixels, radius: float) -> Pixels:
    """Turn a Gaussian blur, a deviation in pixels, back as far as the rounding of levels lets it (Wiener)."""
    from scipy import fft

    margin = int(4 * radius) + 1
    margins = ((margin, margin), (margin, margin), (0, 0))
    padded = np.pad(pixels.astype(np.float32), margins, "symmetric")
    height, width, _ = padded.shape
    squares = fft.fftfreq(height)[:, None] ** 2 + fft.rfftfreq(width) ** 2
    gains = np.exp(-2 * (np.pi * radius) ** 2 * squares).astype(np.float32)[..., None]
    wiener = gains / (gains**2 + _POWER_RATIO)
    spectrum = fft.rfft2(padded, axes=(0, 1)) * wiener
    sharp = fft.irfft2(spectrum, (height, width), axes=(0, 1))
    return to_pixels(np.ascontiguousarray(sharp[margin:-margin, margin:-margin]))


def without_blocks(pixels: Pixels, quality: float) -> Pixels:
    """Smooth the grid of a JPEG of a quality 1..100: the mean of versions compressed again on other grids.

    Nosratinia, Enhancement of JPEG-compressed images by re-application of JPEG, 2001.
    """
    total = np.zeros(pixels.shape, np.float32)
    for top, left in _JPEG_GRIDS:
        moved = np.pad(pixels, ((top, 0), (left, 0), (0, 0)), "edge")
        total += compressed(moved, round(quality))[top:, left:]
    return to_pixels(total / len(_JPEG_GRIDS))


def brightened(pixels: Pixels, _amount: float) -> list[Pixels]:
    """Bring the light of a dark image back."""
    bright = max(bright_level(pixels), 1.0)
    if bright >= 105:  # only the middle is dark, as by a gamma
        middle = np.clip(np.median(luma(pixels)), 1, 100) / 255
        powers = (np.log(level / 255) / np.log(middle) for level in (80, 105))
        return [to_pixels(255 * (pixels / 255) ** power) for power in powers]
    return [
        to_pixels(pixels * (204 / bright)),
        to_pixels(pixels * (160 / bright)),
        _spread(pixels, _ORDINARY_LEVELS),
    ]


def contrasted(pixels: Pixels, _amount: float) -> list[Pixels]:
    """Spread the levels."""
    versions = (_ORDINARY_LEVELS, (31, 170), (60, 190))
    return [_spread(pixels, levels) for levels in versions]


def dimmed(pixels: Pixels) -> Pixels:
    """Take some light from an image."""
    return to_pixels(pixels * _DIMMING)


def darkened(pixels: Pixels, _amount: float) -> list[Pixels]:
    """Take light from an image that is too bright, and even its levels out."""
    equalized = np.asarray(ImageOps.equalize(Image.fromarray(pixels)))
    darker = dimmed(pixels)
    return [dimmed(equalized), darker[:, ::-1], _shrunk(darker)]


def cleaned(pixels: Pixels, amount: float) -> list[Pixels]:
    """Remove noise."""
    # To a network, detail that goes does more harm than noise that stays.
    cautious, thorough = (without_noise(pixels, share * amount) for share in (0.4, 0.7))
    return [
        cautious,
        thorough[:, ::-1],
        _shrunk(thorough),
        denoised(Photo(pixels)).pixels,
    ]


def deblurred(pixels: Pixels, amount: float) -> list[Pixels]:
    """Sharpen, by two filters."""
    masked = ImageFilter.UnsharpMask(radius=3, percent=200, threshold=0)
    twice = np.asarray(Image.fromarray(pixels).filter(masked).filter(masked))
    cautious = without_blur(pixels, 0.8 * amount)
    return [twice, without_blur(pixels, amount), _shrunk(cautious)]


def balanced(pixels: Pixels, _amount: float) -> list[Pixels]:
    """Make the channels equal: by their edges, as `edge_colour`, by their means, and half-way."""
    light = np.stack([edge_colour(pixels), np.maximum(pixels.mean(axis=(0, 1)), 1)])
    gains = np.exp(np.log(light).mean(axis=1, keepdims=True)) / light
    return [to_pixels(pixels * gain) for gain in (*gains, np.sqrt(gains[0]))]


def smoothed(pixels: Pixels, amount: float) -> list[Pixels]:
    """Smooth the blocks of JPEG, or show them elsewhere."""
    return [without_blocks(pixels, amount)[:, ::-1], pixels[:, ::-1], _shrunk(pixels)]


def _spread(pixels: Pixels, levels: Levels) -> Pixels:
    return relevelled(Photo(pixels), levels).pixels


def _shrunk(pixels: Pixels) -> Pixels:
    """Show an image at 0.7 of its size amid its mirror images: what is left of noise and blur shrinks."""
    height, width = pixels.shape[:2]
    tall = round(0.7 * height)
    wide = round(0.7 * width)
    small = Image.fromarray(pixels).resize((wide, tall), Image.Resampling.BICUBIC)
    top = (height - tall) // 2
    left = (width - wide) // 2
    edges = ((top, height - tall - top), (left, width - wide - left), (0, 0))
    return np.pad(np.asarray(small), edges, "symmetric")
