"""Naming the cause: which step, image or part of a network is to blame for wrong predictions.

`STAGES` is the order: what is certain first, then the preprocessing, then the images, then the network.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from math import nan
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from kit._arrays import Float32, Int64, JSONObject
from kit._reporting import Progress, Steps
from kit.classifier.architecture import (
    Layer,
    Weights,
    architecture_and_weights,
    layers_of,
)
from kit.classifier.classifier import Classifier, check_first, known_preprocessing
from kit.classifier.first_layers import FirstLayers
from kit.classifier.labels import Labels, label_indices
from kit.diagnosis.candidates import (
    IMAGES_TRIED,
    NO_LAYERS,
    QUIET_SHARE,
    Candidate,
    Evaluator,
    Sensitivity,
    sensitivities,
)
from kit.diagnosis.checks_input import check_files, check_tensors
from kit.diagnosis.checks_network import (
    UNSETTLED_SHARE,
    check_calls,
    check_determinism,
    check_head,
    check_nan,
    check_norms,
    check_trained,
    initial_share,
    nonfinite_outputs_finding,
)
from kit.diagnosis.class_order import check_class_order, most_right_in_any_order
from kit.diagnosis.evidence import CONVINCING_CHANCE, Grounds, Score
from kit.diagnosis.finding import (
    Evidence,
    Finding,
    Fix,
    Photos,
    any_named,
    chance_of_at_least,
    fix_from,
    ranked,
    using,
    words_of_changes,
)
from kit.diagnosis.image_causes import (
    check_properties,
    out_of_distribution,
)
from kit.diagnosis.inside import check_scaling_inside, read_inside
from kit.diagnosis.own_function import nearest_preprocessing
from kit.diagnosis.report import (
    ALL_CORRECT,
    FEWER_THAN_CLAIMED,
    INVERT_ONLY_THESE,
    RAW_PIXELS_NEED_NO_FIX,
    UNLABELLED,
    WRONG_WITH_FIX,
    Diagnosis,
)
from kit.diagnosis.search import (
    LEAD_OVER_STEPS,
    Search,
    is_merely_possible,
    search,
)
from kit.diagnosis.sources import NAMED_GAIN, Labelled
from kit.images.photo import Photo, Pictures, as_photos
from kit.images.properties import Sample, edgeless
from kit.preprocessing import Preprocessing
from kit.preprocessing.black_box import Code
from kit.preprocessing.pipeline import CHOICES, decoding_changes
from kit.preprocessing.scaling import SCALINGS, simplest
from kit.robustness.profile import LEAST_PROFILED

__all__ = ["Diagnosis", "Evidence", "Finding", "Fix", "Sensitivity", "diagnose"]

FLAT_STD = 2.0
"""Standard deviation in levels up to which an image is of one colour, and shows nothing: noise and rounding
make what little range it has."""

_HOPELESS_CAUSES = {"diverged_training", "untrained_weights", "batchnorm_mode"}
_GREY_NOTE = "these images have no colour: check whether those of the training had"
_LAYERS_UNREAD_NOTE = "layers and weights were not checked"
_FAILING = (
    ", perhaps by chance: give more labels; else check class names, weights (a conversion may have changed"
    " them) and training images"
)


def diagnose(
    classifier: Classifier,
    photos: Pictures,
    labels: Labels | None = None,
    *,
    reference: Float32 | None = None,
    preprocess: Code | None = None,
    tensor: Code | None = None,
    progress: Progress = False,
) -> Diagnosis:
    """Name what is wrong with the preprocessing in use, the images or the network; or say that it is fine.

    Parameters
    ----------
    classifier
        Its ``preprocessing`` is the one in use, which may be the faulty one.
    photos
        Images that it predicts wrongly, or any others that it is used on; see `kit.images.photo`.
    labels
        The right class of each, as index or name, None where it is not known; or "folders", where each class
        has a folder.
    reference
        Some tensors (N, H, W, C) as the network was trained on, for networks whose file holds no statistics
        of their training images.
    preprocess
        Your own function that prepares an image, in place of the preprocessing in use; see `kit.check`, which
        also says where it differs from that: nothing is clean then, and the images are not looked into. A fix
        holds all that differs from the classifier's preprocessing, unless evidence speaks against that.
    tensor
        In place of such a function, the tensor that other code made of the photo, or one for each.
    progress
        True for a bar once two seconds have passed; or a function that gets each part, in words, beforehand.

    Raises
    ------
    TypeError, ValueError
        No classifier, no preprocessing, no image, a reference of fewer than ten tensors, or labels or sizes
        that do not fit.
    """
    check_first(classifier)
    opened = as_photos(photos)
    # A function that prepares images, or the tensors that one made of them.
    own_code = tensor if preprocess is None else preprocess
    # In words how it differs from the classifier's preprocessing; empty where it does not.
    own_code_difference = ""
    # What training is said to have used: by the file; where own code is in question, by the classifier.
    if own_code is None:
        declared = _preprocessing_stated_by_file(classifier)
    else:
        declared = classifier.preprocessing
        nearest, own_code_difference = nearest_preprocessing(
            classifier, opened, own_code
        )
        classifier = classifier.using(nearest)
    in_use = known_preprocessing(classifier)
    _refuse_what_does_not_fit(in_use, opened, reference)
    case = Investigation(
        classifier,
        in_use,
        opened,
        # An index for each image, -1 where the label is not known.
        label_indices(labels, classifier.class_names, opened),
        Evaluator(classifier),
        reference,
        own_code_difference=own_code_difference,
        declared_preprocessing=declared,
    )
    shows_bar = progress is True
    # The matrices are small: more threads would only wait for each other.
    with threadpool_limits(limits=1, user_api="blas"):
        for words, stage in Steps(STAGES.items(), "Diagnosing", shows_bar):
            # Nothing else is asked of a network whose weights are not those of a training, or whose averages
            # are not: its predictions may be better for wrongly prepared images.
            if not any(
                finding.cause in _HOPELESS_CAUSES for finding in case.certain_findings
            ):
                if callable(progress):
                    progress(words)
                case = stage(case)
    return case.diagnosis()


def _preprocessing_stated_by_file(classifier: Classifier) -> Preprocessing | None:
    """Return what the file itself says of its preprocessing, whatever is in use, if the model takes it."""
    source = classifier.source
    # The model may refuse what its file says.
    with suppress(TypeError, ValueError):
        if source and source.preprocessing:
            input_scaling = classifier.network.engine.scaling
            scaling = source.preprocessing.scaling
            # Unless it is a usual one, a converter chose the scaling of an 8-bit input by images that it saw:
            # training used another.
            is_of_the_input_alone = input_scaling and scaling == (input_scaling,)
            if not is_of_the_input_alone or scaling in SCALINGS.values():
                return classifier.using(source.preprocessing).preprocessing
    return None


def _refuse_what_does_not_fit(
    in_use: Preprocessing, photos: Photos, reference: Float32 | None
) -> None:
    sizes = sorted({photo.size for photo in photos})
    # Without a size nothing is resized, and images of several sizes do not go into one batch.
    if in_use.size is None and len(sizes) > 1:
        raise ValueError(
            f"Expected images of one size, received {sizes[0]} and {sizes[-1]}; give a size"
        )
    if reference is None:
        return
    if np.ndim(reference) < 4 or len(reference) < LEAST_PROFILED:
        raise ValueError(
            f"Expected at least {LEAST_PROFILED} reference tensors (N, H, W, C),"
            f" received the shape {np.shape(reference)}"
        )
    if not np.isfinite(reference).all():
        raise ValueError("Expected finite reference tensors, received NaN or infinity")


@dataclass(frozen=True, eq=False)
class Investigation:
    """What was asked, and what has been found so far.

    Attributes
    ----------
    classifier, in_use, photos, labels
        As asked; labels are indices, int64 (photos,), -1 where one is not known.
    evaluator
        Runs candidates; without the first layers of the network until the checks have opened them.
    reference
        Tensors (N, H, W, C) as in training, in place of what the file tells.
    certain_findings, searched, further_findings
        What the checks, the search over candidates and later stages found.
    own_code_difference
        How a person's own function differs from the classifier's preprocessing, in words.
    doubts
        Notes that something must be wrong, of stages that found no cause.
    sensitivity
        As in `Diagnosis`.
    declared_preprocessing
        The classifier's preprocessing where that of a person's own function is in use; else that of its file,
        None without any.
    layers
        Those of a Keras network, nested ones in place, once the checks have read them.
    """

    classifier: Classifier
    in_use: Preprocessing
    photos: tuple[Photo, ...]
    labels: Int64
    evaluator: Evaluator
    reference: Float32 | None = None
    certain_findings: tuple[Finding, ...] = ()
    searched: Search = field(default_factory=Search)
    further_findings: tuple[Finding, ...] = ()
    own_code_difference: str = ""
    doubts: tuple[str, ...] = ()
    sensitivity: tuple[Sensitivity, ...] = ()
    declared_preprocessing: Preprocessing | None = None
    layers: tuple[Layer, ...] = ()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Everything found so far, named ones first; one finding for each cause of checks and search."""
        by_cause = _merged_by_cause(self.certain_findings, self.searched.findings)
        return ranked((*by_cause, *self.further_findings))

    @property
    def labels_to_search_by(self) -> Int64:
        """The labels to search by: in another order they speak for whatever makes the network unsure."""
        # As if none were known: in another order labels speak against right predictions.
        return (
            np.full_like(self.labels, -1)
            if self.has_another_class_order
            else self.labels
        )

    @property
    def has_another_class_order(self) -> bool:
        """Whether another order of most classes is named."""
        is_named = any(
            finding.cause == "class_order" and finding.verdict == "named"
            for finding in self.certain_findings
        )
        # Where most predictions are right, only a few classes have changed places.
        return is_named and self.correct_share <= 0.5

    def as_right_as_any_order(self, fixed: Preprocessing) -> bool:
        """Whether a preprocessing makes as many labelled predictions right as any order of the classes."""
        labelled = Labelled(self.evaluator, self.photos, self.labels)
        as_it_is = replace(self.classifier.predict(self.photos), labels=self.labels)
        most_right_count = most_right_in_any_order(as_it_is.labelled)
        # An image without a known label counts as not correct.
        return bool(labelled.correct(fixed).sum() >= most_right_count)

    @property
    def correct_share(self) -> float:
        """Share of the labelled images that are predicted correctly; NaN without any."""
        return self.share_correct_with(self.in_use)

    def share_correct_with(self, preprocessing: Preprocessing) -> float:
        """Return the same as another preprocessing makes it."""
        labelled = Labelled(self.evaluator, self.photos, self.labels)
        correct_count = float(labelled.correct(preprocessing).sum())
        return correct_count / labelled.count if labelled.count else nan

    @property
    def with_nearest(self) -> str:
        """Says that the preprocessing in use is only what comes nearest to own code; empty without any."""
        if not self.own_code_difference:
            return ""
        return "with the preprocessing nearest to your code, "

    def labels_met(self) -> tuple[str, bool]:
        """Return how many labels are met, in words, and whether a network so sure hardly misses as many."""
        labelled = Labelled(self.evaluator, self.photos, self.labels)
        correct_count = int(labelled.correct(self.in_use).sum())
        confidence = float(labelled.probabilities(self.in_use).max(axis=1).mean())
        # Sound networks are often surer than they are right: `QUIET_SHARE` of the labels may be missed.
        claimed_share = min(confidence, 1 - QUIET_SHARE)
        # Without labels it is 1.
        chance_of_as_many_wrong = chance_of_at_least(
            labelled.count - correct_count, labelled.count, 1 - claimed_share
        )
        met_words = (
            f"{self.with_nearest}{correct_count} of {labelled.count} labelled images are predicted correctly,"
            f" with a mean probability of {confidence:.0%}"
        )
        return met_words, chance_of_as_many_wrong <= CONVINCING_CHANCE

    def with_findings(self, *findings: Finding | None) -> "Investigation":
        """Return this with further findings; None is none."""
        return replace(
            self, further_findings=(*self.further_findings, *filter(None, findings))
        )

    def cautions(self, fixed: Preprocessing) -> Iterator[str]:
        """Say what speaks against a fix although its cause is named."""
        if fixed == self.in_use:
            return
        # Without labels the share is NaN, which is not below 0.5.
        if not self.has_another_class_order and self.share_correct_with(fixed) < 0.5:
            yield WRONG_WITH_FIX
        input_scaling = self.classifier.network.engine.scaling
        # Only networks for 8-bit input have one: they scale levels themselves, which may be fed as they are.
        if (
            input_scaling
            and not self.in_use.scaling
            and fixed.scaling == simplest((input_scaling,))
        ):
            yield RAW_PIXELS_NEED_NO_FIX
        # Seen from these images, inverted ones and a missing inversion are the same.
        if fixed.invert and not self.in_use.invert:
            yield INVERT_ONLY_THESE

    def diagnosis(self) -> Diagnosis:
        """Return what it comes to."""
        findings = self.findings
        all_ruled_out = all(finding.verdict == "ruled_out" for finding in findings)
        has_doubts = self.doubts or self.own_code_difference
        no_fault = self.searched.decided and all_ruled_out and not has_doubts
        # A report prints the first two, so that each is put before what matters less; its headline depends on
        # `ALL_CORRECT`, `FEWER_THAN_CLAIMED` and `UNLABELLED`.
        notes = [*self.searched.notes, *self.doubts]
        # Where nothing is declared, nothing differs from it.
        declared_preprocessing = self.declared_preprocessing or self.in_use
        declared_fix = Fix("")
        if not any_named(findings) and self.correct_share < 1 and not self.doubts:
            met_words, is_beyond_chance = self.labels_met()
            notes.insert(0, met_words + FEWER_THAN_CLAIMED * is_beyond_chance)
        if not (no_fault or any_named(findings)):
            takes_colour = not self.in_use.channels.startswith("gray")
            if takes_colour and all(map(_is_grey, self.photos)):
                notes.insert(0, _GREY_NOTE)
            if self.correct_share == 1:
                notes.insert(0, f"{self.with_nearest}{ALL_CORRECT}")
            if stated := words_of_changes(self.in_use, declared_preprocessing):
                # A classifier has the defaults of `Preprocessing` for what nobody gave.
                who = "the model says"
                if self.own_code_difference:
                    who = (
                        "your classifier, with defaults for what you did not give, says"
                    )
                notes.insert(0, f"{who}: {stated}")
                declared_fix = using("", declared_preprocessing)
        notes[:0] = self.cautions(with_fixes(findings, self.in_use))
        source = self.classifier.source
        # A .tflite or .onnx file, whose layers are not read.
        if source and source.network:
            notes.append(_LAYERS_UNREAD_NOTE)
        if no_fault and (self.labels < 0).all():
            # Nothing says then whether the predictions are correct.
            notes.insert(0, UNLABELLED)
        return Diagnosis(
            findings,
            self.classifier.name,
            len(self.photos),
            clean=no_fault,
            preprocessing=self.in_use,
            notes=tuple(notes),
            sensitivity=self.sensitivity,
            judged_by=self.searched.judged_by,
            difference=self.own_code_difference,
            declared=declared_fix,
            asked=(self.classifier, self.photos, self.labels),
        )


