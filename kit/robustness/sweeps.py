"""Sweeps: predictions of many images under many perturbations."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    Future,
    ThreadPoolExecutor,
    wait,
)
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby, islice, product
from typing import Any, TypeAlias

import numpy as np

from kit._arrays import Array, Bools, Float32, Float64, Int32, Int64, JSONObject
from kit._checking import instance
from kit._reporting import Progress, Rows, Steps, Table, value_text
from kit.classifier.classifier import Classifier, check_first, known_preprocessing
from kit.classifier.engines import part_size
from kit.classifier.labels import Labels, label_indices
from kit.classifier.predictions import prediction_columns
from kit.images.opening import Decoding
from kit.images.photo import (
    UNREADABLE,
    Photo,
    Picture,
    Pictures,
    at_least_one,
    each_picture,
)
from kit.perturbation import Perturbation

Grid: TypeAlias = Mapping[str, Any]

BLOCK_ROWS = 96
"""Rows that are computed, reported and kept together: under a second for a network of usual size."""

IN_FLIGHT = 32
"""Tasks that an executor holds at a time: enough for sixteen workers, and few enough to stay small."""

STOPPED = "stopped before it"
"""Why an image was not predicted that nobody came to."""


def _check_same(first: "Sweep", second: "Sweep", *names: str) -> None:
    for name in names:
        expected = np.asarray(getattr(first, name), object)
        if not np.array_equal(expected, np.asarray(getattr(second, name), object)):
            raise ValueError(
                f"Expected results for the same {name}, received others; predict all again"
            )


@dataclass(frozen=True, eq=False)
class Sweep(Rows):
    """Predictions to images under perturbations: a row for each pair, image by image.

    ``first + second`` has the images of both, where the model and all settings are the same.

    Parameters
    ----------
    photos, perturbations
        Names of the images, and what was done to each, in the order of its rows.
    axes
        Names and values of which `perturbations` are all combinations, the last name changing fastest; empty
        where they are just a list.
    labels
        int64, shape (photos,): right classes, -1 for none.
    rows
        What was predicted, as `unpredicted_rows` has it, of shape (photos, perturbations).
    model
        What predicted: the digest of its network, its class names and its preprocessing.
    """

    photos: tuple[str, ...]
    perturbations: tuple[Perturbation, ...]
    axes: Mapping[str, tuple[Any, ...]]
    labels: Int64
    rows: Array
    model: Mapping[str, Any]

    def __add__(self, other: "Sweep") -> "Sweep":
        _check_same(self, other, "model", "perturbations")
        return replace(
            self,
            photos=self.photos + other.photos,
            labels=np.concatenate([self.labels, other.labels]),
            rows=np.concatenate([self.rows, other.rows]),
        )

    @property
    def tops(self) -> Int32:
        """The most probable class of each row, int32 (rows,); -1 for none."""
        # From (photos, perturbations, ranks): the most probable class is first; -1 is no prediction.
        return self.rows["classes"][..., 0].ravel()

    @property
    def confidences(self) -> Float32:
        """Its softmax probability, 0..1, float32 (rows,); NaN where there is none."""
        return self.rows["probabilities"][..., 0].ravel()

    @property
    def errors(self) -> dict[int, str]:
        """Rows without a prediction, each with the reason."""
        # The class -1 is no prediction. Places count photo by photo, each under all perturbations.
        reasons = self.rows["error"].ravel()
        missing = np.flatnonzero(self.tops < 0).tolist()
        return {place: reasons[place] for place in missing}

    @property
    def _settings(self) -> JSONObject:
        """The values of each axis for each perturbation; else how it is written."""
        if not self.axes:
            return {"perturbation": tuple(map(repr, self.perturbations))}
        return {
            name: tuple(getattr(change, name) for change in self.perturbations)
            for name in self.axes
        }

    def _columns(self) -> JSONObject:
        count = len(self.perturbations)
        settings = {
            name: values * len(self.photos) for name, values in self._settings.items()
        }
        predictions = prediction_columns(
            class_names=self.model["class_names"],
            labels=np.repeat(self.labels, count),
            predicted=self.tops,
            probability=self.confidences,
        )
        return {
            "image": np.repeat(np.array(self.photos, object), count),
            **settings,
            **predictions,
            "error": self.rows["error"].ravel(),
        }

    def __len__(self) -> int:
        return len(self.tops)

    @property
    def shape(self) -> tuple[int, ...]:
        """Values on each axis; the number of perturbations where they are just a list."""
        return tuple(map(len, self.axes.values())) or (len(self.perturbations),)

    @property
    def whole(self) -> Bools:
        """The images that are predicted under every perturbation: bool (photos,). Averages are over these."""
        return np.asarray((self.rows["classes"][..., 0] >= 0).all(axis=1))

    @property
    def counted(self) -> str:
        """How many images averages are over, in words."""
        return f"{self.whole.sum()} of {len(self.photos)} images"

    def accuracy(self) -> Float64:
        """Return the share of correct predictions, 0..1, float64 of shape `shape`; NaN where there is none.

        Images without a label, or without an answer to any of the perturbations, do not count.
        """
        # (photos, perturbations); only photos with a label and with all predictions count.
        correct = self.rows["classes"][..., 0] == self.labels[:, None]
        return self._mean(correct, self.whole & (self.labels >= 0))

    def confidence(self) -> Float64:
        """Return the mean softmax probability, 0..1, of images with all answers: float64 of shape `shape`."""
        return self._mean(self.rows["probabilities"][..., 0], self.whole)

    @property
    def figures(self) -> dict[str, Float64]:
        """`accuracy`, where there are labels, and `confidence`, by what they are called."""
        labelled = (self.labels[self.whole] >= 0).any()
        figures = {"accuracy": self.accuracy()} if labelled else {}
        return figures | {"mean confidence": self.confidence()}

    def table(self) -> Table:
        """Set accuracy and confidence in whole percentages; of two axes, one of them in a grid."""
        figures = self.figures
        # Of two axes a grid, with room for one figure: accuracy, or confidence where nothing is labelled.
        if len(self.axes) == 2:
            title, shares = next(iter(figures.items()))
            (down, downwards), (across, values) = self.axes.items()
            rows = [
                (value_text(value), *map(_percent, row))
                for value, row in zip(downwards, shares, strict=True)
            ]
            head = (down, *map(value_text, values))
            title = f"{title} of {self.counted}, {down} down, {across} across"
            return Table(head, rows, ">" * len(head), title=title)
        settings = self._settings
        names = [
            ", ".join(map(value_text, row))
            for row in zip(*settings.values(), strict=True)
        ]
        columns = [map(_percent, shares.ravel()) for shares in figures.values()]
        head = (", ".join(settings), *figures)
        rows_of_table = zip(names, *columns, strict=True)
        return Table(head, rows_of_table, ">" * len(head), title=self.counted)

    def _mean(self, values: Array, counted: Bools) -> Float64:
        # Over the photos that count, bool (photos,); NaN where none does.
        total = values[counted].sum(axis=0, dtype=np.float64)
        return np.asarray(total / (counted.sum() or np.nan)).reshape(self.shape)

    def __repr__(self) -> str:
        sizes = " × ".join(map(str, self.shape))
        missing = len(self.errors)
        return f"{len(self.photos)} photos × {sizes} perturbations, {missing} predictions missing"


def _percent(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.0%}"


def blocks(photos: int, perturbations: int) -> Iterator[tuple[slice, slice]]:
    """Cut photos and perturbations into blocks of about `BLOCK_ROWS`: whole photos, or parts of one."""
    # Several whole photos with few perturbations each, or one photo with a part of many.
    together = max(1, BLOCK_ROWS // perturbations)
    for first, start in product(
        range(0, photos, together), range(0, perturbations, BLOCK_ROWS)
    ):
        yield slice(first, first + together), slice(start, start + BLOCK_ROWS)


def axes_and_perturbations(
    perturbations: Perturbation | Iterable[Perturbation] | Grid,
) -> tuple[Mapping[str, tuple[Any, ...]], tuple[Perturbation, ...]]:
    """Return the axes of a grid and all its perturbations; no axes for perturbations that are listed."""
    axes: dict[str, tuple[Any, ...]] = {}
    if isinstance(perturbations, Mapping):
        for name, values in perturbations.items():
            # As objects, since a quality may be None; one value stands alone.
            listed_values = np.atleast_1d(np.array(values, object))
            changes = [Perturbation(**{name: value}) for value in listed_values]
            # As a perturbation keeps them: 85.0 as a whole number, -0.0 as 0.0.
            axes[name] = tuple(getattr(change, name) for change in changes)
        cells = product(*axes.values()) if axes else ()
        perturbations = [
            Perturbation(**dict(zip(axes, values, strict=True))) for values in cells
        ]
    elif isinstance(perturbations, Perturbation | str):
        perturbations = [perturbations]  # a text in one piece, to be refused below
    words = "a kit.Perturbation, or a mapping from names to values"
    listed = tuple(
        instance("a perturbation", change, Perturbation, words)
        for change in perturbations
    )
    if not listed:
        raise ValueError(
            f"Expected at least one perturbation with values, received {axes!r}"
        )
    return axes, listed


def run_tasks(
    function: Callable[[Any], Any],
    tasks: Iterable[tuple[Any, Any]],
    executor: Any,
    ahead: int = IN_FLIGHT,
) -> Iterator[tuple[Any, Any]]:
    """Yield each task's key with its result, as soon as it is there.

    ``function`` is importable by its name where other processes import it; ``tasks`` are read only as far
    ``ahead``, so that images do not pile up; ``executor`` is as in `sweep`, None for this thread. Raises
    whatever a task raises, and ValueError for processes that fork. What has not begun then, or when the
    caller stops, is cancelled.
    """
    if hasattr(executor, "get_executor"):  # a Dask client
        executor = executor.get_executor()
    # Private, and the only way to know; without it, nothing is refused.
    context = getattr(executor, "_mp_context", None)
    if context is not None and context.get_start_method() == "fork":
        raise ValueError(
            "Expected a process pool that spawns, received one that forks; "
            "give it mp_context=multiprocessing.get_context('spawn')"
        )
    if executor is None:
        yield from ((key, function(task)) for key, task in tasks)
        return
    if not hasattr(executor, "submit"):
        raise TypeError(
            f"Expected an executor or a Dask client, received {executor!r}; see kit.sweep"
        )
    waiting: dict[Future[Any], Any] = {}
    try:
        listed = iter(tasks)
        while True:
            for key, task in islice(listed, ahead - len(waiting)):
                waiting[executor.submit(function, task)] = key
            if not waiting:
                return
            # As they end, which may be another order: the key says which task it was.
            for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                yield waiting.pop(future), future.result()
    finally:
        for future in waiting:
            future.cancel()


def unpredicted_rows(photos: int, perturbations: int, ranks: int) -> Array:
    """Return rows (photos, perturbations) in which nothing is predicted yet.

    A row has ``label_probability`` (NaN without a label), ``probabilities`` and ``classes`` of the `ranks`
    most probable classes, in order (NaN and -1 for none), and ``error``, why there are none.
    """
    nothing = np.nan, [np.nan] * ranks, [-1] * ranks, STOPPED
    columns = [
        ("label_probability", np.float32),
        ("probabilities", np.float32, (ranks,)),
        ("classes", np.int32, (ranks,)),
        ("error", np.object_),
    ]
    return np.full((photos, perturbations), np.array(nothing, columns))


Block: TypeAlias = tuple[tuple[Picture, ...], tuple[Perturbation, ...], Int64]
"""Images that are all predicted under the same perturbations, and their labels, -1 for none."""
_Cell: TypeAlias = tuple[int, Photo, Perturbation]


def predict_block(classifier: Classifier, ranks: int, block: Block) -> Array:
    """Predict every image under every perturbation, each image decoded once: as `unpredicted_rows` has it."""
    pictures, perturbations, labels = block
    # `predict` is best called from so many threads at a time: `lanes`.
    predict, lanes = classifier.network.side_by_side(classifier.name)
    count = len(perturbations)
    rows = unpredicted_rows(len(pictures), count, ranks)
    # A view of `rows`: all perturbations of the first picture, then those of the next.
    in_order = rows.reshape(-1)

    def predict_part(cells: Sequence[_Cell]) -> None:
        # Both parts of the work leave Python's lock to others for most of their time.
        prepared: list[tuple[int, Float32]] = []
        for place, photo, perturbation in cells:
            try:
                prepared.append((place, classifier.tensor(photo, perturbation)))
            except UNREADABLE as error:
                in_order["error"][place] = str(error)
        for _, of_one_shape in groupby(prepared, key=lambda placed: placed[1].shape):
            places, tensors = zip(*of_one_shape, strict=True)
            predictions = predict(np.concatenate(tensors))
            for place, probabilities in zip(places, predictions, strict=True):
                best = np.argsort(-probabilities, kind="stable")[:ranks]
                label = labels[place // count]
                own = probabilities[label] if label >= 0 else np.nan
                in_order[place] = own, probabilities[best], best, ""

    decoding = known_preprocessing(classifier).decoding
    cells = _opened_cells(block, decoding, in_order["error"])
    size = part_size((1, *(side or 1 for side in classifier.input_shape)))
    parts = iter(lambda: list(islice(cells, size)), [])
    with ThreadPoolExecutor(lanes) as pool:
        for _ in run_tasks(predict_part, enumerate(parts), pool, 2 * lanes):
            pass
    return rows


def _opened_cells(block: Block, decoding: Decoding, errors: Array) -> Iterator[_Cell]:
    pictures, perturbations, _ = block
    count = len(perturbations)
    # A picture that cannot be opened has its error in all of its rows.
    for number, picture in enumerate(pictures):
        first = number * count
        try:
            photo = picture.open(decoding)
        except UNREADABLE as error:
            errors[first : first + count] = str(error)
            continue
        for place, perturbation in enumerate(perturbations, first):
            yield place, photo, perturbation


def run_sweep(
    classifier: Classifier,
    pictures: tuple[Picture, ...],
    perturbations: Grid | Perturbation | Iterable[Perturbation],
    labels: Int64,
    *,
    ranks: int,
    resume: Sweep | None,
    executor: Any,
    progress: Progress,
) -> Sweep:
    """Predict every image under every perturbation, or what a sweep to resume is missing.

    `labels` are int64 (pictures,), -1 for none; `ranks` is how many of the most probable classes are kept.
    """
    axes, changes = axes_and_perturbations(perturbations)
    swept = Sweep(
        photos=tuple(picture.name for picture in pictures),
        perturbations=changes,
        axes=axes,
        labels=labels,
        rows=unpredicted_rows(len(pictures), len(changes), ranks),
        model={
            "network": classifier.network.digest,
            "class_names": classifier.class_names,
            "preprocessing": known_preprocessing(classifier),
        },
    )
    if resume is not None:
        _check_same(swept, resume, "model", "perturbations", "photos", "labels")
        swept = replace(swept, rows=resume.rows.copy())
    # A place is two slices, of photos and of perturbations; only those with something missing are predicted.
    tasks = (
        (place, (pictures[place[0]], changes[place[1]], labels[place[0]]))
        for place in blocks(*swept.rows.shape)
        if (swept.rows["classes"][place] < 0).any()
    )
    predict = partial(predict_block, classifier, ranks)
    total = len(swept)
    # `keep`: an interruption ends the block quietly, and what is missing stays so.
    with Steps[None]((), "Predicting", progress, total=total, keep=True) as steps:
        for place, rows in run_tasks(predict, tasks, executor):
            swept.rows[place] = rows
            steps.advance(rows.size)
    return swept


def sweep(
    classifier: Classifier,
    photos: Pictures,
    perturbations: Grid | Perturbation | Iterable[Perturbation],
    labels: Labels | None = None,
    *,
    resume: Sweep | None = None,
    executor: Any = None,
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
        See `kit.images.photo`. Name files where there are many: they are opened where they are used, so for
        other machines by absolute paths.
    perturbations
        A grid, ``{"brightness": np.linspace(0.2, 2, 21), "noise": range(0, 51, 5)}``: all combinations of any
        parameters of `Perturbation`, its seed too; one value may stand alone. Or perturbations in a list.
    labels
        Right classes, as indices or names; None where none is known.
    resume
        An earlier sweep of the same images, known by their names, and settings: only what it could not
        predict is predicted. Arrays are named by their places, so give the same ones again.
    executor
        Anything with the interface of `concurrent.futures`: threads, processes that are spawned, or a
        `dask.distributed` client, whose machines need the same files at the same paths. By default everything
        runs in this thread.
    progress
        True for a bar once two seconds have passed; or a function that gets each step as a line of text.

    Raises
    ------
    TypeError, ValueError
        Arguments of another kind, labels that do not fit, an unknown preprocessing, or a pool of processes
        that forks.
    """
    check_first(classifier)
    pictures = at_least_one(each_picture(photos))
    return run_sweep(
        classifier,
        pictures,
        perturbations,
        label_indices(labels, classifier.class_names, pictures),
        ranks=1,
        resume=resume,
        executor=executor,
        progress=progress,
    )
