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
from kit.perturbation.conditions import IMAGE_CAUSES
from kit.preprocessing import Preprocessing
from kit.preprocessing.comparison import contrasts
from kit.preprocessing.faults import STEPS
from kit.regression.cases import pin

ViewOfSettings = Callable[[Settings], View]
ReasonWithImages = tuple[Reason, list[bytes]]
"""The bytes are those of the images whose sizes the reason has."""
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
HARD_IMAGE_ADVICE = (
    "Check its label. If many photos are predicted wrong, diagnose them together"
    " (kit.diagnose); else train on more such images."
)
OTHER_PHOTO_ADVICE = "Ask about a photo whose prediction is wrong."
CAUSES_IN_IMAGE = {*IMAGE_CAUSES, "out_of_distribution"}
"""What changes of an image may bring about; any other cause is there without them, too."""
LABEL_ADVICE = "If this prediction is wrong, label the photo, and others, too."


@dataclass(frozen=True, eq=False)
class Change:
    """Something that was changed, or several of them, and the prediction without.

    Attributes
    ----------
    keys, words
        Settings that are undone, those that only steer them left out; and what was changed, for people.
    view_without
        The view without it.
    restores_prediction, probability_gain
        Whether the prediction `is_spoilt_by_changes` no more without it; and by how much the probability of
        the correct class, or of the one of the original photo, rises, -1..1.
    """

    keys: tuple[str, ...]
    words: str
    view_without: View
    restores_prediction: bool
    probability_gain: float


def is_spoilt_by_changes(view: View) -> bool:
    """Whether the changes changed the prediction for the worse, or took much of its probability."""
    helped = view.untouched.wrong and not view.wrong
    return not helped and _predicts_other_or_weaker(view, view.untouched)


def _predicts_other_or_weaker(view: View, baseline: View) -> bool:
    """Whether another class is predicted, or the same with much less of its probability."""
    # Both are the probability of the class that is predicted for the baseline.
    baseline_probability = baseline.probabilities[baseline.top]
    probability_here = view.probabilities[baseline.top]
    has_fallen = (
        baseline_probability - probability_here > FALL
        # As in `#isWorse` of page/reasons.js.
        or probability_here <= baseline_probability / 2
    )
    return bool(has_fallen or view.predicted_class != baseline.predicted_class)


def explain_changes(
    view: View, view_of_settings: ViewOfSettings
) -> tuple[Changes, list[bytes]]:
    """Return what the changes did to the prediction, as the page shows it, with the images of `Reason`."""
    changes_made = ranked_changes(view, view_of_settings)
    # The faults that were chosen for steps of the preprocessing. One that helps this photo (a gain below 0)
    # harms others, so it counts, too; one that changes nothing here (a gain of 0) explains nothing.
    settings_without_faults = {
        key: ""
        for change in changes_made
        for key in change.keys
        if key in STEPS and change.probability_gain
    }
    # Code that prepares images in its own way may be wrong itself, also without the faults.
    view_as_trained = None
    if settings_without_faults and is_prepared_as_in_training(view.bench.classifier):
        view_as_trained = view_of_settings(view.settings | settings_without_faults)
    is_correct = view.label is not None and not view.wrong
    # Known at once; what a diagnosis names takes its place later.
    reason = _reason_with_text_only("", OTHER_PHOTO_ADVICE if is_correct else "")
    image_buffers: list[bytes] = []
    # Where the prediction stays spoilt without the faults, another change is to blame.
    if view_as_trained and not (
        is_spoilt_by_changes(view) and is_spoilt_by_changes(view_as_trained)
    ):
        reason, image_buffers = _preprocessing_reason(
            view, view_as_trained, settings_without_faults
        )
    elif changes_made:
        reason, image_buffers = _changes_reason(view, changes_made)
    # What a single change did is in the headline.
    lines = [
        _capital(_clause_on_change(change))
        for change in changes_made
        if len(changes_made) > 1
    ]
    message: Changes = {**reason, "lines": lines, "settings": view.settings}
    return message, image_buffers


def _reason_with_text_only(headline: str, advice: str = "") -> Reason:
    return {
        "headline": headline,
        "advice": advice,
        "button": "",
        "apply": None,  # settings that the button would set
        "fixed": None,  # texts on the prediction after that
        "guilty": [],  # chips of the page that are marked as the cause
        "pictures": [],  # sizes of the images before and after
    }


