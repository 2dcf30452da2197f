"""The explorer's question "why?": what was changed, then what can be measured, in plain words."""

import re
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np

from kit.classifier import Classifier
from kit.diagnosis import Diagnosis, Finding, diagnose
from kit.explorer.changes import altered
from kit.explorer.view import Settings, View, preprocessing_of
from kit.explorer.words import percent
from kit.preprocessing import Preprocessing
from kit.preprocessing.faults import STEPS


def ask(classifier: Classifier, view: View, progress: Callable[[str], None]) -> Diagnosis:
    """Diagnose the picture as it is shown, with the preprocessing in use."""
    labels = None if view.label is None else [view.label]
    return diagnose(classifier.using(view.preprocessing), [view.photo], labels, progress=progress)


def remedy(settings: Settings, base: Preprocessing, right: Preprocessing) -> Settings | None:
    """Return the settings that lead to the preprocessing `right`, and change nothing of the picture.

    Chosen faults are taken back from `base`, as few as will do; where that does not lead there, the fix is
    put in use. None where one is in use already.
    """
    chosen = [step for step in STEPS if settings[step]]
    for keep in sorted(product((True, False), repeat=len(chosen)), key=lambda kept: kept.count(False)):
        back = {step: "" for step, kept in zip(chosen, keep, strict=True) if not kept}
        if preprocessing_of(settings | back, base) == right:
            return settings | back
    return None if settings["fix"] else settings | dict.fromkeys(STEPS, "") | {"fix": True}


def answer(diagnosis: Diagnosis, view: View, names: Sequence[str]) -> dict[str, Any]:
    """Put a diagnosis into the words and numbers that the page shows."""
    fix = diagnosis.best.fix if diagnosis.best else None
    right = None if fix is None else fix.preprocessing
    shown = [finding for finding in diagnosis.findings if finding.verdict in {"named", "possible"}]
    wrong = (view.label is not None and view.top != view.label) or altered(view)
    return {
        "headline": _headline(diagnosis, view, names),
        "notes": [plain(note) for note in diagnosis.notes],
        "judged": plain(diagnosis.judged_by),
        "findings": [_row(finding) for finding in shown],
        # Over an answer that is known to be wrong nothing is dismissed.
        "ruledOut": [] if wrong else [plain(f.cause) for f in diagnosis.findings if f.verdict == "ruled_out"],
        "fix": "" if fix is None else plain(fix.text),
        "code": "" if fix is None else fix.code,
        "apply": None if right is None else remedy(view.settings, view.base, right),
    }


def beside(view: View, right: Preprocessing) -> tuple[Any, Any]:
    """Return what the network gets, and what it was trained to see: uint8, (H, W, 3), read by `right`."""
    gets, sees = right.picture(view.tensor), right.picture(right.apply(view.photo))
    return np.ascontiguousarray(gets), np.ascontiguousarray(sees)


def plain(text: str) -> str:
    """Return a text without the names and units that only people who wrote it know."""
    text = re.sub(r",? in nats\b", "", text)
    text = re.sub(r" \(\w+ put right\)", "", text)
    return re.sub(r"\b[a-z]+(?:_[a-z]+)+\b", lambda found: found[0].replace("_", " "), text)


def _headline(diagnosis: Diagnosis, view: View, names: Sequence[str]) -> str:
    named = [finding for finding in diagnosis.findings if finding.verdict == "named"]
    if named:
        return f"The cause: {' and '.join(plain(finding.cause) for finding in named)}"
    likely = [finding for finding in diagnosis.findings if finding.verdict == "possible"]
    if view.label is not None and view.top != view.label and not altered(view):
        right = view.probabilities[view.label]
        if likely:
            return f"Not certain; perhaps {' or '.join(plain(finding.cause) for finding in likely)}"
        return (
            f"A hard picture: to this network {names[view.top]} and {names[view.label]} look alike"
            f" ({percent(view.probabilities[view.top])} and {percent(right)})"
            if right >= view.probabilities[_second(view)] or right >= 0.1
            else f"A hard picture: this network sees {names[view.top]} or {names[_second(view)]} in it,"
            f" and hardly {names[view.label]} ({percent(right)})"
        )
    if altered(view):
        return "Nothing besides what was changed was found"
    conclusion = plain(diagnosis.conclusion)
    return f"{conclusion[0].upper()}{conclusion[1:]}"


def _second(view: View) -> int:
    return int(np.argsort(-view.probabilities, kind="stable")[1])


def _row(finding: Finding) -> dict[str, Any]:
    certain = "" if finding.verdict == "named" else "perhaps: "
    return {
        "title": f"{certain}{plain(finding.cause)}",
        "summary": plain(finding.summary),
        "evidence": [
            [
                {True: "for", False: "against", None: "told"}[part.supports],
                plain(part.text),
                f"{part.value:.3g}",
                "" if part.threshold is None else f"{part.threshold:.3g}",
            ]
            for part in finding.evidence
        ],
    }
