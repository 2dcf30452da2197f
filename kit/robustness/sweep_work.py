"""What a worker does for a sweep, in this process, in another one or on another machine."""

import pickle
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import groupby, islice
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from kit._arrays import Float32
from kit.classifier import Classifier, known_preprocessing
from kit.classifier.engines import part_size
from kit.images import Photo, PhotoError, Picture
from kit.images.photo import UNREADABLE
from kit.perturbation import Perturbation
from kit.robustness.executors import run


class Shared:
    """A classifier that another process opens once, however many tasks it is sent."""

    def __init__(self, classifier: Classifier) -> None:
        self.classifier = classifier

    def __reduce__(self) -> tuple[Any, ...]:
        return _opened_once, (pickle.dumps(self.classifier),)


@lru_cache(maxsize=2)
def _opened_once(pickled: bytes) -> Shared:
    return Shared(pickle.loads(pickled))  # noqa: S301 (made by Shared.__reduce__, as part of the same pickle)


class Task(NamedTuple):
    """Images with their labels, all to be predicted under the same perturbations."""

    shared: Shared
    pictures: tuple[Picture, ...]
    labels: tuple[int, ...]
    perturbations: tuple[Perturbation, ...]


class Answers(NamedTuple):
    """What a network predicts for some images.

    Attributes
    ----------
    top
        int32: the most probable class, -1 where there is none.
    confidence, probability
        float32: softmax probabilities of that class and of the labelled one, NaN where there is none.
    errors
        Places without a prediction, each with the reason.
    """

    top: npt.NDArray[np.int32]
    confidence: Float32
    probability: Float32
    errors: dict[int, str]

    @classmethod
    def none(cls, count: int) -> "Answers":
        """Return arrays of `count` places without a prediction."""
        confidence, probability = np.full((2, count), np.nan, np.float32)
        return cls(np.full(count, -1, np.int32), confidence, probability, {})


_Cell: TypeAlias = tuple[int, Photo, Perturbation, int]
_Predicted: TypeAlias = tuple[Sequence[int], Sequence[int], Float32]


def answers(task: Task) -> Answers:
    """Predict every image under every perturbation, image by image, each decoded once."""
    classifier = task.shared.classifier
    found = Answers.none(len(task.pictures) * len(task.perturbations))
    predict, lanes = classifier.side_by_side()

    def ask(cells: Sequence[_Cell]) -> list[_Predicted]:
        # Both parts of the work leave Python's lock to others for most of their time.
        batches = groupby(_prepared(classifier, cells, found.errors), key=lambda one: one[2].shape)
        listed = (zip(*batch, strict=True) for _, batch in batches)
        return [(places, labels, predict(np.concatenate(tensors))) for places, labels, tensors in listed]

    cells = _cells(task, found.errors)
    size = part_size((1, *(side or 1 for side in classifier.input_shape)))
    parts = iter(lambda: list(islice(cells, size)), [])
    with ThreadPoolExecutor(lanes) as pool:
        for _, predicted in run(ask, enumerate(parts), pool, 2 * lanes):
            for places, labels, rows in predicted:
                lines, labelled, best = np.arange(len(rows)), np.array(labels), rows.argmax(axis=1)
                where = list(places)
                found.top[where], found.confidence[where] = best, rows[lines, best]
                found.probability[where] = np.where(labelled < 0, np.nan, rows[lines, labelled])
    return found


def _cells(task: Task, errors: dict[int, str]) -> Iterator[_Cell]:
    decoding = known_preprocessing(task.shared.classifier).decoding
    count = len(task.perturbations)
    for number, (picture, label) in enumerate(zip(task.pictures, task.labels, strict=True)):
        places = range(number * count, (number + 1) * count)
        try:
            if isinstance(picture.source, PhotoError):
                raise picture.source
            photo = picture.open(decoding)
        except UNREADABLE as error:
            errors.update(dict.fromkeys(places, str(error)))
            continue
        for place, perturbation in zip(places, task.perturbations, strict=True):
            yield place, photo, perturbation, label


def _prepared(
    classifier: Classifier, cells: Iterable[_Cell], errors: dict[int, str]
) -> Iterator[tuple[int, int, Float32]]:
    for place, photo, perturbation, label in cells:
        try:
            yield place, label, classifier.tensor(photo, perturbation)
        except UNREADABLE as error:
            errors[place] = str(error)
