"""Unexpected input: sweeps over perturbations, images unlike those of the training, and remedies.

Sweeps and flips measure. Of the remedies, levels and noise are corrected in an image; augmentation trains on
images that changed.
"""

from kit.images.properties import usual_levels
from kit.perturbation.restoring import denoised, relevelled, restored
from kit.robustness.adaptation import Augmentation
from kit.robustness.flips import flip
from kit.robustness.sweeps import sweep

__all__ = [
    "Augmentation",
    "denoised",
    "flip",
    "relevelled",
    "restored",
    "sweep",
    "usual_levels",
]
