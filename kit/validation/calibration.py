"""How far probabilities can be trusted."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
import scipy  # its parts are imported when they are used

from kit._arrays import Array, Bools, Float32, Float64, Floats, Int64
from kit._reporting import Progress, Result, Steps, Table
from kit.classifier import Classifier, check_first
from kit.classifier.labels import Labels, known_classes
from kit.images import Photo, Pictures, as_photos
from kit.validation.accuracy import AccuracyInterval, accuracy_interval


@dataclass(frozen=True)
class Bin:
    """Images whose confidence lies above `low` (the first: from it) and up to `high`, 0..1.

    Their mean confidence, and the share that is predicted correctly.
    """

    low: float
    high: float
    confidence: float
    share: AccuracyInterval


LOWEST, HIGHEST = 0.05, 20.0
"""Temperatures that are looked for; at the ends the images do not determine one."""


def fit_temperature(rows: Floats, labels: Int64) -> float:
    """Return the temperature with the least negative log-likelihood, within `LOWEST` to `HIGHEST`.

    Parameters as for `measure`.
    """
    # 0 counts as the smallest float32.
    values, truth = _checked(rows, labels)
    scores = np.log(np.maximum(values, np.finfo(np.float32).tiny))
    picture = np.arange(len(rows))

    # Convex in 1 / T, hence with a single minimum in log T too, where the two directions are alike.
    def loss(log_temperature: float) -> float:
        return float(
            -scipy.special.log_softmax(scores / np.exp(log_temperature), axis=1)[
                picture, truth
            ].mean()
        )

    bounds = np.log(LOWEST), np.log(HIGHEST)
    found = scipy.optimize.minimize_scalar(
        loss, bounds=bounds, method="bounded", options={"xatol": 1e-8}
    )
    return float(np.exp(found.x))


LEVEL = 0.95
"""Level of the intervals."""


@dataclass(frozen=True)
class Estimate:
    """A measured value with its 95 % interval.

    Attributes
    ----------
    value
        On the images at hand.
    low, high
        Bootstrap interval over these images (Davison and Hinkley 1997, chapter 5): percentiles for means,
        the basic one for the ECE, to which chance adds. That of the ECE begins at 0
        where a perfectly calibrated network would show as much in one of twenty samples.
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f}–{self.high:.3f})"


def _interval(value: float, drawn: Float64, *, basic: bool) -> Estimate:
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]).tolist()
    if basic:  # mirrored
        low, high = max(0.0, min(value, 2 * value - high)), max(value, 2 * value - low)
    return Estimate(value, low, high)


BINS = 15
"""Bins of a calibration error."""
SURE = 0.9
"""Confidence above which an error counts as a sure one."""
TITLES = {
    "accuracy": "correct predictions",
    "confidence": "mean confidence",
    "ece": "ECE",
    "brier": "Brier score",
    "nll": "negative log-likelihood",
    "sure_errors": f"errors above {SURE}",
}
"""The metrics of `Metrics` in words."""
# Probabilities below count as this in logarithms, as in scikit-learn's log_loss.
_SMALLEST = np.finfo(np.float64).eps


@dataclass(frozen=True)
class Metrics:
    """What was measured on some images.

    Attributes
    ----------
    pictures
        How many.
    accuracy
        Share of correct predictions, 0..1.
    confidence
        Mean probability of the class answered, 0..1.
    ece
        Expected calibration error over bins of equal width, 0..1 (Guo et al. 2017, arXiv 1706.04599): mean
        distance of accuracy and confidence in a bin, weighted by its images.
    brier
        Mean squared distance of the probabilities from the truth, summed over the classes, 0..2 (Brier 1950).
    nll
        Mean negative natural logarithm of the probability of the right class, 0 and up.
    sure_errors
        Share of the wrong predictions that are given with a confidence above 0.9; 0 where there are none.
    ece_by_chance
        Mean `ece` of a perfectly calibrated network with these confidences, 0..1 (consistency resampling,
        Bröcker and Smith 2007, doi 10.1175/WAF993.1).
    bins
        Those of a reliability diagram.
    """

    pictures: int
    accuracy: Estimate
    confidence: Estimate
    ece: Estimate
    brier: Estimate
    nll: Estimate
    sure_errors: Estimate
    ece_by_chance: float
    bins: tuple[Bin, ...]


