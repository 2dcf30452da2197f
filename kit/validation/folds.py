"""Cross-validation and learning curves."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import nan, sqrt
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from kit._arrays import Array, Indices, Int64
from kit._reporting import Progress, Result, Steps, Table
from kit.images import Photo, Pictures, as_photos
from kit.validation.accuracy import AccuracyInterval, accuracy_interval
from kit.validation.balance import balanced_accuracy


def split_folds(
    labels: npt.ArrayLike, count: int = 5, *, groups: npt.ArrayLike | None = None, seed: int = 0
) -> Iterator[tuple[Int64, Int64]]:
    """Yield training and validation places for cross-validation, with the classes in each as in all.

    Parameters
    ----------
    labels
        Shape (N,), the class of each picture.
    count
        Number of folds, at least 2.
    groups
        Shape (N,), numbers or names: pictures of one group stay together. See `joined`.
    seed
        Of the shuffle; not negative.

    Yields
    ------
    training, validation
        int64, without overlap, together all places. scikit-learn's StratifiedKFold, or with groups its
        StratifiedGroupKFold.

    Raises
    ------
    ValueError
        Labels or groups that do not fit, or a class with fewer pictures than folds.
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold  # noqa: PLC0415 (slow)

    truth = _one_each(labels, "label", None)
    sources = None if groups is None else _one_each(groups, "group", len(truth))
    rarest = np.unique(truth, return_counts=True)[1].min()
    if not 2 <= count <= rarest:
        raise ValueError(
            f"Expected 2 to {rarest} folds, the pictures in the rarest class, received {count}; "
            "take fewer folds or more pictures"
        )
    if sources is not None and (numbers := len(np.unique(sources))) < count:
        raise ValueError(f"Expected at least {count} groups for {count} folds, received {numbers}")
    splitter = StratifiedKFold if sources is None else StratifiedGroupKFold
    yield from splitter(count, shuffle=True, random_state=seed).split(truth, truth, sources)


def subset(labels: npt.ArrayLike, size: int, *, seed: int = 0) -> Int64:
    """Return places of some pictures, int64, shape (size,), with the classes as in all.

    Raises
    ------
    ValueError
        More pictures than there are, or fewer than classes.
    """
    from sklearn.model_selection import train_test_split  # noqa: PLC0415 (slow to import)

    truth = _one_each(labels, "label", None)
    places = np.arange(len(truth))
    classes = len(np.unique(truth))
    if not classes <= size <= len(truth):
        raise ValueError(
            f"Expected {classes} to {len(truth)} pictures, received {size}; at least one a class"
        )
    if len(truth) - size < classes:  # too few are left over to be stratified
        return np.sort(np.random.default_rng(seed).permutation(places)[:size])
    chosen = train_test_split(places, train_size=size, stratify=truth, random_state=seed)[0]
    return np.sort(np.asarray(chosen, np.int64))


def joined(*groupings: npt.ArrayLike) -> Int64:
    """Join groupings of the same pictures: those that share a group in any of them share one.

    Parameters
    ----------
    groupings
        Shape (N,) each, numbers or names: by photographer, by video, `Duplicates.groups`.

    Returns
    -------
    int64, shape (N,), numbered from 0 in the order of their first pictures.
    """
    if not groupings:
        raise TypeError("Expected at least one grouping, received none")
    count = len(_one_each(groupings[0], "group", None))
    links = []
    for grouping in groupings:
        values = _one_each(grouping, "group", count)
        _, first, same = np.unique(values, return_index=True, return_inverse=True)
        links.append(np.column_stack([np.arange(count), first[same]]))
    return connected(count, np.concatenate(links))


def connected(count: int, links: Int64) -> Int64:
    """Return the group of each of `count` pictures, int64, that chains of links, shape (M, 2), make.

    Numbered from 0 in the order of their first pictures.
    """
    from scipy.sparse import coo_array  # noqa: PLC0415 (slow to import)
    from scipy.sparse.csgraph import connected_components  # noqa: PLC0415 (slow to import)

    graph = coo_array((np.ones(len(links)), (links[:, 0], links[:, 1])), shape=(count, count))
    labels = connected_components(graph, directed=False)[1]
    _, first, same = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[same].astype(np.int64)


