"""The mistakes of a classifier on labelled images."""

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from kit._arrays import Array, Bools, Float32, Int32, Int64, JSONObject
from kit._reporting import Progress, Report, Result, Rows, Steps, Table
from kit.classifier.classifier import Classifier, check_first
from kit.classifier.labels import (
    FOLDERS,
    Labels,
    class_index,
    known_classes,
)
from kit.images.photo import (
    UNREADABLE,
    Picture,
    Pictures,
    at_least_one,
    each_picture,
    names_of,
)
from kit.perturbation import Perturbation
from kit.robustness.differences import FEWEST
from kit.robustness.sweeps import Sweep, run_sweep
from kit.validation.accuracy import AccuracyInterval, accuracy_interval
from kit.validation.slices import MEASURED, Slice, find_failing_slices, measured

RANKS_KEPT = 32
"""Most probable classes of an image that are kept: the next one has a probability below 1/32."""
MOST_MEASURED = 1000
"""Images that are measured at most, chosen at random."""
SHOWN_ROWS = 12
"""Images in a table, and pairs of classes."""
_MOST_MATRIX_CLASSES = 10
"""Classes of the largest confusion matrix that is shown."""


@dataclass(frozen=True)
class Mistake:
    """An image with its label and the class that is predicted, the same in `Mistakes.cell` of one class.

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
class Mistakes(Rows):
    """Predictions for labelled images, and where they are wrong.

    ``first + second`` has the images of both, where classifier and preprocessing are the same.

    Attributes
    ----------
    classifier, pictures
        What was asked, and the images, not opened.
    swept
        What was predicted: a sweep without any perturbation that keeps more classes.
    measures
        float32 (N, quantities), in the order of `kit.validation.slices.MEASURED`; NaN where none was taken.
    """

    classifier: Classifier
    pictures: tuple[Picture, ...]
    swept: Sweep
    measures: Float32

    def __add__(self, other: "Mistakes") -> "Mistakes":
        return replace(
            self,
            pictures=self.pictures + other.pictures,
            # The sweep holds predictions and labels; its + refuses those of another model.
            swept=self.swept + other.swept,
            # Of each image a row of what was measured.
            measures=np.concatenate([self.measures, other.measures]),
        )

    @property
    def labels(self) -> Int64:
        """The class of each image, int64 (N,)."""
        return self.swept.labels

    def _columns(self) -> JSONObject:
        columns = self.swept._columns()  # noqa: SLF001 (whose rows these are)
        # This column says of every image that nothing perturbs it, which no data frame or CSV needs.
        del columns["perturbation"]
        return columns

    @property
    def notes(self) -> tuple[str, ...]:
        """What limits the result, in words."""
        unpredicted_names_and_reasons = [
            (self.pictures[place].name, reason)
            for place, reason in self.swept.errors.items()
        ]
        notes = []
        if unpredicted_names_and_reasons:
            # Unreadable, or not reached before a stop; the first reason stands for all.
            _, first_reason = unpredicted_names_and_reasons[0]
            notes.append(
                f"not predicted: {names_of(unpredicted_names_and_reasons)} ({first_reason})"
            )
        predicted_classes = np.unique(self.predicted[self._has_prediction])
        if len(predicted_classes) == 1 and len(np.unique(self.labels)) > 1:
            name = self.classifier.class_names[predicted_classes[0]]
            notes.append(
                f"every image is predicted as {name!r}: kit.diagnose looks for the cause"
            )
        # The upper end of its interval: beyond chance.
        elif self.accuracy.high < 0.5:
            notes.append(
                "most predictions are wrong: kit.diagnose looks for a cause that they share,"
                " such as another order of the classes"
            )
        measured_count = self._is_measured.sum()
        predicted_count = self._has_prediction.sum()
        # A sample of many images, or those until a stop by hand.
        if measured_count < predicted_count:
            notes.append(
                f"properties that go with mistakes are looked for in {measured_count:,} of"
                f" {predicted_count:,} images"
            )
        return tuple(notes)

    @property
    def _has_prediction(self) -> Bools:
        # -1 where an image was not read, or not reached before a stop.
        return self.predicted >= 0

    @property
    def _is_measured(self) -> Bools:
        return np.asarray(np.isfinite(self.measures).any(axis=1))

    @property
    def predicted(self) -> Int32:
        """The class that is predicted for each image, int32 (N,); -1 where it was not read."""
        return self.swept.tops

    @property
    def _is_wrong(self) -> Bools:
        return np.asarray(self._has_prediction & (self.predicted != self.labels))

    @property
    def accuracy(self) -> AccuracyInterval:
        """Share of correct predictions, with its interval."""
        return accuracy_interval(~self._is_wrong[self._has_prediction])

    @property
    def confusion(self) -> Int64:
        """How many images of each class, in rows, are predicted as each: int64 (classes, classes)."""
        class_count = len(self.classifier.class_names)
        # All have a label; the predicted class of an image that was not read, or not reached, is -1.
        cell_indices = (class_count * self.labels + self.predicted)[
            self._has_prediction
        ]
        counts = np.bincount(cell_indices, minlength=class_count**2)
        return counts.reshape(class_count, class_count)

    @cached_property
    def wrong(self) -> tuple[Mistake, ...]:
        """The mistakes, the most confident first."""
        return self._surest_first(self._is_wrong)

    def cell(self, label: int | str, predicted: int | str) -> tuple[Mistake, ...]:
        """Return the images of a cell of the confusion matrix, the most confident first."""
        names = self.classifier.class_names
        row = class_index(label, names)
        column = class_index(predicted, names)
        # On the diagonal they are predicted correctly.
        return self._surest_first((self.labels == row) & (self.predicted == column))

    @cached_property
    def doubtful(self) -> tuple[Mistake, ...]:
        """Images whose label looks wrong, the least probable label first, of those that were not trained on.

        See `label_errors`; of more than 32 classes, the 32 most probable ones count.
        """
        (predicted_places,) = np.nonzero(self._has_prediction)
        # The axes of rows: image, perturbation. The only perturbation of this sweep changes nothing.
        predictions = self.swept.rows[predicted_places, 0]
        # The least probable label first.
        doubtful_indices = label_errors(
            labels=self.labels[predicted_places],
            label_probability=predictions["label_probability"],
            ranked_probabilities=predictions["probabilities"],
            ranked_classes=predictions["classes"],
        )
        return self._mistakes_at(predicted_places[doubtful_indices])

    @cached_property
    def slices(self) -> tuple[Slice, ...]:
        """Properties of the images that go with mistakes, the clearest first; see `kit.validation.slices`."""
        # Of many images, some were measured, chosen at random. Each has a label here.
        return find_failing_slices(
            self.measures[self._is_measured],
            self._is_wrong[self._is_measured],
            self.labels[self._is_measured],
        )

    def _surest_first(self, is_included: Bools) -> tuple[Mistake, ...]:
        (places,) = np.nonzero(is_included)
        order = np.argsort(-self.swept.confidences[places], kind="stable")
        return self._mistakes_at(places[order])

    def _mistakes_at(self, places: Int64) -> tuple[Mistake, ...]:
        class_names = self.classifier.class_names
        confidences = self.swept.confidences
        # Called by `cell`, too, whose diagonal has images that are predicted correctly.
        return tuple(
            Mistake(
                place=place,
                name=self.pictures[place].name,
                label=class_names[self.labels[place]],
                predicted=class_names[self.predicted[place]],
                probability=float(confidences[place]),
                picture=self.pictures[place],
            )
            for place in places.tolist()
        )

    @property
    def confused(self) -> list[tuple[tuple[str, str], int]]:
        """The most frequent pairs of label and wrong prediction, with their number."""
        pairs = Counter((mistake.label, mistake.predicted) for mistake in self.wrong)
        return pairs.most_common(SHOWN_ROWS)

    def table(self) -> Table:
        """Return the confusion matrix; of more than ten classes, the pairs that are confused most."""
        names = self.classifier.class_names
        if len(names) > _MOST_MATRIX_CLASSES:
            # The most frequent pairs of a label and a wrong prediction, `SHOWN_ROWS` at most.
            rows = [
                (*label_and_predicted, str(count))
                for label_and_predicted, count in self.confused
            ]
            return Table(("label", "predicted", "images"), rows, align="<<>")
        # The counts column by column, so that zip makes rows of a label and its counts.
        columns = self.confusion.T.astype(str)
        return Table(("label / predicted", *names), zip(names, *columns, strict=True))

    @property
    def groups(self) -> dict[str, tuple[Mistake, ...]]:
        """`wrong` and `doubtful`, by what they are called."""
        return {
            "The surest mistakes": self.wrong,
            "Labels that look wrong": self.doubtful,
        }

    def _report(self) -> Report:
        yield str(self.accuracy)
        yield from (f"Note: {note}" for note in self.notes)
        yield self.table()
        for title, group in self.groups.items():
            if not group:
                yield f"{title}: none."
                continue
            rows = [
                (image.name, image.label, image.predicted, f"{image.probability:.0%}")
                for image in group[:SHOWN_ROWS]
            ]
            yield Table(
                ("image", "label", "predicted", "probability"),
                rows,
                align="<<<>",
                title=f"{title}: {len(rows)} of {len(group):,}",
            )
        if not self.slices:
            yield (
                f"No measured property goes with the mistakes; to see one takes {2 * FEWEST} images,"
                " several of a class."
            )
        yield from (failing_slice.summary for failing_slice in self.slices)

    __repr__ = Result.__str__


def mistakes(
    classifier: Classifier,
    photos: Pictures,
    labels: Labels | str = FOLDERS,
    *,
    resume: Mistakes | None = None,
    executor: Any = None,
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
    resume
        Earlier mistakes of the same images, labels and classifier: only what is missing is predicted.
    executor, progress
        See `kit.sweep`.

    Raises
    ------
    TypeError, ValueError
        Arguments of another kind, no image that can be read, or labels or folders that name no class.
    """
    check_first(classifier)
    pictures = at_least_one(each_picture(photos))
    names = classifier.class_names
    count = len(pictures)
    swept = run_sweep(
        classifier,
        pictures,
        Perturbation(),
        known_classes(labels, names, pictures),
        ranks=min(len(names), RANKS_KEPT),
        resume=getattr(resume, "swept", None),
        executor=executor,
        progress=progress,
    )
    # -1 is no class: where no image was read, the reason of the first stands for all.
    if (swept.tops < 0).all():
        raise ValueError(swept.errors[0])
    image_measures = np.full((count, len(MEASURED)), np.nan, np.float32)
    # Of all images: those that were not read are skipped below.
    sample = np.random.default_rng(0).permutation(count)[:MOST_MEASURED]
    # Stopped by hand, even at the first image, this function goes on with what was measured until then.
    with suppress(KeyboardInterrupt):
        for place in Steps(sample.tolist(), "Measuring", progress):
            # A file may be gone hours after it was predicted; its row then stays NaN.
            with suppress(*UNREADABLE):
                if swept.tops[place] >= 0:
                    image_measures[place] = measured(pictures[place].open())
    return Mistakes(
        classifier=classifier, pictures=pictures, swept=swept, measures=image_measures
    )


