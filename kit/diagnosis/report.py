"""What a diagnosis found."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import zip_longest
from os import PathLike
from pathlib import Path
from typing import Any

from kit._reporting import Heading, Result, Table, json_value
from kit.classifier import Classifier
from kit.classifier.labels import Truth
from kit.diagnosis.candidates import Sensitivity
from kit.diagnosis.finding import Finding, Photos
from kit.preprocessing import Preprocessing
from kit.regression.cases import pin


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
        answers. Not clean and nothing named means that the cause cannot be told.
    preprocessing
        In use.
    notes, judged_by
        What limits the answer, and what there was to judge by, in words.
    sensitivity, undecided
        What small changes, which no evidence singles out, do to the predictions; and the kinds that change
        predictions here, where no large fault is found.
    asked
        Classifier, images and the indices of their classes, where known.
    """

    findings: tuple[Finding, ...]
    classifier: str
    photos: int
    clean: bool = False
    preprocessing: Preprocessing | None = None
    notes: tuple[str, ...] = ()
    sensitivity: tuple[Sensitivity, ...] = ()
    undecided: tuple[str, ...] = ()
    judged_by: str = ""
    asked: tuple[Classifier, Photos, Truth] | None = field(
        default=None, repr=False, compare=False
    )

    @property
    def best(self) -> Finding | None:
        """The first finding that is named; None where there is none."""
        return next(
            (finding for finding in self.findings if finding.verdict == "named"), None
        )

    @property
    def verdict(self) -> str:
        """``"named"``, ``"clean"`` or ``"cannot_tell"``."""
        return "named" if self.best else "clean" if self.clean else "cannot_tell"

    @property
    def _best(self) -> Finding:
        return self.best or Finding("", "cannot_tell", "")

    @property
    def conclusion(self) -> str:
        """What it comes to, in a few words."""
        if self.best is not None:
            return f"the cause is {self.best.cause}"
        if self.undecided:
            return f"nothing serious is found; the {' and the '.join(self.undecided)} cannot be judged"
        return (
            "no fault is found"
            if self.clean
            else "the cause cannot be told from these images"
        )

    @property
    def corrected(self) -> Preprocessing | None:
        """The corrected preprocessing; None where nothing is named that one puts right."""
        return self._best.right

    def fix(self) -> Preprocessing:
        """Return the corrected preprocessing, or raise a ValueError where there is none."""
        if self.corrected is not None:
            return self.corrected
        if self.best is None:
            raise ValueError(
                f"Expected a named cause, received {self.verdict!r}; give more labels"
            )
        received = f"{self.best.cause!r}: {self.best.fix.text}"
        raise ValueError(f"Expected a cause in the preprocessing, received {received}")

    def pin(
        self,
        folder: str | PathLike[str],
        expect: str | int | None = None,
        *,
        note: str = "",
    ) -> tuple[Path, ...]:
        """Write a case of each image, for `kit.check_cases` to guard, and return their paths.

        Where a preprocessing is named, the case keeps the one in use beside it. Images without a label are
        expected to be `expect`, by default what is predicted with the fix; see `kit.Case` for the rest.
        """
        if self.asked is None:
            raise ValueError(
                "Expected a diagnosis from kit.diagnose, received one made by hand"
            )
        classifier, photos, labels = self.asked
        right, cause = self.corrected, self._best.cause
        kept = partial(
            pin,
            preprocessing=right,
            fault=right and self.preprocessing,
            cause=cause,
            note=note,
        )
        return tuple(
            kept(folder, classifier, photo, expect if label is None else label)
            for photo, label in zip_longest(photos, labels)
        )

    @property
    def fix_code(self) -> str:
        """Lines for the user's own code; empty where there are none."""
        return self._best.fix.code

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain lists, numbers and texts, for JSON."""
        kept = ("classifier", "photos", "judged_by", "notes", "findings", "sensitivity")
        told = {name: json_value(getattr(self, name)) for name in kept}
        return {"verdict": self.verdict, "cause": self._best.cause or None, **told}

    def details(self) -> "Details":
        """Return everything that was found, with its numbers; print it."""
        return Details(self)

    def html(self) -> str:
        """Return what `text` says, with `details` folded below it."""
        return f"{super().html()}<details><summary>Details</summary>{self.details().html()}</details>"

    def _report(self) -> Iterator[str | Result]:
        best, possible = (
            self.best,
            [one.cause for one in self.findings if one.verdict == "possible"],
        )
        images = f"{self.photos} image{'s' * (self.photos > 1)}"
        yield Heading(
            f"{self.classifier} on {images}: {self.conclusion}. {self._best.summary}".strip()
        )
        if best is None:
            yield from [f"Possible: {', '.join(possible)}."] if possible else ()
            yield from (f"Note: {note}" for note in self.notes[:2])
        else:
            speaking = [
                one.supports for one in best.evidence if one.supports is not None
            ]
            yield f"How sure: {speaking.count(True)} of {len(speaking)} measurements speak for it."
            yield f"Fix: {best.fix.text or 'none is known.'}"
            against = [one.text for one in best.evidence if one.supports is False]
            against += [f"{cause} is possible too" for cause in possible]
            yield f"Against it: {'; '.join(against) or 'nothing'}."
        code = "; the fix as code: diagnosis.fix_code" * bool(self.fix_code)
        yield f"All numbers: print(diagnosis.details()), --details in a shell{code}."

    def __repr__(self) -> str:
        told = (
            ", ".join(f"{one.cause} {one.verdict}" for one in self.findings)
            or "no findings"
        )
        return f"Diagnosis({self.classifier!r}, {self.photos} photos, {self.verdict}: {told})"


@dataclass(frozen=True)
class Details(Result):
    """Everything that a diagnosis found, to be printed."""

    diagnosis: Diagnosis

    def _report(self) -> Iterator[str | Result]:
        one = self.diagnosis
        if one.judged_by:
            yield one.judged_by
        yield from (f"Note: {note}" for note in one.notes)
        for number, finding in enumerate(one.findings, start=1):
            yield from (
                Heading(f"{number}. {finding.cause}: {finding.verdict}"),
                finding,
            )
        if one.sensitivity:
            rows = (
                (row.name, f"{row.changed} of {row.photos}") for row in one.sensitivity
            )
            yield Table(("small change", "predictions that change"), rows)
