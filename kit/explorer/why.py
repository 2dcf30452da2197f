"""What *Why?* answers: what each change did, then the diagnosis."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from kit.classifier import Classifier
from kit.diagnosis import Diagnosis, Finding, diagnose
from kit.explorer import view as views
from kit.explorer.view import Settings, View, called, changed_settings, neutral, percent
from kit.perturbation import PARAMETERS
from kit.preprocessing import Preprocessing
from kit.preprocessing.faults import CATALOGUE, STEPS

Compute = Callable[[Settings], View]


@dataclass(frozen=True, eq=False)
class Change:
    """Something that was changed, or several of them, and what the answer is without.

    Attributes
    ----------
    keys, words
        Settings that are taken back, those that only steer them left out; and what was changed, for people.
    without
        The view without it.
    regains, gain
        Whether the answer that ought to be there, or that of the untouched photo, comes back without it, and
        by how much its probability rises, -1..1.
    """

    keys: tuple[str, ...]
    words: str
    without: View
    regains: bool
    gain: float


def because(view: View, compute: Compute) -> dict[str, Any]:
    """Return what the changes did to the answer, as the page shows it."""
    found = changes(view, compute)
    return {"headline": headline(found, view), "lines": told(found, view), "settings": view.settings}


def changes(view: View, compute: Compute) -> tuple[Change, ...]:
    """Take back each change by itself, and where none of them regains the answer, as few together as will do.

    Returns
    -------
    tuple of Change
        The one that matters most first. One with several keys stands first where only together they regain
        the answer.
    """
    changed = [key for key in changed_settings(view.settings) if key != "seed"]
    found = sorted(
        (_without(view, (key,), compute) for key in changed),
        key=lambda one: (one.regains, one.without.answer != view.answer, one.gain),
        reverse=True,
    )
    if not view.altered or len(found) < 2 or found[0].regains:
        return tuple(found)
    together = _without(view, tuple(key for one in found for key in one.keys), compute)
    for one in reversed(found):
        fewer = _without(view, tuple(key for key in together.keys if key not in one.keys), compute)
        if fewer.regains:
            together = fewer
    return (together, *found)


def told(found: Sequence[Change], view: View) -> list[dict[str, Any]]:
    """Return a line for each change, with the settings that take it back."""
    lines = []
    for change in found:
        still = "still " if change.without.answer == view.answer else ""
        now = f"{still}{called(change.without)}"
        text = f"{change.words}: without it {now}"
        if len(change.keys) > 1:
            text = f"Only together: {change.words}: without them {now}"
        back = {key: value for key, value in change.without.settings.items() if value != view.settings[key]}
        matters = change.regains or (not view.altered and not still)
        lines.append({"text": text, "settings": back, "matters": matters})
    return lines


def headline(found: Sequence[Change], view: View) -> str:
    """Say what the changes come to, in one sentence; empty where nothing was changed."""
    if not found or (len(found) == 1 and view.altered):
        return ""  # its line says it
    if not view.altered:
        what = "What was changed leaves" if len(found) == 1 else "All changes together leave"
        known = f"{what} the answer: untouched it is {called(view.untouched)}."
        other = next((one for one in found if one.without.answer != view.answer), None)
        yet = "" if other is None else f" Yet without {other.words} it is {called(other.without)}."
        return f"{known}{yet}"
    first = found[0]
    alone = [one for one in found if one.regains and len(one.keys) == 1]
    if len(alone) > 1:
        answers = list(dict.fromkeys(one.without.answer for one in alone))
        again = " again" if answers == [view.untouched.answer] else ""
        told = " or ".join("none of these" if one is None else view.names[one] for one in answers)
        return f"The changes work together: with any of these {len(alone)} taken back it is {told}{again}."
    decides, them = ("together decide", "them") if len(first.keys) > 1 else ("decides", "it")
    return f"{first.words} {decides} this answer: without {them} {called(first.without)}."


def words(key: str, settings: Settings) -> str:
    """Return a change in words."""
    if key in PARAMETERS:
        item, value = PARAMETERS[key], settings[key]
        return item.label if item.kind == "switch" else f"{item.label} {value:g} {item.unit}".strip()
    if key == "fix":
        return "The fix that was found"
    return f"{STEPS[key]}: {CATALOGUE[settings[key]].title}"


def _without(view: View, keys: tuple[str, ...], compute: Compute) -> Change:
    plain = neutral(view.settings["photo"])
    taken = (*keys, *(name for name, item in PARAMETERS.items() if item.of in keys))
    without = compute(view.settings | {key: plain[key] for key in taken})
    target = view.untouched.top if view.label in {None, view.top} else view.label
    gain = float(without.probabilities[target] - view.probabilities[target])
    regains = view.altered and without.answer in {view.untouched.answer, target} - {view.answer}
    named = " and ".join(words(key, view.settings) for key in keys)
    return Change(keys, named, without, regains, gain)


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
        if views.preprocessing_of(settings | back, base) == right:
            return back
    return None if settings["fix"] else dict.fromkeys(STEPS, "") | {"fix": True}


def answer(diagnosis: Diagnosis, view: View) -> tuple[dict[str, Any], list[bytes]]:
    """Return the diagnosis of what is shown as the page shows it, with two pictures where a fix is known.

    The pictures, uint8 RGB, are what the network gets and what it was trained to see.
    """
    right = diagnosis.corrected
    fixed = None if right is None else view.with_preprocessing(right)
    fix = diagnosis.best.fix if diagnosis.best else None
    shown = [finding for finding in diagnosis.findings if finding.verdict in {"named", "possible"}]
    dismissed = [plain(finding.cause) for finding in diagnosis.findings if finding.verdict == "ruled_out"]
    spoils = fixed is not None and fixed.wrong and not view.wrong
    back = None if right is None or spoils else remedy(view.settings, view.base, right)
    pair = [] if right is None else [view.tensor, right.apply(view.photo)]
    pictures = [(right or view.base).picture(tensor) for tensor in pair]
    content = {
        "headline": _headline(diagnosis, view, fixed),
        "notes": list(map(plain, diagnosis.notes)),
        "judged": plain(diagnosis.judged_by),
        "findings": [_row(finding, view) for finding in shown],
        # Over an answer that is known to be wrong nothing is dismissed.
        "ruledOut": [] if view.wrong or view.altered else dismissed,
        "fix": "" if fix is None else plain(fix.text),
        "code": "" if fix is None else fix.code,
        "apply": back,
        "pictures": [picture.shape[:2] for picture in pictures],
    }
    return content, [picture.tobytes() for picture in pictures]


def plain(text: str) -> str:
    """Return a text without the names and units that only people who wrote it know."""
    text = re.sub(r",? in nats\b", "", text)
    text = re.sub(r" \(\w+ put right\)", "", text)
    return re.sub(r"\b[a-z]+(?:_[a-z]+)+\b", lambda found: found[0].replace("_", " "), text)


def _headline(diagnosis: Diagnosis, view: View, fixed: View | None) -> str:
    causes = {
        verdict: " and ".join(plain(one.cause) for one in diagnosis.findings if one.verdict == verdict)
        for verdict in ("named", "possible")
    }
    if causes["named"]:
        return _named(causes["named"], view, fixed)
    besides = bool(changed_settings(view.settings))
    if causes["possible"] and (view.wrong or view.altered):
        return f"{'Perhaps besides' if besides else 'Not certain; perhaps'}: {causes['possible']}"
    if view.altered:
        return "Measuring finds nothing besides what was changed"
    if view.wrong:
        return _hard(view)
    conclusion = plain(diagnosis.conclusion)
    if besides:
        return f"Besides what was changed: {conclusion}"
    return f"{conclusion[0].upper()}{conclusion[1:]}"


def _named(cause: str, view: View, fixed: View | None) -> str:
    """Say what is named no stronger than what putting it right does to this very answer."""
    questioned = view.wrong or view.altered
    if fixed is None:
        # Whatever was changed about an answer that stands has not made it.
        stands = view.reference is not None and not view.altered
        return f"{'Found in the picture' if stands else 'The cause'}: {cause}"
    if questioned and fixed.answer in {view.label, view.untouched.answer} - {view.answer}:
        return f"The cause: {cause}"
    now = called(fixed)
    if fixed.answer == view.answer:
        return f"Not as in training: {cause}. Put right, it is still {now}"
    if fixed.wrong and not view.wrong:
        return f"The answer is right, though the statistics speak for: {cause}. Put right, it would be {now}"
    return f"{'Not' if questioned else 'Perhaps not'} as in training: {cause}. Put right, it is {now}"


def _hard(view: View) -> str:
    """Say what a network makes of an untouched picture that it gets wrong."""
    label = view.label or 0
    named, wanted = view.names[view.top], view.names[label]
    top, right = view.probabilities[view.top], view.probabilities[label]
    if view.answer is None:
        return f"Unlike the training pictures to this network, and yet it is {wanted}"
    if right >= max(_ALIKE, top / 4):
        shares = f"{percent(top)} and {percent(right)}"
        return f"A hard picture: to this network {named} and {wanted} look alike ({shares})"
    sees = f"this network sees {named} ({percent(top)}) in it"
    return f"A hard picture: {sees}, and hardly {wanted} ({percent(right)})"


def _row(finding: Finding, view: View) -> dict[str, Any]:
    summary = plain(finding.summary)
    if view.reference is not None and not view.altered:
        # Known by taking everything back.
        summary = re.sub(
            r"; it (most probably|may have) changed the answer\.?$", "; here the answer stands.", summary
        )
    certain = "" if finding.verdict == "named" else "perhaps: "
    return {
        "title": f"{certain}{plain(finding.cause)}",
        "summary": summary,
        "evidence": [list(map(plain, part.cells())) for part in finding.evidence],
    }


class StoppedError(Exception):
    """Somebody has stopped the question."""
