"""Learning curves, which tell whether more pictures would help."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kit._arrays import Int64
from kit._reporting import Progress, Result, Steps, Table
from kit.images import Pictures
from kit.validation.accuracy import AccuracyInterval, accuracy_interval
from kit.validation.splits import subset
from kit.validation.training_loop import Train, answered, checked

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
        See `kit.images.sources`; and the class of each.
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
