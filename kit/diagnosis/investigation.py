"""What a diagnosis knows on its way through the stages."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from kit._arrays import Float32, Float64
from kit.classifier import Classifier
from kit.classifier.labels import Truth, hits, known
from kit.diagnosis.candidates import Evaluator, Sensitivity
from kit.diagnosis.finding import Evidence, Finding, Fix, Verdict, at_least, ranked
from kit.diagnosis.report import Diagnosis
from kit.diagnosis.search import NOTHING, Search
from kit.images import Photo, Pictures, as_photos
from kit.preprocessing import Preprocessing
from kit.robustness.novelty import FALSE_POSITIVES, novelty_of
from kit.validation.accuracy import accuracy_interval

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


WIDE = 0.1
"""Half of the interval of the accuracy from which on the pictures are too few to judge a network by."""

ENOUGH = 50
"""Labelled pictures from which on confidence is held against accuracy."""


def check_trust(probabilities: Float32, labels: Truth) -> tuple[Finding, ...]:
    """Hold answers against the labels that are known.

    Parameters
    ----------
    probabilities
        float32, shape (N, classes).
    labels
        Index of the right class of each picture, None where it is not known.

    Returns
    -------
    tuple of Finding
        ``"small_validation"`` by the Wilson interval of 95 % (Wilson 1927), and from `ENOUGH` labels on
        ``"overconfident"``: possible where the mean confidence lies above that interval. Empty for fewer than
        two labels.
    """
    places, _ = known(labels)
    right, count = int(hits(probabilities, labels).sum()), len(places)
    if count < 2:
        return ()
    interval = accuracy_interval(right, count)
    low, high, accuracy = interval.low, interval.high, interval.accuracy
    half = (high - low) / 2
    verdict: Verdict = "possible" if half > WIDE else "ruled_out"
    told = f"{count} labelled pictures: {accuracy:.0%} are answered rightly"
    found = [
        Finding(
            "small_validation",
            verdict,
            f"{told}, and for others the share may be anything from {low:.0%} to {high:.0%}.",
            (Evidence("half of the 95 % interval of the accuracy", half, WIDE, supports=half > WIDE),),
            fix=Fix("Judge the network by more pictures; these are enough to look for a cause."),
        )
    ]
    if count >= ENOUGH:
        confidence = float(probabilities[places].max(axis=1).mean())
        sure: Verdict = "possible" if confidence > high else "ruled_out"
        text = "mean confidence; the upper end of the accuracy's 95 % interval is the threshold"
        found.append(
            Finding(
                "overconfident",
                sure,
                f"{told}, with a mean confidence of {confidence:.0%}.",
                (
                    Evidence(text, confidence, high, supports=confidence > high),
                    Evidence("share of these pictures that is answered rightly", accuracy),
                ),
                fix=Fix(
                    "If these pictures are an ordinary sample, divide the logits by a temperature.",
                    "classifier = kit.calibrate(classifier, photos, labels).classifier",
                ),
            )
        )
    return tuple(found)


def mostly_wrong(probabilities: Float32, labels: Truth) -> bool:
    """Whether no more than half of the labelled pictures are answered rightly."""
    count = len(known(labels)[0])
    return count > 0 and 2 * int(hits(probabilities, labels).sum()) <= count


CAUSE = "out_of_distribution"
SURE = 0.01
"""Chance, with ordinary pictures, at which the cause is named."""


def out_of_distribution(classifier: Classifier, photos: Pictures) -> Finding:
    """Measure whether photos are unlike the training pictures.

    Ask this after the preprocessing was found to be right: a wrong one makes every picture unlike them.

    Parameters
    ----------
    classifier
        With a novelty (`kit.fit_novelty`).
    photos
        A folder, a glob pattern, an array, one picture or several: see `kit.images.photo`.

    Returns
    -------
    Finding
        Cause ``"out_of_distribution"``. ``"named"`` where so many of the photos lie above the threshold for
        a false-positive rate of 1 % that ordinary photos would do so in 1 % of all cases or less;
        ``"possible"`` likewise with 5 % for both; else ``"ruled_out"``, or ``"cannot_tell"`` without a
        novelty.

    Raises
    ------
    ValueError
        No preprocessing, no photo, or photos that cannot be prepared.
    """
    chosen = as_photos(photos, allow_empty=False)
    novelty = novelty_of(classifier)
    if novelty is None:
        return Finding(
            CAUSE,
            "cannot_tell",
            "The classifier does not know how ordinary pictures look to it: fit a novelty (kit.fit_novelty).",
        )
    verdict, evidence = _judged(novelty.chances(novelty.scores(chosen)))
    summary = _SUMMARIES[verdict].format(above=evidence[0].value, count=len(chosen))
    return Finding(CAUSE, verdict, summary, evidence)


_SUMMARIES: dict[Verdict, str] = {
    "named": "{above:.0f} of {count} pictures are unlike anything in training: none of the classes fits.",
    "possible": "{above:.0f} of {count} pictures are rather unlike those of training.",
    "ruled_out": "The pictures are like those of training.",
}


def _judged(chances: Float64) -> tuple[Verdict, tuple[Evidence, ...]]:
    """Compare how many pictures lie above a threshold with what chance would give."""
    count = len(chances)
    evidence = []
    for rate in (SURE, FALSE_POSITIVES):
        # A chance is a share of held-back pictures: it is compared as such, not by its last bit.
        limit = rate + 1e-9
        above = int((chances <= limit).sum())
        needed = next(number for number in range(count + 2) if at_least(number, count, rate) <= limit)
        text = (
            f"pictures out of {count} that lie farther from the training pictures than {1 - rate:.0%} of"
            " held-back ones"
        )
        evidence.append(Evidence(text, above, float(needed), supports=above >= needed))
    sure, unusual = evidence
    verdict: Verdict = "named" if sure.supports else "possible" if unusual.supports else "ruled_out"
    return verdict, (unusual, sure)
