"""Sweeps: predictions of many images under many perturbations."""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, fields, replace
from itertools import product
from os import PathLike
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from kit._checking import known
from kit._reporting import Progress, Steps
from kit.classifier import Classifier, check_first, known_preprocessing
from kit.classifier.labels import class_indices
from kit.images import Photo, PhotoError, Picture, Pictures
from kit.images.photo import at_least_one, each_picture
from kit.perturbation import Perturbation
from kit.robustness.executors import check_executor, run
from kit.robustness.flips import flips_of
from kit.robustness.storage import FLIPS, Folder, texts
from kit.robustness.sweep_result import Flip, Sweep
from kit.robustness.sweep_work import Answers, RowsTask, Shared, rows

Grid: TypeAlias = Mapping[str, Sequence[Any]]

BLOCK_ROWS = 96
"""Rows that are computed, reported and kept together: under a second for a network of usual size."""

_AXES = tuple(field.name for field in fields(Perturbation))


class Block(NamedTuple):
    """A rectangle of images and perturbations whose rows lie one after another."""

    pictures: slice
    perturbations: slice
    rows: slice


@dataclass(frozen=True, repr=False)
class Plan:
    """Images times perturbations; a row for each pair, image by image.

    Parameters
    ----------
    pictures, perturbations
        What is looked at, and what is done to each.
    axes
        Names and values of which the perturbations are all combinations, the last name changing fastest;
        empty where they are just a list.
    labels
        int32, shape (pictures,): class indices, -1 where none is known.
    """

    pictures: tuple[Picture, ...]
    perturbations: tuple[Perturbation, ...]
    axes: Mapping[str, tuple[Any, ...]]
    labels: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.pictures) * len(self.perturbations)

    def blocks(self) -> Iterator[Block]:
        """Cut the rows into blocks of about `BLOCK_ROWS`: whole images, or parts of one image."""
        count, width = len(self.pictures), len(self.perturbations)
        step = max(1, BLOCK_ROWS // width)
        for first, start in product(range(0, count, step), range(0, width, BLOCK_ROWS)):
            last, stop = min(first + step, count), min(start + BLOCK_ROWS, width)
            begin = first * width + start
            rows = slice(begin, begin + (last - first) * (stop - start))
            yield Block(slice(first, last), slice(start, stop), rows)


def expand(
    perturbations: Perturbation | Iterable[Perturbation] | Grid,
) -> tuple[Mapping[str, tuple[Any, ...]], tuple[Perturbation, ...]]:
    """Return the axes of a grid and all its perturbations; no axes for perturbations that are listed.

    Raises a TypeError or a ValueError for anything else, an unknown parameter, no values, or one that the
    parameter does not allow.
    """
    axes = {}
    if isinstance(perturbations, Mapping):
        axes = {known("parameter", name, _AXES): _values(name, each) for name, each in perturbations.items()}
        combinations = product(*axes.values()) if axes else ()
        listed = tuple(Perturbation(**dict(zip(axes, values, strict=True))) for values in combinations)
    elif isinstance(perturbations, Iterable):
        listed = tuple(perturbations)
    else:
        listed = (perturbations,)
    for each in listed:
        if not isinstance(each, Perturbation):
            raise TypeError(
                f"Expected perturbations, or a mapping from parameters to values, received {each!r};"
                ' for instance {"brightness": [0.5, 1, 1.5]}'
            )
    if not listed:
        raise ValueError(f"Expected at least one perturbation with values, received {perturbations!r}")
    return MappingProxyType(axes), listed


def _values(name: str, values: Any) -> tuple[Any, ...]:
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise TypeError(f"Expected values of {name} in a sequence, received {values!r}; write [{values!r}]")
    # Plain numbers, as a perturbation keeps them: 85.0 as a whole number, -0.0 as 0.0.
    plain = (each.item() if isinstance(each, np.generic) else each for each in values)
    return tuple(getattr(Perturbation(**{name: each}), name) for each in plain)


def held(photos: Pictures) -> tuple[Picture, ...]:
    """Return what to look at as workers can have it: a path, the contents of a file, a photo, or an error.

    Files are opened where they are used, and what cannot be read is kept as its error.
    """
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


def sweep(
    classifier: Classifier,
    photos: Pictures,
    perturbations: Grid | Perturbation | Iterable[Perturbation],
    *,
    labels: Sequence[int | str | None] | None = None,
    executor: Executor | None = None,
    path: str | PathLike[str] | None = None,
    flips: bool = True,
    progress: Progress = True,
) -> Sweep:
    """Ask a classifier about every picture under every perturbation.

    Each picture is decoded once, perturbed on the fly and forgotten; what cannot be read becomes rows with
    its error. Rows are the same to the last bit whatever executor runs them.

    Parameters
    ----------
    classifier
        With a known preprocessing. Other processes open it by its path, so it has to come from a file there.
    photos
        See `kit.images.photo`. Name files where there are many pictures: they are opened
        where they are used, one at a time.
    perturbations
        A grid, ``{"brightness": np.linspace(0.2, 2, 21), "noise": range(0, 51, 5)}``: all combinations of any
        parameters of `Perturbation`, its seed too. Or perturbations in a list.
    labels
        Right classes, as indices or names; None where none is known.
    executor
        Anything with the interface of `concurrent.futures`: threads, processes that are spawned, or the
        ``client.get_executor()`` of a `dask.distributed` client, whose machines need the same files at the
        same paths. By default everything runs in this thread.
    path
        Folder that the sweep is kept in: Parquet files of about a hundred rows, which
        ``pandas.read_parquet(path)`` reads as one. Called again, a sweep that was killed or interrupted goes
        on with what is missing, and a finished one is just read.
    flips
        Whether to look for `Sweep.flips` in a grid.
    progress
        True for a bar once two seconds have passed; or a function that is told each step in a line.

    Returns
    -------
    Sweep

    Raises
    ------
    TypeError, ValueError
        Arguments of another kind, labels that do not fit, an unknown preprocessing, a pool of processes that
        forks, or a `path` that belongs to another sweep.
    KeyboardInterrupt
        Interrupted; with `path`, call again to go on.
    """
    check_first(classifier, "kit.sweep(classifier, photos, perturbations)")
    known_preprocessing(classifier)
    check_executor(executor)
    pictures = held(photos)
    axes, listed = expand(perturbations)
    given = class_indices(labels, classifier.class_names, len(pictures))
    truth = np.array([-1 if label is None else label for label in given], np.int32)
    plan = Plan(pictures, listed, axes, truth)
    folder = None
    if path is not None:
        folder = Folder(Path(path), _identity(classifier, plan, progress), _description(classifier, plan))
    shared = Shared(classifier)
    result = _answered(shared, plan, folder, executor, progress)
    if not flips:
        return result
    known_flips = None if folder is None else folder.flips()
    if known_flips is not None:
        return replace(result, flips=tuple(Flip(*each) for each in known_flips))
    found = flips_of(result, shared, pictures, executor, progress)
    if folder is not None:
        folder.write_json(FLIPS, {"flips": [list(vars(each).values()) for each in found]})
    return replace(result, flips=found)


def _answered(
    shared: Shared, plan: Plan, folder: Folder | None, executor: Executor | None, progress: Progress
) -> Sweep:
    """Return the answers to all rows, after asking for those that the folder has not yet."""
    found, errors = Answers.none(len(plan)), dict[int, str]()
    names = tuple(picture.name for picture in plan.pictures)
    about = names, plan.perturbations, plan.axes, shared.classifier.class_names, plan.labels
    result = Sweep(*about, found.top, found.confidence, found.probability, errors)

    def keep(where: slice, answers: Answers) -> None:
        found.top[where], found.confidence[where] = answers.top, answers.confidence
        found.probability[where] = answers.probability
        errors.update((where.start + place, text) for place, text in answers.errors)

    missing = []
    for block in plan.blocks():
        kept = None if folder is None else folder.rows(block.rows)
        if kept is None:
            missing.append(block)
        else:
            failed = tuple(texts(kept["error"]).items())
            keep(block.rows, Answers(kept["top"], kept["confidence"], kept["probability"], failed))
    tasks = ((place, _task(shared, plan, block)) for place, block in enumerate(missing))
    done = len(plan) - sum(block.rows.stop - block.rows.start for block in missing)
    with Steps[None]((), "Sweep", "picture", progress, total=len(plan), done=done) as steps:
        for place, answers in run(rows, tasks, executor):
            where = missing[place].rows
            keep(where, answers)
            if folder is not None:
                folder.write(where.start, result.part(where))
            steps.advance(where.stop - where.start)
    return replace(result, errors=MappingProxyType(dict(sorted(errors.items()))))


def _task(shared: Shared, plan: Plan, block: Block) -> RowsTask:
    labels = tuple(plan.labels[block.pictures].tolist())
    return RowsTask(shared, plan.pictures[block.pictures], labels, plan.perturbations[block.perturbations])


def _description(classifier: Classifier, plan: Plan) -> dict[str, Any]:
    return {
        "photos": [picture.name for picture in plan.pictures],
        "perturbations": [each.to_dict() for each in plan.perturbations],
        "axes": dict(plan.axes),
        "class_names": list(classifier.class_names),
    }


def _identity(classifier: Classifier, plan: Plan, progress: Progress) -> dict[str, str]:
    if classifier.source is None:
        raise ValueError(
            f"Expected a classifier from a file, since a sweep goes on where another process ended, received"
            f" {classifier.name!r} made from a model; save it and use Classifier.load"
        )
    steps = classifier.preprocessing
    photographs = hashlib.sha256()
    for picture in Steps(plan.pictures, "Pictures", "picture", progress):
        photographs.update(f"{picture.name}\0{_digest(picture.source)}\0".encode())
    return {
        "classifier": classifier.source.digest,
        "class names": _hash(list(classifier.class_names)),
        "preprocessing": _hash(None if steps is None else steps.to_dict()),
        "photos": photographs.hexdigest(),
        "labels": _hash(plan.labels.tolist()),
        "perturbations": _hash([dict(plan.axes), [each.to_dict() for each in plan.perturbations]]),
    }


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _digest(source: Any) -> str:
    if isinstance(source, str):
        try:
            with open(source, "rb") as stream:  # noqa: PTH123 (of ten thousand, texts are smaller than paths)
                return hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError:
            return "unreadable"
    if isinstance(source, bytes):
        return hashlib.sha256(source).hexdigest()
    if isinstance(source, Photo):
        return hashlib.sha256(
            source.file or f"{source.size} {source.decoding}".encode() + source.pixels.tobytes()
        ).hexdigest()
    return str(source)
