"""Accuracy, its interval, and two classifiers compared."""

from dataclasses import dataclass
from math import ceil, sqrt
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from kit._arrays import Bools
from kit._checking import fraction, known
from kit._reporting import Result

METHODS = ("wilson", "bootstrap")
"""Names for `accuracy_interval`."""
_RESAMPLES = 2000


@dataclass(frozen=True)
class AccuracyInterval(Result):
    """An accuracy and where the accuracy on endlessly many such pictures may lie.

    Attributes
    ----------
    right, count
        Pictures answered rightly, and all.
    accuracy
        Their ratio, 0..1.
    low, high
        Ends of the interval, 0..1.
    confidence
        In how many of such experiments the interval covers the true accuracy, 0..1.
    method
        One of `METHODS`.
    """

    right: int
    count: int
    accuracy: float
    low: float
    high: float
    confidence: float
    method: str

    @property
    def half_width(self) -> float:
        """Half the length of the interval, 0..0.5."""
        return (self.high - self.low) / 2

    def __repr__(self) -> str:
        return (
            f"AccuracyInterval({self.accuracy:.1%} of {self.count:,} pictures; {self.confidence:.0%} "
            f"confidence {self.low:.1%} to {self.high:.1%}, {self.method})"
        )


def accuracy_interval(
    right: int | npt.ArrayLike,
    count: int | None = None,
    *,
    confidence: float = 0.95,
    method: str = "wilson",
    groups: npt.ArrayLike | None = None,
    seed: int = 0,
) -> AccuracyInterval:
    """Return the confidence interval of an accuracy that was measured on a number of pictures.

    It covers the chance in which pictures were taken for validation, and nothing else: not another choice of
    training pictures, and not pictures of another kind.

    Parameters
    ----------
    right
        How many were answered rightly, with `count`; or bool, shape (N,), for each picture.
    count
        How many there were.
    confidence
        Above 0 and below 1.
    method
        ``"wilson"``: the score interval (Wilson 1927, doi 10.1080/01621459.1927.10502953), which keeps its
        promise at few pictures and near 100 %. ``"bootstrap"``: percentiles of 2,000 resamples (Efron 1979,
        doi 10.1214/aos/1176344552); too short at few pictures, but it can resample groups.
    groups
        Shape (N,), for the bootstrap: pictures of one source share a number and are drawn together, since
        they are answered alike and count for less than as many single ones.
    seed
        Of the bootstrap.

    Raises
    ------
    TypeError, ValueError
        No pictures, more right ones than there are, groups without bootstrap, or an unknown method.
    """
    answers, rightly, total = _counted(right, count)
    inner(confidence)
    known("method", method, METHODS)
    if method == "wilson":
        if groups is not None:
            raise ValueError("Expected groups with method='bootstrap', received them with 'wilson'; set it")
        from scipy.stats import binomtest  # noqa: PLC0415 (slow to import)

        ends = binomtest(rightly, total).proportion_ci(confidence, method="wilson")
        low, high = float(ends.low), float(ends.high)
    else:
        low, high = _bootstrapped(answers, groups, confidence, seed)
    return AccuracyInterval(rightly, total, rightly / total, low, high, confidence, method)


def pictures_for_width(accuracy: float, half_width: float, *, confidence: float = 0.95) -> int:
    """Return how many validation pictures make Wilson's interval as short as wanted.

    Parameters
    ----------
    accuracy
        That is expected, 0..1.
    half_width
        Largest half of the interval's length, above 0 and below 0.5; 0.01 is a percentage point each way.
    confidence
        Above 0 and below 1.

    Returns
    -------
    int
        The least number; from half_width = z sqrt(p q / n + z^2 / 4 n^2) / (1 + z^2 / n), solved for n.
    """
    if not 0 <= accuracy <= 1:
        raise ValueError(f"Expected an accuracy within 0..1, received {accuracy:g}; 0.9 is 90 %")
    if not 0 < half_width < 0.5:
        raise ValueError(f"Expected half_width above 0 and below 0.5, received {half_width:g}")
    z = quantile((1 + inner(confidence)) / 2)
    # With u = z^2 / n: h^2 (1 + u)^2 = p q u + u^2 / 4, a quadratic in u with one positive root.
    square, variance = half_width**2, accuracy * (1 - accuracy)
    a, b, c = 0.25 - square, variance - 2 * square, -square
    u = -2 * c / (b + sqrt(b * b - 4 * a * c))
    return max(1, ceil(z * z / u - 1e-9))


