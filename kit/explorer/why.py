"""The answer to *Why?*: what each change did, then the diagnosis."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kit.classifier.classifier import is_prepared_as_in_training
from kit.diagnosis import Diagnosis, Finding, diagnose
from kit.explorer.bench import Entry, View
from kit.explorer.protocol import Changes, ExplainedContent, Reason
from kit.explorer.settings import (
    FAULTLESS,
    Settings,
    change_words,
    differing,
    neutral,
)
from kit.explorer.texts import (
    percent,
    prediction_text,
)
from kit.perturbation import PARAMETERS
from kit.preprocessing import Preprocessing
from kit.preprocessing.comparison import contrasts
from kit.preprocessing.faults import STEPS
from kit.regression.cases import pin

Compute = Callable[[Settings], View]
FALL = 0.2
"""Probability by which a prediction whose class stays must fall for that to count, or half of it."""
WORDS = {
    "and": " and ",
    "both": "With your changes: {prediction}; without them: {original}.",
    "fix": "Fix it",
    "harmless": "Nothing to undo. Change more, and ask again.",
    "keep": "The prediction is correct as it is: ask about other photos before you change it.",
    "now": "Now {after}",
    "same_class": "Here, the class stays the same; on other photos it may not.",
    "title": "Original photo",
    "title_trained": "Prepared as in training",
    "title_without": "Without {words}",
    "undo": "Undo {words}",
    "undo_all": "Undo these changes",
    "without": "without {words}: {after}",
    "wrong_too": "That is wrong, too: ask about the original photo next, in the notebook.",
}
"""What is said of changes; a page without Python has it from here."""
HARD = (
    "Check its label. If many photos are predicted wrong, diagnose them together"
    " (kit.diagnose); else train on more such images."
)
CLEAN = "Ask about a photo whose prediction is wrong."
LABEL = "If this prediction is wrong, label the photo, and others, too."


@dataclass(frozen=True, eq=False)
class Change:
    """Something that was changed, or several of them, and the prediction without.

    Attributes
    ----------
    keys, words
        Settings that are undone, those that only steer them left out; and what was changed, for people.
    without
        The view without it.
    restores, gain
        Whether the prediction `is_spoilt` no more without it; and by how much the probability of the
        correct class, or of the one of the original photo, rises, -1..1.
    """

    keys: tuple[str, ...]
    words: str
    without: View
    restores: bool
    gain: float


def is_spoilt(view: View) -> bool:
    """Whether the changes changed the prediction for the worse, or took much of its probability."""
    helped = view.untouched.wrong and not view.wrong
    return not helped and _is_other_or_weaker(view, view.untouched)


def _is_other_or_weaker(view: View, compared: View) -> bool:
    """Whether another class is predicted, or the same with much less of its probability."""
    probability_compared = compared.probabilities[compared.top]
    probability_here = view.probabilities[compared.top]
    has_fallen = (
        probability_compared - probability_here > FALL
        # As in `#isWorse` of page/reasons.js.
        or probability_here <= probability_compared / 2
    )
    return bool(has_fallen or view.predicted_class != compared.predicted_class)


def because(view: View, compute: Compute) -> tuple[Changes, list[bytes]]:
    """Return what the changes did to the prediction, as the page shows it, with the images of `Reason`."""
    changes_made = changes(view, compute)
    # A mistake that does no harm here, or even helps (a gain below 0), does harm elsewhere; one that does
    # nothing to this photo (a gain of 0) is no answer.
    without_mistakes = {
        key: ""
        for change in changes_made
        for key in change.keys
        if key in STEPS and change.gain
    }
    # What a person's own code does may be the mistake, so that undoing their change says nothing of training.
    view_as_trained = None
    if without_mistakes and is_prepared_as_in_training(view.bench.classifier):
        view_as_trained = compute(view.settings | without_mistakes)
    reason = _reason("")
    image_buffers: list[bytes] = []
    # Where the prediction stays spoilt without the mistakes, another change is to blame.
    if view_as_trained and not (is_spoilt(view) and is_spoilt(view_as_trained)):
        reason, image_buffers = _preprocessing_reason(
            view, view_as_trained, without_mistakes
        )
    elif changes_made:
        reason, image_buffers = _changes_reason(view, changes_made)
    lines = [
        _capital(_clause(change)) for change in changes_made if len(changes_made) > 1
    ]
    message: Changes = {**reason, "lines": lines, "settings": view.settings}
    return message, image_buffers


def _reason(headline: str, advice: str = "") -> Reason:
    return {
        "headline": headline,
        "advice": advice,
        "button": "",
        "apply": None,
        "fixed": None,
        "guilty": [],
        "pictures": [],
    }


def _with_pictures(
    reason: Reason, view: View, compared: View, title: str
) -> tuple[Reason, list[bytes]]:
    """Put a view beside the one it is compared with in a reason, and return their images."""
    # Both tensors are read back by the preprocessing that the network expects.
    images = [
        shot.with_heat_map(compared.faultless_preprocessing.image(shot.tensor))
        for shot in (view, compared)
    ]
    reason["pictures"] = [image.shape[:2] for image in images]
    reason["fixed"] = {
        "before": prediction_text(view),
        "after": prediction_text(compared),
        "mark": WORDS["now"].format(after=prediction_text(compared)),
        "title": title,
    }
    if compared.wrong and view.wrong:
        reason["advice"] = WORDS["wrong_too"]
    elif compared.wrong:
        # What would be applied makes a correct prediction wrong.
        reason["apply"] = None
        reason["advice"] = WORDS["keep"]
    return reason, [image.tobytes() for image in images]


def _changes_reason(
    view: View, changes_made: Sequence[Change]
) -> tuple[Reason, list[bytes]]:
    """Say what the person's own changes did; the first of them is the one to undo."""
    reason = _reason(_effect_of_changes(view, changes_made), WORDS["harmless"])
    if not is_spoilt(view):
        return _with_pictures(reason, view, view.untouched, WORDS["title"])
    # It matters most, even where undoing it is not enough.
    first = changes_made[0]
    after = first.without
    # A step that is done otherwise than in code that may be wrong itself may be right.
    can_blame_steps = view.label is not None or is_prepared_as_in_training(
        view.bench.classifier
    )
    guilty = {
        "perturbation" if key in PARAMETERS else key
        for change in changes_made
        if change.restores
        for key in change.keys
        if key in PARAMETERS or can_blame_steps
    }
    undo_words = WORDS["undo_all" if len(first.keys) > 1 else "undo"]
    reason |= {
        "advice": "",
        "button": undo_words.format(words=first.words),
        "guilty": sorted(guilty),
        "apply": differing(after.settings, view.settings),
    }
    title = WORDS["title_without"].format(words=first.words)
    return _with_pictures(reason, view, after, title)