def _with_pictures(
    reason: Reason, view: View, view_beside: View, title_beside: str
) -> ReasonWithImages:
    """Put a view beside the one it is compared with in a reason, and return their images."""
    # `view_beside` is the view with a fault or change undone, or the original photo. Both are shown as the
    # network takes them: as if prepared without faults.
    images = [
        shown.with_heat_map(view_beside.faultless_preprocessing.image(shown.tensor))
        for shown in (view, view_beside)
    ]
    reason["pictures"] = [image.shape[:2] for image in images]
    reason["fixed"] = {
        "before": prediction_text(view),
        "after": prediction_text(view_beside),
        # Said once the button was pressed.
        "mark": WORDS["now"].format(after=prediction_text(view_beside)),
        "title": title_beside,
    }
    if view_beside.wrong and view.wrong:
        reason["advice"] = WORDS["wrong_too"]
    elif view_beside.wrong:
        # The button would make a correct prediction wrong, so the page shows none.
        reason["apply"] = None
        reason["advice"] = WORDS["keep"]
    return reason, [image.tobytes() for image in images]


def _changes_reason(view: View, changes_made: Sequence[Change]) -> ReasonWithImages:
    """Say what the person's own changes did; the first of them is the one to undo."""
    headline = _sentence_on_changes(view, changes_made)
    reason = _reason_with_text_only(headline, WORDS["harmless"])
    if not is_spoilt_by_changes(view):
        return _with_pictures(reason, view, view.untouched, WORDS["title"])
    # The first one matters most, even where undoing it is not enough.
    change_to_undo = changes_made[0]
    # Where the code before the change may be wrong, the changed step may be right; only a label tells.
    can_blame_steps = view.label is not None or is_prepared_as_in_training(
        view.bench.classifier
    )
    # All perturbations share one chip of the page; each step of the preprocessing has its own.
    guilty = {
        "perturbation" if key in PARAMETERS else key
        for change in changes_made
        if change.restores_prediction
        for key in change.keys
        if key in PARAMETERS or can_blame_steps
    }
    undo_words = WORDS["undo_all" if len(change_to_undo.keys) > 1 else "undo"]
    reason |= {
        "advice": "",
        "button": undo_words.format(words=change_to_undo.words),
        "guilty": sorted(guilty),
        "apply": differing(change_to_undo.view_without.settings, view.settings),
    }
    title_beside = WORDS["title_without"].format(words=change_to_undo.words)
    return _with_pictures(reason, view, change_to_undo.view_without, title_beside)


def _sentence_on_changes(view: View, changes_made: Sequence[Change]) -> str:
    """Say in a sentence what the changes did."""
    if not is_spoilt_by_changes(view):
        return WORDS["both"].format(
            prediction=prediction_text(view), original=prediction_text(view.untouched)
        )
    restoring = [change for change in changes_made if change.restores_prediction]
    # Where none restores the prediction, the first change matters most.
    return _capital(
        "; ".join(map(_clause_on_change, restoring or changes_made[:1])) + "."
    )


def _clause_on_change(change: Change) -> str:
    prediction_without = prediction_text(change.view_without)
    return WORDS["without"].format(words=change.words, after=prediction_without)


def _capital(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}"


def ranked_changes(view: View, view_of_settings: ViewOfSettings) -> tuple[Change, ...]:
    """Undo each change by itself, and where none of them is enough, as few together as will do.

    Returns the one that matters most first; one with several keys comes first where no single one is enough.
    """
    # Another seed alone is no change: the noise stays as strong.
    keys = [key for key in view.effective_changes if key != "seed"]
    # One restores the prediction if that is spoilt no more without it, by class and by probability; the gain
    # is of the correct class, without a label of that of the untouched photo.
    single_changes = sorted(
        (_measured_change(view, (key,), view_of_settings) for key in keys),
        key=lambda change: (change.restores_prediction, change.probability_gain),
        reverse=True,
    )
    if (
        not is_spoilt_by_changes(view)
        or len(single_changes) < 2
        or single_changes[0].restores_prediction
    ):
        return tuple(single_changes)
    # No single change is to blame alone, so undo all of them together.
    keys_by_effect = [key for change in single_changes for key in change.keys]
    joint_change = _measured_change(view, tuple(keys_by_effect), view_of_settings)
    # Leave out whatever is not needed, what matters least first.
    for key in reversed(keys_by_effect):
        fewer_keys = tuple(other for other in joint_change.keys if other != key)
        smaller_change = _measured_change(view, fewer_keys, view_of_settings)
        if smaller_change.restores_prediction:
            joint_change = smaller_change
    # It comes first also where not even all together restore the prediction.
    return (joint_change, *single_changes)