def measure(rows: Floats, labels: Int64, *, resamples: int = 1000) -> Metrics:
    """Measure how far probabilities can be trusted.

    Parameters
    ----------
    rows
        Shape (N, classes), rows summing to 1.
    labels
        Shape (N,): index of the right class.
    resamples
        Of the bootstrap.
    """
    values, labels = _checked(rows, labels)
    count = len(values)
    confidences, hits = values.max(axis=1), values.argmax(axis=1) == labels
    truth = np.equal.outer(labels, np.arange(values.shape[1]))
    own = np.maximum(values[truth], _SMALLEST)
    # One on an edge belongs to the lower bin, as in Guo et al. 2017.
    places = np.searchsorted(np.linspace(0, 1, BINS + 1)[1:-1], confidences)
    once = np.ones(count)
    metrics: dict[str, Callable[[Float64], float]] = {
        "accuracy": _share(hits, once),
        "confidence": _share(confidences, once),
        "ece": lambda counts: _error(places, counts * (hits - confidences)),
        "brier": _share(((values - truth) ** 2).sum(axis=1), once),
        "nll": _share(-np.log(own), once),
        "sure_errors": _share(~hits & (confidences > SURE), ~hits),
    }
    rng = np.random.default_rng(0)
    samples = (rng.integers(0, count, count) for _ in range(resamples))
    counted = (
        np.bincount(each, minlength=count).astype(np.float64) for each in samples
    )
    drawn = np.array(
        [[metric(counts) for metric in metrics.values()] for counts in counted]
    )
    found = {
        name: _interval(metric(once), each, basic=name == "ece")
        for (name, metric), each in zip(metrics.items(), drawn.T, strict=True)
    }
    rng = np.random.default_rng(0)
    # With predictions that are correct as often as the confidences say.
    by_chance = (
        (rng.random(count) < confidences) - confidences for _ in range(resamples)
    )
    chance = np.array([_error(places, gaps) for gaps in by_chance])
    if found["ece"].value <= np.quantile(chance, LEVEL):
        found["ece"] = replace(found["ece"], low=0.0)
    filled = ((place, places == place) for place in np.unique(places).tolist())
    bins = [
        Bin(
            place / BINS,
            (place + 1) / BINS,
            float(confidences[inside].mean()),
            accuracy_interval(hits[inside]),
        )
        for place, inside in filled
    ]
    return Metrics(
        pictures=count, ece_by_chance=float(chance.mean()), bins=tuple(bins), **found
    )


def _share(part: Array, whole: Array) -> Callable[[Float64], float]:
    return lambda counts: float(counts @ part) / max(float(counts @ whole), 1.0)


def _error(places: Int64, gaps: Float64) -> float:
    return float(np.abs(np.bincount(places, gaps)).sum()) / len(places)


