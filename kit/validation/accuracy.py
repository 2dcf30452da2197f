"""Accuracy: its interval, two classifiers compared, and cross-validation."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy  # its parts are imported when they are used

from kit._arrays import Bools
from kit._checking import whole
from kit._reporting import Progress, Result, Steps, Table
from kit.images.opening import describe
from kit.images.photo import Pictures, as_photos


@dataclass(frozen=True)
class AccuracyInterval(Result):
    """An accuracy and the ends of its 95 % confidence interval, 0..1."""

    right: int
    count: int
    accuracy: float
    low: float
    high: float

    def __repr__(self) -> str:
        return (
            f"{self.right:,} of {self.count:,} images are predicted correctly:"
            f" {self.accuracy:.1%} (95% interval {self.low:.1%} to {self.high:.1%})."
        )


def accuracy_interval(
    right: int | npt.ArrayLike, count: int | None = None
) -> AccuracyInterval:
    """Return Wilson's confidence interval of an accuracy (1927, doi 10.1080/01621459.1927.10502953).

    It covers the chance in which images were taken for validation: not another choice of training images, and
    not images of another kind.

    Parameters
    ----------
    right, count
        How many were predicted correctly, and how many there were; or bool, shape (N,), for each image.

    Raises
    ------
    TypeError, ValueError
        No images or bools, or more correct ones than there are.
    """
    # Without a count, `right` is a bool for each image.
    if count is None:
        hits = _checked_bools(right)
        count = len(hits)
        right = hits.sum()
    total = whole("count", count, low=1, high=None)
    correct = whole("right", right, low=0, high=total)
    low, high = scipy.stats.binomtest(correct, total).proportion_ci(0.95, "wilson")
    return AccuracyInterval(
        right=correct,
        count=total,
        accuracy=correct / total,
        low=float(low),
        high=float(high),
    )


def _checked_bools(correct: npt.ArrayLike) -> Bools:
    # Whole numbers 0 and 1 are refused, too: summed, they would pass for hits, but they may be classes.
    correct_bools = np.asarray(correct)
    if (
        correct_bools.ndim != 1
        or not len(correct_bools)
        or correct_bools.dtype != np.bool_
    ):
        raise ValueError(
            "Expected a bool for each of at least one image, received "
            f"{correct_bools.dtype} of shape {correct_bools.shape}"
        )
    return correct_bools


@dataclass(frozen=True)
class AccuracyComparison(Result):
    """Accuracies of two classifiers on the same images, 0..1, and how many only one predicts correctly.

    ``p_value`` is how often chance alone makes such a difference or a larger one.
    """

    first: float
    second: float
    only_first: int
    only_second: int
    p_value: float


def compare_accuracies(by_first: Bools, by_second: Bools) -> AccuracyComparison:
    """Test whether two classifiers differ in accuracy: McNemar's exact test (1947, doi 10.1007/BF02295996).

    Takes whether each predicts each of the same images correctly, bool (N,), of at least one image.
    """
    only_first = int((by_first & ~by_second).sum())
    only_second = int((by_second & ~by_first).sum())
    # Of the images that only one of them predicts correctly, chance gives each a half.
    # Where there is none, as where there is one, the p-value is 1.
    trials = max(only_first + only_second, 1)
    test = scipy.stats.binomtest(only_first, trials)
    return AccuracyComparison(
        first=float(by_first.mean()),
        second=float(by_second.mean()),
        only_first=only_first,
        only_second=only_second,
        p_value=float(test.pvalue),
    )


@dataclass(frozen=True)
class CrossValidation(Result):
    """Accuracy on every fold, in order, each by a classifier that was trained on all the others."""

    folds: tuple[AccuracyInterval, ...]

    @property
    def accuracies(self) -> tuple[float, ...]:
        """Of each fold, 0..1."""
        return tuple(fold.accuracy for fold in self.folds)

    @property
    def accuracy(self) -> float:
        """Mean of the folds' accuracies, 0..1."""
        return float(np.mean(self.accuracies))

    def interval(self) -> tuple[float, float] | None:
        """Return the ends of a 95 % confidence interval for the accuracy of this way of training, 0..1.

        None where all folds are equal, since their deviation says nothing then. The t interval with the
        variance s^2 (1/k + n_validation / n_training) of Nadeau and Bengio (2003, doi
        10.1023/A:1024068626366), since folds share most of their training images.
        """
        if len(set(self.accuracies)) == 1:
            return None
        # Each image is in one fold alone, which counts the images it is validated on.
        fold_count = len(self.folds)
        image_count = sum(fold.count for fold in self.folds)
        # Folds share training images, so their variance by the number of folds alone is too small.
        validation_to_training = np.mean(
            [fold.count / (image_count - fold.count) for fold in self.folds]
        )
        standard_error = np.std(self.accuracies, ddof=1) * np.sqrt(
            1 / fold_count + validation_to_training
        )
        ends = scipy.stats.t.interval(
            0.95, fold_count - 1, self.accuracy, standard_error
        )
        low, high = np.clip(ends, 0, 1).tolist()
        return low, high

    def table(self) -> Table:
        """Return the folds as a table, one row for each, and the mean."""
        # A fold counts the images it is measured on; all others trained its classifier.
        image_count = sum(fold.count for fold in self.folds)
        rows = [
            (
                str(number),
                f"{image_count - fold.count:,}",
                f"{fold.count:,}",
                f"{fold.accuracy:.1%}",
            )
            for number, fold in enumerate(self.folds, start=1)
        ]
        # Each fold counts the same, however many images it has.
        rows.append(("mean", "", "", f"{self.accuracy:.1%}"))
        return Table(("fold", "training", "validation", "accuracy"), rows, ">>>>")

    def __repr__(self) -> str:
        ends = self.interval()
        summary = "all folds are equal, which gives no interval"
        if ends:
            low, high = ends
            summary = (
                f"folds {min(self.accuracies):.1%} to {max(self.accuracies):.1%},"
                f" 95% interval {low:.1%} to {high:.1%}"
            )
        return (
            f"Accuracy over {len(self.folds)} folds: {self.accuracy:.1%} ({summary})."
        )


