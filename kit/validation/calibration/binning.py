"""Bins of pictures by confidence, to tell how often a network is right where it says 80 %."""

from dataclasses import dataclass

import numpy as np

from kit._arrays import Bools, Float64, Int64
from kit.validation.accuracy import accuracy_interval


@dataclass(frozen=True)
class Bin:
    """Pictures whose confidence lies above `low` and up to `high`.

    Attributes
    ----------
    low, high
        Confidence, 0..1; the first bin holds its lower edge as well.
    count
        Number of pictures.
    confidence
        Mean confidence of these pictures, 0..1.
    accuracy
        Share of them that is answered rightly, 0..1.
    interval
        95 % confidence interval of that share (Wilson 1927, doi 10.1080/01621459.1927.10502953).
    """

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float
    interval: tuple[float, float]


def equal_width(count: int) -> Float64:
    """Return the edges of bins of one width: float64, shape (count + 1,), 0 to 1."""
    return np.linspace(0, 1, count + 1)


def equal_mass(confidences: Float64, count: int) -> Float64:
    """Return edges with the same number of pictures in every bin, as far as equal confidences allow.

    Parameters
    ----------
    confidences
        float64, shape (N,), 0..1.
    count
        Number of bins; some stay empty where many confidences are equal.

    Returns
    -------
    float64, shape (count + 1,)
        Quantiles of `confidences`, ascending.
    """
    return np.quantile(confidences, np.linspace(0, 1, count + 1))


def places(confidences: Float64, edges: Float64) -> Int64:
    """Return the bin of each confidence: int64, same shape, 0 to len(edges) - 2.

    A confidence on an edge belongs to the lower bin, as in the definition of the expected calibration error
    (Guo et al. 2017, arXiv 1706.04599).
    """
    return np.searchsorted(edges[1:-1], confidences)


def binned(confidences: Float64, hits: Bools, edges: Float64) -> tuple[Bin, ...]:
    """Put pictures into bins; bins without a picture are left out.

    Parameters
    ----------
    confidences
        float64, shape (N,), 0..1.
    hits
        bool, shape (N,): whether the answer is right.
    edges
        float64, shape (bins + 1,), ascending.
    """
    found = places(confidences, edges)
    bins = []
    for place in np.unique(found).tolist():
        inside = found == place
        low, high = edges[place : place + 2].tolist()
        share, confidence = accuracy_interval(hits[inside]), float(confidences[inside].mean())
        bins.append(Bin(low, high, share.count, confidence, share.accuracy, (share.low, share.high)))
    return tuple(bins)
