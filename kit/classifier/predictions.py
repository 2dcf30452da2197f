"""Predictions: what a classifier predicts for images, beside the right classes where they are known."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from kit._arrays import Array, Bools, Float32, Floats, Indices, Int64, JSONObject
from kit._reporting import Report, Result, Rows, Table
from kit.classifier.labels import all_known, entropies

IN_SHORT = 10
"""Rows of a table that is shown without being asked for."""


class Predictor(Protocol):
    """What predicts tensors: a `Classifier`, or another form of its network."""

    def predict_tensors(self, tensors: Float32, /) -> Float32:
        """Return probabilities, float32 (N, classes), for tensors, float32 (N, H, W, C)."""


def prediction_columns(
    class_names: tuple[str, ...], *, labels: Array, predicted: Array, probability: Array
) -> JSONObject:
    """Return what rows say of predictions, by the names of the columns; None for what is not known.

    ``labels`` and ``predicted`` are int, shape (N,), -1 for none; ``probability``, float, shape (N,), 0..1,
    is that of the predicted class.
    """
    # An index of -1 is the last of these.
    names = np.array([*class_names, None], object)
    unknown = (labels < 0) | (predicted < 0)
    return {
        "predicted": names[predicted],
        "probability": probability,
        "true class": names[labels],
        "correct": np.where(unknown, None, predicted == labels),
    }


@dataclass(frozen=True, eq=False)
class Predictions(Rows):
    """Softmax probabilities of some images, and what follows from them; `Classifier.predict` makes them.

    ``predictions[places]`` has those of some of the images, by index, slice or mask.

    Attributes
    ----------
    probabilities
        float32, shape (N, classes), 0..1, read-only: a row for each image.
    class_names
        In the order of the columns.
    labels
        int64, shape (N,), read-only: index of the right class of each image, -1 where it is not known.
    photos
        Names of the images.
    """

    probabilities: Float32
    class_names: tuple[str, ...]
    labels: Int64
    photos: tuple[str, ...]

    def __post_init__(self) -> None:
        for name in ("probabilities", "labels"):
            view = getattr(self, name).view()
            view.flags.writeable = False
            object.__setattr__(self, name, view)

    def __len__(self) -> int:
        return len(self.probabilities)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Float32:
        # Without it, numpy would go through the predictions one by one, each again a sequence of one.
        return np.array(self.probabilities, dtype, copy=copy)

    def __getitem__(self, key: int | slice | Bools | Indices) -> "Predictions":
        rows = np.atleast_1d(np.arange(len(self))[key])
        return Predictions(
            self.probabilities[rows],
            self.class_names,
            self.labels[rows],
            tuple(self.photos[row] for row in rows),
        )

    @cached_property
    def index(self) -> Indices:
        """Index of the predicted class, the most probable one, for each image: int64 (N,)."""
        return np.asarray(self.probabilities.argmax(axis=1))

    @property
    def label(self) -> npt.NDArray[np.object_]:
        """Name of the predicted class for each image: text (N,). The right classes are `labels`."""
        return np.array(self.class_names, object)[self.index]

    @property
    def probability(self) -> Float32:
        """Probability of the predicted class for each image: float32 (N,), 0..1."""
        return np.asarray(self.probabilities.max(axis=1))

    @property
    def entropy(self) -> Floats:
        """Entropy of each row, in nats: float32 (N,), 0 for a sure prediction, log(classes) at most."""
        return entropies(self.probabilities)

    @property
    def labelled(self) -> "Predictions":
        """The predictions for the images whose right class is known."""
        return self[self.labels >= 0]

    @property
    def correct(self) -> Bools:
        """Whether the predicted class is the right one for each image: bool (N,).

        Raises
        ------
        ValueError
            A right class is not known; `labelled` leaves such images out.
        """
        return np.asarray(self.index == all_known(self.labels))

    def changed(self, other: "Predictions") -> Bools:
        """Return whether each image gets another class in `other`: bool (N,).

        ``other`` has as many images and the same classes, else a ValueError is raised.
        """
        if (len(self), self.class_names) != (len(other), other.class_names):
            raise ValueError(
                "Expected predictions for the same images and classes, received others; see kit.compare"
            )
        return np.asarray(self.index != other.index)

    def top(self, count: int = 5) -> tuple[tuple[tuple[str, float], ...], ...]:
        """Return names and probabilities of the ``count`` most probable classes for each image.

        The most probable comes first, of equal ones that with the lower index.
        """
        return tuple(
            tuple(
                (self.class_names[index], float(row[index]))
                for index in np.argsort(-row, kind="stable")[:count]
            )
            for row in self.probabilities
        )

    def table(self) -> Table:
        """Set the predictions in a table, a row for each image; with the right class where one is known."""
        head = ("image", "predicted", "probability", "correct")
        width = 4 if len(self.labelled) else 3
        return Table(
            head[:width], (row[:width] for row in self._rows()), "<<><"[:width]
        )

    def _columns(self) -> JSONObject:
        return {
            "image": self.photos,
            **prediction_columns(
                class_names=self.class_names,
                labels=self.labels,
                predicted=self.index,
                probability=self.probability,
            ),
        }

    def _rows(self) -> Iterator[tuple[str, str, str, str]]:
        for image, predicted, probability, label, correct in zip(
            *self._columns().values(), strict=True
        ):
            mark = "✓" if correct else f"✕ it is {label}"
            yield image, predicted, f"{probability:.0%}", "" if label is None else mark

    def _report(self) -> Report:
        if len(self) == 1:
            ((photo, *words),) = self._rows()
            yield f"{photo}: {', '.join(filter(None, words))}"
            return
        yield self[:IN_SHORT].table()
        if len(self) > IN_SHORT:
            yield f"and {len(self) - IN_SHORT} more, see predictions.table()"

    __repr__ = Result.__str__