def fixed_preprocessings(findings: Iterable[Finding]) -> list[Preprocessing]:
    """Return the preprocessings that fix what is named."""
    return [
        finding.fix.preprocessing
        for finding in findings
        if finding.verdict == "named" and finding.fix.preprocessing
    ]


def with_fixes(findings: Iterable[Finding], in_use: Preprocessing) -> Preprocessing:
    """Return the preprocessing in use with all fixes of what is named; where two contradict, the first."""
    fixed: Preprocessing = _with_changed_fields(in_use, fixed_preprocessings(findings))
    return fixed


def _with_changed_fields(original: Any, variants: Sequence[Any]) -> Any:
    """Return a preprocessing, or its decoding, with the fields in which variants of it differ."""
    # All are of one kind: a `Preprocessing`, or below the `Decoding` that is a field of it.
    changes: dict[str, Any] = {}
    # Reversed, since what is put in last stays: of two variants that change a field, the first counts.
    for variant in reversed(variants):
        changes |= {
            name: value
            for name, value in vars(variant).items()
            if value != getattr(original, name)
        }
    # The decoding is one field with fields of its own: variants that change different ones are all heeded.
    if "decoding" in changes:
        decodings = [variant.decoding for variant in variants]
        changes["decoding"] = _with_changed_fields(original.decoding, decodings)
    return replace(original, **changes)


