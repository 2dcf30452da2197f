"""The state of all controls as one dictionary, and the perturbation that it describes."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from kit._checking import instance, known
from kit.perturbation import PARAMETERS, Perturbation
from kit.preprocessing import Preprocessing, faults
from kit.preprocessing.pipeline import CHOICES

Settings = dict[str, Any]

MAIN = ("brightness", "noise")
"""The article's two sliders; the other perturbations are folded away."""
UNPERTURBED = Perturbation()
FAULTLESS = dict.fromkeys(faults.STEPS, "")
OF_PAGES = {*MAIN, "seed", *FAULTLESS}
"""What a page does by itself, in JavaScript."""
_NEUTRAL = vars(UNPERTURBED) | FAULTLESS | {"fix": False, "where": None}


def neutral(photo: str) -> Settings:
    """Return the settings that show `photo` unperturbed and prepared as usual."""
    # By its name; no perturbation, no fault in any step, no fix, and no heat map.
    return {"photo": photo} | _NEUTRAL


def differing(values: Mapping[str, Any], others: Mapping[str, Any]) -> dict[str, Any]:
    """Return those values that differ from the others of their names."""
    return {name: value for name, value in values.items() if value != others[name]}


def effective_changes(settings: Settings) -> Settings:
    """Return what is not as it is untouched, without what changes no prediction by itself."""
    # Where a heat map is asked for (the setting "where"), the prediction stays the same.
    untouched = neutral(settings["photo"]) | {"where": settings["where"]}
    changed = differing(settings, others=untouched)
    changed_parameters = changed.keys() & PARAMETERS
    # A parameter `of` another one, as the angle of a blur, does nothing while that one is neutral.
    without_effect = {
        name for name in changed_parameters if PARAMETERS[name].of not in {"", *changed}
    }
    # Without any perturbation, nothing is drawn from the seed, which is no parameter itself.
    if changed_parameters == without_effect:
        without_effect.add("seed")
    return {key: value for key, value in changed.items() if key not in without_effect}


def change_words(key: str, settings: Settings) -> str:
    """Return a change in words, for the middle of a sentence."""
    if key == "fix":
        return "the fix"
    if key in faults.STEPS:
        return f"“{faults.STEPS[key]}: {faults.CATALOGUE[settings[key]].title}”"
    parameter = PARAMETERS[key]
    if parameter.kind == "switch":
        return f"“{parameter.label}”"
    label = parameter.label.lower().replace("jpeg", "JPEG")
    return f"{label} {settings[key]:g}"


# While somebody drags a slider, view after view has the same preprocessing.
@lru_cache(maxsize=8)
def step_words(preprocessing: Preprocessing) -> Mapping[str, str]:
    """Return in words how a preprocessing does each step in which there are faults."""
    return {
        choice.name: choice.words(preprocessing)
        for choice in CHOICES
        if choice.name in faults.STEPS
    }


def complete_settings(
    settings: Mapping[str, Any], photo_names: Iterable[str], current_photo: str
) -> Settings:
    """Complete `settings`: what is missing is neutral, and a missing photo is the current one.

    TypeError or ValueError for an unknown key, photo or fault; the message names the nearest.
    """
    complete = neutral(current_photo)
    instance("settings", settings, Mapping, "a dictionary")
    for key, value in settings.items():
        # `known` returns its second argument, or raises a ValueError with the nearest name.
        complete[known("setting", key, complete)] = value
    known("photo", complete["photo"], photo_names)
    for step in faults.STEPS:
        names = [
            fault.name for fault in faults.CATALOGUE.values() if fault.step == step
        ]
        # An empty text stands for no fault.
        known(f"fault of the step {step!r}", complete[step], ["", *names])
    instance("fix", complete["fix"], bool, "True or False")
    # `Perturbation` checks its values and brings each into one form, as 1 into 1.0.
    return complete | vars(perturbation_of(complete))


def perturbation_of(settings: Settings) -> Perturbation:
    """Return the perturbation that complete settings describe."""
    # Settings have its fields among their keys, all of them; it refuses values out of range.
    return Perturbation(**{name: settings[name] for name in vars(UNPERTURBED)})
