"""Shift: what was found, as text, HTML and plain values."""

from dataclasses import dataclass
from html import escape
from typing import Any, Literal

import numpy as np

from kit._reporting import Result, Table
from kit.images.properties import QUANTITIES
from kit.images.sources import names_of
from kit.perturbation.alterations import ALTERATIONS
from kit.robustness.shifts.answers import AnswerShift
from kit.robustness.shifts.attribution import Explanation
from kit.robustness.shifts.impact import Response
from kit.robustness.shifts.two_sample import FEWEST, Difference

Verdict = Literal["shifted", "follows", "unchanged", "cannot_tell"]

_HEAD = ("quantity", "unit", "training", "photos", "delta", "95 %", "p", "verdict")
_CARES = {
    "cares": "the classifier cares",
    "indifferent": "the classifier hardly cares",
    "cannot_tell": "too few pictures to tell whether the classifier cares",
}
_TREATED = {
    "training": "of the answers to training pictures change when they are altered in this way",
    "undone": "of the answers change when this is undone",
    "once more": "of the answers change when this is done to the photos once more",
}
_ANSWERED = {
    "other_classes": "other classes",
    "follows": "they differ, as these alterations may make them",
    "unchanged": "each class about as often",
}


@dataclass(frozen=True)
class QuantityShift:
    """What is said about one quantity.

    Attributes
    ----------
    quantity
        Key of `kit.images.properties.QUANTITIES`.
    verdict
        ``"shifted"``, ``"follows"`` (differs, but only as another shift makes it), ``"unchanged"``, or
        ``"cannot_tell"`` (too few pictures in which it can be measured).
    difference
        The numbers.
    explanation
        The alteration that explains it, where it is ``"shifted"`` and there is one.
    response
        What the classifier makes of that alteration; None without a classifier.
    """

    quantity: str
    verdict: Verdict
    difference: Difference
    explanation: Explanation | None = None
    response: Response | None = None

    @property
    def summary(self) -> str:
        """One line in words."""
        if self.explanation is None:
            return self.verdict.replace("_", " ")
        alteration = ALTERATIONS[self.explanation.alteration]
        name = alteration.opposite if self.explanation.opposite else alteration.name
        strength = f"{self.explanation.strength:.2g}"
        times = "\N{MULTIPLICATION SIGN}"
        about = f"{times}{strength}" if alteration.unit == "factor" else f"{strength} {alteration.unit}"
        return f"{self.verdict}: {name} (about {about})"