def _one_each(values: npt.ArrayLike, what: str, count: int | None) -> Array:
    array = np.asarray(values)
    if array.ndim != 1 or not len(array) or count not in (None, len(array)):
        wanted = "picture" if count is None else f"of {count} pictures"
        raise ValueError(f"Expected a {what} for each {wanted}, received shape {array.shape}")
    return array


class Predictor(Protocol):
    """What training returns: a `kit.Classifier`, or anything with its method."""

    def probabilities(self, photos: Any, /) -> Array:
        """Return one row for each picture and one column for each class."""


class Train(Protocol):
    """A training loop; `train` with its other arguments filled in by functools.partial."""

    def __call__(self, pictures: tuple[Photo, ...], labels: Int64, /, *, seed: int) -> Predictor:
        """Train anew on these pictures."""


def answered(classifier: Predictor, photos: Any) -> Int64:
    """Return the class with the highest probability for each photo, int64, shape (N,)."""
    classes: Indices = np.asarray(classifier.probabilities(photos)).argmax(axis=1)
    return classes.astype(np.int64)


def checked(pictures: Pictures, labels: npt.ArrayLike) -> tuple[tuple[Photo, ...], Int64]:
    """Return photos and their labels, or raise a ValueError if these do not fit."""
    photos = as_photos(pictures)
    truth = np.asarray(labels)
    if truth.shape != (len(photos),) or truth.dtype.kind not in "iu" or not len(photos):
        raise ValueError(
            f"Expected a whole number for each of {len(photos)} pictures, received {truth.dtype} of shape "
            f"{truth.shape}"
        )
    return photos, truth.astype(np.int64)


@dataclass(frozen=True)
class Fold:
    """One part held back, answered by a network that was trained on the rest.

    Attributes
    ----------
    training, validation
        Pictures trained on and held back.
    right
        Of the latter, those answered rightly.
    balanced_accuracy
        Mean over the classes of the share answered rightly, 0..1.
    """

    training: int
    validation: int
    right: int
    balanced_accuracy: float

    @property
    def accuracy(self) -> float:
        """Share answered rightly, 0..1."""
        return self.right / self.validation


