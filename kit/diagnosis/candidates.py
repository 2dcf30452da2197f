"""Preprocessings that a search tries, and what each does to the predictions."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import numpy as np

from kit._arrays import Array, Bools, Float32, Float64
from kit.classifier.first_layers import FirstLayers, tensor_features
from kit.classifier.predictions import Predictor
from kit.diagnosis.finding import Photos
from kit.preprocessing import Preprocessing
from kit.preprocessing.faults import CATALOGUE
from kit.preprocessing.pipeline import CHOICES, TO_SIZE, TO_TENSOR, run
from kit.preprocessing.scaling import affine, same_scaling
from kit.robustness.profile import LEAST_PROFILED, Profile, layer_divergences

# What it is called where no fault of the catalogue leads from the candidate to the preprocessing in use.
_CAUSE_BY_STEP = {choice.name: choice.causes[0] for choice in CHOICES if choice.causes}


@dataclass(frozen=True)
class Candidate:
    """One preprocessing that may have been the one in training.

    Attributes
    ----------
    preprocessing, step
        The one in use with one step changed, and the step, a key of `kit.faults.STEPS`.
    cause, equivalent
        What was done wrong if this one is right, and other causes that come to the very same.
    catalogued
        Whether a fault of the catalogue leads from this one to the one in use.
    """

    preprocessing: Preprocessing
    step: str
    cause: str
    catalogued: bool = False
    equivalent: tuple[str, ...] = ()

    @property
    def causes(self) -> set[str]:
        """Everything that it may be called."""
        return {self.cause, *self.equivalent}


@lru_cache(maxsize=256)
def candidates(in_use: Preprocessing) -> tuple[Candidate, ...]:
    """Return what may have been the preprocessing in training, without doubles, in the order of the steps."""
    distinct: list[Candidate] = []
    for choice in CHOICES:
        for changed_fields in choice.tried(in_use):
            tried = in_use.replace(**changed_fields)
            earlier = [in_use, *(candidate.preprocessing for candidate in distinct)]
            if not any(_are_equivalent(tried, other) for other in earlier):
                distinct.append(candidate_with_causes(choice.name, tried, in_use))
    return tuple(distinct)


def candidate_with_causes(
    step: str, right: Preprocessing, in_use: Preprocessing
) -> Candidate:
    """Return a preprocessing that differs by one step as a candidate: with the faults that lead from it."""
    faults_of_step = [
        fault
        for fault in CATALOGUE.values()
        if fault.step == step and fault.changes(right)
    ]
    faults_leading_to_use = [
        fault for fault in faults_of_step if _are_equivalent(fault.apply(right), in_use)
    ]
    # The first one gives the cause its name. Where only mean and std are missing, they were left out: the
    # fault of another range comes last.
    faults_leading_to_use.sort(key=lambda fault: fault.name == "range_0_1")
    cause_names = [fault.cause for fault in faults_leading_to_use] or [
        _cause_outside_catalogue(step, right, in_use)
    ]
    if step == "scaling" and len(in_use.scaling) <= 1:
        _, offset_in_use = affine(in_use.scaling)
        _, right_offset = affine(right.scaling)
        # -1..1 is a mean and a std of 0.5, or both of 127.5, too, which may have been left out.
        if np.any(right_offset) and not np.any(offset_in_use):
            cause_names.append("wrong_mean_std")
    cause, *equivalent = dict.fromkeys(cause_names)
    return Candidate(
        right,
        step,
        cause,
        catalogued=bool(faults_leading_to_use),
        equivalent=tuple(equivalent),
    )


def _cause_outside_catalogue(
    step: str, right: Preprocessing, in_use: Preprocessing
) -> str:
    if step != "scaling":
        return _CAUSE_BY_STEP[step]
    # A proper subset: the right scaling and another one; the right one twice is a fault of the catalogue.
    if right.scaling and {*right.scaling} < {*in_use.scaling}:
        return "double_scaling"
    _, offset_in_use = affine(in_use.scaling)
    _, right_offset = affine(right.scaling)
    # Each offset has the shape () or (C,): a number for each channel is a mean or a std.
    return (
        "wrong_range"
        if offset_in_use.ndim == right_offset.ndim == 0
        else "wrong_mean_std"
    )


def _are_equivalent(first: Preprocessing, second: Preprocessing) -> bool:
    scale_alike = same_scaling(first.scaling, second.scaling)
    return scale_alike and first.replace(scaling=second.scaling) == second


CONSTANT_VARIANCE_SHARE = 1e-4
"""Share of the median variance of a layer's channels up to which one is not looked at."""

SAME_TENSORS_SHARE = 0.02
"""Share of a tensor's range by which two may differ and be the same: (x - 127) / 128 and x / 127.5 - 1 do."""

