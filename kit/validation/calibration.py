"""How far probabilities can be trusted."""

from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import scipy  # its parts are imported when they are used

from kit._arrays import Bools, Float32, Float64, Floats, Int64
from kit._checking import whole
from kit._reporting import Progress, Report, Result, Steps, Table
from kit.classifier.classifier import Classifier, check_first
from kit.classifier.labels import Labels, known_classes
from kit.images.opening import describe
from kit.images.photo import Pictures, as_photos
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


LOWEST_TEMPERATURE = 0.05
HIGHEST_TEMPERATURE = 20.0
"""Temperatures that are looked for; at the ends the images do not determine one."""


def fit_temperature(rows: Floats, labels: Int64) -> float:
    """Return the temperature with the least negative log-likelihood, within the limits of search."""
    # A ValueError for rows that are no probabilities, or a label that is not known.
    probabilities, classes = _checked_probabilities_and_labels(rows, labels)
    # A probability of 0 counts as the smallest float32.
    log_probabilities = np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))
    image_indices = np.arange(len(rows))

    # The loss is convex in 1 / T, so it has a single minimum. Searched for in log T, where half and twice a
    # temperature are equally far from it.
    def mean_loss(log_temperature: float) -> float:
        tempered = log_probabilities / np.exp(log_temperature)
        log_softmax = scipy.special.log_softmax(tempered, axis=1)
        return float(-log_softmax[image_indices, classes].mean())

    # At a limit, the images determine none: the caller then keeps 1.
    minimum = scipy.optimize.minimize_scalar(
        mean_loss,
        bounds=(np.log(LOWEST_TEMPERATURE), np.log(HIGHEST_TEMPERATURE)),
        method="bounded",
        options={"xatol": 1e-8},
    )
    return float(np.exp(minimum.x))


INTERVAL_LEVEL = 0.95
"""Level of the intervals."""
_QUANTILES = 0.025, 0.975


