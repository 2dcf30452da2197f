"""Whether two classifiers differ in accuracy, and how many pictures it takes to see it."""

from dataclasses import dataclass
from math import ceil, sqrt

import numpy.typing as npt

from kit._interrupts import held
from kit._reporting import Result
from kit.validation.accuracy import bools, inner, quantile


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
    with held():
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
