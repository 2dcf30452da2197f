"""Diagnosis: what was found, as text, HTML, JSON and figure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from io import BytesIO
from os import PathLike
from pathlib import Path
from typing import Any

from kit._reporting import Table, plain
from kit.classifier import Classifier
from kit.diagnosis.candidates import Equivalent, Sensitivity
from kit.diagnosis.finding import Evidence, Finding
from kit.images import Photo
from kit.preprocessing import Preprocessing
from kit.regression.pinning import pin

_ALIKE = "Comes to the same on this network (largest difference of a probability):"
_QUIET = (
    "Quiet changes, which no evidence singles out, on {} of the pictures"
    " (spread of the probability of the present answer):"
)
_SIGNS = {True: "for", False: "against", None: "told"}
_COLOURS = {True: "#b3261e", False: "#1b6ec2", None: "#6b7280"}


@dataclass(frozen=True, repr=False)
class Diagnosis:
    """Ranked findings about one classifier and some pictures.

    Attributes
    ----------
    findings
        The most important first.
    classifier
        Name of the classifier.
    photos
        How many pictures were looked at.
    clean
        Whether there was enough evidence to say that no fault of the preprocessing, the pictures or the head
        is behind these answers. Not clean and nothing named means that the cause cannot be told.
    preprocessing
        In use.
    notes
        What limits the answer, in words.
    sensitivity
        What quiet changes, which no evidence singles out, do to the answers; around the corrected
        preprocessing where a cause in it is named, else around the one in use.
    equivalents
        Preprocessings that come to the same on this network, so that nothing chooses among them.
    undecided
        Kinds of quiet changes that no evidence singles out and that change answers here, where no loud fault
        is found.
    judged_by
        What decided, in words.
    asked
        Classifier, pictures and the indices of their classes, where known, that were asked about; None after
        pickling.
    """

    findings: tuple[Finding, ...]
    classifier: str
    photos: int
    clean: bool = False
    preprocessing: Preprocessing | None = None
    notes: tuple[str, ...] = ()
    sensitivity: tuple[Sensitivity, ...] = ()
    equivalents: tuple[Equivalent, ...] = ()
    undecided: tuple[str, ...] = ()
    judged_by: str = ""
    asked: tuple[Classifier, Sequence[Photo], Sequence[int | None]] | None = field(
        default=None, repr=False, compare=False
    )

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "asked"}

    @property
    def best(self) -> Finding | None:
        """The first finding that is named; None where there is none."""
        return next((finding for finding in self.findings if finding.verdict == "named"), None)

    @property
    def verdict(self) -> str:
        """``"named"``, ``"clean"`` or ``"cannot_tell"``."""
        if self.best is not None:
            return "named"
        return "clean" if self.clean else "cannot_tell"

    @property
    def conclusion(self) -> str:
        """What it comes to, in a few words."""
        if self.best is not None:
            return f"the cause is {self.best.cause}"
        if self.undecided:
            return f"no loud fault is found; the {' and the '.join(self.undecided)} cannot be judged"
        return "no fault is found" if self.clean else "the cause cannot be told from what is there"

    def fix(self) -> Preprocessing:
        """Return the corrected preprocessing.

        Raises
        ------
        ValueError
            Nothing is named, or what is named is not put right by a preprocessing.
        """
        best = self.best
        if best is None:
            raise ValueError(
                f"Expected a named cause to fix, received {self.verdict!r}; give more pictures or labels"
            )
        if best.fix is None or best.fix.preprocessing is None:
            advice = best.fix.text if best.fix is not None else "no fix is known"
            raise ValueError(f"Expected a cause in the preprocessing, received {best.cause!r}: {advice}")
        return best.fix.preprocessing

    def pin(
        self, folder: str | PathLike[str], expect: str | int | None = None, *, note: str = "", owner: str = ""
    ) -> tuple[Path, ...]:
        """Write a case of each picture, for `kit.check_cases` to guard, and return their paths.

        Where a preprocessing is named, the case keeps both: the fix that has to go on working, and the one in
        use that goes wrong.

        Parameters
        ----------
        folder
            Of cases.
        expect
            The class of pictures without a label; by default what is answered with the fix.
        note, owner
            See `kit.Case`.

        Raises
        ------
        ValueError
            It was pickled, and knows its pictures no more.
        """
        if self.asked is None:
            raise ValueError("Expected a diagnosis that knows its pictures, received one from a pickle")
        classifier, photos, labels = self.asked
        fix = None if self.best is None or self.best.fix is None else self.best.fix.preprocessing
        known = labels or [None] * len(photos)
        return tuple(
            pin(
                folder,
                classifier,
                photo,
                expect if label is None else label,
                preprocessing=fix,
                fault=None if fix is None else self.preprocessing,
                cause="" if self.best is None else self.best.cause,
                note=note,
                owner=owner,
            )
            for photo, label in zip(photos, known, strict=True)
        )

    @property
    def fix_code(self) -> str:
        """Lines for the user's own code; empty where there are none."""
        return self.best.fix.code if self.best is not None and self.best.fix is not None else ""

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain lists, numbers and texts, for JSON."""
        cause = None if self.best is None else self.best.cause
        kept = ("classifier", "photos", "judged_by", "notes", "findings", "sensitivity", "equivalents")
        told = {name: plain(getattr(self, name)) for name in kept}
        return {"verdict": self.verdict, "cause": cause, **told}

    def text(self) -> str:
        """Return the report as lines of text."""
        lines = [self._headline(), *self._judged(), *(f"Note: {note}" for note in self.notes)]
        for number, finding in enumerate(self.findings, start=1):
            lines += ["", f"{number}. {finding.cause}: {finding.verdict}", f"   {finding.summary}"]
            lines += [f"   {_SIGNS[part.supports]}: {_sentence(part)}" for part in finding.evidence]
            if finding.cost is not None:
                lines.append(f"   cost: {finding.cost:.0%} of these pictures get another answer")
            if finding.equivalent:
                lines.append(f"   comes to the same here: {', '.join(finding.equivalent)}")
            if finding.fix is not None:
                lines.append(f"   fix: {finding.fix.text}")
                lines += [f"       {line}" for line in finding.fix.code.splitlines()]
        if self.equivalents:
            lines += ["", _ALIKE]
            lines += [f"   {line}" for line in self._alike()]
        if self.sensitivity:
            lines += ["", _QUIET.format(self.sensitivity[0].photos)]
            lines += [f"   {' | '.join(row)}" for row in self._quiet_rows()]
        return "\n".join(lines)

    def html(self) -> str:
        """Return the report as HTML; whatever came from a file or a person is escaped."""
        parts = [f"<p><strong>{escape(self._headline())}</strong></p>"]
        parts += [f"<p>{escape(told)}</p>" for told in self._judged()]
        parts += [f"<p>Note: {escape(note)}</p>" for note in self.notes]
        for finding in self.findings:
            title = f"<h4>{escape(finding.cause)}: {escape(finding.verdict)}</h4>"
            parts.append(f"<section>{title}<p>{escape(finding.summary)}</p>")
            if finding.evidence:
                parts.append(_evidence_table(finding).html)
            if finding.fix is not None:
                code = f"<pre>{escape(finding.fix.code)}</pre>" if finding.fix.code else ""
                parts.append(f"<p>Fix: {escape(finding.fix.text)}</p>{code}")
            parts.append("</section>")
        if self.equivalents:
            items = "".join(f"<li>{escape(line)}</li>" for line in self._alike())
            parts.append(f"<section><p>{escape(_ALIKE)}</p><ul>{items}</ul></section>")
        if self.sensitivity:
            titles, *quiet = self._quiet_rows()
            told = f"<p>{escape(_QUIET.format(self.sensitivity[0].photos))}</p>"
            parts.append(f"<section>{told}{Table(titles, quiet, '<' * len(titles)).html}</section>")
        return f'<div class="kit-diagnosis">{"".join(parts)}</div>'

    def figure(self) -> Any:
        """Draw how far each number lies beyond its threshold.

        Returns
        -------
        IPython.display.Image
            A PNG with alternative text.
        """
        from IPython.display import Image  # noqa: PLC0415 (only notebooks show figures)
        from matplotlib.figure import Figure  # noqa: PLC0415 (slow to import)

        rows = [
            (f"{finding.cause}: {part.text}", part.value / part.threshold, _COLOURS[part.supports])
            for finding in reversed(self.findings)
            for part in reversed(finding.evidence)
            if part.threshold and part.value > 0
        ]
        figure = Figure(figsize=(9, 0.4 * max(len(rows), 1) + 1))
        axes = figure.subplots()
        for place, (_, ratio, colour) in enumerate(rows):
            axes.plot(ratio, place, "o", color=colour)
        axes.axvline(1, color="#6b7280", linestyle=":")
        axes.set_xscale("log")
        labels = [label if len(label) <= 80 else f"{label[:79]}…" for label, *_ in rows]
        axes.set_yticks(range(len(rows)), labels)
        axes.set_xlabel("value over threshold (red speaks for the cause, blue against it)")
        png = BytesIO()
        figure.savefig(png, format="png", dpi=100, bbox_inches="tight")
        return Image(data=png.getvalue(), format="png", alt=self.text())  # type: ignore[no-untyped-call]

    def _alike(self) -> list[str]:
        return [f"{one.change} ({one.cause}): {one.difference:.3f}" for one in self.equivalents]

    def _quiet_rows(self) -> Iterator[tuple[str, ...]]:
        yield "change", "answers that change", "mean spread", "largest", "moved most by"
        for row in self.sensitivity:
            spread = f"{row.typical:.3f}", f"{row.largest:.3f}"
            yield row.name.replace("_", " "), f"{row.changed} of {row.photos}", *spread, row.worst

    def _headline(self) -> str:
        pictures = f"{self.photos} picture{'' if self.photos == 1 else 's'}"
        return f"{self.classifier} on {pictures}: {self.conclusion}."

    def _judged(self) -> list[str]:
        return [self.judged_by] if self.judged_by else []

    _repr_html_, __str__ = html, text

    def __repr__(self) -> str:
        told = ", ".join(f"{one.cause} {one.verdict}" for one in self.findings) or "no findings"
        return f"Diagnosis({self.classifier!r}, {self.photos} photos, {self.verdict}: {told})"


def _evidence_table(finding: Finding) -> Table:
    rows = [
        (_SIGNS[part.supports], part.text, *map(_number, (part.value, part.threshold)))
        for part in finding.evidence
    ]
    return Table(("speaks", "measure", "value", "threshold"), rows, "<<>>", heading=1)


def _sentence(part: Evidence) -> str:
    limit = _number(part.threshold)
    return f"{part.text}: {_number(part.value)}{f' (threshold {limit})' if limit else ''}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"