def _counted(right: Any, count: int | None) -> tuple[Bools, int, int]:
    if count is None:
        answers = bools(right)
        return answers, int(answers.sum()), len(answers)
    if not isinstance(right, (int, np.integer)) or isinstance(right, bool):
        raise TypeError(
            f"Expected the number of right answers with count=, received {type(right).__name__}; "
            "leave count out for an array"
        )
    if not 0 <= right <= count or count < 1:
        raise ValueError(f"Expected 0 to count right answers of at least 1, received {right} of {count}")
    return np.arange(count) < right, int(right), int(count)


def bools(right: npt.ArrayLike) -> Bools:
    """Return right or wrong for each picture, else raise a TypeError or a ValueError."""
    answers = np.asarray(right)
    if answers.ndim != 1 or not len(answers):
        raise ValueError(
            f"Expected an answer for each of at least one picture, received shape {answers.shape}; "
            "give count= with a number"
        )
    if answers.dtype != np.bool_:
        raise TypeError(
            f"Expected right or wrong as bool, received {answers.dtype}; compare answers with labels"
        )
    return answers


def _bootstrapped(
    answers: Bools, groups: npt.ArrayLike | None, confidence: float, seed: int
) -> tuple[float, float]:
    from scipy.stats import bootstrap  # noqa: PLC0415 (slow to import)

    if groups is None:
        sums, sizes = answers.astype(float), np.ones(len(answers))
    else:
        numbers = np.unique(np.asarray(groups), return_inverse=True)[1]
        if numbers.shape != answers.shape:
            raise ValueError(f"Expected a group for each of {len(answers)} answers, received {numbers.shape}")
        sums, sizes = np.bincount(numbers, answers), np.bincount(numbers).astype(float)
    if len(sums) < 2:
        return 0.0, 1.0
    ends = bootstrap(
        (sums, sizes),
        lambda rights, counts, axis: rights.sum(axis) / counts.sum(axis),
        paired=True,
        vectorized=True,
        n_resamples=_RESAMPLES,
        batch=100,
        confidence_level=confidence,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return float(ends.low), float(ends.high)


def inner(value: float) -> float:
    """Return a number above 0 and below 1, else raise a ValueError."""
    if fraction("a confidence or power", value) == 1:
        raise ValueError("Expected a confidence or power below 1, received 1; nothing is that certain")
    return value


def quantile(probability: float) -> float:
    """Return the quantile of the standard normal distribution."""
    return NormalDist().inv_cdf(probability)


def pictures_to_compare(
    first: float,
    second: float,
    *,
    disagreement: float | None = None,
    power: float = 0.8,
    confidence: float = 0.95,
) -> int:
    """Return how many validation pictures tell two classifiers of these accuracies apart.

    Parameters
    ----------
    first, second
        The accuracies, 0..1, different.
    disagreement
        Share of the pictures that exactly one of them answers rightly, for both on the *same* pictures: at
        least the difference of the accuracies. None: each on pictures of its own.
    power
        How often the difference is to be noticed, above 0 and below 1.
    confidence
        1 minus how often a difference may be seen where there is none; two-sided.

    Returns
    -------
    int
        Same pictures, McNemar's test: (z_a sqrt(d) + z_b sqrt(d - delta^2))^2 / delta^2 of Connor (1987, doi
        10.2307/2531961), with the disagreement d. Own pictures, each: (z_a sqrt(2 p q) + z_b
        sqrt(p1 q1 + p2 q2))^2 / delta^2 with the mean p (Fleiss, Levin and Paik 2003, chapter 4).
    """
    for accuracy in (first, second):
        if not 0 <= accuracy <= 1:
            raise ValueError(f"Expected accuracies within 0..1, received {accuracy:g}; 0.9 is 90 %")
    delta = abs(first - second)
    if delta == 0:
        raise ValueError(f"Expected two accuracies that differ, received {first:g} twice; no number will do")
    z_alpha = quantile((1 + inner(confidence)) / 2)
    z_beta = quantile(inner(power))
    if disagreement is None:
        mean = (first + second) / 2
        null = sqrt(2 * mean * (1 - mean))
        alternative = sqrt(first * (1 - first) + second * (1 - second))
    else:
        most = min(first + second, 2 - first - second)
        if not delta - 1e-12 <= disagreement <= most + 1e-12:
            raise ValueError(
                f"Expected a disagreement within {delta:g}..{most:g} for these accuracies, received "
                f"{disagreement:g}; it is the share that exactly one answers rightly"
            )
        null, alternative = sqrt(disagreement), sqrt(max(disagreement - delta**2, 0))
    return ceil(((z_alpha * null + z_beta * alternative) / delta) ** 2 - 1e-9)


@dataclass(frozen=True)
class Comparison(Result):
    """Two classifiers held against each other.

    Attributes
    ----------
    first, second
        Their accuracies, 0..1.
    only_first, only_second
        Pictures that only one of them answers rightly; None where each had pictures of its own.
    p_value
        How often chance alone makes such a difference or a larger one.
    pictures_needed
        How many pictures (each, if each has its own) notice a difference as large as the one seen in four of
        five experiments, at 95 % confidence; None where there is no difference.
    """

    first: float
    second: float
    only_first: int | None
    only_second: int | None
    p_value: float
    pictures_needed: int | None

    def __repr__(self) -> str:
        needed = "" if self.pictures_needed is None else f"; {self.pictures_needed:,} pictures needed"
        return f"Comparison({self.first:.1%} and {self.second:.1%}; p = {self.p_value:.2g}{needed})"


def compare_accuracies(first: npt.ArrayLike, second: npt.ArrayLike, *, paired: bool = True) -> Comparison:
    """Test whether two classifiers differ in accuracy.

    Parameters
    ----------
    first, second
        Bool, shape (N,) and (M,): whether each picture is answered rightly.
    paired
        Whether both answered the same pictures, in the same order: McNemar's exact test (1947, doi
        10.1007/BF02295996). Else the chi-square test of two proportions without correction.

    Raises
    ------
    TypeError, ValueError
        No bools, no pictures, or another number of them for a paired test.
    """
    from scipy.stats import binomtest, chi2_contingency  # noqa: PLC0415 (slow to import)

    one, two = bools(first), bools(second)
    accuracies = float(one.mean()), float(two.mean())
    if not paired:
        table = [[right.sum(), (~right).sum()] for right in (one, two)]
        same = accuracies[0] == accuracies[1]
        p_value = 1.0 if same else float(chi2_contingency(table, correction=False).pvalue)
        needed = None if same else pictures_to_compare(*accuracies)
        return Comparison(*accuracies, None, None, p_value, needed)
    if len(one) != len(two):
        raise ValueError(
            f"Expected answers to the same pictures, received {len(one)} and {len(two)}; set paired=False"
        )
    only_first, only_second = int((one & ~two).sum()), int((~one & two).sum())
    apart = only_first + only_second
    p_value = float(binomtest(only_first, apart).pvalue) if apart else 1.0
    share = apart / len(one)
    needed = None if only_first == only_second else pictures_to_compare(*accuracies, disagreement=share)
    return Comparison(*accuracies, only_first, only_second, p_value, needed)
