"""Find out why an image classifier gets a picture wrong.

Names are imported on first use, so that ``import kit`` stays fast and never imports TensorFlow.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kit._reporting import Table
    from kit.classifier import Classifier
    from kit.classifier.importing import import_h5
    from kit.classifier.training import adapt
    from kit.diagnosis import diagnose
    from kit.diagnosis.own_function import check
    from kit.explorer.explorer import Explorer
    from kit.images import Decoding, Photo, load_image
    from kit.perturbation import Perturbation
    from kit.preprocessing import Preprocessing, faults
    from kit.preprocessing.scaling import Scaling
    from kit.regression.cases import Case, Expected
    from kit.regression.checking import check_cases
    from kit.regression.comparing import compare
    from kit.regression.pinning import pin
    from kit.robustness.costs import cost_table, fault_costs
    from kit.robustness.novelty import Novelty, fit_novelty, novelty_of
    from kit.robustness.shifts import shift
    from kit.robustness.sweeps import sweep
    from kit.validation import accuracy_interval, cross_validate, learning_curve
    from kit.validation.calibration import calibrate
    from kit.validation.duplicates import find_duplicates
    from kit.workshop import exercises
    from kit.workshop.setup import check_setup

__all__ = ["Case", "Classifier", "Decoding", "Expected", "Explorer", "Novelty", "Perturbation", "Photo"]
__all__ += ["Preprocessing", "Scaling", "Table"]
__all__ += ["accuracy_interval", "adapt", "calibrate", "check", "check_cases", "check_setup"]
__all__ += ["compare", "cost_table", "cross_validate", "diagnose"]
__all__ += ["fault_costs", "find_duplicates", "fit_novelty", "import_h5", "learning_curve", "load_image"]
__all__ += ["novelty_of"]
__all__ += ["pin", "shift", "sweep"]
__all__ += ["exercises", "faults", "plots", "robustness", "samples", "validation"]

_OFFERED = {
    "_reporting": ["Table"],
    "classifier": ["Classifier"],
    "classifier.training": ["adapt"],
    "classifier.importing": ["import_h5"],
    "diagnosis": ["diagnose"],
    "diagnosis.own_function": ["check"],
    "explorer": ["Explorer"],
    "images": ["Decoding", "Photo", "load_image"],
    "perturbation": ["Perturbation"],
    "preprocessing": ["Preprocessing"],
    "preprocessing.faults": ["faults"],
    "preprocessing.scaling": ["Scaling"],
    "regression.cases": ["Case", "Expected"],
    "regression.checking": ["check_cases"],
    "regression.comparing": ["compare"],
    "regression.pinning": ["pin"],
    "robustness": ["sweep"],
    "robustness.costs": ["cost_table", "fault_costs"],
    "robustness.novelty": ["Novelty", "fit_novelty", "novelty_of"],
    "robustness.shifts": ["shift"],
    "validation": ["accuracy_interval", "cross_validate", "learning_curve"],
    "validation.calibration": ["calibrate"],
    "validation.duplicates": ["find_duplicates"],
    "workshop.exercises": ["exercises"],
    "workshop.setup": ["check_setup"],
}
_HOMES = {name: home for home, names in _OFFERED.items() for name in names}
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'kit' has no attribute {name!r}; it offers {', '.join(__all__)}")
    module = import_module(f"kit.{_HOMES.get(name, name)}")
    # What has no such attribute is offered itself.
    value = globals()[name] = getattr(module, name, module)
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
