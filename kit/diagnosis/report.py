"""What a diagnosis found, and what a comparison of two classifiers did."""

from dataclasses import dataclass, field
from pathlib import Path

from kit._arrays import AnyPath, Int64, JSONObject
from kit._reporting import Heading, Report, Result, Table, json_value
from kit.classifier.classifier import Classifier
from kit.diagnosis.candidates import QUIET_SHARE, Sensitivity
from kit.diagnosis.finding import Finding, Fix, Photos, Verdict
from kit.preprocessing import Preprocessing
from kit.preprocessing.comparison import contrasts
from kit.preprocessing.pipeline import CHOICES
from kit.regression.cases import pin
from kit.validation.accuracy import AccuracyComparison

LABELS_TO_COMPARE = 37
"""Labelled images, over the share of predictions that another way of resizing changes, with which McNemar's
test shows in four of five cases that it is worse. Of six networks for ImageNet, squashing in place of a crop
changed the correctness of 40 % of the predictions that it changed, four of five of these for the worse."""
ALL_CORRECT = "all labelled images are predicted correctly"
WRONG_WITH_FIX = "with the fix, most labelled images stay wrong: something else may be the cause, or one, too"
RAW_PIXELS_NEED_NO_FIX = "the network takes whole numbers: code that feeds it pixels as they are needs no fix"
INVERT_ONLY_THESE = (
    "if these images are negatives themselves, as pages in dark mode are, invert them alone:"
    " the fix harms all others"
)
CAUTIONS = {WRONG_WITH_FIX, RAW_PIXELS_NEED_NO_FIX, INVERT_ONLY_THESE}
FEWER_THAN_CLAIMED = (
    ", fewer than that claims, beyond chance: check labels (kit.mistakes lists those that look wrong), class"
    " names, weights (a conversion may have changed them) and images"
)
UNLABELLED = "without labels, class names and the last layer were not checked"


_NO_FIX = Fix("")