def with_one_fix(
    findings: Iterable[Finding], in_use: Preprocessing, fixed: Preprocessing
) -> tuple[Finding, ...]:
    """Let what is named about the preprocessing carry the fix of all faults."""
    return tuple(
        replace(finding, fix=fix_from(in_use, fixed))
        # Empty where the finding is not named, or its fix is not one of the preprocessing.
        if fixed_preprocessings([finding])
        else finding
        for finding in findings
    )


def _merged_by_cause(
    certain_findings: Iterable[Finding], searched_findings: Iterable[Finding]
) -> Iterable[Finding]:
    """Return one finding for each cause; a certain one takes what the search knows of cost and fix."""
    by_cause: dict[str, Finding] = {}
    for finding in (*ranked(certain_findings), *ranked(searched_findings)):
        # The first one of a cause stays, but a named one from the search has the better cost and fix.
        earlier = by_cause.setdefault(finding.cause, finding)
        if earlier is not finding and finding.verdict == "named":
            evidence = earlier.evidence + finding.evidence
            by_cause[finding.cause] = replace(
                finding, evidence=evidence, summary=earlier.summary
            )
    return by_cause.values()


def _run_certain_checks(case: Investigation) -> Investigation:
    # The weights are read once for both: those of a large file take a while.
    config, weights = architecture_and_weights(case.classifier)
    findings = certain_checks(
        case.classifier, case.photos, case.labels, config, weights
    )
    first_layers = _first_layers_to_compare(case, config, weights)
    return replace(
        case,
        certain_findings=findings,
        evaluator=Evaluator(case.classifier, first_layers),
        layers=layers_of(config),
    )


