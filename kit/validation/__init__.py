"""What accuracy and confidence are worth: intervals, folds, calibration, mistakes, near-duplicates."""

from kit.classifier.training import train
from kit.validation.accuracy import (
    accuracy_interval,
    compare_accuracies,
    cross_validate,
)
from kit.validation.calibration import measure

__all__ = [
    "accuracy_interval",
    "compare_accuracies",
    "cross_validate",
    "measure",
    "train",
]