def _effect_of_changes(view: View, changes_made: Sequence[Change]) -> str:
    """Say in a sentence what the changes did."""
    if not is_spoilt(view):
        return WORDS["both"].format(
            prediction=prediction_text(view), original=prediction_text(view.untouched)
        )
    restoring = [change for change in changes_made if change.restores]
    return _capital("; ".join(map(_clause, restoring or changes_made[:1])) + ".")


def _clause(change: Change) -> str:
    after = prediction_text(change.without)
    return WORDS["without"].format(words=change.words, after=after)


def _capital(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}"


def changes(view: View, compute: Compute) -> tuple[Change, ...]:
    """Undo each change by itself, and where none of them is enough, as few together as will do.

    Returns the one that matters most first; one with several keys comes first where no single one is enough.
    """
    keys = [key for key in view.effective_changes if key != "seed"]
    singles = sorted(
        (_undone(view, (key,), compute) for key in keys),
        key=lambda change: (change.restores, change.gain),
        reverse=True,
    )
    if not is_spoilt(view) or len(singles) < 2 or singles[0].restores:
        return tuple(singles)
    keys_by_effect = [key for change in singles for key in change.keys]
    # It comes first also where not even all together restore the prediction.
    together = _undone(view, tuple(keys_by_effect), compute)
    # Leave out whatever is not needed, what matters least first.
    for key in reversed(keys_by_effect):
        fewer = tuple(other for other in together.keys if other != key)
        undoing_fewer = _undone(view, fewer, compute)
        if undoing_fewer.restores:
            together = undoing_fewer
    return (together, *singles)


def _undone(view: View, keys: tuple[str, ...], compute: Compute) -> Change:
    # As `#change` of page/reasons.js does. What only steers them, such as an angle, is undone, but not named.
    steering_keys = [
        name for name, parameter in PARAMETERS.items() if parameter.of in keys
    ]
    neutral_settings = neutral(view.settings["photo"])
    undone_settings = {key: neutral_settings[key] for key in (*keys, *steering_keys)}
    without = compute(view.settings | undone_settings)
    target_class = view.untouched.top if view.label is None else view.label
    return Change(
        keys=keys,
        words=WORDS["and"].join(change_words(key, view.settings) for key in keys),
        without=without,
        restores=is_spoilt(view) and not is_spoilt(without),
        gain=float(
            without.probabilities[target_class] - view.probabilities[target_class]
        ),
    )


def diagnose_view(view: View, progress: Callable[[str], None]) -> Diagnosis:
    """Diagnose the image as it is shown, with the preprocessing in use."""
    return diagnose(
        view.bench.classifier.using(view.preprocessing),
        [view.photo],  # after the perturbation
        [view.label],
        progress=progress,
    )


def explanation(
    diagnosis: Diagnosis, view: View, answer_from_changes: tuple[Reason, list[bytes]]
) -> tuple[ExplainedContent, list[bytes]]:
    """Return the diagnosis as the page shows it, with the images of `Reason`.

    `answer_from_changes` is that of `because`: what a person's own changes have done.
    """
    reason, image_buffers = _best_reason(diagnosis, view, answer_from_changes)
    # The code is shown by itself, as it is to be copied.
    findings = [
        replace(finding, fix=replace(finding.fix, code=""))
        for finding in diagnosis.findings
    ]
    details = plain(replace(diagnosis, findings=tuple(findings)).details().text())
    return {**reason, "code": diagnosis.fix_code, "details": details}, image_buffers


