"""How far probabilities can be trusted."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kit._arrays import Bools, Float32, Float64, Floats, Int64
from kit._checking import fraction, whole
from kit._reporting import Progress, Result, Steps, Table
from kit.classifier import Classifier, check_first
from kit.classifier.labels import known_classes
from kit.images import Photo, Pictures, as_photos
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


def _places(confidences: Float64, edges: Float64) -> Int64:
    # One on an edge belongs to the lower bin, as in Guo et al. 2017.
    return np.searchsorted(edges[1:-1], confidences)


def _binned(confidences: Float64, hits: Bools, edges: Float64) -> tuple[Bin, ...]:
    found = _places(confidences, edges)
    bins = []
    for place in np.unique(found).tolist():
        inside = found == place
        low, high = edges[place : place + 2].tolist()
        share, confidence = accuracy_interval(hits[inside]), float(confidences[inside].mean())
        bins.append(Bin(low, high, share.count, confidence, share.accuracy, (share.low, share.high)))
    return tuple(bins)


LOWEST, HIGHEST = 0.05, 20.0
"""Temperatures that are looked for; at the ends the pictures do not determine one."""


def fit_temperature(rows: Floats, labels: Int64) -> float:
    """Return the temperature with the least negative log-likelihood, within `LOWEST` to `HIGHEST`.

    Parameters
    ----------
    rows
        Shape (N, classes), rows summing to 1. Not changed.
    labels
        Shape (N,): index of the right class.
    """
    from scipy.optimize import minimize_scalar  # noqa: PLC0415 (slow to import)
    from scipy.special import log_softmax  # noqa: PLC0415 (slow to import)

    # 0 counts as the smallest float32.
    scores = np.log(np.maximum(np.asarray(rows, np.float64), np.finfo(np.float32).tiny))
    picture = np.arange(len(rows))

    # Convex in 1 / T, hence with a single minimum in log T too, where the two directions are alike.
    def loss(log_temperature: float) -> float:
        return float(-log_softmax(scores / np.exp(log_temperature), axis=1)[picture, labels].mean())

    bounds = (float(np.log(LOWEST)), float(np.log(HIGHEST)))
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-8})
    return float(np.exp(found.x))


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


class _Sums(NamedTuple):
    """A metric of pictures as `reduce` of the sums (…, C) over them of `columns`, float64 (N, C)."""

    columns: Float64
    reduce: Callable[[Float64], Float64]

    def total(self) -> float:
        return float(self.reduce(self.columns.sum(axis=0)))


def _mean(column: Float64) -> _Sums:
    return _Sums(column[:, None], lambda sums: np.asarray(sums[..., 0] / len(column)))


def _share(part: Bools, whole: Bools) -> _Sums:
    columns = np.stack([part, whole], axis=1).astype(np.float64)
    return _Sums(columns, lambda sums: np.asarray(sums[..., 0] / np.maximum(sums[..., 1], 1)))


def _gaps(gaps: Float64, confidences: Float64, edges: Float64) -> Float64:
    columns = np.zeros((len(gaps), len(edges) - 1))
    columns[np.arange(len(gaps)), _places(confidences, edges)] = gaps
    return columns


def _distance(columns: Float64, count: int) -> _Sums:
    return _Sums(columns, lambda sums: np.asarray(np.abs(sums).sum(axis=-1) / count))


def _classwise(values: Float64, truth: Float64, edges: Float64) -> Iterator[_Sums]:
    # Some classes at a time, which add up: the columns of a thousand would not fit into memory.
    classes = range(values.shape[1])
    for start in range(0, len(classes), _CLASSES_AT_ONCE):
        parts = [
            _gaps(truth[:, each] - values[:, each], values[:, each], edges)
            for each in classes[start : start + _CLASSES_AT_ONCE]
        ]
        yield _distance(np.concatenate(parts, axis=1), values.size)


def _resampled(metrics: Sequence[_Sums], count: int, resamples: int, seed: int) -> list[Float64]:
    rng = np.random.default_rng(seed)
    parts = []
    for size in _portions(count, resamples):
        drawn = [np.bincount(rng.integers(0, count, count), minlength=count) for _ in range(size)]
        counts = np.array(drawn, np.float64)
        parts.append([sums.reduce(counts @ sums.columns) for sums in metrics])
    return [np.concatenate(values) for values in zip(*parts, strict=True)]


def _errors_by_chance(confidences: Float64, edges: Float64, resamples: int, seed: int) -> Float64:
    # With answers that are right as often as the confidences say.
    rng = np.random.default_rng(seed)
    count = len(confidences)
    inside = _gaps(np.ones(count), confidences, edges)
    errors = []
    for size in _portions(count, resamples):
        hits = rng.random((size, count)) < confidences
        errors.append(np.abs((hits - confidences) @ inside).sum(axis=1) / count)
    return np.concatenate(errors)


def _portions(count: int, resamples: int) -> Iterator[int]:
    at_once = max(1, _COUNTS_AT_ONCE // count)
    for start in range(0, resamples, at_once):
        yield min(at_once, resamples - start)


def _interval(value: float, drawn: Float64, *, basic: bool) -> Estimate:
    low, high = (float(end) for end in np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]))
    if basic:  # mirrored
        low, high = max(0.0, min(value, 2 * value - high)), max(value, 2 * value - low)
    return Estimate(value, low, high)


SURE = 0.9
"""Confidence above which an error counts as a sure one."""
TITLES = {
    "accuracy": "right answers",
    "confidence": "mean confidence",
    "ece": "ECE (equal width)",
    "ece_equal_mass": "ECE (equal mass)",
    "classwise_ece": "classwise ECE",
    "brier": "Brier score",
    "nll": "negative log-likelihood",
    "sure_errors": f"errors above {SURE}",
}
"""The metrics of `Metrics` in words."""
ERRORS = ("ece", "ece_equal_mass", "classwise_ece")
"""The metrics that are 0 only where there is no chance in them."""
# Probabilities below count as this in logarithms, as in scikit-learn's log_loss.
_SMALLEST = np.finfo(np.float64).eps


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


def measure(rows: Floats, labels: Int64, *, bins: int = 15, resamples: int = 1000, seed: int = 0) -> Metrics:
    """Measure how far probabilities can be trusted.

    Parameters
    ----------
    rows
        Shape (N, classes), rows summing to 1.
    labels
        Shape (N,): index of the right class.
    bins
        Bins of every calibration error.
    resamples, seed
        Of the bootstrap.
    """
    values = np.asarray(rows, np.float64)
    top, confidences = values.argmax(axis=1), values.max(axis=1)
    hits = top == labels
    own = values[np.arange(len(values)), labels]
    truth = np.zeros_like(values)
    truth[np.arange(len(values)), labels] = 1
    width, mass = _edges(confidences, bins)
    gaps = hits - confidences
    whole = {
        "accuracy": _mean(hits.astype(np.float64)),
        "confidence": _mean(confidences),
        "ece": _distance(_gaps(gaps, confidences, width), len(values)),
        "ece_equal_mass": _distance(_gaps(gaps, confidences, mass), len(values)),
        "brier": _mean(((values - truth) ** 2).sum(axis=1)),
        "nll": _mean(-np.log(np.maximum(own, _SMALLEST))),
        "sure_errors": _share(~hits & (confidences > SURE), ~hits),
    }
    drawn = _resampled(tuple(whole.values()), len(values), resamples, seed)
    found = {name: (sums.total(), each) for (name, sums), each in zip(whole.items(), drawn, strict=True)}
    parts = [
        (sums.total(), _resampled((sums,), len(values), resamples, seed)[0])
        for sums in _classwise(values, truth, width)
    ]
    found["classwise_ece"] = sum(total for total, _ in parts), np.sum([each for _, each in parts], axis=0)
    estimates = {name: _interval(*one, basic=name in ERRORS) for name, one in found.items()}
    chance = {
        name: _errors_by_chance(confidences, edges, resamples, seed)
        for name, edges in (("ece", width), ("ece_equal_mass", mass))
    }
    for name, errors in chance.items():
        if estimates[name].value <= np.quantile(errors, LEVEL):
            estimates[name] = replace(estimates[name], low=0.0)
    return Metrics(pictures=len(values), ece_by_chance=float(chance["ece"].mean()), **estimates)


@dataclass(frozen=True)
class Reliability:
    """The bins of a reliability diagram, in both ways of cutting them.

    Attributes
    ----------
    equal_width, equal_mass
        Bins that hold a picture, in ascending order.
    """

    equal_width: tuple[Bin, ...]
    equal_mass: tuple[Bin, ...]


@dataclass(frozen=True, repr=False)
class Calibration(Result):
    """How far a classifier's softmax probabilities can be trusted, and the temperature that mends them.

    Attributes
    ----------
    classifier
        The classifier with `temperature`: its `calibrated` applies it, its `save` keeps it.
    temperature
        Above 1 where the classifier was too sure. Fitted on one part of the pictures.
    fitted, judged
        Pictures that the temperature was fitted on, and the others.
    measured
        The classifier as it is, on all pictures.
    before, after
        The classifier as it is and with the temperature, on the pictures that the temperature never saw.
    reliability
        For each of ``"measured"``, ``"before"`` and ``"after"`` the bins of a reliability diagram.
    notes
        What limits the answer, in words.
    """

    classifier: Classifier
    temperature: float
    fitted: int
    judged: int
    measured: Metrics
    before: Metrics
    after: Metrics
    reliability: Mapping[str, Reliability]
    notes: tuple[str, ...] = field(default=())

    @property
    def ece(self) -> float:
        """Expected calibration error of the classifier as it is, on all pictures, 0..1."""
        return self.measured.ece.value

    def table(self) -> Table:
        """Set the metrics in a table, one row for each, before and after."""
        columns = {"all, as it is": self.measured, "before": self.before, "after": self.after}
        rows = [
            ("pictures", *(f"{one.pictures:,}" for one in columns.values())),
            *(
                (title, *(str(one.estimates()[name]) for one in columns.values()))
                for name, title in TITLES.items()
            ),
            ("ECE by chance", *(f"{one.ece_by_chance:.3f}" for one in columns.values())),
        ]
        return Table(("", *columns), rows, "<" * (1 + len(columns)), widths=(0, *[19] * len(columns)))

    def _report(self) -> Iterator[str | Result]:
        counts = f"fitted on {self.fitted:,} pictures; before and after on {self.judged:,} others"
        yield f"Temperature {self.temperature:.2f}, {counts}"
        yield self.table()
        yield from (f"Note: {note}" for note in self.notes)

    def __repr__(self) -> str:
        before, after = self.before.ece.value, self.after.ece.value
        return (
            f"Calibration({self.classifier.name!r}, temperature {self.temperature:.2f}, ECE {before:.3f} ->"
            f" {after:.3f} on {self.judged} pictures that it was not fitted on)"
        )


FEWEST = 20
"""Pictures without which nothing is said."""
_AT_ONCE = 32


def calibrate(
    classifier: Classifier,
    photos: Pictures,
    labels: Sequence[int | str] | npt.NDArray[np.integer],
    *,
    share: float = 0.5,
    bins: int = 15,
    resamples: int = 1000,
    seed: int = 0,
    progress: Progress = True,
) -> Calibration:
    """Measure how far a classifier's probabilities can be trusted, and fit a temperature that mends them.

    The temperature is fitted on one part of the pictures and judged on the other. Both parts have each class
    in the same proportion.

    Parameters
    ----------
    classifier
        With a known preprocessing. A temperature that it has is left out of account.
    photos
        At least 20 pictures that it was not trained on; see `kit.images.photo`.
    labels
        The right class of each, as index or name.
    share
        Share of the pictures that the temperature is fitted on, above 0 and below 1.
    bins
        Bins of every calibration error and reliability diagram.
    resamples
        Bootstrap resamples for the intervals.
    seed
        Of the parts and the resamples.
    progress
        True for a bar once two seconds have passed; or a function that is told each step in a line.

    Returns
    -------
    Calibration
        Its ``classifier`` has the temperature; nothing is compiled or copied.

    Raises
    ------
    TypeError, ValueError
        No preprocessing, fewer than 20 pictures, labels that do not fit, or settings out of range.
    """
    check_first(classifier, "kit.calibrate(classifier, photos, labels)")
    chosen = as_photos(photos)
    truth = known_classes(labels, classifier.class_names, len(chosen))
    _check_parts(len(chosen), share)
    bins, resamples = whole("bins", bins, 1, None), whole("resamples", resamples, 1, None)
    rows = _probabilities(classifier, chosen, progress)
    fitting = fitting_part(truth, share, seed)
    judged = ~fitting
    temperature = fit_temperature(rows[fitting], truth[fitting])
    tempered = classifier.tempered(temperature)
    parts = {"measured": (rows, truth), "before": (rows[judged], truth[judged])}
    parts["after"] = tempered.calibrated(rows[judged]), truth[judged]
    found = {name: measure(*part, bins=bins, resamples=resamples, seed=seed) for name, part in parts.items()}
    return Calibration(
        classifier=tempered,
        temperature=temperature,
        fitted=int(fitting.sum()),
        judged=int(judged.sum()),
        **found,
        reliability={name: reliability(*parts[name], bins) for name in found},
        notes=tuple(_notes(tempered, found["before"])),
    )


def _notes(tempered: Classifier, before: Metrics) -> Iterator[str]:
    if not LOWEST * 1.01 < tempered.temperature < HIGHEST / 1.01:
        yield f"the pictures determine no temperature between {LOWEST} and {HIGHEST:g}"
    if before.ece.low == 0:
        yield (
            f"chance may explain the ECE of {before.ece.value:.3f} before: on {before.pictures} pictures it"
            f" gives {before.ece_by_chance:.3f} on average where nothing is wrong"
        )


def reliability(rows: Floats, labels: Int64, bins: int = 15) -> Reliability:
    """Return the bins of a reliability diagram.

    Parameters
    ----------
    rows
        Shape (N, classes), rows summing to 1. Not changed.
    labels
        Shape (N,): index of the right class.
    bins
        Number of bins, those without a picture included.
    """
    values = np.asarray(rows, np.float64)
    confidences, hits = values.max(axis=1), values.argmax(axis=1) == labels
    width, mass = _edges(confidences, bins)
    return Reliability(_binned(confidences, hits, width), _binned(confidences, hits, mass))


def _edges(confidences: Float64, bins: int) -> tuple[Float64, Float64]:
    cuts = np.linspace(0, 1, bins + 1)
    # With many equal confidences some of the second kind stay empty.
    return cuts, np.quantile(confidences, cuts)


def fitting_part(labels: Int64, share: float, seed: int) -> Bools:
    """Choose a share of the pictures at random, the same of each class to within one; bool (N,)."""
    # Shuffled within each class; then every 1 / share-th in the order of the classes.
    order = np.random.default_rng(seed).permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    chosen = np.empty(len(labels), np.bool_)
    # The sum of many shares is rounded, lest 10 times 0.1 fall short of 1.
    chosen[order] = np.diff(np.floor(np.round(np.arange(len(labels) + 1) * share, 9))) > 0
    return chosen


def _check_parts(count: int, share: float) -> None:
    if count < FEWEST:
        raise ValueError(
            f"Expected at least {FEWEST} pictures, since a temperature is fitted on one part and judged on"
            f" the other, received {count}; give more"
        )
    if fraction("share", share) * count < 1 or (1 - share) * count < 1:
        raise ValueError(f"Expected a share that leaves pictures in both parts, received {share:g}; try 0.5")


def _probabilities(classifier: Classifier, photos: Sequence[Photo], progress: Progress) -> Float32:
    parts = [photos[start : start + _AT_ONCE] for start in range(0, len(photos), _AT_ONCE)]
    steps = Steps(parts, "Pictures", f" times {_AT_ONCE} pictures", progress)
    return np.concatenate([classifier.probabilities(part) for part in steps])
