"""What the page is told once: photos, sliders, the steps of the path, and limits."""

from collections.abc import Collection, Mapping

from kit.explorer.bench import AHEAD_BYTES, Bench
from kit.explorer.protocol import Panel, Slider, Step
from kit.explorer.settings import MAIN, Settings, neutral
from kit.explorer.shelf import CAMERA, UPLOAD_BYTES, Shelf
from kit.explorer.texts import caption, usual_preparation
from kit.perturbation import PARAMETERS
from kit.preprocessing import Preprocessing, faults

CAMERA_SIDE = 512
"""Longest side of a camera's frame, in pixels: the page shrinks it before it sends it."""
CAMERA_MS = 45
"""Least time between two frames, so that a camera leaves room for others: almost three frames of a screen."""


def steps_of_path(
    usual_preprocessing: Preprocessing,
    words_without_fault: str,
    faults_left_out: Collection[str] = (),
) -> list[Step]:
    """Describe the chips in the order in which the steps run; those that can be changed have options.

    `words_without_fault` stand for a step that is as usual; `faults_left_out` are faults that are no options.
    """
    path: list[Step] = [{"key": "file", "label": "File"}]
    for step, label in faults.STEPS.items():
        # The steps before this one read the file; then come the photo and its perturbation.
        if step == "thumbnail":
            path += [
                {"key": "photograph", "label": "Photo"},
                {"key": "perturbation", "label": "Perturbation"},
            ]
        options = [
            [fault.name, fault.title]
            for fault in faults.alternatives(usual_preprocessing, step)
            if fault.name not in faults_left_out
        ]
        # A step in which this preprocessing can have no fault has no chip.
        if options:
            options = [["", words_without_fault], *options]
            path.append({"key": step, "label": label, "options": options})
    path.append({"key": "tensor", "label": "Model input"})
    path.append({"key": "probabilities", "label": "Prediction"})
    return path


def sliders() -> list[Slider]:
    """Describe the page's sliders and switches: every perturbation."""
    return [
        {
            "key": name,
            "label": parameter.label,
            "hint": parameter.description,
            "unit": parameter.unit,
            "low": parameter.low,
            "high": parameter.high,
            "step": parameter.step,
            "neutral": parameter.neutral,
            "kind": "switch" if parameter.kind == "switch" else "range",
            "snaps": parameter.kind == "whole",
            "group": "main" if name in MAIN else "more",
            "section": parameter.group,
        }
        for name, parameter in PARAMETERS.items()
    ]


def panel(
    bench: Bench,
    shelf: Shelf,
    tries: Mapping[str, Settings],
    *,
    places_ahead: int,
    offers_flips: bool = True,
) -> Panel:
    """Return the panel of an explorer, which looks ahead to `places_ahead` places of a slider."""
    classifier = bench.classifier
    panel_notes = list(classifier.early_notes)
    if not classifier.preprocessing:
        panel_notes.append(
            f"assumed here: {'; '.join(bench.usual_preprocessing.describe())}"
        )
    return {
        "title": classifier.name,
        "photos": shelf.rows(),
        "classes": classifier.class_names,
        "camera": {"name": CAMERA, "side": CAMERA_SIDE, "pause": CAMERA_MS},
        "sliders": sliders(),
        "path": steps_of_path(bench.usual_preprocessing, usual_preparation(classifier)),
        "usual": usual_preparation(classifier),
        # Of the first photo; a page may have none.
        "neutral": neutral(next(iter(shelf), "")),
        "notes": panel_notes,
        "caption": caption(classifier),
        # Whether calibrated probabilities differ, so that they get bars of their own.
        "tempered": classifier.temperature != 1,
        "uploadBytes": UPLOAD_BYTES,
        # While nobody moves, the page asks for the predictions at so many values of these sliders.
        "ahead": {"keys": MAIN, "places": places_ahead, "bytes": AHEAD_BYTES},
        "flips": offers_flips,
        # The name on a button, and the settings that it sets.
        "tries": list(tries.items()),
    }
