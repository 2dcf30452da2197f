"""Find out why an image classifier gets a picture wrong.

Names are imported on first use, so that ``import kit`` stays fast and never imports TensorFlow.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kit import plots, robustness, samples, validation
    from kit.classifier import Classifier
    from kit.classifier.adaptation import adapt
    from kit.diagnosis import diagnose
    from kit.diagnosis.own_function import check
    from kit.explorer.explorer import Explorer
    from kit.images import Decoding, Photo, load_image
    from kit.perturbation import Perturbation
    from kit.preprocessing import Preprocessing, faults
    from kit.preprocessing.scaling import Scaling
    from kit.robustness.costs import cost_table, fault_costs
    from kit.robustness.reference.novelty import Novelty, fit_novelty, novelty_of
    from kit.robustness.shifts import shift
    from kit.robustness.sweeps.running import sweep
    from kit.validation import accuracy_interval, cross_validate, learning_curve
    from kit.validation.calibration import calibrate
    from kit.validation.duplicates import find_duplicates
    from kit.workshop import exercises

_HOMES = {
    "Classifier": "kit.classifier",
    "Decoding": "kit.images",
    "Explorer": "kit.explorer",
    "Novelty": "kit.robustness.reference.novelty",
    "Perturbation": "kit.perturbation",
    "Photo": "kit.images",
    "Preprocessing": "kit.preprocessing",
    "Scaling": "kit.preprocessing.scaling",
    "accuracy_interval": "kit.validation",
    "calibrate": "kit.validation.calibration",
    "adapt": "kit.classifier.adaptation",
    "cost_table": "kit.robustness.costs",
    "cross_validate": "kit.validation",
    "exercises": "kit.workshop",
    "fault_costs": "kit.robustness.costs",
    "check": "kit.diagnosis.own_function",
    "diagnose": "kit.diagnosis",
    "faults": "kit.preprocessing",
    "fit_novelty": "kit.robustness.reference.novelty",
    "find_duplicates": "kit.validation.duplicates",
    "learning_curve": "kit.validation",
    "load_image": "kit.images",
    "novelty_of": "kit.robustness.reference.novelty",
    "plots": "kit",
    "robustness": "kit",
    "samples": "kit",
    "shift": "kit.robustness.shifts",
    "sweep": "kit.robustness",
    "validation": "kit",
}

_MODULES = {"exercises", "faults", "plots", "robustness", "samples", "validation"}

__all__ = [
    "Classifier",
    "Decoding",
    "Explorer",
    "Novelty",
    "Perturbation",
    "Photo",
    "Preprocessing",
    "Scaling",
    "accuracy_interval",
    "adapt",
    "calibrate",
    "check",
    "cost_table",
    "cross_validate",
    "diagnose",
    "exercises",
    "fault_costs",
    "faults",
    "find_duplicates",
    "fit_novelty",
    "learning_curve",
    "load_image",
    "novelty_of",
    "plots",
    "robustness",
    "samples",
    "shift",
    "sweep",
    "validation",
]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'kit' has no attribute {name!r}; it offers {', '.join(__all__)}")
    home = _HOMES[name]
    value = import_module(f"{home}.{name}") if name in _MODULES else getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
