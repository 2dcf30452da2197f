"""What accuracy and confidence are worth: intervals, folds, calibration, mistakes, near-duplicates."""

from kit.classifier.training import train
from kit.validation.accuracy import AccuracyInterval, Comparison, accuracy_interval, compare_accuracies
from kit.validation.calibration import measure
from kit.validation.folds import CrossValidation, cross_validate

__all__ = ["AccuracyInterval", "Comparison", "CrossValidation"]
__all__ += ["accuracy_interval", "compare_accuracies", "cross_validate", "measure", "train"]
