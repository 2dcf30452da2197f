"""What accuracy and confidence are worth: intervals, folds, calibration, mistakes, near-duplicates."""

from kit.validation.accuracy import accuracy_interval, cross_validate
from kit.validation.calibration import measure
from kit.validation.training import train

__all__ = [
    "accuracy_interval",
    "cross_validate",
    "measure",
    "train",
]
