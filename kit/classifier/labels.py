"""Class names and indices, and labels that a person gives."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kit._arrays import Bools, Float64, Floats, Int64
from kit._checking import meant, printable, whole

Labels = Sequence[int | str | None] | npt.NDArray[np.integer]


ClassNames = Iterable[str] | Mapping[str, int] | Mapping[int, str]


def checked_class_names(
    class_names: ClassNames | None, count: int, network: str
) -> tuple[str, ...]:
    """Return the names of a network's classes; "class 0", "class 1", … where none are given.

    Parameters
    ----------
    class_names
        In the order of the outputs, or a mapping between names and the indices of outputs, either way round,
        such as ``class_indices`` of Keras's generators.
    count, network
        Classes that there are, and what is named in errors.

    Raises
    ------
    TypeError, ValueError
        One text, a set, a mapping that does not say which index has which name, or another number of names.
    """
    if class_names is None:
        return tuple(f"class {index}" for index in range(count))
    if isinstance(class_names, str | set | frozenset):
        raise TypeError(
            f"Expected a list of class names, received one {type(class_names).__name__}"
        )
    if isinstance(class_names, Mapping):
        class_names = _by_index(class_names)
    names = tuple(map(str, class_names))
    # All at once, since of a thousand names hardly any has a character that cannot be shown.
    text = "".join(names)
    if printable(text) != text:
        names = tuple(map(printable, names))
    if len(names) != count:
        raise ValueError(
            f"Expected {count} class names for {network!r}, received {len(names)}; mend the list,"
            " or labels.txt beside the file"
        )
    return names


def _by_index(given: Mapping[Any, Any]) -> tuple[str, ...]:
    """Return the names of a mapping, from or to indices, in the order of the indices."""
    to_names = any(isinstance(value, str) for value in given.values())
    indices, names = (given, given.values()) if to_names else (given.values(), given)
    # JSON has texts for keys, so an index may be one.
    by_index = dict(zip(map(str, indices), names, strict=True))
    try:
        return tuple(by_index[str(index)] for index in range(len(given)))
    except KeyError:
        raise ValueError(
            f"Expected one index for each class name, received {given!r:.80}; give a list"
        ) from None


def class_indices(
    labels: Labels | int | str | None, class_names: Sequence[str], count: int
) -> tuple[int | None, ...]:
    """Return the index of the class that each label names.

    Parameters
    ----------
    labels
        Index or name of a class for each image, None where it is not known; None if none is. One image
        may have its label alone, without a list; rows may be one-hot. A name that several classes share
        stands for the first.
    class_names
        All classes in order.
    count
        Number of images.

    Raises
    ------
    TypeError, ValueError
        Another number of labels, or one that is no class.
    """
    if labels is None:
        return (None,) * count
    if isinstance(labels, (str, int, float, np.integer)):
        labels = (labels,)
    if len(labels) != count:
        raise ValueError(
            f"Expected {count} labels, one for each image, received {len(labels)}"
        )
    rows: Any = labels
    if np.ndim(rows) == 2 and np.array_equal(np.sort(rows)[:, -2:], [[0, 1]] * count):
        rows = np.argmax(rows, axis=1)
    # Of several classes of one name, the first.
    index_of = {name: index for index, name in reversed([*enumerate(class_names)])}
    return tuple(
        _index(label, index_of, class_names) for label in np.asarray(rows, object)
    )


def label_indices(
    labels: Labels | int | str | None, class_names: Sequence[str], count: int
) -> Int64:
    """Return what `class_indices` does as int64 (count,), with -1 in place of None."""
    indices = class_indices(labels, class_names, count)
    return np.array([-1 if index is None else index for index in indices], np.int64)


def known_classes(labels: Labels, class_names: Sequence[str], count: int) -> Int64:
    """Return what `label_indices` does, where each image has to have a label."""
    return complete(label_indices(labels, class_names, count))


def complete(labels: Int64) -> Int64:
    """Return labels as `label_indices` has them, or raise a ValueError where one is not known."""
    if (labels < 0).any():
        received = f"None for number {labels.argmin()}"
        raise ValueError(
            f"Expected a label for every image, received {received}; predict(…).labelled leaves those out"
        )
    return labels


def _index(
    label: Any, index_of: Mapping[str, int], class_names: Sequence[str]
) -> int | None:
    if label is None or label != label:  # noqa: PLR0124 (what pandas has for None is not equal to itself)
        return None
    if isinstance(label, str):
        label = printable(label)
        if label not in index_of:
            label = meant("label", label, class_names)
        return index_of[label]
    return whole("a label", label, 0, len(class_names) - 1)


Truth = Sequence[int | None]
"""Index of the right class of each image, None where it is not known; empty where none is."""

LEAST = 1e-7
"""Probabilities of the right class below count as this: one answer must not outweigh all others."""


@dataclass(frozen=True, eq=False)
class Trial:
    """Predictions to some images before and after a change of the images, the preprocessing or the network.

    ``before`` and ``after`` are softmax probabilities, float (N, classes), one row for each image, in the
    same order, and not copied.
    """

    before: Floats
    after: Floats
    labels: Truth = ()

    @property
    def changed(self) -> Bools:
        """Whether each image gets another prediction; bool (N,)."""
        return np.asarray(self.before.argmax(axis=1) != self.after.argmax(axis=1))

    @property
    def gain(self) -> float:
        """Mean over the images of what the change brings, in nats; below 0 where it makes matters worse.

        By how much the log-likelihood of a known label rises; where there is none, by how much the entropy of
        the answer falls.
        """
        return float(np.mean(self._surprise(self.before) - self._surprise(self.after)))

    @property
    def turned(self) -> tuple[int, int]:
        """How many labelled images the change puts right, and how many it puts wrong."""
        before, after = hits(self.before, self.labels), hits(self.after, self.labels)
        return int((after & ~before).sum()), int((before & ~after).sum())

    @property
    def moved(self) -> Float64:
        """The share of the probability that moves, 0..1; float64 (N,)."""
        return np.asarray(np.abs(self.before - self.after).sum(axis=1) / 2)

    def likelihoods(self, least: float = LEAST) -> tuple[float, float] | None:
        """Return the mean log-likelihood of the known labels before and after, if there are any."""
        rows, columns = labelled_places(self.labels)
        if not rows:
            return None
        right = self.before[rows, columns], self.after[rows, columns]
        before, after = (
            float(np.log(np.maximum(each, least)).mean()) for each in right
        )
        return before, after

    def _surprise(self, answers: Floats) -> Float64:
        surprise = entropies(answers).astype(np.float64)
        rows, columns = labelled_places(self.labels)
        surprise[rows] = -np.log(
            np.maximum(answers[rows, columns].astype(np.float64), LEAST)
        )
        return surprise


def entropies(answers: Floats) -> Floats:
    """Return the entropy of each row of probabilities, in nats; float (N,)."""
    return np.asarray(-(answers * np.log(np.maximum(answers, 1e-12))).sum(axis=1))


def hits(answers: Floats, labels: Truth) -> Bools:
    """Return whether each image is known to be predicted correctly; bool (N,), False without a label."""
    found = np.zeros(len(answers), np.bool_)
    rows, columns = labelled_places(labels)
    found[rows] = answers.argmax(axis=1)[rows] == columns
    return found


def labelled_places(labels: Truth) -> tuple[list[int], list[int]]:
    """Return the places of the labels that are known, and these labels."""
    places = [place for place, label in enumerate(labels) if label is not None]
    return places, [int(labels[place] or 0) for place in places]
