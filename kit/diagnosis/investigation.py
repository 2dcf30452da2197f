"""What is known at one point of a diagnosis; each stage takes it and returns what it has become."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from kit._arrays import Float32
from kit.classifier import Classifier
from kit.classifier.trial import Truth
from kit.diagnosis.finding import Finding, Fix, Verdict, ranked
from kit.diagnosis.report import Diagnosis
from kit.diagnosis.search import NOTHING, Search
from kit.diagnosis.search.evaluator import Evaluator
from kit.diagnosis.search.sensitivity import Sensitivity
from kit.images import Photo, Pictures
from kit.preprocessing import Preprocessing

# No faults of the network or of the pipeline.
_MENTIONED = {"grayscale", "small_validation"}
_DOUBTED: dict[Verdict, Verdict] = {"named": "possible", "ruled_out": "cannot_tell"}


@dataclass(frozen=True, eq=False)
class Investigation:
    """What was asked, and what has been found so far.

    Attributes
    ----------
    classifier, in_use, photos
        The network, the preprocessing that is suspected, and at least one picture.
    labels
        Index of the right class of each picture, None where it is not known; empty where none is.
    reference
        Tensors (N, H, W, C) as in training, in place of what the file tells.
    training
        The training pictures.
    evaluator
        Runs candidates; without the first layers of the network until the search opens them.
    certain
        What the checks found.
    searched
        What the search over candidates found.
    further
        What later stages found.
    doubts
        Notes of stages that found no cause, but that something must be wrong.
    sensitivity
        What quiet changes do.
    undecided
        Kinds of quiet changes that matter to these pictures, where nothing else is named.
    closed
        Whether no further stage can say anything.
    """

    classifier: Classifier
    in_use: Preprocessing
    photos: tuple[Photo, ...]
    labels: Truth
    reference: Float32 | None
    training: Pictures | None
    evaluator: Evaluator
    certain: tuple[Finding, ...] = ()
    searched: Search = NOTHING
    further: tuple[Finding, ...] = ()
    doubts: tuple[str, ...] = ()
    sensitivity: tuple[Sensitivity, ...] = ()
    undecided: tuple[str, ...] = ()
    closed: bool = False

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Everything found so far, named ones first; one finding for each cause of checks and search."""
        searched = self.searched.findings
        if self._certainly("batchnorm_mode"):
            # The search holds pictures against statistics that are then not those of the training.
            searched = tuple(replace(one, verdict=_DOUBTED.get(one.verdict, one.verdict)) for one in searched)
        return ranked((*_merged(self.certain, searched), *self.further))

    @property
    def named(self) -> bool:
        """Whether a cause is named so far."""
        return any(finding.verdict == "named" for finding in self.findings)

    @property
    def disordered(self) -> bool:
        """Whether another order of the classes is named by the checks."""
        return self._certainly("class_order")

    @property
    def ordered_labels(self) -> Truth:
        """The labels to search by: in another order they speak for whatever makes the network unsure."""
        return () if self.disordered else self.labels

    def _certainly(self, cause: str) -> bool:
        return any(one.cause == cause and one.verdict == "named" for one in self.certain)

    def found(self, *findings: Finding) -> "Investigation":
        """Return this with further findings."""
        return replace(self, further=(*self.further, *findings))

    def diagnosis(self) -> Diagnosis:
        """Return what it comes to."""
        findings = self.findings
        blameless = all(one.verdict == "ruled_out" or one.cause in _MENTIONED for one in findings)
        quiet = self.searched.decided and blameless and not self.doubts and not self.named
        return Diagnosis(
            findings,
            self.classifier.name,
            len(self.photos),
            quiet and not self.undecided,
            self.in_use,
            (*self.searched.notes, *self.doubts),
            self.sensitivity,
            self.searched.equivalents,
            self.undecided if quiet else (),
            self.searched.judged_by,
        )


def corrected(findings: Iterable[Finding], in_use: Preprocessing) -> Preprocessing:
    """Return the corrected preprocessing of what is named, or else the one in use."""
    fixes = (one.fix.preprocessing for one in findings if one.verdict == "named" and one.fix is not None)
    return next((right for right in fixes if right is not None), in_use)


def doubted(finding: Finding) -> Finding:
    """Let a named fault of the preprocessing be possible, where other evidence speaks against it."""
    about = finding.fix is not None and finding.fix.preprocessing is not None
    return replace(finding, verdict="possible") if about and finding.verdict == "named" else finding


def fixed_together(finding: Finding, whole: Fix | None) -> Finding:
    """Let a named finding about the preprocessing carry the fix of all faults together."""
    fix = finding.fix
    if finding.verdict != "named" or fix is None or fix.preprocessing is None or whole is None:
        return finding
    return replace(finding, fix=replace(fix, code=whole.code, preprocessing=whole.preprocessing))


def _merged(certain: Sequence[Finding], searched: Sequence[Finding]) -> list[Finding]:
    """Return one finding for each cause; a certain one takes what the search knows of cost and fix."""
    by_cause = {finding.cause: finding for finding in searched}
    merged = []
    for finding in certain:
        other = by_cause.pop(finding.cause, None) if finding.verdict == "named" else None
        merged.append(finding if other is None or other.verdict != "named" else _joined(finding, other))
    return [*merged, *by_cause.values()]


def _joined(certain: Finding, searched: Finding) -> Finding:
    evidence = (*certain.evidence, *searched.evidence)
    return replace(certain, evidence=evidence, cost=searched.cost, fix=searched.fix or certain.fix)