def certain_checks(
    classifier: Classifier,
    photos: Photos,
    labels: Int64,
    config: JSONObject,
    weights: Weights,
) -> tuple[Finding, ...]:
    """Run each check that needs no search, named causes first; a label is -1 where it is not known."""
    in_use = known_preprocessing(classifier)
    diverged = check_nan(weights)
    if diverged:
        return (diverged,)
    layers = layers_of(config)
    tensors = np.concatenate(
        [classifier.tensor(photo) for photo in photos[:IMAGES_TRIED]]
    )
    # What the last layer puts out, (N, outputs), before any softmax of the kit's.
    outputs = classifier.network.engine.predict(tensors)
    if not np.isfinite(outputs).all():
        return (nonfinite_outputs_finding(outputs, weights),)
    findings = [
        # First, since no other fix helps a network that was never trained.
        check_trained(layers, weights),
        *check_files(classifier, photos, labels),
        check_tensors(in_use),
        check_scaling_inside(read_inside(layers, weights), in_use),
        check_determinism(classifier, tensors),
        check_head(layers, outputs, config.get("compile_config")),
        check_norms(layers, weights, labels, outputs.shape[1]),
    ]
    if (labels >= 0).any():
        predictions = replace(classifier.predict(photos), labels=labels)
        findings.append(check_class_order(predictions))
    return ranked(filter(None, findings))