def _best_reason(
    diagnosis: Diagnosis, view: View, answer_from_changes: tuple[Reason, list[bytes]]
) -> tuple[Reason, list[bytes]]:
    """Return the most that can be said of this prediction, with the images of `Reason`."""
    fixed = None if diagnosis.best is None else diagnosis.best.fix.preprocessing
    if fixed:
        # Nothing is left to apply where the fix is on.
        settings_to_apply = None if view.settings["fix"] else FAULTLESS | {"fix": True}
        if _only_undoes_choices(view, fixed):
            # Then what undoing their own changes does says more than the diagnosis.
            if is_prepared_as_in_training(view.bench.classifier):
                return answer_from_changes
            # Its keys are the steps that differ; "" takes back the fault that is chosen there.
            settings_to_apply = dict.fromkeys(contrasts(view.preprocessing, fixed), "")
        after = _view_with(view, fixed)
        return _preprocessing_reason(view, after, settings_to_apply)
    in_image = None if is_spoilt(view) else _reason_in_image(diagnosis, view)
    return (in_image, []) if in_image else answer_from_changes


def _reason_in_image(diagnosis: Diagnosis, view: View) -> Reason | None:
    """Say what an image suffers from that no change has spoilt; None where its changes say it all."""
    # Of a prediction not known to be wrong, as without a label, what was changed says it all.
    if view.effective_changes and not view.wrong:
        return None
    best = diagnosis.best
    if best:
        return _reason(diagnosis.headline, plain(best.fix.text))
    for finding in diagnosis.findings:
        if view.wrong and finding.verdict == "possible":
            return _reason(f"Perhaps: {finding.summary}", plain(finding.fix.text))
    if view.wrong and view.label is not None:
        label_name = view.bench.classifier.class_names[view.label]
        label = f"{label_name}, {percent(view.probabilities[view.label])}"
        return _reason(
            f"A hard image: {prediction_text(view)}, rather than {label}.", HARD
        )
    advice = CLEAN if diagnosis.clean or view.label is not None else LABEL
    return _reason(diagnosis.headline, diagnosis.limits or advice)


def _preprocessing_reason(
    view: View, after: View, settings_to_apply: Settings | None
) -> tuple[Reason, list[bytes]]:
    """Say how an image is prepared otherwise than in training; the fix is put beside."""
    sentence_of_step = contrasts(view.preprocessing, after.preprocessing)
    advice = "" if _is_other_or_weaker(view, after) else WORDS["same_class"]
    reason = _reason(" ".join(sentence_of_step.values()), advice)
    reason |= {
        "button": WORDS["fix"],
        "apply": settings_to_apply,
        "guilty": list(sentence_of_step),
    }
    return _with_pictures(reason, view, after, WORDS["title_trained"])


def _only_undoes_choices(view: View, fixed: Preprocessing) -> bool:
    """Whether all that is to be fixed was chosen by a person, whose own changes say more."""
    differing_steps = contrasts(view.preprocessing, fixed)
    if is_prepared_as_in_training(view.bench.classifier):
        return all(view.settings.get(step) for step in differing_steps)
    # The steps may also differ by their own code, which undoing their choices leaves.
    undone = view.settings | dict.fromkeys(differing_steps, "")
    return view.bench.preprocessing(undone) == fixed


def _view_with(view: View, fixed: Preprocessing) -> View:
    """Return the view of the same photo, perturbed as it is, with this preprocessing."""
    # As if `fixed` were the usual one, so that nothing is left to undo or to fix.
    return replace(view.bench, usual_preprocessing=fixed).compute_view(
        Entry(view.original, view.label),
        view.settings | FAULTLESS | {"fix": False},
        view.untouched,
    )


def pinned(folder: Path, view: View, best: Finding | None) -> str:
    """Write a case of what is shown, with the fix that is on or that a diagnosis found, and say so."""
    if view.label is None:
        raise ValueError(
            "Expected a label to pin, received none; say what it shows with Label it"
        )
    bench = view.bench
    fix = None if best is None else best.fix.preprocessing
    if view.settings["fix"] and view.preprocessing == bench.fixed_preprocessing:
        fix = view.preprocessing
    # A fix is expected of the classifier from now on, not kept in the case.
    case_path = pin(
        folder,
        bench.classifier.using(fix) if fix else bench.classifier,
        view.original,
        view.label,
        perturbation=view.perturbation,
        preprocessing=None if fix else view.preprocessing,
        fault=bench.preprocessing(view.settings | {"fix": False}) if fix else None,
        cause="" if best is None else best.cause,
    )
    failing = ", which it is not yet" if view.wrong else ""
    label = bench.classifier.class_names[view.label]
    return f"Pinned: {case_path}, expected {label}{failing}"


def plain(text: str) -> str:
    """Return a text without the names and units that only people who wrote it know."""
    # Units of evidence, and names such as channel_order.
    text = re.sub(r",? in nats\b", "", text)
    return re.sub(
        r"\b[a-z]+(?:_[a-z]+)+\b", lambda name: name[0].replace("_", " "), text
    )