_RESIZED_SETS_KEPT = 24


class Trial(NamedTuple):
    """Probabilities of the same images, float64 (N, classes), before and after a change."""

    before: Float64
    after: Float64

    @property
    def changed(self) -> Bools:
        """Whether each image gets another prediction; bool (N,)."""
        return np.asarray(self.before.argmax(axis=1) != self.after.argmax(axis=1))

    @property
    def moved_share(self) -> Float64:
        """The share of the probability that moves, 0..1; float64 (N,)."""
        return np.asarray(np.abs(self.before - self.after).sum(axis=1) / 2)


# Of a network of which nothing can be measured.
NO_LAYERS = FirstLayers(b"", ())


class Evaluator:
    """Runs a network, and its first layers where they can be reached, under many preprocessings."""

    def __init__(
        self, predictor: Predictor, first_layers: FirstLayers | None = None
    ) -> None:
        self.predictor = predictor
        self.first_layers = _without_untrained_averages(first_layers or NO_LAYERS)
        self._resized: dict[tuple[Any, ...], Array] = {}
        self._results: dict[tuple[Any, ...], Float64] = {}

    @property
    def has_statistics(self) -> bool:
        """Whether anything is known of the training images."""
        return self.first_layers.means is not None or self.training_profile is not None

    @property
    def has_layer_statistics(self) -> bool:
        """Whether it is known what the first layers received in training."""
        # Channels of each layer: none where only the tensors themselves are measured.
        return self.has_statistics and bool(self.first_layers.widths)

    @cached_property
    def training_profile(self) -> Profile | None:
        """What is ordinary by the profile; None without one, or where it is short."""
        layers = self.first_layers
        if layers.profile is None or layers.features is None:
            return None
        # Candidates are judged by it. Both have a row for each training image that was given: of what its
        # first layers receive (`profile`), and of its tensor (`features`). Copies tell nothing more.
        distinct_image_count = len({row.tobytes() for row in layers.features})
        if (
            distinct_image_count < LEAST_PROFILED
            or not np.isfinite(layers.profile).all()
        ):
            return None
        return Profile.of(layers.profile, layers.features, layers.widths)

    def tensors(self, photos: Photos, preprocessing: Preprocessing) -> Float32:
        """Return what a preprocessing makes of the photos, float32 (N, H, W, C), equal to its `apply`."""
        # What is resized alike is resized once, since that takes the longest.
        resize_settings = [
            operation.field_values(preprocessing) for operation in TO_SIZE
        ]
        # A photo is equal only to itself, so that no pixels are compared.
        key = (tuple(photos), *resize_settings)
        if key not in self._resized:
            if len(self._resized) >= _RESIZED_SETS_KEPT:
                # The oldest.
                self._resized.pop(next(iter(self._resized)))
            self._resized[key] = np.stack(
                [run(TO_SIZE, preprocessing, photo) for photo in photos]
            )
        tensors: Float32 = run(TO_TENSOR, preprocessing, self._resized[key])
        return tensors

    def candidates_changing_tensors(
        self,
        photos: Photos,
        preprocessing: Preprocessing,
        possible_candidates: Iterable[Candidate],
        of_more_than: float = 0.0,
    ) -> Iterator[Candidate]:
        """Yield the candidates that make other tensors, of the same shape, which alone fits the network.

        Of more than this share of the photos.
        """
        before = self.tensors(photos, preprocessing)
        for candidate in possible_candidates:
            after = self.tensors(photos, candidate.preprocessing)
            # The network takes no other shape.
            if after.shape == before.shape:
                is_changed = (after != before).any(axis=tuple(range(1, after.ndim)))
                if is_changed.mean() > of_more_than:
                    yield candidate

    def tensors_agree(
        self, photos: Photos, first: Preprocessing, second: Preprocessing
    ) -> bool:
        """Whether two preprocessings make the same tensors up to `SAME_TENSORS_SHARE`."""
        first_tensors = self.tensors(photos, first)
        second_tensors = self.tensors(photos, second)
        return bool(
            np.abs(first_tensors - second_tensors).max()
            <= SAME_TENSORS_SHARE * max(float(np.ptp(second_tensors)), 1e-6)
        )

    def moments(self, photos: Photos, preprocessing: Preprocessing) -> Float64:
        """Return the statistics of the first layers, float64 (N, 2 * sum(widths)), one row for each photo."""
        # A row for each photo: of each layer the means of its channels, then the means of their squares.
        return self._computed_once(
            "moments", self.first_layers.measure, photos, preprocessing
        )

    def features(self, photos: Photos, preprocessing: Preprocessing) -> Float64:
        """Return the features of the tensors, float64 (N, K), one row for each."""
        # A row for each photo: the mean of each channel in a few cells, and how far channels differ.
        return self._computed_once("features", tensor_features, photos, preprocessing)

    def distance_from_training(
        self,
        photos: Photos,
        preprocessing: Preprocessing,
        photo_weights: Float64 | None = None,
    ) -> float:
        """Return the distance of the photos, pooled, from the averages of training, in nats.

        The geometric mean over the layers; with weights, float64 (N,), each photo counts as much as its own.
        """
        pooled_moments = np.average(
            self.moments(photos, preprocessing), axis=0, weights=photo_weights
        )
        # In nats, 0 where a layer gets what it got in training; without channels that hardly varied there.
        divergence_by_layer = layer_divergences(
            pooled_moments, self.first_layers, CONSTANT_VARIANCE_SHARE
        )
        # The geometric mean; a layer that agrees wholly would make the logarithm infinite.
        return float(np.exp(np.log(divergence_by_layer + 1e-12).mean()))

    def probabilities(self, photos: Photos, preprocessing: Preprocessing) -> Float64:
        """Return the probabilities, float64 (N, classes)."""
        return self._computed_once(
            "answers", self.predictor.predict_tensors, photos, preprocessing
        )

    def _computed_once(
        self,
        result_name: str,
        compute: Callable[[Float32], Array],
        photos: Photos,
        preprocessing: Preprocessing,
    ) -> Float64:
        key = (result_name, tuple(photos), preprocessing)
        if key not in self._results:
            self._results[key] = compute(self.tensors(photos, preprocessing)).astype(
                np.float64
            )
        return self._results[key]

    def trial(
        self, photos: Photos, before: Preprocessing, after: Preprocessing
    ) -> Trial:
        """Return the predictions under one preprocessing, and under another in its place."""
        return Trial(
            self.probabilities(photos, before), self.probabilities(photos, after)
        )