def _search_preprocessing(case: Investigation) -> Investigation:
    """Search the preprocessing, and doubt what is certain where all evidence speaks against it."""
    grounds = _grounds_if_in_use(case, case.in_use)
    searched = search(grounds)
    if case.has_another_class_order and not any_named(searched.findings):
        # That search left the labels out. But red and blue exchanged look like another order, too, where
        # classes are told by their colours.
        grounds_with_labels = Grounds.of(
            case.evaluator, case.in_use, case.photos, case.labels
        )
        searched_with_labels = search(grounds_with_labels)
        fixed = with_fixes(searched_with_labels.findings, case.in_use)
        if any_named(searched_with_labels.findings) and case.as_right_as_any_order(
            fixed
        ):
            grounds = grounds_with_labels
            searched = searched_with_labels

    def is_doubtful(finding: Finding) -> bool:
        # Predictions for wrongly prepared images can look like another order.
        may_be_prepared_wrongly = finding.cause == "class_order" and any_named(
            searched.findings
        )
        return may_be_prepared_wrongly or is_merely_possible(grounds, finding)

    certain_findings = tuple(
        replace(finding, verdict="possible")
        if finding.verdict == "named" and is_doubtful(finding)
        else finding
        for finding in case.certain_findings
    )
    case = _search_with_certain_fixed(
        replace(case, searched=searched, certain_findings=certain_findings)
    )
    return _with_one_fix_that_explains_most(_with_declaration_judged(case))


