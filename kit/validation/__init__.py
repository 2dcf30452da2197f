"""What accuracy and confidence are worth: intervals, folds, learning curves, calibration, near-duplicates."""

from kit.classifier.training import train
from kit.validation.accuracy import AccuracyInterval, Comparison, accuracy_interval, compare_accuracies
from kit.validation.calibration import measure
from kit.validation.folds import CrossValidation, LearningCurve, Point, cross_validate, learning_curve

__all__ = ["AccuracyInterval", "Comparison", "CrossValidation", "LearningCurve", "Point"]
__all__ += ["accuracy_interval", "compare_accuracies", "cross_validate", "learning_curve", "measure", "train"]
