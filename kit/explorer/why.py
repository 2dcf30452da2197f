"""The answer to *Why?*: what each change did, then the diagnosis."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from kit.classifier import Classifier
from kit.diagnosis import STAGES, Diagnosis, Finding, Fix, diagnose
from kit.explorer.bench import View
from kit.explorer.protocol import Cause, Changes, ExplainedContent, Fixed, Line
from kit.explorer.settings import (
    FAULTLESS,
    Settings,
    neutral,
    preprocessing_of,
    step_words,
    words,
)
from kit.explorer.texts import called, percent
from kit.perturbation import PARAMETERS
from kit.preprocessing import Preprocessing
from kit.preprocessing.faults import STEPS

Compute = Callable[[Settings], View]
SAME_TENSOR = 0.02
"""Largest difference between two tensors, as a share of their range, that is none to a model.

Such are (x - 127) / 128 and x / 127.5 - 1.
"""


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


def because(view: View, compute: Compute) -> Changes:
    """Return what the changes did to the prediction, as the page shows it."""
    all_changes = changes(view, compute)
    headline = ""  # the lines say it all
    if all_changes and not view.altered:
        headline = f"Your changes did not change the prediction: untouched it is {called(view.untouched)}."
    guilty = {
        "perturbation" if key in PARAMETERS else key
        for change in all_changes
        if change.regains
        for key in change.keys
    }
    return {
        "headline": headline,
        "lines": [_line(view, change) for change in all_changes],
        "settings": view.settings,
        "guilty": sorted(guilty),
    }


def _line(view: View, change: Change) -> Line:
    without = change.without
    stays = without.answer == view.answer
    prediction = f"{'still ' if stays else ''}{called(without)}"
    if len(change.keys) > 1:
        text = f"Only together: {change.words}: without them {prediction}"
    elif change.keys[0] in STEPS:
        text = f"{change.words}. Fixed: {prediction}"
    else:
        text = f"{change.words}: without it {prediction}"
    return {
        "text": text,
        "settings": {
            key: value
            for key, value in without.settings.items()
            if value != view.settings[key]
        },
        "matters": change.regains or not (view.altered or stays),
        "fixed": fixed(view, without),
    }


def changes(view: View, compute: Compute) -> tuple[Change, ...]:
    """Take back each change by itself, and where none of them is enough, as few together as will do.

    Returns
    -------
    tuple of Change
        The one that matters most first. One with several keys stands first where no single one is enough.
    """
    keys = [key for key in view.changed if key != "seed"]
    singles = sorted(
        (_without(view, (key,), compute) for key in keys),
        key=lambda change: (
            change.regains,
            change.without.answer != view.answer,
            change.gain,
        ),
        reverse=True,
    )
    if not view.altered or len(singles) < 2 or singles[0].regains:
        return tuple(singles)
    by_effect = [key for change in singles for key in change.keys]
    together = _without(view, tuple(by_effect), compute)
    for key in reversed(by_effect):
        fewer = tuple(other for other in together.keys if other != key)
        without_fewer = _without(view, fewer, compute)
        if without_fewer.regains:
            together = without_fewer
    return (together, *singles)


def _without(view: View, keys: tuple[str, ...], compute: Compute) -> Change:
    steering = [name for name, parameter in PARAMETERS.items() if parameter.of in keys]
    untouched = neutral(view.settings["photo"])
    back = {key: untouched[key] for key in (*keys, *steering)}
    without = compute(view.settings | back)
    target = view.untouched.top if view.label in {None, view.top} else view.label
    right = {view.untouched.answer, target} - {view.answer}
    return Change(
        keys=keys,
        words=" and ".join(words(key, view.settings) for key in keys),
        without=without,
        regains=view.altered and without.answer in right,
        gain=float(without.probabilities[target] - view.probabilities[target]),
    )


def fixed(before: View, after: View) -> Fixed:
    """Return the predictions before and after a fix, and what it did, for people."""
    right = before.untouched.answer if before.label is None else before.label
    mark = "changed"
    if after.answer == before.answer:
        mark = "same prediction"
    elif after.answer == right:
        mark = "✓ fixed"
    return {"before": called(before), "after": called(after), "mark": mark}


def ask(
    classifier: Classifier, view: View, progress: Callable[[str], None]
) -> Diagnosis:
    """Diagnose the image as it is shown, with the preprocessing in use."""
    stages = list(STAGES)

    def report(stage: str) -> None:
        progress(f"{stage}, part {stages.index(stage) + 1} of {len(stages)}")

    return diagnose(
        classifier.using(view.preprocessing),
        [view.photo],
        None if view.label is None else [view.label],
        progress=report,
    )


def settings_of_fix(
    settings: Settings, base: Preprocessing, right: Preprocessing
) -> Settings | None:
    """Return the settings to change for the preprocessing `right`; perturbations stay.

    Chosen faults of the steps that differ are taken back from `base`; where that does not lead there, the fix
    is put in use. None where one is in use already.
    """
    guilty = _differing(preprocessing_of(settings, base), right)
    back = {step: "" for step in guilty if settings[step]}
    if preprocessing_of(settings | back, base) == right:
        return back
    return None if settings["fix"] else FAULTLESS | {"fix": True}


def _differing(first: Preprocessing, second: Preprocessing) -> list[str]:
    second_words = step_words(second)
    return [
        step for step, words in step_words(first).items() if words != second_words[step]
    ]


def explanation(
    diagnosis: Diagnosis, view: View
) -> tuple[ExplainedContent, list[bytes]]:
    """Return the diagnosis as the page shows it, with two images where a fix is known.

    The images, uint8 RGB, are what the model gets and what it was trained to see.
    """
    right = _right(diagnosis, view)
    fix = Fix("") if diagnosis.best is None else diagnosis.best.fix
    ruled_out = [
        plain(finding.cause)
        for finding in diagnosis.findings
        if finding.verdict == "ruled_out"
    ]
    message: ExplainedContent = {
        "headline": "",
        "notes": list(map(plain, diagnosis.notes)),
        "judged": plain(diagnosis.judged_by),
        "findings": [
            _cause(finding)
            for finding in diagnosis.findings
            if finding.verdict in {"named", "possible"}
        ],
        # Nothing is ruled out above a prediction that is known to be wrong.
        "ruledOut": [] if view.wrong or view.altered else ruled_out,
        "fix": plain(fix.text),
        "code": fix.code,
        "apply": None,
        "fixed": None,
        "guilty": [],
        "pictures": [],
    }
    if right is None:
        message["headline"] = _headline(diagnosis, view, None)
        return message, []
    after = _prepared(view, right)
    message["headline"] = _headline(diagnosis, view, after)
    if view.wrong or not after.wrong:
        message["apply"] = settings_of_fix(view.settings, view.base, right)
    message["fixed"] = fixed(view, after)
    message["guilty"] = _differing(view.preprocessing, right)
    pictures = [shot.covered(right.image(shot.tensor)) for shot in (view, after)]
    message["pictures"] = [picture.shape[:2] for picture in pictures]
    return message, [picture.tobytes() for picture in pictures]


def _cause(finding: Finding) -> Cause:
    evidence = [list(map(plain, item.cells())) for item in finding.evidence]
    doubt = "" if finding.verdict == "named" else "possible: "
    return {
        "title": f"{doubt}{plain(finding.cause)}",
        "summary": plain(finding.summary),
        "evidence": evidence,
    }


def _right(diagnosis: Diagnosis, view: View) -> Preprocessing | None:
    """Return the preprocessing that the diagnosis found; the one before any fault where that is the same."""
    right = None if diagnosis.best is None else diagnosis.best.fix.preprocessing
    if right is None:
        return None
    fed = view.base.apply(view.photo)
    wanted = right.apply(view.photo)
    if fed.shape != wanted.shape:
        return right
    difference = np.abs(fed - wanted).max()
    return view.base if difference <= SAME_TENSOR * np.ptp(wanted) else right


def _prepared(view: View, right: Preprocessing) -> View:
    """Return the view of the same photo, perturbed as it is, with this preprocessing."""
    return replace(view.bench, trained=right).look(
        view.original,
        view.settings | FAULTLESS | {"fix": False},
        view.untouched,
        view.label,
    )


def plain(text: str) -> str:
    """Return a text without the names and units that only people who wrote it know."""
    text = re.sub(r",? in nats\b", "", text)
    return re.sub(
        r"\b[a-z]+(?:_[a-z]+)+\b", lambda name: name[0].replace("_", " "), text
    )


def _headline(diagnosis: Diagnosis, view: View, after: View | None) -> str:
    named = _causes(diagnosis, "named")
    possible = _causes(diagnosis, "possible")
    if named:
        return _named(named, view, after)
    if possible and (view.wrong or view.altered):
        return f"A possible cause: {possible}"
    if view.altered:
        return "Nothing else stands out: your own changes made this prediction"
    if view.wrong and view.label is not None:
        label = f"{view.names[view.label]}, {percent(view.probabilities[view.label])}"
        return f"A hard image: this model says {called(view)} rather than {label}"
    conclusion = plain(diagnosis.conclusion)
    if view.changed:
        return f"Besides your changes: {conclusion}"
    return f"{conclusion[0].upper()}{conclusion[1:]}"


def _causes(diagnosis: Diagnosis, verdict: str) -> str:
    return " and ".join(
        plain(finding.cause)
        for finding in diagnosis.findings
        if finding.verdict == verdict
    )


def _named(cause: str, view: View, after: View | None) -> str:
    """Name a cause only as firmly as its fix changes this prediction."""
    if after is None:
        # Whatever was changed about a prediction that stays has not made it.
        stays = view.reference is not None and not view.altered
        return f"{'Found in the image' if stays else 'The cause'}: {cause}"
    if after.answer == view.answer:
        return f"Not as in training: {cause}. Fixing it does not change the prediction here"
    spoiled = view.wrong or view.altered
    if spoiled and after.answer in {view.label, view.untouched.answer}:
        return f"The cause: {cause}"
    start = "Not as in training"
    if after.wrong and not view.wrong:
        start = "This prediction is correct, yet not as in training"
    return f"{start}: {cause}. Fixing it gives {called(after)}"
