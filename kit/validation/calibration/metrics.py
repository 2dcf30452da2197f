"""How far probabilities can be trusted: calibration errors and scores, each with a bootstrap interval."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from types import MappingProxyType

import numpy as np

from kit._arrays import Floats, Int64
from kit.validation.calibration import binning, bootstrap
from kit.validation.calibration.bootstrap import Estimate

SURE = 0.9
"""Confidence above which an error counts as a sure one."""
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
        "accuracy": bootstrap.mean(hits.astype(np.float64)),
        "confidence": bootstrap.mean(confidences),
        "ece": bootstrap.calibration_error(hits - confidences, confidences, width),
        "ece_equal_mass": bootstrap.calibration_error(hits - confidences, confidences, mass),
        "brier": bootstrap.mean(((values - truth) ** 2).sum(axis=1)),
        "nll": bootstrap.mean(-np.log(np.maximum(own, _SMALLEST))),
        "sure_errors": bootstrap.share(~hits & (confidences > SURE), ~hits),
    }
    drawn = bootstrap.resampled(tuple(whole.values()), len(values), resamples, seed)
    found = {name: (sums.total(), each) for (name, sums), each in zip(whole.items(), drawn, strict=True)}
    parts = [
        (sums.total(), bootstrap.resampled((sums,), len(values), resamples, seed)[0])
        for sums in bootstrap.classwise_errors(values, truth, width)
    ]
    found["classwise_ece"] = sum(total for total, _ in parts), np.sum([each for _, each in parts], axis=0)
    estimates = {
        name: (bootstrap.basic_interval if name in ERRORS else bootstrap.percentile_interval)(*measured)
        for name, measured in found.items()
    }
    chance = {
        name: bootstrap.errors_by_chance(confidences, edges, resamples, seed)
        for name, edges in (("ece", width), ("ece_equal_mass", mass))
    }
    for name, errors in chance.items():
        if estimates[name].value <= np.quantile(errors, bootstrap.LEVEL):
            estimates[name] = replace(estimates[name], low=0.0)
    return Metrics(pictures=len(values), ece_by_chance=float(chance["ece"].mean()), **estimates)
