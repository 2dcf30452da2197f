"""Sweeps: predictions of many images under many perturbations."""

import os
import pickle
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    Executor,
    Future,
    ThreadPoolExecutor,
    wait,
)
from dataclasses import dataclass, fields
from functools import lru_cache
from itertools import groupby, islice, product
from typing import Any, NamedTuple, TypeAlias, TypeVar

import numpy as np

from kit._arrays import Array, Bools, Float32, Float64, Int32
from kit._checking import known
from kit._reporting import Progress, Result, Steps, Table, value_text
from kit.classifier import Classifier, check_first, known_preprocessing
from kit.classifier.engines import part_size
from kit.classifier.labels import Labels, label_indices
from kit.images import Photo, PhotoError, Picture, Pictures
from kit.images.photo import UNREADABLE, at_least_one, each_picture
from kit.perturbation import Perturbation

Grid: TypeAlias = Mapping[str, Sequence[Any]]

BLOCK_ROWS = 96
"""Rows that are computed, reported and kept together: under a second for a network of usual size."""

IN_FLIGHT = 32
"""Tasks that an executor holds at a time: enough for sixteen workers, and few enough to stay small."""

_Key = TypeVar("_Key")
_Given = TypeVar("_Given")
_Found = TypeVar("_Found")
_AXES = tuple(field.name for field in fields(Perturbation))


@dataclass(frozen=True, eq=False, repr=False)
class Sweep(Result):
    """Predictions to images under perturbations: a row for each pair, image by image.

    Parameters
    ----------
    photos, perturbations
        Names of the images, and what was done to each, in the order of its rows.
    axes
        Names and values of which `perturbations` are all combinations, the last name changing fastest; empty
        where they are just a list.
    labels, tops
        int32: right classes, shape (photos,), and the most probable ones, shape (rows,); -1 for none.
    confidences
        float32, shape (rows,): softmax probability 0..1 of the most probable class; NaN where there is none.
    errors
        Rows without an answer, each with the reason.
    """

    photos: tuple[str, ...]
    perturbations: tuple[Perturbation, ...]
    axes: Mapping[str, tuple[Any, ...]]
    labels: Int32
    tops: Int32
    confidences: Float32
    errors: Mapping[int, str]

    def __len__(self) -> int:
        return len(self.tops)

    @property
    def shape(self) -> tuple[int, ...]:
        """Values on each axis; the number of perturbations where they are just a list."""
        return tuple(map(len, self.axes.values())) or (len(self.perturbations),)

    def accuracy(self) -> Float64:
        """Return the share of correct predictions, 0..1, float64 of shape `shape`; NaN where there is none.

        Images without a label, or without an answer there, do not count.
        """
        labels = np.repeat(self.labels, len(self.perturbations))
        return self._mean(self.tops == labels, (labels >= 0) & (self.tops >= 0))

    def confidence(self) -> Float64:
        """Return the mean softmax probability, 0..1, of the predictions given: float64 of shape `shape`."""
        return self._mean(self.confidences, self.tops >= 0)

    @property
    def figures(self) -> dict[str, Float64]:
        """`accuracy`, where there are labels, and `confidence`, by what they are called."""
        figures = {"accuracy": self.accuracy()} if (self.labels >= 0).any() else {}
        return figures | {"mean confidence": self.confidence()}

    def table(self) -> Table:
        """Set accuracy and confidence in whole percentages; of two axes, one of them in a grid."""
        figures = self.figures
        if len(self.axes) == 2:
            name, shares = next(iter(figures.items()))
            (down, downwards), (across, values) = self.axes.items()
            rows = zip(
                map(value_text, downwards),
                *(map(_percent, each) for each in shares.T),
                strict=True,
            )
            title = f"{name}, {down} down, {across} across"
            return Table(
                (down, *map(value_text, values)),
                rows,
                ">" * (1 + len(values)),
                title=title,
            )
        places = (
            ", ".join(value_text(getattr(each, name)) for name in self.axes)
            or repr(each)
            for each in self.perturbations
        )
        columns = (map(_percent, values.ravel()) for values in figures.values())
        head = (", ".join(self.axes) or "perturbation", *figures)
        return Table(head, zip(places, *columns, strict=True), ">" * len(head))

    def _mean(self, values: Array, counted: Bools) -> Float64:
        table = np.ma.array(values, np.float64, mask=~counted).reshape(
            len(self.photos), *self.shape
        )
        return np.asarray(table.mean(axis=0).filled(np.nan))

    def __repr__(self) -> str:
        sizes = " × ".join(map(str, self.shape))
        return f"Sweep({len(self.photos)} photos × {sizes} perturbations, {len(self.errors)} errors)"


def _percent(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.0%}"


