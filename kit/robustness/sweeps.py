"""Sweeps: predictions of many images under many perturbations."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import fields, replace
from itertools import product
from os import PathLike
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np

from kit._checking import known
from kit._reporting import Progress, Steps
from kit.classifier import Classifier, check_first, known_preprocessing
from kit.classifier.labels import class_indices
from kit.images import Photo, PhotoError, Picture, Pictures
from kit.images.photo import at_least_one, each_picture
from kit.perturbation import Perturbation
from kit.robustness import storage
from kit.robustness.executors import check_executor, run
from kit.robustness.sweep_result import Sweep
from kit.robustness.sweep_work import Answers, Shared, Task, answers

Grid: TypeAlias = Mapping[str, Sequence[Any]]

BLOCK_ROWS = 96
"""Rows that are computed, reported and kept together: under a second for a network of usual size."""

_AXES = tuple(field.name for field in fields(Perturbation))


def blocks(pictures: int, perturbations: int) -> Iterator[tuple[slice, slice, slice]]:
    """Cut the rows into blocks of about `BLOCK_ROWS`: whole images, or parts of one image.

    Each is a rectangle of images and perturbations, and the rows, which lie one after another.
    """
    step = max(1, BLOCK_ROWS // perturbations)
    for first, start in product(range(0, pictures, step), range(0, perturbations, BLOCK_ROWS)):
        last, stop = min(first + step, pictures), min(start + BLOCK_ROWS, perturbations)
        begin = first * perturbations + start
        rows = slice(begin, begin + (last - first) * (stop - start))
        yield slice(first, last), slice(start, stop), rows


def expand(
    perturbations: Perturbation | Iterable[Perturbation] | Grid,
) -> tuple[Mapping[str, tuple[Any, ...]], tuple[Perturbation, ...]]:
    """Return the axes of a grid and all its perturbations; no axes for perturbations that are listed."""
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


def sweep(
    classifier: Classifier,
    photos: Pictures,
    perturbations: Grid | Perturbation | Iterable[Perturbation],
    *,
    labels: Sequence[int | str | None] | None = None,
    executor: Executor | None = None,
    path: str | PathLike[str] | None = None,
    progress: Progress = True,
) -> Sweep:
    """Predict every image under every perturbation.

    Each image is decoded once, perturbed on the fly and forgotten; what cannot be read becomes rows with
    its error. Rows are the same to the last bit whatever executor runs them.

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
    path
        Folder that the sweep is kept in: Parquet files of about a hundred rows, which
        ``pandas.read_parquet(path)`` reads as one. Called again, a sweep that was killed or interrupted goes
        on with what is missing, and a finished one is just read.
    progress
        True for a bar once two seconds have passed; or a function that gets each step as a line of text.

    Returns
    -------
    Sweep

    Raises
    ------
    TypeError, ValueError
        Arguments of another kind, labels that do not fit, an unknown preprocessing, a pool of processes that
        forks, or a `path` that belongs to another sweep.
    """
    check_first(classifier, "kit.sweep(classifier, photos, perturbations)")
    known_preprocessing(classifier)
    check_executor(executor)
    pictures = held(photos)
    axes, listed = expand(perturbations)
    given = class_indices(labels, classifier.class_names, len(pictures))
    truth = np.array([-1 if label is None else label for label in given], np.int32)
    into = Answers.none(len(pictures) * len(listed))
    result = Sweep(tuple(each.name for each in pictures), listed, axes, classifier.class_names, truth, *into)
    folder = None if path is None else Path(path)
    if folder is not None:
        storage.begin(folder, _about(classifier, pictures, result, progress))
    every = blocks(len(pictures), len(listed))
    missing = [block for block in every if folder is None or not storage.written(folder, block[-1])]
    shared = Shared(classifier)
    tasks = (
        (rows, Task(shared, pictures[chosen], tuple(truth[chosen].tolist()), listed[some]))
        for chosen, some, rows in missing
    )
    done = len(result) - sum(rows.stop - rows.start for *_, rows in missing)
    with Steps[None]((), "Sweeping", "row", progress, total=len(result), done=done) as steps:
        for rows, found in run(answers, tasks, executor):
            into.top[rows], into.confidence[rows], into.probability[rows] = found[:3]
            into.errors.update((rows.start + place, text) for place, text in found.errors.items())
            if folder is not None:
                storage.write(folder, rows.start, result.part(rows))
            steps.advance(rows.stop - rows.start)
    if folder is not None:
        return Sweep.from_parquet(folder)
    return replace(result, errors=MappingProxyType(dict(sorted(into.errors.items()))))


def _about(
    classifier: Classifier, pictures: Sequence[Picture], result: Sweep, progress: Progress
) -> dict[str, Any]:
    """Return what the rows depend on, by its name in words."""
    if classifier.source is None:
        raise ValueError(
            f"Expected a classifier from a file, since a sweep goes on where another process ended, received"
            f" {classifier.name!r} made from a model; save it and use Classifier.load"
        )
    photographs = hashlib.sha256()
    for picture in Steps(pictures, "Reading images", "image", progress):
        digest = hashlib.sha256(_contents(picture.source)).hexdigest()
        photographs.update(f"{picture.name}\0{digest}\0".encode())
    return {
        "classifier": classifier.source.digest,
        "class names": result.class_names,
        "preprocessing": known_preprocessing(classifier).to_dict(),
        "photos": (result.photos, photographs.hexdigest()),
        "labels": result.labels.tolist(),
        "perturbations": (dict(result.axes), [each.to_dict() for each in result.perturbations]),
    }


def _contents(source: Any) -> bytes:
    if isinstance(source, bytes):
        return source
    if isinstance(source, Photo):
        return source.file or f"{source.size} {source.decoding}".encode() + source.pixels.tobytes()
    try:
        return Path(source).read_bytes() if isinstance(source, str) else str(source).encode()
    except OSError:
        return b"unreadable"
