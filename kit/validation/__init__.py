"""What accuracy and confidence are worth: intervals, folds, learning curves, balance, calibration."""

from kit.classifier.training import train
from kit.validation.accuracy import (
    AccuracyInterval,
    Comparison,
    accuracy_interval,
    compare_accuracies,
    pictures_for_width,
    pictures_to_compare,
)
from kit.validation.balance import ClassBalance, balanced_accuracy, class_balance
from kit.validation.calibration import measure
from kit.validation.folds import (
    CrossValidation,
    Fold,
    LearningCurve,
    Point,
    cross_validate,
    joined,
    learning_curve,
    split_folds,
    subset,
)

__all__ = ["AccuracyInterval", "Comparison", "accuracy_interval", "compare_accuracies"]
__all__ += ["pictures_for_width", "pictures_to_compare"]
__all__ += ["ClassBalance", "balanced_accuracy", "class_balance", "measure"]
__all__ += ["CrossValidation", "Fold", "LearningCurve", "Point", "cross_validate", "learning_curve", "train"]
__all__ += ["joined", "split_folds", "subset"]
