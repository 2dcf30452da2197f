"""How evenly pictures lie over the classes, and what accuracy is worth there."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kit._reporting import Result, Table


@dataclass(frozen=True)
class ClassBalance(Result):
    """Pictures in each class.

    Attributes
    ----------
    class_names
        One for each class.
    counts
        Pictures of each class.
    """

    class_names: tuple[str, ...]
    counts: tuple[int, ...]

    @property
    def majority_baseline(self) -> float:
        """Accuracy of always answering the most frequent class, 0..1."""
        return max(self.counts) / sum(self.counts)

    @property
    def effective_classes(self) -> float:
        """Number of equally frequent classes that are as varied: exp of Shannon's entropy.

        Hill 1973, doi 10.2307/1934352. All classes equally frequent give their number, a single one gives 1.
        """
        shares = np.array([count for count in self.counts if count]) / sum(self.counts)
        return float(np.exp(-(shares * np.log(shares)).sum()))

    @property
    def imbalance(self) -> float:
        """Pictures of the most frequent class for each of the rarest; infinite if a class has none."""
        return max(self.counts) / min(self.counts) if min(self.counts) else float("inf")

    def table(self) -> Table:
        """Set the counts in a table, one row for each class."""
        total = sum(self.counts)
        rows = [
            (name, f"{count:,}", f"{count / total:.1%}")
            for name, count in zip(self.class_names, self.counts, strict=True)
        ]
        return Table(("class", "pictures", "share"), rows, "<>>", widths=(5, 8, 6))

    def __repr__(self) -> str:
        return (
            f"ClassBalance({sum(self.counts):,} pictures in {len(self.counts)} classes, as varied as "
            f"{self.effective_classes:.1f} equal ones; majority baseline {self.majority_baseline:.1%})"
        )


def class_balance(labels: npt.ArrayLike, class_names: Sequence[str]) -> ClassBalance:
    """Count the pictures of each class.

    Parameters
    ----------
    labels
        Whole numbers, shape (N,): the class of each.
    class_names
        One for each class.

    Raises
    ------
    ValueError
        No labels, or one beyond the class names.
    """
    truth = np.asarray(labels)
    if truth.ndim != 1 or not len(truth) or truth.dtype.kind not in "iu":
        raise ValueError(
            f"Expected whole numbers, one for each picture, received {truth.dtype} of shape {truth.shape}"
        )
    if truth.min() < 0 or truth.max() >= len(class_names):
        raise ValueError(
            f"Expected labels within 0..{len(class_names) - 1}, received {truth.min()}..{truth.max()}"
        )
    counts = np.bincount(truth, minlength=len(class_names))
    return ClassBalance(tuple(class_names), tuple(counts.tolist()))


def balanced_accuracy(labels: npt.ArrayLike, predicted: npt.ArrayLike) -> float:
    """Return the mean over the classes of the share answered rightly, 0..1, so that rare ones count as much.

    Parameters
    ----------
    labels, predicted
        Whole numbers, shape (N,): the class, and the class answered. Classes without pictures do not count.
    """
    from sklearn.metrics import recall_score  # noqa: PLC0415 (slow to import)

    present = np.unique(np.asarray(labels))
    recall = recall_score(labels, predicted, labels=present, average="macro", zero_division=0)
    return float(recall)