@dataclass(frozen=True)
class Estimate:
    """A measured value with its 95 % interval.

    Attributes
    ----------
    value
        On the images at hand.
    low, high
        Wilson's interval for a share of images, of which 0 and 1 are never certain. For others the bootstrap
        interval over these images (Davison and Hinkley 1997, chapter 5): percentiles for means, the basic one
        for the ECE, to which chance adds. That of the ECE begins at 0 where a perfectly calibrated network
        would show as much in one of twenty samples.
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f}–{self.high:.3f})"


def _estimated_share(hits: Bools) -> Estimate:
    # Of no images, as of the errors of a classifier without any, the share may be anything.
    if not len(hits):
        return Estimate(value=0.0, low=0.0, high=1.0)
    interval = accuracy_interval(hits)
    return Estimate(value=interval.accuracy, low=interval.low, high=interval.high)


def _percentile_estimate(value: float, resampled_values: Float64) -> Estimate:
    # The ends of the middle 95 %.
    low, high = np.quantile(resampled_values, _QUANTILES).tolist()
    return Estimate(value=value, low=low, high=high)


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
TOLERANCE = 0.01
"""By how much the sum of a row may differ from 1, as that of rounded probabilities does."""
# Probabilities below count as this in logarithms, as in scikit-learn's log_loss.
_LEAST_PROBABILITY = np.finfo(np.float64).eps


@dataclass(frozen=True)
class Metrics:
    """What was measured on some images.

    Attributes
    ----------
    pictures, accuracy, confidence
        How many; share of correct predictions, and mean probability of the predicted class, 0..1.
    ece
        Expected calibration error over bins of equal width, 0..1 (Guo et al. 2017, arXiv 1706.04599): mean
        distance of accuracy and confidence in a bin, weighted by its images.
    brier
        Mean squared distance of the probabilities from the truth, summed over the classes, 0..2 (Brier 1950).
    nll
        Mean negative natural logarithm of the probability of the right class, 0 and up.
    sure_errors
        Share of the wrong predictions that are given with a confidence above 0.9; 0, with an interval of 0 to
        1, where there are none.
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
    rows, labels
        Shape (N, classes), rows summing to 1; shape (N,), index of the right class.
    resamples
        Of the bootstrap.

    Raises
    ------
    TypeError, ValueError
        Rows that are no probabilities or do not sum to 1, labels that are no classes, or no resamples.
    """
    probabilities, labels = _checked_probabilities_and_labels(rows, labels)
    resamples = whole("resamples", resamples, 1, None)
    count = len(probabilities)
    confidences = probabilities.max(axis=1)
    is_correct = probabilities.argmax(axis=1) == labels
    correctness_gaps = is_correct - confidences
    one_hot = np.equal.outer(labels, np.arange(probabilities.shape[1]))
    brier_scores = ((probabilities - one_hot) ** 2).sum(axis=1)
    log_likelihoods = np.log(np.maximum(probabilities[one_hot], _LEAST_PROBABILITY))
    image_metrics = np.stack([confidences, brier_scores, -log_likelihoods])
    # A confidence on the edge of two bins belongs to the lower one, as in Guo et al. 2017.
    bin_indices = np.searchsorted(np.linspace(0, 1, BINS + 1)[1:-1], confidences)
    # The bootstrap: as many images again, drawn with replacement.
    rng = np.random.default_rng(0)
    resampled_metrics = []
    for _ in range(resamples):
        sample_indices = rng.integers(0, count, count)
        ece = _ece(bin_indices[sample_indices], correctness_gaps[sample_indices])
        resampled_metrics.append([ece, *image_metrics[:, sample_indices].mean(axis=1)])
    resampled_eces, *resampled_means = np.transpose(resampled_metrics)
    confidence, brier, nll = map(
        _percentile_estimate, image_metrics.mean(axis=1).tolist(), resampled_means
    )
    # Begun again, so that these draws do not depend on those of the bootstrap.
    rng = np.random.default_rng(0)
    # Of predictions that are correct as often as the confidences say: what chance adds to the ECE.
    eces_by_chance = [
        _ece(bin_indices, (rng.random(count) < confidences) - confidences)
        for _ in range(resamples)
    ]
    return Metrics(
        pictures=count,
        accuracy=_estimated_share(is_correct),
        confidence=confidence,
        ece=_ece_estimate(
            _ece(bin_indices, correctness_gaps), resampled_eces, eces_by_chance
        ),
        brier=brier,
        nll=nll,
        sure_errors=_estimated_share(confidences[~is_correct] > SURE),
        ece_by_chance=float(np.mean(eces_by_chance)),
        bins=_reliability_bins(bin_indices, confidences, is_correct),
    )


def _ece(bin_indices: Int64, gaps: Float64) -> float:
    """Return the calibration error of images, by the bin of each, and its accuracy less its confidence."""
    # A bin's gap, accuracy less mean confidence, is weighted by its images, hence a sum over these.
    return float(np.abs(np.bincount(bin_indices, gaps)).sum()) / len(bin_indices)


def _ece_estimate(
    ece: float, resampled_eces: Float64, eces_by_chance: list[float]
) -> Estimate:
    """Mirror the percentiles, since resampling adds to an error that chance is part of."""
    # The basic bootstrap interval: the percentiles, mirrored at the ECE. Resampled errors are mostly larger,
    # so that even its upper end may lie below the ECE.
    mirrored = _percentile_estimate(ece, 2 * ece - resampled_eces)
    low = max(0.0, mirrored.low)
    # The interval alone is above 0 for many calibrated networks. This takes it to 0 for 19 of 20 of them.
    if ece <= np.quantile(eces_by_chance, INTERVAL_LEVEL):
        low = 0.0
    return Estimate(value=ece, low=low, high=max(mirrored.high, ece))


def _reliability_bins(
    bin_indices: Int64, confidences: Float64, correct: Bools
) -> tuple[Bin, ...]:
    return tuple(
        Bin(
            low=bin_index / BINS,
            high=(bin_index + 1) / BINS,
            confidence=float(confidences[bin_indices == bin_index].mean()),
            share=accuracy_interval(correct[bin_indices == bin_index]),
        )
        # Only bins with images: without any there is no accuracy.
        for bin_index in np.unique(bin_indices).tolist()
    )


@dataclass(frozen=True)
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

    def _report(self) -> Report:
        yield (
            f"Temperature {self.temperature:.2f}, "
            f"fitted on {self.fitted:,} images; before and after on {self.judged:,} others"
        )
        columns = (self.measured, self.before, self.after)
        rows = [("images", *(f"{metrics.pictures:,}" for metrics in columns))]
        for name, title in TITLES.items():
            rows.append((title, *(str(getattr(metrics, name)) for metrics in columns)))
        rows.append(
            ("ECE by chance", *(f"{metrics.ece_by_chance:.3f}" for metrics in columns))
        )
        yield Table(("", "all, as it is", "before", "after"), rows, "<<<<")
        yield from (f"Note: {note}" for note in self.notes)

    __repr__ = Result.__str__


FEWEST = 20
"""Images without which nothing is said."""

FEWEST_ERRORS = 5
"""Errors among the images of the fit without which none makes a classifier surer: chance decides.
Of 20 draws of 100 images of Fashion-MNIST, where 1.04 is right, those with up to 4 gave 0.39 to 1.12."""
RARE_ERROR_SHARE = 0.1
"""Share of errors below which, surely, nearly all predictions are correct."""


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
    opened = as_photos(photos)
    classes = known_classes(labels, classifier.class_names, opened)
    if len(opened) < FEWEST:
        raise ValueError(
            f"Expected at least {FEWEST} images, received {len(opened)}; give more"
        )
    # As the network gives them, without the temperature that the classifier may have.
    probabilities = np.concatenate(
        [
            classifier.probabilities(photo)
            for photo in Steps(opened, "Predicting", progress)
        ]
    )
    in_fit = stratified_half(classes)
    # 1, which changes nothing, where this half determines none; a note then says so.
    temperature, notes = _temperature_and_notes(probabilities[in_fit], classes[in_fit])
    tempered_classifier = classifier.tempered(temperature)
    judged_probabilities = probabilities[~in_fit]
    judged_classes = classes[~in_fit]
    before = measure(judged_probabilities, judged_classes)
    # `measure` lets the interval begin at 0 where a calibrated model would show such an ECE by chance.
    if before.ece.low == 0:
        notes.append(
            f"chance may explain the ECE of {before.ece.value:.3f} before: on {before.pictures} images"
            f" it gives {before.ece_by_chance:.3f} on average for a calibrated model"
        )
    # A ValueError of `nearest` where nothing is known of the training images.
    with suppress(ValueError):
        steps = Steps(opened, "Comparing with training images", progress)
        nearest = [classifier.nearest(photo, 2).neighbours for photo in steps]
        # A copy is less than half as far from its original as from any other training image. That finds all
        # training images of Fashion-MNIST, 3 in 4 after saving as JPEG, and 3 of 2,000 others by mistake.
        copies = sum(first.distance < second.distance / 2 for first, second in nearest)
        if copies > 1 + len(opened) / 100:
            notes.append(
                f"{copies} of {len(opened)} images are nearly training images; leave them out"
            )
    return Calibration(
        classifier=tempered_classifier,
        temperature=temperature,
        fitted=int(in_fit.sum()),
        judged=len(judged_probabilities),
        # All images, without a temperature.
        measured=measure(probabilities, classes),
        before=before,
        after=measure(
            tempered_classifier.calibrated(judged_probabilities), judged_classes
        ),
        notes=tuple(notes),
    )


def _temperature_and_notes(
    probabilities: Float32, classes: Int64
) -> tuple[float, list[str]]:
    """Return the temperature that the images ask for, or 1 where they ask for none; and what is unsure."""
    temperature = fit_temperature(probabilities, classes)
    is_correct = probabilities.argmax(axis=1) == classes
    error_count = int((~is_correct).sum())
    evidence_words = (
        f"{error_count} errors in {len(probabilities)} images ask for {temperature:.2g}"
    )
    notes = []
    # A model is nearly always right on the images that it was trained on, so it seems not sure enough. Where
    # its probabilities are right, the 95 % interval lies above their mean in at most one of forty samples.
    if temperature < 1 and accuracy_interval(is_correct).low > max(
        1 - RARE_ERROR_SHARE, float(probabilities.max(axis=1).mean())
    ):
        notes.append(
            f"more images are correct than the model is sure of: {evidence_words}; was it trained on these"
            " images, or with wrong or smoothed labels?"
        )
    # Within 1 % of an end of the search, the best temperature may lie beyond that end.
    is_within_search = (
        LOWEST_TEMPERATURE * 1.01 < temperature < HIGHEST_TEMPERATURE / 1.01
    )
    # A temperature below 1 makes the model surer, for which a few errors are too little evidence.
    if is_within_search and (temperature >= 1 or error_count >= FEWEST_ERRORS):
        return temperature, notes
    advice = "give more images that are new to the model"
    # At the upper end, the right classes are no more probable than others: more such images would not help.
    if temperature > 1:
        advice = "check the labels, the order of the classes and the preprocessing"
    notes.append(
        f"the images determine no temperature, so 1 is kept: {evidence_words}; {advice}"
    )
    return 1.0, notes


def _checked_probabilities_and_labels(
    rows: Floats, labels: Labels
) -> tuple[Float64, Int64]:
    """Return probabilities, float64 (N, classes), and the index of each label, or raise a ValueError."""
    probabilities = np.asarray(rows, np.float64)
    sums_to_one = (
        probabilities.ndim == 2
        and probabilities.size > 0
        and probabilities.min() >= 0
        and np.abs(probabilities.sum(axis=1) - 1).max() <= TOLERANCE
    )
    if not sums_to_one:
        raise ValueError(
            f"Expected rows of probabilities that sum to 1, received {describe(probabilities)};"
            " apply a softmax"
        )
    # Without class names, labels can only be indices; `known_classes` wants one for each row.
    return probabilities, known_classes(
        labels, [""] * probabilities.shape[1], probabilities
    )


def stratified_half(labels: Int64) -> Bools:
    """Choose half of the images at random, and half of each class to within one; bool (N,)."""
    # A temperature is fitted on it. Shuffled within each class; then every second one in their order.
    order = np.random.default_rng(0).permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    in_half = np.zeros(len(labels), np.bool_)
    in_half[order[1::2]] = True
    return in_half
