"""Shift: what was found, as text, HTML and plain values."""

from dataclasses import asdict, dataclass
from html import escape
from typing import Any, Literal

import numpy as np

from kit.images.properties import QUANTITIES
from kit.perturbation.alterations import ALTERATIONS
from kit.robustness.shifts.attribution import Explanation
from kit.robustness.shifts.impact import Response
from kit.robustness.shifts.two_sample import FEWEST, Difference

Verdict = Literal["shifted", "follows", "unchanged", "cannot_tell"]

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
class Shift:
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
    """

    findings: tuple[QuantityShift, ...]
    training: int
    photos: int
    auroc: tuple[float, float, float] = (np.nan, np.nan, np.nan)
    layers: tuple[float, float] | None = None
    unreadable: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    together: Response | None = None

    @property
    def shifted(self) -> tuple[QuantityShift, ...]:
        """The findings with this verdict, the most important first."""
        return tuple(finding for finding in self.findings if finding.verdict == "shifted")

    @property
    def verdict(self) -> Literal["shifted", "unchanged", "cannot_tell"]:
        """``"cannot_tell"`` where there are too few pictures on a side."""
        if min(self.training, self.photos) < FEWEST:
            return "cannot_tell"
        return "shifted" if self.shifted else "unchanged"

    def text(self) -> str:
        """Return the report as lines of text."""
        lines = [self._headline(), *(f"Note: {note}" for note in self.notes)]
        lines += [
            "",
            f"{'quantity':16}{'training':>10}{'photos':>10}{'delta':>8}  {'95 %':16}{'p':>8}  verdict",
        ]
        lines += [_line(finding) for finding in self.findings]
        lines += ["", *self._remarks()]
        return "\n".join(lines).rstrip()

    def html(self) -> str:
        """Return the report as HTML; whatever came from a file or a person is escaped."""
        head = "".join(
            f"<th>{name}</th>"
            for name in ("quantity", "unit", "training", "photos", "delta", "95 %", "p", "verdict")
        )
        rows = "".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in _cells(finding)) + "</tr>"
            for finding in self.findings
        )
        notes = "".join(f"<p>{escape(note)}</p>" for note in (*self.notes, *self._remarks()))
        return (
            f'<div class="kit-shift"><p><strong>{escape(self._headline())}</strong></p>'
            f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{notes}</div>"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain lists, numbers and texts, for JSON; None for what is not known."""
        return {
            "verdict": self.verdict,
            "shifted": [finding.quantity for finding in self.shifted],
            "training": self.training,
            "photos": self.photos,
            "auroc": [_plain(value) for value in self.auroc],
            "layers": None if self.layers is None else [_plain(value) for value in self.layers],
            "unreadable": [list(entry) for entry in self.unreadable],
            "notes": list(self.notes),
            "together": None if self.together is None else asdict(self.together),
            "findings": [_finding(finding) for finding in self.findings],
        }

    def _headline(self) -> str:
        counts = f"{self.photos} photos against {self.training} training pictures"
        if self.verdict == "cannot_tell":
            return f"{counts}: cannot tell, {FEWEST} on each side are needed."
        if self.verdict == "unchanged":
            return f"{counts}: no measured quantity is shifted."
        names = ", ".join(QUANTITIES[finding.quantity].label for finding in self.shifted)
        return f"{counts}: shifted in {names}."

    def _remarks(self) -> list[str]:
        area, low, high = self.auroc
        asked = [(QUANTITIES[one.quantity].label, one.response) for one in self.shifted]
        causes = [QUANTITIES[one.quantity].label for one in self.shifted if one.explanation is not None]
        asked.append((f"{_listed(causes)} together", self.together))
        lines = [_answered(label, response) for label, response in asked if response is not None]
        if not np.isnan(area):
            lines.append(
                f"Told apart by all quantities together: AUROC {area:.2f} ({low:.2f} to {high:.2f});"
                " 0.5 is chance."
            )
        if self.layers is not None:
            distance, usual = self.layers
            beside = "" if np.isnan(usual) else f"; up to {usual:.2g} is usual"
            lines.append(f"Divergence in the first layers: {distance:.2g} nats{beside}.")
        if self.unreadable:
            names = ", ".join(name for name, _ in self.unreadable[:3])
            more = f" and {len(self.unreadable) - 3} more" if len(self.unreadable) > 3 else ""
            lines.append(f"Not readable: {names}{more}.")
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
        _number(one.training),
        _number(one.photos),
        _signed(one.delta),
        "" if np.isnan(one.low) else f"{one.low:+.2f} to {one.high:+.2f}",
        _chance(one.p_value),
        finding.summary,
    )


def _line(finding: QuantityShift) -> str:
    label, _, training, photos, delta, bounds, chance, summary = _cells(finding)
    return f"{label:16}{training:>10}{photos:>10}{delta:>8}  {bounds:16}{chance:>8}  {summary}"


def _number(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.3g}"


def _signed(value: float) -> str:
    return "" if np.isnan(value) else f"{value:+.2f}"


def _chance(value: float) -> str:
    return "" if np.isnan(value) else "<0.001" if value < 0.001 else f"{value:.3f}"


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and np.isnan(value) else value


def _finding(finding: QuantityShift) -> dict[str, Any]:
    explanation = finding.explanation
    return {
        "quantity": finding.quantity,
        "verdict": finding.verdict,
        "difference": {key: _plain(value) for key, value in asdict(finding.difference).items()},
        "explanation": None
        if explanation is None
        else {
            "alteration": explanation.alteration,
            "opposite": explanation.opposite,
            "strength": explanation.strength,
            "share": explanation.share,
        },
        "response": None if finding.response is None else asdict(finding.response),
    }
