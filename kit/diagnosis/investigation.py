"""What a diagnosis knows on its way through the stages."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from kit._arrays import Float32
from kit.classifier import Classifier
from kit.classifier.labels import Truth
from kit.diagnosis.candidates import Evaluator, Sensitivity
from kit.diagnosis.finding import Evidence, Finding, Fix, Photos, Verdict, at_least, ranked
from kit.diagnosis.report import Diagnosis
from kit.diagnosis.search import NOTHING, Search
from kit.images import Photo
from kit.preprocessing import Preprocessing
from kit.robustness.novelty import FALSE_POSITIVES, novelty_of

_UNREAD = ("layers and weights were not checked",)


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
        Notes of stages that found no cause, but that something must be wrong.
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
        return () if "class_order" in named else self.labels

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
    """Return the corrected preprocessing of what is named, or else the one in use."""
    return next((one.right for one in findings if one.right is not None), in_use)


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
        return replace(one, evidence=one.evidence + other.evidence, cost=other.cost, fix=other.fix)

    return [*map(merged, certain), *by_cause.values()]


SURE = 0.01
"""Chance, with ordinary images, at which images are named as out of distribution."""

_UNLIKE: dict[Verdict, str] = {
    "named": "{} of {} images are unlike those of training: no class fits.",
    "possible": "{} of {} images are rather unlike those of training.",
    "ruled_out": "The images are like those of training.",
}


def out_of_distribution(classifier: Classifier, photos: Photos) -> Finding | None:
    """Measure whether photos are unlike the training images, by the classifier's `kit.fit_novelty`.

    Ask this after the preprocessing was found to be right: a wrong one makes every image unlike them.

    Returns
    -------
    Finding or None
        Cause ``"out_of_distribution"``: named where so many of the photos lie above the threshold for a
        false-positive rate of `SURE` that ordinary photos would do so in as few cases or fewer; possible
        likewise with `FALSE_POSITIVES`; else ruled out. None without a novelty.
    """
    novelty = novelty_of(classifier)
    if novelty is None:
        return None
    chances = novelty.chances(novelty.scores(photos))
    count, evidence = len(chances), []
    for rate in (FALSE_POSITIVES, SURE):
        # A chance is a share of held-back images: it is compared as such, not by its last bit.
        limit = rate + 1e-9
        above = int((chances <= limit).sum())
        needed = next(number for number in range(count + 2) if at_least(number, count, rate) <= limit)
        text = f"images farther from training than {1 - rate:.0%} of held-back ones"
        evidence.append(Evidence(text, above, needed, above >= needed))
    unusual, sure = evidence
    verdict: Verdict = "named" if sure.supports else "possible" if unusual.supports else "ruled_out"
    summary = _UNLIKE[verdict].format(unusual.value, count)
    return Finding("out_of_distribution", verdict, summary, (unusual, sure))
