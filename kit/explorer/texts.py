"""What the explorer says of a state: bars, prediction, tensor and code, for the page and for a saved note."""

import numpy as np

from kit._arrays import Float32
from kit.classifier.classifier import Classifier, is_prepared_as_in_training
from kit.explorer.bench import View
from kit.explorer.protocol import Answer, Bar
from kit.explorer.settings import UNPERTURBED

BARS = 8
"""Rows, the last one for all other classes; where there are ten or fewer, each has one, in their order."""
LEAST_SHOWN = 0.0005
"""Probability that rounds to none; such a class has no row of its own, unless it is expected."""
WORDS = {
    "expected": "{gets}, expected {expects}",
    "map": "Yellow areas support {name}. They do not say why.",
    "none": "none of these",
    "novel": "Unlike the training images. Likeliest: {name}, {share}. {note}",
    "original": "Original photo: {before}",
    "others": "{count} others",
    "right": "✓ correct",
    "wrong": "✕ it is {label}",
}
"""What is said of a state; a page without Python has it from here."""


def percent(probability: float) -> str:
    """Return a probability, 0..1, for people; what rounds to none or to all of it is marked."""
    # Exact 0 and 1 alone are called 0.0 % and 100.0 %, which say that nothing else is possible.
    if 0 < probability < LEAST_SHOWN:
        return "<0.1 %"
    if 1 - LEAST_SHOWN <= probability < 1:
        return ">99.9 %"
    # A tiny bit more, so that halves are rounded up, as JavaScript does.
    return f"{100 * float(probability) + 1e-9:.1f} %"


def bars(view: View) -> list[Bar]:
    """Return the rows of the softmax table, with lengths (0 to 1) and texts of their three bars."""
    classifier = view.bench.classifier
    names = classifier.class_names
    probabilities = view.probabilities
    [calibrated] = classifier.calibrated(probabilities[None])
    # For each class the three bars of its row, (3, classes).
    three_probabilities = np.stack(
        [probabilities, view.untouched.probabilities, calibrated]
    )
    row_classes = list(range(len(names)))
    if len(names) > BARS + 2:
        needed_classes = {view.top, view.untouched.top}
        if view.label is not None:
            needed_classes.add(view.label)
        # Too many for the page, so that some have a row, the most probable first, and the others share one.
        row_classes = _classes_with_a_row(probabilities, needed_classes)
    rows = [
        _bar(view, index, names[index], three_probabilities[:, index])
        for index in row_classes
    ]
    other_count = len(names) - len(row_classes)
    if other_count:
        # Rounding may take the sum above 1.
        other_shares = np.maximum(
            1 - three_probabilities[:, row_classes].sum(axis=1), 0
        )
        name = WORDS["others"].format(count=other_count)
        # The page knows this row by the index -1.
        rows.append(_bar(view, -1, name, other_shares))
    return rows


def _classes_with_a_row(probabilities: Float32, needed_classes: set[int]) -> list[int]:
    """Return the classes that have a row of their own, with those of `needed_classes` among them."""
    ranking: list[int] = np.argsort(-probabilities, kind="stable")[:BARS].tolist()
    probable = [
        index
        for index in ranking
        if index not in needed_classes and probabilities[index] >= LEAST_SHOWN
    ]
    # One row of `BARS` is left for all other classes together.
    classes = [*needed_classes, *probable[: BARS - 1 - len(needed_classes)]]
    return sorted(classes, key=lambda index: (-probabilities[index], index))


def _bar(
    view: View, class_index: int, class_name: str, three_probabilities: Float32
) -> Bar:
    """Return a row: its probability here, for the original photo (the ghost), and calibrated."""
    predicted, untouched, calibrated = three_probabilities.tolist()
    return {
        "index": class_index,
        "name": class_name,
        "value": round(predicted, 6),
        "text": percent(predicted),
        # The pale bar, which shows what the changes to the photo have moved.
        "ghost": round(untouched, 6),
        "ghostText": percent(untouched),
        "calibrated": round(calibrated, 6),
        "calibratedText": percent(calibrated),
        "top": class_index == view.top,
        "expected": class_index == view.label,
    }


def answer_name(view: View) -> str:
    """Return the predicted class, or that it is none."""
    if view.predicted_class is None:
        return WORDS["none"]  # since it is unlike the training images
    return view.bench.classifier.class_names[view.predicted_class]


def prediction_text(view: View) -> str:
    """Return what is predicted, with its probability; that it is none of the classes has none."""
    name = answer_name(view)
    if view.novel:
        return name  # of none of the classes, which has no probability
    return f"{name}, {percent(view.probabilities[view.top])}"


def answer_of(view: View) -> Answer:
    """Return the prediction in parts that are read from the back row, and the class that is known."""
    names = view.bench.classifier.class_names
    name = names[view.top]
    mark = ""
    state = ""
    label = ""
    if view.label is not None:
        label = names[view.label]
        # An image that shows none of the classes is none of its label, too.
        state = "wrong" if view.wrong else "right"
        mark = WORDS[state].format(label=label)
    note = ""
    # The untouched photo, with which other views are compared; its own view has none.
    if view.reference:
        note = WORDS["original"].format(before=prediction_text(view.reference))
    share = percent(view.probabilities[view.top])
    # An image unlike those of training gets no class as its answer; the likeliest one stands in the note.
    if view.novel:
        note = WORDS["novel"].format(name=name, share=share, note=note).strip()
        name = WORDS["none"].capitalize()
        share = ""
    return {
        "name": name,
        "share": share,
        "mark": mark,
        "state": state,
        "note": note,
        "label": label,
    }


def verdict(answer: Answer) -> str:
    """Say in a sentence or two what the prediction is, and how it differs from the untouched one."""
    prediction = filter(None, (answer["name"], answer["share"], answer["mark"]))
    return f"{', '.join(prediction)}. {answer['note']}".strip()


def usual_preparation(classifier: Classifier) -> str:
    """Say what a preprocessing that nobody has touched is like."""
    if not classifier.preprocessing:
        # The explorer then takes the `assumed_preprocessing`.
        return "as assumed"
    if is_prepared_as_in_training(classifier):
        return "as in training"
    return "as your code does it"


def caption(classifier: Classifier) -> str:
    """Say below the softmax table what its bars are."""
    text = f"Pale bar: the original photo, prepared {usual_preparation(classifier)}"
    # At 1 a calibration changes no probability, and no bar shows one.
    if classifier.temperature == 1:
        return text
    return f"{text}; thin bar: calibrated with temperature {classifier.temperature:.2f}"


def as_code(view: View) -> str:
    """Return the state as lines of Python, where ``kit``, ``classifier`` and ``explorer`` are there."""
    lines = []
    if view.effective_changes.get("fix"):
        lines += [
            # With the fix, and without what was toggled by hand to see a fault.
            f"classifier = classifier.using({view.faultless_preprocessing.to_code()})",
            "explorer = kit.Explorer(classifier, explorer.photos, explorer.labels)",
        ]
    # Only what differs from the untouched photo and has an effect on its prediction.
    settings = {"photo": view.settings["photo"], **view.effective_changes}
    settings.pop("fix", None)  # the new classifier has the fix
    lines.append(f"explorer.settings = {settings!r}")
    if view.perturbation != UNPERTURBED:
        lines.append(f"perturbation = kit.{view.perturbation!r}")
    lines.append(f"preprocessing = {view.preprocessing.to_code()}")
    return "\n".join(lines)
