"""Accuracy, its interval, and two classifiers compared."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy  # its parts are imported when they are used

from kit._arrays import Bools
from kit._checking import whole
from kit._reporting import Result


@dataclass(frozen=True)
class AccuracyInterval(Result):
    """An accuracy and the ends of its 95 % confidence interval, 0..1."""

    right: int
    count: int
    accuracy: float
    low: float
    high: float

    def __repr__(self) -> str:
        interval = f"95% confidence {self.low:.1%} to {self.high:.1%}"
        return f"AccuracyInterval({self.accuracy:.1%} of {self.count:,} images; {interval})"


def accuracy_interval(right: int | npt.ArrayLike, count: int | None = None) -> AccuracyInterval:
    """Return Wilson's confidence interval of an accuracy (1927, doi 10.1080/01621459.1927.10502953).

    It covers the chance in which images were taken for validation: not another choice of training images, and
    not images of another kind.

    Parameters
    ----------
    right
        How many were predicted correctly, with `count`; or bool, shape (N,), for each image.
    count
        How many there were.

    Raises
    ------
    TypeError, ValueError
        No images or bools, or more correct ones than there are.
    """
    if count is None:
        hits = _bools(right)
        right, count = int(hits.sum()), len(hits)
    total = whole("count", count, 1, None)
    rightly = whole("right", right, 0, total)
    low, high = scipy.stats.binomtest(rightly, total).proportion_ci(method="wilson")
    return AccuracyInterval(rightly, total, rightly / total, float(low), float(high))


def _bools(right: npt.ArrayLike) -> Bools:
    hits = np.asarray(right)
    if hits.ndim != 1 or not len(hits) or hits.dtype != np.bool_:
        received = f"{hits.dtype} of shape {hits.shape}"
        raise ValueError(f"Expected a bool for each of at least one image, received {received}")
    return hits


@dataclass(frozen=True)
class Comparison(Result):
    """Accuracies of two classifiers on the same images, 0..1, and how many only one predicts correctly.

    ``p_value`` is how often chance alone makes such a difference or a larger one.
    """

    first: float
    second: float
    only_first: int
    only_second: int
    p_value: float


def compare_accuracies(first: npt.ArrayLike, second: npt.ArrayLike) -> Comparison:
    """Test whether two classifiers differ in accuracy: McNemar's exact test (1947, doi 10.1007/BF02295996).

    Parameters
    ----------
    first, second
        Bool, shape (N,): whether each predicts each of the same images correctly.

    Raises
    ------
    ValueError
        No bools, no images, or another number of them.
    """
    one, two = _bools(first), _bools(second)
    if len(one) != len(two):
        raise ValueError(f"Expected predictions for the same images, received {len(one)} and {len(two)}")
    only_first, only_second = int((one & ~two).sum()), int((~one & two).sum())
    apart = only_first + only_second
    p_value = float(scipy.stats.binomtest(only_first, apart).pvalue) if apart else 1.0
    return Comparison(float(one.mean()), float(two.mean()), only_first, only_second, p_value)
