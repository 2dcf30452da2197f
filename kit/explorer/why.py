"""The answer to *Why?*: what each change did, then the diagnosis."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kit.classifier import Classifier
from kit.diagnosis import STAGES, Diagnosis, Fix, diagnose
from kit.explorer import view as views
from kit.explorer.view import (
    CHOICES,
    Settings,
    View,
    called,
    changed_settings,
    neutral,
    percent,
    words,
)
from kit.perturbation import PARAMETERS
from kit.preprocessing import Preprocessing
from kit.preprocessing.faults import STEPS

Compute = Callable[[Settings], View]


@dataclass(frozen=True, eq=False)
class Change:
    """Something that was changed, or several of them, and the prediction without.

    Attributes
    ----------
    keys, words
        Settings that are taken back, those that only steer them left out; and what was changed, for people.
    without
        The view without it.
    regains, gain
        Whether the correct prediction, or that of the untouched photo, comes back without it, and by how much
        its probability rises, -1..1.
    """

    keys: tuple[str, ...]
    words: str
    without: View
    regains: bool
    gain: float


def because(view: View, compute: Compute) -> dict[str, Any]:
    """Return what the changes did to the prediction, as the page shows it."""
    found = changes(view, compute)
    lines = []
    for change in found:
        still = "still " if change.without.answer == view.answer else ""
        now = f"{still}{called(change.without)}"
        text = f"{change.words}{'. Fixed:' if change.keys[0] in STEPS else ': without it'} {now}"
        if len(change.keys) > 1:
            text = f"Only together: {change.words}: without them {now}"
        back = {
            key: value
            for key, value in change.without.settings.items()
            if value != view.settings[key]
        }
        matters = change.regains or (not view.altered and not still)
        after = fixed(view, change.without)
        lines.append(
            {"text": text, "settings": back, "matters": matters, "fixed": after}
        )
    guilty = [key for one in found if one.regains for key in one.keys]
    stays = f"Your changes did not change the prediction: untouched it is {called(view.untouched)}."
    return {
        "headline": "" if not found or view.altered else stays,  # the lines say it all
        "lines": lines,
        "settings": view.settings,
        "guilty": sorted(
            {"perturbation" if key in PARAMETERS else key for key in guilty}
        ),
    }


def changes(view: View, compute: Compute) -> tuple[Change, ...]:
    """Take back each change by itself, and where none of them is enough, as few together as will do.

    Returns
    -------
    tuple of Change
        The one that matters most first. One with several keys stands first where no single one is enough.
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
        fewer = _without(
            view, tuple(key for key in together.keys if key not in one.keys), compute
        )
        if fewer.regains:
            together = fewer
    return (together, *found)


def fixed(view: View, after: View) -> dict[str, str]:
    """Return the predictions before and after a fix, and what it did, for people."""
    wanted = view.untouched.answer if view.label is None else view.label
    mark = "same prediction" if after.answer == view.answer else "changed"
    if after.answer == wanted != view.answer:
        mark = "✓ fixed"
    return {"before": called(view), "after": called(after), "mark": mark}


def _without(view: View, keys: tuple[str, ...], compute: Compute) -> Change:
    plain = neutral(view.settings["photo"])
    taken = (*keys, *(name for name, item in PARAMETERS.items() if item.of in keys))
    without = compute(view.settings | {key: plain[key] for key in taken})
    target = view.untouched.top if view.label in {None, view.top} else view.label
    gain = float(without.probabilities[target] - view.probabilities[target])
    regains = view.altered and without.answer in {view.untouched.answer, target} - {
        view.answer
    }
    named = " and ".join(words(key, view.settings) for key in keys)
    return Change(keys, named, without, regains, gain)


def ask(
    classifier: Classifier, view: View, progress: Callable[[str], None]
) -> Diagnosis:
    """Diagnose the image as it is shown, with the preprocessing in use."""
    labels, parts = None if view.label is None else [view.label], list(STAGES)
    return diagnose(
        classifier.using(view.preprocessing),
        [view.photo],
        labels,
        progress=lambda part: progress(
            f"{part}, part {parts.index(part) + 1} of {len(parts)}"
        ),
    )


def remedy(
    settings: Settings, base: Preprocessing, right: Preprocessing
) -> Settings | None:
    """Return the settings to change for the preprocessing `right`; perturbations stay.

    Chosen faults of the steps that differ are taken back from `base`; where that does not lead there, the fix
    is put in use. None where one is in use already.
    """
    guilty = _differing(views.preprocessing_of(settings, base), right)
    back = {step: "" for step in guilty if settings[step]}
    if views.preprocessing_of(settings | back, base) == right:
        return back
    return None if settings["fix"] else dict.fromkeys(STEPS, "") | {"fix": True}