@dataclass(frozen=True, repr=False)
class Diagnosis(Result):
    """Ranked findings about one classifier and some images.

    Attributes
    ----------
    findings
        The most important first.
    classifier, photos
        Its name, and how many images were looked at.
    clean
        Whether the evidence says that no fault of the preprocessing, the images or the head is behind these
        answers, but for what is `undecided`. Not clean and nothing named means that the cause cannot be told.
    preprocessing, notes, judged_by
        The one in use; what limits the answer, and what there was to judge by, in words.
    difference, declared
        How a person's own function differs from the classifier's preprocessing, in words; and where no cause
        is named, the fix that puts what the classifier or its file says in use.
    sensitivity
        What small changes, which no evidence singles out, do to the predictions.
    asked
        Classifier, images and the indices of their classes, -1 where one is not known.
    """

    findings: tuple[Finding, ...]
    classifier: str
    photos: int
    clean: bool = False
    preprocessing: Preprocessing | None = None
    notes: tuple[str, ...] = ()
    sensitivity: tuple[Sensitivity, ...] = ()
    judged_by: str = ""
    difference: str = ""
    declared: Fix = _NO_FIX
    asked: tuple[Classifier, Photos, Int64] | None = field(
        default=None, repr=False, compare=False
    )

    @property
    def best(self) -> Finding | None:
        """The first finding that is named; None where there is none."""
        named = (finding for finding in self.findings if finding.verdict == "named")
        return next(named, None)

    @property
    def verdict(self) -> str:
        """``"named"``, ``"clean"`` or ``"cannot_tell"``."""
        return "named" if self.best else "clean" if self.clean else "cannot_tell"

    @property
    def _best_or_empty(self) -> Finding:
        # For callers that need not ask whether there is one.
        return self.best or Finding("", "cannot_tell", "")

    @property
    def conclusion(self) -> str:
        """What it comes to, in a few words."""
        if self.best:
            return f"the cause is {self.best.cause}"
        if self.clean:
            return "nothing wrong found"
        if ALL_CORRECT in self.notes:
            return "no fault shows in these predictions"
        return "the cause cannot be told from these images"

    @property
    def headline(self) -> str:
        """How the pipeline in use differs from training, the cause first, or what else was found."""
        best = self._best_or_empty
        fixed = best.fix.preprocessing
        if self.preprocessing and fixed:
            sentence_by_step = contrasts(self.preprocessing, fixed)
            cause_steps = [step.name for step in CHOICES if best.cause in step.causes]
            # False, for a step of the cause, sorts before True.
            steps = sorted(sentence_by_step, key=lambda step: step not in cause_steps)
            return " ".join(sentence_by_step[step] for step in steps)
        # Without labels, or where many are missed, class names and the last layer are not cleared.
        leaves_doubt = self.clean and any(
            note.endswith((UNLABELLED, FEWER_THAN_CLAIMED)) for note in self.notes
        )
        place = " in the preprocessing" if leaves_doubt else ""
        conclusion = f"{self.conclusion.capitalize()}{place}."
        # Beside a cause that lies elsewhere, own code may prepare images otherwise: both are told.
        return " ".join(filter(None, (best.summary, self.difference))) or conclusion

    @property
    def title(self) -> str:
        """The headline, and what it is about."""
        return f"{self.classifier} on {self._images}: {self.headline}"

    @property
    def _images(self) -> str:
        return "1 image" if self.photos == 1 else f"{self.photos} images"

    @property
    def how_sure(self) -> str:
        """What is named, and how many measurements are for and against it; empty where nothing is named."""
        if not self.best:
            return ""
        causes = " and ".join(finding.cause for finding in self._with_verdict("named"))
        # Of the first cause alone, where several are named. True is for it, False against it, None neither.
        supports = [evidence.supports for evidence in self.best.evidence]
        # Without units and figures, which the details have.
        contrary_words = [
            evidence.text.partition(",")[0]
            for evidence in self.best.evidence
            if evidence.supports is False
        ]
        against = (
            f"{len(contrary_words)} against ({'; '.join(contrary_words)})"
            if contrary_words
            else "none against"
        )
        return f"Cause: {causes}. Evidence: {supports.count(True)} for it, {against}."

    def _with_verdict(self, verdict: Verdict) -> list[Finding]:
        return [finding for finding in self.findings if finding.verdict == verdict]

    @property
    def undecided(self) -> tuple[str, ...]:
        """The kinds of small changes that these images cannot judge, where no large fault is found."""
        # A fault that is found, or cannot be told, matters more than small changes.
        if not self.clean:
            return ()
        # A change that moves many predictions may be a fault that nobody sees here.
        return tuple(
            change.name
            for change in self.sensitivity
            if change.changed > QUIET_SHARE * change.photos
        )

    @property
    def limits(self) -> str:
        """What these images do not show, in a sentence; empty where nothing is open."""
        if not self.undecided:
            return ""
        images = "one image" if self.photos == 1 else "these images"
        # With two more that change and two that do not, as Agresti and Coull count: one image is no proof.
        changed_shares = [
            (change.changed + 2) / (change.photos + 4)
            for change in self.sensitivity
            if change.name in self.undecided
        ]
        # Only images whose prediction changes tell two ways of resizing apart, so that so many are needed if
        # each changes; the change that moves most needs fewest.
        needed = round(LABELS_TO_COMPARE / max(changed_shares), -1)
        return (
            f"Resizing cannot be judged from {images};"
            f" kit.compare shows with about {needed:.0f} labelled ones whether it matters."
        )

    def fix(self) -> Preprocessing:
        """Return the preprocessing that `fix_code` puts in use, or raise a ValueError where there is none."""
        best = self.best
        fixed = self._fix_or_declared.preprocessing
        if fixed:
            return fixed
        if not best:
            raise ValueError(
                f"Expected a named cause, received {self.verdict!r}; print the diagnosis"
            )
        raise ValueError(
            f"Expected a cause in the preprocessing, received {best.cause!r}: {best.fix.text}"
        )

    @property
    def fix_code(self) -> str:
        """The code of the best finding's fix, or else of `declared`; empty where there is none."""
        return self._fix_or_declared.code

    @property
    def _fix_or_declared(self) -> Fix:
        # `declared` is what the classifier or its file states, empty where it states nothing.
        return self.best.fix if self.best else self.declared

    def pin(
        self,
        folder: AnyPath,
        expect: str | int | None = None,
        *,
        note: str = "",
    ) -> tuple[Path, ...]:
        """Write a case of each image, for `kit.check_cases` to guard, and return their paths.

        Where a preprocessing is named, the cases expect a classifier that uses its fix: until then they fail.
        Images without a label are expected to be `expect`, by default what is predicted with the fix.
        """
        if not self.asked:
            raise ValueError(
                "Expected a diagnosis from kit.diagnose, received one made by hand"
            )
        classifier, photos, labels = self.asked
        fixed = self._best_or_empty.fix.preprocessing
        fixed_classifier = classifier.using(fixed) if fixed else classifier
        return tuple(
            pin(
                folder,
                fixed_classifier,
                photo,
                # A label of -1 is not known; where `expect` is None, too, `pin` takes what is predicted.
                expect if label < 0 else label,
                fault=self.preprocessing if fixed else None,
                cause=self._best_or_empty.cause,
                note=note,
            )
            for photo, label in zip(photos, labels.tolist(), strict=True)
        )

    def to_dict(self) -> JSONObject:
        """Return everything as plain lists, numbers and texts, for JSON."""
        content = {
            name: json_value(getattr(self, name))
            for name in (
                "classifier",
                "photos",
                "judged_by",
                "difference",
                "notes",
                "findings",
                "sensitivity",
            )
        }
        return {
            "verdict": self.verdict,
            "cause": self._best_or_empty.cause or None,
            **content,
        }

    def details(self) -> "Details":
        """Return everything that was found, with its numbers; print it."""
        return Details(self)

    def html(self) -> str:
        """Return what `text` says, with `details` folded below it."""
        return f"{super().html()}<details><summary>Details</summary>{self.details().html()}</details>"

    def _report(self) -> Report:
        # A line for each question that people ask: what, how sure, how to fix it, what else.
        yield Heading(self.title)
        possible = "Possible"
        # The rest is in the details.
        notes = self.notes[:2]
        if self.best:
            yield self.how_sure
            yield f"Fix: {self.best.fix.text or 'none is known.'}"
            possible = "Also possible"
            # Beside a named cause, only those that warn of its fix.
            notes = tuple(note for note in self.notes if note in CAUTIONS)
        elif self.limits:
            yield self.limits
        for finding in self._with_verdict("possible"):
            yield f"{possible}: {finding.cause}. {finding.summary}"
        yield from (f"Note: {note}" for note in notes)
        if not (self.best or self.difference):
            yield "If your own code predicts otherwise: kit.check(classifier, photos, your_function)."
        code = "; the fix as code: diagnosis.fix_code" if self.fix_code else ""
        yield f"All numbers: print(diagnosis.details()), --details in a shell{code}."

    def __repr__(self) -> str:
        findings = [f"{finding.cause} {finding.verdict}" for finding in self.findings]
        words = ", ".join(findings) or "no findings"
        return (
            f"Diagnosis({self.classifier!r}, {self._images}, {self.verdict}: {words})"
        )