def cross_validate(
    train: Callable[..., Any],
    pictures: Pictures,
    labels: npt.ArrayLike,
    *,
    folds: int = 5,
    groups: npt.ArrayLike | None = None,
    seed: int = 0,
    progress: Progress = True,
) -> CrossValidation:
    """Train once for each fold on all the others, and measure on the fold.

    The folds are those of scikit-learn's StratifiedKFold, with groups of its StratifiedGroupKFold.

    Parameters
    ----------
    train
        Called with photos, labels and ``seed=``; returns a classifier, or anything with its
        ``probabilities``. Say ``partial(kit.validation.train, preprocessing=…, class_names=…, epochs=5)``.
    pictures, labels
        See `kit.images.photo`; whole numbers from 0 up, shape (N,): the class of each.
    folds
        How many; that many trainings.
    groups
        Shape (N,): images of one group stay together, say `Duplicates.groups` or the photographer.
    seed
        Of the folds and of the training.
    progress
        True for a bar; or a function that gets each step as a line of text.

    Raises
    ------
    ValueError
        Another number of labels or groups, labels that are no whole numbers, or too many folds for them.
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    photos = as_photos(pictures)
    classes = np.asarray(labels)
    if classes.dtype.kind not in "iu" or np.any(classes < 0):
        raise ValueError(
            "Expected labels as whole numbers from 0 up, the index of each class, "
            f"received {describe(classes)}; give class_names.index(name) of each"
        )
    splitter_class = StratifiedKFold if groups is None else StratifiedGroupKFold
    splitter = splitter_class(folds, shuffle=True, random_state=seed)
    splits = list(splitter.split(photos, classes, groups))
    fold_intervals = []
    for training_places, validation_places in Steps(
        splits, "Training on folds", progress
    ):
        classifier = train(
            [photos[place] for place in training_places],
            classes[training_places],
            seed=seed,
        )
        validation_photos = [photos[place] for place in validation_places]
        predicted_classes = np.argmax(
            classifier.probabilities(validation_photos), axis=1
        )
        fold_intervals.append(
            accuracy_interval(predicted_classes == classes[validation_places])
        )
    return CrossValidation(tuple(fold_intervals))
