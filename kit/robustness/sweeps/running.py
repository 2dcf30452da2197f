"""Sweeps: how accuracy, confidence and answers change while pictures are perturbed, and where they flip."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from os import PathLike
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from kit._checking import number
from kit.classifier import Classifier, check_first, known_preprocessing
from kit.classifier.labels import class_indices
from kit.images import Pictures
from kit.perturbation import Perturbation
from kit.robustness.sweeps import executor as sweep_running
from kit.robustness.sweeps import storage as sweep_file
from kit.robustness.sweeps import work as sweep_work
from kit.robustness.sweeps.flips import as_flip, brackets, flip, tolerance_of
from kit.robustness.sweeps.plan import Block, Grid, Plan, expand, held
from kit.robustness.sweeps.result import Flip, Sweep
from kit.robustness.sweeps.storage import Journal
from kit.robustness.sweeps.work import Bracket, FlipsTask, RowsTask, Shared

__all__ = ["IN_FLIGHT", "Flip", "Sweep", "flip", "sweep"]

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
    progress: bool = True,
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
        See `kit.images.sources`. Name files where there are many pictures: they are opened
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
        Whether to show a progress bar once two seconds have passed.
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
    sweep_running.check_executor(executor)
    pictures = held(photos)
    axes, listed = expand(perturbations)
    known = class_indices(labels, classifier.class_names, len(pictures))
    truth = np.array([-1 if label is None else label for label in known], np.int32)
    plan = Plan(pictures, listed, axes, truth)
    running = _Running(classifier, plan, executor, int(in_flight), progress)
    if path is None:
        return running.finish(None, flips)
    return _kept(running, Path(path), flips)


def _kept(running: "_Running", path: Path, flips: bool) -> Sweep:
    pictures = running.bar(running.plan.pictures, "Pictures", "picture")
    identity = sweep_file.identity(running.classifier, running.plan, pictures) | {"flips": str(flips)}
    partial = path.with_name(f"{path.name}.partial")
    if path.exists():
        columns, description = sweep_file.read_table(path)
        sweep_file.refuse_another(identity, description["identity"], path)
        result = Sweep.from_table(columns, description)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        with Journal(partial, identity) as journal:
            result = running.finish(journal, flips)
        result.to_parquet(path, identity=identity)
    partial.unlink(missing_ok=True)
    return result


class _Running:
    """A sweep that is under way."""

    def __init__(
        self, classifier: Classifier, plan: Plan, executor: Executor | None, in_flight: int, progress: bool
    ) -> None:
        self.classifier = classifier
        self.plan = plan
        self._shared = Shared(classifier)
        self._executor, self._in_flight, self._progress = executor, in_flight, progress
        count = len(plan)
        self._tops = np.full(count, -1, np.int32)
        self._confidences = np.full(count, np.nan, np.float32)
        self._probabilities = np.full(count, np.nan, np.float32)
        self._errors: dict[int, str] = {}

    def finish(self, journal: Journal | None, flips: bool) -> Sweep:
        self._fill(journal)
        result = Sweep(
            tuple(picture.name for picture in self.plan.pictures),
            self.plan.perturbations,
            self.plan.axes,
            self.classifier.class_names,
            self.plan.labels,
            self._tops,
            self._confidences,
            self._probabilities,
            MappingProxyType(dict(sorted(self._errors.items()))),
        )
        return replace(result, flips=self._flips(result, journal)) if flips else result

    def _fill(self, journal: Journal | None) -> None:
        known_rows = np.zeros(len(self.plan), bool)
        for record in sweep_file.batches(() if journal is None else journal.records, flips=False):
            rows = record["row"]
            known_rows[rows] = True
            self._tops[rows], self._confidences[rows] = record["top"], record["confidence"]
            self._probabilities[rows] = record["probability"]
            self._errors |= {int(rows[at]): text for at, text in sweep_file.texts(record["error"]).items()}
        blocks = [block for block in self.plan.blocks() if not known_rows[self.plan.rows(block)].all()]
        tasks = ((place, self._rows_task(block)) for place, block in enumerate(blocks))
        with self._bar_of(len(self.plan), int(known_rows.sum()), "Sweep", "picture") as bar:
            done = sweep_running.run(sweep_work.rows, tasks, self._executor, self._in_flight)
            for place, answers in done:
                rows = self.plan.rows(blocks[place])
                self._tops[rows], self._confidences[rows] = answers.top, answers.confidence
                self._probabilities[rows] = answers.probability
                self._errors |= {rows.start + at: text for at, text in answers.errors}
                if journal is not None:
                    errors = dict(answers.errors)
                    count = rows.stop - rows.start
                    journal.write(
                        row=np.arange(rows.start, rows.stop),
                        axis=np.full(count, -1),
                        top=answers.top,
                        confidence=answers.confidence,
                        probability=answers.probability,
                        error=[errors.get(at) for at in range(count)],
                    )
                bar.update(rows.stop - rows.start)

    def _rows_task(self, block: Block) -> RowsTask:
        chosen = slice(block.pictures.start, block.pictures.stop)
        return RowsTask(
            self._shared,
            self.plan.pictures[chosen],
            tuple(self.plan.labels[chosen].tolist()),
            self.plan.perturbations[block.perturbations.start : block.perturbations.stop],
        )

    def _flips(self, swept: Sweep, journal: Journal | None) -> tuple[Flip, ...]:
        names = list(self.plan.axes)
        count = len(self.plan.perturbations)
        found: dict[tuple[int, int, bool], Bracket] = {}
        for row, axis, bracket in brackets(swept):
            found[row, axis, bracket.value > bracket.last] = bracket
        waiting = dict(found)
        for record in sweep_file.batches(() if journal is None else journal.records, flips=True):
            columns = (record[name].tolist() for name in ("row", "axis", "top", "last", "value"))
            for row, axis, after, last, value in zip(*columns, strict=True):
                key = row, axis, value > last
                found[key] = found[key]._replace(last=last, value=value, after=after)
                waiting.pop(key, None)
        by_photo: dict[int, list[tuple[int, int, bool]]] = {}
        for key in waiting:
            by_photo.setdefault(key[0] // count, []).append(key)
        tasks = (
            (
                photo,
                FlipsTask(
                    self._shared,
                    self.plan.pictures[photo],
                    tuple(waiting[key] for key in keys),
                    tuple(tolerance_of(waiting[key].name) for key in keys),
                ),
            )
            for photo, keys in by_photo.items()
        )
        with self._bar_of(len(by_photo), 0, "Flips", "picture") as bar:
            for photo, narrowed in sweep_running.run(
                sweep_work.flips, tasks, self._executor, self._in_flight
            ):
                keys = by_photo[photo]
                found |= dict(zip(keys, narrowed, strict=True))
                if journal is not None:
                    journal.write(
                        row=[key[0] for key in keys],
                        axis=[key[1] for key in keys],
                        top=[bracket.after for bracket in narrowed],
                        last=[bracket.last for bracket in narrowed],
                        value=[bracket.value for bracket in narrowed],
                    )
                bar.update()
        ordered = sorted(found, key=lambda key: (key[0] // count, key[1], key[2]))
        class_names = self.classifier.class_names
        return tuple(as_flip(key[0] // count, names[key[1]], found[key], class_names) for key in ordered)

    def bar(self, items: Sequence[Any], title: str, unit: str) -> Iterator[Any]:
        with self._bar_of(len(items), 0, title, unit) as bar:
            for item in items:
                yield item
                bar.update()

    def _bar_of(self, total: int, initial: int, title: str, unit: str) -> Any:
        from tqdm.auto import tqdm  # noqa: PLC0415 (half of what importing the kit costs)

        return tqdm(
            total=total,
            initial=initial,
            desc=title,
            unit=unit,
            delay=2,
            leave=False,
            disable=not self._progress,
        )
