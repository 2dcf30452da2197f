"""Sweeps: predictions of many images under many perturbations."""

from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from os import PathLike
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

import numpy as np

from kit._checking import number
from kit._reporting import Progress, Steps
from kit.classifier import Classifier, check_first, known_preprocessing
from kit.classifier.labels import class_indices
from kit.images import Pictures
from kit.perturbation import Perturbation
from kit.robustness.executors import Job, check_executor, run
from kit.robustness.flips import flips_of
from kit.robustness.storage import Journal, batches, identity, read_table, refuse_another, texts
from kit.robustness.sweep_plan import Block, Grid, Plan, expand, held
from kit.robustness.sweep_result import Sweep
from kit.robustness.sweep_work import Answers, RowsTask, Shared, rows

Done = TypeVar("Done")


IN_FLIGHT = 32
"""Blocks that an executor holds at a time: enough for sixteen workers, and few enough to stay small."""


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
    in_flight: int = IN_FLIGHT,
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
        Parquet file that the sweep is kept in. While it runs, blocks of rows go into ``….partial`` beside it;
        called again, a sweep that was killed or interrupted loses only the blocks that were being computed,
        and a finished one is just read.
    flips
        Whether to look for `Sweep.flips` in a grid.
    progress
        True for a bar once two seconds have passed; or a function that is told each step in a line.
    in_flight
        Blocks that `executor` holds at a time.

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
    if number("in_flight", in_flight) < 1:
        raise ValueError(f"Expected in_flight above 0, received {in_flight!r}")
    check_executor(executor)
    pictures = held(photos)
    axes, listed = expand(perturbations)
    known = class_indices(labels, classifier.class_names, len(pictures))
    truth = np.array([-1 if label is None else label for label in known], np.int32)
    plan = Plan(pictures, listed, axes, truth)
    job = Job(Shared(classifier), plan, executor, int(in_flight), progress)
    return _swept(job, None, flips=flips) if path is None else _kept_running(job, Path(path), flips=flips)


def _kept_running(job: Job, path: Path, *, flips: bool) -> Sweep:
    pictures = Steps(job.plan.pictures, "Pictures", "picture", job.progress)
    known = identity(job.shared.classifier, job.plan, pictures) | {"flips": str(flips)}
    partial = path.with_name(f"{path.name}.partial")
    if path.exists():
        columns, description = read_table(path)
        refuse_another(known, description["identity"], path)
        result = Sweep.from_table(columns, description)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        with Journal(partial, known) as journal:
            result = _swept(job, journal, flips=flips)
        result.to_parquet(path, identity=known)
    partial.unlink(missing_ok=True)
    return result


def _swept(job: Job, journal: Journal | None, *, flips: bool) -> Sweep:
    plan, found = job.plan, _answered(job, journal)
    result = Sweep(
        tuple(picture.name for picture in plan.pictures),
        plan.perturbations,
        plan.axes,
        job.shared.classifier.class_names,
        plan.labels,
        found.top,
        found.confidence,
        found.probability,
        MappingProxyType(dict(found.errors)),
    )
    return replace(result, flips=flips_of(result, job, journal)) if flips else result


def _answered(job: Job, journal: Journal | None) -> Answers:
    """Return the answers to all rows, after asking for those that the journal has not yet."""
    plan, found = job.plan, Answers.none(len(job.plan))
    errors: dict[int, str] = {}
    known = np.zeros(len(plan), bool)
    classes = len(job.shared.classifier.class_names)
    for record in batches(journal, len(plan), classes, flips=False):
        places = record["row"]
        known[places] = True
        found.top[places], found.confidence[places] = record["top"], record["confidence"]
        found.probability[places] = record["probability"]
        errors |= {int(places[at]): text for at, text in texts(record["error"]).items()}
    blocks = [block for block in plan.blocks() if not known[plan.rows(block)].all()]
    tasks = ((place, _task(job, block)) for place, block in enumerate(blocks))
    title = f"Sweep, {journal.damaged} damaged lines anew" if journal and journal.damaged else "Sweep"
    with Steps[None]((), title, "picture", job.progress, total=len(plan), done=int(known.sum())) as steps:
        for place, answers in run(rows, tasks, job.executor, job.in_flight):
            where = plan.rows(blocks[place])
            found.top[where], found.confidence[where] = answers.top, answers.confidence
            found.probability[where] = answers.probability
            errors |= {where.start + at: text for at, text in answers.errors}
            if journal is not None:
                row = range(where.start, where.stop)
                error = [errors.get(at) for at in row]
                journal.write(row=row, axis=[-1] * len(row), error=error, **answers._asdict())
            steps.advance(where.stop - where.start)
    return found._replace(errors=tuple(sorted(errors.items())))


def _task(job: Job, block: Block) -> RowsTask:
    pictures, perturbations = (slice(part.start, part.stop) for part in block)
    labels = tuple(job.plan.labels[pictures].tolist())
    return RowsTask(job.shared, job.plan.pictures[pictures], labels, job.plan.perturbations[perturbations])
