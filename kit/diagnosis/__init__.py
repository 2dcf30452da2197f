"""Naming the cause: which step, image or part of a network is to blame for wrong predictions.

`STAGES` is the order: what is certain first, then the preprocessing, then the images, then the network.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from kit._arrays import Float32
from kit._reporting import Progress, Steps
from kit.classifier import Classifier, check_first, known_preprocessing
from kit.classifier.architecture import (
    architecture,
    architecture_and_weights,
    layers_of,
)
from kit.classifier.labels import Labels, Truth, class_indices
from kit.diagnosis.candidates import (
    PICTURES,
    QUIET,
    Candidate,
    Evaluator,
    Sensitivity,
    sensitivities,
)
from kit.diagnosis.checks_input import FLAT, check_files, check_tensors
from kit.diagnosis.checks_network import (
    check_calls,
    check_determinism,
    check_head,
    check_mode,
    check_nan,
    check_norms,
    check_trained,
    no_numbers,
)
from kit.diagnosis.class_order import check_class_order
from kit.diagnosis.evidence import Grounds
from kit.diagnosis.finding import Evidence, Finding, Fix, Photos, ranked, using
from kit.diagnosis.image_causes import check_properties, out_of_distribution, unsettled
from kit.diagnosis.inside import check_graph, read_inside
from kit.diagnosis.own_function import as_preprocessing
from kit.diagnosis.report import Diagnosis
from kit.diagnosis.search import NOTHING, Search, contradicted, search, unsupported
from kit.images import Photo, Pictures, as_photos
from kit.images.properties import Sample, edgeless
from kit.preprocessing import Preprocessing
from kit.preprocessing.black_box import Function
from kit.robustness.profile import LEAST_PROFILED

__all__ = ["Diagnosis", "Evidence", "Finding", "Fix", "Sensitivity", "diagnose"]

_HOPELESS = {"diverged_training", "untrained_weights"}
_UNREAD = ("layers and weights were not checked",)
_FAILING = "no more than half is predicted correctly: look at the crop, and at the training images"


def diagnose(
    classifier: Classifier,
    photos: Pictures,
    labels: Labels | None = None,
    *,
    reference: Float32 | None = None,
    preprocess: Function | None = None,
    progress: Progress = False,
) -> Diagnosis:
    """Name what is wrong with the preprocessing in use, the images or the network; or say that it is fine.

    Parameters
    ----------
    classifier
        Its ``preprocessing`` is the one in use, which may be the faulty one.
    photos
        One or more images that it answers wrongly, or any others that it is used on; see
        `kit.images.photo`.
    labels
        The right class of each, as index or name; None where it is not known.
    reference
        Some tensors (N, H, W, C) as the network was trained on, for networks whose file holds no statistics
        of their training images.
    preprocess
        Your own function that prepares an image, in place of the preprocessing in use; see `kit.check`, which
        also says where it differs from that: nothing is clean then, and the images are not looked into.
    progress
        True shows a bar of the parts once two seconds have passed, False nothing; a function is told each
        part in a few words before it begins.

    Returns
    -------
    Diagnosis
        Its ``best`` is None where nothing is named.

    Raises
    ------
    TypeError, ValueError
        No classifier, no preprocessing, no image, a reference of fewer than ten tensors, or labels or sizes
        that do not fit.
    """
    check_first(classifier)
    chosen = as_photos(photos)
    doubts: tuple[str, ...] = ()
    if preprocess is not None:
        nearest, doubts = as_preprocessing(classifier, chosen, preprocess)
        classifier = classifier.using(nearest)
    used = known_preprocessing(classifier)
    sizes = sorted({photo.size for photo in chosen})
    if used.size is None and len(sizes) > 1:
        raise ValueError(
            f"Expected images of one size, received {sizes[0]} and {sizes[-1]}; give a size"
        )
    if reference is not None and len(reference) < LEAST_PROFILED:
        raise ValueError(
            f"Expected at least {LEAST_PROFILED} reference tensors, received {len(reference)}"
        )
    truth = (
        ()
        if labels is None
        else class_indices(labels, classifier.class_names, len(chosen))
    )
    # The matrices are small: more threads would only wait for each other.
    with threadpool_limits(limits=1, user_api="blas"):
        evaluator = Evaluator(classifier)
        case = Investigation(
            classifier, used, chosen, truth, evaluator, reference, doubts=doubts
        )
        for words, stage in Steps(
            STAGES.items(), "Diagnosing", "stage", progress is True
        ):
            # Nothing else is asked of a network whose weights are not those of a training.
            if _HOPELESS.isdisjoint(one.cause for one in case.certain):
                if callable(progress):
                    progress(words)
                case = stage(case)
    return case.diagnosis()


@dataclass(frozen=True, eq=False)
class Investigation:
    """What was asked, and what has been found so far.

    Attributes
    ----------
    classifier, in_use, photos, labels
        As asked; labels are indices, None where one is not known, and empty where none is.
    evaluator
        Runs candidates; without the first layers of the network until the search opens them.
    reference
        Tensors (N, H, W, C) as in training, in place of what the file tells.
    certain, searched, further
        What the checks, the search over candidates and later stages found.
    doubts
        Notes that something must be wrong: of stages that found no cause, and of a person's own function.
    sensitivity, undecided
        As in `Diagnosis`.
    """

    classifier: Classifier
    in_use: Preprocessing
    photos: tuple[Photo, ...]
    labels: Truth
    evaluator: Evaluator
    reference: Float32 | None = None
    certain: tuple[Finding, ...] = ()
    searched: Search = NOTHING
    further: tuple[Finding, ...] = ()
    doubts: tuple[str, ...] = ()
    sensitivity: tuple[Sensitivity, ...] = ()
    undecided: tuple[str, ...] = ()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Everything found so far, named ones first; one finding for each cause of checks and search."""
        return ranked((*_merged(self.certain, self.searched.findings), *self.further))

    @property
    def named(self) -> bool:
        """Whether a cause is named so far."""
        return any(finding.verdict == "named" for finding in self.findings)

    @property
    def ordered_labels(self) -> Truth:
        """The labels to search by: in another order they speak for whatever makes the network unsure."""
        named = [one.cause for one in self.certain if one.verdict == "named"]
        if "class_order" not in named:
            return self.labels
        labelled = self.classifier.predict(self.photos, self.labels).labelled
        return self.labels if labelled.correct.mean() > 0.5 else ()

    def found(self, *findings: Finding | None) -> "Investigation":
        """Return this with further findings; None is none."""
        return replace(self, further=(*self.further, *filter(None, findings)))

    def diagnosis(self) -> Diagnosis:
        """Return what it comes to."""
        findings = self.findings
        blameless = all(one.verdict == "ruled_out" for one in findings)
        quiet = self.searched.decided and blameless and not self.doubts
        source = self.classifier.source
        unread = source is not None and source.network is not None
        return Diagnosis(
            findings,
            self.classifier.name,
            len(self.photos),
            quiet and not self.undecided,
            self.in_use,
            (*self.searched.notes, *self.doubts, *_UNREAD * unread),
            self.sensitivity,
            self.undecided if quiet else (),
            self.searched.judged_by,
            (self.classifier, self.photos, self.labels),
        )