@dataclass(frozen=True)
class Details(Result):
    """Everything that a diagnosis found, to be printed."""

    diagnosis: Diagnosis

    def _report(self) -> Report:
        diagnosis = self.diagnosis
        yield from filter(None, (diagnosis.judged_by, diagnosis.difference))
        yield from (f"Note: {note}" for note in diagnosis.notes)
        for number, finding in enumerate(diagnosis.findings, start=1):
            yield Heading(f"{number}. {finding.cause}: {finding.verdict}")
            yield finding
        if diagnosis.sensitivity:
            rows = (
                (change.name, f"{change.changed} of {change.photos}")
                for change in diagnosis.sensitivity
            )
            yield Table(("small change", "predictions that change"), rows)


SOUND_CHANGE = 0.01
"""Largest difference, as `Compared` has it, of a form that can take the place of another."""
CLOSE_CHANGE = 0.1
"""Likewise, of one that is called close; with a larger change of one probability, none is sound."""


@dataclass(frozen=True)
class Mover:
    """An image whose prediction changed.

    `before` and `after` are the most probable class and its probability, `change` is the largest difference
    of a probability, 0..1, and `label` the right class, empty where it is not known.
    """

    photo: str
    before: tuple[str, float]
    after: tuple[str, float]
    change: float
    label: str = ""


