"""Find out why an image classifier gets a picture wrong.

Names are imported on first use, so that ``import kit`` stays fast and never imports TensorFlow.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kit import exercises, faults, plots, robustness, samples, validation
    from kit.adaptation import adapt
    from kit.calibration import calibrate
    from kit.checkup import check
    from kit.classifier import Classifier
    from kit.costs import cost_table, fault_costs
    from kit.diagnosis import diagnose
    from kit.duplicates import find_duplicates
    from kit.explorer import Explorer
    from kit.images import Photo, load_image
    from kit.novelty import Novelty, fit_novelty, novelty_of
    from kit.perturbation import Perturbation
    from kit.preprocessing import Preprocessing
    from kit.robustness import sweep
    from kit.scaling import Scaling
    from kit.shifting import shift
    from kit.validation import accuracy_interval, cross_validate, learning_curve

_HOMES = {
    "Classifier": "kit.classifier",
    "Explorer": "kit.explorer",
    "Novelty": "kit.novelty",
    "Perturbation": "kit.perturbation",
    "Photo": "kit.images",
    "Preprocessing": "kit.preprocessing",
    "Scaling": "kit.scaling",
    "accuracy_interval": "kit.validation",
    "calibrate": "kit.calibration",
    "adapt": "kit.adaptation",
    "cost_table": "kit.costs",
    "cross_validate": "kit.validation",
    "exercises": "kit",
    "fault_costs": "kit.costs",
    "check": "kit.checkup",
    "diagnose": "kit.diagnosis",
    "faults": "kit",
    "fit_novelty": "kit.novelty",
    "find_duplicates": "kit.duplicates",
    "learning_curve": "kit.validation",
    "load_image": "kit.images",
    "novelty_of": "kit.novelty",
    "plots": "kit",
    "robustness": "kit",
    "samples": "kit",
    "shift": "kit.shifting",
    "sweep": "kit.robustness",
    "validation": "kit",
}

__all__ = [
    "Classifier",
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
    value = import_module(f"kit.{name}") if home == "kit" else getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
