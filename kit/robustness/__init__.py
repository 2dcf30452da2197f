"""Unexpected input: sweeps over perturbations, images unlike those of the training, and remedies.

Sweeps and flips measure. Of the remedies, levels and noise are corrected in an image; augmentation trains on
images that changed.
"""

from kit.images.properties import denoised, relevelled, usual_levels
from kit.perturbation.augmentation import Augmentation
from kit.robustness.flips import Flip, flip
from kit.robustness.restoring import restored
from kit.robustness.sweep_result import Sweep
from kit.robustness.sweeps import sweep

__all__ = ["Augmentation", "Flip", "Sweep", "flip", "sweep"]
__all__ += ["denoised", "relevelled", "restored", "usual_levels"]