@dataclass(frozen=True, eq=False, repr=False)
class Shift(Result):
    """How photos differ from the training pictures.

    Attributes
    ----------
    findings
        One for each quantity: shifted ones first, that which explains most before the others.
    training, photos
        Pictures that were compared.
    auroc
        Area under the receiver operating characteristic of a random forest that tells photos from training
        pictures by all quantities, and its interval of 95 % confidence; NaN for too few pictures.
    layers
        Divergence in the first layers and what is usual there, in nats, from
        `kit.robustness.shifts.impact.layer_distance`; None where nothing is known.
    unreadable
        Names of pictures that could not be read, each with the reason.
    notes
        What limits the answer, in words.
    together
        What the classifier makes of all these alterations at once; None for fewer than two, without a
        classifier, and where only some of them can be undone.
    answers
        How often each class is answered; None without a classifier or the training pictures themselves.
    """

    findings: tuple[QuantityShift, ...]
    training: int
    photos: int
    auroc: tuple[float, float, float] = (np.nan, np.nan, np.nan)
    layers: tuple[float, float] | None = None
    unreadable: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    together: Response | None = None
    answers: AnswerShift | None = None

    @property
    def other_classes(self) -> bool:
        """Whether the photos show other classes than the training pictures, by the answers."""
        return self.answers is not None and self.answers.verdict == "other_classes"

    @property
    def shifted(self) -> tuple[QuantityShift, ...]:
        """The findings with this verdict, the most important first."""
        return tuple(finding for finding in self.findings if finding.verdict == "shifted")

    @property
    def verdict(self) -> Literal["shifted", "other_classes", "unchanged", "cannot_tell"]:
        """``"shifted"`` where a quantity is; ``"cannot_tell"`` where there are too few pictures on a side."""
        if min(self.training, self.photos) < FEWEST:
            return "cannot_tell"
        if self.shifted:
            return "shifted"
        return "other_classes" if self.other_classes else "unchanged"

    def text(self) -> str:
        """Return the report as lines of text."""
        lines = [self._headline(), *(f"Note: {note}" for note in self.notes)]
        lines += ["", self.table(), "", *self._remarks()]
        return "\n".join(lines).rstrip()

    def table(self) -> Table:
        """Set the findings in a table, one row for each quantity."""
        rows = [cells[:1] + cells[2:] for cells in map(_cells, self.findings)]
        return Table(_HEAD[:1] + _HEAD[2:], rows, "<>>><><", widths=(16, 8, 8, 6, 16, 6))

    def html(self) -> str:
        """Return the report as HTML; whatever came from a file or a person is escaped."""
        table = Table(_HEAD, map(_cells, self.findings), "<" * len(_HEAD))
        notes = "".join(f"<p>{escape(note)}</p>" for note in (*self.notes, *self._remarks()))
        return (
            f'<div class="kit-shift"><p><strong>{escape(self._headline())}</strong></p>'
            f"{table.html}{notes}</div>"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain lists, numbers and texts, for JSON; None for what is not known."""
        found = super().to_dict()
        findings = found.pop("findings")
        for each in findings:
            # A number for every quantity: what the share says in one.
            (each["explanation"] or {}).pop("moved", None)
        shifted = [finding.quantity for finding in self.shifted]
        return {"verdict": self.verdict, "shifted": shifted, **found, "findings": findings}

    def _headline(self) -> str:
        counts = f"{self.photos} photos against {self.training} training pictures"
        if self.verdict == "cannot_tell":
            return f"{counts}: cannot tell, {FEWEST} on each side are needed."
        if self.verdict == "other_classes":
            return f"{counts}: other classes by the answers, and no other pictures of them."
        if self.verdict == "unchanged":
            return f"{counts}: no measured quantity is shifted."
        names = ", ".join(QUANTITIES[finding.quantity].label for finding in self.shifted)
        return (
            f"{counts}: shifted in {names}{'; other classes by the answers' if self.other_classes else ''}."
        )

    def _remarks(self) -> list[str]:
        area, low, high = self.auroc
        asked = [(QUANTITIES[one.quantity].label, one.response) for one in self.shifted]
        causes = [QUANTITIES[one.quantity].label for one in self.shifted if one.explanation is not None]
        asked.append((f"{_listed(causes)} together", self.together))
        lines = [_answered(label, response) for label, response in asked if response is not None]
        if self.answers is not None and self.answers.verdict != "cannot_tell":
            lines.append(f"Answers: {_ANSWERED[self.answers.verdict]} ({self.answers.summary}).")
        if not np.isnan(area):
            lines.append(
                f"Told apart by all quantities together: AUROC {area:.2f} ({low:.2f} to {high:.2f});"
                " 0.5 and less is chance."
            )
        if self.layers is not None:
            distance, usual = self.layers
            beside = "" if np.isnan(usual) else f"; up to {usual:.2g} is usual"
            lines.append(f"Divergence in the first layers: {distance:.2g} nats{beside}.")
        if self.unreadable:
            lines.append(f"Not readable: {names_of(self.unreadable)}.")
        return lines

    def _repr_html_(self) -> str:
        return self.html()

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        names = ", ".join(finding.quantity for finding in self.shifted)
        return (
            f"Shift({self.photos} photos, {self.training} training pictures, {self.verdict}: {names or '-'})"
        )


def _answered(label: str, response: Response) -> str:
    changed = f"{response.changed[-1]:.0%} {_TREATED[response.pictures]}"
    right = response.accuracy
    accuracy = "" if right is None else f"; accuracy {right[0]:.0%} becomes {right[-1]:.0%}"
    return f"{label}: {_CARES[response.verdict]}. {changed}{accuracy} ({response.count} pictures)."


def _listed(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), *names[-1:]] if len(names) > 1 else names)


def _cells(finding: QuantityShift) -> tuple[str, ...]:
    one, quantity = finding.difference, QUANTITIES[finding.quantity]
    return (
        quantity.label,
        quantity.unit,
        _told(one.training, ".3g"),
        _told(one.photos, ".3g"),
        _told(one.delta, "+.2f"),
        "" if np.isnan(one.low) else f"{one.low:+.2f} to {one.high:+.2f}",
        "<0.001" if one.p_value < 0.001 else _told(one.p_value, ".3f"),
        finding.summary,
    )


def _told(value: float, form: str) -> str:
    return "" if np.isnan(value) else format(value, form)
