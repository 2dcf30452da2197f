"""Two classifiers, or two forms of one network, compared on the same images."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from math import inf
from operator import attrgetter

import numpy as np
import scipy
from numpy.typing import ArrayLike

from kit._arrays import Array, Float32, Floats, Indices
from kit._reporting import Progress, Steps
from kit.classifier.classifier import Classifier, check_first, known_preprocessing
from kit.classifier.engines import finite, is_quantised, probabilities, tempered
from kit.classifier.labels import Labels, label_indices
from kit.classifier.predictions import Predictions
from kit.diagnosis.candidates import Candidate, Evaluator, candidate_with_causes
from kit.diagnosis.checks_network import check_determinism
from kit.diagnosis.class_order import LEAST_CLASSES, known_orders
from kit.diagnosis.finding import Photos, words_of_changes
from kit.diagnosis.report import (
    CLOSE_CHANGE,
    SOUND_CHANGE,
    Compared,
    Mover,
    is_negligible_change,
)
from kit.images.photo import Photo, Pictures, as_photos
from kit.preprocessing import Preprocessing
from kit.preprocessing.comparison import SCRAMBLED, TURNS, Reorderings, pillow_words
from kit.preprocessing.faults import CATALOGUE
from kit.preprocessing.pipeline import (
    PIPELINE,
    TO_TENSOR,
    arrange,
    arrange_back,
)
from kit.preprocessing.scaling import SCALINGS, Scaling, Scalings, affine, fits
from kit.validation.accuracy import compare_accuracies

Function = Callable[[Float32], Float32]

STEPS_OF_TENSORS = {
    choice.name for operation in TO_TENSOR for choice in operation.choices
}
"""The steps after resizing."""
MOVERS_REPORTED = 10
"""Images that changed most, as many as are reported."""
IMAGES_JUDGED = 32
"""Images that changed most, as many as judge what differs."""
IMAGES_SEARCHED = 2
"""Of these, as many are searched on."""
FIRST_CHANGES = 3
"""Changes that bring both nearest, with each of which a second one is tried."""
ROUNDING_CHANGE = 1e-3
"""Largest difference, as `Compared` has it, of a form that is not looked into."""
RESTORED_SHARE = 0.1
"""Share of the difference that undoing a cause may leave."""
EXACT_SHARE = 0.02
"""Likewise, where the difference seems sound, or much is fitted."""
LEAST_LOG_TEMPERATURE = 0.02
"""Logarithm of a temperature so near to 1 that it is none."""
SURE_PROBABILITY = 0.99
"""A probability that says little about the fault behind it."""
WHOLLY_RESTORED_SHARE = 1e-3
"""Share of the difference that a cause may leave so that no other is looked for."""
_LEAST_PROBABILITY = 1e-30


@dataclass(frozen=True, eq=False)
class _ComparedModel:
    """A model that is compared, with its outputs in the order of the first's classes.

    The class names and `output_order`, the places of its own outputs, are in that order. Outputs of other
    code are `recorded`: they are asked for once for each photo, in the order of these.
    """

    name: str
    outputs_of: Function
    output_order: Indices
    class_names: Sequence[str]
    preprocessing: Preprocessing
    recorded: bool = False
    quantised: bool = False

    def predict_tensors(self, tensors: Float32) -> Float32:
        rows = np.asarray(self.outputs_of(tensors), np.float32)
        if rows.ndim != 2 or rows.shape[1] != len(self.output_order):
            raise ValueError(
                f"Expected as many classes, received {len(self.output_order)} and {rows.shape[-1]};"
                " give one probability for each, as np.hstack([1 - p, p]) of a sigmoid;"
                " a function that prepares images is for kit.check"
            )
        # In the order of the first's classes.
        return finite(rows, self.name)[:, self.output_order]

    def predict(self, photo: Photo) -> Float32:
        return self.predict_tensors(self.preprocessing.apply(photo))


def compare(
    first: Classifier,
    second: Classifier | Function | ArrayLike,
    photos: Pictures,
    labels: Labels | None = None,
    *,
    progress: Progress = True,
) -> Compared:
    """Compare a classifier with another, with another form of its network, or with what an app predicts.

    Where predictions differ, the cause is looked for: another head or order of the classes is undone; by more
    than `SOUND_CHANGE`, a fault of the preprocessing, or two, is done to the first, too. It is named only if
    that removes the difference; if nothing does, another order of the photos in outputs of other code, or
    quantisation, if both are close and its file has it.

    Parameters
    ----------
    first
        Each classifier prepares the images in its own way.
    second
        A classifier with as many classes, or a function from float32 tensors (N, H, W, C), as the first's
        network expects them, to probabilities (N, classes): an exported or quantised form. Or the outputs
        (photos, classes) of other code, such as an app: of faults of its preprocessing, those count that give
        the first the same outputs.
    photos, progress
        See `kit.images.photo` and `kit.robustness.sweep`.
    labels
        The right class of each by name or index, None where it is not known.

    Raises
    ------
    TypeError, ValueError
        No classifier, no images, another number of classes, labels or outputs.
    """
    check_first(first)
    names = first.class_names
    opened = as_photos(photos)
    first_model = _first_as_compared(first)
    second_model = _second_as_compared(first_model, second, len(opened))
    truth = label_indices(labels, names, opened)
    steps = Steps(opened, "Comparing", progress)
    rows = [
        (first_model.predict(photo), second_model.predict(photo)) for photo in steps
    ]
    rows_before, rows_after = map(np.concatenate, zip(*rows, strict=True))
    photo_names = tuple(photo.name for photo in opened)
    before = Predictions(rows_before, names, truth, photo_names)
    after = replace(before, probabilities=rows_after)
    # Of each image the largest change of a probability.
    largest_changes = _largest_changes(before.probabilities, after.probabilities)
    most_changed = np.argsort(-largest_changes, kind="stable")[:IMAGES_JUDGED]
    search = _Search(
        first=first_model,
        second=second_model,
        photos=tuple(opened[place] for place in most_changed),
        first_outputs=before.probabilities[most_changed],
        second_outputs=after.probabilities[most_changed],
    )
    cause = search.likely_cause(largest_changes)
    if cause is _NO_CAUSE and second_model.recorded:
        cause = _cause_in_order_of_photos(before.probabilities, after.probabilities)
    used = first_model.preprocessing
    other = second_model.preprocessing
    pillow_differences = (pillow_words(used, other, photo) for photo in search.photos)
    return Compared(
        first_model.name,
        second_model.name,
        photos=len(opened),
        changed=int(before.changed(after).sum()),
        difference=float(largest_changes.mean()),
        cause=_joined(cause.causes),
        reproduced_by=cause.reproduced_by,
        left=cause.remaining,
        prepared=_joined([words_of_changes(used, other), *pillow_differences], "; "),
        movers=_movers(before, after, largest_changes, most_changed[:MOVERS_REPORTED]),
        accuracy=compare_accuracies(before.labelled.correct, after.labelled.correct)
        if (truth >= 0).any()
        else None,
    )


def _movers(
    before: Predictions,
    after: Predictions,
    largest_changes: Floats,
    places: Indices,
) -> tuple[Mover, ...]:
    return tuple(
        Mover(
            photo=before.photos[place],
            # Of this one image the most probable class: its name and probability.
            before=before[place].top(1)[0][0],
            after=after[place].top(1)[0][0],
            change=float(largest_changes[place]),
            # A label of -1, which is none, is the last of these.
            label=(*before.class_names, "")[before.labels[place]],
        )
        for place in places.tolist()
        if largest_changes[place] > 0
    )


def _first_as_compared(first: Classifier) -> _ComparedModel:
    return _ComparedModel(
        first.name,
        partial(_calibrated, first),
        output_order=np.arange(len(first.class_names)),
        class_names=first.class_names,
        preprocessing=known_preprocessing(first),
    )


def _second_as_compared(
    first: _ComparedModel,
    second: Classifier | Function | ArrayLike,
    photo_count: int,
) -> _ComparedModel:
    if isinstance(second, Classifier):
        places_in_second = first.output_order.copy()
        if sorted(first.class_names) == sorted(second.class_names):
            # The n-th by name is one class in both; stable, so that classes of one name stay in their order.
            by_name = np.argsort(second.class_names, kind="stable")
            places_in_second[np.argsort(first.class_names, kind="stable")] = by_name
        return replace(
            first,
            name=second.name,
            outputs_of=partial(_calibrated, second),
            output_order=places_in_second,
            preprocessing=second.preprocessing or first.preprocessing,
            quantised=is_quantised(second.network.about.data or b""),
        )
    if callable(second):
        name = getattr(second, "__name__", "the other form")
        return replace(first, name=name, outputs_of=second)
    if not isinstance(second, list | np.ndarray):
        raise TypeError(
            "Expected a classifier, a function of tensors, or outputs (photos, classes),"
            f" received {type(second).__name__}"
        )
    rows = np.asarray(second)
    if photo_count == 1:
        rows = np.atleast_2d(rows)
    if rows.ndim != 2:
        raise ValueError(
            f"Expected outputs (photos, classes), received shape {rows.shape}; labels are not enough"
        )
    if len(rows) != photo_count:
        raise ValueError(
            f"Expected outputs for each of {photo_count} images, received {len(rows)}"
        )
    recorded_rows = iter(rows[:, None])
    # Whatever the tensor, the outputs for the next photo.
    return replace(
        first,
        name="the other form",
        outputs_of=lambda _: next(recorded_rows),
        recorded=True,
    )


def _calibrated(classifier: Classifier, tensors: Float32) -> Float32:
    return classifier.calibrated(classifier.predict_tensors(tensors))


def _largest_changes(first_rows: Floats, second_rows: Floats) -> Floats:
    """Return the largest difference of a probability of each image; what is no probability counts as 1."""
    # Of each image. Outputs of other code may be no probabilities: they count as at most 1 apart.
    return np.asarray(
        np.abs(first_rows - second_rows).max(axis=1).clip(max=1), np.float32
    )


def _mean_largest_change(first_rows: Floats, second_rows: Floats) -> float:
    return float(_largest_changes(first_rows, second_rows).mean())


def _joined(words: Iterable[str], between: str = " and ") -> str:
    return between.join(dict.fromkeys(filter(None, words)))


@dataclass(frozen=True)
class _Cause:
    """Causes, what makes both agree, and what is left then.

    `remaining` is a difference as `Compared` has it where a cause is tried, a share of it once it is proven.
    """

    causes: tuple[str, ...] = ()
    reproduced_by: str = ""
    remaining: float = inf

    def with_head_undone(self, head_words: str) -> "_Cause":
        """Return this and what undoes another head, if there are words for it."""
        if not head_words:
            return self
        reproduced_by = _joined([head_words, self.reproduced_by])
        return _Cause((_HEAD_CAUSE, *self.causes), reproduced_by, self.remaining)

    @property
    def rank(self) -> float:
        """What is left; of two explanations, one with a cause more has to leave half of it."""
        # The least is the best. The text of two changes has both names; a cause without a name, as of a
        # model as it is, is none.
        names = {*_joined(self.causes).split(" and ")} - {""}
        return self.remaining * 2.0 ** len(names)


_NO_CAUSE = _Cause(remaining=0.0)
_HEAD_CAUSE = "softmax_head"


@dataclass(frozen=True, eq=False)
class _Search:
    """What is done otherwise: done to the first model, it predicts as the second does.

    `first_outputs` and `second_outputs`, float32 (photos, classes), are what both put out for the photos.
    """

    first: _ComparedModel
    second: _ComparedModel
    photos: Photos
    first_outputs: Float32
    second_outputs: Float32

    def likely_cause(self, largest_changes: Float32) -> _Cause:
        """Look for the cause of the changes of all images on those that changed most."""
        mean_change = float(largest_changes.mean())
        if mean_change <= ROUNDING_CHANGE:
            return _NO_CAUSE
        seems_sound = is_negligible_change(mean_change, float(largest_changes.max()))
        tensor = self.second.preprocessing.apply(self.photos[0])
        if not seems_sound and not self.second.recorded:
            random_finding = check_determinism(self.second, tensor)
            if random_finding:
                # Nothing undoes it: all of the difference is left, a share of 1.
                return _Cause((random_finding.cause,), remaining=1.0)
        # Where the second may take the first's place, it has no fault of the preprocessing to look for.
        causes = self._causes_simplest_first(also_in_inputs=not seems_sound)
        # The one that leaves least; the simplest come first, so that the search may end early.
        cause = _proven_cause(
            _mean_largest_change(self.first_outputs, self.second_outputs), causes
        )
        is_close = SOUND_CHANGE < mean_change <= CLOSE_CHANGE
        # As above, all of the difference is left.
        if self.second.quantised and is_close and cause is _NO_CAUSE:
            return _Cause(("quantisation",), remaining=1.0)
        return cause

    def _causes_simplest_first(self, *, also_in_inputs: bool) -> Iterator[_Cause]:
        # Probabilities that the second's outputs may stand for, by the words of what makes them; "" as it is.
        rows_by_words = _possible_probabilities_by_words(self.second_outputs)
        # What is fitted comes after every head: to sure outputs it fits as well as the right head.
        for causes_in_outputs, (words, second_probabilities) in product(
            (self._causes_without_fit, self._causes_fitted), rows_by_words.items()
        ):
            for cause in causes_in_outputs(second_probabilities):
                yield cause.with_head_undone(words)
        # Images of several sizes make no one batch where they are not resized.
        sizes = {photo.size for photo in self.photos}
        if not also_in_inputs or (
            self.first.preprocessing.size is None and len(sizes) > 1
        ):
            return
        first_image = self.first.preprocessing.replace(layout="channels_last").apply(
            self.photos[0]
        )[0]
        # What exchanges sides fits square images alone.
        first_evaluators = {
            name: Evaluator(self._first_given_reordered(reorder))
            for name, reorder in _REORDERINGS.items()
            if reorder(first_image).shape == first_image.shape
        }
        # Of a single image, many faults give one class all of the probability.
        if self.second.recorded and len(self.photos) == 1:
            if self.second_outputs.max() > SURE_PROBABILITY:
                return
            first_evaluators = {"": first_evaluators[""]}
        changes = tuple(self._possible_changes(self.first.preprocessing))
        for words, second_probabilities in rows_by_words.items():
            # Reorderings alone first; the one without a name leaves tensors as they are.
            for changes_tried in ((), changes):
                for reordering, first_evaluator in first_evaluators.items():
                    cause = self._best_change(
                        reordering, first_evaluator, changes_tried, second_probabilities
                    )
                    yield cause.with_head_undone(words)
            # Of a single image, two changes would be fitted to it.
            if len(self.photos) > 1:
                nearest = self._changes_nearest_first(
                    first_evaluators[""], changes, second_probabilities
                )
                pairs = self._pairs(nearest[:FIRST_CHANGES])
                cause = self._best_change(
                    "", first_evaluators[""], pairs, second_probabilities
                )
                yield cause.with_head_undone(words)

    def _classes_tell_an_order(self) -> bool:
        """Whether so many classes are notably probable for any photo that no order fits by chance."""
        class_count = self.first_outputs.shape[1]
        # The share serves as a probability here: a class above it in any photo counts as seen.
        seen_count = (self.first_outputs > RESTORED_SHARE).any(axis=0).sum()
        return bool(seen_count >= min(LEAST_CLASSES, class_count))

    def _causes_without_fit(self, second_probabilities: Floats) -> Iterator[_Cause]:
        """Yield what is left as it is, and in usual orders."""
        # The simplest first: the search ends at the first that leaves next to nothing.
        yield _Cause(
            remaining=_mean_largest_change(self.first_outputs, second_probabilities)
        )
        if not self._classes_tell_an_order():
            return
        for name, order in known_orders(self.first.class_names).items():
            # The order has the class of each output; its argsort the output of each class.
            change_in_order = _mean_largest_change(
                self.first_outputs, second_probabilities[:, np.argsort(order)]
            )
            yield _Cause(
                ("class_order",), f"reading its classes {name}", change_in_order
            )

    def _causes_fitted(self, second_probabilities: Floats) -> Iterator[_Cause]:
        """Yield what is left with a temperature, and in the order that fits best."""
        # What is fitted to one image always fits it.
        if len(self.first_outputs) == 1 or not self._classes_tell_an_order():
            return
        change_as_it_is = _mean_largest_change(self.first_outputs, second_probabilities)
        # A temperature changes no predicted class.
        if np.array_equal(
            self.first_outputs.argmax(axis=1), second_probabilities.argmax(axis=1)
        ):
            fitted = scipy.optimize.minimize_scalar(
                lambda log_temperature: _mean_largest_change(
                    self.first_outputs,
                    tempered(second_probabilities, np.exp(-log_temperature)),
                ),
                bounds=(-3, 3),
                method="bounded",
            )
            # `x` is the logarithm that leaves the least difference, `fun` what it leaves. The temperature is
            # that by which the second divides its logits beside the first; its inverse undoes it.
            words = f"a temperature of {np.exp(fitted.x):.3g}"
            # So much is fitted, here and below, that little may be left.
            if (
                abs(fitted.x) > LEAST_LOG_TEMPERATURE
                and fitted.fun <= EXACT_SHARE * change_as_it_is
            ):
                yield _Cause((_HEAD_CAUSE,), words, float(fitted.fun))
        # The order that brings outputs of the same class nearest, over all photos.
        distances = scipy.spatial.distance.cdist(
            self.first_outputs.T, second_probabilities.T, "sqeuclidean"
        )
        order = scipy.optimize.linear_sum_assignment(distances)[1]
        change_in_order = _mean_largest_change(
            self.first_outputs, second_probabilities[:, order]
        )
        if change_in_order <= EXACT_SHARE * change_as_it_is:
            yield _Cause(
                ("class_order",), "putting its classes in order", change_in_order
            )

    def _best_change(
        self,
        reordering: str,
        first_evaluator: Evaluator,
        changes: Iterable[Candidate],
        second_probabilities: Floats,
    ) -> _Cause:
        """Return what a reordering, and that change which brings both nearest, leave of the difference."""
        best = self._changes_nearest_first(
            first_evaluator, changes, second_probabilities
        )[0]
        first_probabilities = first_evaluator.probabilities(
            self.photos, best.preprocessing
        )
        changed = words_of_changes(self.first.preprocessing, best.preprocessing)
        doing_the_same = (
            f"doing the same to {self.first.name} ({changed})" if changed else ""
        )
        # The first got tensors turned back, so what has to be given to the second is turned as the name says.
        giving_it_reordered = f"giving it tensors {reordering}" if reordering else ""
        remaining = _mean_largest_change(second_probabilities, first_probabilities)
        # Outputs that hardly depend on the photo come of many changes.
        mean_output = second_probabilities.mean(axis=0)
        spread = _mean_largest_change(second_probabilities, mean_output)
        if len(self.photos) > 1 and remaining >= RESTORED_SHARE * spread:
            remaining = inf
        return _Cause(
            # A turn that is not in the table is one that cameras note in Exif.
            (best.cause, _REORDERING_CAUSES.get(reordering, "exif_orientation")),
            _joined([doing_the_same, giving_it_reordered]),
            remaining,
        )

    def _changes_nearest_first(
        self,
        first_evaluator: Evaluator,
        changes: Iterable[Candidate],
        second_probabilities: Floats,
    ) -> list[Candidate]:
        """Return no change and changes, that one first which brings both nearest on a few photos."""
        used = self.first.preprocessing
        photos_searched = self.photos[:IMAGES_SEARCHED]
        unchanged = Candidate(used, step="", cause="")
        return sorted(
            (
                unchanged,
                *first_evaluator.candidates_changing_tensors(
                    photos_searched, used, changes
                ),
            ),
            key=lambda change: _mean_largest_change(
                second_probabilities[:IMAGES_SEARCHED],
                first_evaluator.probabilities(photos_searched, change.preprocessing),
            ),
        )

    def _pairs(self, changes: Iterable[Candidate]) -> Iterator[Candidate]:
        """Yield changes with another one after each."""
        for first in changes:
            for second in self._possible_changes(first.preprocessing):
                yield replace(second, cause=_joined([first.cause, second.cause]))

    def _first_given_reordered(
        self, reorder: Callable[[Array], Array]
    ) -> _ComparedModel:
        """Return the first, whose tensors are reordered before it gets them."""
        layout = self.first.preprocessing.layout

        def predict(tensors: Float32) -> Float32:
            # Back to images (H, W, C), one by one, and then as the network takes them.
            reordered = np.stack(
                [reorder(image) for image in arrange_back(tensors, layout)]
            )
            return self.first.outputs_of(arrange(reordered, layout))

        return replace(self.first, outputs_of=predict)

    def _possible_changes(self, base: Preprocessing) -> Iterator[Candidate]:
        """Yield what may be done in place of a preprocessing."""
        # `base` is the first's preprocessing; for the second change of a pair, it has one change already.
        used_by_second = self.second.preprocessing
        # All that the second prepares otherwise, where the first's network takes such tensors.
        if used_by_second.channel_count == base.channel_count:
            as_second = used_by_second.replace(size=base.size, layout=base.layout)
            yield Candidate(
                as_second,
                # Of no single step.
                "",
                _joined(_causes_of_differing_steps(as_second, base)),
            )
        for fault in CATALOGUE.values():
            # The second gets tensors, but what made recorded outputs got files.
            if self.second.recorded or fault.step in STEPS_OF_TENSORS:
                yield Candidate(fault.apply(base), fault.step, fault.cause)
        for scaling in SCALINGS.values():
            if fits(scaling, base.channel_count):
                # Two of each: scaled so in addition, and taken for scaled so.
                yield from _with_further_scalings(base, scaling)


def _causes_of_differing_steps(
    faulty: Preprocessing, right: Preprocessing
) -> Iterator[str]:
    # One step at a time is put right, since a cause belongs to a difference in one step.
    for operation in PIPELINE:
        step_put_right = faulty.replace(
            **{name: getattr(right, name) for name in operation.fields}
        )
        for choice in operation.choices:
            if choice.words(faulty) != choice.words(right):
                yield candidate_with_causes(choice.name, step_put_right, faulty).cause


def _with_further_scalings(
    in_use: Preprocessing, scaling: Scalings
) -> Iterator[Candidate]:
    """Yield what comes of scaling twice, and of tensors scaled as in use that are taken for scaled so."""
    scaled_twice = in_use.replace(scaling=in_use.scaling + scaling)
    yield Candidate(scaled_twice, "scaling", "double_scaling")
    # Not yielded: it only tells the cause of the candidate below.
    scaled_so = in_use.replace(scaling=scaling)
    cause = candidate_with_causes("scaling", scaled_so, in_use).cause
    slope, offset = affine(scaling)
    # It takes numbers for levels * slope + offset, and makes levels of them: (x - mean) / std.
    back_to_levels = Scaling(mean=offset.tolist(), std=slope.tolist())
    # A second model that takes them for scaled so makes levels of them, and scales these as in use.
    taken_for_scaled_so = in_use.replace(
        scaling=(*in_use.scaling, back_to_levels, *in_use.scaling)
    )
    yield Candidate(taken_for_scaled_so, "scaling", cause)


def _proven_cause(whole_difference: float, causes: Iterable[_Cause]) -> _Cause:
    """Return what leaves the least of the whole difference; `_NO_CAUSE` where that is too much."""
    # Of no cause yet, so worse than any: what it leaves is infinite.
    best = _Cause()
    for cause in causes:
        # The least rank is the best: what a cause leaves, times what each of its names costs.
        best = min(best, cause, key=attrgetter("rank"))
        if best.remaining <= WHOLLY_RESTORED_SHARE * whole_difference:
            break
    share_allowed = RESTORED_SHARE if whole_difference > SOUND_CHANGE else EXACT_SHARE
    if best.remaining > min(SOUND_CHANGE, share_allowed * whole_difference):
        return _NO_CAUSE
    # Of a proven cause, what is left is a share of the difference.
    return replace(best, remaining=best.remaining / whole_difference)


def _cause_in_order_of_photos(first_rows: Floats, second_rows: Floats) -> _Cause:
    """Return the order of photos in which the second's outputs are those of the first, if there is one."""
    # "chebyshev" is the largest change of a probability. Each photo gets the outputs that come nearest.
    between_models = scipy.spatial.distance.cdist(first_rows, second_rows, "chebyshev")
    order = scipy.optimize.linear_sum_assignment(between_models)[1]
    moved = order != np.arange(len(order))
    # A photo is not compared with itself. With one photo alone, none moves.
    between_photos = scipy.spatial.distance.cdist(first_rows, first_rows, "chebyshev")
    np.fill_diagonal(between_photos, inf)
    nearest_other = between_photos[moved].min(axis=1, initial=inf).sum()
    remaining = _largest_changes(first_rows, second_rows[order])
    # Photos with nearly the same outputs fit in any order.
    if remaining[moved].sum() >= RESTORED_SHARE * nearest_other:
        return _NO_CAUSE
    return _proven_cause(
        _mean_largest_change(first_rows, second_rows),
        [
            _Cause(
                ("photo_order",),
                "putting its rows in the order of the photos",
                float(remaining.mean()),
            )
        ],
    )


