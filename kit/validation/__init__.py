"""What accuracy and confidence are worth: intervals, folds, learning curves, balance, calibration."""

from kit.classifier.training import train
from kit.validation.accuracy import AccuracyInterval, accuracy_interval, pictures_for_width
from kit.validation.accuracy_comparison import Comparison, compare_accuracies, pictures_to_compare
from kit.validation.balance import ClassBalance, balanced_accuracy, class_balance
from kit.validation.calibration.metrics import measure
from kit.validation.cross_validation import CrossValidation, Fold, cross_validate
from kit.validation.curves import LearningCurve, Point, learning_curve
from kit.validation.splits import folds, joined, subset

__all__ = ["AccuracyInterval", "Comparison", "accuracy_interval", "compare_accuracies"]
__all__ += ["pictures_for_width", "pictures_to_compare"]
__all__ += ["ClassBalance", "balanced_accuracy", "class_balance", "measure"]
__all__ += ["CrossValidation", "Fold", "LearningCurve", "Point", "cross_validate", "learning_curve", "train"]
__all__ += ["folds", "joined", "subset"]