def _without_untrained_averages(layers: FirstLayers) -> FirstLayers:
    """Return the layers without averages where these are still those of a new layer, as in a frozen one."""
    if layers.means is None or layers.variances is None:
        return layers
    # Batch normalisation begins with means of 0 and variances of 1, which tell nothing of training images.
    are_initial = not layers.means.any() and bool((layers.variances == 1).all())
    return replace(layers, means=None, variances=None) if are_initial else layers


IMAGES_TRIED = 16
"""Images that are tried, the first ones: a question of seconds."""

QUIET_SHARE = 1 / 8
"""Share of the images whose prediction may change under a small change before it counts; half of the
quarter from which on a change does harm."""


@dataclass(frozen=True)
class Sensitivity:
    """What one kind of small change, such as ``"resize_filter"``, does to the predictions.

    Of `photos` images that were tried, `changed` get another prediction under at least one variant.
    """

    name: str
    photos: int
    changed: int


def sensitivities(
    evaluator: Evaluator, right: Preprocessing, photos: Photos
) -> tuple[Sensitivity, ...]:
    """Try every small change on `IMAGES_TRIED` images; return one for each kind that changes a tensor."""
    first_photos = photos[:IMAGES_TRIED]
    right_tensors = evaluator.tensors(first_photos, right)
    predicted = evaluator.probabilities(first_photos, right).argmax(axis=1)
    # Which photos get another class under any small change of the preprocessing, by its kind.
    changed_by_kind: dict[str, Bools] = {}
    for kind, changes in _undecidable_resize_changes(right):
        tensors = evaluator.tensors(first_photos, right.replace(**changes))
        if not np.array_equal(tensors, right_tensors):
            changed_probabilities = evaluator.predictor.predict_tensors(tensors)
            is_changed = changed_probabilities.argmax(axis=1) != predicted
            changed_by_kind[kind] = changed_by_kind.get(kind, False) | is_changed
    return tuple(
        Sensitivity(kind, photos=len(first_photos), changed=int(is_changed.sum()))
        for kind, is_changed in changed_by_kind.items()
    )


def _undecidable_resize_changes(
    right: Preprocessing,
) -> Iterator[tuple[str, dict[str, object]]]:
    # Images that are not resized are resized in no other way.
    if right.size is None:
        return
    # No image tells which of these training had: what they change is reported, none is named as a cause.
    for name in ("nearest", "bilinear", "bicubic", "lanczos", "tf_bilinear"):
        yield "resize_filter", {"filter": name}
    yield "resize_fit", {"fit": "squash", "crop_fraction": 1.0}
    # Another crop where training crops; else the crop is another fit.
    fit = right.fit if "crop" in right.fit else "crop"
    for fraction in (0.8, 0.875, 0.95, 1.0):
        yield "crop", {"fit": fit, "crop_fraction": fraction}


FEW_IMAGES = 4
"""Probes, and images of the user's, on which answers are compared."""
