"""What a worker does for a sweep, in this process, in another one or on another machine."""

import pickle
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from kit._arrays import Float32
from kit.classifier import Classifier
from kit.classifier.engines import part_size
from kit.images import Photo, PhotoError, Picture
from kit.images.opening import Decoding
from kit.images.photo import UNREADABLE
from kit.perturbation import PARAMETERS, Perturbation

if TYPE_CHECKING:
    from concurrent.futures import Future

Opened: TypeAlias = Photo | OSError | ValueError
"""A decoded picture, or why it cannot be read."""


class Shared:
    """A classifier that another process opens once, however many tasks it is sent."""

    def __init__(self, classifier: Classifier) -> None:
        self.classifier = classifier

    def __reduce__(self) -> tuple[Any, ...]:
        return _opened_once, (pickle.dumps(self.classifier),)


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
    errors: tuple[tuple[int, str], ...] = ()

    @classmethod
    def none(cls, count: int) -> "Answers":
        """Return arrays of `count` places without an answer."""
        missing = np.full((2, count), np.nan, np.float32)
        return cls(np.full(count, -1, np.int32), *missing)


class RowsTask(NamedTuple):
    """Pictures with their labels, all to be asked about under the same perturbations."""

    shared: Shared
    pictures: tuple[Picture, ...]
    labels: tuple[int, ...]
    perturbations: tuple[Perturbation, ...]


def rows(task: RowsTask) -> Answers:
    """Ask about every picture under every perturbation, picture by picture, each decoded once."""
    classifier = task.shared.classifier

    def cells() -> Iterator[tuple[Opened, Perturbation, int]]:
        stages = halves(task.perturbations)
        for picture, label in zip(task.pictures, task.labels, strict=True):
            photo = begun = opened(picture, classifier)
            done = None
            for first, second in stages:
                if first != done:
                    # Only what is done last, a JPEG file, can fail, and that is in no first half.
                    begun, done = first.apply(photo) if isinstance(photo, Photo) else photo, first
                yield begun, second, label

    return answers(classifier, cells(), len(task.pictures) * len(task.perturbations))


def halves(perturbations: Sequence[Perturbation]) -> tuple[tuple[Perturbation, Perturbation], ...]:
    """Cut perturbations in two before the last step that differs among them.

    One half after the other does what the whole does. What comes before is the same for neighbours of a grid,
    and is then done once: brightness for all levels of noise, a rotation for all qualities of JPEG.
    """
    differing = [name for name in PARAMETERS if len({getattr(each, name) for each in perturbations}) > 1]
    if not differing:
        return tuple((Perturbation(seed=each.seed), each) for each in perturbations)
    last = PARAMETERS[differing[-1]].of or differing[-1]
    names = list(PARAMETERS)  # in the order in which they are applied
    before, after = names[: names.index(last)], names[names.index(last) :]
    return tuple((_only(each, before), _only(each, after)) for each in perturbations)


def _only(perturbation: Perturbation, names: Iterable[str]) -> Perturbation:
    return Perturbation(seed=perturbation.seed, **{name: getattr(perturbation, name) for name in names})


Cell: TypeAlias = tuple[Opened, Perturbation, int]
"""An image, what is still to be done to it, and its label."""
Predicted: TypeAlias = tuple[list[int], list[int], Float32]
"""Places, labels, and probabilities (N, classes)."""


def answers(classifier: Classifier, cells: Iterable[Cell], count: int) -> Answers:
    """Ask about images, each with its perturbation and label, prepared and predicted side by side."""
    top, confidence, probability, _ = found = Answers.none(count)
    errors: list[tuple[int, str]] = []
    predict, lanes = classifier.side_by_side()

    def ask(some: Sequence[tuple[int, Cell]]) -> list[Predicted]:
        # Both parts of the work leave Python's lock to others for most of their time.
        batches = groupby(_prepared(classifier, some, errors), key=lambda one: one[2].shape)
        listed = (zip(*batch, strict=True) for _, batch in batches)
        return [
            (list(places), list(labels), predict(np.concatenate(tensors)))
            for places, labels, tensors in listed
        ]

    def store(predicted: Iterable[Predicted]) -> None:
        for where, labels, rows in predicted:
            lines, chosen, best = np.arange(len(where)), np.array(labels), rows.argmax(axis=1)
            top[where], confidence[where] = best, rows[lines, best]
            probability[where] = np.where(chosen < 0, np.float32(np.nan), rows[lines, chosen])

    numbered = enumerate(cells)
    size = part_size((1, *(side or 1 for side in classifier.input_shape)))
    waiting: deque[Future[list[Predicted]]] = deque()
    with ThreadPoolExecutor(lanes) as pool:
        while some := list(islice(numbered, size)):
            waiting.append(pool.submit(ask, some))
            if len(waiting) > 2 * lanes:
                store(waiting.popleft().result())
        while waiting:
            store(waiting.popleft().result())
    return found._replace(errors=tuple(sorted(errors)))


def _prepared(
    classifier: Classifier, cells: Iterable[tuple[int, Cell]], errors: list[tuple[int, str]]
) -> Iterator[tuple[int, int, Float32]]:
    for place, (photo, perturbation, label) in cells:
        try:
            if not isinstance(photo, Photo):
                raise photo
            yield place, label, classifier.tensor(photo, perturbation)
        except (OSError, ValueError) as error:
            errors.append((place, str(error)))


def opened(picture: Picture, classifier: Classifier) -> Opened:
    """Decode a picture as the classifier's preprocessing asks for; what is wrong with it is returned."""
    preprocessing = classifier.preprocessing
    decoding = Decoding() if preprocessing is None else preprocessing.decoding
    try:
        if isinstance(picture.source, str):
            return _kept(picture, picture.source, decoding)
        return picture.source if isinstance(picture.source, PhotoError) else picture.open(decoding)
    except UNREADABLE as error:
        return error


_kept_by_thread = threading.local()


def _kept(picture: Picture, path: str, decoding: Decoding) -> Photo:
    """Decode a file, but not twice in a row: the blocks of one picture follow each other."""
    if not (file := Path(path)).exists():
        return picture.open()  # which says so in the words of the kit
    state = file.stat()
    key = (path, decoding, state.st_mtime_ns, state.st_size)
    if getattr(_kept_by_thread, "key", None) != key:
        _kept_by_thread.key, _kept_by_thread.photo = None, None
        _kept_by_thread.photo = picture.open(decoding)
        _kept_by_thread.key = key
    photo: Photo = _kept_by_thread.photo
    return photo


_opening = threading.Lock()


def _opened_once(pickled: bytes) -> Shared:
    with _opening:
        return _opened_lately(pickled)


@lru_cache(maxsize=2)
def _opened_lately(pickled: bytes) -> Shared:
    return Shared(pickle.loads(pickled))  # noqa: S301 (made by Shared.__reduce__, as part of the same pickle)
