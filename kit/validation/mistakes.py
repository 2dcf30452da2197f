"""The mistakes of a classifier on labelled images."""

import re
from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from html import escape
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from kit._arrays import Bools, Float32, Float64, Int64
from kit._reporting import Heading, Progress, Result, Steps, Table, plain
from kit.classifier import Classifier, check_first, known_preprocessing
from kit.classifier.labels import LISTED, Labels, class_indices, known_classes
from kit.images import Picture, Pictures
from kit.images.photo import UNREADABLE, encoded, names_of
from kit.images.properties import QUANTITIES, Sample
from kit.perturbation import Perturbation
from kit.robustness.executors import check_executor, run
from kit.robustness.sweeps import Shared, Task, held, predicted
from kit.validation.accuracy import AccuracyInterval, accuracy_interval
from kit.validation.label_errors import label_errors
from kit.validation.slices import Slice, slices

KEPT = 10
"""Most probable classes of an image that are kept."""
MOST = 1000
"""Images that are measured at most, half of them mistakes where there are as many."""
SHOWN = 12
"""Images in a gallery."""
OPENED = 100
"""Images that the explorer gets at most."""
_BLOCK, _MEASURED, _WINDOW, _THUMBNAIL, _SEED = 96, 16, 256, 160, 0
_UNTOUCHED = (Perturbation(),)
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title><style>
:root {{ color-scheme: light dark; font: 1em/1.5 system-ui, sans-serif }}
body {{ max-width: 60em; margin: auto; padding: 1em }}
table {{ display: block; overflow: auto; border-spacing: 1em 0 }}
img {{ max-width: 100% }} summary {{ cursor: pointer }}
</style></head><body><main><h1>{title}</h1>
{body}</main></body></html>
"""


class Mistake(NamedTuple):
    """An image: its place among those given, its name, its class, the predicted one and its probability."""

    place: int
    name: str
    true: str
    predicted: str
    probability: float


class Best(NamedTuple):
    """Predictions for N images.

    `own`, (N,), and `shares`, (N, K), are float32 probabilities of the given class and of the classes `best`, int32
    (N, K), the most probable first; -1 where there are none.
    """

    own: Float32
    shares: Float32
    best: npt.NDArray[np.int32]
    errors: list[str]

    @classmethod
    def none(cls, count: int, classes: int) -> "Best":
        """Return arrays without predictions."""
        shape = count, min(KEPT, classes)
        own, shares, best = np.zeros(count, np.float32), np.zeros(shape, np.float32), np.full(shape, -1, np.int32)
        return cls(own, shares, best, [""] * count)


class Gallery(Table):
    """Images with their captions: a table as text; in HTML thumbnails, for which they are opened."""

    def __init__(self, pictures: Sequence[Picture], shown: Sequence[Mistake]) -> None:
        rows = [(one.name, one.true, one.predicted, f"{one.probability:.0%}") for one in shown[:SHOWN]]
        more = f"and {len(shown) - SHOWN:,} more" * (len(shown) > SHOWN)
        super().__init__(("image", "label", "predicted", "probability"), rows, "<<<>", note=more)
        self._shown, self._pictures, self._more = shown[:SHOWN], pictures, more

    def html(self) -> str:
        """Return figures."""
        figures = "".join(map(self._figure, self._shown))
        return f'<div style="display: flex; flex-wrap: wrap; gap: 1em">\n{figures}</div><p>{self._more}</p>'

    def _figure(self, one: Mistake) -> str:
        image = Image.fromarray(self._pictures[one.place].open().pixels)
        image.thumbnail((_THUMBNAIL, _THUMBNAIL))
        file = b64encode(encoded(image, "WEBP", quality=90)).decode()
        style = f"width: {_THUMBNAIL}px; image-rendering: {'pixelated' if image.width < 65 else 'auto'}"
        words = f"{escape(one.predicted)} {one.probability:.0%}, label {escape(one.true)}"
        return (
            f'<figure style="margin: 0; width: {_THUMBNAIL}px; overflow-wrap: anywhere"><img style="{style}"'
            f' alt="{escape(one.name)}" src="data:image/webp;base64,{file}"><figcaption>{words}<br>'
            f"<small>{escape(one.name)}</small></figcaption></figure>"
        )


@dataclass(frozen=True, eq=False, repr=False)
class Mistakes(Result):
    """Predictions of a classifier for labelled images, and where they are wrong.

    Attributes
    ----------
    classifier, pictures, labels
        What was asked, the images in order, not opened, and int64 (N,): the class of each.
    found
        The predictions.
    measured
        Places of images that were measured, int64 (M,), and float64 (M, quantities), in the order of
        `kit.images.properties.QUANTITIES`.
    notes
        What limits the result, in words.
    """

    classifier: Classifier
    pictures: tuple[Picture, ...]
    labels: Int64
    found: Best
    measured: tuple[Int64, Float64] = (np.empty(0, np.int64), np.empty((0, len(QUANTITIES))))
    notes: tuple[str, ...] = ()

    @property
    def predicted(self) -> npt.NDArray[np.int32]:
        """The class that is predicted for each image, int32 (N,); -1 where it was not read."""
        return self.found.best[:, 0]

    @property
    def _wrong(self) -> Bools:
        return np.asarray((self.predicted >= 0) & (self.predicted != self.labels))

    @property
    def accuracy(self) -> AccuracyInterval:
        """Share of correct predictions, with its interval."""
        return accuracy_interval(~self._wrong[self.predicted >= 0])

    @property
    def confusion(self) -> Int64:
        """How many images of each class, in rows, are predicted as each: int64 (classes, classes)."""
        counts = np.zeros((len(self.classifier.class_names),) * 2, np.int64)
        read = self.predicted >= 0
        np.add.at(counts, (self.labels[read], self.predicted[read]), 1)
        return counts

    @cached_property
    def wrong(self) -> tuple[Mistake, ...]:
        """The mistakes, the most confident first."""
        return self._confident(self._wrong)

    def cell(self, label: int | str, predicted: int | str) -> tuple[Mistake, ...]:
        """Return the images of a cell of the confusion matrix, the most confident first."""
        row, column = class_indices([label, predicted], self.classifier.class_names, 2)
        return self._confident((self.labels == row) & (self.predicted == column))

    @cached_property
    def doubtful(self) -> tuple[Mistake, ...]:
        """Images whose label looks wrong, the clearest first, unless they were trained on; see `label_errors`."""
        read = np.flatnonzero(self.predicted >= 0)
        return self._listed(read[label_errors(self.labels[read], *(part[read] for part in self.found[:3]))])

    @cached_property
    def slices(self) -> tuple[Slice, ...]:
        """Measured properties that go with mistakes, the clearest first; see `kit.validation.slices`."""
        places, rows = self.measured
        wrong, chosen = self._wrong, self._wrong[places]
        if chosen.all() or not chosen.any():
            return ()
        right = self.predicted >= 0
        weights = np.where(chosen, wrong.sum() / chosen.sum(), (right & ~wrong).sum() / (~chosen).sum())
        return slices(rows, chosen, self.labels[places], weights)

    def _confident(self, among: Bools) -> tuple[Mistake, ...]:
        places = np.flatnonzero(among)
        return self._listed(places[np.argsort(-self.found.shares[places, 0], kind="stable")])

    def _listed(self, places: Int64) -> tuple[Mistake, ...]:
        names = self.classifier.class_names
        return tuple(
            Mistake(place, self.pictures[place].name, names[label], names[top], share)
            for place, label, top, share in zip(
                places.tolist(),
                self.labels[places].tolist(),
                self.predicted[places].tolist(),
                self.found.shares[places, 0].tolist(),
                strict=True,
            )
        )

    def gallery(self, shown: Sequence[Mistake] | None = None) -> Gallery:
        """Show the first of these images, by default of the mistakes, with class, prediction and probability."""
        return Gallery(self.pictures, self.wrong if shown is None else shown)

    def explorer(self, shown: Sequence[Mistake] | None = None) -> Any:
        """Open the first `OPENED` of these images, by default of the mistakes, in a `kit.Explorer`."""
        places = [one.place for one in (self.wrong if shown is None else shown)[:OPENED]]
        photos = [self.pictures[place].open() for place in places]
        # By its name, since its room comes later.
        return import_module("kit.explorer").Explorer(self.classifier, photos, self.labels[places].tolist())

    def confused(self) -> tuple[tuple[str, str, int], ...]:
        """Return pairs of label and prediction with their number of mistakes, the most frequent first."""
        counts, names = self.confusion, self.classifier.class_names
        np.fill_diagonal(counts, 0)
        order = np.argsort(-counts, axis=None, kind="stable")[: np.count_nonzero(counts)]
        pairs = zip(*np.unravel_index(order, counts.shape), strict=True)
        return tuple((names[row], names[column], int(counts[row, column])) for row, column in pairs)

    def table(self) -> Table:
        """Return the confusion matrix, of up to ten classes; of more the pairs that are confused most."""
        names = self.classifier.class_names
        if len(names) > LISTED:
            rows = [(label, other, str(count)) for label, other, count in self.confused()[:SHOWN]]
            return Table(("label", "predicted", "images"), rows, "<<>")
        rows = [(name, *map(str, row)) for name, row in zip(names, self.confusion.tolist(), strict=True)]
        return Table(("label / predicted", *names), rows)

    def _report(self) -> Iterable[str | Result]:
        one = self.accuracy
        interval = f"{one.accuracy:.1%}, 95% confidence {one.low:.1%} to {one.high:.1%}"
        yield Heading(f"{one.right:,} of {one.count:,} images are predicted correctly: {interval}.")
        yield from (f"Note: {note}" for note in self.notes)
        yield self.table()
        if self.wrong:
            yield Heading("The most confident mistakes")
            yield self.gallery()
        if self.doubtful:
            yield Heading(f"{len(self.doubtful)} labels look wrong: look at them before you blame the model")
            yield self.gallery(self.doubtful)
        if self.slices:
            yield Heading("What goes with mistakes")
            yield from (f"{each.summary}." for each in self.slices)

    def page(self) -> str:
        """Return the report as one HTML page for any browser, without scripts, with its images inside."""
        figure = import_module("kit.plots").confusion_figure(self)
        pairs = "".join(
            f"<details><summary>{escape(label)}, predicted as {escape(other)}: {count}</summary>"
            f"{self.gallery(self.cell(label, other)).html()}</details>"
            for label, other, count in self.confused()[:SHOWN]
        )
        body = f"{self.html()}<p><strong>Which classes are confused</strong></p>{figure._repr_html_()}{pairs}"
        return _PAGE.format(title=f"Mistakes of {escape(self.classifier.name)}", body=body)

    def to_dict(self) -> dict[str, Any]:
        """Return what was found as plain values, for JSON."""
        names = "accuracy", "confusion", "wrong", "doubtful", "slices", "notes"
        return {name: plain(getattr(self, name)) for name in names}

    def __repr__(self) -> str:
        one, slices = self.accuracy, "; ".join(each.summary for each in self.slices[:3])
        counts = f"{len(self.wrong):,} wrong, {len(self.doubtful):,} labels look wrong"
        return f"Mistakes({self.classifier.name!r}, {one}; {counts}; {slices or 'no slice fails'})"


def mistakes(
    classifier: Classifier,
    photos: Pictures,
    labels: Labels | None = None,
    *,
    executor: Executor | None = None,
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
        The class of each image, by index or name. By default the folders name them, or, where the classifier has no
        names, follow their order, as in Keras's `image_dataset_from_directory`.
    executor
        As in `kit.sweep`.
    progress
        True for a bar once two seconds have passed; or a function that gets each step as a line of text.

    Raises
    ------
    TypeError, ValueError
        Arguments of another kind, no images that can be read, or labels or folders that name no class.
    """
    check_first(classifier, "kit.mistakes(classifier, folder)")
    known_preprocessing(classifier)
    check_executor(executor)
    pictures, names = held(photos), classifier.class_names
    truth = known_classes(_folders(pictures, names) if labels is None else labels, names, len(pictures))
    found = Best.none(len(pictures), len(names))
    result = Mistakes(classifier, pictures, truth, found)
    chosen, measures = np.empty(0, np.int64), np.empty((0, len(QUANTITIES)))
    shared, total = Shared(classifier), len(pictures)
    asked = total + min(total, MOST)
    with Steps[None]((), "Predicting and measuring", "image", progress, total=asked, keep=True) as steps:
        blocks = (slice(start, start + _BLOCK) for start in range(0, total, _BLOCK))
        tasks = ((each, Task(shared, pictures[each], tuple(truth[each]), _UNTOUCHED)) for each in blocks)
        for block, part in run(_best, tasks, executor):
            # The classes come last, so that an interrupt leaves whole blocks.
            found.errors[block], found.own[block], found.shares[block] = part.errors, part.own, part.shares
            found.best[block] = part.best
            steps.advance(len(part.own))
        chosen = _sample(result)
        measures = np.full((len(chosen), len(QUANTITIES)), np.nan)
        blocks = (slice(start, start + _MEASURED) for start in range(0, len(chosen), _MEASURED))
        for block, rows in run(_measured, ((each, [pictures[i] for i in chosen[each]]) for each in blocks), executor):
            measures[block] = rows
            steps.advance(len(rows))
    known = ~np.isnan(measures).all(axis=1)
    notes = tuple(_notes(result, stopped=steps.interrupted))
    return replace(result, measured=(chosen[known], measures[known]), notes=notes)


