"""What accuracy and confidence are worth: intervals, folds, learning curves, balance, calibration."""

from kit.classifier.training import train
from kit.validation.accuracy import AccuracyInterval, accuracy_interval, pictures_for_width
from kit.validation.accuracy_comparison import Comparison, compare_accuracies, pictures_to_compare
from kit.validation.balance import ClassBalance, balanced_accuracy, class_balance
from kit.validation.calibration.metrics import measure
from kit.validation.cross_validation import CrossValidation, Fold, cross_validate
from kit.validation.curves import LearningCurve, Point, learning_curve
from kit.validation.splits import folds, joined, subset

__all__ = [
    "AccuracyInterval",
    "ClassBalance",
    "Comparison",
    "CrossValidation",
    "Fold",
    "LearningCurve",
    "Point",
    "accuracy_interval",
    "balanced_accuracy",
    "class_balance",
    "compare_accuracies",
    "cross_validate",
    "folds",
    "joined",
    "learning_curve",
    "measure",
    "pictures_for_width",
    "pictures_to_compare",
    "subset",
    "train",
]