def corrected(findings: Iterable[Finding], in_use: Preprocessing) -> Preprocessing:
    """Return the preprocessing in use with all fixes of what is named; where two contradict, the first."""
    rights = [one.right for one in findings if one.right is not None]
    whole: Preprocessing = _combined(in_use, rights)
    return whole


def _combined(in_use: Any, variants: Sequence[Any]) -> Any:
    """Return the fields of the variants that differ from those in use; the first variants come first."""
    changes: dict[str, Any] = {}
    for variant in variants:
        for name, value in vars(variant).items():
            if value != getattr(in_use, name):
                changes.setdefault(name, value)
    if "decoding" in changes:
        decodings = [variant.decoding for variant in variants]
        changes["decoding"] = _combined(in_use.decoding, decodings)
    return replace(in_use, **changes)


def fixed_together(finding: Finding, whole: Fix) -> Finding:
    """Let a named finding about the preprocessing carry the fix of all faults together."""
    if finding.right is None:
        return finding
    return replace(finding, fix=replace(whole, text=finding.fix.text))


def _merged(certain: Sequence[Finding], searched: Sequence[Finding]) -> list[Finding]:
    """Return one finding for each cause; a certain one takes what the search knows of cost and fix."""
    by_cause = {finding.cause: finding for finding in searched}

    def merged(one: Finding) -> Finding:
        other = by_cause.pop(one.cause, one) if one.verdict == "named" else one
        if other is one or other.verdict != "named":
            return one
        return replace(
            one, evidence=one.evidence + other.evidence, cost=other.cost, fix=other.fix
        )

    return [*map(merged, certain), *by_cause.values()]


def certain_checks(
    classifier: Classifier, photos: Photos, labels: Truth = ()
) -> tuple[Finding, ...]:
    """Run every check that needs no search, in the order of the data; what is named comes first."""
    used = known_preprocessing(classifier)
    config, weights = architecture_and_weights(classifier)
    lost = check_nan(weights)
    if lost is not None:
        return (lost,)
    few = tuple(photos[:PICTURES])
    layers = layers_of(config)
    tensors = np.concatenate([classifier.tensor(photo) for photo in few])
    outputs = classifier.network.engine.predict(tensors)
    if np.isfinite(tensors).all() and not np.isfinite(outputs).all():
        return (no_numbers(outputs),)
    found = [
        *check_files(classifier, photos, labels),
        *check_tensors(few, used),
        check_graph(read_inside(layers, weights), used),
        check_determinism(classifier, tensors),
        check_trained(layers, weights),
        check_head(layers, outputs, config.get("compile_config")),
        check_norms(layers, weights),
    ]
    if labels:
        found.append(
            check_class_order(
                classifier.probabilities(photos), labels, classifier.class_names
            )
        )
    return ranked(filter(None, found))


