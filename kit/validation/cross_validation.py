"""Cross-validation: every picture is held back once, and the spread over the folds is seen."""

from dataclasses import dataclass
from math import nan, sqrt

import numpy as np
import numpy.typing as npt

from kit._arrays import Int64
from kit._interrupts import held
from kit._reporting import Progress, Result, Steps, Table
from kit.images import Pictures
from kit.validation.balance import balanced_accuracy
from kit.validation.splits import folds as split_folds
from kit.validation.training_loop import Train, answered, checked


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
        with held():
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
        A folder, a glob pattern, an array, one picture or several: see `kit.images.sources`.
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