def _measured_change(
    view: View, keys: tuple[str, ...], view_of_settings: ViewOfSettings
) -> Change:
    # As `#change` of page/reasons.js does. Parameters that only steer one of these, as an angle does a blur,
    # are undone with it, but not named.
    steering_keys = [
        name for name, parameter in PARAMETERS.items() if parameter.of in keys
    ]
    neutral_settings = neutral(view.settings["photo"])
    undone_settings = {key: neutral_settings[key] for key in (*keys, *steering_keys)}
    view_without = view_of_settings(view.settings | undone_settings)
    # Without a label, the class of the untouched photo counts as the right one.
    target_class = view.untouched.top if view.label is None else view.label
    return Change(
        keys=keys,
        words=WORDS["and"].join(change_words(key, view.settings) for key in keys),
        view_without=view_without,
        restores_prediction=is_spoilt_by_changes(view)
        and not is_spoilt_by_changes(view_without),
        probability_gain=float(
            view_without.probabilities[target_class] - view.probabilities[target_class]
        ),
    )


def diagnose_view(view: View, progress: Callable[[str], None]) -> Diagnosis:
    """Diagnose the image as it is shown, with the preprocessing in use."""
    # With the faults that were chosen, so that it finds them, too.
    return diagnose(
        view.bench.classifier.using(view.preprocessing),
        [view.photo],  # after the perturbation
        [view.label],
        progress=progress,
    )


def final_answer(
    diagnosis: Diagnosis, view: View, answer_from_changes: ReasonWithImages
) -> tuple[ExplainedContent, list[bytes]]:
    """Return the diagnosis as the page shows it, with the images of `Reason`.

    `answer_from_changes` is that of `explain_changes`: what a person's own changes have done.
    """
    reason, image_buffers = _best_reason(diagnosis, view, answer_from_changes)
    # The page shows the code in a box of its own, so the details leave it out.
    findings_without_code = [
        replace(finding, fix=replace(finding.fix, code=""))
        for finding in diagnosis.findings
    ]
    shown_diagnosis = replace(diagnosis, findings=tuple(findings_without_code))
    details = in_plain_words(shown_diagnosis.details().text())
    return {**reason, "code": diagnosis.fix_code, "details": details}, image_buffers


def _best_reason(
    diagnosis: Diagnosis, view: View, answer_from_changes: ReasonWithImages
) -> ReasonWithImages:
    """Return the most that can be said of this prediction, with the images of `Reason`."""
    best = diagnosis.best
    fixed_preprocessing = best.fix.preprocessing if best else None
    if fixed_preprocessing:
        # To use the fix without any chosen fault on top; nothing is left to apply where it is in use.
        settings_to_apply = None if view.settings["fix"] else FAULTLESS | {"fix": True}
        if _fix_only_undoes_chosen_faults(view, fixed_preprocessing):
            # Where the classifier has the preprocessing of its file, nothing else is wrong, and what undoing
            # the faults did was measured, which says more than a diagnosis.
            if is_prepared_as_in_training(view.bench.classifier):
                return answer_from_changes
            # An empty setting takes back the fault that was chosen for a step.
            differing_steps = contrasts(view.preprocessing, fixed_preprocessing)
            settings_to_apply = dict.fromkeys(differing_steps, "")
        fixed_view = _view_with_preprocessing(view, fixed_preprocessing)
        return _preprocessing_reason(view, fixed_view, settings_to_apply)
    # A prediction that the changes have spoilt is explained by them, not by the image.
    is_spoilt = is_spoilt_by_changes(view)
    if best and not (is_spoilt and best.cause in CAUSES_IN_IMAGE):
        # Buffers of uint8 pixels; their sizes are in the reason.
        own_reason, image_buffers = answer_from_changes
        headline = f"{diagnosis.headline} {own_reason['headline']}".strip()
        advice = in_plain_words(best.fix.text)
        return {**own_reason, "headline": headline, "advice": advice}, image_buffers
    in_image = None if is_spoilt else _reason_in_image(diagnosis, view)
    return (in_image, []) if in_image else answer_from_changes