@dataclass(frozen=True, eq=False, repr=False)
class CrossValidation(Result):
    """Accuracy on every fold.

    Attributes
    ----------
    folds
        Those that were finished, in order.
    planned
        How many there were to be.
    predicted
        int64, shape (N,): the class answered for each picture while it was held back, -1 where its fold was
        not finished.
    number
        int64, shape (N,): the fold that held each picture back, from 0; -1 as above.
    """

    folds: tuple[Fold, ...]
    planned: int
    predicted: Int64
    number: Int64

    @property
    def complete(self) -> bool:
        """Whether all folds were finished."""
        return len(self.folds) == self.planned

    @property
    def accuracies(self) -> tuple[float, ...]:
        """Accuracy on each fold, 0..1."""
        return tuple(fold.accuracy for fold in self.folds)

    @property
    def accuracy(self) -> float:
        """Mean of the folds' accuracies, 0..1."""
        return float(np.mean(self.accuracies))

    @property
    def balanced_accuracy(self) -> float:
        """Mean of the folds' balanced accuracies, 0..1."""
        return float(np.mean([fold.balanced_accuracy for fold in self.folds]))

    @property
    def spread(self) -> float:
        """Standard deviation of the folds' accuracies, 0..1; nan for a single fold."""
        return float(np.std(self.accuracies, ddof=1)) if len(self.folds) > 1 else nan

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Return the ends of an interval for the accuracy of this way of training, 0..1.

        The folds share most of their training pictures, so they vary less than independent experiments
        would, and no unbiased estimate of the variance exists (Bengio and Grandvalet 2004, JMLR 5:1089). This
        is the t interval with the variance s^2 (1/k + n_validation / n_training) of Nadeau and Bengio (2003,
        doi 10.1023/A:1024068626366). They derived it for repeated random splits; on folds it is a rule of
        thumb, but a better one than s^2 / k.

        Parameters
        ----------
        confidence
            Above 0 and below 1.

        Raises
        ------
        ValueError
            Fewer than two finished folds.
        """
        from scipy.stats import t  # noqa: PLC0415 (slow to import)

        count = len(self.folds)
        if count < 2:
            raise ValueError(f"Expected at least 2 finished folds for an interval, received {count}")
        ratio = float(np.mean([fold.validation / fold.training for fold in self.folds]))
        half = float(t.ppf((1 + confidence) / 2, count - 1)) * self.spread * sqrt(1 / count + ratio)
        return max(0.0, self.accuracy - half), min(1.0, self.accuracy + half)

    def table(self) -> Table:
        """Set the folds in a table, one row for each, and the mean."""
        rows = []
        for number, fold in enumerate(self.folds, start=1):
            shares = f"{fold.accuracy:.1%}", f"{fold.balanced_accuracy:.1%}"
            rows.append((str(number), f"{fold.training:,}", f"{fold.validation:,}", *shares))
        rows.append(("mean", "", "", f"{self.accuracy:.1%}", f"{self.balanced_accuracy:.1%}"))
        return Table(("fold", "training", "validation", "accuracy", "balanced"), rows, ">" * 5)

    def __repr__(self) -> str:
        done = f"{len(self.folds)} folds" if self.complete else f"{len(self.folds)} of {self.planned} folds"
        parts = [f"{done}, accuracy {self.accuracy:.1%}"]
        if len(self.folds) > 1:
            low, high = self.interval()
            parts += [f"{min(self.accuracies):.1%} to {max(self.accuracies):.1%} over the folds"]
            parts += [f"95% confidence {low:.1%} to {high:.1%} (Nadeau-Bengio)"]
        if not self.complete:
            parts += ["interrupted"]
        return f"CrossValidation({'; '.join(parts)})"


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

    Parameters
    ----------
    train
        Called with photos, labels and a seed, the same in every fold; returns a classifier. Say
        ``partial(kit.validation.train, preprocessing=…, class_names=…, epochs=5, keep_interrupted=False)``.
    pictures
        A folder, a glob pattern, an array, one picture or several: see `kit.images.photo`.
    labels
        Whole numbers, shape (N,): the class of each.
    folds
        How many; that many trainings.
    groups
        Shape (N,): pictures of one source, which stay together; see `kit.validation.joined`.
    seed
        Of the folds and of the training.
    progress
        True for a bar once two seconds have passed; or a function that is told each fold in a line.

    Returns
    -------
    CrossValidation
        An interruption after the first fold returns the finished ones.

    Raises
    ------
    ValueError
        Labels or groups that do not fit, or too many folds.
    KeyboardInterrupt
        Interrupted within the first fold.
    """
    photos, truth = checked(pictures, labels)
    splits = list(split_folds(truth, folds, groups=groups, seed=seed))
    predicted, number = np.full((2, len(truth)), -1, np.int64)
    finished: list[Fold] = []
    with Steps(splits, "Cross-validation", "fold", progress, keep=True) as trainings:
        for training, validation in trainings:
            classifier = train(tuple(photos[place] for place in training), truth[training], seed=seed)
            answers = answered(classifier, [photos[place] for place in validation])
            predicted[validation], number[validation] = answers, len(finished)
            right = int((answers == truth[validation]).sum())
            balanced = balanced_accuracy(truth[validation], answers)
            finished.append(Fold(len(training), len(validation), right, balanced))
            trainings.note("accuracy", f"{finished[-1].accuracy:.1%}")
    predicted.flags.writeable = number.flags.writeable = False
    return CrossValidation(tuple(finished), folds, predicted, number)


SIZES = (500, 2000, 5000, 10_000)
"""Numbers of training pictures, if none are named."""


@dataclass(frozen=True)
class Point:
    """A network trained on some of the pictures.

    Attributes
    ----------
    size
        Training pictures.
    training
        Accuracy on those, or on as many of them as there are validation pictures, 0..1.
    validation
        Accuracy on the held-back pictures, with Wilson's interval at 95 % confidence.
    """

    size: int
    training: float
    validation: AccuracyInterval

    @property
    def gap(self) -> float:
        """How much better it is on what it was trained on, -1..1."""
        return self.training - self.validation.accuracy


