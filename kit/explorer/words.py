"""The words and numbers that the explorer shows of a view. The page paints them as they are."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from kit.classifier import Classifier
from kit.classifier.bundle.contract import preprocessing_in
from kit.explorer.view import View, changed_settings
from kit.perturbation import PARAMETERS

BARS = 8
"""Classes shown at once where there are more; ten and fewer are all shown, in their own order."""


def percent(probability: float) -> str:
    """Return a probability, 0..1, for people; what rounds to none or to all of it is told as such."""
    if 0 < probability < 0.0005:
        return "<0.1 %"
    if 0.9995 <= probability < 1:
        return ">99.9 %"
    return f"{100 * float(probability):.1f} %"


def bars(view: View, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return the rows of the softmax table, with the lengths (0 to 1) and texts of bars and ghost bars.

    Where the classifier has no temperature, the bar of the calibrated probability is None and its text empty.
    """
    values = view.probabilities
    ghosts = view.untouched.probabilities
    if len(values) <= BARS + 2:
        shown = list(range(len(values)))
    else:
        wanted = {int(ghosts.argmax())} | ({view.label} if view.label is not None else set())
        ranked = [int(index) for index in np.argsort(-values, kind="stable")[:BARS]]
        extra = sorted(wanted - set(ranked), key=lambda index: (-values[index], index))
        shown = ranked[: BARS - len(extra)] + extra
    return [
        {
            "index": index,
            "name": names[index],
            "value": _length(values[index]),
            "text": percent(values[index]),
            "ghost": _length(ghosts[index]),
            "ghostText": percent(ghosts[index]),
            "calibrated": None if view.calibrated is None else _length(view.calibrated[index]),
            "calibratedText": "" if view.calibrated is None else percent(view.calibrated[index]),
            "top": index == view.top,
            "expected": index == view.label,
        }
        for index in shown
    ]


def called(view: View, names: Sequence[str]) -> str:
    """Return what is answered, with its probability."""
    name = "none of these" if view.answer is None else names[view.answer]
    return f"{name}, {percent(view.probabilities[view.top])}"


def answer(view: View, names: Sequence[str]) -> dict[str, str]:
    """Return the answer in parts that are read from the back row."""
    if not np.isfinite(view.probabilities).all():
        lost = "the network's outputs are no numbers (nan). Look for nan in its weights."
        return {"name": "No answer", "share": "", "mark": "", "state": "", "note": lost}
    mark, state = "", ""
    if view.label is not None:
        right = not view.wrong
        mark, state = ("✓ right", "right") if right else (f"✕ it is {names[view.label]}", "wrong")
    before = view.untouched
    same = f"the same class, {percent(before.probabilities[before.top])}"
    was = same if before.answer == view.answer else called(before, names)
    note = "" if view.reference is None else f"Untouched: {was}"
    name, share = names[view.top], percent(view.probabilities[view.top])
    if view.novel:
        likeliest = f"Unlike the training pictures. Likeliest: {name}, {share}. {note}".strip()
        return {"name": "None of these", "share": "", "mark": mark, "state": state, "note": likeliest}
    return {"name": name, "share": share, "mark": mark, "state": state, "note": note}


def verdict(view: View, names: Sequence[str]) -> str:
    """Say in a sentence or two what the answer is, and how it differs from the untouched one."""
    told = answer(view, names)
    mark = {"right": " (right)", "wrong": f" (wrong: it is {names[view.label or 0]})", "": ""}[told["state"]]
    if not told["share"]:
        return f"{told['name']}{mark}: {told['note'][0].lower()}{told['note'][1:]}"
    return f"{told['name']}, {told['share']}{mark}. {told['note']}".strip()


def tensor_table(view: View) -> list[list[str]]:
    """Rows of (property, fed to the network, expected for this photograph, the same?) as text."""
    names = ("dtype", "shape", "minimum", "maximum", "mean", "standard deviation")
    rows = zip(names, view.statistics, view.untouched.statistics, strict=True)
    return [[name, fed, wanted, "same" if fed == wanted else "differs"] for name, fed, wanted in rows]


def usual(classifier: Classifier) -> str:
    """Say what a preprocessing that nobody has touched is like."""
    if classifier.preprocessing is None:
        return "as assumed"
    stored = classifier.source and preprocessing_in(classifier.source)
    known = classifier.source is None or stored == classifier.preprocessing
    return "as in training" if known else "as your code does it"


def caption(classifier: Classifier) -> str:
    """Say below the softmax table what its bars are."""
    text = f"Pale bar: the untouched photograph, prepared {usual(classifier)}"
    if classifier.temperature == 1:
        return text
    return f"{text}; thin bar: calibrated with temperature {classifier.temperature:.2f}"


def as_code(view: View) -> str:
    """Return the state as lines of Python, where ``kit``, ``classifier`` and ``explorer`` are there."""
    changed = changed_settings(view.settings)
    lines = []
    if changed.pop("fix", False):
        lines.append(f"classifier = classifier.using({view.base.to_code()})")
        lines.append("explorer = kit.Explorer(classifier, explorer.photos)")
    lines.append(f"explorer.settings = { {'photo': view.settings['photo']} | changed!r}")
    perturbation = {key: value for key, value in changed.items() if key in PARAMETERS or key == "seed"}
    if perturbation:
        given = ", ".join(f"{key}={value!r}" for key, value in perturbation.items())
        lines.append(f"perturbation = kit.Perturbation({given})")
    lines.append(f"preprocessing = {view.preprocessing.to_code()}")
    return "\n".join(lines)


def _length(probability: float) -> float:
    return round(float(probability), 6) if np.isfinite(probability) else 0.0