@dataclass(frozen=True, repr=False)
class Calibration(Result):
    """How far a classifier's softmax probabilities can be trusted, and the temperature that mends them.

    Attributes
    ----------
    classifier, temperature
        The classifier with its temperature: above 1 where it was too sure.
    fitted, judged
        Images that the temperature was fitted on, and the others.
    measured
        The classifier as it is, on all images.
    before, after
        The classifier as it is and with the temperature, on the images that the temperature never saw.
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
    notes: tuple[str, ...]

    @property
    def ece(self) -> float:
        """Expected calibration error of the classifier as it is, on all images, 0..1."""
        return self.measured.ece.value

    def _report(self) -> Iterator[str | Result]:
        counts = f"fitted on {self.fitted:,} images; before and after on {self.judged:,} others"
        yield f"Temperature {self.temperature:.2f}, {counts}"
        parts = self.measured, self.before, self.after
        rows = [("images", *(f"{one.pictures:,}" for one in parts))]
        rows += [
            (title, *(str(getattr(one, name)) for one in parts))
            for name, title in TITLES.items()
        ]
        rows.append(("ECE by chance", *(f"{one.ece_by_chance:.3f}" for one in parts)))
        yield Table(("", "all, as it is", "before", "after"), rows, "<<<<")
        yield from (f"Note: {note}" for note in self.notes)

    __repr__ = Result.__str__


FEWEST = 20
"""Images without which nothing is said."""

FEWEST_ERRORS = 5
"""Errors among the images of the fit without which none makes a classifier surer: chance decides.
Of 20 draws of 100 images of Fashion-MNIST, where 1.04 is right, those with up to 4 gave 0.39 to 1.12."""
RARE = 0.1
"""Share of errors below which, surely, nearly all predictions are correct."""
COPIED = 0.5
"""Distance to the nearest training image over that to the second, below which an image is a copy of it: all
training images of Fashion-MNIST, 9 in 10 that were saved as JPEG, and 1 in 500 others."""


def calibrate(
    classifier: Classifier,
    photos: Pictures,
    labels: Labels,
    *,
    progress: Progress = True,
) -> Calibration:
    """Measure how far a classifier's probabilities can be trusted, and fit a temperature that corrects them.

    It is fitted on one half of the images and measured on the other, with the same proportions of classes.

    Parameters
    ----------
    classifier
        With a known preprocessing. A temperature that it has is left out of account.
    photos
        At least 20 images that it was not trained on; see `kit.images.photo`. Where they do not determine a
        temperature, 1 is kept, with a note.
    labels
        The right class of each, as index or name.
    progress
        True for a bar; or a function that gets each step as a line of text.

    Raises
    ------
    TypeError, ValueError
        No preprocessing, fewer than 20 images, or labels that do not fit.
    """
    check_first(classifier)
    chosen = as_photos(photos)
    truth = known_classes(labels, classifier.class_names, len(chosen))
    if len(chosen) < FEWEST:
        raise ValueError(
            f"Expected at least {FEWEST} images, received {len(chosen)}; give more"
        )
    steps = Steps(chosen, "Predicting", " images", progress)
    rows = np.concatenate([classifier.probabilities(photo) for photo in steps])
    fitting = half_of(truth)
    temperature, unsure = _determined(rows[fitting], truth[fitting])
    tempered = classifier.tempered(temperature)
    reported, right = rows[~fitting], truth[~fitting]
    sides = (rows, truth), (reported, right), (tempered.calibrated(reported), right)
    whole, before, after = (measure(*part) for part in sides)
    notes = (*_copied(classifier, chosen), *unsure)
    if before.ece.low == 0:
        chance = f"on {before.pictures} images it gives {before.ece_by_chance:.3f} on average"
        ece = f"chance may explain the ECE of {before.ece.value:.3f} before"
        notes += (f"{ece}: {chance} for a calibrated model",)
    return Calibration(
        tempered,
        temperature,
        int(fitting.sum()),
        len(right),
        whole,
        before,
        after,
        notes,
    )


def _determined(rows: Float32, labels: Int64) -> tuple[float, tuple[str, ...]]:
    temperature, right = fit_temperature(rows, labels), rows.argmax(axis=1) == labels
    errors, notes = (
        f"{(~right).sum()} errors in {len(rows)} images ask for {temperature:.2g}",
        [],
    )
    if temperature < 1 and accuracy_interval(right).low > 1 - RARE:
        notes.append(
            f"was the model trained on these images? {errors}, as such images do; if not, look for"
            " wrong labels in its training"
        )
    inside = LOWEST * 1.01 < temperature < HIGHEST / 1.01
    if inside and (temperature >= 1 or (~right).sum() >= FEWEST_ERRORS):
        return temperature, tuple(notes)
    return 1.0, (
        *notes,
        f"the images determine no temperature, so 1 is kept: {errors}; give more images",
    )


def _copied(classifier: Classifier, photos: Sequence[Photo]) -> Iterator[str]:
    with suppress(ValueError):
        known = classifier.reference.neighbours
        pairs = [
            np.sort(known.distances(row[None])[0])[:2]
            for row in classifier.features(photos)[1]
        ]
        copied = sum(bool(nearest < COPIED * second) for nearest, second in pairs)
        if copied > len(photos) / 100:
            yield f"warning: {copied} of {len(photos)} images are nearly training images; leave them out"


def _checked(rows: Floats, labels: Labels) -> tuple[Float64, Int64]:
    values = np.asarray(rows, np.float64)
    if values.ndim != 2 or not values.size or not np.isfinite(values).all():
        raise ValueError(
            f"Expected finite probabilities (N, classes), received shape {values.shape}"
        )
    return values, known_classes(labels, [""] * values.shape[1], len(values))


def half_of(labels: Int64) -> Bools:
    """Choose half of the images at random, and half of each class to within one; bool (N,)."""
    # Shuffled within each class; then every second one in the order of the classes.
    order = np.random.default_rng(0).permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    chosen = np.zeros(len(labels), np.bool_)
    chosen[order[1::2]] = True
    return chosen
