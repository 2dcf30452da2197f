"""Still figures for the notebooks; never in the live path.

Every function returns a PNG with alternative text, and takes no part in pyplot's global state.
"""

from kit.plots.pictures import accuracy_figure, cost_figure, picture_figure
from kit.plots.robustness import shift_figure, sweep_figure
from kit.plots.trust import confidence_figure, novelty_figure, reliability_figure
from kit.plots.validation import folds_figure, learning_curve_figure

__all__ = [
    "accuracy_figure",
    "confidence_figure",
    "cost_figure",
    "folds_figure",
    "learning_curve_figure",
    "novelty_figure",
    "picture_figure",
    "reliability_figure",
    "shift_figure",
    "sweep_figure",
]