def _with_declaration_judged(case: Investigation) -> Investigation:
    """Leave out what the model says where as much speaks against it as names a cause.

    Where as much speaks for it, it fixes what is named without a fix, as several explain the same.
    """
    # What the file says of its preprocessing, or beside a person's own code the classifier.
    declared = case.declared_preprocessing
    # It may make tensors of several sizes, which cannot be judged together.
    with suppress(ValueError):
        if declared:
            # Without names of a step and a cause: only the score counts.
            candidate = Candidate(declared, "", "")
            score = _grounds_if_in_use(case, case.in_use).score(candidate)
            if score.measured_gain <= -NAMED_GAIN:
                return replace(case, declared_preprocessing=None)
            if score.measured_gain >= NAMED_GAIN and not score.vetoed:
                findings = tuple(
                    _fixed_as_declared(finding, case.in_use, declared, score)
                    for finding in case.searched.findings
                )
                return replace(case, searched=replace(case.searched, findings=findings))
    return case


def _fixed_as_declared(
    finding: Finding, in_use: Preprocessing, declared: Preprocessing, score: Score
) -> Finding:
    """Return what is named in words alone with the declared fix, if that changes the step of its cause."""
    changes_step_of_cause = any(
        choice.words(declared) != choice.words(in_use)
        for choice in CHOICES
        if finding.cause in choice.causes
    )
    if (
        finding.verdict != "named"
        or finding.fix.preprocessing
        or not changes_step_of_cause
    ):
        return finding
    evidence = Evidence(
        "gain of what is declared (others reach as much), in nats",
        score.measured_gain,
        NAMED_GAIN,
        supports=True,
    )
    return replace(
        finding,
        evidence=(*finding.evidence, evidence),
        fix=fix_from(in_use, declared),
    )


def _first_layers_to_compare(
    case: Investigation, config: JSONObject, weights: Weights
) -> FirstLayers:
    """Return the first layers with the reference as their profile, without averages that tell less."""
    # Where a file has no layers that can be run, the tensors themselves are compared.
    layers = case.classifier.first_layers or NO_LAYERS
    means, variances = layers.means, layers.variances
    # Means and variances are running averages of batch norms: a reference tells more than these.
    if case.reference is not None:
        layers = replace(layers, means=None, variances=None).with_profile(
            np.asarray(case.reference, np.float32)
        )
    elif means is not None and variances is not None:
        share_of_initial = initial_share(variances, layers_of(config), weights)
        # Unsettled ones tell nothing of the training. Of others, the share that is left of the 0 and 1 that
        # they began with is taken out: it would outweigh the variances of quiet channels.
        layers = (
            replace(layers, means=None, variances=None)
            if share_of_initial > UNSETTLED_SHARE
            else replace(
                layers,
                means=means / (1 - share_of_initial),
                variances=(variances - share_of_initial).clip(0)
                / (1 - share_of_initial),
            )
        )
    return layers


def _grounds_if_in_use(case: Investigation, in_use: Preprocessing) -> Grounds:
    return Grounds.of(case.evaluator, in_use, case.photos, case.labels_to_search_by)


def _search_with_certain_fixed(case: Investigation) -> Investigation:
    """Search from where what is certain is fixed, which may hide another fault."""
    certain_fixed = with_fixes(case.certain_findings, case.in_use)
    # How files are read hardly hides another fault, and a second search takes as long again.
    if certain_fixed == case.in_use or certain_fixed.decoding != case.in_use.decoding:
        return case
    searched = search(_grounds_if_in_use(case, certain_fixed))
    if not any_named(searched.findings):
        # Then what the first search found holds.
        return case
    return replace(case, searched=searched)


