"""The mistakes of a classifier on labelled images."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cached_property
from html import escape
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kit._arrays import Bools, Float32, Int64
from kit._reporting import Progress, Result, Steps, Table
from kit.classifier import Classifier, check_first, known_preprocessing
from kit.classifier.labels import Labels, class_indices, known_classes
from kit.images import Picture, Pictures
from kit.images.photo import names_of
from kit.images.properties import Sample
from kit.perturbation import Perturbation
from kit.robustness.sweeps import Shared, Task, held, predicted, run
from kit.validation.accuracy import AccuracyInterval, accuracy_interval
from kit.validation.slices import MEASURED, Slice, measured, slices

KEPT, _CELLS = 10, 1 << 23
"""Most probable classes of an image that are kept at least; of few images more."""
MOST = 1000
"""Images that are measured at most, chosen at random."""
SHOWN, OPENED = 12, 100
"""Images in a gallery, and in the explorer at most."""
_TOGETHER, _WINDOW = 96, 256


class Mistake(NamedTuple):
    """An image: its place among those given, its name, its label, the predicted class and its probability."""

    place: int
    name: str
    label: str
    predicted: str
    probability: float


@dataclass(frozen=True, eq=False, repr=False)
class Mistakes(Result):
    """Predictions for labelled images, and where they are wrong.

    Attributes
    ----------
    classifier, pictures, labels
        What was asked; the images, not opened; int64 (N,), the class of each.
    found
        float32 (N, 1 + 2 K + quantities), NaN where there is none: probability of the label; of the K most
        probable classes; these classes; measures in the order of `kit.validation.slices.MEASURED`.
    notes
        What limits the result, in words.
    """

    classifier: Classifier
    pictures: tuple[Picture, ...]
    labels: Int64
    found: Float32
    notes: tuple[str, ...] = ()

    @cached_property
    def predicted(self) -> Int64:
        """The class that is predicted for each image, int64 (N,); -1 where it was not read."""
        return np.nan_to_num(self._likely[1][:, 0], nan=-1).astype(np.int64)

    @property
    def _likely(self) -> list[Float32]:
        return np.array_split(self.found[:, 1 : -len(MEASURED)], 2, axis=1)

    @property
    def _wrong(self) -> Bools:
        return np.asarray((self.predicted >= 0) & (self.predicted != self.labels))

    @property
    def accuracy(self) -> AccuracyInterval:
        """Share of correct predictions, with its interval."""
        return accuracy_interval(~self._wrong[self.predicted >= 0])

    @property
    def confusion(self) -> Int64:
        """How many images of each class, in rows, are predicted as each: int64 (classes, classes)."""
        counts, read = (
            np.zeros((len(self.classifier.class_names),) * 2, np.int64),
            self.predicted >= 0,
        )
        np.add.at(counts, (self.labels[read], self.predicted[read]), 1)
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
        """Images whose label looks wrong, the clearest first, of those that were not trained on.

        See `label_errors`; approximate where not all classes are kept, as of over 8,388
        images of 1,000 classes.
        """
        (read,) = np.nonzero(self.predicted >= 0)
        own, shares, best = self.found[read, 0], *(part[read] for part in self._likely)
        return self._listed(
            read[label_errors(self.labels[read], own, shares, best.astype(np.int64))]
        )

    @cached_property
    def slices(self) -> tuple[Slice, ...]:
        """Measured properties that go with mistakes, the clearest first; see `kit.validation.slices`."""
        rows = self.found[:, -len(MEASURED) :]
        known = ~np.isnan(rows[:, 0])
        return slices(rows[known], self._wrong[known], self.labels[known])

    def _surest(self, among: Bools) -> tuple[Mistake, ...]:
        (places,) = np.nonzero(among)
        return self._listed(places[np.argsort(-self.found[places, 1], kind="stable")])

    def _listed(self, places: Int64) -> tuple[Mistake, ...]:
        names, columns = (
            self.classifier.class_names,
            (self.labels, self.predicted, self.found[:, 1]),
        )
        rows = zip(
            places.tolist(),
            *(column[places].tolist() for column in columns),
            strict=True,
        )
        return tuple(
            Mistake(i, self.pictures[i].name, names[one], names[top], p)
            for i, one, top, p in rows
        )

    def gallery(self, shown: Sequence[Mistake] | None = None) -> Any:
        """Draw the first of these images, by default of the mistakes, with prediction and label."""
        first = (self.wrong if shown is None else shown)[:SHOWN]
        if not first:
            return Table(("no images",), ())
        titles = [
            f"{one.predicted} {one.probability:.0%}, label {one.label}" for one in first
        ]
        samples = [
            Sample(self.pictures[one.place].open(), _WINDOW).thin for one in first
        ]
        return _later("plots").image_figure([*zip(titles, samples, strict=True)])

    def explorer(self, shown: Sequence[Mistake] | None = None) -> Any:
        """Open the first `OPENED` of these images, by default of the mistakes, in a `kit.Explorer`."""
        places = [
            one.place for one in (self.wrong if shown is None else shown)[:OPENED]
        ]
        photos = [self.pictures[place].open() for place in places]
        return _later("explorer").Explorer(
            self.classifier, photos, self.labels[places].tolist()
        )

    @property
    def confused(self) -> list[tuple[tuple[str, str], int]]:
        """The most frequent pairs of label and wrong prediction, with their number."""
        return Counter(one[2:4] for one in self.wrong).most_common(SHOWN)

    def table(self) -> Table:
        """Return the confusion matrix; of more than ten classes, the pairs that are confused most."""
        names = self.classifier.class_names
        if len(names) > KEPT:
            pairs = [(*pair, str(count)) for pair, count in self.confused]
            return Table(("label", "predicted", "images"), pairs, "<<>")
        return Table(
            ("label / predicted", *names),
            zip(names, *self.confusion.T.astype(str), strict=True),
        )

    @property
    def _groups(self) -> dict[str, tuple[Mistake, ...]]:
        return {
            "The surest mistakes": self.wrong,
            "Labels that look wrong": self.doubtful,
        }

    def _report(self) -> Iterable[str | Result]:
        found = self.accuracy
        interval = (
            f"{found.accuracy:.1%}, 95% confidence {found.low:.1%} to {found.high:.1%}"
        )
        yield f"{found.right:,} of {found.count:,} images are predicted correctly: {interval}"
        yield from (f"Note: {note}" for note in self.notes)
        yield self.table()
        for title, shown in self._groups.items():
            rows = [
                (one.name, *one[2:4], f"{one.probability:.0%}") for one in shown[:SHOWN]
            ]
            yield Table(
                ("image", "label", "predicted", "probability"),
                rows,
                "<<<>",
                title=f"{title}: {len(rows)} of {len(shown):,}",
            )
        yield from [one.summary for one in self.slices] or [
            "no measured property goes with mistakes"
        ]

    def page(self) -> str:
        """Return all as one HTML page for any browser, with its images and without scripts."""
        figures = {"Confusion matrix": _later("plots").confusion_figure(self)}
        figures |= {
            title: self.gallery(shown) for title, shown in self._groups.items() if shown
        }
        parts = [
            f"<h2>{escape(title)}</h2>{figure._repr_html_()}"
            for title, figure in figures.items()
        ]
        page = Path(__file__).with_suffix(".html").read_text(encoding="utf-8")
        return page.format(
            escape(f"Mistakes of {self.classifier.name}"), self.html(), "".join(parts)
        )

    __repr__ = Result.__str__


def mistakes(
    classifier: Classifier,
    photos: Pictures,
    labels: Labels | None = None,
    *,
    executor: Executor | None = None,
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
    executor
        As in `kit.sweep`.
    progress
        True for a bar once two seconds have passed; or a function that gets each step as a line of text.

    Raises
    ------
    TypeError, ValueError
        Arguments of another kind, no image that can be read, or labels or folders that name no class.
    """
    check_first(classifier)
    known_preprocessing(classifier)
    pictures, names = held(photos), classifier.class_names
    truth = known_classes(
        _folders(pictures, names) if labels is None else labels, names, len(pictures)
    )
    kept = min(len(names), max(KEPT, _CELLS // len(pictures)))
    found, errors = _nothing(len(pictures), kept)
    chosen = np.random.default_rng(0).permutation(len(pictures)) < MOST
    shared, untouched = Shared(classifier), (Perturbation(),)
    blocks = (
        slice(start, start + _TOGETHER) for start in range(0, len(pictures), _TOGETHER)
    )
    tasks = (
        (
            each,
            (Task(shared, pictures[each], untouched), truth[each], chosen[each], kept),
        )
        for each in blocks
    )
    with Steps[None](
        (), "Predicting", "image", progress, total=len(pictures), keep=True
    ) as steps:
        for block, (rows, reasons) in run(_rows, tasks, executor):
            found[block], errors[block] = rows, reasons
            steps.advance(len(rows))
    notes: tuple[str, ...] = ()
    if unreadable := [
        (one.name, text) for one, text in zip(pictures, errors, strict=True) if text
    ]:
        if len(unreadable) == len(pictures):
            raise ValueError(unreadable[0][1])
        notes = (f"not readable: {names_of(unreadable)} ({unreadable[0][1]})",)
    if steps.interrupted:
        notes += (f"stopped after {steps.done:,} of {len(pictures):,} images",)
    return Mistakes(classifier, pictures, truth, found, notes)


def _later(room: str) -> Any:
    # By its name, since it may import this one.
    return import_module(f"kit.{room}")


def _nothing(count: int, kept: int) -> tuple[Float32, list[str]]:
    return np.full((count, 1 + 2 * kept + len(MEASURED)), np.nan, np.float32), [
        ""
    ] * count


def _rows(asked: tuple[Task, Int64, Bools, int]) -> tuple[Float32, list[str]]:
    task, labels, chosen, kept = asked
    rows, errors = _nothing(len(chosen), kept)
    for place, row in predicted(task, errors):
        best = np.argsort(-row, kind="stable")[:kept]
        rows[place, : -len(MEASURED)] = row[labels[place]], *row[best], *best
        if chosen[place]:
            rows[place, -len(MEASURED) :] = measured(task.pictures[place].open())
    return rows, errors


def _folders(pictures: Sequence[Picture], names: Sequence[str]) -> list[int | str]:
    folders = [one.name.rpartition("/")[0].partition("/")[0] for one in pictures]
    if "" in folders:
        received = pictures[folders.index("")].name
        raise ValueError(
            f"Expected a folder for each class, received {received!r} outside; give labels="
        )
    order = sorted(set(folders))
    if not {*order} <= {*names} and names == tuple(
        f"class {place}" for place in range(len(names))
    ):
        if len(order) != len(names):
            wanted = f"{len(names)} folders, one for each class, received {len(order)}"
            raise ValueError(f"Expected {wanted}; give labels=")
        return [order.index(folder) for folder in folders]
    # Of a name such as T-shirt/top, no folder can have every letter.
    spelled = {_letters(name): name for name in names}
    meant = {
        one: one if one in names else spelled.get(_letters(one), one) for one in order
    }
    return [meant[folder] for folder in folders]


def _letters(name: str) -> str:
    return re.sub(r"\W|_", "", name).casefold()


def label_errors(labels: Int64, own: Float32, shares: Float32, best: Int64) -> Int64:
    """Return the places of images whose label looks wrong, the clearest first: int64.

    Confident learning (Northcutt, Jiang and Chuang, Confident learning: estimating uncertainty in dataset
    labels, 2021), with their *prune by noise rate*: of each pair of classes as many images as the confident
    ones among them speak for. It says nothing about images that the network was trained on.

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
    given = np.bincount(labels, minlength=classes)
    # A class is confident where it is more probable than on average in the images that have its label.
    means = np.bincount(labels, own, classes) / np.maximum(given, 1)
    confident = shares >= np.where(given > 0, means, np.inf)[best] - 1e-6
    sure, lines = confident.any(axis=1), np.arange(len(labels))
    first = best[lines, confident.argmax(axis=1)]
    guess = np.where(confident.sum(axis=1) > 1, best[:, 0], first)
    joint = np.zeros((classes, classes))
    np.add.at(joint, (labels[sure], guess[sure]), 1)
    np.fill_diagonal(joint, np.maximum(joint.diagonal(), 1))
    # In whole images, as many in each row as there are: the largest remainders are rounded up.
    fair = joint / joint.sum(axis=1, keepdims=True) * given[:, None]
    joint = np.floor(fair)
    ranks = (
        (joint - fair)[:, ::-1].argsort(axis=1, kind="stable").argsort(axis=1)[:, ::-1]
    )
    joint += ranks < (given - joint.sum(axis=1)).round()[:, None]
    np.fill_diagonal(joint, 0)
    groups = np.split(np.argsort(labels, kind="stable"), given.cumsum()[:-1])
    found = []
    for label, other in np.argwhere(joint):
        places = groups[label]
        margins = (shares[places] * (best[places] == other)).sum(axis=1) - own[places]
        found.append(
            places[np.argsort(-margins, kind="stable")[: int(joint[label, other])]]
        )
    places = np.unique(np.concatenate([groups[0][:0], *found]))
    places = places[best[places, 0] != labels[places]]
    return np.asarray(
        places[np.argsort(own[places] - shares[places, 0], kind="stable")]
    )
