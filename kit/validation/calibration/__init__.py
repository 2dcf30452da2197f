"""Calibration: whether a classifier is right as often as its probabilities say, and what mends it."""

from collections.abc import Iterator, Sequence
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from kit._arrays import Bools, Float32, Floats, Int64
from kit._checking import fraction, whole
from kit._reporting import Progress, Steps
from kit.classifier import Classifier, check_first
from kit.classifier.labels import known_classes
from kit.images import Photo, Pictures, as_photos
from kit.validation.calibration import binning
from kit.validation.calibration.binning import Bin
from kit.validation.calibration.bootstrap import Estimate
from kit.validation.calibration.metrics import Metrics, measure
from kit.validation.calibration.result import Calibration, Reliability
from kit.validation.calibration.temperature import HIGHEST, LOWEST, VectorScaling, fit_temperature, fit_vector

__all__ = ["Bin", "Calibration", "Estimate", "Metrics", "Reliability", "VectorScaling"]
__all__ += ["calibrate", "measure"]

FEWEST = 20
"""Pictures without which nothing is said."""
PICTURES_FOR_A_NUMBER = 10
"""Pictures for each parameter of vector scaling; with fewer it is left out."""
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
        At least 20 pictures that it was not trained on; see `kit.images.sources`.
    labels
        The right class of each, as index or name.
    share
        Share of the pictures that temperature and vector scaling are fitted on, above 0 and below 1.
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
    enough = bool(fitting.sum() >= _pictures_for_vector(classifier))
    vector = fit_vector(rows[fitting], truth[fitting]) if enough else None
    if vector is not None:
        parts["after_vector"] = vector.apply(rows[judged]), truth[judged]
    found = {name: measure(*part, bins=bins, resamples=resamples, seed=seed) for name, part in parts.items()}
    # Taken out before the others are handed over.
    after_vector = found.pop("after_vector", None)
    if after_vector is not None and after_vector.nll.value >= found["after"].nll.value:
        vector = after_vector = None
    return Calibration(
        classifier=tempered,
        temperature=temperature,
        fitted=int(fitting.sum()),
        judged=int(judged.sum()),
        vector=vector,
        after_vector=after_vector,
        **found,
        reliability=MappingProxyType({name: reliability(*parts[name], bins) for name in found}),
        notes=tuple(_notes(tempered, vector is not None, enough, found["before"])),
    )


def _pictures_for_vector(classifier: Classifier) -> int:
    return 2 * len(classifier.class_names) * PICTURES_FOR_A_NUMBER


def _notes(tempered: Classifier, vector: bool, enough: bool, before: Metrics) -> Iterator[str]:
    if not vector and enough:
        yield "vector scaling is left out: it does no better than one temperature"
    elif not vector:
        yield (
            f"vector scaling is left out: its {2 * len(tempered.class_names)} numbers need"
            f" {_pictures_for_vector(tempered)} pictures to be fitted on"
        )
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
    return Reliability(
        binning.binned(confidences, hits, binning.equal_width(bins)),
        binning.binned(confidences, hits, binning.equal_mass(confidences, bins)),
    )


def fitting_part(labels: Int64, share: float, seed: int) -> Bools:
    """Choose a share of the pictures at random, the same share of each class to within one picture.

    Parameters
    ----------
    labels
        Shape (N,): class of each picture.
    share
        Above 0 and below 1.
    seed
        Of the choice.

    Returns
    -------
    bool, shape (N,)
    """
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