def _differing(one: Preprocessing, other: Preprocessing) -> list[str]:
    return [
        step for step in STEPS if CHOICES[step].words(one) != CHOICES[step].words(other)
    ]


def answer(diagnosis: Diagnosis, view: View) -> tuple[dict[str, Any], list[bytes]]:
    """Return the diagnosis as the page shows it, with two images where a fix is known.

    The images, uint8 RGB, are what the model gets and what it was trained to see.
    """
    fix = Fix("") if diagnosis.best is None else diagnosis.best.fix
    right = fix.preprocessing
    if right is not None:
        one, other = view.base.apply(view.photo), right.apply(view.photo)
        # The same to a model, as (x - 127) / 128 and x / 127.5 - 1 are.
        if one.shape == other.shape and np.abs(one - other).max() <= 0.02 * np.ptp(
            other
        ):
            right = view.base
    after = None if right is None else _prepared(view, right)
    dismissed = [
        plain(finding.cause)
        for finding in diagnosis.findings
        if finding.verdict == "ruled_out"
    ]
    spoils = after is not None and after.wrong and not view.wrong
    pair = [] if after is None else [view, after]
    pictures = [each.covered((right or view.base).image(each.tensor)) for each in pair]
    content = {
        "headline": _headline(diagnosis, view, after),
        "notes": list(map(plain, diagnosis.notes)),
        "judged": plain(diagnosis.judged_by),
        "findings": [
            {
                "title": f"{'' if one.verdict == 'named' else 'possible: '}{plain(one.cause)}",
                "summary": plain(one.summary),
                "evidence": [list(map(plain, part.cells())) for part in one.evidence],
            }
            for one in diagnosis.findings
            if one.verdict in {"named", "possible"}
        ],
        # Nothing is ruled out above a prediction that is known to be wrong.
        "ruledOut": [] if view.wrong or view.altered else dismissed,
        "fix": plain(fix.text),
        "code": fix.code,
        "apply": None
        if right is None or spoils
        else remedy(view.settings, view.base, right),
        "fixed": None if after is None else fixed(view, after),
        "guilty": [] if right is None else _differing(view.preprocessing, right),
        "pictures": [picture.shape[:2] for picture in pictures],
    }
    return content, [picture.tobytes() for picture in pictures]


def _prepared(view: View, right: Preprocessing) -> View:
    settings = view.settings | dict.fromkeys(STEPS, "") | {"fix": False}
    return replace(view.bench, trained=right).view(
        view.original, settings, view.untouched, view.label
    )


def plain(text: str) -> str:
    """Return a text without the names and units that only people who wrote it know."""
    text = re.sub(r",? in nats\b", "", text)
    return re.sub(
        r"\b[a-z]+(?:_[a-z]+)+\b", lambda found: found[0].replace("_", " "), text
    )


def _headline(diagnosis: Diagnosis, view: View, after: View | None) -> str:
    causes = {
        verdict: " and ".join(
            plain(one.cause) for one in diagnosis.findings if one.verdict == verdict
        )
        for verdict in ("named", "possible")
    }
    if causes["named"]:
        return _named(causes["named"], view, after)
    if causes["possible"] and (view.wrong or view.altered):
        return f"A possible cause: {causes['possible']}"
    if view.altered:
        return "Nothing else stands out: your own changes made this prediction"
    if view.wrong and view.label is not None:
        wanted = f"{view.names[view.label]}, {percent(view.probabilities[view.label])}"
        return f"A hard image: this model says {called(view)} rather than {wanted}"
    conclusion = plain(diagnosis.conclusion)
    if changed_settings(view.settings):
        return f"Besides your changes: {conclusion}"
    return f"{conclusion[0].upper()}{conclusion[1:]}"


def _named(cause: str, view: View, after: View | None) -> str:
    """Name a cause only as firmly as its fix changes this prediction."""
    if after is None:
        # Whatever was changed about a prediction that stays has not made it.
        stays = view.reference is not None and not view.altered
        return f"{'Found in the image' if stays else 'The cause'}: {cause}"
    if (view.wrong or view.altered) and after.answer in {
        view.label,
        view.untouched.answer,
    } - {view.answer}:
        return f"The cause: {cause}"
    if after.answer == view.answer:
        return f"Not as in training: {cause}. Fixing it does not change the prediction here"
    correct = (
        "This prediction is correct, yet not"
        if after.wrong and not view.wrong
        else "Not"
    )
    return f"{correct} as in training: {cause}. Fixing it gives {called(after)}"
