"""How far probabilities can be trusted: calibration errors and scores, each with a bootstrap interval.

Every metric here is a function of sums over the pictures. A resample with replacement only changes how often
each picture counts in these sums, so all resamples of all metrics are products with one matrix of counts.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from kit.validation.calibration import binning

Float = npt.NDArray[np.float64]
Rows = npt.NDArray[np.floating]
Labels = npt.NDArray[np.int64]

SURE = 0.9
"""Confidence above which an error counts as a sure one."""
LEVEL = 0.95
"""Level of the intervals."""
TITLES: Mapping[str, str] = MappingProxyType(
    {
        "accuracy": "right answers",
        "confidence": "mean confidence",
        "ece": "ECE (equal width)",
        "ece_equal_mass": "ECE (equal mass)",
        "classwise_ece": "classwise ECE",
        "brier": "Brier score",
        "nll": "negative log-likelihood",
        "sure_errors": f"errors above {SURE}",
    }
)
"""The metrics of `Metrics` in words."""
ERRORS = ("ece", "ece_equal_mass", "classwise_ece")
"""The metrics that are 0 only where there is no chance in them."""
# Probabilities below count as this in logarithms, as in scikit-learn's log_loss.
_SMALLEST = np.finfo(np.float64).eps
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


@dataclass(frozen=True)
class Metrics:
    """What was measured on some pictures.

    Attributes
    ----------
    pictures
        How many.
    accuracy
        Share of right answers, 0..1.
    confidence
        Mean probability of the class answered, 0..1.
    ece
        Expected calibration error over bins of equal width, 0..1 (Naeini et al. 2015; Guo et al. 2017, arXiv
        1706.04599): mean distance of accuracy and confidence in a bin, weighted by its pictures.
    ece_equal_mass
        The same over bins of equally many pictures (Nguyen and O'Connor 2015, arXiv 1508.05154).
    classwise_ece
        Mean over the classes of the error of each class's own probability, 0..1 (Kull et al. 2019, arXiv
        1910.12656), over bins of equal width.
    brier
        Mean squared distance of the probabilities from the truth, summed over the classes, 0..2 (Brier 1950).
    nll
        Mean negative natural logarithm of the probability of the right class, 0 and up.
    sure_errors
        Share of the wrong answers that are given with a confidence above 0.9; 0 where there are none.
    ece_by_chance
        `ece` that a perfectly calibrated network with these confidences would show on average, 0..1: with
        few pictures it is far from 0 (consistency resampling, Bröcker and Smith 2007,
        doi 10.1175/WAF993.1).
    """

    pictures: int
    accuracy: Estimate
    confidence: Estimate
    ece: Estimate
    ece_equal_mass: Estimate
    classwise_ece: Estimate
    brier: Estimate
    nll: Estimate
    sure_errors: Estimate
    ece_by_chance: float

    def estimates(self) -> dict[str, Estimate]:
        """Return every metric that has an interval, by the names of `TITLES`."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name in TITLES}


@dataclass(frozen=True, eq=False)
class _Sums:
    """A metric as a function of sums over the pictures.

    Attributes
    ----------
    columns
        float64, shape (N, C): what each picture adds to each sum.
    reduce
        From sums of shape (…, C) to values of shape (…).
    """

    columns: Float
    reduce: Callable[[Float], Float]

    def total(self) -> float:
        """Return the metric on the pictures as they are."""
        return float(self.reduce(self.columns.sum(axis=0)))


