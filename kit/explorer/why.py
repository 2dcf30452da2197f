"""The explorer's question "why?": what was changed, then what can be measured, in plain words."""

import re
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np

from kit.classifier import Classifier
from kit.diagnosis import Diagnosis, Finding, diagnose
from kit.explorer.changes import altered
from kit.explorer.view import Settings, View, changed_settings, preprocessing_of
from kit.explorer.words import called, percent
from kit.preprocessing import Preprocessing
from kit.preprocessing.faults import STEPS

_ALIKE = 0.1
"""Least probability of a class that a network is said to see in a picture."""


def ask(classifier: Classifier, view: View, progress: Callable[[str], None]) -> Diagnosis:
    """Diagnose the picture as it is shown, with the preprocessing in use."""
    labels = None if view.label is None else [view.label]
    return diagnose(classifier.using(view.preprocessing), [view.photo], labels, progress=progress)


def remedy(settings: Settings, base: Preprocessing, right: Preprocessing) -> Settings | None:
    """Return the settings to change for the preprocessing `right`; those of the picture are none of them.

    Chosen faults are taken back from `base`, as few as will do; where that does not lead there, the fix is
    put in use. None where one is in use already.
    """
    chosen = [step for step in STEPS if settings[step]]
    for keep in sorted(product((True, False), repeat=len(chosen)), key=lambda kept: kept.count(False)):
        back = {step: "" for step, kept in zip(chosen, keep, strict=True) if not kept}
        if preprocessing_of(settings | back, base) == right:
            return back
    return None if settings["fix"] else dict.fromkeys(STEPS, "") | {"fix": True}


def answer(
    diagnosis: Diagnosis, view: View, names: Sequence[str], fixed: View | None = None
) -> dict[str, Any]:
    """Put a diagnosis into the words and numbers that the page shows.

    Parameters
    ----------
    diagnosis
        Of what is shown.
    view
        What is shown.
    names
        Of the classes.
    fixed
        The same picture with the preprocessing that was named; None where none was.
    """
    fix = diagnosis.best.fix if diagnosis.best else None
    shown = [finding for finding in diagnosis.findings if finding.verdict in {"named", "possible"}]
    back = None if fixed is None else remedy(view.settings, view.base, fixed.preprocessing)
    spoils = fixed is not None and fixed.wrong and not view.wrong and view.label is not None
    return {
        "headline": _headline(diagnosis, view, names, fixed),
        "notes": [plain(note) for note in diagnosis.notes],
        "judged": plain(diagnosis.judged_by),
        "findings": [_row(finding, view) for finding in shown],
        # Over an answer that is known to be wrong nothing is dismissed.
        "ruledOut": []
        if view.wrong or altered(view)
        else [plain(f.cause) for f in diagnosis.findings if f.verdict == "ruled_out"],
        "fix": "" if fix is None else plain(fix.text),
        "code": "" if fix is None else fix.code,
        "apply": None if spoils else back,
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


def _headline(diagnosis: Diagnosis, view: View, names: Sequence[str], fixed: View | None) -> str:
    causes = {
        verdict: " and ".join(plain(one.cause) for one in diagnosis.findings if one.verdict == verdict)
        for verdict in ("named", "possible")
    }
    if causes["named"]:
        return _named(causes["named"], view, names, fixed)
    besides = bool(changed_settings(view.settings))
    if causes["possible"] and (view.wrong or altered(view)):
        return f"{'Perhaps besides' if besides else 'Not certain; perhaps'}: {causes['possible']}"
    if altered(view):
        return "Measuring finds nothing besides what was changed"
    if view.wrong:
        return _hard(view, names)
    conclusion = plain(diagnosis.conclusion)
    if besides:
        return f"Besides what was changed: {conclusion}"
    return f"{conclusion[0].upper()}{conclusion[1:]}"


def _named(cause: str, view: View, names: Sequence[str], fixed: View | None) -> str:
    """Say what is named no stronger than what putting it right does to this very answer."""
    questioned = view.wrong or altered(view)
    if fixed is None:
        # Whatever was changed about an answer that stands has not made it.
        stands = view.reference is not None and not altered(view)
        return f"{'Found in the picture' if stands else 'The cause'}: {cause}"
    if questioned and fixed.answer in {view.label, view.untouched.answer} - {view.answer}:
        return f"The cause: {cause}"
    now = called(fixed, names)
    if fixed.answer == view.answer:
        return f"Not as in training: {cause}. Put right, it is still {now}"
    if fixed.wrong and not view.wrong and view.label is not None:
        return f"The answer is right, though the statistics speak for: {cause}. Put right, it would be {now}"
    return f"{'Not' if questioned else 'Perhaps not'} as in training: {cause}. Put right, it is {now}"


def _hard(view: View, names: Sequence[str]) -> str:
    """Say what a network makes of an untouched picture that it gets wrong."""
    label = view.label or 0
    top, right = view.probabilities[view.top], view.probabilities[label]
    second = int(np.argsort(-view.probabilities, kind="stable")[1])
    if view.answer is None:
        return f"Unlike the training pictures to this network, and yet it is {names[label]}"
    if right >= max(_ALIKE, top / 4):
        shares = f"{percent(top)} and {percent(right)}"
        return f"A hard picture: to this network {names[view.top]} and {names[label]} look alike ({shares})"
    if second != label and view.probabilities[second] >= _ALIKE:
        either = f"{names[view.top]} or {names[second]}"
        return (
            f"A hard picture: this network sees {either} in it, and hardly {names[label]} ({percent(right)})"
        )
    sure = f"{names[view.top]} ({percent(top)})"
    return f"A hard picture: this network sees {sure} in it, and hardly {names[label]} ({percent(right)})"


def _row(finding: Finding, view: View) -> dict[str, Any]:
    summary = plain(finding.summary)
    if view.reference is not None and not altered(view):
        # Known by taking everything back.
        summary = re.sub(
            r"; it (most probably|may have) changed the answer\.?$", "; here the answer stands.", summary
        )
    certain = "" if finding.verdict == "named" else "perhaps: "
    return {
        "title": f"{certain}{plain(finding.cause)}",
        "summary": summary,
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
