"""The explorer's question "why?": a diagnosis of what is shown, and the settings that put it right."""

from itertools import product
from typing import Any

from kit._reporting import Progress
from kit.classifier import Classifier
from kit.diagnosis import Diagnosis, Finding, diagnose
from kit.explorer.view import Settings, View, preprocessing_of
from kit.preprocessing import Preprocessing
from kit.preprocessing.faults import STEPS


def ask(classifier: Classifier, view: View, progress: Progress = False) -> Diagnosis:
    """Diagnose the picture as it is shown, with the preprocessing in use."""
    in_use = classifier.using(preprocessing_of(view.settings, view.trained))
    labels = None if view.label is None else [view.label]
    return diagnose(in_use, [view.photo], labels, progress=progress)


def remedy(settings: Settings, trained: Preprocessing, right: Preprocessing) -> Settings | None:
    """Return the settings that lead to the preprocessing `right` by putting chosen faults back.

    None where no such settings exist; the fewest changes come first.
    """
    chosen = [step for step in STEPS if settings[step]]
    for keep in sorted(product((True, False), repeat=len(chosen)), key=lambda kept: kept.count(False)):
        back = {step: "" for step, kept in zip(chosen, keep, strict=True) if not kept}
        if preprocessing_of(settings | back, trained) == right:
            return settings | back
    return None


def answer(diagnosis: Diagnosis, view: View) -> dict[str, Any]:
    """Put a diagnosis into the words and numbers that the page shows."""
    fix = diagnosis.best.fix if diagnosis.best else None
    right = None if fix is None else fix.preprocessing
    shown = [finding for finding in diagnosis.findings if finding.verdict in {"named", "possible"}]
    named = " and ".join(_words(finding.cause) for finding in shown if finding.verdict == "named")
    told = diagnosis.conclusion
    headline = f"The cause: {named}" if named else f"{told[0].upper()}{told[1:]}"
    return {
        "headline": headline,
        "notes": list(diagnosis.notes),
        "findings": [_row(finding) for finding in shown],
        "ruledOut": [_words(f.cause) for f in diagnosis.findings if f.verdict == "ruled_out"],
        "fix": "" if fix is None else fix.text,
        "code": "" if fix is None else fix.code,
        "apply": None if right is None else remedy(view.settings, view.trained, right),
    }


def _row(finding: Finding) -> dict[str, Any]:
    return {
        "title": f"{_words(finding.cause)} ({finding.verdict})",
        "summary": finding.summary,
        "evidence": [
            [
                {True: "for", False: "against", None: ""}[part.supports],
                part.text,
                f"{part.value:.3g}",
                "" if part.threshold is None else f"{part.threshold:.3g}",
            ]
            for part in finding.evidence
        ],
    }


def _words(cause: str) -> str:
    return cause.replace("_", " ")