@dataclass(frozen=True, repr=False)
class Compared(Result):
    """What came of two classifiers on the same images.

    Attributes
    ----------
    photos, changed, difference
        How many images there are, how many predicted classes change, and the mean over images of the
        largest difference of a probability, 0..1.
    cause
        What differs, if proven: causes as in `diagnose`, joined by "and"; photo_order and quantisation are
        named here alone. Else empty.
    reproduced_by, left
        What makes both agree where it is done to the first, too, or to the classes of the second, in words,
        and the share of the difference that is left then, 0..1.
    prepared
        What the second does otherwise when it prepares images, in words.
    movers, accuracy
        The images that changed most, the first the most; McNemar's test on labelled ones, None without any.
    """

    first: str
    second: str
    photos: int
    changed: int
    difference: float
    cause: str = ""
    reproduced_by: str = ""
    left: float = 0.0
    prepared: str = ""
    movers: tuple[Mover, ...] = ()
    accuracy: AccuracyComparison | None = None

    def __repr__(self) -> str:
        # Of an image, that class counts whose probability changes most: `difference` is the mean over
        # images, 0 to 1; movers are the images with the most.
        largest_change = max((mover.change for mover in self.movers), default=0.0)
        if self.cause:
            cause = self.cause
        elif is_negligible_change(self.difference, largest_change):
            cause = "no difference found"
            if self.changed:
                cause += " but near ties"
        elif self.prepared:
            cause = "perhaps the preprocessing, which differs"
        else:
            guess = (
                ", perhaps other weights, weights of 8 bits, or dropout or augmentation"
                " left on"
            )
            is_close = self.difference <= CLOSE_CHANGE
            cause = f"cause unknown{guess if is_close else ''}"
        # What makes both agree, as a trial showed, and the share of the difference that remains.
        remainder = (
            f", of which {self.reproduced_by} leaves {self.left:.0%}"
            if self.reproduced_by
            else ""
        )
        return (
            f"{self.changed} of {self.photos} predictions change from {self.first} to {self.second}; {cause}."
            f" Probabilities change by {self.difference:.3f} on average{remainder}."
        )

    def _report(self) -> Report:
        yield repr(self)
        if self.prepared:
            yield f"The second prepares images differently: {self.prepared}."
        if accuracy := self.accuracy:
            yield (
                f"Correct: {accuracy.first:.1%} before, {accuracy.second:.1%} after;"
                f" only before {accuracy.only_first}, only after {accuracy.only_second}."
                f" Probability by chance alone: {accuracy.p_value:.2g} (McNemar)."
            )
        rows = [
            (
                mover.photo,
                "{} {:.2f}".format(*mover.before),
                "{} {:.2f}".format(*mover.after),
                f"{mover.change:.3f}",  # of the class whose probability changes most
                mover.label,
            )
            for mover in self.movers
        ]
        if rows:
            yield Table(
                ("image", "before", "after", "change", "true class"), rows, "<<<><"
            )


def is_negligible_change(mean_change: float, largest_change: float) -> bool:
    """Whether a form whose probabilities change so much can take the place of another."""
    # Of probabilities: on average over images, and of the image that changes most.
    return mean_change <= SOUND_CHANGE and largest_change <= CLOSE_CHANGE
