"""What a worker does for a sweep, in this process, in another one or on another machine."""

import pickle
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from itertools import groupby, islice
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from kit._arrays import Float32
from kit.classifier import Classifier
from kit.classifier.engines import part_size
from kit.images import Photo, PhotoError, Picture
from kit.images.opening import Decoding
from kit.images.photo import UNREADABLE
from kit.perturbation import PARAMETERS, Perturbation


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


_Opened: TypeAlias = Photo | OSError | ValueError
_Cell: TypeAlias = tuple[int, _Opened, Perturbation, int]
_Predicted: TypeAlias = tuple[list[int], list[int], Float32]


def answers(task: Task) -> Answers:
    """Predict every image under every perturbation, image by image, each decoded once."""
    classifier = task.shared.classifier
    found = Answers.none(len(task.pictures) * len(task.perturbations))
    predict, lanes = classifier.side_by_side()

    def ask(cells: Sequence[_Cell]) -> list[_Predicted]:
        # Both parts of the work leave Python's lock to others for most of their time.
        batches = groupby(_prepared(classifier, cells, found.errors), key=lambda one: one[2].shape)
        listed = (zip(*batch, strict=True) for _, batch in batches)
        return [
            (list(places), list(labels), predict(np.concatenate(tensors)))
            for places, labels, tensors in listed
        ]

    def store(predicted: Iterable[_Predicted]) -> None:
        for places, labels, rows in predicted:
            lines, labelled, best = np.arange(len(rows)), np.array(labels), rows.argmax(axis=1)
            found.top[places], found.confidence[places] = best, rows[lines, best]
            found.probability[places] = np.where(labelled < 0, np.nan, rows[lines, labelled])

    cells = _cells(task)
    size = part_size((1, *(side or 1 for side in classifier.input_shape)))
    waiting: deque[Future[list[_Predicted]]] = deque()
    with ThreadPoolExecutor(lanes) as pool:
        while some := list(islice(cells, size)):
            waiting.append(pool.submit(ask, some))
            if len(waiting) > 2 * lanes:
                store(waiting.popleft().result())
        while waiting:
            store(waiting.popleft().result())
    return found


def _cells(task: Task) -> Iterator[_Cell]:
    preprocessing = task.shared.classifier.preprocessing
    decoding = Decoding() if preprocessing is None else preprocessing.decoding
    halves = [_halves(each) for each in task.perturbations]
    place = 0
    for picture, label in zip(task.pictures, task.labels, strict=True):
        photo = begun = _opened(picture, decoding)
        done = None
        for first, second in halves:
            if first != done:
                begun, done = first.apply(photo) if isinstance(photo, Photo) else photo, first
            yield place, begun, second, label
            place += 1


def _halves(whole: Perturbation) -> tuple[Perturbation, Perturbation]:
    """Part scene and camera; neighbours in a grid share the scene, which is then perturbed once."""
    camera = {name for name, parameter in PARAMETERS.items() if parameter.group in {"Sensor", "File"}}
    scene = PARAMETERS.keys() - camera
    return (
        Perturbation(seed=whole.seed, **{name: getattr(whole, name) for name in scene}),
        Perturbation(seed=whole.seed, **{name: getattr(whole, name) for name in camera}),
    )


def _opened(picture: Picture, decoding: Decoding) -> _Opened:
    try:
        return picture.source if isinstance(picture.source, PhotoError) else picture.open(decoding)
    except UNREADABLE as error:
        return error


def _prepared(
    classifier: Classifier, cells: Iterable[_Cell], errors: dict[int, str]
) -> Iterator[tuple[int, int, Float32]]:
    for place, photo, perturbation, label in cells:
        try:
            if not isinstance(photo, Photo):
                raise photo
            yield place, label, classifier.tensor(photo, perturbation)
        except UNREADABLE as error:
            errors[place] = str(error)