def _reason_in_image(diagnosis: Diagnosis, view: View) -> Reason | None:
    """Say what else is known where no cause is named; None where the changes of the image say it all."""
    # Unless the prediction is known to be wrong, what was changed is the whole answer.
    if view.effective_changes and not view.wrong:
        return None
    for finding in diagnosis.findings:
        if view.wrong and finding.verdict == "possible":
            return _reason_with_text_only(
                f"Perhaps: {finding.summary}", in_plain_words(finding.fix.text)
            )
    if view.wrong and view.label is not None:
        label_name = view.bench.classifier.class_names[view.label]
        return _reason_with_text_only(
            f"A hard image: {prediction_text(view)}, rather than {label_name},"
            f" {percent(view.probabilities[view.label])}.",
            HARD_IMAGE_ADVICE,
        )
    # Here a photo with a label is predicted correctly.
    advice = LABEL_ADVICE if view.label is None else OTHER_PHOTO_ADVICE
    return _reason_with_text_only(diagnosis.headline, diagnosis.limits or advice)


def _preprocessing_reason(
    view: View, fixed_view: View, settings_to_apply: Settings | None
) -> ReasonWithImages:
    """Say how an image is prepared otherwise than in training; the fix is put beside."""
    sentence_of_step = contrasts(view.preprocessing, fixed_view.preprocessing)
    # A fix that hardly moves this prediction may matter on other photos.
    advice = "" if _predicts_other_or_weaker(view, fixed_view) else WORDS["same_class"]
    reason = _reason_with_text_only(" ".join(sentence_of_step.values()), advice)
    reason |= {
        "button": WORDS["fix"],
        "apply": settings_to_apply,
        "guilty": list(sentence_of_step),
    }
    return _with_pictures(reason, view, fixed_view, WORDS["title_trained"])


def _fix_only_undoes_chosen_faults(
    view: View, fixed_preprocessing: Preprocessing
) -> bool:
    """Whether all that is to be fixed was chosen by a person, whose own changes say more."""
    differing_steps = contrasts(view.preprocessing, fixed_preprocessing)
    if is_prepared_as_in_training(view.bench.classifier):
        # The setting of a step names the fault that was chosen for it, if any.
        return all(view.settings.get(step) for step in differing_steps)
    # Here the code itself may do these steps wrong, which undoing the chosen faults does not mend.
    undone_settings = view.settings | dict.fromkeys(differing_steps, "")
    return view.bench.preprocessing(undone_settings) == fixed_preprocessing


def _view_with_preprocessing(view: View, preprocessing: Preprocessing) -> View:
    """Return the view of the same photo, perturbed as it is, with this preprocessing."""
    # No chosen fault on top of it, and no fix in its place; the perturbation stays.
    return replace(view.bench, usual_preprocessing=preprocessing).compute_view(
        Entry(view.original, view.label),
        view.settings | FAULTLESS | {"fix": False},
        reference=view.untouched,
    )


def pin_view(folder: Path, view: View, best_finding: Finding | None) -> str:
    """Write a case of what is shown, with the fix that is on or that a diagnosis found, and say so."""
    if view.label is None:
        raise ValueError(
            "Expected a label to pin, received none; say what it shows with Label it"
        )
    bench = view.bench
    fixed_preprocessing = best_finding.fix.preprocessing if best_finding else None
    faulty_preprocessing = view.preprocessing
    # Where the fix is on, without faults on top, it is the usual preprocessing that it mends.
    if view.settings["fix"] and view.preprocessing == bench.fixed_preprocessing:
        fixed_preprocessing = view.preprocessing
        faulty_preprocessing = bench.usual_preprocessing
    # Where there is a fix, the case prepares the image as the classifier will when the case is checked:
    # it fails until the classifier has the fix.
    case_path = pin(
        folder,
        bench.classifier.using(fixed_preprocessing)
        if fixed_preprocessing
        else bench.classifier,
        view.original,
        view.label,
        perturbation=view.perturbation,
        preprocessing=None if fixed_preprocessing else view.preprocessing,
        fault=faulty_preprocessing if fixed_preprocessing else None,
        cause=best_finding.cause if best_finding else "",
    )
    failing = ", which it is not yet" if view.wrong else ""
    label = bench.classifier.class_names[view.label]
    return f"Pinned: {case_path}, expected {label}{failing}"


def in_plain_words(text: str) -> str:
    """Return a text without the names and units that only people who wrote it know."""
    # The unit of evidence, then the underscores of names such as channel_order.
    text = re.sub(r",? in nats\b", "", text)
    return re.sub(
        r"\b[a-z]+(?:_[a-z]+)+\b", lambda match: match[0].replace("_", " "), text
    )