def label_errors(
    labels: Int64,
    label_probability: Float32,
    ranked_probabilities: Float32,
    ranked_classes: Array,
) -> Int64:
    """Return the places of images whose label looks wrong, the least probable label first: int64.

    Confident learning (Northcutt, Jiang and Chuang, Confident learning: estimating uncertainty in dataset
    labels, 2021): those that the confident joint counts for another class than their label, and that are
    predicted as another one. It says nothing about images that the network was trained on.

    Parameters
    ----------
    labels, label_probability
        Shape (N,): the given classes, and the probability of each, 0..1.
    ranked_probabilities, ranked_classes
        Shape (N, K): probabilities of the most probable classes, in order, and these classes.
    """
    # No class here is -1: the caller leaves out images without a prediction.
    class_count = int(max(labels.max(), ranked_classes.max())) + 1
    image_count_of_class = np.bincount(labels, minlength=class_count)
    probability_sum_of_class = np.bincount(labels, label_probability, class_count)
    usual_probability_of_class = probability_sum_of_class / np.maximum(
        image_count_of_class, 1
    )
    # In confident learning, a class is confident in an image where it is as probable as on average in those
    # that have its label; 1e-6 forgives the rounding of float32.
    is_as_probable_as_usual = (
        ranked_probabilities >= usual_probability_of_class[ranked_classes] - 1e-6
    )
    # A class without images has no usual probability, so it is confident in none.
    is_confident = is_as_probable_as_usual & (image_count_of_class[ranked_classes] > 0)
    # The first of the ranks, which begin with the most probable class.
    likeliest_confident_class = np.take_along_axis(
        ranked_classes, is_confident.argmax(axis=1)[:, None], axis=1
    )[:, 0]
    # The confident joint of confident learning counts an image for the likeliest class that is confident.
    is_counted_elsewhere = is_confident.any(axis=1) & (
        likeliest_confident_class != labels
    )
    # Where the most probable class of all is the label, the network does not speak against it.
    (places,) = np.nonzero(is_counted_elsewhere & (ranked_classes[:, 0] != labels))
    return np.asarray(places[np.argsort(label_probability[places], kind="stable")])
