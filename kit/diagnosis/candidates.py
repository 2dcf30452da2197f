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
from kit.images.photo import Photo
from kit.perturbation.physics import jpeg_quality
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
        for changes in choice.tried(in_use):
            tried = in_use.replace(**changes)
            earlier = [in_use, *(candidate.preprocessing for candidate in distinct)]
            if not any(_does_the_same(tried, p) for p in earlier):
                distinct.append(explained(choice.name, tried, in_use))
    return tuple(distinct)


def explained(step: str, right: Preprocessing, in_use: Preprocessing) -> Candidate:
    """Return a preprocessing that differs by one step as a candidate: with the faults that lead from it."""
    of_step = [
        fault
        for fault in CATALOGUE.values()
        if fault.step == step and fault.changes(right)
    ]
    faults = [fault for fault in of_step if _does_the_same(fault.apply(right), in_use)]
    # The fault of another range last: where mean and std are all that lies between, they were left out.
    faults.sort(key=lambda fault: fault.name == "range_0_1")
    cause_names = [fault.cause for fault in faults] or [
        _uncatalogued_cause(step, right, in_use)
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
        catalogued=bool(faults),
        equivalent=tuple(equivalent),
    )


def _uncatalogued_cause(step: str, right: Preprocessing, in_use: Preprocessing) -> str:
    if step != "scaling":
        return _CAUSE_BY_STEP[step]
    _, offset = affine(in_use.scaling)
    _, right_offset = affine(right.scaling)
    # A number for each channel is a mean or a std.
    return "wrong_range" if offset.ndim == right_offset.ndim == 0 else "wrong_mean_std"


def _does_the_same(first: Preprocessing, second: Preprocessing) -> bool:
    scales_so = same_scaling(first.scaling, second.scaling)
    return scales_so and first.replace(scaling=second.scaling) == second


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
        self.first_layers = _without_new_averages(first_layers or NO_LAYERS)
        self._resized: dict[tuple[Any, ...], Array] = {}
        self._results: dict[tuple[Any, ...], Float64] = {}

    @property
    def has_statistics(self) -> bool:
        """Whether anything is known of the training images."""
        return self.first_layers.means is not None or self.profile is not None

    @property
    def has_layer_statistics(self) -> bool:
        """Whether it is known what the first layers received in training."""
        return self.has_statistics and bool(self.first_layers.widths)

    @cached_property
    def profile(self) -> Profile | None:
        """What is ordinary by the profile; None without one, or where it is short."""
        layers = self.first_layers
        if layers.profile is None:
            return None
        rows = layers.profile if layers.features is None else layers.features
        distinct_rows = len({row.tobytes() for row in rows})
        usable = distinct_rows >= LEAST_PROFILED and np.isfinite(layers.profile).all()
        return (
            Profile.of(layers.profile, layers.features, layers.widths)
            if usable
            else None
        )

    def tensors(self, photos: Photos, p: Preprocessing) -> Float32:
        """Return what `p` makes of the photos, float32 (N, H, W, C), equal to its `apply`."""
        # What is resized alike is resized once, since that takes the longest.
        resized_by = [operation.field_values(p) for operation in TO_SIZE]
        key = (tuple(map(id, photos)), *resized_by)
        if key not in self._resized:
            if len(self._resized) >= _RESIZED_SETS_KEPT:
                # The oldest.
                self._resized.pop(next(iter(self._resized)))
            self._resized[key] = np.stack([run(TO_SIZE, p, photo) for photo in photos])
        tensors: Float32 = run(TO_TENSOR, p, self._resized[key])
        return tensors

    def differing(
        self, photos: Photos, p: Preprocessing, possible: Iterable[Candidate]
    ) -> Iterator[Candidate]:
        """Yield the candidates that make other tensors, of the same shape, which alone fits the network."""
        before = self.tensors(photos, p)
        for candidate in possible:
            after = self.tensors(photos, candidate.preprocessing)
            if after.shape == before.shape and not np.array_equal(after, before):
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

    def moments(self, photos: Photos, p: Preprocessing) -> Float64:
        """Return the statistics of the first layers, float64 (N, 2 * sum(widths)), one row for each photo."""
        return self._computed_once("moments", self.first_layers.measure, photos, p)

    def features(self, photos: Photos, p: Preprocessing) -> Float64 | None:
        """Return the features of the tensors, float64 (N, K), one row for each; None as in the profile."""
        if self.first_layers.features is None:
            return None
        return self._computed_once("features", tensor_features, photos, p)

    def distance(
        self, photos: Photos, p: Preprocessing, weights: Float64 | None = None
    ) -> float:
        """Return the distance of the photos, pooled, from the averages of training, in nats.

        The geometric mean over the layers; with weights, float64 (N,), each photo counts as much as its own.
        """
        moments = np.average(self.moments(photos, p), axis=0, weights=weights)
        of_layers = layer_divergences(
            moments, self.first_layers, CONSTANT_VARIANCE_SHARE
        )
        # The geometric mean.
        return float(np.exp(np.log(of_layers + 1e-12).mean()))

    def probabilities(self, photos: Photos, p: Preprocessing) -> Float64:
        """Return the probabilities, float64 (N, classes)."""
        return self._computed_once("answers", self.predictor.predict_tensors, photos, p)

    def _computed_once(
        self,
        kind: str,
        compute: Callable[[Float32], Array],
        photos: Photos,
        p: Preprocessing,
    ) -> Float64:
        key = (kind, tuple(map(id, photos)), p)
        if key not in self._results:
            self._results[key] = compute(self.tensors(photos, p)).astype(np.float64)
        return self._results[key]

    def trial(
        self, photos: Photos, before: Preprocessing, after: Preprocessing
    ) -> Trial:
        """Return the predictions under one preprocessing, and under another in its place."""
        return Trial(
            self.probabilities(photos, before), self.probabilities(photos, after)
        )


