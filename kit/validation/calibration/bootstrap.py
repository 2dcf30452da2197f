"""Bootstrap intervals of metrics that are functions of sums over the pictures.

A resample with replacement only changes how often each picture counts in these sums, so all resamples of all
metrics are products with one matrix of counts.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from kit._arrays import Bools, Float64
from kit.validation.calibration import binning

LEVEL = 0.95
"""Level of the intervals."""
# Counts of so many resamples and pictures are held at once.
_COUNTS_AT_ONCE = 4_000_000
_CLASSES_AT_ONCE = 32


@dataclass(frozen=True, repr=False)
class Estimate:
    """A measured value with its 95 % interval.

    Attributes
    ----------
    value
        On the pictures at hand.
    low, high
        Bootstrap interval over these pictures (Davison and Hinkley 1997, chapter 5): the percentile interval
        for means and shares. For calibration errors the basic one, kept around the value and at 0 or above,
        since chance adds to a calibration error and percentiles would add that twice. It begins at 0 where
        a perfectly calibrated network would show as much in one of twenty samples (not so for the classwise
        one, whose lower end may lie too high).
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f}–{self.high:.3f})"

    def __repr__(self) -> str:
        return f"Estimate({self})"


@dataclass(frozen=True, eq=False)
class Sums:
    """A metric as a function of sums over the pictures.

    Attributes
    ----------
    columns
        float64, shape (N, C): what each picture adds to each sum.
    reduce
        From sums of shape (…, C) to values of shape (…).
    """

    columns: Float64
    reduce: Callable[[Float64], Float64]

    def total(self) -> float:
        """Return the metric on the pictures as they are."""
        return float(self.reduce(self.columns.sum(axis=0)))


def mean(column: Float64) -> Sums:
    """Return the mean of a value over the pictures, float64 (N,)."""
    return Sums(column[:, None], lambda sums: np.asarray(sums[..., 0] / len(column)))


def share(part: Bools, whole: Bools) -> Sums:
    """Return the share of some pictures among others, bool (N,) each; 0 where there are no others."""
    columns = np.stack([part, whole], axis=1).astype(np.float64)
    return Sums(columns, lambda sums: np.asarray(sums[..., 0] / np.maximum(sums[..., 1], 1)))


def calibration_error(gaps: Float64, confidences: Float64, edges: Float64) -> Sums:
    """Return the mean distance of truth and probability over bins, the same bins in every resample.

    Parameters
    ----------
    gaps
        float64, shape (N,): truth minus probability of each picture.
    confidences, edges
        As for `kit.validation.calibration.binning.places`.
    """
    columns = np.zeros((len(gaps), len(edges) - 1))
    columns[np.arange(len(gaps)), binning.places(confidences, edges)] = gaps
    return Sums(columns, lambda sums: np.asarray(np.abs(sums).sum(axis=-1) / len(gaps)))


def classwise_errors(values: Float64, truth: Float64, edges: Float64) -> Iterator[Sums]:
    """Yield sums over some classes at a time that add up to the classwise error.

    The columns of a thousand classes at once would not fit into memory.

    Parameters
    ----------
    values, truth
        float64, shape (N, classes): probabilities, and 1 for the right class.
    edges
        Of the bins.
    """
    classes = values.shape[1]
    for start in range(0, classes, _CLASSES_AT_ONCE):
        parts = [
            calibration_error(truth[:, each] - values[:, each], values[:, each], edges).columns
            for each in range(classes)[start : start + _CLASSES_AT_ONCE]
        ]
        columns = np.concatenate(parts, axis=1)
        yield Sums(columns, lambda sums: np.asarray(np.abs(sums).sum(axis=-1) / values.size))


def resampled(metrics: Sequence[Sums], count: int, resamples: int, seed: int) -> list[Float64]:
    """Return each metric of `count` pictures on each resample, float64 (resamples,)."""
    rng = np.random.default_rng(seed)
    parts = []
    for size in _portions(count, resamples):
        drawn = [np.bincount(rng.integers(0, count, count), minlength=count) for _ in range(size)]
        counts = np.array(drawn, np.float64)
        parts.append([sums.reduce(counts @ sums.columns) for sums in metrics])
    return [np.concatenate(values) for values in zip(*parts, strict=True)]


def errors_by_chance(confidences: Float64, edges: Float64, resamples: int, seed: int) -> Float64:
    """Return calibration errors with answers that are right as often as the confidences say: (resamples,)."""
    rng = np.random.default_rng(seed)
    count = len(confidences)
    inside = calibration_error(np.ones(count), confidences, edges).columns
    errors = []
    for size in _portions(count, resamples):
        hits = rng.random((size, count)) < confidences
        errors.append(np.abs((hits - confidences) @ inside).sum(axis=1) / count)
    return np.concatenate(errors)


def _portions(count: int, resamples: int) -> Iterator[int]:
    at_once = max(1, _COUNTS_AT_ONCE // count)
    for start in range(0, resamples, at_once):
        yield min(at_once, resamples - start)


def percentile_interval(value: float, drawn: Float64) -> Estimate:
    """Return a value with the percentiles of its resamples."""
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(value, float(low), float(high))


def basic_interval(value: float, drawn: Float64) -> Estimate:
    """Return a value with mirrored percentiles of its resamples, kept around it and at 0 or above."""
    found = percentile_interval(value, drawn)
    return Estimate(value, max(0.0, min(value, 2 * value - found.high)), max(value, 2 * value - found.low))
