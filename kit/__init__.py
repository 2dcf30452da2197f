"""Find out why an image classifier gets an image wrong.

Names are imported on first use, so that ``import kit`` stays fast and never imports TensorFlow.
"""

import ast
from importlib import import_module
from inspect import isfunction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kit._bundled import __version__  # noqa: F401 (kit.__version__)

# The list of public names, for type checkers and editors, and for `__getattr__`, which reads it below.
if TYPE_CHECKING:
    from kit import (
        plots as plots,
        robustness as robustness,
        samples as samples,
        validation as validation,
    )
    from kit._reporting import Table as Table
    from kit.classifier.classifier import Classifier as Classifier
    from kit.classifier.importing import import_h5 as import_h5
    from kit.classifier.predictions import Predictions as Predictions
    from kit.diagnosis import diagnose as diagnose
    from kit.diagnosis.comparing import compare as compare
    from kit.diagnosis.own_function import check as check
    from kit.explorer.explorer import Explorer as Explorer
    from kit.images.opening import Decoding as Decoding
    from kit.images.photo import Photo as Photo, load_image as load_image
    from kit.perturbation import Perturbation as Perturbation
    from kit.preprocessing import Preprocessing as Preprocessing, faults as faults
    from kit.preprocessing.calling import recorder as recorder
    from kit.preprocessing.scaling import Scaling as Scaling
    from kit.regression.cases import Case as Case, pin as pin
    from kit.regression.checking import check_cases as check_cases
    from kit.robustness.adaptation import adapt as adapt
    from kit.robustness.costs import fault_costs as fault_costs
    from kit.robustness.heatmap import heatmap as heatmap
    from kit.robustness.novelty import (
        Novelty as Novelty,
        fit_novelty as fit_novelty,
        novelty_of as novelty_of,
    )
    from kit.robustness.shifts import shift as shift
    from kit.robustness.sweeps import sweep as sweep
    from kit.setup import check_setup as check_setup
    from kit.validation import (
        accuracy_interval as accuracy_interval,
        cross_validate as cross_validate,
    )
    from kit.validation.calibration import calibrate as calibrate
    from kit.validation.duplicates import find_duplicates as find_duplicates
    from kit.validation.mistakes import mistakes as mistakes

_HOMES = {
    name.name: str(node.module)
    for node in ast.walk(ast.parse(Path(__file__).read_text(encoding="utf-8")))
    if isinstance(node, ast.ImportFrom)
    for name in node.names
    if name.asname
}
__all__ = sorted(_HOMES)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    from kit._checking import WORDS, guided, nearest

    if name not in _HOMES:
        hint = nearest(name, [*__all__, *WORDS["advice"]])
        raise AttributeError(
            f"module 'kit' has no attribute {name!r}{hint}; it offers {', '.join(__all__)}"
        )
    home = _HOMES[name]
    if home == "kit":
        value = import_module(f"kit.{name}")
    else:
        # As `from home import name` does, which finds modules, too.
        value = getattr(__import__(home, fromlist=[name]), name)
    if isfunction(value):
        value = guided(value)
        # Where the guided one is, for other processes.
        value.__module__ = "kit"
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