def measure(rows: Rows, labels: Labels, *, bins: int = 15, resamples: int = 1000, seed: int = 0) -> Metrics:
    """Measure how far probabilities can be trusted.

    Parameters
    ----------
    rows
        Shape (N, classes), rows summing to 1. Not changed.
    labels
        Shape (N,): index of the right class. Not changed.
    bins
        Bins of every calibration error.
    resamples
        Bootstrap resamples for the intervals.
    seed
        Of these resamples and of `Metrics.ece_by_chance`.
    """
    values = np.asarray(rows, np.float64)
    top, confidences = values.argmax(axis=1), values.max(axis=1)
    hits = top == labels
    own = values[np.arange(len(values)), labels]
    truth = np.zeros_like(values)
    truth[np.arange(len(values)), labels] = 1
    width, mass = binning.equal_width(bins), binning.equal_mass(confidences, bins)
    whole = {
        "accuracy": _mean(hits.astype(np.float64)),
        "confidence": _mean(confidences),
        "ece": _gaps(hits - confidences, confidences, width),
        "ece_equal_mass": _gaps(hits - confidences, confidences, mass),
        "brier": _mean(((values - truth) ** 2).sum(axis=1)),
        "nll": _mean(-np.log(np.maximum(own, _SMALLEST))),
        "sure_errors": _share(~hits & (confidences > SURE), ~hits),
    }
    drawn = _drawn(tuple(whole.values()), len(values), resamples, seed)
    found = {name: (sums.total(), each) for (name, sums), each in zip(whole.items(), drawn, strict=True)}
    # The columns of a thousand classes at once would not fit into memory.
    parts = [
        (sums.total(), _drawn((sums,), len(values), resamples, seed)[0])
        for sums in _by_class(values, truth, width)
    ]
    found["classwise_ece"] = (
        sum(total for total, _ in parts),
        np.sum([each for _, each in parts], axis=0),
    )
    estimates = {
        name: _basic(*measured) if name in ERRORS else _percentile(*measured)
        for name, measured in found.items()
    }
    chance = {
        name: _by_chance(confidences, edges, resamples, seed)
        for name, edges in (("ece", width), ("ece_equal_mass", mass))
    }
    for name, errors in chance.items():
        if estimates[name].value <= np.quantile(errors, LEVEL):
            estimates[name] = replace(estimates[name], low=0.0)
    return Metrics(pictures=len(values), ece_by_chance=float(chance["ece"].mean()), **estimates)


def _mean(column: Float) -> _Sums:
    return _Sums(column[:, None], lambda sums: np.asarray(sums[..., 0] / len(column)))


def _share(part: npt.NDArray[np.bool_], whole: npt.NDArray[np.bool_]) -> _Sums:
    columns = np.stack([part, whole], axis=1).astype(np.float64)
    return _Sums(columns, lambda sums: np.asarray(sums[..., 0] / np.maximum(sums[..., 1], 1)))


def _gaps(gaps: Float, confidences: Float, edges: Float) -> _Sums:
    """Mean distance of truth and probability over bins; the bins stay where they are in every resample."""
    columns = np.zeros((len(gaps), len(edges) - 1))
    columns[np.arange(len(gaps)), binning.places(confidences, edges)] = gaps
    return _Sums(columns, lambda sums: np.asarray(np.abs(sums).sum(axis=-1) / len(gaps)))


def _by_class(values: Float, truth: Float, edges: Float) -> Iterator[_Sums]:
    """Yield sums over some classes at a time that add up to the classwise error."""
    count, classes = values.shape
    for start in range(0, classes, _CLASSES_AT_ONCE):
        some = slice(start, start + _CLASSES_AT_ONCE)
        parts = [
            _gaps(truth[:, each] - values[:, each], values[:, each], edges).columns
            for each in range(classes)[some]
        ]
        yield _Sums(
            np.concatenate(parts, axis=1),
            lambda sums: np.asarray(np.abs(sums).sum(axis=-1) / (count * classes)),
        )


def _resampled(count: int, resamples: int, seed: int) -> Iterator[Float]:
    """How often each picture is drawn: float64, shape (resamples, N) in parts."""
    rng = np.random.default_rng(seed)
    at_once = max(1, _COUNTS_AT_ONCE // count)
    for start in range(0, resamples, at_once):
        part = range(start, min(start + at_once, resamples))
        yield np.array(
            [np.bincount(rng.integers(0, count, count), minlength=count) for _ in part], np.float64
        )


def _drawn(metrics: Sequence[_Sums], count: int, resamples: int, seed: int) -> list[Float]:
    """Each metric on each resample: (resamples,)."""
    parts = [
        [sums.reduce(counts @ sums.columns) for sums in metrics]
        for counts in _resampled(count, resamples, seed)
    ]
    return [np.concatenate(values) for values in zip(*parts, strict=True)]


def _percentile(value: float, drawn: Float) -> Estimate:
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(value, float(low), float(high))


def _basic(value: float, drawn: Float) -> Estimate:
    found = _percentile(value, drawn)
    return Estimate(value, max(0.0, min(value, 2 * value - found.high)), max(value, 2 * value - found.low))


def _by_chance(confidences: Float, edges: Float, resamples: int, seed: int) -> Float:
    """Calibration errors with answers that are right as often as the confidences say: (resamples,)."""
    rng = np.random.default_rng(seed)
    count = len(confidences)
    inside = _gaps(np.ones(count), confidences, edges).columns
    at_once = max(1, _COUNTS_AT_ONCE // count)
    errors = []
    for start in range(0, resamples, at_once):
        hits = rng.random((min(at_once, resamples - start), count)) < confidences
        errors.append(np.abs((hits - confidences) @ inside).sum(axis=1) / count)
    return np.concatenate(errors)
