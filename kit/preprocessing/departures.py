"""How a result departs from what a pipeline makes of a photo: in places, slowly, in detail or at random."""

import numpy as np
import scipy  # its heavy parts are imported when they are used

from kit._arrays import Array, Float64

# Of the variation of a difference, from which on it is a shade that changes slowly over an image.
SHADED_SHARE = 0.9
# From which on it is more or less of the image's own fine detail.
DETAILED_SHARE = 0.15
# Pixels a side over which fine grain is averaged.
AVERAGED_PIXELS = 8
# Of the spread of a difference that is left at most then.
GRAIN_SMOOTHED_SHARE = 0.3
# Pixels over which an image is averaged to tell its fine detail.
DETAIL_PIXELS = 1.0
# Parts of a side in which the contrast of two images is compared.
PLACES_PER_SIDE = 8
# Pixels a side of a square of one colour that is no part of a photo.
FLAT_PIXELS = 5
# Of all pixels, which something covers at least in one place.
LEAST_COVERED_SHARE = 0.005
# Of such places.
BOXES_NAMED = 3
_TINY = 1e-9


def departure_words(image: Float64, result: Float64) -> str:
    """Say what kind of difference there is between an image and a result, both in levels (H, W)."""
    difference = result - image
    height, width = image.shape
    down, right = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    places = [down, right, down**2, right**2, down * right, np.ones_like(image)]
    shades = [*places, *(place * image for place in places)]
    if _explained(shades, difference)[0] >= SHADED_SHARE:
        return "which change slowly over the image, as in a vignette or a gradient"
    detail_share, (sharpness,) = _explained([_detail(image)], difference)
    if detail_share >= DETAILED_SHARE:
        if sharpness < 0:
            return "for want of fine detail, as after a blur, a smaller size, JPEG or another filter"
        return "of more fine detail, as after sharpening, more local contrast or another filter"
    averaged = scipy.ndimage.uniform_filter(difference, AVERAGED_PIXELS)
    if np.std(averaged) <= GRAIN_SMOOTHED_SHARE * np.std(difference):
        return "of fine grain, as from added noise, dithering or JPEG compression"
    return "so something else happens there, too"


def _detail(image: Float64) -> Float64:
    return np.asarray(image - scipy.ndimage.gaussian_filter(image, DETAIL_PIXELS))


def _explained(causes: list[Float64], difference: Float64) -> tuple[float, Float64]:
    """Return the share of the variation of a difference that a sum of images explains, and their factors."""
    columns = np.stack([cause.ravel() for cause in causes], axis=-1)
    columns = columns - columns.mean(axis=0)
    centred = difference.ravel() - difference.mean()
    factors = np.linalg.lstsq(columns, centred)[0]
    rest = np.sum((centred - columns @ factors) ** 2)
    return float(1 - rest / (np.sum(centred**2) + _TINY)), factors


def local_correlation(first: Float64, second: Float64) -> float:
    """Return how alike two images (H, W) are from place to place, whatever their brightness there.

    0 to 1, the correlation of both beside their local means.
    """
    side = max(3, min(first.shape) // PLACES_PER_SIDE)
    product = 1.0
    spread = 1.0
    for image in (first, second):
        soft = scipy.ndimage.gaussian_filter(image, DETAIL_PIXELS)
        detail = soft - scipy.ndimage.uniform_filter(soft, side)
        product = product * detail
        spread = spread * np.sqrt(scipy.ndimage.uniform_filter(detail**2, side).clip(0))
    return float(abs(np.sum(product)) / (np.sum(spread) + _TINY))


def flat_places(image: Float64) -> Array:
    """Return which pixels of an image (H, W, C) lie in a square of one colour, bool (H, W)."""
    largest = scipy.ndimage.maximum_filter(image, (FLAT_PIXELS, FLAT_PIXELS, 1))
    least = scipy.ndimage.minimum_filter(image, (FLAT_PIXELS, FLAT_PIXELS, 1))
    is_flat = np.all(largest - least <= _TINY, axis=-1)
    return np.asarray(scipy.ndimage.maximum_filter(is_flat, FLAT_PIXELS))


def boxes_words(is_covered: Array) -> str:
    """Say in which rows and columns the largest places lie; empty where none is large enough."""
    labels, _ = scipy.ndimage.label(is_covered)
    boxes: list[str] = []
    for box in scipy.ndimage.find_objects(labels):
        rows, columns = (f"{edges.start} to {edges.stop}" for edges in box)
        if is_covered[box].sum() >= LEAST_COVERED_SHARE * is_covered.size:
            boxes.append(f"rows {rows} and columns {columns}")
    return " and in ".join(boxes[:BOXES_NAMED])