def blocks(pictures: int, perturbations: int) -> Iterator[tuple[slice, slice, slice]]:
    """Cut the rows into blocks of about `BLOCK_ROWS`: whole images, or parts of one image.

    Each is a rectangle of images and perturbations, and the rows, which lie one after another.
    """
    step = max(1, BLOCK_ROWS // perturbations)
    for first, start in product(
        range(0, pictures, step), range(0, perturbations, BLOCK_ROWS)
    ):
        last, stop = min(first + step, pictures), min(start + BLOCK_ROWS, perturbations)
        begin = first * perturbations + start
        rows = slice(begin, begin + (last - first) * (stop - start))
        yield slice(first, last), slice(start, stop), rows


def expand(
    perturbations: Perturbation | Iterable[Perturbation] | Grid,
) -> tuple[Mapping[str, tuple[Any, ...]], tuple[Perturbation, ...]]:
    """Return the axes of a grid and all its perturbations; no axes for perturbations that are listed."""
    axes: dict[str, tuple[Any, ...]] = {}
    if isinstance(perturbations, Mapping):
        for name, values in perturbations.items():
            # As a perturbation keeps them: 85.0 as a whole number, -0.0 as 0.0.
            made = (
                Perturbation(**{known("parameter", name, _AXES): each})
                for each in values
            )
            axes[name] = tuple(getattr(each, name) for each in made)
        cells = product(*axes.values()) if axes else ()
        listed = tuple(
            Perturbation(**dict(zip(axes, values, strict=True))) for values in cells
        )
    elif isinstance(perturbations, Iterable):
        listed = tuple(perturbations)
    else:
        listed = (perturbations,)
    for each in listed:
        if not isinstance(each, Perturbation):
            raise TypeError(
                f"Expected perturbations, or a mapping to lists of values, received {each!r}"
            )
    if not listed:
        raise ValueError(
            f"Expected at least one perturbation with values, received {perturbations!r}"
        )
    return axes, listed


def held(photos: Pictures) -> tuple[Picture, ...]:
    """Return what to look at as workers can have it: a path, the contents of a file, a photo, or an error."""
    return at_least_one(map(_held, each_picture(photos)))


def _held(picture: Picture) -> Picture:
    source = picture.source
    if isinstance(source, (str, os.PathLike)):
        # Workers may have been started in another folder.
        return picture._replace(source=os.path.abspath(source))  # noqa: PTH100 (of ten thousand, texts are smaller)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return picture._replace(source=bytes(source))
    try:
        return picture._replace(source=picture.open())
    except PhotoError as error:
        return picture._replace(source=error)


class Shared:
    """A classifier that another process opens once, however many tasks it is sent."""

    def __init__(self, classifier: Classifier) -> None:
        self.classifier = classifier

    def __reduce__(self) -> tuple[Any, ...]:
        return _opened, (pickle.dumps(self.classifier),)


@lru_cache(maxsize=2)
def _opened(pickled: bytes) -> Shared:
    return Shared(pickle.loads(pickled))  # noqa: S301 (made by Shared.__reduce__, as part of the same pickle)


def run(
    function: Callable[[_Given], _Found],
    tasks: Iterable[tuple[_Key, _Given]],
    executor: Executor | None,
    ahead: int = IN_FLIGHT,
) -> Iterator[tuple[_Key, _Found]]:
    """Yield each task's key with its result, as soon as it is there.

    Parameters
    ----------
    function
        Importable by its name where other processes import it.
    tasks
        Read only this far ahead, so that images do not pile up.
    executor
        None for this thread.

    Raises whatever a task raises, and ValueError for processes that fork. What has not begun then, or when
    the caller stops, is cancelled.
    """
    # Private, and the only way to know; without it, nothing is refused.
    context = getattr(executor, "_mp_context", None)
    if context is not None and context.get_start_method() == "fork":
        advice = "give it mp_context=multiprocessing.get_context('spawn')"
        raise ValueError(
            f"Expected a process pool that spawns, received one that forks; {advice}"
        )
    if executor is None:
        yield from ((key, function(task)) for key, task in tasks)
        return
    waiting: dict[Future[_Found], _Key] = {}
    try:
        listed = iter(tasks)
        while True:
            for key, task in islice(listed, ahead - len(waiting)):
                waiting[executor.submit(function, task)] = key
            if not waiting:
                return
            for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                yield waiting.pop(future), future.result()
    finally:
        for future in waiting:
            future.cancel()


class Task(NamedTuple):
    """Images that are all to be predicted under the same perturbations."""

    shared: Shared
    pictures: tuple[Picture, ...]
    perturbations: tuple[Perturbation, ...]


_Cell: TypeAlias = tuple[int, Photo, Perturbation]
_Row: TypeAlias = tuple[int, Float32]
_Answers: TypeAlias = tuple[Int32, Float32, list[str]]
"""The most probable class, -1 for none; its softmax probability; why there is none."""


def predicted(task: Task, errors: list[str]) -> Iterator[_Row]:
    """Predict every image under every perturbation, image by image, each decoded once.

    Yields place and probabilities of each, in no order; `errors` gets what cannot be read.
    """
    classifier = task.shared.classifier
    predict, lanes = classifier.side_by_side()

    def ask(cells: Sequence[_Cell]) -> list[_Row]:
        # Both parts of the work leave Python's lock to others for most of their time.
        rows: list[_Row] = []
        for _, batch in groupby(
            _prepared(classifier, cells, errors), key=lambda one: one[1].shape
        ):
            places, tensors = zip(*batch, strict=True)
            rows += zip(places, predict(np.concatenate(tensors)), strict=True)
        return rows

    cells = _cells(task, errors)
    size = part_size((1, *(side or 1 for side in classifier.input_shape)))
    parts = iter(lambda: list(islice(cells, size)), [])
    with ThreadPoolExecutor(lanes) as pool:
        for _, rows in run(ask, enumerate(parts), pool, 2 * lanes):
            yield from rows


def _none(count: int) -> _Answers:
    return (
        np.full(count, -1, np.int32),
        np.full(count, np.nan, np.float32),
        [""] * count,
    )


def answers(task: Task) -> _Answers:
    """Return class and probability of what `predicted` yields, in order, and the errors."""
    tops, confidences, errors = _none(len(task.pictures) * len(task.perturbations))
    for place, row in predicted(task, errors):
        tops[place], confidences[place] = row.argmax(), row.max()
    return tops, confidences, errors


def _cells(task: Task, errors: list[str]) -> Iterator[_Cell]:
    decoding = known_preprocessing(task.shared.classifier).decoding
    count = len(task.perturbations)
    for number, picture in enumerate(task.pictures):
        first = number * count
        try:
            if isinstance(picture.source, PhotoError):
                raise picture.source
            photo = picture.open(decoding)
        except UNREADABLE as error:
            errors[first : first + count] = [str(error)] * count
            continue
        for place, perturbation in enumerate(task.perturbations, first):
            yield place, photo, perturbation


def _prepared(
    classifier: Classifier, cells: Iterable[_Cell], errors: list[str]
) -> Iterator[_Row]:
    for place, photo, perturbation in cells:
        try:
            yield place, classifier.tensor(photo, perturbation)
        except UNREADABLE as error:
            errors[place] = str(error)


def sweep(
    classifier: Classifier,
    photos: Pictures,
    perturbations: Grid | Perturbation | Iterable[Perturbation],
    *,
    labels: Labels | None = None,
    executor: Executor | None = None,
    progress: Progress = True,
) -> Sweep:
    """Predict every image under every perturbation.

    Each image is decoded once, perturbed on the fly and forgotten; what cannot be read becomes rows with
    its error. Rows are the same to the last bit whatever executor runs them. Interrupted, it returns the rows
    that it has.

    Parameters
    ----------
    classifier
        With a known preprocessing. Other processes open it by its path, so it has to come from a file there.
    photos
        See `kit.images.photo`. Name files where there are many: they are opened where they are used.
    perturbations
        A grid, ``{"brightness": np.linspace(0.2, 2, 21), "noise": range(0, 51, 5)}``: all combinations of any
        parameters of `Perturbation`, its seed too. Or perturbations in a list.
    labels
        Right classes, as indices or names; None where none is known.
    executor
        Anything with the interface of `concurrent.futures`: threads, processes that are spawned, or the
        ``client.get_executor()`` of a `dask.distributed` client, whose machines need the same files at the
        same paths. By default everything runs in this thread.
    progress
        True for a bar once two seconds have passed; or a function that gets each step as a line of text.

    Returns
    -------
    Sweep

    Raises
    ------
    TypeError, ValueError
        Arguments of another kind, labels that do not fit, an unknown preprocessing, or a pool of processes
        that forks.
    """
    check_first(classifier)
    known_preprocessing(classifier)
    pictures = held(photos)
    axes, listed = expand(perturbations)
    truth = label_indices(labels, classifier.class_names, len(pictures))
    shared, (tops, confidences, reasons) = (
        Shared(classifier),
        _none(len(pictures) * len(listed)),
    )
    tasks = (
        (rows, Task(shared, pictures[chosen], listed[some]))
        for chosen, some, rows in blocks(len(pictures), len(listed))
    )
    with Steps[None](
        (), "Sweeping", "row", progress, total=len(tops), keep=True
    ) as steps:
        for rows, found in run(answers, tasks, executor):
            tops[rows], confidences[rows], reasons[rows] = found
            steps.advance(rows.stop - rows.start)
    missing = np.flatnonzero(tops < 0).tolist()
    errors = {place: reasons[place] or "stopped before it" for place in missing}
    names = tuple(each.name for each in pictures)
    return Sweep(names, listed, axes, truth.astype(np.int32), tops, confidences, errors)
