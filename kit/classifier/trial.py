"""Answers to the same pictures before and after a change, and what the change is worth."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kit._arrays import Bools, Float64, Floats

Truth = Sequence[int | None]
"""Index of the right class of each picture, None where it is not known; empty where none is."""

LEAST = 1e-7
"""Probabilities of the right class below count as this: one answer must not outweigh all others."""


@dataclass(frozen=True, eq=False)
class Trial:
    """Answers to some pictures before and after a change of the pictures, the preprocessing or the network.

    Attributes
    ----------
    before, after
        Softmax probabilities, float (N, classes), one row for each picture, in the same order. Not copied.
    labels
        Index of the right class of each picture, None where it is not known; empty where none is.
    """

    before: Floats
    after: Floats
    labels: Truth = ()

    @property
    def changed(self) -> Bools:
        """Whether each picture gets another answer; bool (N,)."""
        differing: Bools = self.before.argmax(axis=1) != self.after.argmax(axis=1)
        return differing

    @property
    def gain(self) -> float:
        """Mean over the pictures of what the change brings, in nats; below 0 where it makes matters worse.

        By how much the log-likelihood of a known label rises; where there is none, by how much the entropy of
        the answer falls.
        """
        return float(np.mean(self._surprise(self.before) - self._surprise(self.after)))

    @property
    def right(self) -> tuple[int, int]:
        """How many of the labelled pictures are answered rightly, before and after."""
        return int(hits(self.before, self.labels).sum()), int(hits(self.after, self.labels).sum())

    @property
    def regained(self) -> int:
        """How many labelled pictures the change puts right, less those that it puts wrong."""
        before, after = self.right
        return after - before

    @property
    def turned(self) -> tuple[int, int]:
        """How many labelled pictures the change puts right, and how many it puts wrong."""
        before, after = hits(self.before, self.labels), hits(self.after, self.labels)
        return int((after & ~before).sum()), int((before & ~after).sum())

    @property
    def largest(self) -> float:
        """Largest difference of a probability, 0..1."""
        return float(np.abs(self.before - self.after).max())

    def likelihoods(self, least: float = LEAST) -> tuple[float, float] | None:
        """Return the mean log-likelihood of the known labels before and after; None where none is known.

        Parameters
        ----------
        least
            Probabilities below count as this.
        """
        rows, columns = known(self.labels)
        if not rows:
            return None
        before, after = (
            float(np.log(np.maximum(answers[rows, columns], least)).mean())
            for answers in (self.before, self.after)
        )
        return before, after

    def _surprise(self, answers: Floats) -> Float64:
        surprise = entropies(answers).astype(np.float64)
        rows, columns = known(self.labels)
        surprise[rows] = -np.log(np.maximum(answers[rows, columns].astype(np.float64), LEAST))
        return surprise


def entropies(answers: Floats) -> Floats:
    """Return the entropy of each row of probabilities, in nats; float (N,)."""
    result: Floats = -(answers * np.log(np.maximum(answers, 1e-12))).sum(axis=1)
    return result


def hits(answers: Floats, labels: Truth) -> Bools:
    """Return whether each picture is known to be answered rightly; bool (N,), False without a label."""
    found = np.zeros(len(answers), np.bool_)
    rows, columns = known(labels)
    found[rows] = answers.argmax(axis=1)[rows] == columns
    return found


def known(labels: Truth) -> tuple[list[int], list[int]]:
    """Return the places of the labels that are known, and these labels."""
    pairs = [(place, int(label)) for place, label in enumerate(labels) if label is not None]
    return [place for place, _ in pairs], [label for _, label in pairs]
