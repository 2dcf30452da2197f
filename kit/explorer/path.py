"""The way of a picture through the explorer, as a row of chips with their present values and choices."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from kit.explorer.view import MAIN, View, changed_settings
from kit.images import Photo
from kit.perturbation import PARAMETERS
from kit.preprocessing import Preprocessing, faults
from kit.preprocessing.pipeline import PIPELINE, TO_SIZE

CHOICES = {choice.name: choice for operation in PIPELINE for choice in operation.choices}
"""What can be chosen wrongly, by name, in the order in which the steps run."""

OF_FILES = {
    "exif": ("no tag", "This file has no orientation tag, or none that turns it.", "exif.jpg"),
    "alpha": ("none", "This file has no transparent pixels.", "alpha.webp"),
    "depth": ("8 bit", "This file has 8 bits a colour.", "depth16.png"),
}
"""Steps that only some files have: why one has none, in short and in full, and a sample that has one."""
LABELS = {
    "file": "File",
    "exif": "EXIF",
    "alpha": "Alpha",
    "depth": "16 bit",
    "photograph": "Photo",
    "perturbation": "Perturbed",
    "thumbnail": "Shrunk",
    "filter": "Filter",
    "fit": "Fit",
    "cast": "Type",
    "tensor": "Tensor",
    "probabilities": "Answer",
}
"""Names of chips that are shorter than those of their steps, or are no steps."""
_AFTER = ("photograph", "perturbation")
_ENDS = ("tensor", "probabilities")


def chips(trained: Preprocessing, faultless: str) -> list[dict[str, Any]]:
    """Describe the chips in the order in which the steps run; those that can be changed have options.

    `faultless` is the word for a step in which `trained` is left as it is.
    """
    found = [_plain("file")]
    for step, label in faults.STEPS.items():
        if CHOICES[step] not in TO_SIZE[0].choices and found[-1]["key"] in OF_FILES:
            found += [_plain(key) for key in _AFTER]
        others = faults.alternatives(trained, step)
        if others:
            options = [["", faultless], *([fault.name, fault.title] for fault in others)]
            hint = " ".join(f"{fault.title[0].upper()}{fault.title[1:]}: {fault.origin}" for fault in others)
            sample = OF_FILES[step][-1] if step in OF_FILES else ""
            found.append(_plain(step) | {"name": label, "options": options, "hint": hint, "sample": sample})
    return found + [_plain(key) for key in _ENDS]


def values(view: View, names: Sequence[str], idle: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return for each chip its value in a few words, whether it is changed, and why it cannot act."""
    height, width = view.source.size
    changed = changed_settings(view.settings)
    perturbed = [PARAMETERS[key].label for key in changed if key in PARAMETERS and key != "seed"]
    some = perturbed[0] if len(perturbed) == 1 else f"{len(perturbed)} changes"
    # Most differ in the numbers that are shown anyway.
    alike = view.statistics == view.untouched.statistics and np.array_equal(
        view.tensor, view.untouched.tensor
    )
    told: dict[str, tuple[str, bool]] = {
        "file": (", ".join(view.source.notes) or "as it is", False),
        "photograph": (f"{width} × {height}", False),
        "perturbation": (some if perturbed else "none", bool(perturbed)),
        "tensor": ("×".join(map(str, view.tensor.shape[1:])), not alike),
        "probabilities": (
            "none of these" if view.answer is None else names[view.answer],
            view.answer != view.untouched.answer,
        ),
    }
    for step in faults.STEPS:
        words = CHOICES[step].words(view.preprocessing)
        told[step] = (_short(words), words != CHOICES[step].words(view.trained))
    return {
        key: {
            "value": OF_FILES[key][0] if key in idle else value,
            "changed": differs,
            "idle": OF_FILES[key][1] if key in idle else "",
        }
        for key, (value, differs) in told.items()
    }


def _plain(key: str) -> dict[str, Any]:
    return {"key": key, "label": LABELS.get(key, key.capitalize())}


def _short(words: str) -> str:
    """Return the name before the formula, or what there is, without underscores."""
    name, _, _ = words.partition(", ")
    return (words if "(" in name else name).replace("_", " ")


def idle_steps(photo: Photo, trained: Preprocessing) -> tuple[str, ...]:
    """Return the steps of reading a file that make no difference to this one, whatever is chosen."""
    plain = photo.decoded(trained.decoding).pixels
    return tuple(
        step
        for step in OF_FILES
        if all(
            np.array_equal(plain, photo.decoded(fault.apply(trained).decoding).pixels)
            for fault in faults.alternatives(trained, step)
        )
    )


def sliders() -> list[dict[str, Any]]:
    """Describe the page's sliders and switches: every perturbation."""
    found = []
    for name, item in PARAMETERS.items():
        told = {key: getattr(item, key) for key in ("label", "unit", "low", "high", "step", "neutral")}
        kind = "switch" if item.kind == "switch" else "range"
        told["whole"] = item.kind == "whole"
        group, section = ("main", "") if name in MAIN else ("more", item.group)
        place = {"key": name, "kind": kind, "group": group, "section": section}
        found.append(place | told | {"hint": item.description})
    return found
