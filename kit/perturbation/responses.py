"""How images, measured by all quantities, respond to each alteration."""

from collections.abc import Iterable, Sequence

import numpy as np

from kit._arrays import Float64
from kit.images import Photo
from kit.images.properties import Sample
from kit.perturbation.conditions import ALTERATIONS, QUANTITIES, measures


def measured_rows(photos: Iterable[Photo]) -> Float64:
    """Measure images: float64 (images, quantities)."""
    rows = [measures(photo, QUANTITIES.values()) for photo in photos]
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


def responses(photos: Sequence[Photo]) -> Float64:
    """Measure how far each alteration moves each quantity on some images, on average.

    Returns float64 (alterations, strengths, quantities) on the scale of `Condition.scaled`; NaN where a
    quantity is not measured.
    """
    before = scaled_rows(measured_rows(photos))
    moved = []
    for alteration in ALTERATIONS.values():
        for strength in alteration.strengths:
            altered = (alteration.apply(photo, strength) for photo in photos)
            moved.append(mean_known(scaled_rows(measured_rows(altered)) - before))
    return np.stack(moved).reshape(len(ALTERATIONS), -1, len(QUANTITIES))


def middle(photo: Photo, side: int = 256) -> Photo:
    """Return the middle of a photo, `side` pixels at most in height and width; itself where it is smaller."""
    pixels = Sample(photo, side).middle
    return photo if pixels.shape == photo.pixels.shape else photo.altered(pixels)