@dataclass(frozen=True, repr=False)
class LearningCurve(Result):
    """Accuracy by the number of training pictures.

    Attributes
    ----------
    points
        By size; those that were finished.
    planned
        Sizes that there were to be.
    """

    points: tuple[Point, ...]
    planned: tuple[int, ...]

    @property
    def complete(self) -> bool:
        """Whether all sizes were finished."""
        return len(self.points) == len(self.planned)

    @property
    def last_gain(self) -> float:
        """Gain in validation accuracy over the last step, -1..1; nan for a single point.

        Smaller than the interval's half width it says nothing.
        """
        if len(self.points) < 2:
            return float("nan")
        return self.points[-1].validation.accuracy - self.points[-2].validation.accuracy

    def table(self) -> Table:
        """Set the points in a table, one row for each."""
        rows = []
        for one in self.points:
            held = one.validation
            within = f"{held.low:.1%} to {held.high:.1%}"
            rows.append((f"{one.size:,}", f"{one.training:.1%}", f"{held.accuracy:.1%}", within))
        return Table(("pictures", "training", "validation", "95% confidence"), rows, ">>><")

    def __repr__(self) -> str:
        steps = ", ".join(f"{point.size:,}: {point.validation.accuracy:.1%}" for point in self.points)
        stopped = "" if self.complete else f"; interrupted after {len(self.points)} of {len(self.planned)}"
        return f"LearningCurve({steps}{stopped})"


def learning_curve(
    train: Train,
    pictures: Pictures,
    labels: npt.ArrayLike,
    validation_pictures: Pictures,
    validation_labels: npt.ArrayLike,
    *,
    sizes: Sequence[int] = SIZES,
    seed: int = 0,
    progress: Progress = True,
) -> LearningCurve:
    """Train on more and more of the pictures, and measure each time on the same held-back ones.

    Each part is contained in the next larger one and has the classes in the proportions of all. The intervals
    cover which pictures were held back, not which were trained on.

    Parameters
    ----------
    train
        As for `kit.validation.cross_validate`.
    pictures, labels
        See `kit.images.photo`; and the class of each.
    validation_pictures, validation_labels
        Held back, in the same form.
    sizes
        Numbers of training pictures.
    seed
        Of the choice and of the training.
    progress
        True for a bar once two seconds have passed; or a function that is told each training in a line.

    Returns
    -------
    LearningCurve
        The smallest first. An interruption after the first size returns the finished ones.

    Raises
    ------
    ValueError
        Labels that do not fit, or more pictures asked for than there are.
    KeyboardInterrupt
        Interrupted within the first size.
    """
    photos, truth = checked(pictures, labels)
    held_back, answers = checked(validation_pictures, validation_labels)
    ordered = tuple(sorted(set(sizes)))
    parts = list(zip(ordered, _nested(truth, ordered, seed), strict=True))
    points: list[Point] = []
    with Steps(parts, "Learning curve", "training", progress, keep=True) as trainings:
        for size, part in trainings:
            classifier = train(tuple(photos[place] for place in part), truth[part], seed=seed)
            known = np.random.default_rng(seed).permutation(part)[: len(held_back)]
            trained = answered(classifier, [photos[place] for place in known]) == truth[known]
            right = answered(classifier, held_back) == answers
            points.append(Point(size, float(trained.mean()), accuracy_interval(right)))
            trainings.note("accuracy", f"{points[-1].validation.accuracy:.1%}")
    return LearningCurve(tuple(points), ordered)


def _nested(labels: Int64, sizes: Sequence[int], seed: int) -> list[Int64]:
    """Return places for each size; the smaller are chosen from the larger."""
    if not sizes:
        raise ValueError("Expected at least one number of training pictures, received none")
    places = np.arange(len(labels))
    parts = []
    for size in reversed(sizes):
        places = places[subset(labels[places], size, seed=seed)]
        parts.append(places)
    return parts[::-1]
