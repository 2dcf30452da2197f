"""Still figures for the notebooks; never in the live path.

Every figure is a PNG with alternative text, and takes no part in pyplot's global state. It is
drawn from results, without importing what made them.
"""

from kit.plots.pictures import accuracy_figure, cost_figure, picture_figure
from kit.plots.reliability import reliability_figure, reliability_slider
from kit.plots.robustness import shift_figure, sweep_figure
from kit.plots.trust import confidence_figure, novelty_figure
from kit.plots.validation import folds_figure, learning_curve_figure

__all__ = ["accuracy_figure", "cost_figure", "picture_figure", "reliability_figure", "reliability_slider"]
__all__ += ["confidence_figure", "novelty_figure", "shift_figure", "sweep_figure"]
__all__ += ["folds_figure", "learning_curve_figure"]