def _possible_probabilities_by_words(outputs: Floats) -> Mapping[str, Floats]:
    """Return the probabilities that the outputs may stand for, by the words of what turns them into these."""
    rows_by_words: dict[str, Floats] = {}
    in_range = np.all(np.abs(outputs - 0.5) <= 0.5 + ROUNDING_CHANGE)
    if in_range and np.allclose(outputs.sum(axis=1), 1, atol=1e-2):
        # No words: these are probabilities already.
        rows_by_words[""] = outputs
        # Of a softmax of probabilities, what it was taken of is not negative.
        without_softmax = _without_softmax(outputs)
        if without_softmax.min() > -ROUNDING_CHANGE:
            rows_by_words["taking one of two softmaxes out"] = without_softmax
        return rows_by_words
    # Bytes with a sign, int8, count from -128.
    zero_point = 128 if outputs.min() < 0 else 0
    levels = outputs + zero_point
    are_bytes = not (levels % 1).any() and levels.min() >= 0 and levels.max() <= 255
    # As TensorFlow Lite quantises a softmax; the sum of whole percentages is less.
    if are_bytes and levels.sum(axis=1).mean() > 128:
        words = f"applying scale and zero point, (x + {zero_point}) / 256,"
        return {words: levels / 256}
    if in_range:
        rows_by_words["a softmax in place of sigmoids"] = probabilities(
            scipy.special.logit(outputs.clip(_LEAST_PROBABILITY, 1 - 1e-7)), "logits"
        )
    else:
        rows_by_words["a softmax"] = probabilities(outputs, "logits")
    if outputs.min() >= -ROUNDING_CHANGE:
        rows_by_words["dividing by the sum"] = probabilities(outputs, "sigmoid")
    return rows_by_words


def _without_softmax(rows: Floats) -> Floats:
    # The logarithm of a softmax gives back, but for a constant, what it was taken of: here of probabilities,
    # whose sum is 1.
    logs = np.log(np.maximum(rows, _LEAST_PROBABILITY))
    return np.asarray(
        logs + (1 - logs.sum(axis=1, keepdims=True)) / rows.shape[1], np.float32
    )


_REVERSED = "with their channels reversed"
_REORDERINGS: Reorderings = {
    **TURNS,
    **SCRAMBLED,
    # Where channels have means of their own, this is not what another order does that is scaled afterwards.
    _REVERSED: lambda x: x[..., ::-1],
}


_REORDERING_CAUSES = {
    "": "",
    "transposed": "channel_layout",
    **dict.fromkeys(SCRAMBLED, "channel_layout"),
    _REVERSED: "channel_order",
}