def _without_new_averages(layers: FirstLayers) -> FirstLayers:
    """Return the layers without averages where these are still those of a new layer, as in a frozen one."""
    if layers.means is None or layers.variances is None:
        return layers
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
    # Which photos get another class under any change of a kind.
    changed_by_kind: dict[str, Bools] = {}
    for kind, tensors in _slightly_changed(evaluator, right, first_photos):
        if not np.array_equal(tensors, right_tensors):
            rows = evaluator.predictor.predict_tensors(tensors)
            changed = rows.argmax(axis=1) != predicted
            changed_by_kind[kind] = changed_by_kind.get(kind, False) | changed
    return tuple(
        Sensitivity(kind, photos=len(first_photos), changed=int(changed.sum()))
        for kind, changed in changed_by_kind.items()
    )


def _slightly_changed(
    evaluator: Evaluator, p: Preprocessing, photos: Photos
) -> Iterator[tuple[str, Float32]]:
    """Yield the kind of each change, and the tensors that it makes of the photos."""
    if p.size is not None:
        for kind, changes in _undecidable_resize_changes(p):
            yield kind, evaluator.tensors(photos, p.replace(**changes))
    saved_again = (
        jpeg_quality(photo.decoded(p.decoding).pixels, quality=90) for photo in photos
    )
    tensors = [p.apply(Photo(pixels, decoding=p.decoding)) for pixels in saved_again]
    # Another decoder differs by as much as saving again. `Diagnosis.limits` takes other kinds for resizing.
    yield "decoder", np.concatenate(tensors)


def _undecidable_resize_changes(
    right: Preprocessing,
) -> Iterator[tuple[str, dict[str, object]]]:
    # To report what they would change; none is a candidate cause.
    for name in ("nearest", "bilinear", "bicubic", "lanczos", "tf_bilinear"):
        yield "resize_filter", {"filter": name}
    yield "resize_fit", {"fit": "squash", "crop_fraction": 1.0}
    # Another crop where training crops; else the crop is another fit.
    fit = right.fit if "crop" in right.fit else "crop"
    for fraction in (0.8, 0.875, 0.95, 1.0):
        yield "crop", {"fit": fit, "crop_fraction": fraction}


FEW_IMAGES = 4
"""Probes, and images of the user's, on which answers are compared."""
