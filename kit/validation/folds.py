"""Cross-validation and learning curves."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy  # its parts are imported when they are used

from kit._arrays import Bools, Int64
from kit._reporting import Progress, Result, Steps, Table
from kit.images import Photo, Pictures, as_photos
from kit.validation.accuracy import AccuracyInterval, accuracy_interval

Train = Callable[..., Any]
"""Called with photos, labels and ``seed=``; returns a classifier, or anything with its ``probabilities``."""


@dataclass(frozen=True, repr=False)
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

    def interval(self) -> tuple[float, float]:
        """Return the ends of a 95 % confidence interval for the accuracy of this way of training, 0..1.

        The t interval with the variance s^2 (1/k + n_validation / n_training) of Nadeau and Bengio (2003,
        doi 10.1023/A:1024068626366), since folds share most of their training images.
        """
        count, total = len(self.folds), sum(fold.count for fold in self.folds)
        ratio = np.mean([fold.count / (total - fold.count) for fold in self.folds])
        deviation = np.std(self.accuracies, ddof=1) * np.sqrt(1 / count + ratio)
        half = float(scipy.stats.t.ppf(0.975, count - 1) * deviation)
        return max(0.0, self.accuracy - half), min(1.0, self.accuracy + half)

    def table(self) -> Table:
        """Return the folds as a table, one row for each, and the mean."""
        total = sum(fold.count for fold in self.folds)
        rows = [
            (str(number), f"{total - fold.count:,}", f"{fold.count:,}", f"{fold.accuracy:.1%}")
            for number, fold in enumerate(self.folds, 1)
        ]
        rows.append(("mean", "", "", f"{self.accuracy:.1%}"))
        return Table(("fold", "training", "validation", "accuracy"), rows, ">" * 4)

    def __repr__(self) -> str:
        low, high = self.interval()
        over = f"{min(self.accuracies):.1%} to {max(self.accuracies):.1%} over the folds"
        interval = f"95% confidence {low:.1%} to {high:.1%} (Nadeau-Bengio)"
        return f"CrossValidation({len(self.folds)} folds, accuracy {self.accuracy:.1%}; {over}; {interval})"


def cross_validate(
    train: Train,
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
        See `Train`; say ``partial(kit.validation.train, preprocessing=…, class_names=…, epochs=5)``.
    pictures
        See `kit.images.photo`.
    labels
        Whole numbers from 0 up, shape (N,): the class of each.
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
        Labels or groups that do not fit, or too many folds for them.
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    chosen, truth = _checked(pictures, labels)
    most = int(np.unique(truth, return_counts=True)[1].min())
    most = most if groups is None else min(most, len(np.unique(np.asarray(groups))))
    if not 2 <= folds <= most:
        raise ValueError(f"Expected 2 to {most} folds, for the rarest class or the groups, received {folds}")
    splitter = StratifiedKFold if groups is None else StratifiedGroupKFold
    splits = list(splitter(folds, shuffle=True, random_state=seed).split(truth, truth, groups))
    finished = []
    for training, validation in Steps(splits, "Training on folds", "fold", progress):
        classifier = train([chosen[place] for place in training], truth[training], seed=seed)
        finished.append(accuracy_interval(_hits(classifier, chosen, truth, validation)))
    return CrossValidation(tuple(finished))


@dataclass(frozen=True)
class Point:
    """A model trained on so many images: its accuracy on them, 0..1, and on the held-back ones.

    The former is on as many of them as are held back.
    """

    size: int
    training: float
    validation: AccuracyInterval


@dataclass(frozen=True, repr=False)
class LearningCurve(Result):
    """Accuracy by the number of training images, ascending."""

    points: tuple[Point, ...]

    def table(self) -> Table:
        """Return the points as a table, one row for each."""
        rows = []
        for one in self.points:
            held = one.validation
            within = f"{held.low:.1%} to {held.high:.1%}"
            rows.append((f"{one.size:,}", f"{one.training:.1%}", f"{held.accuracy:.1%}", within))
        return Table(("images", "training", "validation", "95% confidence"), rows, ">>><")

    def __repr__(self) -> str:
        steps = ", ".join(f"{point.size:,}: {point.validation.accuracy:.1%}" for point in self.points)
        return f"LearningCurve({steps})"


def learning_curve(
    train: Train,
    pictures: Pictures,
    labels: npt.ArrayLike,
    validation_pictures: Pictures,
    validation_labels: npt.ArrayLike,
    *,
    sizes: Sequence[int],
    seed: int = 0,
    progress: Progress = True,
) -> LearningCurve:
    """Train on more and more of the images, and measure each time on the same held-back ones.

    Each part is contained in the next larger one and has the classes in the proportions of all.

    Parameters
    ----------
    train, pictures, labels, seed, progress
        As for `cross_validate`.
    validation_pictures, validation_labels
        Held back, in the same form.
    sizes
        Numbers of training images.

    Raises
    ------
    ValueError
        Labels that do not fit, or more images asked for than there are.
    """
    chosen, truth = _checked(pictures, labels)
    held_back, answers = _checked(validation_pictures, validation_labels)
    if not sizes or not 1 <= min(sizes) <= max(sizes) <= len(chosen):
        raise ValueError(f"Expected sizes of 1 to {len(chosen)} images, received {list(sizes)}")
    order = _stratified(truth, seed)
    points = []
    for size in Steps(sorted(set(sizes)), "Learning curve", "size", progress):
        part = order[:size]
        classifier = train([chosen[place] for place in part], truth[part], seed=seed)
        known = np.random.default_rng(seed).permutation(part)[: len(held_back)]
        trained = float(_hits(classifier, chosen, truth, known).mean())
        right = _hits(classifier, held_back, answers, np.arange(len(held_back)))
        points.append(Point(size, trained, accuracy_interval(right)))
    return LearningCurve(tuple(points))


def _checked(pictures: Pictures, labels: npt.ArrayLike) -> tuple[tuple[Photo, ...], Int64]:
    chosen = as_photos(pictures, allow_empty=False)
    truth = np.asarray(labels)
    if truth.shape != (len(chosen),) or truth.dtype.kind not in "iu" or truth.min() < 0:
        received = f"{truth.dtype} of shape {truth.shape}"
        raise ValueError(f"Expected a class from 0 up for each of {len(chosen)} images, received {received}")
    return chosen, truth.astype(np.int64)


def _hits(classifier: Any, photos: Sequence[Photo], labels: Int64, places: Int64) -> Bools:
    rows = classifier.probabilities([photos[place] for place in places])
    return np.asarray(np.asarray(rows).argmax(axis=1) == labels[places])


def _stratified(labels: Int64, seed: int) -> Int64:
    """Return all places in an order of which every beginning has the classes in the proportions of all."""
    order = np.random.default_rng(seed).permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    counts = np.unique(labels, return_counts=True)[1]
    progress = np.concatenate([(np.arange(count) + 0.5) / count for count in counts])
    return order[np.argsort(progress, kind="stable")]
