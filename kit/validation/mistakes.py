"""The mistakes of a classifier on labelled images."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt

from kit._arrays import Bools, Float32, Int64
from kit._checking import guiding
from kit._reporting import Progress, Result, Steps, Table
from kit.classifier import Classifier, check_first, known_preprocessing
from kit.classifier.labels import Labels, class_indices, known_classes
from kit.images import Picture, Pictures
from kit.images.photo import names_of
from kit.perturbation import Perturbation
from kit.robustness.sweeps import held, predicted
from kit.validation.accuracy import AccuracyInterval, accuracy_interval
from kit.validation.slices import MEASURED, Slice, measured, slices

RANKS = 10
"""Most probable classes of an image that are kept at least; of few images more."""
_PROBABILITIES = 1 << 23
"""Of all images together, for which more classes are kept."""
MOST = 1000
"""Images that are measured at most, chosen at random."""
ROWS = 12
"""Images in a table, and pairs of classes."""


@dataclass(frozen=True)
class Mistake:
    """An image with its label and the class that is predicted.

    Attributes
    ----------
    place, name, picture
        Its place among those given, what it is called, and the image, not opened.
    label, predicted, probability
        Names of the classes, and the probability of the predicted one, 0..1.
    """

    place: int
    name: str
    label: str
    predicted: str
    probability: float
    picture: Picture = field(repr=False, compare=False)


@dataclass(frozen=True, eq=False)
class Outcomes:
    """What was predicted for images and measured on them, with a row for each.

    Attributes
    ----------
    label_probabilities
        float32 (N,), 0..1: of the label; NaN where an image was not read.
    probabilities, classes
        float32 and int64 (N, K): the most probable classes, in order; NaN and -1 where it was not read.
    measures
        float32 (N, quantities), in the order of `kit.validation.slices.MEASURED`; NaN where none was taken.
    """

    label_probabilities: Float32
    probabilities: Float32
    classes: Int64
    measures: Float32

    @classmethod
    def unread(cls, count: int, ranks: int) -> Self:
        """Return the outcomes of images that were not read."""
        return cls(
            label_probabilities=np.full(count, np.nan, np.float32),
            probabilities=np.full((count, ranks), np.nan, np.float32),
            classes=np.full((count, ranks), -1, np.int64),
            measures=np.full((count, len(MEASURED)), np.nan, np.float32),
        )


@guiding
@dataclass(frozen=True, eq=False, repr=False)
class Mistakes(Result):
    """Predictions for labelled images, and where they are wrong.

    Attributes
    ----------
    classifier, pictures, labels
        What was asked; the images, not opened; int64 (N,), the class of each.
    outcomes
        What was predicted and measured.
    notes
        What limits the result, in words.
    """

    classifier: Classifier
    pictures: tuple[Picture, ...]
    labels: Int64
    outcomes: Outcomes
    notes: tuple[str, ...] = ()

    @property
    def _read(self) -> Bools:
        return self.predicted >= 0

    @property
    def predicted(self) -> Int64:
        """The class that is predicted for each image, int64 (N,); -1 where it was not read."""
        return self.outcomes.classes[:, 0]

    @property
    def _wrong(self) -> Bools:
        return np.asarray(self._read & (self.predicted != self.labels))

    @property
    def accuracy(self) -> AccuracyInterval:
        """Share of correct predictions, with its interval."""
        return accuracy_interval(~self._wrong[self._read])

    @property
    def confusion(self) -> Int64:
        """How many images of each class, in rows, are predicted as each: int64 (classes, classes)."""
        classes = len(self.classifier.class_names)
        counts = np.zeros((classes, classes), np.int64)
        np.add.at(counts, (self.labels[self._read], self.predicted[self._read]), 1)
        return counts

    @cached_property
    def wrong(self) -> tuple[Mistake, ...]:
        """The mistakes, the most confident first."""
        return self._surest(self._wrong)

    def cell(self, label: int | str, predicted: int | str) -> tuple[Mistake, ...]:
        """Return the images of a cell of the confusion matrix, the most confident first."""
        row, column = class_indices([label, predicted], self.classifier.class_names, 2)
        return self._surest((self.labels == row) & (self.predicted == column))

    @cached_property
    def doubtful(self) -> tuple[Mistake, ...]:
        """Images whose label looks wrong, the least probable label first, of those that were not trained on.

        See `label_errors`; approximate where not all classes are kept, as of over 8,388
        images of 1,000 classes.
        """
        (read,) = np.nonzero(self._read)
        doubtful = label_errors(
            labels=self.labels[read],
            own=self.outcomes.label_probabilities[read],
            shares=self.outcomes.probabilities[read],
            best=self.outcomes.classes[read],
        )
        return self._listed(read[doubtful])

    @cached_property
    def slices(self) -> tuple[Slice, ...]:
        """Properties of the images that go with mistakes, the clearest first; see `kit.validation.slices`."""
        measures = self.outcomes.measures
        measured = ~np.isnan(measures).all(axis=1)
        return slices(measures[measured], self._wrong[measured], self.labels[measured])

    def _surest(self, among: Bools) -> tuple[Mistake, ...]:
        (places,) = np.nonzero(among)
        order = np.argsort(-self.outcomes.probabilities[places, 0], kind="stable")
        return self._listed(places[order])

    def _listed(self, places: Int64) -> tuple[Mistake, ...]:
        names = self.classifier.class_names
        return tuple(
            Mistake(
                place=place,
                name=self.pictures[place].name,
                label=names[self.labels[place]],
                predicted=names[self.predicted[place]],
                probability=float(self.outcomes.probabilities[place, 0]),
                picture=self.pictures[place],
            )
            for place in places.tolist()
        )

    @property
    def confused(self) -> list[tuple[tuple[str, str], int]]:
        """The most frequent pairs of label and wrong prediction, with their number."""
        pairs = Counter((mistake.label, mistake.predicted) for mistake in self.wrong)
        return pairs.most_common(ROWS)

    def table(self) -> Table:
        """Return the confusion matrix; of more than ten classes, the pairs that are confused most."""
        names = self.classifier.class_names
        if len(names) > RANKS:
            pairs = [(*pair, str(count)) for pair, count in self.confused]
            return Table(("label", "predicted", "images"), pairs, "<<>")
        counts = self.confusion.T.astype(str)
        return Table(("label / predicted", *names), zip(names, *counts, strict=True))

    @property
    def groups(self) -> dict[str, tuple[Mistake, ...]]:
        """`wrong` and `doubtful`, by what they are called."""
        return {
            "The surest mistakes": self.wrong,
            "Labels that look wrong": self.doubtful,
        }

    def _report(self) -> Iterable[str | Result]:
        accuracy = self.accuracy
        interval = f"95% confidence {accuracy.low:.1%} to {accuracy.high:.1%}"
        counts = f"{accuracy.right:,} of {accuracy.count:,} images"
        yield f"{counts} are predicted correctly: {accuracy.accuracy:.1%}, {interval}"
        yield from (f"Note: {note}" for note in self.notes)
        yield self.table()
        for title, group in self.groups.items():
            rows = [
                (image.name, image.label, image.predicted, f"{image.probability:.0%}")
                for image in group[:ROWS]
            ]
            yield Table(
                ("image", "label", "predicted", "probability"),
                rows,
                "<<<>",
                title=f"{title}: {len(rows)} of {len(group):,}",
            )
        if not self.slices:
            yield "no measured property goes with mistakes"
        yield from (failing.summary for failing in self.slices)

    __repr__ = Result.__str__


def mistakes(
    classifier: Classifier,
    photos: Pictures,
    labels: Labels | None = None,
    *,
    progress: Progress = True,
) -> Mistakes:
    """Predict labelled images and report the mistakes: which classes, which images, which labels look wrong.

    Images are opened one by one and forgotten. Interrupted, it returns what was predicted.

    Parameters
    ----------
    classifier
        With a known preprocessing.
    photos
        A folder with a folder for each class, or other images; see `kit.images.photo`.
    labels
        The class of each image, by index or name. By default the folders name them, or, where the classifier
        has no names and folders no class, follow their order, as in Keras's `image_dataset_from_directory`.
    progress
        True for a bar once two seconds have passed; or a function that gets each step as a line of text.

    Raises
    ------
    TypeError, ValueError
        Arguments of another kind, no image that can be read, or labels or folders that name no class.
    """
    check_first(classifier)
    known_preprocessing(classifier)
    pictures = held(photos)
    names = classifier.class_names
    if labels is None:
        labels = _folders(pictures, names)
    truth = known_classes(labels, names, len(pictures))
    ranks = min(len(names), max(RANKS, _PROBABILITIES // len(pictures)))
    outcomes = Outcomes.unread(len(pictures), ranks)
    errors = np.full(len(pictures), "", np.object_)
    is_measured = np.random.default_rng(0).permutation(len(pictures)) < MOST
    rows = predicted(classifier, pictures, (Perturbation(),), errors=errors)
    with Steps(
        rows, "Predicting", "image", progress, total=len(pictures), keep=True
    ) as steps:
        for place, row in steps:
            best = np.argsort(-row, kind="stable")[:ranks]
            if is_measured[place]:
                outcomes.measures[place] = measured(pictures[place].open())
            outcomes.label_probabilities[place] = row[truth[place]]
            outcomes.probabilities[place] = row[best]
            # Last, since an image is read once it has classes: here a person may interrupt.
            outcomes.classes[place] = best
    notes = _unreadable(pictures, errors)
    if steps.interrupted:
        notes += (f"stopped after {steps.done:,} of {len(pictures):,} images",)
    return Mistakes(
        classifier=classifier,
        pictures=pictures,
        labels=truth,
        outcomes=outcomes,
        notes=notes,
    )


def _unreadable(
    pictures: tuple[Picture, ...], errors: npt.NDArray[np.object_]
) -> tuple[str, ...]:
    unreadable = [
        (pictures[place].name, errors[place]) for place in np.flatnonzero(errors)
    ]
    if not unreadable:
        return ()
    _, reason = unreadable[0]
    if len(unreadable) == len(pictures):
        raise ValueError(reason)
    return (f"not readable: {names_of(unreadable)} ({reason})",)


def _folders(pictures: Sequence[Picture], names: Sequence[str]) -> list[int | str]:
    folders = []
    for picture in pictures:
        folder, slash, _ = picture.name.partition("/")
        if not slash:
            received = f"{picture.name!r} outside"
            raise ValueError(
                f"Expected a folder for each class, received {received}; give labels="
            )
        folders.append(folder)
    order = sorted(set(folders))
    unnamed = names == tuple(f"class {place}" for place in range(len(names)))
    folders_are_classes = set(order) <= set(names)
    if unnamed and not folders_are_classes:
        if len(order) != len(names):
            wanted = f"{len(names)} folders, one for each class, received {len(order)}"
            raise ValueError(f"Expected {wanted}; give labels=")
        return [order.index(folder) for folder in folders]
    # Of a name such as T-shirt/top, no folder can have every letter.
    spelled = {_letters(name): name for name in names}
    return [
        folder if folder in names else spelled.get(_letters(folder), folder)
        for folder in folders
    ]


def _letters(name: str) -> str:
    return re.sub(r"\W|_", "", name).casefold()


def label_errors(labels: Int64, own: Float32, shares: Float32, best: Int64) -> Int64:
    """Return the places of images whose label looks wrong, the least probable label first: int64.

    Confident learning (Northcutt, Jiang and Chuang, Confident learning: estimating uncertainty in dataset
    labels, 2021): those that the confident joint counts for another class than their label, and that are
    predicted as another one. It says nothing about images that the network was trained on.

    Parameters
    ----------
    labels
        Shape (N,): the given classes.
    own
        Shape (N,): probability of the given class, 0..1.
    shares, best
        Shape (N, K): probabilities of the most probable classes, in order, and these classes.
    """
    classes = int(max(labels.max(), best.max())) + 1
    images = np.bincount(labels, minlength=classes)
    # A class is confident where it is more probable than on average in the images that have its label.
    usual = np.bincount(labels, own, classes) / np.maximum(images, 1)
    confident = (shares >= usual[best] - 1e-6) & (images[best] > 0)
    first = np.take_along_axis(best, confident.argmax(axis=1)[:, None], axis=1)[:, 0]
    counted = confident.any(axis=1) & (first != labels)
    (places,) = np.nonzero(counted & (best[:, 0] != labels))
    return np.asarray(places[np.argsort(own[places], kind="stable")])