def _with_one_fix_that_explains_most(case: Investigation) -> Investigation:
    """Let all that is named about the preprocessing carry that fix which explains most: of all, or of one.

    Or all that differs from the classifier's preprocessing, where about as much speaks for it: evidence may
    not single out each step of it, such as a crop; beside a person's own code not its matte, which may be a
    default. What the search named, and the fix that explains most leaves out, is named no more.
    """
    single_fixes = dict.fromkeys(fixed_preprocessings(case.findings))
    declared = case.declared_preprocessing
    # One fix alone has no rival but what is declared.
    if not single_fixes or (len(single_fixes) == 1 and declared is None):
        return case
    gain_nats_of = _grounds_if_in_use(case, case.in_use).gain_of
    certain_fixes = fixed_preprocessings(case.certain_findings)
    # What is certain is fixed beside whatever else is.
    each_fix_with_certain = (
        _with_changed_fields(case.in_use, [single_fix, *certain_fixes])
        for single_fix in single_fixes
    )
    # The first of equals: all together.
    whole_fix = max(
        (with_fixes(case.findings, case.in_use), *each_fix_with_certain),
        key=gain_nats_of,
    )
    # What the search named is dropped where the whole fix does not contain its fix.
    findings_kept = tuple(
        finding
        for finding in case.searched.findings
        if whole_fix
        == _with_changed_fields(
            case.in_use, [whole_fix, *fixed_preprocessings([finding])]
        )
    )
    if declared:
        # What is certain holds whatever is declared.
        declared = _with_changed_fields(case.in_use, [*certain_fixes, declared])
    if declared and case.own_code_difference:
        # The matte of the classifier may be a default: it is no reason to change that of the code.
        matte = whole_fix.decoding.matte
        declared = declared.replace(**decoding_changes(declared, matte=matte))
    if declared and gain_nats_of(declared) >= gain_nats_of(whole_fix) - LEAD_OVER_STEPS:
        whole_fix = declared
    # Only what is named and has a fixed preprocessing takes it.
    searched = with_one_fix(findings_kept, case.in_use, whole_fix)
    return replace(
        case,
        certain_findings=with_one_fix(case.certain_findings, case.in_use, whole_fix),
        searched=replace(case.searched, findings=searched),
    )


def _check_images(case: Investigation) -> Investigation:
    if case.own_code_difference or any_named(case.findings):
        # Only images that, for all that is known, are prepared as in training are searched for causes: here a
        # person's own function differs, or a cause is named.
        return case
    if all(map(_shows_nothing, case.photos)):
        return replace(case, doubts=("images without edges show nothing",))
    # What is ordinary is known of photographs: a look only where the network knows photos, and no profile
    # finds the images usual.
    if case.searched.photos_may_be_unusual:
        properties = check_properties(
            case.classifier,
            case.photos,
            case.labels,
            first_layers=case.evaluator.first_layers,
        )
        case = case.with_findings(*properties)
    if not any_named(case.findings):
        case = case.with_findings(out_of_distribution(case.classifier, case.photos))
    return case if any_named(case.findings) else _doubted_by_labels(case)


def _doubted_by_labels(case: Investigation) -> Investigation:
    """Doubt that all is well where half of the labels are missed, or fewer if they alone judge."""
    met_words, is_beyond_chance = case.labels_met()
    grounds = _grounds_if_in_use(case, case.in_use)
    # Without labels the share is NaN, and no comparison with it is true.
    if case.correct_share <= 0.5 or (
        is_beyond_chance and not grounds.judges_every_step
    ):
        reason = FEWER_THAN_CLAIMED if is_beyond_chance else _FAILING
        return replace(case, doubts=(met_words + reason,))
    return case


def _is_grey(photo: Photo) -> bool:
    red, green, blue = np.moveaxis(photo.pixels, -1, 0)
    return np.array_equal(red, green) and np.array_equal(green, blue)


def _shows_nothing(photo: Photo) -> bool:
    # The largest standard deviation of a channel, in levels. Edges are looked for on a grid of the pixels.
    is_of_one_colour = photo.pixels.std(axis=(0, 1)).max() <= FLAT_STD
    return bool(is_of_one_colour) or edgeless(Sample(photo).thin)


def _try_small_changes(case: Investigation) -> Investigation:
    fixed = with_fixes(case.findings, case.in_use)
    small_changes = sensitivities(case.evaluator, fixed, case.photos)
    return replace(case, sensitivity=small_changes)


STAGES: Mapping[str, Callable[[Investigation], Investigation]] = {
    "checks": _run_certain_checks,
    "candidates": _search_preprocessing,
    "properties": _check_images,
    "small changes": _try_small_changes,
    # Asked last, since the kit's own predictions do not depend on it.
    "training mode": lambda case: case.with_findings(check_calls(case.layers)),
}
"""The stages in their order. Each takes what is known and returns what it has become; a new one is a row."""
