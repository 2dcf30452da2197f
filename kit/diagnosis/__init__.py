"""Naming the cause: which step, picture or part of a network is to blame for wrong answers.

The order is: certain checks, then the search over candidate preprocessings, then properties of the pictures.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from kit.classifier import Classifier, check_first, known_preprocessing
from kit.classifier.archive import NOVELTY
from kit.classifier.labels import class_indices
from kit.diagnosis.checks import certain_checks
from kit.diagnosis.finding import Evidence, Finding, Fix
from kit.diagnosis.out_of_distribution import out_of_distribution
from kit.diagnosis.picture_remedies import check_properties
from kit.diagnosis.report import Diagnosis
from kit.diagnosis.search import search
from kit.diagnosis.search.evaluator import Laboratory
from kit.diagnosis.search.scoring import Labels
from kit.diagnosis.search.sensitivity import Sensitivity, sensitivities
from kit.diagnosis.trust import check_leakage, check_trust, mostly_wrong
from kit.images import Photo, Pictures, as_photos
from kit.preprocessing import Preprocessing

__all__ = ["Diagnosis", "Evidence", "Finding", "Fix", "Sensitivity", "diagnose"]

# No faults of the network or of the pipeline.
_MENTIONED = {"grayscale", "small_validation"}
_FAILING = (
    "most labelled pictures are answered wrongly, and no step of the preprocessing explains it: look at how"
    " the pictures are framed, and at what the network was trained on"
)
_RANK = {"named": 0, "possible": 1, "cannot_tell": 2, "ruled_out": 3}


def diagnose(
    classifier: Classifier,
    photos: Pictures,
    labels: Sequence[int | str | None] | None = None,
    *,
    reference: npt.NDArray[np.float32] | None = None,
    training: Pictures | None = None,
    progress: Callable[[str], None] | None = None,
) -> Diagnosis:
    """Name what is wrong with the preprocessing in use, the pictures or the network; or say that it is fine.

    Parameters
    ----------
    classifier
        Its ``preprocessing`` is the one in use, which may be the faulty one.
    photos
        One or more pictures that it answers wrongly, or any others that it is used on; see
        `kit.images.sources`.
    labels
        The right class of each, as index or name; None where it is not known.
    reference
        Some tensors (N, H, W, C) as the network was trained on, for networks whose file holds no statistics
        of their training pictures.
    training
        The training pictures themselves, named in the same ways: are some of `photos` among them?
    progress
        Called with a few words before each part.

    Returns
    -------
    Diagnosis
        Its ``best`` is None where nothing is named.

    Raises
    ------
    TypeError, ValueError
        No classifier, no preprocessing, no picture, or labels that do not fit.
    """
    check_first(classifier, "kit.diagnose(classifier, photos, labels)")
    chosen = as_photos(photos, allow_empty=False)
    used = known_preprocessing(classifier)
    indices = None if labels is None else class_indices(labels, classifier.class_names, len(chosen))
    tell = progress if progress is not None else lambda _: None
    # The matrices are small: more threads would only wait for each other.
    with threadpool_limits(limits=1, user_api="blas"):
        return _diagnosed(classifier, used, chosen, indices, reference, training, tell)


def _diagnosed(
    classifier: Classifier,
    used: Preprocessing,
    chosen: tuple[Photo, ...],
    indices: Labels | None,
    reference: npt.NDArray[np.float32] | None,
    training: Pictures | None,
    tell: Callable[[str], None],
) -> Diagnosis:
    """Check, search, look at the pictures, and gather what was found."""
    tell("checks")
    found = list(certain_checks(classifier, chosen, indices))
    if any(finding.cause == "diverged_training" for finding in found):
        return Diagnosis(tuple(found), classifier.name, len(chosen), preprocessing=used)
    tell("candidates")
    taps = classifier.taps
    if reference is not None and taps is not None:
        taps = replace(taps.with_profile(np.asarray(reference, np.float32)), means=None, variances=None)
    # Labels in another order speak for whatever makes the network unsure, so they are left out then.
    disordered = any(finding.cause == "class_order" and finding.verdict == "named" for finding in found)
    laboratory = Laboratory(classifier, taps)
    result = search(laboratory, used, chosen, None if disordered else indices)
    if disordered and _named(result.findings):
        # Answers to wrongly prepared pictures can look like another order.
        found = [replace(one, verdict="possible") if one.cause == "class_order" else one for one in found]
    repaired = _right(found, used)
    if repaired.decoding == used.decoding and repaired != used and not _named(result.findings):
        # What is certainly wrong may hide another fault, so the search goes on from where it is put right.
        after = search(laboratory, repaired, chosen, None if disordered else indices)
        further = [one for one in after.findings if one.verdict == "named"]
        if further:
            found = [_with_fix(one, further[0].fix) for one in found]
            result = after
    found = _merged(found, result.findings)
    # What is ordinary for photographs is not for other pictures.
    if result.photographic and not _named(found):
        tell("properties")
        found += check_properties(classifier, chosen, indices)
    if not _named(found) and classifier.carried(NOVELTY) is not None:
        tell("novelty")
        found.append(out_of_distribution(classifier, chosen))
    notes, failing = result.notes, False
    if not _named(found) and indices is not None:
        answers = classifier.probabilities(chosen)
        found += check_trust(answers, indices)
        failing = mostly_wrong(answers, indices)
        notes = (*notes, _FAILING) if failing else notes
    if training is not None:
        tell("leakage")
        found.append(check_leakage(chosen, training))
    found.sort(key=lambda finding: _RANK[finding.verdict])
    clean = (
        result.decided
        and not failing
        and all(one.verdict == "ruled_out" or one.cause in _MENTIONED for one in found)
    )
    tell("quiet changes")
    return Diagnosis(
        tuple(found),
        classifier.name,
        len(chosen),
        clean,
        used,
        notes,
        sensitivities(laboratory, _right(found, used), chosen),
        result.equivalents,
    )


def _named(findings: Sequence[Finding]) -> bool:
    return any(finding.verdict == "named" for finding in findings)


def _with_fix(finding: Finding, whole: Fix | None) -> Finding:
    """Let a named finding about the preprocessing carry the fix of all faults together."""
    if (
        finding.verdict != "named"
        or finding.fix is None
        or finding.fix.preprocessing is None
        or whole is None
    ):
        return finding
    return replace(finding, fix=replace(finding.fix, code=whole.code, preprocessing=whole.preprocessing))


def _right(found: Sequence[Finding], used: Preprocessing) -> Preprocessing:
    """Return the corrected preprocessing of what is named, or else the one in use."""
    fixes = (one.fix.preprocessing for one in found if one.verdict == "named" and one.fix is not None)
    return next((right for right in fixes if right is not None), used)


def _merged(certain: Sequence[Finding], searched: Sequence[Finding]) -> list[Finding]:
    """Return one finding for each cause; a certain one takes what the search knows of cost and fix."""
    by_cause = {finding.cause: finding for finding in searched}
    merged = []
    for finding in certain:
        other = by_cause.get(finding.cause)
        if other is not None and finding.verdict == other.verdict == "named":
            del by_cause[finding.cause]
            code = finding.fix.code if finding.fix is not None and other.fix is not None else ""
            fix = replace(other.fix, code=code or other.fix.code) if other.fix is not None else finding.fix
            evidence = (*finding.evidence, *other.evidence)
            merged.append(replace(finding, evidence=evidence, cost=other.cost, fix=fix))
            continue
        if other is not None and finding.verdict == "named":
            del by_cause[finding.cause]
        merged.append(finding)
    return [*merged, *by_cause.values()]