def _preprocessing(case: Investigation) -> Investigation:
    layers = case.classifier.first_layers
    if case.reference is not None and layers is not None:
        layers = layers.with_profile(np.asarray(case.reference, np.float32))
    unsettled = any(one.cause == "batchnorm_mode" for one in case.certain)
    if layers is not None and (case.reference is not None or unsettled):
        layers = replace(layers, means=None, variances=None)
    evaluator = Evaluator(case.classifier, layers)
    grounds = Grounds.of(evaluator, case.in_use, case.photos, case.ordered_labels)
    searched = search(grounds)

    def doubtful(one: Finding) -> bool:
        # Predictions for wrongly prepared images can look like another order.
        disordered = one.cause == "class_order" and searched.named
        return disordered or unsupported(grounds, one) or contradicted(grounds, one)

    case = _search_again(
        _doubted(replace(case, evaluator=evaluator, searched=searched), doubtful)
    )
    if case.searched.named:
        # An image prepared wrongly changes the statistics, too.
        return case
    asked = case.classifier, case.photos, case.ordered_labels
    return replace(case, certain=tuple(check_mode(one, *asked) for one in case.certain))


def _doubted(case: Investigation, doubtful: Callable[[Finding], bool]) -> Investigation:
    certain = (
        replace(one, verdict="possible") if doubtful(one) else one
        for one in case.certain
    )
    return replace(case, certain=tuple(certain))


def _search_again(case: Investigation) -> Investigation:
    """Search from where what is certain is fixed, which may hide another fault; fix all of it at once."""
    repaired = corrected(case.certain, case.in_use)
    if repaired == case.in_use:
        return case
    if repaired.decoding != case.in_use.decoding:
        return _all_fixed(case)
    searched = search(
        Grounds.of(case.evaluator, repaired, case.photos, case.ordered_labels)
    )
    if not searched.named:
        return _all_fixed(case)
    whole = searched.findings[0].fix
    if whole.preprocessing and case.evaluator.alike(
        case.photos[:1], whole.preprocessing, case.in_use
    ):
        # What the checks took for a fault is as in training, by all other evidence.
        return _doubted(case, lambda one: one.right is not None)
    return replace(
        case,
        certain=tuple(fixed_together(one, whole) for one in case.certain),
        searched=searched,
    )


def _all_fixed(case: Investigation) -> Investigation:
    """Let all that is named about the preprocessing carry that fix which explains most: of all, or of one."""
    rights = {one.right for one in case.findings if one.right is not None}
    if len(rights) < 2:
        return case
    grounds = Grounds.of(case.evaluator, case.in_use, case.photos, case.ordered_labels)
    right = max(
        (corrected(case.findings, case.in_use), *rights),
        key=lambda tried: grounds.score(Candidate(tried, "", "")).gain,
    )
    whole = using("", right)
    certain, searched = (
        tuple(fixed_together(one, whole) for one in findings)
        for findings in (case.certain, case.searched.findings)
    )
    return replace(
        case, certain=certain, searched=replace(case.searched, findings=searched)
    )


def _pictures(case: Investigation) -> Investigation:
    if case.doubts:
        # Images are asked for where they are prepared as in training, for all that is known.
        return case
    if not case.named and all(map(_plain, case.photos)):
        return replace(case, doubts=("images without edges show nothing",))
    # What is ordinary for photographs is not for other images.
    if (
        case.searched.photographic
        and not case.searched.as_in_training
        and not case.named
    ):
        doubtful = any(one.verdict == "possible" for one in case.searched.findings)
        case = case.found(
            *check_properties(
                case.classifier,
                case.photos,
                case.labels,
                first_layers=case.evaluator.first_layers,
                doubtful=doubtful,
            )
        )
    if not case.named:
        case = case.found(out_of_distribution(case.classifier, case.photos))
    return _trust(case) if case.labels and not case.named else case


def _plain(photo: Photo) -> bool:
    return bool(photo.pixels.std(axis=(0, 1)).max() <= FLAT) or edgeless(
        Sample(photo).thin
    )


def _trust(case: Investigation) -> Investigation:
    labelled = case.classifier.predict(case.photos, case.labels).labelled
    failing = len(labelled) and labelled.correct.mean() <= 1 / 2
    return replace(case, doubts=(_FAILING,) if failing else ())


def _quiet_changes(case: Investigation) -> Investigation:
    right = corrected(case.findings, case.in_use)
    quiet = sensitivities(case.evaluator, right, case.photos)
    moving = [
        one.name.replace("_", " ") for one in quiet if one.changed > QUIET * one.photos
    ]
    if len(case.photos) == 1 and not case.labels and case.searched.photographic:
        moving += unsettled(case.classifier, case.photos[0])
    return replace(case, sensitivity=quiet, undecided=tuple(moving) * (not case.named))


STAGES: Mapping[str, Callable[[Investigation], Investigation]] = {
    "checks": lambda case: replace(
        case, certain=certain_checks(case.classifier, case.photos, case.labels)
    ),
    "candidates": _preprocessing,
    "properties": _pictures,
    "small changes": _quiet_changes,
    # Asked last, since the kit's own predictions do not depend on it.
    "training mode": lambda case: case.found(
        check_calls(layers_of(architecture(case.classifier)))
    ),
}
"""The stages in their order. Each takes what is known and returns what it has become; a new one is a row."""