def _folders(pictures: Sequence[Picture], names: Sequence[str]) -> list[int | str]:
    folders = [one.name.partition("/")[0] if "/" in one.name else "" for one in pictures]
    if "" in folders:
        outside = pictures[folders.index("")].name
        raise ValueError(f"Expected a folder for each class, received {outside!r} outside of one; give labels=")
    order = sorted(set(folders))
    if len(order) == len(names) and all(re.fullmatch(r"class \d+", name) for name in names):
        return [order.index(folder) for folder in folders]
    # A slash cannot be in the name of a folder, nor some other characters.
    plain_names = {_letters(name): name for name in names}
    spelled = {folder: plain_names.get(_letters(folder), folder) for folder in order}
    numbers = {folder: int(folder) for folder in order if folder.isdecimal() and folder not in names}
    return [numbers.get(folder, spelled[folder]) for folder in folders]


def _letters(name: str) -> str:
    return re.sub(r"\W|_", "", name).casefold()


def _best(task: Task) -> Best:
    found = Best.none(len(task.pictures), len(task.shared.classifier.class_names))
    for place, label, row in predicted(task, found.errors):
        best = np.argsort(-row, kind="stable")[: found.best.shape[1]]
        found.own[place], found.shares[place], found.best[place] = row[label], row[best], best
    return found


def _sample(result: Mistakes) -> Int64:
    wrong = result._wrong
    order = np.random.default_rng(_SEED).permutation(np.flatnonzero(result.predicted >= 0))
    bad, good = order[wrong[order]], order[~wrong[order]]
    bad = bad[: max(MOST // 2, MOST - len(good))]
    return np.concatenate([bad, good[: MOST - len(bad)]])


def _measured(pictures: Sequence[Picture]) -> Float64:
    rows = np.full((len(pictures), len(QUANTITIES)), np.nan)
    for row, picture in zip(rows, pictures, strict=True):
        with suppress(*UNREADABLE):
            sample = Sample(picture.open(), _WINDOW)
            row[:] = [item.measure(sample) for item in QUANTITIES.values()]
    return rows


def _notes(result: Mistakes, *, stopped: bool) -> Iterator[str]:
    unreadable = [(one.name, text) for one, text in zip(result.pictures, result.found.errors, strict=True) if text]
    if unreadable:
        yield f"not readable: {names_of(unreadable)} ({unreadable[0][1]})"
    if stopped:
        read = int((result.predicted >= 0).sum())
        yield f"stopped after {read:,} of {len(result.pictures):,} images"
